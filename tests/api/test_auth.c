/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_int.h"
#include "tests/test.h"

static struct sl_config conf;

static void configure(const char *bind, const char *token)
{
	memset(&conf, 0, sizeof(conf));
	(void)sl_fmt(conf.http.bind, SL_CONFIG_TEXT_MAX, "%s", bind);
	(void)sl_fmt(conf.http.token, SL_CONFIG_TEXT_MAX, "%s", token);
}

static bool host(const char *h)
{
	return api_host_ok(&conf, sl_str_z(h));
}

static bool origin(const char *h, const char *o, bool open)
{
	return api_origin_ok(&conf, sl_str_z(h), sl_str_z(o), open);
}

static bool token(const char *header)
{
	return api_token_ok(&conf, sl_str_z(header));
}

TEST(t42_on_loopback_without_a_token_only_literals_and_named_hosts_are_served)
{
	static const char *const good[] = {"127.0.0.1",	 "127.0.0.1:8888", "[::1]",
					   "[::1]:8888", "localhost",	   "LocalHost:8888",
					   "10.0.0.7:1", "studio.example", "Studio.Example:8888"};
	static const char *const bad[] = {"evil.example",
					  "evil.example:8888",
					  "localhost.evil.example",
					  "127.0.0.1.evil.example",
					  "127.0.0.1.",
					  "[::1].evil",
					  "::1",
					  "0x7f.1",
					  "127.1",
					  "localhost.",
					  "1.2.3.4@evil",
					  " localhost"};

	configure("127.0.0.1", "");
	conf.http.hosts.n = 1;
	(void)sl_fmt(conf.http.hosts.at[0], SL_CONFIG_TEXT_MAX, "studio.example");
	for (size_t i = 0; i < SL_COUNT(good); i++)
		CHECK(host(good[i]));
	for (size_t i = 0; i < SL_COUNT(bad); i++)
		CHECK(!host(bad[i]));
}

TEST(t42_hosts_are_not_checked_with_a_token_or_off_loopback)
{
	configure("127.0.0.1", "secret");
	CHECK(host("anything.example"));
	configure("0.0.0.0", "");
	CHECK(host("anything.example"));
	configure("::1", "");
	CHECK(!host("anything.example"));
}

TEST(t41_origins_of_other_pages_are_refused)
{
	configure("127.0.0.1", "");
	conf.http.origins.n = 1;
	(void)sl_fmt(conf.http.origins.at[0], SL_CONFIG_TEXT_MAX, "https://app.example");
	CHECK(origin("127.0.0.1:8888", "", false));
	CHECK(origin("127.0.0.1:8888", "obs-studio", false));
	CHECK(origin("127.0.0.1:8888", "http://127.0.0.1:8888", false));
	CHECK(origin("sfu.example", "https://SFU.example", false));
	CHECK(origin("sfu.example", "http://sfu.example:80", false));
	CHECK(origin("sfu.example:443", "https://sfu.example", false));
	CHECK(origin("127.0.0.1:8888", "https://app.example", false));
	CHECK(!origin("127.0.0.1:8888", "null", false));
	CHECK(!origin("127.0.0.1:8888", "NULL", true));
	CHECK(!origin("127.0.0.1:8888", "https://evil.example", true));
	CHECK(!origin("127.0.0.1:8888", "https://app.example.evil.example", true));
	CHECK(!origin("127.0.0.1:8888", "http://app.example", true));
	CHECK(!origin("127.0.0.1:8888", "http://127.0.0.1.evil.example:8888", true));
	CHECK(!origin("127.0.0.1:8888", "https://127.0.0.1:8888@evil.example", true));
}

TEST(t41_loopback_pages_may_use_whip_and_whep_without_a_token)
{
	configure("127.0.0.1", "");
	CHECK(origin("127.0.0.1:8888", "http://127.0.0.1:3000", true));
	CHECK(origin("127.0.0.1:8888", "http://localhost:3000", true));
	CHECK(origin("127.0.0.1:8888", "https://[::1]", true));
	CHECK(!origin("127.0.0.1:8888", "http://127.0.0.1:3000", false));
	CHECK(!origin("127.0.0.1:8888", "http://localhost.evil.example", true));
}

TEST(t41_with_a_token_any_page_may_use_whip_and_whep)
{
	configure("0.0.0.0", "secret");
	CHECK(origin("sfu.example", "https://other.example", true));
	CHECK(origin("sfu.example", "null", true));
	CHECK(!origin("sfu.example", "https://other.example", false));
}

TEST(t43_only_the_whole_token_opens)
{
	configure("0.0.0.0", "s3cret");
	CHECK(token("Bearer s3cret"));
	CHECK(token("bearer   s3cret"));
	CHECK(!token("Bearer s3cre"));
	CHECK(!token("Bearer s3crett"));
	CHECK(!token("Bearer "));
	CHECK(!token(""));
	CHECK(!token("Basic s3cret"));
	CHECK(!token("s3cret"));
	configure("0.0.0.0", "");
	CHECK(!token("Bearer "));
	CHECK(!token("Bearer x"));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/addr.h"
#include "tests/test.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct sl_addr parsed(const char *text)
{
	struct sl_addr a = {0};

	TRY(sl_addr_parse(sl_str_z(text), &a));
	return a;
}

TEST(addresses_print_as_they_were_parsed)
{
	static const char *const texts[] = {"192.0.2.1:80", "0.0.0.0:0", "[2001:db8::1]:65535",
					    "[::]:1"};
	char buf[SL_ADDR_TEXT];

	for (size_t i = 0; i < SL_COUNT(texts); i++) {
		struct sl_addr a = parsed(texts[i]);

		CHECK_STR(sl_addr_text(&a, buf), texts[i]);
	}
}

TEST(addresses_without_a_port_have_port_0)
{
	char buf[SL_ADDR_TEXT];
	struct sl_addr a = parsed("2001:db8::1"), b = parsed("[2001:db8::1]"),
		       c = parsed("192.0.2.7");

	CHECK(sl_addr_eq(&a, &b));
	CHECK_EQ(a.port, 0);
	CHECK_STR(sl_addr_ip_text(&a, buf), "2001:db8::1");
	CHECK_EQ(c.port, 0);
	CHECK_STR(sl_addr_ip_text(&c, buf), "192.0.2.7");
}

TEST(text_that_is_no_address_is_refused)
{
	static const char *const bad[] = {
		"",
		":",
		":80",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:65536",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4: 1",
		"1.2.3.4:000080",
		" 1.2.3.4",
		"1.2.3.4 ",
		"[1.2.3.4]:80",
		"[::1",
		"::1]",
		"[]",
		"[]:80",
		"[::1]80",
		"[::1]:",
		"fe80::1%eth0",
		"[fe80::1%lo]:1",
		"g::1",
		"1:2:3:4:5:6:7:8:9",
		":::",
		"localhost",
		"[[::1]]:1",
		"12345::1",
		"1.2.3.4.local",
	};
	struct sl_addr a;

	for (size_t i = 0; i < SL_COUNT(bad); i++)
		CHECK_EQ(sl_addr_parse(sl_str_z(bad[i]), &a), SL_EPARSE);
	CHECK_EQ(sl_addr_parse(sl_str("1.2.3.4\0", 8), &a), SL_EPARSE);
	CHECK_EQ(sl_addr_parse_ip(SL_STR("1.2.3.4:80"), &a), SL_EPARSE);
	CHECK_EQ(sl_addr_parse_ip(SL_STR("[::1]"), &a), SL_EPARSE);
}

TEST(v4_mapped_addresses_are_stored_as_v4)
{
	struct sl_addr mapped = parsed("[::ffff:192.0.2.1]:80"),
		       plain = sl_addr_v4(192, 0, 2, 1, 80);
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_scope_id = 3};
	struct sl_addr from;

	CHECK(sl_addr_eq(&mapped, &plain));
	CHECK_EQ(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr), 1);
	TRY(sl_addr_from_sockaddr((struct sockaddr *)&in6, &from));
	CHECK(sl_addr_eq(&from, &plain));
}

TEST(system_addresses_go_there_and_back)
{
	static const char *const texts[] = {"192.0.2.1:80", "[2001:db8::1]:443"};
	struct sockaddr_storage ss;

	for (size_t i = 0; i < SL_COUNT(texts); i++) {
		struct sl_addr a = parsed(texts[i]), b;

		CHECK_EQ(sl_addr_to_sockaddr(&a, &ss),
			 i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		TRY(sl_addr_from_sockaddr((struct sockaddr *)&ss, &b));
		CHECK(sl_addr_eq(&a, &b));
	}
	ss.ss_family = AF_UNIX;
	CHECK_EQ(sl_addr_from_sockaddr((struct sockaddr *)&ss, &(struct sl_addr){0}),
		 SL_EUNSUPPORTED);
	CHECK_EQ(sl_addr_to_sockaddr(&(struct sl_addr){0}, &ss), 0);
	CHECK_EQ(ss.ss_family, AF_UNSPEC);
}

TEST(the_scope_counts_for_link_local_addresses_only)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_scope_id = 3};
	struct sockaddr_storage ss;
	struct sl_addr a;

	CHECK_EQ(inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr), 1);
	TRY(sl_addr_from_sockaddr((struct sockaddr *)&in6, &a));
	CHECK_EQ(a.scope, 3);
	sl_addr_to_sockaddr(&a, &ss);
	CHECK_BYTES(&ss, &in6, sizeof(in6));
	CHECK_EQ(inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr), 1);
	TRY(sl_addr_from_sockaddr((struct sockaddr *)&in6, &a));
	CHECK_EQ(a.scope, 0);
}

TEST(kinds_of_addresses_are_told_apart)
{
	static const struct {
		const char *text;
		bool loopback, link_local, any, multicast;
	} rows[] = {
		{"127.0.0.1", true, false, false, false},
		{"127.255.0.1", true, false, false, false},
		{"::1", true, false, false, false},
		{"::ffff:127.0.0.1", true, false, false, false},
		{"169.254.1.1", false, true, false, false},
		{"fe80::1", false, true, false, false},
		{"febf::1", false, true, false, false},
		{"fec0::1", false, false, false, false},
		{"0.0.0.0", false, false, true, false},
		{"::", false, false, true, false},
		{"224.0.0.1", false, false, false, true},
		{"239.1.1.1", false, false, false, true},
		{"255.255.255.255", false, false, false, true},
		{"240.0.0.1", false, false, false, false},
		{"ff02::fb", false, false, false, true},
		{"8.8.8.8", false, false, false, false},
		{"2001:db8::1", false, false, false, false},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct sl_addr a = parsed(rows[i].text);

		CHECK_EQ(sl_addr_is_loopback(&a), rows[i].loopback);
		CHECK_EQ(sl_addr_is_link_local(&a), rows[i].link_local);
		CHECK_EQ(sl_addr_is_any(&a), rows[i].any);
		CHECK_EQ(sl_addr_is_multicast(&a), rows[i].multicast);
	}
}

TEST(no_address_is_of_no_kind_and_prints_as_none)
{
	struct sl_addr none = {0};
	char buf[SL_ADDR_TEXT];

	CHECK(!sl_addr_is_any(&none) && !sl_addr_is_loopback(&none) &&
	      !sl_addr_is_multicast(&none));
	CHECK(!sl_addr_is_link_local(&none));
	CHECK_STR(sl_addr_text(&none, buf), "none");
}

TEST(paths_differ_by_socket_port_and_address)
{
	struct sl_path a = {.remote = sl_addr_v4(192, 0, 2, 1, 80), .sock = 1}, b = a;

	CHECK(sl_path_eq(&a, &b));
	b.sock = 2;
	CHECK(!sl_path_eq(&a, &b));
	b = a;
	b.remote = sl_addr_with_port(a.remote, 81);
	CHECK(!sl_path_eq(&a, &b));
	CHECK_EQ(b.remote.port, 81);
}

/* SPDX-License-Identifier: Apache-2.0
 * api/auth.c — who may ask: Host against DNS rebinding, Origin against other pages, the token
 * against everybody else. */
#include "api/api_int.h"
#include "core/base/digest.h"

/* Cuts ":port" (digits only, or nothing behind the colon) off a host; brackets of IPv6 stay. */
static struct sl_str without_port(struct sl_str host)
{
	size_t n = host.n;

	while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
		n--;
	return n > 1 && host.p[n - 1] == ':' ? sl_str(host.p, n - 1) : host;
}

/* The address that an IP literal of a URL names. */
static bool literal(struct sl_str name, struct sl_addr *out)
{
	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
		return sl_addr_parse_ip(sl_str(name.p + 1, name.n - 2), out) == SL_OK &&
		       out->family != 0;
	return !memchr(name.p, ':', name.n) && sl_addr_parse_ip(name, out) == SL_OK;
}

static bool is_loopback_name(struct sl_str name)
{
	struct sl_addr a;

	return sl_str_ieq(name, SL_STR("localhost")) ||
	       (literal(name, &a) && sl_addr_is_loopback(&a));
}

static bool in_list(const struct sl_config_list *list, struct sl_str s)
{
	for (size_t i = 0; i < list->n; i++)
		if (sl_str_ieq(sl_str_z(list->at[i]), s))
			return true;
	return false;
}

bool api_bind_is_loopback(const struct sl_config *conf)
{
	struct sl_addr a;

	return sl_addr_parse_ip(sl_str_z(conf->http.bind), &a) == SL_OK && sl_addr_is_loopback(&a);
}

/* A page of another site can make a browser believe that the site's name stands for 127.0.0.1. Its
 * requests then carry that name as Host, so names are looked at where nothing else protects us: on
 * loopback, without a token. */
bool api_host_ok(const struct sl_config *conf, struct sl_str host)
{
	struct sl_str name = without_port(host);
	struct sl_addr a;

	if (conf->http.token[0] || !api_bind_is_loopback(conf))
		return true;
	return literal(name, &a) || sl_str_ieq(name, SL_STR("localhost")) ||
	       in_list(&conf->http.hosts, name) || in_list(&conf->http.hosts, host);
}

/* "https://example.org:443" is said as "https://example.org". */
static struct sl_str without_default_port(struct sl_str host, bool https)
{
	struct sl_str port = https ? SL_STR(":443") : SL_STR(":80");

	if (host.n > port.n && sl_str_eq(sl_str(host.p + host.n - port.n, port.n), port))
		host.n -= port.n;
	return host;
}

bool api_origin_ok(const struct sl_config *conf, struct sl_str host, struct sl_str origin,
		   bool open)
{
	struct sl_str rest;
	bool https;

	if (origin.n == 0)
		return true;
	/* With a token a request proves itself; no browser adds a token on its own, as it does
	 * cookies. */
	if (open && conf->http.token[0])
		return true;
	if (sl_str_ieq(origin, SL_STR("null")))
		return false;
	for (size_t i = 0; i + 3 <= origin.n; i++) {
		if (memcmp(origin.p + i, "://", 3) != 0)
			continue;
		rest = sl_str(origin.p + i + 3, origin.n - i - 3);
		https = sl_str_ieq(sl_str(origin.p, i), SL_STR("https"));
		if (sl_str_ieq(without_default_port(rest, https),
			       without_default_port(host, https)))
			return true;
		return in_list(&conf->http.origins, origin) ||
		       (open && is_loopback_name(without_port(rest)));
	}
	return true; /* no browser's */
}

bool api_token_ok(const struct sl_config *conf, struct sl_str authorization)
{
	char want[SL_CONFIG_TEXT_MAX] = {0}, got[SL_CONFIG_TEXT_MAX] = {0};
	struct sl_str scheme = sl_str_word(&authorization);
	struct sl_str token = sl_str_trim(authorization);
	bool ok;

	if (!sl_str_ieq(scheme, SL_STR("Bearer")) || !sl_str_copy(got, sizeof(got), token))
		return false;
	if (!sl_str_copy(want, sizeof(want), sl_str_z(conf->http.token)))
		return false;
	/* The whole of both buffers, so that the time tells nothing, not even the length. */
	ok = sl_const_eq(want, got, sizeof(want)) && want[0];
	sl_wipe(want, sizeof(want));
	sl_wipe(got, sizeof(got));
	return ok;
}

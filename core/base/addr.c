/* SPDX-License-Identifier: Apache-2.0
 * core/base/addr.c — addresses as values. */
#include "core/base/addr.h"
#include "core/base/bytes.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 section 2.5.5.2 */

struct sl_addr sl_addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
	return (struct sl_addr){.ip = {a, b, c, d}, .port = port, .family = 4};
}

static struct sl_addr from_v6(const uint8_t ip[16], uint16_t port, uint32_t scope)
{
	struct sl_addr a = {.port = port, .family = 6};

	if (memcmp(ip, mapped, sizeof(mapped)) == 0)
		return sl_addr_v4(ip[12], ip[13], ip[14], ip[15], port);
	memcpy(a.ip, ip, sizeof(a.ip));
	if (sl_addr_is_link_local(&a))
		a.scope = scope;
	return a;
}

struct sl_addr sl_addr_with_port(struct sl_addr a, uint16_t port)
{
	a.port = port;
	return a;
}

int sl_addr_parse_ip(struct sl_str s, struct sl_addr *out)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t ip[16];

	if (!sl_str_copy(text, sizeof(text), s))
		return SL_EPARSE;
	if (inet_pton(AF_INET, text, ip) == 1)
		*out = sl_addr_v4(ip[0], ip[1], ip[2], ip[3], 0);
	else if (inet_pton(AF_INET6, text, ip) == 1)
		*out = from_v6(ip, 0, 0);
	else
		return SL_EPARSE;
	return SL_OK;
}

/* Where the port's colon is, or s.n. Two colons outside brackets make it a bare IPv6 address. */
static size_t port_colon(struct sl_str s)
{
	const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;

	if (!colon || s.p[s.n - 1] == ']')
		return s.n;
	if (s.p[0] != '[' && memchr(s.p, ':', s.n) != colon)
		return s.n;
	return (size_t)(colon - s.p);
}

int sl_addr_parse(struct sl_str s, struct sl_addr *out)
{
	size_t colon = port_colon(s);
	struct sl_str host = sl_str(s.p, colon);
	struct sl_addr a;
	uint32_t port = 0;
	bool brackets = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';

	if (colon < s.n && (s.n - colon > 6 ||
			    !sl_str_u32(sl_str(s.p + colon + 1, s.n - colon - 1), 65535, &port)))
		return SL_EPARSE;
	if (brackets)
		host = sl_str(host.p + 1, host.n - 2);
	if (sl_addr_parse_ip(host, &a) != SL_OK || (brackets && !memchr(host.p, ':', host.n)))
		return SL_EPARSE;
	*out = sl_addr_with_port(a, (uint16_t)port);
	return SL_OK;
}

const char *sl_addr_ip_text(const struct sl_addr *a, char buf[SL_ADDR_TEXT])
{
	if (a->family == 0 ||
	    !inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, buf, SL_ADDR_TEXT))
		(void)sl_fmt(buf, SL_ADDR_TEXT, "none");
	return buf;
}

const char *sl_addr_text(const struct sl_addr *a, char buf[SL_ADDR_TEXT])
{
	char ip[SL_ADDR_TEXT];

	if (a->family == 0)
		return sl_addr_ip_text(a, buf);
	(void)sl_fmt(buf, SL_ADDR_TEXT, a->family == 6 ? "[%s]:%u" : "%s:%u",
		     sl_addr_ip_text(a, ip), a->port);
	return buf;
}

int sl_addr_from_sockaddr(const struct sockaddr *sa, struct sl_addr *out)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		*out = (struct sl_addr){.port = ntohs(in.sin_port), .family = 4};
		memcpy(out->ip, &in.sin_addr, 4);
		return SL_OK;
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		*out = from_v6(in6.sin6_addr.s6_addr, ntohs(in6.sin6_port), in6.sin6_scope_id);
		return SL_OK;
	}
	return SL_EUNSUPPORTED;
}

unsigned sl_addr_to_sockaddr(const struct sl_addr *a, void *sockaddr_storage)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};

	memset(sockaddr_storage, 0, sizeof(struct sockaddr_storage));
	if (a->family == 4) {
		memcpy(&in.sin_addr, a->ip, 4);
		memcpy(sockaddr_storage, &in, sizeof(in));
		return sizeof(in);
	}
	if (a->family == 6) {
		memcpy(&in6.sin6_addr, a->ip, 16);
		memcpy(sockaddr_storage, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

bool sl_addr_is_any(const struct sl_addr *a)
{
	static const uint8_t zeros[16];

	return a->family != 0 && memcmp(a->ip, zeros, sizeof(zeros)) == 0;
}

bool sl_addr_is_loopback(const struct sl_addr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return a->family == 4 ? a->ip[0] == 127
			      : a->family == 6 && memcmp(a->ip, one, sizeof(one)) == 0;
}

/* RFC 3927 section 2.1: 169.254/16. RFC 4291 section 2.5.6: fe80::/10. */
bool sl_addr_is_link_local(const struct sl_addr *a)
{
	if (a->family == 4)
		return a->ip[0] == 169 && a->ip[1] == 254;
	return a->family == 6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool sl_addr_is_multicast(const struct sl_addr *a)
{
	if (a->family == 4)
		return a->ip[0] >> 4 == 14 || sl_get32(a->ip) == UINT32_MAX;
	return a->family == 6 && a->ip[0] == 0xff;
}

/* SPDX-License-Identifier: Apache-2.0
 * core/base/addr.h — a transport address as a value: compare, parse, print. */
#ifndef SL_ADDR_H
#define SL_ADDR_H
#include "core/base/base.h"
#include "core/base/str.h"

/* All bytes count in comparison and hashing: build with the functions below, or from a zeroed
 * value. IPv4-mapped IPv6 is always stored as IPv4. */
struct sl_addr {
	uint8_t ip[16];         /* IPv4 in the first four */
	uint16_t port;          /* host order */
	uint8_t family;         /* 0 none, 4, 6 */
	uint8_t tcp;            /* 1: over TCP; only within paths, where it is another address than
				 * the same one over UDP */
	uint32_t scope;         /* of IPv6 link-local addresses, else 0 */
};

/* A way to a peer: which of our sockets, and where to. Sockets are numbered per loop. */
struct sl_path {
	struct sl_addr remote;
	uint32_t sock;
};

/* A datagram at the edge of a sans-IO engine. In: borrowed for the call. Out: valid until the
 * engine is called again. */
struct sl_dgram {
	struct sl_path path;
	const uint8_t *data;
	size_t len;
};

/* How an ICE candidate is reached; over TCP: who opens the connection (RFC 6544 section 4.5). */
enum sl_tcp_type { SL_CAND_UDP, SL_CAND_TCP_ACTIVE, SL_CAND_TCP_PASSIVE, SL_CAND_TCP_SO };

enum { SL_ADDR_TEXT = 64 };     /* room for any printed address */

struct sockaddr;
static inline bool sl_addr_eq(const struct sl_addr *a, const struct sl_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool sl_path_eq(const struct sl_path *a, const struct sl_path *b)
{
	return a->sock == b->sock && sl_addr_eq(&a->remote, &b->remote);
}

struct sl_addr sl_addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
/* Same address, another port. */
struct sl_addr sl_addr_with_port(struct sl_addr a, uint16_t port);
/* "192.0.2.1" or "2001:db8::1" (no brackets, no port, no zone, strict). SL_EPARSE otherwise. */
SL_MUST_USE int sl_addr_parse_ip(struct sl_str s, struct sl_addr *out);
/* "192.0.2.1:80", "[2001:db8::1]:80", or without the port (then 0). */
SL_MUST_USE int sl_addr_parse(struct sl_str s, struct sl_addr *out);
/* "192.0.2.1:80" or "[..]:80"; returns buf. */
const char *sl_addr_text(const struct sl_addr *a, char buf[SL_ADDR_TEXT]);
/* Without port and brackets. */
const char *sl_addr_ip_text(const struct sl_addr *a, char buf[SL_ADDR_TEXT]);
/* From and to the system's form (struct sockaddr_storage for output; returns its length). */
SL_MUST_USE int sl_addr_from_sockaddr(const struct sockaddr *sa, struct sl_addr *out);
unsigned sl_addr_to_sockaddr(const struct sl_addr *a, void *sockaddr_storage);
bool sl_addr_is_loopback(const struct sl_addr *a);
bool sl_addr_is_link_local(const struct sl_addr *a);
bool sl_addr_is_any(const struct sl_addr *a);
bool sl_addr_is_multicast(const struct sl_addr *a);            /* and IPv4 broadcast */
#endif

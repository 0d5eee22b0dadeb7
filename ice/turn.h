/* SPDX-License-Identifier: Apache-2.0
 * ice/turn.h — a TURN client without IO: one relayed address at one server (RFC 8656).
 * What:      allocates with long-term credentials, refreshes, permits peers, binds a channel to the
 *            peer in use, wraps what goes to peers and unwraps what comes from them, gives the
 *            allocation back. Not: sockets, TLS, names, framing (ice/frame.h cuts a stream before
 *            sl_turn_recv; what pull and wrap give is complete for a stream as well, padding
 *            included).
 * Verbs:     as in ice.h: after any call that takes now_us drain pull and event, then re-arm one
 *            timer. Each allocation has a socket or stream of its own: a server grants one per
 *            5-tuple.
 * Life:      ALLOCATED or FAILED within SL_TURN_GIVE_UP_US of init; after ALLOCATED one LOST at
 *            most. Both say why in words that can be logged. After either nothing is sent any more.
 * Security:  only datagrams of the server's address by the allocation's socket are looked at;
 *            answers need the transaction id and MESSAGE-INTEGRITY (but for 401 and 438, which
 *            cannot have it); data is taken only of peers that were permitted. At most three stale
 *            nonces in a row, whatever the server says (T48).
 * Data path: sl_turn_wrap() and sl_turn_recv() copy no payload. A bound channel costs 4 bytes.
 * Threads:   none. Memory: one struct, embedded by the caller; nothing here allocates.
 * Start at:  sl_turn_recv() in turn.c. */
#ifndef SL_TURN_H
#define SL_TURN_H
#include "ice/frame.h"
#include "ice/reflex.h"

enum {
	SL_TURN_USER_MAX = 508,         /* RFC 8489 sections 14.3, 14.9 and 14.10 */
	SL_TURN_REALM_MAX = 763,
	SL_TURN_NONCE_MAX = 763,
	SL_TURN_PEERS = 40,             /* permitted addresses */
	SL_TURN_CHANNELS = 8,
	SL_TURN_HEAD = 48,              /* most that stands before a datagram for a peer: 4 in a
					 * channel, 36 or 48 else */
	SL_TURN_TAIL = 3,               /* most that stands behind it */
	SL_TURN_OUT = 2560
};
#define SL_TURN_GIVE_UP_US (10 * SL_SEC)

struct sl_turn_conf {
	struct sl_path server;          /* its address, and our socket number */
	struct sl_str user, password;   /* copied */
	bool stream;                    /* TCP or TLS: nothing is sent twice; padded */
	uint8_t family;                 /* of the relayed address: 4 or 6; 0: the server's own */
	uint32_t tid_tag;               /* first four bytes of every transaction id */
	const struct sl_rng *rng;       /* borrowed */
};

enum sl_turn_event_type {
	SL_TURN_EV_ALLOCATED,           /* relayed, mapped */
	SL_TURN_EV_FAILED,              /* no allocation: code, why */
	SL_TURN_EV_LOST,                /* it was there and is gone: code, why */
	SL_TURN_EV_REFUSED,             /* the server relays nothing to `peer`: code, why */
	SL_TURN_EV_CLOSED               /* after sl_turn_close(): it is given back, or nobody
					 * answered */
};
struct sl_turn_event {
	enum sl_turn_event_type type;
	struct sl_addr relayed;
	struct sl_addr mapped;          /* our address as the server sees it; family 0 unknown */
	struct sl_addr peer;            /* port 0: any */
	uint16_t code;                  /* STUN error code; 0: none, as for silence */
	const char *why;                /* about the server: "no answer within 10 s"; valid until
					 * the next call */
};

/* What a peer sent; it lies in the datagram that was given to sl_turn_recv(). */
struct sl_turn_data {
	struct sl_addr peer;
	const uint8_t *data;
	size_t len;
};

#include "ice/turn_types.h"             /* struct sl_turn: sized here, touched only in ice/ */

/* The first request is there to be pulled. SL_ERANGE: user or password too long. SL_ENOMEM. */
SL_MUST_USE int sl_turn_init(struct sl_turn *t, const struct sl_turn_conf *conf, int64_t now_us);
void sl_turn_fini(struct sl_turn *t);           /* wipes the key; takes a zeroed one */

/* 1: *out is what a peer sent. SL_OK: an answer of the server. Negative: dropped, nothing
 * changed. */
int sl_turn_recv(struct sl_turn *t, const struct sl_dgram *in, int64_t now_us,
		 struct sl_turn_data *out);
void sl_turn_tick(struct sl_turn *t, int64_t now_us);
bool sl_turn_pull(struct sl_turn *t, struct sl_dgram *out);
bool sl_turn_event(struct sl_turn *t, struct sl_turn_event *ev);
int64_t sl_turn_deadline_us(const struct sl_turn *t);

/* Asks for permission for the peer's IP address; nothing happens when it is there or under way, so
 * call it before each connectivity check, and pull before the check is sent. It is renewed every
 * four minutes while something is sent to the peer. SL_EFULL; SL_EUNSUPPORTED: another family than
 * the relayed address, or an address nobody has; SL_EAUTH: the server has refused it;
 * SL_ESTATE: not allocated. */
int sl_turn_permit(struct sl_turn *t, const struct sl_addr *peer, int64_t now_us);
/* The peer in use from now on: binds a channel to it, and permits it. Errors as above; then data
 * goes to it in Send indications, at a cost of 36 or 48 bytes. */
int sl_turn_use(struct sl_turn *t, const struct sl_addr *peer, int64_t now_us);
/* What stands before (head) and behind (*tail zero bytes) a datagram of len bytes for the peer.
 * Returns the head's length: 4 with a channel. SL_ENOTFOUND: no permission was asked for (or the
 * allocation is not there): do not send. SL_ERANGE: too long. Needs no time, and changes nothing
 * that has to be drained. */
SL_MUST_USE int sl_turn_wrap(struct sl_turn *t, const struct sl_addr *peer, size_t len,
			     uint8_t head[SL_TURN_HEAD], size_t *tail);
/* Allocated, and neither lost nor closed. */
bool sl_turn_is_up(const struct sl_turn *t);

/* The stream to the server has ended (or could not be opened), for this reason in words. */
void sl_turn_closed(struct sl_turn *t, const char *why, int64_t now_us);
/* Gives the allocation back: pull once at least, then fini may follow at once, or, if the datagram
 * shall be repeated until it is answered, after CLOSED (3 s at most). Without an allocation: CLOSED
 * at once. */
void sl_turn_close(struct sl_turn *t, int64_t now_us);
#endif

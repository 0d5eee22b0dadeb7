/* SPDX-License-Identifier: Apache-2.0
 * ice/reflex.h — asks a STUN server what address a socket of ours has outside (RFC 8489 Binding),
 * without IO. One question; verbs as in ice.h: drain pull and event after every call. Answered or
 * given up within SL_REFLEX_GIVE_UP_US. Memory: one struct, nothing allocates. */
#ifndef SL_REFLEX_H
#define SL_REFLEX_H
#include "core/base/addr.h"
#include "core/base/rng.h"

enum { SL_SERVER_WHY = 160 };           /* room for what a server did wrong, in words */
#define SL_REFLEX_GIVE_UP_US (10 * SL_SEC)

/* A request under way: RFC 8489 section 6.2. */
struct sl_stun_tx {
	uint8_t tid[12];
	uint8_t sent;                   /* transmissions; 0: none is under way */
	bool due;                       /* to be pulled */
	int64_t next_us, end_us;
};

struct sl_reflex {
	/* borrowed */
	const struct sl_rng *rng;
	/* state */
	struct sl_path server;
	struct sl_stun_tx tx;
	struct sl_addr mapped;
	bool done, told;
	char why[SL_SERVER_WHY];
	uint8_t out[32];
};

struct sl_reflex_event {
	struct sl_addr mapped;          /* family 0: failed */
	const char *why;                /* then: in words; valid until the next call */
};

/* server: its address, and the socket that asks. tid_tag: first four bytes of the transaction
 * id. */
void sl_reflex_init(struct sl_reflex *r, const struct sl_path *server, uint32_t tid_tag,
		    const struct sl_rng *rng, int64_t now_us);
/* SL_OK: it was the answer. Negative: not for us, nothing changed. */
int sl_reflex_recv(struct sl_reflex *r, const struct sl_dgram *in, int64_t now_us);
void sl_reflex_tick(struct sl_reflex *r, int64_t now_us);
bool sl_reflex_pull(struct sl_reflex *r, struct sl_dgram *out);
/* True once: it is over. */
bool sl_reflex_event(struct sl_reflex *r, struct sl_reflex_event *ev);
int64_t sl_reflex_deadline_us(const struct sl_reflex *r);       /* SL_NEVER once it is over */
#endif

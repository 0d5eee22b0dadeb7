/* SPDX-License-Identifier: Apache-2.0
 * ice/ice_int.h — what the files of ice/ share. agent.c takes what comes in, pairs.c keeps the
 * table, checks.c sends and times transactions, select.c decides which pair is in use and whether
 * the peer is still there. */
#ifndef SL_ICE_INT_H
#define SL_ICE_INT_H
#include "ice/ice.h"

enum stun_method {
	STUN_BINDING = 1,
	/* RFC 8656 section 17 */
	STUN_ALLOCATE = 3,
	STUN_REFRESH = 4,
	STUN_SEND = 6,
	STUN_DATA = 7,
	STUN_CREATE_PERMISSION = 8,
	STUN_CHANNEL_BIND = 9
};
enum {
	STUN_HEADER_LEN = 20,
	STUN_ATTRS_MAX = 32, /* T24 */
	STUN_UNKNOWN_MAX = SL_ICE_OUT_UNKNOWN,
	STUN_USERNAME_MAX = SL_ICE_UFRAG_MAX * 2 + 1
};
#define STUN_COOKIE UINT32_C(0x2112a442)

enum stun_has {
	STUN_USERNAME = 1 << 0,
	STUN_PRIORITY = 1 << 1,
	STUN_USE_CANDIDATE = 1 << 2,
	STUN_CONTROLLED = 1 << 3,
	STUN_CONTROLLING = 1 << 4,
	STUN_XOR_MAPPED = 1 << 5,
	STUN_ERROR_CODE = 1 << 6,
	STUN_UNKNOWN_ATTRS = 1 << 7,
	STUN_INTEGRITY = 1 << 8,
	STUN_FINGERPRINT = 1 << 9,
	STUN_OTHER = 1 << 10, /* known, of no use here */
	STUN_REALM = 1 << 11,
	STUN_NONCE = 1 << 12,
	/* read by stun_read_turn() only */
	STUN_CHANNEL = 1 << 13,
	STUN_LIFETIME = 1 << 14,
	STUN_PEER = 1 << 15,
	STUN_DATA_ATTR = 1 << 16,
	STUN_RELAYED = 1 << 17,
	STUN_TRANSPORT = 1 << 18, /* REQUESTED-TRANSPORT: UDP, the only one there is here */
	STUN_FAMILY = 1 << 19
};

/* A message, as read or as to be written. What ICE has no use for is not kept. */
struct sl_stun {
	enum sl_stun_class class_;
	uint16_t method;
	uint8_t tid[SL_STUN_TID_LEN];
	uint32_t has;		/* enum stun_has */
	struct sl_str username; /* borrowed */
	uint32_t priority;
	uint64_t tie_breaker; /* of ICE-CONTROLLED or ICE-CONTROLLING */
	struct sl_addr mapped;
	uint16_t error_code;
	struct sl_str reason, realm, nonce; /* borrowed; of an error: its words */
	struct sl_addr relayed, peer;	    /* peer: the first one, when read */
	const struct sl_addr *peers;	    /* borrowed; when written */
	size_t peer_count;
	uint32_t lifetime_s;
	uint16_t channel;
	uint8_t family; /* 4, 6 */
	struct sl_str payload; /* borrowed: DATA */
	uint16_t unknown[STUN_UNKNOWN_MAX]; /* read: comprehension-required ones not known; written:
					       the list of 420 */
	uint8_t unknown_count;
	/* borrowed, of a message that was read */
	const uint8_t *data;
	size_t len;
	size_t integrity_at; /* offset of the attribute MESSAGE-INTEGRITY */
};

/* SL_OK or SL_EPARSE. FINGERPRINT, where there is one, was right; MESSAGE-INTEGRITY is checked by
 * stun_check. */
SL_MUST_USE int stun_read(const uint8_t *data, size_t len, struct sl_stun *out);
/* The same for what a TURN server and its clients say to each other. */
SL_MUST_USE int stun_read_turn(const uint8_t *data, size_t len, struct sl_stun *out);
/* SL_OK, SL_EAUTH (wrong, or there is none), SL_ENOMEM. */
SL_MUST_USE int stun_check(const struct sl_stun *m, const void *key, size_t key_len);
/* Writes what `has` names; key signs it where that includes STUN_INTEGRITY. Length, SL_EFULL or
 * SL_ENOMEM. */
SL_MUST_USE int stun_write(const struct sl_stun *m, const void *key, size_t key_len, uint8_t *out,
			   size_t cap);

/* ---- request.c: requests to STUN and TURN servers ---- */
/* RFC 8489 section 6.2.1: 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, given up at 39.5 s. */
#define STUN_SPAN_US (39500 * SL_MS)
/* Begins a transaction that is over after span_us; the request is due. */
void stun_tx_start(struct sl_stun_tx *tx, uint32_t tid_tag, const struct sl_rng *rng,
		   int64_t now_us, int64_t span_us);
/* True: nobody has answered, it is over. once: over a stream nothing is repeated. */
bool stun_tx_tick(struct sl_stun_tx *tx, bool once, int64_t now_us);
int64_t stun_tx_deadline_us(const struct sl_stun_tx *tx, bool once);
/* What an error response means, in words: "wrong user name or password (STUN error 401)". */
void stun_error_words(uint16_t code, struct sl_str reason, char why[SL_SERVER_WHY]);

/* RFC 8445 section 14.2 and 14.3, RFC 8489 section 6.2.1, RFC 7675 section 5.1; T07. */
#define ICE_TA_US (50 * SL_MS)
#define ICE_DISCONNECTED_US (5 * SL_SEC)
#define ICE_TIMEOUT_MAX_US (3600 * SL_SEC)
#define ICE_CONSENT_MAX_US (30 * SL_SEC)
#define ICE_CONSENT_MIN_US (4 * SL_SEC)
#define ICE_CONSENT_SPAN_US (2 * SL_SEC)
#define ICE_NOMINATE_WAIT_US (500 * SL_MS)
#define ICE_NOMINATE_TCP_WAIT_US (1500 * SL_MS) /* for a pair over UDP, where there is one over TCP */
#define ICE_TCP_TIMEOUT_US (39500 * SL_MS)	/* RFC 8489 section 6.2.2: Ti */
#define ICE_RETIRED_US (5 * SL_SEC)
enum {
	ICE_RTO_MIN_TA = 10, /* 500 ms */
	ICE_RC = 7,
	ICE_RM = 16,
	ICE_RC_NOMINATION = 4, /* then the next best pair has its turn */
	ICE_UNFREEZE_AT =
		3, /* transmissions without answer that let the next of the foundation begin */
	ICE_BUDGET = 100,
	ICE_NO_LOCAL = 255,
	ICE_OWN_FOUNDATION = 255
};
#define ICE_NO_SOCK UINT32_MAX /* of a local candidate that is gone */

enum ice_pair_state { ICE_FROZEN, ICE_WAITING, ICE_IN_PROGRESS, ICE_SUCCEEDED, ICE_PAIR_FAILED };
enum ice_tx_flags { ICE_TX_CONTROLLING = 1, ICE_TX_USE = 2, ICE_TX_KICKED = 4 };

/* ---- agent.c ---- */
/* Credentials of a pair; NULL once they are retired. */
struct sl_ice_gen *ice_gen(struct sl_ice *ice, uint8_t id);
void ice_forget_old(struct sl_ice *ice, int64_t now_us);
void ice_queue(struct sl_ice *ice, const struct sl_ice_out *out);

/* ---- pairs.c ---- */
/* Walks the table: ice_next(ice, NULL) is the first, NULL ends. The pair at hand may be removed. */
struct sl_ice_pair *ice_next(struct sl_ice *ice, struct sl_ice_pair *p);
struct sl_ice_pair *ice_at(struct sl_ice *ice, int8_t index); /* NULL for -1 */
int8_t ice_index(const struct sl_ice *ice, const struct sl_ice_pair *p);
struct sl_ice_pair *ice_find(struct sl_ice *ice, uint8_t gen, const struct sl_path *path);
/* The pair of an authentic request, made where there is none; the table's least useful one makes
 * room. */
struct sl_ice_pair *ice_pair_of(struct sl_ice *ice, uint8_t gen, const struct sl_path *path,
				uint32_t priority);
void ice_remove(struct sl_ice *ice, struct sl_ice_pair *p);
void ice_remove_retired(struct sl_ice *ice);
void ice_remove_gen(struct sl_ice *ice, uint8_t gen);
uint64_t ice_pair_priority(const struct sl_ice *ice, const struct sl_ice_pair *p);
uint32_t ice_local_priority(const struct sl_ice *ice, const struct sl_ice_pair *p);
/* Lets frozen pairs of p's foundation begin: all of them, or the best one. */
void ice_unfreeze(struct sl_ice *ice, const struct sl_ice_pair *p, bool all);
bool ice_in_use(const struct sl_ice *ice,
		uint8_t gen); /* the selected pair is of these credentials */

/* ---- checks.c ---- */
void ice_trigger(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us);
void ice_fail_pair(struct sl_ice *ice, struct sl_ice_pair *p);
void ice_begin(struct sl_ice *ice, struct sl_ice_pair *p,
	       int64_t now_us); /* a transaction, not yet sent */
void ice_transmit(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us);
int ice_on_response(struct sl_ice *ice, const struct sl_stun *m, const struct sl_path *path,
		    int64_t now_us);
/* Of the present credentials, by priority; -1: none. */
int8_t ice_best_valid(const struct sl_ice *ice);
void ice_checks_tick(struct sl_ice *ice, int64_t now_us);
int64_t ice_checks_deadline(const struct sl_ice *ice);
bool ice_checks_pending(const struct sl_ice *ice);

/* ---- select.c ---- */
void ice_use_candidate(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us); /* rule (a) */
void ice_brought(struct sl_ice *ice, struct sl_ice_pair *p, bool media,
		 int64_t now_us); /* rule (b) */
void ice_select(struct sl_ice *ice, struct sl_ice_pair *p, int64_t now_us);
void ice_verified(struct sl_ice *ice, struct sl_ice_pair *p);
void ice_alive(struct sl_ice *ice, int64_t now_us);
void ice_life_tick(struct sl_ice *ice, int64_t now_us);
int64_t ice_life_deadline(const struct sl_ice *ice);

/* Time between, at least 0; for ever when `then` is -1. */
static inline int64_t ice_since(int64_t now_us, int64_t then_us)
{
	if (then_us < 0)
		return SL_NEVER;
	return now_us > then_us ? now_us - then_us : 0;
}

/* A point in time that stays one: SL_NEVER instead of overflow. */
static inline int64_t ice_after(int64_t from_us, int64_t us)
{
	return from_us > SL_NEVER - us ? SL_NEVER : from_us + us;
}

/* ---- turn.c, turn_peers.c, turn_data.c ---- */
enum turn_state { TURN_ASKING, TURN_UP, TURN_CLOSING, TURN_OVER };
enum turn_job { TURN_JOB_ALLOCATION, TURN_JOB_PERMIT, TURN_JOB_BIND, TURN_JOBS };
/* RFC 8656 sections 9 and 12. */
#define TURN_PERMISSION_US (300 * SL_SEC)
#define TURN_PERMISSION_RENEW_US (240 * SL_SEC)
#define TURN_CHANNEL_US (600 * SL_SEC)
#define TURN_CHANNEL_RENEW_US (540 * SL_SEC)
#define TURN_CHANNEL_STOP_US (10 * SL_SEC)   /* before its end nothing more is sent by it */
#define TURN_CHANNEL_REST_US (300 * SL_SEC)  /* then its number may mean another peer */
enum {
	TURN_CHANNEL_FIRST = 0x4000,
	TURN_PERMITS_AT_ONCE = 8, /* addresses in one CreatePermission */
	TURN_STALE_MAX = 3,	  /* T48 */
	TURN_LIFETIME_S = 600
};
void turn_start(struct sl_turn *t, enum turn_job job, int64_t now_us);
/* FAILED, LOST or CLOSED, whatever the state makes of it. t->why is written already. */
void turn_end(struct sl_turn *t, uint16_t code);
/* Up to `span_us` less, so that many allocations do not renew at once. */
int64_t turn_jitter(struct sl_turn *t, int64_t at_us, int64_t span_us);
struct sl_turn_perm *turn_perm(struct sl_turn *t, const struct sl_addr *peer);
/* Marks what is due, fills *m and peers with it. */
void turn_write_permit(struct sl_turn *t, struct sl_stun *m,
		       struct sl_addr peers[TURN_PERMITS_AT_ONCE]);
void turn_write_bind(struct sl_turn *t, struct sl_stun *m, struct sl_addr *peer);
void turn_on_permit(struct sl_turn *t, const struct sl_stun *m, int64_t now_us);
void turn_on_bind(struct sl_turn *t, const struct sl_stun *m, int64_t now_us);
void turn_peers_tick(struct sl_turn *t, int64_t now_us);
int64_t turn_peers_deadline(const struct sl_turn *t);
/* ChannelData and Data indications; results as of sl_turn_recv(). */
int turn_on_channel_data(struct sl_turn *t, const struct sl_dgram *in, struct sl_turn_data *out);
int turn_on_data(struct sl_turn *t, const struct sl_stun *m, struct sl_turn_data *out);
#endif

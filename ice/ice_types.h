/* SPDX-License-Identifier: Apache-2.0
 * ice/ice_types.h — the agent's memory, public only so that a transport can embed it. */
#ifndef SL_ICE_TYPES_H
#define SL_ICE_TYPES_H

enum { SL_ICE_OUTS = 8, SL_ICE_OUT_BYTES = 384, SL_ICE_OUT_UNKNOWN = 4 };

struct sl_ice_local {
	struct sl_addr addr;
	uint32_t priority;
	uint32_t sock;
	uint32_t foundation; /* a hash: pairs of one foundation are tried one after the other */
	uint8_t type;
	uint8_t tcp; /* enum sl_tcp_type */
};

struct sl_ice_remote {
	struct sl_addr addr;
	uint32_t priority;
	uint32_t foundation;
	uint8_t type;
};

/* One set of credentials. After a restart there are two: the present ones, and the old ones with
 * the pair in use. */
struct sl_ice_gen {
	struct sl_ice_creds local, remote;
	uint32_t early_hash; /* of the peer's half in checks that came before its credentials */
	bool early;
	bool remote_known;
	uint8_t id; /* 0: none */
};

/* A pair is a path under one set of credentials. Times of -1: never. */
struct sl_ice_pair {
	int64_t next_us;     /* when to repeat or give up the transaction, or when triggered */
	int64_t sent_us;     /* transaction under way: first transmission */
	int64_t last_in_us;  /* anything authentic */
	int64_t last_use_us; /* USE-CANDIDATE, SRTP or SRTCP */
	struct sl_path path;
	uint32_t remote_priority;
	uint32_t requests_in, responses_out, checks_sent, responses_in;
	int32_t rtt_us;
	uint8_t tid[8];
	uint8_t gen; /* 0: a free slot */
	uint8_t state;
	uint8_t local; /* index, or ICE_NO_LOCAL */
	uint8_t remote_type;
	uint8_t remote_foundation; /* index of the first candidate that has it, or
				      ICE_OWN_FOUNDATION */
	uint8_t rto_ta;		   /* retransmission timeout in units of Ta */
	uint8_t tx_count;	   /* transmissions of the transaction under way; 0: none is */
	uint8_t tx_flags;
	bool valid, nominated, triggered, suspect;
};

/* A message to be built when it is pulled. */
struct sl_ice_out {
	struct sl_path path;
	uint8_t tid[SL_STUN_TID_LEN];
	uint32_t priority;
	uint16_t request_len; /* of what it answers: no answer is longer */
	uint16_t error_code;
	uint16_t unknown[SL_ICE_OUT_UNKNOWN];
	uint8_t unknown_count;
	uint8_t class_;
	uint8_t flags;
	uint8_t gen;
};

struct sl_ice {
	/* borrowed */
	const struct sl_rng *rng;
	struct sl_stats *stats;
	struct sl_ice_budget *shared_budget; /* may be NULL */
	/* set at init */
	int64_t timeout_us;
	uint64_t tie_breaker;
	uint32_t tid_tag;
	bool full; /* sends checks of its own accord */
	bool allow_loopback;
	/* state */
	bool controlling;
	bool has_turn; /* of the shared budget: the next check is paid */
	bool end_of_candidates;
	uint8_t state, state_told;
	uint8_t next_gen;
	uint8_t local_count, remote_count, pairs_high;
	uint8_t budget; /* T07: checks left for addresses that have never shown themselves */
	int8_t selected, nominee; /* pair indices, -1: none */
	int8_t verify_pair, verify_old;
	uint8_t verify_sent;
	uint8_t out_first, out_count;
	struct sl_path path_told;
	int64_t ta_next_us;
	int64_t wait_from_us; /* since when the first connection is waited for */
	int64_t last_in_us;   /* anything authentic on any pair */
	int64_t first_valid_us;
	int64_t consent_us, consent_next_us;
	int64_t retire_us; /* when the pairs of retired credentials go; SL_NEVER: there are none */
	int64_t verify_from_us;
	struct sl_ice_gen now, old;
	struct sl_ice_local locals[SL_ICE_LOCAL_MAX];
	struct sl_ice_remote remotes[SL_ICE_REMOTE_MAX];
	struct sl_ice_out outs[SL_ICE_OUTS];
	uint8_t out[SL_ICE_OUT_BYTES]; /* the datagram that was pulled last */
	/* Last: what is beyond pairs_high was never touched, and few agents have many. */
	struct sl_ice_pair pairs[SL_ICE_PAIRS_MAX];
};

_Static_assert(sizeof(struct sl_ice) <= 16384, "memory per transport matters");
#endif

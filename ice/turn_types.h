/* SPDX-License-Identifier: Apache-2.0
 * ice/turn_types.h — the TURN client's memory, public only so that a transport can embed it. */
#ifndef SL_TURN_TYPES_H
#define SL_TURN_TYPES_H

struct sl_turn_perm { /* of an IP address: RFC 8656 section 9 */
	struct sl_addr ip; /* port 0; family 0: a free slot */
	int64_t until_us;  /* granted until; -1: not yet */
	int64_t renew_us;  /* when to ask (again) */
	bool asked;	   /* in the request under way */
	bool used;	   /* something was sent since it was asked for */
	bool alone;	   /* to be asked for in a request of its own */
	bool refused;
	bool tell; /* that it was refused */
};

struct sl_turn_channel { /* RFC 8656 section 12; number 0x4000 + index */
	struct sl_addr peer; /* family 0: never used */
	int64_t until_us;    /* bound until; -1: not yet */
	int64_t renew_us;
	bool asked, bound, refused;
};

struct sl_turn {
	/* borrowed */
	const struct sl_rng *rng;
	/* set at init */
	struct sl_path server;
	bool stream;
	uint8_t family;
	uint32_t tid_tag;
	/* state */
	uint8_t state;	 /* enum turn_state */
	uint8_t pending; /* bits of events to be told */
	uint8_t stale;	 /* stale nonces in a row */
	bool realm_known;
	int8_t current;		/* channel of the peer in use; -1 none */
	uint16_t code;		/* why it failed, was lost or was refused */
	uint16_t code_unsigned; /* of an error that nobody has signed: a hint */
	int64_t give_up_us;
	int64_t renew_us; /* of the allocation */
	struct sl_addr relayed, mapped;
	struct sl_stun_tx tx[3]; /* by enum turn_job */
	struct sl_turn_perm perms[SL_TURN_PEERS];
	struct sl_turn_channel channels[SL_TURN_CHANNELS];
	uint8_t key[16]; /* RFC 8489 section 9.2.2 */
	uint16_t user_len, realm_len, nonce_len, password_len;
	char user[SL_TURN_USER_MAX];
	char password[SL_TURN_USER_MAX]; /* the realm may change */
	char realm[SL_TURN_REALM_MAX];
	char nonce[SL_TURN_NONCE_MAX];
	char why[SL_SERVER_WHY];
	uint8_t out[SL_TURN_OUT]; /* the message that was pulled last */
};
#endif

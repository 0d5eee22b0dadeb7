/* SPDX-License-Identifier: Apache-2.0
 * tests/ice/turn_rig.h — a TURN client, a server whose every fault can be ordered, and a link
 * between them that loses and reorders. Time is virtual. */
#ifndef TURN_RIG_H
#define TURN_RIG_H
#include "ice/ice_int.h"
#include "tests/test.h"

enum { LINK_MAX = 64, LINK_BYTES = 1500, RIG_PEERS = 48 };

struct turn_rig_dgram {
	bool to_server;
	int64_t at_us;
	size_t len;
	uint8_t data[LINK_BYTES];
};

struct turn_server {
	/* what it is told to do wrong */
	bool silent;
	bool stale_forever;      /* 438 for every nonce */
	bool no_auth;            /* asks for no credentials */
	bool unsigned_errors;
	bool unsigned_answers;
	bool bare_challenge;     /* 401 without realm and nonce */
	uint16_t error[16];      /* instead of an answer, by method */
	uint8_t forbidden;       /* last byte of a peer's address that gets 403 */
	uint32_t lifetime_s;
	const char *password;
	/* what it holds */
	int nonce;               /* the present one's number */
	bool allocated;
	int64_t until_us;
	struct {
		struct sl_addr ip;
		int64_t until_us;
	} permits[RIG_PEERS];
	struct {
		struct sl_addr peer;
		int64_t until_us;
	} channels[16];
	/* what it saw */
	int requests[16];        /* by method */
	int sent, channel_data;  /* relayed to peers: by Send, by channel */
	int refused;             /* not relayed: no permission, no channel */
	struct sl_addr last_peer;
	uint8_t last[LINK_BYTES];
	size_t last_len;
};

struct turn_rig {
	struct sl_turn turn;
	struct turn_server server;
	struct sl_test_rng seed, link_seed;
	struct sl_rng rng, link_rng;
	struct sl_path path;
	struct sl_addr relayed;
	int64_t now_us;
	unsigned loss_percent, spread_ms;
	struct turn_rig_dgram queue[LINK_MAX];
	int queued;
	/* what the client gave */
	int told[5];             /* events, by type */
	struct sl_turn_event event[5];
	char why[5][SL_SERVER_WHY];
	int64_t told_us[5];
	int data_in;
	struct sl_addr data_peer;
	uint8_t data[LINK_BYTES];
	size_t data_len;
};

/* The client has user "alice" with password "secret"; so has the server. Nothing has been sent. */
int turn_rig_init(struct turn_rig *r, bool stream, uint8_t family);
/* Pulls, hears events, delivers and ticks until `us` later. */
void turn_rig_run(struct turn_rig *r, int64_t us);
/* The same until the allocation is there. */
void turn_rig_up(struct turn_rig *r);
struct sl_addr turn_rig_peer(const struct turn_rig *r, uint8_t last, uint16_t port);
/* From the client to a peer, by wrap. */
int turn_rig_send(struct turn_rig *r, const struct sl_addr *peer, const void *data, size_t len);
/* From a peer to the relayed address. */
void turn_rig_peer_says(struct turn_rig *r, const struct sl_addr *peer, const void *data,
			size_t len);
/* Bytes straight into the client, from the server's address. */
int turn_rig_give(struct turn_rig *r, const void *data, size_t len);
int turn_rig_give_path(struct turn_rig *r, const struct sl_path *path, const void *data,
		       size_t len);
#endif

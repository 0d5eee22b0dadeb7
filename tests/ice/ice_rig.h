/* SPDX-License-Identifier: Apache-2.0
 * tests/ice/ice_rig.h — one agent, and a peer whose every message is made by hand. */
#ifndef ICE_RIG_H
#define ICE_RIG_H
#include "ice/ice_int.h"
#include "tests/test.h"

#define RIG_UFRAG "peer"
#define RIG_PWD "the-peers-own-password"

struct rig {
	struct sl_ice ice;
	struct sl_stats stats;
	struct sl_test_rng seed;
	struct sl_rng rng;
	int64_t now_us;
	/* what came out at the last drain, and in all */
	int out_count, requests;
	size_t out_bytes, all_bytes;
	struct sl_path out_path; /* of the last one */
	uint8_t out[SL_ICE_OUT_BYTES];
	struct sl_stun last; /* points into out */
	int path_events;
};

/* What the peer says; zero is an ordinary signed check with a correct user name. */
struct rig_msg {
	enum sl_stun_class class_;
	bool use, controlled, no_priority;
	uint32_t priority;
	uint16_t error_code;
	uint64_t tie_breaker;
	const char *user; /* instead of the right one */
	const char *key;
	const uint8_t *tid; /* else random */
};

/* One socket at 192.0.2.1:5000; the peer's credentials are known unless `offers`. */
int rig_init(struct rig *r, bool lite, bool controlling, bool offers);
struct sl_path rig_path(uint8_t last, uint16_t port); /* 198.51.100.<last> */
size_t rig_build(struct rig *r, const struct rig_msg *m, uint8_t *out, size_t cap);
int rig_give(struct rig *r, const struct sl_path *path, const uint8_t *data, size_t len);
/* Sends the message to the agent, then drains it. */
int rig_say(struct rig *r, const struct sl_path *path, const struct rig_msg *m);
int rig_check(struct rig *r, const struct sl_path *path, bool use, uint32_t priority);
/* Answers the agent's last request as the peer would. */
int rig_respond(struct rig *r);
void rig_media(struct rig *r, const struct sl_path *path);
int rig_drain(struct rig *r); /* datagrams that came out */
/* Lets time pass, ticking at each deadline; what comes out is counted and not answered. */
int rig_wait(struct rig *r, int64_t us);
int rig_add_remote(struct rig *r, struct sl_addr addr, uint32_t priority, char foundation);
bool rig_uses(const struct rig *r, const struct sl_path *path);
#endif

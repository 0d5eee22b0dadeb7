/* SPDX-License-Identifier: Apache-2.0
 * tests/ice/ice_sim.h — two agents, a network between them and a clock of its own; all of it
 * seeded. */
#ifndef ICE_SIM_H
#define ICE_SIM_H
#include "ice/ice.h"
#include "tests/test.h"

enum { SIM_SOCKS = 3, SIM_QUEUE = 512, SIM_BYTES = 1300, SIM_EVENTS = 64 };

struct sim_dgram {
	int64_t at_us;
	int to;
	struct sl_path path; /* as the receiver sees it */
	bool media;
	size_t len;
	uint8_t data[SIM_BYTES];
};

struct sim_host {
	struct sl_ice ice;
	struct sl_addr addr[SIM_SOCKS]; /* what the net sees of each socket; change it and a NAT has
					   rebound */
	bool deaf[SIM_SOCKS];		/* nothing gets through, either way */
	int64_t media_us;		/* sends media this often, 0 never */
	int64_t media_next_us;
	struct sl_path path; /* by events */
	enum sl_ice_state state;
	int states[SIM_EVENTS], state_count;
	int path_changes;
	int sent, media_sent, media_in; /* datagrams of checks; media; media that was accepted */
	int64_t last_media_us;
};

struct sim {
	int64_t now_us;
	int64_t delay_us, jitter_us;
	uint32_t loss_permille;
	struct sl_test_rng seed;
	struct sl_rng rng;
	struct sl_stats stats;
	struct sim_host host[2];
	struct sim_dgram queue[SIM_QUEUE];
	int queued;
	bool lost_any; /* a queue overran: the test is wrong */
};

/* host 0 is 192.0.2.1 and up, host 1 is 198.51.100.1 and up; socks candidates each, ports 5000 +
 * socket. */
struct sl_ice_conf sim_conf(struct sim *s, int host, struct sl_ice_cand *cands, int socks);
void sim_init(struct sim *s, uint64_t seed);
int sim_agent(struct sim *s, int host, const struct sl_ice_conf *conf);
/* Credentials and, where asked, candidates of one to the other. */
int sim_tell_creds(struct sim *s, int from);
int sim_tell_cands(struct sim *s, int from, int socks);
void sim_drain(struct sim *s);
void sim_run(struct sim *s, int64_t for_us);
/* Runs until the host is in that state; false when it is not within the time. */
bool sim_until(struct sim *s, int host, enum sl_ice_state state, int64_t within_us);
/* Two agents of these kinds that know all of each other, `socks` candidates each. */
int sim_pair(struct sim *s, uint64_t seed, bool lite0, bool lite1, bool control0, bool control1,
	     int socks);
#endif

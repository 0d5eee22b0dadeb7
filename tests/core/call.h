/* SPDX-License-Identifier: Apache-2.0
 * tests/core/call.h — the call of most simulations: one peer publishes on loop 0, another plays on
 * loop 1. */
#ifndef TESTS_CORE_CALL_H
#define TESTS_CORE_CALL_H
#include "tests/core/sim.h"

struct call {
	struct sim *s;
	struct sim_peer *a, *b; /* publisher, player */
	struct peer_source *camera, *mic;
	struct peer_sink *screen, *ear;
};

/* Opened and routed, not yet connected; both tracks have `flags` at both ends. */
struct call call_new(const struct sim_conf *conf, unsigned flags);
void call_connect(const struct call *c);
/* Both peers say goodbye; then everything is gone. */
void call_end(const struct call *c);
/* Another publisher, or player of the call's camera and microphone. */
struct sim_peer *call_publisher(struct sim *s, unsigned loop, struct peer_source **camera);
struct sim_peer *call_player(const struct call *c, unsigned loop, unsigned flags,
			     struct peer_sink **screen);
/* All decoded frames from log entry `from` on: numbers, timestamps and picture ids go on without a
 * gap. */
void call_check_continuous(const struct peer_sink *sink, uint32_t from);
#endif

/* SPDX-License-Identifier: Apache-2.0
 * tests/core/loop_rig.h — one media loop whose turns the test takes, on loopback; or only an engine
 * with surroundings that take notes. */
#ifndef TESTS_CORE_LOOP_RIG_H
#define TESTS_CORE_LOOP_RIG_H
#include "core/loop_int.h"
#include "core/base/mem.h"
#include "tests/test.h"

extern struct loop_rig {
	struct sl_engine own; /* where there is no loop */
	struct sl_engine *e;
	struct sl_loop *loop;
	struct sl_loop *peers[1];
	struct sl_test_rng state;
	struct sl_rng rng;
	int opened, closed, refuse;
	uint64_t owner;
	uint32_t last_closed;
	struct sl_udp out;
	struct sl_udp_bufs *bufs;
} loop_rig;

extern const struct sl_addr loop_rig_addr; /* loopback, port 0 */
void loop_rig_no_send(void *arg, struct sl_run *runs, int n);
bool loop_rig_no_event(void *arg, const struct sl_core_event *ev);
struct sl_engine_conf loop_rig_conf(void);
/* One that waits for its peer's answer. */
struct sl_transport *loop_rig_transport(void);
/* A loop, and a UDP socket beside it. */
void loop_rig_start(uint32_t max_socks, bool tcp, int64_t stranger_us);
/* Turns of the loop until so many datagrams have come. */
void loop_rig_until(uint64_t packets);
#endif

/* SPDX-License-Identifier: Apache-2.0
 * tests/lib/engine_empty.h — all counters of objects of a loop are zero: what it must come back
 * to. */
#ifndef TESTS_LIB_ENGINE_EMPTY_H
#define TESTS_LIB_ENGINE_EMPTY_H
#include "core/core_int.h"
#include "tests/test.h"

static inline void engine_check_empty(const struct sl_engine *e)
{
	CHECK_EQ(e->transports.live, 0);
	CHECK_EQ(e->publishers.live, 0);
	CHECK_EQ(e->subscribers.live, 0);
	CHECK_EQ(e->replicas.live, 0);
	CHECK_EQ(e->handshakes.live, 0);
	CHECK_EQ(e->sources.live, 0);
	CHECK_EQ(e->packets.nfree, e->packets.count);
	CHECK_EQ(e->by_ufrag.count, 0);
	CHECK_EQ(e->by_path.count, 0);
	CHECK_EQ(e->by_tid.count, 0);
	CHECK_EQ(e->by_publisher.count, 0);
	CHECK_EQ(e->by_relay.count, 0);
	CHECK_EQ(e->wheel.armed, 0);
	CHECK_EQ(e->transport_count, 0);
	CHECK(sl_list_empty(&e->hs_list) && sl_list_empty(&e->dead));
}
#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/core/loop_rig.h"

struct loop_rig loop_rig;

const struct sl_addr loop_rig_addr = {.ip = {127, 0, 0, 1}, .family = 4};

void loop_rig_no_send(void *arg, struct sl_run *runs, int n)
{
	(void)arg;
	(void)runs;
	(void)n;
}

bool loop_rig_no_event(void *arg, const struct sl_core_event *ev)
{
	(void)arg;
	(void)ev;
	return true;
}

struct sl_engine_conf loop_rig_conf(void)
{
	return (struct sl_engine_conf){.max_transports = 4,
				       .max_tracks = 2,
				       .max_packets = 16,
				       .max_handshakes = 2,
				       .ice_timeout_us = 15 * SL_SEC};
}

struct sl_transport *loop_rig_transport(void)
{
	static struct sl_transport_conf conf;
	static struct sl_reply reply;
	int err;

	conf = (struct sl_transport_conf){.lite = true, .offering = true};
	err = sl_transport_open(loop_rig.e, &conf, &reply);
	TRY(err == SL_EFULL && sl_test_oom_fired() ? SL_ENOMEM : err);
	return sl_pool_at(&loop_rig.e->transports, reply.transport);
}

static void end_loop(void *arg)
{
	(void)arg;
	if (loop_rig.loop)
		sl_engine_close_all(loop_rig.e, sl_now_us());
	sl_loop_free(loop_rig.loop);
	sl_udp_close(&loop_rig.out);
	sl_udp_bufs_free(loop_rig.bufs);
}

static void wake_nobody(void *arg)
{
	(void)arg;
}

void loop_rig_start(uint32_t max_socks, bool tcp, int64_t stranger_us)
{
	struct sl_core_why why;
	struct sl_loop_conf conf = {.engine = loop_rig_conf(),
				    .binds = {loop_rig_addr},
				    .bind_count = 1,
				    .gso = true,
				    .gro = true,
				    .max_socks = max_socks,
				    .tcp = tcp,
				    .stranger_us = stranger_us,
				    .peers = loop_rig.peers,
				    .loops = 1,
				    .wake_control = wake_nobody};

	memset(&loop_rig, 0, sizeof(loop_rig));
	loop_rig.out.fd = -1;
	DEFER(end_loop, NULL);
	TRY(sl_loop_new(&conf, &loop_rig.loop, &why));
	loop_rig.peers[0] = loop_rig.loop;
	loop_rig.e = sl_loop_engine(loop_rig.loop);
	loop_rig.bufs = sl_udp_bufs_new(false);
	TRY(loop_rig.bufs ? SL_OK : SL_ENOMEM);
	TRY(sl_udp_open(&loop_rig.out, &loop_rig_addr, false, false, &why));
}

/* Turns of the loop until so many datagrams have come. */
void loop_rig_until(uint64_t packets)
{
	while (sl_stat_get(&loop_rig.e->stats, SL_STAT_rx_packets) < packets)
		uv_run(&loop_rig.loop->uv, UV_RUN_ONCE);
	CHECK_EQ(sl_stat_get(&loop_rig.e->stats, SL_STAT_rx_packets), packets);
}

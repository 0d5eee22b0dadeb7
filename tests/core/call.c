/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/core/call.h"

struct call call_new(const struct sim_conf *conf, unsigned flags)
{
	struct call c = {.s = sim_new(conf)};

	c.a = sim_peer(c.s, 0);
	c.b = sim_peer(c.s, c.s->conf.loops > 1);
	c.camera = sim_sends(c.a, SL_VP8, flags);
	c.mic = sim_sends(c.a, SL_OPUS, flags);
	c.screen = sim_plays(c.b, SL_VIDEO, flags);
	c.ear = sim_plays(c.b, SL_AUDIO, flags);
	sim_open(c.a);
	sim_open(c.b);
	sim_route(c.screen, c.camera);
	sim_route(c.ear, c.mic);
	return c;
}

void call_connect(const struct call *c)
{
	sim_wait_connected(c->a, 10 * SL_SEC);
	sim_wait_connected(c->b, 10 * SL_SEC);
}

void call_end(const struct call *c)
{
	struct sim *s = c->s;

	for (unsigned i = 0; i < s->peer_count; i++) {
		struct sim_peer *sp = s->peers[i];

		sp->up = sp->down = (struct sim_link){.delay_us = 10 * SL_MS};
		if (sp->p)
			peer_close(sp->p);
	}
	sim_run(s, SL_SEC);
	for (unsigned i = 0; i < s->peer_count; i++)
		if (sim_transport(s->peers[i]))
			sim_close(s->peers[i]);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}

struct sim_peer *call_publisher(struct sim *s, unsigned loop, struct peer_source **camera)
{
	struct sim_peer *sp = sim_peer(s, loop);

	*camera = sim_sends(sp, SL_VP8, 0);
	sim_open(sp);
	return sp;
}

struct sim_peer *call_player(const struct call *c, unsigned loop, unsigned flags,
			     struct peer_sink **screen)
{
	struct sim_peer *sp = sim_peer(c->s, loop);

	*screen = sim_plays(sp, SL_VIDEO, flags);
	sim_open(sp);
	sim_route(*screen, c->camera);
	return sp;
}

void call_check_continuous(const struct peer_sink *sink, uint32_t from)
{
	CHECK(sink->log_count > from + 1);
	for (uint32_t i = from + 1; i < sink->log_count; i++) {
		const struct peer_frame *a = &sink->log[i - 1];
		const struct peer_frame *b = &sink->log[i];

		CHECK_EQ(b->first_seq, a->first_seq + a->total);
		CHECK(sl_seq32_diff(a->ts, b->ts) > 0);
		if (!a->has_pic_id || !b->has_pic_id)
			continue;
		CHECK_EQ((uint16_t)(b->pic_id - a->pic_id) & 0x7f, 1);
		CHECK_EQ((uint8_t)(b->tl0 - a->tl0), 1);
	}
}

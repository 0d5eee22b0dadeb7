/* SPDX-License-Identifier: Apache-2.0
 * Peers with every right to be there that stop half way, flood a handshake, or vanish, and what the
 * server then still holds or sends. */
#include "tests/core/call.h"
#include <malloc.h>

/* Everything but the peers' DTLS arrives. */
static bool no_dtls(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	(void)s;
	(void)sp;
	(void)len;
	return !up || data[0] < 20 || data[0] > 63;
}

/* Only the hellos do. */
static bool hellos_only(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data,
			size_t len)
{
	return no_dtls(s, sp, up, data, len) || (len > 13 && data[13] == 1);
}

static void check_half_open(bool (*tap)(struct sim *, struct sim_peer *, bool, const uint8_t *,
					size_t),
			    bool peer_is_client)
{
	struct sim *s = sim_new(&(struct sim_conf){.seed = 400});
	const struct sl_core_event *ev;
	struct sim_peer *sp = sim_peer(s, 0);

	sp->peer_conf.dtls_client = peer_is_client;
	sim_sends(sp, SL_VP8, 0);
	s->tap = tap;
	sim_open(sp);
	sim_run(s, 28 * SL_SEC);
	CHECK_EQ(sim_events(s, SL_EV_CLOSED, 0), 0);
	CHECK(sl_ice_path(&sim_transport(sp)->ice));
	sim_run(s, 4 * SL_SEC);
	ev = sim_last_event(s, SL_EV_CLOSED, sp->transport);
	CHECK(ev && ev->cause == SL_CLOSE_DTLS && ev->detail[0]);
	CHECK_EQ(sim_stat(s, SL_STAT_dtls_failed), 1);
	sim_check_empty(s);
}

TEST(a_handshake_that_never_ends_is_given_up_30_s_after_a_way_was_found)
{
	sim_no_oom();
	check_half_open(no_dtls, true);
	check_half_open(no_dtls, false);
	check_half_open(hellos_only, true);
}

/* ---- T14 ---- */

enum { FLOODERS = 60, PIECES = 300 };

/* A fragment of a ClientHello that claims 16 KB; each of another message. */
static size_t piece(struct sim *s, uint8_t *out, uint16_t message)
{
	struct sl_wr w = sl_wr(out, 200);

	sl_wr8(&w, 22);
	sl_wr16(&w, 0xfefd);
	sl_wr16(&w, 0);
	sl_wr16(&w, 0);
	sl_wr32(&w, sl_rng_u32(&s->link_rng));
	sl_wr16(&w, 12 + 100);
	sl_wr8(&w, 1);
	sl_wr24(&w, 16000);
	sl_wr16(&w, message);
	sl_wr24(&w, sl_rng_u32(&s->link_rng) % 15000);
	sl_wr24(&w, 100);
	sl_wr_zeros(&w, 100);
	CHECK(!w.full);
	return sl_wr_len(&w);
}

/* Each of the validated peers may make us keep a context, but the table of them is bounded, and
 * what one holds too; when they have left, nothing is left. */
TEST(t14_fragments_of_many_validated_peers_hold_bounded_memory_that_comes_back)
{
	struct call c;
	size_t before, peak = 0;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 401, .max_handshakes = 8}, 0);
	call_connect(&c);
	sim_run(c.s, 11 * SL_SEC);
	c.s->tap = no_dtls;
	for (int i = 0; i < FLOODERS; i++) {
		struct sim_peer *sp = sim_peer(c.s, 0);

		sp->peer_conf.dtls_client = true;
		sim_open(sp);
	}
	sim_run(c.s, SL_SEC);
	CHECK_EQ(c.s->engines[0].handshakes.live, 0);
	before = mallinfo2().uordblks;
	for (uint16_t i = 0; i < PIECES; i++) {
		for (unsigned k = 2; k < 2 + FLOODERS; k++) {
			uint8_t buf[200];
			size_t n = piece(c.s, buf, (uint16_t)(i % 3));

			sim_inject(c.s, 0, &c.s->peers[k]->addr, buf, n);
		}
		sim_run(c.s, 5 * SL_MS);
		peak = SL_MAX(peak, mallinfo2().uordblks);
		CHECK(c.s->engines[0].handshakes.live <= 8);
	}
	CHECK(sim_stat(c.s, SL_STAT_dtls_dropped) > FLOODERS * PIECES / 2);
	CHECK(peak < before + 8 * 128 * 1024);
	/* The bystanders' call has lost nothing. */
	CHECK_EQ(c.screen->asked + c.screen->plis + c.screen->altered, 0);
	CHECK(c.s->now_us - c.screen->moved_us < 200 * SL_MS);
	for (unsigned k = 2; k < 2 + FLOODERS; k++)
		sim_leave(c.s->peers[k]);
	sim_run(c.s, 40 * SL_SEC);
	CHECK_EQ(c.s->engines[0].handshakes.live, 0);
	CHECK_EQ(c.s->engines[0].transport_count, 1);
	CHECK_EQ(c.screen->asked + c.screen->plis + c.screen->altered, 0);
	c.s->tap = NULL;
	call_end(&c);
}

/* ---- T07 ---- */

TEST(t07_a_player_that_vanishes_gets_no_byte_after_the_timeout)
{
	struct call c;
	uint64_t bytes;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 402}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	c.b->up.down = true;
	sim_run(c.s, 10 * SL_SEC);
	CHECK_EQ(sim_events(c.s, SL_EV_DISCONNECTED, c.b->transport), 1);
	sim_run(c.s, 6 * SL_SEC);
	CHECK_EQ(sim_last_event(c.s, SL_EV_CLOSED, c.b->transport)->cause, SL_CLOSE_TIMEOUT);
	bytes = c.b->down.bytes;
	sim_run(c.s, 20 * SL_SEC);
	CHECK_EQ(c.b->down.bytes, bytes);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, c.a->transport), 0);
	call_end(&c);
}

/* ---- what a handshake leaves behind, and packets that only their ends understand ---- */

static bool no_media(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	(void)s;
	(void)sp;
	(void)len;
	return !up || data[0] < 128;
}

TEST(the_context_of_a_handshake_goes_with_the_first_srtp_or_ten_seconds_later)
{
	for (int media = 0; media < 2; media++) {
		struct sim *s;
		struct sim_peer *sp;

		sim_no_oom();
		s = sim_new(&(struct sim_conf){.seed = 405, .loops = 1});
		sp = sim_peer(s, 0);
		sim_sends(sp, SL_VP8, 0);
		s->tap = media ? NULL : no_media;
		sim_open(sp);
		sim_wait_connected(sp, SL_SEC);
		sim_run(s, 9 * SL_SEC);
		CHECK_EQ(s->engines[0].handshakes.live, !media);
		sim_run(s, 2 * SL_SEC);
		CHECK_EQ(s->engines[0].handshakes.live, 0);
		CHECK(sim_transport(sp) && sim_transport(sp)->records.ready);
		sim_close(sp);
		sim_run(s, SL_SEC);
		CHECK(sp->p->far_end_closed);
		sim_check_empty(s);
	}
}

/* A packet of the source whose payload tells nothing. */
static void send_opaque(struct sim *s, struct peer_source *src, unsigned ext_id, uint8_t level)
{
	uint8_t buf[300] = {0x90, (uint8_t)(src->conf.pt | 0x80)};

	sl_put16(buf + 2, (uint16_t)src->seq);
	sl_put32(buf + 4, (uint32_t)(s->now_us * 9 / 100));
	sl_put32(buf + 8, src->conf.ssrc);
	sl_put32(buf + 12, 0xbede0001);
	buf[16] = (uint8_t)(ext_id << 4);
	buf[17] = level;
	memset(buf + 20, 0xee, sizeof(buf) - 20);
	peer_send_rtp(src->peer, buf, sizeof(buf), src->seq++);
}

static uint64_t opaque_seen;

static bool see_opaque(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	uint8_t want[280];

	(void)s;
	(void)sp;
	memset(want, 0xee, sizeof(want));
	if (!up && data[0] >= 128 && !sl_is_rtcp(data, len) && len >= sizeof(want) &&
	    memcmp(data + len - sizeof(want), want, sizeof(want)) == 0)
		opaque_seen++;
	return true;
}

/* SFrame, insertable streams: no key frame is ever seen in them, and no byte of them changes. */
TEST(payloads_that_are_encrypted_end_to_end_pass_untouched_after_three_seconds)
{
	struct call c;

	sim_no_oom();
	opaque_seen = 0;
	c = call_new(&(struct sim_conf){.seed = 406, .fixed_keys = true, .impl = SL_SRTP_NULL},
		     SIM_NO_RTX);
	c.camera->stopped = c.mic->stopped = true;
	call_connect(&c);
	c.s->tap = see_opaque;
	for (int i = 0; i < 140; i++) {
		send_opaque(c.s, c.camera, 0, 0);
		sim_run(c.s, 20 * SL_MS);
	}
	CHECK_EQ(opaque_seen, 0);
	CHECK(sim_publisher(c.camera)->plis > 2);
	for (int i = 0; i < 60; i++) {
		send_opaque(c.s, c.camera, 0, 0);
		sim_run(c.s, 20 * SL_MS);
	}
	CHECK(opaque_seen >= 45 && opaque_seen <= 60);
	c.s->tap = NULL;
	call_end(&c);
}

TEST(how_loud_a_publisher_is_comes_as_an_event_at_most_five_times_a_second)
{
	struct call c;
	unsigned events;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 407, .fixed_keys = true, .impl = SL_SRTP_NULL}, 0);
	call_connect(&c);
	sim_publisher(c.mic)->conf.exts.id[SL_EXT_AUDIO_LEVEL] = 9;
	for (int i = 0; i < 250; i++) {
		send_opaque(c.s, c.mic, 9, i < 100 ? 127 : 0x80 | 20);
		if (i == 100)
			CHECK_EQ(sim_events(c.s, SL_EV_LEVEL, 0), 0);
		sim_run(c.s, 20 * SL_MS);
	}
	events = sim_events(c.s, SL_EV_LEVEL, c.a->transport);
	CHECK(events >= 10 && events <= 16);
	CHECK(sim_last_event(c.s, SL_EV_LEVEL, 0)->score > 0);
	CHECK_EQ(sim_last_event(c.s, SL_EV_LEVEL, 0)->track, sim_publisher(c.mic)->id);
	call_end(&c);
}

/* SPDX-License-Identifier: Apache-2.0
 * Attacks on a call: from strangers, from the wire, and from peers that have every right to be
 * there. */
#include "core/base/mem.h"
#include "tests/core/call.h"
#include <stdlib.h>

static struct sl_addr stranger(uint32_t n)
{
	return sl_addr_v4(203, 0, (uint8_t)(n >> 8), (uint8_t)n, (uint16_t)(1024 + n % 60000));
}

/* The bystanders' call lost nothing since `asked` and `decoded` were read, and is at its present.
 */
static void check_unharmed(const struct call *c)
{
	CHECK(c->s->now_us - c->screen->moved_us < 200 * SL_MS);
	CHECK_EQ(c->screen->asked + c->camera->nacked + c->screen->plis, 0);
	CHECK_EQ(c->screen->altered + c->screen->replayed + c->screen->duplicates, 0);
	CHECK_EQ(c->ear->rx.top - c->ear->rx.first + 1, c->ear->packets);
	call_check_continuous(c->screen, 0);
}

/* Packets that the server has not taken: those before its keys were made. */
static uint64_t not_taken(struct call *c, struct peer_source *src)
{
	src->stopped = true;
	sim_run(c->s, 50 * SL_MS);
	src->stopped = false;
	return src->packets - sim_publisher(src)->rx.packets;
}

/* ---- strangers ---- */

static size_t client_hello(struct sim *s, uint8_t *out, size_t cap)
{
	struct sl_dtls_conf conf = {
		.client = true, .cert = sim_cert(), .peer_count = 1, .rng = &s->peer_rng};
	const uint8_t *data;
	struct sl_dtls *d;
	size_t len = 0;

	TRY(sl_fingerprint_parse(SL_STR("sha-256"), sl_str_z(sl_cert_fingerprint(sim_cert())),
				 &conf.peer[0]));
	TRY(sl_dtls_new(&conf, &d));
	sl_dtls_tick(d, s->now_us);
	if (sl_dtls_pull(d, &data, &len) && len <= cap)
		memcpy(out, data, len);
	sl_dtls_free(d);
	CHECK(len > 50 && len <= cap);
	return len;
}

/* One datagram of each class but STUN, and STUN without or with a wrong integrity, from addresses
 * all over. */
static void spray(struct sim *s, uint32_t round, const char *ufrag)
{
	static const uint8_t first[] = {0x80, 0x80, 0x90, 20, 22, 23, 63, 16, 64, 79, 4, 192, 255};
	static const uint8_t second[] = {96, 200, 63, 0xfe, 0xfe, 0xfe, 0xfe, 0, 0, 0, 0, 0, 0};
	uint8_t buf[300];
	size_t n;

	for (size_t i = 0; i < sizeof(first); i++) {
		struct sl_addr from = stranger(round * 16 + (uint32_t)i);

		sl_rng_fill(&s->link_rng, buf, sizeof(buf));
		buf[0] = first[i];
		buf[1] = second[i];
		sim_inject(s, 0, &from, buf, 13 + round % 200);
	}
	n = client_hello(s, buf, sizeof(buf));
	sim_inject(s, 0, &(struct sl_addr){.ip = {203, 9, 9, 9}, .port = 9, .family = 4}, buf, n);
	{
		/* A binding request for the victim's user fragment, its integrity of zeros. */
		struct sl_wr w = sl_wr(buf, sizeof(buf));
		size_t name = strlen(ufrag) + 2;
		size_t padded = (name + 3) & ~(size_t)3;

		sl_wr16(&w, 0x0001);
		sl_wr16(&w, (uint16_t)(4 + padded + 24));
		sl_wr32(&w, 0x2112a442);
		sl_wr_zeros(&w, 12);
		sl_wr16(&w, 0x0006);
		sl_wr16(&w, (uint16_t)name);
		sl_wr_bytes(&w, ufrag, name - 2);
		sl_wr_bytes(&w, ":x\0\0", 2 + padded - name);
		sl_wr16(&w, 0x0008);
		sl_wr16(&w, 20);
		sl_wr_zeros(&w, 20);
		sim_inject(s, 0, &(struct sl_addr){.ip = {203, 9, 9, 8}, .port = 9, .family = 4},
			   buf, sl_wr_len(&w));
	}
}

TEST(t03_strangers_get_no_handshake_and_no_answer)
{
	struct call c;
	const char *ufrag;
	uint32_t round = 0;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 40}, 0);
	ufrag = sl_ice_local_creds(&sim_transport(c.a)->ice)->ufrag;
	/* Before: peers have not come yet. */
	c.a->up.down = c.b->up.down = true;
	for (; round < 200; round++) {
		spray(c.s, round, ufrag);
		sim_run(c.s, 5 * SL_MS);
		CHECK_EQ(c.s->engines[0].handshakes.live, 0);
	}
	/* During the handshake, and after it. */
	c.a->up.down = c.b->up.down = false;
	for (; round < 1200; round++) {
		spray(c.s, round, ufrag);
		sim_run(c.s, 5 * SL_MS);
		CHECK(c.s->engines[0].handshakes.live <= 1);
	}
	CHECK(sim_connected(c.a) && sim_connected(c.b));
	CHECK_EQ(c.s->stray_bytes, 0);
	CHECK_EQ(sim_transport(c.a)->path_count, 1);
	check_unharmed(&c);
	call_end(&c);
}

/* T02: whatever is injected from the peer's own address without its keys reaches nobody and changes
 * no number. */
TEST(t02_injected_packets_reach_nobody_and_change_nothing)
{
	struct call c;
	uint64_t early;
	uint64_t in;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 41}, 0);
	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	early = not_taken(&c, c.camera);
	for (int i = 0; i < 20000; i++) {
		uint8_t buf[200];
		uint32_t r = sl_rng_u32(&c.s->link_rng);

		sl_rng_fill(&c.s->link_rng, buf, sizeof(buf));
		buf[0] = 0x80;
		buf[1] = i % 3 ? 100 : i & 1 ? 200 : 206;
		if (i % 4) /* of the camera, at any number around its present one */
			sl_put16(buf + 2, (uint16_t)(c.camera->seq + r % 3000 - 1500));
		sl_put32(buf + (i % 3 ? 8 : 4), c.camera->conf.ssrc);
		sim_inject(c.s, 0, &c.a->addr, buf, 60 + r % 140);
		if (i % 10 == 0)
			sim_run(c.s, SL_MS);
	}
	in = sim_stat(c.s, SL_STAT_srtp_auth_failed) + sim_stat(c.s, SL_STAT_srtcp_auth_failed) +
	     sim_stat(c.s, SL_STAT_srtp_replayed);
	CHECK(in > 15000);
	CHECK_EQ(not_taken(&c, c.camera), early);
	CHECK_EQ(sim_publisher(c.camera)->fraction_lost, 0);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 0);
	check_unharmed(&c);
	call_end(&c);
}

/* ---- replay ---- */

enum { TAPE = 20000 };
static struct {
	size_t count, len[TAPE];
	uint8_t *data[TAPE];
	struct sim_peer *of;
} tape;

static bool record(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	(void)s;
	if (up && sp == tape.of && data[0] >= 20 && tape.count < TAPE) {
		tape.data[tape.count] = malloc(len);
		SL_ASSERT(tape.data[tape.count]);
		memcpy(tape.data[tape.count], data, len);
		tape.len[tape.count++] = len;
	}
	return true;
}

static void erase_tape(void *arg)
{
	(void)arg;
	while (tape.count > 0)
		free(tape.data[--tape.count]);
}

static void play_tape(struct call *c, size_t from)
{
	for (size_t i = from; i < tape.count; i++) {
		sim_inject(c->s, 0, &c->a->addr, tape.data[i], tape.len[i]);
		if (i % 50 == 0)
			sim_run(c->s, SL_MS);
	}
}

TEST(t09_a_minute_replayed_ten_times_makes_no_duplicates)
{
	struct call c;
	uint64_t early[2];

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 42}, 0);
	DEFER(erase_tape, NULL);
	tape.of = c.a;
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	early[0] = not_taken(&c, c.camera);
	early[1] = not_taken(&c, c.mic);
	c.s->tap = record;
	sim_run(c.s, 60 * SL_SEC);
	c.s->tap = NULL;
	CHECK(tape.count > 6000);
	for (int i = 0; i < 10; i++)
		play_tape(&c, 0);
	CHECK(sim_stat(c.s, SL_STAT_srtp_replayed) >= 50000);
	CHECK_EQ(c.ear->replayed + c.ear->duplicates, 0);
	CHECK_EQ(not_taken(&c, c.camera), early[0]);
	CHECK_EQ(not_taken(&c, c.mic), early[1]);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 0);
	check_unharmed(&c);
	/* Every one with a bad tag, too. */
	for (size_t i = 0; i < tape.count; i++)
		tape.data[i][tape.len[i] - 1] ^= 1;
	play_tape(&c, 0);
	sim_run(c.s, SL_SEC);
	CHECK_EQ(sim_events(c.s, SL_EV_CLOSED, 0), 0);
	check_unharmed(&c);
	call_end(&c);
}

/* The track goes on under another SSRC, and what the old one sent is played again, at once and
 * later. */
TEST(t09_packets_of_an_ssrc_that_was_given_up_cannot_be_replayed)
{
	struct call c;
	uint64_t packets;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 43}, SIM_BY_MID);
	DEFER(erase_tape, NULL);
	tape.of = c.a;
	c.s->tap = record;
	sim_run(c.s, 3 * SL_SEC);
	c.s->tap = NULL;
	c.camera->conf.ssrc += 100;
	c.camera->seq = 77;
	c.camera->key_wanted = true;
	sim_run(c.s, 500 * SL_MS);
	for (int i = 0; i < 4; i++) {
		packets = sim_publisher(c.camera)->rx.packets + sim_stat(c.s, SL_STAT_rtp_rtx_in);
		play_tape(&c, 0);
		CHECK_EQ(sim_publisher(c.camera)->ssrc, c.camera->conf.ssrc);
		CHECK(sim_publisher(c.camera)->rx.packets <= packets + 60);
		sim_run(c.s, SL_SEC);
	}
	CHECK_EQ(c.screen->altered + c.screen->replayed + c.screen->duplicates, 0);
	CHECK(c.s->now_us - c.screen->moved_us < 200 * SL_MS);
	call_end(&c);
}

/* ---- peers with keys ---- */

static void random_packet(struct sim *s, struct peer_source *src, unsigned how, uint64_t n)
{
	uint8_t buf[120] = {0x90, 100};
	struct sl_wr w = sl_wr(buf + 12, sizeof(buf) - 12);

	sl_put16(buf + 2, (uint16_t)n);
	sl_put32(buf + 4, (uint32_t)n * 90);
	sl_put32(buf + 8, sl_rng_u32(&s->link_rng));
	if (how ==
	    0) { /* nobody claims it: no MID, and the SSRC of the only track that fits is known */
		buf[0] = 0x80;
		peer_send_rtp(src->peer, buf, 60, n & 0xffff);
	} else if (how == 1) { /* with the MID of its track */
		sl_wr32(&w, 0xbede0001);
		sl_wr8(&w, (uint8_t)(4 << 4));
		sl_wr8(&w, (uint8_t)src->conf.mid[0]);
		sl_wr_zeros(&w, 2);
		peer_send_rtp(src->peer, buf, 100, n & 0xffff);
	} else { /* as a mere sender of RTCP */
		w = sl_wr(buf, sizeof(buf));
		sl_rtcp_write_rr(&w, sl_rng_u32(&s->link_rng), NULL, 0);
		peer_send_rtcp(src->peer, buf, sl_wr_len(&w));
	}
}

TEST(t16_random_ssrcs_of_a_peer_take_64_entries_at_most)
{
	struct call c;
	struct peer_source *flood;
	struct peer_sink *screen;
	struct sim_peer *p;
	struct sim_peer *q;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 44, .fixed_keys = true, .impl = SL_SRTP_SOFT}, 0);
	p = sim_peer(c.s, 0);
	flood = sim_sends(p, SL_VP8, SIM_BY_MID);
	sim_open(p);
	q = sim_peer(c.s, 1);
	screen = sim_plays(q, SL_VIDEO, 0);
	sim_open(q);
	sim_route(screen, flood);
	call_connect(&c);
	sim_wait_connected(p, SL_SEC);
	sim_wait_connected(q, SL_SEC);
	sim_run(c.s, SL_SEC);
	for (uint64_t i = 0; i < 100000; i++) {
		random_packet(c.s, flood, (unsigned)(i / 1000 % 3), i);
		if (i % 50 == 0)
			sim_run(c.s, 5 * SL_MS);
		CHECK(sim_transport(p)->source_count <= SL_SOURCES_MAX);
		CHECK(c.s->engines[0].sources.live <= SL_SOURCES_MAX + 8);
	}
	check_unharmed(&c);
	/* M7: a second later its track is itself again. */
	sim_run(c.s, SL_SEC);
	flood->conf.ssrc ^= 0x5555;
	flood->key_wanted = true;
	sim_run(c.s, SL_SEC);
	CHECK_EQ(sim_publisher(flood)->ssrc, flood->conf.ssrc);
	CHECK(c.s->now_us - screen->moved_us < 200 * SL_MS);
	call_end(&c);
}

static void nack_all(struct peer_sink *k)
{
	uint8_t buf[1000];
	struct sl_wr w = sl_wr(buf, sizeof(buf));
	uint64_t lost[200];

	for (uint64_t i = 0; i < 200; i++)
		lost[i] = k->rx.top - 199 + i;
	sl_rtcp_write_nack(&w, 1, k->conf.ssrc, lost, 200);
	peer_send_rtcp(k->peer, buf, sl_wr_len(&w));
}

static void check_nack_flood(unsigned flags)
{
	struct call c = call_new(&(struct sim_conf){.seed = 45}, flags);
	uint64_t usual;
	uint64_t bytes;

	call_connect(&c);
	sim_run(c.s, 2 * SL_SEC);
	bytes = c.b->down.bytes;
	sim_run(c.s, 5 * SL_SEC);
	usual = c.b->down.bytes - bytes;
	for (int i = 0; i < 5000; i++) {
		nack_all(c.screen);
		sim_run(c.s, SL_MS);
	}
	bytes = c.b->down.bytes - bytes - usual;
	CHECK(bytes > usual * 3 / 2);
	CHECK(bytes <= 2 * usual);
	CHECK_EQ(c.screen->altered + c.b->p->bad_tags, 0);
	CHECK(c.s->now_us - c.screen->moved_us < 200 * SL_MS);
	call_end(&c);
}

TEST(t52_who_asks_for_everything_gets_at_most_twice_the_rate)
{
	sim_no_oom();
	check_nack_flood(0);
	check_nack_flood(SIM_NO_RTX);
}

/* T11, watched in every simulation; here with every way of sending again that there is. */
TEST(t11_no_index_ever_carries_two_payloads)
{
	struct call c;
	struct peer_source *other;
	struct sim_peer *p;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 46}, SIM_NO_RTX);
	p = call_publisher(c.s, 1, &other);
	call_connect(&c);
	sim_wait_connected(p, SL_SEC);
	c.b->up.loss = c.b->down.loss = 10;
	c.a->up.loss = 10;
	for (int i = 0; i < 20; i++) {
		nack_all(c.screen);
		sim_run(c.s, SL_SEC);
		sim_route(c.screen, i & 1 ? c.camera : other);
	}
	CHECK(sim_stat(c.s, SL_STAT_rtp_rtx_out) > 200);
	CHECK(c.screen->packets > 1000);
	CHECK_EQ(c.screen->altered + c.b->p->bad_tags, 0);
	CHECK_EQ(c.screen->recovered, 0);
	call_end(&c);
}

/* ---- M7: no limiter latches ---- */

TEST(m7_after_a_flood_from_strangers_a_new_peer_connects_within_a_second)
{
	struct call c;
	struct peer_sink *screen;
	struct sim_peer *sp;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 47}, 0);
	call_connect(&c);
	for (uint32_t i = 0; i < 3000; i++) {
		spray(c.s, i, "nobody");
		sim_run(c.s, SL_MS);
	}
	sp = call_player(&c, 0, 0, &screen);
	sim_wait_connected(sp, SL_SEC);
	sim_run(c.s, SL_SEC);
	CHECK(screen->decoded > 10);
	check_unharmed(&c);
	call_end(&c);
}

/* Does nothing but ICE, and a ClientHello now and then where it is the client. */
static bool half_open(struct sim *s, struct sim_peer *sp, bool up, const uint8_t *data, size_t len)
{
	(void)s;
	return sp->number < 2 || sp->number > 60 || !up || data[0] < 20 || data[0] > 63 ||
	       (len > 13 && data[13] == 1);
}

static void check_half_open(bool peer_is_client)
{
	struct call c =
		call_new(&(struct sim_conf){.seed = 48 + peer_is_client, .max_handshakes = 8}, 0);
	struct sim_peer *good;

	call_connect(&c);
	c.s->tap = half_open;
	for (int i = 0; i < 59; i++) {
		struct sim_peer *sp = sim_peer(c.s, 0);

		sp->peer_conf.dtls_client = peer_is_client;
		sim_open(sp);
		sim_run(c.s, 20 * SL_MS);
		CHECK(c.s->engines[0].handshakes.live <= 8);
	}
	CHECK_EQ(c.s->engines[0].handshakes.live, 8);
	/* The attack stops. */
	for (unsigned i = 2; i < 61; i++)
		sim_leave(c.s->peers[i]);
	good = sim_peer(c.s, 0);
	good->peer_conf.dtls_client = peer_is_client;
	CHECK_EQ(good->number, 61);
	sim_open(good);
	sim_wait_connected(good, SL_SEC);
	sim_run(c.s, SL_SEC);
	check_unharmed(&c);
	call_end(&c);
}

TEST(m7_half_open_handshakes_make_room_for_new_ones)
{
	sim_no_oom();
	check_half_open(true);
	check_half_open(false);
}

static void check_all_connect(const struct sim_conf *conf, size_t job_max, bool peer_is_client)
{
	struct sim *s = sim_new(conf);
	struct sim_peer *sp[12];

	s->job_max = job_max;
	for (size_t i = 0; i < SL_COUNT(sp); i++) {
		sp[i] = sim_peer(s, 0);
		sp[i]->peer_conf.dtls_client = peer_is_client;
		sim_sends(sp[i], SL_OPUS, 0);
		sim_open(sp[i]);
	}
	for (size_t i = 0; i < SL_COUNT(sp); i++)
		sim_wait_connected(sp[i], 10 * SL_SEC);
	for (size_t i = 0; i < SL_COUNT(sp); i++)
		peer_close(sp[i]->p);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}

/* More come at once than the table or the workers' queue can take: each gets its turn. */
TEST(m7_who_was_evicted_or_refused_connects_all_the_same)
{
	sim_no_oom();
	check_all_connect(&(struct sim_conf){.seed = 51, .max_handshakes = 4}, 0, false);
	check_all_connect(&(struct sim_conf){.seed = 52, .max_handshakes = 4}, 0, true);
	check_all_connect(&(struct sim_conf){.seed = 53}, 1, false);
	check_all_connect(&(struct sim_conf){.seed = 54}, 1, true);
}

/* Forged packets of unknown SSRCs from the peer's own address use up what is looked at; a second
 * later all is well. */
TEST(m7_a_flood_of_unknown_ssrcs_does_not_keep_a_new_one_out)
{
	struct call c;

	sim_no_oom();
	c = call_new(&(struct sim_conf){.seed = 55}, SIM_BY_MID);
	call_connect(&c);
	sim_run(c.s, SL_SEC);
	for (int i = 0; i < 5000; i++) {
		uint8_t buf[100];

		sl_rng_fill(&c.s->link_rng, buf, sizeof(buf));
		buf[0] = 0x80;
		buf[1] = 100;
		sim_inject(c.s, 0, &c.a->addr, buf, sizeof(buf));
		if (i % 5 == 0)
			sim_run(c.s, SL_MS);
	}
	CHECK(sim_stat(c.s, SL_STAT_rtp_ssrc_limit) > 4000);
	check_unharmed(&c);
	c.camera->conf.ssrc ^= 0x1234;
	c.camera->key_wanted = true;
	sim_run(c.s, 1200 * SL_MS);
	CHECK_EQ(sim_publisher(c.camera)->ssrc, c.camera->conf.ssrc);
	CHECK(c.s->now_us - c.screen->moved_us < 300 * SL_MS);
	call_end(&c);
}

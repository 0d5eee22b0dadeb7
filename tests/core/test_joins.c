/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_joins.c — real media loops on threads of their own, and peers that join and leave
 * over loopback while packets flow. Made for ThreadSanitizer; what is asserted is counts and
 * states, never time. */
#include "core/base/log.h"
#include "tests/core/sim.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { JOINS = 240, LIVE = 12, DEADLINE_S = 240, ROUNDS = 150 };

struct session {
	enum { FREE, OPENING, OPEN, CLOSING, GONE } state;
	unsigned loop;
	bool real; /* else it is opened and closed, and never comes */
	struct peer *p;
	struct peer_source *source;
	struct peer_sink *sink;
	int fd;
	uint64_t transport, publisher, subscriber;
	unsigned rounds;
	bool connected, connected_told;
};

static struct joins {
	uv_loop_t uv;
	bool uv_ready;
	struct sl_core *core;
	struct sl_test_rng state;
	struct sl_rng rng;
	struct session s[JOINS];
	unsigned begun, live, closed;
	int64_t end_us;
} j;

static uint32_t dice(uint32_t n)
{
	return sl_rng_u32(&j.rng) % n;
}

/* ---- a peer's socket ---- */

static void send_to(void *arg, const struct sl_path *path, const uint8_t *data, size_t len)
{
	const struct session *s = arg;
	struct sockaddr_storage sa;
	socklen_t n = (socklen_t)sl_addr_to_sockaddr(&path->remote, &sa);

	(void)!sendto(s->fd, data, len, 0, (struct sockaddr *)&sa, n);
}

static void read_all(struct session *s)
{
	uint8_t buf[2000];
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	ssize_t len;

	while ((len = recvfrom(s->fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&sa, &n)) >
	       0) {
		struct sl_path path = {0};

		CHECK(sl_addr_from_sockaddr((struct sockaddr *)&sa, &path.remote) == SL_OK);
		peer_recv(s->p, &path, buf, (size_t)len, sl_now_us());
		n = sizeof(sa);
	}
}

static struct sl_addr open_socket(struct session *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(in);
	struct sl_addr addr;

	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&in, sizeof(in)) == 0);
	CHECK(getsockname(s->fd, (struct sockaddr *)&in, &n) == 0);
	CHECK(sl_addr_from_sockaddr((struct sockaddr *)&in, &addr) == SL_OK);
	return addr;
}

/* ---- a session ---- */

static void free_session(struct session *s)
{
	peer_free(s->p);
	s->p = NULL;
	if (s->fd > 0)
		close(s->fd);
	s->fd = 0;
}

static void make_peer(struct session *s)
{
	struct peer_conf conf = {.rng = &j.rng,
				 .cert = sim_cert(),
				 .local = open_socket(s),
				 .remote_lite = true,
				 .rsize = true,
				 .dtls_client = dice(2),
				 .send = send_to,
				 .arg = s};
	struct peer_source_conf source = {.id = (uint32_t)(s - j.s) + 1,
					  .codec = SL_VP8,
					  .pt = 96,
					  .rtx_pt = 97,
					  .ssrc = 1000,
					  .rtx_ssrc = 1001,
					  .mid = "0",
					  .every_us = 10000,
					  .frame_bytes = 1500,
					  .key_bytes = 3000,
					  .packet_bytes = 1000,
					  .pic_id_bits = 15};
	struct peer_sink_conf sink = {.ssrc = 2000,
				      .rtx_ssrc = 2001,
				      .clock_hz = 90000,
				      .nack = true,
				      .pli = true,
				      .video = true};

	sink.codec_at[96] = SL_VP8;
	sink.codec_at[97] = SL_RTX;
	sink.rtx_of[97] = 96;
	TRY(peer_new(&conf, &s->p));
	s->source = peer_add_source(s->p, &source);
	s->sink = peer_add_sink(s->p, &sink);
	CHECK(s->source && s->sink);
}

static void fill_track(struct sl_track_conf *t, bool publish)
{
	*t = (struct sl_track_conf){.publish = publish,
				    .kind = SL_VIDEO,
				    .codec_count = 1,
				    .rsize = true,
				    .twcc = publish,
				    .ssrc = publish ? 1000 : 2000,
				    .rtx_ssrc = publish ? 1001 : 2001};
	t->codecs[0] = (struct sl_track_codec){
		.pt = 96, .rtx_pt = 97, .codec = SL_VP8, .nack = true, .pli = true};
	sl_fmt(t->mid, sizeof(t->mid), "%d", !publish);
}

static void on_open(void *arg, const struct sl_reply *reply)
{
	struct session *s = arg;
	struct sl_core_cand cands[4];
	size_t n = sl_core_candidates(j.core, s->loop, cands, SL_COUNT(cands));

	CHECK_EQ(reply->err, SL_OK);
	CHECK(n > 0);
	s->state = OPEN;
	s->transport = reply->transport;
	s->publisher = reply->tracks[0];
	s->subscriber = reply->tracks[1];
	if (s->real)
		TRY(peer_remote(s->p, reply->ufrag, reply->pwd, sl_core_fingerprint(j.core),
				&cands[0].addr, 1, sl_now_us()));
}

static void begin_session(void)
{
	static struct sl_transport_conf c;
	struct session *s = &j.s[j.begun];
	const struct sl_ice_creds *creds;

	s->real = j.begun % 4 == 0;
	make_peer(s);
	creds = sl_ice_local_creds(&s->p->ice);
	memset(&c, 0, sizeof(c));
	c.tag = j.begun + 1;
	c.lite = true;
	c.dtls_client = !s->p->conf.dtls_client;
	c.fingerprint_count = 1;
	sl_fmt(c.fingerprints[0].algorithm, sizeof(c.fingerprints[0].algorithm), "sha-256");
	sl_fmt(c.fingerprints[0].hex, sizeof(c.fingerprints[0].hex), "%s",
	       sl_cert_fingerprint(sim_cert()));
	sl_fmt(c.ufrag, sizeof(c.ufrag), "%s", creds->ufrag);
	sl_fmt(c.pwd, sizeof(c.pwd), "%s", creds->pwd);
	c.track_count = 2;
	fill_track(&c.tracks[0], true);
	fill_track(&c.tracks[1], false);
	s->loop = j.begun % sl_core_loops(j.core);
	s->state = OPENING;
	TRY(sl_core_open(j.core, s->loop, &c, on_open, s));
	j.begun++;
	j.live++;
}

static void on_event(void *arg, const struct sl_core_event *ev)
{
	struct session *s;

	(void)arg;
	if (ev->type == SL_EV_LOAD) /* of a loop: the machine may be crowded */
		return;
	CHECK(ev->tag >= 1 && ev->tag <= JOINS);
	s = &j.s[ev->tag - 1];
	s->connected_told |= ev->type == SL_EV_CONNECTED;
	if (ev->type != SL_EV_CLOSED)
		return;
	CHECK(s->state != GONE && s->state != FREE);
	s->state = GONE;
	free_session(s);
	j.live--;
	j.closed++;
}

static void end_session(struct session *s)
{
	if (s->real && dice(2))
		peer_close(s->p);
	else
		TRY(sl_core_close(j.core, s->transport, NULL, NULL));
	s->state = CLOSING;
}

/* Plays somebody else, on any loop, who may just be leaving; or nobody. */
static void route_session(struct session *s)
{
	const struct session *other = &j.s[dice(j.begun)];

	if (other->state == OPEN)
		TRY(sl_core_route(j.core, s->subscriber, dice(8) ? other->publisher : 0, NULL,
				  NULL));
}

static void turn_session(struct session *s)
{
	if (s->state == OPEN && dice(s->real ? 60 : 4) == 0)
		route_session(s);
	if (!s->real || !s->p)
		goto out;
	read_all(s);
	if (peer_deadline_us(s->p) <= sl_now_us())
		peer_tick(s->p, sl_now_us());
	s->connected |= s->p->connected;
out:
	if (s->state != OPEN || (s->real && !(s->connected && s->connected_told)))
		return;
	s->rounds++;
	if (s->rounds > (s->real ? ROUNDS : dice(10)))
		end_session(s);
}

static void turn(void)
{
	uv_run(&j.uv, UV_RUN_NOWAIT);
	for (unsigned i = j.begun; i-- > 0;)
		if (j.s[i].state == OPENING || j.s[i].state == OPEN || j.s[i].state == CLOSING)
			turn_session(&j.s[i]);
	if (j.begun < JOINS && j.live < LIVE)
		begin_session();
	poll(NULL, 0, 1);
	CHECK(sl_now_us() < j.end_us);
}

static void joins_end(void *arg)
{
	(void)arg;
	sl_core_free(j.core);
	for (unsigned i = 0; i < JOINS; i++)
		free_session(&j.s[i]);
	if (!j.uv_ready)
		return;
	uv_run(&j.uv, UV_RUN_DEFAULT);
	SL_ASSERT(uv_loop_close(&j.uv) == 0);
	j.uv_ready = false;
}

static void joins_begin(void)
{
	static struct sl_config conf;
	struct sl_core_why why;

	memset(&j, 0, sizeof(j));
	j.rng = sl_test_rng(&j.state, 1);
	j.end_us = sl_now_us() + DEADLINE_S * SL_SEC;
	sl_config_defaults(&conf);
	sl_fmt(conf.media.bind.at[conf.media.bind.n++], SL_CONFIG_TEXT_MAX, "127.0.0.1");
	conf.media.port = 0;
	conf.loops = 2;
	CHECK(uv_loop_init(&j.uv) == 0);
	j.uv_ready = true;
	DEFER(joins_end, &j);
	TRY(sl_core_new(&conf, &j.uv, on_event, &j, &j.core, &why));
}

TEST(peers_join_and_leave_on_two_threads_while_packets_flow)
{
	uint64_t decoded = 0;
	uint64_t forwarded = 0;

	sim_no_oom();
	joins_begin();
	while (j.begun < JOINS || j.live > 0) {
		turn();
		for (unsigned i = 0; i < j.begun; i++)
			if (j.s[i].p && j.s[i].real)
				decoded = SL_MAX(decoded, j.s[i].sink->decoded);
	}
	CHECK_EQ(j.closed, JOINS);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(sl_core_transports(j.core, i), 0);
		forwarded += sl_stat_get(sl_core_stats(j.core, i), SL_STAT_rtp_forwarded);
	}
	CHECK(decoded > 0 && forwarded > 100);
	for (unsigned i = 0; i < JOINS; i += 4)
		CHECK(j.s[i].connected_told);
}

/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_core.c — the control thread's side of two real media loops on loopback. No peer
 * is there: what media does is for simulations; here it is about commands, replies, events and the
 * end. */
#include "core/core.h"
#include "core/base/mem.h"
#include "tests/core/sim.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { DEADLINE_MS = 60000, REPLIES_MAX = 2048, EVENTS_MAX = 64 };

static struct rig {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct sl_core *core;
	struct sl_config conf;
	bool loop_ready, late;
	unsigned replies, events;
	int got[REPLIES_MAX]; /* times that the reply with this argument came */
	struct sl_reply last;
	struct sl_core_event event[EVENTS_MAX];
} rig;

static void on_event(void *arg, const struct sl_core_event *ev)
{
	struct rig *r = arg;

	CHECK(r->events < EVENTS_MAX);
	r->event[r->events++] = *ev;
}

static void on_reply(void *arg, const struct sl_reply *reply)
{
	size_t i = (size_t)(uintptr_t)arg;

	CHECK(i < REPLIES_MAX);
	rig.got[i]++;
	rig.replies++;
	rig.last = *reply;
}

static void on_deadline(uv_timer_t *timer)
{
	((struct rig *)timer->data)->late = true;
}

/* Turns of the control loop until so many replies and events have come. */
static void wait_for(unsigned replies, unsigned events)
{
	while (rig.replies < replies || rig.events < events) {
		uv_run(&rig.loop, UV_RUN_ONCE);
		CHECK(!rig.late);
	}
	CHECK_EQ(rig.replies, replies);
	CHECK_EQ(rig.events, events);
}

static void rig_end(struct rig *r)
{
	sl_core_free(r->core);
	r->core = NULL;
	if (!r->loop_ready)
		return;
	uv_close((uv_handle_t *)&r->deadline, NULL);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	SL_ASSERT(uv_loop_close(&r->loop) == 0); /* nothing of the core's is left in it */
	r->loop_ready = false;
}

static void add(struct sl_config_list *list, const char *text)
{
	sl_fmt(list->at[list->n++], SL_CONFIG_TEXT_MAX, "%s", text);
}

/* A certificate from a file: making one takes more allocations than out-of-memory mode goes
 * through. */
static void use_cert(const char *cert, const char *key)
{
	sl_fmt(rig.conf.dtls.cert, SL_CONFIG_TEXT_MAX, "%s", cert);
	sl_fmt(rig.conf.dtls.key, SL_CONFIG_TEXT_MAX, "%s", key);
}

/* The key of the vectors in a file with that mode: a clone of the repository has its own. */
static const char *key_file(mode_t mode)
{
	static char path[32];
	static int fd = -1;
	char text[4096];
	int in;
	ssize_t n;

	if (fd < 0) {
		in = open("tests/vectors/dtls/ec-key.pem", O_RDONLY | O_CLOEXEC);
		n = read(in, text, sizeof(text));
		fd = memfd_create("key.pem", MFD_CLOEXEC);
		CHECK(n > 0 && write(fd, text, (size_t)n) == n);
		close(in);
		sl_fmt(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	CHECK(fchmod(fd, mode) == 0);
	return path;
}

static int rig_init(void)
{
	memset(&rig, 0, sizeof(rig));
	sl_config_defaults(&rig.conf);
	add(&rig.conf.media.bind, "127.0.0.1");
	rig.conf.media.port = 0;
	rig.conf.loops = 2;
	rig.conf.limits.max_sessions = 100;
	use_cert("tests/vectors/dtls/ec-cert.pem", key_file(0600));
	if (uv_loop_init(&rig.loop) < 0)
		return SL_ENOMEM;
	rig.loop_ready = true;
	uv_timer_init(&rig.loop, &rig.deadline);
	rig.deadline.data = &rig;
	uv_timer_start(&rig.deadline, on_deadline, DEADLINE_MS, 0);
	uv_unref((uv_handle_t *)&rig.deadline);
	return SL_OK;
}

static int rig_start(void)
{
	struct sl_core_why why;
	int err = sl_core_new(&rig.conf, &rig.loop, on_event, &rig, &rig.core, &why);

	CHECK(err == SL_ENOMEM || !err == !why.text[0]);
	return err;
}

/* A peer with one track of its own and one to play. */
static const struct sl_transport_conf *a_peer(uint64_t tag)
{
	static struct sl_transport_conf c;

	memset(&c, 0, sizeof(c));
	c.tag = tag;
	c.lite = true;
	sl_fmt(c.ufrag, sizeof(c.ufrag), "peer%u", (unsigned)tag);
	sl_fmt(c.pwd, sizeof(c.pwd), "a-password-of-24-letters");
	c.fingerprint_count = 1;
	sl_fmt(c.fingerprints[0].algorithm, sizeof(c.fingerprints[0].algorithm), "sha-256");
	sl_fmt(c.fingerprints[0].hex, sizeof(c.fingerprints[0].hex), "%s",
	       sl_core_fingerprint(rig.core));
	c.track_count = 2;
	for (int i = 0; i < 2; i++) {
		c.tracks[i].publish = i == 0;
		c.tracks[i].kind = SL_AUDIO;
		c.tracks[i].codec_count = 1;
		c.tracks[i].codecs[0] = (struct sl_track_codec){.pt = 111, .codec = SL_OPUS};
		c.tracks[i].ssrc = (uint32_t)(100 + i);
		sl_fmt(c.tracks[i].mid, sizeof(c.tracks[i].mid), "%d", i);
	}
	return &c;
}

static void *nth(unsigned i)
{
	return (void *)(uintptr_t)i;
}

static uint64_t open_on(unsigned loop, uint64_t tag)
{
	unsigned i = rig.replies;

	TRY(sl_core_open(rig.core, loop, a_peer(tag), on_reply, nth(i)));
	wait_for(i + 1, rig.events);
	CHECK_EQ(rig.got[i], 1);
	return rig.last.transport;
}

TEST(core_opens_asks_and_closes_with_one_reply_each)
{
	uint64_t id;

	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	id = open_on(1, 77);
	TRY(rig.last.err);
	CHECK(id != 0 && rig.last.tracks[0] != 0 && rig.last.tracks[1] != 0 &&
	      rig.last.tracks[0] != rig.last.tracks[1]);
	CHECK(strlen(rig.last.ufrag) >= 4 && strlen(rig.last.pwd) >= 22); /* RFC 8839 section 5.4 */
	CHECK_EQ(sl_core_transports(rig.core, 1), 1);
	CHECK_EQ(sl_core_transports(rig.core, 0), 0);
	TRY(sl_core_info(rig.core, id, on_reply, nth(1)));
	wait_for(2, 0);
	CHECK_EQ(rig.last.err, SL_OK);
	CHECK(!rig.last.info.connected && rig.last.info.silent_us >= 0);
	CHECK_EQ(rig.last.info.rx_packets, 0);
	TRY(sl_core_close(rig.core, id, on_reply, nth(2)));
	wait_for(3, 1);
	CHECK_EQ(rig.last.err, SL_OK);
	CHECK_EQ(rig.event[0].type, SL_EV_CLOSED);
	CHECK_EQ(rig.event[0].transport, id);
	CHECK_EQ(rig.event[0].tag, 77);
	CHECK_EQ(rig.event[0].cause, SL_CLOSE_REQUESTED);
	CHECK_EQ(sl_core_transports(rig.core, 1), 0);
}

TEST(core_opens_ports_for_a_peer_without_ice_and_awaits_no_handshake_of_it)
{
	static struct sl_transport_conf c;

	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	memset(&c, 0, sizeof(c));
	c.kind = SL_TK_PLAIN;
	c.plain.bind = sl_addr_v4(127, 0, 0, 1, 0);
	c.plain.rtp = sl_addr_v4(127, 0, 0, 1, 9998);
	c.plain.rtcp = sl_addr_v4(127, 0, 0, 1, 9999);
	c.plain.port_min = 30000;
	TRY(sl_core_open(rig.core, 0, &c, on_reply, nth(0)));
	CHECK_EQ(sl_core_handshake_wait_us(rig.core), 0);
	wait_for(1, 1);
	TRY(rig.last.err == SL_EFULL && sl_test_oom_fired() ? SL_ENOMEM : rig.last.err);
	CHECK(rig.last.rtp.port >= 30000 && rig.last.rtp.port % 2 == 0);
	CHECK_EQ(rig.last.rtcp.port, rig.last.rtp.port + 1);
	CHECK_EQ(rig.event[0].type, SL_EV_CONNECTED);
}

TEST(core_answers_for_ids_that_are_void)
{
	uint64_t id;
	uint64_t track;

	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	id = open_on(0, 1);
	TRY(rig.last.err);
	track = rig.last.tracks[1];
	TRY(sl_core_close(rig.core, id, on_reply, nth(1)));
	wait_for(2, 1);
	TRY(sl_core_close(rig.core, id, on_reply, nth(2)));
	TRY(sl_core_info(rig.core, id, on_reply, nth(3)));
	TRY(sl_core_restart_ice(rig.core, id, "ufrag", "a-password-of-24-letters", on_reply,
				nth(4)));
	TRY(sl_core_add_candidates(rig.core, id, NULL, 0, true, on_reply, nth(5)));
	TRY(sl_core_route(rig.core, track, 0, on_reply, nth(6)));
	TRY(sl_core_remove_track(rig.core, track, on_reply, nth(7)));
	TRY(sl_core_add_tracks(rig.core, id, a_peer(1)->tracks, 1, on_reply, nth(8)));
	for (unsigned i = 3; i <= 9; i++) {
		while (rig.replies < i) {
			uv_run(&rig.loop, UV_RUN_ONCE);
			CHECK(!rig.late);
		}
		CHECK_EQ(rig.last.err, SL_ENOTFOUND);
	}
	for (unsigned i = 0; i < 9; i++)
		CHECK_EQ(rig.got[i], 1);
	/* An id of a loop that does not exist. */
	CHECK(sl_core_info(rig.core, UINT64_C(63) << 56 | 128, on_reply, nth(9)) < 0);
	CHECK_EQ(rig.events, 1);
}

TEST(core_tracks_routes_and_credentials_change_while_a_session_lives)
{
	uint64_t a;
	uint64_t a_pub;
	uint64_t b_sub;
	char old[SL_UFRAG_MAX + 1];

	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	a = open_on(0, 1);
	TRY(rig.last.err);
	a_pub = rig.last.tracks[0];
	open_on(1, 2);
	TRY(rig.last.err);
	b_sub = rig.last.tracks[1];
	TRY(sl_core_route(rig.core, b_sub, a_pub, on_reply, nth(2))); /* from loop to loop */
	wait_for(3, 0);
	CHECK_EQ(rig.last.err, SL_OK);
	sl_fmt(old, sizeof(old), "%s", rig.last.ufrag);
	TRY(sl_core_restart_ice(rig.core, a, "fresh", "another-password-24-letters", on_reply,
				nth(3)));
	wait_for(4, 0);
	CHECK_EQ(rig.last.err, SL_OK);
	CHECK(strlen(rig.last.ufrag) >= 4 && strcmp(rig.last.ufrag, old) != 0);
	TRY(sl_core_add_tracks(rig.core, a, &(struct sl_track_conf){.publish = true, .mid = "9"}, 1,
			       on_reply, nth(4)));
	wait_for(5, 0);
	CHECK_EQ(rig.last.err, SL_OK);
	CHECK(rig.last.tracks[0] != 0);
	TRY(sl_core_remove_track(rig.core, a_pub, on_reply, nth(5)));
	wait_for(6, 0);
	CHECK_EQ(rig.last.err, SL_OK);
	TRY(sl_core_route(rig.core, b_sub, 0, on_reply, nth(6)));
	wait_for(7, 0);
	CHECK_EQ(rig.last.err, SL_OK);
}

TEST(core_refuses_what_is_too_long_or_too_much_without_a_reply)
{
	char longer[SL_UFRAG_MAX + 2];
	static struct sl_track_conf tracks[SL_TRACKS_MAX + 1];
	uint64_t id;

	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	id = open_on(0, 1);
	TRY(rig.last.err);
	memset(longer, 'u', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CHECK(sl_core_restart_ice(rig.core, id, longer, "p", on_reply, nth(1)) < 0);
	CHECK(sl_core_restart_ice(rig.core, id, "u", longer, on_reply, nth(1)) < 0);
	CHECK(sl_core_add_tracks(rig.core, id, tracks, SL_COUNT(tracks), on_reply, nth(1)) < 0);
	CHECK(sl_core_open(rig.core, 2, a_peer(2), on_reply, nth(1)) < 0);
	TRY(sl_core_info(rig.core, id, on_reply, nth(2)));
	wait_for(2, 0);
	CHECK_EQ(rig.got[1], 0);
	CHECK_EQ(rig.got[2], 1);
}

TEST(core_full_mailbox_says_busy_and_every_accepted_command_is_answered_once)
{
	unsigned sent = 0;
	uint64_t id;
	int err = SL_OK;

	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	id = open_on(0, 1);
	TRY(rig.last.err);
	while (!err && sent < REPLIES_MAX - 2) { /* replies are not fetched meanwhile */
		err = sl_core_info(rig.core, id, on_reply, nth(1 + sent));
		sent += err == SL_OK;
	}
	if (err == SL_ENOMEM)
		TRY(err);
	CHECK_EQ(err, SL_EBUSY);
	wait_for(1 + sent, 0);
	for (unsigned i = 0; i <= sent; i++)
		CHECK_EQ(rig.got[i], 1);
	TRY(sl_core_info(rig.core, id, on_reply, nth(1 + sent))); /* and it heals */
	wait_for(2 + sent, 0);
}

TEST(core_at_its_limit_refuses_one_more_and_takes_it_after_one_went)
{
	uint64_t first;

	DEFER(rig_end, &rig);
	TRY(rig_init());
	rig.conf.limits.max_sessions = 3;
	TRY(rig_start());
	first = open_on(0, 1);
	TRY(rig.last.err);
	open_on(0, 2);
	TRY(rig.last.err);
	open_on(0, 3);
	TRY(rig.last.err);
	open_on(0, 4);
	CHECK_EQ(rig.last.err, SL_EFULL);
	TRY(sl_core_close(rig.core, first, NULL, NULL)); /* no callback, no reply */
	wait_for(4, 1);
	open_on(0, 5);
	CHECK_EQ(rig.last.err, SL_OK);
}

TEST(core_counts_the_transports_of_each_loop)
{
	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	CHECK_EQ(sl_core_loops(rig.core), 2);
	for (unsigned i = 0; i < 6; i++) {
		open_on(i % 2, i);
		TRY(rig.last.err);
	}
	CHECK_EQ(sl_core_transports(rig.core, 0), 3);
	CHECK_EQ(sl_core_transports(rig.core, 1), 3);
}

TEST(core_candidates_are_the_loops_own_sockets)
{
	struct sl_core_cand cands[SL_CORE_CANDS_MAX];

	DEFER(rig_end, &rig);
	TRY(rig_init());
	add(&rig.conf.media.bind, "127.0.0.2");
	TRY(rig_start());
	CHECK(sl_core_port(rig.core, 0) != 0 &&
	      sl_core_port(rig.core, 0) != sl_core_port(rig.core, 1));
	for (unsigned loop = 0; loop < 2; loop++) {
		CHECK_EQ(sl_core_candidates(rig.core, loop, cands, SL_CORE_CANDS_MAX), 2);
		CHECK_EQ(cands[0].addr.port, sl_core_port(rig.core, loop));
		CHECK_EQ(cands[0].addr.ip[3], 1);
		CHECK_EQ(cands[1].addr.ip[3], 2);
		CHECK_STR(cands[0].type, "host");
		CHECK(cands[0].priority > cands[1].priority); /* best first */
		CHECK(strcmp(cands[0].foundation, cands[1].foundation) != 0);
		CHECK_EQ(sl_core_candidates(rig.core, loop, cands, 1), 1);
	}
}

TEST(core_candidates_over_tcp_are_told_where_it_listens)
{
	struct sl_core_cand udp[SL_CORE_CANDS_MAX];
	struct sl_core_cand tcp[SL_CORE_CANDS_MAX];

	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	CHECK_EQ(sl_core_candidates(rig.core, 0, udp, SL_CORE_CANDS_MAX), 1);
	CHECK_EQ(sl_core_tcp_candidates(rig.core, 0, tcp, SL_CORE_CANDS_MAX), 1);
	CHECK(sl_addr_eq(&udp[0].addr, &tcp[0].addr) && tcp[0].tcp == SL_CAND_TCP_PASSIVE);
	CHECK(tcp[0].priority < udp[0].priority && strcmp(tcp[0].foundation, udp[0].foundation));
}

TEST(core_without_tcp_tells_no_candidates_over_it)
{
	struct sl_core_cand tcp[SL_CORE_CANDS_MAX];

	DEFER(rig_end, &rig);
	TRY(rig_init());
	rig.conf.media.tcp = false;
	TRY(rig_start());
	CHECK_EQ(sl_core_tcp_candidates(rig.core, 0, tcp, SL_CORE_CANDS_MAX), 0);
}

TEST(core_announced_addresses_stand_for_those_of_their_family)
{
	struct sl_core_cand cands[SL_CORE_CANDS_MAX];

	DEFER(rig_end, &rig);
	TRY(rig_init());
	add(&rig.conf.media.announce, "203.0.113.7:4000");
	add(&rig.conf.media.announce, "203.0.113.8");
	TRY(rig_start());
	for (unsigned loop = 0; loop < 2; loop++) {
		char text[SL_ADDR_TEXT];

		CHECK_EQ(sl_core_candidates(rig.core, loop, cands, SL_CORE_CANDS_MAX),
			 2); /* 127.0.0.1 is not told */
		CHECK_STR(sl_addr_text(&cands[0].addr, text),
			  loop ? "203.0.113.7:4001" : "203.0.113.7:4000");
		CHECK_STR(sl_addr_ip_text(&cands[1].addr, text), "203.0.113.8");
		CHECK_EQ(cands[1].addr.port, sl_core_port(rig.core, loop));
	}
}

TEST(core_keeps_its_own_addresses_of_a_family_that_is_not_announced)
{
	struct sl_core_cand cands[SL_CORE_CANDS_MAX];

	DEFER(rig_end, &rig);
	TRY(rig_init());
	add(&rig.conf.media.announce, "2001:db8::7");
	TRY(rig_start());
	CHECK_EQ(sl_core_candidates(rig.core, 0, cands, SL_CORE_CANDS_MAX), 2);
	CHECK_EQ(cands[0].addr.family, 6);
	CHECK(sl_addr_is_loopback(&cands[1].addr));
}

static void unlink_file(char *path)
{
	unlink(path);
}

TEST(core_that_cannot_start_says_why_and_leaves_nothing)
{
	char no_pem[] = "/tmp/sluice-test-XXXXXX";
	const struct {
		const char *bind, *cert, *want;
	} cases[] = {{"127.0.0.1", no_pem, "dtls.cert and dtls.key: "},
		     {"203.0.113.77", "", "cannot open UDP 203.0.113.77:0: "},
		     {"127.0.0.1", "/nowhere/cert.pem",
		      "cannot read /nowhere/cert.pem; check dtls.cert and dtls.key"},
		     {"127.0.0.1", NULL, "/proc/self/fd/"}};
	int fd = mkstemp(no_pem);

	CHECK(fd >= 0 && write(fd, "no PEM", 6) == 6);
	close(fd);
	DEFER(unlink_file, no_pem);

	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		struct sl_core_why why;
		int err;

		DEFER(rig_end, &rig);
		TRY(rig_init());
		sl_fmt(rig.conf.media.bind.at[0], SL_CONFIG_TEXT_MAX, "%s", cases[i].bind);
		if (cases[i].cert)
			use_cert(cases[i].cert, cases[i].cert);
		else
			key_file(0644);
		err = sl_core_new(&rig.conf, &rig.loop, on_event, &rig, &rig.core, &why);
		if (err == SL_ENOMEM)
			TRY(err);
		CHECK(err < 0 && rig.core == NULL);
		CHECK(strstr(why.text, cases[i].want) == why.text);
		CHECK(cases[i].cert ||
		      strstr(why.text, "is a key that everybody may read; chmod 600 it"));
		rig_end(&rig);
	}
}

TEST(core_makes_a_certificate_of_its_own_where_none_is_given)
{
	char first[96];

	DEFER(rig_end, &rig);
	for (int i = 0; i < 2; i++) {
		TRY(rig_init());
		use_cert("", "");
		TRY(rig_start());
		CHECK_EQ(strlen(sl_core_fingerprint(rig.core)), 95);
		CHECK_EQ(sl_core_handshake_wait_us(rig.core), 0);
		if (i == 1)
			CHECK(strcmp(first, sl_core_fingerprint(rig.core)) !=
			      0); /* T12: never the same twice */
		sl_fmt(first, sizeof(first), "%s", sl_core_fingerprint(rig.core));
		rig_end(&rig);
	}
}

TEST(core_stops_with_sessions_open_and_commands_under_way)
{
	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	for (unsigned i = 0; i < 4; i++) {
		open_on(i % 2, i);
		TRY(rig.last.err);
	}
	for (unsigned i = 0; i < 20; i++)
		TRY(sl_core_info(rig.core, rig.last.transport, on_reply, nth(100 + i)));
	for (unsigned i = 0; i < 4; i++)
		TRY(sl_core_open(rig.core, i % 2, a_peer(10 + i), on_reply, nth(200 + i)));
	rig_end(&rig); /* the rest is for the leak check */
	CHECK_EQ(rig.events, 0);
}

TEST(core_stops_without_asking_for_memory)
{
	uint64_t total;

	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	for (unsigned i = 0; i < 2; i++) {
		open_on(i, i);
		TRY(rig.last.err);
	}
	total = sl_mem_stat().total;
	sl_core_free(rig.core);
	rig.core = NULL;
	CHECK_EQ(sl_mem_stat().total, total);
}

TEST(close_causes_are_sentences)
{
	for (int i = SL_CLOSE_NONE; i <= SL_CLOSE_SHUTDOWN; i++)
		CHECK(strlen(sl_close_cause_text((enum sl_close_cause)i)) > 8);
	CHECK_STR(sl_close_cause_text((enum sl_close_cause)99), "unknown");
}

TEST(formats_are_equal_for_the_same_bitstream_only)
{
	CHECK_EQ(sl_core_format(SL_H264, "42e01f/1"), sl_core_format(SL_H264, "42e01f/1"));
	CHECK(sl_core_format(SL_H264, "42e01f/1") != sl_core_format(SL_H264, "42e01f/0"));
	CHECK(sl_core_format(SL_VP8, "") != sl_core_format(SL_OPUS, ""));
	CHECK(sl_core_format(SL_VP9, "0") != sl_core_format(SL_AV1, "0"));
}

TEST(core_makes_an_rsa_certificate_when_it_is_first_asked_for_and_the_command_waits)
{
	struct sl_transport_conf c;
	char made[200];

	sim_no_oom();
	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	CHECK(!sl_core_fingerprint_rsa(rig.core));
	c = *a_peer(1);
	c.rsa = true;
	TRY(sl_core_open(rig.core, 0, &c, on_reply, nth(0)));
	TRY(sl_core_open(rig.core, 1, &c, on_reply, nth(1)));
	TRY(sl_core_open(rig.core, 1, a_peer(2), on_reply, nth(2)));
	wait_for(1, 0);
	CHECK_EQ(rig.got[2], 1); /* who can do without it does not wait */
	CHECK(!sl_core_fingerprint_rsa(rig.core));
	wait_for(3, 0);
	CHECK_EQ(rig.last.err, SL_OK);
	CHECK(rig.last.transport != 0);
	sl_fmt(made, sizeof(made), "%s", sl_core_fingerprint_rsa(rig.core));
	CHECK_EQ(strlen(made), 95);
	CHECK(strcmp(made, sl_core_fingerprint(rig.core)) != 0);
	sl_core_prepare_rsa(rig.core);
	TRY(sl_core_open(rig.core, 1, &c, on_reply, nth(3)));
	wait_for(4, 0);
	CHECK_STR(sl_core_fingerprint_rsa(rig.core), made);
}

TEST(core_that_ends_while_it_makes_a_certificate_stops_that)
{
	struct sl_transport_conf c;

	sim_no_oom();
	DEFER(rig_end, &rig);
	TRY(rig_init());
	TRY(rig_start());
	c = *a_peer(1);
	c.rsa = true;
	TRY(sl_core_open(rig.core, 0, &c, on_reply, nth(0)));
	rig_end(&rig);
	CHECK_EQ(rig.replies, 0);
}

static void append_file(int fd, const char *path)
{
	char text[8192];
	int in = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(in, text, sizeof(text));

	close(in);
	CHECK(n > 0 && write(fd, text, (size_t)n) == n);
}

TEST(core_reads_certificates_for_kurentos_clients_from_files_of_both_halves)
{
	char path[32];
	int err, fd;

	DEFER(rig_end, &rig);
	TRY(rig_init());
	fd = memfd_create("rsa.pem", MFD_CLOEXEC);
	append_file(fd, "tests/vectors/dtls/rsa-cert.pem");
	append_file(fd, "tests/vectors/dtls/rsa-key.pem");
	CHECK(fchmod(fd, 0600) == 0);
	sl_fmt(path, sizeof(path), "/proc/self/fd/%d", fd);
	sl_fmt(rig.conf.kurento.cert_rsa, SL_CONFIG_TEXT_MAX, "%s", path);
	sl_fmt(rig.conf.kurento.cert_ecdsa, SL_CONFIG_TEXT_MAX, "/nowhere"); /* dtls.cert is first */
	err = rig_start();
	close(fd);
	TRY(err);
	CHECK_EQ(strlen(sl_core_fingerprint_rsa(rig.core)), 95);
	rig_end(&rig);
	TRY(rig_init());
	use_cert("", "");
	sl_fmt(rig.conf.kurento.cert_ecdsa, SL_CONFIG_TEXT_MAX, "/nowhere");
	err = rig_start();
	TRY(err == SL_EIO ? SL_OK : err);
	CHECK_EQ(err, SL_EIO);
}

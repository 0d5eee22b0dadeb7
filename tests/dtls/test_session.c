/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/mem.h"
#include "tests/dtls/pair.h"
#include <malloc.h>

#include <mbedtls/ssl.h>

static mbedtls_ssl_config *lib_conf(struct pair *p, int end)
{
	return dtls_lib_conf(p->end[end]);
}

/* ---- the handshake ---- */

TEST(handshake_gives_both_ends_the_same_keys)
{
	struct pair *p = pair_new(1);
	struct sl_dtls_keys k;

	pair_start(p);
	pair_run(p, SL_SEC);
	pair_check(p);
	TRY(sl_dtls_keys(p->end[CLIENT], &k));
	CHECK_EQ(k.local.profile, SL_SRTP_AES128_CM_SHA1_80);
	CHECK_EQ(sl_dtls_deadline_us(p->end[CLIENT]), SL_NEVER);
	CHECK_EQ(sl_dtls_deadline_us(p->end[SERVER]), SL_NEVER);
	CHECK_EQ(sl_dtls_take_restarts(p->end[CLIENT]) + sl_dtls_take_restarts(p->end[SERVER]), 0);
	CHECK_EQ(sl_dtls_take_dropped(p->end[CLIENT]) + sl_dtls_take_dropped(p->end[SERVER]), 0);
}

TEST(nothing_is_sent_before_the_first_tick_and_a_server_waits_in_silence)
{
	struct pair *p = pair_new(2);
	const uint8_t *data;
	size_t len;

	pair_start(p);
	CHECK(!sl_dtls_pull(p->end[CLIENT], &data, &len));
	CHECK_EQ(sl_dtls_deadline_us(p->end[CLIENT]), 0);
	CHECK_EQ(sl_dtls_deadline_us(p->end[SERVER]), SL_NEVER);
	sl_dtls_tick(p->end[SERVER], 5);
	CHECK(!sl_dtls_pull(p->end[SERVER], &data, &len));
}

TEST(same_seed_gives_the_same_bytes_and_another_seed_others)
{
	uint64_t trace[3];

	for (int i = 0; i < 3; i++) {
		struct pair *p = pair_new(i < 2 ? 3 : 4);

		p->loss = 10;
		p->reorder = 10;
		pair_start(p);
		pair_run(p, 30 * SL_SEC);
		pair_check(p);
		trace[i] = p->trace;
	}
	CHECK(trace[0] == trace[1]);
	CHECK(trace[0] != trace[2]);
}

TEST(handshakes_complete_over_a_link_that_loses_reorders_and_duplicates)
{
	static const struct {
		unsigned loss, duplicate, reorder;
	} links[] = {{10, 0, 0}, {20, 10, 10}, {30, 0, 20}, {0, 100, 0}, {0, 30, 50}};

	for (size_t i = 0; i < SL_COUNT(links); i++)
		for (uint64_t seed = 0; seed < 12; seed++) {
			struct pair *p = pair_new(1000 * i + seed);

			p->loss = links[i].loss;
			p->duplicate = links[i].duplicate;
			p->reorder = links[i].reorder;
			pair_start(p);
			pair_run(p, 30 * SL_SEC);
			pair_check(p);
		}
}

TEST(each_step_may_run_on_another_thread)
{
	struct pair *p = pair_new(5);

	p->threads = true;
	p->loss = 20;
	pair_start(p);
	pair_run(p, 30 * SL_SEC);
	pair_check(p);
}

TEST(handshake_with_an_rsa_certificate_of_either_side)
{
	char cert[8192], key[8192];
	size_t cert_len = pair_file("tests/vectors/dtls/rsa-cert.pem", cert, sizeof(cert));
	size_t key_len = pair_file("tests/vectors/dtls/rsa-key.pem", key, sizeof(key));

	for (int end = 0; end < 2; end++) {
		struct pair *p = pair_new(6);
		struct sl_cert *c = NULL;

		TRY(sl_cert_from_pem(sl_str(cert, cert_len), sl_str(key, key_len), &p->rng[0], &c));
		DEFER(sl_cert_free, c);
		p->conf[end].cert = c;
		p->conf[!end].peer[0] = pair_fingerprint(SL_DIGEST_SHA256, c);
		pair_start(p);
		pair_run(p, 10 * SL_SEC);
		pair_check(p);
	}
}

TEST(handshake_over_x25519_when_the_peer_wants_it)
{
	static const mbedtls_ecp_group_id x25519[] = {
		MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE};
	struct pair *p = pair_new(7);

	pair_start(p);
	mbedtls_ssl_conf_curves(lib_conf(p, SERVER), x25519);
	pair_run(p, 10 * SL_SEC);
	pair_check(p);
}

/* Loses the first n datagrams to one end. */
static bool lose_some(struct pair *p, int to, const uint8_t *data, size_t len)
{
	const int *lost = p->tap_arg;

	(void)data, (void)len;
	if (to != lost[0] || p->delivered[to] + p->tap_count < lost[1] || p->tap_count >= lost[2])
		return true;
	p->tap_count++;
	return false;
}

TEST(a_connected_server_answers_when_its_last_flight_was_lost)
{
	/* To the client: the first datagram is the server's hello, what follows its last flight. */
	const int lost[3] = {CLIENT, 1, 3};
	struct pair *p = pair_new(8);
	struct sl_dtls_keys early, late;
	uint8_t close[64];
	int n;

	p->tap = lose_some;
	p->tap_arg = lost;
	pair_start(p);
	for (int i = 0; i < 100 && sl_dtls_state(p->end[SERVER]) != SL_DTLS_CONNECTED; i++)
		pair_run(p, 10 * SL_MS);
	CHECK_EQ(sl_dtls_state(p->end[CLIENT]), SL_DTLS_HANDSHAKING);
	TRY(sl_dtls_keys(p->end[SERVER], &early));
	pair_run(p, 10 * SL_SEC);
	CHECK_EQ(p->tap_count, 3);
	pair_check(p);
	/* What it sent meanwhile has used no number that the caller may use. */
	TRY(sl_dtls_keys(p->end[CLIENT], &late));
	n = sl_dtls_write_close(&early.records, close, sizeof(close));
	TRY(n);
	CHECK(pair_closes(&late.records, close, (size_t)n));
	pair_send(p, CLIENT, close, (size_t)n);
	CHECK_EQ(sl_dtls_state(p->end[CLIENT]), SL_DTLS_CLOSED);
	CHECK_EQ(sl_dtls_keys(p->end[CLIENT], &late), SL_ESTATE);
}

TEST(retransmissions_begin_at_100_ms_and_double_up_to_3_s)
{
	static const int want_ms[] = {0, 100, 300, 700, 1500, 3100, 6100};
	struct pair *p = pair_new(9);
	const uint8_t *data;
	size_t len, n = 0;

	pair_start(p);
	for (int64_t now_us = sl_dtls_deadline_us(p->end[CLIENT]); n < SL_COUNT(want_ms);
	     now_us = sl_dtls_deadline_us(p->end[CLIENT])) {
		sl_dtls_tick(p->end[CLIENT], now_us);
		if (sl_test_oom_fired())
			sl_test_oom_stop();
		if (!sl_dtls_pull(p->end[CLIENT], &data, &len))
			continue;
		CHECK_EQ(now_us, want_ms[n] * SL_MS);
		n++;
	}
}

TEST(a_peer_that_never_answers_is_given_up_after_30_s)
{
	struct pair *p = pair_new(10);

	p->loss = 100;
	pair_start(p);
	pair_run(p, 29 * SL_SEC);
	CHECK_EQ(sl_dtls_state(p->end[CLIENT]), SL_DTLS_HANDSHAKING);
	pair_run(p, 2 * SL_SEC);
	CHECK_EQ(sl_dtls_state(p->end[CLIENT]), SL_DTLS_FAILED);
	CHECK_EQ(sl_dtls_cause(p->end[CLIENT]), SL_DTLS_TIMEOUT);
	CHECK_EQ(sl_dtls_deadline_us(p->end[CLIENT]), SL_NEVER);
}

TEST(every_cause_has_a_sentence)
{
	for (int c = SL_DTLS_OK; c <= SL_DTLS_PROTOCOL; c++)
		CHECK(strlen(sl_dtls_cause_text((enum sl_dtls_cause)c)) > 5);
}

/* ---- T04: injection ---- */

enum { DONOR_MAX = 16 };
static struct {
	int to;
	size_t len;
	uint8_t data[PAIR_DGRAM];
} donor[DONOR_MAX];
static int donor_count;

static bool record_donor(struct pair *p, int to, const uint8_t *data, size_t len)
{
	(void)p;
	if (donor_count == DONOR_MAX)
		return true;
	donor[donor_count].to = to;
	donor[donor_count].len = len;
	memcpy(donor[donor_count++].data, data, len);
	return true;
}

/* A handshake of others, with another certificate: all its messages are well formed and none
 * belongs here. */
static void make_donor(void)
{
	struct pair *p = pair_new(11);

	donor_count = 0;
	p->tap = record_donor;
	p->conf[CLIENT].cert = pair_cert(2);
	p->conf[SERVER].peer[0] = pair_fingerprint(SL_DIGEST_SHA256, pair_cert(2));
	pair_start(p);
	pair_run(p, SL_SEC);
	pair_check(p);
	CHECK(donor_count >= 4);
}

static size_t record(uint8_t *out, uint8_t type, uint16_t epoch, const void *body, size_t len)
{
	struct sl_wr w = sl_wr(out, PAIR_DGRAM);

	sl_wr8(&w, type);
	sl_wr16(&w, 0xfefd);
	sl_wr16(&w, epoch);
	sl_wr16(&w, 0);
	sl_wr32(&w, 1000);
	sl_wr16(&w, (uint16_t)len);
	sl_wr_bytes(&w, body, len);
	CHECK(!w.full);
	return sl_wr_len(&w);
}

struct hs {
	uint8_t type;
	uint32_t msg_len, off, len;
	uint16_t seq;
};

static size_t handshake(uint8_t *out, const struct hs *h)
{
	uint8_t body[600];
	struct sl_wr w = sl_wr(body, sizeof(body));

	sl_wr8(&w, h->type);
	sl_wr24(&w, h->msg_len);
	sl_wr16(&w, h->seq);
	sl_wr24(&w, h->off);
	sl_wr24(&w, h->len);
	for (uint32_t i = 0; i < h->len; i++)
		sl_wr8(&w, (uint8_t)(i * 37 + 5));
	return record(out, DTLS_HANDSHAKE, 0, body, sl_wr_len(&w));
}

static void inject_alert(struct pair *p, int to, int i)
{
	static const uint8_t alerts[][2] = {{2, 40}, {1, 0}, {2, 0}, {1, 90}};
	uint8_t b[PAIR_DGRAM];

	pair_send(p, to, b, record(b, DTLS_ALERT, 0, alerts[i], 2));
}

/* The very message that is awaited, and those behind it, full of rubbish. */
static void inject_next(struct pair *p, int to, int i)
{
	static const uint8_t types[2][5] = {
		{DTLS_HS_SERVER_HELLO, DTLS_HS_CERTIFICATE, DTLS_HS_SERVER_KEY,
		 DTLS_HS_CERT_REQUEST, DTLS_HS_HELLO_DONE},
		{DTLS_HS_CLIENT_HELLO, DTLS_HS_CERTIFICATE, DTLS_HS_CLIENT_KEY, DTLS_HS_CERT_VERIFY,
		 0},
	};
	uint8_t b[PAIR_DGRAM];

	(void)i;
	for (uint16_t seq = 0; seq < 5; seq++) {
		struct hs h = {.type = types[to][seq], .msg_len = 80, .len = 80, .seq = seq};

		pair_send(p, to, b, handshake(b, &h));
	}
}

static void inject_impossible(struct pair *p, int to, int i)
{
	uint8_t b[PAIR_DGRAM];

	(void)i;
	for (uint8_t type = 0; type < 26; type++)
		for (uint16_t seq = 0; seq < 6; seq++) {
			struct hs h = {.type = type, .msg_len = 40, .len = 40, .seq = seq};

			pair_send(p, to, b, handshake(b, &h));
		}
}

static void inject_change(struct pair *p, int to, int i)
{
	uint8_t b[PAIR_DGRAM];
	uint8_t junk[64] = {0};

	pair_send(p, to, b, record(b, DTLS_CCS, 0, "\1", 1));
	if (i)
		pair_send(p, to, b, record(b, DTLS_HANDSHAKE, 1, junk, sizeof(junk)));
}

static void inject_data(struct pair *p, int to, int epoch)
{
	uint8_t b[PAIR_DGRAM];
	uint8_t junk[200];

	memset(junk, 0xa5, sizeof(junk));
	for (uint8_t type = 20; type < 26; type++)
		if (type != DTLS_CCS && (type != DTLS_HANDSHAKE || epoch))
			pair_send(p, to, b, record(b, type, (uint16_t)epoch, junk, sizeof(junk)));
}

static void inject_junk(struct pair *p, int to, int i)
{
	uint8_t b[PAIR_DGRAM];

	(void)i;
	for (size_t len = 1; len < 200; len += 13) {
		sl_rng_fill(&p->rng[2], b, len);
		b[0] = 22;
		pair_send(p, to, b, len);
	}
}

static void inject_pieces(struct pair *p, int to, int i)
{
	uint8_t b[PAIR_DGRAM];

	(void)i;
	for (uint8_t type = 0; type < 21; type++)
		for (uint16_t seq = 0; seq < 5; seq++) {
			struct hs none = {.type = type, .msg_len = 0xffff, .len = 0, .seq = seq};
			struct hs part = {
				.type = type, .msg_len = 200, .off = 20, .len = 60, .seq = seq};

			pair_send(p, to, b, handshake(b, &none));
			pair_send(p, to, b, handshake(b, &part));
		}
}

static void inject_donor(struct pair *p, int to, int i)
{
	int n = 0;

	for (int k = 0; k < donor_count; k++)
		if (donor[k].to == to && n++ == i)
			pair_send(p, to, donor[k].data, donor[k].len);
}

static const struct {
	const char *name;
	void (*send)(struct pair *p, int to, int arg);
	int arg;
} kinds[] = {
	{"fatal alert", inject_alert, 0},
	{"close_notify", inject_alert, 1},
	{"fatal close_notify", inject_alert, 2},
	{"warning", inject_alert, 3},
	{"rubbish in the awaited message", inject_next, 0},
	{"messages of impossible types", inject_impossible, 0},
	{"early ChangeCipherSpec", inject_change, 0},
	{"ChangeCipherSpec and a false Finished", inject_change, 1},
	{"application data", inject_data, 0},
	{"rubbish of epoch 1", inject_data, 1},
	{"rubbish", inject_junk, 0},
	{"empty and partial messages", inject_pieces, 0},
	{"first flight of another handshake", inject_donor, 0},
	{"second flight of another handshake", inject_donor, 1},
};

/* Just before the nth datagram reaches that end. */
static bool inject(struct pair *p, int to, const uint8_t *data, size_t len)
{
	const int *what = p->tap_arg;

	(void)data, (void)len;
	if (to != what[1] || p->delivered[to] != what[2] || p->tap_count++ > 0)
		return true;
	kinds[what[0]].send(p, to, kinds[what[0]].arg);
	return true;
}

TEST(t04_no_injected_datagram_ends_a_handshake)
{
	make_donor();
	for (int kind = 0; kind < (int)SL_COUNT(kinds); kind++)
		for (int at = 0; at < 4; at++) {
			const int what[3] = {kind, at % 2, at / 2};
			struct pair *p = pair_new(200 + (uint64_t)kind);

			p->tap = inject;
			p->tap_arg = what;
			pair_start(p);
			pair_run(p, 30 * SL_SEC);
			CHECK(p->tap_count > 0);
			if (!pair_connected(p))
				printf("%s to the %s, before its datagram %d\n", kinds[kind].name,
				       what[1] == CLIENT ? "client" : "server", what[2]);
			pair_check(p);
		}
}

static bool inject_always(struct pair *p, int to, const uint8_t *data, size_t len)
{
	(void)data, (void)len;
	if (p->tap_count++ % 3 == 0)
		kinds[*(const int *)p->tap_arg].send(p, to, kinds[*(const int *)p->tap_arg].arg);
	return true;
}

TEST(t04_alerts_and_rubbish_before_every_third_datagram_of_a_lossy_link_end_nothing)
{
	for (int kind = 0; kind < 4; kind++) {
		struct pair *p = pair_new(300 + (uint64_t)kind);

		p->loss = 10;
		p->tap = inject_always;
		p->tap_arg = &kind;
		pair_start(p);
		pair_run(p, 30 * SL_SEC);
		pair_check(p);
	}
}

TEST(t04_an_alert_that_was_no_forgery_is_the_cause_when_time_is_up)
{
	struct pair *p = pair_new(12);

	p->loss = 100;
	pair_start(p);
	pair_run(p, SL_SEC);
	inject_alert(p, CLIENT, 0);
	CHECK_EQ(sl_dtls_state(p->end[CLIENT]), SL_DTLS_HANDSHAKING);
	CHECK_EQ(sl_dtls_take_dropped(p->end[CLIENT]), 1);
	pair_run(p, 31 * SL_SEC);
	CHECK_EQ(sl_dtls_state(p->end[CLIENT]), SL_DTLS_FAILED);
	CHECK_EQ(sl_dtls_cause(p->end[CLIENT]), SL_DTLS_ALERT);
}

/* ---- T05: fingerprints ---- */

enum { NONE, GOOD, OWN, OTHER, ZEROS, FIRST_BIT, LAST_BIT, SHORT };

struct fp_case {
	const char *name;
	struct {
		enum sl_digest algorithm;
		int what;
	} fp[3];
	bool good;
};

static const struct fp_case fp_cases[] = {
	{"sha-1", {{SL_DIGEST_SHA1, GOOD}}, true},
	{"sha-224", {{SL_DIGEST_SHA224, GOOD}}, true},
	{"sha-256", {{SL_DIGEST_SHA256, GOOD}}, true},
	{"sha-384", {{SL_DIGEST_SHA384, GOOD}}, true},
	{"sha-512", {{SL_DIGEST_SHA512, GOOD}}, true},
	{"second of two right", {{SL_DIGEST_SHA256, OTHER}, {SL_DIGEST_SHA256, GOOD}}, true},
	{"first of two right", {{SL_DIGEST_SHA256, GOOD}, {SL_DIGEST_SHA256, OTHER}}, true},
	{"two algorithms right", {{SL_DIGEST_SHA1, GOOD}, {SL_DIGEST_SHA256, GOOD}}, true},
	{"strongest right, weaker wrong",
	 {{SL_DIGEST_SHA1, OTHER}, {SL_DIGEST_SHA512, GOOD}},
	 true},
	{"strongest wrong, weaker right",
	 {{SL_DIGEST_SHA1, GOOD}, {SL_DIGEST_SHA256, OTHER}},
	 false},
	{"first bit wrong", {{SL_DIGEST_SHA256, FIRST_BIT}}, false},
	{"last bit wrong", {{SL_DIGEST_SHA256, LAST_BIT}}, false},
	{"last bit wrong of sha-512", {{SL_DIGEST_SHA512, LAST_BIT}}, false},
	{"zeros", {{SL_DIGEST_SHA256, ZEROS}}, false},
	{"all zeros, three times",
	 {{SL_DIGEST_SHA1, ZEROS}, {SL_DIGEST_SHA256, ZEROS}, {SL_DIGEST_SHA512, ZEROS}},
	 false},
	{"another session's certificate", {{SL_DIGEST_SHA256, OTHER}}, false},
	{"one's own certificate", {{SL_DIGEST_SHA256, OWN}}, false},
	{"one's own and another's", {{SL_DIGEST_SHA256, OWN}, {SL_DIGEST_SHA256, OTHER}}, false},
	{"cut short", {{SL_DIGEST_SHA256, SHORT}}, false},
	{"sha-1 wrong", {{SL_DIGEST_SHA1, LAST_BIT}}, false},
};

static struct sl_fingerprint make_fp(enum sl_digest algorithm, int what, int end)
{
	const int of[] = {[OWN] = end, [OTHER] = 2, [SHORT] = !end};
	struct sl_fingerprint fp = pair_fingerprint(
		algorithm, pair_cert(what == OWN || what == OTHER ? of[what] : !end));

	if (what == ZEROS)
		memset(fp.bytes, 0, sizeof(fp.bytes));
	if (what == FIRST_BIT)
		fp.bytes[0] ^= 0x80;
	if (what == LAST_BIT)
		fp.bytes[fp.len - 1] ^= 1;
	if (what == SHORT)
		fp.len = 4;
	return fp;
}

static void run_fp_case(const struct fp_case *c, int end)
{
	struct pair *p = pair_new(13);
	struct sl_dtls_keys k;
	size_t n = 0;

	for (; n < SL_COUNT(c->fp) && c->fp[n].what != NONE; n++)
		p->conf[end].peer[n] = make_fp(c->fp[n].algorithm, c->fp[n].what, end);
	p->conf[end].peer_count = n;
	pair_start(p);
	pair_run(p, 5 * SL_SEC);
	if (pair_connected(p) != c->good)
		printf("%s, seen by the %s\n", c->name, end == CLIENT ? "client" : "server");
	CHECK_EQ(pair_connected(p), c->good);
	if (c->good) {
		pair_check(p);
		return;
	}
	CHECK_EQ(sl_dtls_state(p->end[end]), SL_DTLS_FAILED);
	CHECK_EQ(sl_dtls_cause(p->end[end]), SL_DTLS_FINGERPRINT);
	CHECK_EQ(sl_dtls_keys(p->end[end], &k), SL_ESTATE);
}

TEST(t05_keys_come_only_with_the_fingerprint_that_was_signalled)
{
	for (size_t i = 0; i < SL_COUNT(fp_cases); i++)
		for (int end = 0; end < 2; end++)
			run_fp_case(&fp_cases[i], end);
}

TEST(t05_no_fingerprint_no_engine)
{
	struct pair *p = pair_new(14);

	p->conf[CLIENT].peer_count = 0;
	CHECK_EQ(sl_dtls_new(&p->conf[CLIENT], &p->end[CLIENT]), SL_EPARSE);
	p->conf[CLIENT].peer_count = SL_DTLS_FINGERPRINTS_MAX + 1;
	CHECK_EQ(sl_dtls_new(&p->conf[CLIENT], &p->end[CLIENT]), SL_EPARSE);
}

TEST(t05_a_client_without_a_certificate_gets_no_keys)
{
	struct pair *p = pair_new(15);
	struct sl_dtls_keys k;

	pair_start(p);
	mbedtls_ssl_config_free(lib_conf(p, CLIENT));
	mbedtls_ssl_config_init(lib_conf(p, CLIENT));
	TRY(mbedtls_ssl_config_defaults(lib_conf(p, CLIENT), MBEDTLS_SSL_IS_CLIENT,
					MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT)
		    ? SL_ENOMEM
		    : 0);
	mbedtls_ssl_conf_rng(lib_conf(p, CLIENT), dtls_lib_rng, &p->rng[CLIENT]);
	mbedtls_ssl_conf_authmode(lib_conf(p, CLIENT), MBEDTLS_SSL_VERIFY_NONE);
	pair_run(p, 5 * SL_SEC);
	CHECK(sl_dtls_state(p->end[SERVER]) != SL_DTLS_CONNECTED);
	CHECK_EQ(sl_dtls_keys(p->end[SERVER], &k), SL_ESTATE);
}

TEST(t05_keys_are_held_until_the_peer_has_finished)
{
	const int lost[3] = {CLIENT, 1, 1000};
	struct pair *p = pair_new(16);
	struct sl_dtls_keys k;

	p->tap = lose_some;
	p->tap_arg = lost;
	pair_start(p);
	CHECK_EQ(sl_dtls_keys(p->end[CLIENT], &k), SL_ESTATE);
	pair_run(p, SL_SEC);
	CHECK_EQ(sl_dtls_state(p->end[SERVER]), SL_DTLS_CONNECTED);
	CHECK_EQ(sl_dtls_state(p->end[CLIENT]), SL_DTLS_HANDSHAKING);
	CHECK_EQ(sl_dtls_keys(p->end[CLIENT], &k), SL_ESTATE);
}

/* ---- T10: SRTP profiles ---- */

#define P80 MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_80
#define P32 MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_32
#define N80 MBEDTLS_TLS_SRTP_NULL_HMAC_SHA1_80
#define N32 MBEDTLS_TLS_SRTP_NULL_HMAC_SHA1_32

static const struct {
	mbedtls_ssl_srtp_profile list[5];
	enum sl_srtp_profile as_client,
		as_server; /* what comes out when a peer in that role has the list */
} profile_cases[] = {
	{{P80}, SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_80},
	{{P32}, SL_SRTP_AES128_CM_SHA1_32, SL_SRTP_AES128_CM_SHA1_32},
	{{P80, P32}, SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_80},
	{{P32, P80}, SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_80},
	{{N80, P32, N32, P80}, SL_SRTP_AES128_CM_SHA1_80, SL_SRTP_AES128_CM_SHA1_80},
	{{N80}, SL_SRTP_NONE, SL_SRTP_NONE},
	{{N32, N80}, SL_SRTP_NONE, SL_SRTP_NONE},
	{{MBEDTLS_TLS_SRTP_UNSET}, SL_SRTP_NONE, SL_SRTP_NONE},
};

TEST(t10_only_the_two_sha1_profiles_give_keys_and_32_only_without_80)
{
	for (size_t i = 0; i < SL_COUNT(profile_cases); i++)
		for (int peer = 0; peer < 2; peer++) {
			enum sl_srtp_profile want = peer == CLIENT ? profile_cases[i].as_client
								   : profile_cases[i].as_server;
			struct pair *p = pair_new(17);
			struct sl_dtls_keys k;

			pair_start(p);
			CHECK_EQ(mbedtls_ssl_conf_dtls_srtp_protection_profiles(
					 lib_conf(p, peer), profile_cases[i].list),
				 0);
			pair_run(p, 5 * SL_SEC);
			if (want != SL_SRTP_NONE) {
				pair_check(p);
				TRY(sl_dtls_keys(p->end[!peer], &k));
				CHECK_EQ(k.local.profile, want);
				continue;
			}
			CHECK_EQ(sl_dtls_state(p->end[!peer]), SL_DTLS_FAILED);
			CHECK_EQ(sl_dtls_cause(p->end[!peer]), SL_DTLS_NO_SRTP);
			CHECK_EQ(sl_dtls_keys(p->end[!peer], &k), SL_ESTATE);
		}
}

/* ---- T12: weak suites, renegotiation ---- */

TEST(t12_only_dtls_1_2_and_aes_128_gcm_connect)
{
	static const int suites[][2] = {
		{MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		{MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
		{MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
		{MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM},
		{MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256},
		{MBEDTLS_TLS_RSA_WITH_AES_128_GCM_SHA256},
		{MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		{MBEDTLS_TLS_ECDHE_ECDSA_WITH_NULL_SHA},
	};

	for (size_t i = 0; i < SL_COUNT(suites); i++)
		for (int peer = 0; peer < 2; peer++) {
			struct pair *p = pair_new(18);

			pair_start(p);
			mbedtls_ssl_conf_ciphersuites(lib_conf(p, peer), suites[i]);
			pair_run(p, 2 * SL_SEC);
			CHECK_EQ(pair_connected(p), i == 0);
			CHECK(i == 0 || sl_dtls_state(p->end[!peer]) != SL_DTLS_CONNECTED);
		}
	for (int peer = 0; peer < 2; peer++) {
		struct pair *p = pair_new(19);

		pair_start(p);
		mbedtls_ssl_conf_min_version(lib_conf(p, peer), 3, 2);
		mbedtls_ssl_conf_max_version(lib_conf(p, peer), 3, 2);
		pair_run(p, 2 * SL_SEC);
		CHECK(sl_dtls_state(p->end[!peer]) != SL_DTLS_CONNECTED);
	}
}

TEST(t12_a_peer_that_refuses_every_message_is_given_up_with_a_cause)
{
	static const int suites[] = {MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA, 0};
	struct pair *p = pair_new(20);

	pair_start(p);
	mbedtls_ssl_conf_ciphersuites(lib_conf(p, CLIENT), suites);
	pair_run(p, 40 * SL_SEC);
	CHECK_EQ(sl_dtls_state(p->end[SERVER]), SL_DTLS_FAILED);
	CHECK_EQ(sl_dtls_cause(p->end[SERVER]), SL_DTLS_PROTOCOL);
	CHECK_EQ(sl_dtls_state(p->end[CLIENT]), SL_DTLS_FAILED);
	CHECK(sl_dtls_take_restarts(p->end[SERVER]) <= 60);
}

TEST(t12_renegotiation_and_application_data_of_a_connected_peer_are_ignored)
{
	static const uint8_t types[] = {0, DTLS_HS_CLIENT_HELLO, DTLS_HS_CERTIFICATE,
					DTLS_HS_SERVER_HELLO};

	for (int from = 0; from < 2; from++) {
		struct pair *p = pair_new(21);
		struct sl_dtls_keys before, after;
		uint8_t out[200];
		const uint8_t *data;
		size_t len;
		int n;

		pair_start(p);
		pair_run(p, SL_SEC);
		pair_check(p);
		TRY(sl_dtls_keys(p->end[!from], &before));
		TRY(sl_dtls_keys(p->end[from], &after));
		for (size_t i = 0; i <= SL_COUNT(types); i++) {
			uint8_t msg[DTLS_HS_HDR] = {i < SL_COUNT(types) ? types[i] : (uint8_t)'d'};

			n = dtls_record_seal(&after.records,
					     i < SL_COUNT(types) ? DTLS_HANDSHAKE : 23, msg,
					     sizeof(msg), out, sizeof(out));
			TRY(n);
			sl_dtls_recv(p->end[!from], out, (size_t)n, p->now_us);
			CHECK(!sl_dtls_pull(p->end[!from], &data, &len));
			CHECK_EQ(sl_dtls_state(p->end[!from]), SL_DTLS_CONNECTED);
		}
		TRY(sl_dtls_keys(p->end[!from], &after));
		CHECK_BYTES(&before, &after, sizeof(before));
	}
}

TEST(an_authentic_alert_ends_a_connection_and_a_forged_one_does_not)
{
	struct pair *p = pair_new(22);
	struct sl_dtls_keys k;
	uint8_t out[64];
	int n;

	pair_start(p);
	pair_run(p, SL_SEC);
	pair_check(p);
	TRY(sl_dtls_keys(p->end[CLIENT], &k));
	n = sl_dtls_write_close(&k.records, out, sizeof(out));
	TRY(n);
	out[n - 1] ^= 1;
	sl_dtls_recv(p->end[SERVER], out, (size_t)n, p->now_us);
	CHECK_EQ(sl_dtls_state(p->end[SERVER]), SL_DTLS_CONNECTED);
	inject_alert(p, SERVER, 0);
	CHECK_EQ(sl_dtls_state(p->end[SERVER]), SL_DTLS_CONNECTED);
	out[n - 1] ^= 1;
	sl_dtls_recv(p->end[SERVER], out, (size_t)n, p->now_us);
	if (sl_test_oom_fired())
		sl_test_oom_stop();
	CHECK_EQ(sl_dtls_state(p->end[SERVER]), SL_DTLS_CLOSED);
}

/* ---- T14: floods of fragments ---- */

static bool flood(struct pair *p, int to, const uint8_t *data, size_t len)
{
	uint8_t b[PAIR_DGRAM];

	(void)data, (void)len;
	if (p->tap_count++ > 0 || to != *(const int *)p->tap_arg)
		return true;
	for (uint32_t i = 0; i < 1000; i++) {
		struct hs h = {.type = (uint8_t)(11 + i % 6),
			       .msg_len = 16000,
			       .off = i * 16 % 15000,
			       .len = 125,
			       .seq = (uint16_t)(1 + i % 4)};
		struct hs empty = {
			.type = DTLS_HS_CERTIFICATE, .msg_len = 8000, .off = 0, .len = 0, .seq = 1};

		pair_send(p, to, b, handshake(b, &h));
		pair_send(p, to, b, handshake(b, &empty));
	}
	return true;
}

TEST(t14_a_flood_of_fragments_takes_no_memory_and_the_handshake_goes_on)
{
	for (int end = 0; end < 2; end++) {
		struct pair *p = pair_new(23);

		p->tap = flood;
		p->tap_arg = &end;
		pair_start(p);
		pair_run(p, 20 * SL_SEC);
		pair_check(p);
	}
}

TEST(t14_what_fragments_of_possible_messages_can_hold_is_bounded)
{
	struct pair *p = pair_new(24);
	uint64_t live;
	size_t before, most = 0;
	uint8_t b[PAIR_DGRAM];

	p->loss = 100;
	pair_start(p);
	p->loss = 0;
	p->tap = lose_some;
	p->tap_arg = (const int[3]){CLIENT, 0, 1000};
	pair_run(p, 50 * SL_MS);
	before = mallinfo2().uordblks;
	live = sl_mem_stat().live;
	for (uint32_t i = 0; i < 1000; i++) {
		struct hs h = {.type = i % 3 == 0   ? DTLS_HS_CERTIFICATE
				       : i % 3 == 1 ? DTLS_HS_CLIENT_KEY
						    : DTLS_HS_CERT_VERIFY,
			       .msg_len = i % 3 == 0   ? 8000
					  : i % 3 == 1 ? 200
						       : 1000,
			       .off = 1 + i % 50,
			       .len = 125,
			       .seq = (uint16_t)(1 + i % 3)};

		pair_send(p, SERVER, b, handshake(b, &h));
		most = SL_MAX(most, mallinfo2().uordblks);
	}
	CHECK(most <= before + 16384);
	CHECK_EQ(sl_mem_stat().live, live);
}

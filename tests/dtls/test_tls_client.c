/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls/tls_client.h"
#include "core/base/mem.h"
#include "tests/dtls/pair.h"

#include <mbedtls/ssl.h>

/* A TLS server of the library's, and the bytes between it and the client. */
struct link {
	uint8_t bytes[65536];
	size_t n;
};

static struct server {
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
	struct sl_test_rng seed[2];
	struct sl_rng rng, client_rng;
	struct link in, out;
	bool done;
	int failed;
} S;

static struct sl_tls_client *client;
static struct sl_tls_roots *roots;
enum { ALL = 65536, OOM_RUNS = 200 };

static int server_recv(void *arg, unsigned char *buf, size_t cap)
{
	struct link *l = arg;
	size_t n = SL_MIN(cap, l->n);

	if (n == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	memcpy(buf, l->bytes, n);
	l->n -= n;
	memmove(l->bytes, l->bytes + n, l->n);
	return (int)n;
}

static int server_send(void *arg, const unsigned char *buf, size_t len)
{
	struct server *s = arg;

	CHECK(s->out.n + len <= sizeof(s->out.bytes));
	memcpy(s->out.bytes + s->out.n, buf, len);
	s->out.n += len;
	return (int)len;
}

static int server_read(void *arg, unsigned char *buf, size_t cap)
{
	return server_recv(&((struct server *)arg)->in, buf, cap);
}

static void server_fini(void *unused)
{
	(void)unused;
	mbedtls_ssl_free(&S.ssl);
	mbedtls_ssl_config_free(&S.conf);
	mbedtls_x509_crt_free(&S.cert);
	mbedtls_pk_free(&S.key);
}

static void load(const char *path, bool key)
{
	unsigned char text[8192];
	size_t n = pair_file(path, text, sizeof(text) - 1);

	text[n] = '\0';
	int ret = key ? mbedtls_pk_parse_key(&S.key, text, n + 1, NULL, 0)
		      : mbedtls_x509_crt_parse(&S.cert, text, n + 1);
	if (sl_test_oom_fired())
		sl_test_oom_stop();
	CHECK_EQ(ret, 0);
}

/* A handshake, or what other threads do, takes more allocations than out-of-memory mode goes
 * through: its runs end here. */
static void no_oom(void)
{
	for (int i = 0; i < OOM_RUNS; i++) {
		void *p = sl_zalloc(1);

		TRY(p ? SL_OK : SL_ENOMEM);
		sl_free(p);
	}
}

static void rngs_init(void)
{
	memset(&S, 0, sizeof(S));
	S.rng = sl_test_rng(&S.seed[0], 1);
	S.client_rng = sl_test_rng(&S.seed[1], 2);
}

static void server_init(void)
{
	no_oom();
	rngs_init();
	mbedtls_ssl_init(&S.ssl);
	mbedtls_ssl_config_init(&S.conf);
	mbedtls_x509_crt_init(&S.cert);
	mbedtls_pk_init(&S.key);
	DEFER(server_fini, NULL);
	load("tests/vectors/dtls/turn-cert.pem", false);
	load("tests/vectors/dtls/turn-key.pem", true);
	CHECK_EQ(mbedtls_ssl_config_defaults(&S.conf, MBEDTLS_SSL_IS_SERVER,
					     MBEDTLS_SSL_TRANSPORT_STREAM,
					     MBEDTLS_SSL_PRESET_DEFAULT),
		 0);
	mbedtls_ssl_conf_rng(&S.conf, dtls_lib_rng, &S.rng);
	CHECK_EQ(mbedtls_ssl_conf_own_cert(&S.conf, &S.cert, &S.key), 0);
	CHECK_EQ(mbedtls_ssl_setup(&S.ssl, &S.conf), 0);
	mbedtls_ssl_set_bio(&S.ssl, &S, server_send, server_read, NULL);
}

static void client_fini(void *unused)
{
	(void)unused;
	sl_tls_client_free(client);
	sl_tls_roots_free(roots);
	client = NULL;
	roots = NULL;
}

static void start(const char *host, const char *roots_path)
{
	struct sl_tls_client_conf conf = {.host = host, .rng = &S.client_rng};
	char pem[8192];

	server_init();
	DEFER(client_fini, NULL);
	if (roots_path)
		TRY(sl_tls_roots_new(sl_str(pem, pair_file(roots_path, pem, sizeof(pem))), &roots));
	conf.roots = roots;
	TRY(sl_tls_client_new(&conf, &client));
}

/* Moves bytes both ways, at most `step` at a time, until nothing moves. */
static void run(size_t step)
{
	bool moved;

	do {
		const uint8_t *p;
		size_t n = SL_MIN(sl_tls_client_pull(client, 0, &p), step);

		moved = n > 0;
		CHECK(S.in.n + n <= sizeof(S.in.bytes));
		memcpy(S.in.bytes + S.in.n, p, n);
		S.in.n += n;
		(void)sl_tls_client_pull(client, n, &p);
		if (!S.done && !S.failed) {
			int ret = mbedtls_ssl_handshake(&S.ssl);

			S.done = ret == 0;
			S.failed = S.done || ret == MBEDTLS_ERR_SSL_WANT_READ ? 0 : ret;
		}
		n = sl_tls_client_recv(client, S.out.bytes, SL_MIN(S.out.n, step));
		S.out.n -= n;
		memmove(S.out.bytes, S.out.bytes + n, S.out.n);
		moved |= n > 0;
	} while (moved);
}

static bool says(const char *part)
{
	return strstr(sl_tls_client_why(client), part) != NULL;
}

TEST(a_tls_stream_carries_text_both_ways_however_it_is_cut)
{
	char text[64];

	for (size_t step = 1; step < 4000; step = step * 7 + 1) {
		start("turn.example.org", NULL);
		run(step);
		CHECK_EQ(sl_tls_client_state(client), SL_TLS_CONNECTED);
		CHECK(S.done);
		CHECK_EQ(sl_tls_client_write(client, "to the server", 13), 13);
		run(step);
		CHECK_EQ(mbedtls_ssl_read(&S.ssl, (unsigned char *)text, sizeof(text)), 13);
		CHECK_BYTES(text, "to the server", 13);
		CHECK_EQ(mbedtls_ssl_write(&S.ssl, (const unsigned char *)"back", 4), 4);
		for (size_t n = 0; n == 0; n = sl_tls_client_read(client, text, sizeof(text)))
			run(step);
		CHECK_BYTES(text, "back", 4);
		client_fini(NULL);
		server_fini(NULL);
	}
}

TEST(text_is_not_taken_before_the_handshake_is_done_or_while_bytes_wait)
{
	const uint8_t *p;

	start("turn.example.org", NULL);
	CHECK_EQ(sl_tls_client_write(client, "early", 5), 0);
	run(ALL);
	CHECK_EQ(sl_tls_client_write(client, "first", 5), 5);
	CHECK_EQ(sl_tls_client_write(client, "second", 6), 0);
	CHECK(sl_tls_client_pull(client, 0, &p) > 5);
	run(ALL);
	CHECK_EQ(sl_tls_client_write(client, "second", 6), 6);
}

TEST(long_text_goes_in_records_that_fit)
{
	static uint8_t text[20000], back[20000];
	size_t sent = 0, got = 0;

	start("turn.example.org", NULL);
	run(ALL);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	while (got < sizeof(text)) {
		sent += sl_tls_client_write(client, text + sent, sizeof(text) - sent);
		run(ALL);
		int n = mbedtls_ssl_read(&S.ssl, back + got, sizeof(back) - got);
		CHECK(n > 0);
		got += (size_t)n;
	}
	CHECK_BYTES(text, back, sizeof(text));
}

TEST(a_certificate_for_the_name_by_a_known_authority_is_accepted)
{
	start("turn.example.org", "tests/vectors/dtls/turn-cert.pem");
	run(ALL);
	CHECK_EQ(sl_tls_client_state(client), SL_TLS_CONNECTED);
}

TEST(a_certificate_for_the_address_is_accepted)
{
	static const char *const hosts[] = {"192.0.2.9", "2001:db8::9"};

	for (size_t i = 0; i < SL_COUNT(hosts); i++) {
		start(hosts[i], "tests/vectors/dtls/turn-cert.pem");
		run(ALL);
		CHECK_EQ(sl_tls_client_state(client), SL_TLS_CONNECTED);
		client_fini(NULL);
		server_fini(NULL);
	}
}

TEST(t48_a_certificate_for_another_host_or_of_nobody_known_ends_the_stream_in_words)
{
	static const struct {
		const char *host, *roots;
	} cases[] = {
		{"turn.example.com", "tests/vectors/dtls/turn-cert.pem"},
		{"192.0.2.10", "tests/vectors/dtls/turn-cert.pem"},
		{"2001:db8::a", "tests/vectors/dtls/turn-cert.pem"},
		{"turn.example.org", "tests/vectors/dtls/ec-cert.pem"},
	};

	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		start(cases[i].host, cases[i].roots);
		run(ALL);
		CHECK_EQ(sl_tls_client_state(client), SL_TLS_FAILED);
		CHECK(says("the server's certificate is not accepted: "));
		CHECK(says(i < 3 ? "Common Name" : "trusted CA"));
		CHECK_EQ(sl_tls_client_write(client, "x", 1), 0);
		client_fini(NULL);
		server_fini(NULL);
	}
}

TEST(a_goodbye_of_either_side_closes_the_stream)
{
	char text[8];

	start("turn.example.org", NULL);
	run(ALL);
	CHECK_EQ(mbedtls_ssl_close_notify(&S.ssl), 0);
	run(ALL);
	CHECK_EQ(sl_tls_client_read(client, text, sizeof(text)), 0);
	CHECK_EQ(sl_tls_client_state(client), SL_TLS_CLOSED);
	client_fini(NULL);
	server_fini(NULL);
	start("turn.example.org", NULL);
	run(ALL);
	sl_tls_client_close(client);
	run(ALL);
	CHECK_EQ(mbedtls_ssl_read(&S.ssl, (unsigned char *)text, sizeof(text)),
		 MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
}

TEST(t48_bytes_that_are_no_tls_end_the_stream_in_words)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	struct sl_tls_client_conf conf = {.host = "turn.example.org", .rng = &S.client_rng};

	rngs_init();
	DEFER(client_fini, NULL);
	TRY(sl_tls_client_new(&conf, &client));
	(void)sl_tls_client_recv(client, text, sizeof(text) - 1);
	CHECK_EQ(sl_tls_client_state(client), SL_TLS_FAILED);
	CHECK(says("no TLS that is understood"));
}

TEST(t46_a_name_longer_than_253_bytes_is_refused)
{
	struct sl_tls_client_conf conf = {.rng = &S.client_rng};
	char name[255];

	rngs_init();
	DEFER(client_fini, NULL);
	memset(name, 'a', sizeof(name));
	name[254] = '\0';
	conf.host = name;
	CHECK_EQ(sl_tls_client_new(&conf, &client), SL_ERANGE);
	name[253] = '\0';
	TRY(sl_tls_client_new(&conf, &client));
}

TEST(authorities_that_cannot_be_read_are_none)
{
	char pem[8192];
	size_t n = pair_file("tests/vectors/dtls/turn-cert.pem", pem, sizeof(pem));

	DEFER(client_fini, NULL);
	TRY(sl_tls_roots_new(sl_str(pem, n), &roots));
	struct sl_tls_roots *none = NULL;
	int err = sl_tls_roots_new(SL_STR("nothing"), &none);
	if (err != SL_EPARSE)
		TRY(err);
	CHECK_EQ(err, SL_EPARSE);
}

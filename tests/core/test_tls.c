/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/core.h"
#include "core/tls.h"
#include "tests/test.h"

#include <errno.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, ECHOES = 4, OOM_RUNS = 200 };

/* A server on loopback that gives back what it gets, one connection after the other. */
static struct echo {
	struct sl_test_rng seed;
	struct sl_rng rng;
	mbedtls_ssl_config conf;
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
	mbedtls_net_context listener;
	struct sl_addr addr;
	pthread_t thread;
	bool hang_up; /* after the first text */
	int goodbyes;
	uint8_t last[16384]; /* what came last before a goodbye */
	size_t last_len, before_goodbye;
} E;

static int echo_rng(void *arg, unsigned char *out, size_t n)
{
	sl_rng_fill(arg, out, n);
	return 0;
}

static void serve(mbedtls_net_context *peer)
{
	mbedtls_ssl_context ssl;
	int n = 0;

	mbedtls_ssl_init(&ssl);
	CHECK_EQ(mbedtls_ssl_setup(&ssl, &E.conf), 0);
	mbedtls_ssl_set_bio(&ssl, peer, mbedtls_net_send, mbedtls_net_recv, NULL);
	if (mbedtls_ssl_handshake(&ssl) == 0)
		for (;;) {
			n = mbedtls_ssl_read(&ssl, E.last, sizeof(E.last));
			if (n <= 0)
				break;
			E.last_len = (size_t)n;
			for (int at = 0, m = 0; at < n && m >= 0; at += m)
				m = mbedtls_ssl_write(&ssl, E.last + at, (size_t)(n - at));
			if (E.hang_up)
				break;
		}
	if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
		SL_STORE(&E.goodbyes, E.goodbyes + 1);
		SL_STORE(&E.before_goodbye, E.last_len);
	}
	mbedtls_ssl_free(&ssl);
}

static void *echo_main(void *arg)
{
	mbedtls_net_context peer;

	(void)arg;
	for (;;) {
		mbedtls_net_init(&peer);
		if (mbedtls_net_accept(&E.listener, &peer, NULL, 0, NULL) != 0)
			return NULL;
		setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		serve(&peer);
		mbedtls_net_free(&peer);
	}
}

static void echo_fini(void *unused)
{
	(void)unused;
	sl_tls_stop();
	sl_tls_set_verify(false);
	if (E.thread) {
		shutdown(E.listener.fd, SHUT_RDWR);
		pthread_join(E.thread, NULL);
	}
	mbedtls_net_free(&E.listener);
	mbedtls_ssl_config_free(&E.conf);
	mbedtls_x509_crt_free(&E.cert);
	mbedtls_pk_free(&E.key);
}

static struct sl_addr bound_to(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct sl_addr a;

	CHECK_EQ(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	CHECK_EQ(sl_addr_from_sockaddr((struct sockaddr *)&ss, &a), SL_OK);
	return a;
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

static void echo_start(void)
{
	no_oom();
	memset(&E, 0, sizeof(E));
	E.rng = sl_test_rng(&E.seed, 1);
	mbedtls_ssl_config_init(&E.conf);
	mbedtls_x509_crt_init(&E.cert);
	mbedtls_pk_init(&E.key);
	mbedtls_net_init(&E.listener);
	DEFER(echo_fini, NULL);
	CHECK_EQ(mbedtls_x509_crt_parse_file(&E.cert, "tests/vectors/dtls/turn-cert.pem"), 0);
	CHECK_EQ(mbedtls_pk_parse_keyfile(&E.key, "tests/vectors/dtls/turn-key.pem", NULL), 0);
	CHECK_EQ(mbedtls_ssl_config_defaults(&E.conf, MBEDTLS_SSL_IS_SERVER,
					     MBEDTLS_SSL_TRANSPORT_STREAM,
					     MBEDTLS_SSL_PRESET_DEFAULT),
		 0);
	mbedtls_ssl_conf_rng(&E.conf, echo_rng, &E.rng);
	CHECK_EQ(mbedtls_ssl_conf_own_cert(&E.conf, &E.cert, &E.key), 0);
	CHECK_EQ(mbedtls_net_bind(&E.listener, "127.0.0.1", "0", MBEDTLS_NET_PROTO_TCP), 0);
	E.addr = bound_to(E.listener.fd);
	CHECK_EQ(pthread_create(&E.thread, NULL, echo_main, NULL), 0);
}

static int open_stream(const char *host)
{
	struct sl_core_why why;
	int fd = sl_tls_stream(&E.addr, host, &why);

	TRY(fd);
	return fd;
}

/* Reads exactly n bytes; returns how many came before the end. */
static size_t get(int fd, uint8_t *buf, size_t n)
{
	size_t got = 0;

	while (got < n) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t m;

		CHECK(poll(&p, 1, PATIENCE_MS) > 0);
		m = recv(fd, buf + got, n - got, 0);
		if (m == 0)
			break;
		CHECK(m > 0 || errno == EAGAIN || errno == ECONNRESET);
		got += m > 0 ? (size_t)m : 0;
	}
	return got;
}

static void put(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		ssize_t m;

		CHECK(poll(&p, 1, PATIENCE_MS) > 0);
		m = send(fd, data, len, MSG_NOSIGNAL);
		CHECK(m > 0 || errno == EAGAIN);
		data += m > 0 ? m : 0;
		len -= m > 0 ? (size_t)m : 0;
	}
}

TEST(what_is_written_before_the_connection_is_there_arrives_and_comes_back)
{
	uint8_t back[5];

	echo_start();
	int fd = open_stream("127.0.0.1");
	put(fd, (const uint8_t *)"hello", 5);
	CHECK_EQ(get(fd, back, 5), 5);
	CHECK_BYTES(back, "hello", 5);
	close(fd);
}

TEST(a_megabyte_crosses_a_tls_stream_and_back)
{
	enum { WHOLE = 1 << 20, STEP = 16384 };
	static uint8_t text[WHOLE], back[WHOLE];

	for (size_t i = 0; i < WHOLE; i++)
		text[i] = (uint8_t)(i * 31 >> 8);
	echo_start();
	int fd = open_stream("127.0.0.1");
	for (size_t at = 0; at < WHOLE; at += STEP) {
		put(fd, text + at, STEP);
		CHECK_EQ(get(fd, back + at, STEP), STEP);
	}
	CHECK_BYTES(text, back, WHOLE);
	close(fd);
}

TEST(closing_the_plain_end_sends_what_was_written_and_says_goodbye)
{
	uint8_t back[5];

	echo_start();
	int fd = open_stream("127.0.0.1");
	put(fd, (const uint8_t *)"hello", 5);
	CHECK_EQ(get(fd, back, 5), 5);
	put(fd, (const uint8_t *)"last words", 10);
	close(fd);
	/* The server takes the next connection when the first is over. */
	fd = open_stream("127.0.0.1");
	put(fd, (const uint8_t *)"x", 1);
	CHECK_EQ(get(fd, back, 1), 1);
	CHECK_EQ(SL_LOAD(&E.goodbyes), 1);
	CHECK_EQ(SL_LOAD(&E.before_goodbye), 10);
	close(fd);
}

TEST(a_server_that_hangs_up_is_an_end_of_file)
{
	uint8_t back[8];

	echo_start();
	E.hang_up = true;
	int fd = open_stream("127.0.0.1");
	put(fd, (const uint8_t *)"x", 1);
	CHECK_EQ(get(fd, back, 2), 1);
	close(fd);
}

TEST(a_server_that_is_not_there_is_an_end_of_file)
{
	uint8_t back[1];

	echo_start();
	E.addr.port = 9; /* nobody listens */
	int fd = open_stream("127.0.0.1");
	CHECK_EQ(get(fd, back, 1), 0);
	close(fd);
}

TEST(t48_a_checked_certificate_has_to_be_for_the_host)
{
	uint8_t back[1];

	CHECK_EQ(setenv("SSL_CERT_FILE", "tests/vectors/dtls/turn-cert.pem", 1), 0);
	echo_start();
	sl_tls_set_verify(true);
	int fd = open_stream("127.0.0.1");
	CHECK_EQ(get(fd, back, 1), 0);
	close(fd);
	fd = open_stream("turn.example.org");
	put(fd, (const uint8_t *)"x", 1);
	CHECK_EQ(get(fd, back, 1), 1);
	close(fd);
	CHECK_EQ(unsetenv("SSL_CERT_FILE"), 0);
}

TEST(stopping_ends_all_streams)
{
	uint8_t back[1];
	int fd[ECHOES];

	echo_start();
	for (int i = 0; i < ECHOES; i++)
		fd[i] = open_stream("127.0.0.1");
	sl_tls_stop();
	for (int i = 0; i < ECHOES; i++) {
		CHECK_EQ(get(fd[i], back, 1), 0);
		close(fd[i]);
	}
	sl_tls_stop(); /* twice does no harm */
}

TEST(t46_a_host_name_that_is_too_long_gives_no_stream)
{
	struct sl_core_why why;
	char name[255];

	echo_start();
	memset(name, 'a', sizeof(name));
	name[254] = '\0';
	CHECK_EQ(sl_tls_stream(&E.addr, name, &why), SL_ERANGE);
}

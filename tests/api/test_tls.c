/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/rig.h"
#include <fcntl.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void with_cert(void)
{
	rig_init();
	(void)sl_fmt(rig.conf.http.cert, SL_CONFIG_TEXT_MAX, "tests/vectors/dtls/ec-cert.pem");
	(void)sl_fmt(rig.conf.http.key, SL_CONFIG_TEXT_MAX, "tests/vectors/dtls/ec-key.pem");
}

/* ================= a TLS client on the rig's loop ================= */

static struct tls_client {
	struct client *c;
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	struct sl_test_rng seed;
	struct sl_rng rng;
} tls;

static int draw(void *arg, unsigned char *out, size_t n)
{
	sl_rng_fill(arg, out, n);
	return 0;
}

static int give(void *arg, const unsigned char *p, size_t n)
{
	struct client *c = arg;

	client_send(c, (const char *)p, n);
	return (int)n;
}

static int take(void *arg, unsigned char *p, size_t n)
{
	struct client *c = arg;
	ssize_t got = recv(c->fd, p, n, MSG_DONTWAIT);

	rig_turn();
	return got < 0 ? MBEDTLS_ERR_SSL_WANT_READ : (int)got;
}

static void tls_end(void *unused)
{
	(void)unused;
	mbedtls_ssl_free(&tls.ssl);
	mbedtls_ssl_config_free(&tls.conf);
}

/* In a run without memory the client itself may be the one that has none. */
#define TLS_OK(call)                                                                               \
	do {                                                                                       \
		int rc_ = (call);                                                                  \
		if (rc_ < 0)                                                                       \
			STOP_AFTER_OOM();                                                          \
		CHECK(rc_ >= 0);                                                                   \
	} while (0)

/* GET /healthz over TLS; the server's certificate goes to *cert (DER). */
static void tls_ask(uint8_t cert[2048], size_t *cert_len)
{
	static const char text[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
	const mbedtls_x509_crt *peer;
	char in[2048];
	int rc;

	tls.rng = sl_test_rng(&tls.seed, 3);
	tls.c = client_new();
	mbedtls_ssl_init(&tls.ssl);
	mbedtls_ssl_config_init(&tls.conf);
	DEFER(tls_end, NULL);
	TLS_OK(mbedtls_ssl_config_defaults(&tls.conf, MBEDTLS_SSL_IS_CLIENT,
					   MBEDTLS_SSL_TRANSPORT_STREAM,
					   MBEDTLS_SSL_PRESET_DEFAULT));
	mbedtls_ssl_conf_authmode(&tls.conf, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_rng(&tls.conf, draw, &tls.rng);
	TLS_OK(mbedtls_ssl_setup(&tls.ssl, &tls.conf));
	mbedtls_ssl_set_bio(&tls.ssl, tls.c, give, take, NULL);
	do
		rc = mbedtls_ssl_handshake(&tls.ssl);
	while (rc == MBEDTLS_ERR_SSL_WANT_READ);
	TLS_OK(rc);
	peer = mbedtls_ssl_get_peer_cert(&tls.ssl);
	CHECK(peer && peer->raw.len <= 2048);
	memcpy(cert, peer->raw.p, peer->raw.len);
	*cert_len = peer->raw.len;
	TLS_OK(mbedtls_ssl_write(&tls.ssl, (const unsigned char *)text, sizeof(text) - 1));
	do
		rc = mbedtls_ssl_read(&tls.ssl, (unsigned char *)in, sizeof(in) - 1);
	while (rc == MBEDTLS_ERR_SSL_WANT_READ);
	TLS_OK(rc);
	in[rc] = 0;
	if (strstr(in, "503"))
		STOP_AFTER_OOM();
	CHECK(strncmp(in, "HTTP/1.1 200 OK", 15) == 0);
	tls_end(NULL);
}

static void copy_file(const char *from, const char *to)
{
	char text[4096];
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n = read(in, text, sizeof(text));

	CHECK(n > 0 && write(out, text, (size_t)n) == n);
	close(in);
	close(out);
}

static char dir[64];

static void remove_dir(void *unused)
{
	(void)unused;
	unlink(rig.conf.http.cert);
	unlink(rig.conf.http.key);
	rmdir(dir);
}

TEST(a_renewed_certificate_is_served_and_a_bad_one_is_not)
{
	uint8_t first[2048], second[2048], third[2048];
	size_t n1, n2, n3;

	rig_init();
	(void)sl_fmt(dir, sizeof(dir), "/tmp/sluice-test-XXXXXX");
	CHECK(mkdtemp(dir));
	(void)sl_fmt(rig.conf.http.cert, SL_CONFIG_TEXT_MAX, "%s/cert.pem", dir);
	(void)sl_fmt(rig.conf.http.key, SL_CONFIG_TEXT_MAX, "%s/key.pem", dir);
	DEFER(remove_dir, NULL);
	copy_file("tests/vectors/dtls/ec-cert.pem", rig.conf.http.cert);
	copy_file("tests/vectors/dtls/ec-key.pem", rig.conf.http.key);
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	tls_ask(first, &n1);
	copy_file("tests/vectors/dtls/rsa-cert.pem", rig.conf.http.cert);
	copy_file("tests/vectors/dtls/rsa-key.pem", rig.conf.http.key);
	sl_api_reload_cert(rig.api);
	tls_ask(second, &n2);
	CHECK(n1 != n2 || memcmp(first, second, n1) != 0 || sl_test_oom_fired());
	copy_file("tests/api/test_tls.c", rig.conf.http.cert);
	sl_api_reload_cert(rig.api);
	tls_ask(third, &n3);
	CHECK(n2 == n3 && memcmp(second, third, n2) == 0);
	/* T53: a key that others may read is refused here as it is at start. */
	copy_file("tests/vectors/dtls/ec-cert.pem", rig.conf.http.cert);
	copy_file("tests/vectors/dtls/ec-key.pem", rig.conf.http.key);
	CHECK_EQ(chmod(rig.conf.http.key, 0604), 0);
	sl_api_reload_cert(rig.api);
	tls_ask(third, &n3);
	CHECK(n2 == n3 && memcmp(second, third, n2) == 0);
	CHECK_EQ(chmod(rig.conf.http.key, 0600), 0);
	for (int i = 0; i < 4; i++) {
		copy_file(i % 2 ? "tests/vectors/dtls/rsa-cert.pem"
				: "tests/vectors/dtls/ec-cert.pem",
			  rig.conf.http.cert);
		copy_file(i % 2 ? "tests/vectors/dtls/rsa-key.pem"
				: "tests/vectors/dtls/ec-key.pem",
			  rig.conf.http.key);
		sl_api_reload_cert(rig.api);
		rig_turn();
	}
	tls_ask(third, &n3);
	CHECK((n2 == n3 && memcmp(second, third, n2) == 0) || sl_test_oom_fired());
}

TEST(with_a_certificate_the_first_byte_tells_tls_from_plain)
{
	static const uint8_t not_tls[] = {0x16, 0x03, 0x01, 0x00, 0x05, 'h', 'e', 'l', 'l', 'o'};
	struct client *c;

	with_cert();
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
	c = client_new();
	client_send(c, (const char *)not_tls, sizeof(not_tls));
	CHECK_EQ(client_answer(c)->status, 0);
	CHECK(c->n == 0 || c->in[0] == 0x15);
	c = client_new();
	client_close(c);
	RIG_UNTIL(rig.api->conn_count == 0);
}

TEST(plain_requests_from_elsewhere_are_sent_to_https)
{
	struct client *c;
	const struct answer *a;
	char ip[64], want[128];

	if (!own_address(ip))
		return;
	with_cert();
	(void)sl_fmt(rig.conf.http.bind, SL_CONFIG_TEXT_MAX, "0.0.0.0");
	rig.conf.http.insecure = true;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	c = client_new_from(ip, ip);
	client_say(
		c,
		"GET /whip/Zo%%C3%%AB?participant=a%%26b&x=%%22 HTTP/1.1\r\nHost: %s:8888\r\n\r\n",
		ip);
	a = client_answer(c);
	CHECK_EQ(a->status, 308);
	CHECK(sl_fmt(want, sizeof(want),
		     "https://%s:8888/whip/Zo%%C3%%AB?participant=a%%26b&x=%%22", ip));
	CHECK_STR(answer_header(a, "Location"), want);
	c = client_new_from(ip, ip);
	client_say(c, "GET / HTTP/1.1\r\nHost: evil\"><script>\r\n\r\n");
	CHECK_EQ(client_answer(c)->status, 400);
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
}

TEST(an_unusable_certificate_or_address_is_told_at_start)
{
	rig_init();
	(void)sl_fmt(rig.conf.http.cert, SL_CONFIG_TEXT_MAX, "/nonexistent.pem");
	(void)sl_fmt(rig.conf.http.key, SL_CONFIG_TEXT_MAX, "/nonexistent.pem");
	DEFER(rig_stop, NULL);
	CHECK(rig_start() < 0);
	CHECK(strstr(rig.why.text, "http.cert") || sl_test_oom_fired());
	rig_stop(NULL);
	rig_init();
	(void)sl_fmt(rig.conf.http.bind, SL_CONFIG_TEXT_MAX, "192.0.2.99");
	CHECK(rig_start() < 0);
	CHECK(strstr(rig.why.text, "192.0.2.99") || sl_test_oom_fired());
}

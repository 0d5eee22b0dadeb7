/* SPDX-License-Identifier: Apache-2.0
 * dtls/tls_client.c — a TLS 1.2 client over mbedTLS 2.28. The library reads from `in` and writes
 * to `out`; it never waits. */
#include "dtls/tls_client.h"
#include "core/base/addr.h"
#include "core/base/mem.h"
#include "dtls/dtls_int.h"

#include <mbedtls/ssl.h>

enum {
	IN_BYTES = 4096,
	OUT_BYTES = 8192, /* a flight of the handshake, or a record of WRITE_MAX */
	WRITE_MAX = 4096, /* plain text of one record */
	WHY_BYTES = 160,
	SAN_IP = 0x87,	    /* RFC 5280 section 4.2.1.6: iPAddress is [7] */
	NAME_MAX_LEN = 253, /* RFC 1035 section 2.3.4 */
};

struct sl_tls_roots {
	mbedtls_x509_crt chain;
};

struct sl_tls_client {
	/* owned */
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	/* state */
	enum sl_tls_state state;
	struct sl_addr ip; /* the host, where it is an address: family 0 if not */
	size_t in_head, in_tail, out_head, out_tail;
	char why[WHY_BYTES];
	uint8_t in[IN_BYTES], out[OUT_BYTES];
};

/* ---- authorities ---- */

int sl_tls_roots_new(struct sl_str pem, struct sl_tls_roots **out)
{
	struct sl_tls_roots *r = sl_zalloc(sizeof(*r));
	char *text = sl_strndup(pem.p, pem.n); /* the library wants the NUL */
	int ret = MBEDTLS_ERR_X509_ALLOC_FAILED;

	if (r)
		mbedtls_x509_crt_init(&r->chain);
	if (r && text)
		ret = mbedtls_x509_crt_parse(&r->chain, (unsigned char *)text, pem.n + 1);
	sl_free(text);
	/* Above 0: how many could not be read. */
	if (ret >= 0 && r && r->chain.raw.p) {
		*out = r;
		return SL_OK;
	}
	sl_tls_roots_free(r);
	return dtls_lib_nomem(ret) ? SL_ENOMEM : SL_EPARSE;
}

void sl_tls_roots_free(struct sl_tls_roots *roots)
{
	if (!roots)
		return;
	mbedtls_x509_crt_free(&roots->chain);
	sl_free(roots);
}

/* ---- what the library calls ---- */

static int lib_send(void *arg, const unsigned char *data, size_t len)
{
	struct sl_tls_client *c = arg;
	size_t n;

	if (c->out_head == c->out_tail)
		c->out_head = c->out_tail = 0;
	n = SL_MIN(len, (size_t)OUT_BYTES - c->out_tail);
	if (n == 0)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	memcpy(c->out + c->out_tail, data, n);
	c->out_tail += n;
	return (int)n;
}

static int lib_recv(void *arg, unsigned char *buf, size_t cap)
{
	struct sl_tls_client *c = arg;
	size_t n = SL_MIN(cap, c->in_tail - c->in_head);

	if (n == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	memcpy(buf, c->in + c->in_head, n);
	c->in_head += n;
	return (int)n;
}

static bool names_address(const mbedtls_x509_crt *crt, const struct sl_addr *ip)
{
	size_t n = ip->family == 4 ? 4 : 16;

	for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next)
		if (s->buf.tag == SAN_IP && s->buf.len == n && memcmp(s->buf.p, ip->ip, n) == 0)
			return true;
	return false;
}

/* RFC 6125 section 6: the library compares names; addresses it does not. */
static int lib_verify(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	const struct sl_tls_client *c = arg;

	if (depth == 0 && c->ip.family && !names_address(crt, &c->ip))
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	return 0;
}

/* ---- making and freeing ---- */

static int set_host(struct sl_tls_client *c, const char *host)
{
	struct sl_str s = sl_str_z(host);

	if (sl_addr_parse_ip(s, &c->ip) == SL_OK)
		return 0; /* RFC 6066 section 3: addresses are not told */
	if (s.n == 0)
		return 0;
	return mbedtls_ssl_set_hostname(&c->ssl, host);
}

static int configure(struct sl_tls_client *c, const struct sl_tls_client_conf *conf)
{
	mbedtls_x509_crt *roots =
		conf->roots ? (mbedtls_x509_crt *)(uintptr_t)&conf->roots->chain : NULL;
	int ret = mbedtls_ssl_config_defaults(&c->conf, MBEDTLS_SSL_IS_CLIENT,
					      MBEDTLS_SSL_TRANSPORT_STREAM,
					      MBEDTLS_SSL_PRESET_DEFAULT);

	if (ret)
		return ret;
	mbedtls_ssl_conf_min_version(&c->conf, MBEDTLS_SSL_MAJOR_VERSION_3,
				     MBEDTLS_SSL_MINOR_VERSION_3);
	mbedtls_ssl_conf_rng(&c->conf, dtls_lib_rng, (void *)(uintptr_t)conf->rng);
	mbedtls_ssl_conf_renegotiation(&c->conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
	mbedtls_ssl_conf_session_tickets(&c->conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
	mbedtls_ssl_conf_authmode(&c->conf,
				  roots ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_ca_chain(&c->conf, roots, NULL);
	mbedtls_ssl_conf_verify(&c->conf, lib_verify, c);
	ret = mbedtls_ssl_setup(&c->ssl, &c->conf);
	if (!ret)
		ret = set_host(c, conf->host);
	mbedtls_ssl_set_bio(&c->ssl, c, lib_send, lib_recv, NULL);
	return ret;
}

/* ---- steps ---- */

static void say_why(struct sl_tls_client *c, int ret)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(&c->ssl);
	struct sl_buf b = sl_buf(c->why, sizeof(c->why));

	if (ret == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
		char text[128] = "";
		struct sl_str first = sl_str_z(text);

		mbedtls_x509_crt_verify_info(text, sizeof(text), "", flags);
		first.n = strlen(text);
		first = sl_str_cut(&first, '\n');
		sl_buf_fmt(&b, "the server's certificate is not accepted: %.*s", SL_STR_ARG(first));
	} else if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
		sl_buf_z(&b, "the server refused the TLS connection with an alert");
	} else if (dtls_lib_nomem(ret)) {
		sl_buf_z(&b, sl_strerror(SL_ENOMEM));
	} else {
		sl_buf_fmt(&b, "the server's bytes are no TLS that is understood (-0x%04x)",
			   (unsigned)-ret);
	}
}

/* What a result of the library means for the state; true: it went on. */
static bool went_on(struct sl_tls_client *c, int ret)
{
	if (ret >= 0)
		return true;
	if (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE)
		return false;
	if (ret == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
		c->state = SL_TLS_CLOSED;
		return false;
	}
	say_why(c, ret);
	c->state = SL_TLS_FAILED;
	return false;
}

static void shake_hands(struct sl_tls_client *c)
{
	if (c->state == SL_TLS_HANDSHAKING && went_on(c, mbedtls_ssl_handshake(&c->ssl)))
		c->state = SL_TLS_CONNECTED;
}

int sl_tls_client_new(const struct sl_tls_client_conf *conf, struct sl_tls_client **out)
{
	struct sl_tls_client *c;
	int ret;

	if (strlen(conf->host) > NAME_MAX_LEN)
		return SL_ERANGE;
	c = sl_zalloc(sizeof(*c));
	if (!c)
		return SL_ENOMEM;
	mbedtls_ssl_init(&c->ssl);
	mbedtls_ssl_config_init(&c->conf);
	ret = configure(c, conf);
	if (!ret)
		shake_hands(c);
	if (!ret && c->state != SL_TLS_FAILED) {
		*out = c;
		return SL_OK;
	}
	sl_tls_client_free(c);
	return SL_ENOMEM; /* nothing else is left */
}

void sl_tls_client_free(struct sl_tls_client *c)
{
	if (!c)
		return;
	mbedtls_ssl_free(&c->ssl);
	mbedtls_ssl_config_free(&c->conf);
	sl_wipe(c->in, sizeof(c->in));
	sl_free(c);
}

size_t sl_tls_client_recv(struct sl_tls_client *c, const void *data, size_t len)
{
	size_t n;

	memmove(c->in, c->in + c->in_head, c->in_tail - c->in_head);
	c->in_tail -= c->in_head;
	c->in_head = 0;
	n = SL_MIN(len, (size_t)IN_BYTES - c->in_tail);
	memcpy(c->in + c->in_tail, data, n);
	c->in_tail += n;
	shake_hands(c);
	return n;
}

size_t sl_tls_client_pull(struct sl_tls_client *c, size_t sent, const uint8_t **out)
{
	c->out_head += SL_MIN(sent, c->out_tail - c->out_head);
	if (c->out_head == c->out_tail)
		shake_hands(c); /* it may have waited for room */
	*out = c->out + c->out_head;
	return c->out_tail - c->out_head;
}

size_t sl_tls_client_read(struct sl_tls_client *c, void *buf, size_t cap)
{
	int n;

	if (c->state != SL_TLS_CONNECTED || cap == 0)
		return 0;
	n = mbedtls_ssl_read(&c->ssl, buf, cap);
	if (n == 0) /* the library's word for an end without goodbye: no bytes are left */
		return 0;
	return went_on(c, n) ? (size_t)n : 0;
}

/* A record fits into `out` when that is empty, so the library never has to be asked twice. */
size_t sl_tls_client_write(struct sl_tls_client *c, const void *data, size_t len)
{
	int n;

	if (c->state != SL_TLS_CONNECTED || c->out_head != c->out_tail || len == 0)
		return 0;
	n = mbedtls_ssl_write(&c->ssl, data, SL_MIN(len, (size_t)WRITE_MAX));
	return went_on(c, n) ? (size_t)n : 0;
}

void sl_tls_client_close(struct sl_tls_client *c)
{
	if (c->state == SL_TLS_CONNECTED)
		(void)mbedtls_ssl_close_notify(&c->ssl);
	if (c->state != SL_TLS_FAILED)
		c->state = SL_TLS_CLOSED;
}

enum sl_tls_state sl_tls_client_state(const struct sl_tls_client *c)
{
	return c->state;
}

const char *sl_tls_client_why(const struct sl_tls_client *c)
{
	return c->why;
}

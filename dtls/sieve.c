/* SPDX-License-Identifier: Apache-2.0
 * dtls/sieve.c — which unprotected handshake messages are possible now. Anybody may have sent them,
 * and the library aborts at the first that it does not expect. */
#include "dtls/dtls_int.h"

#include <mbedtls/ssl.h>

enum {
	AHEAD_MAX = 4, /* messages that may come early */
	CERTIFICATE_MAX = 8192,
};

/* RFC 5246 section 7.3, by what the library waits for. */
static const struct {
	int state;
	uint8_t type, or_type;
} awaited[2][6] = {
	{
		{MBEDTLS_SSL_CLIENT_CERTIFICATE, DTLS_HS_CERTIFICATE, 0},
		{MBEDTLS_SSL_CLIENT_KEY_EXCHANGE, DTLS_HS_CLIENT_KEY, 0},
		{MBEDTLS_SSL_CERTIFICATE_VERIFY, DTLS_HS_CERT_VERIFY, 0},
	},
	{
		{MBEDTLS_SSL_SERVER_HELLO, DTLS_HS_SERVER_HELLO, DTLS_HS_HELLO_VERIFY},
		{MBEDTLS_SSL_SERVER_CERTIFICATE, DTLS_HS_CERTIFICATE, 0},
		{MBEDTLS_SSL_SERVER_KEY_EXCHANGE, DTLS_HS_SERVER_KEY, 0},
		{MBEDTLS_SSL_CERTIFICATE_REQUEST, DTLS_HS_CERT_REQUEST, DTLS_HS_HELLO_DONE},
		{MBEDTLS_SSL_SERVER_HELLO_DONE, DTLS_HS_HELLO_DONE, 0},
	},
};

/* Longest message of each type that the other role may send; 0: none. It bounds what waits for its
 * missing parts. */
static const uint16_t longest[2][DTLS_HS_FINISHED + 1] = {
	{
		[DTLS_HS_CERTIFICATE] = CERTIFICATE_MAX,
		[DTLS_HS_CLIENT_KEY] = 256,
		[DTLS_HS_CERT_VERIFY] = 1032,
	},
	{
		[DTLS_HS_HELLO_VERIFY] = 3 + 255,
		[DTLS_HS_SERVER_HELLO] = 1024,
		[DTLS_HS_CERTIFICATE] = CERTIFICATE_MAX,
		[DTLS_HS_SERVER_KEY] = 2048,
		[DTLS_HS_CERT_REQUEST] = 4096,
		[DTLS_HS_HELLO_DONE] = 1,
	},
};

static bool fits_state(bool client, int state, uint32_t next, const struct dtls_fragment *f)
{
	if (f->msg_seq < next) /* old: at most we answer with our flight */
		return true;
	if (f->msg_seq > next + AHEAD_MAX)
		return false;
	for (size_t i = 0; i < SL_COUNT(awaited[0]); i++)
		if (awaited[client][i].type && awaited[client][i].state == state)
			return f->msg_seq > next || f->type == awaited[client][i].type ||
			       f->type == awaited[client][i].or_type;
	return false;
}

bool dtls_sieve(bool client, int state, uint32_t next, const struct dtls_record *rec)
{
	struct sl_rd in = sl_rd(rec->body, rec->len);
	struct dtls_fragment f;

	while (sl_rd_left(&in) > 0) {
		if (dtls_fragment_read(&in, &f) || f.type >= SL_COUNT(longest[0]))
			return false;
		if (f.msg_len > longest[client][f.type] || !longest[client][f.type] ||
		    !fits_state(client, state, next, &f))
			return false;
	}
	return true;
}

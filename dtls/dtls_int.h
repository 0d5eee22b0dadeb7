/* SPDX-License-Identifier: Apache-2.0
 * dtls/dtls_int.h — what the files of this folder share; tests may look in. */
#ifndef DTLS_INT_H
#define DTLS_INT_H
#include "core/base/bytes.h"
#include "dtls/dtls.h"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

/* ---- cert.c ---- */
struct sl_cert {
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
	mbedtls_ecp_group p256; /* with its table of multiples of the base point, see below */
	char fingerprint[SL_SHA256_LEN * 3];
};

/* The library works out that table anew for each group that it loads, and loads one for each key:
 * more than half of what making a key costs, and a third of a signature or its check. Here it
 * is copied into a P-256 group that has none; without memory that is left to the library. */
void dtls_lend_table(const struct sl_cert *cert, mbedtls_ecp_group *to);
/* A key on P-256 that signs, or checks, with the table in its own group: keys of the type that PEM
 * and certificates give are copied, without it, each time. Others stay as they are. */
void dtls_speed_up_key(const struct sl_cert *cert, mbedtls_pk_context *key);

/* An error of the library that means: no memory. */
bool dtls_lib_nomem(int ret);
/* f_rng of the library over a struct sl_rng. */
int dtls_lib_rng(void *rng, unsigned char *out, size_t n);
/* True when the digest of the certificate (DER) is among the signalled ones. RFC 8122 section 5: of
 * several hash functions only the strongest counts. SL_OK, SL_EAUTH, SL_ENOMEM. */
SL_MUST_USE int dtls_fingerprint_match(const struct sl_fingerprint *list, size_t n, const void *der,
				       size_t len);

/* ---- records of the wire (RFC 6347 section 4.1) ---- */
enum {
	DTLS_CCS = 20,
	DTLS_ALERT = 21,
	DTLS_HANDSHAKE = 22,
	DTLS_RECORD_HDR = 13,
	DTLS_HS_HDR = 12,
	DTLS_GCM_NONCE = 8, /* explicit part, in front of the ciphertext (RFC 5288 section 3) */
	DTLS_GCM_TAG = 16,
	DTLS_PLAIN_MAX =
		64, /* nothing longer is of interest in epoch 1: Finished is 24 bytes, an alert 2 */
};
enum { DTLS_ALERT_FATAL = 2, DTLS_CLOSE_NOTIFY = 0 };
enum {
	DTLS_HS_CLIENT_HELLO = 1,
	DTLS_HS_SERVER_HELLO = 2,
	DTLS_HS_HELLO_VERIFY = 3,
	DTLS_HS_CERTIFICATE = 11,
	DTLS_HS_SERVER_KEY = 12,
	DTLS_HS_CERT_REQUEST = 13,
	DTLS_HS_HELLO_DONE = 14,
	DTLS_HS_CERT_VERIFY = 15,
	DTLS_HS_CLIENT_KEY = 16,
	DTLS_HS_FINISHED = 20,
};

struct dtls_record {
	const uint8_t *whole; /* with its header */
	const uint8_t *body;
	size_t len;   /* of the body */
	uint64_t seq; /* 48 bits */
	uint16_t version, epoch;
	uint8_t type;
};

/* Header of one handshake fragment (RFC 6347 section 4.2.2) and where its bytes lie. */
struct dtls_fragment {
	const uint8_t *body;
	uint32_t msg_len, off, len;
	uint16_t msg_seq;
	uint8_t type;
};

/* The next record of a datagram: SL_OK, or SL_EPARSE when the rest is none of DTLS 1.0 to 1.2. */
SL_MUST_USE int dtls_record_read(struct sl_rd *in, struct dtls_record *out);
/* The next fragment of a handshake record: SL_OK, or SL_EPARSE; one of no bytes is refused unless
 * its message has none. */
SL_MUST_USE int dtls_fragment_read(struct sl_rd *in, struct dtls_fragment *out);
/* Opens a record of epoch 1: length of the plain text in out[DTLS_PLAIN_MAX], SL_EAUTH, SL_EFULL,
 * SL_ENOMEM. */
SL_MUST_USE int dtls_record_open(const struct sl_dtls_records *r, const struct dtls_record *rec,
				 uint8_t *out);
/* Protects the next record of ours: its length, SL_ESTATE without keys, SL_EFULL, SL_ENOMEM. */
int dtls_record_seal(struct sl_dtls_records *r, uint8_t type, const void *text, size_t len,
		     uint8_t *out, size_t cap);

/* ---- hello.c ---- */
enum { DTLS_HELLO_MAX = 3500, DTLS_HELLO_PIECES = 8 };
#define DTLS_HELLO_LIFE_US (2 * SL_SEC)

/* At most one ClientHello in the making. */
struct dtls_hello {
	int64_t began_us;
	uint32_t msg_len; /* 0: none */
	uint32_t have;	  /* bytes of it that are here */
	uint16_t msg_seq;
	uint8_t pieces; /* fragments that brought something new */
	uint8_t seen[(DTLS_HELLO_MAX + 7) / 8];
	uint8_t record[DTLS_RECORD_HDR + DTLS_HS_HDR + DTLS_HELLO_MAX];
};
_Static_assert(sizeof(struct dtls_hello) <= 4096, "state of a half-received hello");

/* Takes a plain handshake record of ClientHello fragments. 1: complete; *out, valid until the next
 * call, is one unfragmented record. 0: more is to come. SL_EPARSE: not such a record, dropped;
 * SL_EFULL: over a bound, dropped. */
SL_MUST_USE int dtls_hello_feed(struct dtls_hello *h, const struct dtls_record *rec, int64_t now_us,
				struct dtls_record *out);
/* Which of the SHA-1 profiles a hello offers in use_srtp: bit 0 for _80, bit 1 for _32. */
unsigned dtls_hello_srtp(const struct dtls_record *hello);

/* ---- sieve.c ---- */
/* Whether each fragment of an unprotected handshake record may come now: to a client or a server,
 * in this state of the library (MBEDTLS_SSL_...), which waits for message number `next`. */
bool dtls_sieve(bool client, int state, uint32_t next, const struct dtls_record *rec);

/* ---- session.c, for tests ---- */
/* The engine's mbedtls_ssl_config, to be altered between sl_dtls_new() and the first step. */
void *dtls_lib_conf(struct sl_dtls *d);
#endif

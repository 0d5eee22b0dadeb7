/* SPDX-License-Identifier: Apache-2.0
 * dtls/seam_int.h — what the SRTP files of this folder share: profiles, a key block, and what a
 * transform is. */
#ifndef SL_SEAM_INT_H
#define SL_SEAM_INT_H
#include "core/base/bytes.h"
#include "core/base/mem.h"
#include "dtls/dtls.h"

#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/sha1.h>

enum { SEAM_RTP, SEAM_RTCP };
enum {
	SEAM_RTP_HDR_LEN = 12,
	SEAM_RTCP_CLEAR_LEN = 8, /* header and sender's SSRC stay readable (RFC 3711 section 3.4) */
	SEAM_RTCP_INDEX_LEN = 4, /* E bit and 31-bit index */
	SEAM_AUTH_KEY_LEN = 20,
	SEAM_GCM_TAG_LEN = 16,
	SEAM_GCM_IV_LEN = 12,
	SEAM_PACKET_MAX = 65535
};
#define SEAM_RTCP_E UINT32_C(0x80000000)

struct seam_profile {
	const char *name; /* as SDES writes it: RFC 4568, 6188, 7714 */
	uint8_t key_len, salt_len;
	uint8_t tag_len[2]; /* by SEAM_RTP, SEAM_RTCP */
	bool aead;
};
const struct seam_profile *seam_profile(enum sl_srtp_profile p); /* NULL if there is none such */

/* Session keys of SRTP or of SRTCP. */
struct seam_half {
	uint8_t cipher_key[32];
	uint8_t auth_key[SEAM_AUTH_KEY_LEN];
	uint8_t salt[14];
	uint8_t tag_len;
};

/* mbedTLS's primitives keyed with them. About 1 KB; never moved once it is keyed. */
struct seam_soft_half {
	mbedtls_aes_context aes;	   /* AES-CM */
	mbedtls_sha1_context inner, outer; /* HMAC with its key already in */
	mbedtls_gcm_context gcm;	   /* AEAD */
};

/* A transform. seal and open skip the ops whose err is set already; the others have been checked:
 * lengths, header, index. init takes a key whose session keys stand; fini takes one whose init
 * failed or never ran. */
struct seam_impl {
	/* NULL: it keeps nothing of its own */
	int (*init)(struct sl_srtp_key *key, const struct sl_srtp_master *master);
	void (*fini)(struct sl_srtp_key *key);
	void (*forget)(struct sl_srtp_key *key, uint32_t ssrc);
	/* always there */
	void (*seal)(struct sl_srtp_op *ops, int n);
	void (*open)(struct sl_srtp_op *ops, int n);
};
extern const struct seam_impl seam_soft, seam_mb, seam_libsrtp, seam_null, seam_clear;

struct sl_srtp_key {
	/* state */
	const struct seam_impl *impl;
	const struct seam_profile *profile;
	enum sl_srtp_profile id;
	bool outbound;
	struct seam_half half[2]; /* by SEAM_RTP, SEAM_RTCP */
	/* owned; each NULL where the transform does not use it */
	struct seam_soft_half *soft; /* two, by SEAM_RTP, SEAM_RTCP */
	struct seam_lib *lib;	     /* of srtp_libsrtp.c */
	void *mb_block;		     /* of srtp_mb.c: room for what its assembler reads */
	/* borrowed */
	void *mb[2];		 /* into mb_block, aligned; by SEAM_RTP, SEAM_RTCP */
	struct sl_srtp_mgr *mgr; /* MB: NULL until it is bound */
};

/* How many SSRCs libsrtp2 has a stream for. */
uint32_t seam_lib_streams(const struct sl_srtp_key *key);

/* RFC 3711 section 4.3, key derivation rate 0: n bytes of the session key that `label` names. */
void seam_derive(const struct seam_profile *profile, const struct sl_srtp_master *master,
		 uint8_t label, uint8_t *out, size_t n);
/* Is the processor one that srtp_mb.c can run on, and the library there? */
bool seam_mb_can(enum sl_srtp_arch arch);
/* Of srtp_choice.c: small, large, large_from and aead from the figures. False: there are none. */
bool seam_choose_archs(struct sl_srtp_choice *c);
/* Expands the session keys for the manager that the key is bound to. */
void seam_mb_expand(struct sl_srtp_key *key);

/* SRTCP is the same with its 31-bit index, as if the upper bits of a packet index were 0. */
void seam_cm_iv(const uint8_t salt[14], uint32_t ssrc, uint64_t index, uint8_t iv[16]);
void seam_gcm_iv(const uint8_t salt[12], uint32_t ssrc, uint64_t index,
		 uint8_t iv[SEAM_GCM_IV_LEN]);

/* Bytes at the packet's beginning that stay readable; 0 when its header is malformed or runs past
 * hdr_len. */
size_t seam_clear_len(const struct sl_srtp_op *op);
uint32_t seam_ssrc(const struct sl_srtp_op *op);
static inline struct seam_half *seam_half(const struct sl_srtp_op *op)
{
	return &op->key->half[op->rtcp ? SEAM_RTCP : SEAM_RTP];
}
/* Writes header and payload to op->out; their length together. */
size_t seam_gather(const struct sl_srtp_op *op);
/* RFC 3711 section 4.2: what the tag covers behind the packet: SRTP its ROC (not sent), SRTCP E and
 * index (sent). */
static inline void seam_tail(const struct sl_srtp_op *op, uint8_t out[4])
{
	sl_put32(out, op->rtcp ? (uint32_t)op->index | SEAM_RTCP_E : (uint32_t)(op->index >> 16));
}

/* RFC 7714 section 8.2: SRTP authenticates its header; section 9.2: SRTCP its first 8 bytes, E and
 * index. */
struct seam_aead {
	uint8_t iv[SEAM_GCM_IV_LEN];
	uint8_t rtcp[SEAM_RTCP_CLEAR_LEN + SEAM_RTCP_INDEX_LEN];
	const uint8_t *aad;
	size_t aad_len;
};
void seam_aead_init(struct seam_aead *a, const struct sl_srtp_op *op, size_t clear);
#endif

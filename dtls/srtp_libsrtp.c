/* SPDX-License-Identifier: Apache-2.0
 * dtls/srtp_libsrtp.c — SRTP by libsrtp2, under explicit indexes.
 * libsrtp2 keeps a rollover counter and a replay database for each SSRC; ours stand above it, so it
 * may never refuse what we ask for, nor guess another index. Hence:
 *  - a session has one ssrc_any_outbound template, in either direction; an SSRC is a clone of it (2
 * KB; a stream of its own would cost 32 KB and a key derivation). libsrtp2 makes a clone only when
 * it seals, so a header of nothing is sealed for it and thrown away;
 *  - an op goes to libsrtp2 only where the index it would take is known to be ours: ahead of the
 * newest index of that stream, or less than its window behind in the same ROC or with the ROC named
 * by srtp_set_stream_roc() (which takes ROC 0 as "not named");
 *  - every other op is done by srtp_soft.c, whose bytes are the same: the first packet of an SSRC,
 * so that a forged one leaves no stream behind; an old index; the same index again; when streams or
 * memory have run out; SRTCP. */
#include "dtls/seam_int.h"

#include <arpa/inet.h>
#include <srtp2/srtp.h>

enum { STREAMS_MAX = 64, WINDOW = 0x4000 };

struct stream {
	uint32_t ssrc;
	uint64_t top; /* newest index it has done */
};

struct seam_lib {
	/* owned */
	srtp_t session;
	/* state */
	uint32_t count;
	struct stream streams[STREAMS_MAX];
};

/* clang-format off */
static void (*const set_policy[SL_SRTP_PROFILE_COUNT])(srtp_crypto_policy_t *p) = {
	[SL_SRTP_AES128_CM_SHA1_80] = srtp_crypto_policy_set_rtp_default,
	[SL_SRTP_AES128_CM_SHA1_32] = srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
	[SL_SRTP_AES256_CM_SHA1_80] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
	[SL_SRTP_AES256_CM_SHA1_32] = srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
	[SL_SRTP_AEAD_AES128_GCM]   = srtp_crypto_policy_set_aes_gcm_128_16_auth,
	[SL_SRTP_AEAD_AES256_GCM]   = srtp_crypto_policy_set_aes_gcm_256_16_auth,
};
/* clang-format on */

/* The library wants srtp_init() once per process. Whoever comes first does it; others that come
 * meanwhile spin for the few milliseconds that it takes. Failing leaves things as they were. */
static int library_init(void)
{
	enum { NOT_YET, BUSY, DONE };
	static int state = NOT_YET;
	int seen = NOT_YET;

	while (!__atomic_compare_exchange_n(&state, &seen, BUSY, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE)) {
		if (seen == DONE)
			return SL_OK;
		seen = NOT_YET;
	}
	if (srtp_init() != srtp_err_status_ok) {
		srtp_shutdown();
		__atomic_store_n(&state, NOT_YET, __ATOMIC_RELEASE);
		return SL_ENOMEM;
	}
	__atomic_store_n(&state, DONE, __ATOMIC_RELEASE);
	return SL_OK;
}

/* libsrtp2 2.5.0 dereferences NULL when srtp_create() lacks memory: no check of ours can keep that.
 */
static int session_new(const struct sl_srtp_key *key, const struct sl_srtp_master *master,
		       srtp_t *out)
{
	uint8_t secret[SL_SRTP_MASTER_MAX];
	srtp_policy_t policy = {
		.ssrc = {.type = ssrc_any_outbound},
		.window_size = WINDOW,
		.allow_repeat_tx = 1,
	};
	srtp_err_status_t status;

	set_policy[key->id](&policy.rtp);
	set_policy[key->id](&policy.rtcp);
	memcpy(secret, master->key, key->profile->key_len);
	memcpy(secret + key->profile->key_len, master->salt, key->profile->salt_len);
	policy.key = secret;
	status = srtp_create(out, &policy);
	sl_wipe(secret, sizeof(secret));
	return status == srtp_err_status_ok ? SL_OK : SL_ENOMEM;
}

static int lib_init(struct sl_srtp_key *key, const struct sl_srtp_master *master)
{
	int err = library_init();

	if (!err)
		err = seam_soft.init(key, master);
	if (err)
		return err;
	key->lib = sl_zalloc(sizeof(*key->lib));
	if (!key->lib)
		return SL_ENOMEM;
	err = session_new(key, master, &key->lib->session);
	if (err)
		key->lib->session = NULL;
	return err;
}

static void lib_fini(struct sl_srtp_key *key)
{
	if (key->lib && key->lib->session)
		srtp_dealloc(key->lib->session);
	sl_free(key->lib);
	key->lib = NULL;
	seam_soft.fini(key);
}

uint32_t seam_lib_streams(const struct sl_srtp_key *key)
{
	return key->lib->count;
}

static struct stream *stream_get(struct seam_lib *lib, uint32_t ssrc)
{
	for (uint32_t i = 0; i < lib->count; i++)
		if (lib->streams[i].ssrc == ssrc)
			return &lib->streams[i];
	return NULL;
}

static void stream_add(struct seam_lib *lib, uint32_t ssrc)
{
	uint8_t scratch[SEAM_RTP_HDR_LEN + SRTP_MAX_TRAILER_LEN]
		__attribute__((aligned(4))) = {0x80};
	int len = SEAM_RTP_HDR_LEN;

	if (lib->count == STREAMS_MAX)
		return;
	sl_put32(scratch + 8, ssrc);
	if (srtp_protect(lib->session, scratch, &len) == srtp_err_status_ok)
		lib->streams[lib->count++] = (struct stream){.ssrc = ssrc};
	else
		srtp_remove_stream(lib->session, htonl(ssrc));
}

static void lib_forget(struct sl_srtp_key *key, uint32_t ssrc)
{
	struct seam_lib *lib = key->lib;
	struct stream *s = stream_get(lib, ssrc);

	if (!s)
		return;
	srtp_remove_stream(lib->session, htonl(ssrc));
	*s = lib->streams[--lib->count];
}

/* Is the index that libsrtp2 will take sure to be this one? */
static bool in_reach(const struct stream *s, uint64_t index)
{
	if (index >> 16 == 0 && s->top >> 16 != 0)
		return false;
	return index > s->top || s->top - index < WINDOW;
}

/* SL_EAGAIN: let srtp_soft.c do it. */
static int lib_run(struct sl_srtp_op *op, struct stream *s)
{
	srtp_t session = op->key->lib->session;
	int len = (int)seam_gather(op);
	srtp_err_status_t status;

	status = srtp_set_stream_roc(session, s->ssrc, (uint32_t)(op->index >> 16));
	if (status == srtp_err_status_ok)
		status = op->key->outbound ? srtp_protect(session, op->out, &len)
					   : srtp_unprotect(session, op->out, &len);
	/* Also when its HMAC finds no memory: then a packet is lost. */
	if (status == srtp_err_status_auth_fail && !op->key->outbound)
		return SL_EAUTH;
	if (status == srtp_err_status_replay_fail || status == srtp_err_status_replay_old)
		return SL_EAGAIN;
	if (status != srtp_err_status_ok) {
		/* Memory, most likely. How far the stream got is not known: away with it. */
		lib_forget(op->key, s->ssrc);
		return SL_EAGAIN;
	}
	s->top = SL_MAX(s->top, op->index);
	op->out_len = (size_t)len;
	return SL_OK;
}

static void lib_one(struct sl_srtp_op *op, void (*soft)(struct sl_srtp_op *ops, int n))
{
	struct seam_lib *lib = op->key->lib;
	struct stream *s = op->rtcp ? NULL : stream_get(lib, seam_ssrc(op));
	int err = s && in_reach(s, op->index) ? lib_run(op, s) : SL_EAGAIN;

	if (err != SL_EAGAIN) {
		op->err = err;
		return;
	}
	soft(op, 1);
	if (!op->rtcp && op->err == SL_OK && !stream_get(lib, seam_ssrc(op)))
		stream_add(lib, seam_ssrc(op));
}

static void lib_seal(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++)
		if (ops[i].err == SL_OK)
			lib_one(&ops[i], seam_soft.seal);
}

static void lib_open(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++)
		if (ops[i].err == SL_OK)
			lib_one(&ops[i], seam_soft.open);
}

const struct seam_impl seam_libsrtp = {lib_init, lib_fini, lib_forget, lib_seal, lib_open};

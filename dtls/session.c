/* SPDX-License-Identifier: Apache-2.0
 * dtls/session.c — a handshake in either role over mbedTLS 2.28. All of that library's TLS calls
 * stand here.
 *
 * What a peer sends passes three sieves, record by record, before the library sees it: epoch 0
 * (anybody may have sent it) only handshake fragments (sieve.c) and ChangeCipherSpec that are
 * possible now; epoch 1 only what authenticates under the record keys; hellos through hello.c. The
 * library aborts at the first message it dislikes, so an abort is undone: the engine begins anew
 * from the same random seed and, as server, from the same ClientHello. That gives the same flight,
 * byte for byte, and what the true peer sends again still fits. It never does so after it has
 * protected a record: the same key and nonce would then protect different bytes. */
#include "core/base/mem.h"
#include "dtls/dtls_int.h"

#include <mbedtls/hmac_drbg.h>
#include <mbedtls/md.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_internal.h>

/* RFC 6347 section 4.2.4.1 recommends a first timer of 1 s; a call cannot wait for that. */
enum { RETRANSMIT_MIN_MS = 100, RETRANSMIT_MAX_MS = 3000 };
enum {
	OUT_BYTES = 8192, /* one flight with a chain of RSA certificates, and one more */
	SEED_LEN = 32,
	KEYING_LEN = 60, /* RFC 5764 section 4.2, of AES128_CM: two keys of 16, two salts of 14 */
	MASTER_SECRET_LEN = 48,
	ANSWERS_MAX = 32, /* of a last flight asked for again */
	SEQ_RESERVE = 64, /* records of ours those may cost */
	DRIVES_MAX = 4,
};
#define GIVE_UP_US (30 * SL_SEC)
/* Between two beginnings from the same seed; it doubles. Between two from fresh ones. */
#define FIRST_AGAIN_US (50 * SL_MS)
#define AGAIN_MAX_US SL_SEC
#define FRESH_US SL_SEC
/* A wrong certificate may be forged: the right one has so long to come. */
#define MISMATCH_US SL_SEC
/* After this a client's last flight was in vain. */
#define UNANSWERED_US (12 * SL_SEC)

struct sl_dtls {
	/* owned */
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	mbedtls_hmac_drbg_context drbg;
	struct dtls_hello *reassembly; /* server */
	uint8_t *hello; /* server: the record of the ClientHello that is being answered */
	size_t hello_len;
	/* borrowed */
	const struct sl_cert *cert;
	const struct sl_rng *rng;
	const uint8_t *in; /* the record that the library may read now */
	size_t in_len;
	/* what must come out */
	struct sl_fingerprint peer[SL_DTLS_FINGERPRINTS_MAX];
	size_t peer_count;
	struct sl_dtls_keys keys; /* of no use to anyone before CONNECTED */
	uint8_t keying[KEYING_LEN];
	/* state */
	enum sl_dtls_state state;
	enum sl_dtls_cause cause; /* of the failure; while handshaking, of the last one inside */
	bool client, started, verified, wrote_epoch1, in_hello, alert_seen, may_alert;
	uint8_t seed[SEED_LEN]; /* of this attempt */
	uint64_t next_seq[2];	/* number of our next record in each epoch */
	uint32_t dropped, restarts, answers;
	/* time; SL_NEVER: not set */
	int64_t now_us, start_us, attempt_us, last_again_us, again_us, again_gap_us, mismatch_us;
	int64_t timer_mid_us, timer_end_us;
	/* datagrams to send, each behind its length */
	size_t out_head, out_tail;
	uint8_t out[OUT_BYTES];
};

const char *sl_dtls_cause_text(enum sl_dtls_cause c)
{
	static const char *const text[] = {
		[SL_DTLS_OK] = "no failure",
		[SL_DTLS_ALERT] = "the peer refused the DTLS handshake with an alert",
		[SL_DTLS_FINGERPRINT] =
			"the peer's certificate is not the one whose fingerprint was signalled",
		[SL_DTLS_NO_SRTP] = "the peer offers no SRTP profile that is supported here",
		[SL_DTLS_TIMEOUT] = "the peer did not complete the DTLS handshake in time",
		[SL_DTLS_NOMEM] = "out of memory during the DTLS handshake",
		[SL_DTLS_PROTOCOL] = "the peer's DTLS messages make no valid handshake",
	};

	return (size_t)c < SL_COUNT(text) ? text[c] : "unknown cause";
}

/* ---- what the library calls ---- */

static void push(struct sl_dtls *d, const uint8_t *data, size_t len)
{
	if (d->out_head == d->out_tail)
		d->out_head = d->out_tail = 0;
	/* No room: lost, as on the way; it is sent again. */
	if (len > UINT16_MAX || OUT_BYTES - d->out_tail < len + 2)
		return;
	sl_put16(d->out + d->out_tail, (uint16_t)len);
	memcpy(d->out + d->out_tail + 2, data, len);
	d->out_tail += len + 2;
}

/* Alerts stay here unless they are meant: an abort that a forged message caused must not end the
 * peer's handshake. */
static int lib_send(void *arg, const unsigned char *data, size_t len)
{
	struct sl_dtls *d = arg;
	uint8_t kept[SL_DTLS_MTU];
	struct sl_wr w = sl_wr(kept, sizeof(kept));
	struct sl_rd in = sl_rd(data, len);
	struct dtls_record rec;

	while (sl_rd_left(&in) > 0 && !dtls_record_read(&in, &rec)) {
		if (rec.epoch > 1)
			continue;
		d->wrote_epoch1 |= rec.epoch == 1;
		d->next_seq[rec.epoch] = rec.seq + 1;
		if (rec.type != DTLS_ALERT || d->may_alert)
			sl_wr_bytes(&w, rec.whole, DTLS_RECORD_HDR + rec.len);
	}
	if (!w.full && sl_wr_len(&w) > 0)
		push(d, kept, sl_wr_len(&w));
	return (int)len;
}

static int lib_recv(void *arg, unsigned char *buf, size_t cap)
{
	struct sl_dtls *d = arg;
	size_t n = SL_MIN(d->in_len, cap);

	if (n == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	memcpy(buf, d->in, n);
	d->in_len = 0;
	return (int)n;
}

static void lib_set_timer(void *arg, uint32_t mid_ms, uint32_t end_ms)
{
	struct sl_dtls *d = arg;

	d->timer_mid_us = end_ms ? d->now_us + mid_ms * SL_MS : SL_NEVER;
	d->timer_end_us = end_ms ? d->now_us + end_ms * SL_MS : SL_NEVER;
}

static int lib_get_timer(void *arg)
{
	const struct sl_dtls *d = arg;

	if (d->timer_end_us == SL_NEVER)
		return -1;
	return d->now_us >= d->timer_end_us ? 2 : d->now_us >= d->timer_mid_us;
}

/* The library fills a hello's 32 random bytes with the time of day and 28 of ours. The time is
 * nobody's business, and with it a second beginning from the same seed would give another hello: it
 * is overwritten. */
static bool is_hello_random(const struct sl_dtls *d, const unsigned char *out, size_t n)
{
	enum { VERSION_LEN = 2, TIME_LEN = 4, REST = 28 };
	const mbedtls_ssl_handshake_params *hs = d->ssl.handshake;

	if (n != REST || !hs)
		return false;
	/* Client: where it keeps the value. Server: in the message that it writes, behind type,
	 * length and version. */
	return out == hs->randbytes + TIME_LEN ||
	       out == d->ssl.out_msg + 4 + VERSION_LEN + TIME_LEN;
}

static int lib_rng(void *arg, unsigned char *out, size_t n)
{
	struct sl_dtls *d = arg;

	/* It asks for a private key's bytes between loading the group and multiplying in it. */
	if (d->ssl.handshake)
		dtls_lend_table(d->cert, &d->ssl.handshake->ecdh_ctx.grp);
	if (is_hello_random(d, out, n))
		return mbedtls_hmac_drbg_random(&d->drbg, out - 4, n + 4);
	return mbedtls_hmac_drbg_random(&d->drbg, out, n);
}

/* The certificates are what the signalling says, no authority has a say: of what the library finds
 * wrong nothing counts, only the digest of the peer's own certificate (depth 0). */
static int lib_verify(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct sl_dtls *d = arg;
	int err;

	*flags = 0;
	if (depth != 0)
		return 0;
	d->verified = false;
	err = dtls_fingerprint_match(d->peer, d->peer_count, crt->raw.p, crt->raw.len);
	if (err == SL_ENOMEM)
		return MBEDTLS_ERR_X509_ALLOC_FAILED;
	if (err) {
		d->cause = SL_DTLS_FINGERPRINT;
		if (d->mismatch_us == SL_NEVER)
			d->mismatch_us = d->now_us;
		return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
	}
	d->verified = true;
	/* The peer's signature comes next. */
	dtls_speed_up_key(d->cert, &crt->pk);
	return 0;
}

/* RFC 5246 section 6.3: the key block is client key, server key, client IV, server IV (no MAC keys
 * in GCM). */
static void take_record_keys(struct sl_dtls *d, const unsigned char *block)
{
	struct sl_dtls_records *r = &d->keys.records;
	struct sl_rd in = sl_rd(block, 40);

	sl_rd_copy(&in, d->client ? r->write_key : r->read_key, sizeof(r->read_key));
	sl_rd_copy(&in, d->client ? r->read_key : r->write_key, sizeof(r->read_key));
	sl_rd_copy(&in, d->client ? r->write_iv : r->read_iv, sizeof(r->read_iv));
	sl_rd_copy(&in, d->client ? r->read_iv : r->write_iv, sizeof(r->read_iv));
	r->ready = true;
}

/* Called before the peer has proved anything: what is kept here leaves only through finished(). */
static int lib_export(void *arg, const unsigned char *master, const unsigned char *block,
		      size_t mac_len, size_t key_len, size_t iv_len,
		      const unsigned char client_random[32], const unsigned char server_random[32],
		      mbedtls_tls_prf_types prf)
{
	struct sl_dtls *d = arg;
	unsigned char randoms[64];

	d->keys.records.ready = false;
	if (mac_len != 0 || key_len != sizeof(d->keys.records.read_key) ||
	    iv_len != sizeof(d->keys.records.read_iv))
		return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
	memcpy(randoms, client_random, 32);
	memcpy(randoms + 32, server_random, 32);
	take_record_keys(d, block);
	return mbedtls_ssl_tls_prf(prf, master, MASTER_SECRET_LEN, "EXTRACTOR-dtls_srtp", randoms,
				   sizeof(randoms), d->keying, sizeof(d->keying));
}

/* ---- making and freeing ---- */

static const mbedtls_ssl_srtp_profile offer_both[] = {MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_80,
						      MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_32,
						      MBEDTLS_TLS_SRTP_UNSET};
static const mbedtls_ssl_srtp_profile take_80[] = {MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_80,
						   MBEDTLS_TLS_SRTP_UNSET};
static const mbedtls_ssl_srtp_profile take_32[] = {MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_32,
						   MBEDTLS_TLS_SRTP_UNSET};

static void configure_crypto(mbedtls_ssl_config *c)
{
	/* The record keys that outlive the handshake are of AES-128-GCM: every browser has these
	 * suites. */
	static const int suites[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
				     MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0};
	/* The last one for certificates that have it. */
	static const mbedtls_ecp_group_id curves[] = {
		MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP384R1,
		MBEDTLS_ECP_DP_NONE};
	static const int hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512,
				     MBEDTLS_MD_NONE};

	mbedtls_ssl_conf_min_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
	mbedtls_ssl_conf_max_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
	mbedtls_ssl_conf_ciphersuites(c, suites);
	mbedtls_ssl_conf_curves(c, curves);
	mbedtls_ssl_conf_sig_hashes(c, hashes);
	mbedtls_ssl_conf_renegotiation(c, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
	mbedtls_ssl_conf_session_tickets(c, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
}

static int configure(struct sl_dtls *d)
{
	mbedtls_ssl_config *c = &d->conf;
	mbedtls_x509_crt *chain = (mbedtls_x509_crt *)(uintptr_t)&d->cert->chain;
	mbedtls_pk_context *key = (mbedtls_pk_context *)(uintptr_t)&d->cert->key;
	int ret = mbedtls_ssl_config_defaults(
		c, d->client ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER,
		MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT);

	if (ret)
		return ret;
	configure_crypto(c);
	mbedtls_ssl_conf_rng(c, lib_rng, d);
	/* REQUIRED, for OPTIONAL lets a client without a certificate pass; it fails without a list
	 * of authorities, and ours, which plays that part, must not go to the peer as such. */
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(c, chain, NULL);
	mbedtls_ssl_conf_verify(c, lib_verify, d);
	if (!d->client) {
		mbedtls_ssl_conf_cert_req_ca_list(c, MBEDTLS_SSL_CERT_REQ_CA_LIST_DISABLED);
		/* No HelloVerifyRequest: an authenticated ICE check has come from this address. */
		mbedtls_ssl_conf_dtls_cookies(c, NULL, NULL, NULL);
	}
	/* Its window takes record numbers of epoch 0 at their word: one forged high number would
	 * make it deaf. What it guards in epoch 1, a Finished seen twice, does no harm. */
	mbedtls_ssl_conf_dtls_anti_replay(c, MBEDTLS_SSL_ANTI_REPLAY_DISABLED);
	mbedtls_ssl_conf_handshake_timeout(c, RETRANSMIT_MIN_MS, RETRANSMIT_MAX_MS);
	mbedtls_ssl_conf_export_keys_ext_cb(c, lib_export, d);
	ret = mbedtls_ssl_conf_dtls_srtp_protection_profiles(c, offer_both);
	return ret ? ret : mbedtls_ssl_conf_own_cert(c, chain, key);
}

/* A generator of this attempt alone, so that it can begin again with the same bytes. */
static int seed_drbg(struct sl_dtls *d, bool fresh)
{
	if (fresh)
		sl_rng_fill(d->rng, d->seed, sizeof(d->seed));
	mbedtls_hmac_drbg_free(&d->drbg);
	mbedtls_hmac_drbg_init(&d->drbg);
	return mbedtls_hmac_drbg_seed_buf(&d->drbg, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
					  d->seed, sizeof(d->seed));
}

static int setup(struct sl_dtls *d)
{
	int ret = configure(d);

	if (!ret)
		ret = seed_drbg(d, true);
	if (!ret)
		ret = mbedtls_ssl_setup(&d->ssl, &d->conf);
	if (ret)
		return ret;
	mbedtls_ssl_set_mtu(&d->ssl, SL_DTLS_MTU);
	mbedtls_ssl_set_bio(&d->ssl, d, lib_send, lib_recv, NULL);
	mbedtls_ssl_set_timer_cb(&d->ssl, d, lib_set_timer, lib_get_timer);
	return 0;
}

static void init_times(struct sl_dtls *d)
{
	d->start_us = d->attempt_us = d->again_us = d->mismatch_us = SL_NEVER;
	d->timer_mid_us = d->timer_end_us = SL_NEVER;
	d->last_again_us = INT64_MIN / 2;
}

int sl_dtls_new(const struct sl_dtls_conf *conf, struct sl_dtls **out)
{
	struct sl_dtls *d;

	if (conf->peer_count == 0 || conf->peer_count > SL_DTLS_FINGERPRINTS_MAX)
		return SL_EPARSE;
	d = sl_zalloc(sizeof(*d));
	if (!d)
		return SL_ENOMEM;
	mbedtls_ssl_init(&d->ssl);
	mbedtls_ssl_config_init(&d->conf);
	mbedtls_hmac_drbg_init(&d->drbg);
	d->client = conf->client;
	d->cert = conf->cert;
	d->rng = conf->rng;
	memcpy(d->peer, conf->peer, sizeof(d->peer));
	d->peer_count = conf->peer_count;
	init_times(d);
	if (!d->client)
		d->reassembly = sl_zalloc(sizeof(*d->reassembly));
	/* Nothing of setup() comes from outside: what fails is memory. */
	if ((!d->client && !d->reassembly) || setup(d)) {
		sl_dtls_free(d);
		return SL_ENOMEM;
	}
	*out = d;
	return SL_OK;
}

void sl_dtls_free(struct sl_dtls *d)
{
	if (!d)
		return;
	mbedtls_ssl_free(&d->ssl);
	mbedtls_ssl_config_free(&d->conf);
	mbedtls_hmac_drbg_free(&d->drbg);
	sl_free(d->reassembly);
	sl_free(d->hello);
	sl_wipe(d, sizeof(*d));
	sl_free(d);
}

void sl_dtls_set_rng(struct sl_dtls *d, const struct sl_rng *rng)
{
	d->rng = rng;
}

void *dtls_lib_conf(struct sl_dtls *d)
{
	return &d->conf;
}

/* ---- ends ---- */

static void forget_keys(struct sl_dtls *d)
{
	sl_wipe(&d->keys, sizeof(d->keys));
	sl_wipe(d->keying, sizeof(d->keying));
}

static void fail(struct sl_dtls *d, enum sl_dtls_cause cause)
{
	static const unsigned char alerts[] = {
		[SL_DTLS_FINGERPRINT] = MBEDTLS_SSL_ALERT_MSG_BAD_CERT,
		[SL_DTLS_NO_SRTP] = MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY,
		[SL_DTLS_PROTOCOL] = MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE,
	};

	d->state = SL_DTLS_FAILED;
	d->cause = cause;
	forget_keys(d);
	if ((size_t)cause >= SL_COUNT(alerts) || !alerts[cause])
		return;
	/* This one is meant: the peer need not wait. It is lost if there is no memory for it, which
	 * is all right. */
	d->may_alert = true;
	(void)mbedtls_ssl_send_alert_message(&d->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alerts[cause]);
	d->may_alert = false;
}

/* RFC 5764 section 4.2: client key, server key, client salt, server salt. */
static void split_keying(struct sl_dtls *d, enum sl_srtp_profile profile)
{
	struct sl_srtp_master *client = d->client ? &d->keys.local : &d->keys.remote;
	struct sl_srtp_master *server = d->client ? &d->keys.remote : &d->keys.local;
	struct sl_rd in = sl_rd(d->keying, sizeof(d->keying));

	client->profile = server->profile = profile;
	sl_rd_copy(&in, client->key, 16);
	sl_rd_copy(&in, server->key, 16);
	sl_rd_copy(&in, client->salt, 14);
	sl_rd_copy(&in, server->salt, 14);
	sl_wipe(d->keying, sizeof(d->keying));
}

static enum sl_srtp_profile negotiated(const struct sl_dtls *d)
{
	mbedtls_dtls_srtp_info info = {.chosen_dtls_srtp_profile = MBEDTLS_TLS_SRTP_UNSET};

	mbedtls_ssl_get_dtls_srtp_negotiation_result(&d->ssl, &info);
	if (info.chosen_dtls_srtp_profile == MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_80)
		return SL_SRTP_AES128_CM_SHA1_80;
	if (info.chosen_dtls_srtp_profile == MBEDTLS_TLS_SRTP_AES128_CM_HMAC_SHA1_32)
		return SL_SRTP_AES128_CM_SHA1_32;
	return SL_SRTP_NONE;
}

static void finished(struct sl_dtls *d)
{
	enum sl_srtp_profile profile = negotiated(d);

	if (!d->verified) {
		fail(d, SL_DTLS_FINGERPRINT);
	} else if (profile == SL_SRTP_NONE) {
		fail(d, SL_DTLS_NO_SRTP);
	} else if (!d->keys.records.ready) {
		fail(d, SL_DTLS_PROTOCOL);
	} else {
		split_keying(d, profile);
		/* The caller's close_notify goes on behind what answers to the peer's
		 * retransmissions may use up. */
		d->keys.records.write_seq = d->next_seq[1] + SEQ_RESERVE;
		d->state = SL_DTLS_CONNECTED;
		d->cause = SL_DTLS_OK;
	}
}

/* ---- stepping the library ---- */

/* The library is of no use any more until it has begun anew. */
static void broke(struct sl_dtls *d, int ret)
{
	int64_t gap_us = d->wrote_epoch1 ? FRESH_US : d->again_gap_us;
	int64_t earliest_us = d->last_again_us + gap_us;

	if (dtls_lib_nomem(ret)) {
		fail(d, SL_DTLS_NOMEM);
		return;
	}
	if (d->cause != SL_DTLS_FINGERPRINT)
		d->cause = SL_DTLS_PROTOCOL;
	if (d->in_hello) { /* it made no sense: the next one shall */
		sl_free(d->hello);
		d->hello = NULL;
	}
	d->timer_mid_us = d->timer_end_us = SL_NEVER;
	d->again_us = SL_MAX(d->now_us, earliest_us);
}

/* The library gives up when its longest interval has passed; the call does not. */
static void unanswered(struct sl_dtls *d)
{
	int ret;

	if (d->client && (!d->wrote_epoch1 || d->now_us - d->attempt_us > UNANSWERED_US)) {
		d->again_us = d->now_us;
		return;
	}
	d->ssl.handshake->retransmit_timeout = RETRANSMIT_MAX_MS;
	ret = mbedtls_ssl_resend(&d->ssl);
	if (ret)
		broke(d, ret);
}

static void drive(struct sl_dtls *d)
{
	int ret = MBEDTLS_ERR_SSL_WANT_READ;

	/* A timer that is due comes first, and leaves the input for the next round. */
	for (int i = 0;
	     i < DRIVES_MAX && (i == 0 || d->in_len > 0) && ret == MBEDTLS_ERR_SSL_WANT_READ; i++)
		ret = mbedtls_ssl_handshake(&d->ssl);
	d->in_len = 0;
	if (ret == 0)
		finished(d);
	else if (ret == MBEDTLS_ERR_SSL_TIMEOUT)
		unanswered(d);
	else if (ret != MBEDTLS_ERR_SSL_WANT_READ && ret != MBEDTLS_ERR_SSL_WANT_WRITE)
		broke(d, ret);
}

static void feed(struct sl_dtls *d, const uint8_t *record, size_t len)
{
	d->in = record;
	d->in_len = len;
	drive(d);
}

/* A context as new, with the same seed or a fresh one. */
static int reset(struct sl_dtls *d, bool fresh)
{
	int ret;

	forget_keys(d);
	d->verified = d->wrote_epoch1 = false;
	d->next_seq[1] = 0;
	d->ssl.dtls_srtp_info.chosen_dtls_srtp_profile =
		MBEDTLS_TLS_SRTP_UNSET; /* it forgets that */
	ret = mbedtls_ssl_session_reset(&d->ssl);
	if (!ret)
		ret = seed_drbg(d, fresh);
	/* Record numbers go on, or the peer's replay window would swallow what we send again. */
	sl_put64(d->ssl.cur_out_ctr, d->next_seq[0]);
	return ret;
}

static void feed_hello(struct sl_dtls *d)
{
	d->in_hello = true;
	feed(d, d->hello, d->hello_len);
	d->in_hello = false;
}

static void begin_again(struct sl_dtls *d)
{
	bool fresh = d->wrote_epoch1;

	d->again_us = SL_NEVER;
	d->last_again_us = d->now_us;
	d->again_gap_us = SL_MIN(d->again_gap_us * 2, AGAIN_MAX_US);
	d->restarts++;
	if (fresh) {
		sl_free(d->hello);
		d->hello = NULL;
		d->attempt_us = d->now_us;
	}
	if (reset(d, fresh))
		fail(d, SL_DTLS_NOMEM);
	else if (d->client)
		drive(d);
	else if (d->hello)
		feed_hello(d);
}

static void start(struct sl_dtls *d, int64_t now_us)
{
	d->now_us = now_us;
	if (d->started)
		return;
	d->started = true;
	d->start_us = d->attempt_us = now_us;
	d->again_gap_us = FIRST_AGAIN_US;
}

static bool is_due(const struct sl_dtls *d, int64_t since_us, int64_t after_us)
{
	return since_us != SL_NEVER && d->now_us - since_us >= after_us;
}

void sl_dtls_tick(struct sl_dtls *d, int64_t now_us)
{
	start(d, now_us);
	if (d->state != SL_DTLS_HANDSHAKING)
		return;
	if (is_due(d, d->mismatch_us, MISMATCH_US))
		fail(d, SL_DTLS_FINGERPRINT);
	else if (is_due(d, d->start_us, GIVE_UP_US))
		fail(d, d->cause ? d->cause : d->alert_seen ? SL_DTLS_ALERT : SL_DTLS_TIMEOUT);
	else if (d->again_us == SL_NEVER &&
		 ((d->client && d->ssl.state == MBEDTLS_SSL_HELLO_REQUEST) ||
		  is_due(d, d->timer_end_us, 0)))
		drive(d);
	if (d->state == SL_DTLS_HANDSHAKING && is_due(d, d->again_us, 0))
		begin_again(d);
}

int64_t sl_dtls_deadline_us(const struct sl_dtls *d)
{
	int64_t at_us;

	if (d->state != SL_DTLS_HANDSHAKING)
		return SL_NEVER;
	if (d->client && d->ssl.state == MBEDTLS_SSL_HELLO_REQUEST && d->again_us == SL_NEVER)
		return 0;
	if (!d->started)
		return SL_NEVER;
	at_us = d->start_us + GIVE_UP_US;
	if (d->mismatch_us != SL_NEVER)
		at_us = SL_MIN(at_us, d->mismatch_us + MISMATCH_US);
	return SL_MIN(at_us, d->again_us != SL_NEVER ? d->again_us : d->timer_end_us);
}

/* ---- the sieves ---- */

static bool same_hello(const struct sl_dtls *d, const struct dtls_record *rec)
{
	return d->hello_len == DTLS_RECORD_HDR + rec->len &&
	       memcmp(d->hello + DTLS_RECORD_HDR, rec->body, rec->len) == 0;
}

/* Takes the hello as the one that this attempt answers. */
static void adopt(struct sl_dtls *d, const struct dtls_record *rec)
{
	bool again = d->hello != NULL;
	uint8_t *copy = sl_zalloc(DTLS_RECORD_HDR + rec->len);

	sl_free(d->hello);
	d->hello = copy;
	d->hello_len = DTLS_RECORD_HDR + rec->len;
	d->attempt_us = d->now_us;
	d->restarts += again;
	if (!copy || (again && reset(d, true))) {
		fail(d, SL_DTLS_NOMEM);
		return;
	}
	memcpy(copy, rec->whole, d->hello_len);
	/* The library would take the client's order; _32 is for those who have nothing else. */
	if (d->conf.dtls_srtp_profile_list == offer_both ||
	    d->conf.dtls_srtp_profile_list == take_80 || d->conf.dtls_srtp_profile_list == take_32)
		(void)mbedtls_ssl_conf_dtls_srtp_protection_profiles(
			&d->conf, dtls_hello_srtp(rec) & 1 ? take_80 : take_32);
	feed_hello(d);
}

/* The hello that is being answered asks for our flight again. Another one is forged, or the peer
 * began anew: it gets its turn when the present attempt has had a second. */
static bool take_hello(struct sl_dtls *d, const struct dtls_record *fragment)
{
	struct dtls_record rec;
	int n = dtls_hello_feed(d->reassembly, fragment, d->now_us, &rec);

	if (n <= 0)
		return n == 0;
	if (d->again_us != SL_NEVER && d->hello)
		return false;
	if (d->again_us != SL_NEVER) {
		d->again_us = SL_NEVER;
		d->last_again_us = d->now_us;
		d->restarts++;
		if (reset(d, true)) {
			fail(d, SL_DTLS_NOMEM);
			return true;
		}
	}
	if (d->hello && same_hello(d, &rec)) {
		feed(d, rec.whole, DTLS_RECORD_HDR + rec.len);
		return true;
	}
	if (d->hello && d->now_us - d->attempt_us < FRESH_US)
		return false;
	adopt(d, &rec);
	return true;
}

static bool may_come(const struct sl_dtls *d, const struct dtls_record *rec)
{
	return dtls_sieve(d->client, d->ssl.state, d->ssl.handshake->in_msg_seq, rec);
}

static bool take_plain(struct sl_dtls *d, const struct dtls_record *rec)
{
	if (d->state != SL_DTLS_HANDSHAKING)
		return false;
	if (rec->type == DTLS_HANDSHAKE && !d->client && rec->body[0] == DTLS_HS_CLIENT_HELLO)
		return take_hello(d, rec);
	if (rec->type == DTLS_ALERT) /* anybody may send it; kept for the diagnosis */
		d->alert_seen = true;
	if (d->again_us != SL_NEVER || !d->ssl.handshake || (!d->client && !d->hello))
		return false;
	if (rec->type == DTLS_CCS && rec->len == 1 && rec->body[0] == 1 &&
	    d->ssl.state > MBEDTLS_SSL_SERVER_HELLO)
		feed(d, rec->whole, DTLS_RECORD_HDR + rec->len);
	else if (rec->type == DTLS_HANDSHAKE && may_come(d, rec))
		feed(d, rec->whole, DTLS_RECORD_HDR + rec->len);
	else
		return false;
	return true;
}

static bool take_alert(struct sl_dtls *d, const uint8_t *alert, int len)
{
	if (len != 2 || (alert[0] != DTLS_ALERT_FATAL && alert[1] != DTLS_CLOSE_NOTIFY))
		return false;
	if (d->state == SL_DTLS_CONNECTED)
		d->state = SL_DTLS_CLOSED;
	else
		fail(d, SL_DTLS_ALERT);
	return true;
}

/* Our last flight got lost when the peer sends its Finished again. */
static bool answer(struct sl_dtls *d, const struct dtls_record *rec)
{
	unsigned char none[1];

	if (d->client || d->answers == ANSWERS_MAX)
		return false;
	d->answers++;
	d->in = rec->whole;
	d->in_len = DTLS_RECORD_HDR + rec->len;
	(void)mbedtls_ssl_read(&d->ssl, none, sizeof(none));
	d->in_len = 0;
	return true;
}

/* Of what is protected only Finished and alerts have a meaning here: no renegotiation, no
 * application data. */
static bool take_protected(struct sl_dtls *d, const struct dtls_record *rec)
{
	uint8_t plain[DTLS_PLAIN_MAX];
	int n;

	if (d->again_us != SL_NEVER || !d->keys.records.ready || rec->epoch != 1)
		return false;
	n = dtls_record_open(&d->keys.records, rec, plain);
	if (n < 0)
		return false;
	if (rec->type == DTLS_ALERT)
		return take_alert(d, plain, n);
	if (rec->type != DTLS_HANDSHAKE || n < DTLS_HS_HDR || plain[0] != DTLS_HS_FINISHED)
		return false;
	if (d->state == SL_DTLS_CONNECTED)
		return answer(d, rec);
	feed(d, rec->whole, DTLS_RECORD_HDR + rec->len);
	return true;
}

static bool take(struct sl_dtls *d, const struct dtls_record *rec)
{
	if (d->state != SL_DTLS_HANDSHAKING && d->state != SL_DTLS_CONNECTED)
		return false;
	return rec->epoch == 0 ? take_plain(d, rec) : take_protected(d, rec);
}

void sl_dtls_recv(struct sl_dtls *d, const uint8_t *data, size_t len, int64_t now_us)
{
	struct sl_rd in = sl_rd(data, len);
	struct dtls_record rec;
	bool used = false;

	start(d, now_us);
	while (sl_rd_left(&in) > 0 && !dtls_record_read(&in, &rec))
		used |= take(d, &rec);
	d->dropped += !used;
	if (d->state == SL_DTLS_HANDSHAKING && is_due(d, d->again_us, 0))
		begin_again(d);
}

bool sl_dtls_pull(struct sl_dtls *d, const uint8_t **data, size_t *len)
{
	if (d->out_head == d->out_tail)
		return false;
	*len = sl_get16(d->out + d->out_head);
	*data = d->out + d->out_head + 2;
	d->out_head += *len + 2;
	return true;
}

enum sl_dtls_state sl_dtls_state(const struct sl_dtls *d)
{
	return d->state;
}

enum sl_dtls_cause sl_dtls_cause(const struct sl_dtls *d)
{
	return d->state == SL_DTLS_FAILED ? d->cause : SL_DTLS_OK;
}

int sl_dtls_keys(struct sl_dtls *d, struct sl_dtls_keys *out)
{
	if (d->state != SL_DTLS_CONNECTED)
		return SL_ESTATE;
	*out = d->keys;
	return SL_OK;
}

uint32_t sl_dtls_take_dropped(struct sl_dtls *d)
{
	uint32_t n = d->dropped;

	d->dropped = 0;
	return n;
}

uint32_t sl_dtls_take_restarts(struct sl_dtls *d)
{
	uint32_t n = d->restarts;

	d->restarts = 0;
	return n;
}

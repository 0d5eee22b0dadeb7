/* SPDX-License-Identifier: Apache-2.0
 * dtls/dtls.h — DTLS-SRTP without IO: handshake engine, certificate, and the SRTP transforms.
 * What:      session.c  a handshake in either role over mbedTLS (all of that library's TLS calls
 *                       stand there), key export for SRTP (RFC 5764), fingerprint check before
 *                       any key leaves;
 *            sieve.c    which unprotected messages the library gets to see;
 *            hello.c    joins a ClientHello that came in fragments, which mbedTLS 2.28 refuses;
 *            record.c   after the handshake: recognises and makes an authentic close_notify from
 *                       the kept record keys;
 *            cert.c     certificate and key, made (ECDSA P-256, RSA) or read from PEM;
 *            srtp.c     derivation, packet index, ROC, replay windows, the way to the transforms:
 *            srtp_mb.c many packets at once by intel-ipsec-mb, srtp_soft.c by mbedTLS's
 *            primitives, srtp_libsrtp.c by libsrtp2, srtp_null.c none;
 *            srtp_choice.c measures which of them this machine is best served by.
 * Threads:   struct sl_dtls (a handshake) is stepped on a worker; it is given to one thread at a
 *            time. The rest belongs to a media loop. Nothing here reads a clock, opens a socket or
 *            prints.
 * Start at:  sl_dtls_new() for handshakes, sl_srtp_open() and sl_srtp_seal() for the packet
 *            path. */
#ifndef SL_DTLS_H
#define SL_DTLS_H
#include "core/base/addr.h"
#include "core/base/digest.h"
#include "core/base/rng.h"
#include "core/base/stat.h"
#include "core/base/str.h"

/* ---- certificate: one per process, shared read-only by all threads ---- */
struct sl_cert;
/* New ECDSA P-256 key and self-signed certificate, valid from a day before wall_us for thirty days
 * times twelve. */
SL_MUST_USE int sl_cert_new(const struct sl_rng *rng, int64_t wall_us, struct sl_cert **out);
/* The same with an RSA key of 2048 bits, which takes up to some seconds, and ends early with
 * SL_ESTATE when another thread sets *stop. */
SL_MUST_USE int sl_cert_new_rsa(const struct sl_rng *rng, int64_t wall_us, const bool *stop,
				struct sl_cert **out);
/* From PEM text of a certificate (chain) and its key: EC or RSA. SL_EPARSE, SL_EUNSUPPORTED,
 * SL_ENOMEM. */
SL_MUST_USE int sl_cert_from_pem(struct sl_str cert_pem, struct sl_str key_pem,
				 const struct sl_rng *rng, struct sl_cert **out);
void sl_cert_free(struct sl_cert *cert);                        /* takes NULL */
/* SHA-256 of the certificate as SDP writes it: "AB:CD:..." (95 characters). */
const char *sl_cert_fingerprint(const struct sl_cert *cert);

/* A digest of the peer's certificate, as signalled (RFC 8122). */
struct sl_fingerprint {
	enum sl_digest algorithm;
	uint8_t len;
	uint8_t bytes[SL_DIGEST_MAX];
};
/* "sha-256", "AB:CD:.." in any case. SL_EPARSE, SL_EUNSUPPORTED for an algorithm we do not know. */
SL_MUST_USE int sl_fingerprint_parse(struct sl_str algorithm, struct sl_str hex,
				     struct sl_fingerprint *out);

/* ---- SRTP profiles ---- */
enum sl_srtp_profile {
	SL_SRTP_NONE,
	SL_SRTP_AES128_CM_SHA1_80,      /* RFC 3711, RFC 5764 0x0001 */
	SL_SRTP_AES128_CM_SHA1_32,      /* 0x0002; its SRTCP tag has 80 bits all the same (RFC 5764
					 * section 4.1.2) */
	SL_SRTP_AES256_CM_SHA1_80,      /* RFC 6188, SDES only */
	SL_SRTP_AES256_CM_SHA1_32,      /* likewise */
	SL_SRTP_AEAD_AES128_GCM,        /* RFC 7714, 0x0007 */
	SL_SRTP_AEAD_AES256_GCM,        /* 0x0008 */
	SL_SRTP_PROFILE_COUNT
};
const char *sl_srtp_profile_name(enum sl_srtp_profile p);
size_t sl_srtp_key_len(enum sl_srtp_profile p);                 /* master key: 16 or 32 */
size_t sl_srtp_salt_len(enum sl_srtp_profile p);                /* 14, or 12 for GCM */
/* Bytes a sealed packet is longer by; SRTCP: without its index. */
size_t sl_srtp_tag_len(enum sl_srtp_profile p, bool rtcp);
/* Overhead: the largest tag plus SRTCP's 4 bytes of index. */
enum { SL_SRTP_MASTER_MAX = 46, SL_SRTP_OVERHEAD = 20 };

struct sl_srtp_master {
	enum sl_srtp_profile profile;
	uint8_t key[32];
	uint8_t salt[14];
};

/* ---- handshake engine ---- */
struct sl_dtls;
enum { SL_DTLS_FINGERPRINTS_MAX = 4, SL_DTLS_MTU = 1200 };
struct sl_dtls_conf {
	bool client;                    /* we send the ClientHello (a=setup:active of ours) */
	const struct sl_cert *cert;     /* borrowed for the engine's life */
	struct sl_fingerprint peer[SL_DTLS_FINGERPRINTS_MAX];
	size_t peer_count;              /* 0 is refused */
	const struct sl_rng *rng;       /* borrowed; called only inside calls below. On a worker:
					 * set again before each step */
};

/* Record protection that outlives the handshake: AES-128-GCM of epoch 1, both directions. Under 100
 * bytes. */
struct sl_dtls_records {
	uint8_t read_key[16], write_key[16];
	uint8_t read_iv[4], write_iv[4];
	uint64_t write_seq;             /* next record of ours in epoch 1 */
	bool ready;
};

struct sl_dtls_keys {
	struct sl_srtp_master local;    /* we seal with it */
	struct sl_srtp_master remote;   /* we open with it */
	struct sl_dtls_records records;
};

enum sl_dtls_state { SL_DTLS_HANDSHAKING, SL_DTLS_CONNECTED, SL_DTLS_FAILED, SL_DTLS_CLOSED };
/* Why a handshake failed, for diagnosis. */
enum sl_dtls_cause {
	SL_DTLS_OK, SL_DTLS_ALERT, SL_DTLS_FINGERPRINT, SL_DTLS_NO_SRTP,
	SL_DTLS_TIMEOUT, SL_DTLS_NOMEM, SL_DTLS_PROTOCOL
};
const char *sl_dtls_cause_text(enum sl_dtls_cause c);           /* a plain sentence */

/* SL_ENOMEM; SL_EPARSE without a fingerprint. Nothing is sent yet. */
SL_MUST_USE int sl_dtls_new(const struct sl_dtls_conf *conf, struct sl_dtls **out);
void sl_dtls_free(struct sl_dtls *d);                           /* takes NULL */
void sl_dtls_set_rng(struct sl_dtls *d, const struct sl_rng *rng);
/* One datagram in; the first call of a client's handshake is sl_dtls_tick(). Injected rubbish is
 * dropped inside (epoch-0 alerts, handshake types impossible now): it never ends a handshake. A
 * handshake that failed starts again inside, at intervals that grow to a second, and stays
 * HANDSHAKING until 30 s have gone; then FAILED. With a wrong certificate it ends after 1 s (it may
 * be forged, and the right one may follow). */
void sl_dtls_recv(struct sl_dtls *d, const uint8_t *data, size_t len, int64_t now_us);
void sl_dtls_tick(struct sl_dtls *d, int64_t now_us);
/* Next datagram to send: *len bytes, valid until the next call on d. False when there is none. */
bool sl_dtls_pull(struct sl_dtls *d, const uint8_t **data, size_t *len);
int64_t sl_dtls_deadline_us(const struct sl_dtls *d);
enum sl_dtls_state sl_dtls_state(const struct sl_dtls *d);
enum sl_dtls_cause sl_dtls_cause(const struct sl_dtls *d);
/* Copies the keys out: only in CONNECTED, else SL_ESTATE. The fingerprint has matched by then. */
SL_MUST_USE int sl_dtls_keys(struct sl_dtls *d, struct sl_dtls_keys *out);
/* Datagrams dropped inside since the last call of this function, for the counters. */
uint32_t sl_dtls_take_dropped(struct sl_dtls *d);
/* How often the handshake began anew inside, since the last call. */
uint32_t sl_dtls_take_restarts(struct sl_dtls *d);

/* ---- after the handshake, without the library's context ---- */
/* True when the datagram holds an authentic close_notify. Anything else: false. */
bool sl_dtls_is_close(struct sl_dtls_records *r, const uint8_t *data, size_t len);
/* Writes a close_notify; its length, or SL_ESTATE / SL_EFULL. */
int sl_dtls_write_close(struct sl_dtls_records *r, uint8_t *out, size_t cap);

/* ---- SRTP: the array seam ----
 * A key block is one direction of one peer: derived keys of SRTP and SRTCP. Packet index, ROC and
 * replay are explicit and ours; a transform knows nothing about order. */
enum sl_srtp_impl {
	SL_SRTP_LIBSRTP,                /* libsrtp2 for SRTP; SRTCP and what libsrtp2 cannot be made
					 * to do: as SOFT */
	SL_SRTP_NULL,                   /* no protection, any profile, no tag: for simulations */
	SL_SRTP_SOFT,                   /* AES, SHA-1 and GCM of mbedTLS; keeps nothing about an
					 * SSRC */
	SL_SRTP_CLEAR,                  /* plain RTP and RTCP: what goes in comes out, any profile */
	SL_SRTP_MB                      /* intel-ipsec-mb, amd64 only: a fifth of SOFT's time, keeps
					 * nothing about an SSRC. A key must be bound to a manager
					 * before it seals or opens */
};
const char *sl_srtp_impl_name(enum sl_srtp_impl impl);          /* "mb", "soft", ... */
/* The transform to give a profile on this machine: what callers pass to sl_srtp_key_new() unless
 * told otherwise. SOFT until sl_srtp_use(). */
enum sl_srtp_impl sl_srtp_best(enum sl_srtp_profile p);

/* What to use, and the measurement behind it. */
enum sl_srtp_arch {
	SL_ARCH_NONE, SL_ARCH_SSE, SL_ARCH_AVX, SL_ARCH_AVX2, SL_ARCH_AVX512, SL_ARCH_COUNT
};
const char *sl_srtp_arch_name(enum sl_srtp_arch arch);
enum { SL_SRTP_SIZES = 7 };
extern const uint8_t sl_srtp_sizes[SL_SRTP_SIZES];              /* batches: 1, 2, 4, 6, 8, 16, 32 */
struct sl_srtp_choice {
	enum sl_srtp_impl cm, gcm;      /* for AES-CM with HMAC-SHA1, for AES-GCM */
	/* MB: a loop has a manager for few packets at once, one for large_from and more (it may be
	 * the same), and GCM takes one of the two */
	enum sl_srtp_arch small, large, aead;
	int large_from;
	/* nanoseconds for a packet of 1100 bytes by size of its batch; NONE is SOFT; 0: not
	 * measured. GCM in batches of 8. */
	uint32_t cm_ns[SL_ARCH_COUNT][SL_SRTP_SIZES], gcm_ns[SL_ARCH_COUNT];
};
/* want is "auto", "mb", "soft" or "libsrtp"; the first two seal some thousand packets by the clock
 * that is handed in (monotonic nanoseconds). SL_EPARSE for another word, SL_EUNSUPPORTED when mb is
 * wanted and not possible here, SL_ENOMEM. */
SL_MUST_USE int sl_srtp_choose(struct sl_str want, int64_t (*now_ns)(void),
			       struct sl_srtp_choice *out);
/* For the whole process: before any key or manager is made, and before there are threads. */
void sl_srtp_use(const struct sl_srtp_choice *c);
const struct sl_srtp_choice *sl_srtp_in_use(void);

/* The working memory of MB, about 230 KB, 430 KB where two instruction sets are used: one for each
 * thread that seals or opens. NULL stands for the choice in use; *out is NULL where it needs none.
 * SL_ENOMEM, SL_EUNSUPPORTED. */
struct sl_srtp_mgr;
SL_MUST_USE int sl_srtp_mgr_new(const struct sl_srtp_choice *c, struct sl_srtp_mgr **out);
void sl_srtp_mgr_free(struct sl_srtp_mgr *mgr);                 /* wipes; takes NULL */

struct sl_srtp_key;
/* Of one direction: `outbound` keys seal, the others open. SL_ENOMEM, SL_EUNSUPPORTED. The master
 * is copied. */
SL_MUST_USE int sl_srtp_key_new(enum sl_srtp_impl impl, const struct sl_srtp_master *master,
				bool outbound, struct sl_srtp_key **out);
void sl_srtp_key_free(struct sl_srtp_key *key);                 /* wipes; takes NULL */
/* The thread that the key now belongs to. Nothing to do for a transform other than MB, and for
 * NULL. May be called again: a key that moves to another loop is bound there. */
void sl_srtp_key_bind(struct sl_srtp_key *key, struct sl_srtp_mgr *mgr);
enum sl_srtp_profile sl_srtp_key_profile(const struct sl_srtp_key *key);
/* Forgets what a transform may keep about an SSRC that is gone (libsrtp streams). */
void sl_srtp_key_forget(struct sl_srtp_key *key, uint32_t ssrc);

struct sl_srtp_op {
	struct sl_srtp_key *key;
	/* seal: header and payload of the plain packet. open: hdr = the whole sealed packet,
	 * payload unused. For RTCP the header is the first 8 bytes of the compound. Read only; may
	 * be shared by many ops.
	 * hdr holds the whole RTP header and may run on into the payload (RTX's OSN, a patched
	 * descriptor): what is enciphered begins where the header ends by its own fields. */
	const uint8_t *hdr;
	const uint8_t *payload;
	size_t hdr_len, payload_len;
	uint64_t index;                 /* SRTP: ROC << 16 | seq. SRTCP: its 31-bit index (open:
					 * read from the packet by the caller) */
	bool rtcp;
	/* Must not overlap the input. Room: seal hdr_len + payload_len + SL_SRTP_OVERHEAD,
	 * open hdr_len. */
	uint8_t *out;
	size_t out_len;                 /* result; 0 and nothing of use in out unless err is
					 * SL_OK */
	int err;                        /* result: SL_OK, SL_EAUTH; SL_EPARSE for a malformed packet
					 * or an index that is not its own; SL_ERANGE past 2^48 or
					 * 2^31 (key used up); SL_ESTATE: wrong way, or no
					 * manager */
};
enum { SL_SRTP_BATCH_MAX = 128 };
/* n <= 128. Each op has its own result; returns how many are SL_OK. Same packet sealed twice under
 * one index (a retransmission of the same bytes) is allowed under AES-CM only; different bytes
 * never (T11), which the caller keeps. */
int sl_srtp_seal(struct sl_srtp_op *ops, int n);
int sl_srtp_open(struct sl_srtp_op *ops, int n);

/* Replay window and rollover counter of one inbound SSRC. */
enum { SL_SRTP_WINDOW = 1024 };
struct sl_srtp_rx {
	uint64_t top;                   /* highest index that authenticated */
	uint64_t seen[SL_SRTP_WINDOW / 64];
	bool started;
};
/* The index a packet most likely has (RFC 3711 section 3.3.1). Before the first authentic packet:
 * seq itself. */
uint64_t sl_srtp_rx_index(const struct sl_srtp_rx *rx, uint16_t seq);
/* The one other index worth a try when the packet did not authenticate under sl_srtp_rx_index():
 * until the first authentic packet of an SSRC its sender may have wrapped unseen, so seq with
 * ROC 1. Then SL_SRTP_NO_INDEX.
 *	op.index = sl_srtp_rx_index(rx, seq), open;
 *	on SL_EAUTH the same with the alternative, if there is one. */
#define SL_SRTP_NO_INDEX UINT64_MAX
uint64_t sl_srtp_rx_alternative(const struct sl_srtp_rx *rx, uint16_t seq);
/* SL_OK, or SL_EREPLAY when it was accepted before or is older than the window. */
SL_MUST_USE int sl_srtp_rx_check(const struct sl_srtp_rx *rx, uint64_t index);
/* After authentication only. Two copies in one batch both open: check again before each accept. */
void sl_srtp_rx_accept(struct sl_srtp_rx *rx, uint64_t index);
/* SRTCP has one window per SSRC as well; its index is explicit in the packet. Reads it: SL_EPARSE
 * when too short or the E bit is missing where the profile encrypts. */
SL_MUST_USE int sl_srtcp_index(const struct sl_srtp_key *key, const uint8_t *packet, size_t len,
			       uint32_t *index);

/* Indexes of one outbound SSRC: what it gives out never repeats. Zeroed at the start, kept as long
 * as the key: an SSRC that begins anew under an old key repeats its keystream (RFC 3711 section
 * 9.1). */
struct sl_srtp_tx {
	uint64_t next;                  /* lowest SRTP index not yet given out */
	uint64_t rtcp_next;
	bool started;
};
/* The next index whose low 16 bits are seq; gaps are fine. SL_EREPLAY when seq is not ahead of the
 * last (2^15 at most): a retransmission uses the index it was given. SL_ERANGE after 2^48. */
SL_MUST_USE int sl_srtp_tx_index(struct sl_srtp_tx *tx, uint16_t seq, uint64_t *index);
/* 0, 1, 2, ... of SRTCP. SL_ERANGE after 2^31. */
SL_MUST_USE int sl_srtp_tx_rtcp_index(struct sl_srtp_tx *tx, uint32_t *index);

/* ---- beside all that ---- */
#include "dtls/tls_client.h"            /* the client's end of a TLS stream */
#endif

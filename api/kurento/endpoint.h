/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/endpoint.h — SdpEndpoint and BaseRtpEndpoint: what WebRtcEndpoint (webrtc.c) and RtpEndpoint (rtp.c) share.
 * What:      endpoint.c has the methods of those two classes. It sees to the order of descriptions (who may offer, who
 *            answers, what is refused when), keeps both texts, the tracks of core by kind and unit, the limits and the
 *            states, and hears core's events. A class of its own opens the transports and writes the descriptions.
 * A negotiation: one method at a time. generateOffer, processOffer and processAnswer become a struct kms_job, which the
 *            class's op takes up; others wait for its end. The op may wait for replies of core; it ends with
 *            kms_job_done() or kms_job_fail(), in a reply only if job->ep is still there.
 * Units:     the first track of a kind and direction is unit 0, the next unit 1; the graph joins equal units. A track
 *            keeps its unit for its life.
 * Transports: any number of them (RtpEndpoint has one per m-line), all with the tag KMS_TAG | handle of the object.
 * Start at:  begin() in endpoint.c, then struct kms_endpoint_ops. */
#ifndef SL_KMS_ENDPOINT_H
#define SL_KMS_ENDPOINT_H
#include "api/kurento/kms.h"
#include "core/base/arena.h"
#include "rtp/sdp/sdp.h"

struct kms_endpoint;
enum kms_job_type { KMS_JOB_OFFER, KMS_JOB_ANSWER, KMS_JOB_ACCEPT, KMS_JOB_OPEN };
/* One generateOffer, processOffer or processAnswer; OPEN: the class's own, of which no description comes. It outlives the endpoint while core owes it a reply. */
struct kms_job {
	/* borrowed */
	struct kms_endpoint *ep;        /* NULL: the endpoint is gone, and the call answered */
	const struct kms_endpoint_ops *ops;
	struct sl_core *core;
	struct kms_call *call;
	/* owned */
	struct sl_arena arena;          /* of all that hangs on remote and local */
	/* state */
	enum kms_job_type type;
	bool again;                     /* there was a description before: a renegotiation */
	struct sl_str text;             /* the peer's description, on the arena; empty for an offer of ours */
	struct sl_sdp remote;           /* the same, read */
	struct sl_sdp local;            /* ours, when it is written */
	void *more;                     /* the class's own, on the arena or its own to free */
	unsigned waiting;               /* replies that core owes it: the class counts them */
};

/* How a class negotiates. Each of the three ends the job now or later. */
struct kms_endpoint_ops {
	void (*offer)(struct kms_job *job);
	void (*answer)(struct kms_job *job);    /* job->remote is the peer's offer */
	void (*accept)(struct kms_job *job);    /* job->remote is the peer's answer to the offer in ep->local */
	void (*open)(struct kms_job *job);      /* NULL: there is none */
	/* A second processOffer, told from the first by its text: 40208, or renegotiate? NULL: always 40208. */
	bool (*renegotiates)(struct kms_endpoint *ep, const struct kms_job *job);
	/* The job is over, well or not, or its endpoint is gone and nothing is owed any more: frees job->more. May be
	 * NULL. */
	void (*job_over)(struct kms_job *job);
	/* Core's event about a transport of its; endpoint.c has done its part. */
	void (*event)(struct kms_endpoint *ep, const struct sl_core_event *ev);
	/* No job is under way any more: what was put off for it can be done. May be NULL. */
	void (*idle)(struct kms_endpoint *ep);
	/* Our description as it is now, candidates included; NULL: ep->local as it was written. Free it with
	 * sl_free(). SL_ENOMEM. */
	int (*describe)(struct kms_endpoint *ep, char **text, size_t *len);
};

/* A track of core: what goes one way on one m-line. */
struct kms_track {
	uint64_t id, transport;
	bool publish;                   /* the peer sends it */
	bool flowing;
	bool keep;                      /* free for use by a class that renegotiates; true when it was added */
	enum sl_kind kind;
	uint8_t unit;
	uint16_t line;                  /* index of its m-line */
	enum sl_codec codec;            /* publish: what comes; NONE before the first packet */
	uint64_t digest;                /* of its conf: an m-line that says the same needs no new track */
};
enum { KMS_TRACKS_MAX = 2 * KMS_UNITS_MAX * SL_KIND_COUNT, KMS_JOBS_WAITING_MAX = 8 };

enum kms_sdp_state {
	KMS_SDP_NEW, KMS_SDP_OFFERED,   /* OFFERED: by us, without an answer */
	KMS_SDP_ANSWERED                /* ours was answered, or we have answered: descriptions are agreed on */
};

/* What a client has set; a number below 0: it has not. Units are Kurento's: kbit/s. */
struct kms_bandwidth {
	int32_t max_audio_recv, max_video_recv, min_video_recv, min_video_send, max_video_send;
};
enum { KMS_REMB_PARAMS = 8 };
struct kms_remb {                       /* RembParams; kept for the client, core has an estimate of its own */
	double value[KMS_REMB_PARAMS];
	bool has[KMS_REMB_PARAMS];
};

struct kms_endpoint {
	struct kms_element e;           /* first */
	const struct kms_endpoint_ops *ops;     /* set by the class's init */
	/* owned */
	char *local, *remote;           /* descriptions; NULL none */
	struct kms_job *job;            /* under way; NULL none */
	struct kms_waiting {
		struct kms_call *call;
		enum kms_job_type type;
	} waiting[KMS_JOBS_WAITING_MAX];
	size_t waiting_count;
	struct kms_work next;           /* after a job */
	struct kms_track tracks[KMS_TRACKS_MAX];
	size_t track_count;
	/* state */
	enum kms_sdp_state sdp;
	bool offered_by_us;             /* the first offer was ours */
	char cname[17];                 /* of all that we send; "" not yet made */
	uint64_t sdp_id, sdp_version;   /* of o= */
	unsigned loop;                  /* of its transports */
	bool looped;                    /* loop was chosen */
	struct kms_bandwidth set;
	struct kms_remb remb;
	int32_t mtu;                    /* 0: core's own choice */
	bool connected, media;          /* ConnectionState and MediaState */
};

/* ---- for the classes ---- */
/* Chooses the loop, once; SL_EBUSY: the server takes no more (kms_job_fail_err() says 40009). */
SL_MUST_USE int kms_endpoint_place(struct kms_endpoint *ep);
uint64_t kms_endpoint_tag(const struct kms_endpoint *ep);
/* The limits that hold for such a track, into a conf that core is to have. */
void kms_endpoint_limit(const struct kms_endpoint *ep, struct sl_track_conf *tc);
/* A track that core has; the graph hears of it. False: there are KMS_UNITS_MAX of its kind, or KMS_TRACKS_MAX. */
bool kms_track_add(struct kms_endpoint *ep, const struct sl_track_conf *tc, uint64_t id, uint64_t transport,
		   uint16_t line);
/* Forgets it, and has core free it if `remove`; the array moves up. */
void kms_track_drop(struct kms_endpoint *ep, struct kms_track *t, bool remove);
struct kms_track *kms_track_by_id(struct kms_endpoint *ep, uint64_t id);
struct kms_track *kms_track_on(struct kms_endpoint *ep, uint16_t line, bool publish);
/* Without the limits. */
uint64_t kms_track_digest(const struct sl_track_conf *tc);
/* Begins a job, or has it wait. */
void kms_endpoint_ask(struct kms_endpoint *ep, struct kms_call *call, enum kms_job_type type);
/* Closes a transport of core, later if the loop is busy. */
void kms_transport_close(struct kms *k, uint64_t transport);
/* All transports are up, or one is not. Raises ConnectionStateChanged. */
void kms_endpoint_connected(struct kms_endpoint *ep, bool connected);
/* SSRCs and cname of what we send on one more m-line. Not 0, and unlike those in others[n]. */
void kms_endpoint_send(struct kms_endpoint *ep, const struct sl_sdp_send *others, size_t n,
		       struct sl_sdp_send *out);
/* The codecs that config allows, into SDP's form. */
void kms_endpoint_codecs(const struct kms_endpoint *ep, uint8_t codecs[SL_CODEC_COUNT]);

/* These end the job; what is behind `ep` may be gone afterwards. job->local becomes ep->local, job->text ep->remote, the state moves on, MediaSessionStarted is raised
 * when descriptions are agreed on, and the text is the call's value. */
void kms_job_done(struct kms_job *job);
void kms_job_fail(struct kms_job *job, enum kms_error code, const char *fmt, ...) SL_PRINTF(3, 4);
/* Core's errors: full, busy, out of memory become 40009, the rest the error of the job's method (40204 to 40206). */
void kms_job_fail_err(struct kms_job *job, int err, const char *what);
/* A reply came: is there still somebody? If not, and core owes nothing more, the job is freed; the caller sees to what
 * the reply brought. */
bool kms_job_replied(struct kms_job *job);

/* A description as text from sl_zalloc(). SL_ENOMEM, SL_EFULL. */
SL_MUST_USE int kms_sdp_text(const struct sl_sdp *sdp, char **text, size_t *len);

/* ---- base_rtp.c ---- */
void kms_get_max_audio_recv(struct kms_object *o, struct kms_call *call);
void kms_set_max_audio_recv(struct kms_object *o, struct kms_call *call);
void kms_get_max_video_recv(struct kms_object *o, struct kms_call *call);
void kms_set_max_video_recv(struct kms_object *o, struct kms_call *call);
void kms_get_min_video_recv(struct kms_object *o, struct kms_call *call);
void kms_set_min_video_recv(struct kms_object *o, struct kms_call *call);
void kms_get_min_video_send(struct kms_object *o, struct kms_call *call);
void kms_set_min_video_send(struct kms_object *o, struct kms_call *call);
void kms_get_max_video_send(struct kms_object *o, struct kms_call *call);
void kms_set_max_video_send(struct kms_object *o, struct kms_call *call);

/* stats.c: getStats of an endpoint; transports are those of its tracks, and those given. */
void kms_stats_get(struct kms_object *o, struct kms_call *call);
extern const struct kms_impl kms_sdp_endpoint_impl, kms_base_rtp_impl, kms_rtp_impl, kms_webrtc_impl;
#endif

/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/webrtc.h — WebRtcEndpoint: what its files share. webrtc.c: the class, its properties and core's events;
 * webrtc_sdp.c: descriptions, and the steps that core takes for them; webrtc_ice.c: candidates of both sides.
 * One transport of core, on which all m-lines are bundled. It is opened by the first description, or earlier by
 * gatherCandidates, and again when the peer comes back as another PeerConnection. */
#ifndef SL_KMS_WEBRTC_H
#define SL_KMS_WEBRTC_H
#include "api/kurento/endpoint.h"

/* An m-line, kept from one description to the next. */
struct kms_line {
	enum sl_kind kind;
	bool media;                     /* audio or video */
	bool accepted;                  /* not rejected in the last description */
	char mid[SL_MID_MAX + 1];       /* "" none */
	struct sl_sdp_send send;        /* of ours, if we send on it */
};

enum kms_component { KMS_C_DISCONNECTED, KMS_C_GATHERING, KMS_C_CONNECTING, KMS_C_CONNECTED, KMS_C_READY, KMS_C_FAILED };

/* As the client set them; texts are owned, NULL: what config says. */
struct kms_ice_set {
	char *network_interfaces, *stun_address, *turn_url, *external_ipv4, *external_ipv6;
	int32_t stun_port;              /* 0: what config says */
	bool ice_tcp;
};

struct kms_webrtc {
	struct kms_endpoint ep;         /* first */
	/* of the constructor */
	bool recvonly, sendonly, rsa;
	uint8_t dscp;
	/* owned */
	struct kms_line *lines;         /* of the last description, line_count of them */
	size_t line_count;
	struct sl_core_cand *found;     /* ours, as core told them; found_count of them */
	size_t found_count;
	struct sl_core_cand *stored;    /* the peer's, until core can have them */
	size_t stored_count;
	struct kms_ice_set set;
	struct kms_gathering *gathering;        /* core's reply is on its way; NULL */
	/* state */
	uint64_t transport;             /* 0 none */
	bool remote_set;                /* core knows the peer's side of it */
	bool dtls_client;
	bool gather;                    /* the client asked for candidates */
	bool begun, gathered;           /* of this transport: core was told to; those were all */
	bool paired, secured;           /* pair and dtls hold something */
	enum kms_component component;
	bool component_said;
	enum sl_core_dtls_state dtls;
	char ufrag[40], pwd[64];        /* ours */
	uint64_t peer_creds, peer_cert; /* digests of the peer's credentials and fingerprint */
	struct kms_timer again;         /* what found no room is tried again */
	char pair[2][200];              /* candidates in use: ours, the peer's */
};

static inline struct kms_webrtc *kms_webrtc(struct kms_object *o)
{
	return (struct kms_webrtc *)(void *)o;
}

/* ---- webrtc_sdp.c ---- */
void kms_webrtc_offer(struct kms_job *job);
void kms_webrtc_answer(struct kms_job *job);
void kms_webrtc_accept(struct kms_job *job);
bool kms_webrtc_renegotiates(struct kms_endpoint *ep, const struct kms_job *job);
void kms_webrtc_open(struct kms_job *job);
void kms_webrtc_job_over(struct kms_job *job);
int kms_webrtc_describe(struct kms_endpoint *ep, char **text, size_t *len);
/* What every conf of a transport of ours begins with. */
void kms_webrtc_conf(struct kms_webrtc *w, struct sl_transport_conf *conf);
/* Our credentials are these from now on. */
void kms_webrtc_creds(struct kms_webrtc *w, const struct sl_reply *r);
/* The transport is there. */
void kms_webrtc_opened(struct kms_webrtc *w, const struct sl_reply *r);
/* It is to go, or is gone already (close: false): tracks and states go with it. */
void kms_webrtc_drop(struct kms_webrtc *w, bool close);

/* ---- webrtc.c ---- */
/* Log line and Error event: a STUN or TURN server did not do its part, for this reason. */
void kms_webrtc_server_failed(struct kms_webrtc *w, const char *why);

/* ---- webrtc_ice.c ---- */
void kms_webrtc_gather(struct kms_object *o, struct kms_call *call);
/* The job of gatherCandidates, when the transport is there or none is to be had; ends it. */
void kms_webrtc_gather_now(struct kms_job *job);
void kms_webrtc_add_candidate(struct kms_object *o, struct kms_call *call);
/* Does what was put off: hands over stored candidates, begins to gather. */
void kms_webrtc_idle(struct kms_endpoint *ep);
/* Candidates that came before core could have them, into a conf. */
void kms_webrtc_take_stored(struct kms_webrtc *w, struct sl_transport_conf *conf);
void kms_webrtc_found(struct kms_webrtc *w, const struct sl_core_cand *c);
void kms_webrtc_gathered(struct kms_webrtc *w);
void kms_webrtc_component(struct kms_webrtc *w, enum kms_component state);
/* Ours as SDP has them: on the arena; how many. */
size_t kms_webrtc_cands(const struct kms_webrtc *w, struct sl_arena *arena, struct sl_sdp_cand **out);
void kms_webrtc_ice_init(struct kms_webrtc *w);
void kms_webrtc_ice_reset(struct kms_webrtc *w);
void kms_webrtc_ice_fini(struct kms_webrtc *w);
void kms_webrtc_paired(struct kms_webrtc *w, const struct sl_core_cand *local, const struct sl_core_cand *remote);
void kms_webrtc_get_connections(struct kms_object *o, struct kms_call *call);
void kms_webrtc_get_pairs(struct kms_object *o, struct kms_call *call);
#endif

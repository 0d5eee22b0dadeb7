/* SPDX-License-Identifier: Apache-2.0
 * api/api_int.h — what the files of api/ share. The words are explained in api.h. */
#ifndef SL_API_INT_H
#define SL_API_INT_H
#include "api/api.h"
#include "core/base/arena.h"
#include "core/base/hash.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "rtp/sdp/sdp.h"
#include <uv.h>

enum {
	API_NAME_CHARS_MAX = 64, API_NAME_MAX = 4 * API_NAME_CHARS_MAX, /* bytes */
	API_ID_LEN = 22,                /* base64url of 128 bits */
	API_PATH_MAX = 1024, API_HOST_MAX = 300, API_HEAD_MAX = 1536,
	API_SEGMENTS_MAX = 7
};
/* A holder of a name that has brought nothing authentic for this long is replaced by who asks for
 * the name. */
#define API_SILENT_US (6 * SL_SEC)

/* For what is known to fit, or is nothing when it does not. */
static inline void api_copy(char *dst, size_t cap, struct sl_str s)
{
	if (!sl_str_copy(dst, cap, s))
		dst[0] = 0;
}

/* ---- http.c: requests and responses ---- */
enum api_method {
	API_GET,
	API_HEAD,
	API_POST,
	API_PATCH,
	API_DELETE,
	API_OPTIONS,
	API_PUT,
	API_METHOD_COUNT
};

/* What the request's token lets it do. */
struct api_rights {
	bool all;                       /* the static token, or none is needed */
	uint32_t bits;                  /* of a join token: API_JWT_PUBLISH and so on */
	char room[API_NAME_MAX + 1], participant[API_NAME_MAX + 1];     /* a join token's */
};

struct api_request {
	enum api_method method;
	const struct api_route *route;          /* NULL: no such path */
	char path[API_PATH_MAX];                /* decoded by the library */
	struct sl_str seg[API_SEGMENTS_MAX];    /* of path */
	size_t seg_count;
	char query[API_PATH_MAX];               /* only for the redirect to https */
	char host[API_HOST_MAX], origin[API_HOST_MAX];
	char content_type[128], if_match[256], if_none_match[256], cors_method[32];
	char participant[API_NAME_MAX + 1];
	bool has_participant, has_if_match;
	char last_event_id[24];                 /* "" none */
	bool authorized;                        /* came with a good token */
	struct api_rights rights;
	bool cors;                              /* pages of other origins may read the response */
	uint8_t *body;                          /* owned */
	size_t body_len, body_cap;
};

struct api_response {
	int status;
	char head[API_HEAD_MAX];                /* header lines of the handler */
	size_t head_len;
	const char *type;
	const char *body;
	char *owned;                            /* what body points into, when it is ours to free */
	size_t body_len;
	bool links;                             /* add Link headers of the ICE servers */
	bool cacheable;
	const struct api_stream_ops *stream;    /* NULL: the response is a whole */
	void *stream_data;
	bool beat_due;                          /* a sign of life is to be asked for, and was not yet taken */
};

enum api_conn_state {
	CONN_SNIFF,             /* TLS or not? */
	CONN_HEAD,              /* TLS handshake or request head is coming */
	CONN_BODY,
	CONN_WAIT,              /* a media loop is asked */
	CONN_WS,                /* upgraded: ws.c has it */
	CONN_STREAM,            /* a response without an end is under way */
	CONN_ANSWER,            /* response is ready, to be written when the socket takes it */
	CONN_DYING              /* written: the library flushes and closes */
};

struct lws;
struct api_conn {
	struct sl_list link;            /* of api->conns, oldest first; none once evicted */
	struct sl_api *api;
	struct lws *wsi;                /* NULL before adoption */
	struct api_op *op;              /* CONN_WAIT: who will answer */
	struct api_ws *ws;              /* owned by ws.c; NULL when not upgraded */
	/* state */
	enum api_conn_state state;
	struct sl_addr peer;
	int64_t since_us, deadline_us;
	int fd;                         /* before adoption */
	bool local;                     /* peer is loopback */
	bool counted;                   /* against http.max_per_address */
	bool tls, adopting, gone, in_callback, sniffing;
	struct uv_poll_s sniff;
	struct api_request req;
	struct api_response res;
};

/* Which join tokens open a path; the static token opens all. */
enum api_scope {
	API_OPEN,                       /* no token is needed */
	API_STATIC,                     /* none */
	API_ROOM_PUBLISH,               /* of the room in the second segment, with the right to publish */
	API_ROOM_SUBSCRIBE,             /* to subscribe */
	API_ROOM_JOIN,                  /* either; the room is the third segment (/v1/rooms/{room}/join) */
	API_ROOM_ADMIN,                 /* admin; the room is the third segment */
	API_OWN_SESSION                 /* the one that made the session */
};

struct api_route {
	const char *path;               /* without the first '/'; a segment "*" takes any one */
	uint8_t methods;                /* bits by enum api_method, without OPTIONS */
	bool cors;
	enum api_scope scope;
	const char *accept;             /* content type of a body; NULL: none is read */
	const char *accept_header;      /* how OPTIONS tells it */
	void (*fn)(struct api_conn *c);
	const struct api_ws_ops *ws;    /* what an upgrade to WebSocket gets; NULL: none is to be had */
};
/* Tests put paths of their own here; the last one's `path` is NULL. */
extern const struct api_route *api_more_routes;
const struct api_route *api_route_find(const struct sl_api *api, const struct api_request *req);

int api_http_new(struct sl_api *api, struct sl_core_why *why);
void api_http_free(struct sl_api *api);
/* Gives an accepted socket to the library; afterwards the connection may be gone. */
void api_http_adopt(struct api_conn *c);
/* Closes it now; the struct goes when the library has let go of it. */
void api_http_kill(struct api_conn *c);
/* Its deadline has come: may put it off. */
void api_http_due(struct api_conn *c);
/* Appends "Name: value" to the response being made. What does not fit makes the response a 503. */
void api_header(struct api_conn *c, const char *name, const char *fmt, ...) SL_PRINTF(3, 4);
/* Ends the request. `body` is copied; NULL for none. */
void api_respond(struct api_conn *c, int status, const char *type, const char *body, size_t len);
/* The same, body in static storage. */
void api_respond_static(struct api_conn *c, int status, const char *type, const char *body,
			size_t len);
/* The same, body from sl_zalloc(), which is taken over. */
void api_respond_owned(struct api_conn *c, int status, const char *type, char *body, size_t len);
/* A response without an end, until either side closes. Nothing is kept: the stream is asked for more when the socket
 * takes more. Who takes nothing for two beats is cut. */
struct api_stream_ops {
	/* Writes one piece, or nothing; asked again after a piece, and after api_stream_wake(). beat: something should be
	 * written. False: the end. */
	bool (*more)(struct api_conn *c, bool beat);
	void (*closed)(struct api_conn *c);     /* the last call, in any case */
};
enum { API_PIECE_MAX = 16384 };
void api_respond_stream(struct api_conn *c, const char *type, const struct api_stream_ops *ops, void *data);
void api_stream_wake(struct api_conn *c);
/* Only within more(), once; at most API_PIECE_MAX. */
void api_stream_write(struct api_conn *c, const char *text, size_t len);
const char *api_method_name(enum api_method m);
/* The path for a log line: of a session only the start of its id. */
struct sl_str api_log_path(const struct api_request *req);
/* "GET, HEAD, OPTIONS" */
void api_methods_text(uint8_t methods, char *out, size_t cap);
int64_t api_now_us(const struct sl_api *api);

/* ---- problem.c: RFC 9457 ---- */
void api_problem(struct api_conn *c, int status, const char *fmt, ...) SL_PRINTF(3, 4);
/* The same, and where it is: a JSON pointer into the body, "?name" of the query, "{name}" of the
 * path. */
void api_problem_at(struct api_conn *c, int status, const char *field, const char *fmt, ...)
	SL_PRINTF(4, 5);
/* 503 with Retry-After. */
void api_busy(struct api_conn *c, int retry_after_s, const char *why);
const char *api_status_text(int status);

/* ---- guard.c: what a request must be before anybody looks at it ---- */
enum { API_HDR_ABSENT = -1, API_HDR_TWICE = -2, API_HDR_LONG = -3 };
struct api_framing {            /* what frames a request, as it came */
	bool transfer_encoding;
	int length_count;       /* Content-Length headers */
	struct sl_str length;   /* the first one's value */
	int host_count;
	struct sl_str host;
	struct sl_str version;  /* "HTTP/1.1" */
	enum api_method method;
	uint64_t max_body;
};
/* 0 and the body's length, or the status to refuse with, and why. */
int api_guard(const struct api_framing *f, uint64_t *body_len, const char **why);

/* ---- auth.c ---- */
bool api_host_ok(const struct sl_config *conf, struct sl_str host);
/* open: a path of WHIP or WHEP. */
bool api_origin_ok(const struct sl_config *conf, struct sl_str host, struct sl_str origin,
		   bool open);
/* In http.origins. */
bool api_origin_listed(const struct sl_config *conf, struct sl_str origin);
bool api_token_ok(const struct sl_config *conf, struct sl_str authorization);
/* Is a token needed at all? */
bool api_auth_on(const struct sl_config *conf);
/* The static token or a join token, without "Bearer". Fills *out: false for no good token. */
bool api_authenticate(const struct sl_config *conf, struct sl_str token, int64_t wall_us, struct api_rights *out);
/* NULL, or why what the token allows does not reach this path. Fixes the participant of a join token. */
const char *api_forbidden(struct sl_api *api, struct api_request *req);
bool api_bind_is_loopback(const struct sl_config *conf);

/* ---- names.c ---- */
/* NULL, or what is wrong with the name. */
const char *api_name_check(struct sl_str name);
/* Percent-encodes what may not stand in a path; '/' passes. */
void api_percent_encode(struct sl_buf *out, struct sl_str s);

/* ---- listen.c ---- */
int api_listen_new(struct sl_api *api, struct sl_core_why *why);
void api_listen_free(struct sl_api *api);
void api_conn_deadline(struct api_conn *c, int64_t at_us);
void api_conn_free(struct api_conn *c);

/* ---- session.c, room.c ---- */
struct api_track {
	uint64_t id;                    /* of core; 0: not there yet, or removed */
	char public_id[API_ID_LEN + 1]; /* what REST and events call it: a track, or a subscription */
	bool publish;                   /* the peer sends; else it plays: a subscription */
	enum sl_kind kind;
	uint8_t unit;                   /* how many of its kind and direction came before it */
	char mid[SL_MID_MAX + 1];
	char source[17];                /* publish: "camera", "microphone", "screen" or "" */
	bool muted;                     /* publish: for everyone; subscription: paused */
	bool held;                      /* publish: an operator muted it, and only one lets it go on */
	enum sl_codec codec;            /* publish: of the last SL_EV_MEDIA */
	uint64_t playing;               /* subscription: the publisher's track, 0 nothing */
	uint32_t cap_bps;               /* publish: what core was told last; 0 none */
	bool capped;                    /* publish: publish.max_video_bps holds for it */
	uint32_t score;                 /* publish: loudness, when last heard */
	int64_t heard_us;
};

struct api_slot {                       /* what a player's k-th m-lines play */
	uint64_t publisher;             /* tag of the session; 0 nobody */
	uint8_t unit;
};

/* What of a session's media came and what was lost, in both directions, when somebody looked. */
struct api_flow {
	int64_t at_us;
	uint64_t up_packets, up_lost, down_packets, down_lost;
};

/* What feed.c said of it last. */
struct api_feed_text {
	char *text;                     /* owned */
	size_t len;
};

enum api_session_state { SESSION_OPENING, SESSION_OPEN, SESSION_CLOSING };
struct api_session {
	struct sl_list link;            /* of the room's publishers in order of joining; of api->closing */
	struct sl_list play_link;       /* of the room's players */
	struct api_room *room;          /* NULL when closing */
	struct api_join *join;          /* owned by join.c; NULL: a WHIP or WHEP session */
	/* owned */
	struct api_track *tracks;       /* published ones and subscriptions, in order of their making */
	size_t track_count, track_cap;
	size_t publish_first, publish_end;      /* where the published ones lie among them */
	struct api_slot *slots;         /* of a player */
	struct api_feed_text *feed;     /* statistics for readers of events */
	size_t feed_count;
	size_t slot_count, slot_cap;
	size_t wanted;                  /* slots that the room could fill now */
	/* state */
	uint64_t tag;                   /* what core calls it by */
	uint64_t transport;             /* 0 while opening */
	enum api_session_state state;
	bool publisher, player;         /* which of the room's lists it is in */
	bool connected, silent;
	unsigned loop;
	bool busy;                      /* an ICE restart is under way */
	enum sl_close_cause cause;      /* when core has closed it */
	char detail[96];                /* of the cause */
	uint32_t codecs;                /* of its room when it began: bits by enum sl_codec; 0 all */
	uint32_t cap_bps;               /* most for each of its cameras, by an operator; 0 none */
	struct api_flow looks[2];       /* for the diagnosis: the earlier one, at least 5 s apart */
	int64_t since_us;
	char id[API_ID_LEN + 1];
	char etag[API_ID_LEN + 1];      /* of the ICE session */
	char participant[API_NAME_MAX + 1];     /* publisher: its name. WHEP player: whom it plays, "" all */
	char owner[API_NAME_MAX + 1];   /* participant of the join token that made it; "" the static one, or none */
	char ufrag[SL_UFRAG_MAX + 1], pwd[SL_PWD_MAX + 1];      /* the peer's */
	char mid[SL_MID_MAX + 1];       /* of the m-line that carries ICE */
	enum sl_kind mid_kind;
};

/* A session that is over, for whoever asks why. */
struct api_ended {
	char id[API_ID_LEN + 1];        /* "" none */
	char room[API_NAME_MAX + 1], participant[API_NAME_MAX + 1];
	const char *via;
	enum sl_close_cause cause;
	char detail[96], why[200];
	int64_t since_us, ended_us;
	unsigned loop;
};
enum { API_ENDED_MAX = 64 };

/* What can be set of a room. */
enum { API_PUBLISHERS_MAX = 256 };
enum api_who { API_ANYONE, API_NOBODY, API_LISTED };
struct api_room_set {
	int64_t linger_us;              /* SL_NEVER: it stays until it is deleted */
	int64_t max_video_bps;          /* its cameras share it; 0 no cap, -1 rooms.max_video_bps */
	uint32_t capacity;              /* participants; 0: rooms.max_participants */
	uint32_t codecs;                /* bits by enum sl_codec; 0 all */
	enum api_who publishers;
	char *names;                    /* owned: of API_LISTED, each with its NUL, one behind the other */
	size_t names_len, name_count;
};

struct api_room {
	struct sl_list link;            /* of api->empty_rooms, the first to end first */
	struct sl_list publishers, players;
	uint32_t publisher_count;
	char name[API_NAME_MAX + 1];
	struct api_room_set set;
	bool made;                      /* by a request for it: never makes way for another */
	int64_t since_us;
	int64_t empty_us;               /* since when; 0: somebody is here */
	bool dirty;                     /* a route could not be set: try again */
	struct sl_speaker speaker;
};

/* Room of that name or NULL. */
struct api_room *api_room_find(struct sl_api *api, const char *name);
/* SL_EFULL at rooms.max (after forgetting an empty one), SL_ENOMEM. */
SL_MUST_USE int api_room_new(struct sl_api *api, const char *name, struct api_room **out);
/* Ends all its sessions, and the room. */
void api_room_end(struct sl_api *api, struct api_room *r, const char *why);
/* Takes over *set. Caps and the room's end follow from it; sessions that are there stay. */
void api_room_set(struct sl_api *api, struct api_room *r, struct api_room_set *set);
/* Tells core the caps that have changed. */
void api_room_caps(struct sl_api *api, struct api_room *r);
/* Somebody came, left, or is ready: sets who plays whom, and starts or stops the wait for the
 * room's end. */
void api_room_changed(struct sl_api *api, struct api_room *r);
struct api_session *api_room_publisher(const struct api_room *r, const char *participant);
/* The same, or who joined under that name without the right to publish. */
struct api_session *api_room_participant(const struct api_room *r, const char *participant);
/* Participants: publishers, and who joined only to watch. */
uint32_t api_room_count(const struct api_room *r);
/* Who spoke last, as long as that track is there; NULL nobody. */
const struct api_session *api_room_speaker(const struct api_room *r);
void api_room_level(struct sl_api *api, struct api_session *s, uint64_t track, uint32_t score);
/* Ends rooms that were empty for rooms.linger, and tries routes again. Re-arms its timer. */
void api_rooms_tick(struct sl_api *api);
void api_rooms_fini(struct sl_api *api);

/* ---- spread.c: which loop a session is given to ---- */
struct api_spread {
	int64_t at_us;                          /* of the last look at the counters; 0 none */
	uint64_t seen[SL_CORE_LOOPS_MAX];       /* datagrams in and out, then */
	uint64_t rate_pps[SL_CORE_LOOPS_MAX];   /* between the last two looks */
	/* Sessions given to the loop since the last look, and between that and the one before. */
	uint32_t fresh[SL_CORE_LOOPS_MAX], recent[SL_CORE_LOOPS_MAX];
};
/* The least loaded; the session counts for it from now on. */
unsigned api_pick_loop(struct sl_api *api);
/* None can keep up. */
bool api_loops_busy(const struct sl_api *api);
/* What a loop has to do, in datagrams a second: see spread.c. */
uint64_t api_loop_load(const struct sl_api *api, unsigned loop);
/* Looks at the counters when it is time to. */
void api_spread_tick(struct sl_api *api);
/* Until then; SL_NEVER while there are no sessions. */
int64_t api_spread_wait_us(const struct sl_api *api);

/* ---- settings.c: what can be set of a room ---- */
void api_room_set_default(const struct sl_api *api, struct api_room_set *out);
void api_room_set_fini(struct api_room_set *set);       /* takes a zeroed one */
uint32_t api_room_capacity(const struct sl_api *api, const struct api_room *r);
/* Is there room for one more participant? */
bool api_room_has_place(const struct sl_api *api, const struct api_room *r);
bool api_room_may_publish(const struct api_room *r, struct sl_str participant);
/* Leaves in codecs[SL_CODEC_COUNT] only what a room's set.codecs allows. */
void api_allow_codecs(uint32_t allowed, uint8_t *codecs);
/* Core has got the track as tc says. */
void api_track_told(const struct sl_api *api, struct api_track *t, const struct sl_track_conf *tc);
/* What a publisher's video track may take; 0 no cap. *by: whose cap that is, in words. */
uint32_t api_room_cap_of(const struct sl_api *api, const struct api_room *r,
			 const struct api_session *s, const struct api_track *t, const char **by);

/* A publisher without a name is called by its id. SL_EFULL, SL_ENOMEM. */
SL_MUST_USE int api_session_new(struct sl_api *api, struct api_room *r, bool publisher, bool player,
				const char *participant, struct api_session **out);
/* A zeroed track of that direction and kind, with a public id, unit and, for a subscription, its slot. NULL out of memory.
 * Pointers to tracks are void after the next call. */
struct api_track *api_session_add_track(struct sl_api *api, struct api_session *s, bool publish,
					enum sl_kind kind) SL_MUST_USE;
/* Another public id: what is published from now on is another track. */
void api_session_name_track(struct sl_api *api, struct api_track *t);
/* Drops the last n tracks that were added (an open that failed). */
void api_session_drop_tracks(struct api_session *s, size_t n);
struct api_session *api_session_by_id(struct sl_api *api, struct sl_str id);
struct api_session *api_session_by_tag(struct sl_api *api, uint64_t tag);
/* Takes it out of its room at once and closes its transport, later if the loop is busy. */
void api_session_end(struct sl_api *api, struct api_session *s, const char *why);
/* Its transport is gone already. */
void api_session_gone(struct sl_api *api, struct api_session *s, const char *why);
void api_sessions_fini(struct sl_api *api);
void api_sessions_retry(struct sl_api *api);
/* "whip", "whep" or "join" */
const char *api_via_word(const struct api_session *s);
void api_session_new_etag(struct sl_api *api, struct api_session *s);
/* For logs: the first characters of the id, which as a whole is the right to end the session. */
void api_short_id(const struct api_session *s, char out[7]);
struct sl_str api_log_name(const struct api_session *s);

/* ---- negotiate.c: one offer, from text to answer ---- */
struct api_negotiation {
	struct sl_arena arena;                  /* owned: all below */
	struct sl_sdp offer, answer;
	struct sl_sdp_send *send;               /* player: one per m-line */
	struct sl_sdp_cand *cands;              /* ours */
	size_t cand_count, tagged;              /* tagged: m-line whose ICE and DTLS are used */
	enum sl_sdp_role role;
	uint32_t codecs;                        /* of the room: bits by enum sl_codec; 0 all */
	uint64_t session_id;
	unsigned loop;
	struct sl_transport_conf *conf;
};
/* Reads the offer, answers it with credentials that stand in for those to come, and fills conf but
 * its tag. `text` must outlive *n. Errors of sl_sdp_read() and sl_sdp_answer(), with *why.
 * api_negotiation_fini() in any case. */
SL_MUST_USE int api_negotiate(struct sl_api *api, struct sl_str text, enum sl_sdp_role role,
			      unsigned loop, struct api_negotiation *n, struct sl_sdp_why *why);
/* The answer with the real credentials, as text from sl_zalloc(). */
SL_MUST_USE int api_negotiation_answer(struct sl_api *api, struct api_negotiation *n,
				       const char *ufrag, const char *pwd, char **out, size_t *len,
				       struct sl_sdp_why *why);
void api_negotiation_fini(struct api_negotiation *n);
/* Our candidates of a loop as SDP has them; returns how many. The slices point into `store`. */
size_t api_candidates(struct sl_api *api, unsigned loop, struct sl_core_cand *store,
		      struct sl_sdp_cand *out, size_t cap);
/* The same without caps of the rooms. */
void api_track_agreed(const struct sl_sdp_media *agreed, const struct sl_sdp_media *theirs, bool publish,
		      const struct sl_sdp_send *send, struct sl_track_conf *t);
/* What core is told of an m-line that both sides agreed on; theirs: the peer's side of it; send: ours, where we send. */
void api_track_conf(struct sl_api *api, const struct sl_sdp_media *agreed, const struct sl_sdp_media *theirs,
		    bool publish, const struct sl_sdp_send *send, struct sl_track_conf *t);
/* The peer's side of the transport that m speaks for: fingerprints, credentials, candidates. SL_EUNSUPPORTED with *why
 * when core has no room for it, or it is missing. */
SL_MUST_USE int api_peer_conf(const struct sl_sdp_media *m, struct sl_transport_conf *conf, struct sl_sdp_why *why);
void api_cand_to_core(const struct sl_sdp_cand *in, struct sl_core_cand *out);
void api_ours(struct sl_api *api, const char *ufrag, const char *pwd,
	      const struct sl_sdp_cand *cands, size_t n, struct sl_sdp_ours *out);

/* ---- whip.c: requests that wait for a media loop ---- */
struct api_op {
	struct sl_list link;            /* of api->ops */
	struct sl_api *api;             /* NULL: the api is gone, the reply only frees the op */
	struct api_conn *conn;          /* NULL: the client is gone */
	uint64_t session;               /* tag */
	uint64_t holder;                /* tag of the session whose name is asked for */
	struct join_socket *socket;     /* who asks, by WebSocket; NULL: gone */
	size_t track;                   /* index, of a route */
	uint64_t core_track;            /* of a request that is about a track */
	bool flag;                      /* muted, or paused */
	char *text;                     /* owned: the request's body */
	size_t text_len;
	bool negotiated;
	struct api_negotiation n;
	char ufrag[SL_UFRAG_MAX + 1], pwd[SL_PWD_MAX + 1];
};
/* conn may be NULL. Takes over the request's body. */
struct api_op *api_op_new(struct sl_api *api, struct api_conn *c) SL_MUST_USE;
void api_op_free(struct api_op *op);
/* Answers the client, if it is still there, what a media loop's error is to it, and ends the op. */
void api_op_failed(struct api_op *op, int err);
void api_whip_post(struct api_conn *c);
/* Why no new session can be taken now; NULL when one can. */
const char *api_overload(struct sl_api *api);
void api_session_request(struct api_conn *c);

/* ---- metrics.c, health.c, assets.c ---- */
void api_metrics_get(struct api_conn *c);
/* Appends one to what /metrics answers. */
void api_metrics_gauge(struct sl_buf *b, const char *name, const char *help, uint64_t value);
void api_healthz_get(struct api_conn *c);
void api_readyz_get(struct api_conn *c);
void api_asset_get(struct api_conn *c);
bool api_asset_is(const char *path);

struct lws_context;
struct lws_vhost;
struct sl_api {
	/* borrowed */
	const struct sl_config *conf;
	struct sl_core *core;
	struct uv_loop_s *loop;
	struct sl_rng rng;
	/* owned */
	struct lws_context *lws;
	struct lws_vhost *plain, *tls, *tls_before;
	struct uv_poll_s listener;
	struct uv_timer_s sweep;        /* connections' deadlines */
	struct uv_timer_s tick;         /* rooms that end, things to try again */
	struct uv_timer_s rearm;        /* accepts again after running out of descriptors */
	struct sl_pool sessions;
	struct sl_hash ids;             /* session id → session */
	struct sl_hash rooms;           /* digest of the name → room */
	struct api_ended ended[API_ENDED_MAX];  /* the last ones */
	uint32_t ended_next;
	char *links;                    /* Link header lines */
	size_t links_len;
	/* state */
	uint32_t publish_bps, room_bps; /* publish.max_video_bps, rooms.max_video_bps: may change */
	char log_level[SL_CONFIG_TEXT_MAX];     /* the same */
	int64_t since_us;
	struct api_spread spread;
	uint64_t secret[4];
	struct sl_list conns, ops, closing, empty_rooms;
	struct sl_list joins_stirred, joins_lost;       /* of join.c */
	int64_t stir_us;                /* when the stirred are looked at */
	uint32_t conn_count, room_count, op_count;
	int64_t sweep_us;               /* when sweep fires; SL_NEVER not armed */
	int listen_fd, spare_fd;
	unsigned reloads;               /* of http.cert */
	int handles;                    /* of ours on the loop, not yet closed */
	uint16_t port;
	bool bind_loopback, draining, freeing, dirty;
	uint64_t responses[6];          /* by status class */
	int64_t ws_ping_us, ws_silence_us;      /* between pings (and beats of streams); without a pong */
	struct api_events *events;      /* owned */
	/* borrowed: paths of a folder that stands on this one, the last one's `path` is NULL; and what is theirs */
	const struct api_route *more_routes;
	void (*more_gauges)(const struct sl_api *api, struct sl_buf *b);        /* of /metrics, 4 KiB of them */
	void *more;
	struct api_feed {               /* of feed.c */
		unsigned readers;       /* who want statistics */
		unsigned flying, asked; /* questions without an answer; those of this round */
		uint32_t cursor;        /* of the round, in the sessions */
		bool asking;            /* the round is not at its end */
		int64_t next_us;        /* when the next one begins */
	} feed;
	uint64_t refused_conns, evicted_conns;
};
#endif

/* SPDX-License-Identifier: Apache-2.0
 * api/rest.h — what the files of the REST API under /v1 share.
 * What:      a request makes a view (plain struct) of what it asks for; a table of fields says how
 *            the view becomes JSON, and the same table gives the schema in /v1/openapi.json.
 * Files:     fields.c tables and their writer; settings.c what can be set of a room; rest.c rooms
 *            and participants; rest_media.c tracks, sessions, subscriptions, loops; stats.c views
 *            of core's numbers; diagnosis.c one sentence from them; openapi.c the description.
 * Memory:    views and their lists live in an arena of one answer. Bounded: 8 MiB, and as much
 *            text.
 * Start at:  api_room_fields in fields.c, then api_rest_rooms() in rest.c. */
#ifndef SL_API_REST_H
#define SL_API_REST_H
#include "api/api_int.h"
#include "api/json.h"

enum { API_PAGE = 100, API_PAGE_MAX = 1000, API_ANSWER_MAX = 8 << 20 };

/* ---- fields.c ---- */
enum api_field_type {
	API_F_BOOL,                     /* bool */
	API_F_INT,                      /* int64_t; -1 is null where null is allowed */
	API_F_NUM,                      /* double; NAN is null */
	API_F_TEXT,                     /* const char *; NULL is null */
	API_F_OBJECT,                   /* const void *, a view of `of`; NULL is null */
	API_F_LIST,                     /* struct api_list of views of `of` */
	API_F_TEXTS,                    /* struct api_list of const char * */
	API_F_WHO,                      /* the same, or (at NULL) the n-th of two words */
	API_F_COUNTS                    /* const uint64_t *, one for each of names() */
};

enum {
	API_NULL = 1,                   /* null is one of its values */
	API_MAY_MISS = 2,               /* left out instead of null */
	API_SET = 4                     /* can be written */
};

struct api_list {
	const void *at;
	size_t n;
};

struct api_object;
struct api_field {
	const char *name;
	enum api_field_type type;
	unsigned flags;
	size_t off;                     /* in the view */
	const char *help;
	const struct api_object *of;
	const char *const *words;       /* of a text: its values, NULL-terminated; NULL: any text */
	double min, max;                /* of a number, where max > min */
	const char *(*count_name)(size_t i);    /* of counts: NULL past the last */
};

struct api_object {
	const char *name;               /* of the schema */
	const char *settings;           /* of the schema of what can be written; NULL: nothing */
	const struct api_field *fields;
	size_t count, size;             /* size: of a view */
	const char *help;
};

extern const struct api_object api_object_room, api_object_room_list, api_object_participant,
	api_object_participant_list, api_object_track, api_object_track_list, api_object_session,
	api_object_session_list, api_object_subscription, api_object_loop, api_object_loop_list,
	api_object_config, api_object_problem, api_object_track_stats, api_object_sub_stats,
	api_object_session_stats, api_object_pair, api_object_diagnosis;
extern const struct api_object *const api_objects[];    /* all, NULL at the end */
extern const char *const api_codec_words[];             /* what rooms may be bound to */

/* A view as JSON. */
void api_write_object(struct api_json_out *o, const char *key, const struct api_object *type,
		      const void *view);
/* The schemas of all objects, and of what can be written of them, by name. */
void api_write_schemas(struct api_json_out *o);
/* The keys that can be written; returns how many. */
size_t api_settable(const struct api_object *type, const char **keys, size_t cap);

/* ---- the views ---- */
struct api_view_track_stats {
	int64_t ssrc;
	const char *mime;
	int64_t packets, bytes, lost, retransmitted, nacks, plis, keyframes, bps, cap_bps;
	double loss, jitter_s, rtt_s, silent_s;
	bool waiting, mismatch;         /* a subscription's */
};

struct api_view_pair {
	const char *local, *remote, *type, *state;
	bool selected, nominated;
	int64_t checks_in, checks_out, answers_in;
	double rtt_s;
};

struct api_view_session_stats {
	int64_t rx_packets, rx_bytes, tx_packets, tx_bytes, lost, rx_bps, tx_bps;
	double rtt_s, silent_s;
	const char *ice_state, *dtls_state, *dtls_role, *srtp;
	const struct api_view_pair *selected;
};

struct api_view_diagnosis {
	const char *cause, *sentence, *dtls_step;
	struct api_list pairs;
	int64_t rx_packets, tx_packets;
	const uint64_t *drops;
};

struct api_view_track {
	const char *id, *room, *participant, *session, *kind, *source, *mid, *mime;
	bool muted;
	const struct api_view_track_stats *stats;
};

struct api_view_subscription {
	const char *id, *room, *session, *kind, *mid, *track, *participant;
	bool paused;
	const struct api_view_track_stats *stats;
};

struct api_view_session {
	const char *id, *via, *room, *participant, *plays, *state, *ended;
	int64_t loop, max_video_bps;
	double age_s, ended_s;
	struct api_list tracks, subscriptions;          /* of ids */
	const struct api_view_session_stats *stats;
	const struct api_view_diagnosis *diagnosis;
};

struct api_view_participant {
	const char *name, *room, *session, *via, *state;
	double age_s;
	struct api_list tracks;
};

struct api_view_room {
	const char *name, *speaker;
	int64_t participants, players;
	double age_s;
	int64_t capacity, max_video_bps, linger_ms;
	struct api_list publishers, codecs;
};

struct api_view_loop {
	int64_t loop, port, transports;
	bool busy;
	double video_withheld;
	struct api_list addresses;
	const uint64_t *counters;
};

struct api_view_loop_list {
	struct api_list loops;
	int64_t rooms, sessions, resident_bytes;
	double cpu_s, handshake_wait_s, uptime_s;
	bool draining;
};

struct api_view_page {                  /* every list with pages */
	struct api_list items;
	const char *next;
};

struct api_view_config {
	const char *log_level;
	int64_t publish_bps, room_bps;
};

/* ---- rest.c: what a handler needs ---- */
struct api_answer {                     /* one answer being made */
	struct sl_arena arena;
	struct api_conn *conn;
};
void api_answer_init(struct api_answer *a, struct api_conn *c);
/* Zeroed; NULL out of memory, which api_answer_send() then says. */
void *api_answer_alloc(struct api_answer *a, size_t n, size_t size) SL_MUST_USE;
const char *api_answer_text(struct api_answer *a, const char *z);
/* False (answered, *a ended) when memory has run out. */
bool api_answer_ok(struct api_answer *a);
/* Answers with the view, or 503 where memory ran out, and ends *a. */
void api_answer_send(struct api_answer *a, int status, const struct api_object *type,
		     const void *view);
/* Value of a query parameter in a buffer of the answer: NULL when it is not there. */
const char *api_query(struct api_answer *a, const char *name);
/* False (answered, *a ended) when the query holds anything but these names. */
bool api_query_only(struct api_answer *a, const char *const *names, size_t n);

/* A page of things in order of their keys. */
struct api_page {
	const char *after;              /* "" from the start */
	size_t limit, n;
	bool more;                      /* there are things past the last one */
	const char **keys;
	const void **at;
};
/* ?limit= and ?after=. False: answered, *a ended. */
bool api_page_init(struct api_answer *a, struct api_page *p);
void api_page_offer(struct api_page *p, const char *key, const void *thing);
const char *api_page_next(const struct api_page *p);

/* Parses the body. NULL: answered. */
cJSON *api_body(struct api_conn *c, struct api_json_why *why) SL_MUST_USE;
void api_body_wrong(struct api_conn *c, int err, const struct api_json_why *why);
/* RFC 9110 section 13.1.1. True when there is no If-Match, or it fits the tag (without quotes). */
bool api_if_match(const struct api_request *req, const char *etag);

void api_rest_rooms(struct api_conn *c);
void api_rest_room(struct api_conn *c);
void api_rest_participants(struct api_conn *c);
void api_rest_participant(struct api_conn *c);
void api_rest_participant_tracks(struct api_conn *c);

/* ---- settings.c ---- */
enum { API_ETAG = 17 };
/* The revision of what can be set: the same settings have the same. */
void api_room_etag(const struct sl_api *api, const struct api_room_set *set, char out[API_ETAG]);
SL_MUST_USE int api_room_set_copy(const struct api_room_set *from, struct api_room_set *out);
/* Changes in *out what the body says. Errors of json.h, with *why; *out is half changed then. */
SL_MUST_USE int api_room_set_read(const struct api_json_at *root, struct api_room_set *out);
void api_view_room_set(struct api_answer *a, const struct api_room *r, struct api_view_room *out);
/* 1 and *out (null: otherwise), 0 not there, or an error; the limits are the table's. */
SL_MUST_USE int api_read_number(const struct api_json_at *root, const struct api_object *type,
				const char *key, int64_t otherwise, int64_t *out);
/* An object with nothing but what can be written. */
SL_MUST_USE int api_read_object(const struct api_json_at *root, const struct api_object *type);

/* ---- rest_media.c ---- */
void api_rest_track(struct api_conn *c);
void api_rest_sessions(struct api_conn *c);
void api_rest_session(struct api_conn *c);
void api_rest_subscription(struct api_conn *c);
void api_rest_loops(struct api_conn *c);
void api_rest_config(struct api_conn *c);
void api_view_track_of(const struct api_session *s, const struct api_track *t,
		       struct api_view_track *out);
const char *api_session_state_word(const struct api_session *s);

/* ---- openapi.c ---- */
void api_openapi_get(struct api_conn *c);

/* ---- stats.c ---- */
const char *api_mime(enum sl_codec c);          /* "video/VP8"; NULL for none */
void api_view_track_stats_of(const struct sl_track_stats *t, struct api_view_track_stats *out);
void api_view_session_stats_of(struct api_answer *a, const struct sl_transport_stats *st,
			       struct api_view_session_stats *out);
void api_view_pairs_of(struct api_answer *a, const struct sl_transport_stats *st,
		       struct api_list *out);

/* ---- diagnosis.c ---- */
void api_flow_of(const struct sl_transport_stats *st, int64_t now_us, struct api_flow *out);
void api_flow_since(const struct api_flow *now, const struct api_flow *then, struct api_flow *out);

struct api_facts {
	const struct sl_transport_stats *st;    /* NULL: the session is over */
	const char *address;            /* what was announced: "192.0.2.1:10000" */
	enum sl_close_cause ended;      /* of a session that is over */
	const char *ended_detail;       /* "" none */
	struct api_flow flow;           /* since the look before; st's totals at the first look */
	const char *cap_by;             /* who set the lowest cap, in words; NULL nobody */
	size_t room_publishers;         /* others in the room who send */
};
enum { API_SENTENCE_MAX = 400 };
/* The first rule that fits: its name, and a sentence for whoever reads it. */
const char *api_diagnose(const struct api_facts *f, char sentence[API_SENTENCE_MAX]);
const char *api_diagnosis_cause(size_t i);      /* of the i-th rule; NULL past the last */
const char *api_dtls_step(const struct sl_transport_stats *st);
#endif

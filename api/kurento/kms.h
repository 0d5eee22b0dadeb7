/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/kms.h — Kurento's JSON-RPC, for its unmodified clients: what the files of this folder share.
 * What:      /kurento speaks JSON-RPC 2.0 over WebSocket. Applications create objects (pipelines, elements, endpoints),
 *            invoke their methods, subscribe to their events. Elements that are connected form a graph; the graph is
 *            flattened into core's routes (publisher → subscriber) whenever it changes, so nothing of it is on the
 *            packet path.
 * Words:     class: one of Kurento's, with its ancestors. object: an instance, called by a string id. session: whose
 *            objects and subscriptions they are; it outlives its connection. call: one request under way. element:
 *            an object that can be connected. endpoint: an element with a transport of core behind it.
 * Files:     model.c     classes, types and events as tables, compiled from the KMD files (kmd/compile.py) at build
 *                        time; arguments are checked and given their defaults by them, values are tagged by them
 *            rpc.c       envelope and methods      call.c  life of a call, arguments, answers, errors
 *            transaction.c  several calls in one   cache.c  answers kept for clients that ask again
 *            socket.c    connections (the only file that knows of sockets and timers of the loop)
 *            session.c   sessions, what they hold, collection of the abandoned ones  object.c  ids, parents, release
 *            event.c     subscriptions and notifications      manager.c  ServerManager   pipeline.c  MediaPipeline
 *            element.c   connect, disconnect, flow            graph.c  elements → routes  hub.c  HubPort, dispatchers
 *            endpoint.c  what every endpoint with a transport does; webrtc.c  WebRtcEndpoint; rtp.c  RtpEndpoint
 * Life of a call: socket.c reads a message → rpc.c finds session, object and method → model.c checks the arguments →
 *            the method's function answers exactly once, now or in a reply of core: kms_done() or kms_fail().
 * Classes:   the tables say what a class has; struct kms_impl says how it does it. A class without an impl (a player, a
 *            recorder) is absent from getInfo, and create refuses it: nothing pretends.
 * Threads:   the control thread only. Nothing here blocks.
 * Memory:    objects, sessions, subscriptions and queues are bounded by config; out of memory fails one call.
 * Start at:  kms_on_message() in rpc.c. */
#ifndef SL_KMS_H
#define SL_KMS_H
#include "api/json.h"
#include "api/kurento/kurento.h"
#include "api/ws.h"

/* ================= model.c: what the KMD files say ================= */
enum kms_kind {
	KMS_VOID, KMS_STRING, KMS_INT, KMS_INT64, KMS_BOOL, KMS_DOUBLE,
	KMS_ENUM, KMS_RECORD, KMS_OBJECT
};
struct kms_type {
	enum kms_kind kind;
	bool list, map;                 /* X[], X<> */
	uint16_t index;                 /* of the enum, record or class */
};
struct kms_param {                      /* of a method or constructor; member of a record */
	const char *name;
	struct kms_type type;
	bool optional;
	const char *otherwise;          /* JSON of the default; NULL: absent */
};
struct kms_method {
	const char *name;               /* accessors are methods: getName, setName */
	const struct kms_param *params;
	uint16_t param_count;
	struct kms_type returns;
};
struct kms_enum {
	const char *name;
	const char *const *words;
	uint16_t count;
};
struct kms_record {
	const char *module, *name;      /* "kurento", "IceCandidate": the tags of its values */
	const struct kms_record *parent;
	const struct kms_param *members;        /* own ones */
	uint16_t member_count;
};
struct kms_event_type {
	const char *name;
	const struct kms_event_type *parent;
	const struct kms_param *members;
	uint16_t member_count;
};
struct kms_class {
	const char *module;             /* "kurento" */
	const char *name;               /* "WebRtcEndpoint" */
	const char *factory_of;         /* "core", "elements", "filters" */
	const struct kms_class *parent; /* NULL: MediaObject */
	bool abstract;
	const struct kms_param *params; /* of the constructor */
	uint16_t param_count;
	const struct kms_method *methods;       /* own ones, by name */
	uint16_t method_count;
	const struct kms_event_type *const *events;     /* own ones */
	uint16_t event_count;
	uint16_t index;                 /* in kms_classes */
};
extern const struct kms_class kms_classes[];    /* kms_class_count of them */
extern const size_t kms_class_count;
extern const struct kms_enum kms_enums[];
extern const struct kms_record kms_records[];

/* "WebRtcEndpoint" or "kurento.WebRtcEndpoint"; NULL. */
const struct kms_class *kms_class_find(struct sl_str name);
bool kms_class_is(const struct kms_class *c, const struct kms_class *ancestor);
/* The method of that name here or in an ancestor; 6.x names are found as well. NULL. */
const struct kms_method *kms_method_find(const struct kms_class *c, struct sl_str name);
/* The event that objects of c can raise, under any of its names (7.3, 6.18, older); NULL. */
const struct kms_event_type *kms_event_find(const struct kms_class *c, struct sl_str name);
const struct kms_record *kms_record_find(const char *name);
/* The KMD text of "core", "elements" or "filters"; empty: no such module. Static storage. */
struct sl_str kms_kmd(struct sl_str module);

struct kms_call;
/* Arguments by a parameter list: *out is an object with every parameter that is there or has a default, values as the
 * types say (numeric strings become numbers, enum words are known, objects exist and are of the class). False: the call
 * has failed with 40001 or 40101. `given` may be NULL (none). Free *out with cJSON_Delete(). */
bool kms_args(struct kms_call *call, const struct kms_param *params, size_t n, const cJSON *given, cJSON **out);

/* ================= words.c ================= */
/* The DSCP of a word of DSCPValue. False: no such word, or NO_VALUE: that of the configuration. */
bool kms_dscp(struct sl_str word, uint8_t *out);
/* "user:password@ip:port" (or a host's name: then out->addr has only the port), then nothing or "?transport=udp", tcp
 * or tls. False: it is not of that form. */
bool kms_turn_url(struct sl_str url, struct sl_turn_server *out);

/* ================= errors ================= */
/* clang-format off */
#define KMS_ERRORS(X)                                                                                   \
	X(MARSHALL_ERROR, 40001)                X(UNEXPECTED_ERROR, 40003)                              \
	X(CONNECT_ERROR, 40004)                 X(UNSUPPORTED_MEDIA_TYPE, 40005)                        \
	X(NOT_IMPLEMENTED, 40006)               X(INVALID_SESSION, 40007)                               \
	X(MALFORMED_TRANSACTION, 40008)         X(NOT_ENOUGH_RESOURCES, 40009)                          \
	X(MEDIA_OBJECT_TYPE_NOT_FOUND, 40100)   X(MEDIA_OBJECT_NOT_FOUND, 40101)                        \
	X(MEDIA_OBJECT_CONSTRUCTOR_NOT_FOUND, 40104) X(MEDIA_OBJECT_METHOD_NOT_FOUND, 40105)            \
	X(MEDIA_OBJECT_EVENT_NOT_SUPPORTED, 40106) X(MEDIA_OBJECT_ILLEGAL_PARAM_ERROR, 40107)           \
	X(MEDIA_OBJECT_NOT_AVAILABLE, 40108)                                                            \
	X(MEDIA_OBJECT_NOT_FOUND_TRANSACTION_NO_COMMIT, 40109)                                          \
	X(MEDIA_OBJECT_TAG_KEY_NOT_FOUND, 40110) X(MEDIA_OBJECT_OPERATION_NOT_SUPPORTED, 40111)         \
	X(SDP_CREATE_ERROR, 40200)              X(SDP_PARSE_ERROR, 40201)                               \
	X(SDP_END_POINT_NO_LOCAL_SDP_ERROR, 40202) X(SDP_END_POINT_NO_REMOTE_SDP_ERROR, 40203)          \
	X(SDP_END_POINT_GENERATE_OFFER_ERROR, 40204) X(SDP_END_POINT_PROCESS_OFFER_ERROR, 40205)        \
	X(SDP_END_POINT_PROCESS_ANSWER_ERROR, 40206) X(SDP_CONFIGURATION_ERROR, 40207)                  \
	X(SDP_END_POINT_ALREADY_NEGOTIATED, 40208) X(SDP_END_POINT_NOT_OFFER_GENERATED, 40209)          \
	X(SDP_END_POINT_ANSWER_ALREADY_PROCCESED, 40210) X(SDP_END_POINT_CANNOT_CREATE_SESSON, 40211)   \
	X(ICE_GATHER_CANDIDATES_ERROR, 40400)   X(ICE_ADD_CANDIDATE_ERROR, 40401)                       \
	X(UNDEFINED, 40500)                     /* SERVER_MANAGER_ERROR_KMD_NOT_FOUND */
/* clang-format on */
enum kms_error {
#define X(name, code) KMS_##name = code,
	KMS_ERRORS(X)
#undef X
};

/* ================= objects ================= */
struct kms_object {
	struct kms *kms;                /* borrowed */
	const struct kms_class *class;
	struct kms_object *parent;      /* NULL: a pipeline, the manager */
	struct sl_list children;        /* by their in_parent, in order of creation */
	struct sl_list in_parent;
	struct sl_list in_class;        /* of all pipelines: kms->pipelines */
	struct sl_list refs;            /* sessions that hold it: session.c */
	struct sl_list subscriptions;   /* event.c */
	uint64_t handle;                /* for what outlives a call: kms_object_by_handle() */
	char *id;                       /* owned */
	char *name;                     /* owned; NULL: the id */
	struct sl_list tags;            /* owned: object.c */
	bool send_tags;
	bool dying;                     /* being released: raises no events, takes no connections */
	int64_t created_wall_us;
};
/* How a class does what the tables say. Each class of a hierarchy may have one; an object's struct begins with its
 * parent class's struct. */
struct kms_impl {
	const char *name;               /* "WebRtcEndpoint" */
	size_t size;                    /* of its struct; 0: as the parent's */
	/* The class's part of a new object (its ancestors' parts are made); arguments by kms_arg_*(). False: it has
	 * called kms_fail(); fini is called then, too. May be NULL. Must not wait. */
	bool (*init)(struct kms_object *o, struct kms_call *call);
	/* Takes a half-made one. Called leaf class first, children's before their parent's. May be NULL. */
	void (*fini)(struct kms_object *o);
	const struct kms_method_impl {
		const char *name;       /* 7.3's */
		void (*fn)(struct kms_object *o, struct kms_call *call);        /* answers exactly once */
	} *methods;                     /* the last one's name is NULL */
};
extern const struct kms_impl *const kms_impls[];        /* impls.c: all of them; the last is NULL */
/* Does the server have objects of it? All of a class's own methods have a function: tests hold that against the
 * tables. */
bool kms_class_works(const struct kms_class *c);

struct kms_object *kms_object_by_id(struct kms *k, struct sl_str id);
struct kms_object *kms_object_by_handle(struct kms *k, uint64_t handle);        /* NULL: gone */
bool kms_object_is(const struct kms_object *o, const char *class_name);
/* The pipeline it is in: itself for a pipeline, NULL for the manager. */
struct kms_object *kms_object_pipeline(const struct kms_object *o);
/* Its children first; connections and subscriptions end, ObjectDestroyed is raised. */
void kms_object_release(struct kms_object *o);

/* ================= calls ================= */
/* One request, or one operation of a transaction, under way. It lives until it is answered; connection, session and
 * object may be gone by then: a function that answers later keeps the call and its object's handle. */
struct kms_session;
/* NULL: the server is ending; what is left to do is kms_done() or kms_fail(), which free the call. */
struct kms *kms_call_kms(const struct kms_call *call);
struct kms_session *kms_call_session(const struct kms_call *call);      /* NULL: ended meanwhile */

/* What kms_args() has checked; for a parameter without default that was not given: empty, 0, false, NULL. */
bool kms_has(const struct kms_call *call, const char *name);
struct sl_str kms_arg_str(const struct kms_call *call, const char *name);
int64_t kms_arg_int(const struct kms_call *call, const char *name);
double kms_arg_num(const struct kms_call *call, const char *name);
bool kms_arg_bool(const struct kms_call *call, const char *name);
/* The word's place in its enum; -1 when not given. */
int kms_arg_word(const struct kms_call *call, const char *name);
struct kms_object *kms_arg_object(const struct kms_call *call, const char *name);
const cJSON *kms_arg(const struct kms_call *call, const char *name);    /* a record, list or map */

/* The answer's "value": write it under the key NULL, once, then kms_done(). */
struct api_json_out *kms_value(struct kms_call *call);
/* Ends the call; without a value it is null. The call is void. */
void kms_done(struct kms_call *call);
void kms_done_str(struct kms_call *call, struct sl_str s);
void kms_done_int(struct kms_call *call, int64_t v);
void kms_done_bool(struct kms_call *call, bool v);
void kms_fail(struct kms_call *call, enum kms_error code, const char *fmt, ...) SL_PRINTF(3, 4);
/* An error of core or of memory (SL_ENOMEM, SL_EFULL, SL_EBUSY, ...): NOT_ENOUGH_RESOURCES or UNEXPECTED_ERROR. */
void kms_fail_err(struct kms_call *call, int err);
/* Opens a record as a value: the object with its tags; close it with api_json_close_object(). */
void kms_open_record(struct api_json_out *out, const char *key, const char *record);
/* An object's id, or null. */
void kms_put_object(struct api_json_out *out, const char *key, const struct kms_object *o);

/* ================= events ================= */
/* The data of an event is written once and sent to every session that subscribed; source, type, tags and times are
 * added. NULL: nobody wants it (or memory is out). Between begin and end nothing else may be raised. */
struct api_json_out *kms_event_begin(struct kms_object *o, const char *event);
void kms_event_end(struct kms_object *o);
/* An event without data of its own. */
void kms_event(struct kms_object *o, const char *event);
/* The Error event; type is its category ("UNEXPECTED_ELEMENT_ERROR"). */
void kms_event_error(struct kms_object *o, const char *type, int code, const char *fmt, ...) SL_PRINTF(4, 5);

/* ================= elements and the graph ================= */
/* What feeds an element, and whom it feeds, for one kind of media. Tracks of core are behind endpoints only. */
enum kms_media { KMS_AUDIO, KMS_DATA, KMS_VIDEO, KMS_MEDIA_COUNT };     /* order of the enum MediaType */
struct kms_link {                       /* a connection of one kind of media */
	struct kms_element *source, *sink;
	struct sl_list in_source;       /* of source->sinks[media] */
	enum kms_media media;
};
struct kms_element_ops;
struct kms_element {
	struct kms_object o;
	const struct kms_element_ops *ops;      /* set by the class's init; NULL: what comes in goes out (PassThrough) */
	struct kms_link *source[KMS_MEDIA_COUNT];       /* owned; NULL nobody */
	struct sl_list sinks[KMS_MEDIA_COUNT];
	bool flowing_in[KMS_MEDIA_COUNT], flowing_out[KMS_MEDIA_COUNT];
	bool passed[KMS_MEDIA_COUNT];   /* MediaTranscodingStateChanged was raised */
	struct sl_list routes;          /* owned: of our subscribers, graph.c */
	struct sl_list due;             /* in graph.c's list of what changed */
	bool due_in, due_out;
	uint64_t turn_in, turn_out;     /* of that list: when each was done last */
	/* The endpoint whose media comes out of here, as of that look; graph.c */
	struct kms_element *origin[KMS_MEDIA_COUNT];
	uint64_t origin_look[KMS_MEDIA_COUNT];
	int32_t encoder_bitrate, min_encoder_bitrate, max_encoder_bitrate;
};
enum { KMS_UNITS_MAX = 16 };            /* tracks of one kind and direction that an endpoint may have */
struct kms_element_ops {
	/* Endpoints: their unit-th track of core of that kind; 0 none (yet). publisher: the peer sends it. */
	uint64_t (*publisher)(struct kms_element *e, enum sl_kind kind, unsigned unit);
	uint64_t (*subscriber)(struct kms_element *e, enum sl_kind kind, unsigned unit);
	/* Endpoints: what the peer's track sends; NONE not known yet. May be NULL. */
	enum sl_codec (*codec)(struct kms_element *e, enum kms_media media);
	/* Hubs' ports: who feeds what this port puts out, instead of its own source. NULL nobody. */
	struct kms_element *(*feeds)(struct kms_element *e, enum kms_media media);
	/* A hub's port: the ports that its input goes to; calls fn for each. */
	void (*each_fed)(struct kms_element *e, enum kms_media media,
			 void (*fn)(struct kms_element *fed, void *arg), void *arg);
	/* An endpoint is told which element's publisher it plays now: 0 nothing. Routes are set by graph.c. */
	void (*routed)(struct kms_element *e, enum sl_kind kind, unsigned unit, uint64_t publisher);
};
/* Something changed that routes depend on (a link, a track, a hub's choice): core is told what differs, at the end of
 * this turn of the control loop. */
void kms_graph_changed(struct kms_element *e);
/* The endpoint whose publisher feeds e, following PassThroughs and hubs; NULL nobody, or only a circle. */
struct kms_element *kms_graph_origin(struct kms_element *e, enum kms_media media);
/* Core says that media begins or ceases at an endpoint's track: raises MediaFlowInStateChanged and
 * MediaFlowOutStateChanged there and along the graph. in: what the peer sends (out of the element). */
void kms_element_flow(struct kms_element *e, enum kms_media media, bool from_peer, bool flowing);
/* getGstreamerDot and dumpGstreamerDot of a pipeline, a hub or an element: what it is connected with, as Graphviz text.
 * Each ends the call. */
void kms_dot_get(struct kms_object *o, struct kms_call *call);
void kms_dot_dump(struct kms_object *o, struct kms_call *call);
extern const struct kms_impl kms_element_impl, kms_pass_through_impl, kms_hub_impl, kms_hub_port_impl,
	kms_dispatcher_impl, kms_one_to_many_impl;
extern const struct kms_impl kms_media_object_impl, kms_manager_impl, kms_pipeline_impl;

/* ================= endpoints ================= */
/* Every transport of core that is ours has a tag with this bit; the rest of it is the object's handle. */
#define KMS_TAG (UINT64_C(1) << 63)
/* endpoint.c: an event of core about one of them. */
void kms_endpoint_event(struct kms *k, const struct sl_core_event *ev);

/* ================= the whole ================= */
/* What config says about the server as a whole; zero of a number: no limit. */
struct kms_set {
	char path[64];                  /* "kurento" */
	int64_t gc_us;                  /* the garbage collector's period */
	bool no_cache;
	double exception_limit;         /* share of the file limit past which nothing is created; 0: no check */
	uint32_t max_sessions, max_objects, max_pipelines;      /* of the server; not 0 */
	uint32_t session_objects, session_subscriptions;        /* that one session may hold */
	uint32_t session_creates_per_s; /* ten seconds' worth at once */
	uint32_t calls;                 /* under way at once, of the server */
	uint32_t messages_per_s;        /* of one connection; ten seconds' worth at once */
	char metadata[1024];            /* JSON text; "" none */
};
void kms_set_default(struct kms_set *set);
/* What the group kurento of the configuration says. */
void kms_set_config(struct kms_set *set, const struct sl_config *conf);

/* Work for the end of this turn of the control loop; zeroed: not waiting. */
struct kms_work {
	struct sl_list link;
	void (*fn)(struct kms_work *w); /* not waiting any more: may be put off again, or freed */
};
/* Once, however often it is called before that. */
void kms_defer(struct kms *k, struct kms_work *w);
void kms_undefer(struct kms_work *w);   /* takes a zeroed one */
/* A time to come, of kms_now_us(); zeroed: none. */
struct kms_timer {
	struct sl_list link;
	int64_t at_us;
	void (*fn)(struct kms_timer *t);        /* as of kms_work */
};
void kms_timer_set(struct kms *k, struct kms_timer *t, int64_t at_us);
void kms_timer_unset(struct kms_timer *t);      /* takes a zeroed one */
int64_t kms_now_us(const struct kms *k);
int64_t kms_wall_us(void);

struct kms {
	/* borrowed */
	struct sl_api *api;             /* NULL: without connections, as tests have it */
	const struct sl_config *conf;
	struct sl_core *core;
	struct uv_loop_s *loop;
	struct sl_rng rng;
	/* owned */
	struct kms_set set;
	struct sl_list works, timers;
	struct sl_list closing;         /* endpoint.c: transports that a busy loop has still to be told to close */
	int64_t now_us;                 /* of this turn */
	void (*wake)(struct kms *k);    /* there is something to do earlier than kms_next_us() said; may be NULL */
	struct kms_socket *socket;      /* socket.c */
	struct sl_list pipelines;
	struct kms_object *manager;
	struct kms_rpc *rpc;            /* sessions, calls, the request cache: rpc.c and session.c */
	struct kms_graph *graph;        /* graph.c */
	struct kms_objects *objects;    /* ids and handles: object.c */
	char server_id[37];             /* a UUID of this process */
	bool freeing;
};
/* A random UUID, version 4 (RFC 9562 section 5.4). */
void kms_uuid(struct kms *k, char out[37]);
/* Each file's part of making and ending the whole; fini takes a zeroed one. */
SL_MUST_USE int kms_rpc_init(struct kms *k);
void kms_rpc_fini(struct kms *k);
SL_MUST_USE int kms_objects_init(struct kms *k);
void kms_objects_fini(struct kms *k);
SL_MUST_USE int kms_graph_init(struct kms *k);
void kms_graph_fini(struct kms *k);
void kms_endpoints_fini(struct kms *k);

/* All but connections and timers of the loop. rng is copied. SL_ENOMEM. */
SL_MUST_USE int kms_new(const struct sl_config *conf, struct sl_core *core, struct uv_loop_s *loop,
			const struct sl_rng *rng, struct kms **out);
/* Takes NULL. All peers are gone; handles of the loop close as it runs. */
void kms_free(struct kms *k);
/* Does what is due: deferred work, timers, collection. */
void kms_tick(struct kms *k, int64_t now_us);
/* When it is to be called next: SL_NEVER, or not before now. */
int64_t kms_next_us(const struct kms *k);

/* A connection, as rpc.c sees it: text in, text out. */
struct kms_peer {
	struct kms *kms;
	struct sl_list sessions;        /* bound to it: session.c */
	struct sl_list calls, waits;    /* that want an answer: call.c, cache.c */
	struct kms_session *session;    /* of requests that name none; NULL */
	uint32_t session_count;         /* bound to it */
	/* Takes over the text (sl_free() it). May not end the peer before it returns. */
	void (*send)(struct kms_peer *p, char *text, size_t len);
	/* An answer is lost (memory is out): the connection is to end, so that its client asks again. */
	void (*fail)(struct kms_peer *p);
};
/* send and fail are set. */
void kms_peer_init(struct kms_peer *p, struct kms *k);
/* Sessions stay for a while. */
void kms_peer_fini(struct kms_peer *p);
/* One message; the text is borrowed. */
void kms_on_message(struct kms_peer *p, struct sl_str text);
#endif

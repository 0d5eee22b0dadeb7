/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/rpc.h — what the files of the engine share: rpc.c, call.c, transaction.c, cache.c, session.c, object.c,
 * event.c. kms.h says what they are. */
#ifndef SL_KMS_RPC_H
#define SL_KMS_RPC_H
#include "api/kurento/kms.h"

enum {
	KMS_ID_MAX = 256,               /* bytes of a request's id */
	KMS_ANSWER_MAX = API_WS_MESSAGE_MAX - 1,
	KMS_EVENT_MAX = 256 << 10,      /* bytes of an event's data */
	KMS_CACHED_MAX = 65536,         /* answers that are kept */
	KMS_PEER_SESSIONS_MAX = 100,    /* bound to one connection */
	KMS_DEPTH_MAX = 8               /* classes from the root to a leaf */
};
/* JSON-RPC's own errors (section 5.1 of its specification), and Kurento's for parameters. */
enum {
	RPC_PARSE = -32700,
	RPC_REQUEST = -32600,
	RPC_METHOD = -32601,
	RPC_PARAMS = -32602,
	RPC_SERVER = -32000
};

struct kms_rpc {
	struct kms *kms;
	/* owned */
	struct sl_hash sessions;        /* by their id */
	struct sl_hash cached;          /* by a digest of session and request id */
	struct sl_list all;             /* sessions, by in_all */
	struct sl_list calls;           /* under way */
	struct sl_list answers;         /* in the cache, the oldest first */
	struct api_json_out event;      /* what kms_event_begin() gave */
	/* state */
	struct kms_object *event_of;
	const struct kms_event_type *event_type;
	bool event_typed;               /* it has a `type` of its own */
	uint64_t secret[4];
	uint32_t call_count, session_count;
	size_t cached_bytes;
	struct kms_timer collector, cleaner;
};

/* ---- session.c ---- */
struct kms_session {
	struct kms *kms;
	struct kms_peer *peer;          /* NULL: its connection is gone */
	struct sl_list in_all, in_peer;
	struct sl_list refs;            /* objects that it holds */
	struct sl_list interests;       /* event.c */
	struct sl_list calls;           /* under way */
	uint32_t ref_count, subscription_count;
	bool in_use;                    /* since the collector came by */
	bool exists;                    /* it has held something: connect and keepAlive know it */
	int64_t tokens_us, rated_us;    /* of creates */
	char id[37];
};
struct kms_ref {
	struct sl_list in_object, in_session;
	struct kms_session *session;
	struct kms_object *object;
};
/* SL_EFULL at max_sessions, SL_ENOMEM. */
SL_MUST_USE int kms_session_new(struct kms *k, struct kms_session **out);
struct kms_session *kms_session_by_id(struct kms *k, struct sl_str id);
/* Its events go to that connection from now on. */
void kms_session_bind(struct kms_session *s, struct kms_peer *p);
/* It holds the object and its ancestors. SL_EFULL, SL_ENOMEM. */
SL_MUST_USE int kms_session_hold(struct kms_session *s, struct kms_object *o);
/* It holds it no longer; an object that nobody holds ends. */
void kms_session_unref(struct kms_session *s, struct kms_object *o);
/* May it create one more now? */
bool kms_session_may_create(struct kms_session *s);
/* Unrefs everything. release: ends even what others hold. */
void kms_session_end(struct kms_session *s, bool release);
void kms_sessions_collect(struct kms *k);
void kms_refs_free(struct kms_object *o);

/* ---- event.c ---- */
/* The subscription's id. 0, or an error: SL_EFULL, SL_ENOMEM. */
SL_MUST_USE int kms_subscribe(struct kms_session *s, struct kms_object *o, const struct kms_event_type *type,
			      struct sl_str name, char id[37]);
void kms_unsubscribe(struct kms_session *s, struct kms_object *o, struct sl_str id);
void kms_interests_free_of_session(struct kms_session *s);
void kms_interests_free_of_object(struct kms_object *o);
void kms_put_tags(struct api_json_out *out, const char *key, const struct kms_object *o);

/* ---- object.c ---- */
struct kms_tag {
	struct sl_list link;
	char *key, *value;              /* owned */
};
/* Its parent is among the call's arguments. NULL: the call has failed. */
struct kms_object *kms_object_make(struct kms_call *call, const struct kms_class *class);
/* SL_ENOMEM. */
SL_MUST_USE int kms_manager_new(struct kms *k);
size_t kms_object_count(const struct kms *k);
/* How the class, or the nearest ancestor that has one, does it; NULL. */
const struct kms_method_impl *kms_method_impl(const struct kms_class *c, const char *name);

/* ---- call.c ---- */
enum kms_result {
	RESULT_VALUE,                   /* {"sessionId":, "value":}; null when nothing was written */
	RESULT_BARE,                    /* {"sessionId":} */
	RESULT_MEMBERS,                 /* what was written is the result; sessionId joins it */
	RESULT_NULL
};
struct kms_call {
	struct kms *kms;                /* NULL: the server is ending */
	struct kms_peer *peer;          /* NULL: nobody waits for the answer */
	struct kms_session *session;    /* NULL: none, or ended */
	struct kms_tx *tx;              /* of transaction.c: this is its request, or an operation of it */
	struct kms_cached *cached;      /* cache.c: its answer is kept there */
	struct sl_list in_rpc, in_peer, in_session;
	/* owned */
	cJSON *request;                 /* NULL for an operation: the transaction's request has it */
	cJSON *args;
	struct api_json_out out;        /* the value, or members */
	char *id;                       /* as JSON; NULL: a notification */
	/* state */
	const cJSON *params;            /* in the request */
	const struct kms_param *of;     /* what the args were checked by */
	size_t of_count;
	enum kms_result result;
	char session_id[37];            /* "" none */
};
/* SL_ENOMEM, SL_EFULL at the limit of calls. id may be NULL. */
SL_MUST_USE int kms_call_new(struct kms *k, struct kms_peer *p, const cJSON *id, struct kms_call **out);
void kms_call_free(struct kms_call *c);
void kms_call_set_session(struct kms_call *c, struct kms_session *s);
/* The answer as a JSON object; for success with code 0. *value: where in the text its value is. */
struct kms_answer {
	int code;
	const char *type;               /* of data; NULL none */
	const char *text;
};
struct kms_span {
	size_t at, n;                   /* n 0: there is none */
};
void kms_put_answer(struct api_json_out *o, const struct kms_call *c, const struct kms_answer *a,
		    struct kms_span *value);
/* Fails with a code that is not Kurento's. type may be NULL. */
void kms_fail_raw(struct kms_call *c, int code, const char *type, const char *fmt, ...) SL_PRINTF(4, 5);
/* An answer to a message that is no call: none can be made of it, or there is no room for one. id NULL: null. */
void kms_refuse(struct kms_peer *p, const cJSON *id, int code, const char *fmt, ...) SL_PRINTF(4, 5);
/* A required string among the request's parameters. False: the call has failed. */
bool kms_need_str(struct kms_call *c, const char *name, struct sl_str *out);
/* The object of that parameter, which the session holds from now on. NULL: the call has failed. */
struct kms_object *kms_need_object(struct kms_call *c, const char *name);

/* ---- rpc.c ---- */
/* Runs the method that an operation names. The call is void afterwards, or waits. */
void kms_dispatch(struct kms_call *c, const cJSON *operation);

/* ---- transaction.c ---- */
void kms_transaction(struct kms_call *c);
/* An operation has its answer. */
void kms_tx_done(struct kms_call *op, const struct kms_answer *a);
/* The server ends: frees the request unless an operation is under way, whose end will. */
void kms_tx_orphan(struct kms_call *request);
void kms_tx_free(struct kms_tx *tx);

/* ---- cache.c ---- */
/* True: the peer has, or will have, the answer of the call that asked the same before. */
bool kms_cache_ask(struct kms_peer *p, const char *session_id, const char *request_id);
/* The call's answer is to be kept. Memory being out is no error: it is not kept then. */
void kms_cache_begin(struct kms_call *c);
/* To all who asked again; the text is copied. Before the call ends. */
void kms_cache_end(struct kms_call *c, struct sl_str answer);
/* The call ends without an answer. */
void kms_cache_forget(struct kms_call *c);
void kms_waits_free(struct kms_peer *p);
void kms_cache_clean(struct kms *k);
void kms_cache_fini(struct kms *k);
#endif

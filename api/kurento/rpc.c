/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/rpc.c — JSON-RPC 2.0: from a message to a method, and the methods that are not an
 * object's. */
#include "api/kurento/rpc.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* A transaction of a thousand operations is one message. */
static const struct api_json_limits limits = {
	.bytes = API_WS_MESSAGE_MAX, .depth = API_JSON_DEPTH_MAX, .values = 65536};

/* ================= small ones ================= */

static void on_ping(struct kms_call *c)
{
	c->result = RESULT_MEMBERS;
	api_json_open_object(&c->out, NULL);
	api_json_put_z(&c->out, "value", "pong");
	api_json_close_object(&c->out);
	kms_done(c);
}

/* The session that the parameters name; NULL: they name none that is known. */
static struct kms_session *named_session(struct kms_call *c)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(c->params, "sessionId");

	return cJSON_IsString(id) ? kms_session_by_id(c->kms, sl_str_z(id->valuestring)) : NULL;
}

/* Without a session's id it begins a session; once, as long as nothing comes of it. */
static int begin_session(struct kms_peer *p, struct kms_session **out)
{
	*out = p->session;
	if (*out && !(*out)->exists)
		return SL_OK;
	if (p->session_count >= KMS_PEER_SESSIONS_MAX)
		return SL_EFULL;
	return kms_session_new(p->kms, out);
}

static void on_connect(struct kms_call *c)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(c->params, "sessionId");
	struct kms_session *s = named_session(c);
	int err = SL_OK;

	if (cJSON_IsString(id) && (!s || !s->exists)) {
		kms_fail(c, KMS_INVALID_SESSION, "Invalid session");
		return;
	}
	if (!s)
		err = begin_session(c->peer, &s);
	if (err) {
		kms_fail_err(c, err);
		return;
	}
	kms_session_bind(s, c->peer);
	kms_call_set_session(c, s);
	c->result = RESULT_MEMBERS;
	api_json_open_object(&c->out, NULL);
	api_json_put_z(&c->out, "serverId", c->kms->server_id);
	api_json_close_object(&c->out);
	kms_done(c);
}

static void on_keep_alive(struct kms_call *c)
{
	struct kms_session *s = c->session;

	if (!s || !s->exists) {
		kms_fail(c, KMS_INVALID_SESSION, "Invalid session");
		return;
	}
	s->in_use = true;
	c->result = RESULT_BARE;
	kms_done(c);
}

static void on_close_session(struct kms_call *c)
{
	bool release = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->params, "release"));

	if (c->session)
		kms_session_end(c->session, release);
	c->result = RESULT_NULL;
	kms_done(c);
}

/* ================= objects ================= */

/* The object that the parameters name: *o is NULL for one that is gone or was never there. False: they name none, and
 * the call has failed. */
static bool named_object(struct kms_call *c, struct kms_object **o)
{
	struct sl_str id;

	if (!kms_need_str(c, "object", &id))
		return false;
	*o = kms_object_by_id(c->kms, id);
	return true;
}

static void on_release(struct kms_call *c)
{
	struct kms_object *o;

	if (!named_object(c, &o))
		return;
	if (o)
		kms_object_release(o);
	c->result = RESULT_BARE;
	kms_done(c);
}

static void on_ref(struct kms_call *c)
{
	if (!kms_need_object(c, "object"))
		return;
	c->result = RESULT_BARE;
	kms_done(c);
}

static void on_unref(struct kms_call *c)
{
	struct kms_object *o;

	if (!named_object(c, &o))
		return;
	if (o)
		kms_session_unref(c->session, o);
	c->result = RESULT_BARE;
	kms_done(c);
}

static void put_qualified(struct api_json_out *out, const char *key, const struct kms_class *class)
{
	char text[160];

	(void)sl_fmt(text, sizeof(text), "%s.%s", class->module, class->name);
	api_json_put_z(out, key, text);
}

static void on_describe(struct kms_call *c)
{
	const struct kms_object *o = kms_need_object(c, "object");

	if (!o)
		return;
	c->result = RESULT_MEMBERS;
	api_json_open_object(&c->out, NULL);
	api_json_open_array(&c->out, "hierarchy");
	for (const struct kms_class *up = o->class->parent; up; up = up->parent)
		put_qualified(&c->out, NULL, up);
	api_json_close_array(&c->out);
	put_qualified(&c->out, "qualifiedType", o->class);
	api_json_put_z(&c->out, "type", o->class->name);
	api_json_close_object(&c->out);
	kms_done(c);
}

/* ---- create ---- */

/* Are so many files open that the server had better keep the rest for what it has? The lowest free
 * number tells: they are given out from below. */
static bool files_left(const struct kms *k, unsigned long *limit)
{
	struct rlimit r;
	int fd;

	if (k->set.exception_limit <= 0 || getrlimit(RLIMIT_NOFILE, &r) < 0 ||
	    r.rlim_cur == RLIM_INFINITY)
		return true;
	*limit = (unsigned long)((double)r.rlim_cur * k->set.exception_limit);
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return errno != EMFILE;
	close(fd);
	return (unsigned long)fd < *limit;
}

/* False: the call has failed. */
static bool may_create(struct kms_call *c)
{
	unsigned long limit = 0;

	if (c->kms->api && c->kms->api->draining)
		kms_fail(c, KMS_NOT_ENOUGH_RESOURCES, "The server is ending");
	else if (!files_left(c->kms, &limit))
		kms_fail(c, KMS_NOT_ENOUGH_RESOURCES, "Reached KMS files limit: %lu", limit);
	else if (!kms_session_may_create(c->session))
		kms_fail(c, KMS_NOT_ENOUGH_RESOURCES, "Objects are created too fast");
	else
		return true;
	return false;
}

static bool needs_arguments(const struct kms_class *class)
{
	for (size_t i = 0; i < class->param_count; i++)
		if (!class->params[i].optional)
			return true;
	return false;
}

/* Checks what is given against the list. False: the call has failed. */
static bool take_args(struct kms_call *c, const char *key, const struct kms_param *params, size_t n)
{
	const cJSON *given = cJSON_GetObjectItemCaseSensitive(c->params, key);

	if (given && !cJSON_IsNull(given) && !cJSON_IsObject(given)) {
		kms_fail(c, KMS_MARSHALL_ERROR, "'%s' should be an object", key);
		return false;
	}
	c->of = params;
	c->of_count = n;
	return kms_args(c, params, n, cJSON_IsObject(given) ? given : NULL, &c->args);
}

static void tell_created(struct kms_object *o)
{
	struct api_json_out *out = kms_event_begin(o->kms->manager, "ObjectCreated");

	if (!out)
		return;
	kms_put_object(out, "object", o);
	kms_event_end(o->kms->manager);
}

static void make(struct kms_call *c, const struct kms_class *class)
{
	struct kms_object *o = kms_object_make(c, class);
	int err;

	if (!o)
		return;
	err = kms_session_hold(c->session, o);
	if (err) {
		kms_object_release(o);
		kms_fail_err(c, err);
		return;
	}
	tell_created(o);
	kms_done_str(c, sl_str_z(o->id));
}

static void on_create(struct kms_call *c)
{
	const struct kms_class *class;
	struct sl_str type;

	if (!kms_need_str(c, "type", &type))
		return;
	class = kms_class_find(type);
	if (!class || !kms_class_works(class)) {
		kms_fail(c, KMS_MEDIA_OBJECT_NOT_AVAILABLE, "Factory '%.*s' not found",
			 SL_STR_ARG(type));
		return;
	}
	if (needs_arguments(class) &&
	    !cJSON_GetObjectItemCaseSensitive(c->params, "constructorParams")) {
		kms_fail(c, KMS_MARSHALL_ERROR, "'constructorParams' is required");
		return;
	}
	if (!may_create(c) || !take_args(c, "constructorParams", class->params, class->param_count))
		return;
	make(c, class);
}

/* ---- invoke ---- */

static void no_method(struct kms_call *c, struct sl_str name)
{
	const cJSON *given = cJSON_GetObjectItemCaseSensitive(c->params, "operationParams");

	kms_fail(c, KMS_MALFORMED_TRANSACTION, "Method '%.*s' with %d parameters not found",
		 SL_STR_ARG(name), cJSON_IsObject(given) ? cJSON_GetArraySize(given) : 0);
}

static void on_invoke(struct kms_call *c)
{
	struct kms_object *o = kms_need_object(c, "object");
	const struct kms_method_impl *impl;
	const struct kms_method *method;
	struct sl_str name;

	if (!o || !kms_need_str(c, "operation", &name))
		return;
	method = kms_method_find(o->class, name);
	impl = method ? kms_method_impl(o->class, method->name) : NULL;
	if (!impl)
		no_method(c, name);
	else if (take_args(c, "operationParams", method->params, method->param_count))
		impl->fn(o, c);
}

/* ---- events ---- */

static void on_subscribe(struct kms_call *c)
{
	struct kms_object *o = kms_need_object(c, "object");
	const struct kms_event_type *type;
	struct sl_str name;
	char id[37];
	int err;

	if (!o || !kms_need_str(c, "type", &name))
		return;
	type = kms_event_find(o->class, name);
	if (!type) {
		kms_fail(c, KMS_MEDIA_OBJECT_EVENT_NOT_SUPPORTED, "Event '%.*s' not supported",
			 SL_STR_ARG(name));
		return;
	}
	err = kms_subscribe(c->session, o, type, name, id);
	if (err)
		kms_fail_err(c, err);
	else
		kms_done_str(c, sl_str_z(id));
}

/* Nothing that is not there: the JavaScript client unsubscribes from what it has released, and an
 * error of that ends the application. */
static void on_unsubscribe(struct kms_call *c)
{
	struct sl_str object, id;
	struct kms_object *o;

	if (!kms_need_str(c, "object", &object) || !kms_need_str(c, "subscription", &id))
		return;
	o = kms_object_by_id(c->kms, object);
	if (o)
		kms_unsubscribe(c->session, o, id);
	c->result = RESULT_BARE;
	kms_done(c);
}

/* ================= from a message to a method ================= */

enum {
	NEEDS_PARAMS = 1,
	NEEDS_SESSION = 2, /* and makes one where there is none */
	KEPT = 4,	   /* its answer is, for who asks again */
	ALONE = 8,	   /* not in a transaction */
	EXACT = 16	   /* is about the session that it names, and about no other */
};
/* clang-format off */
static const struct method {
	const char *name;
	void (*fn)(struct kms_call *c);
	unsigned flags;
} methods[] = {
	{"invoke",       on_invoke,        NEEDS_PARAMS | NEEDS_SESSION | KEPT},
	{"create",       on_create,        NEEDS_PARAMS | NEEDS_SESSION | KEPT},
	{"subscribe",    on_subscribe,     NEEDS_PARAMS | NEEDS_SESSION | KEPT},
	{"unsubscribe",  on_unsubscribe,   NEEDS_PARAMS | NEEDS_SESSION | KEPT},
	{"release",      on_release,       NEEDS_PARAMS | NEEDS_SESSION | KEPT},
	{"describe",     on_describe,      NEEDS_PARAMS | NEEDS_SESSION | KEPT},
	{"ref",          on_ref,           NEEDS_PARAMS | NEEDS_SESSION | KEPT},
	{"unref",        on_unref,         NEEDS_PARAMS | NEEDS_SESSION | KEPT},
	{"transaction",  kms_transaction,  NEEDS_PARAMS | NEEDS_SESSION | KEPT | ALONE},
	{"ping",         on_ping,          0},
	{"connect",      on_connect,       ALONE},
	{"keepAlive",    on_keep_alive,    NEEDS_PARAMS | EXACT},
	{"closeSession", on_close_session, NEEDS_PARAMS | ALONE | EXACT},
};
/* clang-format on */

static const struct method *method_of(const cJSON *request)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(request, "method");

	for (size_t i = 0; cJSON_IsString(name) && i < SL_COUNT(methods); i++)
		if (strcmp(methods[i].name, name->valuestring) == 0)
			return &methods[i];
	return NULL;
}

/* The session of a request: the one that it names, the one of the connection, or a new one where
 * the method needs one. An id that nobody knows counts for none: what a client makes up opens
 * nothing, and one whose session is over gets the same new one for all that it asks. False: the
 * call has failed. */
static bool find_session(struct kms_call *c, const struct method *m)
{
	bool names_one = cJSON_GetObjectItemCaseSensitive(c->params, "sessionId") != NULL;
	struct kms_session *s = named_session(c);
	int err = SL_OK;

	if (!s && !(names_one && m->flags & EXACT))
		s = c->peer->session;
	if (!s && m->flags & NEEDS_SESSION)
		err = kms_session_new(c->kms, &s);
	if (err) {
		kms_fail_err(c, err);
		return false;
	}
	if (s)
		kms_session_bind(s, c->peer);
	kms_call_set_session(c, s);
	return true;
}

/* False: the call has failed. */
static bool check(struct kms_call *c, const struct method *m)
{
	if (!m)
		kms_fail_raw(c, RPC_METHOD, NULL, "Method not found.");
	else if (m->flags & NEEDS_PARAMS && !cJSON_IsObject(c->params))
		kms_fail_raw(c, RPC_PARAMS, "INVALID_PARAMS", "'params' is required");
	else if (c->tx && m->flags & ALONE)
		kms_fail(c, KMS_MALFORMED_TRANSACTION, "Method '%s' is none of a transaction's",
			 m->name);
	else
		return true;
	return false;
}

void kms_dispatch(struct kms_call *c, const cJSON *operation)
{
	const struct method *m = method_of(operation);

	c->params = cJSON_GetObjectItemCaseSensitive(operation, "params");
	if (check(c, m))
		m->fn(c);
}

/* The call takes the request over. */
static void begin(struct kms_call *c, cJSON *request)
{
	const struct method *m = method_of(request);

	c->request = request;
	c->params = cJSON_GetObjectItemCaseSensitive(request, "params");
	if (!check(c, m) || (m->fn != on_connect && !find_session(c, m)))
		return;
	if (m->flags & KEPT && c->id) {
		if (kms_cache_ask(c->peer, c->session_id, c->id)) {
			kms_call_free(c);
			return;
		}
		kms_cache_begin(c);
	}
	m->fn(c);
}

static bool is_request(const cJSON *request)
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(request, "jsonrpc");
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(request, "id");

	if (!cJSON_IsObject(request) || !cJSON_IsString(version) ||
	    strcmp(version->valuestring, "2.0") != 0)
		return false;
	if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(request, "method")))
		return false;
	return !id || cJSON_IsNull(id) || cJSON_IsNumber(id) ||
	       (cJSON_IsString(id) && strlen(id->valuestring) <= KMS_ID_MAX);
}

void kms_on_message(struct kms_peer *p, struct sl_str text)
{
	struct api_json_why why = {0};
	const cJSON *id;
	cJSON *request;
	struct kms_call *c;
	int err = api_json_parse(text, &limits, &request, &why);

	if (err == SL_ENOMEM) {
		p->fail(p);
		return;
	}
	if (err) {
		if (err == SL_EPARSE)
			kms_refuse(p, NULL, RPC_PARSE, "Parse error.");
		else
			kms_refuse(p, NULL, RPC_REQUEST, "Invalid JSON-RPC request. %s", why.text);
		return;
	}
	if (!is_request(request)) {
		api_json_free(request);
		kms_refuse(p, NULL, RPC_REQUEST, "Invalid JSON-RPC request.");
		return;
	}
	id = cJSON_GetObjectItemCaseSensitive(request, "id");
	err = kms_call_new(p->kms, p, cJSON_IsNull(id) ? NULL : id, &c);
	if (err == SL_OK) {
		begin(c, request);
		return;
	}
	if (err == SL_EFULL)
		kms_refuse(p, id, KMS_NOT_ENOUGH_RESOURCES, "Too many requests are under way");
	else
		p->fail(p);
	api_json_free(request);
}

/* ================= connections, begin and end ================= */

void kms_peer_init(struct kms_peer *p, struct kms *k)
{
	p->kms = k;
	p->session = NULL;
	p->session_count = 0;
	sl_list_init(&p->sessions);
	sl_list_init(&p->calls);
	sl_list_init(&p->waits);
}

/* A session that has held nothing is nothing to come back to. */
void kms_peer_fini(struct kms_peer *p)
{
	kms_waits_free(p);
	while (!sl_list_empty(&p->calls)) {
		struct kms_call *c = SL_LIST_AT(p->calls.next, struct kms_call, in_peer);

		sl_list_del(&c->in_peer);
		c->peer = NULL;
	}
	while (!sl_list_empty(&p->sessions)) {
		struct kms_session *s = SL_LIST_AT(p->sessions.next, struct kms_session, in_peer);

		kms_session_bind(s, NULL);
		if (!s->exists && sl_list_empty(&s->calls))
			kms_session_end(s, false);
	}
}

static void on_collect(struct kms_timer *t)
{
	kms_sessions_collect(SL_CONTAINER(t, struct kms_rpc, collector)->kms);
}

static void on_clean(struct kms_timer *t)
{
	kms_cache_clean(SL_CONTAINER(t, struct kms_rpc, cleaner)->kms);
}

int kms_rpc_init(struct kms *k)
{
	struct kms_rpc *rpc = sl_zalloc(sizeof(*rpc));
	int err;

	if (!rpc)
		return SL_ENOMEM;
	k->rpc = rpc;
	rpc->kms = k;
	rpc->collector.fn = on_collect;
	rpc->cleaner.fn = on_clean;
	sl_list_init(&rpc->all);
	sl_list_init(&rpc->calls);
	sl_list_init(&rpc->answers);
	api_json_out_init(&rpc->event, KMS_EVENT_MAX);
	sl_rng_fill(&k->rng, rpc->secret, sizeof(rpc->secret));
	err = sl_hash_init(&rpc->sessions, k->set.max_sessions, rpc->secret);
	if (!err)
		err = sl_hash_init(&rpc->cached, SL_MIN(k->set.calls, KMS_CACHED_MAX / 4) * 4,
				   rpc->secret + 2);
	return err;
}

/* Calls that wait for somebody are freed by whoever ends them. */
static void orphan(struct kms_call *c)
{
	kms_cache_forget(c);
	sl_list_del(&c->in_rpc);
	sl_list_del(&c->in_peer);
	sl_list_del(&c->in_session);
	c->kms = NULL;
	c->peer = NULL;
	c->session = NULL;
	if (c->tx && c->request)
		kms_tx_orphan(c);
}

void kms_rpc_fini(struct kms *k)
{
	struct kms_rpc *rpc = k->rpc;

	if (!rpc)
		return;
	while (!sl_list_empty(&rpc->all))
		kms_session_end(SL_LIST_AT(rpc->all.next, struct kms_session, in_all), false);
	while (!sl_list_empty(&rpc->calls))
		orphan(SL_LIST_AT(rpc->calls.next, struct kms_call, in_rpc));
	kms_cache_fini(k);
	kms_timer_unset(&rpc->collector);
	kms_timer_unset(&rpc->cleaner);
	api_json_out_fini(&rpc->event);
	sl_hash_fini(&rpc->sessions);
	sl_hash_fini(&rpc->cached);
	sl_free(rpc);
	k->rpc = NULL;
}

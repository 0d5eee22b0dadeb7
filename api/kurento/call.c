/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/call.c — the life of a call: its arguments, its answer, its errors. */
#include "api/kurento/rpc.h"
#include <stdio.h>

enum { TEXT_MAX = 512 };

/* ================= begin and end ================= */

static char *id_text(const cJSON *id)
{
	struct api_json_out o;
	char *text = NULL;
	size_t len;

	api_json_out_init(&o, 8 * KMS_ID_MAX);
	api_json_put_tree(&o, NULL, id);
	return api_json_out_take(&o, &text, &len) == SL_OK ? text : NULL;
}

int kms_call_new(struct kms *k, struct kms_peer *p, const cJSON *id, struct kms_call **out)
{
	struct kms_call *c;

	if (k->set.calls && k->rpc->call_count >= k->set.calls)
		return SL_EFULL;
	c = sl_zalloc(sizeof(*c));
	if (!c)
		return SL_ENOMEM;
	c->id = id ? id_text(id) : NULL;
	if (id && !c->id) {
		sl_free(c);
		return SL_ENOMEM;
	}
	c->kms = k;
	c->peer = p;
	api_json_out_init(&c->out, KMS_ANSWER_MAX);
	sl_list_add(&k->rpc->calls, &c->in_rpc);
	if (p)
		sl_list_add(&p->calls, &c->in_peer);
	k->rpc->call_count++;
	*out = c;
	return SL_OK;
}

void kms_call_free(struct kms_call *c)
{
	if (c->kms) {
		kms_cache_forget(c);
		c->kms->rpc->call_count--;
	}
	sl_list_del(&c->in_rpc);
	sl_list_del(&c->in_peer);
	sl_list_del(&c->in_session);
	api_json_free(c->request);
	api_json_free(c->args);
	api_json_out_fini(&c->out);
	sl_free(c->id);
	sl_free(c);
}

void kms_call_set_session(struct kms_call *c, struct kms_session *s)
{
	sl_list_del(&c->in_session);
	c->session = s;
	if (!s)
		return;
	sl_list_add(&s->calls, &c->in_session);
	memcpy(c->session_id, s->id, sizeof(s->id));
}

struct kms *kms_call_kms(const struct kms_call *call)
{
	return call->kms;
}

struct kms_session *kms_call_session(const struct kms_call *call)
{
	return call->session;
}

/* ================= arguments ================= */

const cJSON *kms_arg(const struct kms_call *call, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(call->args, name);

	return cJSON_IsNull(v) ? NULL : v;
}

bool kms_has(const struct kms_call *call, const char *name)
{
	return kms_arg(call, name) != NULL;
}

struct sl_str kms_arg_str(const struct kms_call *call, const char *name)
{
	const cJSON *v = kms_arg(call, name);

	return cJSON_IsString(v) ? sl_str_z(v->valuestring) : sl_str("", 0);
}

double kms_arg_num(const struct kms_call *call, const char *name)
{
	const cJSON *v = kms_arg(call, name);

	return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

/* What a double holds exactly; kms_args() has refused what is no whole number. */
int64_t kms_arg_int(const struct kms_call *call, const char *name)
{
	double v = kms_arg_num(call, name), max = 9007199254740992.0;

	return (int64_t)(v > max ? max : v < -max ? -max : v);
}

bool kms_arg_bool(const struct kms_call *call, const char *name)
{
	return cJSON_IsTrue(kms_arg(call, name));
}

int kms_arg_word(const struct kms_call *call, const char *name)
{
	const cJSON *v = kms_arg(call, name);
	const struct kms_enum *e = NULL;

	for (size_t i = 0; i < call->of_count; i++)
		if (strcmp(call->of[i].name, name) == 0 && call->of[i].type.kind == KMS_ENUM)
			e = &kms_enums[call->of[i].type.index];
	for (int i = 0; e && cJSON_IsString(v) && i < e->count; i++)
		if (strcmp(e->words[i], v->valuestring) == 0)
			return i;
	return -1;
}

struct kms_object *kms_arg_object(const struct kms_call *call, const char *name)
{
	const cJSON *v = kms_arg(call, name);

	return cJSON_IsString(v) ? kms_object_by_id(call->kms, sl_str_z(v->valuestring)) : NULL;
}

bool kms_need_str(struct kms_call *c, const char *name, struct sl_str *out)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->params, name);

	if (!v)
		kms_fail_raw(c, RPC_SERVER, NULL, "'%s' parameter is required", name);
	else if (!cJSON_IsString(v))
		kms_fail_raw(c, RPC_SERVER, NULL, "'%s' parameter should be a string", name);
	else
		return *out = sl_str_z(v->valuestring), true;
	return false;
}

struct kms_object *kms_need_object(struct kms_call *c, const char *name)
{
	struct kms_object *o;
	struct sl_str id;
	int err;

	if (!kms_need_str(c, name, &id))
		return NULL;
	o = kms_object_by_id(c->kms, id);
	if (!o && sl_str_starts(id, SL_STR("newref:"))) {
		kms_fail(c, KMS_MEDIA_OBJECT_NOT_FOUND_TRANSACTION_NO_COMMIT,
			 "Object '%.*s' is not there before its transaction", SL_STR_ARG(id));
		return NULL;
	}
	if (!o || o->dying) {
		kms_fail(c, KMS_MEDIA_OBJECT_NOT_FOUND, "Object '%.*s' not found", SL_STR_ARG(id));
		return NULL;
	}
	err = c->session ? kms_session_hold(c->session, o) : SL_OK;
	if (err) {
		kms_fail_err(c, err);
		return NULL;
	}
	return o;
}

/* ================= answers ================= */

/* What was written is an object: its members, and sessionId. */
static void put_members(struct api_json_out *o, const char *key, const struct kms_call *c)
{
	api_json_open_object(o, key);
	if (c->out.b.n > 2)
		api_json_put_raw(o, NULL, sl_str(c->out.b.p + 1, c->out.b.n - 2));
	if (c->session_id[0])
		api_json_put_z(o, "sessionId", c->session_id);
	api_json_close_object(o);
}

static void put_result(struct api_json_out *o, const char *key, const struct kms_call *c,
		       struct kms_span *value)
{
	struct sl_str text = c->out.b.n ? sl_str(c->out.b.p, c->out.b.n) : SL_STR("null");

	value->n = 0;
	if (c->result == RESULT_NULL) {
		api_json_put_null(o, key);
		return;
	}
	if (c->result == RESULT_MEMBERS) {
		put_members(o, key, c);
		return;
	}
	api_json_open_object(o, key);
	if (c->session_id[0])
		api_json_put_z(o, "sessionId", c->session_id);
	if (c->result == RESULT_VALUE) {
		api_json_put_raw(o, "value", text);
		*value = (struct kms_span){.at = o->b.n - text.n, .n = text.n};
	}
	api_json_close_object(o);
}

static void put_error(struct api_json_out *o, const struct kms_call *c, const struct kms_answer *a)
{
	struct kms_span unused;

	api_json_open_object(o, "error");
	api_json_put_int(o, "code", a->code);
	if (a->type) {
		api_json_open_object(o, "data");
		api_json_put_z(o, "type", a->type);
		api_json_close_object(o);
	} else if (c && !c->id) {
		put_result(o, "data", c, &unused);
	}
	api_json_put_z(o, "message", a->text);
	api_json_close_object(o);
}

void kms_put_answer(struct api_json_out *o, const struct kms_call *c, const struct kms_answer *a,
		    struct kms_span *value)
{
	static const struct kms_answer notified = {
		.code = RPC_SERVER, .text = "Ignoring response because of a notification request"};

	*value = (struct kms_span){0};
	api_json_open_object(o, NULL);
	if (a->code)
		put_error(o, NULL, a);
	else if (!c->id)
		put_error(o, c, &notified);
	api_json_put_raw(o, "id", c->id ? sl_str_z(c->id) : SL_STR("null"));
	api_json_put_z(o, "jsonrpc", "2.0");
	if (!a->code && c->id)
		put_result(o, "result", c, value);
	api_json_close_object(o);
}

static const char *error_name(enum kms_error code)
{
	static const struct {
		enum kms_error code;
		const char *name;
	} names[] = {
#define X(name, code) {KMS_##name, #name},
		KMS_ERRORS(X)
#undef X
	};

	for (size_t i = 0; i < SL_COUNT(names); i++)
		if (names[i].code == code)
			return names[i].name;
	return "UNDEFINED";
}

static void send_text(struct kms_peer *p, struct api_json_out *o)
{
	char *text;
	size_t len;

	if (api_json_out_take(o, &text, &len) == SL_OK)
		p->send(p, text, len);
	else
		p->fail(p);
}

void kms_refuse(struct kms_peer *p, const cJSON *id, int code, const char *fmt, ...)
{
	const char *type =
		code == KMS_NOT_ENOUGH_RESOURCES ? error_name(KMS_NOT_ENOUGH_RESOURCES) : NULL;
	struct api_json_out o;
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	api_json_out_init(&o, KMS_ANSWER_MAX);
	api_json_open_object(&o, NULL);
	put_error(&o, NULL, &(struct kms_answer){.code = code, .type = type, .text = text});
	api_json_put_tree(&o, "id", id);
	api_json_put_z(&o, "jsonrpc", "2.0");
	api_json_close_object(&o);
	send_text(p, &o);
}

/* The answer of a request, to whoever waits for it. */
static void answer(struct kms_call *c, const struct kms_answer *a)
{
	static const struct kms_answer too_long = {.code = KMS_NOT_ENOUGH_RESOURCES,
						   .type = "NOT_ENOUGH_RESOURCES",
						   .text = "The answer is longer than 1 MiB"};
	int err = a->code ? SL_OK : c->out.err;
	struct kms_span value;
	struct api_json_out o;
	struct sl_str text;

	api_json_out_init(&o, KMS_ANSWER_MAX);
	kms_put_answer(&o, c, err == SL_EFULL ? &too_long : a, &value);
	if (o.err == SL_EFULL) {
		api_json_out_fini(&o);
		api_json_out_init(&o, KMS_ANSWER_MAX);
		kms_put_answer(&o, c, &too_long, &value);
	}
	if (err == SL_ENOMEM)
		o.err = err;
	if (api_json_out_text(&o, &text) == SL_OK)
		kms_cache_end(c, text);
	if (c->peer)
		send_text(c->peer, &o);
	else
		api_json_out_fini(&o);
}

static void end(struct kms_call *c, const struct kms_answer *a)
{
	bool operation = c->tx && !c->request;

	if (operation) {
		kms_tx_done(c, a);
		return;
	}
	if (c->kms)
		answer(c, a);
	if (c->tx)
		kms_tx_free(c->tx);
	kms_call_free(c);
}

struct api_json_out *kms_value(struct kms_call *call)
{
	return &call->out;
}

void kms_done(struct kms_call *call)
{
	end(call, &(struct kms_answer){0});
}

void kms_done_str(struct kms_call *call, struct sl_str s)
{
	api_json_put_str(kms_value(call), NULL, s);
	kms_done(call);
}

void kms_done_int(struct kms_call *call, int64_t v)
{
	api_json_put_int(kms_value(call), NULL, v);
	kms_done(call);
}

void kms_done_bool(struct kms_call *call, bool v)
{
	api_json_put_bool(kms_value(call), NULL, v);
	kms_done(call);
}

static void fail(struct kms_call *call, int code, const char *type, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	end(call, &(struct kms_answer){.code = code, .type = type, .text = text});
}

void kms_fail(struct kms_call *call, enum kms_error code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(call, (int)code, error_name(code), fmt, ap);
	va_end(ap);
}

void kms_fail_raw(struct kms_call *c, int code, const char *type, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail(c, code, type, fmt, ap);
	va_end(ap);
}

void kms_fail_err(struct kms_call *call, int err)
{
	if (err == SL_ENOMEM || err == SL_EFULL || err == SL_EBUSY)
		kms_fail(call, KMS_NOT_ENOUGH_RESOURCES, "Not enough resources: %s",
			 sl_strerror(err));
	else
		kms_fail(call, KMS_UNEXPECTED_ERROR, "Unexpected error: %s", sl_strerror(err));
}

/* ================= values ================= */

void kms_open_record(struct api_json_out *out, const char *key, const char *record)
{
	const struct kms_record *r = kms_record_find(record);

	api_json_open_object(out, key);
	api_json_put_z(out, "__module__", r ? r->module : "kurento");
	api_json_put_z(out, "__type__", record);
}

void kms_put_object(struct api_json_out *out, const char *key, const struct kms_object *o)
{
	api_json_put_z(out, key, o ? o->id : NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/args.c — arguments by a parameter list. As generous as Kurento's own reader: a scalar
 * that can be converted is, null is as good as absent, and what no parameter is named after is
 * passed over. */
#include "api/kurento/tables.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const BEING[] = {
	[KMS_STRING] = "a string",  [KMS_INT] = "an integer",  [KMS_INT64] = "an int64",
	[KMS_BOOL] = "a boolean",   [KMS_DOUBLE] = "a double", [KMS_ENUM] = "a string",
	[KMS_RECORD] = "an object", [KMS_OBJECT] = "a string",
};

/* Always NULL, for whoever returns a value. */
static SL_PRINTF(3, 4) cJSON *wrong(struct kms_args_in *in, enum kms_error error, const char *fmt,
				    ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(in->why, sizeof(in->why), fmt, ap);
	va_end(ap);
	in->error = error;
	return NULL;
}

static cJSON *no_memory(struct kms_args_in *in)
{
	return wrong(in, KMS_NOT_ENOUGH_RESOURCES, "Out of memory");
}

static cJSON *wrong_type(struct kms_args_in *in, const char *name, const char *being)
{
	return wrong(in, KMS_MARSHALL_ERROR, "'%s' parameter should be %s", name, being);
}

/* A new value, or NULL when there was no memory for it. */
static cJSON *made(struct kms_args_in *in, cJSON *v)
{
	return v ? v : no_memory(in);
}

/* ---- scalars ---- */

/* Decimal only: strtod() takes hexadecimal, "inf" and leading blanks, too. */
static bool number_of_text(const char *text, double *out)
{
	char *end;

	if (!*text || text[strspn(text, "0123456789+-.eE")])
		return false;
	*out = strtod(text, &end);
	return !*end && isfinite(*out);
}

static bool number_of(const cJSON *v, double *out)
{
	if (cJSON_IsString(v))
		return number_of_text(v->valuestring, out);
	if (cJSON_IsBool(v))
		*out = cJSON_IsTrue(v);
	else
		*out = v->valuedouble;
	return cJSON_IsBool(v) || (cJSON_IsNumber(v) && isfinite(*out));
}

static cJSON *read_int(struct kms_args_in *in, const struct kms_type *t, const char *name,
		       const cJSON *v)
{
	/* 2^31 and 2^63: both are doubles, the greatest int64 is not. */
	double limit = t->kind == KMS_INT ? 2147483648.0 : 9223372036854775808.0;
	double d;

	if (!number_of(v, &d) || trunc(d) < -limit || trunc(d) >= limit)
		return wrong_type(in, name, BEING[t->kind]);
	return made(in, cJSON_CreateNumber(trunc(d)));
}

static cJSON *read_double(struct kms_args_in *in, const struct kms_type *t, const char *name,
			  const cJSON *v)
{
	double d;

	if (!number_of(v, &d))
		return wrong_type(in, name, BEING[t->kind]);
	return made(in, cJSON_CreateNumber(d));
}

static cJSON *read_bool(struct kms_args_in *in, const struct kms_type *t, const char *name,
			const cJSON *v)
{
	double d = 0;
	bool word = cJSON_IsString(v) &&
		    (!strcmp(v->valuestring, "true") || !strcmp(v->valuestring, "false"));

	if (!word && !number_of(v, &d))
		return wrong_type(in, name, BEING[t->kind]);
	return made(in, cJSON_CreateBool(word ? v->valuestring[0] == 't' : d != 0));
}

static cJSON *read_string(struct kms_args_in *in, const struct kms_type *t, const char *name,
			  const cJSON *v)
{
	char number[40];

	if (cJSON_IsString(v))
		return made(in, cJSON_CreateString(v->valuestring));
	if (cJSON_IsBool(v))
		return made(in, cJSON_CreateString(cJSON_IsTrue(v) ? "true" : "false"));
	if (!cJSON_IsNumber(v))
		return wrong_type(in, name, BEING[t->kind]);
	(void)sl_fmt(number, sizeof(number), "%.17g", v->valuedouble);
	return made(in, cJSON_CreateString(number));
}

/* ---- what has a table ---- */

static cJSON *read_enum(struct kms_args_in *in, const struct kms_type *t, const char *name,
			const cJSON *v)
{
	const struct kms_enum *e = &kms_enums[t->index];

	if (!cJSON_IsString(v))
		return wrong_type(in, name, BEING[t->kind]);
	for (uint16_t i = 0; i < e->count; i++)
		if (!strcmp(e->words[i], v->valuestring))
			return made(in, cJSON_CreateString(e->words[i]));
	return wrong(in, KMS_MARSHALL_ERROR, "'%s' parameter: '%.60s' is no %s", name,
		     v->valuestring, e->name);
}

/* The JavaScript client sends some objects that were awaited as what it holds of them, which has
 * their id: DispatcherOneToMany.setSource() of a port, for one. */
static cJSON *read_object(struct kms_args_in *in, const struct kms_type *t, const char *name,
			  const cJSON *v)
{
	const struct kms_class *c = &kms_classes[t->index];
	struct kms_object *o;

	if (cJSON_IsObject(v) && cJSON_IsString(cJSON_GetObjectItemCaseSensitive(v, "id")))
		v = cJSON_GetObjectItemCaseSensitive(v, "id");
	if (!cJSON_IsString(v))
		return wrong_type(in, name, BEING[t->kind]);
	o = in->object(in->kms, sl_str_z(v->valuestring));
	if (!o && !strncmp(v->valuestring, "newref:", 7))
		return wrong(in, KMS_MEDIA_OBJECT_NOT_FOUND_TRANSACTION_NO_COMMIT,
			     "Object '%.200s' not found", v->valuestring);
	if (!o)
		return wrong(in, KMS_MEDIA_OBJECT_NOT_FOUND, "Object '%.200s' not found",
			     v->valuestring);
	if (!kms_class_is(o->class, c))
		return wrong(in, KMS_MARSHALL_ERROR, "'%s' parameter should be a %s", name,
			     c->name);
	return made(in, cJSON_CreateString(o->id));
}

static bool read_params(struct kms_args_in *in, const struct kms_param *params, size_t n,
			const cJSON *given, cJSON *out);

/* Tags are not needed: the parameter says which record it is. */
static cJSON *read_record(struct kms_args_in *in, const struct kms_type *t, const char *name,
			  const cJSON *v)
{
	const struct kms_record *r = &kms_records[t->index];
	cJSON *out;

	if (!cJSON_IsObject(v))
		return wrong_type(in, name, BEING[t->kind]);
	out = made(in, cJSON_CreateObject());
	for (; out && r; r = r->parent)
		if (!read_params(in, r->members, r->member_count, v, out)) {
			cJSON_Delete(out);
			return NULL;
		}
	return out;
}

/* clang-format off */
static cJSON *(*const READ[])(struct kms_args_in *, const struct kms_type *, const char *,
			      const cJSON *) = {
	[KMS_STRING] = read_string,	[KMS_INT] = read_int,		[KMS_INT64] = read_int,
	[KMS_BOOL] = read_bool,		[KMS_DOUBLE] = read_double,	[KMS_ENUM] = read_enum,
	[KMS_RECORD] = read_record,	[KMS_OBJECT] = read_object,
};
/* clang-format on */

/* ---- lists and maps ---- */

static bool add(cJSON *to, const char *key, cJSON *v)
{
	return key ? cJSON_AddItemToObject(to, key, v) : cJSON_AddItemToArray(to, v);
}

static cJSON *read_many(struct kms_args_in *in, const struct kms_type *t, const char *name,
			const cJSON *v)
{
	cJSON *out;
	const cJSON *item;

	if (t->list ? !cJSON_IsArray(v) : !cJSON_IsObject(v))
		return wrong_type(in, name, t->list ? "a list" : "a map");
	out = made(in, t->list ? cJSON_CreateArray() : cJSON_CreateObject());
	if (!out)
		return NULL;
	cJSON_ArrayForEach(item, v)
	{
		cJSON *read = READ[t->kind](in, t, name, item);

		if (!read || !add(out, t->list ? NULL : item->string, read)) {
			if (read)
				(void)no_memory(in);
			cJSON_Delete(read);
			cJSON_Delete(out);
			return NULL;
		}
	}
	return out;
}

/* ---- parameters ---- */

/* Under its name, or under one that older clients know. */
static const cJSON *given_as(const cJSON *given, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(given, name);

	for (size_t i = 0; !v && i < kms_param_alias_count; i++)
		if (!strcmp(kms_param_aliases[i].name, name))
			v = cJSON_GetObjectItemCaseSensitive(given, kms_param_aliases[i].old);
	return cJSON_IsNull(v) ? NULL : v;
}

static cJSON *read_value(struct kms_args_in *in, const struct kms_param *p, const cJSON *v)
{
	if (p->type.list || p->type.map)
		return read_many(in, &p->type, p->name, v);
	return READ[p->type.kind](in, &p->type, p->name, v);
}

static cJSON *default_of(struct kms_args_in *in, const struct kms_param *p)
{
	cJSON *parsed = cJSON_Parse(p->otherwise);
	cJSON *v = parsed ? read_value(in, p, parsed) : no_memory(in);

	cJSON_Delete(parsed);
	return v;
}

static bool read_param(struct kms_args_in *in, const struct kms_param *p, const cJSON *given,
		       cJSON *out)
{
	const cJSON *v = given_as(given, p->name);
	cJSON *read;

	if (!v && !p->otherwise) {
		if (!p->optional)
			(void)wrong(in, KMS_MARSHALL_ERROR, "'%s' parameter is required", p->name);
		return p->optional;
	}
	read = v ? read_value(in, p, v) : default_of(in, p);
	if (read && !add(out, p->name, read)) {
		cJSON_Delete(read);
		read = no_memory(in);
	}
	return read != NULL;
}

static bool read_params(struct kms_args_in *in, const struct kms_param *params, size_t n,
			const cJSON *given, cJSON *out)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = read_param(in, &params[i], given, out);
	return ok;
}

/* What the request calls these arguments. */
static const char *arguments_of(const struct kms_param *params)
{
	for (size_t i = 0; params && i < kms_class_count; i++)
		if (kms_classes[i].params == params)
			return "constructorParams";
	return "operationParams";
}

static bool required(const struct kms_param *params, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!params[i].optional)
			return true;
	return false;
}

bool kms_args_read(struct kms_args_in *in, const struct kms_param *params, size_t n,
		   const cJSON *given, cJSON **out)
{
	cJSON *all;

	if (cJSON_IsNull(given))
		given = NULL;
	if (given && !cJSON_IsObject(given))
		return wrong(in, KMS_MARSHALL_ERROR, "'%s' should be an object",
			     arguments_of(params));
	if (!given && required(params, n))
		return wrong(in, KMS_MARSHALL_ERROR, "'%s' is required", arguments_of(params));
	all = made(in, cJSON_CreateObject());
	if (!all)
		return false;
	if (!read_params(in, params, n, given, all)) {
		cJSON_Delete(all);
		return false;
	}
	*out = all;
	return true;
}

bool kms_args(struct kms_call *call, const struct kms_param *params, size_t n, const cJSON *given,
	      cJSON **out)
{
	struct kms_args_in in = {.kms = kms_call_kms(call), .object = kms_object_by_id};
	bool ok = kms_args_read(&in, params, n, given, out);

	if (!ok)
		kms_fail(call, in.error, "%s", in.why);
	return ok;
}

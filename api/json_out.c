/* SPDX-License-Identifier: Apache-2.0
 * api/json_out.c — writes JSON into text that grows up to a cap. */
#include "api/json.h"
#include "core/base/mem.h"
#include <math.h>
#include <stdlib.h>

enum { FIRST_CAP = 512 };

void api_json_out_init(struct api_json_out *o, size_t max)
{
	*o = (struct api_json_out){.max = max};
}

void api_json_out_fini(struct api_json_out *o)
{
	sl_free(o->b.p);
	*o = (struct api_json_out){0};
}

void api_json_out_reset(struct api_json_out *o)
{
	o->b.n = 0;
	o->b.full = false;
	o->depth = 0;
	o->more = false;
	o->err = SL_OK;
}

/* Twice the room, or an error that stays. */
static void grow(struct api_json_out *o)
{
	size_t cap = SL_MIN(o->b.cap ? 2 * o->b.cap : FIRST_CAP, o->max + 1);
	char *p;

	if (cap <= o->b.cap) {
		o->err = SL_EFULL;
		return;
	}
	p = sl_realloc(o->b.p, cap);
	if (!p) {
		o->err = SL_ENOMEM;
		return;
	}
	p[o->b.n] = '\0';
	o->b.p = p;
	o->b.cap = cap;
}

/* A fresh try at what did not fit; false when there is no more room to be had. */
static bool again(struct api_json_out *o)
{
	if (o->b.cap && !o->b.full)
		return false;
	grow(o);
	o->b.full = false;
	return !o->err;
}

static void add(struct api_json_out *o, struct sl_str s)
{
	if (o->err || (!o->b.cap && !again(o)))
		return;
	do
		sl_buf_str(&o->b, s);
	while (again(o));
}

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Escapes by the one function that does, whose quotes are taken off again. */
static void add_escaped(struct api_json_out *o, struct sl_str s)
{
	size_t start = o->b.n;

	if (o->err)
		return;
	do
		sl_buf_json(&o->b, s);
	while (again(o));
	if (o->err)
		return;
	o->b.n -= 2;
	memmove(o->b.p + start, o->b.p + start + 1, o->b.n - start);
	o->b.p[o->b.n] = '\0';
}

/* Nearly all text is plain and copied in runs: an SDP of half a megabyte is. */
static void add_quoted(struct api_json_out *o, struct sl_str s)
{
	add(o, SL_STR("\""));
	for (size_t i = 0, from = 0; i < s.n && !o->err; from = i) {
		bool plain = is_plain(s.p[i]);

		while (i < s.n && is_plain(s.p[i]) == plain)
			i++;
		if (plain)
			add(o, sl_str(s.p + from, i - from));
		else
			add_escaped(o, sl_str(s.p + from, i - from));
	}
	add(o, SL_STR("\""));
}

static void begin(struct api_json_out *o, const char *key)
{
	if (o->more)
		add(o, SL_STR(","));
	o->more = true;
	if (key) {
		add_quoted(o, sl_str_z(key));
		add(o, SL_STR(":"));
	}
}

static void open_level(struct api_json_out *o, const char *key, struct sl_str bracket)
{
	begin(o, key);
	add(o, bracket);
	o->more = false;
	o->depth++;
}

static void close_level(struct api_json_out *o, struct sl_str bracket)
{
	SL_ASSERT(o->depth > 0);
	add(o, bracket);
	o->more = true;
	o->depth--;
}

void api_json_open_object(struct api_json_out *o, const char *key)
{
	open_level(o, key, SL_STR("{"));
}

void api_json_close_object(struct api_json_out *o)
{
	close_level(o, SL_STR("}"));
}

void api_json_open_array(struct api_json_out *o, const char *key)
{
	open_level(o, key, SL_STR("["));
}

void api_json_close_array(struct api_json_out *o)
{
	close_level(o, SL_STR("]"));
}

void api_json_put_raw(struct api_json_out *o, const char *key, struct sl_str json)
{
	begin(o, key);
	add(o, json);
}

void api_json_put_str(struct api_json_out *o, const char *key, struct sl_str s)
{
	begin(o, key);
	add_quoted(o, s);
}

void api_json_put_null(struct api_json_out *o, const char *key)
{
	api_json_put_raw(o, key, SL_STR("null"));
}

void api_json_put_z(struct api_json_out *o, const char *key, const char *z)
{
	if (z)
		api_json_put_str(o, key, sl_str_z(z));
	else
		api_json_put_null(o, key);
}

void api_json_put_bool(struct api_json_out *o, const char *key, bool v)
{
	api_json_put_raw(o, key, v ? SL_STR("true") : SL_STR("false"));
}

void api_json_put_int(struct api_json_out *o, const char *key, int64_t v)
{
	char text[24];

	(void)sl_fmt(text, sizeof(text), "%lld", (long long)v);
	api_json_put_raw(o, key, sl_str_z(text));
}

void api_json_put_u64(struct api_json_out *o, const char *key, uint64_t v)
{
	char text[24];

	(void)sl_fmt(text, sizeof(text), "%llu", (unsigned long long)v);
	api_json_put_raw(o, key, sl_str_z(text));
}

void api_json_put_num(struct api_json_out *o, const char *key, double v)
{
	char text[32];

	if (!isfinite(v)) {
		api_json_put_null(o, key);
		return;
	}
	/* 15 digits read well; where they are another number, 17 never are. */
	(void)sl_fmt(text, sizeof(text), "%.15g", v);
	if (strtod(text, NULL) != v)
		(void)sl_fmt(text, sizeof(text), "%.17g", v);
	api_json_put_raw(o, key, sl_str_z(text));
}

/* As deep as the tree, so API_JSON_DEPTH_MAX at most. */
void api_json_put_tree(struct api_json_out *o, const char *key, const cJSON *v)
{
	const cJSON *child;

	if (cJSON_IsString(v)) {
		api_json_put_z(o, key, v->valuestring);
	} else if (cJSON_IsNumber(v)) {
		api_json_put_num(o, key, v->valuedouble);
	} else if (cJSON_IsBool(v)) {
		api_json_put_bool(o, key, cJSON_IsTrue(v));
	} else if (cJSON_IsObject(v) || cJSON_IsArray(v)) {
		open_level(o, key, cJSON_IsObject(v) ? SL_STR("{") : SL_STR("["));
		cJSON_ArrayForEach(child, v) api_json_put_tree(o, child->string, child);
		close_level(o, cJSON_IsObject(v) ? SL_STR("}") : SL_STR("]"));
	} else {
		api_json_put_null(o, key);
	}
}

int api_json_out_text(const struct api_json_out *o, struct sl_str *out)
{
	if (o->err)
		return o->err;
	SL_ASSERT(o->depth == 0);
	*out = sl_str(o->b.p ? o->b.p : "", o->b.n);
	return SL_OK;
}

int api_json_out_take(struct api_json_out *o, char **text, size_t *len)
{
	int err = o->err;

	if (!err) {
		SL_ASSERT(o->depth == 0 && o->b.p);
		*text = o->b.p;
		*len = o->b.n;
		o->b.p = NULL;
	}
	api_json_out_fini(o);
	return err;
}

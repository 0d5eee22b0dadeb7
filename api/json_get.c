/* SPDX-License-Identifier: Apache-2.0
 * api/json_get.c — takes values out of a tree and says which field is wrong, and how. */
#include "api/json.h"
#include <math.h>
#include <stdio.h>

enum { QUOTE_MAX = 40 };
/* RFC 8259 section 6: whole numbers within this are the same for everybody. */
#define INT_MAX_EXACT ((INT64_C(1) << 53) - 1)

struct api_json_at api_json_root(const cJSON *tree, struct api_json_why *why)
{
	return (struct api_json_at){.v = tree, .why = why};
}

/* RFC 6901 section 3. */
static void write_token(struct sl_buf *b, const char *key)
{
	sl_buf_char(b, '/');
	for (; *key; key++)
		if (*key == '~')
			sl_buf_z(b, "~0");
		else if (*key == '/')
			sl_buf_z(b, "~1");
		else
			sl_buf_char(b, *key);
}

/* A tree is never deeper than API_JSON_DEPTH_MAX, and so is this. */
static void write_pointer(struct sl_buf *b, const struct api_json_at *at)
{
	if (!at->up)
		return;
	write_pointer(b, at->up);
	if (at->key)
		write_token(b, at->key);
	else
		sl_buf_fmt(b, "/%zu", at->index);
}

/* What does not fit, as only a client's own key can cause, is named by what it lies in. */
static void name_field(const struct api_json_at *at, char *field, size_t cap)
{
	do {
		struct sl_buf b = sl_buf(field, cap);

		write_pointer(&b, at);
		if (!b.full)
			return;
		at = at->up;
	} while (at);
}

int api_json_wrong(const struct api_json_at *at, int err, const char *fmt, ...)
{
	struct api_json_why *why = at->why;
	struct sl_buf b = sl_buf(why->text, sizeof(why->text));
	char what[sizeof(why->text) - sizeof(why->field) - 8], name[sizeof(why->field) + 2];
	struct sl_buf n = sl_buf(name, sizeof(name));
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	why->at = 0;
	name_field(at, why->field, sizeof(why->field));
	/* A pointer may hold a client's key: the sentence has it without the control characters. */
	sl_buf_json_cut(&n, sl_str_z(why->field), sizeof(name) - 6);
	if (n.n > 2)
		sl_buf_add(&b, name + 1, n.n - 2);
	else
		sl_buf_z(&b, "The JSON value");
	sl_buf_fmt(&b, " %s.", what);
	return err;
}

/* ---- a value at hand ---- */

int api_json_object(const struct api_json_at *at)
{
	return cJSON_IsObject(at->v) ? 1 : api_json_wrong(at, SL_ERANGE, "must be an object");
}

int api_json_array(const struct api_json_at *at, size_t items_max)
{
	if (!cJSON_IsArray(at->v))
		return api_json_wrong(at, SL_ERANGE, "must be an array");
	if ((size_t)cJSON_GetArraySize(at->v) > items_max)
		return api_json_wrong(at, SL_ERANGE, "must have at most %zu items", items_max);
	return 1;
}

int api_json_str(const struct api_json_at *at, size_t min, size_t max, struct sl_str *out)
{
	struct sl_str s;

	if (!at->v || !cJSON_IsString(at->v))
		return api_json_wrong(at, SL_ERANGE, "must be a string");
	s = sl_str_z(at->v->valuestring);
	if (s.n < min && s.n == 0)
		return api_json_wrong(at, SL_ERANGE, "must not be empty");
	if (s.n < min || s.n > max)
		return api_json_wrong(at, SL_ERANGE, "must have %zu to %zu bytes", min, max);
	*out = s;
	return 1;
}

int api_json_int(const struct api_json_at *at, int64_t min, int64_t max, int64_t *out)
{
	double v = at->v && cJSON_IsNumber(at->v) ? at->v->valuedouble : NAN;

	min = SL_MAX(min, -INT_MAX_EXACT);
	max = SL_MIN(max, INT_MAX_EXACT);
	/* The first two are false for NaN too, and what passes them fits the integer. */
	if (!(v >= (double)min && v <= (double)max) || (double)(int64_t)v != v)
		return api_json_wrong(at, SL_ERANGE, "must be a whole number from %lld to %lld",
				      (long long)min, (long long)max);
	*out = (int64_t)v;
	return 1;
}

int api_json_num(const struct api_json_at *at, double min, double max, double *out)
{
	double v = at->v && cJSON_IsNumber(at->v) ? at->v->valuedouble : NAN;

	if (!isfinite(v) || v < min || v > max)
		return api_json_wrong(at, SL_ERANGE, "must be a number from %.15g to %.15g", min,
				      max);
	*out = v;
	return 1;
}

int api_json_bool(const struct api_json_at *at, bool *out)
{
	if (!cJSON_IsBool(at->v))
		return api_json_wrong(at, SL_ERANGE, "must be true or false");
	*out = cJSON_IsTrue(at->v);
	return 1;
}

static int wrong_word(const struct api_json_at *at, const char *const *words, size_t n)
{
	char list[120];
	struct sl_buf b = sl_buf(list, sizeof(list));

	for (size_t i = 0; i < n; i++)
		sl_buf_fmt(&b, "%s\"%s\"", i ? ", " : "", words[i]);
	return api_json_wrong(at, SL_ERANGE, "must be one of %s%s", list, b.full ? ", ..." : "");
}

int api_json_word(const struct api_json_at *at, const char *const *words, size_t n, size_t *out)
{
	if (!at->v || !cJSON_IsString(at->v))
		return wrong_word(at, words, n);
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], at->v->valuestring) == 0) {
			*out = i;
			return 1;
		}
	return wrong_word(at, words, n);
}

int api_json_words(const struct api_json_at *at, const char *const *words, size_t n, uint32_t *out)
{
	struct api_json_at item = {0};
	int err = api_json_array(at, API_JSON_VALUES_MAX);
	uint32_t bits = 0;
	size_t i = 0;

	SL_ASSERT(n <= 32);
	while (err > 0 && api_json_next(at, &item)) {
		err = api_json_word(&item, words, n, &i);
		if (err > 0)
			bits |= UINT32_C(1) << i;
	}
	if (err > 0)
		*out = bits;
	return err;
}

bool api_json_is_null(const struct api_json_at *at)
{
	return cJSON_IsNull(at->v);
}

/* ---- a field of an object ---- */

int api_json_get(const struct api_json_at *obj, const char *key, enum api_json_need need,
		 struct api_json_at *out)
{
	struct api_json_at at = {.up = obj, .key = key, .why = obj->why};
	int err = api_json_object(obj);

	if (err > 0)
		at.v = cJSON_GetObjectItemCaseSensitive(obj->v, key);
	*out = at;
	if (err < 0)
		return err;
	if (!at.v && need == API_JSON_REQUIRED)
		return api_json_wrong(out, SL_ENOTFOUND, "is missing");
	return at.v != NULL;
}

int api_json_get_object(const struct api_json_at *obj, const char *key, enum api_json_need need,
			struct api_json_at *out)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, need, &at);

	if (got > 0)
		got = api_json_object(&at);
	if (got > 0)
		*out = at;
	return got;
}

int api_json_get_array(const struct api_json_at *obj, const char *key, enum api_json_need need,
		       size_t items_max, struct api_json_at *out)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, need, &at);

	if (got > 0)
		got = api_json_array(&at, items_max);
	if (got > 0)
		*out = at;
	return got;
}

int api_json_get_str(const struct api_json_at *obj, const char *key, enum api_json_need need,
		     size_t min, size_t max, struct sl_str *out)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, need, &at);

	return got > 0 ? api_json_str(&at, min, max, out) : got;
}

int api_json_get_int(const struct api_json_at *obj, const char *key, enum api_json_need need,
		     int64_t min, int64_t max, int64_t *out)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, need, &at);

	return got > 0 ? api_json_int(&at, min, max, out) : got;
}

int api_json_get_num(const struct api_json_at *obj, const char *key, enum api_json_need need,
		     double min, double max, double *out)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, need, &at);

	return got > 0 ? api_json_num(&at, min, max, out) : got;
}

int api_json_get_bool(const struct api_json_at *obj, const char *key, enum api_json_need need,
		      bool *out)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, need, &at);

	return got > 0 ? api_json_bool(&at, out) : got;
}

int api_json_get_word(const struct api_json_at *obj, const char *key, enum api_json_need need,
		      const char *const *words, size_t n, size_t *out)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, need, &at);

	return got > 0 ? api_json_word(&at, words, n, out) : got;
}

int api_json_get_words(const struct api_json_at *obj, const char *key, enum api_json_need need,
		       const char *const *words, size_t n, uint32_t *out)
{
	struct api_json_at at;
	int got = api_json_get(obj, key, need, &at);

	return got > 0 ? api_json_words(&at, words, n, out) : got;
}

/* ---- walks ---- */

bool api_json_next(const struct api_json_at *list, struct api_json_at *item)
{
	bool first = !item->v;

	if (first && !cJSON_IsArray(list->v) && !cJSON_IsObject(list->v))
		return false;
	item->index = first ? 0 : item->index + 1;
	item->v = first ? list->v->child : item->v->next;
	item->up = list;
	item->why = list->why;
	item->key = item->v ? item->v->string : NULL;
	return item->v != NULL;
}

int api_json_only(const struct api_json_at *obj, const char *const *keys, size_t n)
{
	struct api_json_at item = {0};
	char quoted[QUOTE_MAX + 8];
	struct sl_buf b = sl_buf(quoted, sizeof(quoted));
	int err = api_json_object(obj);

	while (err > 0 && api_json_next(obj, &item)) {
		size_t i = 0;

		while (i < n && strcmp(keys[i], item.key) != 0)
			i++;
		if (i < n)
			continue;
		sl_buf_json_cut(&b, sl_str_z(item.key), QUOTE_MAX);
		return api_json_wrong(&item, SL_ERANGE, "is not known: there is no field %s here",
				      quoted);
	}
	return err < 0 ? err : SL_OK;
}

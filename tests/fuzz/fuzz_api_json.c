/* SPDX-License-Identifier: Apache-2.0 — JSON: any text is refused with a sentence, or is within the
 * limits, has no key twice, is taken by the parser for a bounded amount of memory, and reads the
 * same when it is written again. */
#include "api/json.h"
#include "core/base/mem.h"
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t taken_bytes, taken_blocks;

static void must(bool c)
{
	if (!c)
		__builtin_trap();
}

static bool count(size_t size)
{
	taken_bytes += size;
	taken_blocks++;
	return true;
}

struct seen {
	size_t values;
	bool infinite;
};

static void check_keys(const cJSON *object)
{
	for (const cJSON *a = object->child; a; a = a->next)
		for (const cJSON *b = a->next; b; b = b->next)
			must(strcmp(a->string, b->string) != 0);
}

static void check(const cJSON *v, uint32_t depth, struct seen *seen)
{
	seen->values++;
	if (cJSON_IsString(v))
		must(sl_utf8_valid(v->valuestring, strlen(v->valuestring)));
	if (cJSON_IsNumber(v) && !isfinite(v->valuedouble))
		seen->infinite = true;
	if (!cJSON_IsObject(v) && !cJSON_IsArray(v))
		return;
	must(depth < API_JSON_DEPTH_MAX);
	if (cJSON_IsObject(v))
		check_keys(v);
	for (const cJSON *child = v->child; child; child = child->next)
		check(child, depth + 1, seen);
}

/* A key too long for a pointer is named by the object that it stands in, which is the whole here.
 */
static bool names_something(const struct api_json_at *item, const struct api_json_why *why)
{
	return (why->field[0] || (item->key && 2 * strlen(item->key) >= sizeof(why->field) - 2)) &&
	       why->text[0] && sl_utf8_valid(why->text, strlen(why->text));
}

/* The getters do not trip over what they did not expect, and name it. */
static void get(const cJSON *tree)
{
	static const char *const words[] = {"a", "b"};
	struct api_json_why why = {0};
	struct api_json_at root = api_json_root(tree, &why), item = {0};
	struct sl_str s;
	int64_t i;
	uint32_t bits;

	must(api_json_only(&root, words, 2) == SL_OK || why.text[0]);
	while (api_json_next(&root, &item)) {
		why = (struct api_json_why){0};
		if (api_json_int(&item, -1000, 1000, &i) > 0)
			must(i >= -1000 && i <= 1000);
		else
			must(names_something(&item, &why));
		if (api_json_str(&item, 1, 10, &s) > 0)
			must(s.n >= 1 && s.n <= 10);
		if (api_json_words(&item, words, 2, &bits) > 0)
			must(bits < 4);
		must(api_json_get_bool(&item, "a", API_JSON_REQUIRED, &(bool){false}) != 0);
	}
}

/* Escapes may make it longer: \b is written \u0008. */
static void write_again(const cJSON *tree, bool infinite)
{
	static const struct api_json_limits longer = {.bytes = 8 << 20};
	struct api_json_out o;
	struct api_json_why why;
	struct sl_str text;
	cJSON *copy = NULL;

	api_json_out_init(&o, longer.bytes);
	api_json_put_tree(&o, NULL, tree);
	must(api_json_out_text(&o, &text) == SL_OK);
	must(api_json_parse(text, &longer, &copy, &why) == SL_OK);
	must(infinite || cJSON_Compare(tree, copy, true));
	api_json_free(copy);
	api_json_out_fini(&o);
}

static void with_limits(struct sl_str text, const struct api_json_limits *limits)
{
	struct sl_mem_stat before = sl_mem_stat();
	struct seen seen = {0};
	struct api_json_why why;
	cJSON *tree = NULL;
	int err = api_json_scan(text, limits, &why);

	must(err == SL_OK || err == SL_EPARSE || err == SL_EFULL);
	must((why.text[0] != '\0') == (err != SL_OK) && why.at <= text.n && !why.field[0]);
	must(sl_utf8_valid(why.text, strlen(why.text)));
	taken_bytes = taken_blocks = 0;
	must(api_json_parse(text, limits, &tree, &why) == err && (tree != NULL) == (err == SL_OK));
	if (tree) {
		check(tree, 0, &seen);
		must(seen.values <=
		     (limits && limits->values ? limits->values : API_JSON_VALUES_MAX));
		/* The keys, the copy, and what cJSON makes of the rest: itself, a key and a text.
		 */
		must(taken_blocks <= 2 + 3 * seen.values);
		must(taken_bytes <=
		     128 + 13 * text.n + 2 * text.n + seen.values * (sizeof(cJSON) + 2));
		get(tree);
		write_again(tree, seen.infinite);
	} else {
		must(taken_blocks <= 1 && taken_bytes <= 128 + 13 * text.n);
	}
	api_json_free(tree);
	must(sl_mem_stat().live == before.live);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct api_json_limits few = {.bytes = 512, .depth = 4, .values = 20};
	char *exact = sl_strndup((const char *)data, len); /* the scanner gets it without the NUL */

	sl_mem_set_gate(count);
	must(exact != NULL);
	exact = sl_realloc(exact, len ? len : 1);
	with_limits(sl_str(exact, len), NULL);
	with_limits(sl_str(exact, len), &few);
	sl_free(exact);
	return 0;
}

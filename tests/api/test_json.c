/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "tests/test.h"
#include <stdlib.h>

/* The scanner's verdict; out of memory is none. */
static int judge(struct sl_str text, const struct api_json_limits *limits, struct api_json_why *why)
{
	int err = api_json_scan(text, limits, why);

	if (err == SL_ENOMEM)
		TRY(err);
	return err;
}

static int scan(const char *text)
{
	struct api_json_why why;

	return judge(sl_str_z(text), NULL, &why);
}

static cJSON *parsed(const char *text)
{
	struct api_json_why why;
	cJSON *tree = NULL;

	TRY(api_json_parse(sl_str_z(text), NULL, &tree, &why));
	return tree;
}

/* ---- the scanner ---- */

TEST(json_that_the_rfc_calls_json_is_taken)
{
	static const char *const good[] = {
		"0",
		"-0",
		"-1",
		"1.5",
		"1e5",
		"1E+5",
		"1e-5",
		"-0.0e0",
		"true",
		"false",
		"null",
		"\"\"",
		"[]",
		"{}",
		" [ ] ",
		"\t\r\n{ }\n",
		"[1,2]",
		"[[],[[]],{}]",
		"{\"a\":1}",
		"{\"\":0}",
		"{\"a\":1,\"A\":2}",
		"{\"a\":{\"a\":{\"a\":1}}}",
		"[{\"a\":1},{\"a\":1}]",
		"{\"a\":[{\"a\":0},{\"a\":0}],\"b\":0}",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u0001\"",
		"\"\\ud83d\\ude00\"",
		"\"\\uD83D\\uDE00\"",
		"\"\xf0\x9f\x98\x80 \xc3\xa9 \xe2\x82\xac\"",
		"\"\x7f\"",
		"\"\\uffff\\ufffe\"",
		"\"\xef\xbf\xbf\"",
		"1234567890123456789012345678901234567890",
		"1e999",
		"\"\xf4\x8f\xbf\xbf\"",
	};

	for (size_t i = 0; i < SL_COUNT(good); i++) {
		int err = scan(good[i]);

		CHECK_EQ(err, SL_OK);
		api_json_free(parsed(good[i]));
	}
}

TEST(json_that_is_none_is_refused_with_the_byte_and_a_sentence)
{
	static const struct {
		const char *text;
		size_t at;
		const char *says;
	} bad[] = {
		{"", 0, "the text is empty"},
		{"  ", 2, "the text is empty"},
		{"\xef\xbb\xbf{}", 0, "byte order mark"},
		{"[1,]", 3, "a value is expected"},
		{"[,1]", 1, "a value is expected"},
		{"[1", 2, "ends too early"},
		{"[1 2]", 3, "a comma or ] is expected"},
		{"[1}", 2, "a comma or ] is expected"},
		{"{\"a\":1]", 6, "a comma or } is expected"},
		{"{\"a\":1,}", 7, "a key in quotes"},
		{"{a:1}", 1, "a key in quotes"},
		{"{'a':1}", 1, "a key in quotes"},
		{"{1:1}", 1, "a key in quotes"},
		{"{\"a\" 1}", 5, "a colon is expected"},
		{"{\"a\"}", 4, "a colon is expected"},
		{"{\"a\":}", 5, "a value is expected"},
		{"{\"a\":", 5, "ends too early"},
		{"{\"a\"", 4, "ends too early"},
		{"{", 1, "ends too early"},
		{"]", 0, "a value is expected"},
		{"[] []", 3, "something follows"},
		{"{}x", 2, "something follows"},
		{"1,", 1, "something follows"},
		{"tru", 0, "a value is expected"},
		{"True", 0, "a value is expected"},
		{"truefalse", 4, "something follows"},
		{"NaN", 0, "a value is expected"},
		{"Infinity", 0, "a value is expected"},
		{"[-Infinity]", 2, "how a number is written"},
		{"+1", 0, "a value is expected"},
		{".5", 0, "a value is expected"},
		{"01", 1, "how a number is written"},
		{"-01", 2, "how a number is written"},
		{"-", 1, "ends too early"},
		{"[-]", 2, "how a number is written"},
		{"1.", 2, "ends too early"},
		{"[1.]", 3, "how a number is written"},
		{"[1.e5]", 3, "how a number is written"},
		{"1e", 2, "ends too early"},
		{"[1e+]", 4, "how a number is written"},
		{"0x10", 1, "something follows"},
		{"12345678901234567890123456789012345678901", 0, "more than 40 characters"},
		{"[1e00000000000000000000000000000000000000001]", 1, "more than 40 characters"},
		{"\"", 1, "ends inside a string"},
		{"\"a", 2, "ends inside a string"},
		{"\"\\", 2, "ends too early"},
		{"\"\\\"", 3, "ends inside a string"},
		{"\"\\a\"", 1, "no such escape"},
		{"\"\\x41\"", 1, "no such escape"},
		{"\"\\u12\"", 1, "four hex digits"},
		{"\"\\u12G4\"", 1, "four hex digits"},
		{"\"\\u", 1, "four hex digits"},
		{"\"\\U0041\"", 1, "no such escape"},
		{"\"a\nb\"", 2, "control character"},
		{"\"a\tb\"", 2, "control character"},
		{"\"\x1f\"", 1, "control character"},
		{"'a'", 0, "a value is expected"},
		{"// a\n1", 0, "a value is expected"},
		{"[1/**/]", 2, "a comma or ] is expected"},
		{"\"\\u0000\"", 1, "\\u0000 is not accepted"},
		{"{\"a\\u0000b\":1}", 3, "\\u0000 is not accepted"},
		{"\"\\ud800\"", 1, "surrogate"},
		{"\"\\udc00\"", 1, "surrogate"},
		{"\"\\udc00\\ud800\"", 1, "surrogate"},
		{"\"\\ud800\\ud800\"", 1, "surrogate"},
		{"\"\\ud800x\"", 1, "surrogate"},
		{"\"\\ud800\\n1234\"", 1, "surrogate"},
		{"\"\\ud800\\u", 1, "surrogate"},
		{"\"\x80\"", 1, "not UTF-8"},
		{"\"\xc0\xaf\"", 1, "not UTF-8"},
		{"\"\xc3\"", 1, "not UTF-8"},
		{"\"a\xff\"", 2, "not UTF-8"},
		{"\"\xed\xa0\x80\"", 1, "not UTF-8"},
		{"\"\xf5\x80\x80\x80\"", 1, "not UTF-8"},
		{"\"\xf0\x9f\x98", 1, "not UTF-8"},
		{"\xc3\xa9", 0, "a value is expected"},
		{"[1\xc2\xa0]", 2, "a comma or ] is expected"},
		{"[1\x0b]", 2, "a comma or ] is expected"},
	};
	struct api_json_why why;

	for (size_t i = 0; i < SL_COUNT(bad); i++) {
		int err = judge(sl_str_z(bad[i].text), NULL, &why);

		CHECK_EQ(err, SL_EPARSE);
		CHECK_EQ(why.at, bad[i].at);
		if (!strstr(why.text, bad[i].says))
			sl_test_failed(__FILE__, __LINE__, "%s: \"%s\"", bad[i].text, why.text);
		CHECK_STR(why.field, "");
	}
}

TEST(a_nul_in_the_text_is_no_json)
{
	struct api_json_why why;

	CHECK_EQ(judge(sl_str("[1]\0", 4), NULL, &why), SL_EPARSE);
	CHECK_EQ(judge(sl_str("\0", 1), NULL, &why), SL_EPARSE);
	CHECK_EQ(judge(sl_str("\"a\0b\"", 5), NULL, &why), SL_EPARSE);
	CHECK_EQ(judge(sl_str("\"\\\0\"", 4), NULL, &why), SL_EPARSE);
	CHECK_EQ(judge(sl_str(NULL, 0), NULL, &why), SL_EPARSE);
}

TEST(t25_a_key_that_stands_twice_is_found_however_it_is_written)
{
	static const char *const bad[] = {
		"{\"a\":1,\"a\":1}",
		"{\"a\":1,\"b\":2,\"a\":3}",
		"{\"\":1,\"\":2}",
		"{\"a\":1,\"\\u0061\":2}",
		"{\"\\/\":1,\"/\":2}",
		"{\"\\n\":1,\"\\u000a\":2}",
		"{\"\\u000A\":1,\"\\u000a\":2}",
		"{\"\xc3\xa9\":1,\"\\u00e9\":2}",
		"{\"\xe2\x82\xac\":1,\"\\u20ac\":2}",
		"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
		"[[{\"x\":{\"a\":0},\"x\":0}]]",
		"{\"a\":{\"b\":[{\"c\":1,\"d\":2,\"c\":3}]}}",
		"{\"sdp\":\"evil\",\"sdp\":\"good\"}",
		"{\"\\\"\":1,\"\\u0022\":2}",
		"{\"\\\\\":1,\"\\u005c\":2}",
		"{\"\\b\\f\\r\\t\":1,\"\\u0008\\u000c\\u000d\\u0009\":2}",
		"{\"0123456789012345678901234567890123456789012345678901234567890123\":1,"
		"\"012345678901234567890123456789012345678901234567890123456789012\\u0033\":2}",
	};
	struct api_json_why why;

	for (size_t i = 0; i < SL_COUNT(bad); i++) {
		int err = judge(sl_str_z(bad[i]), NULL, &why);

		CHECK_EQ(err, SL_EPARSE);
		CHECK(strstr(why.text, "stands twice in one object"));
	}
	CHECK_EQ(judge(SL_STR("{\"sdp\":1,\"sdp\":2}"), NULL, &why), SL_EPARSE);
	CHECK_EQ(why.at, 9);
	CHECK_STR(why.text, "JSON, byte 9: the key \"sdp\" stands twice in one object.");
}

TEST(t29_a_hostile_key_is_quoted_cut_and_escaped)
{
	static const char text[] =
		"{\"\xc2\x9b%s%n\\u001b[2J0123456789012345678901234567890123456789\":1,"
		"\"\xc2\x9b%s%n\\u001b[2J0123456789012345678901234567890123456789\":1}";
	struct api_json_why why;
	int err = judge(sl_str_z(text), NULL, &why);

	CHECK_EQ(err, SL_EPARSE);
	CHECK(strstr(why.text, "the key \"\\u009b%s%n\\\\u001b[2J0123"));
	CHECK(strstr(why.text, "...\" stands twice"));
	for (const char *p = why.text; *p; p++)
		CHECK(*p >= 0x20 && *p < 0x7f);
}

TEST(depth_is_32_levels_of_objects_and_arrays)
{
	struct api_json_limits three = {.depth = 3};
	struct api_json_why why;
	char text[2 * 33 + 1] = {0};

	memset(text, '[', 32);
	memset(text + 32, ']', 32);
	CHECK_EQ(scan(text), SL_OK);
	api_json_free(parsed(text));
	memset(text, '[', 33);
	memset(text + 33, ']', 33);
	CHECK_EQ(judge(sl_str(text, 66), NULL, &why), SL_EFULL);
	CHECK_EQ(why.at, 32);
	CHECK_EQ(judge(SL_STR("[[[1]]]"), &three, &why), SL_OK);
	CHECK_EQ(judge(SL_STR("[[[[1]]]]"), &three, &why), SL_EFULL);
	CHECK_EQ(judge(SL_STR("{\"a\":[{\"b\":1}]}"), &three, &why), SL_OK);
	CHECK_EQ(judge(SL_STR("{\"a\":[{\"b\":{}}]}"), &three, &why), SL_EFULL);
	CHECK_STR(why.text, "JSON, byte 11: this is nested deeper than 3 levels.");
}

TEST(the_number_of_values_and_of_bytes_has_a_limit)
{
	struct api_json_limits three = {.values = 3}, eight = {.bytes = 8};
	struct api_json_why why;

	CHECK_EQ(judge(SL_STR("[1,2]"), &three, &why), SL_OK);
	CHECK_EQ(judge(SL_STR("[1,2,3]"), &three, &why), SL_EFULL);
	CHECK_EQ(why.at, 5);
	CHECK_STR(why.text, "JSON, byte 5: there are more than 3 values.");
	CHECK_EQ(judge(SL_STR("{\"a\":1,\"b\":2}"), &three, &why), SL_OK);
	CHECK_EQ(judge(SL_STR("12345678"), &eight, &why), SL_OK);
	CHECK_EQ(judge(SL_STR("123456789"), &eight, &why), SL_EFULL);
	CHECK_STR(why.text, "JSON, byte 0: the text has more than 8 bytes.");
}

TEST(errors_have_a_status)
{
	CHECK_EQ(api_json_status(SL_EPARSE), 400);
	CHECK_EQ(api_json_status(SL_EFULL), 413);
	CHECK_EQ(api_json_status(SL_ENOMEM), 503);
	CHECK_EQ(api_json_status(SL_ERANGE), 422);
	CHECK_EQ(api_json_status(SL_ENOTFOUND), 422);
}

/* ---- bombs ---- */

enum { MIB = 1 << 20 };
static char bomb_text[MIB + 16];

/* head, then unit over and over up to n bytes, then tail. %u of a unit is the number of the turn.
 */
struct bomb {
	const char *head, *unit, *tail;
	size_t n;
	int err;
	const char *says;
};

static struct sl_str bomb(const struct bomb *b)
{
	struct sl_buf out = sl_buf(bomb_text, sizeof(bomb_text));
	const char *number = strstr(b->unit, "%u");
	unsigned turn = 0;

	sl_buf_z(&out, b->head);
	while (*b->unit && out.n + strlen(b->unit) + strlen(b->tail) + 8 <= b->n) {
		sl_buf_add(&out, b->unit, number ? (size_t)(number - b->unit) : strlen(b->unit));
		if (number)
			sl_buf_fmt(&out, "%u%s", turn++, number + 2);
	}
	sl_buf_z(&out, b->tail);
	CHECK(!out.full);
	return sl_str(out.p, out.n);
}

/* Nothing of these reaches cJSON; the scanner has one block at most, and that of a bounded size. */
TEST(t25_bombs_are_refused_for_one_block_of_memory_at_most)
{
	static const struct bomb bombs[] = {
		{"[", "0,", "0]", MIB, SL_EFULL, "more than 4096 values"},
		{"[", "[],", "0]", MIB, SL_EFULL, "more than 4096 values"},
		{"[", "{},", "0]", MIB, SL_EFULL, "more than 4096 values"},
		{"[", "\"\",", "0]", MIB, SL_EFULL, "more than 4096 values"},
		{"[", "null,", "0]", MIB, SL_EFULL, "more than 4096 values"},
		{"[", "{\"a\":0},", "0]", MIB, SL_EFULL, "more than 4096 values"},
		{"{", "\"k%u\":0,", "\"z\":0}", MIB, SL_EFULL, "more than 4096 values"},
		{"{", "\"\\u0041%u\":[],", "\"z\":0}", MIB, SL_EFULL, "more than 4096 values"},
		{"{\"k0\":0,", "\"j%u\":0,", "\"k0\":0}", 38000, SL_EPARSE,
		 "the key \"k0\" stands twice"},
		{"{", "\"a\":0,", "\"a\":0}", MIB, SL_EPARSE, "stands twice"},
		{"", "[", "", MIB, SL_EFULL, "deeper than 32"},
		{"", "{\"a\":", "", MIB, SL_EFULL, "deeper than 32"},
		{"", "[{\"a\":", "", MIB, SL_EFULL, "deeper than 32"},
		{"[", "]", "", MIB, SL_EPARSE, "something follows"},
		{"\"", "x", "", MIB, SL_EPARSE, "ends inside a string"},
		{"\"", "\\\\", "", MIB, SL_EPARSE, "ends inside a string"},
		{"\"", "\\u0041", "\\u0000\"", MIB, SL_EPARSE, "\\u0000 is not accepted"},
		{"\"", "\\ud83d\\ude00", "\\ud83d\"", MIB, SL_EPARSE, "surrogate"},
		{"\"", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\"", MIB, SL_EPARSE, "not UTF-8"},
		{"{\"", "x", "\":", MIB, SL_EPARSE, "ends too early"},
		{"{\"", "\\u0041", "", MIB, SL_EPARSE, "ends inside a string"},
		{"", "9", "", MIB, SL_EPARSE, "more than 40 characters"},
		{"0.", "0", "1", MIB, SL_EPARSE, "more than 40 characters"},
		{"1e", "9", "", MIB, SL_EPARSE, "more than 40 characters"},
		{"-", "-", "1", MIB, SL_EPARSE, "how a number is written"},
		{"", " ", "", MIB, SL_EPARSE, "the text is empty"},
		{"[1]", "\n", "x", MIB, SL_EPARSE, "something follows"},
		{"[", "1e999,", "]", 20000, SL_EPARSE, "a value is expected"},
		{"", "\xef\xbb\xbf", "{}", MIB, SL_EPARSE, "byte order mark"},
		{"\"", "x", "xxxxxxxxx\"", MIB + 9, SL_EFULL, "more than 1048576 bytes"},
	};

	for (size_t i = 0; i < SL_COUNT(bombs); i++) {
		struct sl_str text = bomb(&bombs[i]);
		struct sl_mem_stat before = sl_mem_stat();
		struct api_json_why why;
		cJSON *tree = NULL;
		int err = api_json_parse(text, NULL, &tree, &why);

		if (err == SL_ENOMEM)
			TRY(err);
		CHECK_EQ(err, bombs[i].err);
		if (!strstr(why.text, bombs[i].says))
			sl_test_failed(__FILE__, __LINE__, "bomb %zu: \"%s\"", i, why.text);
		CHECK(!tree);
		CHECK(sl_mem_stat().total - before.total <= 1);
		CHECK_EQ(sl_mem_stat().live, before.live);
	}
}

/* What cJSON holds for a value and all in it. */
static size_t weight(const cJSON *v)
{
	size_t n = 0;

	for (; v; v = v->next) {
		n += sizeof(*v) + weight(v->child);
		n += v->string ? strlen(v->string) + 1 : 0;
		n += v->valuestring ? strlen(v->valuestring) + 1 : 0;
	}
	return n;
}

TEST(t25_what_is_within_the_limits_costs_a_bounded_amount)
{
	static const struct bomb bombs[] = {
		{"{", "\"k%u\":0,", "\"z\":0}", 36000, 0, ""},
		{"[", "0,", "0]", 8190, 0, ""},
		{"\"", "x", "\"", MIB, 0, ""},
		{"\"", "\\u0041", "\"", MIB, 0, ""},
		{"{\"", "\\\"", "\":0}", MIB, 0, ""},
		{"[\"", "\xf0\x9f\x98\x80", "\"]", MIB, 0, ""},
		{"[", " ", "]", MIB, 0, ""},
	};

	for (size_t i = 0; i < SL_COUNT(bombs); i++) {
		struct sl_str text = bomb(&bombs[i]);
		struct sl_mem_stat before = sl_mem_stat();
		struct api_json_why why;
		cJSON *tree = NULL;

		TRY(api_json_parse(text, NULL, &tree, &why));
		/* The keys, the copy, and for each value itself, its key and its text. */
		if (sl_mem_stat().total - before.total > 2 + 3 * API_JSON_VALUES_MAX ||
		    weight(tree) > text.n + API_JSON_VALUES_MAX * (sizeof(cJSON) + 2))
			sl_test_failed(__FILE__, __LINE__, "bomb %zu is too heavy", i);
		api_json_free(tree);
		CHECK_EQ(sl_mem_stat().live, before.live);
	}
}

TEST(t50_the_secret_of_the_hash_changes_no_answer)
{
	static const struct bomb many = {"{", "\"k%u\":0,", "\"z\":0}", 30000, 0, ""};
	struct sl_test_rng state;
	struct sl_str text = bomb(&many);

	for (uint64_t seed = 1; seed < 6; seed++) {
		struct sl_rng rng = sl_test_rng(&state, seed);
		struct api_json_why why;

		api_json_seed(&rng);
		CHECK_EQ(judge(text, NULL, &why), SL_OK);
		CHECK_EQ(scan("{\"a\":1,\"\\u0061\":2}"), SL_EPARSE);
	}
}

/* ---- getters ---- */

TEST(look_ups_are_exact)
{
	cJSON *tree = parsed("{\"SDP\":\"evil\",\"sdp\":\"good\"}");
	struct api_json_why why = {0};
	struct api_json_at root = api_json_root(tree, &why);
	struct sl_str sdp;

	DEFER(api_json_free, tree);
	CHECK_EQ(api_json_get_str(&root, "sdp", API_JSON_REQUIRED, 1, 10, &sdp), 1);
	CHECK_STR(sdp.p, "good");
	CHECK_EQ(api_json_get_str(&root, "Sdp", API_JSON_REQUIRED, 1, 10, &sdp), SL_ENOTFOUND);
	CHECK_STR(why.field, "/Sdp");
	CHECK_STR(why.text, "/Sdp is missing.");
}

static const char *const kinds[] = {"audio", "video"};

TEST(getters_hand_out_what_is_there_and_leave_the_rest_alone)
{
	cJSON *tree = parsed("{\"s\":\"text\",\"i\":-5,\"n\":1.5,\"b\":true,\"w\":\"video\",\"ws\":"
			     "[\"video\",\"audio\"],"
			     "\"o\":{\"x\":1},\"a\":[1,2],\"z\":null}");
	struct api_json_why why = {0};
	struct api_json_at root = api_json_root(tree, &why), at;
	struct sl_str s;
	int64_t i = 0, same = 77;
	double n = 0;
	bool b = false;
	size_t w = 0;
	uint32_t ws = 0;

	DEFER(api_json_free, tree);
	CHECK_EQ(api_json_get_str(&root, "s", API_JSON_OPTIONAL, 0, 4, &s), 1);
	CHECK(sl_str_eq(s, SL_STR("text")));
	CHECK_EQ(api_json_get_int(&root, "i", API_JSON_OPTIONAL, -5, 5, &i), 1);
	CHECK_EQ(i, -5);
	CHECK_EQ(api_json_get_num(&root, "n", API_JSON_OPTIONAL, 0, 2, &n), 1);
	CHECK(n == 1.5);
	CHECK_EQ(api_json_get_bool(&root, "b", API_JSON_OPTIONAL, &b), 1);
	CHECK(b);
	CHECK_EQ(api_json_get_word(&root, "w", API_JSON_OPTIONAL, kinds, 2, &w), 1);
	CHECK_EQ(w, 1);
	CHECK_EQ(api_json_get_words(&root, "ws", API_JSON_OPTIONAL, kinds, 2, &ws), 1);
	CHECK_EQ(ws, 3);
	CHECK_EQ(api_json_get_object(&root, "o", API_JSON_OPTIONAL, &at), 1);
	CHECK_EQ(api_json_get_int(&at, "x", API_JSON_REQUIRED, 0, 9, &i), 1);
	CHECK_EQ(api_json_get_array(&root, "a", API_JSON_OPTIONAL, 2, &at), 1);
	CHECK_EQ(api_json_get(&root, "z", API_JSON_OPTIONAL, &at), 1);
	CHECK(api_json_is_null(&at));
	CHECK_EQ(api_json_get_int(&root, "none", API_JSON_OPTIONAL, 0, 1, &same), 0);
	CHECK_EQ(api_json_get_object(&root, "none", API_JSON_OPTIONAL, &at), 0);
	CHECK_EQ(same, 77);
	CHECK_STR(why.text, "");
}

TEST(a_wrong_field_is_named_by_its_pointer)
{
	cJSON *tree = parsed(
		"{\"publish\":[{\"kind\":\"audio\"},{\"kind\":\"smell\"}],\"a/b~c\":{\"x\":0}}");
	struct api_json_why why = {0};
	struct api_json_at root = api_json_root(tree, &why), publish, item = {0}, odd;
	size_t kind;
	int64_t x;

	DEFER(api_json_free, tree);
	CHECK_EQ(api_json_get_array(&root, "publish", API_JSON_REQUIRED, 8, &publish), 1);
	CHECK(api_json_next(&publish, &item));
	CHECK_EQ(api_json_get_word(&item, "kind", API_JSON_REQUIRED, kinds, 2, &kind), 1);
	CHECK(api_json_next(&publish, &item));
	CHECK_EQ(api_json_get_word(&item, "kind", API_JSON_REQUIRED, kinds, 2, &kind), SL_ERANGE);
	CHECK_STR(why.field, "/publish/1/kind");
	CHECK_STR(why.text, "/publish/1/kind must be one of \"audio\", \"video\".");
	CHECK(!api_json_next(&publish, &item));
	CHECK_EQ(api_json_get_object(&root, "a/b~c", API_JSON_REQUIRED, &odd), 1);
	CHECK_EQ(api_json_get_int(&odd, "x", API_JSON_REQUIRED, 1, 2, &x), SL_ERANGE);
	CHECK_STR(why.field, "/a~1b~0c/x");
	CHECK_STR(why.text, "/a~1b~0c/x must be a whole number from 1 to 2.");
	CHECK_EQ(api_json_array(&root, 1), SL_ERANGE);
	CHECK_STR(why.field, "");
	CHECK_STR(why.text, "The JSON value must be an array.");
}

TEST(whole_numbers_are_those_that_everybody_reads_alike)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"0", true},
		{"-0", true},
		{"1e3", true},
		{"9007199254740991", true},
		{"-9007199254740991", true},
		{"9007199254740992", false},
		{"9007199254740993", false},
		{"18446744073709551616", false},
		{"1e999", false},
		{"-1e999", false},
		{"1.5", false},
		{"1e-1", false},
		{"\"1\"", false},
		{"true", false},
		{"null", false},
		{"[]", false},
	};
	struct api_json_why why;

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		cJSON *tree = parsed(rows[i].text);
		struct api_json_at root = api_json_root(tree, &why);
		int64_t v = 12345;
		int got = api_json_int(&root, INT64_MIN, INT64_MAX, &v);
		bool kept = v == 12345;

		api_json_free(tree);
		CHECK_EQ(got, rows[i].good ? 1 : SL_ERANGE);
		CHECK_EQ(kept, !rows[i].good);
	}
}

TEST(values_of_the_wrong_type_or_size_are_refused_with_a_sentence)
{
	cJSON *tree = parsed("{\"s\":\"12345\",\"e\":\"\",\"n\":null,\"a\":[1,2,3],\"big\":1e999,"
			     "\"ws\":[\"audio\",7]}");
	struct api_json_why why;
	struct api_json_at root = api_json_root(tree, &why), at;
	struct sl_str s;
	double n;
	bool b;
	uint32_t ws = 9;

	DEFER(api_json_free, tree);
	CHECK_EQ(api_json_get_str(&root, "s", API_JSON_REQUIRED, 1, 4, &s), SL_ERANGE);
	CHECK_STR(why.text, "/s must have 1 to 4 bytes.");
	CHECK_EQ(api_json_get_str(&root, "e", API_JSON_REQUIRED, 1, 4, &s), SL_ERANGE);
	CHECK_STR(why.text, "/e must not be empty.");
	CHECK_EQ(api_json_get_str(&root, "n", API_JSON_OPTIONAL, 1, 4, &s), SL_ERANGE);
	CHECK_STR(why.text, "/n must be a string.");
	CHECK_EQ(api_json_get_bool(&root, "n", API_JSON_OPTIONAL, &b), SL_ERANGE);
	CHECK_STR(why.text, "/n must be true or false.");
	CHECK_EQ(api_json_get_object(&root, "a", API_JSON_REQUIRED, &at), SL_ERANGE);
	CHECK_STR(why.text, "/a must be an object.");
	CHECK_EQ(api_json_get_array(&root, "a", API_JSON_REQUIRED, 2, &at), SL_ERANGE);
	CHECK_STR(why.text, "/a must have at most 2 items.");
	CHECK_EQ(api_json_get_num(&root, "big", API_JSON_REQUIRED, 0, 1e300, &n), SL_ERANGE);
	CHECK_EQ(api_json_get_words(&root, "ws", API_JSON_REQUIRED, kinds, 2, &ws), SL_ERANGE);
	CHECK_STR(why.field, "/ws/1");
	CHECK_EQ(ws, 9);
	CHECK_EQ(api_json_get(&(struct api_json_at){.v = root.v->child, .why = &why}, "x",
			      API_JSON_OPTIONAL, &at),
		 SL_ERANGE);
	CHECK_STR(why.text, "The JSON value must be an object.");
}

TEST(t29_unknown_fields_are_refused_and_named_without_their_control_characters)
{
	static const char *const keys[] = {"name", "kind"};
	cJSON *good = parsed("{\"kind\":1,\"name\":2}"), *bad = NULL, *huge = NULL;
	static const struct bomb long_key = {"{\"o\":{\"", "x", "\":1}}", 2000, 0, ""};
	struct api_json_why why;
	struct api_json_at root = api_json_root(good, &why), o;

	DEFER(api_json_free, good);
	CHECK_EQ(api_json_only(&root, keys, 2), SL_OK);
	bad = parsed("{\"name\":1,\"Kind\\n\\u001b[2J\":2}");
	DEFER(api_json_free, bad);
	root = api_json_root(bad, &why);
	CHECK_EQ(api_json_only(&root, keys, 2), SL_ERANGE);
	CHECK_STR(why.field, "/Kind\n\x1b[2J");
	CHECK_STR(why.text,
		  "/Kind\\n\\u001b[2J is not known: there is no field \"Kind\\n\\u001b[2J\" here.");
	huge = parsed(bomb(&long_key).p);
	DEFER(api_json_free, huge);
	root = api_json_root(huge, &why);
	CHECK_EQ(api_json_get_object(&root, "o", API_JSON_REQUIRED, &o), 1);
	CHECK_EQ(api_json_only(&o, keys, 2), SL_ERANGE);
	CHECK_STR(why.field, "/o");
	CHECK(strstr(why.text, "there is no field \"xxxxxxxx"));
}

/* ---- the writer ---- */

TEST(the_writer_writes_what_the_scanner_takes)
{
	struct api_json_out o;
	struct api_json_why why;
	struct sl_str text = {0};

	api_json_out_init(&o, 4000);
	DEFER(api_json_out_fini, &o);
	api_json_open_object(&o, NULL);
	api_json_put_z(&o, "name",
		       "a \"quoted\" \\ line\r\n and Zo\xc3\xab \xf0\x9f\x98\x80 \x1b \xff.");
	api_json_put_z(&o, "none", NULL);
	api_json_open_array(&o, "list");
	api_json_put_int(&o, NULL, -5);
	api_json_put_u64(&o, NULL, UINT64_MAX);
	api_json_put_num(&o, NULL, 0.5);
	api_json_put_num(&o, NULL, 1e300 * 1e300);
	api_json_put_bool(&o, NULL, true);
	api_json_open_object(&o, NULL);
	api_json_close_object(&o);
	api_json_close_array(&o);
	api_json_put_raw(&o, "raw", SL_STR("[1]"));
	api_json_put_str(&o, "odd \"key\"", sl_str("", 0));
	api_json_close_object(&o);
	TRY(api_json_out_text(&o, &text));
	CHECK_STR(text.p,
		  "{\"name\":\"a \\\"quoted\\\" \\\\ line\\r\\n and Zo\xc3\xab \xf0\x9f\x98\x80 "
		  "\\u001b \\ufffd.\","
		  "\"none\":null,\"list\":[-5,18446744073709551615,0.5,null,true,{}],\"raw\":[1],"
		  "\"odd \\\"key\\\"\":\"\"}");
	CHECK_EQ(text.n, strlen(text.p));
	CHECK_EQ(judge(text, NULL, &why), SL_OK);
	api_json_out_reset(&o);
	api_json_put_bool(&o, NULL, false);
	TRY(api_json_out_text(&o, &text));
	CHECK_STR(text.p, "false");
}

TEST(the_writer_fails_as_a_whole_at_its_cap)
{
	struct api_json_out o;
	struct sl_str text;
	char *taken = NULL;
	size_t len;

	for (size_t max = 0; max < 40; max++) {
		int err;

		api_json_out_init(&o, max);
		api_json_open_array(&o, NULL);
		api_json_put_z(&o, NULL,
			       "0123\n56789"); /* with its escape, quotes and brackets: 15 */
		api_json_close_array(&o);
		err = api_json_out_text(&o, &text);
		if (max < 15)
			api_json_put_bool(&o, NULL, true);
		if (err == SL_ENOMEM)
			api_json_out_fini(&o);
		TRY(err == SL_EFULL ? SL_OK : err);
		CHECK_EQ(err, max < 15 ? SL_EFULL : SL_OK);
		CHECK_EQ(api_json_out_take(&o, &taken, &len), err);
		CHECK(!o.b.p);
		if (!err) {
			CHECK_EQ(len, 15);
			CHECK_STR(taken, "[\"0123\\n56789\"]");
			sl_free(taken);
		}
	}
}

TEST(the_writer_holds_a_list_of_hundreds_of_objects)
{
	struct api_json_limits limits = {.values = 10000};
	struct api_json_out o;
	struct api_json_why why;
	cJSON *tree = NULL;
	char *text = NULL;
	size_t len = 0;

	api_json_out_init(&o, MIB);
	api_json_open_array(&o, NULL);
	for (int i = 0; i < 500; i++) {
		api_json_open_object(&o, NULL);
		api_json_put_int(&o, "id", i);
		api_json_put_z(&o, "name", "somebody, \xc3\xa9, and \"quotes\"");
		api_json_put_z(&o, "sdp", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n");
		api_json_close_object(&o);
	}
	api_json_close_array(&o);
	TRY(api_json_out_take(&o, &text, &len));
	DEFER(sl_free, text);
	CHECK_EQ(len, strlen(text));
	TRY(api_json_parse(sl_str(text, len), &limits, &tree, &why));
	DEFER(api_json_free, tree);
	CHECK_EQ(cJSON_GetArraySize(tree), 500);
}

TEST(a_number_is_written_so_that_it_reads_back)
{
	static const double numbers[] = {0,   0.1, 1.0 / 3, 1e21, 5e-324, 1.7976931348623157e308,
					 -2.5};
	struct api_json_out o;
	struct sl_str out = {0};

	api_json_out_init(&o, 100);
	DEFER(api_json_out_fini, &o);
	for (size_t i = 0; i < SL_COUNT(numbers); i++) {
		api_json_out_reset(&o);
		api_json_put_num(&o, NULL, numbers[i]);
		TRY(api_json_out_text(&o, &out));
		CHECK(strtod(out.p, NULL) == numbers[i]);
	}
	api_json_out_reset(&o);
	api_json_put_num(&o, NULL, 0.1);
	TRY(api_json_out_text(&o, &out));
	CHECK_STR(out.p, "0.1");
}

TEST(a_tree_is_written_as_it_was_read)
{
	static const char text[] =
		"{\"a\":[1,-2.5,1e+20,\"x\\ny\",true,false,null,{}],\"b\":{\"c\":[]},\"\":\"\"}";
	cJSON *tree = parsed(text);
	struct api_json_out o;
	struct sl_str out = {0};

	DEFER(api_json_free, tree);
	api_json_out_init(&o, 1000);
	DEFER(api_json_out_fini, &o);
	api_json_put_tree(&o, NULL, tree);
	TRY(api_json_out_text(&o, &out));
	CHECK_STR(out.p, text);
}

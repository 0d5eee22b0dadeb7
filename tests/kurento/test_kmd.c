/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_kmd.c — the tables have everything that the interface descriptions of the npm
 * clients 7.3.0 and 6.18.0 have: each class, method, property, parameter, event, record, word. */
#include "api/kurento/tables.h"
#include "tests/test.h"
#include <ctype.h>
#include <stdio.h>

static const char *const files[] = {
	"tests/kurento/kmd/7.3.0/core.kmd.json",    "tests/kurento/kmd/7.3.0/elements.kmd.json",
	"tests/kurento/kmd/7.3.0/filters.kmd.json", "api/kurento/kmd/6.18.0/core.kmd.json",
	"api/kurento/kmd/6.18.0/elements.kmd.json", "api/kurento/kmd/6.18.0/filters.kmd.json",
};

static cJSON *load(const char *path)
{
	static char text[128 * 1024];
	struct api_json_limits limits = {.values = 100000};
	struct api_json_why why;
	cJSON *tree = NULL;
	FILE *f = fopen(path, "r");
	size_t n;

	CHECK(f);
	n = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	CHECK(n < sizeof(text));
	TRY(api_json_parse(sl_str(text, n), &limits, &tree, &why));
	return tree;
}

static const char *text_of(const cJSON *o, const char *key)
{
	const char *z = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));

	return z ? z : "";
}

static const cJSON *list_of(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

static bool is_set(const cJSON *o, const char *key)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* "Tag[]" of a type. */
static void write_type(const struct kms_type *t, char *out, size_t cap)
{
	static const char *const names[] = {
		[KMS_STRING] = "String", [KMS_INT] = "int",	  [KMS_INT64] = "int64",
		[KMS_BOOL] = "boolean",	 [KMS_DOUBLE] = "double", [KMS_VOID] = ""};
	const char *name = t->kind == KMS_ENUM	   ? kms_enums[t->index].name
			   : t->kind == KMS_RECORD ? kms_records[t->index].name
			   : t->kind == KMS_OBJECT ? kms_classes[t->index].name
						   : names[t->kind];

	(void)sl_fmt(out, cap, "%s%s", name, t->list ? "[]" : t->map ? "<>" : "");
}

static void check_type(const char *where, const struct kms_type *t, const char *want)
{
	char text[80];

	write_type(t, text, sizeof(text));
	if (strcmp(text, strcmp(want, "float") == 0 ? "double" : want) != 0)
		sl_test_failed(__FILE__, __LINE__, "%s: %s, want %s", where, text, want);
}

/* A parameter's place in the list; aliases count. */
static const struct kms_param *param_of(const struct kms_param *params, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(params[i].name, name) == 0)
			return &params[i];
		for (size_t a = 0; a < kms_param_alias_count; a++)
			if (strcmp(kms_param_aliases[a].name, params[i].name) == 0 &&
			    strcmp(kms_param_aliases[a].old, name) == 0)
				return &params[i];
	}
	sl_test_failed(__FILE__, __LINE__, "no parameter %s", name);
}

static void check_params(const char *where, const struct kms_param *params, size_t n,
			 const cJSON *want)
{
	const cJSON *p;

	cJSON_ArrayForEach(p, want)
	{
		const struct kms_param *ours = param_of(params, n, text_of(p, "name"));
		const cJSON *def = cJSON_GetObjectItemCaseSensitive(p, "defaultValue");
		char *printed;

		check_type(where, &ours->type, text_of(p, "type"));
		if (is_set(p, "optional"))
			CHECK(ours->optional);
		if (!def)
			continue;
		printed = cJSON_PrintUnformatted(def);
		DEFER(cJSON_free, printed);
		if (!printed && sl_test_oom_fired())
			sl_test_oom_stop();
		CHECK_STR(ours->otherwise, printed);
	}
}

static const struct kms_method *method_of(const struct kms_class *c, const char *name)
{
	const struct kms_method *m = kms_method_find(c, sl_str_z(name));

	if (!m)
		sl_test_failed(__FILE__, __LINE__, "no method %s.%s", c->name, name);
	return m;
}

static void check_methods(const struct kms_class *c, const cJSON *want)
{
	const cJSON *m;

	cJSON_ArrayForEach(m, want)
	{
		const struct kms_method *ours = method_of(c, text_of(m, "name"));

		CHECK_EQ(ours->param_count, cJSON_GetArraySize(list_of(m, "params")));
		check_params(ours->name, ours->params, ours->param_count, list_of(m, "params"));
		check_type(ours->name, &ours->returns, text_of(list_of(m, "return"), "type"));
	}
}

static void check_properties(const struct kms_class *c, const cJSON *want)
{
	const cJSON *p;
	char name[80];

	cJSON_ArrayForEach(p, want)
	{
		const char *property = text_of(p, "name");
		const struct kms_method *set;

		(void)sl_fmt(name, sizeof(name), "get%s", property);
		name[3] = (char)toupper((unsigned char)name[3]);
		check_type(name, &method_of(c, name)->returns, text_of(p, "type"));
		name[0] = 's';
		set = kms_method_find(c, sl_str_z(name));
		CHECK_EQ(!set, is_set(p, "final") || is_set(p, "readOnly"));
		if (set)
			check_type(name, &param_of(set->params, set->param_count, property)->type,
				   text_of(p, "type"));
	}
}

static void check_class(const cJSON *want)
{
	const struct kms_class *c = kms_class_find(sl_str_z(text_of(want, "name")));
	const cJSON *ctor = list_of(want, "constructor");
	const cJSON *e;

	CHECK(c);
	CHECK_STR(c->parent ? c->parent->name : "", text_of(want, "extends"));
	CHECK_EQ(c->abstract, is_set(want, "abstract"));
	check_params(c->name, c->params, c->param_count, list_of(ctor, "params"));
	check_methods(c, list_of(want, "methods"));
	check_properties(c, list_of(want, "properties"));
	cJSON_ArrayForEach(
		e, list_of(want, "events")) if (!kms_event_find(c, sl_str_z(e->valuestring)))
		sl_test_failed(__FILE__, __LINE__, "no event %s of %s", e->valuestring, c->name);
}

static const struct kms_enum *enum_of(const char *name)
{
	for (size_t i = 0; i < kms_enum_count; i++)
		if (strcmp(kms_enums[i].name, name) == 0)
			return &kms_enums[i];
	sl_test_failed(__FILE__, __LINE__, "no enum %s", name);
}

static void check_words(const struct kms_enum *ours, const cJSON *want)
{
	const cJSON *word;

	cJSON_ArrayForEach(word, want)
	{
		uint16_t i = 0;

		while (i < ours->count && strcmp(ours->words[i], word->valuestring) != 0)
			i++;
		if (i == ours->count)
			sl_test_failed(__FILE__, __LINE__, "no word %s in %s", word->valuestring,
				       ours->name);
	}
}

/* Older clients' IceCandidatePair says streamID where ours says streamId, and so on: each is a
 * member. */
static void check_record(const cJSON *want)
{
	const struct kms_record *r = kms_record_find(text_of(want, "name"));

	CHECK(r);
	CHECK_STR(r->parent ? r->parent->name : "", text_of(want, "extends"));
	check_params(r->name, r->members, r->member_count, list_of(want, "properties"));
}

TEST(every_class_of_the_clients_is_in_the_tables_with_all_it_has)
{
	for (size_t i = 0; i < SL_COUNT(files); i++) {
		cJSON *tree = load(files[i]);
		const cJSON *c;

		DEFER(api_json_free, tree);
		CHECK(cJSON_GetArraySize(list_of(tree, "remoteClasses")) > 4);
		cJSON_ArrayForEach(c, list_of(tree, "remoteClasses")) check_class(c);
	}
}

TEST(every_type_of_the_clients_is_in_the_tables_with_all_its_members)
{
	for (size_t i = 0; i < SL_COUNT(files); i++) {
		cJSON *tree = load(files[i]);
		const cJSON *t;

		DEFER(api_json_free, tree);
		cJSON_ArrayForEach(t, list_of(tree, "complexTypes"))
		{
			if (strcmp(text_of(t, "typeFormat"), "ENUM") == 0)
				check_words(enum_of(text_of(t, "name")), list_of(t, "values"));
			else
				check_record(t);
		}
	}
}

TEST(every_event_of_the_clients_7_has_its_members)
{
	for (size_t i = 0; i < 3; i++) {
		cJSON *tree = load(files[i]);
		const cJSON *e;

		DEFER(api_json_free, tree);
		cJSON_ArrayForEach(e, list_of(tree, "events"))
		{
			size_t at = 0;

			while (at < kms_event_type_count &&
			       strcmp(kms_event_types[at].name, text_of(e, "name")) != 0)
				at++;
			CHECK(at < kms_event_type_count);
			CHECK_STR(kms_event_types[at].parent ? kms_event_types[at].parent->name
							     : "",
				  text_of(e, "extends"));
			check_params(text_of(e, "name"), kms_event_types[at].members,
				     kms_event_types[at].member_count, list_of(e, "properties"));
		}
	}
}

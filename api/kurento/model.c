/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/model.c — finds classes, methods, events and types by name. Tables are searched by
 * halves, each class's own one after its descendants'; of events a class has a handful. What is not
 * found under today's names is looked for among those of older clients. */
#include "api/kurento/tables.h"

static int compare(struct sl_str a, const char *z)
{
	size_t n = strlen(z);
	int order = memcmp(a.p, z, a.n < n ? a.n : n);

	return order != 0 ? order : (a.n > n) - (a.n < n);
}

/* The row of that name in a sorted table; NULL. */
static const void *find(const void *rows, size_t n, size_t row_len, struct sl_str name,
			const char *(*name_of)(const void *row))
{
	size_t low = 0;

	if (!name.p)
		return NULL;
	while (low < n) {
		size_t middle = low + (n - low) / 2;
		const void *row = (const char *)rows + middle * row_len;
		int order = compare(name, name_of(row));

		if (order == 0)
			return row;
		if (order < 0)
			n = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

#define FIND(rows, n, name, name_of) find(rows, n, sizeof((rows)[0]), name, name_of)

static const char *class_name(const void *row)
{
	return ((const struct kms_class *)row)->name;
}

static const char *method_name(const void *row)
{
	return ((const struct kms_method *)row)->name;
}

static const char *record_name(const void *row)
{
	return ((const struct kms_record *)row)->name;
}

static const char *alias_name(const void *row)
{
	return ((const struct kms_alias *)row)->old;
}

static const char *module_name(const void *row)
{
	return ((const struct kms_module *)row)->name;
}

/* Today's name for an older one; empty: it is none. */
static struct sl_str renamed(const struct kms_alias *aliases, size_t n, struct sl_str name)
{
	const struct kms_alias *alias = FIND(aliases, n, name, alias_name);

	return sl_str_z(alias ? alias->name : NULL);
}

const struct kms_class *kms_class_find(struct sl_str name)
{
	struct sl_str bare = name;
	struct sl_str module = sl_str_cut(&bare, '.');
	const struct kms_class *c;

	if (module.n == name.n)
		return FIND(kms_classes, kms_class_count, name, class_name);
	c = FIND(kms_classes, kms_class_count, bare, class_name);
	return c && sl_str_eq(module, sl_str_z(c->module)) ? c : NULL;
}

bool kms_class_is(const struct kms_class *c, const struct kms_class *ancestor)
{
	while (c && c != ancestor)
		c = c->parent;
	return c != NULL;
}

static const struct kms_method *todays_method(const struct kms_class *c, struct sl_str name)
{
	const struct kms_method *m = NULL;

	for (; c && !m; c = c->parent)
		m = FIND(c->methods, c->method_count, name, method_name);
	return m;
}

const struct kms_method *kms_method_find(const struct kms_class *c, struct sl_str name)
{
	const struct kms_method *m = todays_method(c, name);

	if (!m)
		m = todays_method(c, renamed(kms_method_aliases, kms_method_alias_count, name));
	return m;
}

static const struct kms_event_type *todays_event(const struct kms_class *c, struct sl_str name)
{
	for (; c; c = c->parent)
		for (uint16_t i = 0; i < c->event_count; i++)
			if (sl_str_eq(name, sl_str_z(c->events[i]->name)))
				return c->events[i];
	return NULL;
}

const struct kms_event_type *kms_event_find(const struct kms_class *c, struct sl_str name)
{
	const struct kms_event_type *e = todays_event(c, name);

	if (!e)
		e = todays_event(c, renamed(kms_event_aliases, kms_event_alias_count, name));
	return e;
}

const struct kms_record *kms_record_find(const char *name)
{
	return FIND(kms_records, kms_record_count, sl_str_z(name), record_name);
}

struct sl_str kms_kmd(struct sl_str module)
{
	const struct kms_module *m = FIND(kms_modules, kms_module_count, module, module_name);

	return m ? m->kmd : (struct sl_str){NULL, 0};
}

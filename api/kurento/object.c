/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/object.c — objects: their ids, parents, tags, birth and end; what every MediaObject
 * can do. */
#include "api/kurento/rpc.h"

enum { TAGS_MAX = 100, TEXT_MAX = 4096 };

struct slot {
	struct kms_object *o; /* NULL: free */
	uint32_t generation;  /* below 2^31: the top bit of a handle is not ours */
	uint32_t next_free;   /* index + 1; 0 none */
};
struct kms_objects {
	/* owned */
	struct sl_hash by_id; /* by the UUID of the last segment */
	struct slot *slots;
	/* state */
	uint32_t slot_count, free_head, count, pipeline_count;
};

static const char manager_id[] = "manager_ServerManager";

/* ================= ids and handles ================= */

int kms_objects_init(struct kms *k)
{
	k->objects = sl_zalloc(sizeof(*k->objects));
	if (!k->objects)
		return SL_ENOMEM;
	return sl_hash_init(&k->objects->by_id, k->set.max_objects,
			    (uint64_t[]){sl_rng_u64(&k->rng), sl_rng_u64(&k->rng)});
}

size_t kms_object_count(const struct kms *k)
{
	return k->objects->count;
}

/* The last segment of an id, which begins with a UUID; NULL: it has no such form. */
static const char *own_uuid(struct sl_str id)
{
	size_t at = id.n;

	while (at > 0 && id.p[at - 1] != '/')
		at--;
	return id.n - at > 36 ? id.p + at : NULL;
}

struct kms_object *kms_object_by_id(struct kms *k, struct sl_str id)
{
	const char *uuid;
	struct kms_object *o;

	if (sl_str_eq(id, sl_str_z(manager_id)))
		return k->manager;
	uuid = own_uuid(id);
	o = uuid ? sl_hash_get(&k->objects->by_id, uuid, 36) : NULL;
	return o && sl_str_eq(id, sl_str_z(o->id)) ? o : NULL;
}

struct kms_object *kms_object_by_handle(struct kms *k, uint64_t handle)
{
	uint32_t i = (uint32_t)handle, generation = (uint32_t)(handle >> 32);
	const struct kms_objects *all = k->objects;

	if (!all || i >= all->slot_count || all->slots[i].generation != generation)
		return NULL;
	return all->slots[i].o;
}

static int more_slots(struct kms_objects *all)
{
	uint32_t n = all->slot_count ? 2 * all->slot_count : 64;
	struct slot *slots = sl_realloc(all->slots, n * sizeof(*slots));

	if (!slots)
		return SL_ENOMEM;
	all->slots = slots;
	for (uint32_t i = n; i-- > all->slot_count;) {
		slots[i] = (struct slot){.generation = 1, .next_free = all->free_head};
		all->free_head = i + 1;
	}
	all->slot_count = n;
	return SL_OK;
}

static int take_slot(struct kms_object *o)
{
	struct kms_objects *all = o->kms->objects;
	struct slot *s;

	if (!all->free_head && more_slots(all) < 0)
		return SL_ENOMEM;
	s = &all->slots[all->free_head - 1];
	o->handle = (uint64_t)s->generation << 32 | (all->free_head - 1);
	all->free_head = s->next_free;
	s->o = o;
	return SL_OK;
}

static void give_slot(struct kms_object *o)
{
	struct kms_objects *all = o->kms->objects;
	uint32_t i = (uint32_t)o->handle;
	struct slot *s = &all->slots[i];

	s->o = NULL;
	s->generation = (s->generation + 1) & INT32_MAX;
	s->generation += !s->generation;
	s->next_free = all->free_head;
	all->free_head = i + 1;
	o->handle = 0;
}

static char *make_id(struct kms *k, const struct kms_class *class, const struct kms_object *parent)
{
	struct sl_buf b;
	char uuid[37], text[640];

	kms_uuid(k, uuid);
	b = sl_buf(text, sizeof(text));
	if (parent)
		sl_buf_fmt(&b, "%s/", parent->id);
	sl_buf_fmt(&b, "%s_%s.%s", uuid, class->module, class->name);
	return b.full ? NULL : sl_strndup(b.p, b.n);
}

/* ================= what a class can do ================= */

static const struct kms_impl *impl_of(const struct kms_class *c)
{
	for (size_t i = 0; kms_impls[i]; i++)
		if (strcmp(kms_impls[i]->name, c->name) == 0)
			return kms_impls[i];
	return NULL;
}

const struct kms_method_impl *kms_method_impl(const struct kms_class *c, const char *name)
{
	for (; c; c = c->parent) {
		const struct kms_impl *impl = impl_of(c);
		const struct kms_method_impl *m = impl ? impl->methods : NULL;

		for (; m && m->name; m++)
			if (strcmp(m->name, name) == 0)
				return m;
	}
	return NULL;
}

static bool works(const struct kms_class *leaf)
{
	if (leaf->abstract || !impl_of(leaf))
		return false;
	for (const struct kms_class *c = leaf; c; c = c->parent)
		for (size_t i = 0; i < c->method_count; i++)
			if (!kms_method_impl(leaf, c->methods[i].name))
				return false;
	return true;
}

/* The tables do not change: each class is judged once. */
bool kms_class_works(const struct kms_class *c)
{
	static uint8_t known[256]; /* 0: not yet, 1: no, 2: yes; the control thread's */

	if (c->index >= SL_COUNT(known))
		return works(c);
	if (!known[c->index])
		known[c->index] = works(c) ? 2 : 1;
	return known[c->index] == 2;
}

bool kms_object_is(const struct kms_object *o, const char *class_name)
{
	for (const struct kms_class *c = o->class; c; c = c->parent)
		if (strcmp(c->name, class_name) == 0)
			return true;
	return false;
}

struct kms_object *kms_object_pipeline(const struct kms_object *o)
{
	const struct kms_object *top = o;

	while (top->parent)
		top = top->parent;
	return top == top->kms->manager ? NULL : (struct kms_object *)(uintptr_t)top;
}

/* ================= birth ================= */

/* From the root to the leaf; how many. */
static size_t chain(const struct kms_class *leaf, const struct kms_impl *out[KMS_DEPTH_MAX])
{
	size_t n = 0;

	for (const struct kms_class *c = leaf; c && n < KMS_DEPTH_MAX; c = c->parent)
		if ((out[n] = impl_of(c)) != NULL)
			n++;
	for (size_t i = 0; i < n / 2; i++) {
		const struct kms_impl *tmp = out[i];

		out[i] = out[n - 1 - i];
		out[n - 1 - i] = tmp;
	}
	return n;
}

/* Everything but what the class makes of it. Frees nothing on failure: destroy() does. */
static int enter(struct kms_object *o)
{
	struct kms_objects *all = o->kms->objects;
	bool pipeline = strcmp(o->class->name, "MediaPipeline") == 0;
	int err = take_slot(o);

	if (err)
		return err;
	o->id = make_id(o->kms, o->class, o->parent);
	if (!o->id)
		return SL_ENOMEM;
	err = sl_hash_put(&all->by_id, own_uuid(sl_str_z(o->id)), 36, o);
	if (err)
		return err;
	all->count++;
	all->pipeline_count += pipeline;
	if (o->parent)
		sl_list_add(&o->parent->children, &o->in_parent);
	else if (pipeline)
		sl_list_add(&o->kms->pipelines, &o->in_class);
	return SL_OK;
}

static struct kms_object *allocate(struct kms *k, const struct kms_class *class)
{
	const struct kms_impl *impls[KMS_DEPTH_MAX];
	size_t size = sizeof(struct kms_object), n = chain(class, impls);
	struct kms_object *o;

	for (size_t i = 0; i < n; i++)
		size = SL_MAX(size, impls[i]->size);
	o = sl_zalloc(size);
	if (!o)
		return NULL;
	o->kms = k;
	o->class = class;
	o->created_wall_us = kms_wall_us();
	sl_list_init(&o->children);
	sl_list_init(&o->refs);
	sl_list_init(&o->subscriptions);
	sl_list_init(&o->tags);
	return o;
}

static void tag_free(struct kms_tag *t)
{
	sl_list_del(&t->link);
	sl_free(t->key);
	sl_free(t->value);
	sl_free(t);
}

/* The object itself, as far as it was made; its class's parts are gone. */
static void destroy(struct kms_object *o)
{
	struct kms_objects *all = o->kms->objects;
	const char *uuid = o->id ? own_uuid(sl_str_z(o->id)) : NULL;

	if (uuid && sl_hash_get(&all->by_id, uuid, 36) == o) {
		(void)sl_hash_del(&all->by_id, uuid, 36);
		all->count--;
		all->pipeline_count -= strcmp(o->class->name, "MediaPipeline") == 0;
	}
	kms_interests_free_of_object(o);
	kms_refs_free(o);
	if (o->handle)
		give_slot(o);
	sl_list_del(&o->in_parent);
	sl_list_del(&o->in_class);
	while (!sl_list_empty(&o->tags))
		tag_free(SL_LIST_AT(o->tags.next, struct kms_tag, link));
	sl_free(o->name);
	sl_free(o->id);
	sl_free(o);
}

/* Of the first n of its class's impls, the leaf first. */
static void fini_parts(struct kms_object *o, size_t n)
{
	const struct kms_impl *impls[KMS_DEPTH_MAX];

	(void)chain(o->class, impls);
	while (n-- > 0)
		if (impls[n]->fini)
			impls[n]->fini(o);
}

static bool init_parts(struct kms_object *o, struct kms_call *call)
{
	const struct kms_impl *impls[KMS_DEPTH_MAX];
	size_t n = chain(o->class, impls);

	for (size_t i = 0; i < n; i++) {
		if (!impls[i]->init || impls[i]->init(o, call))
			continue;
		o->dying = true;
		fini_parts(o, i + 1);
		return false;
	}
	return true;
}

static bool has_room(struct kms_call *call, const struct kms_class *class)
{
	const struct kms_objects *all = call->kms->objects;

	return all->count < call->kms->set.max_objects &&
	       (strcmp(class->name, "MediaPipeline") != 0 ||
		all->pipeline_count < call->kms->set.max_pipelines);
}

struct kms_object *kms_object_make(struct kms_call *call, const struct kms_class *class)
{
	struct kms_object *parent = kms_arg_object(call, "mediaPipeline"), *o;
	int err;

	if (!parent)
		parent = kms_arg_object(call, "hub");
	if (!has_room(call, class)) {
		kms_fail(call, KMS_NOT_ENOUGH_RESOURCES,
			 "Reached the limit of objects of this server");
		return NULL;
	}
	o = allocate(call->kms, class);
	if (!o) {
		kms_fail_err(call, SL_ENOMEM);
		return NULL;
	}
	o->parent = parent;
	err = enter(o);
	if (err) {
		destroy(o);
		kms_fail_err(call, err);
		return NULL;
	}
	if (!init_parts(o, call)) {
		destroy(o);
		return NULL;
	}
	return o;
}

/* It is no child of anything, and is found by its constant id only. */
int kms_manager_new(struct kms *k)
{
	const struct kms_class *class = kms_class_find(SL_STR("ServerManager"));
	struct kms_object *o = allocate(k, class);

	if (!o)
		return SL_ENOMEM;
	k->manager = o;
	o->id = sl_strndup(manager_id, sizeof(manager_id) - 1);
	if (!o->id || take_slot(o) < 0)
		return SL_ENOMEM;
	/* Its parts need no arguments and do not fail: there is no call. */
	SL_ASSERT(init_parts(o, NULL));
	return SL_OK;
}

/* ================= the end ================= */

static void mark_dying(struct kms_object *o)
{
	o->dying = true;
	SL_LIST_EACH(it, tmp, &o->children)
		mark_dying(SL_LIST_AT(it, struct kms_object, in_parent));
}

static void tell_destroyed(struct kms_object *o)
{
	struct api_json_out *out = kms_event_begin(o->kms->manager, "ObjectDestroyed");

	if (!out)
		return;
	api_json_put_z(out, "objectId", o->id);
	kms_event_end(o->kms->manager);
}

static void end_tree(struct kms_object *o)
{
	const struct kms_impl *impls[KMS_DEPTH_MAX];

	while (!sl_list_empty(&o->children))
		end_tree(SL_LIST_AT(o->children.next, struct kms_object, in_parent));
	fini_parts(o, chain(o->class, impls));
	if (o != o->kms->manager)
		tell_destroyed(o);
	destroy(o);
}

void kms_object_release(struct kms_object *o)
{
	if (o->dying || o == o->kms->manager)
		return;
	mark_dying(o);
	end_tree(o);
}

void kms_objects_fini(struct kms *k)
{
	if (!k->objects)
		return;
	while (!sl_list_empty(&k->pipelines))
		kms_object_release(SL_LIST_AT(k->pipelines.next, struct kms_object, in_class));
	if (k->manager) {
		end_tree(k->manager);
		k->manager = NULL;
	}
	sl_hash_fini(&k->objects->by_id);
	sl_free(k->objects->slots);
	sl_free(k->objects);
	k->objects = NULL;
}

/* ================= MediaObject ================= */

static void get_pipeline(struct kms_object *o, struct kms_call *call)
{
	kms_put_object(kms_value(call), NULL, kms_object_pipeline(o));
	kms_done(call);
}

static void get_parent(struct kms_object *o, struct kms_call *call)
{
	kms_put_object(kms_value(call), NULL, o->parent);
	kms_done(call);
}

static void get_id(struct kms_object *o, struct kms_call *call)
{
	kms_done_str(call, sl_str_z(o->id));
}

static void get_children(struct kms_object *o, struct kms_call *call)
{
	struct api_json_out *out = kms_value(call);

	api_json_open_array(out, NULL);
	SL_LIST_EACH(it, tmp, &o->children)
		kms_put_object(out, NULL, SL_LIST_AT(it, struct kms_object, in_parent));
	api_json_close_array(out);
	kms_done(call);
}

static void get_name(struct kms_object *o, struct kms_call *call)
{
	kms_done_str(call, sl_str_z(o->name ? o->name : o->id));
}

/* False: the call has failed. */
static bool short_enough(struct kms_call *call, const char *arg)
{
	if (kms_arg_str(call, arg).n <= TEXT_MAX)
		return true;
	kms_fail(call, KMS_NOT_ENOUGH_RESOURCES, "'%s' is longer than %d bytes", arg, TEXT_MAX);
	return false;
}

static void set_name(struct kms_object *o, struct kms_call *call)
{
	struct sl_str name = kms_arg_str(call, "name");
	char *copy;

	if (!short_enough(call, "name"))
		return;
	copy = sl_strndup(name.p, name.n);
	if (!copy) {
		kms_fail_err(call, SL_ENOMEM);
		return;
	}
	sl_free(o->name);
	o->name = copy;
	kms_done(call);
}

static void get_send_tags(struct kms_object *o, struct kms_call *call)
{
	kms_done_bool(call, o->send_tags);
}

static void set_send_tags(struct kms_object *o, struct kms_call *call)
{
	o->send_tags = kms_arg_bool(call, "sendTagsInEvents");
	kms_done(call);
}

static void get_creation_time(struct kms_object *o, struct kms_call *call)
{
	kms_done_int(call, o->created_wall_us / SL_SEC);
}

static struct kms_tag *find_tag(const struct kms_object *o, struct sl_str key, size_t *count)
{
	*count = 0;
	SL_LIST_EACH(it, tmp, &o->tags) {
		struct kms_tag *t = SL_LIST_AT(it, struct kms_tag, link);

		(*count)++;
		if (sl_str_eq(key, sl_str_z(t->key)))
			return t;
	}
	return NULL;
}

static struct kms_tag *new_tag(struct kms_object *o, struct sl_str key)
{
	struct kms_tag *t = sl_zalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->key = sl_strndup(key.p, key.n);
	if (!t->key) {
		sl_free(t);
		return NULL;
	}
	sl_list_add(&o->tags, &t->link);
	return t;
}

static void add_tag(struct kms_object *o, struct kms_call *call)
{
	struct sl_str key = kms_arg_str(call, "key"), value = kms_arg_str(call, "value");
	size_t count;
	struct kms_tag *t = find_tag(o, key, &count);
	char *copy;

	if (!short_enough(call, "key") || !short_enough(call, "value"))
		return;
	if (!t && count >= TAGS_MAX) {
		kms_fail(call, KMS_NOT_ENOUGH_RESOURCES, "An object has at most %d tags", TAGS_MAX);
		return;
	}
	copy = sl_strndup(value.p, value.n);
	if (copy && !t)
		t = new_tag(o, key);
	if (!copy || !t) {
		sl_free(copy);
		kms_fail_err(call, SL_ENOMEM);
		return;
	}
	sl_free(t->value);
	t->value = copy;
	kms_done(call);
}

static void remove_tag(struct kms_object *o, struct kms_call *call)
{
	size_t count;
	struct kms_tag *t = find_tag(o, kms_arg_str(call, "key"), &count);

	if (t)
		tag_free(t);
	kms_done(call);
}

static void get_tag(struct kms_object *o, struct kms_call *call)
{
	size_t count;
	const struct kms_tag *t = find_tag(o, kms_arg_str(call, "key"), &count);

	if (t)
		kms_done_str(call, sl_str_z(t->value));
	else
		kms_fail(call, KMS_MEDIA_OBJECT_TAG_KEY_NOT_FOUND, "Tag key not found");
}

void kms_put_tags(struct api_json_out *out, const char *key, const struct kms_object *o)
{
	api_json_open_array(out, key);
	SL_LIST_EACH(it, tmp, &o->tags) {
		const struct kms_tag *t = SL_LIST_AT(it, struct kms_tag, link);

		kms_open_record(out, NULL, "Tag");
		api_json_put_z(out, "key", t->key);
		api_json_put_z(out, "value", t->value);
		api_json_close_object(out);
	}
	api_json_close_array(out);
}

static void get_tags(struct kms_object *o, struct kms_call *call)
{
	kms_put_tags(kms_value(call), NULL, o);
	kms_done(call);
}

/* clang-format off */
static const struct kms_method_impl methods[] = {
	{"getMediaPipeline",    get_pipeline},
	{"getParent",           get_parent},
	{"getId",               get_id},
	{"getChildren",         get_children},
	{"getName",             get_name},
	{"setName",             set_name},
	{"getSendTagsInEvents", get_send_tags},
	{"setSendTagsInEvents", set_send_tags},
	{"getCreationTime",     get_creation_time},
	{"addTag",              add_tag},
	{"removeTag",           remove_tag},
	{"getTag",              get_tag},
	{"getTags",             get_tags},
	{NULL, NULL},
};
/* clang-format on */
const struct kms_impl kms_media_object_impl = {.name = "MediaObject", .methods = methods};

/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_graph.c — connections become routes: with endpoints of our own, and a core that is a table. */
#include "tests/test.h"
#include "api/kurento/graph.h"
#include "core/base/mem.h"

enum { UNITS = 2, OBJECTS = 40, CORE_TRACKS = 1 << 16, REPLIES = 4096 };

/* Fields of a hub's struct that tests look at are behind these; what is under test allocates none. */
union room {
	struct kms_element e;
	char bytes[1024];
};

/* An endpoint: an element and its tracks. */
struct station {
	struct kms_element e;
	uint64_t tracks[2][SL_KIND_COUNT][UNITS];       /* publishers, subscribers; 0 none */
	uint64_t heard[SL_KIND_COUNT][UNITS];           /* by ops->routed */
};

struct reply {
	sl_reply_fn *fn;
	void *arg;
	int err;
};

static struct world {
	uv_loop_t loop;
	struct kms k;
	struct sl_config conf;
	struct kms_object pipeline;
	struct kms_object *objects[OBJECTS];
	/* core: what each track plays */
	uint64_t plays[CORE_TRACKS];
	bool alive[CORE_TRACKS];
	uint64_t next_track;
	struct reply replies[REPLIES];
	size_t reply_count, asked;
	unsigned refuse;                /* so many of 16 commands find a full mailbox */
	struct sl_test_rng rng_state;
	struct sl_rng rng;
} w;

static uint32_t dice(uint32_t n)
{
	uint32_t v = 0;

	sl_rng_fill(&w.rng, &v, sizeof(v));
	return v % n;
}

/* ---- core ---- */

static uint64_t new_track(void)
{
	SL_ASSERT(w.next_track < CORE_TRACKS);
	w.plays[w.next_track] = 0;
	w.alive[w.next_track] = true;
	return w.next_track++;
}

static int set_route(struct sl_core *core, uint64_t subscriber, uint64_t publisher, sl_reply_fn *fn,
		     void *arg)
{
	bool there = w.alive[subscriber] && (!publisher || w.alive[publisher]);

	(void)core;
	w.asked++;
	if (dice(16) < w.refuse || w.reply_count == REPLIES)
		return SL_EBUSY;
	if (there)
		w.plays[subscriber] = publisher;
	w.replies[w.reply_count++] = (struct reply){fn, arg, there ? SL_OK : SL_ENOTFOUND};
	return SL_OK;
}

static void deliver(size_t n)
{
	n = SL_MIN(n, w.reply_count);
	for (size_t i = 0; i < n; i++) {
		struct reply r = w.replies[0];
		struct sl_reply reply = {.err = r.err};

		memmove(w.replies, w.replies + 1, --w.reply_count * sizeof(r));
		r.fn(r.arg, &reply);
	}
}

static void settle(void)
{
	unsigned refuse = w.refuse;

	w.refuse = 0;
	for (int i = 0; i < 4; i++) {
		kms_graph_flush(w.k.graph);
		deliver(SIZE_MAX);
	}
	w.refuse = refuse;
}

/* ---- objects ---- */

static uint64_t publisher(struct kms_element *e, enum sl_kind kind, unsigned unit)
{
	return unit < UNITS ? SL_CONTAINER(e, struct station, e)->tracks[0][kind][unit] : 0;
}

static uint64_t subscriber(struct kms_element *e, enum sl_kind kind, unsigned unit)
{
	return unit < UNITS ? SL_CONTAINER(e, struct station, e)->tracks[1][kind][unit] : 0;
}

static void routed(struct kms_element *e, enum sl_kind kind, unsigned unit, uint64_t pub)
{
	SL_CONTAINER(e, struct station, e)->heard[kind][unit] = pub;
}

static const struct kms_element_ops station_ops = {
	.publisher = publisher,
	.subscriber = subscriber,
	.routed = routed,
};

static int make(const struct kms_impl *impl, const char *class, size_t size, struct kms_object *parent,
		struct kms_object **out)
{
	struct kms_object *o = sl_zalloc(size);

	if (!o)
		return SL_ENOMEM;
	o->kms = &w.k;
	o->class = kms_class_find(sl_str_z(class));
	o->parent = parent;
	sl_list_init(&o->children);
	sl_list_init(&o->subscriptions);
	sl_list_add(&parent->children, &o->in_parent);
	if (!kms_class_is(o->class, kms_class_find(SL_STR("Hub"))))
		kms_element_impl.init(o, NULL);
	if (impl && impl->init)
		impl->init(o, NULL);
	*out = o;
	return SL_OK;
}

static int make_station(struct kms_object **out)
{
	int err = make(NULL, "WebRtcEndpoint", sizeof(struct station), &w.pipeline, out);
	struct station *s = err ? NULL : (struct station *)(void *)*out;

	if (err)
		return err;
	s->e.ops = &station_ops;
	for (unsigned way = 0; way < 2; way++)
		for (unsigned kind = 0; kind < SL_KIND_COUNT; kind++)
			s->tracks[way][kind][0] = new_track();
	kms_graph_changed(&s->e);
	return SL_OK;
}

static int make_pass(struct kms_object **out)
{
	return make(NULL, "PassThrough", sizeof(struct kms_element), &w.pipeline, out);
}

static int make_hub(const struct kms_impl *impl, struct kms_object **out)
{
	return make(impl, impl->name, impl->size ? impl->size : kms_hub_impl.size, &w.pipeline, out);
}

static int make_port(struct kms_object *hub, struct kms_object **out)
{
	return make(&kms_hub_port_impl, "HubPort", kms_hub_port_impl.size, hub, out);
}

static void kill_tracks(struct station *s)
{
	for (unsigned way = 0; way < 2; way++)
		for (unsigned kind = 0; kind < SL_KIND_COUNT; kind++)
			for (unsigned unit = 0; unit < UNITS; unit++)
				w.alive[s->tracks[way][kind][unit]] = false;
}

static bool is_station(const struct kms_object *o)
{
	return kms_object_is(o, "WebRtcEndpoint");
}

/* As releasing does it: children first, the leaf class's part first. */
static void release(struct kms_object *o)
{
	o->dying = true;
	SL_LIST_EACH(it, tmp, &o->children)
		release(SL_LIST_AT(it, struct kms_object, in_parent));
	if (is_station(o))
		kill_tracks((struct station *)(void *)o);
	if (kms_object_is(o, "HubPort"))
		kms_hub_port_impl.fini(o);
	if (kms_object_is(o, "MediaElement"))
		kms_element_impl.fini(o);
	sl_list_del(&o->in_parent);
	for (size_t i = 0; i < OBJECTS; i++)
		if (w.objects[i] == o)
			w.objects[i] = NULL;
	sl_free(o);
}

static void end_world(void *unused)
{
	(void)unused;
	SL_LIST_EACH(it, tmp, &w.pipeline.children)
		release(SL_LIST_AT(it, struct kms_object, in_parent));
	kms_graph_fini(&w.k);
	deliver(SIZE_MAX);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	uv_loop_close(&w.loop);
}

static int begin(uint64_t seed)
{
	memset(&w, 0, sizeof(w));
	w.rng = sl_test_rng(&w.rng_state, seed);
	w.next_track = 1;
	w.pipeline.kms = &w.k;
	w.pipeline.class = kms_class_find(SL_STR("MediaPipeline"));
	sl_list_init(&w.pipeline.children);
	sl_list_init(&w.k.pipelines);
	if (uv_loop_init(&w.loop) < 0)
		return SL_ENOMEM;
	w.k.loop = &w.loop;
	w.k.conf = &w.conf;
	DEFER(end_world, NULL);
	return kms_graph_init(&w.k);
}

static void start(uint64_t seed)
{
	TRY(begin(seed));
	w.k.graph->set_route = set_route;
}

static struct kms_element *elem(struct kms_object *o)
{
	return (struct kms_element *)(void *)o;
}

static int join(struct kms_object *source, struct kms_object *sink, enum kms_media media)
{
	struct kms_link *l = kms_link_new(elem(source), elem(sink), media);

	if (!l)
		return SL_ENOMEM;
	kms_link_add(l);
	return SL_OK;
}

static uint64_t played_by(struct kms_object *o, enum sl_kind kind)
{
	return w.plays[subscriber(elem(o), kind, 0)];
}

static uint64_t sent_by(struct kms_object *o, enum sl_kind kind)
{
	return publisher(elem(o), kind, 0);
}

/* What a turn had no memory for comes later: not what these tests are about. */
static int not_out_of_memory(void)
{
	return sl_test_oom_fired() ? SL_ENOMEM : SL_OK;
}

/* ---- sentences ---- */

TEST(viewer_plays_who_is_connected_to_it_kind_by_kind)
{
	struct kms_object *a, *b;

	start(1);
	TRY(make_station(&a));
	TRY(make_station(&b));
	TRY(join(a, b, KMS_VIDEO));
	settle();
	CHECK_EQ(played_by(b, SL_VIDEO), sent_by(a, SL_VIDEO));
	CHECK_EQ(played_by(b, SL_AUDIO), 0);
	CHECK_EQ(played_by(a, SL_VIDEO), 0);
	TRY(join(b, b, KMS_AUDIO));
	settle();
	CHECK_EQ(played_by(b, SL_AUDIO), sent_by(b, SL_AUDIO));
	CHECK_EQ(((struct station *)(void *)b)->heard[SL_AUDIO][0], sent_by(b, SL_AUDIO));
}

TEST(another_source_takes_the_place_of_the_one_before)
{
	struct kms_object *a, *b, *c;
	size_t asked;

	start(2);
	TRY(make_station(&a));
	TRY(make_station(&b));
	TRY(make_station(&c));
	TRY(join(a, c, KMS_VIDEO));
	settle();
	asked = w.asked;
	TRY(join(b, c, KMS_VIDEO));
	settle();
	CHECK_EQ(played_by(c, SL_VIDEO), sent_by(b, SL_VIDEO));
	CHECK(sl_list_empty(&elem(a)->sinks[KMS_VIDEO]));
	CHECK_EQ(w.asked - asked, 1);
	settle();
	CHECK_EQ(w.asked - asked, 1);
}

TEST(source_that_is_released_leaves_its_viewers_with_nothing)
{
	struct kms_object *a, *b;

	start(3);
	TRY(make_station(&a));
	TRY(make_station(&b));
	TRY(join(a, b, KMS_VIDEO));
	settle();
	release(a);
	settle();
	CHECK_EQ(played_by(b, SL_VIDEO), 0);
	CHECK(!elem(b)->source[KMS_VIDEO]);
}

TEST(tracks_that_come_after_the_connection_are_routed_then)
{
	struct kms_object *a, *b;
	struct station *s;

	start(4);
	TRY(make_station(&a));
	TRY(make_station(&b));
	s = (struct station *)(void *)a;
	s->tracks[0][SL_VIDEO][0] = 0;
	TRY(join(a, b, KMS_VIDEO));
	settle();
	CHECK_EQ(w.asked, 0);
	s->tracks[0][SL_VIDEO][0] = new_track();
	kms_graph_changed(&s->e);
	settle();
	CHECK_EQ(played_by(b, SL_VIDEO), sent_by(a, SL_VIDEO));
}

TEST(second_section_of_a_kind_feeds_the_second_one_of_the_sink)
{
	struct kms_object *a, *b;
	uint64_t pub, sub;

	start(5);
	TRY(make_station(&a));
	TRY(make_station(&b));
	pub = ((struct station *)(void *)a)->tracks[0][SL_VIDEO][1] = new_track();
	sub = ((struct station *)(void *)b)->tracks[1][SL_VIDEO][1] = new_track();
	TRY(join(a, b, KMS_VIDEO));
	settle();
	CHECK_EQ(w.plays[sub], pub);
	CHECK_EQ(played_by(b, SL_VIDEO), sent_by(a, SL_VIDEO));
}

TEST(line_of_pass_throughs_costs_no_route_of_its_own)
{
	struct kms_object *a, *b, *at;

	start(6);
	TRY(make_station(&a));
	TRY(make_station(&b));
	at = a;
	for (int i = 0; i < 20; i++) {
		struct kms_object *pass;

		TRY(make_pass(&pass));
		TRY(join(at, pass, KMS_AUDIO));
		at = pass;
	}
	TRY(join(at, b, KMS_AUDIO));
	settle();
	CHECK_EQ(played_by(b, SL_AUDIO), sent_by(a, SL_AUDIO));
	CHECK_EQ(w.asked, 1);
	kms_unlink(elem(at), KMS_AUDIO);
	settle();
	CHECK_EQ(played_by(b, SL_AUDIO), 0);
	CHECK_EQ(w.asked, 2);
}

TEST(circle_of_pass_throughs_feeds_nobody_and_ends)
{
	struct kms_object *pass[3], *viewer;

	start(7);
	TRY(make_station(&viewer));
	for (int i = 0; i < 3; i++)
		TRY(make_pass(&pass[i]));
	for (int i = 0; i < 3; i++)
		TRY(join(pass[i], pass[(i + 1) % 3], KMS_VIDEO));
	TRY(join(pass[1], viewer, KMS_VIDEO));
	settle();
	CHECK(!kms_graph_origin(elem(viewer), KMS_VIDEO));
	CHECK(!kms_graph_origin(elem(pass[0]), KMS_VIDEO));
	CHECK_EQ(w.asked, 0);
	TRY(join(viewer, pass[0], KMS_VIDEO));
	settle();
	CHECK_EQ(played_by(viewer, SL_VIDEO), sent_by(viewer, SL_VIDEO));
}

static size_t climbed;

static struct kms_element *counted(struct kms_element *e, enum kms_media media)
{
	(void)media;
	climbed++;
	return e;
}

static const struct kms_element_ops counting_ops = {.feeds = counted};

TEST(long_line_is_followed_once_and_not_from_each_of_its_elements)
{
	enum { LINE = 500 };
	struct kms_object *a, *b, *at;

	start(15);
	TRY(make_station(&a));
	at = a;
	for (int i = 0; i < LINE; i++) {
		struct kms_object *pass;

		TRY(make_pass(&pass));
		elem(pass)->ops = &counting_ops;
		TRY(join(at, pass, KMS_VIDEO));
		TRY(make_station(&b));
		TRY(join(pass, b, KMS_VIDEO));
		at = pass;
	}
	climbed = 0;
	kms_graph_changed(elem(a));
	settle();
	CHECK_EQ(played_by(b, SL_VIDEO), sent_by(a, SL_VIDEO));
	CHECK(climbed < 20 * LINE);
}

TEST(dispatcher_gives_each_port_the_source_that_was_chosen_for_it)
{
	struct kms_object *hub, *people[3], *ports[3];

	start(8);
	TRY(make_hub(&kms_dispatcher_impl, &hub));
	for (int i = 0; i < 3; i++) {
		TRY(make_station(&people[i]));
		TRY(make_port(hub, &ports[i]));
		TRY(join(people[i], ports[i], KMS_VIDEO));
		TRY(join(ports[i], people[i], KMS_VIDEO));
	}
	kms_dispatcher_feed(elem(ports[1]), elem(ports[0]));
	kms_dispatcher_feed(elem(ports[2]), elem(ports[0]));
	kms_dispatcher_feed(elem(ports[0]), elem(ports[2]));
	settle();
	CHECK_EQ(played_by(people[1], SL_VIDEO), sent_by(people[0], SL_VIDEO));
	CHECK_EQ(played_by(people[2], SL_VIDEO), sent_by(people[0], SL_VIDEO));
	CHECK_EQ(played_by(people[0], SL_VIDEO), sent_by(people[2], SL_VIDEO));
	release(ports[0]);
	settle();
	CHECK_EQ(played_by(people[1], SL_VIDEO), 0);
	CHECK_EQ(played_by(people[0], SL_VIDEO), 0);
}

TEST(ports_that_feed_each_other_in_a_circle_feed_nobody)
{
	struct kms_object *hub, *viewer, *ports[2];

	start(9);
	TRY(make_hub(&kms_dispatcher_impl, &hub));
	TRY(make_station(&viewer));
	for (int i = 0; i < 2; i++)
		TRY(make_port(hub, &ports[i]));
	kms_dispatcher_feed(elem(ports[0]), elem(ports[1]));
	kms_dispatcher_feed(elem(ports[1]), elem(ports[0]));
	TRY(join(ports[0], ports[0], KMS_AUDIO));
	TRY(join(ports[1], ports[1], KMS_AUDIO));
	TRY(join(ports[0], viewer, KMS_AUDIO));
	settle();
	CHECK(!kms_graph_origin(elem(viewer), KMS_AUDIO));
	CHECK_EQ(w.asked, 0);
}

TEST(one_port_of_one_to_many_is_heard_at_all_others_and_not_at_its_own)
{
	struct kms_object *hub, *people[3], *ports[3];

	start(10);
	TRY(make_hub(&kms_one_to_many_impl, &hub));
	for (int i = 0; i < 3; i++) {
		TRY(make_station(&people[i]));
		TRY(make_port(hub, &ports[i]));
		TRY(join(people[i], ports[i], KMS_AUDIO));
		TRY(join(ports[i], people[i], KMS_AUDIO));
	}
	kms_one_to_many_choose(hub, elem(ports[1]));
	settle();
	CHECK_EQ(played_by(people[0], SL_AUDIO), sent_by(people[1], SL_AUDIO));
	CHECK_EQ(played_by(people[2], SL_AUDIO), sent_by(people[1], SL_AUDIO));
	CHECK_EQ(played_by(people[1], SL_AUDIO), 0);
	kms_one_to_many_choose(hub, elem(ports[2]));
	settle();
	CHECK_EQ(played_by(people[1], SL_AUDIO), sent_by(people[2], SL_AUDIO));
	CHECK_EQ(played_by(people[2], SL_AUDIO), 0);
	release(ports[2]);
	settle();
	CHECK_EQ(played_by(people[0], SL_AUDIO), 0);
	CHECK_EQ(played_by(people[1], SL_AUDIO), 0);
}

TEST(port_that_comes_later_hears_the_source_of_one_to_many)
{
	struct kms_object *hub, *people[2], *ports[2];

	start(11);
	TRY(make_hub(&kms_one_to_many_impl, &hub));
	TRY(make_station(&people[0]));
	TRY(make_port(hub, &ports[0]));
	TRY(join(people[0], ports[0], KMS_VIDEO));
	kms_one_to_many_choose(hub, elem(ports[0]));
	settle();
	TRY(make_station(&people[1]));
	TRY(make_port(hub, &ports[1]));
	TRY(join(ports[1], people[1], KMS_VIDEO));
	settle();
	CHECK_EQ(played_by(people[1], SL_VIDEO), sent_by(people[0], SL_VIDEO));
}

TEST(flow_of_a_peer_is_seen_along_the_graph_and_ends_where_a_link_ends)
{
	struct kms_object *a, *pass[2], *hub, *ports[2];

	start(12);
	TRY(make_station(&a));
	TRY(make_pass(&pass[0]));
	TRY(make_pass(&pass[1]));
	TRY(make_hub(&kms_dispatcher_impl, &hub));
	TRY(make_port(hub, &ports[0]));
	TRY(make_port(hub, &ports[1]));
	TRY(join(a, pass[0], KMS_VIDEO));
	TRY(join(pass[0], ports[0], KMS_VIDEO));
	TRY(join(ports[1], pass[1], KMS_VIDEO));
	kms_dispatcher_feed(elem(ports[1]), elem(ports[0]));
	settle();
	CHECK(!elem(pass[1])->flowing_out[KMS_VIDEO]);
	kms_element_flow(elem(a), KMS_VIDEO, true, true);
	settle();
	CHECK(elem(a)->flowing_out[KMS_VIDEO] && !elem(a)->flowing_in[KMS_VIDEO]);
	CHECK(elem(pass[0])->flowing_in[KMS_VIDEO] && elem(pass[0])->flowing_out[KMS_VIDEO]);
	CHECK(elem(ports[0])->flowing_in[KMS_VIDEO] && !elem(ports[0])->flowing_out[KMS_VIDEO]);
	CHECK(!elem(ports[1])->flowing_in[KMS_VIDEO] && elem(ports[1])->flowing_out[KMS_VIDEO]);
	CHECK(elem(pass[1])->flowing_out[KMS_VIDEO] && !elem(pass[1])->flowing_out[KMS_AUDIO]);
	kms_unlink(elem(ports[0]), KMS_VIDEO);
	settle();
	CHECK(elem(pass[0])->flowing_out[KMS_VIDEO] && !elem(ports[0])->flowing_in[KMS_VIDEO]);
	CHECK(!elem(pass[1])->flowing_in[KMS_VIDEO] && !elem(pass[1])->flowing_out[KMS_VIDEO]);
}

TEST(route_that_core_had_no_room_for_is_asked_again_until_it_is_not_wanted)
{
	struct kms_object *a, *b;

	start(13);
	TRY(make_station(&a));
	TRY(make_station(&b));
	w.refuse = 16;
	TRY(join(a, b, KMS_VIDEO));
	kms_graph_flush(w.k.graph);
	kms_graph_flush(w.k.graph);
	TRY(not_out_of_memory());
	CHECK_EQ(w.asked, 2);
	CHECK(uv_is_active((uv_handle_t *)&w.k.graph->timer));
	kms_unlink(elem(b), KMS_VIDEO);
	kms_graph_flush(w.k.graph);
	CHECK_EQ(w.asked, 2);
	TRY(join(a, b, KMS_VIDEO));
	kms_graph_flush(w.k.graph);
	w.refuse = 0;
	kms_graph_flush(w.k.graph);
	deliver(SIZE_MAX);
	CHECK_EQ(played_by(b, SL_VIDEO), sent_by(a, SL_VIDEO));
}

TEST(answer_of_core_that_comes_after_the_element_is_gone_is_dropped)
{
	struct kms_object *a, *b;

	start(14);
	TRY(make_station(&a));
	TRY(make_station(&b));
	TRY(join(a, b, KMS_VIDEO));
	kms_graph_flush(w.k.graph);
	TRY(not_out_of_memory());
	CHECK_EQ(w.reply_count, 1);
	release(b);
	deliver(SIZE_MAX);
	CHECK(sl_list_empty(&elem(a)->sinks[KMS_VIDEO]));
}

/* ---- random graphs against a naive model ---- */

/* The origin by walking up, at most as many steps as there are objects. */
static struct kms_object *naive_origin(struct kms_object *o, enum kms_media media)
{
	struct kms_element *e = elem(o);

	for (int steps = 0; steps <= OBJECTS; steps++) {
		if (!e || !e->source[media])
			return NULL;
		e = e->source[media]->source;
		if (is_station(&e->o))
			return &e->o;
		if (e->ops)
			e = e->ops->feeds(e, media);
	}
	return NULL;
}

static void check_station(struct kms_object *o, enum sl_kind kind)
{
	struct kms_object *from = naive_origin(o, kind == SL_AUDIO ? KMS_AUDIO : KMS_VIDEO);

	for (unsigned unit = 0; unit < UNITS; unit++) {
		uint64_t sub = subscriber(elem(o), kind, unit);

		if (sub)
			CHECK_EQ(w.plays[sub], from ? publisher(elem(from), kind, unit) : 0);
	}
}

static void check_flow(struct kms_object *o, enum kms_media media)
{
	struct kms_object *from = naive_origin(o, media);

	CHECK_EQ(elem(o)->flowing_in[media], from && elem(from)->flowing_out[media]);
}

static void check_all(void)
{
	settle();
	for (size_t i = 0; i < OBJECTS; i++) {
		struct kms_object *o = w.objects[i];

		if (!o || !kms_object_is(o, "MediaElement"))
			continue;
		if (is_station(o)) {
			check_station(o, SL_AUDIO);
			check_station(o, SL_VIDEO);
		} else {
			check_flow(o, KMS_AUDIO);
			check_flow(o, KMS_VIDEO);
		}
		for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++)
			SL_LIST_EACH(it, tmp, &elem(o)->sinks[media])
				CHECK(SL_LIST_AT(it, struct kms_link, in_source)->source == elem(o));
	}
}

static struct kms_object *any(const char *class)
{
	for (int tries = 0; tries < 8; tries++) {
		struct kms_object *o = w.objects[dice(OBJECTS)];

		if (o && kms_object_is(o, class))
			return o;
	}
	return NULL;
}

static void step_create(void)
{
	size_t at = dice(OBJECTS);
	struct kms_object *hub = any("Hub");

	if (w.objects[at])
		return;
	switch (dice(8)) {
	case 0:
		TRY(make_hub(&kms_dispatcher_impl, &w.objects[at]));
		break;
	case 1:
		TRY(make_hub(&kms_one_to_many_impl, &w.objects[at]));
		break;
	case 2:
	case 3:
		TRY(make_pass(&w.objects[at]));
		break;
	case 4:
	case 5:
		if (hub)
			TRY(make_port(hub, &w.objects[at]));
		break;
	default:
		TRY(make_station(&w.objects[at]));
	}
}

static void step_release(void)
{
	struct kms_object *o = w.objects[dice(OBJECTS)];

	if (o && dice(4) == 0)
		release(o);
}

static void step_connect(void)
{
	struct kms_object *a = any("MediaElement");
	struct kms_object *b = any("MediaElement");

	if (a && b)
		TRY(join(a, b, dice(KMS_MEDIA_COUNT)));
}

static void step_disconnect(void)
{
	struct kms_object *o = any("MediaElement");

	if (o)
		kms_unlink(elem(o), dice(KMS_MEDIA_COUNT));
}

static void step_hub(void)
{
	struct kms_object *port = any("HubPort");
	struct kms_object *other = any("HubPort");

	if (!port || (other && other->parent != port->parent))
		return;
	if (kms_object_is(port->parent, "Dispatcher"))
		kms_dispatcher_feed(elem(port), other ? elem(other) : NULL);
	else
		kms_one_to_many_choose(port->parent, other ? elem(other) : NULL);
}

/* A track comes or goes; a subscriber that goes has no successor of the same number. */
static void step_track(void)
{
	struct station *s = (struct station *)(void *)any("WebRtcEndpoint");
	uint64_t *track;

	if (!s || w.next_track > CORE_TRACKS - 1024)
		return;
	track = &s->tracks[dice(2)][dice(SL_KIND_COUNT)][dice(UNITS)];
	w.alive[*track] = false;
	*track = *track ? 0 : new_track();
	kms_graph_changed(&s->e);
}

static void step_flow(void)
{
	struct kms_object *o = any("WebRtcEndpoint");

	if (o)
		kms_element_flow(elem(o), dice(2) ? KMS_AUDIO : KMS_VIDEO, dice(2) == 0, dice(2) == 0);
}

static void step_time(void)
{
	if (dice(2))
		kms_graph_flush(w.k.graph);
	deliver(dice(4));
}

/* What core has of the dead can be forgotten: tracks are counted from the start again. */
static void random_walk(uint64_t seed, int steps)
{
	static void (*const kinds[])(void) = {
		step_create, step_create, step_release, step_connect, step_connect, step_connect,
		step_disconnect, step_hub, step_hub, step_track, step_flow, step_time,
	};

	start(seed);
	w.refuse = 4;
	for (int i = 0; i < steps; i++) {
		kinds[dice(SL_COUNT(kinds))]();
		if (i % 16 == 0)
			check_all();
	}
	check_all();
}

TEST(random_graphs_play_what_a_naive_walk_says)
{
	random_walk(100, 10000);
}

TEST(another_random_graph_plays_what_a_naive_walk_says)
{
	random_walk(4711, 2000);
}

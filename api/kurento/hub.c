/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/hub.c — HubPort, Dispatcher, DispatcherOneToMany: who is heard at which port. What comes into a port goes
 * to the hub, and what the hub gives a port comes out of it: a choice of pointers, nothing per packet. */
#include "api/kurento/graph.h"

struct kms_hub {
	struct kms_object o;
	const struct kms_element_ops *port_ops; /* set by the class's init */
};

struct kms_port {
	struct kms_element e;
	/* Dispatcher: */
	struct kms_port *from;          /* what comes out here came in there; NULL nothing */
	struct sl_list fed, in_fed;     /* ports whose from we are, by their in_fed */
};

struct kms_one_to_many {
	struct kms_hub hub;
	struct kms_port *source;        /* NULL none */
};

static struct kms_port *port_of(struct kms_element *e)
{
	return SL_CONTAINER(e, struct kms_port, e);
}

static struct kms_port *port_at(struct sl_list *in_parent)
{
	return (struct kms_port *)(void *)SL_LIST_AT(in_parent, struct kms_object, in_parent);
}

/* The port of that name in the call, when it belongs to this hub; else the call has failed. */
static struct kms_port *own_port(struct kms_object *hub, struct kms_call *call, const char *name)
{
	struct kms_object *o = kms_arg_object(call, name);

	if (o && o->parent == hub)
		return (struct kms_port *)(void *)o;
	kms_fail(call, KMS_CONNECT_ERROR, "Can not connect ports");
	return NULL;
}

/* ---- Dispatcher: each port may have a source of its own ---- */

static struct kms_element *dispatcher_feeds(struct kms_element *e, enum kms_media media)
{
	struct kms_port *from = port_of(e)->from;

	return from && media != KMS_DATA ? &from->e : NULL;
}

static void dispatcher_each_fed(struct kms_element *e, enum kms_media media,
				void (*fn)(struct kms_element *fed, void *arg), void *arg)
{
	if (media == KMS_DATA)
		return;
	SL_LIST_EACH(it, tmp, &port_of(e)->fed)
		fn(&SL_LIST_AT(it, struct kms_port, in_fed)->e, arg);
}

static const struct kms_element_ops dispatcher_port = {
	.feeds = dispatcher_feeds,
	.each_fed = dispatcher_each_fed,
};

void kms_dispatcher_feed(struct kms_element *sink_port, struct kms_element *source_port)
{
	struct kms_port *sink = port_of(sink_port);
	struct kms_port *source = source_port ? port_of(source_port) : NULL;

	sl_list_del(&sink->in_fed);
	sink->from = source;
	if (source)
		sl_list_add(&source->fed, &sink->in_fed);
	kms_graph_changed(&sink->e);
}

static void dispatcher_connect(struct kms_object *o, struct kms_call *call)
{
	struct kms_port *source = own_port(o, call, "source");
	struct kms_port *sink = source ? own_port(o, call, "sink") : NULL;

	if (!sink)
		return;
	kms_dispatcher_feed(&sink->e, &source->e);
	kms_done(call);
}

static bool dispatcher_init(struct kms_object *o, struct kms_call *call)
{
	(void)call;
	((struct kms_hub *)(void *)o)->port_ops = &dispatcher_port;
	return true;
}

const struct kms_impl kms_dispatcher_impl = {
	.name = "Dispatcher",
	.init = dispatcher_init,
	.methods = (const struct kms_method_impl[]){{"connect", dispatcher_connect}, {0}},
};

/* ---- DispatcherOneToMany: one port's input comes out of all others ---- */

static struct kms_one_to_many *one_to_many_of(const struct kms_element *port)
{
	return (struct kms_one_to_many *)(void *)port->o.parent;
}

static struct kms_element *one_to_many_feeds(struct kms_element *e, enum kms_media media)
{
	struct kms_port *source = one_to_many_of(e)->source;

	return source && &source->e != e && media != KMS_DATA ? &source->e : NULL;
}

static void one_to_many_each_fed(struct kms_element *e, enum kms_media media,
				 void (*fn)(struct kms_element *fed, void *arg), void *arg)
{
	struct kms_one_to_many *hub = one_to_many_of(e);

	if (hub->source != port_of(e) || media == KMS_DATA)
		return;
	SL_LIST_EACH(it, tmp, &hub->hub.o.children) {
		if (port_at(it) != hub->source)
			fn(&port_at(it)->e, arg);
	}
}

static const struct kms_element_ops one_to_many_port = {
	.feeds = one_to_many_feeds,
	.each_fed = one_to_many_each_fed,
};

void kms_one_to_many_choose(struct kms_object *o, struct kms_element *port)
{
	struct kms_one_to_many *hub = (struct kms_one_to_many *)(void *)o;
	struct kms_port *source = port ? port_of(port) : NULL;

	if (hub->source == source)
		return;
	hub->source = source;
	SL_LIST_EACH(it, tmp, &hub->hub.o.children)
		kms_graph_changed(&port_at(it)->e);
}

static void set_source(struct kms_object *o, struct kms_call *call)
{
	struct kms_port *source = own_port(o, call, "source");

	if (!source)
		return;
	kms_one_to_many_choose(o, &source->e);
	kms_done(call);
}

static void remove_source(struct kms_object *o, struct kms_call *call)
{
	kms_one_to_many_choose(o, NULL);
	kms_done(call);
}

static bool one_to_many_init(struct kms_object *o, struct kms_call *call)
{
	(void)call;
	((struct kms_hub *)(void *)o)->port_ops = &one_to_many_port;
	return true;
}

const struct kms_impl kms_one_to_many_impl = {
	.name = "DispatcherOneToMany",
	.size = sizeof(struct kms_one_to_many),
	.init = one_to_many_init,
	.methods = (const struct kms_method_impl[]){
		{"setSource", set_source},
		{"removeSource", remove_source},
		{0},
	},
};

/* ---- what all hubs and ports do ---- */

const struct kms_impl kms_hub_impl = {
	.name = "Hub",
	.size = sizeof(struct kms_hub),
	.methods = (const struct kms_method_impl[]){
		{"getGstreamerDot", kms_dot_get},
		{"dumpGstreamerDot", kms_dot_dump},
		{0},
	},
};

static bool port_init(struct kms_object *o, struct kms_call *call)
{
	struct kms_port *p = (struct kms_port *)(void *)o;
	struct kms_hub *hub = (struct kms_hub *)(void *)o->parent;

	(void)call;
	sl_list_init(&p->fed);
	sl_list_init(&p->in_fed);
	p->e.ops = hub->port_ops;
	kms_graph_changed(&p->e);
	return true;
}

/* Takes a port whose hub is ending, too, and a half-made one. */
static void port_fini(struct kms_object *o)
{
	struct kms_port *p = (struct kms_port *)(void *)o;

	if (!p->fed.next)
		return;
	while (!sl_list_empty(&p->fed))
		kms_dispatcher_feed(&SL_LIST_AT(p->fed.next, struct kms_port, in_fed)->e, NULL);
	sl_list_del(&p->in_fed);
	if (p->e.ops == &one_to_many_port && one_to_many_of(&p->e)->source == p)
		kms_one_to_many_choose(o->parent, NULL);
}

const struct kms_impl kms_hub_port_impl = {
	.name = "HubPort",
	.size = sizeof(struct kms_port),
	.init = port_init,
	.fini = port_fini,
	.methods = (const struct kms_method_impl[]){{0}},
};

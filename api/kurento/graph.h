/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/graph.h — connections of elements, and how they become routes: what element.c, hub.c and tests need.
 * What:      a link joins a source and a sink for one kind of media. What changed is noted in the elements and worked
 *            off at the end of the turn: from there downstream, every endpoint's subscribers are told their publisher,
 *            and every element between endpoints learns whether media flows through it. One turn looks at each input
 *            and each output once, so circles end it, too.
 * Routes:    a struct kms_route remembers what core was told last, so that only differences are sent. What core
 *            refuses (a full mailbox) is tried again later, until it is not wanted any more.
 * Threads:   the control thread only.
 * Start at:  kms_graph_flush() in graph.c. */
#ifndef SL_KMS_GRAPH_H
#define SL_KMS_GRAPH_H
#include "api/kurento/kms.h"
#include <uv.h>

typedef int kms_route_fn(struct sl_core *core, uint64_t subscriber, uint64_t publisher,
			 sl_reply_fn *fn, void *arg);

struct kms_graph {
	/* borrowed */
	struct kms *k;
	kms_route_fn *set_route;        /* sl_core_route; tests have their own */
	/* state */
	uv_timer_t timer;               /* the end of this turn, or the next try */
	struct sl_list changed;         /* elements, by their due */
	struct sl_list again;           /* routes that core refused, by their in_again */
	uint64_t turn;
	uint64_t look;                  /* origins that were found since it began hold */
	uint64_t again_ms;              /* until the next try; doubled by each failure */
};

/* Of one subscriber of an endpoint. It outlives the element while core owes an answer. */
struct kms_route {
	struct kms_element *element;    /* NULL: gone */
	struct sl_list in_element, in_again;
	enum sl_kind kind;
	unsigned unit;
	uint64_t subscriber;
	uint64_t wanted, told, asking;  /* publishers; told: core has it; asking: on the way */
	bool asked;
};

/* A connection to be; NULL: out of memory. Then it is in force, and what fed the sink is unlinked. */
struct kms_link *kms_link_new(struct kms_element *source, struct kms_element *sink,
			      enum kms_media media) SL_MUST_USE;
void kms_link_add(struct kms_link *l);
/* Nobody feeds that sink any more. */
void kms_unlink(struct kms_element *sink, enum kms_media media);
/* An element's own part of it; fini ends its connections and forgets its routes. */
void kms_graph_enter(struct kms_element *e);
void kms_graph_leave(struct kms_element *e);
/* Works off what changed; the timer calls it. */
void kms_graph_flush(struct kms_graph *g);
bool kms_is_endpoint(const struct kms_element *e);
/* ---- hub.c: ports are elements of class HubPort ---- */
/* What comes in at source_port comes out at sink_port; NULL: nothing. Both of one Dispatcher. */
void kms_dispatcher_feed(struct kms_element *sink_port, struct kms_element *source_port);
/* What comes in at this port comes out at all others of a DispatcherOneToMany; NULL: nothing. */
void kms_one_to_many_choose(struct kms_object *hub, struct kms_element *port);
/* ---- element.c ---- */
/* The word of MediaType. */
const char *kms_media_word(enum kms_media media);
#endif

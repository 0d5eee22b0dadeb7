/* SPDX-License-Identifier: Apache-2.0
 * core/base/list.h — intrusive circular list. A node that is in no list points at itself. */
#ifndef SL_LIST_H
#define SL_LIST_H
#include "core/base/base.h"

struct sl_list {
	struct sl_list *next, *prev;
};

static inline void sl_list_init(struct sl_list *l)
{
	l->next = l->prev = l;
}

static inline bool sl_list_empty(const struct sl_list *l)
{
	return l->next == l;
}

/* Before `at`: given the head, at the tail. */
static inline void sl_list_add(struct sl_list *at, struct sl_list *node)
{
	node->next = at;
	node->prev = at->prev;
	at->prev->next = node;
	at->prev = node;
}

/* Safe on a node that is in no list, or zeroed. */
static inline void sl_list_del(struct sl_list *node)
{
	if (!node->next)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	sl_list_init(node);
}

#define SL_LIST_AT(node, type, member) SL_CONTAINER(node, type, member)
/* The body may delete `it`, nothing else. `head` is a struct sl_list *. */
#define SL_LIST_EACH(it, tmp, head)                                            \
	for (struct sl_list *it = (head)->next, *tmp = it->next; it != (head); \
	     it = tmp, tmp = it->next)
#endif

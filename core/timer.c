/* SPDX-License-Identifier: Apache-2.0 */
#include "core/core_int.h"

enum { LEVELS = 4, BITS = 6, SLOTS = 1 << BITS };

void sl_wheel_init(struct sl_wheel *w, int64_t now_us)
{
	memset(w, 0, sizeof(*w));
	for (int l = 0; l < LEVELS; l++)
		for (int i = 0; i < SLOTS; i++)
			sl_list_init(&w->slots[l][i]);
	w->tick = (uint64_t)(now_us / SL_MS);
}

void sl_timer_init(struct sl_timer *t, void (*fire)(struct sl_timer *t, int64_t now_us))
{
	sl_list_init(&t->node);
	t->due_us = SL_NEVER;
	t->fire = fire;
}

/* A timer runs in the tick after its deadline, never before it. */
static uint64_t tick_of(int64_t due_us)
{
	return (uint64_t)((due_us + SL_MS - 1) / SL_MS);
}

static void place(struct sl_wheel *w, struct sl_timer *t)
{
	uint64_t at = SL_MAX(tick_of(SL_MAX(t->due_us, 0)), w->tick);
	uint64_t ahead = at - w->tick;
	int level = 0;
	size_t slot;

	while (level < LEVELS - 1 && ahead >> (BITS * (level + 1)))
		level++;
	if (ahead >> (BITS * LEVELS))
		at = w->tick + (UINT64_C(1) << (BITS * LEVELS)) - 1;
	slot = (at >> (BITS * level)) & (SLOTS - 1);
	sl_list_add(&w->slots[level][slot], &t->node);
	w->used[level] |= UINT64_C(1) << slot;
}

void sl_timer_arm(struct sl_wheel *w, struct sl_timer *t, int64_t due_us)
{
	if (t->due_us == due_us)
		return;
	if (t->due_us != SL_NEVER) {
		sl_list_del(&t->node);
		w->armed--;
	}
	t->due_us = due_us;
	if (due_us == SL_NEVER)
		return;
	w->armed++;
	place(w, t);
}

void sl_timer_arm_by(struct sl_wheel *w, struct sl_timer *t, int64_t due_us)
{
	if (due_us < t->due_us)
		sl_timer_arm(w, t, due_us);
}

/* Spreads one slot of an upper level over the levels below it. */
static void cascade(struct sl_wheel *w, int level)
{
	size_t slot = (w->tick >> (BITS * level)) & (SLOTS - 1);
	struct sl_list *head = &w->slots[level][slot];
	struct sl_list moved;

	if (slot == 0 && level + 1 < LEVELS)
		cascade(w, level + 1);
	if (sl_list_empty(head))
		return;
	sl_list_init(&moved);
	while (!sl_list_empty(head)) {
		struct sl_list *n = head->next;

		sl_list_del(n);
		sl_list_add(&moved, n);
	}
	w->used[level] &= ~(UINT64_C(1) << slot);
	while (!sl_list_empty(&moved)) {
		struct sl_list *n = moved.next;

		sl_list_del(n);
		place(w, SL_LIST_AT(n, struct sl_timer, node));
	}
}

static void run_slot(struct sl_wheel *w, int64_t now_us)
{
	size_t slot = w->tick & (SLOTS - 1);
	struct sl_list *head = &w->slots[0][slot];
	struct sl_list due;

	w->used[0] &= ~(UINT64_C(1) << slot);
	sl_list_init(&due);
	while (!sl_list_empty(head)) {
		struct sl_list *n = head->next;

		sl_list_del(n);
		sl_list_add(&due, n);
	}
	w->tick++; /* what is armed from now on for "at once" runs in the next tick */
	if ((w->tick & (SLOTS - 1)) == 0)
		cascade(w, 1);
	while (!sl_list_empty(&due)) {
		struct sl_timer *t = SL_LIST_AT(due.next, struct sl_timer, node);

		sl_list_del(&t->node);
		t->due_us = SL_NEVER;
		w->armed--;
		t->fire(t, now_us);
	}
}

void sl_wheel_advance(struct sl_wheel *w, int64_t now_us)
{
	uint64_t until = (uint64_t)(now_us / SL_MS);

	while (w->tick <= until) {
		if (w->armed == 0) {
			w->tick = until + 1;
			return;
		}
		run_slot(w, now_us);
	}
}

static int first_from(uint64_t used, size_t from)
{
	uint64_t turned = from ? used >> from | used << (SLOTS - from) : used;

	return turned ? __builtin_ctzll(turned) : -1;
}

int64_t sl_wheel_next_us(const struct sl_wheel *w)
{
	int64_t next = SL_NEVER;

	if (w->armed == 0)
		return SL_NEVER;
	for (int l = 0; l < LEVELS; l++) {
		/* An upper level's slot that is under way has been spread already: what it holds
		 * now is a whole turn ahead. */
		uint64_t base = (w->tick >> (BITS * l)) + (l > 0);
		int ahead = first_from(w->used[l], base & (SLOTS - 1));
		int64_t at;

		if (ahead < 0)
			continue;
		at = (int64_t)((base + (uint64_t)ahead) << (BITS * l)) * SL_MS;
		next = SL_MIN(next, at);
	}
	return next;
}

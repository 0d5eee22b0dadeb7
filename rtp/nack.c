/* SPDX-License-Identifier: Apache-2.0
 * rtp/nack.c — which packets to ask for again, when, and how often. A bitmap knows what came of the
 * last 1024 numbers; a short ascending list holds what is missing and still worth asking for.
 * Nothing waits for a missing packet: it leaves the list when it comes, after SL_NACK_TRIES, after
 * a second, or when newer ones need the room. */
#include "rtp/rtp.h"

enum { REORDER_PKTS = 3 };
#define REORDER_US (10 * SL_MS)
#define PACE_MIN_US (20 * SL_MS)
#define LIFE_US SL_SEC

void sl_nack_init(struct sl_nack *n)
{
	memset(n, 0, sizeof(*n));
	n->rtt_us = 100 * SL_MS;
}

void sl_nack_set_rtt(struct sl_nack *n, int64_t rtt_us)
{
	n->rtt_us = SL_MIN(SL_MAX(rtt_us, 0), LIFE_US);
}

static void have_set(struct sl_nack *n, uint64_t seq)
{
	n->have[seq % SL_NACK_WINDOW / 64] |= UINT64_C(1) << seq % 64;
}

static void have_clear(struct sl_nack *n, uint64_t seq)
{
	n->have[seq % SL_NACK_WINDOW / 64] &= ~(UINT64_C(1) << seq % 64);
}

static bool have(const struct sl_nack *n, uint64_t seq)
{
	return n->have[seq % SL_NACK_WINDOW / 64] >> seq % 64 & 1;
}

static uint64_t miss_seq(const struct sl_nack *n, const struct sl_nack_miss *m)
{
	return sl_seq32_extend(n->next, m->seq);
}

static void remove_at(struct sl_nack *n, uint32_t at, uint32_t count)
{
	n->missing -= count;
	memmove(&n->m[at], &n->m[at + count], (n->missing - at) * sizeof(n->m[0]));
}

static void give_up_oldest(struct sl_nack *n, uint32_t count)
{
	if (count == 0)
		return;
	n->give_up = true;
	remove_at(n, 0, count);
}

/* Index of the first entry that is not below seq. */
static uint32_t find(const struct sl_nack *n, uint64_t seq)
{
	uint32_t lo = 0, hi = n->missing;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (miss_seq(n, &n->m[mid]) < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The numbers first .. first + gap - 1 are missing. */
static void add_gap(struct sl_nack *n, uint64_t first, uint64_t gap, int64_t now_us)
{
	uint32_t room = SL_NACK_MISSING - n->missing;

	if (gap > SL_NACK_MISSING) {
		n->give_up = true;
		return;
	}
	if (gap > room)
		give_up_oldest(n, (uint32_t)gap - room);
	for (uint64_t i = 0; i < gap; i++)
		n->m[n->missing++] = (struct sl_nack_miss){
			.seen_us = now_us,
			.seq = (uint32_t)(first + i),
			.mark = n->arrived - 1,
		};
}

static void advance(struct sl_nack *n, uint64_t seq, int64_t now_us)
{
	uint64_t first = n->next;
	uint64_t gap = seq - first;

	if (gap >= SL_NACK_WINDOW)
		memset(n->have, 0, sizeof(n->have));
	else
		for (uint64_t s = first; s < seq; s++)
			have_clear(n, s);
	have_set(n, seq);
	n->next = seq + 1;
	n->arrived++;
	if (n->next > SL_NACK_WINDOW)
		give_up_oldest(n, find(n, n->next - SL_NACK_WINDOW));
	add_gap(n, first, gap, now_us);
}

bool sl_nack_seen(struct sl_nack *n, uint64_t seq, int64_t now_us)
{
	uint32_t at;

	if (!n->started) {
		n->started = true;
		n->next = seq;
	}
	if (seq >= n->next) {
		advance(n, seq, now_us);
		return true;
	}
	if (n->next - seq > SL_NACK_WINDOW || have(n, seq))
		return false;
	have_set(n, seq);
	at = find(n, seq);
	if (at < n->missing && miss_seq(n, &n->m[at]) == seq)
		remove_at(n, at, 1);
	return true;
}

/* Growing by a quarter from try to try: ten of them take 18 round trips. */
static int64_t pace_us(const struct sl_nack *n, uint8_t tries)
{
	return SL_MAX(n->rtt_us, PACE_MIN_US) * (3 + tries) / 4;
}

static int64_t due_us(const struct sl_nack *n, const struct sl_nack_miss *m)
{
	if (m->tries > 0)
		return m->seen_us + m->asked_us + pace_us(n, m->tries);
	return n->arrived - m->mark >= REORDER_PKTS ? m->seen_us : m->seen_us + REORDER_US;
}

static bool is_hopeless(const struct sl_nack *n, const struct sl_nack_miss *m, int64_t now_us)
{
	if (now_us - m->seen_us >= LIFE_US)
		return true;
	return m->tries == SL_NACK_TRIES && due_us(n, m) <= now_us;
}

int sl_nack_poll(struct sl_nack *n, int64_t now_us, uint64_t *lost, int cap)
{
	uint32_t kept = 0;
	int asked = 0;

	for (uint32_t i = 0; i < n->missing; i++) {
		struct sl_nack_miss m = n->m[i];

		if (is_hopeless(n, &m, now_us)) {
			n->give_up = true;
			continue;
		}
		if (asked < cap && due_us(n, &m) <= now_us) {
			lost[asked++] = miss_seq(n, &m);
			m.asked_us = (uint32_t)(now_us - m.seen_us);
			m.tries++;
		}
		n->m[kept++] = m;
	}
	n->missing = kept;
	return asked;
}

int64_t sl_nack_deadline_us(const struct sl_nack *n)
{
	int64_t deadline_us = SL_NEVER;

	for (uint32_t i = 0; i < n->missing; i++) {
		const struct sl_nack_miss *m = &n->m[i];

		deadline_us = SL_MIN(deadline_us, SL_MIN(due_us(n, m), m->seen_us + LIFE_US));
	}
	return deadline_us;
}

/* SPDX-License-Identifier: Apache-2.0
 * core/base/hash.c — linear probing over small slots that point into an array of entries. Entries
 * never move, so a walk over them survives deletions; slots close their gaps at once, so there are
 * no tombstones. */
#include "core/base/hash.h"
#include "core/base/mem.h"

enum { FIRST_SLOTS = 256 };

/* entry 0 = free, else index + 1 */
struct sl_hash_slot {
	uint32_t hash, entry;
};

struct sl_hash_entry {
	void *value;	    /* NULL: on the free list */
	uint32_t next_free; /* index + 1, 0 = end */
	uint32_t key_len;
	uint8_t key[SL_HASH_KEY_MAX];
};

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

/* Little endian, up to 8 bytes. */
static uint64_t sip_word(const uint8_t *p, size_t n)
{
	uint64_t w = 0;

	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF", with c = 1 and d = 3. */
uint64_t sl_siphash13(const uint64_t secret[2], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4] = {
		secret[0] ^ UINT64_C(0x736f6d6570736575),
		secret[1] ^ UINT64_C(0x646f72616e646f6d),
		secret[0] ^ UINT64_C(0x6c7967656e657261),
		secret[1] ^ UINT64_C(0x7465646279746573),
	};
	size_t whole = len & ~(size_t)7;

	for (size_t i = 0; i <= whole; i += 8) {
		uint64_t m = i < whole ? sip_word(p + i, 8) : (uint64_t)len << 56;

		if (i == whole && len > whole)
			m |= sip_word(p + i, len - whole);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int sl_hash_init(struct sl_hash *h, uint32_t max, const uint64_t secret[2])
{
	uint32_t n = 4;

	SL_ASSERT(max <= UINT32_C(1) << 30);
	while (n < 2 * max && n < FIRST_SLOTS)
		n *= 2;
	*h = (struct sl_hash){.mask = n - 1, .secret = {secret[0], secret[1]}};
	h->slots = sl_zalloc_array(n, sizeof(*h->slots));
	h->entries = sl_zalloc_array(max, sizeof(*h->entries));
	if (!h->slots || !h->entries) {
		sl_hash_fini(h);
		return SL_ENOMEM;
	}
	h->max = max;
	return SL_OK;
}

void sl_hash_fini(struct sl_hash *h)
{
	sl_free(h->slots);
	sl_free(h->entries);
	*h = (struct sl_hash){0};
}

static bool key_is(const struct sl_hash_entry *e, const void *key, size_t key_len)
{
	return e->key_len == key_len && (key_len == 0 || memcmp(e->key, key, key_len) == 0);
}

/* The slot that holds the key, or the free one where its probing ends. */
static struct sl_hash_slot *find(const struct sl_hash *h, uint32_t hash, const void *key,
				 size_t key_len)
{
	uint32_t i = hash & h->mask;

	for (; h->slots[i].entry != 0; i = (i + 1) & h->mask)
		if (h->slots[i].hash == hash &&
		    key_is(&h->entries[h->slots[i].entry - 1], key, key_len))
			break;
	return &h->slots[i];
}

static uint32_t hash_of(const struct sl_hash *h, const void *key, size_t key_len)
{
	return (uint32_t)sl_siphash13(h->secret, key, key_len);
}

static uint32_t take_entry(struct sl_hash *h)
{
	uint32_t entry = h->free_head;

	if (entry == 0)
		return ++h->touched;
	h->free_head = h->entries[entry - 1].next_free;
	return entry;
}

/* Keys that are spread over a table for all that may ever come would each touch a page of their
 * own. */
static bool grow(struct sl_hash *h)
{
	uint32_t mask = h->mask * 2 + 1;
	struct sl_hash_slot *slots = sl_zalloc_array((size_t)mask + 1, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t i = 0; i <= h->mask; i++) {
		uint32_t to = h->slots[i].hash & mask;

		if (h->slots[i].entry == 0)
			continue;
		while (slots[to].entry != 0)
			to = (to + 1) & mask;
		slots[to] = h->slots[i];
	}
	sl_free(h->slots);
	h->slots = slots;
	h->mask = mask;
	return true;
}

/* Half of the slots are to be free; a quarter has to be. */
static bool has_room(struct sl_hash *h)
{
	uint64_t slots = (uint64_t)h->mask + 1;
	uint64_t count = (uint64_t)h->count + 1;

	return 2 * count <= slots || grow(h) || 4 * count <= 3 * slots;
}

int sl_hash_put(struct sl_hash *h, const void *key, size_t key_len, void *value)
{
	struct sl_hash_slot *slot;
	struct sl_hash_entry *e;

	SL_ASSERT(value);
	if (key_len > SL_HASH_KEY_MAX)
		return SL_ERANGE;
	if (!h->slots)
		return SL_EFULL;
	slot = find(h, hash_of(h, key, key_len), key, key_len);
	if (slot->entry == 0) {
		if (h->count == h->max)
			return SL_EFULL;
		if (!has_room(h))
			return SL_ENOMEM;
		slot = find(h, hash_of(h, key, key_len), key, key_len);
		slot->hash = hash_of(h, key, key_len);
		slot->entry = take_entry(h);
		e = &h->entries[slot->entry - 1];
		e->key_len = (uint32_t)key_len;
		if (key_len)
			memcpy(e->key, key, key_len);
		h->count++;
	}
	h->entries[slot->entry - 1].value = value;
	return SL_OK;
}

void *sl_hash_get(const struct sl_hash *h, const void *key, size_t key_len)
{
	const struct sl_hash_slot *slot;

	if (h->count == 0 || key_len > SL_HASH_KEY_MAX)
		return NULL;
	slot = find(h, hash_of(h, key, key_len), key, key_len);
	return slot->entry ? h->entries[slot->entry - 1].value : NULL;
}

/* Knuth, volume 3, section 6.4, algorithm R: moves back what would not be found across the gap at
 * i. */
static void close_gap(struct sl_hash *h, uint32_t i)
{
	uint32_t j = i;

	for (;;) {
		uint32_t home;

		j = (j + 1) & h->mask;
		if (h->slots[j].entry == 0)
			break;
		home = h->slots[j].hash & h->mask;
		if (((j - home) & h->mask) < ((j - i) & h->mask))
			continue;
		h->slots[i] = h->slots[j];
		i = j;
	}
	h->slots[i] = (struct sl_hash_slot){0};
}

void *sl_hash_del(struct sl_hash *h, const void *key, size_t key_len)
{
	struct sl_hash_slot *slot;
	struct sl_hash_entry *e;
	uint32_t entry;
	void *value;

	if (h->count == 0 || key_len > SL_HASH_KEY_MAX)
		return NULL;
	slot = find(h, hash_of(h, key, key_len), key, key_len);
	entry = slot->entry;
	if (entry == 0)
		return NULL;
	e = &h->entries[entry - 1];
	value = e->value;
	*e = (struct sl_hash_entry){.next_free = h->free_head};
	h->free_head = entry;
	h->count--;
	close_gap(h, (uint32_t)(slot - h->slots));
	return value;
}

void *sl_hash_next(const struct sl_hash *h, uint32_t *cursor)
{
	while (*cursor < h->touched) {
		void *value = h->entries[(*cursor)++].value;

		if (value)
			return value;
	}
	return NULL;
}

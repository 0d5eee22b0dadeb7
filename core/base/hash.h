/* SPDX-License-Identifier: Apache-2.0
 * core/base/hash.h — table from a short key of bytes to a pointer: address, ufrag, SSRC, name →
 * object. Open addressing, keyed hash (SipHash-1-3 with a secret of the loop), so that peers cannot
 * choose collisions. Entries have their room from the start, which costs nothing until it is used;
 * the slots double as they fill. Not thread-safe. */
#ifndef SL_HASH_H
#define SL_HASH_H
#include "core/base/base.h"

enum { SL_HASH_KEY_MAX = 72 };

struct sl_hash {
	/* owned */
	struct sl_hash_slot *slots;
	struct sl_hash_entry *entries;
	/* state */
	uint64_t secret[2];
	uint32_t mask, count, max;
	uint32_t touched, free_head;    /* entries ever used; free list among them */
};

/* Keys may have any length up to SL_HASH_KEY_MAX and are copied. Returns SL_OK or SL_ENOMEM. */
SL_MUST_USE int sl_hash_init(struct sl_hash *h, uint32_t max, const uint64_t secret[2]);
void sl_hash_fini(struct sl_hash *h);
/* Adds or replaces. SL_EFULL at max entries, SL_ERANGE for a key that is too long, SL_ENOMEM when
 * the slots are nearly full and cannot grow. value must not be NULL. */
SL_MUST_USE int sl_hash_put(struct sl_hash *h, const void *key, size_t key_len, void *value);
void *sl_hash_get(const struct sl_hash *h, const void *key, size_t key_len);
/* Removes and returns what was there, or NULL. */
void *sl_hash_del(struct sl_hash *h, const void *key, size_t key_len);
/* Walks the values: start with *cursor = 0; NULL at the end. The entry just returned may be
 * deleted. */
void *sl_hash_next(const struct sl_hash *h, uint32_t *cursor);
uint64_t sl_siphash13(const uint64_t secret[2], const void *data, size_t len);
#endif

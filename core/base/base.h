/* SPDX-License-Identifier: Apache-2.0
 * core/base/base.h — what every file of sluice may assume.
 * What:      error codes, attributes, assertions. The rest of core/base has a header per noun:
 *            bytes.h, seq.h, list.h, mem.h, pool.h, arena.h, hash.h, str.h, addr.h, log.h, stat.h,
 *            queue.h, rng.h, digest.h.
 * Errors:    functions return 0 or a count, negative enum sl_err on failure. Three kinds, three
 *            treatments: a peer's fault is counted and dropped; our limit is returned to the
 *            caller, who sheds load in a documented order; our bug aborts (SL_ASSERT) or closes the
 *            one session it concerns (SL_BUG).
 * Time:      int64_t microseconds of CLOCK_MONOTONIC, always passed in, never read here. SL_NEVER
 *            means no deadline.
 * Start at:  bytes.h, the only way to read or write what comes from the network. */
#ifndef SL_BASE_H
#define SL_BASE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SL_ERRORS(X)                                              \
	X(ENOMEM, 1, "out of memory")                             \
	X(EPARSE, 2, "malformed input from the peer")             \
	X(EFULL, 3, "a fixed limit was reached")                  \
	X(EAUTH, 4, "authentication failed")                      \
	X(EREPLAY, 5, "seen before, or too old to tell")          \
	X(ESTATE, 6, "not possible in the present state")         \
	X(ENOTFOUND, 7, "no such object")                         \
	X(EEXIST, 8, "it exists already")                         \
	X(EUNSUPPORTED, 9, "not supported")                       \
	X(ERANGE, 10, "value out of range")                       \
	X(EIO, 11, "the operating system refused")                \
	X(EBUSY, 12, "overloaded, try again later")               \
	X(EAGAIN, 13, "nothing to do now")
enum sl_err {
	SL_OK = 0,
#define X(name, n, text) SL_##name = -(n),
	SL_ERRORS(X)
#undef X
};

/* Sentence for an error, in static storage; "unknown error" for anything else. */
const char *sl_strerror(int err);

#define SL_NEVER INT64_MAX
#define SL_MUST_USE __attribute__((warn_unused_result))
#define SL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SL_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SL_MAX(a, b) ((a) > (b) ? (a) : (b))
#define SL_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#define SL_MS INT64_C(1000)
#define SL_SEC INT64_C(1000000)

/* Our bug, memory safety at stake: aborts in every build. Never on anything a peer can cause. */
#define SL_ASSERT(c) ((c) ? (void)0 : sl_assert_failed(#c, __FILE__, __LINE__))
void sl_assert_failed(const char *what, const char *file, int line) __attribute__((noreturn, cold));

/* Loads and stores of a word that one thread writes and others read. */
#define SL_LOAD(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define SL_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#endif

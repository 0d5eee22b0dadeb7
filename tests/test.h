/* SPDX-License-Identifier: Apache-2.0
 * tests/test.h — a test is a sentence and registers itself; cmocka runs it.
 * Each test runs twice: as it is, and (--oom) again and again with allocation 0, 1, 2, ... failing
 * until it passes untouched (200 times at most; --oom=5 takes every fifth). For that a test gets
 * its objects through TRY() and gives them back through DEFER(): a run in which TRY() sees
 * SL_ENOMEM ends there, and the leak check still holds. */
#ifndef SL_TEST_H
#define SL_TEST_H
#include "core/base/base.h"
#include <stdio.h>

struct sl_test {
	const char *name;
	void (*run)(void);
	struct sl_test *next;
};
void sl_test_add(struct sl_test *t);

/* Defining a test registers it: no list to keep. */
#define TEST(id)                                                                              \
	static void id(void);                                                                 \
	static struct sl_test id##_test = {.name = #id, .run = id};                           \
	__attribute__((constructor)) static void id##_add(void) { sl_test_add(&id##_test); }  \
	static void id(void)

void sl_test_failed(const char *file, int line, const char *fmt, ...) SL_PRINTF(3, 4)
	__attribute__((noreturn));
void sl_test_skip(const char *why) __attribute__((noreturn));
/* Called in reverse order when the test ends, however it ends. arg may be a local of the test
 * itself, but not of a function that the test calls. */
void sl_test_defer(void (*fn)(void *), void *arg);
#define DEFER(fn, arg) sl_test_defer((void (*)(void *))(fn), (arg))
/* True once the allocation of this run has failed. */
bool sl_test_oom_fired(void);
/* Ends this run quietly: only for a run in which an allocation failed. */
void sl_test_oom_stop(void) __attribute__((noreturn));

#define CHECK(c)                                                                              \
	do {                                                                                  \
		if (!(c))                                                                     \
			sl_test_failed(__FILE__, __LINE__, "%s", #c);                         \
	} while (0)
#define CHECK_EQ(a, b)                                                                        \
	do {                                                                                  \
		long long a_ = (long long)(a), b_ = (long long)(b);                           \
		if (a_ != b_)                                                                 \
			sl_test_failed(__FILE__, __LINE__, "%s = %lld, want %lld", #a, a_, b_);\
	} while (0)
#define CHECK_STR(a, b)                                                                       \
	do {                                                                                  \
		const char *a_ = (a), *b_ = (b);                                              \
		if (!a_ || strcmp(a_, b_) != 0)                                               \
			sl_test_failed(__FILE__, __LINE__, "%s = \"%s\", want \"%s\"", #a,    \
				       a_ ? a_ : "(null)", b_);                               \
	} while (0)
#define CHECK_BYTES(a, b, n)                                                                  \
	do {                                                                                  \
		if (memcmp((a), (b), (n)) != 0)                                               \
			sl_test_failed(__FILE__, __LINE__, "%s differs from %s", #a, #b);     \
	} while (0)
/* A call that must succeed, or say SL_ENOMEM in a run whose allocation failed. */
#define TRY(call)                                                                             \
	do {                                                                                  \
		int err_ = (call);                                                            \
		if (err_ == SL_ENOMEM && sl_test_oom_fired())                                 \
			sl_test_oom_stop();                                                   \
		if (err_ < 0)                                                                 \
			sl_test_failed(__FILE__, __LINE__, "%s: error %d", #call, err_);      \
	} while (0)

struct sl_rng;
/* The seeded generator: same seed, same bytes. State is static per call site's struct. */
struct sl_test_rng {
	uint64_t s;
};
struct sl_rng sl_test_rng(struct sl_test_rng *state, uint64_t seed);
#endif

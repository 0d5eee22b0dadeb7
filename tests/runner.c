/* SPDX-License-Identifier: Apache-2.0 — runs the registered tests under cmocka, or each under
 * failing allocations. */
#include "tests/test.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TESTS_MAX = 2000, DEFERS_MAX = 256, OOM_RUNS_MAX = 200, GAP_LEN = 1 << 18 };

static struct sl_test *all;
static struct {
	void (*fn)(void *);
	void *arg;
} defers[DEFERS_MAX];
static size_t defer_count;

static _Thread_local bool armed;
static _Thread_local bool
	counted; /* the gate has counted this one: calloc must not count it again */
static long countdown;
static bool fired, oom_mode;
static jmp_buf oom_jump;

static bool gate(size_t size)
{
	(void)size;
	counted = true;
	if (!armed || fired || countdown-- != 0)
		return true;
	fired = true;
	counted = false;
	return false;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
/* What libraries take from the heap fails too. */
extern void *__libc_calloc(size_t n, size_t size);
void *calloc(size_t n, size_t size)
{
	if (counted)
		counted = false;
	else if (!gate(n * size)) {
		errno = ENOMEM; /* pthread_create() insists on it */
		return NULL;
	}
	counted = false;
	return __libc_calloc(n, size);
}
#endif

void sl_test_add(struct sl_test *t)
{
	t->next = all;
	all = t;
}

void sl_test_defer(void (*fn)(void *), void *arg)
{
	SL_ASSERT(defer_count < DEFERS_MAX);
	defers[defer_count].fn = fn;
	defers[defer_count++].arg = arg;
}

static void run_defers(void)
{
	armed = false;
	while (defer_count > 0) {
		defer_count--;
		defers[defer_count].fn(defers[defer_count].arg);
	}
}

bool sl_test_oom_fired(void)
{
	return fired;
}

void sl_test_oom_stop(void)
{
	longjmp(oom_jump, 1);
}

void sl_test_failed(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	armed = false;
	fprintf(stderr, "%s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (oom_mode)
		longjmp(oom_jump, 2);
	_fail(file, line);
	abort();
}

void sl_test_skip(const char *why)
{
	fprintf(stderr, "skipped: %s\n", why);
	_skip(why, 0);
	abort();
}

static void xorshift(void *state, void *out, size_t n)
{
	struct sl_test_rng *r = state;
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++) {
		r->s ^= r->s << 13;
		r->s ^= r->s >> 7;
		r->s ^= r->s << 17;
		p[i] = (uint8_t)(r->s >> 24);
	}
}

struct sl_rng sl_test_rng(struct sl_test_rng *state, uint64_t seed)
{
	state->s = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	return (struct sl_rng){.fill = xorshift, .state = state};
}

/* What a test defers may be a local of its own: its frame lies below a gap that the clean-up does
 * not reach, so that the local still has its value when the test has returned or jumped out. */
static __attribute__((noinline)) void run_below_gap(const struct sl_test *t)
{
	volatile char gap[GAP_LEN];

	gap[0] = gap[GAP_LEN - 1] = 0;
	t->run();
	gap[0] = 1; /* not a tail call */
}

static void run_plain(void **state)
{
	const struct sl_test *t = *state;
	uint64_t live = sl_mem_stat().live;

	run_below_gap(t);
	run_defers();
	CHECK_EQ(sl_mem_stat().live, live);
}

static int after_plain(void **state)
{
	(void)state;
	run_defers();
	return 0;
}

/* One test, its nth allocation failing. 0: it ran with nothing left to fail; 1: go on; 2: it
 * failed. */
static int run_failing(const struct sl_test *t, long nth)
{
	uint64_t live = sl_mem_stat().live;
	int how;

	countdown = nth;
	fired = false;
	how = setjmp(oom_jump);
	if (how == 0) {
		armed = true;
		run_below_gap(t);
	}
	run_defers();
	if (how != 2 && sl_mem_stat().live != live) {
		fprintf(stderr, "%s: leaks %lld blocks when allocation %ld fails\n", t->name,
			(long long)(sl_mem_stat().live - live), nth);
		how = 2;
	}
	if (how == 2)
		fprintf(stderr, "%s: failed when allocation %ld failed\n", t->name, nth);
	return how == 2 ? 2 : fired;
}

/* Where a test begins when only each `stride`th allocation fails: tests begin differently, so that
 * together they still try each allocation of what most of them begin with. */
static long first_to_fail(const struct sl_test *t, long stride)
{
	long sum = 0;

	for (const char *p = t->name; *p; p++)
		sum = (sum * 31 + *p) % stride;
	return sum;
}

static int oom_all(const char *filter, const char *name, long stride)
{
	int passed = 0, failed = 0;

	oom_mode = true;
	for (const struct sl_test *t = all; t; t = t->next) {
		int how = 1;

		if (filter && !strstr(t->name, filter))
			continue;
		for (long nth = first_to_fail(t, stride); nth < OOM_RUNS_MAX && how == 1;
		     nth += stride)
			how = run_failing(t, nth);
		if (how == 2)
			failed++;
		else
			passed++;
	}
	printf("%s-oom: %d passed, %d failed\n", name, passed, failed);
	return failed > 0;
}

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[TESTS_MAX];
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	const char *filter = NULL;
	long stride = 0; /* 0: nothing fails */
	int n = 0;
	int failed;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--oom") == 0)
			stride = 1;
		else if (strncmp(argv[i], "--oom=", 6) == 0)
			stride = strtol(argv[i] + 6, NULL, 10);
		else
			filter = argv[i];
	SL_ASSERT(stride >= 0);
	sl_mem_set_gate(gate);
	if (stride)
		return oom_all(filter, name, stride);
	for (struct sl_test *t = all; t; t = t->next) {
		if (filter && !strstr(t->name, filter))
			continue;
		SL_ASSERT(n < TESTS_MAX);
		tests[n++] = (struct CMUnitTest){.name = t->name,
						 .test_func = run_plain,
						 .teardown_func = after_plain,
						 .initial_state = t};
	}
	failed = _cmocka_run_group_tests(name, tests, (size_t)n, NULL, NULL);
	printf("%s: %d passed, %d failed\n", name, n - failed, failed);
	return failed > 0;
}

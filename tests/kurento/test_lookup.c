/* SPDX-License-Identifier: Apache-2.0 */
#include "api/kurento/lookup.h"
#include "tests/kurento/peer.h"
#include <stdlib.h>
#include <uv.h>

static struct {
	int calls;
	struct sl_addr addr;
	char why[128];
} told;

static void no_work(uv_work_t *w)
{
	(void)w;
}

/* libuv starts the threads of its pool at their first use, and aborts where memory is out then:
 * they are there before any test. And a name server that does not answer is not waited for. */
static void __attribute__((constructor)) start_pool(void)
{
	uv_work_t work;
	uv_loop_t loop;

	(void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
	if (uv_loop_init(&loop) != 0)
		return;
	if (uv_queue_work(&loop, &work, no_work, NULL) == 0)
		uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
}

static void on_told(void *unused, const struct sl_addr *addr, const char *why)
{
	(void)unused;
	told.calls++;
	if (addr)
		told.addr = *addr;
	else
		(void)sl_fmt(told.why, sizeof(told.why), "%s", why);
}

/* Until the system has answered. */
static void wait_for_answers(void)
{
	for (int calls = told.calls; told.calls == calls;)
		uv_run(&world.loop, UV_RUN_ONCE);
}

static void begin(void)
{
	memset(&told, 0, sizeof(told));
}

TEST(the_address_of_a_name_is_asked_of_the_system)
{
	struct kms_lookup *l;

	WORLD();
	begin();
	TRY(kms_lookup(world.k, "localhost", on_told, NULL, &l));
	CHECK_EQ(told.calls, 0);
	wait_for_answers();
	STOP_AFTER_OOM();
	CHECK(sl_addr_is_loopback(&told.addr));
}

TEST(a_name_that_nobody_has_says_so)
{
	struct kms_lookup *l;

	WORLD();
	begin();
	/* RFC 6761 section 6.4: never there. */
	TRY(kms_lookup(world.k, "turn.invalid", on_told, NULL, &l));
	wait_for_answers();
	CHECK_EQ(told.addr.family, 0);
	CHECK(told.why[0]);
}

TEST(who_has_forgotten_a_lookup_is_not_told)
{
	struct kms_lookup *l;

	WORLD();
	begin();
	TRY(kms_lookup(world.k, "localhost", on_told, NULL, &l));
	kms_lookup_forget(l);
	uv_run(&world.loop, UV_RUN_NOWAIT);
	CHECK_EQ(told.calls, 0);
	kms_lookup_forget(NULL);
}

TEST(t46_what_is_no_name_is_never_asked_for)
{
	char name[301];
	struct kms_lookup *l;

	WORLD();
	begin();
	for (size_t len = 254; len <= 300; len++) {
		for (size_t i = 0; i < len; i++)
			name[i] = i % 50 == 49 ? '.' : 'a';
		name[len] = '\0';
		CHECK_EQ(kms_lookup(world.k, name, on_told, NULL, &l), SL_ERANGE);
	}
	static const char *const others[] = {"",	  ".",	      "a..b",	   "a b",
					     "a\xc3\xa4", "a/b",      "192.0.2.1", "2001:db8::1",
					     "a%00b",	  "1.2.3.256"};
	for (size_t i = 0; i < SL_COUNT(others); i++)
		CHECK_EQ(kms_lookup(world.k, others[i], on_told, NULL, &l), SL_ERANGE);
	CHECK_EQ(told.calls, 0);
}

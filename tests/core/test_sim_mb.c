/* SPDX-License-Identifier: Apache-2.0
 * Calls through loops that cipher by ipsec-mb, with peers that do not. */
#include "tests/core/call.h"

static int64_t still(void)
{
	return 0;
}

static void back_to_soft(void *unused)
{
	(void)unused;
	sl_srtp_use(&(struct sl_srtp_choice){.cm = SL_SRTP_SOFT, .gcm = SL_SRTP_SOFT});
}

/* Loops that are made from now on have managers. */
static void use_mb(void)
{
	struct sl_srtp_choice choice;
	int err = sl_srtp_choose(SL_STR("mb"), still, &choice);

	if (err == SL_EUNSUPPORTED)
		sl_test_skip("no ipsec-mb for this processor");
	TRY(err);
	DEFER(back_to_soft, NULL);
	sl_srtp_use(&choice);
}

static void check_call(const struct call *c)
{
	CHECK(c->s->now_us - c->screen->moved_us < 200 * SL_MS);
	CHECK_EQ(c->screen->altered + c->screen->backwards + c->b->p->bad_tags +
			 c->screen->replayed,
		 0);
	CHECK_EQ(sim_stat(c->s, SL_STAT_srtp_auth_failed) +
			 sim_stat(c->s, SL_STAT_srtcp_auth_failed) +
			 sim_stat(c->s, SL_STAT_srtp_seal_failed),
		 0);
}

TEST(a_call_with_loss_goes_through_a_loop_that_ciphers_in_batches)
{
	struct call c;

	sim_no_oom();
	use_mb();
	c = call_new(&(struct sim_conf){.seed = 501, .fixed_keys = true, .impl = SL_SRTP_MB}, 0);
	call_connect(&c);
	c.a->up.loss = c.b->down.loss = 5;
	sim_run(c.s, 20 * SL_SEC);
	CHECK(c.screen->decoded > 0);
	check_call(&c);
	call_end(&c);
}

TEST(a_loop_that_lacks_memory_for_a_manager_says_so)
{
	static struct sl_engine e;
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 1);
	struct sl_engine_conf conf = {
		.max_transports = 2, .max_tracks = 8, .max_packets = 64, .max_handshakes = 2};
	struct sl_engine_io io = {0};

	use_mb();
	TRY(sl_engine_init(&e, &conf, &io, &rng, 1));
	CHECK(e.srtp != NULL);
	sl_engine_fini(&e);
}

/* SPDX-License-Identifier: Apache-2.0 — sessions with the second certificate of the process. */
#include "tests/core/call.h"
#include <stdio.h>

static struct sl_cert *rsa;

static size_t read_file(const char *path, char *buf, size_t cap)
{
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(buf, 1, cap - 1, f) : 0;

	if (f)
		fclose(f);
	buf[n] = '\0';
	return n;
}

static void free_rsa(void *arg)
{
	(void)arg;
	sl_cert_free(rsa);
	rsa = NULL;
}

static void load_rsa(struct sim *s)
{
	char cert[8192], key[8192];

	read_file("tests/vectors/dtls/rsa-cert.pem", cert, sizeof(cert));
	read_file("tests/vectors/dtls/rsa-key.pem", key, sizeof(key));
	TRY(sl_cert_from_pem(sl_str_z(cert), sl_str_z(key), &s->rng, &rsa));
	DEFER(free_rsa, NULL);
	s->engines[0].conf.rsa = &rsa;
}

static struct sim_peer *with_rsa(struct sim *s, bool client)
{
	struct sim_peer *sp = sim_peer(s, 0);

	sp->peer_conf.dtls_client = client;
	sim_sends(sp, SL_OPUS, 0);
	sp->conf->rsa = true;
	sp->server_cert = rsa;
	return sp;
}

TEST(sessions_with_either_certificate_connect_side_by_side)
{
	struct sim_peer *a, *b;
	struct sim *s;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 631, .loops = 1});
	load_rsa(s);
	a = with_rsa(s, true);
	b = with_rsa(s, false);
	sim_open(a);
	sim_open(b);
	sim_wait_connected(a, 10 * SL_SEC);
	sim_wait_connected(b, 10 * SL_SEC);
	a = sim_peer(s, 0);
	sim_sends(a, SL_OPUS, 0);
	sim_open(a);
	sim_wait_connected(a, 10 * SL_SEC);
	for (unsigned i = 0; i < s->peer_count; i++)
		sim_close(s->peers[i]);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}

TEST(t05_who_was_promised_the_other_certificate_does_not_connect)
{
	struct sim_peer *sp;
	struct sim *s;

	sim_no_oom();
	s = sim_new(&(struct sim_conf){.seed = 632, .loops = 1});
	load_rsa(s);
	sp = with_rsa(s, false);
	sp->conf->rsa = false;
	sim_open(sp);
	sim_run(s, 5 * SL_SEC);
	CHECK(!sim_connected(sp));
	if (sim_transport(sp))
		sim_close(sp);
	sim_run(s, SL_SEC);
	sim_check_empty(s);
}

TEST(a_session_cannot_have_a_certificate_that_is_not_there)
{
	struct sim *s = sim_new(&(struct sim_conf){.seed = 633, .loops = 1});
	struct sim_peer *sp = with_rsa(s, false);
	int err = sim_try_open(sp);

	TRY(sl_test_oom_fired() ? SL_ENOMEM : SL_OK);
	CHECK_EQ(err, SL_ESTATE);
	sim_check_empty(s);
}

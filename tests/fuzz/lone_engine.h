/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/lone_engine.h — an engine without neighbours, and how a fuzz target's peer joins it. */
#ifndef TESTS_FUZZ_LONE_ENGINE_H
#define TESTS_FUZZ_LONE_ENGINE_H
#include "core/core_int.h"

static inline struct sl_relay_msg *lone_relay_slot(void *arg, unsigned loop, uint32_t reserve)
{
	(void)arg;
	(void)loop;
	(void)reserve;
	return NULL;
}

static inline void lone_relay_push(void *arg, unsigned loop)
{
	(void)arg;
	(void)loop;
}

/* Opens a transport for the agent `ice`, whose certificate is our own, and gives the agent what the
 * answer says. `c` has its tracks and roles. Returns the reply: the ids of transport and tracks. */
static inline const struct sl_reply *lone_open(struct sl_engine *e, struct sl_transport_conf *c,
					       struct sl_ice *ice, const struct sl_cert *cert,
					       int64_t now_us)
{
	static struct sl_cmd cmd;
	const struct sl_ice_creds *creds = sl_ice_local_creds(ice);
	struct sl_ice_cand server = {
		.addr = e->conf.locals[0].addr, .priority = 1, .foundation = "1"};
	bool ok;

	c->fingerprint_count = 1;
	sl_fmt(c->fingerprints[0].algorithm, sizeof(c->fingerprints[0].algorithm), "sha-256");
	sl_fmt(c->fingerprints[0].hex, sizeof(c->fingerprints[0].hex), "%s",
	       sl_cert_fingerprint(cert));
	sl_fmt(c->ufrag, sizeof(c->ufrag), "%s", creds->ufrag);
	sl_fmt(c->pwd, sizeof(c->pwd), "%s", creds->pwd);
	memset(&cmd, 0, sizeof(cmd));
	cmd.type = SL_CMD_OPEN;
	cmd.conf = c;
	sl_engine_command(e, &cmd, now_us);
	ok = cmd.reply.err == SL_OK &&
	     sl_ice_set_remote(ice, sl_str_z(cmd.reply.ufrag), sl_str_z(cmd.reply.pwd), now_us) ==
		     SL_OK &&
	     sl_ice_add_remote(ice, &server, now_us) == SL_OK;
	if (!ok)
		__builtin_trap();
	return &cmd.reply;
}
#endif

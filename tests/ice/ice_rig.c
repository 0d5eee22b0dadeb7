/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/ice_rig.h"

int rig_init(struct rig *r, bool lite, bool controlling, bool offers)
{
	struct sl_ice_cand c = {
		.addr = sl_addr_v4(192, 0, 2, 1, 5000),
		.priority = sl_ice_priority(SL_ICE_HOST, 65535),
		.foundation = "1",
	};
	struct sl_ice_conf conf = {
		.lite = lite,
		.controlling = controlling,
		.timeout_us = 15 * SL_SEC,
		.local = &c,
		.local_count = 1,
		.tid_tag = 0x11223344,
		.rng = &r->rng,
		.stats = &r->stats,
	};
	int err;

	memset(r, 0, sizeof(*r));
	r->rng = sl_test_rng(&r->seed, 42);
	r->now_us = 50 * SL_SEC;
	err = sl_ice_init(&r->ice, &conf, r->now_us);
	if (!err && !offers)
		err = sl_ice_set_remote(&r->ice, SL_STR(RIG_UFRAG), SL_STR(RIG_PWD), r->now_us);
	return err;
}

struct sl_path rig_path(uint8_t last, uint16_t port)
{
	return (struct sl_path){.remote = sl_addr_v4(198, 51, 100, last, port), .sock = 0};
}

size_t rig_build(struct rig *r, const struct rig_msg *m, uint8_t *out, size_t cap)
{
	const struct sl_ice_creds *c = sl_ice_local_creds(&r->ice);
	struct sl_stun s = {
		.class_ = m->class_,
		.method = STUN_BINDING,
		.has = STUN_INTEGRITY | STUN_FINGERPRINT,
		.priority = m->priority,
		.tie_breaker = m->tie_breaker,
		.error_code = m->error_code,
		.mapped = sl_addr_v4(192, 0, 2, 1, 5000),
	};
	bool request = m->class_ == SL_STUN_REQUEST;
	const char *key = m->key ? m->key : request ? c->pwd : RIG_PWD;
	char user[600];
	int n;

	(void)sl_fmt(user, sizeof(user), "%s:%s", c->ufrag, RIG_UFRAG);
	s.username = sl_str_z(m->user ? m->user : user);
	if (request)
		s.has |= STUN_USERNAME | (m->no_priority ? 0 : STUN_PRIORITY) |
			 (m->controlled ? STUN_CONTROLLED : STUN_CONTROLLING);
	else
		s.has |= m->class_ == SL_STUN_SUCCESS ? STUN_XOR_MAPPED : STUN_ERROR_CODE;
	if (m->use)
		s.has |= STUN_USE_CANDIDATE;
	if (m->tid)
		memcpy(s.tid, m->tid, sizeof(s.tid));
	else
		sl_rng_fill(&r->rng, s.tid, sizeof(s.tid));
	n = stun_write(&s, key, strlen(key), out, cap);
	if (n < 0)
		TRY(n);
	return (size_t)n;
}

int rig_drain(struct rig *r)
{
	struct sl_ice_event ev;
	struct sl_dgram d;

	r->out_count = 0;
	r->out_bytes = 0;
	while (sl_ice_pull(&r->ice, &d)) {
		memcpy(r->out, d.data, d.len);
		CHECK_EQ(stun_read(r->out, d.len, &r->last), SL_OK);
		r->out_path = d.path;
		r->out_count++;
		r->out_bytes += d.len;
		r->all_bytes += d.len;
		r->requests += r->last.class_ == SL_STUN_REQUEST;
	}
	if (sl_test_oom_fired())
		sl_test_oom_stop(); /* what could not be signed was not sent; the test's numbers are
				       void */
	while (sl_ice_event(&r->ice, &ev))
		r->path_events += ev.type == SL_ICE_EV_PATH;
	return r->out_count;
}

int rig_give(struct rig *r, const struct sl_path *path, const uint8_t *data, size_t len)
{
	struct sl_dgram d = {.path = *path, .data = data, .len = len};
	int err = sl_ice_recv(&r->ice, &d, r->now_us);

	if (err == SL_ENOMEM)
		TRY(err);
	rig_drain(r);
	return err;
}

int rig_say(struct rig *r, const struct sl_path *path, const struct rig_msg *m)
{
	uint8_t buf[1200];

	return rig_give(r, path, buf, rig_build(r, m, buf, sizeof(buf)));
}

int rig_check(struct rig *r, const struct sl_path *path, bool use, uint32_t priority)
{
	struct rig_msg m = {.use = use, .priority = priority, .controlled = r->ice.controlling};

	return rig_say(r, path, &m);
}

int rig_respond(struct rig *r)
{
	uint8_t tid[SL_STUN_TID_LEN];
	struct rig_msg m = {.class_ = SL_STUN_SUCCESS, .tid = tid};
	struct sl_path path = r->out_path;

	CHECK(r->last.class_ == SL_STUN_REQUEST);
	memcpy(tid, r->last.tid, sizeof(tid));
	return rig_say(r, &path, &m);
}

void rig_media(struct rig *r, const struct sl_path *path)
{
	if (sl_ice_is_valid(&r->ice, path))
		sl_ice_on_authentic(&r->ice, path, true, r->now_us);
	rig_drain(r);
}

int rig_wait(struct rig *r, int64_t us)
{
	int64_t end = r->now_us + us;
	int n = 0;

	for (int64_t at; (at = sl_ice_deadline_us(&r->ice)) <= end;) {
		r->now_us = SL_MAX(at, r->now_us);
		sl_ice_tick(&r->ice, r->now_us);
		n += rig_drain(r);
		CHECK(sl_ice_deadline_us(&r->ice) > r->now_us);
	}
	r->now_us = end;
	return n;
}

int rig_add_remote(struct rig *r, struct sl_addr addr, uint32_t priority, char foundation)
{
	struct sl_ice_cand c = {.addr = addr, .priority = priority, .foundation = {foundation, 0}};

	return sl_ice_add_remote(&r->ice, &c, r->now_us);
}

bool rig_uses(const struct rig *r, const struct sl_path *path)
{
	const struct sl_path *p = sl_ice_path(&r->ice);

	return path ? p && sl_path_eq(p, path) : !p;
}

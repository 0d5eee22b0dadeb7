/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/ice/ice_sim.h"

static struct sl_addr host_addr(int host, int sock)
{
	uint8_t last = (uint8_t)(1 + sock);
	uint16_t port = (uint16_t)(5000 + sock);

	return host ? sl_addr_v4(198, 51, 100, last, port) : sl_addr_v4(192, 0, 2, last, port);
}

static struct sl_ice_cand host_cand(int host, int sock)
{
	struct sl_ice_cand c = {
		.addr = host_addr(host, sock),
		.priority = sl_ice_priority(SL_ICE_HOST, (uint16_t)(1000 - sock)),
		.sock = (uint32_t)sock,
		.type = SL_ICE_HOST,
		.foundation = {(char)('a' + sock), 0},
	};

	return c;
}

struct sl_ice_conf sim_conf(struct sim *s, int host, struct sl_ice_cand *cands, int socks)
{
	for (int i = 0; i < socks; i++)
		cands[i] = host_cand(host, i);
	return (struct sl_ice_conf){
		.timeout_us = 15 * SL_SEC,
		.local = cands,
		.local_count = (size_t)socks,
		.tid_tag = 0x5a000000U + (uint32_t)host,
		.rng = &s->rng,
		.stats = &s->stats,
	};
}

void sim_init(struct sim *s, uint64_t seed)
{
	memset(s, 0, sizeof(*s));
	s->rng = sl_test_rng(&s->seed, seed);
	s->now_us = 1000 * SL_SEC;
	s->delay_us = 20 * SL_MS;
	for (int h = 0; h < 2; h++)
		for (int i = 0; i < SIM_SOCKS; i++)
			s->host[h].addr[i] = host_addr(h, i);
}

int sim_agent(struct sim *s, int host, const struct sl_ice_conf *conf)
{
	return sl_ice_init(&s->host[host].ice, conf, s->now_us);
}

int sim_tell_creds(struct sim *s, int from)
{
	const struct sl_ice_creds *c = sl_ice_local_creds(&s->host[from].ice);

	return sl_ice_set_remote(&s->host[!from].ice, sl_str_z(c->ufrag), sl_str_z(c->pwd),
				 s->now_us);
}

int sim_tell_cands(struct sim *s, int from, int socks)
{
	int err = SL_OK;

	for (int i = 0; !err && i < socks; i++) {
		struct sl_ice_cand c = host_cand(from, i);

		err = sl_ice_add_remote(&s->host[!from].ice, &c, s->now_us);
	}
	return err;
}

static bool who_is_at(struct sim *s, const struct sl_addr *addr, int *host, uint32_t *sock)
{
	for (int h = 0; h < 2; h++)
		for (uint32_t i = 0; i < SIM_SOCKS; i++)
			if (sl_addr_eq(&s->host[h].addr[i], addr)) {
				*host = h;
				*sock = i;
				return true;
			}
	return false;
}

static void carry(struct sim *s, int from, const struct sl_dgram *d, bool media)
{
	struct sim_dgram *q;
	int to;
	uint32_t sock;

	if (!who_is_at(s, &d->path.remote, &to, &sock) || s->host[from].deaf[d->path.sock] ||
	    s->host[to].deaf[sock] || sl_rng_u32(&s->rng) % 1000 < s->loss_permille)
		return;
	if (s->queued == SIM_QUEUE || d->len > SIM_BYTES) {
		s->lost_any = true;
		return;
	}
	q = &s->queue[s->queued++];
	q->at_us = s->now_us + s->delay_us;
	if (s->jitter_us)
		q->at_us += sl_rng_u32(&s->rng) % (uint32_t)s->jitter_us;
	q->to = to;
	q->path = (struct sl_path){.remote = s->host[from].addr[d->path.sock], .sock = sock};
	q->media = media;
	q->len = d->len;
	memcpy(q->data, d->data, d->len);
}

static void drain_host(struct sim *s, int h)
{
	struct sim_host *host = &s->host[h];
	struct sl_dgram d;
	struct sl_ice_event ev;

	while (sl_ice_pull(&host->ice, &d)) {
		host->sent++;
		carry(s, h, &d, false);
	}
	while (sl_ice_event(&host->ice, &ev)) {
		if (ev.type == SL_ICE_EV_PATH) {
			host->path = ev.path;
			host->path_changes++;
			continue;
		}
		host->state = ev.state;
		if (host->state_count < SIM_EVENTS)
			host->states[host->state_count++] = (int)ev.state;
	}
}

void sim_drain(struct sim *s)
{
	drain_host(s, 0);
	drain_host(s, 1);
}

static void send_media(struct sim *s, int h)
{
	struct sim_host *host = &s->host[h];
	struct sl_dgram d = {.data = (const uint8_t *)"m", .len = 1};

	host->media_next_us = s->now_us + host->media_us;
	if (!sl_ice_path(&host->ice))
		return;
	d.path = *sl_ice_path(&host->ice);
	host->media_sent++;
	host->last_media_us = s->now_us;
	carry(s, h, &d, true);
}

static void deliver(struct sim *s, struct sim_dgram *q)
{
	struct sim_host *host = &s->host[q->to];
	struct sl_dgram d = {.path = q->path, .data = q->data, .len = q->len};

	if (!q->media) {
		(void)sl_ice_recv(&host->ice, &d, s->now_us);
	} else if (sl_ice_is_valid(&host->ice, &q->path)) {
		host->media_in++;
		sl_ice_on_authentic(&host->ice, &q->path, true, s->now_us);
	}
}

static int first_in_queue(const struct sim *s)
{
	int best = -1;

	for (int i = 0; i < s->queued; i++)
		if (best < 0 || s->queue[i].at_us < s->queue[best].at_us)
			best = i;
	return best;
}

static int64_t next_at(const struct sim *s)
{
	int q = first_in_queue(s);
	int64_t at = q < 0 ? SL_NEVER : s->queue[q].at_us;

	for (int h = 0; h < 2; h++) {
		at = SL_MIN(at, sl_ice_deadline_us(&s->host[h].ice));
		if (s->host[h].media_us)
			at = SL_MIN(at, s->host[h].media_next_us);
	}
	return at;
}

static void step(struct sim *s)
{
	int q = first_in_queue(s);

	if (q >= 0 && s->queue[q].at_us <= s->now_us) {
		struct sim_dgram d = s->queue[q];

		memmove(&s->queue[q], &s->queue[q + 1], (size_t)(s->queued - q - 1) * sizeof(d));
		s->queued--;
		deliver(s, &d);
	}
	for (int h = 0; h < 2; h++) {
		if (sl_ice_deadline_us(&s->host[h].ice) <= s->now_us) {
			sl_ice_tick(&s->host[h].ice, s->now_us);
			CHECK(sl_ice_deadline_us(&s->host[h].ice) > s->now_us);
		}
		if (s->host[h].media_us && s->host[h].media_next_us <= s->now_us)
			send_media(s, h);
	}
	sim_drain(s);
}

void sim_run(struct sim *s, int64_t for_us)
{
	int64_t end = s->now_us + for_us;

	sim_drain(s);
	for (int64_t at; (at = next_at(s)) <= end;) {
		s->now_us = SL_MAX(at, s->now_us);
		step(s);
	}
	s->now_us = end;
	CHECK(!s->lost_any);
}

bool sim_until(struct sim *s, int host, enum sl_ice_state state, int64_t within_us)
{
	int64_t end = s->now_us + within_us;

	while (s->host[host].state != state && s->now_us < end)
		sim_run(s, 10 * SL_MS);
	return s->host[host].state == state;
}

int sim_pair(struct sim *s, uint64_t seed, bool lite0, bool lite1, bool control0, bool control1,
	     int socks)
{
	struct sl_ice_cand cands[2][SIM_SOCKS];
	int err = SL_OK;

	sim_init(s, seed);
	for (int h = 0; !err && h < 2; h++) {
		struct sl_ice_conf c = sim_conf(s, h, cands[h], socks);

		c.lite = h ? lite1 : lite0;
		c.remote_lite = h ? lite0 : lite1;
		c.controlling = h ? control1 : control0;
		err = sim_agent(s, h, &c);
	}
	for (int h = 0; !err && h < 2; h++) {
		err = sim_tell_creds(s, h);
		if (!err)
			err = sim_tell_cands(s, h, socks);
	}
	return err;
}

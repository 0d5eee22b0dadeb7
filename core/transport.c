/* SPDX-License-Identifier: Apache-2.0
 * core/transport.c — one remote peer: ICE, the DTLS handshake on a worker, and SRTP keys joined.
 * Order of life: opened by a command → an authenticated check makes a path known → handshake → keys
 * → connected → closed (by us, by the peer's close_notify, or after `ice.timeout` of silence) →
 * SL_EV_CLOSED → freed. A closed transport stays, dead, until its event found room, so that a batch
 * under way never points at freed memory. */
#include "core/core_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum {
	HS_KEEP_US = 10 * 1000000,
	HS_AGAIN_US = 100000,
	HS_LIFE_US = 30 * 1000000,
	QUICK_US = 50000,
	MTU_MIN = 900, /* a report of 31 blocks takes 800 */
	PAIRS_TOLD = 6
};

static void ice_timer(struct sl_timer *timer, int64_t now_us);
static void hs_timer(struct sl_timer *timer, int64_t now_us);
static void rtcp_timer(struct sl_timer *timer, int64_t now_us);
static void twcc_timer(struct sl_timer *timer, int64_t now_us);

static void start_dtls(struct sl_transport *t, int64_t age_us);

/* ---- opening ---- */

static int parse_fingerprints(struct sl_transport *t, const struct sl_transport_conf *conf)
{
	t->fp_count = 0;
	for (size_t i = 0; i < conf->fingerprint_count; i++) {
		const struct sl_core_fingerprint *f = &conf->fingerprints[i];
		int err;

		if (t->fp_count == SL_COUNT(t->fps))
			break;
		err = sl_fingerprint_parse(sl_str_z(f->algorithm), sl_str_z(f->hex),
					   &t->fps[t->fp_count]);
		if (err == SL_EPARSE)
			return err;
		t->fp_count += err == SL_OK;
	}
	/* RFC 8122 section 5: at least one that we can compute. */
	return t->fp_count > 0 ? SL_OK : SL_EPARSE;
}

/* RFC 6544: where connections come in at this address, and out of it. The port of an active one is
 * void. */
static void add_tcp(struct sl_transport *t, uint32_t i, enum sl_tcp_type tcp)
{
	const struct sl_engine_conf *c = &t->eng->conf;
	struct sl_ice_cand cand = c->locals[i];

	if (!(c->tcp >> i & 1))
		return;
	cand.tcp = tcp;
	cand.priority = sl_ice_tcp_priority(SL_ICE_HOST, tcp, (uint16_t)(8191 - i));
	sl_fmt(cand.foundation, sizeof(cand.foundation), "%u",
	       (unsigned)(tcp == SL_CAND_TCP_PASSIVE ? 101 : 201) + i);
	if (tcp == SL_CAND_TCP_ACTIVE)
		cand.addr.port = 9;
	(void)!sl_ice_add_local(&t->ice, &cand, t->eng->now_us);
}

static int init_ice(struct sl_transport *t, const struct sl_transport_conf *conf)
{
	struct sl_engine *e = t->eng;
	struct sl_ice_conf ice = {.lite = conf->lite,
				  .remote_lite = conf->remote_lite,
				  .controlling = conf->controlling,
				  .allow_loopback = e->conf.allow_loopback,
				  .timeout_us = e->conf.ice_timeout_us,
				  .local = e->conf.locals,
				  .local_count = e->conf.local_count,
				  .tid_tag = t->tid_tag,
				  .rng = &e->rng,
				  .stats = &e->stats};

	int err;

	ice.budget = e->conf.max_checks ? &e->checks : NULL;
	err = sl_ice_init(&t->ice, &ice, e->now_us);
	for (uint32_t i = 0; !err && i < e->conf.local_count; i++) {
		add_tcp(t, i, SL_CAND_TCP_PASSIVE);
		if (!conf->lite && e->io.stream_open)
			add_tcp(t, i, SL_CAND_TCP_ACTIVE);
	}
	return err;
}

static int enter_ufrags(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;
	const char *wanted[2] = {sl_ice_local_creds(&t->ice)->ufrag, sl_ice_old_ufrag(&t->ice)};
	int err = SL_OK;

	for (int i = 0; i < 2; i++)
		if (t->ufrag[i][0])
			sl_hash_del(&e->by_ufrag, t->ufrag[i], strlen(t->ufrag[i]));
	for (int i = 0; i < 2; i++) {
		sl_fmt(t->ufrag[i], sizeof(t->ufrag[i]), "%s", wanted[i]);
		if (!err && t->ufrag[i][0])
			err = sl_hash_put(&e->by_ufrag, t->ufrag[i], strlen(t->ufrag[i]), t);
	}
	return err;
}

static int enter_tables(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;
	int err = enter_ufrags(t);

	if (!err)
		err = sl_hash_put(&e->by_tid, &t->tid_tag, sizeof(t->tid_tag), t);
	return err;
}

static int open_tracks(struct sl_transport *t, const struct sl_track_conf *tracks, size_t n,
		       struct sl_reply *reply)
{
	for (size_t i = 0; i < n; i++) {
		int err = tracks[i].publish ? sl_publisher_new(t, &tracks[i], &reply->tracks[i])
					    : sl_subscriber_new(t, &tracks[i], &reply->tracks[i]);

		if (err)
			return err;
	}
	return SL_OK;
}

static void init_fields(struct sl_transport *t, struct sl_engine *e,
			const struct sl_transport_conf *conf)
{
	t->eng = e;
	t->tag = conf->tag;
	memcpy(t->name, conf->name, sizeof(t->name));
	t->name[sizeof(t->name) - 1] = '\0';
	t->dtls_client = conf->dtls_client;
	t->rsa = conf->rsa;
	t->tos = (uint8_t)(conf->dscp << 2);
	t->mtu = conf->mtu ? SL_MAX(conf->mtu, (uint16_t)MTU_MIN) : 0;
	t->rtt_us = -1;
	t->opened_us = t->last_in_us = e->now_us;
	t->tid_tag = sl_rng_u32(&e->rng);
	t->rtcp_ssrc = sl_rng_u32(&e->rng) | 1;
	t->srtcp_index = sl_rng_u32(&e->rng) & 0xffff;
	sl_list_init(&t->publishers);
	sl_list_init(&t->subscribers);
	sl_list_init(&t->in_dead);
	t->ice.selected = -1;
	sl_timer_init(&t->ice_timer, ice_timer);
	sl_timer_init(&t->hs_timer, hs_timer);
	sl_timer_init(&t->rtcp_timer, rtcp_timer);
	sl_timer_init(&t->twcc_timer, twcc_timer);
	sl_clockmap_init(&t->clock);
}

static void free_transport(struct sl_transport *t);

static const struct sl_cert *cert_of(const struct sl_transport *t)
{
	const struct sl_engine_conf *conf = &t->eng->conf;

	if (!t->rsa)
		return conf->cert;
	return conf->rsa ? __atomic_load_n(conf->rsa, __ATOMIC_ACQUIRE) : NULL;
}

static int open_webrtc(struct sl_transport *t, const struct sl_transport_conf *conf)
{
	int err = t->rsa && !cert_of(t) ? SL_ESTATE : SL_OK;

	if (!err && !conf->offering)
		err = parse_fingerprints(t, conf);
	if (!err)
		err = init_ice(t, conf);
	if (!err)
		err = enter_tables(t);
	if (!err && conf->ufrag[0])
		err = sl_ice_set_remote(&t->ice, sl_str_z(conf->ufrag), sl_str_z(conf->pwd),
					t->eng->now_us);
	if (!err)
		err = sl_transport_candidates(t, conf->cands, conf->cand_count,
					      conf->end_of_candidates);
	return err;
}

static void tell_credentials(struct sl_transport *t, struct sl_reply *reply)
{
	const struct sl_ice_creds *creds = sl_ice_local_creds(&t->ice);

	if (t->plain)
		return;
	sl_fmt(reply->ufrag, sizeof(reply->ufrag), "%s", creds->ufrag);
	sl_fmt(reply->pwd, sizeof(reply->pwd), "%s", creds->pwd);
	sl_transport_drain_ice(t);
}

int sl_transport_open(struct sl_engine *e, const struct sl_transport_conf *conf,
		      struct sl_reply *reply)
{
	uint64_t id;
	struct sl_transport *t = sl_pool_get(&e->transports, &id);
	int err;

	if (!t)
		return SL_EFULL;
	t->id = id;
	init_fields(t, e, conf);
	err = conf->watch ? sl_watch_new(t) : SL_OK;
	if (!err)
		err = conf->kind == SL_TK_PLAIN ? sl_plain_open(t, conf, reply)
						: open_webrtc(t, conf);
	if (!err)
		err = open_tracks(t, conf->tracks, conf->track_count, reply);
	if (err) {
		free_transport(t);
		return err;
	}
	SL_STORE(&e->transport_count, e->transport_count + 1);
	sl_stat_inc(&e->stats, SL_STAT_transports_opened);
	reply->transport = id;
	tell_credentials(t, reply);
	return SL_OK;
}

static enum sl_ice_type type_by_name(const char *name)
{
	for (int i = SL_ICE_HOST; i <= SL_ICE_RELAY; i++)
		if (strcmp(name, sl_ice_type_name((enum sl_ice_type)i)) == 0)
			return (enum sl_ice_type)i;
	return SL_ICE_HOST;
}

int sl_transport_candidates(struct sl_transport *t, const struct sl_core_cand *c, size_t n,
			    bool end)
{
	if (t->plain)
		return SL_ESTATE;
	for (size_t i = 0; i < n; i++) {
		struct sl_ice_cand cand = {.addr = c[i].addr,
					   .priority = c[i].priority,
					   .type = type_by_name(c[i].type),
					   .tcp = c[i].tcp};

		sl_fmt(cand.foundation, sizeof(cand.foundation), "%s", c[i].foundation);
		/* One that cannot be used, or is too many, is no reason to end the session: the
		 * rest goes on. */
		(void)!sl_ice_add_remote(&t->ice, &cand, t->eng->now_us);
	}
	sl_watch_remotes(t, c, n);
	if (end)
		sl_ice_end_of_candidates(&t->ice, t->eng->now_us);
	sl_transport_drain_ice(t);
	return SL_OK;
}

int sl_transport_restart(struct sl_transport *t, const char *ufrag, const char *pwd,
			 struct sl_reply *reply)
{
	struct sl_engine *e = t->eng;
	int err;

	if (t->plain)
		return SL_ESTATE;
	sl_ice_restart(&t->ice, e->now_us);
	err = sl_ice_set_remote(&t->ice, sl_str_z(ufrag), sl_str_z(pwd), e->now_us);
	if (!err)
		err = enter_ufrags(t);
	tell_credentials(t, reply);
	return err;
}

int sl_transport_set_remote(struct sl_transport *t, const struct sl_transport_conf *conf)
{
	int err;

	if (t->plain)
		return sl_plain_set_remote(t, conf);
	err = parse_fingerprints(t, conf);
	if (!err && conf->answering)
		sl_ice_answer(&t->ice, conf->remote_lite);
	if (!err)
		err = sl_ice_set_remote(&t->ice, sl_str_z(conf->ufrag), sl_str_z(conf->pwd),
					t->eng->now_us);
	if (err)
		return err;
	if (!t->dtls_done && !t->hs)
		t->dtls_client = conf->dtls_client;
	err = sl_transport_candidates(t, conf->cands, conf->cand_count, conf->end_of_candidates);
	/* Checks may have come before the answer: then there is a way already. */
	if (!err && sl_ice_path(&t->ice))
		start_dtls(t, 0);
	return err;
}

int sl_transport_new_credentials(struct sl_transport *t, struct sl_reply *reply)
{
	int err;

	if (t->plain)
		return SL_ESTATE;
	sl_ice_restart(&t->ice, t->eng->now_us);
	err = enter_ufrags(t);
	tell_credentials(t, reply);
	return err;
}

/* ---- closing ---- */

static void leave_tables(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;

	for (int i = 0; i < 2; i++)
		if (t->ufrag[i][0])
			sl_hash_del(&e->by_ufrag, t->ufrag[i], strlen(t->ufrag[i]));
	for (unsigned i = 0; i < t->path_count; i++)
		if (sl_hash_get(&e->by_path, &t->paths[i], sizeof(t->paths[i])) == t)
			sl_hash_del(&e->by_path, &t->paths[i], sizeof(t->paths[i]));
	t->path_count = 0;
	if (sl_hash_get(&e->by_tid, &t->tid_tag, sizeof(t->tid_tag)) == t)
		sl_hash_del(&e->by_tid, &t->tid_tag, sizeof(t->tid_tag));
}

static void free_hs(struct sl_engine *e, struct sl_hs *hs)
{
	uint64_t id = hs->id;

	sl_list_del(&hs->in_engine);
	sl_hs_fini(hs);
	sl_pool_put(&e->handshakes, id);
}

/* Lets go of the handshake's context; a job in flight frees itself when it comes back. */
static void drop_hs(struct sl_transport *t)
{
	struct sl_hs *hs = t->hs;

	sl_timer_arm(&t->eng->wheel, &t->hs_timer, SL_NEVER);
	if (!hs)
		return;
	t->hs = NULL;
	hs->transport = 0;
	if (hs->busy)
		hs->orphan = true;
	else
		free_hs(t->eng, hs);
}

static void drop_tracks(struct sl_transport *t)
{
	SL_LIST_EACH(n, tmp, &t->subscribers)
		sl_subscriber_free(SL_LIST_AT(n, struct sl_subscriber, in_transport));
	SL_LIST_EACH(n, tmp, &t->publishers)
		sl_publisher_free(SL_LIST_AT(n, struct sl_publisher, in_transport));
}

static void free_transport(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;

	drop_hs(t);
	drop_tracks(t);
	leave_tables(t);
	sl_gather_stop(t);
	sl_sock_close_all(t);
	sl_timer_arm(&e->wheel, &t->ice_timer, SL_NEVER);
	sl_timer_arm(&e->wheel, &t->rtcp_timer, SL_NEVER);
	sl_timer_arm(&e->wheel, &t->twcc_timer, SL_NEVER);
	sl_list_del(&t->in_dead);
	for (unsigned i = 0; i < t->source_count; i++)
		sl_pool_put(&e->sources, t->sources[i]->id);
	sl_srtp_key_free(t->rx_key);
	sl_srtp_key_free(t->tx_key);
	sl_free(t->twcc);
	sl_plain_free(t);
	sl_watch_free(t);
	sl_gather_free(t);
	sl_ice_fini(&t->ice);
	sl_wipe(&t->records, sizeof(t->records));
	sl_pool_put(&e->transports, t->id);
}

static void say_goodbye(struct sl_transport *t, enum sl_close_cause cause)
{
	const struct sl_path *path = sl_ice_path(&t->ice);
	uint8_t alert[64];
	int n;

	if (cause == SL_CLOSE_BY_PEER || !path || !t->records.ready)
		return;
	sl_engine_flush(t->eng);
	n = sl_dtls_write_close(&t->records, alert, sizeof(alert));
	if (n > 0)
		sl_send_to(t, path, alert, (size_t)n);
}

void sl_transport_close(struct sl_transport *t, enum sl_close_cause cause)
{
	struct sl_engine *e = t->eng;

	if (t->phase == SL_T_DEAD)
		return;
	say_goodbye(t, cause);
	sl_watch_closed(t, cause);
	t->phase = SL_T_DEAD;
	t->cause = cause;
	drop_hs(t);
	drop_tracks(t);
	leave_tables(t);
	if (t->plain)
		sl_plain_close(t);
	sl_gather_stop(t);
	sl_sock_close_all(t);
	sl_timer_arm(&e->wheel, &t->ice_timer, SL_NEVER);
	sl_timer_arm(&e->wheel, &t->rtcp_timer, SL_NEVER);
	sl_timer_arm(&e->wheel, &t->twcc_timer, SL_NEVER);
	sl_list_add(&e->dead, &t->in_dead);
	SL_STORE(&e->transport_count, e->transport_count - 1);
	sl_stat_inc(&e->stats, SL_STAT_transports_closed);
}

void sl_transport_bury(struct sl_engine *e)
{
	sl_engine_flush(e);
	SL_LIST_EACH(n, tmp, &e->dead) {
		struct sl_transport *t = SL_LIST_AT(n, struct sl_transport, in_dead);
		struct sl_core_event ev = {
			.type = SL_EV_CLOSED, .transport = t->id, .tag = t->tag, .cause = t->cause};

		sl_fmt(ev.detail, sizeof(ev.detail), "%s", t->detail);
		if (e->late_count > 0 || !e->io.event(e->io.arg, &ev))
			return;
		free_transport(t);
	}
}

/* ---- events ---- */

void sl_transport_tell(struct sl_transport *t, enum sl_core_event_type type)
{
	struct sl_core_event ev = {.type = type, .transport = t->id, .tag = t->tag};

	sl_engine_event(t->eng, &ev);
}

static void log_connected(const struct sl_transport *t)
{
	const struct sl_path *path = sl_transport_path(t);

	SL_LOG(INFO, DTLS, "connected", SL_KS("session", t->name),
	       SL_KA("remote", path ? &path->remote : &t->dtls_path.remote),
	       SL_KS("srtp", sl_srtp_profile_name(sl_srtp_key_profile(t->tx_key))),
	       SL_KS("role", t->plain	      ? "none"
			     : t->dtls_client ? "client"
					      : "server"),
	       SL_KI("took_ms", (t->eng->now_us - t->opened_us) / SL_MS));
}

void sl_transport_connected(struct sl_transport *t)
{
	t->phase = SL_T_CONNECTED;
	log_connected(t);
	sl_watch_flow(t);
	sl_transport_tell(t, SL_EV_CONNECTED);
	sl_timer_arm_by(&t->eng->wheel, &t->rtcp_timer, t->eng->now_us + 100 * SL_MS);
	/* Who waits for a picture asks for it now: before, there was no way to. */
	SL_LIST_EACH(n, tmp, &t->publishers)
		sl_feedback_keyframe(SL_LIST_AT(n, struct sl_publisher, in_transport));
	SL_LIST_EACH(n, tmp, &t->subscribers) {
		struct sl_subscriber *s = SL_LIST_AT(n, struct sl_subscriber, in_transport);

		if (s->replica && s->conf.kind == SL_VIDEO)
			sl_replica_want_keyframe(s->replica);
	}
}

void sl_transport_alive(struct sl_transport *t, const struct sl_path *path, bool media)
{
	const struct sl_path *used = sl_ice_path(&t->ice);
	int64_t now_us = t->eng->now_us;

	t->last_in_us = now_us;
	t->rx_packets += media;
	if (t->plain)
		return;
	/* Packets on the pair in use tell ICE nothing but "still here", and that every 50 ms. */
	if (now_us < t->quick_us && used && sl_path_eq(used, path))
		return;
	t->quick_us = t->phase == SL_T_CONNECTED && !t->hs ? now_us + QUICK_US : 0;
	sl_ice_on_authentic(&t->ice, path, media, t->eng->now_us);
	/* RFC 6347 section 4.2.4: the last flight may be asked for again until the peer shows that
	 * it has the keys. */
	if (media && t->hs && !t->hs->busy && t->dtls_done)
		drop_hs(t);
	sl_transport_drain_ice(t);
}

/* ---- ICE ---- */

static void remember_path(struct sl_transport *t, const struct sl_path *path)
{
	struct sl_engine *e = t->eng;
	unsigned i = 0;

	if (sl_hash_get(&e->by_path, path, sizeof(*path)) == t)
		return;
	while (i < t->path_count && !sl_path_eq(&t->paths[i], path))
		i++;
	if (i == t->path_count) {
		if (i == SL_PATHS_MAX) {
			/* The oldest that is not in use makes room. */
			const struct sl_path *used = sl_ice_path(&t->ice);

			i = used && sl_path_eq(used, &t->paths[0]) ? 1 : 0;
			if (sl_hash_get(&e->by_path, &t->paths[i], sizeof(t->paths[i])) == t)
				sl_hash_del(&e->by_path, &t->paths[i], sizeof(t->paths[i]));
			memmove(&t->paths[i], &t->paths[i + 1],
				(SL_PATHS_MAX - 1 - i) * sizeof(t->paths[0]));
			t->path_count--;
		}
		t->paths[t->path_count++] = *path;
	}
	(void)!sl_hash_put(&e->by_path, path, sizeof(*path), t);
}

void sl_transport_forget_sock(struct sl_transport *t, uint32_t sock)
{
	struct sl_engine *e = t->eng;
	unsigned kept = 0;

	for (unsigned i = 0; i < t->path_count; i++) {
		const struct sl_path *p = &t->paths[i];

		if (p->sock != sock)
			t->paths[kept++] = *p;
		else if (sl_hash_get(&e->by_path, p, sizeof(*p)) == t)
			sl_hash_del(&e->by_path, p, sizeof(*p));
	}
	t->path_count = kept;
}

static void dtls_timed_out(struct sl_transport *t)
{
	sl_stat_inc(&t->eng->stats, SL_STAT_dtls_failed);
	sl_fmt(t->detail, sizeof(t->detail), "%s",
	       "ICE found a way, but the DTLS handshake did not finish");
	sl_transport_close(t, SL_CLOSE_DTLS);
}

static void log_path(const struct sl_transport *t, const struct sl_path *path)
{
	const struct sl_engine *e = t->eng;

	if (path->remote.tcp)
		SL_LOG(DEBUG, ICE, "pair in use, over TCP", SL_KS("session", t->name),
		       SL_KA("remote", &path->remote));
	else if (path->sock < e->conf.local_count)
		SL_LOG(DEBUG, ICE, "pair in use", SL_KS("session", t->name),
		       SL_KA("remote", &path->remote),
		       SL_KA("local", &e->conf.locals[path->sock].addr));
}

static void on_path(struct sl_transport *t, const struct sl_path *path)
{
	if (!path->remote.family) {
		SL_LOG(DEBUG, ICE, "no pair in use", SL_KS("session", t->name));
		return;
	}
	log_path(t, path);
	sl_watch_pair(t);
	if (path->sock & SL_SOCK_RELAY)
		sl_gather_use(t, path);
	/* Its check may have come before the answer, and no other soon. */
	remember_path(t, path);
	if (!t->path_us) {
		t->path_us = t->eng->now_us;
		/* Until there are keys this timer bounds the handshake's life. */
		sl_timer_arm(&t->eng->wheel, &t->rtcp_timer, t->path_us + HS_LIFE_US);
	}
	start_dtls(t, 0);
}

/* What was tried and what came back, in one line: the question of whoever cannot connect. */
static void log_pairs(const struct sl_transport *t)
{
	struct sl_ice_pair_info pairs[PAIRS_TOLD];
	size_t n = sl_ice_pairs(&t->ice, pairs, PAIRS_TOLD);
	char text[480];
	struct sl_buf b = sl_buf(text, sizeof(text));

	for (size_t i = 0; i < SL_MIN(n, (size_t)PAIRS_TOLD); i++) {
		char remote[SL_ADDR_TEXT];

		sl_buf_fmt(&b, "%s%s %s: %u checks in, %u sent, %u answered", i ? "; " : "",
			   sl_ice_type_name(pairs[i].remote_type),
			   sl_addr_text(&pairs[i].path.remote, remote), pairs[i].requests_in,
			   pairs[i].checks_sent, pairs[i].responses_in);
	}
	SL_LOG(INFO, ICE, "connectivity lost", SL_KS("session", t->name), SL_KU("pairs", n),
	       SL_KSTR("tried", sl_str(b.p, b.n)));
}

static void ice_failed(struct sl_transport *t)
{
	log_pairs(t);
	if (t->phase != SL_T_CONNECTED && t->path_us)
		dtls_timed_out(t);
	else
		sl_transport_close(t, t->phase == SL_T_CONNECTED ? SL_CLOSE_TIMEOUT
								 : SL_CLOSE_NEVER_CONNECTED);
}

static void on_ice_event(struct sl_transport *t, const struct sl_ice_event *ev)
{
	if (ev->type == SL_ICE_EV_PATH) {
		on_path(t, &ev->path);
		return;
	}
	sl_watch_ice(t, ev->state);
	switch (ev->state) {
	case SL_ICE_FAILED:
		ice_failed(t);
		break;
	case SL_ICE_DISCONNECTED:
		t->disconnected = true;
		sl_transport_tell(t, SL_EV_DISCONNECTED);
		break;
	case SL_ICE_CONNECTED:
		if (t->disconnected)
			sl_transport_tell(t, SL_EV_RECONNECTED);
		t->disconnected = false;
		break;
	default:
		break;
	}
}

/* Through a relay it needs permission, over TCP a stream. */
static void send_check(struct sl_transport *t, struct sl_dgram *out)
{
	struct sl_path *path = &out->path;

	if (path->sock & SL_SOCK_RELAY)
		sl_gather_permit(t, path);
	if (!path->remote.tcp || path->sock >= SL_CORE_LOCALS_MAX ||
	    sl_sock_connect(t, path) == SL_OK)
		sl_send_to(t, path, out->data, out->len);
}

void sl_transport_drain_ice(struct sl_transport *t)
{
	struct sl_engine *e = t->eng;
	struct sl_ice_event ev;
	struct sl_dgram out;

	while (t->phase != SL_T_DEAD && sl_ice_pull(&t->ice, &out))
		send_check(t, &out);
	while (t->phase != SL_T_DEAD && sl_ice_event(&t->ice, &ev))
		on_ice_event(t, &ev);
	if (t->phase != SL_T_DEAD)
		sl_timer_arm(&e->wheel, &t->ice_timer, sl_ice_deadline_us(&t->ice));
}

static void ice_timer(struct sl_timer *timer, int64_t now_us)
{
	struct sl_transport *t = SL_CONTAINER(timer, struct sl_transport, ice_timer);

	if (t->plain) {
		sl_plain_tick(t);
		return;
	}
	sl_ice_tick(&t->ice, now_us);
	sl_transport_drain_ice(t);
}

bool sl_transport_stun(struct sl_transport *t, const struct sl_in *in)
{
	struct sl_dgram d = {.path = in->path, .data = in->data, .len = in->len};

	if (t->phase == SL_T_DEAD)
		return false;
	if (sl_gather_answer(t, in))
		return true;
	if (sl_ice_recv(&t->ice, &d, t->eng->now_us) < 0) {
		sl_drop(t, SL_DROP_stun);
		return false;
	}
	t->last_in_us = t->eng->now_us;
	if (sl_ice_is_valid(&t->ice, &in->path))
		remember_path(t, &in->path);
	sl_transport_drain_ice(t);
	return true;
}

/* ---- DTLS ---- */

/* The table of handshakes is full: the oldest that is not being worked on goes, if it is that old,
 * and may begin anew (M7): the peer's next ClientHello does that, or where we are the client our
 * timer. */
static void evict_hs(struct sl_engine *e, int64_t age_us)
{
	SL_LIST_EACH(n, tmp, &e->hs_list) {
		struct sl_hs *hs = SL_LIST_AT(n, struct sl_hs, in_engine);
		struct sl_transport *t = sl_pool_at(&e->transports, hs->transport);

		if (hs->busy || !t)
			continue;
		if (e->now_us - hs->since_us < age_us)
			return;
		SL_LOG(DEBUG, DTLS, "handshake evicted: the table is full",
		       SL_KS("session", t->name));
		drop_hs(t);
		if (t->dtls_client && !t->dtls_done)
			sl_timer_arm_by(&e->wheel, &t->hs_timer, e->now_us + HS_AGAIN_US);
		return;
	}
}

/* Makes room in a full table only at the cost of one that is at least that old. */
static struct sl_hs *new_hs(struct sl_transport *t, int64_t age_us)
{
	struct sl_engine *e = t->eng;
	struct sl_dtls_conf conf = {.client = t->dtls_client,
				    .cert = cert_of(t),
				    .peer_count = t->fp_count,
				    .rng = &e->rng};
	uint64_t id;
	struct sl_hs *hs = sl_pool_get(&e->handshakes, &id);

	if (!hs) {
		evict_hs(e, age_us);
		hs = sl_pool_get(&e->handshakes, &id);
	}
	if (!hs)
		return NULL;
	memcpy(conf.peer, t->fps, sizeof(conf.peer));
	hs->id = id;
	hs->transport = t->id;
	hs->loop = e->conf.loop;
	hs->since_us = e->now_us;
	hs->deadline_us = SL_NEVER;
	sl_list_add(&e->hs_list, &hs->in_engine);
	if (sl_dtls_new(&conf, &hs->dtls) < 0) {
		free_hs(e, hs);
		return NULL;
	}
	sl_watch_dtls(t, SL_CORE_DTLS_CONNECTING);
	return hs;
}

/* Hands the handshake to a worker when there is something to do. */
static void kick_hs(struct sl_transport *t, bool tick)
{
	struct sl_hs *hs = t->hs;

	if (!hs || hs->busy)
		return;
	hs->tick |= tick || hs->deadline_us <= t->eng->now_us;
	if (hs->wait.count == 0 && !hs->tick)
		return;
	hs->in = hs->wait;
	hs->wait = (struct sl_hs_queue){0};
	hs->now_us = t->eng->now_us;
	hs->busy = true;
	if (t->eng->io.handshake(t->eng->io.arg, hs))
		return;
	hs->busy = false;
	hs->wait = hs->in;
	hs->in = (struct sl_hs_queue){0};
	sl_timer_arm_by(&t->eng->wheel, &t->hs_timer, t->eng->now_us + 20 * SL_MS);
}

/* We are the client, and there is a way to the peer now: the ClientHello goes out. */
static void start_dtls(struct sl_transport *t, int64_t age_us)
{
	if (!t->dtls_client || t->dtls_done || t->hs || t->fp_count == 0)
		return;
	t->hs = new_hs(t, age_us);
	if (t->hs)
		kick_hs(t, true);
	else
		sl_timer_arm_by(&t->eng->wheel, &t->hs_timer, t->eng->now_us + HS_AGAIN_US);
}

static bool is_goodbye(struct sl_transport *t, const struct sl_in *in)
{
	if (!t->records.ready || !sl_dtls_is_close(&t->records, in->data, in->len))
		return false;
	sl_stat_inc(&t->eng->stats, SL_STAT_dtls_closed_by_peer);
	sl_transport_close(t, SL_CLOSE_BY_PEER);
	return true;
}

/* RFC 6347 sections 4.1 and 4.2.2: an epoch-0 handshake record whose message is a ClientHello, or a
 * fragment of it. Nothing else begins a handshake. */
static bool is_client_hello(const struct sl_in *in)
{
	enum { RECORD = 13, HANDSHAKE = 22, CLIENT_HELLO = 1 };

	return in->len > RECORD && in->data[0] == HANDSHAKE && sl_get16(in->data + 3) == 0 &&
	       in->data[RECORD] == CLIENT_HELLO;
}

void sl_transport_dtls(struct sl_transport *t, const struct sl_in *in)
{
	struct sl_engine *e = t->eng;

	if (t->phase == SL_T_DEAD || is_goodbye(t, in))
		return;
	if (!t->hs && !t->dtls_done && !t->dtls_client && t->fp_count > 0 && is_client_hello(in))
		t->hs = new_hs(t, 0);
	if (!t->hs || !sl_hs_put(&t->hs->wait, SL_HS_IN, in->data, in->len)) {
		sl_stat_inc(&e->stats, SL_STAT_dtls_dropped);
		sl_drop(t, SL_DROP_dtls);
		return;
	}
	t->dtls_path = in->path;
	kick_hs(t, false);
}

static void hs_timer(struct sl_timer *timer, int64_t now_us)
{
	struct sl_transport *t = SL_CONTAINER(timer, struct sl_transport, hs_timer);

	if (t->dtls_done && now_us >= t->dtls_done_us + HS_KEEP_US) {
		if (t->hs && !t->hs->busy)
			drop_hs(t);
		return;
	}
	/* Those that were evicted do not evict each other before anybody could get on. */
	if (!t->hs && sl_ice_path(&t->ice))
		start_dtls(t, SL_SEC);
	else
		kick_hs(t, false);
}

void sl_transport_keys(struct sl_transport *t, struct sl_srtp_key *rx, struct sl_srtp_key *tx)
{
	t->rx_key = rx;
	t->tx_key = tx;
	sl_srtp_key_bind(rx, t->eng->srtp);
	sl_srtp_key_bind(tx, t->eng->srtp);
	t->overhead = (uint8_t)sl_srtp_tag_len(sl_srtp_key_profile(tx), false);
	t->rtcp_overhead = sl_transport_is_clear(t)
				   ? 0
				   : (uint8_t)(sl_srtp_tag_len(sl_srtp_key_profile(tx), true) + 4);
}

static void take_keys(struct sl_transport *t, struct sl_hs *hs)
{
	t->records = hs->records;
	sl_transport_keys(t, hs->rx_key, hs->tx_key);
	hs->rx_key = hs->tx_key = NULL;
	sl_wipe(&hs->records, sizeof(hs->records));
	t->dtls_done = true;
	t->dtls_done_us = t->eng->now_us;
	sl_stat_inc(&t->eng->stats, SL_STAT_dtls_handshakes);
	sl_watch_dtls(t, SL_CORE_DTLS_CONNECTED);
	sl_transport_connected(t);
}

static void send_flight(struct sl_transport *t, struct sl_hs *hs)
{
	const struct sl_path *path = sl_ice_path(&t->ice);

	/* Before a pair is nominated the answer goes where the question came from: a validated
	 * address. */
	if (!path && t->dtls_path.remote.family && sl_ice_is_valid(&t->ice, &t->dtls_path))
		path = &t->dtls_path;
	for (const struct sl_hs_dgram *d = hs->out.first; path && d; d = d->next)
		sl_send_to(t, path, d->data, d->len);
	sl_hs_clear(&hs->out);
}

void sl_transport_handshake_done(struct sl_transport *t, struct sl_hs *hs)
{
	struct sl_engine *e = t->eng;

	send_flight(t, hs);
	sl_stat_add(&e->stats, SL_STAT_dtls_dropped, hs->dropped);
	sl_stat_add(&e->stats, SL_STAT_dtls_restarted, hs->restarts);
	if (hs->state == SL_DTLS_CONNECTED && hs->keys_taken && !t->dtls_done)
		take_keys(t, hs);
	if (hs->state == SL_DTLS_FAILED && !t->dtls_done) {
		sl_stat_inc(&e->stats, hs->cause == SL_DTLS_FINGERPRINT
					       ? SL_STAT_dtls_bad_fingerprint
					       : SL_STAT_dtls_failed);
		sl_fmt(t->detail, sizeof(t->detail), "%s", sl_dtls_cause_text(hs->cause));
		SL_LOG(INFO, DTLS, "handshake failed", SL_KS("session", t->name),
		       SL_KS("why", t->detail));
		sl_transport_close(t, SL_CLOSE_DTLS);
		return;
	}
	if (t->hs && t->hs->wait.count > 0)
		kick_hs(t, false);
	if (t->hs && !t->hs->busy) {
		int64_t due_us = hs->deadline_us;

		if (t->dtls_done)
			due_us = SL_MIN(due_us, t->dtls_done_us + HS_KEEP_US);
		sl_timer_arm(&e->wheel, &t->hs_timer, due_us);
	}
}

void sl_engine_handshake(struct sl_engine *e, struct sl_hs *hs, int64_t now_us)
{
	struct sl_transport *t = sl_pool_at(&e->transports, hs->transport);

	e->now_us = now_us;
	hs->busy = false;
	if (!t || hs->orphan)
		free_hs(e, hs);
	else
		sl_transport_handshake_done(t, hs);
}

/* ---- sources ---- */

struct sl_source *sl_transport_source(struct sl_transport *t, uint32_t ssrc)
{
	for (unsigned i = 0; i < t->source_count; i++)
		if (t->sources[i]->ssrc == ssrc)
			return t->sources[i];
	return NULL;
}

void sl_transport_drop_source(struct sl_transport *t, uint32_t ssrc)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		if (t->sources[i]->ssrc != ssrc)
			continue;
		sl_pool_put(&t->eng->sources, t->sources[i]->id);
		t->sources[i] = t->sources[--t->source_count];
		if (t->rx_key)
			sl_srtp_key_forget(t->rx_key, ssrc);
		return;
	}
}

/* Mere RTCP senders make room for others, the longest unheard first; tracks never do. */
static void evict_source(struct sl_transport *t)
{
	const struct sl_source *oldest = NULL;

	for (unsigned i = 0; i < t->source_count; i++)
		if (!t->sources[i]->pub && (!oldest || t->sources[i]->used_us < oldest->used_us))
			oldest = t->sources[i];
	if (oldest)
		sl_transport_drop_source(t, oldest->ssrc);
}

struct sl_source *sl_transport_add_source(struct sl_transport *t, uint32_t ssrc)
{
	struct sl_source *s;
	uint64_t id;

	if (t->source_count == SL_SOURCES_MAX)
		evict_source(t);
	if (t->source_count == SL_SOURCES_MAX)
		return NULL;
	s = sl_pool_get(&t->eng->sources, &id);
	if (!s)
		return NULL;
	s->id = id;
	s->ssrc = ssrc;
	t->sources[t->source_count++] = s;
	return s;
}

/* ---- timers of feedback, and information ---- */

static void rtcp_timer(struct sl_timer *timer, int64_t now_us)
{
	struct sl_transport *t = SL_CONTAINER(timer, struct sl_transport, rtcp_timer);

	(void)now_us;
	if (t->phase == SL_T_CONNECTING)
		dtls_timed_out(t);
	else
		sl_feedback_report(t);
}

static void twcc_timer(struct sl_timer *timer, int64_t now_us)
{
	(void)now_us;
	sl_feedback_twcc(SL_CONTAINER(timer, struct sl_transport, twcc_timer));
}

void sl_transport_info(struct sl_transport *t, struct sl_transport_info *out)
{
	const struct sl_path *path = sl_transport_path(t);

	*out = (struct sl_transport_info){.connected = t->phase == SL_T_CONNECTED,
					  .silent_us = t->eng->now_us - t->last_in_us,
					  .rx_packets = t->rx_packets,
					  .tx_packets = t->tx_packets,
					  .rx_bytes = t->rx_bytes,
					  .tx_bytes = t->tx_bytes,
					  .rtt_us = sl_ice_rtt_us(&t->ice)};
	if (path)
		out->path = *path;
	SL_LIST_EACH(n, tmp, &t->publishers) {
		const struct sl_publisher *p = SL_LIST_AT(n, struct sl_publisher, in_transport);

		out->keyframes += p->keyframes;
		out->lost += sl_rx_lost(&p->rx);
	}
}

/* SPDX-License-Identifier: Apache-2.0
 * ice/turn.c — the allocation: asked for, kept, given back. One request of each kind (enum
 * turn_job) is under way at a time. turn_peers.c has permissions and channels, turn_data.c what
 * crosses them. */
#include "ice/ice_int.h"
#include "core/base/digest.h"
#include "core/base/mem.h"

#define RENEW_MARGIN_US (60 * SL_SEC) /* RFC 8656 section 8: one minute before it expires */
#define RENEW_MIN_US (5 * SL_SEC)     /* whatever the server says */
#define CLOSE_US (3 * SL_SEC)
enum { LIFETIME_MAX_S = 3600 };

static void say(struct sl_turn *t, const char *why)
{
	struct sl_buf b = sl_buf(t->why, sizeof(t->why));

	sl_buf_z(&b, why);
}

static void stop_requests(struct sl_turn *t)
{
	for (int job = 0; job < TURN_JOBS; job++) {
		t->tx[job].sent = 0;
		t->tx[job].due = false;
	}
}

void turn_end(struct sl_turn *t, uint16_t code)
{
	static const uint8_t event[] = {
		[TURN_ASKING] = SL_TURN_EV_FAILED,
		[TURN_UP] = SL_TURN_EV_LOST,
		[TURN_CLOSING] = SL_TURN_EV_CLOSED,
	};

	if (t->state == TURN_OVER)
		return;
	t->pending |= (uint8_t)(1 << event[t->state]);
	t->code = code;
	t->state = TURN_OVER;
	t->current = -1;
	stop_requests(t);
}

static void end_with(struct sl_turn *t, uint16_t code, const char *why)
{
	say(t, why);
	turn_end(t, code);
}

void turn_start(struct sl_turn *t, enum turn_job job, int64_t now_us)
{
	int64_t span_us = STUN_SPAN_US;

	if (t->state == TURN_ASKING)
		span_us = t->give_up_us - now_us;
	else if (t->state == TURN_CLOSING)
		span_us = CLOSE_US;
	stun_tx_start(&t->tx[job], t->tid_tag, t->rng, now_us, span_us);
}

int64_t turn_jitter(struct sl_turn *t, int64_t at_us, int64_t span_us)
{
	return at_us - (int64_t)(sl_rng_u64(t->rng) % (uint64_t)(span_us + 1));
}

int sl_turn_init(struct sl_turn *t, const struct sl_turn_conf *conf, int64_t now_us)
{
	memset(t, 0, sizeof(*t));
	if (conf->user.n > sizeof(t->user) || conf->password.n > sizeof(t->password))
		return SL_ERANGE;
	t->rng = conf->rng;
	t->server = conf->server;
	t->stream = conf->stream;
	t->family = conf->family ? conf->family : conf->server.remote.family;
	t->tid_tag = conf->tid_tag;
	t->current = -1;
	t->renew_us = SL_NEVER;
	t->give_up_us = now_us + SL_TURN_GIVE_UP_US;
	t->user_len = (uint16_t)conf->user.n;
	t->password_len = (uint16_t)conf->password.n;
	if (conf->user.n)
		memcpy(t->user, conf->user.p, conf->user.n);
	if (conf->password.n)
		memcpy(t->password, conf->password.p, conf->password.n);
	turn_start(t, TURN_JOB_ALLOCATION, now_us);
	return SL_OK;
}

void sl_turn_fini(struct sl_turn *t)
{
	sl_wipe(t->key, sizeof(t->key));
	sl_wipe(t->password, sizeof(t->password));
	t->state = TURN_OVER;
	stop_requests(t);
}

/* ---- out ---- */

static void write_allocation(const struct sl_turn *t, struct sl_stun *m)
{
	if (t->state == TURN_ASKING) {
		m->method = STUN_ALLOCATE;
		/* RFC 8656 section 18.8: without the attribute it is an IPv4 address. */
		m->has |= STUN_TRANSPORT | (t->family == 6 ? STUN_FAMILY : 0);
		m->family = t->family;
	} else {
		m->method = STUN_REFRESH;
		m->has |= STUN_LIFETIME;
		m->lifetime_s = t->state == TURN_CLOSING ? 0 : TURN_LIFETIME_S;
	}
}

static void sign(const struct sl_turn *t, struct sl_stun *m)
{
	if (!t->realm_known)
		return;
	m->has |= STUN_USERNAME | STUN_REALM | STUN_NONCE | STUN_INTEGRITY;
	m->username = sl_str(t->user, t->user_len);
	m->realm = sl_str(t->realm, t->realm_len);
	m->nonce = sl_str(t->nonce, t->nonce_len);
}

static int write_request(struct sl_turn *t, enum turn_job job)
{
	struct sl_addr peers[TURN_PERMITS_AT_ONCE];
	struct sl_stun m = {.class_ = SL_STUN_REQUEST};

	memcpy(m.tid, t->tx[job].tid, sizeof(m.tid));
	if (job == TURN_JOB_ALLOCATION)
		write_allocation(t, &m);
	else if (job == TURN_JOB_PERMIT)
		turn_write_permit(t, &m, peers);
	else
		turn_write_bind(t, &m, peers);
	sign(t, &m);
	return stun_write(&m, t->key, sizeof(t->key), t->out, sizeof(t->out));
}

bool sl_turn_pull(struct sl_turn *t, struct sl_dgram *out)
{
	for (int job = 0; job < TURN_JOBS; job++) {
		int n;

		if (!t->tx[job].due)
			continue;
		t->tx[job].due = false;
		n = write_request(t, (enum turn_job)job);
		if (n < 0)
			continue; /* no memory for the digest: as if it had been lost */
		*out = (struct sl_dgram){.path = t->server, .data = t->out, .len = (size_t)n};
		return true;
	}
	return false;
}

/* ---- in ---- */

static void set_lifetime(struct sl_turn *t, uint32_t lifetime_s, int64_t now_us)
{
	int64_t life_us = SL_MIN(lifetime_s, (uint32_t)LIFETIME_MAX_S) * SL_SEC;
	int64_t margin_us = SL_MIN(RENEW_MARGIN_US, life_us / 2);

	t->renew_us = turn_jitter(t, now_us + life_us - margin_us, life_us / 20);
	t->renew_us = SL_MAX(t->renew_us, now_us + RENEW_MIN_US);
}

static void on_allocated(struct sl_turn *t, const struct sl_stun *m, int64_t now_us)
{
	const uint32_t needed = STUN_RELAYED | STUN_LIFETIME;

	if ((m->has & needed) != needed || m->relayed.family != t->family || !m->relayed.port ||
	    sl_addr_is_any(&m->relayed) || sl_addr_is_multicast(&m->relayed)) {
		end_with(t, 0, "its answer has no relayed address that can be used");
		return;
	}
	t->relayed = m->relayed;
	if (m->has & STUN_XOR_MAPPED)
		t->mapped = m->mapped;
	t->state = TURN_UP;
	t->pending |= 1 << SL_TURN_EV_ALLOCATED;
	set_lifetime(t, m->lifetime_s, now_us);
}

static void on_refreshed(struct sl_turn *t, const struct sl_stun *m, int64_t now_us)
{
	if (t->state == TURN_CLOSING)
		turn_end(t, 0);
	else if (!(m->has & STUN_LIFETIME) || m->lifetime_s == 0)
		end_with(t, 0, "it has ended the allocation");
	else
		set_lifetime(t, m->lifetime_s, now_us);
}

static void on_allocation(struct sl_turn *t, const struct sl_stun *m, int64_t now_us)
{
	if (m->class_ == SL_STUN_ERROR) {
		stun_error_words(m->error_code, m->reason, t->why);
		turn_end(t, m->error_code);
	} else if (t->state == TURN_ASKING) {
		on_allocated(t, m, now_us);
	} else {
		on_refreshed(t, m, now_us);
	}
}

/* RFC 8489 section 9.2.2: MD5(user ":" realm ":" password). */
static int derive_key(struct sl_turn *t)
{
	const struct sl_piece pieces[] = {
		{t->user, t->user_len},		{":", 1}, {t->realm, t->realm_len}, {":", 1},
		{t->password, t->password_len},
	};

	return sl_md5(pieces, SL_COUNT(pieces), t->key);
}

static bool same_nonce(const struct sl_turn *t, const struct sl_stun *m)
{
	return sl_str_eq(m->nonce, sl_str(t->nonce, t->nonce_len));
}

/* Why the server's demand for credentials cannot be met, or NULL. RFC 8489 section 9.2.5; some
 * servers say 401 instead of 438 when a nonce has grown old. */
static const char *refuse_challenge(struct sl_turn *t, const struct sl_stun *m)
{
	if (!(m->has & STUN_NONCE) || (!t->realm_known && !(m->has & STUN_REALM)))
		return "it asks for credentials without saying which";
	if (!t->realm_known)
		return t->user_len ? NULL : "it asks for a user name and a password";
	if (m->error_code == 401 && (t->state == TURN_ASKING || same_nonce(t, m)))
		return "wrong user name or password (STUN error 401)";
	return ++t->stale > TURN_STALE_MAX ? "it calls every nonce stale (STUN error 438)" : NULL;
}

static int on_challenge(struct sl_turn *t, enum turn_job job, const struct sl_stun *m,
			int64_t now_us)
{
	const char *why = refuse_challenge(t, m);

	if (why) {
		end_with(t, m->error_code, why);
		return SL_OK;
	}
	memcpy(t->nonce, m->nonce.p, m->nonce.n);
	t->nonce_len = (uint16_t)m->nonce.n;
	if (m->has & STUN_REALM) {
		memcpy(t->realm, m->realm.p, m->realm.n);
		t->realm_len = (uint16_t)m->realm.n;
	}
	t->realm_known = true;
	if (derive_key(t) != SL_OK)
		end_with(t, 0, sl_strerror(SL_ENOMEM));
	else
		turn_start(t, job, now_us);
	return SL_OK;
}

/* RFC 8489 section 9.2.5: what an authenticated request is answered with is signed, or it is not
 * the server's. The code of an unsigned error is kept for the words of a timeout. */
static int check_answer(struct sl_turn *t, const struct sl_stun *m)
{
	int err = t->realm_known ? stun_check(m, t->key, sizeof(t->key)) : SL_OK;

	if (err && m->class_ == SL_STUN_ERROR && !(m->has & STUN_INTEGRITY))
		t->code_unsigned = m->error_code;
	return err;
}

static enum turn_job job_of(const struct sl_turn *t, const struct sl_stun *m)
{
	const uint16_t methods[TURN_JOBS] = {
		[TURN_JOB_ALLOCATION] = t->state == TURN_ASKING ? STUN_ALLOCATE : STUN_REFRESH,
		[TURN_JOB_PERMIT] = STUN_CREATE_PERMISSION,
		[TURN_JOB_BIND] = STUN_CHANNEL_BIND,
	};
	int job = 0;

	while (job < TURN_JOBS && !(t->tx[job].sent && m->method == methods[job] &&
				    memcmp(t->tx[job].tid, m->tid, sizeof(m->tid)) == 0))
		job++;
	return (enum turn_job)job;
}

static int on_response(struct sl_turn *t, const struct sl_stun *m, int64_t now_us)
{
	static void (*const on[TURN_JOBS])(struct sl_turn *, const struct sl_stun *, int64_t) = {
		[TURN_JOB_ALLOCATION] = on_allocation,
		[TURN_JOB_PERMIT] = turn_on_permit,
		[TURN_JOB_BIND] = turn_on_bind,
	};
	enum turn_job job = job_of(t, m);
	bool error = m->class_ == SL_STUN_ERROR;
	int err;

	if (job == TURN_JOBS)
		return SL_ENOTFOUND;
	if (m->unknown_count || (error && !(m->has & STUN_ERROR_CODE)))
		return SL_EPARSE;
	if (error && (m->error_code == 401 || m->error_code == 438))
		return on_challenge(t, job, m, now_us);
	err = check_answer(t, m);
	if (err)
		return err;
	t->stale = 0;
	t->tx[job].sent = 0;
	t->tx[job].due = false;
	on[job](t, m, now_us);
	turn_peers_tick(t, now_us);
	return SL_OK;
}

int sl_turn_recv(struct sl_turn *t, const struct sl_dgram *in, int64_t now_us,
		 struct sl_turn_data *out)
{
	struct sl_stun m;

	if (t->state == TURN_OVER)
		return SL_ESTATE;
	if (!sl_path_eq(&in->path, &t->server))
		return SL_EAUTH; /* T48 */
	if (in->len > 0 && in->data[0] >> 6 == 1)
		return turn_on_channel_data(t, in, out);
	if (stun_read_turn(in->data, in->len, &m) != SL_OK)
		return SL_EPARSE;
	if (m.class_ == SL_STUN_INDICATION)
		return turn_on_data(t, &m, out);
	return m.class_ == SL_STUN_REQUEST ? SL_EUNSUPPORTED : on_response(t, &m, now_us);
}

/* ---- time ---- */

static void on_silence(struct sl_turn *t)
{
	if (t->state == TURN_ASKING && t->code_unsigned) {
		stun_error_words(t->code_unsigned, SL_STR("not signed"), t->why);
		turn_end(t, t->code_unsigned);
	} else if (t->state == TURN_ASKING) {
		end_with(t, 0, "no answer within 10 s");
	} else {
		end_with(t, 0, "it does not answer any more");
	}
}

void sl_turn_tick(struct sl_turn *t, int64_t now_us)
{
	for (int job = 0; job < TURN_JOBS; job++)
		if (stun_tx_tick(&t->tx[job], t->stream, now_us))
			on_silence(t);
	if (t->state != TURN_UP)
		return;
	if (!t->tx[TURN_JOB_ALLOCATION].sent && now_us >= t->renew_us)
		turn_start(t, TURN_JOB_ALLOCATION, now_us);
	turn_peers_tick(t, now_us);
}

int64_t sl_turn_deadline_us(const struct sl_turn *t)
{
	int64_t at_us = SL_NEVER;

	for (int job = 0; job < TURN_JOBS; job++)
		at_us = SL_MIN(at_us, stun_tx_deadline_us(&t->tx[job], t->stream));
	if (t->state != TURN_UP)
		return at_us;
	if (!t->tx[TURN_JOB_ALLOCATION].sent)
		at_us = SL_MIN(at_us, t->renew_us);
	return SL_MIN(at_us, turn_peers_deadline(t));
}

/* ---- events, and the end ---- */

static bool tell_refused(struct sl_turn *t, struct sl_turn_event *ev)
{
	for (size_t i = 0; i < SL_TURN_PEERS; i++)
		if (t->perms[i].tell) {
			t->perms[i].tell = false;
			ev->type = SL_TURN_EV_REFUSED;
			ev->peer = t->perms[i].ip;
			return true;
		}
	return false;
}

bool sl_turn_event(struct sl_turn *t, struct sl_turn_event *ev)
{
	static const enum sl_turn_event_type order[] = {SL_TURN_EV_ALLOCATED, SL_TURN_EV_FAILED,
							SL_TURN_EV_LOST, SL_TURN_EV_CLOSED};

	*ev = (struct sl_turn_event){
		.relayed = t->relayed, .mapped = t->mapped, .code = t->code, .why = t->why};
	for (size_t i = 0; i < SL_COUNT(order); i++)
		if (t->pending >> order[i] & 1) {
			t->pending &= (uint8_t) ~(1 << order[i]);
			ev->type = order[i];
			return true;
		}
	return t->state != TURN_OVER && tell_refused(t, ev);
}

bool sl_turn_is_up(const struct sl_turn *t)
{
	return t->state == TURN_UP;
}

void sl_turn_closed(struct sl_turn *t, const char *why, int64_t now_us)
{
	(void)now_us;
	end_with(t, 0, why);
}

void sl_turn_close(struct sl_turn *t, int64_t now_us)
{
	bool up = t->state == TURN_UP;

	if (t->state == TURN_CLOSING)
		return;
	stop_requests(t);
	t->current = -1;
	t->state = up ? TURN_CLOSING : TURN_OVER;
	if (up)
		turn_start(t, TURN_JOB_ALLOCATION, now_us);
	else
		t->pending |= 1 << SL_TURN_EV_CLOSED;
}

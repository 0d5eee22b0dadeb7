/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/webrtc_sdp.c — WebRtcEndpoint's descriptions. An answer is first made with
 * credentials that stand in for those to come, which shows what core has to do: open or restart the
 * transport, take the peer's side, drop and add tracks. Those steps go one at a time; then the
 * description is made again, with the real credentials. */
#include "api/api_int.h"
#include "api/kurento/webrtc.h"
#include "core/base/log.h"
#include "core/base/mem.h"

static const char stand_in[] = "abcdefghijklmnopqrstuvwx";

/* What a job has to do; on its arena but for `lines`. */
struct plan {
	struct sl_transport_conf *conf; /* of the peer's side; NULL: it is not touched */
	bool open, restart, remote;	/* steps to come */
	bool renewed;			/* the transport is another than before the job */
	/* owned */
	struct kms_line *lines; /* of the description to be; line_count of them */
	/* state */
	size_t line_count;
	struct sl_sdp_send *send; /* one per m-line */
	struct sl_track_conf
		*adds; /* tracks that the description asks for and that are not there */
	uint16_t *add_lines;
	size_t add_count;
	bool adds_known;
};

static struct kms_webrtc *of_job(const struct kms_job *job)
{
	return kms_webrtc(&job->ep->e.o);
}

static void next_step(struct kms_job *job);

static struct plan *plan_new(struct kms_job *job)
{
	return job->more = sl_arena_alloc(&job->arena, sizeof(struct plan));
}

void kms_webrtc_job_over(struct kms_job *job)
{
	struct plan *p = job->more;

	if (p)
		sl_free(p->lines);
}

/* ================= our side ================= */

void kms_webrtc_conf(struct kms_webrtc *w, struct sl_transport_conf *conf)
{
	const struct kms_object *o = &w->ep.e.o;
	const char *own = strrchr(o->id, '/');

	conf->tag = kms_endpoint_tag(&w->ep);
	api_copy(conf->name, sizeof(conf->name),
		 sl_str(own ? own + 1 : o->id, sizeof(conf->name) - 1));
	conf->watch = true;
	conf->rsa = w->rsa;
	conf->dscp = w->dscp;
	conf->mtu = (uint16_t)w->ep.mtu;
}

/* The RSA certificate is there when core has answered who asked for it; until then the other stands
 * in. */
static const char *fingerprint(const struct kms_webrtc *w)
{
	const struct sl_core *core = w->ep.e.o.kms->core;
	const char *rsa = w->rsa ? sl_core_fingerprint_rsa(core) : NULL;

	return rsa ? rsa : sl_core_fingerprint(core);
}

static void our_side(struct kms_webrtc *w, const char *ufrag, const char *pwd,
		     struct sl_sdp_ours *out)
{
	const struct kms_bandwidth *set = &w->ep.set;

	*out = (struct sl_sdp_ours){
		.ufrag = sl_str_z(ufrag),
		.pwd = sl_str_z(pwd),
		.fingerprint = sl_str_z(fingerprint(w)),
		.session_id = w->ep.sdp_id,
		.session_version = w->ep.sdp_version,
		/* RFC 8842 section 5.1: the roles of a DTLS association stay. */
		.dtls_active = w->remote_set ? w->dtls_client : true,
		.trickling = true,
		.no_send = w->recvonly,
		.no_recv = w->sendonly,
		.as_kbps = {(uint32_t)SL_MAX(set->max_audio_recv, 0),
			    (uint32_t)SL_MAX(set->max_video_recv, 0)},
	};
	kms_endpoint_codecs(&w->ep, out->codecs);
}

/* Candidates that are known already stand in the description: it may be one that was gathered for
 * beforehand, or an ICE restart, after which the peer has forgotten them. */
static void known_candidates(struct kms_webrtc *w, struct sl_arena *arena, struct sl_sdp_ours *ours)
{
	struct sl_sdp_cand *cands;

	ours->cand_count = kms_webrtc_cands(w, arena, &cands);
	ours->cands = cands;
	ours->trickling = !w->gathered;
	for (size_t i = 0; i < ours->cand_count && !ours->addr.family; i++)
		if (!cands[i].tcp)
			ours->addr = cands[i].addr;
}

static int write_answer(struct kms_job *job, struct sl_sdp_why *why)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	bool real = w->ufrag[0] && !p->open && !p->restart;
	struct sl_sdp_ours ours;

	our_side(w, real ? w->ufrag : "stand", real ? w->pwd : stand_in, &ours);
	if (p->open)
		ours.dtls_active = true;
	if (real)
		known_candidates(w, &job->arena, &ours);
	return sl_sdp_answer(&job->remote, &ours, SL_SDP_BOTH, p->send, &job->arena, &job->local,
			     why);
}

/* ================= m-lines ================= */

static struct kms_line *line_as_before(struct kms_webrtc *w, size_t i, const struct sl_sdp_media *m)
{
	struct kms_line *l = i < w->line_count ? &w->lines[i] : NULL;

	return l && l->media && l->kind == (m->kind == SL_SDP_VIDEO ? SL_VIDEO : SL_AUDIO) &&
			       sl_str_eq(sl_str_z(l->mid), m->mid)
		       ? l
		       : NULL;
}

/* Lines of the description to be, as the offer has them; those that stay keep what we send on them.
 */
static int make_lines(struct kms_job *job)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	size_t n = job->remote.media_count;

	p->lines = sl_zalloc_array(n + 1, sizeof(*p->lines));
	p->send = sl_arena_alloc(&job->arena, (n + 1) * sizeof(*p->send));
	if (!p->lines || !p->send)
		return SL_ENOMEM;
	p->line_count = n;
	for (size_t i = 0; i < n; i++) {
		const struct sl_sdp_media *m = &job->remote.media[i];
		const struct kms_line *before = line_as_before(w, i, m);
		struct kms_line *l = &p->lines[i];

		l->media = m->kind <= SL_SDP_VIDEO;
		l->kind = m->kind == SL_SDP_VIDEO ? SL_VIDEO : SL_AUDIO;
		api_copy(l->mid, sizeof(l->mid), m->mid);
		if (before)
			l->send = before->send;
		else
			kms_endpoint_send(&w->ep, p->send, i, &l->send);
		p->send[i] = l->send;
	}
	return SL_OK;
}

static void keep_lines(struct kms_webrtc *w, struct plan *p)
{
	sl_free(w->lines);
	w->lines = p->lines;
	w->line_count = p->line_count;
	p->lines = NULL;
}

/* ================= tracks ================= */

static void add_track(struct kms_job *job, size_t i, bool publish,
		      const struct sl_sdp_media *agreed, const struct sl_sdp_media *theirs)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	struct sl_track_conf *tc = &p->adds[p->add_count];
	struct kms_track *t = kms_track_on(&w->ep, (uint16_t)i, publish);

	memset(tc, 0, sizeof(*tc));
	api_track_agreed(agreed, theirs, publish, &p->lines[i].send, tc);
	api_copy(tc->mid, sizeof(tc->mid), sl_str_z(p->lines[i].mid));
	tc->one_byte_exts = !agreed->ext_mixed;
	if (t && !p->open && t->digest == kms_track_digest(tc)) {
		t->keep = true;
		return;
	}
	p->add_lines[p->add_count++] = (uint16_t)i;
}

/* Which tracks the agreement asks for: those that are there stay, others go, the rest is added.
 * `agreed` is the answer, ours or theirs; a direction is seen from us. */
static int plan_tracks(struct kms_job *job, const struct sl_sdp *agreed, bool ours)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	size_t room = 2 * agreed->media_count + 1;

	p->adds = sl_arena_alloc(&job->arena, room * sizeof(*p->adds));
	p->add_lines = sl_arena_alloc(&job->arena, room * sizeof(*p->add_lines));
	if (!p->adds || !p->add_lines)
		return SL_ENOMEM;
	for (size_t i = 0; i < w->ep.track_count; i++)
		w->ep.tracks[i].keep = false;
	for (size_t i = 0; i < agreed->media_count; i++) {
		const struct sl_sdp_media *m = &agreed->media[i];
		enum sl_sdp_dir dir = ours ? m->dir : sl_sdp_dir_reverse(m->dir);

		p->lines[i].accepted = !m->rejected;
		if (m->rejected || m->kind > SL_SDP_VIDEO)
			continue;
		if (sl_sdp_receives(dir))
			add_track(job, i, true, m, &job->remote.media[i]);
		if (sl_sdp_sends(dir))
			add_track(job, i, false, m, &job->remote.media[i]);
	}
	return SL_OK;
}

static void drop_gone(struct kms_webrtc *w)
{
	for (size_t i = w->ep.track_count; i-- > 0;)
		if (!w->ep.tracks[i].keep)
			kms_track_drop(&w->ep, &w->ep.tracks[i], true);
}

/* ================= steps ================= */

/* The job's reply; NULL: the endpoint is gone, or core said no and the job has failed. */
static struct kms_job *replied(struct kms_job *job, const struct sl_reply *r)
{
	if (!kms_job_replied(job))
		return NULL;
	if (!r->err)
		return job;
	kms_job_fail_err(job, r->err, NULL);
	return NULL;
}

static void posted(struct kms_job *job, int err)
{
	if (!err)
		job->waiting++;
	else
		kms_job_fail_err(job, err, NULL);
}

/* The same of a transport that was opened, which nobody may want any more. */
static struct kms_job *opened(struct kms_job *job, const struct sl_reply *r)
{
	if (!job->ep && !r->err && sl_core_close(job->core, r->transport, NULL, NULL) != SL_OK)
		SL_LOG(DEBUG, SDP, "a transport is left to time out");
	return replied(job, r);
}

static void on_open(void *arg, const struct sl_reply *r)
{
	struct kms_job *job = opened(arg, r);
	struct plan *p;

	if (!job)
		return;
	p = job->more;
	p->open = false;
	p->renewed = true;
	kms_webrtc_drop(of_job(job), true);
	of_job(job)->remote_set = job->type != KMS_JOB_OFFER;
	of_job(job)->dtls_client = p->conf->dtls_client;
	kms_webrtc_opened(of_job(job), r);
	next_step(job);
}

static void on_restart(void *arg, const struct sl_reply *r)
{
	struct kms_job *job = replied(arg, r);
	struct plan *p;

	if (!job)
		return;
	p = job->more;
	p->restart = false;
	kms_webrtc_creds(of_job(job), r);
	if (p->conf->cand_count > 0 &&
	    sl_core_add_candidates(job->core, of_job(job)->transport, p->conf->cands,
				   p->conf->cand_count, false, NULL, NULL) != SL_OK)
		SL_LOG(WARN, SDP,
		       "candidates of an offer were lost: the media loop is at its limit",
		       SL_KS("object", job->ep->e.o.id));
	next_step(job);
}

static void on_remote(void *arg, const struct sl_reply *r)
{
	struct kms_job *job = replied(arg, r);
	struct plan *p;

	if (!job)
		return;
	p = job->more;
	p->remote = false;
	of_job(job)->remote_set = true;
	of_job(job)->dtls_client = p->conf->dtls_client;
	next_step(job);
}

static void on_added(void *arg, const struct sl_reply *r)
{
	struct kms_job *job = replied(arg, r);
	struct plan *p;

	if (!job)
		return;
	p = job->more;
	for (size_t i = 0; i < p->add_count; i++) {
		if (kms_track_add(job->ep, &p->adds[i], r->tracks[i], of_job(job)->transport,
				  p->add_lines[i]))
			continue;
		SL_LOG(WARN, SDP, "a section is left unused: an endpoint has at most 16 of a kind",
		       SL_KS("object", job->ep->e.o.id), SL_KS("mid", p->adds[i].mid));
		if (sl_core_remove_track(job->core, r->tracks[i], NULL, NULL) != SL_OK)
			SL_LOG(DEBUG, SDP, "a track stays until its transport ends");
	}
	p->add_count = 0;
	next_step(job);
}

static void add_tracks(struct kms_job *job)
{
	struct plan *p = job->more;

	for (size_t i = 0; i < p->add_count; i++)
		kms_endpoint_limit(job->ep, &p->adds[i]);
	posted(job, sl_core_add_tracks(job->core, of_job(job)->transport, p->adds, p->add_count,
				       on_added, job));
}

/* All is done but the text. */
static void finish(struct kms_job *job)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	struct sl_sdp_why why = {0};
	int err = SL_OK;

	w->ep.sdp_version++;
	if (job->type == KMS_JOB_ANSWER)
		err = write_answer(job, &why);
	if (err) {
		kms_job_fail_err(job, err, why.text);
		return;
	}
	if (p->lines)
		keep_lines(w, p);
	kms_job_done(job);
}

static void next_step(struct kms_job *job)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;

	if (p->open) {
		posted(job, sl_core_open(job->core, w->ep.loop, p->conf, on_open, job));
	} else if (p->restart) {
		posted(job, sl_core_restart_ice(job->core, w->transport, p->conf->ufrag,
						p->conf->pwd, on_restart, job));
	} else if (p->remote) {
		posted(job, sl_core_set_remote(job->core, w->transport, p->conf, on_remote, job));
	} else if (p->add_count > 0) {
		drop_gone(w);
		add_tracks(job);
	} else {
		if (job->type != KMS_JOB_OFFER)
			drop_gone(w);
		finish(job);
	}
}

/* ================= processOffer ================= */

/* FNV-1a, only to see what changed; case does not count in fingerprints. */
#define DIGEST_BEGIN UINT64_C(0xcbf29ce484222325)
static uint64_t digest(uint64_t h, struct sl_str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)(s.p[i] | 0x20)) * UINT64_C(0x100000001b3);
	return (h ^ 0x100) * UINT64_C(0x100000001b3);
}

/* Is the peer another PeerConnection than the one that core speaks with? Then nothing of the
 * transport can stay. */
static bool is_another(const struct kms_webrtc *w, const struct sl_sdp_media *t)
{
	for (size_t i = 0; i < t->fingerprint_count; i++)
		if (digest(DIGEST_BEGIN, t->fingerprints[i].hex) == w->peer_cert)
			return false;
	return true;
}

static uint64_t creds_of(const struct sl_transport_conf *conf)
{
	return digest(digest(DIGEST_BEGIN, sl_str_z(conf->ufrag)), sl_str_z(conf->pwd));
}

static void keep_peer(struct kms_webrtc *w, const struct sl_transport_conf *conf)
{
	w->peer_creds = creds_of(conf);
	w->peer_cert = digest(DIGEST_BEGIN, sl_str_z(conf->fingerprints[0].hex));
}

/* What becomes of the transport. */
static int plan_transport(struct kms_job *job, const struct sl_sdp_media *t, struct sl_sdp_why *why)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	bool fresh = !w->transport || (w->remote_set && is_another(w, t));
	int err;

	p->conf = sl_arena_alloc(&job->arena, sizeof(*p->conf));
	if (!p->conf)
		return SL_ENOMEM;
	kms_webrtc_conf(w, p->conf);
	p->conf->remote_lite = t->ice_lite || job->remote.ice_lite;
	/* RFC 8445 section 6.1.1: the full agent controls, and of two full ones the offerer. */
	p->conf->controlling = p->conf->remote_lite;
	err = api_peer_conf(t, p->conf, why);
	if (err)
		return err;
	p->conf->answering = true;
	p->open = fresh;
	p->remote = !fresh && !w->remote_set;
	p->restart = !fresh && w->remote_set && creds_of(p->conf) != w->peer_creds;
	if (fresh || p->remote)
		kms_webrtc_take_stored(w, p->conf);
	keep_peer(w, p->conf);
	return kms_endpoint_place(&w->ep);
}

/* The m-line of our answer on which its a=setup stands. */
static bool we_connect(const struct sl_sdp *answer)
{
	for (size_t i = 0; i < answer->media_count; i++)
		if (!answer->media[i].rejected)
			return answer->media[i].setup == SL_SDP_ACTIVE;
	return false;
}

static int plan_answer(struct kms_job *job, struct sl_sdp_why *why)
{
	struct plan *p = job->more;
	const struct sl_sdp_media *t;
	int err = make_lines(job);

	if (!err)
		err = write_answer(job, why);
	t = err ? NULL : sl_sdp_transport(&job->remote, &job->local);
	if (t)
		err = plan_transport(job, t, why);
	if (!err && p->open)
		err = write_answer(job, why); /* with the role of a new association */
	if (!err && p->conf)
		p->conf->dtls_client = we_connect(&job->local);
	return err ? err : plan_tracks(job, &job->local, true);
}

void kms_webrtc_answer(struct kms_job *job)
{
	struct sl_sdp_why why = {0};
	int err = plan_new(job) ? plan_answer(job, &why) : SL_ENOMEM;

	if (err) {
		kms_job_fail_err(job, err, why.text);
		return;
	}
	if (why.text[0])
		SL_LOG(WARN, SDP, "an offer is answered with rejected sections only",
		       SL_KS("object", job->ep->e.o.id), SL_KS("why", why.text));
	next_step(job);
}

/* ================= generateOffer ================= */

/* OfferOptions says what is wanted; both kinds when it does not. A kind that is not wanted is still
 * sent, unless the endpoint only receives. */
static bool offers(const struct kms_job *job, const char *member)
{
	const cJSON *options = kms_arg(job->call, "options");
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(options, member);

	return !cJSON_IsBool(v) || cJSON_IsTrue(v);
}

static int make_offer_lines(struct kms_job *job)
{
	static const char *const members[] = {"offerToReceiveAudio", "offerToReceiveVideo"};
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	struct sl_sdp_send others[SL_KIND_COUNT];

	p->lines = sl_zalloc_array(SL_KIND_COUNT + 1, sizeof(*p->lines));
	if (!p->lines)
		return SL_ENOMEM;
	for (unsigned kind = 0; kind < SL_KIND_COUNT; kind++) {
		struct kms_line *l = &p->lines[p->line_count];

		if (!offers(job, members[kind]))
			continue;
		*l = (struct kms_line){.kind = kind, .media = true, .accepted = true};
		(void)sl_fmt(l->mid, sizeof(l->mid), "%zu", p->line_count);
		kms_endpoint_send(&w->ep, others, p->line_count, &l->send);
		others[p->line_count++] = l->send;
	}
	return SL_OK;
}

static int write_offer(struct kms_job *job)
{
	struct kms_webrtc *w = of_job(job);
	struct sl_sdp_offer_line lines[SL_KIND_COUNT] = {{0}};
	struct sl_sdp_ours ours;

	our_side(w, w->ufrag, w->pwd, &ours);
	known_candidates(w, &job->arena, &ours);
	for (size_t i = 0; i < w->line_count; i++)
		lines[i] = (struct sl_sdp_offer_line){
			.kind = w->lines[i].kind,
			.dir = w->recvonly   ? SL_SDP_RECVONLY
			       : w->sendonly ? SL_SDP_SENDONLY
					     : SL_SDP_SENDRECV,
			.mid = sl_str_z(w->lines[i].mid),
			.send = w->lines[i].send,
		};
	return sl_sdp_offer(&ours, lines, w->line_count, &job->arena, &job->local);
}

static void offer_now(struct kms_job *job)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	int err;

	keep_lines(w, p);
	err = write_offer(job);
	if (err)
		kms_job_fail_err(job, err, NULL);
	else
		kms_job_done(job);
}

static void on_early_open(void *arg, const struct sl_reply *r)
{
	struct kms_job *job = opened(arg, r);

	if (!job)
		return;
	kms_webrtc_opened(of_job(job), r);
	if (job->type == KMS_JOB_OPEN)
		kms_webrtc_gather_now(job);
	else
		offer_now(job);
}

/* A transport whose peer is to come. */
static int open_early(struct kms_job *job)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	int err = kms_endpoint_place(&w->ep);

	p->conf = sl_arena_alloc(&job->arena, sizeof(*p->conf));
	if (!p->conf)
		return SL_ENOMEM;
	if (err)
		return err;
	kms_webrtc_conf(w, p->conf);
	p->conf->offering = p->conf->controlling = true;
	err = sl_core_open(job->core, w->ep.loop, p->conf, on_early_open, job);
	job->waiting += !err;
	return err;
}

void kms_webrtc_offer(struct kms_job *job)
{
	struct kms_webrtc *w = of_job(job);
	int err = plan_new(job) ? make_offer_lines(job) : SL_ENOMEM;

	if (!err && ((struct plan *)job->more)->line_count == 0)
		kms_job_fail(job, KMS_SDP_END_POINT_GENERATE_OFFER_ERROR,
			     "Error generating offer: there would be no section in it");
	else if (!err && w->transport)
		offer_now(job);
	else if (err || (err = open_early(job)) != SL_OK)
		kms_job_fail_err(job, err, NULL);
}

/* gatherCandidates before there is a description. */
void kms_webrtc_open(struct kms_job *job)
{
	int err = plan_new(job) ? SL_OK : SL_ENOMEM;

	if (!err && (of_job(job)->transport || job->ep->sdp != KMS_SDP_NEW)) {
		kms_webrtc_gather_now(job);
		return;
	}
	err = err ? err : open_early(job);
	if (err)
		kms_job_fail_err(job, err, NULL);
}

/* ================= processAnswer ================= */

static int plan_accept(struct kms_job *job, struct sl_sdp_why *why)
{
	struct kms_webrtc *w = of_job(job);
	struct plan *p = job->more;
	const struct sl_sdp_media *t;
	struct sl_sdp offer;
	int err = sl_sdp_read(sl_str_z(w->ep.local), &job->arena, &offer, why);

	if (!err)
		err = sl_sdp_check_answer(&offer, &job->remote, why);
	if (err)
		return err;
	p->lines = sl_zalloc_array(w->line_count + 1, sizeof(*p->lines));
	p->conf = sl_arena_alloc(&job->arena, sizeof(*p->conf));
	if (!p->lines || !p->conf)
		return SL_ENOMEM;
	memcpy(p->lines, w->lines, w->line_count * sizeof(*p->lines));
	p->line_count = w->line_count;
	t = sl_sdp_transport(&job->remote, &job->remote);
	if (!t)
		return plan_tracks(job, &job->remote, false);
	err = api_peer_conf(t, p->conf, why);
	if (err)
		return err;
	p->conf->dtls_client = t->setup == SL_SDP_PASSIVE;
	kms_webrtc_take_stored(w, p->conf);
	keep_peer(w, p->conf);
	p->remote = true;
	return plan_tracks(job, &job->remote, false);
}

void kms_webrtc_accept(struct kms_job *job)
{
	struct sl_sdp_why why = {0};
	int err = !plan_new(job)	   ? SL_ENOMEM
		  : of_job(job)->transport ? plan_accept(job, &why)
					   : SL_ENOTFOUND;

	if (err)
		kms_job_fail_err(job, err,
				 err == SL_ENOTFOUND ? "the transport has ended" : why.text);
	else
		next_step(job);
}

/* ================= a second offer ================= */

/* Without what may differ though nothing is to be negotiated: the origin and candidates. */
static int essence(struct sl_sdp *sdp, char **text)
{
	size_t len;

	sdp->session_id = sdp->session_version = 0;
	sdp->origin_user = sl_str(NULL, 0);
	for (size_t i = 0; i < sdp->media_count; i++) {
		sdp->media[i].cand_count = 0;
		sdp->media[i].end_of_candidates = false;
		sdp->media[i].port = sdp->media[i].port ? 9 : 0;
		sdp->media[i].conn = (struct sl_addr){0};
	}
	return kms_sdp_text(sdp, text, &len);
}

static int essence_of(const char *text, char **out)
{
	struct sl_arena arena;
	struct sl_sdp sdp;
	int err;

	sl_arena_init(&arena, 8 << 20);
	err = sl_sdp_read(sl_str_z(text), &arena, &sdp, NULL);
	if (!err)
		err = essence(&sdp, out);
	sl_arena_fini(&arena);
	return err;
}

bool kms_webrtc_renegotiates(struct kms_endpoint *ep, const struct kms_job *job)
{
	char *before = NULL, *now = NULL;
	bool differs;

	if (ep->e.o.kms->conf->kurento.strict)
		return false;
	/* Without memory it is taken for another one: negotiating it again does no harm. */
	differs = essence_of(ep->remote, &before) < 0 || essence_of(job->text.p, &now) < 0 ||
		  strcmp(before, now) != 0 || !kms_webrtc(&ep->e.o)->transport;
	sl_free(before);
	sl_free(now);
	return differs;
}

/* ================= our description as it is now ================= */

/* Candidates go where the transport's lines are: RFC 9143 section 7.3. */
static void insert(struct kms_webrtc *w, struct sl_arena *arena, struct sl_sdp *sdp)
{
	struct sl_sdp_ours ours = {0};

	known_candidates(w, arena, &ours);
	for (size_t i = 0; i < sdp->media_count; i++) {
		struct sl_sdp_media *m = &sdp->media[i];

		if (m->rejected || (sdp->bundle_count > 0 && !sl_str_eq(m->mid, sdp->bundle[0])))
			continue;
		m->cands = (struct sl_sdp_cand *)(uintptr_t)ours.cands;
		m->cand_count = ours.cand_count;
		m->end_of_candidates = w->gathered;
		if (!ours.addr.family)
			return;
		m->port = ours.addr.port;
		m->conn = sl_addr_with_port(ours.addr, 0);
		return;
	}
}

int kms_webrtc_describe(struct kms_endpoint *ep, char **text, size_t *len)
{
	struct kms_webrtc *w = kms_webrtc(&ep->e.o);
	struct sl_arena arena;
	struct sl_sdp sdp;
	int err;

	if (w->found_count == 0)
		return SL_OK;
	sl_arena_init(&arena, 8 << 20);
	err = sl_sdp_read(sl_str_z(ep->local), &arena, &sdp, NULL);
	if (!err) {
		insert(w, &arena, &sdp);
		err = arena.failed ? SL_ENOMEM : kms_sdp_text(&sdp, text, len);
	}
	sl_arena_fini(&arena);
	return err;
}

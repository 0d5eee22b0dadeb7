/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/endpoint.c — SdpEndpoint: the order of descriptions, tracks and their units, and
 * core's events about them. base_rtp.c has the properties. */
#include "api/api_int.h"
#include "api/kurento/endpoint.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <stdio.h>

enum { ARENA_MAX = 16 << 20, CLOSE_AGAIN_US = 50000, CAP_MIN_KBPS = 100, CAP_MAX_KBPS = 500 };

static struct kms_endpoint *endpoint(struct kms_object *o)
{
	return (struct kms_endpoint *)(void *)o;
}

/* ================= tracks ================= */

struct kms_track *kms_track_by_id(struct kms_endpoint *ep, uint64_t id)
{
	for (size_t i = 0; i < ep->track_count; i++)
		if (ep->tracks[i].id == id)
			return &ep->tracks[i];
	return NULL;
}

struct kms_track *kms_track_on(struct kms_endpoint *ep, uint16_t line, bool publish)
{
	for (size_t i = 0; i < ep->track_count; i++)
		if (ep->tracks[i].line == line && ep->tracks[i].publish == publish)
			return &ep->tracks[i];
	return NULL;
}

static struct kms_track *of_unit(struct kms_endpoint *ep, bool publish, enum sl_kind kind,
				 unsigned unit)
{
	for (size_t i = 0; i < ep->track_count; i++) {
		struct kms_track *t = &ep->tracks[i];

		if (t->publish == publish && t->kind == kind && t->unit == unit)
			return t;
	}
	return NULL;
}

static uint64_t publisher_of(struct kms_element *e, enum sl_kind kind, unsigned unit)
{
	const struct kms_track *t = of_unit((struct kms_endpoint *)(void *)e, true, kind, unit);

	return t ? t->id : 0;
}

static uint64_t subscriber_of(struct kms_element *e, enum sl_kind kind, unsigned unit)
{
	const struct kms_track *t = of_unit((struct kms_endpoint *)(void *)e, false, kind, unit);

	return t ? t->id : 0;
}

static enum sl_codec codec_of(struct kms_element *e, enum kms_media media)
{
	enum sl_kind kind = media == KMS_VIDEO ? SL_VIDEO : SL_AUDIO;
	const struct kms_track *t = of_unit((struct kms_endpoint *)(void *)e, true, kind, 0);

	return t && media != KMS_DATA ? t->codec : SL_CODEC_NONE;
}

static const struct kms_element_ops element_ops = {
	.publisher = publisher_of,
	.subscriber = subscriber_of,
	.codec = codec_of,
};

/* FNV-1a: only to see that nothing changed. Confs are zeroed before they are filled. */
uint64_t kms_track_digest(const struct sl_track_conf *tc)
{
	struct sl_track_conf copy = *tc;
	const unsigned char *p = (const unsigned char *)&copy;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	copy.min_bps = copy.max_bps = 0;
	for (size_t i = 0; i < sizeof(copy); i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

bool kms_track_add(struct kms_endpoint *ep, const struct sl_track_conf *tc, uint64_t id,
		   uint64_t transport, uint16_t line)
{
	uint8_t unit = 0;

	while (unit < KMS_UNITS_MAX && of_unit(ep, tc->publish, tc->kind, unit))
		unit++;
	if (unit == KMS_UNITS_MAX || ep->track_count == KMS_TRACKS_MAX)
		return false;
	ep->tracks[ep->track_count++] = (struct kms_track){
		.id = id,
		.transport = transport,
		.publish = tc->publish,
		.keep = true,
		.kind = tc->kind,
		.unit = unit,
		.line = line,
		.digest = kms_track_digest(tc),
	};
	kms_graph_changed(&ep->e);
	return true;
}

/* ================= flow and states ================= */

static void raise_state(struct kms_endpoint *ep, const char *event, bool connected)
{
	struct api_json_out *out = kms_event_begin(&ep->e.o, event);

	if (!out)
		return;
	api_json_put_z(out, "oldState", connected ? "DISCONNECTED" : "CONNECTED");
	api_json_put_z(out, "newState", connected ? "CONNECTED" : "DISCONNECTED");
	kms_event_end(&ep->e.o);
}

static void set_media(struct kms_endpoint *ep)
{
	bool media = false;

	for (size_t i = 0; i < ep->track_count; i++)
		media |= ep->tracks[i].flowing;
	if (media == ep->media)
		return;
	ep->media = media;
	raise_state(ep, "MediaStateChanged", media);
}

static void tell_flow(struct kms_endpoint *ep, enum sl_kind kind, bool publish)
{
	enum kms_media media = kind == SL_VIDEO ? KMS_VIDEO : KMS_AUDIO;
	bool flowing = false;

	for (size_t i = 0; i < ep->track_count; i++)
		flowing |= ep->tracks[i].kind == kind && ep->tracks[i].publish == publish &&
			   ep->tracks[i].flowing;
	kms_element_flow(&ep->e, media, publish, flowing);
	set_media(ep);
}

void kms_track_drop(struct kms_endpoint *ep, struct kms_track *t, bool remove)
{
	struct kms_track was = *t;

	/* What a full mailbox does not take goes with its transport, and sends nothing meanwhile:
	 * it has no route. */
	if (remove && sl_core_remove_track(ep->e.o.kms->core, was.id, NULL, NULL) != SL_OK)
		SL_LOG(DEBUG, SDP, "a track stays until its transport ends",
		       SL_KS("object", ep->e.o.id));
	*t = ep->tracks[--ep->track_count];
	kms_graph_changed(&ep->e);
	if (was.flowing)
		tell_flow(ep, was.kind, was.publish);
}

void kms_endpoint_connected(struct kms_endpoint *ep, bool connected)
{
	if (ep->connected == connected)
		return;
	ep->connected = connected;
	raise_state(ep, "ConnectionStateChanged", connected);
}

/* ================= events of core ================= */

static void on_media(struct kms_endpoint *ep, const struct sl_core_event *ev)
{
	struct kms_track *t = kms_track_by_id(ep, ev->track);

	if (!t || t->codec == ev->codec)
		return;
	t->codec = ev->codec;
	kms_graph_changed(&ep->e);
}

static void on_flow(struct kms_endpoint *ep, const struct sl_core_event *ev)
{
	struct kms_track *t = kms_track_by_id(ep, ev->track);

	if (!t || t->flowing == ev->flowing)
		return;
	t->flowing = ev->flowing;
	tell_flow(ep, t->kind, t->publish);
}

/* Kurento would transcode; here the player of it has to be told. */
static void on_mismatch(struct kms_endpoint *ep, const struct sl_core_event *ev)
{
	const char *name = sl_codec_info(ev->codec)->name;

	SL_LOG(WARN, SDP,
	       "plays nothing: what feeds it sends a format that its peer did not agree to",
	       SL_KS("object", ep->e.o.id), SL_KS("codec", name));
	kms_event_error(&ep->e.o, "UNEXPECTED_ELEMENT_ERROR", KMS_UNSUPPORTED_MEDIA_TYPE,
			"The source sends %s, which the peer did not agree to; this server does "
			"not transcode",
			name);
}

static void on_closed(struct kms_endpoint *ep, const struct sl_core_event *ev)
{
	for (size_t i = ep->track_count; i-- > 0;)
		if (ep->tracks[i].transport == ev->transport)
			kms_track_drop(ep, &ep->tracks[i], false);
}

void kms_endpoint_event(struct kms *k, const struct sl_core_event *ev)
{
	static const struct {
		enum sl_core_event_type type;
		void (*fn)(struct kms_endpoint *ep, const struct sl_core_event *ev);
	} rows[] = {
		{SL_EV_MEDIA, on_media},
		{SL_EV_FLOW, on_flow},
		{SL_EV_CODEC_MISMATCH, on_mismatch},
		{SL_EV_CLOSED, on_closed},
	};
	struct kms_object *o = kms_object_by_handle(k, ev->tag & ~KMS_TAG);
	struct kms_endpoint *ep;

	if (!o || o->dying || !kms_object_is(o, "SdpEndpoint"))
		return;
	ep = endpoint(o);
	for (size_t i = 0; i < SL_COUNT(rows); i++)
		if (rows[i].type == ev->type)
			rows[i].fn(ep, ev);
	if (ep->ops->event)
		ep->ops->event(ep, ev);
}

/* ================= for the classes ================= */

uint64_t kms_endpoint_tag(const struct kms_endpoint *ep)
{
	return KMS_TAG | ep->e.o.handle;
}

int kms_endpoint_place(struct kms_endpoint *ep)
{
	struct kms *k = ep->e.o.kms;
	const char *why = k->api && !ep->looped ? api_overload(k->api) : NULL;

	if (why) {
		SL_LOG(WARN, SDP, "no transport for an endpoint", SL_KS("object", ep->e.o.id),
		       SL_KS("why", why));
		return SL_EBUSY;
	}
	if (!ep->looped)
		ep->loop = k->api ? api_pick_loop(k->api) : 0;
	ep->looped = true;
	return SL_OK;
}

static bool ssrc_taken(uint32_t ssrc, const struct sl_sdp_send *others, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (others[i].ssrc == ssrc || others[i].rtx_ssrc == ssrc)
			return true;
	return ssrc == 0;
}

void kms_endpoint_send(struct kms_endpoint *ep, const struct sl_sdp_send *others, size_t n,
		       struct sl_sdp_send *out)
{
	const struct sl_rng *rng = &ep->e.o.kms->rng;
	struct sl_sdp_send send = {0};

	do
		send.ssrc = sl_rng_u32(rng);
	while (ssrc_taken(send.ssrc, others, n));
	do
		send.rtx_ssrc = sl_rng_u32(rng);
	while (send.rtx_ssrc == send.ssrc || ssrc_taken(send.rtx_ssrc, others, n));
	/* One cname, so that players keep sound and picture together (RFC 7022). */
	if (!ep->cname[0])
		sl_rng_id(rng, ep->cname, 16);
	memcpy(send.cname, ep->cname, sizeof(ep->cname));
	*out = send;
}

/* Kurento answers with H.265 only where config says so; here nobody has to decode it. */
void kms_endpoint_codecs(const struct kms_endpoint *ep, uint8_t codecs[SL_CODEC_COUNT])
{
	bool strict = ep->e.o.kms->conf->kurento.strict;

	for (int c = SL_CODEC_NONE + 1; c < SL_CODEC_COUNT; c++)
		codecs[c] = (sl_codec_info((enum sl_codec)c)->forwarded || c == SL_RTX) &&
			    !(strict && c == SL_H265);
}

int kms_sdp_text(const struct sl_sdp *sdp, char **text, size_t *len)
{
	char *p = sl_zalloc(SL_SDP_BYTES_MAX);
	struct sl_buf b;
	char *small;

	if (!p)
		return SL_ENOMEM;
	b = sl_buf(p, SL_SDP_BYTES_MAX);
	sl_sdp_write(sdp, &b);
	if (b.full) {
		sl_free(p);
		return SL_EFULL;
	}
	small = sl_realloc(p, b.n + 1);
	*text = small ? small : p;
	*len = b.n;
	return SL_OK;
}

/* ================= transports that end ================= */

struct closing {
	struct sl_list link;
	struct kms_timer timer;
	struct kms *k;
	uint64_t transport;
};

static void close_again(struct kms_timer *timer)
{
	struct closing *c = SL_CONTAINER(timer, struct closing, timer);

	if (sl_core_close(c->k->core, c->transport, NULL, NULL) == SL_EBUSY) {
		kms_timer_set(c->k, timer, kms_now_us(c->k) + CLOSE_AGAIN_US);
		return;
	}
	sl_list_del(&c->link);
	sl_free(c);
}

/* Core ends its transports itself. */
void kms_endpoints_fini(struct kms *k)
{
	while (k->closing.next && !sl_list_empty(&k->closing)) {
		struct closing *c = SL_LIST_AT(k->closing.next, struct closing, link);

		kms_timer_unset(&c->timer);
		sl_list_del(&c->link);
		sl_free(c);
	}
}

/* A transport that cannot be closed now, for want of room or memory, times out when its peer
 * leaves. */
void kms_transport_close(struct kms *k, uint64_t transport)
{
	struct closing *c;

	if (!transport || sl_core_close(k->core, transport, NULL, NULL) != SL_EBUSY || k->freeing)
		return;
	c = sl_zalloc(sizeof(*c));
	if (!c)
		return;
	c->k = k;
	c->transport = transport;
	c->timer.fn = close_again;
	if (!k->closing.next)
		sl_list_init(&k->closing);
	sl_list_add(&k->closing, &c->link);
	kms_timer_set(k, &c->timer, kms_now_us(k) + CLOSE_AGAIN_US);
}

/* ================= jobs ================= */

static void free_job(struct kms_job *job)
{
	if (job->ops->job_over)
		job->ops->job_over(job);
	sl_arena_fini(&job->arena);
	sl_free(job);
}

bool kms_job_replied(struct kms_job *job)
{
	job->waiting--;
	if (job->ep)
		return true;
	if (job->waiting == 0)
		free_job(job);
	return false;
}

/* The job ends; what waited for that goes on later. Its call is still to be answered: whatever
 * happens in that, the endpoint's end included, finds no job. */
static void over(struct kms_job *job)
{
	struct kms_endpoint *ep = job->ep;

	SL_ASSERT(job->waiting == 0 && ep->job == job);
	ep->job = NULL;
	free_job(job);
	kms_defer(ep->e.o.kms, &ep->next);
}

void kms_job_fail(struct kms_job *job, enum kms_error code, const char *fmt, ...)
{
	struct kms_call *call = job->call;
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	SL_LOG(INFO, SDP, "a description was refused", SL_KS("object", job->ep->e.o.id),
	       SL_KS("why", text));
	over(job);
	kms_fail(call, code, "%s", text);
}

void kms_job_fail_err(struct kms_job *job, int err, const char *what)
{
	static const struct {
		enum kms_error code;
		const char *text;
	} rows[] = {
		[KMS_JOB_OFFER] = {KMS_SDP_END_POINT_GENERATE_OFFER_ERROR,
				   "Error generating offer"},
		[KMS_JOB_ANSWER] = {KMS_SDP_END_POINT_PROCESS_OFFER_ERROR,
				    "Error processing offer"},
		[KMS_JOB_ACCEPT] = {KMS_SDP_END_POINT_PROCESS_ANSWER_ERROR,
				    "Error processing answer"},
		[KMS_JOB_OPEN] = {KMS_ICE_GATHER_CANDIDATES_ERROR, "Error gathering candidates"},
	};
	const char *text = rows[job->type].text;

	if (!what || !what[0])
		what = sl_strerror(err);
	if (err == SL_ENOMEM || err == SL_EBUSY || err == SL_EFULL)
		kms_job_fail(job, KMS_NOT_ENOUGH_RESOURCES, "%s: %s", text, what);
	else
		kms_job_fail(job, rows[job->type].code, "%s: %s", text, what);
}

/* What became of the descriptions: both texts are kept, or neither. */
static int keep_texts(struct kms_job *job)
{
	struct kms_endpoint *ep = job->ep;
	char *local = NULL, *remote = NULL;
	size_t len;
	int err = SL_OK;

	if (job->text.n > 0) {
		remote = sl_zalloc(job->text.n + 1);
		err = remote ? SL_OK : SL_ENOMEM;
		if (remote)
			memcpy(remote, job->text.p, job->text.n);
	}
	if (!err && (job->type == KMS_JOB_OFFER || job->type == KMS_JOB_ANSWER))
		err = kms_sdp_text(&job->local, &local, &len);
	if (err) {
		sl_free(remote);
		return err;
	}
	if (local) {
		sl_free(ep->local);
		ep->local = local;
	}
	if (remote) {
		sl_free(ep->remote);
		ep->remote = remote;
	}
	return SL_OK;
}

/* An offer is told as it was written; else our description as it is now. */
static int answer_text(struct kms_endpoint *ep, enum kms_job_type type, char **text)
{
	size_t len;

	*text = NULL;
	return type == KMS_JOB_ACCEPT && ep->ops->describe ? ep->ops->describe(ep, text, &len)
							   : SL_OK;
}

void kms_job_done(struct kms_job *job)
{
	struct kms_endpoint *ep = job->ep;
	struct kms_call *call = job->call;
	bool begun = job->type != KMS_JOB_OFFER && !job->again;
	char *text = NULL;
	int err = keep_texts(job);

	if (!err)
		err = answer_text(ep, job->type, &text);
	if (err) {
		kms_job_fail_err(job, err, NULL);
		return;
	}
	if (job->type == KMS_JOB_OPEN) {
		over(job);
		kms_done(call);
		return;
	}
	ep->sdp = job->type == KMS_JOB_OFFER ? KMS_SDP_OFFERED : KMS_SDP_ANSWERED;
	ep->offered_by_us |= job->type == KMS_JOB_OFFER;
	over(job);
	if (begun)
		kms_event(&ep->e.o, "MediaSessionStarted");
	api_json_put_z(kms_value(call), NULL, text ? text : ep->local);
	sl_free(text);
	kms_done(call);
}

/* ================= generateOffer, processOffer, processAnswer ================= */

/* What can be refused by the order of things alone. */
static bool in_order(struct kms_endpoint *ep, struct kms_call *call, enum kms_job_type type)
{
	bool again = ep->sdp == KMS_SDP_ANSWERED && type == KMS_JOB_ANSWER && ep->ops->renegotiates;

	if (type == KMS_JOB_OPEN)
		return true;
	if (type == KMS_JOB_ACCEPT && ep->sdp == KMS_SDP_ANSWERED && ep->offered_by_us)
		kms_fail(call, KMS_SDP_END_POINT_ANSWER_ALREADY_PROCCESED,
			 "Sdp Answer already processed");
	else if (type == KMS_JOB_ACCEPT && ep->sdp != KMS_SDP_OFFERED)
		kms_fail(call, KMS_SDP_END_POINT_NOT_OFFER_GENERATED,
			 "Offer not generated. It is not possible to process an answer.");
	else if (type == KMS_JOB_ANSWER && kms_arg_str(call, "offer").n == 0)
		kms_fail(call, KMS_SDP_PARSE_ERROR, "Empty offer not valid");
	else if (type == KMS_JOB_ACCEPT && kms_arg_str(call, "answer").n == 0)
		kms_fail(call, KMS_SDP_PARSE_ERROR, "Empty answer not valid");
	else if (type != KMS_JOB_ACCEPT && ep->sdp != KMS_SDP_NEW && !again)
		kms_fail(call, KMS_SDP_END_POINT_ALREADY_NEGOTIATED, "Endpoint already negotiated");
	else
		return true;
	return false;
}

/* The peer's description onto the arena, and read. */
static int read_remote(struct kms_job *job, struct sl_str text, struct sl_sdp_why *why)
{
	const char *p = sl_arena_dup(&job->arena, text.p, text.n);

	if (!p)
		return SL_ENOMEM;
	job->text = sl_str(p, text.n);
	return sl_sdp_read(job->text, &job->arena, &job->remote, why);
}

static struct kms_job *new_job(struct kms_endpoint *ep, struct kms_call *call,
			       enum kms_job_type type)
{
	struct kms_job *job = sl_zalloc(sizeof(*job));

	if (!job)
		return NULL;
	*job = (struct kms_job){.ep = ep,
				.ops = ep->ops,
				.core = ep->e.o.kms->core,
				.call = call,
				.type = type,
				.again = ep->sdp == KMS_SDP_ANSWERED};
	sl_arena_init(&job->arena, ARENA_MAX);
	ep->job = job;
	return job;
}

static void run(struct kms_job *job)
{
	static const char *const arg[] = {NULL, "offer", "answer", NULL};
	const struct kms_endpoint_ops *ops = job->ops;
	struct sl_sdp_why why = {0};
	int err = arg[job->type] ? read_remote(job, kms_arg_str(job->call, arg[job->type]), &why)
				 : SL_OK;

	if (err == SL_ENOMEM)
		kms_job_fail_err(job, err, NULL);
	else if (err)
		kms_job_fail(job, KMS_SDP_PARSE_ERROR, "Error parsing SDP: line %zu: %s", why.line,
			     why.text);
	else if (job->type == KMS_JOB_OPEN)
		ops->open(job);
	else if (job->again && !ops->renegotiates(job->ep, job))
		kms_job_fail(job, KMS_SDP_END_POINT_ALREADY_NEGOTIATED,
			     "Endpoint already negotiated");
	else if (job->type == KMS_JOB_OFFER)
		ops->offer(job);
	else if (job->type == KMS_JOB_ANSWER)
		ops->answer(job);
	else
		ops->accept(job);
}

static void begin(struct kms_endpoint *ep, struct kms_call *call, enum kms_job_type type)
{
	struct kms_job *job;

	if (!in_order(ep, call, type))
		return;
	job = new_job(ep, call, type);
	if (job)
		run(job);
	else
		kms_fail_err(call, SL_ENOMEM);
}

/* Answering a call may end the endpoint, so one begins at a time. */
static void next(struct kms_work *w)
{
	struct kms_endpoint *ep = SL_CONTAINER(w, struct kms_endpoint, next);
	struct kms_waiting first = ep->waiting[0];

	if (!ep->job && ep->ops->idle)
		ep->ops->idle(ep);
	if (ep->job || ep->waiting_count == 0)
		return;
	memmove(ep->waiting, ep->waiting + 1, --ep->waiting_count * sizeof(first));
	kms_defer(ep->e.o.kms, &ep->next);
	begin(ep, first.call, first.type);
}

void kms_endpoint_ask(struct kms_endpoint *ep, struct kms_call *call, enum kms_job_type type)
{
	if (!ep->job && ep->waiting_count == 0)
		begin(ep, call, type);
	else if (ep->waiting_count < KMS_JOBS_WAITING_MAX)
		ep->waiting[ep->waiting_count++] = (struct kms_waiting){.call = call, .type = type};
	else
		kms_fail(call, KMS_NOT_ENOUGH_RESOURCES, "Too many descriptions are waiting");
}

static void generate_offer(struct kms_object *o, struct kms_call *call)
{
	kms_endpoint_ask(endpoint(o), call, KMS_JOB_OFFER);
}

static void process_offer(struct kms_object *o, struct kms_call *call)
{
	kms_endpoint_ask(endpoint(o), call, KMS_JOB_ANSWER);
}

static void process_answer(struct kms_object *o, struct kms_call *call)
{
	kms_endpoint_ask(endpoint(o), call, KMS_JOB_ACCEPT);
}

/* ================= descriptions ================= */

static void get_local(struct kms_object *o, struct kms_call *call)
{
	struct kms_endpoint *ep = endpoint(o);
	char *text = NULL;
	size_t len;
	int err;

	if (!ep->local) {
		kms_fail(call, KMS_SDP_END_POINT_NO_LOCAL_SDP_ERROR, "No local SDP");
		return;
	}
	err = ep->ops->describe ? ep->ops->describe(ep, &text, &len) : SL_OK;
	if (err)
		kms_fail_err(call, err);
	else
		kms_done_str(call, sl_str_z(text ? text : ep->local));
	sl_free(text);
}

static void get_remote(struct kms_object *o, struct kms_call *call)
{
	if (endpoint(o)->remote)
		kms_done_str(call, sl_str_z(endpoint(o)->remote));
	else
		kms_fail(call, KMS_SDP_END_POINT_NO_REMOTE_SDP_ERROR, "No remote SDP");
}

/* ================= the class ================= */

static bool sdp_init(struct kms_object *o, struct kms_call *call)
{
	struct kms_endpoint *ep = endpoint(o);

	(void)call;
	ep->e.ops = &element_ops;
	ep->next.fn = next;
	ep->sdp_id = sl_rng_u64(&o->kms->rng) >>
		     2; /* RFC 9429 section 5.2.1: below 2^62, for all readers */
	ep->sdp_version = 1;
	ep->set = (struct kms_bandwidth){-1, -1, -1, -1, -1};
	if (o->kms->conf->kurento.caps)
		ep->set = (struct kms_bandwidth){-1, -1, -1, CAP_MIN_KBPS, CAP_MAX_KBPS};
	return true;
}

/* Calls under way end with it; a job that core still owes a reply is freed by that. */
static void sdp_fini(struct kms_object *o)
{
	struct kms_endpoint *ep = endpoint(o);
	struct kms_job *job = ep->job;

	kms_undefer(&ep->next);
	ep->job = NULL;
	if (job) {
		kms_fail(job->call, KMS_MEDIA_OBJECT_NOT_FOUND,
			 "Object '%s' was released meanwhile", o->id);
		job->call = NULL;
		job->ep = NULL;
		if (job->waiting == 0)
			free_job(job);
	}
	for (size_t i = 0; i < ep->waiting_count; i++)
		kms_fail(ep->waiting[i].call, KMS_MEDIA_OBJECT_NOT_FOUND,
			 "Object '%s' was released meanwhile", o->id);
	ep->waiting_count = 0;
	sl_free(ep->local);
	sl_free(ep->remote);
}

const struct kms_impl kms_sdp_endpoint_impl = {
	.name = "SdpEndpoint",
	.size = sizeof(struct kms_endpoint),
	.init = sdp_init,
	.fini = sdp_fini,
	.methods =
		(const struct kms_method_impl[]){
			{"generateOffer", generate_offer},
			{"processOffer", process_offer},
			{"processAnswer", process_answer},
			{"getLocalSessionDescriptor", get_local},
			{"getRemoteSessionDescriptor", get_remote},
			{"getMaxAudioRecvBandwidth", kms_get_max_audio_recv},
			{"setMaxAudioRecvBandwidth", kms_set_max_audio_recv},
			{"getMaxVideoRecvBandwidth", kms_get_max_video_recv},
			{"setMaxVideoRecvBandwidth", kms_set_max_video_recv},
			{0},
		},
};

/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/webrtc_ice.c — candidates of a WebRtcEndpoint: ours, gathered by core and told as
 * events, and the peer's, which wait until there is a description. */
#include "api/api_int.h"
#include "api/kurento/lookup.h"
#include "api/kurento/webrtc.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <uv.h>

enum { STUN_PORT = 3478, AGAIN_US = 20000 };

static const char *const component_words[] = {"DISCONNECTED", "GATHERING", "CONNECTING",
					      "CONNECTED",    "READY",	   "FAILED"};

/* ================= ours ================= */

static void to_sdp(const struct sl_core_cand *c, struct sl_sdp_cand *out)
{
	*out = (struct sl_sdp_cand){
		.addr = c->addr,
		.base = c->base,
		.foundation = sl_str_z(c->foundation),
		.type = sl_str_z(c->type),
		.component = 1,
		.priority = c->priority,
		.tcp = (enum sl_sdp_tcp)c->tcp,
	};
}

size_t kms_webrtc_cands(const struct kms_webrtc *w, struct sl_arena *arena,
			struct sl_sdp_cand **out)
{
	*out = w->found_count > 0 ? sl_arena_alloc(arena, w->found_count * sizeof(**out)) : NULL;
	for (size_t i = 0; *out && i < w->found_count; i++)
		to_sdp(&w->found[i], &(*out)[i]);
	return *out ? w->found_count : 0;
}

/* RFC 9143 section 7.3.1 has them on one m-line; Kurento tells them for each, with its mid and
 * index. */
static void raise_found(struct kms_webrtc *w, size_t line, const char *text)
{
	const struct kms_line *l = &w->lines[line];
	struct api_json_out *out = kms_event_begin(&w->ep.e.o, "IceCandidateFound");

	if (!out)
		return;
	kms_open_record(out, "candidate", "IceCandidate");
	api_json_put_z(out, "candidate", text);
	api_json_put_z(out, "sdpMid", l->mid[0] ? l->mid : l->kind == SL_VIDEO ? "video" : "audio");
	api_json_put_int(out, "sdpMLineIndex", (int64_t)line);
	api_json_close_object(out);
	kms_event_end(&w->ep.e.o);
}

static const char *cand_text(const struct sl_core_cand *c, char text[200])
{
	struct sl_buf b = sl_buf(text, 200);
	struct sl_sdp_cand sc;

	to_sdp(c, &sc);
	sl_sdp_cand_write(&sc, &b);
	return text;
}

void kms_webrtc_found(struct kms_webrtc *w, const struct sl_core_cand *c)
{
	struct sl_core_cand *more;
	char text[200];

	if (w->found_count == SL_CORE_CANDS_MAX)
		return;
	more = sl_realloc(w->found, (w->found_count + 1) * sizeof(*more));
	if (!more)
		return;
	w->found = more;
	w->found[w->found_count++] = *c;
	(void)cand_text(c, text);
	for (size_t i = 0; i < w->line_count; i++)
		if (w->lines[i].media && w->lines[i].accepted)
			raise_found(w, i, text);
}

void kms_webrtc_gathered(struct kms_webrtc *w)
{
	if (w->gathered)
		return;
	w->gathered = true;
	kms_event(&w->ep.e.o, "IceGatheringDone");
}

/* ================= component states ================= */

void kms_webrtc_component(struct kms_webrtc *w, enum kms_component state)
{
	struct api_json_out *out;

	if (w->component_said && w->component == state)
		return;
	w->component_said = true;
	w->component = state;
	out = kms_event_begin(&w->ep.e.o, "IceComponentStateChanged");
	if (!out)
		return;
	api_json_put_int(out, "streamId", 1);
	api_json_put_int(out, "componentId", 1);
	api_json_put_z(out, "state", component_words[state]);
	kms_event_end(&w->ep.e.o);
}

void kms_webrtc_get_connections(struct kms_object *o, struct kms_call *call)
{
	const struct kms_webrtc *w = kms_webrtc(o);
	struct api_json_out *out = kms_value(call);

	api_json_open_array(out, NULL);
	if (w->component_said) {
		kms_open_record(out, NULL, "IceConnection");
		api_json_put_z(out, "streamId", "1");
		api_json_put_int(out, "componentId", 1);
		api_json_put_z(out, "state", component_words[w->component]);
		api_json_close_object(out);
	}
	api_json_close_array(out);
	kms_done(call);
}

/* ================= the pair in use ================= */

/* 6.x has the identifiers spelled another way. */
static void put_pair(const struct kms_webrtc *w, struct api_json_out *out, const char *key)
{
	kms_open_record(out, key, "IceCandidatePair");
	api_json_put_z(out, "streamId", "1");
	api_json_put_z(out, "streamID", "1");
	api_json_put_int(out, "componentId", 1);
	api_json_put_int(out, "componentID", 1);
	api_json_put_z(out, "localCandidate", w->pair[0]);
	api_json_put_z(out, "remoteCandidate", w->pair[1]);
	api_json_close_object(out);
}

void kms_webrtc_paired(struct kms_webrtc *w, const struct sl_core_cand *local,
		       const struct sl_core_cand *remote)
{
	struct api_json_out *out;

	(void)cand_text(local, w->pair[0]);
	(void)cand_text(remote, w->pair[1]);
	w->paired = true;
	SL_LOG(INFO, ICE, "candidate pair", SL_KS("object", w->ep.e.o.id),
	       SL_KS("local", w->pair[0]), SL_KS("remote", w->pair[1]));
	out = kms_event_begin(&w->ep.e.o, "NewCandidatePairSelected");
	if (!out)
		return;
	put_pair(w, out, "candidatePair");
	kms_event_end(&w->ep.e.o);
}

void kms_webrtc_get_pairs(struct kms_object *o, struct kms_call *call)
{
	struct api_json_out *out = kms_value(call);

	api_json_open_array(out, NULL);
	if (kms_webrtc(o)->paired)
		put_pair(kms_webrtc(o), out, NULL);
	api_json_close_array(out);
	kms_done(call);
}

/* ================= what to gather with ================= */

static struct sl_str set_or(const char *set, const char *conf)
{
	return sl_str_z(set ? set : conf);
}

/* The addresses of interfaces that are named, as far as there is room. */
static void add_interface(struct sl_gather_conf *g, const uv_interface_address_t *all, int n,
			  struct sl_str name)
{
	for (int i = 0; i < n && g->only_count < SL_COUNT(g->only); i++)
		if (sl_str_eq(sl_str_z(all[i].name), name) &&
		    sl_addr_from_sockaddr((const struct sockaddr *)&all[i].address,
					  &g->only[g->only_count]) == SL_OK)
			g->only_count++;
}

static void add_interfaces(const struct kms_webrtc *w, struct sl_gather_conf *g)
{
	const struct sl_config *conf = w->ep.e.o.kms->conf;
	struct sl_str list = sl_str_z(w->set.network_interfaces);
	uv_interface_address_t *all;
	int n;

	if (list.n == 0 && conf->kurento.network_interfaces.n == 0)
		return;
	if (uv_interface_addresses(&all, &n) != 0)
		return;
	while (list.n > 0)
		add_interface(g, all, n, sl_str_trim(sl_str_cut(&list, ',')));
	for (size_t i = 0; !w->set.network_interfaces && i < conf->kurento.network_interfaces.n;
	     i++)
		add_interface(g, all, n, sl_str_z(conf->kurento.network_interfaces.at[i]));
	uv_free_interface_addresses(all, n);
	if (g->only_count == 0)
		SL_LOG(WARN, ICE,
		       "none of the network interfaces named has an address: all are used",
		       SL_KS("object", w->ep.e.o.id));
}

static void add_stun(const struct kms_webrtc *w, struct sl_gather_conf *g)
{
	const struct sl_config *conf = w->ep.e.o.kms->conf;
	struct sl_str ip = set_or(w->set.stun_address, conf->kurento.stun);
	uint32_t port = w->set.stun_port ? (uint32_t)w->set.stun_port : conf->kurento.stun_port;

	if (ip.n > 0 && sl_addr_parse_ip(ip, &g->stun) == SL_OK)
		g->stun.port = (uint16_t)(port ? port : STUN_PORT);
}

static void add_turn(const struct kms_webrtc *w, struct sl_gather_conf *g)
{
	struct sl_str url = set_or(w->set.turn_url, w->ep.e.o.kms->conf->kurento.turn);

	if (kms_turn_url(url, &g->turn[0]))
		g->turn_count = 1;
}

static void add_external(const struct kms_webrtc *w, struct sl_gather_conf *g)
{
	const struct sl_config *conf = w->ep.e.o.kms->conf;
	struct sl_str v4 = set_or(w->set.external_ipv4, conf->kurento.external_ipv4);
	struct sl_str v6 = set_or(w->set.external_ipv6, conf->kurento.external_ipv6);

	if (v4.n > 0 && (sl_addr_parse_ip(v4, &g->external_v4) < 0 || g->external_v4.family != 4))
		g->external_v4 = (struct sl_addr){0};
	if (v6.n > 0 && (sl_addr_parse_ip(v6, &g->external_v6) < 0 || g->external_v6.family != 6))
		g->external_v6 = (struct sl_addr){0};
}

/* ================= gathering ================= */

struct kms_gathering {
	struct kms_webrtc *w;	   /* NULL: it is gone, or its transport is another */
	struct kms_job *job;	   /* waits for core's reply; NULL: nobody does */
	struct kms_lookup *lookup; /* of the TURN server's name; NULL: core has been asked */
	struct sl_gather_conf conf;
};

static void free_gathering(struct kms_gathering *g)
{
	kms_lookup_forget(g->lookup);
	if (g->w)
		g->w->gathering = NULL;
	sl_wipe(&g->conf, sizeof(g->conf));
	sl_free(g);
}

static void forget_gathering(struct kms_webrtc *w)
{
	struct kms_gathering *g = w->gathering;

	w->gathering = NULL;
	if (!g)
		return;
	g->w = NULL;
	if (g->lookup) /* else core's reply ends it */
		free_gathering(g);
}

static void failed(struct kms_webrtc *w, int err)
{
	SL_LOG(WARN, ICE, "candidates could not be gathered", SL_KS("object", w->ep.e.o.id),
	       SL_KS("why", sl_strerror(err)));
	kms_event_error(&w->ep.e.o, "UNEXPECTED_ELEMENT_ERROR", KMS_ICE_GATHER_CANDIDATES_ERROR,
			"Error gathering candidates: %s", sl_strerror(err));
}

/* The call that asked for it has waited. */
static void end_job(struct kms_job *job, int err)
{
	if (!kms_job_replied(job))
		return;
	if (err)
		kms_job_fail(job, KMS_ICE_GATHER_CANDIDATES_ERROR, "Error gathering candidates: %s",
			     sl_strerror(err));
	else
		kms_job_done(job);
}

static void on_gather(void *arg, const struct sl_reply *r)
{
	struct kms_gathering *g = arg;
	struct kms_webrtc *w = g->w;
	struct kms_job *job = g->job;

	free_gathering(g);
	if (w && r->err)
		w->begun = w->gather = false;
	if (job)
		end_job(job, r->err);
	else if (w && r->err)
		failed(w, r->err);
}

static int ask_core(struct kms_gathering *g)
{
	struct kms_webrtc *w = g->w;
	int err = sl_core_gather(w->ep.e.o.kms->core, w->transport, &g->conf, on_gather, g);

	sl_wipe(&g->conf, sizeof(g->conf));
	return err;
}

static void on_turn_found(void *arg, const struct sl_addr *addr, const char *why)
{
	struct kms_gathering *g = arg;
	struct kms_webrtc *w = g->w;

	g->lookup = NULL;
	if (addr) {
		g->conf.turn[0].addr = sl_addr_with_port(*addr, g->conf.turn[0].addr.port);
	} else {
		char text[400];

		(void)sl_fmt(text, sizeof(text), "TURN server %s: %s", g->conf.turn[0].host, why);
		kms_webrtc_server_failed(w, text);
		g->conf.turn_count = 0;
	}
	if (ask_core(g) == SL_OK)
		return;
	free_gathering(g);
	w->begun = false;
	kms_timer_set(w->ep.e.o.kms, &w->again, kms_now_us(w->ep.e.o.kms) + AGAIN_US);
}

static int begin(struct kms_webrtc *w)
{
	struct kms_gathering *g = sl_zalloc(sizeof(*g));
	int err;

	if (!g)
		return SL_ENOMEM;
	g->w = w;
	g->conf.tcp = w->set.ice_tcp;
	add_interfaces(w, &g->conf);
	add_stun(w, &g->conf);
	add_turn(w, &g->conf);
	add_external(w, &g->conf);
	if (g->conf.turn_count && !g->conf.turn[0].addr.family)
		err = kms_lookup(w->ep.e.o.kms, g->conf.turn[0].host, on_turn_found, g, &g->lookup);
	else
		err = ask_core(g);
	if (err) {
		free_gathering(g);
		return err;
	}
	w->gathering = g;
	w->begun = true;
	if (w->component == KMS_C_DISCONNECTED)
		kms_webrtc_component(w, KMS_C_GATHERING);
	return SL_OK;
}

/* Asking for a name takes as long as it takes: the call does not wait for that. */
void kms_webrtc_gather_now(struct kms_job *job)
{
	struct kms_webrtc *w = kms_webrtc(&job->ep->e.o);
	int err;

	w->gather = true;
	err = w->begun || !w->transport ? SL_OK : begin(w);
	if (err) {
		kms_job_fail_err(job, err, NULL);
	} else if (w->gathering && !w->gathering->lookup && !w->gathering->job) {
		w->gathering->job = job;
		job->waiting++;
	} else {
		kms_job_done(job);
	}
}

/* ================= the peer's ================= */

static bool can_have(const struct kms_webrtc *w)
{
	return w->transport && w->remote_set && !w->ep.job;
}

static void flush_stored(struct kms_webrtc *w)
{
	if (w->stored_count == 0 || !can_have(w))
		return;
	if (sl_core_add_candidates(w->ep.e.o.kms->core, w->transport, w->stored, w->stored_count,
				   false, NULL, NULL) != SL_OK) {
		kms_timer_set(w->ep.e.o.kms, &w->again, kms_now_us(w->ep.e.o.kms) + AGAIN_US);
		return;
	}
	w->stored_count = 0;
	sl_free(w->stored);
	w->stored = NULL;
}

void kms_webrtc_idle(struct kms_endpoint *ep)
{
	struct kms_webrtc *w = kms_webrtc(&ep->e.o);

	flush_stored(w);
	if (w->gather && !w->begun && w->transport && begin(w) != SL_OK)
		kms_timer_set(ep->e.o.kms, &w->again, kms_now_us(ep->e.o.kms) + AGAIN_US);
}

void kms_webrtc_take_stored(struct kms_webrtc *w, struct sl_transport_conf *conf)
{
	size_t taken = 0;

	while (taken < w->stored_count && conf->cand_count < SL_CORE_CANDS_MAX)
		conf->cands[conf->cand_count++] = w->stored[taken++];
	if (w->stored_count > taken)
		memmove(w->stored, w->stored + taken,
			(w->stored_count - taken) * sizeof(*w->stored));
	w->stored_count -= taken;
}

/* What has no room is lost, as a candidate that cannot be used. */
static int store(struct kms_webrtc *w, const struct sl_core_cand *c)
{
	struct sl_core_cand *more;

	if (w->stored_count == SL_CORE_CANDS_MAX)
		return SL_OK;
	more = sl_realloc(w->stored, (w->stored_count + 1) * sizeof(*more));
	if (!more)
		return SL_ENOMEM;
	w->stored = more;
	w->stored[w->stored_count++] = *c;
	return SL_OK;
}

/* An empty one (the end of them), a name that cannot be resolved here and one that does not parse
 * are no errors. */
void kms_webrtc_add_candidate(struct kms_object *o, struct kms_call *call)
{
	const cJSON *text =
		cJSON_GetObjectItemCaseSensitive(kms_arg(call, "candidate"), "candidate");
	struct kms_webrtc *w = kms_webrtc(o);
	struct sl_core_cand c;
	struct sl_sdp_cand read;
	int err;

	if (!cJSON_IsString(text) || !sl_sdp_cand_read(sl_str_z(text->valuestring), &read) ||
	    read.component != 1) {
		kms_done(call);
		return;
	}
	api_cand_to_core(&read, &c);
	if (can_have(w) && w->stored_count == 0)
		err = sl_core_add_candidates(o->kms->core, w->transport, &c, 1, false, NULL, NULL);
	else
		err = store(w, &c);
	if (err)
		kms_fail(call, KMS_ICE_ADD_CANDIDATE_ERROR, "Error adding candidate");
	else
		kms_done(call);
}

/* ================= gatherCandidates ================= */

/* A description under way comes first. Before there is one, a transport is opened for it, so that
 * the description has the candidates. Asked again, it does nothing. */
void kms_webrtc_gather(struct kms_object *o, struct kms_call *call)
{
	kms_endpoint_ask(&kms_webrtc(o)->ep, call, KMS_JOB_OPEN);
}

static void again(struct kms_timer *t)
{
	struct kms_webrtc *w = SL_CONTAINER(t, struct kms_webrtc, again);

	if (!w->ep.job)
		kms_webrtc_idle(&w->ep);
}

void kms_webrtc_ice_init(struct kms_webrtc *w)
{
	w->again.fn = again;
}

/* What belongs to one transport. */
void kms_webrtc_ice_reset(struct kms_webrtc *w)
{
	forget_gathering(w);
	w->begun = w->gathered = w->paired = false;
	sl_free(w->found);
	w->found = NULL;
	w->found_count = 0;
}

void kms_webrtc_ice_fini(struct kms_webrtc *w)
{
	kms_timer_unset(&w->again);
	kms_webrtc_ice_reset(w);
	sl_free(w->stored);
	w->stored = NULL;
	w->stored_count = 0;
}

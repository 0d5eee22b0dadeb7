/* SPDX-License-Identifier: Apache-2.0
 * api/diagnosis.c — from a session's numbers to the one sentence that helps: why somebody cannot
 * connect, or has a poor picture, and what to do about it. A table of rules is tried in order; the
 * first that fits speaks. Those that keep everything else from working come first. */
#include "api/rest.h"
#include <stdio.h>

/* From here on loss can be seen and heard, though repair hides some of it. */
#define LOSS 0.02
/* Fewer packets say nothing about loss. */
enum { ENOUGH_PKTS = 100 };
/* How long a connection may take before something is wrong with it, and how long a pause is one. */
#define SLOW_US (3 * SL_SEC)
#define QUIET_US (3 * SL_SEC)

struct rule {
	const char *cause;
	/* The rule fits. Then *out says so. */
	bool (*fits)(const struct api_facts *f, struct sl_buf *out);
};

static long long whole_seconds(int64_t us)
{
	return (long long)(us / SL_SEC);
}

/* ================= sessions that are over ================= */

static bool over(const struct api_facts *f, enum sl_close_cause cause)
{
	return !f->st && f->ended == cause;
}

static bool ended_fingerprint(const struct api_facts *f, struct sl_buf *out)
{
	if (!over(f, SL_CLOSE_DTLS) || !strstr(f->ended_detail, "fingerprint"))
		return false;
	sl_buf_z(out,
		 "The certificate that the peer showed is not the one whose fingerprint its SDP "
		 "announced: something between rewrote the SDP or the media path, or the client "
		 "mixes two connections. Send the offer of the same RTCPeerConnection that "
		 "connects, over https.");
	return true;
}

static bool ended_dtls(const struct api_facts *f, struct sl_buf *out)
{
	if (!over(f, SL_CLOSE_DTLS))
		return false;
	sl_buf_fmt(out,
		   "ICE found a way, but the encryption handshake failed: %s. Look for a firewall "
		   "that lets STUN through and drops DTLS, or a client that cannot speak DTLS 1.2 "
		   "with SRTP.",
		   f->ended_detail[0] ? f->ended_detail : "it did not finish");
	return true;
}

static bool ended_unconnected(const struct api_facts *f, struct sl_buf *out)
{
	if (!over(f, SL_CLOSE_NEVER_CONNECTED))
		return false;
	sl_buf_fmt(
		out,
		"The peer never connected: no connectivity check got through before ice.timeout. "
		"Can it reach %s by UDP? Behind NAT set media.announce to the public address, and "
		"let that UDP port through the firewall.",
		f->address);
	return true;
}

static bool ended_silent(const struct api_facts *f, struct sl_buf *out)
{
	if (!over(f, SL_CLOSE_TIMEOUT))
		return false;
	sl_buf_z(out, "The peer fell silent for longer than ice.timeout: it lost its network, was "
		      "suspended, or ended without saying so. It has to connect anew.");
	return true;
}

static bool ended_by_peer(const struct api_facts *f, struct sl_buf *out)
{
	if (!over(f, SL_CLOSE_BY_PEER))
		return false;
	sl_buf_z(out, "The peer ended the connection itself, in order.");
	return true;
}

static bool ended_here(const struct api_facts *f, struct sl_buf *out)
{
	if (f->st)
		return false;
	sl_buf_z(
		out,
		f->ended == SL_CLOSE_BUG
			? "The session was ended by an error of the server's own: please report it "
			  "with the log."
			: "The session was ended here: by its client's request, by an operator, or "
			  "by the server's end.");
	return true;
}

/* ================= not connected ================= */

static bool checked(const struct sl_transport_stats *st)
{
	bool any = st->path_found;

	for (size_t i = 0; i < st->pair_count; i++)
		any = any || st->pairs[i].checks_in || st->pairs[i].answers_in;
	return any;
}

static bool connecting(const struct api_facts *f, struct sl_buf *out)
{
	if (f->st->info.connected || f->st->age_us >= SLOW_US)
		return false;
	sl_buf_z(out,
		 "It began a moment ago and is still connecting: look again in a few seconds.");
	return true;
}

static bool bad_checks(const struct api_facts *f, struct sl_buf *out)
{
	if (f->st->info.connected || checked(f->st) || !f->st->drops[SL_DROP_stun])
		return false;
	sl_buf_fmt(
		out,
		"Connectivity checks arrive, but with wrong credentials (%llu of them): the client "
		"uses another ice-ufrag and ice-pwd than the answer gave it. Apply the newest "
		"answer, and only that.",
		(unsigned long long)f->st->drops[SL_DROP_stun]);
	return true;
}

static bool no_answers(const struct api_facts *f, struct sl_buf *out)
{
	unsigned sent = 0;

	for (size_t i = 0; i < f->st->pair_count; i++)
		sent += f->st->pairs[i].checks_out;
	if (f->st->info.connected || checked(f->st) || sent == 0)
		return false;
	sl_buf_fmt(
		out,
		"%u connectivity checks were sent and none was answered, nor did any arrive: UDP "
		"between %s and the peer's candidates is blocked. Open it, or give the client a "
		"TURN server (ice.servers).",
		sent, f->address);
	return true;
}

static bool no_checks(const struct api_facts *f, struct sl_buf *out)
{
	if (f->st->info.connected || checked(f->st))
		return false;
	sl_buf_fmt(
		out,
		"No connectivity check ever arrived. Can the peer reach %s by UDP? Behind NAT set "
		"media.announce to the public address, and let that UDP port through the "
		"firewall.",
		f->address);
	return true;
}

static bool no_dtls(const struct api_facts *f, struct sl_buf *out)
{
	if (f->st->info.connected)
		return false;
	sl_buf_fmt(out,
		   "Connectivity checks arrive, but the DTLS handshake does not finish (%s): a "
		   "firewall may let STUN through and drop DTLS, or the network may drop large "
		   "datagrams.",
		   api_dtls_step(f->st));
	return true;
}

/* ================= connected ================= */

static bool silent(const struct api_facts *f, struct sl_buf *out)
{
	if (f->st->info.silent_us < API_SILENT_US)
		return false;
	sl_buf_fmt(
		out,
		"Nothing has come from the peer for %lld s, not even a connectivity check: it lost "
		"its network or is suspended. After ice.timeout it is gone.",
		whole_seconds(f->st->info.silent_us));
	return true;
}

static bool forged(const struct api_facts *f, struct sl_buf *out)
{
	uint64_t bad = f->st->drops[SL_DROP_forged];

	if (bad < ENOUGH_PKTS || bad < f->st->info.rx_packets / 10)
		return false;
	sl_buf_fmt(out,
		   "%llu packets fail their authentication: the peer encrypts with other keys than "
		   "the handshake gave, or something on the way changes packets. Reconnect; if it "
		   "stays, look at the middlebox.",
		   (unsigned long long)bad);
	return true;
}

static bool no_codec(const struct api_facts *f, struct sl_buf *out)
{
	for (size_t i = 0; i < f->st->track_count; i++) {
		const struct sl_track_stats *t = &f->st->tracks[i];

		if (!t->mismatch)
			continue;
		sl_buf_fmt(out,
			   "There is no codec in common: the player cannot take the %s that its "
			   "publisher sends. Let the publisher send VP8 or constrained-baseline "
			   "H264, or set the room's codecs so that all must.",
			   t->kind == SL_VIDEO ? "video" : "audio");
		return true;
	}
	return false;
}

static bool wrong_pt(const struct api_facts *f, struct sl_buf *out)
{
	uint64_t bad = f->st->drops[SL_DROP_unknown_pt] + f->st->drops[SL_DROP_unknown_ssrc];

	if (bad < ENOUGH_PKTS || bad < f->st->info.rx_packets / 10)
		return false;
	sl_buf_fmt(out,
		   "%llu RTP packets are of a payload type or source that was not negotiated: the "
		   "client sends other than its offer says. Send only what the answer took.",
		   (unsigned long long)bad);
	return true;
}

/* Of a session's published tracks that are not muted, how many, and how many are quiet. */
static bool sends_nothing(const struct api_facts *f, struct sl_buf *out)
{
	size_t tracks = 0, quiet = 0, never = 0;

	for (size_t i = 0; i < f->st->track_count; i++) {
		const struct sl_track_stats *t = &f->st->tracks[i];

		if (!t->publish || t->paused)
			continue;
		tracks++;
		never += t->packets == 0;
		quiet += t->packets == 0 || t->silent_us > QUIET_US;
	}
	if (tracks == 0 || quiet < tracks || f->st->age_us < SLOW_US)
		return false;
	sl_buf_fmt(out,
		   "The publisher is connected but %s: its camera and microphone may be off, taken "
		   "by another program, or not permitted to the page.",
		   never == tracks ? "has sent no media" : "sends no media any more");
	return true;
}

static bool muted(const struct api_facts *f, struct sl_buf *out)
{
	size_t paused = 0;

	for (size_t i = 0; i < f->st->track_count; i++)
		paused += f->st->tracks[i].paused;
	if (paused == 0 || paused < f->st->track_count)
		return false;
	sl_buf_z(out,
		 "All is connected, but every track is muted or paused by request. PATCH it with "
		 "false to let it go on.");
	return true;
}

/* Nothing ever came to be forwarded, or nothing does any more. */
static bool is_dry(const struct sl_track_stats *t)
{
	return !t->waiting && !t->paused && (t->packets == 0 || t->silent_us >= API_SILENT_US);
}

static bool nobody_sends(const struct api_facts *f, struct sl_buf *out)
{
	size_t plays = 0, dry = 0;

	for (size_t i = 0; i < f->st->track_count; i++) {
		const struct sl_track_stats *t = &f->st->tracks[i];

		if (t->publish)
			return false;
		plays += t->publisher != 0;
		dry += t->publisher && is_dry(t);
	}
	if (f->st->track_count == 0 || (plays > 0 && dry < plays))
		return false;
	sl_buf_z(out,
		 plays ? "The player is connected, but those whom it plays send nothing: see their "
			 "sessions' diagnoses."
		 : f->room_publishers
			 ? "The player is connected and waits: nobody whom it may play sends what "
			   "it can take."
			 : "The player is connected and waits: nobody publishes in the room.");
	return true;
}

static bool lossy(uint64_t lost, uint64_t others)
{
	return lost + others >= ENOUGH_PKTS && (double)lost >= LOSS * (double)(lost + others);
}

static void say_loss(struct sl_buf *out, uint64_t lost, uint64_t others, const char *way,
		     const char *mend)
{
	sl_buf_fmt(out, "%.1f %% of the packets %s are lost: %s",
		   100.0 * (double)lost / (double)(lost + others), way, mend);
}

static bool loss_up(const struct api_facts *f, struct sl_buf *out)
{
	if (!lossy(f->flow.up_lost, f->flow.up_packets))
		return false;
	say_loss(out, f->flow.up_lost, f->flow.up_packets, "from the publisher to the server",
		 "its uplink is overloaded or its Wi-Fi is poor. A lower max_video_bps of the "
		 "session, or a "
		 "cable, helps.");
	return true;
}

static bool loss_down(const struct api_facts *f, struct sl_buf *out)
{
	uint64_t sent = SL_MAX(f->flow.down_packets, f->flow.down_lost);

	if (!lossy(f->flow.down_lost, sent - f->flow.down_lost))
		return false;
	say_loss(out, f->flow.down_lost, sent - f->flow.down_lost, "from the server to the player",
		 "its downlink is overloaded or its Wi-Fi is poor. Pause subscriptions, or lower "
		 "the room's "
		 "max_video_bps.");
	return true;
}

static bool capped(const struct api_facts *f, struct sl_buf *out)
{
	for (size_t i = 0; i < f->st->track_count && f->cap_by; i++) {
		const struct sl_track_stats *t = &f->st->tracks[i];

		/* Encoders keep a little below what they may take. */
		if (!t->publish || !t->cap_bps || (double)t->bps < 0.8 * (double)t->cap_bps)
			continue;
		sl_buf_fmt(out,
			   "The picture has all that it may take: %u kb/s, by %s. Raise that for a "
			   "better one.",
			   (unsigned)(t->cap_bps / 1000), f->cap_by);
		return true;
	}
	return false;
}

static bool waits(const struct api_facts *f, struct sl_buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < f->st->track_count; i++)
		n += f->st->tracks[i].waiting && !f->st->tracks[i].paused;
	if (n == 0)
		return false;
	sl_buf_z(out,
		 "The player waits for a key frame, without which nothing can be shown; it has "
		 "been asked for. If it stays so, the publisher does not answer PLI: set a "
		 "key-frame interval in its encoder.");
	return true;
}

static bool well(const struct api_facts *f, struct sl_buf *out)
{
	(void)f;
	sl_buf_z(out, "All is well.");
	return true;
}

/* clang-format off */
static const struct rule rules[] = {
	{"fingerprint_differs",  ended_fingerprint},
	{"dtls_failed",          ended_dtls},
	{"never_connected",      ended_unconnected},
	{"timed_out",            ended_silent},
	{"closed_by_peer",       ended_by_peer},
	{"closed",               ended_here},
	/* from here on there are statistics */
	{"connecting",           connecting},
	{"wrong_credentials",    bad_checks},
	{"no_answer",            no_answers},
	{"no_checks",            no_checks},
	{"no_dtls",              no_dtls},
	/* and a connection */
	{"silent",               silent},
	{"authentication_fails", forged},
	{"no_common_codec",      no_codec},
	{"not_negotiated",       wrong_pt},
	{"muted",                muted},
	{"sends_nothing",        sends_nothing},
	{"nobody_sends",         nobody_sends},
	{"loss_upstream",        loss_up},
	{"loss_downstream",      loss_down},
	{"capped",               capped},
	{"waiting_for_keyframe", waits},
	{"well",                 well},
};
/* clang-format on */

const char *api_diagnose(const struct api_facts *f, char sentence[API_SENTENCE_MAX])
{
	for (size_t i = 0; i < SL_COUNT(rules); i++) {
		struct sl_buf b = sl_buf(sentence, API_SENTENCE_MAX);

		if (rules[i].fits(f, &b))
			return rules[i].cause;
	}
	return "";
}

const char *api_diagnosis_cause(size_t i)
{
	return i < SL_COUNT(rules) ? rules[i].cause : NULL;
}

const char *api_dtls_step(const struct sl_transport_stats *st)
{
	if (strcmp(st->dtls_state, "connected") == 0)
		return "connected";
	if (strcmp(st->dtls_state, "connecting") == 0)
		return "handshake";
	return st->path_found ? "hello awaited" : "no way found yet";
}

void api_flow_of(const struct sl_transport_stats *st, int64_t now_us, struct api_flow *out)
{
	*out = (struct api_flow){.at_us = now_us};
	for (size_t i = 0; i < st->track_count; i++) {
		const struct sl_track_stats *t = &st->tracks[i];

		*(t->publish ? &out->up_packets : &out->down_packets) += t->packets;
		*(t->publish ? &out->up_lost : &out->down_lost) += t->lost;
	}
}

/* What was lost and is not any more (a track ended, or a late packet came) counts as nothing. */
static uint64_t since(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

void api_flow_since(const struct api_flow *now, const struct api_flow *then, struct api_flow *out)
{
	*out = (struct api_flow){
		.at_us = then->at_us,
		.up_packets = since(now->up_packets, then->up_packets),
		.up_lost = since(now->up_lost, then->up_lost),
		.down_packets = since(now->down_packets, then->down_packets),
		.down_lost = since(now->down_lost, then->down_lost),
	};
}

/* SPDX-License-Identifier: Apache-2.0
 * api/fields.c — one table of fields for each type of object. Answers are written from it, and so
 * are the schemas that describe them, so that neither can say what the other does not. */
#include "api/rest.h"
#include <math.h>

/* ================= words ================= */

static const char *const kinds[] = {"audio", "video", NULL};
static const char *const sources[] = {"camera", "microphone", "screen", "", NULL};
static const char *const vias[] = {"whip", "whep", "join", NULL};
static const char *const states[] = {"connecting", "connected", "silent", "closed", NULL};
/* RTCIceTransportState and RTCDtlsTransportState of W3C webrtc. */
static const char *const ice_states[] = {"new",		 "checking", "connected", "completed",
					 "disconnected", "failed",   "closed",	  NULL};
static const char *const dtls_states[] = {"new",    "connecting", "connected",
					  "closed", "failed",	  NULL};
static const char *const dtls_roles[] = {"client", "server", NULL};
static const char *const dtls_steps[] = {"no way found yet", "hello awaited", "handshake",
					 "connected", NULL};
/* RTCStatsIceCandidatePairState of W3C webrtc-stats. */
static const char *const pair_states[] = {"waiting", "in-progress", "succeeded", NULL};
static const char *const who_words[] = {"anyone", "nobody", NULL};
const char *const api_codec_words[] = {"opus", "PCMU", "PCMA", "G722", "VP8",
				       "VP9",  "H264", "H265", "AV1",  NULL};

static const char *drop_name(size_t i)
{
	return i < SL_DROP_COUNT ? sl_drop_name((enum sl_drop)i) : NULL;
}

static const char *stat_name(size_t i)
{
	return i < SL_STAT_COUNT ? sl_stat_name((enum sl_stat)i) : NULL;
}

/* ================= the tables ================= */

/* clang-format off */
#define COMMON(json, t, f, member, text) \
	.name = (json), .type = API_F_##t, .flags = (f), \
	.off = offsetof(struct VIEW, member), .help = (text)
#define FIELD(json, t, f, member, text) {COMMON(json, t, f, member, text)}
#define WORDS(json, f, member, w, text) {COMMON(json, TEXT, f, member, text), .words = (w)}
#define RANGE(json, t, f, member, lo, hi, text) \
	{COMMON(json, t, f, member, text), .min = (lo), .max = (hi)}
#define OF(json, t, f, member, o, text) {COMMON(json, t, f, member, text), .of = &(o)}
#define TEXTS(json, f, member, w, text) {COMMON(json, TEXTS, f, member, text), .words = (w)}
#define COUNTS(json, f, member, namer, text) \
	{COMMON(json, COUNTS, f, member, text), .count_name = (namer)}
#define OBJECT(id, json, set, text) \
	const struct api_object api_object_##id = { \
		.name = (json), .settings = (set), .fields = id##_fields, \
		.count = SL_COUNT(id##_fields), .size = sizeof(struct VIEW), .help = (text)}

#define VIEW api_view_track_stats
static const struct api_field track_stats_fields[] = {
	FIELD("ssrc", INT, 0, ssrc, "its source in RTP; 0 before the first packet"),
	FIELD("mimeType", TEXT, API_NULL, mime, "codec of the last packet"),
	FIELD("packetsReceived", INT, 0, packets, "RTP packets"),
	FIELD("bytesReceived", INT, 0, bytes, "payload bytes"),
	FIELD("packetsLost", INT, 0, lost, "packets that never arrived here"),
	FIELD("fractionLost", NUM, 0, loss, "packetsLost of all that were sent, 0 to 1"),
	FIELD("retransmittedPacketsReceived", INT, 0, retransmitted, "packets recovered by RTX"),
	FIELD("jitter", NUM, 0, jitter_s, "interarrival jitter in seconds"),
	FIELD("roundTripTime", NUM, API_NULL, rtt_s, "seconds"),
	FIELD("nackCount", INT, 0, nacks, "packets asked for again"),
	FIELD("pliCount", INT, 0, plis, "key frames asked for"),
	FIELD("keyFrames", INT, 0, keyframes, "key frames received"),
	FIELD("bitrate", INT, 0, bps, "bits a second, over the last second"),
	FIELD("cap", INT, 0, cap_bps,
	      "bits a second that the publisher is asked to keep to (REMB); 0 none"),
	FIELD("silence", NUM, API_NULL, silent_s, "seconds since its last packet"),
};
OBJECT(track_stats, "TrackStatistics", NULL,
      "What came of a published track. Names of W3C webrtc-stats where it has them.");

static const struct api_field sub_stats_fields[] = {
	FIELD("ssrc", INT, 0, ssrc, "its source in RTP"),
	FIELD("mimeType", TEXT, API_NULL, mime, "codec of the last packet"),
	FIELD("packetsSent", INT, 0, packets, "RTP packets"),
	FIELD("bytesSent", INT, 0, bytes, "payload bytes"),
	FIELD("packetsLost", INT, 0, lost,
	      "packets that never arrived there, as the player reports"),
	FIELD("fractionLost", NUM, 0, loss, "packetsLost of all that were sent, 0 to 1"),
	FIELD("retransmittedPacketsSent", INT, 0, retransmitted, "packets sent again"),
	FIELD("jitter", NUM, 0, jitter_s, "interarrival jitter in seconds, as the player reports"),
	FIELD("roundTripTime", NUM, API_NULL, rtt_s, "seconds"),
	FIELD("nackCount", INT, 0, nacks, "packets that the player asked for again"),
	FIELD("pliCount", INT, 0, plis, "key frames that the player asked for"),
	FIELD("keyFramesSent", INT, 0, keyframes, "key frames"),
	FIELD("bitrate", INT, 0, bps, "bits a second, over the last second"),
	FIELD("waitingForKeyFrame", BOOL, 0, waiting,
	      "nothing can be shown before the next key frame"),
	FIELD("codecMismatch", BOOL, 0, mismatch,
	      "the player has no codec for what its track sends"),
};
OBJECT(sub_stats, "SubscriptionStatistics", NULL,
      "What went to a player. Names of W3C webrtc-stats where it has them.");
#undef VIEW

#define VIEW api_view_pair
static const struct api_field pair_fields[] = {
	FIELD("local", TEXT, 0, local, "address and port of this server"),
	FIELD("remote", TEXT, 0, remote, "address and port of the peer"),
	FIELD("remoteCandidateType", TEXT, 0, type, "host, srflx, prflx or relay"),
	WORDS("state", 0, state, pair_states, "as in W3C webrtc-stats"),
	FIELD("nominated", BOOL, 0, nominated, "the controlling side chose it"),
	FIELD("selected", BOOL, 0, selected, "media goes this way"),
	FIELD("requestsReceived", INT, 0, checks_in,
	      "connectivity checks that came and were authentic"),
	FIELD("requestsSent", INT, 0, checks_out,
	      "connectivity checks sent; none by an ICE-lite server"),
	FIELD("responsesReceived", INT, 0, answers_in, "answers to them"),
	FIELD("currentRoundTripTime", NUM, API_NULL, rtt_s, "seconds"),
};
OBJECT(pair, "CandidatePair", NULL, "One way between the server and the peer.");
#undef VIEW

#define VIEW api_view_session_stats
static const struct api_field session_stats_fields[] = {
	FIELD("packetsReceived", INT, 0, rx_packets, "datagrams with media"),
	FIELD("bytesReceived", INT, 0, rx_bytes, "their bytes"),
	FIELD("packetsSent", INT, 0, tx_packets, "datagrams with media"),
	FIELD("bytesSent", INT, 0, tx_bytes, "their bytes"),
	FIELD("packetsLost", INT, 0, lost, "RTP packets lost on the way here"),
	FIELD("incomingBitrate", INT, 0, rx_bps, "bits a second, over the last second"),
	FIELD("outgoingBitrate", INT, 0, tx_bps, "bits a second, over the last second"),
	FIELD("currentRoundTripTime", NUM, API_NULL, rtt_s, "seconds"),
	FIELD("silence", NUM, 0, silent_s, "seconds since the peer's last authentic packet"),
	WORDS("iceState", 0, ice_state, ice_states, "RTCIceTransportState"),
	WORDS("dtlsState", 0, dtls_state, dtls_states, "RTCDtlsTransportState"),
	WORDS("dtlsRole", 0, dtls_role, dtls_roles, "of this server"),
	FIELD("srtpCipher", TEXT, API_NULL, srtp, "null before the keys"),
	OF("selectedCandidatePair", OBJECT, API_NULL, selected, api_object_pair,
	      "the way that media goes"),
};
OBJECT(session_stats, "SessionStatistics", NULL,
      "A session's transport, in words of W3C webrtc-stats where it has them.");
#undef VIEW

#define VIEW api_view_diagnosis
static const struct api_field diagnosis_fields[] = {
	{COMMON("cause", TEXT, 0, cause, "the rule that fits first, as a word")},
	FIELD("sentence", TEXT, 0, sentence, "the likely reason, and what to do"),
	WORDS("dtlsStep", API_NULL, dtls_step, dtls_steps, "how far the handshake came"),
	OF("candidatePairs", LIST, 0, pairs, api_object_pair,
	      "the ways that were tried, and what came back"),
	FIELD("packetsReceived", INT, 0, rx_packets, "datagrams with media"),
	FIELD("packetsSent", INT, 0, tx_packets, "datagrams with media"),
	COUNTS("packetsDropped", API_NULL, drops, drop_name,
	      "packets that went no further, by cause"),
};
OBJECT(diagnosis, "Diagnosis", NULL, "Why somebody cannot connect, or has a poor picture.");
#undef VIEW

#define VIEW api_view_track
static const struct api_field track_fields[] = {
	FIELD("id", TEXT, 0, id, "opaque"),
	FIELD("room", TEXT, 0, room, "name of its room"),
	FIELD("participant", TEXT, 0, participant, "who sends it"),
	FIELD("session", TEXT, 0, session, "id of the session that sends it"),
	WORDS("kind", 0, kind, kinds, "what it is"),
	WORDS("source", 0, source, sources, "what it shows, where the client has said so"),
	FIELD("mid", TEXT, 0, mid, "its m-line"),
	FIELD("muted", BOOL, API_SET, muted, "nobody in the room gets it"),
	FIELD("mimeType", TEXT, API_NULL, mime, "codec, once something came"),
	OF("statistics", OBJECT, API_MAY_MISS, stats, api_object_track_stats, "left out of lists"),
};
OBJECT(track, "Track", "TrackSettings", "Something that a participant sends.");
#undef VIEW

#define VIEW api_view_page
static const struct api_field track_list_fields[] = {
	OF("tracks", LIST, 0, items, api_object_track, "in order of their making"),
};
OBJECT(track_list, "TrackList", NULL, "All tracks of a participant.");
#undef VIEW

#define VIEW api_view_subscription
static const struct api_field subscription_fields[] = {
	FIELD("id", TEXT, 0, id, "opaque"),
	FIELD("room", TEXT, 0, room, "name of its room"),
	FIELD("session", TEXT, 0, session, "id of the session that plays"),
	WORDS("kind", 0, kind, kinds, "what it is"),
	FIELD("mid", TEXT, 0, mid, "its m-line"),
	FIELD("track", TEXT, API_NULL, track, "id of the track that it plays now"),
	FIELD("participant", TEXT, API_NULL, participant, "who sends that track"),
	FIELD("paused", BOOL, API_SET, paused, "nothing is sent to the player"),
	OF("statistics", OBJECT, API_MAY_MISS, stats, api_object_sub_stats, "left out of lists"),
};
OBJECT(subscription, "Subscription", "SubscriptionSettings",
      "An m-line on which somebody plays what others send.");
#undef VIEW

#define VIEW api_view_session
static const struct api_field session_fields[] = {
	FIELD("id", TEXT, 0, id, "opaque; it gives no right to anything under /v1"),
	WORDS("via", 0, via, vias, "how it came here"),
	FIELD("room", TEXT, 0, room, "name of its room"),
	FIELD("participant", TEXT, API_NULL, participant, "name; a WHEP player has none"),
	FIELD("plays", TEXT, API_MAY_MISS, plays,
	      "the one participant that a WHEP player asked for"),
	WORDS("state", 0, state, states, "silent: connected, but nothing comes any more"),
	FIELD("loop", INT, 0, loop, "media loop that serves it"),
	FIELD("age", NUM, 0, age_s, "seconds since it began"),
	RANGE("max_video_bps", INT, API_NULL | API_SET, max_video_bps, 0, 1e9,
	      "cap of each of its cameras; 0 or null: none but the room's and the server's"),
	TEXTS("tracks", 0, tracks, NULL, "ids of what it sends"),
	TEXTS("subscriptions", 0, subscriptions, NULL, "ids of what it plays on"),
	FIELD("ended", TEXT, API_MAY_MISS, ended, "why it is closed"),
	FIELD("endedAgo", NUM, API_MAY_MISS, ended_s, "seconds since it was closed"),
	OF("statistics", OBJECT, API_MAY_MISS, stats, api_object_session_stats,
	      "left out of lists, and when closed"),
	OF("diagnosis", OBJECT, API_MAY_MISS, diagnosis, api_object_diagnosis, "left out of lists"),
};
OBJECT(session, "Session", "SessionSettings",
      "One peer: by WHIP, by WHEP, or joined by WebSocket.");
#undef VIEW

#define VIEW api_view_page
static const struct api_field session_list_fields[] = {
	OF("sessions", LIST, 0, items, api_object_session,
	      "in order of their ids; closed ones newest first"),
	FIELD("next", TEXT, API_NULL, next,
	      "what ?after= takes for the next page; null: there is none"),
};
OBJECT(session_list, "SessionList", NULL, "A page of sessions.");
#undef VIEW

#define VIEW api_view_participant
static const struct api_field participant_fields[] = {
	FIELD("name", TEXT, 0, name, "unique in its room"),
	FIELD("room", TEXT, 0, room, "name of the room"),
	FIELD("session", TEXT, 0, session, "id of the session"),
	WORDS("via", 0, via, vias, "how it came here"),
	WORDS("state", 0, state, states, "silent: connected, but nothing comes any more"),
	FIELD("age", NUM, 0, age_s, "seconds since it came"),
	OF("tracks", LIST, 0, tracks, api_object_track, "what it sends"),
};
OBJECT(participant, "Participant", NULL, "Somebody in a room, by name.");
#undef VIEW

#define VIEW api_view_page
static const struct api_field participant_list_fields[] = {
	OF("participants", LIST, 0, items, api_object_participant, "in order of their names"),
	FIELD("next", TEXT, API_NULL, next,
	      "what ?after= takes for the next page; null: there is none"),
};
OBJECT(participant_list, "ParticipantList", NULL, "A page of participants.");
#undef VIEW

#define VIEW api_view_room
static const struct api_field room_fields[] = {
	FIELD("name", TEXT, 0, name, "as in the path, decoded"),
	FIELD("participants", INT, 0, participants, "how many are here"),
	FIELD("players", INT, 0, players, "how many sessions play"),
	FIELD("speaker", TEXT, API_NULL, speaker, "name of the active speaker"),
	FIELD("age", NUM, 0, age_s, "seconds since it began"),
	RANGE("capacity", INT, API_SET, capacity, 1, 10000,
	      "most participants; written null: rooms.max_participants"),
	{COMMON("publishers", WHO, API_SET, publishers,
	      "who may publish: \"anyone\", \"nobody\", or a list of names"),
	 .words = who_words},
	TEXTS("codecs", API_SET, codecs, api_codec_words,
	      "codecs that sessions to come may use; written null: all"),
	RANGE("max_video_bps", INT, API_SET, max_video_bps, 0, 1e9,
	      "bits a second that all cameras of the room share; 0: no cap; written null: "
	      "rooms.max_video_bps"),
	RANGE("linger_ms", INT, API_NULL | API_SET, linger_ms, 0, 86400000,
	      "how long it stays when the last has left; null: until it is deleted"),
};
OBJECT(room, "Room", "RoomSettings", "A room: people in it send to and play each other.");
#undef VIEW

#define VIEW api_view_page
static const struct api_field room_list_fields[] = {
	OF("rooms", LIST, 0, items, api_object_room, "in order of their names"),
	FIELD("next", TEXT, API_NULL, next,
	      "what ?after= takes for the next page; null: there is none"),
};
OBJECT(room_list, "RoomList", NULL, "A page of rooms.");
#undef VIEW

#define VIEW api_view_loop
static const struct api_field loop_fields[] = {
	FIELD("loop", INT, 0, loop, "number, from 0"),
	FIELD("port", INT, 0, port, "UDP port"),
	FIELD("transports", INT, 0, transports, "peers that it serves"),
	FIELD("busy", BOOL, 0, busy, "it cannot keep up and takes no new sessions"),
	FIELD("videoWithheld", NUM, 0, video_withheld,
	      "share of its video subscriptions that get nothing while it is busy; audio goes on"),
	TEXTS("addresses", 0, addresses, NULL, "told to peers"),
	COUNTS("counters", 0, counters, stat_name,
	      "since the start; /metrics says what they count"),
};
OBJECT(loop, "Loop", NULL, "A thread that forwards media.");
#undef VIEW

#define VIEW api_view_loop_list
static const struct api_field loop_list_fields[] = {
	OF("loops", LIST, 0, loops, api_object_loop, "in order"),
	FIELD("rooms", INT, 0, rooms, "of the server"),
	FIELD("sessions", INT, 0, sessions, "of the server"),
	FIELD("cpuTime", NUM, 0, cpu_s, "seconds that all threads have used"),
	FIELD("residentBytes", INT, 0, resident_bytes, "most memory that the process had so far"),
	FIELD("handshakeWait", NUM, 0, handshake_wait_s,
	      "seconds that a DTLS handshake would wait now"),
	FIELD("uptime", NUM, 0, uptime_s, "seconds since the start"),
	FIELD("draining", BOOL, 0, draining, "no new sessions are taken"),
};
OBJECT(loop_list, "LoopList", NULL, "What the server is made of.");
#undef VIEW

#define VIEW api_view_config
static const struct api_field config_fields[] = {
	FIELD("log.level", TEXT, API_SET, log_level,
	      "error, warn, info or debug, also by module: warn,ice=debug"),
	RANGE("publish.max_video_bps", INT, API_SET, publish_bps, 0, 1e9,
	      "REMB to publishers without transport-cc; 0: no cap"),
	RANGE("rooms.max_video_bps", INT, API_SET, room_bps, 0, 1e9,
	      "what the cameras of a room share that says nothing else; 0: no cap"),
};
OBJECT(config, "Config", "ConfigSettings",
      "What of the configuration can change at run time, until the server ends.");
#undef VIEW

/* Written by problem.c: here only for its schema. */
struct problem {
	const char *type, *title, *detail, *field;
	int64_t status;
};
#define VIEW problem
static const struct api_field problem_fields[] = {
	FIELD("type", TEXT, 0, type, "about:blank"),
	FIELD("title", TEXT, 0, title, "text of the status"),
	FIELD("status", INT, 0, status, "HTTP status"),
	FIELD("detail", TEXT, 0, detail, "what is wrong, in a sentence"),
	FIELD("field", TEXT, API_MAY_MISS, field,
	      "where: a JSON pointer into the body, or ?name for a query parameter"),
};
OBJECT(problem, "Problem", NULL, "RFC 9457.");
#undef VIEW

/* Events are written where they happen (events.c, feed.c): these say only what they look like. */
#define SAID(json, t, f, text) {.name = (json), .type = API_F_##t, .flags = (f), .help = (text)}
#define SAID_WORDS(json, f, w, text) \
	{.name = (json), .type = API_F_TEXT, .flags = (f), .words = (w), .help = (text)}
#define SAID_OF(json, t, f, o, text) \
	{.name = (json), .type = API_F_##t, .flags = (f), .of = &(o), .help = (text)}
#define SAID_OBJECT(id, json, text) \
	static const struct api_object object_##id = { \
		.name = (json), .fields = id##_fields, .count = SL_COUNT(id##_fields), .help = (text)}

static const char *const event_types[] = {
	"hello", "gap", "overflow", "room", "participant", "track", "session", "speaker",
	"codec_mismatch", "stats", "load", "overload", NULL};
static const char *const event_words[] = {
	"created", "changed", "ended", "joined", "left", "added", "removed", "opened", "connected",
	"silent", "back", "closed", NULL};
static const char *const event_roles[] = {"publisher", "player", "both", NULL};

static const struct api_field event_track_fields[] = {
	SAID("id", TEXT, 0, "opaque id, for /v1/tracks/{id}"),
	SAID_WORDS("kind", 0, kinds, ""),
	SAID_WORDS("source", 0, sources, ""),
	SAID("muted", BOOL, 0, ""),
	SAID("codec", TEXT, API_NULL, "null before the first packet"),
};
SAID_OBJECT(event_track, "EventTrack", "A published track in an event.");

static const struct api_field event_sent_fields[] = {
	SAID("id", TEXT, 0, "opaque id of the track"),
	SAID_WORDS("kind", 0, kinds, ""),
	SAID_OF("statistics", OBJECT, 0, api_object_track_stats, ""),
};
SAID_OBJECT(event_sent, "EventTrackStatistics", "A published track in an event of statistics.");

static const struct api_field event_played_fields[] = {
	SAID("id", TEXT, 0, "opaque id of the subscription"),
	SAID_WORDS("kind", 0, kinds, ""),
	SAID_OF("statistics", OBJECT, 0, api_object_sub_stats, ""),
};
SAID_OBJECT(event_played, "EventSubscriptionStatistics",
	    "A subscription in an event of statistics.");

static const struct api_field event_fields[] = {
	SAID("id", INT, API_MAY_MISS, "for Last-Event-ID; overflow and stats have none"),
	SAID_WORDS("type", 0, event_types, "which fields it has is in docs/events.md"),
	SAID("time", TEXT, API_MAY_MISS, "UTC, as in RFC 3339; not in overflow"),
	SAID_WORDS("event", API_MAY_MISS, event_words,
		   "what became of a room, participant, track or session"),
	SAID("room", TEXT, API_MAY_MISS, "its name"),
	SAID("participant", TEXT, API_MAY_MISS | API_NULL, "null for a player of WHEP"),
	SAID("session", TEXT, API_MAY_MISS, "opaque id, for /v1/sessions/{id}"),
	SAID_WORDS("role", API_MAY_MISS, event_roles, "of session"),
	SAID("cause", TEXT, API_MAY_MISS, "of a session that closed: a sentence"),
	SAID_OF("track", OBJECT, API_MAY_MISS, object_event_track, "of track"),
	SAID("subscription", TEXT, API_MAY_MISS | API_NULL, "of codec_mismatch: opaque id"),
	SAID("publisher", TEXT, API_MAY_MISS | API_NULL, "of codec_mismatch: who"),
	SAID("codec", TEXT, API_MAY_MISS | API_NULL, "of codec_mismatch: what is sent"),
	SAID_OF("statistics", OBJECT, API_MAY_MISS, api_object_session_stats, "of stats"),
	SAID_OF("tracks", LIST, API_MAY_MISS, object_event_sent, "of stats"),
	SAID_OF("subscriptions", LIST, API_MAY_MISS, object_event_played,
		"of stats, in place of statistics and tracks"),
	SAID("after", INT, API_MAY_MISS, "of gap: events after this id are lost to the reader"),
	SAID("reason", TEXT, API_MAY_MISS, "of overflow and overload: a sentence"),
	SAID("refused", INT, API_MAY_MISS, "of overload: how many since the last"),
	SAID("loop", INT, API_MAY_MISS, "of load"),
	SAID("busy", BOOL, API_MAY_MISS, "of load: it takes no new sessions"),
	SAID("videoWithheld", NUM, API_MAY_MISS,
	     "of load: share of its video subscriptions that get nothing for now, 0 to 1"),
};
SAID_OBJECT(event, "Event",
	    "What happened: the data of a server-sent event, or a message of the WebSocket.");

const struct api_object *const api_objects[] = {
	&api_object_room, &api_object_room_list,
	&api_object_participant, &api_object_participant_list,
	&api_object_track, &api_object_track_list, &api_object_session, &api_object_session_list,
	&api_object_subscription, &api_object_loop, &api_object_loop_list, &api_object_config,
	&api_object_track_stats, &api_object_sub_stats, &api_object_session_stats, &api_object_pair,
	&api_object_diagnosis, &api_object_problem, &object_event_track, &object_event_sent,
	&object_event_played, &object_event, NULL,
};
/* clang-format on */

/* ================= values ================= */

static void write_bool(struct api_json_out *o, const struct api_field *f, const void *at)
{
	api_json_put_bool(o, f->name, *(const bool *)at);
}

static void write_int(struct api_json_out *o, const struct api_field *f, const void *at)
{
	api_json_put_int(o, f->name, *(const int64_t *)at);
}

static void write_num(struct api_json_out *o, const struct api_field *f, const void *at)
{
	/* To the microsecond: what is beyond is noise. */
	api_json_put_num(o, f->name, (double)(int64_t)(*(const double *)at * 1e6 + 0.5) / 1e6);
}

static void write_text(struct api_json_out *o, const struct api_field *f, const void *at)
{
	api_json_put_z(o, f->name, *(const char *const *)at);
}

static void write_nested(struct api_json_out *o, const struct api_field *f, const void *at)
{
	api_write_object(o, f->name, f->of, *(const void *const *)at);
}

static void write_list(struct api_json_out *o, const struct api_field *f, const void *at)
{
	const struct api_list *list = at;

	api_json_open_array(o, f->name);
	for (size_t i = 0; i < list->n; i++)
		api_write_object(o, NULL, f->of, (const char *)list->at + i * f->of->size);
	api_json_close_array(o);
}

static void write_texts(struct api_json_out *o, const struct api_field *f, const void *at)
{
	const struct api_list *list = at;
	const char *const *texts = list->at;

	api_json_open_array(o, f->name);
	for (size_t i = 0; i < list->n; i++)
		api_json_put_z(o, NULL, texts[i]);
	api_json_close_array(o);
}

/* No list: n is the number of the word. */
static void write_who(struct api_json_out *o, const struct api_field *f, const void *at)
{
	const struct api_list *list = at;

	if (list->at)
		write_texts(o, f, at);
	else
		api_json_put_z(o, f->name, f->words[list->n]);
}

static void write_counts(struct api_json_out *o, const struct api_field *f, const void *at)
{
	const uint64_t *n = *(const uint64_t *const *)at;

	api_json_open_object(o, f->name);
	for (size_t i = 0; f->count_name(i); i++)
		api_json_put_u64(o, f->count_name(i), SL_LOAD(&n[i]));
	api_json_close_object(o);
}

static bool is_null(const struct api_field *f, const void *at)
{
	switch (f->type) {
	case API_F_INT:
		return f->flags & API_NULL && *(const int64_t *)at < 0;
	case API_F_NUM:
		return isnan(*(const double *)at);
	case API_F_TEXT:
	case API_F_OBJECT:
	case API_F_COUNTS:
		return !*(const void *const *)at;
	case API_F_BOOL:
	case API_F_LIST:
	case API_F_TEXTS:
	case API_F_WHO:
		break;
	}
	return false;
}

/* ================= schemas ================= */

static void put_type(struct api_json_out *o, const char *type, bool null)
{
	if (!null) {
		api_json_put_z(o, "type", type);
		return;
	}
	api_json_open_array(o, "type");
	api_json_put_z(o, NULL, type);
	api_json_put_z(o, NULL, "null");
	api_json_close_array(o);
}

static void put_words(struct api_json_out *o, const char *const *words, bool null)
{
	if (!words)
		return;
	api_json_open_array(o, "enum");
	for (; *words; words++)
		api_json_put_z(o, NULL, *words);
	if (null)
		api_json_put_null(o, NULL);
	api_json_close_array(o);
}

static void put_ref(struct api_json_out *o, const char *key, const struct api_object *of)
{
	char ref[96];

	(void)sl_fmt(ref, sizeof(ref), "#/components/schemas/%s", of->name);
	if (key)
		api_json_open_object(o, key);
	api_json_put_z(o, "$ref", ref);
	if (key)
		api_json_close_object(o);
}

static void schema_bool(struct api_json_out *o, const struct api_field *f, bool null)
{
	(void)f;
	put_type(o, "boolean", null);
}

static void schema_range(struct api_json_out *o, const struct api_field *f)
{
	if (f->max <= f->min)
		return;
	api_json_put_num(o, "minimum", f->min);
	api_json_put_num(o, "maximum", f->max);
}

static void schema_int(struct api_json_out *o, const struct api_field *f, bool null)
{
	put_type(o, "integer", null);
	schema_range(o, f);
}

static void schema_num(struct api_json_out *o, const struct api_field *f, bool null)
{
	put_type(o, "number", null);
	schema_range(o, f);
}

static void schema_text(struct api_json_out *o, const struct api_field *f, bool null)
{
	put_type(o, "string", null);
	put_words(o, f->words, null);
}

static void schema_object(struct api_json_out *o, const struct api_field *f, bool null)
{
	if (!null) {
		put_ref(o, NULL, f->of);
		return;
	}
	api_json_open_array(o, "anyOf");
	api_json_open_object(o, NULL);
	put_ref(o, NULL, f->of);
	api_json_close_object(o);
	api_json_open_object(o, NULL);
	put_type(o, "null", false);
	api_json_close_object(o);
	api_json_close_array(o);
}

static void schema_list(struct api_json_out *o, const struct api_field *f, bool null)
{
	put_type(o, "array", null);
	put_ref(o, "items", f->of);
}

static void schema_texts(struct api_json_out *o, const struct api_field *f, bool null)
{
	put_type(o, "array", null);
	api_json_open_object(o, "items");
	put_type(o, "string", false);
	put_words(o, f->words, false);
	api_json_close_object(o);
}

static void schema_who(struct api_json_out *o, const struct api_field *f, bool null)
{
	api_json_open_array(o, "anyOf");
	api_json_open_object(o, NULL);
	put_type(o, "string", null);
	put_words(o, f->words, null);
	api_json_close_object(o);
	api_json_open_object(o, NULL);
	put_type(o, "array", false);
	api_json_open_object(o, "items");
	put_type(o, "string", false);
	api_json_close_object(o);
	api_json_close_object(o);
	api_json_close_array(o);
}

static void schema_counts(struct api_json_out *o, const struct api_field *f, bool null)
{
	put_type(o, "object", null);
	api_json_open_object(o, "properties");
	for (size_t i = 0; f->count_name(i); i++) {
		api_json_open_object(o, f->count_name(i));
		put_type(o, "integer", false);
		api_json_close_object(o);
	}
	api_json_close_object(o);
	api_json_put_bool(o, "additionalProperties", false);
}

static const struct {
	void (*write)(struct api_json_out *o, const struct api_field *f, const void *at);
	void (*schema)(struct api_json_out *o, const struct api_field *f, bool null);
} types[] = {
	[API_F_BOOL] = {write_bool, schema_bool},	[API_F_INT] = {write_int, schema_int},
	[API_F_NUM] = {write_num, schema_num},		[API_F_TEXT] = {write_text, schema_text},
	[API_F_OBJECT] = {write_nested, schema_object}, [API_F_LIST] = {write_list, schema_list},
	[API_F_TEXTS] = {write_texts, schema_texts},	[API_F_WHO] = {write_who, schema_who},
	[API_F_COUNTS] = {write_counts, schema_counts},
};

void api_write_object(struct api_json_out *o, const char *key, const struct api_object *type,
		      const void *view)
{
	api_json_open_object(o, key);
	for (size_t i = 0; i < type->count; i++) {
		const struct api_field *f = &type->fields[i];
		const void *at = (const char *)view + f->off;

		if (!is_null(f, at))
			types[f->type].write(o, f, at);
		else if (!(f->flags & API_MAY_MISS))
			api_json_put_null(o, f->name);
	}
	api_json_close_object(o);
}

/* written: the schema of a body that changes it; null there stands for the default. */
static void write_properties(struct api_json_out *o, const struct api_object *type, bool written)
{
	api_json_open_object(o, "properties");
	for (size_t i = 0; i < type->count; i++) {
		const struct api_field *f = &type->fields[i];

		if (written && !(f->flags & API_SET))
			continue;
		api_json_open_object(o, f->name);
		types[f->type].schema(o, f,
				      f->flags & API_NULL || (written && f->type != API_F_BOOL &&
							      type != &api_object_config));
		api_json_put_z(o, "description", f->help);
		api_json_close_object(o);
	}
	api_json_close_object(o);
}

static void write_schema(struct api_json_out *o, const struct api_object *type, bool written)
{
	api_json_open_object(o, written ? type->settings : type->name);
	api_json_put_z(o, "type", "object");
	api_json_put_z(o, "description", type->help);
	write_properties(o, type, written);
	if (!written) {
		api_json_open_array(o, "required");
		for (size_t i = 0; i < type->count; i++)
			if (!(type->fields[i].flags & API_MAY_MISS))
				api_json_put_z(o, NULL, type->fields[i].name);
		api_json_close_array(o);
	}
	api_json_put_bool(o, "additionalProperties", false);
	api_json_close_object(o);
}

void api_write_schemas(struct api_json_out *o)
{
	for (size_t i = 0; api_objects[i]; i++) {
		write_schema(o, api_objects[i], false);
		if (api_objects[i]->settings)
			write_schema(o, api_objects[i], true);
	}
}

size_t api_settable(const struct api_object *type, const char **keys, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < type->count && n < cap; i++)
		if (type->fields[i].flags & API_SET)
			keys[n++] = type->fields[i].name;
	return n;
}

/* SPDX-License-Identifier: Apache-2.0
 * ice/ice.h — ICE without IO: one agent per transport, one component (BUNDLE and rtcp-mux are
 * assumed).
 * What:      RFC 8445 full agent in both roles and lite; trickle (RFC 8838), peer-reflexive
 *            candidates, role conflict, nomination, restart, consent (RFC 7675). STUN reading and
 *            writing (RFC 5389/8489 as ICE needs it).
 *            Not: sockets, mDNS (".local" candidates are ignored, the peer-reflexive path serves
 *            them). Beside the agent, not part of it: reflex.h asks STUN servers, turn.h is a TURN
 *            client, frame.h cuts datagrams out of streams.
 * Verbs:     recv bytes in, tick time in, pull bytes out, event events out, deadline the next tick.
 *            After any call that changes the agent the caller drains pull and event, then re-arms
 *            one timer.
 * The pair in use changes  (a) to one that gets an authenticated check with USE-CANDIDATE, unless
 *            its priority is lower and the present pair had one, or SRTP or SRTCP, in the last 3 s;
 *            (b) to any validated pair that brings SRTP or SRTCP while the present one has been
 *            silent for 500 ms, or checks while it has been silent for 6 s. Packets of every
 *            validated pair are accepted (sl_ice_is_valid).
 * Lite:      has no checks of its own, but for one case (docs/deviations.md): after media has moved
 *            to a new address under the same credentials a check goes there, again after 0.2, 0.4,
 *            0.8 and 1.6 s; without a valid response within 3 s the old pair comes back, or sending
 *            stops. (Facing another lite agent it does send checks, as both would only wait; a
 *            ledger entry too.)
 * Restart:   the old credentials stay valid until a pair of the new ones is in use; old pairs are
 *            accepted 5 s longer.
 * TCP:       (RFC 6544) candidates over TCP pair with such only. A passive one of ours waits: the
 *            peer's connection is a path of its own when its first check comes. An active one (full
 *            agent) pairs with the peer's passive ones; the check that is pulled for such a pair
 *            has remote.tcp and the socket of the candidate: the caller opens a stream and says so
 *            (sl_ice_rebase), or that there is none (sl_ice_path_lost). All UDP but a relay's goes
 *            before any TCP by priority, and a nomination waits longer for it.
 * Life:      NEW until the peer's credentials are here; CHECKING until a pair is in use;
 *            DISCONNECTED after 5 s without anything authentic (full: with a check unanswered as
 *            well); FAILED after timeout_us of silence, or for a full agent of unanswered consent
 *            checks (at most 30 s, whatever media comes). One that never connects fails 2 *
 *            timeout_us after the peer's credentials or its latest candidate (3 * while checks are
 *            under way); sl_ice_end_of_candidates() stops candidates from putting that off. FAILED
 *            ends only by a restart.
 * Security:  nothing is answered, remembered or counted as alive without MESSAGE-INTEGRITY; a
 *            message that fails never ends anything. USERNAME is local:remote exactly. No reply is
 *            larger than its request.
 * Threads:   none. Memory: one struct, embedded by the caller; nothing here allocates.
 * Start at:  sl_ice_recv() in agent.c, and follow one check. */
#ifndef SL_ICE_H
#define SL_ICE_H
#include "core/base/addr.h"
#include "core/base/rng.h"
#include "core/base/stat.h"

enum {
	SL_ICE_UFRAG_MAX = 256,         /* RFC 8445 section 5.3: 4 to 256 characters; ours has 8 */
	SL_ICE_PWD_MAX = 256,           /* 22 to 256; ours has 24 */
	SL_ICE_OUR_UFRAG = 8,
	SL_ICE_OUR_PWD = 24,
	SL_ICE_LOCAL_MAX = 32,
	SL_ICE_REMOTE_MAX = 40,         /* T07 */
	SL_ICE_PAIRS_MAX = 100,         /* T07 */
	SL_STUN_TID_LEN = 12,
	SL_STUN_MTU = 1280
};

enum sl_ice_type { SL_ICE_HOST, SL_ICE_PRFLX, SL_ICE_SRFLX, SL_ICE_RELAY };

struct sl_ice_cand {
	struct sl_addr addr;
	uint32_t priority;
	uint32_t sock;                  /* local: index of the socket it stands for */
	enum sl_ice_type type;
	char foundation[33];
	enum sl_tcp_type tcp;
	struct sl_addr base;            /* local, not host: what it was found through; for SDP */
};

/* T07: how many checks all agents of a loop together may send; shared by them. At most per_second
 * in any second. */
struct sl_ice_budget {
	uint32_t per_second;
	int64_t full_us;                /* when all of it is there again */
};

struct sl_ice_creds {
	char ufrag[SL_ICE_UFRAG_MAX + 1];
	char pwd[SL_ICE_PWD_MAX + 1];
};

enum sl_ice_state {
	SL_ICE_NEW, SL_ICE_CHECKING, SL_ICE_CONNECTED, SL_ICE_DISCONNECTED, SL_ICE_FAILED
};

struct sl_ice_conf {
	bool lite;                      /* ours */
	bool remote_lite;               /* a=ice-lite of the peer; both lite: the one that offers
					 * controls */
	bool controlling;               /* role to begin with; a lite agent facing a full one is
					 * always controlled */
	bool allow_loopback;            /* full agent: remote candidates on loopback or link-local
					 * may be checked */
	int64_t timeout_us;             /* `ice.timeout`: silence after which the session has
					 * failed */
	const struct sl_ice_cand *local;/* copied; may be empty at first (sl_ice_add_local) */
	size_t local_count;
	uint32_t tid_tag;               /* first four bytes of every transaction id of ours: whose
					 * response is it */
	const struct sl_rng *rng;       /* borrowed for the agent's life */
	struct sl_stats *stats;         /* borrowed for the agent's life */
	struct sl_ice_budget *budget;   /* likewise; NULL: no bound but the agent's own 20 a
					 * second */
};

struct sl_ice_event {
	enum { SL_ICE_EV_STATE, SL_ICE_EV_PATH } type;
	enum sl_ice_state state;        /* EV_STATE */
	struct sl_path path;            /* EV_PATH: the pair in use from now on; remote.family 0 =
					 * none, stop sending */
};

/* One tried pair, for a session's diagnosis. */
struct sl_ice_pair_info {
	struct sl_path path;
	struct sl_addr local;
	enum sl_ice_type local_type, remote_type;
	bool valid, nominated, selected;
	uint32_t requests_in, responses_out, checks_sent, responses_in;
	int64_t rtt_us;                 /* of the last answered check of ours; -1 unknown */
	int64_t last_in_us;             /* last authenticated packet; -1 never */
};

#include "ice/ice_types.h"              /* struct sl_ice: sized here, touched only in ice/ */

/* Makes fresh credentials. Returns SL_OK or SL_ERANGE (too many local candidates). */
SL_MUST_USE int sl_ice_init(struct sl_ice *ice, const struct sl_ice_conf *conf, int64_t now_us);
void sl_ice_fini(struct sl_ice *ice);           /* wipes the passwords; takes a zeroed agent */

/* Ours, to be put into SDP. Valid until the next restart. */
const struct sl_ice_creds *sl_ice_local_creds(const struct sl_ice *ice);
/* The peer's, from SDP. Other than the present ones: belongs to a restart. The caller has made one
 * with sl_ice_restart(); if not, this makes it (so who answers a restart just calls this, then
 * reads the new credentials of ours, and does not call sl_ice_restart() after it). The same again:
 * nothing happens. SL_ERANGE for lengths that RFC 8445 forbids. */
SL_MUST_USE int sl_ice_set_remote(struct sl_ice *ice, struct sl_str ufrag, struct sl_str pwd,
				  int64_t now_us);
/* The offer came from the peer after all: it controls, unless it is lite. Before sl_ice_set_remote()
 * only; a conflict of roles can be solved (RFC 8445 section 7.3.1.1), but not every peer does. */
void sl_ice_answer(struct sl_ice *ice, bool remote_lite);
/* A peer's candidate, of the present credentials (a restart forgets them all). SL_EFULL past
 * SL_ICE_REMOTE_MAX (dropped, session unharmed), SL_EUNSUPPORTED for one that is never tried (other
 * family than all our sockets, loopback, link-local or an address of our own where not allowed),
 * SL_ESTATE after the end of candidates or in FAILED. */
SL_MUST_USE int sl_ice_add_remote(struct sl_ice *ice, const struct sl_ice_cand *cand,
				  int64_t now_us);
void sl_ice_end_of_candidates(struct sl_ice *ice, int64_t now_us);
SL_MUST_USE int sl_ice_add_local(struct sl_ice *ice, const struct sl_ice_cand *cand,
				 int64_t now_us);
/* The pair of this path goes by another socket from now on: the stream that was opened for it. */
void sl_ice_rebase(struct sl_ice *ice, const struct sl_path *path, uint32_t sock);
/* No way there: its stream could not be opened. */
void sl_ice_path_lost(struct sl_ice *ice, const struct sl_path *path, int64_t now_us);
/* The socket is gone, with its candidates and pairs; another valid pair takes over where the one in
 * use is among them. */
void sl_ice_sock_lost(struct sl_ice *ice, uint32_t sock, int64_t now_us);
/* New credentials of ours; the old ones (both sides') stay valid until a pair of the new ones is in
 * use. */
void sl_ice_restart(struct sl_ice *ice, int64_t now_us);
/* User fragment whose checks this agent still answers besides the present one, or "".
 * The demux keeps both. */
const char *sl_ice_old_ufrag(const struct sl_ice *ice);

/* A STUN datagram for this agent. SL_OK: authentic. Negative: dropped and counted, nothing
 * changed. */
int sl_ice_recv(struct sl_ice *ice, const struct sl_dgram *in, int64_t now_us);
/* An authentic SRTP, SRTCP or DTLS record came by this path: life sign, and rule (b). `media`: SRTP
 * or SRTCP. */
void sl_ice_on_authentic(struct sl_ice *ice, const struct sl_path *path, bool media,
			 int64_t now_us);
void sl_ice_tick(struct sl_ice *ice, int64_t now_us);
bool sl_ice_pull(struct sl_ice *ice, struct sl_dgram *out);
bool sl_ice_event(struct sl_ice *ice, struct sl_ice_event *ev);
int64_t sl_ice_deadline_us(const struct sl_ice *ice);

enum sl_ice_state sl_ice_state(const struct sl_ice *ice);
/* The pair in use, or NULL: then nothing may be sent. */
const struct sl_path *sl_ice_path(const struct sl_ice *ice);
/* An authenticated check has come from here (lite), or a check of ours was answered (full). */
bool sl_ice_is_valid(const struct sl_ice *ice, const struct sl_path *path);
/* Pairs for diagnosis; returns how many there are, writes at most cap. */
size_t sl_ice_pairs(const struct sl_ice *ice, struct sl_ice_pair_info *out, size_t cap);
/* Round-trip time by checks of the pair in use; -1 unknown. */
int64_t sl_ice_rtt_us(const struct sl_ice *ice);

/* Priority by RFC 8445 section 5.1.2.1, component 1. */
uint32_t sl_ice_priority(enum sl_ice_type type, uint16_t local_pref);
/* Over TCP: by RFC 6544 section 4.2, with type preferences below those of UDP. other_pref: 0 to
 * 8191. */
uint32_t sl_ice_tcp_priority(enum sl_ice_type type, enum sl_tcp_type tcp, uint16_t other_pref);
/* "host", "srflx", "prflx", "relay" */
const char *sl_ice_type_name(enum sl_ice_type type);
const char *sl_ice_state_name(enum sl_ice_state state);         /* words of RTCIceTransportState */

/* ---- for the demux: no authentication, only where to look ---- */
enum sl_stun_class { SL_STUN_REQUEST, SL_STUN_INDICATION, SL_STUN_SUCCESS, SL_STUN_ERROR };
struct sl_stun_peek {
	enum sl_stun_class class_;
	uint16_t method;
	struct sl_str local_ufrag;      /* of a request's USERNAME, before the colon; borrowed from
					 * the datagram */
	uint32_t tid_tag;               /* of a response */
};
/* SL_EPARSE when it is no STUN message by header, length or attribute walk (at most 32
 * attributes). */
SL_MUST_USE int sl_stun_peek(const uint8_t *data, size_t len, struct sl_stun_peek *out);

/* ---- what else ice/ has for those who own sockets ---- */
#include "ice/frame.h"                  /* datagrams on a stream */
#include "ice/reflex.h"                 /* asks a STUN server */
#include "ice/turn.h"                   /* relayed addresses */
#endif

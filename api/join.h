/* SPDX-License-Identifier: Apache-2.0
 * api/join.h — participants who join a room by WebSocket (docs/join.md): one session of both
 * directions, one transport, offers only of ours. Words:     line: an m-line of ours; line i, mid
 * "i" and s->tracks[i] are the same for the session's life. slot: two lines of one msid on which we
 * send. A publish line is one on which the peer sends; unpublished it is free, and the next publish
 * of its kind takes it again. told: the offer that has a line in its present use. Flow:      a
 * socket's messages and a room's changes only mark what is wanted; api_join_step() does the next
 * thing that can be done now, and is called again when a reply comes, an answer comes, or a retry
 * is due. OPENING → READY → (CREDENTIALS →) OFFERED → APPLYING → READY ... Files:     join.c
 * sockets, who may come in, messages; join_offer.c lines, offers, answers; join_tell.c what is
 * said. Memory:    a join belongs to its session and ends with it. A socket outlives its join, or
 * the other way round. */
#ifndef SL_API_JOIN_H
#define SL_API_JOIN_H
#include "api/json.h"
#include "api/ws.h"

enum {
	JOIN_VERSION = 1,
	JOIN_PUBLISH_MAX = 8, /* tracks of one participant */
	JOIN_REQUEST_MAX = 64,
	JOIN_GONE_MAX = 32
};
/* Close codes of ours (docs/join.md); a client whose code is 4000 or above does not come back by
 * itself. */
enum {
	JOIN_CLOSE_LEFT = 1000,
	JOIN_CLOSE_RETRY = 1013,
	JOIN_CLOSE_NO_RIGHT = 4403,
	JOIN_CLOSE_NO_ROOM = 4404,
	JOIN_CLOSE_NAME_TAKEN = 4409,
	JOIN_CLOSE_ENDED = 4410,
	JOIN_CLOSE_ROOM_FULL = 4429
};

struct join_line {
	enum sl_kind kind;
	bool slot;		 /* we send */
	bool used;		 /* a slot always; a publish line while it is asked for */
	bool dead;		 /* the peer answered port 0: nothing comes here any more */
	uint32_t told;		 /* number of the offer that has the present use; 0 none yet */
	enum sl_sdp_dir offered; /* in the offer that is out, or was last */
	char mid[8];
	char request[JOIN_REQUEST_MAX + 1]; /* publish: whose it is */
	struct sl_sdp_send send;	    /* slot: for life */
};

/* A track that an answer has made. */
struct join_add {
	size_t line;
	uint32_t told;
};

enum join_phase { JOIN_OPENING, JOIN_READY, JOIN_CREDENTIALS, JOIN_OFFERED, JOIN_APPLYING };

struct join_socket;
struct api_join {
	struct sl_list stir_link; /* of api->joins_stirred */
	struct sl_list lost_link; /* of api->joins_lost, longest lost first */
	/* borrowed */
	struct sl_api *api;
	struct api_session *s;
	struct join_socket *socket; /* NULL: lost */
	/* owned */
	struct join_line *lines;
	size_t line_count, line_cap;
	struct sl_transport_conf *remote; /* APPLYING: the peer's side, not handed over yet */
	struct join_add *adds;		  /* APPLYING: tracks of the answer, and their confs */
	struct sl_track_conf *confs;
	size_t add_count, add_done;
	/* state */
	enum join_phase phase;
	bool waiting; /* for a reply of core */
	bool want_offer, want_restart, want_slots;
	bool restarting; /* the offer that is out has new credentials */
	bool remote_set;
	bool publish, subscribe, admin;
	uint32_t offer;		      /* number of the last */
	size_t offered;		      /* lines in it */
	size_t slots;		      /* pairs of lines */
	uint64_t sdp_id, slots_said;  /* slots_said: digest of the last `slots`; 0 none */
	uint64_t gone[JOIN_GONE_MAX]; /* tracks that core is still to be told to remove */
	size_t gone_count;
	int64_t lost_us;
	int close_code; /* when the session ends; 0: by how it ends */
	char cname[17];
	char ufrag[SL_UFRAG_MAX + 1], pwd[SL_PWD_MAX + 1]; /* ours */
	char fingerprint[200];				   /* the peer's first */
	char token[API_ID_LEN + 1];			   /* of the session: resumes it */
};

struct join_socket {
	struct sl_api *api;
	struct api_ws *ws;
	struct api_join *join; /* NULL: not yet, or no longer */
	struct api_op *op;     /* the holder of the name is asked */
	bool publish, subscribe, admin, replace;
	char room[API_NAME_MAX + 1], participant[API_NAME_MAX + 1], owner[API_NAME_MAX + 1];
	char resume[API_ID_LEN + 1];
};

/* ---- join_offer.c ---- */
/* Does what can be done now. */
void api_join_step(struct api_join *j);
/* An unused publish line of the kind, told to nobody yet; -1: too many, -2: out of memory. */
int api_join_take_line(struct api_join *j, enum sl_kind kind, const char *source,
		       const char *request);
/* The track of a line ends: removed in core, its line free for the next. */
void api_join_free_line(struct api_join *j, size_t line);
/* The peer's answer to the offer that is out. */
void api_join_answer(struct api_join *j, struct sl_str sdp);
/* What was offered counts as not said: the socket is gone. */
void api_join_void_offer(struct api_join *j);
void api_join_fini(struct api_join *j);

/* ---- join_tell.c ---- */
/* Takes what was written; false: the socket is ending. */
bool api_join_say(struct join_socket *k, struct api_json_out *o);
void api_join_error(struct join_socket *k, const char *code, const char *request, const char *fmt,
		    ...) SL_PRINTF(4, 5);
void api_join_welcome(struct api_join *j, bool resumed);
void api_join_say_slots(struct api_join *j);
/* To everybody in the room who joined; events.c tells them with everybody else. */
void api_join_tell_participant(struct sl_api *api, const struct api_room *r,
			       const struct api_session *s, const char *what);
void api_join_tell_track(struct sl_api *api, const struct api_room *r, const struct api_session *s,
			 const struct api_track *t, const char *what);
void api_join_tell_speaker(struct sl_api *api, const struct api_room *r,
			   const struct api_session *s);

/* ---- join.c ---- */
extern const struct api_ws_ops api_join_ws;
/* There is something to do: soon, together with what else changes. */
void api_join_stir(struct api_join *j);
/* A room's assignment may have changed. */
void api_join_slots_changed(struct api_session *s);
/* The session is ending: says so to the socket and frees the join. gone: its transport has gone by
 * itself. */
void api_join_end(struct api_session *s, bool gone, const char *why);
/* Ends who did not come back in time, goes on with what was put off. */
void api_joins_tick(struct sl_api *api);
/* Until api_joins_tick() is due; SL_NEVER. */
int64_t api_joins_wait_us(const struct sl_api *api);
#endif

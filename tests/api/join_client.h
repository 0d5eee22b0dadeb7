/* SPDX-License-Identifier: Apache-2.0
 * tests/api/join_client.h — a participant that speaks docs/join.md, and answers offers as a browser
 * does. */
#ifndef SL_API_JOIN_CLIENT_H
#define SL_API_JOIN_CLIENT_H
#include "tests/api/wsclient.h"
#include "api/json.h"

enum { PEERS_MAX = 100 };

struct peer {
	struct wsclient w;
	cJSON *m; /* the last message */
	int offer;
	char *sdp; /* of the last offer */
	char session[API_ID_LEN + 1], token[API_ID_LEN + 1];
	const char *ufrag; /* "peer" unless changed */
};
extern struct peer peers[PEERS_MAX];

/* The API with its rig, and peers that are forgotten when the test ends. */
#define JOIN_RIG()                                                                                 \
	do {                                                                                       \
		peers_init();                                                                      \
		DEFER(peers_fini, NULL);                                                           \
		RIG();                                                                             \
	} while (0)
void peers_init(void);
void peers_fini(void *unused);

/* Opens the socket of peer i as "/v1/rooms/studio/join?<query>". */
struct peer *enter(size_t i, const char *query);
/* The same, of any path. */
struct peer *enter_at(size_t i, const char *path);
/* The same as enter(), and waits for welcome. */
struct peer *join_as(size_t i, const char *name);
void say(struct peer *p, const char *fmt, ...) SL_PRINTF(2, 3);
/* The next message of that type; others are passed over, but an error ends the test. */
const cJSON *heard(struct peer *p, const char *type);
/* The next message is an error of that code. */
void refused_with(struct peer *p, const char *code);
/* The next frame but messages is a close of that code. */
void closed_with(struct peer *p, int code);
/* Value of a member: "" and NULL when it is not there, or null. */
const char *text_of(const cJSON *obj, const char *key);
const cJSON *member(const cJSON *obj, const char *key);
/* Of the slots message: the i-th slot that somebody is on; NULL when there are fewer. */
const cJSON *slot_of(const cJSON *slots, const char *participant);

/* Waits for an offer and keeps it. */
const cJSON *offered(struct peer *p);
/* Answers the last offer as a browser would; spoil (or NULL) changes the answer first. */
void answer_offer(struct peer *p, void (*spoil)(struct sl_sdp *answer));
/* An offer comes, is answered, and taken. */
const cJSON *negotiated(struct peer *p);
/* Nothing is under way any more. */
void settle_all(void);
/* Publishes a microphone and a camera and negotiates it. tracks: their ids, or NULL. */
void publish_av(struct peer *p, char tracks[2][API_ID_LEN + 1]);
struct api_session *session_of(const struct peer *p);
struct fake_transport *transport_of(const struct peer *p);
#endif

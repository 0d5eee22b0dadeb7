/* SPDX-License-Identifier: Apache-2.0
 * tests/api/rig.h — the api on a real loopback port over a fake core, and a client that says
 * exactly what it is told to. */
#ifndef SL_API_RIG_H
#define SL_API_RIG_H
#include "api/api.h"
#include "api/api_int.h"
#include "tests/api/fake_core.h"
#include "tests/test.h"

enum { CLIENT_MAX = 1536 * 1024 };

struct client;
struct rig {
	uv_loop_t loop;
	struct sl_config conf;
	struct sl_core core;
	struct sl_test_rng seed;
	struct sl_rng rng;
	struct sl_api *api;
	struct sl_core_why why;
	bool loop_open;
	struct client *clients;         /* all that were made since rig_init() */
};
extern struct rig rig;

struct client {
	struct client *next;
	int fd;
	char *in;                       /* what came, NUL-terminated */
	size_t n;
	bool closed;                    /* by the server */
};

struct answer {
	int status;
	char head[8192];
	char body[CLIENT_MAX];
	size_t body_len;
};

/* Defaults of the product; change rig.conf, then rig_start(). */
void rig_init(void);
SL_MUST_USE int rig_start(void);
void rig_stop(void *unused);
#define RIG()                                  \
	do {                                   \
		rig_init();                    \
		DEFER(rig_stop, NULL);         \
		TRY(rig_start());              \
	} while (0)
/* Lets the loop turn a few times. */
void rig_turn(void);
/* Lets the loop turn until the condition holds; the test fails when it never does. */
#define RIG_UNTIL(c)                                                            \
	do {                                                                    \
		for (uint64_t end_ = uv_hrtime() + UINT64_C(20000000000); !(c);) { \
			CHECK(uv_hrtime() < end_);                              \
			rig_turn();                                             \
		}                                                               \
	} while (0)

/* Where an allocation has failed, what follows may differ: enough was seen. */
#define STOP_AFTER_OOM()                       \
	do {                                   \
		if (sl_test_oom_fired())       \
			sl_test_oom_stop();    \
	} while (0)

/* Connected, or the test fails. Freed by rig_stop(). */
struct client *client_new(void);
struct client *client_new_from(const char *ip, const char *to);
void client_send(struct client *c, const char *text, size_t len);
void client_say(struct client *c, const char *fmt, ...) SL_PRINTF(2, 3);
/* Reads what is there; true while the server keeps the connection open. */
bool client_poll(struct client *c);
/* Until the server closes; in a run whose allocation failed, a 503 or nothing ends the run. */
const struct answer *client_answer(struct client *c);
void client_close(struct client *c);

/* One whole request. headers: lines ending in CRLF, or "". Host is added. The answer is valid until
 * the next. */
const struct answer *ask(const char *method, const char *path, const char *headers,
			 const char *body);
/* Value of a header, or "". */
const char *answer_header(const struct answer *a, const char *name);
/* How often a header is there. */
int answer_headers(const struct answer *a, const char *name);

/* The machine's own IPv4 address that is no loopback; false when there is none. */
bool own_address(char ip[64]);

/* An offer with so many m-lines: "sendonly" or "recvonly". */
const char *offer(const char *direction, int audio, int video);
/* POST of an offer; the session's path goes to *location (at least 64 bytes), its ETag with quotes
 * to *etag. */
void publish(const char *path, char *location, char *etag);
void play(const char *path, int audio, int video, char *location, char *etag);
#define SDP_HEADERS "Content-Type: application/sdp\r\n"
#define FRAG_HEADERS "Content-Type: application/trickle-ice-sdpfrag\r\n"
#endif

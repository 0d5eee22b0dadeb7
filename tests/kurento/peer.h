/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/peer.h — the whole engine over a fake core, and clients of it without sockets, in virtual time. */
#ifndef SL_TEST_KURENTO_PEER_H
#define SL_TEST_KURENTO_PEER_H
#include "api/kurento/rpc.h"
#include "tests/api/fake_core.h"
#include "tests/test.h"

struct peer {
	struct kms_peer p;
	bool open, failed;
	cJSON *got[512];                /* what was sent to it and not yet taken */
	size_t n;
	int next_id;
	char session[37];               /* of the last answer that had one */
};
struct world {
	uv_loop_t loop;
	struct sl_config conf;
	struct sl_core core;
	struct sl_test_rng seed;
	struct sl_rng rng;
	struct kms *k;
	int64_t now_us;
	bool up;
	cJSON *answer;                  /* the last one taken */
};
extern struct world world;

/* WORLD(): begins one; ends with the test. */
SL_MUST_USE int world_start(void);
void world_stop(void *unused);
#define WORLD()                              \
	do {                                 \
		DEFER(world_stop, NULL);     \
		TRY(world_start());          \
	} while (0)
/* Where an allocation has failed, what follows may differ: enough was seen. */
#define STOP_AFTER_OOM()                     \
	do {                                 \
		if (sl_test_oom_fired())     \
			sl_test_oom_stop();  \
	} while (0)
/* Time passes. */
void world_wait(int64_t us);

/* A connection; closed by peer_close() or world_stop(). */
struct peer *peer_new(void);
void peer_close(struct peer *p);
void peer_say(struct peer *p, const char *text);
/* The next thing that was sent to it, and that is owned by the world until the next call; NULL: nothing. */
const cJSON *peer_take(struct peer *p);

/* A request with the peer's session and next id; params: members without braces, with ' for ". Its answer. */
const cJSON *call(struct peer *p, const char *method, const char *params, ...) SL_PRINTF(3, 4);
/* The answer's result.value as a string; the test fails when it is none. Copied to out. */
void call_str(struct peer *p, char *out, size_t cap, const char *method, const char *params, ...) SL_PRINTF(5, 6);
/* Its error code; 0: a success. */
int call_code(struct peer *p, const char *method, const char *params, ...) SL_PRINTF(3, 4);
/* By a path of keys and indexes: at(answer, "result", "value", NULL). NULL: not there. */
const cJSON *at(const cJSON *v, ...) __attribute__((sentinel));
const char *str_at(const cJSON *v, const char *a, const char *b);
/* The whole, compact; freed with the world. */
const char *text_of(const cJSON *v);
/* Pipelines and elements. */
void new_pipeline(struct peer *p, char out[256]);
void new_element(struct peer *p, const char *type, const char *pipeline, char out[256]);
#endif

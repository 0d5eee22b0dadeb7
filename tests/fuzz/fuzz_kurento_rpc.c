/* SPDX-License-Identifier: Apache-2.0
 * F25: requests of three connections to the whole engine of Kurento's interface, over a core
 * without media. The input is lines. The first character says what a line is: 0 to 2, that
 * connection says the rest; c, the connection named by the next one is closed and another opened;
 * t, as many seconds pass; anything else: connection 0 says the whole line. In what is said, $s is
 * the connection's session and $0 to $9 are the last ids that were answered. Properties: each
 * message gets exactly one answer as long as its connection stands; every answer is JSON of the
 * right shape; when all connections are gone for two periods of the collector no object and no
 * session is left; at the end no memory is. */
#include "api/kurento/rpc.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/api/fake_core.h"

enum { PEERS = 3, IDS = 10, LINE = 8192, STEPS = 200, PERIOD_S = 240 };
#define CHECK(c) ((c) ? (void)0 : __builtin_trap())

struct fuzz_peer {
	struct kms_peer p;
	size_t owed; /* answers */
	bool failed;
	char session[37];
};
static struct {
	uv_loop_t loop;
	struct sl_config conf;
	struct sl_core core;
	struct kms *k;
	struct fuzz_peer peers[PEERS];
	char ids[IDS][300];
	size_t id_count;
	int64_t now_us;
	uint64_t rng;
} f;

static void fill(void *state, void *out, size_t n)
{
	uint8_t *p = out;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		f.rng = f.rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		p[i] = (uint8_t)(f.rng >> 56);
	}
}

/* Ids among what was answered, wherever they are. */
static void learn(const cJSON *v)
{
	if (cJSON_IsString(v) &&
	    (strstr(v->valuestring, "_kurento.") || strlen(v->valuestring) == 36))
		(void)sl_fmt(f.ids[f.id_count++ % IDS], sizeof(f.ids[0]), "%s", v->valuestring);
	for (const cJSON *child = v ? v->child : NULL; child; child = child->next)
		learn(child);
}

static void check_answer(struct fuzz_peer *p, const cJSON *m)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(m, "error");
	const cJSON *result = cJSON_GetObjectItemCaseSensitive(m, "result");
	const cJSON *session = cJSON_GetObjectItemCaseSensitive(result, "sessionId");

	CHECK(cJSON_HasObjectItem(m, "id"));
	CHECK(!error != !result);
	if (error)
		CHECK(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(error, "code")) &&
		      cJSON_IsString(cJSON_GetObjectItemCaseSensitive(error, "message")));
	CHECK(p->owed > 0);
	p->owed--;
	if (session)
		(void)sl_fmt(p->session, sizeof(p->session), "%s", session->valuestring);
	learn(cJSON_GetObjectItemCaseSensitive(result, "value"));
}

static void on_send(struct kms_peer *kp, char *text, size_t len)
{
	static const struct api_json_limits limits = {
		.bytes = 2 << 20, .depth = 32, .values = 1 << 20};
	struct fuzz_peer *p = SL_CONTAINER(kp, struct fuzz_peer, p);
	struct api_json_why why;
	cJSON *m = NULL;

	CHECK(api_json_parse(sl_str(text, len), &limits, &m, &why) == SL_OK);
	CHECK(strcmp(cJSON_GetObjectItemCaseSensitive(m, "jsonrpc")->valuestring, "2.0") == 0);
	if (cJSON_HasObjectItem(m, "method"))
		CHECK(strcmp(cJSON_GetObjectItemCaseSensitive(m, "method")->valuestring,
			     "onEvent") == 0);
	else
		check_answer(p, m);
	api_json_free(m);
	sl_free(text);
}

static void on_fail(struct kms_peer *kp)
{
	SL_CONTAINER(kp, struct fuzz_peer, p)->failed = true;
}

static void open_peer(struct fuzz_peer *p)
{
	memset(p, 0, sizeof(*p));
	p->p.send = on_send;
	p->p.fail = on_fail;
	kms_peer_init(&p->p, f.k);
}

static void turn_loop(void)
{
	for (int i = 0; i < 4; i++)
		uv_run(&f.loop, UV_RUN_NOWAIT);
}

static void wait_s(int64_t s)
{
	int64_t until_us = f.now_us + s * SL_SEC;

	for (int i = 0; i < 1000 && kms_next_us(f.k) <= until_us; i++) {
		f.now_us = SL_MAX(f.now_us, kms_next_us(f.k));
		kms_tick(f.k, f.now_us);
		turn_loop();
	}
	f.now_us = until_us;
	kms_tick(f.k, f.now_us);
	turn_loop();
}

static void say(struct fuzz_peer *p, const char *line, size_t n)
{
	static char text[4 * LINE];
	struct sl_buf b = sl_buf(text, sizeof(text));

	for (size_t i = 0; i < n; i++) {
		if (line[i] == '$' && i + 1 < n && line[i + 1] == 's')
			sl_buf_z(&b, p->session), i++;
		else if (line[i] == '$' && i + 1 < n && line[i + 1] >= '0' && line[i + 1] <= '9')
			sl_buf_z(&b, f.ids[line[++i] - '0']);
		else
			sl_buf_char(&b, line[i]);
	}
	if (p->failed)
		return;
	p->owed++;
	kms_on_message(&p->p, sl_str(text, b.n));
}

static void step(const char *line, size_t n)
{
	if (n > 0 && line[0] >= '0' && line[0] < '0' + PEERS) {
		say(&f.peers[line[0] - '0'], line + 1, n - 1);
	} else if (n > 1 && line[0] == 'c' && line[1] >= '0' && line[1] < '0' + PEERS) {
		struct fuzz_peer *p = &f.peers[line[1] - '0'];

		kms_peer_fini(&p->p);
		open_peer(p);
	} else if (n > 1 && line[0] == 't' && line[1] >= '0' && line[1] <= '9') {
		wait_s((line[1] - '0') * 30);
	} else {
		say(&f.peers[0], line, n);
	}
	turn_loop();
}

static void start(void)
{
	static const struct sl_rng rng = {.fill = fill};

	memset(&f, 0, sizeof(f));
	f.rng = 7;
	f.now_us = SL_SEC;
	f.conf.loops = 1;
	f.conf.kurento.gc_us = PERIOD_S * SL_SEC;
	f.conf.kurento.cache = true;
	f.conf.kurento.max_sessions = 16;
	f.conf.kurento.max_objects = 64;
	f.conf.kurento.max_pipelines = 16;
	f.conf.kurento.session_objects = 64;
	f.conf.kurento.session_subscriptions = 64;
	f.conf.kurento.session_creates_per_s = 100;
	f.conf.kurento.max_calls = 64;
	f.conf.kurento.messages_per_s = 100;
	CHECK(uv_loop_init(&f.loop) == 0);
	fake_core_init(&f.core, &f.loop);
	CHECK(kms_new(&f.conf, &f.core, &f.loop, &rng, &f.k) == SL_OK);
	kms_tick(f.k, f.now_us);
	for (size_t i = 0; i < PEERS; i++)
		open_peer(&f.peers[i]);
}

static void stop(void)
{
	wait_s(61);
	for (size_t i = 0; i < PEERS; i++) {
		CHECK(f.peers[i].owed == 0 || f.peers[i].failed);
		kms_peer_fini(&f.peers[i].p);
	}
	wait_s(2 * PERIOD_S);
	CHECK(kms_object_count(f.k) == 0);
	CHECK(f.k->rpc->session_count == 0 && f.k->rpc->call_count == 0);
	CHECK(f.k->rpc->cached_bytes == 0);
	kms_free(f.k);
	fake_core_fini(&f.core);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&f.loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char line[LINE];
	uint64_t live = sl_mem_stat().live;
	size_t steps = 0;

	(void)!sl_log_set_levels(SL_STR("error"));
	start();
	while (len > 0 && steps++ < STEPS) {
		const uint8_t *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		memcpy(line, data, SL_MIN(n, sizeof(line)));
		step(line, SL_MIN(n, sizeof(line)));
		n += end != NULL;
		data += n;
		len -= n;
	}
	stop();
	CHECK(sl_mem_stat().live == live);
	return 0;
}

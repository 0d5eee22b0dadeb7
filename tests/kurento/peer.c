/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kurento/peer.h"
#include <stdarg.h>
#include <stdlib.h>

enum { PEERS = 16, TEXT = 256 << 10 };

struct world world;
static struct peer peers[PEERS];
static char text[TEXT], quoted[TEXT];

int world_start(void)
{
	int err;

	memset(&world, 0, sizeof(world));
	if (uv_loop_init(&world.loop) != 0)
		return SL_ENOMEM;
	world.up = true;
	world.now_us = 1000 * SL_SEC;
	world.rng = sl_test_rng(&world.seed, 11);
	sl_config_defaults(&world.conf);
	world.conf.loops = 1;
	fake_core_init(&world.core, &world.loop);
	err = kms_new(&world.conf, &world.core, &world.loop, &world.rng, &world.k);
	if (!err)
		kms_tick(world.k, world.now_us);
	return err;
}

void world_stop(void *unused)
{
	(void)unused;
	if (!world.up)
		return;
	for (size_t i = 0; i < PEERS; i++)
		if (peers[i].open)
			peer_close(&peers[i]);
	kms_free(world.k);
	fake_core_fini(&world.core);
	uv_run(&world.loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&world.loop) != 0)
		sl_test_failed(__FILE__, __LINE__, "the loop still has handles");
	api_json_free(world.answer);
	world.answer = NULL;
	world.up = false;
}

void world_wait(int64_t us)
{
	int64_t until_us = world.now_us + us;

	while (kms_next_us(world.k) <= until_us) {
		world.now_us = SL_MAX(world.now_us, kms_next_us(world.k));
		kms_tick(world.k, world.now_us);
	}
	world.now_us = until_us;
	kms_tick(world.k, world.now_us);
	uv_run(&world.loop, UV_RUN_NOWAIT);
}

static void on_send(struct kms_peer *kp, char *sent, size_t len)
{
	static const struct api_json_limits limits = {
		.bytes = 2 << 20, .depth = 32, .values = 1 << 20};
	struct peer *p = SL_CONTAINER(kp, struct peer, p);
	struct api_json_why why;
	cJSON *tree = NULL;
	int err = api_json_parse(sl_str(sent, len), &limits, &tree, &why);

	sl_free(sent);
	if (err == SL_ENOMEM)
		return;
	if (err)
		sl_test_failed(__FILE__, __LINE__, "what was sent is no JSON: %s", why.text);
	if (p->n == SL_COUNT(p->got))
		sl_test_failed(__FILE__, __LINE__, "more than %zu messages", p->n);
	p->got[p->n++] = tree;
}

static void on_fail(struct kms_peer *kp)
{
	SL_CONTAINER(kp, struct peer, p)->failed = true;
}

struct peer *peer_new(void)
{
	struct peer *p = peers;

	while (p->open)
		p++;
	CHECK(p < peers + PEERS);
	memset(p, 0, sizeof(*p));
	p->open = true;
	p->p.send = on_send;
	p->p.fail = on_fail;
	kms_peer_init(&p->p, world.k);
	return p;
}

void peer_close(struct peer *p)
{
	kms_peer_fini(&p->p);
	while (p->n > 0)
		api_json_free(p->got[--p->n]);
	p->open = false;
}

void peer_say(struct peer *p, const char *said)
{
	kms_on_message(&p->p, sl_str_z(said));
	if (!sl_test_oom_fired())
		CHECK(!p->failed);
}

const cJSON *peer_take(struct peer *p)
{
	api_json_free(world.answer);
	world.answer = p->n > 0 ? p->got[0] : NULL;
	if (p->n > 0)
		memmove(p->got, p->got + 1, --p->n * sizeof(p->got[0]));
	return world.answer;
}

static const cJSON *answer_to(const struct peer *p, int id)
{
	for (size_t i = 0; i < p->n; i++) {
		const cJSON *number = at(p->got[i], "id", NULL);

		if (cJSON_IsNumber(number) && number->valuedouble == id)
			return p->got[i];
	}
	return NULL;
}

static const cJSON *vcall(struct peer *p, const char *method, const char *params, va_list ap)
{
	const cJSON *answer;
	int n, id = p->next_id++;

	(void)vsnprintf(quoted, sizeof(quoted), params, ap);
	for (char *c = quoted; *c; c++)
		if (*c == '\'')
			*c = '"';
	n = snprintf(text, sizeof(text),
		     "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":{%s", id, method,
		     quoted);
	if (p->session[0])
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s\"sessionId\":\"%s\"",
			      quoted[0] ? "," : "", p->session);
	(void)snprintf(text + n, sizeof(text) - (size_t)n, "}}");
	while (p->n > 0)
		(void)peer_take(p);
	peer_say(p, text);
	answer = answer_to(p, id);
	/* Some answers wait for core's. */
	for (int i = 0; i < 20 && !answer; i++) {
		world_wait(0);
		answer = answer_to(p, id);
	}
	if (str_at(answer, "result", "sessionId"))
		(void)sl_fmt(p->session, sizeof(p->session), "%s",
			     str_at(answer, "result", "sessionId"));
	return answer;
}

const cJSON *call(struct peer *p, const char *method, const char *params, ...)
{
	const cJSON *answer;
	va_list ap;

	va_start(ap, params);
	answer = vcall(p, method, params, ap);
	va_end(ap);
	STOP_AFTER_OOM();
	CHECK(answer);
	return answer;
}

void call_str(struct peer *p, char *out, size_t cap, const char *method, const char *params, ...)
{
	const cJSON *answer;
	va_list ap;

	va_start(ap, params);
	answer = vcall(p, method, params, ap);
	va_end(ap);
	STOP_AFTER_OOM();
	CHECK(answer);
	if (!str_at(answer, "result", "value"))
		sl_test_failed(__FILE__, __LINE__, "no string: %s", text_of(answer));
	(void)sl_fmt(out, cap, "%s", str_at(answer, "result", "value"));
}

int call_code(struct peer *p, const char *method, const char *params, ...)
{
	const cJSON *answer, *code;
	va_list ap;

	va_start(ap, params);
	answer = vcall(p, method, params, ap);
	va_end(ap);
	STOP_AFTER_OOM();
	CHECK(answer);
	code = at(answer, "error", "code", NULL);
	return code ? (int)code->valuedouble : 0;
}

const cJSON *at(const cJSON *v, ...)
{
	const char *key;
	va_list ap;

	va_start(ap, v);
	while ((key = va_arg(ap, const char *)) != NULL)
		v = cJSON_IsArray(v) ? cJSON_GetArrayItem(v, (int)strtol(key, NULL, 10))
				     : cJSON_GetObjectItemCaseSensitive(v, key);
	va_end(ap);
	return v;
}

const char *str_at(const cJSON *v, const char *a, const char *b)
{
	const cJSON *s = b ? at(v, a, b, NULL) : at(v, a, NULL);

	return cJSON_IsString(s) ? s->valuestring : NULL;
}

const char *text_of(const cJSON *v)
{
	if (!cJSON_PrintPreallocated((cJSON *)(uintptr_t)v, quoted, sizeof(quoted), 0))
		return "(too long)";
	return quoted;
}

void new_pipeline(struct peer *p, char out[256])
{
	call_str(p, out, 256, "create", "'type':'MediaPipeline','properties':{}");
}

void new_element(struct peer *p, const char *type, const char *pipeline, char out[256])
{
	call_str(p, out, 256, "create",
		 "'type':'%s','constructorParams':{'mediaPipeline':'%s'},'properties':{}", type,
		 pipeline);
}

/* SPDX-License-Identifier: Apache-2.0
 * bench/load_rtp.c — no signalling at all: a plan in a file says which ports the peers have, where
 * the server's are and what it seals with. Publishers send plain RTP, subscribers get SRTP.
 * {"publishers": [{"port": 20000, "peer": "127.0.0.1:40000"}],
 *  "subscribers": [{"port": 20002, "peer": "127.0.0.1:40004", "key": "base64 of 30 bytes"}]} */
#include "bench/load.h"
#include <stdio.h>
#include <stdlib.h>

enum { PLAN_MAX = 4 << 20, KEY_LEN = 16, SALT_LEN = 14, VP8_PT = 96, OPUS_PT = 111 };

static const cJSON *entry(const struct load *l, bool publisher, unsigned number)
{
	const cJSON *list =
		cJSON_GetObjectItemCaseSensitive(l->plan, publisher ? "publishers" : "subscribers");

	return cJSON_GetArrayItem(list, (int)number);
}

uint16_t load_rtp_port(const struct load *l, bool publisher)
{
	unsigned number = publisher ? l->started_publishers : l->started_subscribers;
	const cJSON *port = cJSON_GetObjectItemCaseSensitive(entry(l, publisher, number), "port");

	return cJSON_IsNumber(port) ? (uint16_t)port->valueint : 0;
}

static void begin(struct load *l)
{
	FILE *f = fopen(l->conf.plan, "r");
	char *text = f ? malloc(PLAN_MAX) : NULL;
	size_t n = text ? fread(text, 1, PLAN_MAX - 1, f) : 0;

	if (text) {
		text[n] = 0;
		l->plan = cJSON_Parse(text);
	}
	if (f)
		fclose(f);
	free(text);
	if (!l->plan)
		load_fail(l, "%s is no plan", l->conf.plan);
	l->signalling_ready = l->plan != NULL;
}

static bool key_of(const cJSON *e, struct sl_srtp_master *out)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(e, "key"));
	uint8_t bytes[KEY_LEN + SALT_LEN];

	if (!text || sl_unbase64(sl_str_z(text), bytes, sizeof(bytes)) != (int)sizeof(bytes))
		return false;
	*out = (struct sl_srtp_master){.profile = SL_SRTP_AES128_CM_SHA1_80};
	memcpy(out->key, bytes, KEY_LEN);
	memcpy(out->salt, bytes + KEY_LEN, SALT_LEN);
	return true;
}

/* Everything stands already: who joins only begins. */
static void join(struct load_peer *p)
{
	struct load *l = p->load;
	unsigned number = p->publisher ? p->number : l->started_subscribers - 1;
	const cJSON *e = entry(l, p->publisher, number);
	const char *peer = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(e, "peer"));
	struct sl_srtp_master key = {0};
	struct sl_addr to;

	if (!peer || sl_addr_parse(sl_str_z(peer), &to) < 0 ||
	    (!p->publisher && !key_of(e, &key))) {
		load_peer_failed(l, p, "the plan does not say where or with which key");
		return;
	}
	for (int kind = 0; kind < SL_KIND_COUNT; kind++)
		if (p->sources[kind])
			p->sources[kind]->pt = kind == SL_VIDEO ? VP8_PT : OPUS_PT;
	load_peer_direct(p, &to, p->publisher ? NULL : &key);
}

static void leave(struct load_peer *p)
{
	p->load->window.leaves++;
	load_peer_end(p);
}

const struct load_signalling load_rtp = {begin, join, leave};

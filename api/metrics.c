/* SPDX-License-Identifier: Apache-2.0
 * api/metrics.c — the counters of core/base/stat.h and what rooms and HTTP have, as Prometheus
 * reads them. */
#include "api/api_int.h"

static void head(struct sl_buf *b, const char *name, const char *type, const char *help)
{
	sl_buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void api_metrics_gauge(struct sl_buf *b, const char *name, const char *help, uint64_t value)
{
	head(b, name, "gauge", help);
	sl_buf_fmt(b, "%s %llu\n", name, (unsigned long long)value);
}

static void counters(struct sl_api *api, struct sl_buf *b)
{
	char name[96];

	for (int i = 0; i < SL_STAT_COUNT; i++) {
		(void)sl_fmt(name, sizeof(name), "sluice_%s_total", sl_stat_name((enum sl_stat)i));
		head(b, name, "counter", sl_stat_help((enum sl_stat)i));
		for (unsigned loop = 0; loop < sl_core_loops(api->core); loop++)
			sl_buf_fmt(b, "%s{loop=\"%u\"} %llu\n", name, loop,
				   (unsigned long long)sl_stat_get(sl_core_stats(api->core, loop),
								   (enum sl_stat)i));
	}
}

static void participants(struct sl_api *api, struct sl_buf *b)
{
	uint64_t n = 0;
	uint32_t cursor = 0;

	for (struct api_room *r = sl_hash_next(&api->rooms, &cursor); r;
	     r = sl_hash_next(&api->rooms, &cursor))
		n += api_room_count(r);
	api_metrics_gauge(b, "sluice_participants", "participants in rooms: WHIP, and who joined", n);
}

/* Labels name loops and a fixed set of words, never a room or a person: what is in memory here is
 * there for ever in the one who asks. */
static void sessions(struct sl_api *api, struct sl_buf *b)
{
	static const char *const words[] = {"join", "whep", "whip"};
	uint64_t n[SL_COUNT(words)] = {0};
	const struct api_session *s;
	uint32_t cursor = 0;

	while ((s = sl_pool_next(&api->sessions, &cursor, NULL)))
		for (size_t i = 0; i < SL_COUNT(words); i++)
			n[i] += strcmp(api_via_word(s), words[i]) == 0;
	api_metrics_gauge(b, "sluice_sessions", "sessions", api->sessions.live);
	head(b, "sluice_sessions_by_way", "gauge", "sessions, by the way they came");
	for (size_t i = 0; i < SL_COUNT(words); i++)
		sl_buf_fmt(b, "sluice_sessions_by_way{via=\"%s\"} %llu\n", words[i],
			   (unsigned long long)n[i]);
}

static void http(struct sl_api *api, struct sl_buf *b)
{
	api_metrics_gauge(b, "sluice_http_connections", "HTTP connections that are open", api->conn_count);
	head(b, "sluice_http_requests_total", "counter",
	     "HTTP requests answered, by class of status");
	for (unsigned i = 2; i < SL_COUNT(api->responses); i++)
		sl_buf_fmt(b, "sluice_http_requests_total{class=\"%uxx\"} %llu\n", i,
			   (unsigned long long)api->responses[i]);
	head(b, "sluice_http_connections_refused_total", "counter",
	     "HTTP connections refused: a table was full");
	sl_buf_fmt(b, "sluice_http_connections_refused_total %llu\n",
		   (unsigned long long)api->refused_conns);
	head(b, "sluice_http_connections_evicted_total", "counter",
	     "HTTP connections closed to make room for others");
	sl_buf_fmt(b, "sluice_http_connections_evicted_total %llu\n",
		   (unsigned long long)api->evicted_conns);
}

static void loops(struct sl_api *api, struct sl_buf *b)
{
	int64_t wait_us = sl_core_handshake_wait_us(api->core);

	head(b, "sluice_transports", "gauge", "transports of a media loop");
	for (unsigned loop = 0; loop < sl_core_loops(api->core); loop++)
		sl_buf_fmt(b, "sluice_transports{loop=\"%u\"} %u\n", loop,
			   (unsigned)sl_core_transports(api->core, loop));
	head(b, "sluice_loop_busy", "gauge",
	     "1 while a media loop cannot keep up and takes no new sessions");
	for (unsigned loop = 0; loop < sl_core_loops(api->core); loop++)
		sl_buf_fmt(b, "sluice_loop_busy{loop=\"%u\"} %d\n", loop,
			   sl_core_busy(api->core, loop));
	head(b, "sluice_video_withheld_ratio", "gauge",
	     "share of a busy loop's video subscriptions that get nothing");
	for (unsigned loop = 0; loop < sl_core_loops(api->core); loop++)
		sl_buf_fmt(b, "sluice_video_withheld_ratio{loop=\"%u\"} %.3f\n", loop,
			   (double)sl_core_shed(api->core, loop) / SL_LOAD_PARTS);
	head(b, "sluice_handshake_wait_seconds", "gauge",
	     "how long a DTLS handshake that came now would wait, estimated");
	sl_buf_fmt(b, "sluice_handshake_wait_seconds %lld.%06lld\n", (long long)(wait_us / SL_SEC),
		   (long long)(wait_us % SL_SEC));
}

void api_metrics_get(struct api_conn *c)
{
	struct sl_api *api = c->api;
	size_t cap = 12288 + (size_t)SL_STAT_COUNT * (400 + (size_t)sl_core_loops(api->core) * 100);
	char *text = sl_zalloc(cap);
	struct sl_buf b;

	if (!text) {
		api_busy(c, 1, "out of memory");
		return;
	}
	b = sl_buf(text, cap);
	api_metrics_gauge(&b, "sluice_rooms", "rooms", api->room_count);
	sessions(api, &b);
	participants(api, &b);
	http(api, &b);
	loops(api, &b);
	if (api->more_gauges)
		api->more_gauges(api, &b);
	counters(api, &b);
	SL_ASSERT(!b.full);
	api_respond_owned(c, 200, "text/plain; version=0.0.4; charset=utf-8", text, b.n);
}

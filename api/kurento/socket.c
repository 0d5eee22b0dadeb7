/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/socket.c — connections: WebSockets of api/ in, rpc.c behind. The one file of the
 * folder that knows of sockets and of the loop's time. */
#include "api/kurento/rpc.h"

enum { CLOSE_AWAY = 1001, CLOSE_ERROR = 1011, BURST_S = 10, LAST_TURNS = 3 };

struct kms_socket {
	/* owned */
	uv_timer_t timer; /* the engine's next deadline */
	struct api_route routes[2];
	struct sl_list connections;
	/* borrowed */
	struct kms *k;
};
struct connection {
	struct sl_list link; /* of kms_socket */
	struct kms_peer peer;
	struct api_ws *ws;
	bool over; /* the engine is gone, or does not know it yet */
};

/* ================= time ================= */

static void on_timer(uv_timer_t *timer);

static void arrange(struct kms_socket *s)
{
	int64_t next_us = kms_next_us(s->k), now_us = api_now_us(s->k->api);

	if (next_us == SL_NEVER)
		uv_timer_stop(&s->timer);
	else
		uv_timer_start(&s->timer, on_timer,
			       next_us > now_us ? (uint64_t)((next_us - now_us + 999) / 1000) : 0,
			       0);
}

static void on_timer(uv_timer_t *timer)
{
	struct kms_socket *s = timer->data;

	kms_tick(s->k, api_now_us(s->k->api));
	arrange(s);
}

/* Between turns, whatever it is. */
static void on_wake(struct kms *k)
{
	if (!k->freeing)
		uv_timer_start(&k->socket->timer, on_timer, 0, 0);
}

static void pass_time(struct kms *k)
{
	k->now_us = SL_MAX(k->now_us, api_now_us(k->api));
}

/* ================= connections ================= */

/* A client that does not read is cut by api_ws_send(); its session stays. */
static void on_send(struct kms_peer *p, char *text, size_t len)
{
	(void)api_ws_send(SL_CONTAINER(p, struct connection, peer)->ws, text, len);
}

static void on_fail(struct kms_peer *p)
{
	api_ws_close(SL_CONTAINER(p, struct connection, peer)->ws, CLOSE_ERROR, "out of memory");
}

static const char *on_accept(struct api_ws *ws, const struct api_request *req, int *status)
{
	struct kms *k = api_ws_api(ws)->more;
	struct connection *c = sl_zalloc(sizeof(*c));

	(void)req;
	*status = 503;
	if (!c)
		return "out of memory";
	/* It is what endpoints have by default, and takes a while to make. */
	sl_core_prepare_rsa(k->core);
	c->ws = ws;
	c->peer.send = on_send;
	c->peer.fail = on_fail;
	kms_peer_init(&c->peer, k);
	sl_list_add(&k->socket->connections, &c->link);
	api_ws_set_data(ws, c);
	api_ws_set_rate(ws, k->set.messages_per_s, k->set.messages_per_s * BURST_S);
	return NULL;
}

static void on_text(struct api_ws *ws, const char *text, size_t len)
{
	struct connection *c = api_ws_data(ws);

	if (c->over)
		return;
	pass_time(c->peer.kms);
	kms_on_message(&c->peer, sl_str(text, len));
}

static void on_closed(struct api_ws *ws, int code)
{
	struct connection *c = api_ws_data(ws);

	(void)code;
	if (!c)
		return;
	if (!c->over) {
		pass_time(c->peer.kms);
		kms_peer_fini(&c->peer);
	}
	sl_list_del(&c->link);
	sl_free(c);
}

static const struct api_ws_ops ops = {
	.accept = on_accept,
	.text = on_text,
	.closed = on_closed,
	.kurento = true,
};

/* ================= begin and end ================= */

static struct kms_socket *socket_new(struct kms *k)
{
	struct kms_socket *s = sl_zalloc(sizeof(*s));

	if (!s)
		return NULL;
	s->k = k;
	sl_list_init(&s->connections);
	uv_timer_init(k->loop, &s->timer);
	s->timer.data = s;
	s->routes[0] = (struct api_route){
		.path = k->set.path,
		.methods = 1 << API_GET,
		.scope = API_STATIC,
		.fn = api_ws_only,
		.ws = &ops,
	};
	return s;
}

static void gauges(const struct sl_api *api, struct sl_buf *b)
{
	const struct kms *k = api->more;
	uint64_t pipelines = 0;

	for (const struct sl_list *l = k->pipelines.next; l != &k->pipelines; l = l->next)
		pipelines++;
	api_metrics_gauge(b, "sluice_kurento_sessions", "sessions of Kurento's clients",
			  k->rpc->session_count);
	api_metrics_gauge(b, "sluice_kurento_pipelines", "MediaPipelines", pipelines);
	api_metrics_gauge(b, "sluice_kurento_objects", "objects of Kurento's clients",
			  kms_object_count(k));
}

int sl_kurento_new(struct sl_api *api, struct kms **out, struct sl_core_why *why)
{
	struct kms *k = NULL;
	int err = kms_new(api->conf, api->core, api->loop, &api->rng, &k);

	(void)sl_fmt(why->text, sizeof(why->text), "out of memory");
	if (err)
		return err;
	k->socket = socket_new(k);
	if (!k->socket) {
		kms_free(k);
		return SL_ENOMEM;
	}
	k->api = api;
	k->wake = on_wake;
	api->more_routes = k->socket->routes;
	api->more_gauges = gauges;
	api->more = k;
	pass_time(k);
	arrange(k->socket);
	*out = k;
	return SL_OK;
}

static void on_timer_closed(uv_handle_t *h)
{
	sl_free(h->data);
}

/* Connections end with the api; they find nothing of ours then. */
void sl_kurento_free(struct kms *k)
{
	struct kms_socket *s;

	if (!k)
		return;
	s = k->socket;
	k->freeing = true;
	k->api->more_routes = NULL;
	k->api->more_gauges = NULL;
	k->api->more = NULL;
	while (!sl_list_empty(&s->connections)) {
		struct connection *c = SL_LIST_AT(s->connections.next, struct connection, link);

		sl_list_del(&c->link);
		kms_peer_fini(&c->peer);
		c->over = true;
		api_ws_close(c->ws, CLOSE_AWAY, "the server is ending");
	}
	/* That is written when the sockets can be, behind what waits; the api may end at once. */
	for (int turn = 0; turn < LAST_TURNS; turn++)
		uv_run(k->loop, UV_RUN_NOWAIT);
	kms_free(k);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

size_t sl_kurento_objects(const struct kms *k)
{
	return k ? kms_object_count(k) : 0;
}

bool sl_kurento_event(struct kms *k, const struct sl_core_event *ev)
{
	if (!(ev->tag & KMS_TAG))
		return false;
	if (!k->freeing) {
		pass_time(k);
		kms_endpoint_event(k, ev);
	}
	return true;
}

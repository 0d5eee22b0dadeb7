/* SPDX-License-Identifier: Apache-2.0
 * api/http.c — one request per connection, by libwebsockets: its parser, its TLS, its writes.
 * The library never listens (listen.c does) and its timeouts are not used (listen.c has ours). */
#include "api/api_int.h"
#include "api/ws.h"
#include <libwebsockets.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { TOKEN_TEXT = 4096 + 64 };

/* clang-format off */
static const struct {
	const char *name;
	enum lws_token_indexes token;
} methods[API_METHOD_COUNT] = {
	[API_GET]     = {"GET",     WSI_TOKEN_GET_URI},
	[API_HEAD]    = {"HEAD",    WSI_TOKEN_HEAD_URI},
	[API_POST]    = {"POST",    WSI_TOKEN_POST_URI},
	[API_PATCH]   = {"PATCH",   WSI_TOKEN_PATCH_URI},
	[API_DELETE]  = {"DELETE",  WSI_TOKEN_DELETE_URI},
	[API_OPTIONS] = {"OPTIONS", WSI_TOKEN_OPTIONS_URI},
	[API_PUT]     = {"PUT",     WSI_TOKEN_PUT_URI},
};
/* clang-format on */

const char *api_method_name(enum api_method m)
{
	return methods[m].name;
}

void api_methods_text(uint8_t bits, char *out, size_t cap)
{
	struct sl_buf b = sl_buf(out, cap);

	for (int m = 0; m < API_METHOD_COUNT; m++)
		if ((bits >> m & 1) || m == API_OPTIONS)
			sl_buf_fmt(&b, "%s%s", b.n ? ", " : "", methods[m].name);
}

struct sl_str api_log_path(const struct api_request *req)
{
	static const char sessions[] = "/sessions/";
	struct sl_str path = sl_str_z(req->path);

	if (sl_str_starts(path, SL_STR(sessions)))
		path.n = SL_MIN(path.n, sizeof(sessions) - 1 + 6);
	return path;
}

int64_t api_now_us(const struct sl_api *api)
{
	return (int64_t)uv_now(api->loop) * SL_MS;
}

/* ================= responses ================= */

void api_header(struct api_conn *c, const char *name, const char *fmt, ...)
{
	struct api_response *res = &c->res;
	char value[API_HEAD_MAX];
	struct sl_buf b = sl_buf(res->head + res->head_len, sizeof(res->head) - res->head_len);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	SL_ASSERT(n >= 0 && (size_t)n < sizeof(value) && !strpbrk(value, "\r\n"));
	sl_buf_fmt(&b, "%s: %s\r\n", name, value);
	SL_ASSERT(!b.full);
	res->head_len += b.n;
}

static void finish(struct api_conn *c, int status, const char *type)
{
	struct sl_api *api = c->api;

	SL_ASSERT(c->state <= CONN_WAIT);
	c->res.status = status;
	c->res.type = type;
	c->state = CONN_ANSWER;
	if (c->op) {
		c->op->conn = NULL;
		c->op = NULL;
	}
	api_conn_deadline(c, api_now_us(api) + api->conf->http.idle_timeout_us);
	if (!c->in_callback && c->wsi)
		lws_callback_on_writable(c->wsi);
}

void api_respond_static(struct api_conn *c, int status, const char *type, const char *body,
			size_t len)
{
	c->res.body = body;
	c->res.body_len = len;
	finish(c, status, type);
}

void api_respond_owned(struct api_conn *c, int status, const char *type, char *body, size_t len)
{
	c->res.owned = body;
	api_respond_static(c, status, type, body, len);
}

/* The end of what a handler has begun: says so once. */
static void end_stream(struct api_conn *c)
{
	const struct api_stream_ops *ops = c->res.stream;

	c->res.stream = NULL;
	if (ops)
		ops->closed(c);
}

/* The answer to running out of memory needs none. */
static void out_of_memory(struct api_conn *c)
{
	end_stream(c);
	static const char body[] =
		"{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
		"\"detail\":\"out of memory\"}\n";

	c->res.head_len = 0;
	c->res.links = false;
	api_header(c, "Retry-After", "1");
	api_respond_static(c, 503, "application/problem+json", body, sizeof(body) - 1);
}

void api_respond(struct api_conn *c, int status, const char *type, const char *body, size_t len)
{
	char *copy = NULL;

	if (!body || len == 0) {
		api_respond_static(c, status, type, NULL, 0);
		return;
	}
	copy = sl_strndup(body, len);
	if (copy)
		api_respond_owned(c, status, type, copy, len);
	else
		out_of_memory(c);
}

static void write_cors(struct api_conn *c, struct sl_buf *b)
{
	if (!c->req.cors)
		return;
	if (api_auth_on(c->api->conf) && c->req.route && c->req.route->cors)
		sl_buf_z(b, "Access-Control-Allow-Origin: *\r\n");
	else if (strstr(c->req.origin, "://"))
		sl_buf_fmt(b, "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n", c->req.origin);
	else
		return;
	sl_buf_z(b, "Access-Control-Expose-Headers: Location, ETag, Link, Accept-Patch, "
		    "Retry-After\r\n");
}

static void write_head(struct api_conn *c, struct sl_buf *b)
{
	const struct api_response *res = &c->res;
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	if (strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
		date[0] = 0;
	sl_buf_fmt(b, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n", res->status,
		   api_status_text(res->status), date);
	sl_buf_z(b, "X-Content-Type-Options: nosniff\r\n");
	if (!res->cacheable)
		sl_buf_z(b, "Cache-Control: no-store\r\n");
	write_cors(c, b);
	sl_buf_add(b, res->head, res->head_len);
	if (res->links)
		sl_buf_add(b, c->api->links, c->api->links_len);
	if (res->type)
		sl_buf_fmt(b, "Content-Type: %s\r\n", res->type);
	/* RFC 9110 section 8.6: none with 204, and none needed with 304. */
	if (res->status != 204 && res->status != 304 && !res->stream)
		sl_buf_fmt(b, "Content-Length: %zu\r\n", res->body_len);
	sl_buf_z(b, "\r\n");
}

static int begin_stream(struct api_conn *c)
{
	c->state = CONN_STREAM;
	lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
	api_conn_deadline(c, api_now_us(c->api) + c->api->ws_ping_us);
	lws_callback_on_writable(c->wsi);
	return 0;
}

/* Writes the response and asks the library to close: it flushes what the socket did not take. */
static int write_response(struct api_conn *c)
{
	struct sl_api *api = c->api;
	size_t body_len = c->req.method == API_HEAD ? 0 : c->res.body_len;
	size_t cap = LWS_PRE + 1024 + API_HEAD_MAX + api->links_len + body_len;
	char *out = sl_zalloc(cap);
	struct sl_buf b;
	int n;

	if (!out && c->res.status != 503) {
		sl_free(c->res.owned);
		c->res.owned = NULL;
		c->state = CONN_HEAD;
		c->in_callback = true;
		out_of_memory(c);
		body_len = c->req.method == API_HEAD ? 0 : c->res.body_len;
		cap = LWS_PRE + 1024 + API_HEAD_MAX + body_len;
		out = sl_zalloc(cap);
	}
	c->state = CONN_DYING;
	if (!out)
		return -1;
	b = sl_buf(out + LWS_PRE, cap - LWS_PRE);
	write_head(c, &b);
	sl_buf_add(&b, c->res.body, body_len);
	SL_ASSERT(!b.full);
	api->responses[SL_MIN(c->res.status / 100, 5)]++;
	n = lws_write(c->wsi, (unsigned char *)b.p, b.n,
		      c->res.stream ? LWS_WRITE_HTTP : LWS_WRITE_HTTP_FINAL);
	SL_LOG(DEBUG, HTTP, "request", SL_KA("peer", &c->peer),
	       SL_KS("method", api_method_name(c->req.method)),
	       SL_KSTR("path", api_log_path(&c->req)), SL_KI("status", c->res.status),
	       SL_KB("written", n >= 0));
	sl_free(out);
	return c->res.stream && n >= 0 ? begin_stream(c) : -1;
}

/* ================= responses without an end ================= */

void api_respond_stream(struct api_conn *c, const char *type, const struct api_stream_ops *ops,
			void *data)
{
	c->res.stream = ops;
	c->res.stream_data = data;
	finish(c, 200, type);
}

void api_stream_wake(struct api_conn *c)
{
	if (c->state == CONN_STREAM && c->wsi)
		lws_callback_on_writable(c->wsi);
}

void api_stream_write(struct api_conn *c, const char *text, size_t len)
{
	static unsigned char out[LWS_PRE + API_PIECE_MAX]; /* the control thread's */

	SL_ASSERT(len <= API_PIECE_MAX);
	memcpy(out + LWS_PRE, text, len);
	if (lws_write(c->wsi, out + LWS_PRE, len, LWS_WRITE_HTTP) < 0)
		c->state = CONN_DYING;
	else
		lws_callback_on_writable(c->wsi);
}

/* The library calls this only when it holds nothing back itself. */
static int on_stream_writable(struct api_conn *c)
{
	bool beat = c->res.beat_due;

	c->res.beat_due = false;
	if (!c->res.stream->more(c, beat))
		c->state = CONN_DYING;
	return c->state == CONN_STREAM ? 0 : -1;
}

/* ================= requests ================= */

/* Copies the first value of a header; API_HDR_* otherwise. */
static int header(struct lws *wsi, enum lws_token_indexes h, char *out, int cap)
{
	char other[2];

	out[0] = 0;
	if (lws_hdr_total_length(wsi, h) <= 0 &&
	    lws_hdr_copy_fragment(wsi, other, sizeof(other), h, 0) < 0)
		return API_HDR_ABSENT;
	if (lws_hdr_fragment_length(wsi, h, 1) > 0 ||
	    lws_hdr_copy_fragment(wsi, other, sizeof(other), h, 1) >= 0)
		return API_HDR_TWICE;
	if (lws_hdr_fragment_length(wsi, h, 0) >= cap)
		return API_HDR_LONG;
	return lws_hdr_copy_fragment(wsi, out, cap, h, 0) < 0 ? API_HDR_LONG : 0;
}

static int count(int rc)
{
	return rc == API_HDR_ABSENT ? 0 : rc == API_HDR_TWICE ? 2 : 1;
}

static bool read_method(struct lws *wsi, struct api_request *req)
{
	for (int m = 0; m < API_METHOD_COUNT; m++) {
		int n = lws_hdr_total_length(wsi, methods[m].token);

		if (n <= 0)
			continue;
		req->method = (enum api_method)m;
		return n < API_PATH_MAX &&
		       lws_hdr_copy(wsi, req->path, API_PATH_MAX, methods[m].token) == n &&
		       strlen(req->path) == (size_t)n && req->path[0] == '/';
	}
	return false;
}

/* The path's segments; false when there are more than any path of ours has. */
static bool split_path(struct api_request *req)
{
	struct sl_str rest = sl_str_z(req->path + 1);

	req->seg_count = 0;
	for (;;) {
		bool more = rest.n > 0 && memchr(rest.p, '/', rest.n);

		if (req->seg_count == API_SEGMENTS_MAX)
			return false;
		req->seg[req->seg_count++] = sl_str_cut(&rest, '/');
		if (!more)
			return true;
	}
}

/* For the redirect, as it came. */
static void add_arg(struct sl_buf *query, struct sl_str arg)
{
	struct sl_str name = sl_str_cut(&arg, '=');

	sl_buf_char(query, query->n ? '&' : '?');
	api_percent_encode(query, name);
	if (arg.n == 0)
		return;
	sl_buf_char(query, '=');
	api_percent_encode(query, arg);
}

/* Query parameters; ours is "participant". */
static bool read_query(struct lws *wsi, struct api_request *req, const char **why)
{
	static const char key[] = "participant=";
	char arg[TOKEN_TEXT];
	struct sl_buf b = sl_buf(req->query, sizeof(req->query));

	for (int i = 0;; i++) {
		int n = lws_hdr_copy_fragment(wsi, arg, sizeof(arg), WSI_TOKEN_HTTP_URI_ARGS, i);

		if (n < 0)
			return lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i) == 0;
		add_arg(&b, sl_str(arg, (size_t)n));
		if ((size_t)n < sizeof(key) - 1 || memcmp(arg, key, sizeof(key) - 1) != 0)
			continue;
		*why = "participant is given twice";
		if (req->has_participant)
			return false;
		req->has_participant = true;
		*why = "the participant's name is longer than 64 characters, or holds a NUL";
		if (!sl_str_copy(req->participant, sizeof(req->participant),
				 sl_str(arg + sizeof(key) - 1, (size_t)n - (sizeof(key) - 1))))
			return false;
	}
}

struct raw_head {
	char length[32], host[API_HOST_MAX], version[16], te[8];
};

/* What frames the request. Values too long to be valid become ones that are not. */
static int frame(struct lws *wsi, struct api_conn *c, uint64_t *body_len, const char **why)
{
	struct raw_head h;
	int length = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, h.length, sizeof(h.length));
	int host = header(wsi, WSI_TOKEN_HOST, h.host, sizeof(h.host));
	int version = header(wsi, WSI_TOKEN_HTTP, h.version, sizeof(h.version));
	int te = header(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING, h.te, sizeof(h.te));
	struct api_framing f = {
		.transfer_encoding = te != API_HDR_ABSENT,
		.length_count = count(length),
		.length = length == API_HDR_LONG ? SL_STR("99999999999999999999")
						 : sl_str_z(h.length),
		.host_count = count(host),
		.host = host ? SL_STR("") : sl_str_z(h.host),
		.version = version ? SL_STR("") : sl_str_z(h.version),
		.method = c->req.method,
		.max_body = c->api->conf->http.max_body,
	};

	memcpy(c->req.host, h.host, sizeof(h.host));
	return api_guard(&f, body_len, why);
}

/* The library takes these spellings for other headers; a proxy in front may not (RFC 9112
 * section 5.1). */
static bool hides_framing(struct lws *wsi)
{
	static const char *const names[] = {"content-length :",
					    "content-length\t:",
					    "transfer-encoding :",
					    "transfer-encoding\t:",
					    "host :",
					    "host\t:",
					    " content-length:",
					    " transfer-encoding:",
					    "\tcontent-length:",
					    "\ttransfer-encoding:"};

	for (size_t i = 0; i < SL_COUNT(names); i++)
		if (lws_hdr_custom_length(wsi, names[i], (int)strlen(names[i])) >= 0)
			return true;
	return false;
}

#define FIELD(f) offsetof(struct api_request, f), sizeof(((struct api_request *)0)->f)
/* clang-format off */
static const struct {
	enum lws_token_indexes token;
	size_t off, cap;
	const char *name;
} plain_headers[] = {
	{WSI_TOKEN_ORIGIN,             FIELD(origin),        "Origin"},
	{WSI_TOKEN_HTTP_CONTENT_TYPE,  FIELD(content_type),  "Content-Type"},
	{WSI_TOKEN_HTTP_IF_NONE_MATCH, FIELD(if_none_match), "If-None-Match"},
	{WSI_TOKEN_HTTP_IF_MATCH,      FIELD(if_match),      "If-Match"},
};
#undef FIELD
/* clang-format on */

/* Of an EventSource that comes back. Not one of the library's own. */
static bool read_last_event_id(struct lws *wsi, struct api_request *req)
{
	static const char name[] = "last-event-id:";
	int n = lws_hdr_custom_length(wsi, name, sizeof(name) - 1);

	if (n <= 0)
		return true;
	return lws_hdr_custom_copy(wsi, req->last_event_id, sizeof(req->last_event_id), name,
				   sizeof(name) - 1) >= 0;
}

static bool read_headers(struct lws *wsi, struct api_request *req, const char **why)
{
	for (size_t i = 0; i < SL_COUNT(plain_headers); i++) {
		char *out = (char *)req + plain_headers[i].off;
		int rc = header(wsi, plain_headers[i].token, out, (int)plain_headers[i].cap);

		*why = plain_headers[i].name;
		if (rc == API_HDR_TWICE || rc == API_HDR_LONG)
			return false;
		if (plain_headers[i].token == WSI_TOKEN_HTTP_IF_MATCH)
			req->has_if_match = rc == 0;
	}
	*why = "Last-Event-ID";
	return read_last_event_id(wsi, req);
}

/* Browsers cannot set headers on WebSocket and EventSource: there the token comes in the query. */
static struct sl_str query_token(struct lws *wsi, const char *key, char *text, int cap)
{
	size_t key_len = strlen(key);
	struct sl_str found = {0};

	for (int i = 0; found.n == 0; i++) {
		int n = lws_hdr_copy_fragment(wsi, text, cap, WSI_TOKEN_HTTP_URI_ARGS, i);

		if (n < 0)
			break;
		if ((size_t)n > key_len && memcmp(text, key, key_len) == 0)
			found = sl_str(text + key_len, (size_t)n - key_len);
	}
	return found;
}

static bool for_kurento(const struct api_route *route)
{
	return route->ws && route->ws->kurento;
}

/* An upgrade without a key: Kurento's Docker image asks for its health by that, and wants to see a
 * 500. */
static bool is_probe(struct lws *wsi, const struct api_request *req)
{
	char text[64];

	return for_kurento(req->route) &&
	       header(wsi, WSI_TOKEN_KEY, text, sizeof(text)) == API_HDR_ABSENT &&
	       header(wsi, WSI_TOKEN_UPGRADE, text, sizeof(text)) != API_HDR_ABSENT;
}

static bool has_token(struct lws *wsi, struct api_conn *c)
{
	char text[TOKEN_TEXT];
	struct sl_str token = {0};
	struct timespec now;
	bool ok;

	if (header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, text, sizeof(text)) == 0) {
		token = sl_str_z(text);
		if (!sl_str_ieq(sl_str_word(&token), SL_STR("Bearer")))
			token.n = 0;
		token = sl_str_trim(token);
	} else {
		token = query_token(wsi, "access_token=", text, sizeof(text));
		if (token.n == 0 && for_kurento(c->req.route))
			token = query_token(wsi, "token=", text, sizeof(text));
	}
	clock_gettime(CLOCK_REALTIME, &now);
	ok = token.n > 0 &&
	     api_authenticate(c->api->conf, token, now.tv_sec * SL_SEC + now.tv_nsec / 1000,
			      &c->req.rights);
	sl_wipe(text, sizeof(text));
	return ok;
}

/* RFC 6750 section 3. False: answered. */
static bool may_enter(struct lws *wsi, struct api_conn *c)
{
	struct api_request *req = &c->req;
	const char *why;

	if (!api_auth_on(c->api->conf)) {
		req->rights.all = true;
		return true;
	}
	req->authorized = has_token(wsi, c);
	if (req->route->scope == API_OPEN || is_probe(wsi, req))
		return true;
	if (!req->authorized) {
		api_header(c, "WWW-Authenticate", "Bearer");
		api_problem(c, 401, "a valid token is needed: Authorization: Bearer ...");
		return false;
	}
	why = api_forbidden(c->api, req);
	if (why) {
		api_header(c, "WWW-Authenticate", "Bearer error=\"insufficient_scope\"");
		api_problem(c, 403, "%s", why);
	}
	return !why;
}

static const char *allowed_methods(const struct api_route *route, char text[64])
{
	api_methods_text(route->methods, text, 64);
	return text;
}

/* OPTIONS: a browser's question before the real request, or a client's about what may be sent. */
static void answer_options(struct api_conn *c)
{
	const struct api_route *route = c->req.route;
	char text[64];

	api_header(c, "Allow", "%s", allowed_methods(route, text));
	if (route->accept_header)
		api_header(c, route->accept_header, "%s", route->accept);
	if (c->req.cors) {
		api_header(c, "Access-Control-Allow-Methods", "%s", text);
		api_header(c, "Access-Control-Allow-Headers",
			   "Authorization, Content-Type, If-Match");
		api_header(c, "Access-Control-Max-Age", "600");
	}
	c->res.links = route->cors && route->methods & 1 << API_POST;
	api_respond_static(c, 204, NULL, NULL, 0);
}

/* Plain text where there is a certificate: only to this machine itself. */
static void redirect(struct api_conn *c)
{
	char url[API_HOST_MAX + 3 * 2 * API_PATH_MAX];
	struct sl_buf b = sl_buf(url, sizeof(url));
	char *safe = c->req.host;

	/* A Host that is no host would be a header of the client's own making. */
	if (safe[strspn(safe,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_")] !=
	    0) {
		api_problem(c, 400, "the Host is not one");
		return;
	}
	sl_buf_fmt(&b, "https://%s", safe);
	api_percent_encode(&b, sl_str_z(c->req.path));
	sl_buf_z(&b, c->req.query);
	if (b.full || b.n >= API_HEAD_MAX - 64) {
		api_problem(c, 400, "use https");
		return;
	}
	api_header(c, "Location", "%s", url);
	api_respond_static(c, 308, NULL, NULL, 0);
}

static bool media_type_is(const char *have, const char *want)
{
	struct sl_str s = sl_str_z(have);

	return sl_str_ieq(sl_str_trim(sl_str_cut(&s, ';')), sl_str_z(want));
}

/* Everything that is judged before a body is read, in order. False: answered. */
static bool judge(struct lws *wsi, struct api_conn *c)
{
	struct api_request *req = &c->req;
	const struct sl_config *conf = c->api->conf;
	char text[64];

	if (conf->http.cert[0] && !c->tls && !c->local)
		return redirect(c), false;
	if (!api_host_ok(conf, sl_str_z(req->host)))
		return api_problem(c, 421,
				   "this Host is not served here: use an address or localhost, or "
				   "set http.hosts"),
		       false;
	req->route = split_path(req) ? api_route_find(c->api, req) : NULL;
	if (!api_origin_ok(conf, sl_str_z(req->host), sl_str_z(req->origin),
			   req->route && req->route->cors))
		return api_problem(c, 403,
				   "pages of this Origin are not allowed here: set http.origins"),
		       false;
	/* What a page of a configured origin may ask for it may read, too, be it only that there is
	 * no such thing. */
	req->cors =
		(req->route && req->route->cors) || api_origin_listed(conf, sl_str_z(req->origin));
	if (!req->route)
		return api_problem(c, 404, "there is no such path"), false;
	if (req->method == API_OPTIONS)
		return answer_options(c), false;
	if (!(req->route->methods >> req->method & 1)) {
		api_header(c, "Allow", "%s", allowed_methods(req->route, text));
		return api_problem(c, 405, "this path takes %s", text), false;
	}
	if (!may_enter(wsi, c))
		return false;
	if (req->route->accept &&
	    (req->method == API_POST || req->method == API_PATCH || req->method == API_PUT) &&
	    !media_type_is(req->content_type, req->route->accept)) {
		if (req->route->accept_header)
			api_header(c, req->route->accept_header, "%s", req->route->accept);
		return api_problem(c, 415, "the Content-Type must be %s", req->route->accept),
		       false;
	}
	return true;
}

static bool read_head(struct lws *wsi, struct api_conn *c, uint64_t *body_len)
{
	struct api_request *req = &c->req;
	const char *why = "";
	bool target = read_method(wsi, req);
	int status = frame(wsi, c, body_len, &why);

	if (status == 0 && hides_framing(wsi)) {
		status = 400;
		why = "a header's name ends in a blank";
	}
	if (status)
		return api_problem(c, status, "%s", why), false;
	if (!target)
		return api_problem(c, 400, "the request's target or method cannot be used"), false;
	if (!read_headers(wsi, req, &why))
		return api_problem(c, 400, "%s is given twice, or is too long", why), false;
	why = "the query is too long";
	if (!read_query(wsi, req, &why))
		return api_problem(c, 400, "%s", why), false;
	return judge(wsi, c);
}

/* RFC 9110 section 10.1.1: the client holds its body back until it hears that somebody wants it. */
static void invite_body(struct lws *wsi)
{
	static const char yes[] = "HTTP/1.1 100 Continue\r\n\r\n";
	unsigned char out[LWS_PRE + sizeof(yes)];
	char expect[32];

	if (header(wsi, WSI_TOKEN_HTTP_EXPECT, expect, sizeof(expect)) != 0 ||
	    strcasecmp(expect, "100-continue") != 0)
		return;
	memcpy(out + LWS_PRE, yes, sizeof(yes) - 1);
	(void)!lws_write(wsi, out + LWS_PRE, sizeof(yes) - 1, LWS_WRITE_HTTP_HEADERS);
}

/* Now that the body is complete. */
static int dispatch(struct api_conn *c)
{
	c->state = CONN_WAIT;
	api_conn_deadline(c, api_now_us(c->api) + c->api->conf->http.idle_timeout_us);
	c->req.route->fn(c);
	return c->state == CONN_ANSWER ? write_response(c) : 0;
}

static int on_head(struct lws *wsi, struct api_conn *c)
{
	struct api_request *req = &c->req;
	uint64_t body_len = 0;

	/* What follows a request is not a request. */
	if (c->state != CONN_HEAD)
		return -1;
	if (!read_head(wsi, c, &body_len))
		return write_response(c);
	if (body_len == 0)
		return dispatch(c);
	req->body = sl_zalloc(body_len);
	if (!req->body) {
		out_of_memory(c);
		return write_response(c);
	}
	req->body_cap = body_len;
	c->state = CONN_BODY;
	c->since_us = api_now_us(c->api);
	api_conn_deadline(c, c->since_us + c->api->conf->http.body_timeout_us);
	invite_body(wsi);
	return 0;
}

/* A body may take body_timeout, and longer only while it comes at 1 KB/s or more. */
static int on_body(struct api_conn *c, const void *in, size_t len)
{
	struct api_request *req = &c->req;

	if (c->state != CONN_BODY || len > req->body_cap - req->body_len)
		return -1;
	memcpy(req->body + req->body_len, in, len);
	req->body_len += len;
	api_conn_deadline(c, c->since_us + c->api->conf->http.body_timeout_us +
				     (int64_t)req->body_len * SL_SEC / 1024);
	return 0;
}

static int on_body_end(struct api_conn *c)
{
	if (c->state != CONN_BODY || c->req.body_len != c->req.body_cap)
		return -1;
	return dispatch(c);
}

/* RFC 6455 section 4.2.1. The library does not ask for all of it, and would take up h2c, which goes
 * round every check of ours. False: answered. */
static bool may_upgrade(struct lws *wsi, struct api_conn *c)
{
	char text[64], key[24];
	struct sl_str list;
	bool asked = false;

	if (!c->req.route->ws || header(wsi, WSI_TOKEN_UPGRADE, text, sizeof(text)) ||
	    strcasecmp(text, "websocket") != 0)
		return api_problem(c, 400, "nothing here can be upgraded to"), false;
	if (is_probe(wsi, &c->req))
		return api_problem(c, 500,
				   "the server is well; an upgrade needs a Sec-WebSocket-Key"),
		       false;
	if (header(wsi, WSI_TOKEN_CONNECTION, text, sizeof(text)) == 0)
		for (list = sl_str_z(text); list.n > 0;)
			asked |= sl_str_ieq(sl_str_trim(sl_str_cut(&list, ',')), SL_STR("upgrade"));
	if (!asked)
		return api_problem(c, 400, "Connection does not ask for an upgrade"), false;
	if (header(wsi, WSI_TOKEN_VERSION, text, sizeof(text)) || strcmp(text, "13") != 0) {
		api_header(c, "Sec-WebSocket-Version", "13");
		return api_problem(c, 426, "only version 13 of WebSocket is spoken here"), false;
	}
	if (header(wsi, WSI_TOKEN_KEY, text, sizeof(text)) ||
	    sl_unbase64(sl_str_z(text), key, sizeof(key)) != 16)
		return api_problem(c, 400, "Sec-WebSocket-Key is not 16 bytes in base64"), false;
	if (header(wsi, WSI_TOKEN_PROTOCOL, text, sizeof(text)) != API_HDR_ABSENT)
		return api_problem(c, 400, "no subprotocol of WebSocket is spoken here"), false;
	return true;
}

/* Everything is judged before the upgrade; a refusal is a plain answer. */
static int on_upgrade(struct lws *wsi, struct api_conn *c)
{
	uint64_t body_len = 0;
	const char *why;
	int status;

	if (c->state != CONN_HEAD)
		return -1;
	if (!read_head(wsi, c, &body_len) || !may_upgrade(wsi, c))
		return write_response(c);
	why = api_ws_accept(c, &status);
	if (why) {
		if (status == 503)
			api_header(c, "Retry-After", "1");
		api_problem(c, status, "%s", why);
		return write_response(c);
	}
	c->state = CONN_WS;
	return 0;
}

static void on_destroy(struct api_conn *c)
{
	api_ws_gone(c);
	end_stream(c);
	c->wsi = NULL;
	c->gone = true;
	if (!c->adopting)
		api_conn_free(c);
}

static int on_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		       size_t len)
{
	struct api_conn *c = wsi ? lws_get_opaque_user_data(wsi) : NULL;
	int rc = 0;

	(void)user;
	if (!c)
		return 0;
	c->wsi = wsi;
	c->in_callback = true;
	switch ((int)reason) {
	case LWS_CALLBACK_HTTP:
		rc = on_head(wsi, c);
		break;
	case LWS_CALLBACK_HTTP_BODY:
		rc = on_body(c, in, len);
		break;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		rc = on_body_end(c);
		break;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		if (c->state == CONN_ANSWER)
			rc = write_response(c);
		else if (c->state == CONN_STREAM)
			rc = on_stream_writable(c);
		break;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		rc = on_upgrade(wsi, c);
		break;
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		rc = c->state == CONN_WS ? 0 : -1;
		break;
	case LWS_CALLBACK_ESTABLISHED:
	case LWS_CALLBACK_RECEIVE:
	case LWS_CALLBACK_RECEIVE_PONG:
	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		rc = c->state == CONN_WS ? api_ws_callback(c, (int)reason, in, len) : -1;
		break;
	case LWS_CALLBACK_CLOSED_HTTP:
		c->state = CONN_DYING;
		break;
	case LWS_CALLBACK_WSI_DESTROY:
		on_destroy(c);
		return 0;
	default:
		break;
	}
	c->in_callback = false;
	return rc;
}

void api_http_due(struct api_conn *c)
{
	if (c->ws)
		(void)!api_ws_due(c);
	if (c->state != CONN_STREAM || c->res.beat_due)
		return;
	c->res.beat_due = true;
	api_conn_deadline(c, api_now_us(c->api) + c->api->ws_ping_us);
	lws_callback_on_writable(c->wsi);
}

void api_http_adopt(struct api_conn *c)
{
	struct lws_adopt_desc d = {
		.vh = c->tls ? c->api->tls : c->api->plain,
		.type = (lws_adoption_type)(LWS_ADOPT_HTTP | LWS_ADOPT_SOCKET |
					    (c->tls ? LWS_ADOPT_ALLOW_SSL : 0)),
		.fd.sockfd = c->fd,
		.opaque = c,
	};
	struct lws *wsi;

	c->fd = -1; /* the library's from here on, even when it fails */
	c->state = CONN_HEAD;
	c->adopting = true;
	wsi = lws_adopt_descriptor_vhost_via_info(&d);
	c->adopting = false;
	/* A TLS hello that is none makes it fail with a half-made connection, whose end is told
	 * later. */
	if (c->gone || (!wsi && !c->wsi))
		api_conn_free(c);
}

void api_http_kill(struct api_conn *c)
{
	c->state = CONN_DYING;
	if (c->wsi)
		lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void on_log(int level, const char *line)
{
	SL_LOG(DEBUG, HTTP, "library", SL_KI("level", level),
	       SL_KSTR("line", sl_str_trim(sl_str_z(line))));
}

static const struct lws_protocols protocols[] = {{"http", on_callback, 0, 0, 0, NULL, 0},
						 {NULL, NULL, 0, 0, 0, NULL, 0}};

static struct lws_vhost *new_vhost(struct sl_api *api, const char *name, const char *cert,
				   const char *key)
{
	struct lws_context_creation_info info = {
		/* With plain NO_LISTEN an adopted TLS socket would speak clear text. */
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = name,
		.protocols = protocols,
		.alpn = "http/1.1",
		.ssl_cert_filepath = cert,
		.ssl_private_key_filepath = key,
		.options = cert ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
		.keepalive_timeout = 1,
	};

	return lws_create_vhost(api->lws, &info);
}

int api_http_new(struct sl_api *api, struct sl_core_why *why)
{
	void *loops[1] = {api->loop};
	const struct sl_config *conf = api->conf;
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_VALIDATE_UTF8,
		.foreign_loops = loops,
		.max_http_header_data = 16384,
		.max_http_header_pool2 = conf->http.max_connections + 64,
		.timeout_secs = 3600, /* ours are shorter */
		.pt_serv_buf_size = 16384,
	};

	api->ws_ping_us = 20 * SL_SEC;
	api->ws_silence_us = 30 * SL_SEC;
	lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
	api->lws = lws_create_context(&info);
	if (!api->lws) {
		(void)sl_fmt(why->text, sizeof(why->text),
			     "libwebsockets does not start; is libwebsockets-evlib-uv installed?");
		return SL_EIO;
	}
	api->plain = new_vhost(api, "plain", NULL, NULL);
	if (api->plain && conf->http.cert[0])
		api->tls = new_vhost(api, "tls", conf->http.cert, conf->http.key);
	if (!api->plain || (conf->http.cert[0] && !api->tls)) {
		(void)sl_fmt(why->text, sizeof(why->text),
			     "http.cert %s and http.key %s cannot be used", conf->http.cert,
			     conf->http.key);
		return SL_EIO;
	}
	return SL_OK;
}

/* A new vhost takes the connections to come; the one before stays for those that are under way,
 * until the next time. (The library's own call for this reports success and goes on with the old
 * certificate, and keeps neither when the key does not fit.) */
void sl_api_reload_cert(struct sl_api *api)
{
	static const char *const names[] = {"tls-a", "tls-b",
					    "tls-c"}; /* the library keeps the pointer */
	const struct sl_config *conf = api->conf;
	struct sl_core_why why = {"the certificate, the key, or that they belong together"};
	struct lws_vhost *fresh = NULL;

	if (!api->tls)
		return;
	/* As at start. */
	if (sl_core_check_key_file(conf->http.key, &why) == SL_OK)
		fresh = new_vhost(api, names[api->reloads % SL_COUNT(names)], conf->http.cert,
				  conf->http.key);
	if (!fresh) {
		SL_LOG(ERROR, HTTP, "http.cert cannot be read again; the old one stays",
		       SL_KS("cert", conf->http.cert), SL_KS("why", why.text));
		return;
	}
	api->reloads++;
	if (api->tls_before)
		lws_vhost_destroy(api->tls_before);
	api->tls_before = api->tls;
	api->tls = fresh;
	SL_LOG(INFO, HTTP, "http.cert read again", SL_KS("cert", conf->http.cert));
}

static void count_closing(uv_handle_t *h, void *arg)
{
	*(int *)arg += uv_is_closing(h) ? 1 : 0;
}

void api_http_free(struct sl_api *api)
{
	int closing = 1;

	if (api->lws)
		lws_context_destroy(api->lws);
	/* The library, and libuv, give handles back only as the loop runs; a closing one never
	 * makes it wait. */
	while (closing > 0) {
		closing = 0;
		uv_walk(api->loop, count_closing, &closing);
		if (closing > 0)
			uv_run(api->loop, UV_RUN_NOWAIT);
	}
	/* On a loop that is not its own it ends in two steps; this one frees its memory. */
	if (api->lws)
		lws_context_destroy(api->lws);
	api->lws = NULL;
}

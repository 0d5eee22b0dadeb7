/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/rig.h"
#include <fcntl.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

static char where[64], tag[64];

/* ================= what one connection may say ================= */

/* How many requests the api saw in what one connection sent. */
static uint64_t requests(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SL_COUNT(rig.api->responses); i++)
		n += rig.api->responses[i];
	return n;
}

/* clang-format off */
#define H "Host: 127.0.0.1\r\n"
#define CT "Content-Type: application/sdp\r\n"
/* A second request for whoever takes the first one's length for another. */
#define INNER "GET /healthz HTTP/1.1\r\n" H "\r\n"

/* want 0: only that at most one request was seen, and the connection closed. */
static const struct {
	const char *text;
	int want;
} smuggling[] = {
	/* Transfer-Encoding in any dress */
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n12345" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" INNER, 0},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "TRANSFER-ENCODING: chunked\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" INNER, 0},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT " Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r" INNER, 0},
	{"POST /whip/a HTTP/1.1\r\n" H CT "X: a\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.0\r\n" H CT "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" INNER, 411},
	/* Content-Length that is not one run of digits */
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 3\r\nContent-Length: 5\r\n\r\n12345" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 3, 5\r\n\r\n12345" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 5,5\r\n\r\n12345" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: +3\r\n\r\n123" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 3abc\r\n\r\n123" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: -1\r\n\r\n" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 0x3\r\n\r\n123" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 3.0\r\n\r\n123" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 1e1\r\n\r\n1234567890" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 1 0\r\n\r\n1234567890" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length:\r\n\r\n" INNER, 0},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: \r\n\r\n" INNER, 0},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: \"3\"\r\n\r\n123" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 99999999999999999999999999999999999999999\r\n\r\n123" INNER, 413},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 18446744073709551619\r\n\r\n123" INNER, 413},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 4294967299\r\n\r\n123" INNER, 413},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 65537\r\n\r\n123" INNER, 413},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length : 5\r\n\r\n12345" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 5\r\nContent-Length : 0\r\n\r\n12345" INNER, 400},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content_Length: 5\r\n\r\n12345" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "\r\n" INNER, 411},
	{"POST /whip/a HTTP/1.1\r\n" H CT "Content-Length: 3\r\n\r\n123" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n12345" INNER, 400},
	{"GET /healthz HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n12345" INNER, 400},
	{"GET /healthz HTTP/1.1\r\n" H "Content-Length\t: 5\r\n\r\n12345" INNER, 0},
	{"DELETE /sessions/x HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n12345" INNER, 400},
	/* Host */
	{"GET /healthz HTTP/1.1\r\n\r\n" INNER, 400},
	{"GET /healthz HTTP/1.1\r\n" H H "\r\n" INNER, 400},
	{"GET /healthz HTTP/1.1\r\n" H "Host: evil.example\r\n\r\n" INNER, 400},
	{"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "Host : evil.example\r\n\r\n" INNER, 400},
	{"GET http://evil.example/healthz HTTP/1.1\r\n" H "\r\n" INNER, 0},
	/* line ends, folds, oddities */
	{"GET /healthz HTTP/1.1\n" "Host: 127.0.0.1\n\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "X: y\n\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "X: y\r\r\n\r\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "X: y\r\n folded: z\r\n\r\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "X: y\r\n\tContent-Length: 50\r\n\r\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H ": no name\r\n\r\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "no colon\r\n\r\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "\r\n" INNER INNER INNER, 200},
	{"\r\n\r\nGET /healthz HTTP/1.1\r\n" H "\r\n" INNER, 0},
	{"GET  /healthz  HTTP/1.1\r\n" H "\r\n" INNER, 0},
	{"GET /healthz\r\n\r\n" INNER, 0},
	{"GET /healthz HTTP/1.1 \r\n" H "\r\n" INNER, 0},
	{"GET /healthz HTTP/3.7\r\n" H "\r\n" INNER, 505},
	{"BREW /healthz HTTP/1.1\r\n" H "\r\n" INNER, 0},
	{"get /healthz HTTP/1.1\r\n" H "\r\n" INNER, 0},
	{"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" H "\r\n" INNER, 0},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" INNER, 0},
	{"GET /healthz HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" INNER, 400},
	{"GET /healthz HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" INNER, 400},
	{"GET /healthz HTTP/1.1\r\n" H "Connection: keep-alive\r\n\r\n" INNER, 200},
};
/* clang-format on */

TEST(t26_never_two_requests_in_what_looks_like_one)
{
	RIG();
	for (size_t i = 0; i < SL_COUNT(smuggling); i++) {
		struct client *c = client_new();
		uint64_t before = requests();
		const struct answer *a;

		client_say(c, "%s", smuggling[i].text);
		/* What waits for more is told that there is no more. */
		rig_turn();
		rig_turn();
		shutdown(c->fd, SHUT_WR);
		a = client_answer(c);
		if (smuggling[i].want && a->status != smuggling[i].want)
			fprintf(stderr, "case %zu: %s\n", i, smuggling[i].text);
		CHECK(smuggling[i].want == 0 || a->status == smuggling[i].want);
		if (requests() - before > 1)
			fprintf(stderr, "case %zu: %s\n", i, smuggling[i].text);
		CHECK(requests() - before <= 1);
		CHECK(!strstr(a->body, "Date: "));
		CHECK(a->status == 0 || answer_headers(a, "Connection") == 1);
		STOP_AFTER_OOM();
	}
	CHECK_EQ(rig.core.commands, 0);
}

TEST(t26_a_request_in_pieces_is_one_request)
{
	static const char text[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct client *c;

	RIG();
	c = client_new();
	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		client_send(c, text + i, 1);
		rig_turn();
	}
	CHECK_EQ(client_answer(c)->status, 200);
	CHECK_EQ(requests(), 1);
}

TEST(t26_headers_without_end_are_cut)
{
	struct client *c;
	char line[1100];

	RIG();
	c = client_new();
	memset(line, 'x', sizeof(line));
	memcpy(line, "X: ", 3);
	memcpy(line + sizeof(line) - 2, "\r\n", 2);
	client_say(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
	for (int i = 0; i < 100 && client_poll(c); i++) {
		client_send(c, line, sizeof(line));
		rig_turn();
	}
	CHECK(client_answer(c)->status != 200);
}

TEST(a_body_in_pieces_is_put_together)
{
	struct client *c;
	const char *sdp;

	RIG();
	sdp = offer("sendonly", 1, 1);
	c = client_new();
	client_say(c,
		   "POST /whip/studio HTTP/1.1\r\nHost: localhost\r\n" SDP_HEADERS
		   "Content-Length: %zu\r\n\r\n",
		   strlen(sdp));
	for (size_t i = 0; i < strlen(sdp); i += 100) {
		client_send(c, sdp + i, SL_MIN(strlen(sdp) - i, 100));
		rig_turn();
	}
	CHECK_EQ(client_answer(c)->status, 201);
}

TEST(a_client_that_asks_first_is_told_to_send_its_body)
{
	struct client *c;
	const char *sdp;

	RIG();
	sdp = offer("sendonly", 1, 0);
	c = client_new();
	client_say(c,
		   "POST /whip/studio HTTP/1.1\r\nHost: localhost\r\nExpect: "
		   "100-continue\r\n" SDP_HEADERS "Content-Length: %zu\r\n\r\n",
		   strlen(sdp));
	RIG_UNTIL(c->n > 0 || !client_poll(c));
	if (c->closed)
		(void)client_answer(c);
	CHECK_STR(c->in, "HTTP/1.1 100 Continue\r\n\r\n");
	c->n = 0;
	client_send(c, sdp, strlen(sdp));
	CHECK_EQ(client_answer(c)->status, 201);
}

/* ================= slow ones, and many ================= */

TEST(t40_a_slow_header_is_cut)
{
	struct client *c, *idle;

	rig_init();
	rig.conf.http.header_timeout_us = 20 * SL_MS;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	c = client_new();
	idle = client_new();
	client_say(c, "GET /healthz HTTP/1.1\r\nHost: local");
	CHECK_EQ(client_answer(c)->status, 0);
	CHECK_EQ(client_answer(idle)->status, 0);
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
}

TEST(t40_a_slow_body_is_cut)
{
	struct client *c;

	rig_init();
	rig.conf.http.body_timeout_us = 20 * SL_MS;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	c = client_new();
	client_say(c, "POST /whip/studio HTTP/1.1\r\nHost: localhost\r\n" SDP_HEADERS
		      "Content-Length: 1000\r\n\r\nv=0");
	CHECK(client_answer(c)->status == 0);
	CHECK_EQ(requests(), 0);
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
}

TEST(t40_who_does_not_read_its_answer_is_cut)
{
	struct client *c;
	int small = 4096;

	rig_init();
	rig.conf.http.idle_timeout_us = 20 * SL_MS;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	rig.core.hold = true;
	c = client_new();
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client_say(c,
		   "POST /whip/studio HTTP/1.1\r\nHost: localhost\r\n" SDP_HEADERS
		   "Content-Length: %zu\r\n\r\n%s",
		   strlen(offer("sendonly", 1, 1)), offer("sendonly", 1, 1));
	CHECK(client_answer(c)->status == 0);
	rig.core.hold = false;
	fake_core_release(&rig.core);
	RIG_UNTIL(sl_api_sessions(rig.api) == 0);
	CHECK_EQ(fake_core_open_count(&rig.core), 0);
}

TEST(t40_who_has_its_answer_and_stays_is_cut)
{
	struct client *c;

	rig_init();
	rig.conf.http.idle_timeout_us = 20 * SL_MS;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	c = client_new();
	client_say(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
	CHECK_EQ(client_answer(c)->status, 200);
	RIG_UNTIL(rig.api->conn_count == 0);
	RIG_UNTIL(sl_list_empty(&rig.api->conns));
}

TEST(t40_a_request_is_answered_while_300_slow_ones_hang)
{
	struct client *slow[200];
	int open = 0;

	rig_init();
	rig.conf.http.max_connections = 200;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	for (int i = 0; i < 200; i++) {
		slow[i] = client_new();
		client_say(slow[i], "GET /healthz HTTP/1.1\r\nHost: local");
		if (i % 20 == 0)
			rig_turn();
		STOP_AFTER_OOM();
	}
	for (int i = 0; i < 20; i++)
		rig_turn();
	CHECK(rig.api->conn_count <= 200);
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
	for (int i = 0; i < 100; i++) {
		client_close(slow[i]);
		slow[i] = client_new();
		client_say(slow[i], "POST /whip/a HTTP/1.1\r\nHost: local");
		STOP_AFTER_OOM();
	}
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
	for (int i = 0; i < 200; i++)
		open += client_poll(slow[i]);
	CHECK(open >= 150);
}

TEST(t40_a_full_table_evicts_the_oldest_that_got_no_further)
{
	struct client *c[8];

	rig_init();
	rig.conf.http.max_connections = 8;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	for (int i = 0; i < 8; i++) {
		c[i] = client_new();
		client_say(c[i], i == 0 ? "POST /whip/a HTTP/1.1\r\nHost: localhost\r\n" SDP_HEADERS
					  "Content-Length: 9\r\n\r\n"
					: "GET /");
		RIG_UNTIL(rig.api->conn_count == (uint32_t)i + 1 || sl_test_oom_fired());
		STOP_AFTER_OOM();
	}
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
	RIG_UNTIL(!client_poll(c[1]));
	CHECK(client_poll(c[0]));
	CHECK(client_poll(c[2]));
	CHECK_EQ(rig.api->evicted_conns, 1);
}

TEST(t40_one_address_has_only_its_share_but_loopback_is_not_counted)
{
	struct client *c[6];

	rig_init();
	rig.conf.http.max_per_address = 2;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	for (int i = 0; i < 6; i++) {
		c[i] = client_new();
		client_say(c[i], "GET /");
		rig_turn();
	}
	for (int i = 0; i < 6; i++)
		CHECK(client_poll(c[i]) || sl_test_oom_fired());
	/* As if they came from elsewhere. */
	SL_LIST_EACH(it, tmp, &rig.api->conns)
		SL_LIST_AT(it, struct api_conn, link)->counted = true;
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
}

TEST(t40_an_address_over_its_share_loses_its_own_oldest)
{
	struct client *c[5];
	char ip[64];

	if (!own_address(ip))
		return;
	rig_init();
	(void)sl_fmt(rig.conf.http.bind, SL_CONFIG_TEXT_MAX, "0.0.0.0");
	rig.conf.http.insecure = true;
	rig.conf.http.max_per_address = 2;
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	c[0] = client_new();
	client_say(c[0], "GET /");
	for (int i = 1; i < 5; i++) {
		c[i] = client_new_from(ip, ip);
		client_say(c[i], "GET /");
		for (int k = 0; k < 5; k++)
			rig_turn();
	}
	STOP_AFTER_OOM();
	RIG_UNTIL(!client_poll(c[1]) && !client_poll(c[2]));
	CHECK(client_poll(c[0]) && client_poll(c[3]) && client_poll(c[4]));
}

static void restore_fds(void *arg)
{
	(void)setrlimit(RLIMIT_NOFILE, arg);
}

TEST(out_of_descriptors_a_connection_gets_503_and_the_rest_goes_on)
{
	static struct rlimit was;
	struct rlimit now;
	struct client *first, *c;
	int next;

	RIG();
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
	DEFER(restore_fds, &was);
	first = client_new();
	client_say(first, "GET /healthz HTTP/1.1\r\n");
	RIG_UNTIL(rig.api->conn_count == 1 || sl_test_oom_fired());
	c = client_new();
	next = dup(0);
	close(next);
	now = was;
	now.rlim_cur = (rlim_t)next;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
	CHECK_EQ(client_answer(c)->status, 503);
	CHECK(rig.api->refused_conns >= 1);
	client_say(first, "Host: localhost\r\n\r\n");
	CHECK_EQ(client_answer(first)->status, 200);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
	CHECK_EQ(ask("GET", "/healthz", "", "")->status, 200);
}

/* ================= who may ask ================= */

TEST(t43_with_a_token_everything_but_health_and_the_page_wants_it)
{
	static const char *const closed[] = {"POST /whip/a", "POST /whep/a", "PATCH /sessions/x",
					     "DELETE /sessions/x", "GET /metrics"};
	static const char *const open[] = {"/healthz", "/readyz", "/"};
	const struct answer *a;

	rig_init();
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "s3cret");
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	for (size_t i = 0; i < SL_COUNT(closed); i++) {
		char method[8];
		const char *path = strchr(closed[i], ' ') + 1;

		CHECK(sl_fmt(method, sizeof(method), "%.*s", (int)(path - closed[i]) - 1,
			     closed[i]));
		a = ask(method, path, SDP_HEADERS, "");
		CHECK_EQ(a->status, 401);
		CHECK_STR(answer_header(a, "WWW-Authenticate"), "Bearer");
		CHECK_EQ(ask(method, path, SDP_HEADERS "Authorization: Bearer wrong\r\n", "")
				 ->status,
			 401);
		CHECK_EQ(ask(method, path,
			     SDP_HEADERS
			     "Authorization: Bearer s3cret\r\nAuthorization: Bearer x\r\n",
			     "")
				 ->status,
			 401);
	}
	for (size_t i = 0; i < SL_COUNT(open); i++)
		CHECK_EQ(ask("GET", open[i], "", "")->status, 200);
	CHECK_EQ(ask("GET", "/metrics", "Authorization: Bearer s3cret\r\n", "")->status, 200);
	a = ask("POST", "/whip/a",
		SDP_HEADERS "Origin: https://any.example\r\nAuthorization: Bearer s3cret\r\n",
		offer("sendonly", 1, 1));
	CHECK_EQ(a->status, 201);
	CHECK_STR(answer_header(a, "Access-Control-Allow-Origin"), "*");
}

TEST(t41_a_page_of_another_origin_is_refused_even_before_its_body)
{
	const struct answer *a;

	RIG();
	a = ask("POST", "/whip/a", SDP_HEADERS "Origin: https://evil.example\r\n",
		offer("sendonly", 1, 1));
	CHECK_EQ(a->status, 403);
	CHECK_EQ(answer_headers(a, "Access-Control-Allow-Origin"), 0);
	CHECK_EQ(ask("OPTIONS", "/whip/a",
		     "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n", "")
			 ->status,
		 403);
	CHECK_EQ(ask("GET", "/metrics", "Origin: null\r\n", "")->status, 403);
	CHECK_EQ(ask("GET", "/metrics", "Origin: http://localhost:3000\r\n", "")->status, 403);
	CHECK_EQ(rig.core.commands, 0);
}

TEST(cors_lets_a_loopback_page_read_location_etag_and_link)
{
	const struct answer *a;

	RIG();
	a = ask("OPTIONS", "/whip/a",
		"Origin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n", "");
	CHECK_EQ(a->status, 204);
	CHECK_STR(answer_header(a, "Access-Control-Allow-Origin"), "http://localhost:3000");
	CHECK_STR(answer_header(a, "Access-Control-Allow-Methods"), "POST, OPTIONS");
	CHECK(strstr(answer_header(a, "Access-Control-Allow-Headers"), "If-Match"));
	CHECK_STR(answer_header(a, "Accept-Post"), "application/sdp");
	CHECK_STR(answer_header(a, "Vary"), "Origin");
	a = ask("OPTIONS", "/sessions/x",
		"Origin: http://localhost:3000\r\nAccess-Control-Request-Method: PATCH\r\n", "");
	CHECK_STR(answer_header(a, "Access-Control-Allow-Methods"), "PATCH, DELETE, OPTIONS");
	CHECK_STR(answer_header(a, "Accept-Patch"), "application/trickle-ice-sdpfrag");
	a = ask("POST", "/whip/a", SDP_HEADERS "Origin: http://localhost:3000\r\n",
		offer("sendonly", 1, 1));
	CHECK_EQ(a->status, 201);
	CHECK(strstr(answer_header(a, "Access-Control-Expose-Headers"), "Location, ETag, Link"));
	a = ask("POST", "/whip/a", SDP_HEADERS "Origin: http://localhost:3000\r\n", "bad");
	CHECK_EQ(a->status, 400);
	CHECK_STR(answer_header(a, "Access-Control-Allow-Origin"), "http://localhost:3000");
	CHECK_EQ(ask("OPTIONS", "/healthz", "", "")->status, 204);
	CHECK_EQ(ask("OPTIONS", "/nope", "", "")->status, 404);
}

TEST(t42_a_name_that_was_rebound_to_loopback_is_421)
{
	RIG();
	CHECK_EQ(ask("GET", "/healthz", "Host: evil.example\r\n", "")->status, 421);
	CHECK_EQ(ask("POST", "/whip/a", SDP_HEADERS "Host: evil.example:8888\r\n",
		     offer("sendonly", 1, 1))
			 ->status,
		 421);
	CHECK_EQ(ask("GET", "/healthz", "Host: localhost:1\r\n", "")->status, 200);
	CHECK_EQ(ask("GET", "/healthz", "Host: [::1]\r\n", "")->status, 200);
}

/* ================= what is there to read ================= */

TEST(the_page_has_a_type_a_tag_and_a_strict_policy)
{
	const struct answer *a;
	char headers[128];

	RIG();
	a = ask("GET", "/", "", "");
	CHECK_EQ(a->status, 200);
	CHECK_STR(answer_header(a, "Content-Type"), "text/html; charset=utf-8");
	CHECK_STR(answer_header(a, "Cache-Control"), "no-cache");
	CHECK_EQ(answer_headers(a, "Cache-Control"), 1);
	CHECK_STR(answer_header(a, "X-Content-Type-Options"), "nosniff");
	CHECK(strstr(answer_header(a, "Content-Security-Policy"), "default-src 'self'"));
	CHECK(strstr(a->body, "<!DOCTYPE html>") || strstr(a->body, "<!doctype html>"));
	CHECK(sl_fmt(headers, sizeof(headers), "If-None-Match: %s\r\n", answer_header(a, "ETag")));
	a = ask("GET", "/", headers, "");
	CHECK_EQ(a->status, 304);
	CHECK_EQ(a->body_len, 0);
	a = ask("HEAD", "/", "", "");
	CHECK_EQ(a->status, 200);
	CHECK_EQ(a->body_len, 0);
	CHECK(answer_header(a, "Content-Length")[0] != '0');
	CHECK_EQ(ask("GET", "/index.html", "", "")->status, 404);
	CHECK_EQ(ask("GET", "/../../etc/passwd", "", "")->status, 404);
}

TEST(metrics_have_every_counter_of_every_loop)
{
	const struct answer *a;
	char line[128];

	RIG();
	publish("/whip/studio", where, tag);
	a = ask("GET", "/metrics", "", "");
	CHECK_EQ(a->status, 200);
	for (int i = 0; i < SL_STAT_COUNT; i++)
		for (unsigned loop = 0; loop < 2; loop++) {
			CHECK(sl_fmt(line, sizeof(line), "\nsluice_%s_total{loop=\"%u\"} 0\n",
				     sl_stat_name((enum sl_stat)i), loop));
			CHECK(strstr(a->body, line));
		}
	CHECK(strstr(a->body, "\nsluice_rooms 1\n"));
	CHECK(strstr(a->body, "\nsluice_sessions 1\n"));
	CHECK(strstr(a->body, "\nsluice_participants 1\n"));
	CHECK(strstr(a->body, "\nsluice_http_connections "));
	CHECK(strstr(a->body, "\nsluice_transports{loop=\"0\"} 1\n"));
	CHECK(strstr(a->body, "\nsluice_handshake_wait_seconds 0.000000\n"));
	CHECK(strstr(a->body, "\nsluice_http_requests_total{class=\"2xx\"} 1\n"));
}

static size_t lines_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

TEST(metrics_do_not_grow_with_rooms_and_people)
{
	char path[64];
	size_t n;

	RIG();
	n = lines_of(ask("GET", "/metrics", "", "")->body);
	for (int i = 0; i < 12; i++) {
		CHECK(sl_fmt(path, sizeof(path), "/whip/room-%d?participant=person-%d", i, i));
		publish(path, where, tag);
	}
	play("/whep/room-1", 1, 1, where, tag);
	STOP_AFTER_OOM();
	CHECK_EQ(lines_of(ask("GET", "/metrics", "", "")->body), n);
	CHECK(!strstr(ask("GET", "/metrics", "", "")->body, "person"));
	CHECK(!strstr(ask("GET", "/metrics", "", "")->body, "room-"));
	CHECK(strstr(ask("GET", "/metrics", "", "")->body,
		     "\nsluice_sessions_by_way{via=\"whip\"} 12\n"));
}

TEST(freeing_with_everything_under_way_leaves_nothing)
{
	struct client *c[3];
	const char *sdp;

	RIG();
	rig.core.hold = true;
	for (int i = 0; i < 3; i++)
		c[i] = client_new();
	sdp = offer("sendonly", 1, 1);
	client_say(c[0],
		   "POST /whip/a HTTP/1.1\r\nHost: localhost\r\n" SDP_HEADERS
		   "Content-Length: %zu\r\n\r\n%s",
		   strlen(sdp), sdp);
	client_say(c[1],
		   "POST /whip/a HTTP/1.1\r\nHost: localhost\r\n" SDP_HEADERS
		   "Content-Length: %zu\r\n\r\nv=0",
		   strlen(sdp));
	client_say(c[2], "GET ");
	RIG_UNTIL(rig.core.reply_count == 1 || !client_poll(c[0]));
	sl_api_free(rig.api);
	rig.api = NULL;
	CHECK(!client_poll(c[0]) && !client_poll(c[1]) && !client_poll(c[2]));
}

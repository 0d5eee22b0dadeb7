/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/log.h"
#include "tests/api/join_client.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int log_fd;
static char *text;

static void end_log(void *unused)
{
	(void)unused;
	sl_log_stop();
	if (sl_log_set_levels(SL_STR("info")) != SL_OK)
		abort();
	close(log_fd);
	free(text);
	text = NULL;
}

/* Everything that was logged so far, NUL-terminated. */
static const char *logged(void)
{
	off_t n;

	sl_log_stop();
	n = lseek(log_fd, 0, SEEK_END);
	text = malloc((size_t)n + 1);
	CHECK_EQ(pread(log_fd, text, (size_t)n, 0), n);
	text[n] = 0;
	return text;
}

static void start_log(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	DEFER(end_log, NULL);
	TRY(sl_log_start(log_fd, false));
	TRY(sl_log_set_levels(SL_STR("debug")));
}

/* A line that repeats is limited per second, and other tests have written it too: so wait for the
 * next, but not in the many runs without memory. */
static bool next_second(void)
{
	static int runs;
	struct timespec now;

	if (++runs > 2)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	usleep((useconds_t)(1000000 - now.tv_nsec / 1000));
	return true;
}

/* Each is one event, and nothing in them moves a cursor. */
static void check_lines(const char *out)
{
	for (const char *line = out; *line; line = strchr(line, '\n') + 1) {
		CHECK(strncmp(line, "time=", 5) == 0);
		CHECK(strchr(line, '\n'));
	}
	for (const char *p = out; *p; p++)
		CHECK(*p == '\n' || (uint8_t)*p >= 0x20);
}

TEST(t29_no_request_can_forge_a_log_line)
{
	static const char *const paths[] = {"/whip/%0Atime=0%20level=error",
					    "/whip/%1B[2J",
					    "/%0D%0Alevel=error",
					    "/whip/%FF%FE",
					    "/whip/%25s%25n",
					    "/whip/a?participant=%0Alevel=error",
					    "/whip/\"%20level=error%20x=\""};
	bool fresh = next_second();
	const char *out;

	start_log();
	RIG();
	for (size_t i = 0; i < SL_COUNT(paths); i++)
		(void)ask("POST", paths[i], SDP_HEADERS, offer("sendonly", 1, 0));
	(void)ask("GET", "/healthz", "Origin: http://x\x1b[31m\r\n", "");
	out = logged();
	CHECK(!fresh || strstr(out, "msg=\"request refused\""));
	check_lines(out);
}

TEST(t29_no_participant_can_forge_a_log_line)
{
	static const char *const said[] = {
		"{\"type\":\"publish\",\"request\":\"\\ntime=0 level=error\",\"tracks\":[{\"kind\":"
		"\"audio\"}]}",
		"{\"type\":\"\\u001b[2J\"}",
		"{\"type\":\"mute\",\"track\":\"%s%n\\r\\n\",\"muted\":true}",
		"{\"type\":\"candidate\",\"sdpfrag\":\"a=ice-ufrag:\\ntime=0\\u001b[2J\"}",
		"{\"type\":\"answer\",\"offer\":1,\"sdp\":\"v=0\\r\\n\\u001b]0;x\\u0007\"}",
		"{\"type\":\"leave\"}",
	};
	bool fresh = next_second();
	const char *out;
	struct peer *p;

	start_log();
	JOIN_RIG();
	CHECK_EQ(ask("GET", "/v1/rooms/studio/join?participant=%1B%5B2J%0Atime%3D0", WS_HEADERS, "")
			 ->status,
		 400);
	p = join_as(0, "ann\\\"=x");
	offered(p);
	for (size_t i = 0; i < SL_COUNT(said); i++) {
		ws_text(&p->w, said[i]);
		for (int k = 0; k < 4; k++)
			rig_turn();
	}
	closed_with(p, 1000);
	out = logged();
	check_lines(out);
	CHECK(!fresh || strstr(out, "session closed"));
}

TEST(t53_no_token_password_or_session_id_is_logged)
{
	static char where[64], tag[64];
	bool fresh = next_second();
	const struct answer *a;
	char path[128], headers[256];
	const char *out;

	start_log();
	rig_init();
	(void)sl_fmt(rig.conf.http.token, SL_CONFIG_TEXT_MAX, "s3cret-token");
	DEFER(rig_stop, NULL);
	TRY(rig_start());
	a = ask("POST", "/whip/studio", SDP_HEADERS "Authorization: Bearer s3cret-token\r\n",
		offer("sendonly", 1, 1));
	CHECK_EQ(a->status, 201);
	CHECK(sl_fmt(where, sizeof(where), "%s", answer_header(a, "Location")));
	CHECK(sl_fmt(tag, sizeof(tag), "%s", answer_header(a, "ETag")));
	CHECK(sl_fmt(path, sizeof(path), "%s", where));
	(void)ask("POST", "/whip/studio", SDP_HEADERS "Authorization: Bearer wr0ng-token\r\n",
		  offer("sendonly", 1, 1));
	CHECK(sl_fmt(headers, sizeof(headers),
		     FRAG_HEADERS "Authorization: Bearer s3cret-token\r\nIf-Match: %s\r\n", tag));
	(void)ask("PATCH", path, headers,
		  "a=ice-ufrag:anew\r\na=ice-pwd:another-password-of-the-peer\r\n");
	(void)ask("DELETE", path, "Authorization: Bearer s3cret-token\r\n", "");
	(void)ask("GET", "/v1/rooms?access_token=s3cret-token", "", "");
	(void)ask("GET", "/v1/rooms?access_token=wr0ng-token", "", "");
	(void)ask("GET", "/v1/rooms/studio/join?access_token=wr0ng-token", WS_HEADERS, "");
	ws_open("/v1/rooms/studio/join?resume=s3cret&access_token=s3cret-token", "");
	out = logged();
	CHECK(!fresh || (strstr(out, "session opened") && strstr(out, "session closed")));
	CHECK(!strstr(out, "s3cret"));
	CHECK(!strstr(out, "wr0ng"));
	CHECK(!strstr(out, "password"));
	CHECK(!strstr(out, where + strlen("/sessions/")));
}

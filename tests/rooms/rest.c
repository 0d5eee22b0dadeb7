/* SPDX-License-Identifier: Apache-2.0
 * tests/rooms/rest.c — requests as a back end makes them, over a real connection on loopback. The
 * virtual clock moves only while a media loop is asked: so a run stays the same run. */
#include "tests/rooms/world.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS_MAX = 1000000 };

static int dial(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(sl_api_port(world.api))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(fd >= 0);
	CHECK_EQ(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Until the server closes. */
static void read_all(int fd, char *out, size_t cap)
{
	size_t n = 0;

	for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
		ssize_t got = recv(fd, out + n, cap - 1 - n, MSG_DONTWAIT);

		if (got == 0)
			break;
		CHECK(got > 0 || errno == EAGAIN);
		n += got > 0 ? (size_t)got : 0;
		CHECK(n < cap - 1);
		if (world.api->op_count > 0)
			(void)world_step(SL_NEVER - 1);
		else
			uv_run(&world.uv, UV_RUN_NOWAIT);
	}
	out[n] = 0;
}

int rest(const char *method, const char *path, const char *body, char *answer, size_t cap)
{
	static char text[1 << 20];
	const char *end;
	int fd, n, status;

	/* Nobody else is waiting for a loop: who waits during the request is the request. */
	while (world.api->op_count > 0)
		CHECK(world_step(SL_NEVER - 1));
	n = snprintf(text, sizeof(text),
		     "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
		     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		     method, path, strlen(body), body);
	CHECK(n > 0 && (size_t)n < sizeof(text));
	fd = dial();
	CHECK_EQ(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
	read_all(fd, text, sizeof(text));
	close(fd);
	CHECK(strncmp(text, "HTTP/1.1 ", 9) == 0);
	status = (int)strtol(text + 9, NULL, 10);
	end = strstr(text, "\r\n\r\n");
	if (answer && end)
		CHECK(sl_fmt(answer, cap, "%s", end + 4));
	return status;
}

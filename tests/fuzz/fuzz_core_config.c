/* SPDX-License-Identifier: Apache-2.0
 * The configuration file. The input is a file's text.
 * Properties: it is taken, or refused with one sentence that begins with the file, a line that the
 * file has, and says something; what was taken lies within the ranges and bounds of the reference;
 * reading it again over itself changes nothing; a refusal, and the rules between keys, leave the
 * process as it was. */
#include "core/config.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(c) ((c) ? (void)0 : __builtin_trap())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct sl_config c[2];
static struct sl_config_error e;

static bool ends(const char *text)
{
	return memchr(text, '\0', SL_CONFIG_TEXT_MAX) != NULL;
}

static void check_texts(const struct sl_config *k)
{
	const char *const texts[] = {k->http.bind, k->http.token, k->http.cert, k->http.key,
				     k->dtls.cert, k->dtls.key,	  k->log.level, k->log.format};
	const struct sl_config_list *const lists[] = {&k->http.origins,	  &k->http.hosts,
						      &k->http.proxies,	  &k->media.bind,
						      &k->media.announce, &k->ice.servers};

	for (size_t i = 0; i < SL_COUNT(texts); i++)
		CHECK(ends(texts[i]));
	for (size_t i = 0; i < SL_COUNT(lists); i++) {
		CHECK(lists[i]->n <= SL_CONFIG_LIST_MAX);
		for (size_t n = 0; n < lists[i]->n; n++)
			CHECK(ends(lists[i]->at[n]));
	}
}

static void check_numbers(const struct sl_config *k)
{
	const struct {
		uint32_t n, min, max;
	} numbers[] = {
		{k->http.port, 0, 65535},
		{k->http.max_connections, 8, 60000},
		{k->http.max_per_address, 1, 60000},
		{k->http.max_body, 1024, 1048576},
		{k->media.port, 0, 65535},
		{k->rooms.max, 1, 1000000},
		{k->rooms.max_participants, 1, 10000},
		{k->limits.sdp_mlines, 16, 256},
		{k->limits.max_sessions, 1, 10000},
		{k->publish.max_video_bps, 0, 1000000000},
		{k->loops, 0, 64},
	};
	const struct {
		int64_t us, min, max, unit;
	} times[] = {
		{k->http.header_timeout_us, 10, 60000, SL_MS},
		{k->http.body_timeout_us, 10, 600000, SL_MS},
		{k->http.idle_timeout_us, 10, 3600000, SL_MS},
		{k->ice.timeout_us, 1, 600, SL_SEC},
		{k->dtls.queue_us, 1, 60000, SL_MS},
		{k->rooms.linger_us, 0, 86400000, SL_MS},
		{k->drain_us, 0, 86400, SL_SEC},
	};

	for (size_t i = 0; i < SL_COUNT(numbers); i++)
		CHECK(numbers[i].n >= numbers[i].min && numbers[i].n <= numbers[i].max);
	for (size_t i = 0; i < SL_COUNT(times); i++)
		CHECK(times[i].us >= times[i].min * times[i].unit &&
		      times[i].us <= times[i].max * times[i].unit);
}

/* "file:line: what is wrong" */
static void check_error(const char *file, size_t len)
{
	size_t n = strlen(file);
	const char *p = e.text + n + 1;
	uint64_t line = 0;

	CHECK(memchr(e.text, '\0', sizeof(e.text)) != NULL);
	CHECK(strncmp(e.text, file, n) == 0 && e.text[n] == ':');
	CHECK(*p >= '1' && *p <= '9');
	for (; *p >= '0' && *p <= '9'; p++)
		line = line * 10 + (uint64_t)(*p - '0');
	CHECK(line <= len + 2);
	CHECK(strncmp(p, ": ", 2) == 0 && strlen(p) > 6);
}

static int memory_file(const uint8_t *data, size_t len)
{
	int fd = memfd_create("sluice.yaml", MFD_CLOEXEC);

	CHECK(fd >= 0);
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, data + at, len - at);

		CHECK(n > 0);
		at += (size_t)n;
	}
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int fd = memory_file(data, len);
	char file[32];
	int err;

	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	sl_config_defaults(&c[0]);
	memset(&e, 0, sizeof(e));
	err = sl_config_file(&c[0], file, &e);
	CHECK(err == SL_OK || err == SL_EPARSE);
	CHECK((e.text[0] != '\0') == (err != SL_OK));
	check_texts(&c[0]);
	check_numbers(&c[0]);
	if (err)
		check_error(file, len);
	c[1] = c[0];
	if (!err) {
		CHECK(sl_config_file(&c[1], file, &e) == SL_OK);
		CHECK(memcmp(&c[0], &c[1], sizeof(c[0])) == 0);
		err = sl_config_check(&c[0], &e);
		CHECK(err == SL_OK || err == SL_EPARSE);
		CHECK((e.text[0] != '\0') == (err != SL_OK));
	}
	close(fd);
	return 0;
}

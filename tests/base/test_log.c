/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "tests/test.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WALL_US = 1000000 };

static char *format(bool json, const char *text, const struct sl_field *fields, size_t n)
{
	static char line[SL_LOG_LINE];
	size_t len = sl_log_format(line, sizeof(line), json, WALL_US, SL_LOG_WARN, SL_LOG_WHIP,
				   text, fields, n);

	CHECK_EQ(len, strlen(line));
	return line;
}

/* ---- a reader of the log's JSON: one object of strings, numbers and booleans ---- */

static bool skip(const char **p, const char *z)
{
	size_t n = strlen(z);

	if (strncmp(*p, z, n) != 0)
		return false;
	*p += n;
	return true;
}

static bool json_string(const char **p)
{
	if (!skip(p, "\""))
		return false;
	while (**p && **p != '"') {
		if ((uint8_t)(*p)[0] < 0x20)
			return false;
		if (*(*p)++ != '\\')
			continue;
		if (**p == 'u') {
			if (strspn(*p + 1, "0123456789abcdef") < 4)
				return false;
			*p += 4;
		} else if (!**p || !strchr("\"\\/bfnrt", **p)) {
			return false;
		}
		++*p;
	}
	return skip(p, "\"");
}

static bool json_value(const char **p)
{
	size_t digits;

	if (**p == '"')
		return json_string(p);
	if (skip(p, "true") || skip(p, "false"))
		return true;
	skip(p, "-");
	digits = strspn(*p, "0123456789");
	*p += digits;
	return digits > 0;
}

/* The number of members, or -1. */
static int json_line(const char *p)
{
	int n = 0;

	if (!sl_utf8_valid(p, strlen(p)) || !skip(&p, "{"))
		return -1;
	do {
		if (!json_string(&p) || !skip(&p, ":") || !json_value(&p))
			return -1;
		n++;
	} while (skip(&p, ","));
	return strcmp(p, "}\n") == 0 ? n : -1;
}

/* The number of key=value pairs of a logfmt line, or -1. */
static int logfmt_line(const char *p)
{
	int n = 0;

	if (!sl_utf8_valid(p, strlen(p)))
		return -1;
	do {
		size_t key = strspn(p, "abcdefghijklmnopqrstuvwxyz_0123456789");

		p += key;
		if (key == 0 || !skip(&p, "="))
			return -1;
		if (*p == '"' && !json_string(&p))
			return -1;
		while ((uint8_t)*p > ' ' && (uint8_t)*p < 0x7f && *p != '"' && *p != '=')
			p++;
		n++;
	} while (skip(&p, " "));
	return strcmp(p, "\n") == 0 ? n : -1;
}

/* ---- one line ---- */

TEST(a_line_has_time_level_module_sentence_and_fields)
{
	struct sl_addr addr = sl_addr_v4(192, 0, 2, 1, 80);
	const struct sl_field fields[] = {
		SL_KS("room", "lobby"), SL_KI("left", -3),   SL_KU("loop", UINT64_MAX),
		SL_KA("from", &addr),	SL_KB("lite", true), SL_KSTR("name", SL_STR("Jo Ann"))};

	CHECK_STR(format(false, "session opened", fields, SL_COUNT(fields)),
		  "time=1970-01-01T00:00:01.000000Z level=warn module=whip msg=\"session opened\" "
		  "room=lobby left=-3 "
		  "loop=18446744073709551615 from=192.0.2.1:80 lite=true name=\"Jo Ann\"\n");
	CHECK_STR(
		format(true, "session opened", fields, SL_COUNT(fields)),
		"{\"time\":\"1970-01-01T00:00:01.000000Z\",\"level\":\"warn\",\"module\":\"whip\","
		"\"msg\":\"session opened\",\"room\":\"lobby\",\"left\":-3,"
		"\"loop\":18446744073709551615,"
		"\"from\":\"192.0.2.1:80\",\"lite\":true,\"name\":\"Jo Ann\"}\n");
}

TEST(a_line_tells_the_date_of_any_day)
{
	static const struct {
		int64_t wall_us;
		const char *want;
	} rows[] = {
		{0, "time=1970-01-01T00:00:00.000000Z "},
		{INT64_C(951782400) * SL_SEC, "time=2000-02-29T00:00:00.000000Z "},
		{INT64_C(1709251199) * SL_SEC + 999999, "time=2024-02-29T23:59:59.999999Z "},
		{INT64_C(1709251200) * SL_SEC, "time=2024-03-01T00:00:00.000000Z "},
		{INT64_C(1767225599) * SL_SEC, "time=2025-12-31T23:59:59.000000Z "},
		{INT64_C(4107542400) * SL_SEC, "time=2100-03-01T00:00:00.000000Z "},
	};
	char line[SL_LOG_LINE];

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		sl_log_format(line, sizeof(line), false, rows[i].wall_us, SL_LOG_INFO, SL_LOG_MAIN,
			      "x", NULL, 0);
		line[strlen(rows[i].want)] = '\0';
		CHECK_STR(line, rows[i].want);
	}
}

TEST(a_value_that_could_be_misread_stands_in_quotes)
{
	static const char *const bare[] = {"a", "10.0.0.1:5", "a/b", "x@y.z", "[::1]:1", "-"};
	static const char *const quoted[] = {"",    "a b", "a=b", "a\"b", "a\\b", "\xc3\xa4",
					     "a,b", "{}",  "$x",  "%s",	  "a;b"};

	for (size_t i = 0; i < SL_COUNT(bare); i++)
		CHECK(strstr(format(false, "x", &SL_KS("v", bare[i]), 1), " v=\"") == NULL);
	for (size_t i = 0; i < SL_COUNT(quoted); i++)
		CHECK(strstr(format(false, "x", &SL_KS("v", quoted[i]), 1), " v=\"") != NULL);
	CHECK(strstr(format(false, "x", &SL_KS("v", NULL), 1), " v=\"\"\n") != NULL);
	CHECK(strstr(format(false, "x", &SL_KA("v", NULL), 1), " v=none\n") != NULL);
}

static char *hundred_kilobytes(char fill)
{
	char *s = sl_zalloc(100001);

	TRY(s ? SL_OK : SL_ENOMEM);
	DEFER(sl_free, s);
	memset(s, fill, 100000);
	return s;
}

/* Whatever stands in whichever place, a line is one line, printable, and parses to as many members
 * as went in. */
TEST(t29_hostile_values_in_any_field_stay_one_well_formed_line)
{
	const char *const nasty[] = {
		"\n",
		"a\nlevel=error msg=forged",
		"\r\n",
		"\x1b[2J\x1b]0;title\x07",
		"%s%n%x%s%s%s%s",
		"\" x=\"1",
		"\\",
		"\\\"",
		"\"}\n{\"level\":\"error\"}",
		"\xff\xfe\xc0\xaf\xed\xa0\x80",
		"\xc3",
		"\xc2\x9b"
		"31m",
		"\xe2\x80\xae"
		"abc",
		"\xe2\x80\xa8",
		"\x7f\x08\x08",
		"\t",
		"plain",
		"",
		hundred_kilobytes('A'),
		hundred_kilobytes('\n'),
		hundred_kilobytes('\x1b'),
		hundred_kilobytes('\xff'),
		hundred_kilobytes('"'),
	};

	for (size_t i = 0; i < SL_COUNT(nasty); i++)
		for (size_t place = 0; place < 4; place++)
			for (int json = 0; json < 2; json++) {
				const char *v[4] = {"one", "two", "three", "four"};
				const char *line;

				v[place] = nasty[i];
				line = format(json, v[3],
					      (struct sl_field[]){SL_KS("a", v[0]),
								  SL_KSTR("b", sl_str_z(v[1])),
								  SL_KU("n", 5), SL_KS("c", v[2])},
					      4);
				CHECK_EQ(json ? json_line(line) : logfmt_line(line), 8);
				CHECK(strchr(line, '\n') == line + strlen(line) - 1);
				CHECK(!strchr(line, '\x1b') && !strchr(line, '\x7f') &&
				      !strstr(line, "\xc2\x9b"));
				CHECK(strlen(line) < 1500);
			}
}

TEST(t29_a_nul_inside_a_value_is_written_not_obeyed)
{
	const char *line = format(false, "x", &SL_KSTR("v", sl_str("a\0b", 3)), 1);

	CHECK(strstr(line, "v=\"a\\u0000b\"\n") != NULL);
}

TEST(t29_a_long_value_is_cut_at_512_bytes_and_says_so)
{
	char *s = hundred_kilobytes('A');
	const char *line =
		format(false, "x", (struct sl_field[]){SL_KS("v", s), SL_KS("w", "here")}, 2);
	const char *v = strstr(line, " v=\"");

	CHECK(v != NULL);
	CHECK_EQ(strspn(v + 4, "A"), 512);
	CHECK(strstr(v, "A...\" w=here\n") != NULL);
}

TEST(fields_that_do_not_fit_are_left_out_whole)
{
	struct sl_field fields[20];
	char *s = hundred_kilobytes('A');

	for (size_t i = 0; i < SL_COUNT(fields); i++)
		fields[i] = SL_KS("v", s);
	for (int json = 0; json < 2; json++) {
		const char *line = format(json, "x", fields, SL_COUNT(fields));

		CHECK(strlen(line) < SL_LOG_LINE);
		CHECK(strstr(line, json ? ",\"cut\":true}\n" : " cut=true\n") != NULL);
		CHECK((json ? json_line(line) : logfmt_line(line)) >= 4 + 6 + 1);
	}
}

/* ---- limit ---- */

TEST(t29_a_call_site_writes_so_many_lines_a_second_and_then_tells_the_rest)
{
	struct sl_log_site site = {0};
	uint32_t left_out;
	int admitted = 0;

	for (int i = 0; i < 100; i++)
		admitted += sl_log_admit(&site, 7, &left_out);
	CHECK_EQ(admitted, SL_LOG_LIMIT);
	CHECK_EQ(left_out, 0);
	CHECK(sl_log_admit(&site, 8, &left_out));
	CHECK_EQ(left_out, 80);
	CHECK(sl_log_admit(&site, 8, &left_out));
	CHECK_EQ(left_out, 0);
	CHECK(sl_log_admit(&site, 100, &left_out));
	CHECK_EQ(left_out, 0);
}

/* ---- levels ---- */

static uint8_t saved_levels[SL_LOG_MODULE_COUNT];

static void restore_levels(void *unused)
{
	(void)unused;
	memcpy(sl_log_levels, saved_levels, sizeof(saved_levels));
}

static void keep_levels(void)
{
	memcpy(saved_levels, sl_log_levels, sizeof(saved_levels));
	sl_test_defer(restore_levels, NULL);
}

TEST(levels_are_set_for_all_and_then_for_some)
{
	keep_levels();
	TRY(sl_log_set_levels(SL_STR("warn, ice=debug,http=error")));
	CHECK_EQ(sl_log_levels[SL_LOG_MAIN], SL_LOG_WARN);
	CHECK_EQ(sl_log_levels[SL_LOG_ICE], SL_LOG_DEBUG);
	CHECK_EQ(sl_log_levels[SL_LOG_HTTP], SL_LOG_ERROR);
	TRY(sl_log_set_levels(SL_STR("sdp=info")));
	CHECK_EQ(sl_log_levels[SL_LOG_SDP], SL_LOG_INFO);
	CHECK_EQ(sl_log_levels[SL_LOG_MAIN], SL_LOG_WARN);
	sl_log_set_level(SL_LOG_MAIN, SL_LOG_DEBUG);
	CHECK_EQ(sl_log_levels[SL_LOG_MAIN], SL_LOG_DEBUG);
}

TEST(a_bad_level_changes_nothing)
{
	static const char *const bad[] = {"",
					  "loud",
					  "debug,nowhere=info",
					  "debug,ice=",
					  "debug,ice",
					  "=info",
					  "debug,,warn",
					  "INFO",
					  "ice=debug=warn"};

	keep_levels();
	TRY(sl_log_set_levels(SL_STR("warn")));
	for (size_t i = 0; i < SL_COUNT(bad); i++) {
		CHECK_EQ(sl_log_set_levels(sl_str_z(bad[i])), SL_EPARSE);
		for (size_t m = 0; m < SL_LOG_MODULE_COUNT; m++)
			CHECK_EQ(sl_log_levels[m], SL_LOG_WARN);
	}
}

TEST(every_module_has_a_name_of_its_own)
{
	for (enum sl_log_module a = 0; a < SL_LOG_MODULE_COUNT; a++)
		for (enum sl_log_module b = 0; b < a; b++)
			CHECK(strcmp(sl_log_module_name(a), sl_log_module_name(b)) != 0);
	CHECK_STR(sl_log_module_name(SL_LOG_MODULE_COUNT), "unknown");
}

/* ---- threads ---- */

static void close_fd(void *fd)
{
	close((int)(intptr_t)fd);
}

static void stop(void *unused)
{
	(void)unused;
	sl_log_stop();
}

static int memory_file(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	CHECK(fd >= 0);
	sl_test_defer(close_fd, (void *)(intptr_t)fd);
	return fd;
}

static void start(int fd, bool json)
{
	TRY(sl_log_start(fd, json));
	sl_test_defer(stop, NULL);
}

/* Counts lines that begin with prefix and hold text. */
static int lines_with(int fd, const char *prefix, const char *text)
{
	FILE *f = fdopen(dup(fd), "r");
	char line[SL_LOG_LINE];
	int n = 0;

	CHECK(f != NULL);
	rewind(f);
	while (fgets(line, sizeof(line), f))
		n += strncmp(line, prefix, strlen(prefix)) == 0 && strstr(line, text);
	fclose(f);
	return n;
}

TEST(lines_reach_the_descriptor_by_the_time_the_log_has_stopped)
{
	int fd = memory_file();

	start(fd, true);
	CHECK_EQ(sl_log_start(fd, true), SL_ESTATE);
	SL_LOG(INFO, ROOM, "room opened", SL_KS("room", "lobby"));
	SL_LOG(DEBUG, ROOM, "not asked for", SL_KS("room", "lobby"));
	SL_LOG(ERROR, ROOM, "room closed", SL_KS("room", "lobby"));
	sl_log_stop();
	CHECK_EQ(lines_with(fd, "{\"time\":\"", "\"room opened\",\"room\":\"lobby\"}\n"), 1);
	CHECK_EQ(lines_with(fd, "{\"time\":\"", "\"level\":\"error\""), 1);
	CHECK_EQ(lines_with(fd, "", ""), 2);
	sl_log_stop();
}

TEST(a_ring_needs_a_started_log_and_a_thread_may_ask_twice)
{
	int fd = memory_file();

	CHECK_EQ(sl_log_thread_ring(), SL_ESTATE);
	start(fd, false);
	TRY(sl_log_thread_ring());
	TRY(sl_log_thread_ring());
	SL_LOG(INFO, LOOP, "by the ring", SL_KI("n", 1));
	sl_log_stop();
	CHECK_EQ(lines_with(fd, "time=", "msg=\"by the ring\" n=1\n"), 1);
	/* The ring went with the log: now the line is written by the caller. */
	SL_LOG(INFO, LOOP, "by the caller", SL_KI("n", 2));
	CHECK_EQ(lines_with(fd, "time=", "msg=\"by the caller\" n=2\n"), 1);
	CHECK_EQ(sl_log_thread_ring(), SL_ESTATE);
	start(fd, false);
	SL_LOG(INFO, LOOP, "by the shared ring", SL_KI("n", 3));
	sl_log_stop();
	CHECK_EQ(lines_with(fd, "time=", "n=3\n"), 1);
}

enum { THREADS = 4, LINES = 40 };

struct writer {
	bool ring;
	int number, err;
	pthread_t thread;
};

static void *write_lines(void *arg)
{
	struct writer *w = arg;

	w->err = w->ring ? sl_log_thread_ring() : SL_OK;
	for (int i = 0; i < LINES && !w->err; i++) {
		struct sl_log_site site = {0};
		struct sl_field f[] = {SL_KI("writer", w->number), SL_KI("line", i)};

		sl_log_write(&site, SL_LOG_INFO, SL_LOG_LOOP, "one of many", f, SL_COUNT(f));
	}
	return NULL;
}

TEST(lines_of_many_threads_arrive_whole_and_once)
{
	struct writer w[THREADS] = {{0}};
	int fd = memory_file();
	int err = SL_OK;

	start(fd, false);
	for (int i = 0; i < THREADS; i++) {
		w[i].number = i;
		w[i].ring = i % 2;
		if (err == SL_OK && pthread_create(&w[i].thread, NULL, write_lines, &w[i]) != 0)
			err = SL_ENOMEM;
		if (err)
			w[i].number = -1;
	}
	for (int i = 0; i < THREADS; i++) {
		if (w[i].number < 0)
			continue;
		pthread_join(w[i].thread, NULL);
		err = err ? err : w[i].err;
	}
	sl_log_stop();
	TRY(err);
	CHECK_EQ(lines_with(fd, "time=", "msg=\"one of many\""), THREADS * LINES);
	for (int i = 0; i < LINES; i++) {
		char text[40];

		sl_fmt(text, sizeof(text), " line=%d\n", i);
		CHECK_EQ(lines_with(fd, "time=", text), THREADS);
	}
}

/* Lines written and counts of dropped ones in what has come so far. */
static int accounted(const char *text)
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, "msg=flood")); p++)
		n++;
	for (const char *p = text; (p = strstr(p, "was full\" count=")); p++) {
		struct sl_str rest = sl_str_z(p + strlen("was full\" count="));
		uint64_t count;

		if (memchr(rest.p, '\n', rest.n) &&
		    sl_str_u64(sl_str_cut(&rest, '\n'), 1000, &count))
			n += (int)count;
	}
	return n;
}

/* The descriptor is a pipe that nobody reads: the log thread waits for it, the writer does not. */
TEST(a_writer_never_waits_for_the_descriptor_and_dropped_lines_are_counted)
{
	enum { FLOOD = 1000 };
	static char text[1 << 20];
	size_t n = 0;
	int fds[2];

	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	sl_test_defer(close_fd, (void *)(intptr_t)fds[0]);
	sl_test_defer(close_fd, (void *)(intptr_t)fds[1]);
	CHECK(fcntl(fds[1], F_SETPIPE_SZ, 4096) > 0);
	memset(text, 0, sizeof(text));
	start(fds[1], false);
	for (int i = 0; i < FLOOD; i++) {
		struct sl_log_site site = {0};
		struct sl_field f = SL_KS("fill", "0123456789012345678901234567890123456789");

		sl_log_write(&site, SL_LOG_INFO, SL_LOG_LOOP, "flood", &f, 1);
	}
	while (accounted(text) < FLOOD) {
		ssize_t got = read(fds[0], text + n, sizeof(text) - 1 - n);

		CHECK(got > 0);
		n += (size_t)got;
	}
	sl_log_stop();
	CHECK_EQ(accounted(text), FLOOD);
	CHECK(strstr(text, "was full") != NULL);
}

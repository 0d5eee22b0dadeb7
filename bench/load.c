/* SPDX-License-Identifier: Apache-2.0
 * bench/load.c — sluice-load: options, scenario, the loop, commands and the report. */
#include "bench/load.h"
#include "core/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 32,
	SCAN_US = 1000,
	POLL_US = 500,
	DRAIN_US = 300000,
	PROGRESS_US = 5000000,
	PATIENCE_US = 10000000,
	JOIN_LIMIT_US = 30000000,
	LINE = 256
};

/* ================= small things ================= */

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int64_t load_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static int64_t cpu_us(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}

void load_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("sluice-load: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

void load_fail(struct load *l, const char *fmt, ...)
{
	va_list ap;

	if (l->why[0])
		return;
	va_start(ap, fmt);
	if (vsnprintf(l->why, sizeof(l->why), fmt, ap) < 0)
		l->why[0] = '?';
	va_end(ap);
}

int load_watch(struct load *l, struct load_watch *w, enum load_kind kind, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	w->kind = kind;
	w->fd = fd;
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? SL_EIO : SL_OK;
}

const struct load_signalling *load_signalling(const struct load *l)
{
	static const struct load_signalling *const all[] = {
		[LOAD_SLUICE] = &load_whip, [LOAD_JANUS] = &load_janus, [LOAD_RTP] = &load_rtp};

	return all[l->conf.server];
}

static void tell(cJSON *o)
{
	char *text = cJSON_PrintUnformatted(o);

	puts(text ? text : "{}");
	fflush(stdout);
	free(text);
	cJSON_Delete(o);
}

/* ================= peers ================= */

static bool room_for_peer(struct load *l)
{
	unsigned cap = l->peer_cap ? 2 * l->peer_cap : 64;
	struct load_peer **p;

	if (l->peer_count < l->peer_cap)
		return true;
	p = sl_realloc(l->peers, cap * sizeof(struct load_peer *));
	if (!p)
		return false;
	l->peers = p;
	l->peer_cap = cap;
	return true;
}

static struct load_peer *add_peer(struct load *l, bool publisher)
{
	struct load_peer *p = room_for_peer(l) ? load_peer_new(l, publisher) : NULL;

	if (!p) {
		load_fail(l, "cannot make another peer: %s", strerror(errno));
		return NULL;
	}
	l->peers[l->peer_count++] = p;
	p->state = LOAD_ASKING;
	l->pending++;
	return p;
}

static void join_publisher(struct load *l)
{
	struct load_peer *p = add_peer(l, true);

	if (!p)
		return;
	p->number = l->started_publishers++;
	for (int kind = 0; kind < SL_KIND_COUNT; kind++)
		if (l->conf.stream[kind].pps > 0 && !load_source_new(l, p, (enum sl_kind)kind)) {
			load_fail(l, "out of memory");
			return;
		}
	load_signalling(l)->join(p);
}

static void join_subscriber(struct load *l, bool passing)
{
	struct load_peer *p = add_peer(l, false);

	if (!p)
		return;
	p->passing = passing;
	l->started_subscribers += !passing;
	load_signalling(l)->join(p);
}

static double streams_pps(const struct load *l)
{
	double pps = 0;

	for (unsigned i = 0; i < l->source_count; i++)
		if (l->sources[i]->next_us != SL_NEVER)
			pps += l->sources[i]->conf.pps;
	return pps * l->conf.subscribers;
}

/* A prime, so that every place of a burst has its turn. */
static uint64_t stride_for(double pps, double checks_per_s)
{
	static const uint64_t primes[] = {1,   3,   7,	 13,   29,   61,   97,
					  127, 251, 509, 1021, 2039, 4093, 8191};
	double want = pps / checks_per_s;

	for (size_t i = 0; i < SL_COUNT(primes); i++)
		if ((double)primes[i] >= want)
			return primes[i];
	return primes[SL_COUNT(primes) - 1];
}

static void set_stride(struct load *l)
{
	l->check_stride = stride_for(streams_pps(l), l->conf.checks_per_s);
}

void load_peer_connected(struct load *l, struct load_peer *p)
{
	l->pending--;
	l->up_us = l->now_us;
	if (p->publisher)
		l->publishers_up++;
	else if (!p->passing)
		l->subscribers_up++;
	for (int kind = 0; kind < SL_KIND_COUNT; kind++)
		if (p->sources[kind])
			load_source_start(p->sources[kind]);
	set_stride(l);
}

void load_peer_failed(struct load *l, struct load_peer *p, const char *why)
{
	if (p->state == LOAD_GONE)
		return;
	if (why && !p->passing)
		load_fail(l, "a %s could not join: %s", p->publisher ? "publisher" : "subscriber",
			  why);
	if (why)
		l->window.failed++;
	if (p->state != LOAD_CONNECTED)
		l->pending--;
	load_peer_end(p);
}

static void sweep(struct load *l)
{
	for (unsigned i = 0; i < l->peer_count; i++) {
		struct load_peer *p = l->peers[i];

		if (p->state != LOAD_GONE || p->refs > 0 || p->publisher)
			continue;
		load_peer_free(p);
		l->peers[i--] = l->peers[--l->peer_count];
	}
}

/* Publishers first: who comes later plays who is there. */
static void join_more(struct load *l)
{
	const struct load_conf *c = &l->conf;

	if (!l->signalling_ready)
		return;
	while (l->pending < c->parallel && l->started_publishers < c->publishers && !l->why[0])
		join_publisher(l);
	while (l->publishers_up == c->publishers && l->pending < c->parallel &&
	       l->started_subscribers < c->subscribers && !l->why[0])
		join_subscriber(l, false);
}

static void come_and_go(struct load *l)
{
	double every_us = 1e6 / l->conf.joins_per_s;

	if (l->next_join_us < (double)l->now_us - 1e6)
		l->next_join_us = (double)l->now_us;
	for (; l->next_join_us <= (double)l->now_us; l->next_join_us += every_us)
		join_subscriber(l, true);
}

/* Subscribers who get every track there is. */
static unsigned playing(const struct load *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->peer_count; i++) {
		const struct load_peer *p = l->peers[i];
		unsigned tracks = 0;

		for (unsigned k = 0; k < p->sink_count; k++)
			tracks += !p->sinks[k].ignored;
		n += !p->passing && !p->publisher && tracks >= l->source_count;
	}
	return n;
}

static void progress(struct load *l)
{
	if (l->ready_told || l->now_us < l->progress_us)
		return;
	if (l->progress_us)
		load_say("%u of %u publishers, %u of %u subscribers are there, %u get all tracks; "
			 "%llu refused",
			 l->publishers_up, l->conf.publishers, l->subscribers_up,
			 l->conf.subscribers, playing(l), (unsigned long long)l->window.refused);
	l->progress_us = l->now_us + PROGRESS_US;
}

/* Everybody gets everything; or has waited long: a server short of time gives up video first. */
static void maybe_ready(struct load *l)
{
	unsigned silent = l->conf.subscribers - SL_MIN(playing(l), l->conf.subscribers);
	cJSON *o;

	if (silent > 0 && l->now_us < l->up_us + PATIENCE_US)
		return;
	l->ready_told = true;
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "event", "ready");
	cJSON_AddNumberToObject(o, "silent", silent);
	cJSON_AddNumberToObject(o, "join_p50_us", load_hist_us(&l->window.join, .5));
	cJSON_AddNumberToObject(o, "join_p99_us", load_hist_us(&l->window.join, .99));
	tell(o);
}

static void scan(struct load *l)
{
	for (unsigned i = 0; i < l->peer_count; i++)
		if (l->peers[i]->due_us <= l->now_us)
			load_peer_tick(l->peers[i]);
	for (unsigned i = 0; i < l->peer_count; i++) {
		struct load_peer *p = l->peers[i];

		if ((p->state == LOAD_ASKING || p->state == LOAD_CONNECTING) &&
		    l->now_us > p->asked_us + JOIN_LIMIT_US)
			load_peer_failed(l, p, "nothing came of it within 30 s");
	}
	sweep(l);
	join_more(l);
	progress(l);
	if (!l->ready_told && l->subscribers_up == l->conf.subscribers &&
	    l->publishers_up == l->conf.publishers)
		maybe_ready(l);
}

/* ================= windows ================= */

static uint64_t all_drops(const struct load *l)
{
	uint64_t n = l->gone_drops;

	for (unsigned i = 0; i < l->peer_count; i++)
		n += load_peer_drops(l->peers[i]);
	return n;
}

static void begin_window(struct load *l, int64_t us, bool drain)
{
	memset(&l->window, 0, sizeof(l->window));
	set_stride(l);
	for (unsigned i = 0; i < l->peer_count; i++)
		for (unsigned k = 0; k < l->peers[i]->sink_count; k++)
			load_sink_mark(&l->peers[i]->sinks[k]);
	l->window.drops = all_drops(l);
	l->window.cpu_us = cpu_us();
	l->window.start_us = l->now_us;
	l->window_end_us = l->now_us + us;
	l->drain_end_us = SL_NEVER;
	l->drain = drain;
	tell(cJSON_Parse("{\"event\":\"begin\"}"));
}

/* What was sent last and never came: only known once nothing is under way any more. */
static uint64_t cut_off(const struct load_sink *s)
{
	const struct load_source *from = s->source;
	uint64_t last = from ? from->seq - 1 + (uint64_t)s->shift : 0;

	return from && last > s->top ? last - s->top : 0;
}

static void add_sink(struct load *l, const struct load_sink *s, bool drained)
{
	uint64_t lost = load_sink_tail(s) + (drained ? cut_off(s) : 0);

	l->window.lost += lost;
	if (s->source) {
		l->window.kind[s->source->kind].received += s->received;
		l->window.kind[s->source->kind].lost += lost;
	}
}

static void end_window(struct load *l)
{
	cJSON *o;

	for (unsigned i = 0; i < l->peer_count; i++)
		for (unsigned k = 0; k < l->peers[i]->sink_count; k++) {
			const struct load_sink *s = &l->peers[i]->sinks[k];

			if (!s->ignored)
				add_sink(l, s, l->drain && l->peers[i]->state == LOAD_CONNECTED);
		}
	l->window.drops = all_drops(l) - l->window.drops;
	l->window_end_us = SL_NEVER;
	o = load_window_json(&l->window, l->now_us, cpu_us());
	cJSON_AddNumberToObject(o, "peers", l->publishers_up + l->subscribers_up);
	cJSON_AddNumberToObject(o, "stride", (double)l->check_stride);
	tell(o);
	if (!l->conf.control)
		l->stopping = true;
}

static void stop_sources(struct load *l)
{
	for (unsigned i = 0; i < l->source_count; i++)
		l->sources[i]->next_us = SL_NEVER;
}

static void check_window(struct load *l)
{
	if (l->now_us < l->window_end_us)
		return;
	if (l->drain && l->drain_end_us == SL_NEVER) {
		stop_sources(l);
		l->drain_end_us = l->now_us + DRAIN_US;
		return;
	}
	if (!l->drain || l->now_us >= l->drain_end_us)
		end_window(l);
}

/* ================= commands ================= */

static void set_rate(struct load *l, enum sl_kind kind, double pps)
{
	for (unsigned i = 0; i < l->source_count; i++)
		if (l->sources[i]->kind == kind)
			load_source_rate(l->sources[i], pps);
	set_stride(l);
}

/* rate KIND PPS | churn JOINS_PER_S | measure SECONDS | drain SECONDS | end | quit; end: of the window */
static void command(struct load *l, char *line)
{
	char *verb = strtok(line, " \n");
	char *a = strtok(NULL, " \n");
	char *b = strtok(NULL, " \n");
	double x = a ? strtod(a, NULL) : 0;

	if (!verb)
		return;
	if (strcmp(verb, "rate") == 0 && b)
		set_rate(l, strcmp(a, "video") == 0 ? SL_VIDEO : SL_AUDIO, strtod(b, NULL));
	else if (strcmp(verb, "churn") == 0)
		l->conf.joins_per_s = x;
	else if (strcmp(verb, "measure") == 0 || strcmp(verb, "drain") == 0)
		begin_window(l, (int64_t)(x * 1e6), verb[0] == 'd');
	else if (strcmp(verb, "end") == 0 && l->window_end_us != SL_NEVER)
		l->window_end_us = SL_MIN(l->window_end_us, l->now_us);
	else if (strcmp(verb, "quit") == 0)
		l->stopping = true;
	else
		load_say("unknown command %s", verb);
}

static void read_commands(struct load *l)
{
	static char text[LINE];
	static size_t n;
	ssize_t got = read(STDIN_FILENO, text + n, sizeof(text) - 1 - n);
	char *end;

	if (got <= 0) {
		l->stopping |= got == 0 || errno != EAGAIN;
		return;
	}
	n += (size_t)got;
	text[n] = 0;
	while ((end = strchr(text, '\n'))) {
		*end = 0;
		command(l, text);
		n -= (size_t)(end + 1 - text);
		memmove(text, end + 1, n + 1);
	}
	if (n == sizeof(text) - 1)
		n = 0;
}

/* ================= the loop ================= */

static int64_t next_due_us(const struct load *l)
{
	int64_t due_us = SL_MIN(l->scan_us, l->window_end_us);

	for (unsigned i = 0; i < l->source_count; i++)
		due_us = SL_MIN(due_us, l->sources[i]->next_us);
	return due_us;
}

static void run_sources(struct load *l)
{
	for (unsigned i = 0; i < l->source_count; i++)
		if (l->sources[i]->next_us <= l->now_us)
			load_source_tick(l->sources[i]);
}

static void update_clock(struct load *l)
{
	l->now_us = clock_ns(CLOCK_MONOTONIC) / 1000;
}

static void dispatch(struct load *l, struct load_watch *w)
{
	switch (w->kind) {
	case LOAD_PEER:
		load_peer_read(SL_CONTAINER(w, struct load_peer, watch));
		break;
	case LOAD_HTTP:
		load_http_event(l, w);
		break;
	case LOAD_HAND:
		load_hands_done(l->hands);
		break;
	case LOAD_STDIN:
		read_commands(l);
		break;
	}
}

/* Once media flows, sockets are looked at every half millisecond instead of being waited for: a
 * sender on this machine would pay for each wake-up, which it does not for a receiver elsewhere.
 * The kernel's stamps keep the time of arrival. */
static int wait_some(struct load *l, struct epoll_event *ev)
{
	static int last;
	int64_t wait_us = last == EVENTS ? 0 : SL_MAX(next_due_us(l) - l->now_us, 0);
	struct timespec ts = {.tv_sec = wait_us / SL_SEC, .tv_nsec = wait_us % SL_SEC * 1000};

	if (l->ready_told) {
		ts = (struct timespec){.tv_nsec = SL_MIN(wait_us, POLL_US) * 1000};
		if (wait_us > 0)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		ts.tv_nsec = 0;
	}
	last = epoll_pwait2(l->epoll, ev, EVENTS, &ts, NULL);
	return last;
}

static void turn(struct load *l)
{
	struct epoll_event ev[EVENTS];
	int n = wait_some(l, ev);

	update_clock(l);
	run_sources(l);
	for (int i = 0; i < n; i++)
		dispatch(l, ev[i].data.ptr);
	if (l->scan_us <= l->now_us) {
		l->wall_ns = load_wall_ns() - clock_ns(CLOCK_MONOTONIC);
		scan(l);
		l->scan_us = l->now_us + SCAN_US;
	}
	if (l->conf.joins_per_s > 0 && l->ready_told)
		come_and_go(l);
	check_window(l);
}

static void leave_all(struct load *l)
{
	int64_t end_us = l->now_us + 2 * SL_SEC;
	unsigned refs = 1;

	l->stopping = true;
	stop_sources(l);
	for (unsigned i = 0; i < l->peer_count; i++)
		if (l->peers[i]->state != LOAD_GONE)
			load_signalling(l)->leave(l->peers[i]);
	while (refs > 0 && l->now_us < end_us) {
		struct epoll_event ev[EVENTS];
		int n = epoll_wait(l->epoll, ev, EVENTS, 10);

		update_clock(l);
		for (int i = 0; i < n; i++)
			dispatch(l, ev[i].data.ptr);
		refs = 0;
		for (unsigned i = 0; i < l->peer_count; i++)
			refs += l->peers[i]->refs;
	}
}

static int load_run(struct load *l)
{
	static struct load_watch in;
	bool timed = false;

	if (l->conf.control) {
		fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
		if (load_watch(l, &in, LOAD_STDIN, STDIN_FILENO, EPOLLIN) < 0)
			load_fail(l, "standard input cannot be watched");
	}
	load_signalling(l)->begin(l);
	while (!l->stopping && !l->why[0]) {
		turn(l);
		if (l->ready_told && !l->conf.control && !timed) {
			timed = true;
			begin_window(l, l->conf.seconds * SL_SEC, true);
		}
	}
	if (l->why[0]) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "event", "failed");
		cJSON_AddStringToObject(o, "why", l->why);
		tell(o);
	}
	leave_all(l);
	return l->why[0] ? 1 : 0;
}

/* ================= options and scenario ================= */

static const char usage[] =
	"usage: sluice-load [options]\n"
	"  --server sluice|janus|rtp what is spoken (sluice)\n"
	"  --plan FILE               of rtp: ports and keys\n"
	"  --url http://IP:PORT/PATH where (http://127.0.0.1:8888; janus: .../janus)\n"
	"  --token TEXT              bearer token\n"
	"  --room NAME               room of sluice (load)\n"
	"  --scenario FILE           publishers, subscribers and streams, as bench/scenarios/ has "
	"them\n"
	"  --n N                     the scenario's N\n"
	"  --publishers N --subscribers N --video PPS --audio PPS\n"
	"                            instead of, or over, the scenario\n"
	"  --churn JOINS_PER_S       subscribers who come and go\n"
	"  --seconds S               how long to measure (10)\n"
	"  --parallel N              joins under way at a time (8)\n"
	"  --checks N                packets per second to decipher and compare (4000)\n"
	"  --control                 commands on standard input: rate, churn, measure, drain, "
	"end, quit\n"
	"Prints a line of JSON for each event: ready, begin, result, failed.\n";

static void defaults(struct load_conf *c)
{
	*c = (struct load_conf){.host = "127.0.0.1",
				.port = 8888,
				.room = "load",
				.publishers = 1,
				.subscribers = 10,
				.parallel = 8,
				.stay_us = 2 * SL_SEC,
				.feedback_us = 200 * SL_MS,
				.checks_per_s = 4000,
				.seconds = 10};
	c->stream[SL_VIDEO] = (struct load_stream_conf){300, 8, {1100, 1101}};
	c->stream[SL_AUDIO] = (struct load_stream_conf){0, 1, {120, 120}};
}

static bool take_url(struct load_conf *c, const char *url)
{
	struct sl_str s = sl_str_z(url);
	struct sl_addr a;

	if (!sl_str_starts(s, SL_STR("http://")))
		return false;
	s = sl_str(s.p + 7, s.n - 7);
	if (sl_addr_parse(sl_str_cut(&s, '/'), &a) < 0)
		return false;
	sl_addr_ip_text(&a, c->host);
	c->port = a.port ? a.port : 80;
	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	c->base[0] = 0;
	return s.n == 0 || sl_fmt(c->base, sizeof(c->base), "/%.*s", SL_STR_ARG(s));
}

static double number(const cJSON *o, const char *key, double otherwise, double n)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

	if (cJSON_IsString(v) && strcmp(v->valuestring, "N") == 0)
		return n;
	return cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}

static void take_stream(struct load_stream_conf *s, const cJSON *o, double n)
{
	const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(o, "payload_bytes");

	s->pps = 0;
	if (!o)
		return;
	s->pps = number(o, "pps", 50, n);
	s->burst = (unsigned)number(o, "burst", 1, n);
	for (int i = 0; i < 2 && i < cJSON_GetArraySize(bytes); i++)
		s->bytes[i] = (uint32_t)cJSON_GetArrayItem(bytes, i)->valuedouble;
	if (cJSON_GetArraySize(bytes) == 1)
		s->bytes[1] = s->bytes[0];
}

static bool take_scenario(struct load_conf *c, const char *path, double n)
{
	static char text[LOAD_TEXT];
	FILE *f = fopen(path, "r");
	size_t got = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	cJSON *o;

	if (f)
		fclose(f);
	text[got] = 0;
	o = cJSON_Parse(text);
	if (!o)
		return false;
	c->publishers = (unsigned)number(o, "publishers", 1, n);
	c->subscribers = (unsigned)number(o, "subscribers", n, n);
	c->joins_per_s = number(o, "joins_per_s", 0, n);
	c->stay_us = (int64_t)(number(o, "stay_ms", 2000, n) * 1000);
	take_stream(&c->stream[SL_VIDEO], cJSON_GetObjectItemCaseSensitive(o, "video"), n);
	take_stream(&c->stream[SL_AUDIO], cJSON_GetObjectItemCaseSensitive(o, "audio"), n);
	cJSON_Delete(o);
	return true;
}

enum choice {
	O_SERVER,
	O_URL,
	O_PLAN,
	O_TOKEN,
	O_ROOM,
	O_SCENARIO,
	O_N,
	O_PUBLISHERS,
	O_SUBSCRIBERS,
	O_VIDEO,
	O_AUDIO,
	O_CHURN,
	O_SECONDS,
	O_PARALLEL,
	O_CHECKS,
	O_CONTROL,
	O_HELP,
	O_COUNT
};
static const struct option options[] = {
	{"server", 1, 0, O_SERVER},
	{"url", 1, 0, O_URL},
	{"plan", 1, 0, O_PLAN},
	{"token", 1, 0, O_TOKEN},
	{"room", 1, 0, O_ROOM},
	{"scenario", 1, 0, O_SCENARIO},
	{"n", 1, 0, O_N},
	{"publishers", 1, 0, O_PUBLISHERS},
	{"subscribers", 1, 0, O_SUBSCRIBERS},
	{"video", 1, 0, O_VIDEO},
	{"audio", 1, 0, O_AUDIO},
	{"churn", 1, 0, O_CHURN},
	{"seconds", 1, 0, O_SECONDS},
	{"parallel", 1, 0, O_PARALLEL},
	{"checks", 1, 0, O_CHECKS},
	{"control", 0, 0, O_CONTROL},
	{"help", 0, 0, O_HELP},
	{0},
};

static double value(const char *const *v, enum choice o, double otherwise)
{
	return v[o] ? strtod(v[o], NULL) : otherwise;
}

static bool texts(struct load_conf *c, const char *const *v)
{
	if (v[O_SERVER] && strcmp(v[O_SERVER], "janus") == 0) {
		c->server = LOAD_JANUS;
		c->port = 8088;
		sl_fmt(c->base, sizeof(c->base), "/janus");
	} else if (v[O_SERVER] && strcmp(v[O_SERVER], "rtp") == 0) {
		c->server = LOAD_RTP;
	} else if (v[O_SERVER] && strcmp(v[O_SERVER], "sluice") != 0) {
		return false;
	}
	return (!v[O_URL] || take_url(c, v[O_URL])) &&
	       (!v[O_PLAN] || sl_fmt(c->plan, sizeof(c->plan), "%s", v[O_PLAN])) &&
	       (!v[O_TOKEN] || sl_fmt(c->token, sizeof(c->token), "%s", v[O_TOKEN])) &&
	       (!v[O_ROOM] || sl_fmt(c->room, sizeof(c->room), "%s", v[O_ROOM]));
}

static bool apply(struct load_conf *c, const char *const *v)
{
	if (!texts(c, v))
		return false;
	if (v[O_SCENARIO] && !take_scenario(c, v[O_SCENARIO], value(v, O_N, 10))) {
		load_say("%s is no scenario", v[O_SCENARIO]);
		return false;
	}
	c->publishers = (unsigned)value(v, O_PUBLISHERS, c->publishers);
	c->subscribers = (unsigned)value(v, O_SUBSCRIBERS, c->subscribers);
	c->stream[SL_VIDEO].pps = value(v, O_VIDEO, c->stream[SL_VIDEO].pps);
	c->stream[SL_AUDIO].pps = value(v, O_AUDIO, c->stream[SL_AUDIO].pps);
	c->joins_per_s = value(v, O_CHURN, c->joins_per_s);
	c->seconds = (int64_t)value(v, O_SECONDS, (double)c->seconds);
	c->parallel = (unsigned)value(v, O_PARALLEL, c->parallel);
	c->checks_per_s = value(v, O_CHECKS, c->checks_per_s);
	c->control = v[O_CONTROL] != NULL;
	return true;
}

static bool sane(const struct load_conf *c)
{
	for (int k = 0; k < SL_KIND_COUNT; k++) {
		const struct load_stream_conf *s = &c->stream[k];

		if (s->burst < 1 || s->burst > LOAD_BURST_MAX || s->bytes[0] < 40 ||
		    s->bytes[1] < 40 || s->bytes[0] > 1300 || s->bytes[1] > 1300 || s->pps < 0)
			return false;
	}
	return c->publishers >= 1 && c->publishers <= 1000 && c->subscribers <= 10000 &&
	       c->parallel >= 1 && c->checks_per_s > 0 && c->seconds >= 1 && c->seconds <= 3600;
}

static bool parse(struct load_conf *c, int argc, char **argv)
{
	const char *v[O_COUNT] = {0};
	int o;

	defaults(c);
	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o >= O_COUNT || o == O_HELP)
			return false;
		v[o] = optarg ? optarg : "";
	}
	if (optind < argc || !apply(c, v))
		return false;
	if (!sane(c))
		load_say("a number is out of range");
	return sane(c);
}

/* ================= start ================= */

static int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* The fastest transform there is: sealing is not what is to be measured here. */
static int choose_transform(struct load *l)
{
	struct sl_srtp_choice choice;
	int err = sl_srtp_choose(SL_STR("auto"), now_ns, &choice);

	if (!err) {
		sl_srtp_use(&choice);
		err = sl_srtp_mgr_new(NULL, &l->mgr);
	}
	return err;
}

static int init(struct load *l)
{
	struct rlimit files = {65536, 65536};
	size_t tracks = l->conf.publishers * (size_t)SL_KIND_COUNT;

	setrlimit(RLIMIT_NOFILE, &files);
	prctl(PR_SET_TIMERSLACK, 1UL);
	signal(SIGPIPE, SIG_IGN);
	load_media_init();
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->window_end_us = l->drain_end_us = SL_NEVER;
	l->check_stride = 1;
	update_clock(l);
	l->wall_ns = load_wall_ns() - clock_ns(CLOCK_MONOTONIC);
	l->sources = sl_zalloc_array(tracks, sizeof(struct load_source *));
	if (l->epoll < 0 || !l->sources || sl_rng_system_new(&l->rng) < 0 ||
	    sl_cert_new(&l->rng, load_wall_ns() / 1000, &l->cert) < 0 || choose_transform(l) < 0)
		return SL_ENOMEM;
	l->hands = load_hands_new(l);
	return l->hands ? SL_OK : SL_ENOMEM;
}

static void fini(struct load *l)
{
	load_hands_free(l->hands);
	for (unsigned i = 0; i < l->peer_count; i++)
		if (l->peers[i]->refs == 0)
			load_peer_free(l->peers[i]);
	for (unsigned i = 0; i < l->source_count; i++)
		sl_free(l->sources[i]);
	sl_free(l->sources);
	sl_free(l->peers);
	cJSON_Delete(l->plan);
	sl_srtp_mgr_free(l->mgr);
	sl_cert_free(l->cert);
	sl_rng_system_free(&l->rng);
}

int main(int argc, char **argv)
{
	static struct load l;
	int status;

	if (!parse(&l.conf, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	if (init(&l) < 0) {
		load_say("out of memory or descriptors");
		return 1;
	}
	status = load_run(&l);
	fini(&l);
	return status;
}

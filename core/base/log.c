/* SPDX-License-Identifier: Apache-2.0
 * core/base/log.c — lines are formatted where they arise, carried by rings, and written by the
 * log thread, which sleeps on an eventfd. Whoever pushes a line wakes it, and only if it sleeps. */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/queue.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { FIELD_MAX = 512, RING_LINES = 128 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const module_names[SL_LOG_MODULE_COUNT] = {
#define X(id, name) [SL_LOG_##id] = name,
	SL_LOG_MODULES(X)
#undef X
};

uint8_t sl_log_levels[SL_LOG_MODULE_COUNT] = {
#define X(id, name) [SL_LOG_##id] = SL_LOG_INFO,
	SL_LOG_MODULES(X)
#undef X
};

struct log_line {
	size_t len;
	char text[SL_LOG_LINE];
};

struct log_ring {
	struct sl_ring ring;
	uint32_t dropped; /* lines since the last look; both sides */
	struct log_ring *next;
};

static struct {
	/* owned */
	struct log_ring *rings;	 /* pushed at the front, never taken off while the thread runs */
	struct log_ring *shared; /* of threads without one, under `lock`; the last in the list */
	pthread_t thread;
	int wake_fd;
	/* borrowed */
	int fd;
	/* state */
	bool json, running, stopping;
	uint32_t asleep;
	uint32_t epoch; /* of the present start; a thread's ring of an earlier one is gone */
} lg = {.fd = STDERR_FILENO, .wake_fd = -1};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct log_ring *my_ring;
static _Thread_local uint32_t my_epoch;

/* ---- one line ---- */

/* Days since 1970 to a date: eras of 400 years that begin in March, so that the leap day comes
 * last. */
static void put_time(struct sl_buf *b, int64_t wall_us)
{
	int64_t sec = wall_us / SL_SEC;
	int64_t z = sec / 86400 + 719468;
	int64_t era = z / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	int month = (int)(mp < 10 ? mp + 3 : mp - 9);
	int day = (int)(doy - (153 * mp + 2) / 5 + 1);

	sl_buf_fmt(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)(yoe + era * 400 + (month <= 2)),
		   month, day, (int)(sec / 3600 % 24), (int)(sec / 60 % 60), (int)(sec % 60),
		   (int)(wall_us % SL_SEC));
}

/* logfmt leaves off the quotes of what cannot be misread. */
static bool plain_word(struct sl_str s)
{
	if (s.n == 0 || s.n > FIELD_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c && strchr("._:/@+-[]", c))))
			return false;
	}
	return true;
}

static void put_str(struct sl_buf *b, bool json, struct sl_str s)
{
	if (!json && plain_word(s))
		sl_buf_str(b, s);
	else
		sl_buf_json_cut(b, s, FIELD_MAX);
}

static void put_value(struct sl_buf *b, bool json, const struct sl_field *f)
{
	char text[SL_ADDR_TEXT];

	switch (f->type) {
	case SL_FIELD_STR:
		put_str(b, json, f->s);
		break;
	case SL_FIELD_INT:
		sl_buf_fmt(b, "%lld", (long long)f->i);
		break;
	case SL_FIELD_UINT:
		sl_buf_fmt(b, "%llu", (unsigned long long)f->u);
		break;
	case SL_FIELD_ADDR:
		put_str(b, json, sl_str_z(f->addr ? sl_addr_text(f->addr, text) : "none"));
		break;
	case SL_FIELD_BOOL:
		sl_buf_z(b, f->b ? "true" : "false");
		break;
	}
}

/* The field whole, or nothing of it. */
static bool put_field(struct sl_buf *b, bool json, const struct sl_field *f)
{
	size_t start = b->n;

	sl_buf_z(b, json ? ",\"" : " ");
	sl_buf_z(b, f->key);
	sl_buf_z(b, json ? "\":" : "=");
	put_value(b, json, f);
	if (!b->full)
		return true;
	*b = (struct sl_buf){.p = b->p, .n = start, .cap = b->cap};
	b->p[start] = '\0';
	return false;
}

size_t sl_log_format(char *buf, size_t cap, bool json, int64_t wall_us, enum sl_log_level level,
		     enum sl_log_module module, const char *text, const struct sl_field *fields,
		     size_t n)
{
	struct sl_field head[] = {SL_KS("level", level_names[level]),
				  SL_KS("module", module_names[module]), SL_KS("msg", text)};
	struct sl_field cut = SL_KB("cut", true);
	struct sl_buf b;
	size_t kept = 0;

	SL_ASSERT(cap >= SL_LOG_LINE / 4);
	b = sl_buf(buf, cap - 32); /* room for the last field and the end */
	sl_buf_z(&b, json ? "{\"time\":\"" : "time=");
	put_time(&b, wall_us);
	sl_buf_z(&b, json ? "\"" : "");
	for (size_t i = 0; i < SL_COUNT(head); i++)
		put_field(&b, json, &head[i]);
	for (size_t i = 0; i < n; i++)
		kept += put_field(&b, json, &fields[i]);
	b.cap = cap;
	if (kept < n)
		put_field(&b, json, &cut);
	sl_buf_z(&b, json ? "}\n" : "\n");
	return b.n;
}

/* ---- to the descriptor ---- */

/* A descriptor that would block is waited for: only the log thread does, or a program that has not
 * started one. */
static void write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};

		if (done < 0 && errno == EAGAIN && poll(&pfd, 1, -1) >= 0)
			continue;
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		p += done;
		n -= (size_t)done;
	}
}

static int64_t wall_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * SL_SEC + ts.tv_nsec / 1000;
}

static uint64_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec;
}

static void tell_dropped(uint32_t n)
{
	struct sl_field count = SL_KU("count", n);
	char text[SL_LOG_LINE];
	size_t len =
		sl_log_format(text, sizeof(text), lg.json, wall_now_us(), SL_LOG_WARN, SL_LOG_MAIN,
			      "log lines dropped: their ring was full", &count, 1);

	write_all(lg.fd, text, len);
}

/* Writes what is in the rings; true when there was something. */
static bool drain(void)
{
	bool any = false;

	for (struct log_ring *r = __atomic_load_n(&lg.rings, __ATOMIC_ACQUIRE); r; r = r->next) {
		const struct log_line *line;
		uint32_t dropped;

		while ((line = sl_ring_peek(&r->ring))) {
			write_all(lg.fd, line->text, line->len);
			sl_ring_pop(&r->ring);
			any = true;
		}
		dropped = __atomic_exchange_n(&r->dropped, 0, __ATOMIC_RELAXED);
		if (dropped)
			tell_dropped(dropped);
	}
	return any;
}

/* Both sides exchange `asleep`, so that of a push and a look at the rings one sees the other:
 * either the pusher finds the thread asleep and wakes it, or the thread finds the line. */
static void wake(void)
{
	uint64_t one = 1;

	if (__atomic_exchange_n(&lg.asleep, 0, __ATOMIC_ACQ_REL) &&
	    write(lg.wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it will wake */
}

static void *log_main(void *unused)
{
	struct pollfd pfd = {.fd = lg.wake_fd, .events = POLLIN};
	uint64_t n;

	(void)unused;
	for (;;) {
		drain();
		__atomic_exchange_n(&lg.asleep, 1, __ATOMIC_ACQ_REL);
		if (drain()) {
			__atomic_exchange_n(&lg.asleep, 0, __ATOMIC_ACQ_REL);
			continue;
		}
		if (__atomic_load_n(&lg.stopping, __ATOMIC_ACQUIRE))
			return NULL;
		if (poll(&pfd, 1, -1) > 0 && read(lg.wake_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
			return NULL;
	}
}

/* ---- start and stop ---- */

static int ring_new(struct log_ring **out)
{
	struct log_ring *r = sl_zalloc(sizeof(*r));

	if (!r)
		return SL_ENOMEM;
	if (sl_ring_init(&r->ring, sizeof(struct log_line), RING_LINES) < 0) {
		sl_free(r);
		return SL_ENOMEM;
	}
	*out = r;
	return SL_OK;
}

static void forget(void)
{
	while (lg.rings) {
		struct log_ring *next = lg.rings->next;

		sl_ring_fini(&lg.rings->ring);
		sl_free(lg.rings);
		lg.rings = next;
	}
	lg.shared = NULL;
	if (lg.wake_fd >= 0)
		close(lg.wake_fd);
	lg.wake_fd = -1;
}

/* Signals are the main thread's. */
static int start_thread(void)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&lg.thread, NULL, log_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err == EAGAIN || err == ENOMEM)
		return SL_ENOMEM;
	return err ? SL_EIO : SL_OK;
}

int sl_log_start(int fd, bool json)
{
	int err;

	if (SL_LOAD(&lg.running))
		return SL_ESTATE;
	err = ring_new(&lg.shared);
	lg.rings = lg.shared;
	if (!err) {
		lg.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		err = lg.wake_fd < 0 ? SL_EIO : SL_OK;
	}
	lg.stopping = false;
	lg.asleep = 0;
	pthread_mutex_lock(&lock);
	lg.fd = err ? STDERR_FILENO : fd;
	lg.json = !err && json;
	pthread_mutex_unlock(&lock);
	if (!err)
		err = start_thread();
	if (err) {
		forget();
		return err;
	}
	SL_STORE(&lg.epoch, lg.epoch + 1);
	__atomic_store_n(&lg.running, true, __ATOMIC_RELEASE);
	return SL_OK;
}

void sl_log_stop(void)
{
	uint64_t one = 1;

	if (!SL_LOAD(&lg.running))
		return;
	pthread_mutex_lock(&lock); /* nobody is in the shared ring any more */
	__atomic_store_n(&lg.running, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	__atomic_store_n(&lg.stopping, true, __ATOMIC_RELEASE);
	while (write(lg.wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	pthread_join(lg.thread, NULL);
	drain();
	forget();
}

int sl_log_thread_ring(void)
{
	struct log_ring *r;
	int err;

	if (!__atomic_load_n(&lg.running, __ATOMIC_ACQUIRE))
		return SL_ESTATE;
	if (my_ring && my_epoch == SL_LOAD(&lg.epoch))
		return SL_OK;
	err = ring_new(&r);
	if (err)
		return err;
	pthread_mutex_lock(&lock);
	r->next = lg.rings;
	__atomic_store_n(&lg.rings, r, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	my_ring = r;
	my_epoch = SL_LOAD(&lg.epoch);
	return SL_OK;
}

/* ---- from the callers ---- */

bool sl_log_admit(struct sl_log_site *site, uint64_t second, uint32_t *left_out)
{
	uint64_t seen = SL_LOAD(&site->second);

	*left_out = 0;
	/* One of the threads that see a new second opens it. */
	if (seen != second && __atomic_compare_exchange_n(&site->second, &seen, second, false,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		SL_STORE(&site->count, 0);
		*left_out = __atomic_exchange_n(&site->dropped, 0, __ATOMIC_RELAXED);
	}
	if (__atomic_fetch_add(&site->count, 1, __ATOMIC_RELAXED) < SL_LOG_LIMIT)
		return true;
	__atomic_fetch_add(&site->dropped, 1, __ATOMIC_RELAXED);
	return false;
}

static void format_into(struct log_line *line, enum sl_log_level level, enum sl_log_module module,
			const char *text, const struct sl_field *fields, size_t n)
{
	line->len = sl_log_format(line->text, sizeof(line->text), lg.json, wall_now_us(), level,
				  module, text, fields, n);
}

static void push(struct log_ring *r, enum sl_log_level level, enum sl_log_module module,
		 const char *text, const struct sl_field *fields, size_t n)
{
	struct log_line *line = sl_ring_slot(&r->ring, 0);

	if (line) {
		format_into(line, level, module, text, fields, n);
		sl_ring_push(&r->ring);
	} else {
		__atomic_fetch_add(&r->dropped, 1, __ATOMIC_RELAXED);
	}
	wake();
}

static void emit(enum sl_log_level level, enum sl_log_module module, const char *text,
		 const struct sl_field *fields, size_t n)
{
	bool running = __atomic_load_n(&lg.running, __ATOMIC_ACQUIRE);
	struct log_line line;

	if (running && my_ring && my_epoch == SL_LOAD(&lg.epoch)) {
		push(my_ring, level, module, text, fields, n);
		return;
	}
	pthread_mutex_lock(&lock);
	if (SL_LOAD(&lg.running)) {
		push(lg.shared, level, module, text, fields, n);
	} else {
		format_into(&line, level, module, text, fields, n);
		write_all(lg.fd, line.text, line.len);
	}
	pthread_mutex_unlock(&lock);
}

void sl_log_write(struct sl_log_site *site, enum sl_log_level level, enum sl_log_module module,
		  const char *text, const struct sl_field *fields, size_t n)
{
	uint32_t left_out;
	bool admitted = sl_log_admit(site, now_s(), &left_out);

	if (left_out) {
		struct sl_field f[] = {SL_KS("of", text), SL_KU("count", left_out)};

		emit(level, module, "log lines left out", f, SL_COUNT(f));
	}
	if (admitted)
		emit(level, module, text, fields, n);
}

/* ---- levels ---- */

const char *sl_log_module_name(enum sl_log_module m)
{
	return (unsigned)m < SL_LOG_MODULE_COUNT ? module_names[m] : "unknown";
}

void sl_log_set_level(enum sl_log_module module, enum sl_log_level level)
{
	SL_ASSERT((unsigned)module < SL_LOG_MODULE_COUNT);
	SL_STORE(&sl_log_levels[module], (uint8_t)level);
}

static int index_of(const char *const *names, size_t n, struct sl_str s)
{
	for (size_t i = 0; i < n; i++)
		if (sl_str_eq(sl_str_z(names[i]), s))
			return (int)i;
	return SL_EPARSE;
}

/* One item, "info" or "ice=debug", into the levels to be. */
static int parse_item(struct sl_str item, uint8_t levels[SL_LOG_MODULE_COUNT])
{
	bool named = item.n && memchr(item.p, '=', item.n);
	struct sl_str name = named ? sl_str_trim(sl_str_cut(&item, '=')) : sl_str_z("");
	int level = index_of(level_names, SL_COUNT(level_names), sl_str_trim(item));
	int module = named ? index_of(module_names, SL_LOG_MODULE_COUNT, name) : 0;

	if (level < 0 || module < 0)
		return SL_EPARSE;
	if (named)
		levels[module] = (uint8_t)level;
	else
		memset(levels, level, SL_LOG_MODULE_COUNT);
	return SL_OK;
}

int sl_log_set_levels(struct sl_str spec)
{
	uint8_t levels[SL_LOG_MODULE_COUNT];
	int err = SL_OK;

	for (size_t i = 0; i < SL_LOG_MODULE_COUNT; i++)
		levels[i] = SL_LOAD(&sl_log_levels[i]);
	do
		err = parse_item(sl_str_cut(&spec, ','), levels);
	while (!err && spec.n > 0);
	for (size_t i = 0; !err && i < SL_LOG_MODULE_COUNT; i++)
		SL_STORE(&sl_log_levels[i], levels[i]);
	return err;
}

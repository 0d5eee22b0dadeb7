/* SPDX-License-Identifier: Apache-2.0
 * core/base/log.h — structured log: one event, one line, logfmt or JSON, to standard error.
 * A line is a time, a level, a module, a sentence in fixed words, and fields. Values are escaped
 * here and nowhere else, so no peer can forge a line or reach the terminal; a field is cut at 512
 * bytes. Keys, tokens and passwords are never passed in. Not for the packet path: a packet's fate
 * is a counter (stat.h).
 * Threads: any. A thread that must not block (a media loop) writes into its ring
 * (sl_log_thread_ring), which the log thread empties; a full ring drops lines and says how many.
 * Threads without a ring share one. Repeated events are limited per call site: SL_LOG_LIMIT lines a
 * second, then one line with the count of what was left out. */
#ifndef SL_LOG_H
#define SL_LOG_H
#include "core/base/addr.h"
#include "core/base/base.h"
#include "core/base/str.h"

enum sl_log_level { SL_LOG_ERROR, SL_LOG_WARN, SL_LOG_INFO, SL_LOG_DEBUG };

/* The modules, and the names that config and log lines use. */
#define SL_LOG_MODULES(X)                                                             \
	X(MAIN, "main") X(CONFIG, "config") X(HTTP, "http") X(WHIP, "whip") X(ROOM, "room")\
	X(KURENTO, "kurento")                                                         \
	X(LOOP, "loop") X(ICE, "ice") X(DTLS, "dtls") X(SRTP, "srtp") X(MEDIA, "media")\
	X(SDP, "sdp")
enum sl_log_module {
#define X(id, name) SL_LOG_##id,
	SL_LOG_MODULES(X)
#undef X
	SL_LOG_MODULE_COUNT
};

struct sl_field {
	const char *key;
	enum { SL_FIELD_STR, SL_FIELD_INT, SL_FIELD_UINT, SL_FIELD_ADDR, SL_FIELD_BOOL } type;
	union {
		struct sl_str s;
		int64_t i;
		uint64_t u;
		const struct sl_addr *addr;
		bool b;
	};
};

#define SL_KS(k, z) ((struct sl_field){.key = (k), .type = SL_FIELD_STR, .s = sl_str_z(z)})
#define SL_KSTR(k, v) ((struct sl_field){.key = (k), .type = SL_FIELD_STR, .s = (v)})
#define SL_KI(k, v) ((struct sl_field){.key = (k), .type = SL_FIELD_INT, .i = (v)})
#define SL_KU(k, v) ((struct sl_field){.key = (k), .type = SL_FIELD_UINT, .u = (v)})
#define SL_KA(k, v) ((struct sl_field){.key = (k), .type = SL_FIELD_ADDR, .addr = (v)})
#define SL_KB(k, v) ((struct sl_field){.key = (k), .type = SL_FIELD_BOOL, .b = (v)})

enum { SL_LOG_LIMIT = 20, SL_LOG_LINE = 4096 };
struct sl_log_site {            /* one per call site, zeroed; fields are atomics */
	uint64_t second;
	uint32_t count, dropped;
};
/* Whether a line of this second may be written. *left_out: lines of earlier seconds that were not,
 * to be told now. */
bool sl_log_admit(struct sl_log_site *site, uint64_t second, uint32_t *left_out);

void sl_log_write(struct sl_log_site *site, enum sl_log_level level, enum sl_log_module module,
		  const char *text, const struct sl_field *fields, size_t n);
extern uint8_t sl_log_levels[SL_LOG_MODULE_COUNT];

/* SL_LOG(INFO, WHIP, "session opened", SL_KS("room", name), SL_KU("loop", i)) — at least one
 * field. */
#define SL_LOG(level, module, text, ...)                                              \
	do {                                                                          \
		static struct sl_log_site site_;                                      \
		if (SL_LOAD(&sl_log_levels[SL_LOG_##module]) >= SL_LOG_##level) {     \
			const struct sl_field fields_[] = {__VA_ARGS__};              \
			sl_log_write(&site_, SL_LOG_##level, SL_LOG_##module, text,   \
				     fields_, SL_COUNT(fields_));                     \
		}                                                                     \
	} while (0)

/* Start and stop of the log thread. Before start, and after stop, lines are written by the caller.
 * fd is not closed. SL_ENOMEM, SL_EIO, or SL_ESTATE when it runs already. Stop writes out what is
 * in the rings and frees them: threads that have one must have ended by then, or at least log no
 * more until stop has returned. */
SL_MUST_USE int sl_log_start(int fd, bool json);
void sl_log_stop(void);
/* Gives the calling thread a ring; called once at a media loop's start. SL_ENOMEM; SL_ESTATE before
 * sl_log_start(). */
SL_MUST_USE int sl_log_thread_ring(void);
void sl_log_set_level(enum sl_log_module module, enum sl_log_level level);
/* "info" or "warn,ice=debug,http=info". SL_EPARSE names nothing: the caller's error has the
 * text. */
SL_MUST_USE int sl_log_set_levels(struct sl_str spec);
const char *sl_log_module_name(enum sl_log_module m);
/* Formats one line as it would be written, newline included, for tests and the rings. Returns its
 * length. Fields for which there is no room are left out, and "cut" says so. cap must be at least
 * SL_LOG_LINE / 4. */
size_t sl_log_format(char *buf, size_t cap, bool json, int64_t wall_us, enum sl_log_level level,
		     enum sl_log_module module, const char *text, const struct sl_field *fields,
		     size_t n);
#endif

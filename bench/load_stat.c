/* SPDX-License-Identifier: Apache-2.0
 * bench/load_stat.c — histograms, and what a window measured as JSON. */
#include "bench/load.h"

enum { SUB = 64, SUB_BITS = 6 };

static unsigned bucket_of(uint64_t v)
{
	unsigned top;
	unsigned octave;
	unsigned at;

	if (v < SUB)
		return (unsigned)v;
	top = 63 - (unsigned)__builtin_clzll(v);
	octave = top - SUB_BITS + 1;
	at = octave * SUB + (unsigned)((v >> (top - SUB_BITS)) & (SUB - 1));
	return SL_MIN(at, (unsigned)LOAD_HIST - 1);
}

/* The middle of what a bucket holds. */
static uint64_t value_of(unsigned at)
{
	unsigned octave = at / SUB;

	if (octave == 0)
		return at;
	return ((uint64_t)(SUB + at % SUB) << (octave - 1)) + ((UINT64_C(1) << (octave - 1)) >> 1);
}

void load_hist_add(struct load_hist *h, int64_t ns)
{
	uint64_t v = ns > 0 ? (uint64_t)ns : 0;

	h->bucket[bucket_of(v)]++;
	h->count++;
	h->max = SL_MAX(h->max, v);
}

double load_hist_us(const struct load_hist *h, double quantile)
{
	uint64_t want = (uint64_t)(quantile * (double)h->count);
	uint64_t sum = 0;

	for (unsigned i = 0; i < LOAD_HIST; i++) {
		sum += h->bucket[i];
		if (sum > want)
			return (double)SL_MIN(value_of(i), h->max) / 1000;
	}
	return (double)h->max / 1000;
}

static void add_hist(cJSON *to, const char *name, const struct load_hist *h)
{
	static const struct {
		const char *name;
		double at;
	} rows[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}, {"max", 1}};
	cJSON *o = cJSON_AddObjectToObject(to, name);

	cJSON_AddNumberToObject(o, "count", (double)h->count);
	for (size_t i = 0; i < SL_COUNT(rows); i++)
		cJSON_AddNumberToObject(o, rows[i].name, load_hist_us(h, rows[i].at));
}

static void add_kind(cJSON *to, const char *name, const struct load_count *c)
{
	cJSON *o = cJSON_AddObjectToObject(to, name);

	cJSON_AddNumberToObject(o, "sent", (double)c->sent);
	cJSON_AddNumberToObject(o, "received", (double)c->received);
	cJSON_AddNumberToObject(o, "lost", (double)c->lost);
}

cJSON *load_window_json(const struct load_window *w, int64_t now_us, int64_t cpu_us)
{
	const struct {
		const char *name;
		uint64_t v;
	} counts[] = {{"sent", w->sent},
		      {"received", w->received},
		      {"bytes", w->bytes},
		      {"lost", w->lost},
		      {"duplicates", w->duplicates},
		      {"reordered", w->reordered},
		      {"checked", w->checked},
		      {"bad", w->bad},
		      {"shifted", w->shifted},
		      {"strays", w->strays},
		      {"unsent", w->unsent},
		      {"nacked", w->nacked},
		      {"again", w->again},
		      {"plis", w->plis},
		      {"joins", w->joins},
		      {"refused", w->refused},
		      {"failed", w->failed},
		      {"leaves", w->leaves},
		      {"generator_drops", w->drops}};
	cJSON *o = cJSON_CreateObject();
	double seconds = (double)(now_us - w->start_us) / 1e6;

	cJSON_AddStringToObject(o, "event", "result");
	cJSON_AddNumberToObject(o, "seconds", seconds);
	for (size_t i = 0; i < SL_COUNT(counts); i++)
		cJSON_AddNumberToObject(o, counts[i].name, (double)counts[i].v);
	cJSON_AddNumberToObject(o, "pps", (double)w->received / seconds);
	cJSON_AddNumberToObject(o, "generator_cpu", (double)(cpu_us - w->cpu_us) / 1e6 / seconds);
	add_kind(o, "audio", &w->kind[SL_AUDIO]);
	add_kind(o, "video", &w->kind[SL_VIDEO]);
	add_hist(o, "latency_us", &w->latency);
	add_hist(o, "late_us", &w->late);
	add_hist(o, "join_us", &w->join);
	return o;
}

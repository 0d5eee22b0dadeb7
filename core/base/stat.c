/* SPDX-License-Identifier: Apache-2.0
 * core/base/stat.c — names of the counters. */
#include "core/base/stat.h"

static const struct {
	const char *name, *help;
} rows[SL_STAT_COUNT] = {
#define X(name, help) [SL_STAT_##name] = {#name, help},
	SL_STATS(X)
#undef X
};

const char *sl_stat_name(enum sl_stat which)
{
	SL_ASSERT(which < SL_STAT_COUNT);
	return rows[which].name;
}

const char *sl_stat_help(enum sl_stat which)
{
	SL_ASSERT(which < SL_STAT_COUNT);
	return rows[which].help;
}

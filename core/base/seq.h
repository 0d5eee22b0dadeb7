/* SPDX-License-Identifier: Apache-2.0
 * core/base/seq.h — numbers that wrap, and the two clocks of RTP. */
#ifndef SL_SEQ_H
#define SL_SEQ_H
#include "core/base/base.h"

/* Signed distance from a to b of numbers that wrap: positive when b is newer. */
static inline int16_t sl_seq16_diff(uint16_t a, uint16_t b)
{
	return (int16_t)(uint16_t)(b - a);
}

static inline int32_t sl_seq32_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(b - a);
}

/* The 64-bit number nearest to `ref` whose low 16 bits are `seq`. Never below 0: near the start, an
 * "older" number that would be negative is taken as one cycle later. */
static inline uint64_t sl_seq16_extend(uint64_t ref, uint16_t seq)
{
	int64_t v = (int64_t)ref + sl_seq16_diff((uint16_t)ref, seq);

	return (uint64_t)(v < 0 ? v + 65536 : v);
}

static inline uint64_t sl_seq32_extend(uint64_t ref, uint32_t v32)
{
	int64_t v = (int64_t)ref + sl_seq32_diff((uint32_t)ref, v32);

	return (uint64_t)(v < 0 ? v + (INT64_C(1) << 32) : v);
}

/* 64-bit NTP (RFC 3550 section 4: seconds since 1900 in the upper, fraction in the lower half) of
 * microseconds since 1900. */
static inline uint64_t sl_ntp_from_us(uint64_t us_1900)
{
	return (us_1900 / 1000000) << 32 | (((us_1900 % 1000000) << 32) / 1000000);
}

static inline uint64_t sl_ntp_to_us(uint64_t ntp)
{
	return (ntp >> 32) * 1000000 + (((ntp & 0xffffffff) * 1000000) >> 32);
}

/* Middle 32 bits, as LSR carries them. */
static inline uint32_t sl_ntp_mid32(uint64_t ntp)
{
	return (uint32_t)(ntp >> 16);
}

/* RTP ticks of a duration. */
static inline int64_t sl_us_to_ticks(int64_t us, uint32_t clock_hz)
{
	return us / SL_SEC * clock_hz + us % SL_SEC * clock_hz / SL_SEC;
}

static inline int64_t sl_ticks_to_us(int64_t ticks, uint32_t clock_hz)
{
	return ticks / clock_hz * SL_SEC + ticks % clock_hz * SL_SEC / clock_hz;
}
#endif

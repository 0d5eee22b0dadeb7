/* SPDX-License-Identifier: Apache-2.0
 * rtp/speaker.c — who speaks, from the audio levels that senders put into each packet (RFC 6464).
 * */
#include "rtp/rtp.h"

enum { SILENCE_DBOV = 60 }; /* as quiet as this, and quieter, is silence */
#define DECAY_US SL_SEC
#define SMOOTH_US (150 * SL_MS) /* so that a cough does not win */
#define STEP_MIN_US (10 * SL_MS)
#define STEP_MAX_US (60 * SL_MS)
#define HOLD_US SL_SEC

uint32_t sl_level_score(const struct sl_level *l, int64_t now_us)
{
	int64_t age_us = SL_MAX(now_us - l->heard_us, 0);

	if (age_us >= DECAY_US)
		return 0;
	return (uint32_t)(l->score_q8 * (DECAY_US - age_us) / DECAY_US);
}

void sl_level_packet(struct sl_level *l, uint8_t level, bool voice, int64_t now_us)
{
	int64_t step_us = SL_MIN(SL_MAX(now_us - l->heard_us, STEP_MIN_US), STEP_MAX_US);
	int64_t old = sl_level_score(l, now_us);
	int64_t loud;

	if (level >= SILENCE_DBOV)
		return;
	/* Not every sender sets the voice bit, so its absence only counts for less. */
	loud = (SILENCE_DBOV - level) * (voice ? 256 : 128);
	l->score_q8 = (uint32_t)(old + (loud - old) * step_us / (step_us + SMOOTH_US));
	l->heard_us = now_us;
}

bool sl_speaker_round(struct sl_speaker *s, uint64_t loudest, uint32_t loudest_score,
		      uint32_t current_score, int64_t now_us)
{
	if (loudest == 0 || loudest_score == 0 || loudest == s->current)
		return false;
	if (s->current != 0) {
		if (now_us - s->since_us < HOLD_US)
			return false;
		if (UINT64_C(2) * loudest_score < UINT64_C(3) * current_score)
			return false;
	}
	s->current = loudest;
	s->since_us = now_us;
	return true;
}

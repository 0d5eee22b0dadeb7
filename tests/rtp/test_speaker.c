/* SPDX-License-Identifier: Apache-2.0 */
#include "rtp/rtp.h"
#include "tests/test.h"

/* Packets of 20 ms from one time to another; returns the end. */
static int64_t talk(struct sl_level *l, uint8_t level, bool voice, int64_t from_us, int64_t to_us)
{
	for (int64_t t = from_us; t < to_us; t += 20 * SL_MS)
		sl_level_packet(l, level, voice, t);
	return to_us;
}

TEST(level_loud_speech_scores_over_faint_and_silence_scores_nothing)
{
	struct sl_level loud = {0}, faint = {0}, silent = {0};
	int64_t now = talk(&loud, 20, true, SL_SEC, 2 * SL_SEC);

	(void)talk(&faint, 45, true, SL_SEC, now);
	(void)talk(&silent, 127, false, SL_SEC, now);
	CHECK(sl_level_score(&loud, now) > 2 * sl_level_score(&faint, now));
	CHECK(sl_level_score(&faint, now) > 0);
	CHECK_EQ(sl_level_score(&silent, now), 0);
}

TEST(level_without_the_voice_bit_counts_for_less)
{
	struct sl_level voice = {0}, noise = {0};
	int64_t now = talk(&voice, 30, true, SL_SEC, 2 * SL_SEC);

	(void)talk(&noise, 30, false, SL_SEC, now);
	CHECK(sl_level_score(&voice, now) > sl_level_score(&noise, now));
	CHECK(sl_level_score(&noise, now) > 0);
}

TEST(level_a_cough_does_not_reach_half_of_speech)
{
	struct sl_level speech = {0}, cough = {0};
	int64_t now = talk(&speech, 25, true, SL_SEC, 2 * SL_SEC);

	sl_level_packet(&cough, 25, true, now - 20 * SL_MS);
	CHECK(2 * sl_level_score(&cough, now) < sl_level_score(&speech, now));
}

TEST(level_decays_to_nothing_within_a_second_of_silence)
{
	struct sl_level gone = {0}, silent = {0};
	int64_t now = talk(&gone, 20, true, SL_SEC, 2 * SL_SEC);
	uint32_t full = sl_level_score(&gone, now);

	(void)talk(&silent, 20, true, SL_SEC, 2 * SL_SEC);
	(void)talk(&silent, 127, false, now, now + SL_SEC);
	CHECK(sl_level_score(&gone, now + 500 * SL_MS) < full);
	CHECK(sl_level_score(&gone, now + 500 * SL_MS) > 0);
	CHECK_EQ(sl_level_score(&gone, now + SL_SEC), 0);
	CHECK_EQ(sl_level_score(&silent, now + SL_SEC), 0);
}

TEST(t30_level_any_byte_and_time_keeps_the_score_in_range)
{
	struct sl_level l = {0};

	for (int i = 0; i < 4096; i++) {
		sl_level_packet(&l, (uint8_t)(i * 7), i & 1, (i * 37 % 5000) * SL_MS);
		CHECK(sl_level_score(&l, (i * 53 % 5000) * SL_MS) <= 60 * 256);
	}
}

TEST(speaker_first_who_is_heard_speaks)
{
	struct sl_speaker s = {0};

	CHECK(!sl_speaker_round(&s, 0, 0, 0, SL_SEC));
	CHECK(!sl_speaker_round(&s, 5, 0, 0, SL_SEC));
	CHECK(sl_speaker_round(&s, 5, 1, 0, SL_SEC));
	CHECK_EQ(s.current, 5);
	CHECK(!sl_speaker_round(&s, 5, 100, 100, 9 * SL_SEC));
}

TEST(speaker_keeps_the_floor_for_a_second_and_against_who_is_not_clearly_louder)
{
	struct sl_speaker s = {0};

	CHECK(sl_speaker_round(&s, 5, 100, 0, SL_SEC));
	CHECK(!sl_speaker_round(&s, 6, 9000, 100, 2 * SL_SEC - 1));
	CHECK(!sl_speaker_round(&s, 6, 149, 100, 2 * SL_SEC));
	CHECK(sl_speaker_round(&s, 6, 150, 100, 2 * SL_SEC));
	CHECK_EQ(s.current, 6);
	CHECK_EQ(s.since_us, 2 * SL_SEC);
}

TEST(speaker_stays_while_nobody_speaks)
{
	struct sl_speaker s = {0};

	CHECK(sl_speaker_round(&s, 5, 100, 0, SL_SEC));
	CHECK(!sl_speaker_round(&s, 7, 0, 0, 9 * SL_SEC));
	CHECK_EQ(s.current, 5);
}

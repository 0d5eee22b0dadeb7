/* SPDX-License-Identifier: Apache-2.0
 * rtp/keyframe.c — when to ask a source for a key frame, whoever and however many want one. */
#include "rtp/rtp.h"

#define SPACING_US (500 * SL_MS)
/* The round trip is the peer's word in part; it must not silence the repeats. */
#define RTT_MAX_US (5 * SL_SEC)

void sl_kf_init(struct sl_kf *k)
{
	*k = (struct sl_kf){.sent_us = INT64_MIN};
}

void sl_kf_set_rtt(struct sl_kf *k, int64_t rtt_us)
{
	k->rtt_us = SL_MIN(SL_MAX(rtt_us, 0), RTT_MAX_US);
}

void sl_kf_want(struct sl_kf *k, int64_t now_us)
{
	(void)now_us;
	/* The key frame that answers the request that is out comes after this, so it serves this
	 * one too. */
	if (!k->unanswered)
		k->wanted = true;
}

void sl_kf_arrived(struct sl_kf *k, int64_t now_us)
{
	(void)now_us;
	k->wanted = false;
	k->unanswered = false;
}

int64_t sl_kf_deadline_us(const struct sl_kf *k)
{
	if (k->unanswered)
		return k->sent_us + SL_MAX(2 * k->rtt_us, SPACING_US);
	if (k->wanted)
		return k->sent_us == INT64_MIN ? 0 : k->sent_us + SPACING_US;
	return SL_NEVER;
}

bool sl_kf_poll(struct sl_kf *k, int64_t now_us)
{
	if (now_us < sl_kf_deadline_us(k))
		return false;
	k->sent_us = now_us;
	k->wanted = false;
	k->unanswered = true;
	return true;
}

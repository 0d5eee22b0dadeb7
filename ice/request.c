/* SPDX-License-Identifier: Apache-2.0
 * ice/request.c — what every request to a STUN or TURN server needs: when it is repeated and
 * given up, and what the server's errors mean. */
#include "ice/ice_int.h"
#include "core/base/bytes.h"

#define RTO_US (500 * SL_MS)
enum { TRIES = 7, REASON_MAX = 60 };

void stun_tx_start(struct sl_stun_tx *tx, uint32_t tid_tag, const struct sl_rng *rng,
		   int64_t now_us, int64_t span_us)
{
	sl_put32(tx->tid, tid_tag);
	sl_rng_fill(rng, tx->tid + 4, sizeof(tx->tid) - 4);
	tx->sent = 1;
	tx->due = true;
	tx->next_us = now_us + RTO_US;
	tx->end_us = now_us + span_us;
}

static bool repeats(const struct sl_stun_tx *tx, bool once)
{
	return !once && tx->sent < TRIES;
}

bool stun_tx_tick(struct sl_stun_tx *tx, bool once, int64_t now_us)
{
	if (!tx->sent)
		return false;
	if (now_us >= tx->end_us) {
		tx->sent = 0;
		tx->due = false;
		return true;
	}
	if (repeats(tx, once) && now_us >= tx->next_us) {
		tx->due = true;
		tx->next_us = now_us + (RTO_US << tx->sent);
		tx->sent++;
	}
	return false;
}

int64_t stun_tx_deadline_us(const struct sl_stun_tx *tx, bool once)
{
	if (!tx->sent)
		return SL_NEVER;
	return repeats(tx, once) ? SL_MIN(tx->next_us, tx->end_us) : tx->end_us;
}

static const struct {
	uint16_t code;
	const char *words;
} meanings[] = {
	{300, "it refers to another server, which is not followed"},
	{400, "it cannot read the request"},
	{401, "wrong user name or password"},
	{403, "forbidden by its rules"},
	{420, "it does not know an attribute that is needed"},
	{437, "it has no such allocation, or another one for this address"},
	{438, "it calls every nonce stale"},
	{440, "it relays no addresses of this family"},
	{441, "not the user name that made the allocation"},
	{442, "it does not relay UDP"},
	{443, "the peer's address is of another family"},
	{486, "this user has too many allocations"},
	{500, "it has an error of its own"},
	{508, "it has no relayed address left"},
};

static const char *meaning(uint16_t code)
{
	for (size_t i = 0; i < SL_COUNT(meanings); i++)
		if (meanings[i].code == code)
			return meanings[i].words;
	return "it refuses";
}

/* The server's own words, without anything that could not stand in a log. */
static void add_reason(struct sl_buf *b, struct sl_str reason)
{
	size_t n = SL_MIN(reason.n, (size_t)REASON_MAX);

	for (size_t i = 0; i < n; i++)
		sl_buf_char(b, reason.p[i] >= ' ' && reason.p[i] <= '~' ? reason.p[i] : '?');
}

void stun_error_words(uint16_t code, struct sl_str reason, char why[SL_SERVER_WHY])
{
	struct sl_buf b = sl_buf(why, SL_SERVER_WHY);

	sl_buf_z(&b, meaning(code));
	sl_buf_fmt(&b, " (STUN error %u", (unsigned)code);
	if (reason.n) {
		sl_buf_z(&b, ": ");
		add_reason(&b, reason);
	}
	sl_buf_char(&b, ')');
}

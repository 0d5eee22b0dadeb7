/* SPDX-License-Identifier: Apache-2.0
 * tests/lib/null_keys.h — handshakes without cryptography, for those who look at what comes after
 * them. */
#ifndef TESTS_LIB_NULL_KEYS_H
#define TESTS_LIB_NULL_KEYS_H
#include "core/core_int.h"

/* A handshake is done when its worker says so: here at once, with keys that protect nothing. What
 * follows is sl_engine_handshake(). */
static inline void null_keys_shake(struct sl_hs *hs)
{
	static const struct sl_srtp_master none = {.profile = SL_SRTP_AES128_CM_SHA1_80};

	sl_hs_clear(&hs->in);
	sl_hs_clear(&hs->out);
	hs->tick = false;
	hs->deadline_us = SL_NEVER;
	hs->state = SL_DTLS_CONNECTED;
	if (!hs->keys_taken)
		hs->keys_taken =
			sl_srtp_key_new(SL_SRTP_NULL, &none, false, &hs->rx_key) == SL_OK &&
			sl_srtp_key_new(SL_SRTP_NULL, &none, true, &hs->tx_key) == SL_OK;
}
#endif

/* SPDX-License-Identifier: Apache-2.0
 * dtls/srtp_null.c — no protection: packets pass as they are. NULL is for simulations, with an
 * index behind SRTCP; CLEAR is RTP and RTCP of RFC 3550. */
#include "dtls/seam_int.h"

static void null_seal(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++) {
		struct sl_srtp_op *op = &ops[i];

		if (op->err)
			continue;
		op->out_len = seam_gather(op);
		if (op->rtcp) {
			sl_put32(op->out + op->out_len, (uint32_t)op->index | SEAM_RTCP_E);
			op->out_len += SEAM_RTCP_INDEX_LEN;
		}
	}
}

static void null_open(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++) {
		struct sl_srtp_op *op = &ops[i];

		if (op->err)
			continue;
		op->out_len = seam_gather(op) - (op->rtcp ? SEAM_RTCP_INDEX_LEN : 0u);
	}
}

const struct seam_impl seam_null = {.seal = null_seal, .open = null_open};

static void clear_pass(struct sl_srtp_op *ops, int n)
{
	for (int i = 0; i < n; i++)
		if (!ops[i].err)
			ops[i].out_len = seam_gather(&ops[i]);
}

const struct seam_impl seam_clear = {.seal = clear_pass, .open = clear_pass};

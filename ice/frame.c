/* SPDX-License-Identifier: Apache-2.0 */
#include "ice/frame.h"

/* Where a datagram lies in its frame. */
struct span {
	size_t whole, at, len;
};

enum { TURN_HEAD = 4, STUN_HEAD = 20 };

static size_t head_len(enum sl_framing framing)
{
	return framing == SL_FRAMING_TURN ? TURN_HEAD : SL_FRAME_HEAD;
}

/* RFC 8656 section 12: 00 begins a STUN message, 01 a ChannelData message; nothing else comes. */
static int measure_turn(const uint8_t *head, struct span *s)
{
	size_t len = sl_get16(head + 2);

	if (head[0] >> 6 == 1)
		s->len = TURN_HEAD + len;
	else if (head[0] >> 6 == 0 && len % 4 == 0)
		s->len = STUN_HEAD + len;
	else
		return SL_EPARSE;
	s->whole = s->len + sl_frame_pad(SL_FRAMING_TURN, head[0], s->len);
	return SL_OK;
}

static int measure(enum sl_framing framing, const uint8_t *head, struct span *s)
{
	int err = SL_OK;

	*s = (struct span){0};
	if (framing == SL_FRAMING_TURN) {
		err = measure_turn(head, s);
	} else {
		s->at = SL_FRAME_HEAD;
		s->len = sl_get16(head);
		s->whole = SL_FRAME_HEAD + s->len;
	}
	return !err && s->len > SL_FRAME_MAX ? SL_EPARSE : err;
}

void sl_frame_init(struct sl_frame *f, enum sl_framing framing)
{
	f->framing = framing;
	f->have = 0;
}

/* Adds to the frame that has begun until it has `want` bytes; false: the input ended before. */
static bool fill(struct sl_frame *f, struct sl_rd *in, size_t want)
{
	size_t n = want > f->have ? SL_MIN(want - f->have, sl_rd_left(in)) : 0;

	SL_ASSERT(f->have + n <= sizeof(f->buf));
	sl_rd_copy(in, f->buf + f->have, n);
	f->have += n;
	return f->have >= want;
}

/* A frame that lies in the input whole is left there. */
static int take_in_place(const struct sl_frame *f, struct sl_rd *in, struct span *s,
			 const uint8_t **frame)
{
	int err;

	if (f->have || sl_rd_left(in) < head_len(f->framing))
		return 0;
	err = measure(f->framing, in->p, s);
	if (err)
		return err;
	if (s->whole > sl_rd_left(in))
		return 0;
	*frame = sl_rd_bytes(in, s->whole);
	return 1;
}

static int take_gathered(struct sl_frame *f, struct sl_rd *in, struct span *s,
			 const uint8_t **frame)
{
	int err;

	if (!fill(f, in, head_len(f->framing)))
		return 0;
	err = measure(f->framing, f->buf, s);
	if (err)
		return err;
	if (!fill(f, in, s->whole))
		return 0;
	f->have = 0;
	*frame = f->buf;
	return 1;
}

int sl_frame_next(struct sl_frame *f, struct sl_rd *in, const uint8_t **out, size_t *out_len)
{
	const uint8_t *frame = NULL;
	struct span s;
	int n;

	do {
		n = take_in_place(f, in, &s, &frame);
		if (n == 0)
			n = take_gathered(f, in, &s, &frame);
		if (n <= 0)
			return n;
	} while (s.len == 0);
	*out = frame + s.at;
	*out_len = s.len;
	return 1;
}

int sl_frame_head(enum sl_framing framing, size_t len, uint8_t head[SL_FRAME_HEAD])
{
	if (framing == SL_FRAMING_TURN)
		return 0;
	if (len > UINT16_MAX)
		return SL_ERANGE;
	sl_put16(head, (uint16_t)len);
	return SL_FRAME_HEAD;
}

size_t sl_frame_pad(enum sl_framing framing, uint8_t first, size_t len)
{
	/* RFC 8656 section 12.5: over a stream ChannelData is padded to a multiple of four. */
	return framing == SL_FRAMING_TURN && first >> 6 == 1 ? (4 - len % 4) % 4 : 0;
}

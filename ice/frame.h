/* SPDX-License-Identifier: Apache-2.0
 * ice/frame.h — datagrams on a stream, without IO: cut out of what came in, and what has to stand
 * before and after one that goes out. RFC 4571 (ICE-TCP: two bytes of length before each) and
 * TURN's own (RFC 8656 sections 2.1 and 12.5: a STUN message or ChannelData says how long it is,
 * and ChannelData is padded to four bytes). Any way of cutting the stream into reads gives the same
 * datagrams. */
#ifndef SL_FRAME_H
#define SL_FRAME_H
#include "core/base/bytes.h"

enum sl_framing { SL_FRAMING_RFC4571, SL_FRAMING_TURN };

/* Longest datagram that is taken from a stream; one more byte and the stream is refused. */
enum { SL_FRAME_MAX = 2048, SL_FRAME_HEAD = 2, SL_FRAME_PAD = 3 };

struct sl_frame {
	enum sl_framing framing;
	size_t have;                    /* bytes of the frame that has begun */
	uint8_t buf[SL_FRAME_HEAD + SL_FRAME_MAX + SL_FRAME_PAD];
};

void sl_frame_init(struct sl_frame *f, enum sl_framing framing);
/* The next datagram of what was read: 1 and *out, *out_len (it lies in the input or in *f: valid
 * until the next call or the end of the input); 0: all of it is used up; SL_EPARSE: this is no
 * such stream, or a datagram is longer than SL_FRAME_MAX: close it. Empty RFC 4571 frames are
 * skipped. */
SL_MUST_USE int sl_frame_next(struct sl_frame *f, struct sl_rd *in, const uint8_t **out,
			      size_t *out_len);
/* What goes before a datagram of len bytes: 2 (written to head) or 0 bytes. SL_ERANGE: too long for
 * it. */
SL_MUST_USE int sl_frame_head(enum sl_framing framing, size_t len, uint8_t head[SL_FRAME_HEAD]);
/* How many zero bytes go after it (0 to 3); `first` is its first byte. */
size_t sl_frame_pad(enum sl_framing framing, uint8_t first, size_t len);
#endif

/* SPDX-License-Identifier: Apache-2.0
 * F20: key-frame detectors, dependency descriptor, VP8 descriptor, audio level: any bytes.
 * Oracles: the answer does not depend on bytes past the end; the descriptor decides where there is
 * one; a VP8 patch moves picture id and TL0PICIDX and nothing else. */
#include "rtp/rtp.h"

#define MUST(c) ((c) ? (void)0 : __builtin_trap())

enum { MAX = 1500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_vp8(const uint8_t *p, size_t len, uint16_t id_add, uint8_t tl0_add)
{
	static uint8_t copy[MAX];
	struct sl_vp8 a, b;

	if (sl_vp8_read(p, len, &a) < 0)
		return;
	MUST(a.desc_len > 0 && a.desc_len <= SL_MIN(len, 6u) && a.tid < 4);
	MUST(a.pic_id_off + a.pic_id_len <= a.desc_len && a.tl0_off < a.desc_len);
	memcpy(copy, p, len);
	sl_vp8_patch(copy, &a, id_add, tl0_add);
	MUST(sl_vp8_read(copy, len, &b) == SL_OK);
	MUST(a.desc_len == b.desc_len && a.tid == b.tid && a.start == b.start);
	MUST(a.pic_id_len == 0 ||
	     ((b.pic_id - a.pic_id - id_add) & (a.pic_id_len == 2 ? 0x7fff : 0x7f)) == 0);
	MUST(a.tl0_off == 0 || (uint8_t)(a.tl0 + tl0_add) == b.tl0);
	sl_vp8_patch(copy, &b, (uint16_t)-id_add, (uint8_t)-tl0_add);
	MUST(memcmp(copy, p, len) == 0);
}

/* Key or not, with other bytes behind the end. */
static void check_key(enum sl_codec c, const uint8_t *p, size_t len, const uint8_t *dd,
		      size_t dd_len)
{
	static uint8_t wide[MAX + 64];
	bool key = sl_is_keyframe(c, p, len, NULL, 0);
	bool by_dd = dd_len > 3 && len > 0 && dd[0] & 0x80 && dd[3] & 0x80;

	memcpy(wide, p, len);
	for (int fill = 0; fill < 256; fill += 85) {
		memset(wide + len, fill, 64);
		MUST(sl_is_keyframe(c, wide, len, NULL, 0) == key);
	}
	MUST(!key || (len > 0 && sl_codec_info(c)->kind == SL_VIDEO));
	if (dd_len >= 3 && sl_codec_info(c)->forwarded && sl_codec_info(c)->kind == SL_VIDEO)
		MUST(sl_is_keyframe(c, p, len, dd, dd_len) == by_dd);
}

/* One byte: length of the dependency descriptor, which follows; then the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *dd, *payload;
	size_t dd_len, n;

	if (len < 3 || len > MAX)
		return 0;
	dd_len = SL_MIN(data[0], len - 1);
	dd = data + 1;
	payload = dd + dd_len;
	n = len - 1 - dd_len;
	for (unsigned c = 0; c <= SL_CODEC_COUNT; c++)
		check_key((enum sl_codec)c, payload, n, dd, dd_len);
	check_vp8(payload, n, sl_get16(data), data[2]);
	return 0;
}

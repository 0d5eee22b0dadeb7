/* SPDX-License-Identifier: Apache-2.0
 * rtp/vp8.c — VP8 payload descriptor, RFC 7741 section 4.2: read and patch.
 *   |X|R|N|S|R| PID |        first byte
 *   |I|L|T|K|  RSV  |        if X
 *   |M| PictureID   |        if I; 15 bits in two bytes if M
 *   |   TL0PICIDX   |        if L
 *   |TID|Y| KEYIDX  |        if T or K */
#include "rtp/rtp_int.h"

enum { EXTENDED = 0x80, START = 0x10, PARTITION = 0x07 };
enum { HAS_PIC_ID = 0x80, HAS_TL0 = 0x40, HAS_TID = 0x20, HAS_KEYIDX = 0x10, LONG_PIC_ID = 0x80 };

static void read_pic_id(struct sl_rd *r, const uint8_t *payload, struct sl_vp8 *d)
{
	uint8_t first = sl_rd8(r);

	d->pic_id_off = (uint8_t)(r->p - payload - 1);
	d->pic_id_len = first & LONG_PIC_ID ? 2 : 1;
	d->pic_id = first & 0x7f;
	if (first & LONG_PIC_ID)
		d->pic_id = (uint16_t)(d->pic_id << 8 | sl_rd8(r));
}

int sl_vp8_read(const uint8_t *payload, size_t len, struct sl_vp8 *out)
{
	struct sl_rd r = sl_rd(payload, len);
	struct sl_vp8 d = {0};
	uint8_t first = sl_rd8(&r);
	uint8_t has = first & EXTENDED ? sl_rd8(&r) : 0;

	if (has & HAS_PIC_ID)
		read_pic_id(&r, payload, &d);
	if (has & HAS_TL0) {
		d.tl0_off = (uint8_t)(r.p - payload);
		d.tl0 = sl_rd8(&r);
	}
	if (has & (HAS_TID | HAS_KEYIDX)) {
		uint8_t tid = sl_rd8(&r);

		d.tid = has & HAS_TID ? tid >> 6 : 0;
	}
	if (r.bad)
		return SL_EPARSE;
	d.desc_len = (uint8_t)(r.p - payload);
	d.start = (first & (START | PARTITION)) == START;
	*out = d;
	return SL_OK;
}

void sl_vp8_patch(uint8_t *payload, const struct sl_vp8 *d, uint16_t pic_id_add, uint8_t tl0_add)
{
	uint16_t pic_id = (uint16_t)(d->pic_id + pic_id_add);

	if (d->pic_id_len == 2)
		sl_put16(payload + d->pic_id_off, pic_id | 0x8000);
	else if (d->pic_id_len == 1)
		payload[d->pic_id_off] = pic_id & 0x7f;
	if (d->tl0_off)
		payload[d->tl0_off] = (uint8_t)(d->tl0 + tl0_add);
}

/* RFC 7741 section 4.3: the frame header's lowest bit, P, is 0 for a key frame. */
bool rtp_vp8_is_key(struct sl_rd payload)
{
	size_t len = sl_rd_left(&payload);
	struct sl_vp8 d;

	if (sl_vp8_read(payload.p, len, &d) < 0 || !d.start || d.desc_len >= len)
		return false;
	return !(payload.p[d.desc_len] & 1);
}

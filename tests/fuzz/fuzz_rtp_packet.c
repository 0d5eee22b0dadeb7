/* SPDX-License-Identifier: Apache-2.0
 * F04: header, CSRCs, extensions, padding, RTX, RED; and the header that a subscriber gets of it.
 * Oracles: the parts add up to the packet; every value that is passed on reads back the same. */
#include "rtp/rtp.h"

#define MUST(c) ((c) ? (void)0 : __builtin_trap())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Ids out of the first bytes, so that both forms, 0 and high ids are met. */
static void make_map(struct sl_ext_map *map, const uint8_t *seed, unsigned shift)
{
	for (unsigned e = 0; e < SL_EXT_COUNT; e++)
		map->id[e] = (uint8_t)(seed[e % 4] ? (e + seed[(e + shift) % 4]) : e + 1 + shift);
}

/* Two extensions under one id: the first would read as the second. */
static bool unique(const struct sl_ext_map *map)
{
	for (unsigned a = 0; a < SL_EXT_COUNT; a++)
		for (unsigned b = a + 1; b < SL_EXT_COUNT; b++)
			if (map->id[a] && map->id[a] == map->id[b])
				return false;
	return true;
}

static void check_exts(const struct sl_exts *e, const struct sl_rtp *r)
{
	for (unsigned x = 0; x < SL_EXT_COUNT; x++)
		if (sl_ext_has(e, (enum sl_ext)x))
			MUST(e->off[x] >= r->ext_off &&
			     e->off[x] + e->len[x] <= r->ext_off + r->ext_len);
}

static void check_header(struct sl_hdr_writer *w, const uint8_t *p, const struct sl_exts *in)
{
	const struct sl_hdr_out h = {
		.ssrc = 7, .ts = 8, .seq = 9, .pt = 96, .twcc_seq = 10, .abs_send_time = 11};
	uint8_t out[SL_RTP_HDR_MAX];
	size_t n = sl_hdr_write(w, p, in, &h, out);
	struct sl_exts e;
	struct sl_rtp r;

	MUST(n <= sizeof(out));
	MUST(sl_rtp_read(out, n, &r) == SL_OK && r.payload_off == n && r.payload_len == 0);
	sl_ext_read(out, &r, &w->map, &e);
	for (unsigned x = 0; x < SL_EXT_COUNT; x++) {
		if (!sl_ext_has(&e, (enum sl_ext)x) || x == SL_EXT_MID || x == SL_EXT_TWCC ||
		    x == SL_EXT_ABS_SEND_TIME)
			continue;
		MUST(sl_ext_has(in, (enum sl_ext)x) && e.len[x] == in->len[x]);
		MUST(memcmp(out + e.off[x], p + in->off[x], e.len[x]) == 0);
	}
}

static void check_payload(const uint8_t *p, const struct sl_rtp *r)
{
	size_t off, block_len;
	uint16_t osn, rtx_off, rtx_len;
	uint8_t pt;

	if (sl_rtx_read(p, r, &osn, &rtx_off, &rtx_len) == SL_OK)
		MUST(rtx_off + rtx_len == r->payload_off + r->payload_len);
	if (sl_red_primary(p + r->payload_off, r->payload_len, &pt, &off, &block_len) == SL_OK)
		MUST(off > 0 && off + block_len == r->payload_len && pt < 128);
}

/* Four bytes for the maps, then the packet. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct sl_hdr_writer w;
	struct sl_ext_map in_map, out_map;
	struct sl_exts e;
	struct sl_rtp r;
	uint8_t level;
	bool voice;

	if (len < 4)
		return 0;
	make_map(&in_map, data, 0);
	make_map(&out_map, data, 1);
	if (sl_rtp_read(data + 4, len - 4, &r) < 0)
		return 0;
	MUST((size_t)r.payload_off + r.payload_len + r.pad_len == len - 4);
	MUST(r.ext_off + r.ext_len <= r.payload_off);
	MUST(sl_ext_read(data + 4, &r, &in_map, &e) == __builtin_popcount(e.have));
	check_exts(&e, &r);
	if (sl_ext_audio_level(data + 4, &e, &level, &voice))
		MUST(level < 128);
	check_payload(data + 4, &r);
	sl_hdr_writer_init(&w, &out_map,
			   sl_str("0123456789abcdefghijklmnopqrstuvwxyz", data[0] % 36));
	w.one_byte_only = data[1] & 1;
	for (int again = 0; again < 2 && unique(&out_map); again++)
		check_header(&w, data + 4, &e);
	return 0;
}

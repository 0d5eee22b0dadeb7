/* SPDX-License-Identifier: Apache-2.0 — rtp/packet.c */
#include "tests/test.h"
#include "tests/lib/rtpdump.h"

/* CSRCs, an extension of two words, four bytes of payload, three of padding. */
/* clang-format off */
static const uint8_t full[] = {
	0xb2, 0xe0, 0x12, 0x34, 0x01, 0x02, 0x03, 0x04, 0xaa, 0xbb, 0xcc, 0xdd,
	0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02,
	0xbe, 0xde, 0x00, 0x02, 0x10, 0x55, 0, 0, 0, 0, 0, 0,
	'd', 'a', 't', 'a', 0, 0, 3,
};
/* clang-format on */

TEST(header_fields_and_offsets_are_read)
{
	struct sl_rtp r;

	TRY(sl_rtp_read(full, sizeof(full), &r));
	CHECK_EQ(r.ssrc, 0xaabbccdd);
	CHECK_EQ(r.ts, 0x01020304);
	CHECK_EQ(r.seq, 0x1234);
	CHECK_EQ(r.pt, 0x60);
	CHECK(r.marker);
	CHECK_EQ(r.csrc_count, 2);
	CHECK_EQ(r.ext_profile, 0xbede);
	CHECK_EQ(r.ext_off, 24);
	CHECK_EQ(r.ext_len, 8);
	CHECK_EQ(r.payload_off, 32);
	CHECK_EQ(r.payload_len, 4);
	CHECK_EQ(r.pad_len, 3);
}

TEST(shortest_packet_is_a_header_alone)
{
	const uint8_t p[12] = {0x80, 0x00, 0, 1};
	struct sl_rtp r;

	TRY(sl_rtp_read(p, sizeof(p), &r));
	CHECK_EQ(r.ext_profile, 0);
	CHECK_EQ(r.payload_off, 12);
	CHECK_EQ(r.payload_len, 0);
	CHECK_EQ(r.pad_len, 0);
	CHECK(!r.marker);
}

TEST(t30_packet_cut_anywhere_in_its_header_is_refused)
{
	struct sl_rtp r;

	for (size_t len = 0; len < 32; len++)
		CHECK_EQ(sl_rtp_read(full, len, &r), SL_EPARSE);
}

TEST(other_versions_are_refused)
{
	uint8_t p[12] = {0};
	struct sl_rtp r;

	for (unsigned v = 0; v < 256; v++) {
		p[0] = (uint8_t)(v & 0xc0);
		CHECK_EQ(sl_rtp_read(p, sizeof(p), &r), v >> 6 == 2 ? SL_OK : SL_EPARSE);
	}
}

TEST(padding_beyond_the_payload_or_of_nothing_is_malformed)
{
	uint8_t p[16] = {0xa0};
	struct sl_rtp r;

	for (unsigned pad = 0; pad < 256; pad++) {
		p[15] = (uint8_t)pad;
		CHECK_EQ(sl_rtp_read(p, sizeof(p), &r), pad >= 1 && pad <= 4 ? SL_OK : SL_EPARSE);
	}
	CHECK_EQ(sl_rtp_read(p, 12, &r), SL_EPARSE);
}

TEST(packet_of_padding_alone_is_a_probe)
{
	uint8_t p[12 + 224] = {0xa0};
	struct sl_rtp r;

	p[sizeof(p) - 1] = 224;
	TRY(sl_rtp_read(p, sizeof(p), &r));
	CHECK_EQ(r.payload_len, 0);
	CHECK_EQ(r.pad_len, 224);
}

TEST(extension_longer_than_the_packet_is_malformed)
{
	uint8_t p[16] = {0x90, [12] = 0xbe, 0xde, 0xff, 0xff};
	struct sl_rtp r;

	CHECK_EQ(sl_rtp_read(p, sizeof(p), &r), SL_EPARSE);
	p[14] = 0;
	p[15] = 0;
	TRY(sl_rtp_read(p, sizeof(p), &r));
	CHECK_EQ(r.ext_len, 0);
	CHECK_EQ(r.ext_profile, 0xbede);
}

TEST(t17_rtcp_is_told_by_the_second_byte_192_to_223)
{
	uint8_t p[2] = {0x80};

	for (unsigned type = 0; type < 256; type++) {
		p[1] = (uint8_t)type;
		CHECK_EQ(sl_is_rtcp(p, 2), type >= 192 && type < 224);
		CHECK(!sl_is_rtcp(p, 1));
		CHECK(!sl_is_rtcp(p, 0));
	}
}

TEST(rtx_carries_the_original_number_and_payload)
{
	const uint8_t p[] = {0x80, 97, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0xfe, 0xdc, 'x', 'y'};
	struct sl_rtp r;
	uint16_t osn, off, len;

	TRY(sl_rtp_read(p, sizeof(p), &r));
	TRY(sl_rtx_read(p, &r, &osn, &off, &len));
	CHECK_EQ(osn, 0xfedc);
	CHECK_EQ(off, 14);
	CHECK_EQ(len, 2);
}

TEST(rtx_shorter_than_its_number_is_malformed)
{
	const uint8_t p[] = {0x80, 97, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0xfe};
	struct sl_rtp r;
	uint16_t osn, off, len;

	TRY(sl_rtp_read(p, sizeof(p), &r));
	CHECK_EQ(sl_rtx_read(p, &r, &osn, &off, &len), SL_EPARSE);
}

TEST(red_primary_is_what_follows_the_redundant_blocks)
{
	const uint8_t p[] = {0xef, 0x0f, 0x00, 2,   0xef, 0x07, 0x80, 1,
			     0x6f, 'a',	 'a',  'b', 'p',  'q',	'r'};
	size_t off, len;
	uint8_t pt;

	TRY(sl_red_primary(p, sizeof(p), &pt, &off, &len));
	CHECK_EQ(pt, 0x6f);
	CHECK_EQ(off, 12);
	CHECK_EQ(len, 3);
	for (size_t n = 0; n < 12; n++)
		CHECK_EQ(sl_red_primary(p, n, &pt, &off, &len), SL_EPARSE);
}

TEST(red_with_a_block_longer_than_the_packet_is_malformed)
{
	const uint8_t p[] = {0xef, 0x00, 0x03, 0xff, 0x6f, 'p'};
	const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	size_t off, len;
	uint8_t pt;

	CHECK_EQ(sl_red_primary(p, sizeof(p), &pt, &off, &len), SL_EPARSE);
	CHECK_EQ(sl_red_primary(endless, sizeof(endless), &pt, &off, &len), SL_EPARSE);
}

/* ---- captures ---- */

enum { SEEN_MAX = 8 };
struct seen { /* by media SSRC: which numbers have come */
	uint32_t ssrc;
	bool seq[65536];
};
static struct seen seen[SEEN_MAX];
static unsigned seen_count;

static struct seen *seen_of(uint32_t ssrc)
{
	for (unsigned i = 0; i < seen_count; i++)
		if (seen[i].ssrc == ssrc)
			return &seen[i];
	CHECK(seen_count < SEEN_MAX);
	memset(&seen[seen_count], 0, sizeof(seen[0]));
	seen[seen_count].ssrc = ssrc;
	return &seen[seen_count++];
}

static bool was_sent(uint16_t seq)
{
	for (unsigned i = 0; i < seen_count; i++)
		if (seen[i].seq[seq])
			return true;
	return false;
}

static void check_red(const uint8_t *payload, size_t len)
{
	size_t off, n;
	uint8_t pt;

	TRY(sl_red_primary(payload, len, &pt, &off, &n));
	CHECK_EQ(pt, 111);
	CHECK(n > 0);
	CHECK_EQ(off + n, len);
}

struct tally {
	int media, rtx, probes, red, rtcp;
};

static void check_rtp(const struct capture *c, const struct rtpdump_packet *p, struct tally *t)
{
	uint16_t osn, off, len;
	struct sl_rtp r;

	TRY(sl_rtp_read(p->data, p->len, &r));
	CHECK_EQ((size_t)r.payload_off + r.payload_len + r.pad_len, p->len);
	if (r.pt == c->pt) {
		seen_of(r.ssrc)->seq[r.seq] = true;
		t->media++;
	} else if (r.pt == c->red_pt) {
		check_red(p->data + r.payload_off, r.payload_len);
		t->red++;
	} else {
		CHECK_EQ(r.pt, c->rtx_pt);
		t->probes += r.payload_len == 0;
		if (r.payload_len == 0)
			return;
		TRY(sl_rtx_read(p->data, &r, &osn, &off, &len));
		CHECK(was_sent(osn));
		t->rtx++;
	}
}

static struct tally walk(const struct capture *c)
{
	struct rtpdump_packet p;
	struct tally t = {0};
	struct rtpdump d;

	seen_count = 0;
	TRY(rtpdump_open(c->path, &d));
	while (rtpdump_next(&d, &p)) {
		CHECK_EQ(sl_is_rtcp(p.data, p.len), p.rtcp);
		if (p.rtcp)
			t.rtcp++;
		else
			check_rtp(c, &p, &t);
	}
	CHECK(!d.rest.bad);
	rtpdump_close(&d);
	return t;
}

TEST(every_packet_of_the_captures_is_read)
{
	int rtx = 0, red = 0, probes = 0;

	for (int i = 0; i < CAPTURES; i++) {
		struct tally t = walk(&captures[i]);

		CHECK(t.media > 700);
		CHECK(t.rtcp > 50);
		CHECK_EQ(seen_count, captures[i].streams);
		rtx += t.rtx;
		red += t.red;
		probes += t.probes;
	}
	CHECK(rtx > 0);
	CHECK(probes > 0);
	CHECK_EQ(red, 201);
}

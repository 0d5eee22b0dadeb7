/* SPDX-License-Identifier: Apache-2.0
 * dtls/hello.c — joins a ClientHello that came in fragments into one record. Browsers send key
 * shares of more than a kilobyte and so fragment it, which the TLS library refuses. RFC 6347
 * section 4.2.6 hashes a message as if it had come whole, so that joining it does not disturb a
 * handshake. */
#include "dtls/dtls_int.h"

static bool seen(const struct dtls_hello *h, uint32_t at)
{
	return h->seen[at / 8] & 1u << at % 8;
}

static void begin(struct dtls_hello *h, const struct dtls_fragment *f, int64_t now_us)
{
	memset(h, 0, sizeof(*h));
	h->began_us = now_us;
	h->msg_len = f->msg_len;
	h->msg_seq = f->msg_seq;
}

/* Where the fragment lies over what is here, both must agree. */
static bool agrees(const struct dtls_hello *h, const struct dtls_fragment *f)
{
	const uint8_t *msg = h->record + DTLS_RECORD_HDR + DTLS_HS_HDR;

	for (uint32_t i = 0; i < f->len; i++)
		if (seen(h, f->off + i) && msg[f->off + i] != f->body[i])
			return false;
	return true;
}

static bool brings_news(const struct dtls_hello *h, const struct dtls_fragment *f)
{
	for (uint32_t i = 0; i < f->len; i++)
		if (!seen(h, f->off + i))
			return true;
	return false;
}

static void place(struct dtls_hello *h, const struct dtls_fragment *f)
{
	uint8_t *msg = h->record + DTLS_RECORD_HDR + DTLS_HS_HDR;

	for (uint32_t i = 0; i < f->len; i++) {
		uint32_t at = f->off + i;

		if (seen(h, at))
			continue;
		msg[at] = f->body[i];
		h->seen[at / 8] = (uint8_t)(h->seen[at / 8] | 1u << at % 8);
		h->have++;
	}
}

static void write_record(struct dtls_hello *h, const struct dtls_record *last,
			 struct dtls_record *out)
{
	struct sl_wr w = sl_wr(h->record, DTLS_RECORD_HDR + DTLS_HS_HDR);

	sl_wr8(&w, DTLS_HANDSHAKE);
	sl_wr16(&w, last->version);
	sl_wr16(&w, 0);
	/* The number of the last fragment's record: fresh with each retransmission, so no replay to
	 * the library. */
	sl_wr16(&w, (uint16_t)(last->seq >> 32));
	sl_wr32(&w, (uint32_t)last->seq);
	sl_wr16(&w, (uint16_t)(DTLS_HS_HDR + h->msg_len));
	sl_wr8(&w, DTLS_HS_CLIENT_HELLO);
	sl_wr24(&w, h->msg_len);
	sl_wr16(&w, h->msg_seq);
	sl_wr24(&w, 0);
	sl_wr24(&w, h->msg_len);
	*out = *last;
	out->whole = h->record;
	out->body = h->record + DTLS_RECORD_HDR;
	out->len = DTLS_HS_HDR + h->msg_len;
}

/* The newest wins: a fragment of another message, one that contradicts, one that comes too late and
 * one too many each begin anew, so that a forged fragment costs one retransmission and no more. */
static void take(struct dtls_hello *h, const struct dtls_fragment *f, int64_t now_us)
{
	if (h->msg_len != f->msg_len || h->msg_seq != f->msg_seq ||
	    now_us - h->began_us > DTLS_HELLO_LIFE_US || !agrees(h, f))
		begin(h, f, now_us);
	if (!brings_news(h, f))
		return;
	if (h->pieces == DTLS_HELLO_PIECES)
		begin(h, f, now_us);
	h->pieces++;
	place(h, f);
}

int dtls_hello_feed(struct dtls_hello *h, const struct dtls_record *rec, int64_t now_us,
		    struct dtls_record *out)
{
	struct sl_rd in = sl_rd(rec->body, rec->len);
	struct dtls_fragment f;

	if (rec->type != DTLS_HANDSHAKE || rec->epoch != 0)
		return SL_EPARSE;
	while (sl_rd_left(&in) > 0) {
		if (dtls_fragment_read(&in, &f) || f.type != DTLS_HS_CLIENT_HELLO || f.len == 0)
			return SL_EPARSE;
		if (f.msg_len > DTLS_HELLO_MAX)
			return SL_EFULL;
		take(h, &f, now_us);
		if (h->have < h->msg_len)
			continue;
		write_record(h, rec, out);
		h->msg_len = 0;
		return 1;
	}
	return 0;
}

/* RFC 5764 section 4.1.1: the list of profiles, two bytes each, then an MKI. */
static unsigned read_use_srtp(struct sl_rd ext)
{
	uint16_t len = sl_rd16(&ext);
	struct sl_rd list = sl_rd_sub(&ext, len);
	unsigned found = 0;

	while (sl_rd_left(&list) >= 2) {
		uint16_t profile = sl_rd16(&list);

		if (profile == 0x0001 || profile == 0x0002)
			found |= profile;
	}
	return found;
}

unsigned dtls_hello_srtp(const struct dtls_record *hello)
{
	enum { VERSION_AND_RANDOM = 34, EXT_USE_SRTP = 14 };
	struct sl_rd in = sl_rd(hello->body, hello->len);
	struct sl_rd exts;
	uint16_t exts_len;

	sl_rd_skip(&in, DTLS_HS_HDR + VERSION_AND_RANDOM);
	sl_rd_skip(&in, sl_rd8(&in));  /* session id */
	sl_rd_skip(&in, sl_rd8(&in));  /* cookie */
	sl_rd_skip(&in, sl_rd16(&in)); /* cipher suites */
	sl_rd_skip(&in, sl_rd8(&in));  /* compression */
	exts_len = sl_rd16(&in);
	exts = sl_rd_sub(&in, exts_len);
	while (sl_rd_left(&exts) > 0) {
		uint16_t type = sl_rd16(&exts);
		uint16_t len = sl_rd16(&exts);
		struct sl_rd ext = sl_rd_sub(&exts, len);

		if (type == EXT_USE_SRTP)
			return read_use_srtp(ext);
	}
	return 0;
}

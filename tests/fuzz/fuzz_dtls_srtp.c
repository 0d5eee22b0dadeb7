/* SPDX-License-Identifier: Apache-2.0
 * F14: a script of loss, reordering, duplication, forgery and wraps between a sender and a
 * receiver, against a model that knows the true index of every packet; and raw bytes as packets.
 * First byte: profile and mode. */
#include "core/base/bytes.h"
#include "dtls/dtls.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { SENT_MAX = 512, PACKET_MAX = 64, RAW_MAX = 2048, SSRC = 0xfeed };

#define MUST(c)                                                                                    \
	do {                                                                                       \
		if (!(c))                                                                          \
			__builtin_trap();                                                          \
	} while (0)

/* By libsrtp2, by mbedTLS and, where it can be, by ipsec-mb. */
static const enum sl_srtp_impl impls[] = {SL_SRTP_LIBSRTP, SL_SRTP_SOFT, SL_SRTP_MB};
enum { IMPLS = SL_COUNT(impls) };

static struct {
	struct sl_srtp_key *seal[IMPLS], *open[IMPLS];
} keys[SL_SRTP_PROFILE_COUNT];
static struct sl_srtp_mgr *mgr;
static int impl_count = IMPLS;

struct sent {
	uint64_t index;
	size_t len;
	bool accepted;
	uint8_t packet[PACKET_MAX];
};

struct run {
	struct sl_srtp_key *const *seal, *const *open;
	struct sl_srtp_rx rx;
	uint64_t next;
	int count;
	struct sent sent[SENT_MAX];
};

static void make_manager(void)
{
	const struct sl_srtp_choice sse = {
		.cm = SL_SRTP_MB, .small = SL_ARCH_SSE, .large = SL_ARCH_SSE, .aead = SL_ARCH_SSE};
	int err = sl_srtp_mgr_new(&sse, &mgr);

	MUST(err == SL_OK || err == SL_EUNSUPPORTED);
	if (err)
		impl_count--;
}

static void make_keys(enum sl_srtp_profile p)
{
	struct sl_srtp_master m = {.profile = p, .key = {1, 2, 3}, .salt = {4, 5, 6}};

	if (!mgr && impl_count == IMPLS)
		make_manager();
	for (int i = 0; i < impl_count; i++) {
		MUST(sl_srtp_key_new(impls[i], &m, true, &keys[p].seal[i]) == SL_OK);
		MUST(sl_srtp_key_new(impls[i], &m, false, &keys[p].open[i]) == SL_OK);
		sl_srtp_key_bind(keys[p].seal[i], mgr);
		sl_srtp_key_bind(keys[p].open[i], mgr);
	}
}

static size_t seal(struct sl_srtp_key *key, uint64_t index, uint8_t *out)
{
	uint8_t hdr[12] = {0x80, 96}, payload[12];
	struct sl_srtp_op op = {.key = key,
				.hdr = hdr,
				.hdr_len = 12,
				.payload = payload,
				.payload_len = 12,
				.index = index,
				.out = out};

	sl_put16(hdr + 2, (uint16_t)index);
	sl_put32(hdr + 8, SSRC);
	sl_put64(payload, index);
	sl_put32(payload + 8, 0);
	MUST(sl_srtp_seal(&op, 1) == 1);
	return op.out_len;
}

/* All transforms agree on the bytes, whatever the order of indexes. */
static void send(struct run *r, uint64_t index)
{
	struct sent *s = &r->sent[r->count++];
	uint8_t other[PACKET_MAX];

	s->index = index;
	s->len = seal(r->seal[0], index, s->packet);
	for (int i = 1; i < impl_count; i++) {
		MUST(seal(r->seal[i], index, other) == s->len);
		MUST(memcmp(other, s->packet, s->len) == 0);
	}
}

static int open_all(struct run *r, const uint8_t *packet, size_t len, uint64_t index)
{
	uint8_t out[IMPLS][PACKET_MAX];
	int errs[IMPLS] = {0};

	for (int i = 0; i < impl_count; i++) {
		struct sl_srtp_op op = {.key = r->open[i],
					.hdr = packet,
					.hdr_len = len,
					.index = index,
					.out = out[i]};

		sl_srtp_open(&op, 1);
		errs[i] = op.err;
		MUST(op.err != SL_OK || sl_get64(out[i] + 12) == index);
		MUST(errs[i] == errs[0]);
	}
	return errs[0];
}

/* The index under which it was accepted, or SL_SRTP_NO_INDEX. */
static uint64_t receive(struct run *r, const uint8_t *packet, size_t len)
{
	uint16_t seq = sl_get16(packet + 2);
	uint64_t index = sl_srtp_rx_index(&r->rx, seq);
	uint64_t other = sl_srtp_rx_alternative(&r->rx, seq);
	int err = sl_srtp_rx_check(&r->rx, index);

	if (!err)
		err = open_all(r, packet, len, index);
	if (err == SL_EAUTH && other != SL_SRTP_NO_INDEX)
		err = open_all(r, packet, len, index = other);
	if (err)
		return SL_SRTP_NO_INDEX;
	sl_srtp_rx_accept(&r->rx, index);
	return index;
}

static bool reachable(const struct sl_srtp_rx *rx, uint64_t index)
{
	if (!rx->started)
		return index < 2 * 65536;
	return index > rx->top ? index - rx->top < 32768 : rx->top - index < SL_SRTP_WINDOW;
}

static void deliver(struct run *r, struct sent *s)
{
	bool want = !s->accepted && reachable(&r->rx, s->index);
	bool far = r->rx.started && s->index > r->rx.top && s->index - r->rx.top >= 32768;
	uint64_t got;

	for (int i = 0; i < r->count; i++) /* the same index sent twice is one packet */
		want = want && !(r->sent[i].index == s->index && r->sent[i].accepted);
	got = receive(r, s->packet, s->len);
	MUST(got == SL_SRTP_NO_INDEX || got == s->index);
	MUST(far || (got != SL_SRTP_NO_INDEX) == want);
	if (got != SL_SRTP_NO_INDEX) {
		MUST(!s->accepted);
		s->accepted = true;
	}
}

static void forge(struct run *r, const struct sent *s, uint8_t where)
{
	struct sl_srtp_rx before = r->rx;
	uint8_t packet[PACKET_MAX];

	memcpy(packet, s->packet, s->len);
	packet[where % s->len] ^= 0x10;
	MUST(receive(r, packet, s->len) == SL_SRTP_NO_INDEX);
	MUST(memcmp(&before, &r->rx, sizeof(before)) == 0);
}

static void step(struct run *r, uint8_t what, uint16_t arg)
{
	struct sent *picked = r->count ? &r->sent[r->count - 1 - arg % r->count] : NULL;

	switch (what % 5) {
	case 0: /* some are lost, the next comes */
		r->next += arg;
		send(r, r->next++);
		deliver(r, &r->sent[r->count - 1]);
		break;
	case 1: /* sent, and under way */
		send(r, r->next++);
		break;
	case 2: /* comes late, or again */
		if (picked)
			deliver(r, picked);
		break;
	case 3: /* the same bytes sent again on their index */
		if (picked)
			send(r, picked->index);
		break;
	case 4:
		if (picked)
			forge(r, picked, (uint8_t)arg);
		break;
	}
}

static void script(enum sl_srtp_profile p, struct sl_rd rd)
{
	static struct run r;

	memset(&r, 0, sizeof(r));
	r.seal = keys[p].seal;
	r.open = keys[p].open;
	r.next = sl_rd24(&rd) & 0x1ffff;
	while (sl_rd_left(&rd) >= 3 && r.count < SENT_MAX) {
		uint8_t what = sl_rd8(&rd);

		step(&r, what, sl_rd16(&rd));
	}
	for (int i = 0; i < impl_count; i++) {
		sl_srtp_key_forget(r.seal[i], SSRC);
		sl_srtp_key_forget(r.open[i], SSRC);
	}
}

/* Bytes of the wire never open, whatever their header claims; sealed they come back as they were.
 */
static void raw(enum sl_srtp_profile p, bool rtcp, struct sl_rd rd)
{
	size_t n = SL_MIN(sl_rd_left(&rd), (size_t)RAW_MAX);
	uint8_t *in = malloc(n + 1), *sealed = malloc(n + SL_SRTP_OVERHEAD),
		*out = malloc(n + SL_SRTP_OVERHEAD);

	MUST(in && sealed && out);
	sl_rd_copy(&rd, in, n);
	for (int i = 0; i < impl_count; i++) {
		struct sl_srtp_op op = {
			.key = keys[p].open[i], .hdr = in, .hdr_len = n, .rtcp = rtcp, .out = out};
		uint32_t index;

		op.index = n >= 4 ? sl_get16(in + 2) : 0;
		if (rtcp)
			op.index = sl_srtcp_index(op.key, in, n, &index) == SL_OK ? index : 1;
		MUST(sl_srtp_open(&op, 1) == 0 && op.out_len == 0);
		op.key = keys[p].seal[i];
		op.out = sealed;
		if (sl_srtp_seal(&op, 1) == 0)
			continue;
		MUST(op.out_len <= n + SL_SRTP_OVERHEAD);
		op.key = keys[p].open[(i + 1) % impl_count];
		op.hdr = sealed;
		op.hdr_len = op.out_len;
		op.out = out;
		MUST(sl_srtp_open(&op, 1) == 1 && op.out_len == n && memcmp(out, in, n) == 0);
		if (n >= 12 && !rtcp)
			sl_srtp_key_forget(op.key, sl_get32(in + 8));
		if (n >= 12 && !rtcp)
			sl_srtp_key_forget(keys[p].seal[i], sl_get32(in + 8));
	}
	free(in);
	free(sealed);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_rd rd = sl_rd(data, len);
	uint8_t first = sl_rd8(&rd);
	enum sl_srtp_profile p =
		(enum sl_srtp_profile)(1 + (first & 0x3f) % (SL_SRTP_PROFILE_COUNT - 1));

	if (!keys[p].seal[0])
		make_keys(p);
	if (first & 0x80)
		raw(p, first & 0x40, rd);
	else
		script(p, rd);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * dtls/srtp_choice.c — which transform this machine is best served by. Processors differ so much
 * (the wide instructions that win by a factor of three on one lose on another, and one packet alone
 * is another matter than eight) that only a measurement tells: keys as in use, packets of a video
 * stream, a few milliseconds. */
#include "dtls/seam_int.h"

enum {
	KEYS = 8,
	PAYLOAD = 1100,
	PACKET = SEAM_RTP_HDR_LEN + PAYLOAD,
	BATCH = 32,   /* the last of the sizes */
	ROUNDS = 4,   /* the fastest counts */
	AT_LEAST = 8, /* packets in a round */
	LONE = 0,     /* into the sizes: a packet alone */
	TYPICAL = 4,  /* a burst of one frame to one peer */
	DEEP = 5      /* from here on a loaded loop */
};
const uint8_t sl_srtp_sizes[SL_SRTP_SIZES] = {1, 2, 4, 6, 8, 16, BATCH};

static struct sl_srtp_choice in_use = {.cm = SL_SRTP_SOFT, .gcm = SL_SRTP_SOFT};

const struct sl_srtp_choice *sl_srtp_in_use(void)
{
	return &in_use;
}

void sl_srtp_use(const struct sl_srtp_choice *c)
{
	in_use = *c;
}

enum sl_srtp_impl sl_srtp_best(enum sl_srtp_profile p)
{
	const struct seam_profile *profile = seam_profile(p);

	return profile && profile->aead ? in_use.gcm : in_use.cm;
}

const char *sl_srtp_arch_name(enum sl_srtp_arch arch)
{
	static const char *const names[SL_ARCH_COUNT] = {"none", "sse", "avx", "avx2", "avx512"};

	return names[arch];
}

const char *sl_srtp_impl_name(enum sl_srtp_impl impl)
{
	static const char *const names[] = {[SL_SRTP_LIBSRTP] = "libsrtp",
					    [SL_SRTP_NULL] = "null",
					    [SL_SRTP_SOFT] = "soft",
					    [SL_SRTP_CLEAR] = "none",
					    [SL_SRTP_MB] = "mb"};

	return names[impl];
}

/* ---- measuring ---- */

struct rig {
	int64_t (*now_ns)(void);
	struct sl_srtp_key *keys[KEYS];
	struct sl_srtp_op ops[BATCH];
	uint8_t hdr[SEAM_RTP_HDR_LEN], payload[PAYLOAD];
	uint8_t out[BATCH][PACKET + SL_SRTP_OVERHEAD];
};

static void rig_free(struct rig *r)
{
	for (size_t i = 0; i < KEYS; i++)
		sl_srtp_key_free(r->keys[i]);
	sl_free(r);
}

static int rig_keys(struct rig *r, enum sl_srtp_impl impl, enum sl_srtp_profile p)
{
	int err = SL_OK;

	for (size_t i = 0; i < KEYS && !err; i++) {
		struct sl_srtp_master m = {.profile = p, .key = {(uint8_t)i}};

		err = sl_srtp_key_new(impl, &m, true, &r->keys[i]);
	}
	return err;
}

static int rig_new(enum sl_srtp_impl impl, enum sl_srtp_profile p, int64_t (*now_ns)(void),
		   struct rig **out)
{
	struct rig *r = sl_zalloc(sizeof(*r));
	int err = r ? rig_keys(r, impl, p) : SL_ENOMEM;

	if (err) {
		if (r)
			rig_free(r);
		return err;
	}
	r->now_ns = now_ns;
	r->hdr[0] = 0x80;
	for (size_t i = 0; i < BATCH; i++)
		r->ops[i] = (struct sl_srtp_op){.key = r->keys[i % KEYS],
						.hdr = r->hdr,
						.hdr_len = sizeof(r->hdr),
						.payload = r->payload,
						.payload_len = PAYLOAD,
						.out = r->out[i]};
	*out = r;
	return SL_OK;
}

/* Nanoseconds for a packet among n; at least 1. */
static uint32_t cost_ns(struct rig *r, int n)
{
	int times = SL_MAX(AT_LEAST / n, 1);
	int64_t best = INT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = r->now_ns();

		for (int i = 0; i < times; i++)
			sl_srtp_seal(r->ops, n);
		best = SL_MIN(best, r->now_ns() - start);
	}
	best /= times * n;
	return best < 1 ? 1 : best > UINT32_MAX ? UINT32_MAX : (uint32_t)best;
}

static int measure_arch(enum sl_srtp_arch arch, struct rig *cm, struct rig *gcm,
			struct sl_srtp_choice *c)
{
	const struct sl_srtp_choice only = {
		.cm = SL_SRTP_MB, .gcm = SL_SRTP_MB, .small = arch, .large = arch, .aead = arch};
	struct sl_srtp_mgr *mgr;
	int err = sl_srtp_mgr_new(&only, &mgr);

	if (err == SL_EUNSUPPORTED) /* it did not pass its own test */
		return SL_OK;
	if (err)
		return err;
	for (size_t i = 0; i < KEYS; i++) {
		sl_srtp_key_bind(cm->keys[i], mgr);
		sl_srtp_key_bind(gcm->keys[i], mgr);
	}
	for (size_t i = 0; i < SL_SRTP_SIZES; i++)
		c->cm_ns[arch][i] = cost_ns(cm, sl_srtp_sizes[i]);
	c->gcm_ns[arch] = cost_ns(gcm, sl_srtp_sizes[TYPICAL]);
	sl_srtp_mgr_free(mgr);
	return SL_OK;
}

static int measure_mb(int64_t (*now_ns)(void), struct sl_srtp_choice *c)
{
	struct rig *cm = NULL, *gcm = NULL;
	int err = rig_new(SL_SRTP_MB, SL_SRTP_AES128_CM_SHA1_80, now_ns, &cm);

	if (!err)
		err = rig_new(SL_SRTP_MB, SL_SRTP_AEAD_AES128_GCM, now_ns, &gcm);
	for (enum sl_srtp_arch a = SL_ARCH_SSE; a < SL_ARCH_COUNT && !err; a++)
		if (seam_mb_can(a))
			err = measure_arch(a, cm, gcm, c);
	if (cm)
		rig_free(cm);
	if (gcm)
		rig_free(gcm);
	return err;
}

/* Costs the same in any batch. */
static int measure_soft(int64_t (*now_ns)(void), struct sl_srtp_choice *c)
{
	struct rig *r = NULL;
	int err = rig_new(SL_SRTP_SOFT, SL_SRTP_AES128_CM_SHA1_80, now_ns, &r);
	uint32_t ns;

	if (err)
		return err;
	ns = cost_ns(r, sl_srtp_sizes[TYPICAL]);
	rig_free(r);
	for (size_t i = 0; i < SL_SRTP_SIZES; i++)
		c->cm_ns[SL_ARCH_NONE][i] = ns;
	err = rig_new(SL_SRTP_SOFT, SL_SRTP_AEAD_AES128_GCM, now_ns, &r);
	if (err)
		return err;
	c->gcm_ns[SL_ARCH_NONE] = cost_ns(r, sl_srtp_sizes[TYPICAL]);
	rig_free(r);
	return SL_OK;
}

/* ---- choosing ---- */

static uint32_t deep_ns(const struct sl_srtp_choice *c, enum sl_srtp_arch a)
{
	uint32_t sum = 0;

	for (size_t i = DEEP; i < SL_SRTP_SIZES; i++)
		sum += c->cm_ns[a][i] / 2;
	return sum;
}

/* From this size on the large one is never dearer. */
static int crossing(const struct sl_srtp_choice *c)
{
	size_t i = SL_SRTP_SIZES;

	while (i > 0 && c->cm_ns[c->large][i - 1] <= c->cm_ns[c->small][i - 1])
		i--;
	return i < SL_SRTP_SIZES ? sl_srtp_sizes[i] : SL_SRTP_BATCH_MAX + 1;
}

/* The instruction set for a few packets, that for many, and where the one gives way to the other.
 * A second manager is worth its memory from a twentieth on. GCM takes whichever of the two. */
bool seam_choose_archs(struct sl_srtp_choice *c)
{
	for (enum sl_srtp_arch a = SL_ARCH_SSE; a < SL_ARCH_COUNT; a++) {
		if (c->cm_ns[a][LONE] == 0)
			continue;
		if (!c->small || c->cm_ns[a][LONE] < c->cm_ns[c->small][LONE])
			c->small = a;
		if (!c->large || deep_ns(c, a) < deep_ns(c, c->large))
			c->large = a;
	}
	if (deep_ns(c, c->large) > deep_ns(c, c->small) / 20 * 19)
		c->large = c->small;
	c->large_from = c->large == c->small ? SL_SRTP_BATCH_MAX + 1 : crossing(c);
	c->aead = c->gcm_ns[c->large] < c->gcm_ns[c->small] ? c->large : c->small;
	return c->small != SL_ARCH_NONE;
}

static int choose_mb(bool forced, int64_t (*now_ns)(void), struct sl_srtp_choice *c)
{
	int err = measure_mb(now_ns, c);
	bool found = !err && seam_choose_archs(c);

	if (err && err != SL_EUNSUPPORTED)
		return err;
	if (!found)
		return forced ? SL_EUNSUPPORTED : SL_OK;
	err = measure_soft(now_ns, c);
	if (forced || c->cm_ns[c->small][TYPICAL] < c->cm_ns[SL_ARCH_NONE][TYPICAL])
		c->cm = SL_SRTP_MB;
	if (forced || c->gcm_ns[c->aead] < c->gcm_ns[SL_ARCH_NONE])
		c->gcm = SL_SRTP_MB;
	return err;
}

int sl_srtp_choose(struct sl_str want, int64_t (*now_ns)(void), struct sl_srtp_choice *out)
{
	struct sl_srtp_choice c = {.cm = SL_SRTP_SOFT, .gcm = SL_SRTP_SOFT};
	int err = SL_OK;

	if (sl_str_eq(want, SL_STR("libsrtp")))
		c.cm = c.gcm = SL_SRTP_LIBSRTP;
	else if (sl_str_eq(want, SL_STR("mb")) || sl_str_eq(want, SL_STR("auto")))
		err = choose_mb(sl_str_eq(want, SL_STR("mb")), now_ns, &c);
	else if (!sl_str_eq(want, SL_STR("soft")))
		err = SL_EPARSE;
	if (!err)
		*out = c;
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 — see sdp_test.h. */
#include "tests/sdp/sdp_test.h"
#include <stdio.h>

struct sl_str t_load(const char *name)
{
	static char text[T_TEXT_MAX];
	char path[128];
	size_t n;
	FILE *f;

	CHECK(sl_fmt(path, sizeof(path), "tests/vectors/sdp/%s.sdp", name));
	f = fopen(path, "rb");
	if (!f)
		sl_test_failed(__FILE__, __LINE__, "cannot open %s", path);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return sl_str(text, n);
}

static int or_stop(int err)
{
	if (err == SL_ENOMEM && sl_test_oom_fired())
		sl_test_oom_stop();
	return err;
}

static void end(struct t_sdp *t)
{
	sl_arena_fini(&t->arena);
	t->begun = false;
}

static void begin(struct t_sdp *t)
{
	if (t->begun)
		sl_arena_fini(&t->arena);
	else
		DEFER(end, t);
	memset(t, 0, sizeof(*t));
	sl_arena_init(&t->arena, 1 << 20);
	t->begun = true;
}

int t_read(struct t_sdp *t, struct sl_str text)
{
	begin(t);
	return or_stop(sl_sdp_read(text, &t->arena, &t->sdp, &t->why));
}

int t_read_z(struct t_sdp *t, const char *text)
{
	return t_read(t, sl_str_z(text));
}

void t_read_file(struct t_sdp *t, const char *name)
{
	struct sl_str text = t_load(name);
	char *copy;

	begin(t);
	copy = sl_arena_dup(&t->arena, text.p, text.n);
	TRY(copy ? SL_OK : SL_ENOMEM);
	TRY(sl_sdp_read(sl_str(copy, text.n), &t->arena, &t->sdp, &t->why));
}

const char *t_text(const struct sl_sdp *sdp)
{
	static char text[T_TEXT_MAX];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_sdp_write(sdp, &b);
	CHECK(!b.full);
	return text;
}

struct sl_sdp_ours t_ours(void)
{
	static struct sl_sdp_cand cands[2];
	struct sl_sdp_ours ours = {
		.ufrag = SL_STR("OURufrag"),
		.pwd = SL_STR("OURpwdOURpwdOURpwdOURpwd"),
		.fingerprint =
			SL_STR("AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
			       "00:11:22:33:44:55:66:77:88:99"),
		.ice_lite = true,
		.cands = cands,
		.cand_count = 2,
		.session_id = 77,
		.session_version = 3,
		.dtls_active = true,
	};

	cands[0] = (struct sl_sdp_cand){.foundation = SL_STR("1"),
					.type = SL_STR("host"),
					.component = 1,
					.priority = 2130706431};
	cands[1] = (struct sl_sdp_cand){.foundation = SL_STR("2"),
					.type = SL_STR("host"),
					.component = 1,
					.priority = 2130706175};
	cands[0].addr = sl_addr_v4(192, 0, 2, 1, 10000);
	CHECK_EQ(sl_addr_parse(SL_STR("[2001:db8::1]:10000"), &cands[1].addr), SL_OK);
	ours.addr = cands[0].addr;
	memset(ours.codecs, 1, sizeof(ours.codecs));
	return ours;
}

int t_answer(struct t_sdp *t, const struct sl_sdp *offer, const struct sl_sdp_ours *ours,
	     enum sl_sdp_role role)
{
	static struct sl_sdp_send send[SL_SDP_MEDIA_MAX];

	for (uint32_t i = 0; i < SL_SDP_MEDIA_MAX; i++) {
		send[i] = (struct sl_sdp_send){.ssrc = 1000 + i,
					       .rtx_ssrc = 2000 + i,
					       .cname = "cn",
					       .stream = "room",
					       .track = "trk"};
	}
	begin(t);
	return or_stop(sl_sdp_answer(offer, ours, role, send, &t->arena, &t->sdp, &t->why));
}

void t_answer_file(struct t_sdp *offer, struct t_sdp *answer, const char *name,
		   enum sl_sdp_role role)
{
	struct sl_sdp_ours ours = t_ours();

	t_read_file(offer, name);
	TRY(t_answer(answer, &offer->sdp, &ours, role));
}

const char *t_pts(const struct sl_sdp_media *m)
{
	static char text[512];
	struct sl_buf b = sl_buf(text, sizeof(text));

	for (size_t i = 0; i < m->codec_count; i++)
		sl_buf_fmt(&b, i > 0 ? " %u" : "%u", m->codecs[i].pt);
	return text;
}

const char *t_ext_ids(const struct sl_sdp_media *m)
{
	static char text[512];
	struct sl_buf b = sl_buf(text, sizeof(text));

	for (size_t i = 0; i < m->ext_count; i++)
		sl_buf_fmt(&b, i > 0 ? " %u" : "%u", m->exts[i].id);
	return text;
}

const struct sl_sdp_codec *t_codec(const struct sl_sdp_media *m, uint8_t pt)
{
	for (size_t i = 0; i < m->codec_count; i++)
		if (m->codecs[i].pt == pt)
			return &m->codecs[i];
	sl_test_failed(__FILE__, __LINE__, "no payload type %u", pt);
}

bool t_is(struct sl_str s, const char *z)
{
	return sl_str_eq(s, sl_str_z(z));
}

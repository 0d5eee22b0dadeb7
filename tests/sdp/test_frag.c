/* SPDX-License-Identifier: Apache-2.0 — trickle-ice-sdpfrag. */
#include "tests/sdp/sdp_test.h"

static struct sl_arena arena;
static struct sl_sdp_why why;

static int read_frag(const char *text, struct sl_sdpfrag *out)
{
	int err;

	sl_arena_init(&arena, 1 << 16);
	DEFER(sl_arena_fini, &arena);
	err = sl_sdpfrag_read(sl_str_z(text), &arena, out, &why);
	if (err == SL_ENOMEM && sl_test_oom_fired())
		sl_test_oom_stop();
	return err;
}

TEST(a_trickle_fragment_gives_credentials_mid_and_candidates)
{
	struct sl_sdpfrag f;

	TRY(read_frag(
		"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP "
		"0\r\na=mid:0\r\n"
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 "
		"ufrag EsAw\r\n"
		"a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host\r\n"
		"a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n"
		"a=candidate:1 1 udp 2113937151 7f1b.local 5000 typ host\r\n"
		"a=end-of-candidates\r\nm=video 9 RTP/AVP 0\r\na=mid:1\r\n",
		&f));
	CHECK_S(f.ufrag, "EsAw");
	CHECK_S(f.pwd, "P2uYro0UCOQ4zxjKXaWCBui1");
	CHECK_S(f.mid, "0");
	CHECK_EQ(f.cand_count, 3);
	CHECK_EQ(f.cands[1].addr.port, 61765);
	CHECK_EQ(f.cands[2].tcp, SL_SDP_TCP_ACTIVE);
	CHECK_EQ(f.cand_ignored, 1);
	CHECK(f.end_of_candidates);
}

TEST(credentials_at_the_m_line_count_too_when_they_agree)
{
	struct sl_sdpfrag f;

	TRY(read_frag("m=audio 9 UDP/TLS/RTP/SAVPF "
		      "111\na=mid:0\na=ice-ufrag:EsAw\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\n"
		      "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:1\na=ice-ufrag:EsAw\n",
		      &f));
	CHECK_S(f.ufrag, "EsAw");
	CHECK(!f.end_of_candidates);
	CHECK_EQ(f.cand_count, 0);
}

TEST(an_empty_fragment_is_empty)
{
	struct sl_sdpfrag f;

	TRY(read_frag("", &f));
	CHECK_EQ(f.ufrag.n + f.mid.n + f.cand_count, 0);
}

TEST(t20_a_broken_fragment_is_refused_with_its_line)
{
	static const char *const broken[] = {
		"a=mid:0\r\nhello\r\n",		  "a=mid:0\r\na=ice-ufrag:abc\r\n",
		"a=mid:0\r\na=ice-pwd:short\r\n", "a=ice-ufrag:abcd\r\na=ice-ufrag:efgh\r\n",
		"a=mid:0\r\na=mid: \r\n",	  "a=mid:0\r\n\x01=\r\n",
	};
	struct sl_sdpfrag f;

	for (size_t i = 0; i < SL_COUNT(broken); i++) {
		CHECK_EQ(read_frag(broken[i], &f), SL_EPARSE);
		CHECK_EQ(why.line, 2);
	}
}

TEST(our_fragment_reads_as_what_we_have)
{
	struct sl_sdp_ours ours = t_ours();
	struct sl_sdpfrag f;
	char text[1024];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_sdpfrag_write(&ours, SL_STR("0"), SL_STR("audio"), &b);
	CHECK(!b.full);
	CHECK(strstr(text, "a=ice-lite\r\n"));
	TRY(read_frag(text, &f));
	CHECK_S(f.ufrag, "OURufrag");
	CHECK_S(f.pwd, "OURpwdOURpwdOURpwdOURpwd");
	CHECK_S(f.mid, "0");
	CHECK_EQ(f.cand_count, 2);
	CHECK(f.end_of_candidates);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/str.h"
#include "core/base/rng.h"
#include "tests/test.h"

static bool is(struct sl_str s, const char *z)
{
	return sl_str_eq(s, sl_str_z(z));
}

TEST(slices_compare_by_bytes_or_with_ascii_case_folded)
{
	CHECK(sl_str_eq(SL_STR("abc"), sl_str("abcd", 3)));
	CHECK(!sl_str_eq(SL_STR("abc"), SL_STR("abC")));
	CHECK(sl_str_ieq(SL_STR("Content-Type"), SL_STR("content-tYPE")));
	CHECK(!sl_str_ieq(SL_STR("a"), SL_STR("ab")));
	CHECK(!sl_str_ieq(SL_STR("@"), SL_STR("`"))); /* 0x40 and 0x60: no letters */
	CHECK(!sl_str_ieq(SL_STR("\xc3\x84"), SL_STR("\xc3\xa4")));
	CHECK(sl_str_starts(SL_STR("a=rtpmap:96"), SL_STR("a=")));
	CHECK(!sl_str_starts(SL_STR("a"), SL_STR("a=")));
	CHECK(is(sl_str_z(NULL), ""));
	CHECK(sl_str_eq(sl_str(NULL, 0), SL_STR("")));
}

TEST(cut_takes_fields_off_the_front)
{
	struct sl_str s = SL_STR("a;b;;c");

	CHECK(is(sl_str_cut(&s, ';'), "a"));
	CHECK(is(sl_str_cut(&s, ';'), "b"));
	CHECK(is(sl_str_cut(&s, ';'), ""));
	CHECK(is(sl_str_cut(&s, ';'), "c"));
	CHECK_EQ(s.n, 0);
	CHECK(is(sl_str_cut(&s, ';'), ""));
	s = sl_str(NULL, 0);
	CHECK(is(sl_str_cut(&s, ';'), ""));
}

TEST(words_are_what_lies_between_blanks)
{
	struct sl_str s = SL_STR("  m=audio \t9  UDP ");

	CHECK(is(sl_str_word(&s), "m=audio"));
	CHECK(is(sl_str_word(&s), "9"));
	CHECK(is(sl_str_word(&s), "UDP"));
	CHECK(is(sl_str_word(&s), ""));
	CHECK(is(sl_str_word(&s), ""));
	CHECK(is(sl_str_trim(SL_STR("\t a b \t")), "a b"));
	CHECK(is(sl_str_trim(SL_STR("  ")), ""));
}

TEST(t30_numbers_are_digits_alone_and_within_their_limit)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool ok;
		uint64_t want;
	} rows[] = {
		{"0", 10, true, 0},
		{"10", 10, true, 10},
		{"0010", 10, true, 10},
		{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
		{"11", 10, false, 0},
		{"", 10, false, 0},
		{"+1", 10, false, 0},
		{"-1", 10, false, 0},
		{" 1", 10, false, 0},
		{"1 ", 10, false, 0},
		{"1a", 100, false, 0},
		{"0x1", 100, false, 0},
		{"18446744073709551616", UINT64_MAX, false, 0},
		{"99999999999999999999999", UINT64_MAX, false, 0},
	};
	uint32_t v32;

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		uint64_t v = 77;

		CHECK_EQ(sl_str_u64(sl_str_z(rows[i].text), rows[i].max, &v), rows[i].ok);
		CHECK(v == (rows[i].ok ? rows[i].want : 77));
	}
	CHECK(sl_str_u32(SL_STR("4294967295"), UINT32_MAX, &v32));
	CHECK_EQ(v32, UINT32_MAX);
	CHECK(!sl_str_u32(SL_STR("4294967296"), UINT32_MAX, &v32));
}

TEST(copy_fits_whole_or_not_at_all)
{
	char dst[4];

	CHECK(sl_str_copy(dst, sizeof(dst), SL_STR("abc")));
	CHECK_STR(dst, "abc");
	CHECK(!sl_str_copy(dst, sizeof(dst), SL_STR("abcd")));
	CHECK_STR(dst, "");
	CHECK(!sl_str_copy(dst, sizeof(dst), sl_str("a\0b", 3)));
	CHECK_STR(dst, "");
	CHECK(!sl_str_copy(dst, 0, SL_STR("")));
	CHECK(sl_str_copy(dst, 1, sl_str(NULL, 0)));
}

TEST(utf8_is_what_rfc_3629_says)
{
	static const struct {
		const char *text;
		bool ok;
	} rows[] = {
		{"plain", true},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"\xed\x9f\xbf", true},
		{"\x80", false},
		{"\xc3", false},
		{"\xc0\xaf", false},
		{"\xe0\x80\xaf", false},
		{"\xf0\x80\x80\xaf", false},
		{"\xed\xa0\x80", false},
		{"\xf4\x90\x80\x80", false},
		{"\xff", false},
		{"\xe2\x82", false},
		{"a\xe2(b", false},
		{"\xf5\x80\x80\x80", false},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++)
		CHECK_EQ(sl_utf8_valid(rows[i].text, strlen(rows[i].text)), rows[i].ok);
	CHECK(sl_utf8_valid(NULL, 0));
	CHECK(sl_utf8_valid("\0", 1));
}

TEST(builder_adds_whole_pieces_until_one_does_not_fit)
{
	char text[12];
	struct sl_buf b = sl_buf(text, sizeof(text));

	CHECK_STR(text, "");
	sl_buf_z(&b, "ab");
	sl_buf_char(&b, '-');
	sl_buf_fmt(&b, "%d", 42);
	sl_buf_str(&b, SL_STR("xy"));
	CHECK_STR(text, "ab-42xy");
	sl_buf_fmt(&b, "%s", "12345");
	CHECK(b.full);
	CHECK_STR(text, "ab-42xy");
	sl_buf_char(&b, 'z');
	sl_buf_fmt(&b, "z");
	CHECK_STR(text, "ab-42xy");
	CHECK_EQ(b.n, 7);
}

TEST(builder_fills_to_the_last_byte_but_one)
{
	char text[4];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_buf_z(&b, "abc");
	CHECK(!b.full);
	CHECK_STR(text, "abc");
	b = sl_buf(text, sizeof(text));
	sl_buf_fmt(&b, "%03d", 7);
	CHECK(!b.full);
	CHECK_STR(text, "007");
	sl_buf_add(&b, NULL, 0);
	CHECK(!b.full);
}

TEST(fmt_says_when_it_cut)
{
	char text[4];

	CHECK(sl_fmt(text, sizeof(text), "%d", 123));
	CHECK(!sl_fmt(text, sizeof(text), "%d", 1234));
	CHECK_STR(text, "123");
}

static const char *json(struct sl_str s)
{
	static char text[200];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_buf_json(&b, s);
	return text;
}

TEST(json_strings_escape_what_is_not_plain_text)
{
	CHECK_STR(json(SL_STR("a/b c\xc3\xa4")), "\"a/b c\xc3\xa4\"");
	CHECK_STR(json(SL_STR("\"\\\n\r\t")), "\"\\\"\\\\\\n\\r\\t\"");
	CHECK_STR(json(SL_STR("\0\x1b\x7f")), "\"\\u0000\\u001b\\u007f\"");
	CHECK_STR(json(SL_STR("\xff"
			      "a\xc3")),
		  "\"\\ufffda\\ufffd\"");
	CHECK_STR(json(SL_STR("\xc2\x9b")), "\"\\u009b\""); /* CSI in one character */
	CHECK_STR(json(SL_STR("\xe2\x80\xae\xe2\x80\xa8")),
		  "\"\\u202e\\u2028\""); /* right-to-left; line */
	CHECK_STR(json(sl_str(NULL, 0)), "\"\"");
}

TEST(json_strings_fit_whole_or_leave_no_trace)
{
	char text[8];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_buf_json(&b, SL_STR("abcde"));
	CHECK_STR(text, "\"abcde\"");
	b = sl_buf(text, sizeof(text));
	sl_buf_char(&b, 'x');
	sl_buf_json(&b, SL_STR("abcde"));
	CHECK(b.full);
	CHECK_STR(text, "x");
}

TEST(json_strings_are_cut_between_characters)
{
	char text[40];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_buf_json_cut(&b,
			SL_STR("ab\xc3\xa4"
			       "c"),
			3);
	CHECK_STR(text, "\"ab...\"");
	b = sl_buf(text, sizeof(text));
	sl_buf_json_cut(&b, SL_STR("abc"), 3);
	CHECK_STR(text, "\"abc\"");
}

TEST(hex_goes_there_and_back)
{
	char text[9];
	uint8_t bytes[4];

	CHECK_EQ(sl_hex("\x00\x7f\xab\xff", 4, text, sizeof(text)), 8);
	CHECK_STR(text, "007fabff");
	CHECK_EQ(sl_hex("\x00\x7f\xab\xff", 4, text, 8), SL_EFULL);
	CHECK_EQ(sl_unhex(SL_STR("007fABff"), bytes, 4), 4);
	CHECK_BYTES(bytes, "\x00\x7f\xab\xff", 4);
	CHECK_EQ(sl_unhex(SL_STR("00f"), bytes, 4), SL_EPARSE);
	CHECK_EQ(sl_unhex(SL_STR("0g"), bytes, 4), SL_EPARSE);
	CHECK_EQ(sl_unhex(SL_STR("0011223344"), bytes, 4), SL_EFULL);
	CHECK_EQ(sl_unhex(SL_STR(""), bytes, 0), 0);
}

TEST(base64_gives_the_vectors_of_rfc_4648)
{
	static const struct {
		const char *plain, *padded, *url;
	} rows[] = {
		{"", "", ""},
		{"f", "Zg==", "Zg"},
		{"fo", "Zm8=", "Zm8"},
		{"foo", "Zm9v", "Zm9v"},
		{"foob", "Zm9vYg==", "Zm9vYg"},
		{"fooba", "Zm9vYmE=", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
		{"\xfb\xff\xfe", "+//+", "-__-"},
	};
	char text[16];
	uint8_t bytes[8];

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		size_t n = strlen(rows[i].plain);

		CHECK_EQ(sl_base64(rows[i].plain, n, text, sizeof(text)), strlen(rows[i].padded));
		CHECK_STR(text, rows[i].padded);
		CHECK_EQ(sl_base64url(rows[i].plain, n, text, sizeof(text)), strlen(rows[i].url));
		CHECK_STR(text, rows[i].url);
		CHECK_EQ(sl_unbase64(sl_str_z(rows[i].padded), bytes, sizeof(bytes)), n);
		CHECK_BYTES(bytes, rows[i].plain, n);
		CHECK_EQ(sl_unbase64(sl_str_z(rows[i].url), bytes, sizeof(bytes)), n);
		CHECK_BYTES(bytes, rows[i].plain, n);
	}
}

TEST(base64_that_is_not_the_one_text_of_its_bytes_is_refused)
{
	static const char *const bad[] = {"Z",	  "Zg=",   "Zg===",	"Zm9v====", "=",
					  "Zh==", "Zm9=",  "Zm 9",	"Zm9v\n",   "+-AA",
					  "Z=g=", "Zm9vY", "\xc3\xa4zz"};
	uint8_t bytes[16];

	for (size_t i = 0; i < SL_COUNT(bad); i++)
		CHECK_EQ(sl_unbase64(sl_str_z(bad[i]), bytes, sizeof(bytes)), SL_EPARSE);
	CHECK_EQ(sl_unbase64(SL_STR("Zm9v"), bytes, 2), SL_EFULL);
	CHECK_EQ(sl_unbase64(SL_STR("Zm9v"), bytes, 3), 3);
	CHECK_EQ(sl_base64("foo", 3, (char *)bytes, 4), SL_EFULL);
	CHECK_EQ(sl_base64("foo", 3, (char *)bytes, 5), 4);
}

TEST(base64_goes_there_and_back_for_any_length)
{
	struct sl_test_rng state;
	struct sl_rng rng = sl_test_rng(&state, 64);
	uint8_t in[100], out[100];
	char text[140];

	for (size_t n = 0; n <= sizeof(in); n++) {
		int len;

		sl_rng_fill(&rng, in, n);
		len = n % 2 ? sl_base64(in, n, text, sizeof(text))
			    : sl_base64url(in, n, text, sizeof(text));
		CHECK(len >= 0 && strlen(text) == (size_t)len);
		CHECK_EQ(sl_unbase64(sl_str_z(text), out, n), n);
		CHECK_BYTES(in, out, n);
	}
}

TEST(percent_decoding_refuses_bad_escapes_and_nul)
{
	char text[8];

	CHECK_EQ(sl_percent_decode(SL_STR("a%2Fb%c3%A4"), text, sizeof(text)), 5);
	CHECK_STR(text, "a/b\xc3\xa4");
	CHECK_EQ(sl_percent_decode(SL_STR("a+b"), text, sizeof(text)), 3);
	CHECK_STR(text, "a+b");
	CHECK_EQ(sl_percent_decode(SL_STR("1234567"), text, sizeof(text)), 7);
	CHECK_EQ(sl_percent_decode(SL_STR("12345678"), text, sizeof(text)), SL_EFULL);
	CHECK_EQ(sl_percent_decode(SL_STR("%"), text, sizeof(text)), SL_EPARSE);
	CHECK_EQ(sl_percent_decode(SL_STR("%4"), text, sizeof(text)), SL_EPARSE);
	CHECK_EQ(sl_percent_decode(SL_STR("%4x"), text, sizeof(text)), SL_EPARSE);
	CHECK_EQ(sl_percent_decode(SL_STR("a%00"), text, sizeof(text)), SL_EPARSE);
	CHECK_EQ(sl_percent_decode(SL_STR("a\0b"), text, sizeof(text)), SL_EPARSE);
	CHECK_EQ(sl_percent_decode(SL_STR(""), text, 0), SL_EFULL);
}

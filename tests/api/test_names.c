/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_int.h"
#include "tests/test.h"

TEST(names_of_one_to_64_characters_pass)
{
	static const char *const good[] = {
		"a",
		"room 1",
		"Zo\xc3\xab",
		"...",
		"a.b",
		"%2F",
		"\xf0\x9f\x8e\xa5",
		"~",
		"1234567890123456789012345678901234567890123456789012345678901234"};
	char longest[API_NAME_MAX + 1];

	for (size_t i = 0; i < SL_COUNT(good); i++)
		CHECK(!api_name_check(sl_str_z(good[i])));
	for (int i = 0; i < API_NAME_CHARS_MAX; i++)
		memcpy(longest + 4 * i, "\xf0\x9f\x8e\xa5", 4);
	CHECK(!api_name_check(sl_str(longest, API_NAME_MAX)));
}

TEST(t29_names_that_could_forge_or_confuse_are_refused)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{"", 0},
		{".", 1},
		{"..", 2},
		{"a/b", 3},
		{"a+b", 3},
		{"a\0b", 3},
		{"a\nb", 3},
		{"\x1b[2J", 4},
		{"\x7f", 1},
		{"\xc2\x9b", 2},
		{"\xc2\x85", 2},
		{"\xff", 1},
		{"\xc0\xaf", 2},
		{"\xed\xa0\x80", 3},
		{"\xf0\x9f\x8e", 3},
		{"\t", 1},
		{"12345678901234567890123456789012345678901234567890123456789012345", 65},
	};

	for (size_t i = 0; i < SL_COUNT(bad); i++)
		CHECK(api_name_check(sl_str(bad[i].p, bad[i].n)) != NULL);
}

TEST(what_may_not_stand_in_a_path_is_percent_encoded)
{
	char text[128];
	struct sl_buf b = sl_buf(text, sizeof(text));

	api_percent_encode(&b, SL_STR("/whip/Zo\xc3\xab & \"co\"\r\n"));
	CHECK_STR(text, "/whip/Zo%C3%AB%20%26%20%22co%22%0D%0A");
}

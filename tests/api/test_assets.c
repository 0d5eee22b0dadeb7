/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/api/rig.h"
#include <string.h>

static const struct {
	const char *path, *type;
} files[] = {
	{"/", "text/html; charset=utf-8"},
	{"/console.js", "text/javascript; charset=utf-8"},
	{"/console.css", "text/css; charset=utf-8"},
	{"/operator.html", "text/html; charset=utf-8"},
	{"/whip.html", "text/html; charset=utf-8"},
	{"/sluice.js", "text/javascript; charset=utf-8"},
	{"/icon.svg", "image/svg+xml"},
};

TEST(pages_and_what_they_load_are_in_the_binary_and_load_nothing_else)
{
	RIG();
	for (size_t i = 0; i < SL_COUNT(files); i++) {
		const struct answer *a = ask("GET", files[i].path, "", "");

		CHECK_EQ(a->status, 200);
		CHECK_STR(answer_header(a, "Content-Type"), files[i].type);
		CHECK(strstr(answer_header(a, "Content-Security-Policy"), "default-src 'self'"));
		CHECK(!strstr(a->body, "<script>"));
		CHECK(!strstr(a->body, " style=\""));
	}
	CHECK_EQ(ask("GET", "/console", "", "")->status, 404);
	CHECK_EQ(ask("DELETE", "/console.js", "", "")->status, 405);
}

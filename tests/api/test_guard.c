/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_int.h"
#include "tests/test.h"

static int judge(enum api_method m, bool te, int lengths, const char *length, int hosts,
		 const char *host, const char *version)
{
	struct api_framing f = {.transfer_encoding = te,
				.length_count = lengths,
				.length = sl_str_z(length),
				.host_count = hosts,
				.host = sl_str_z(host),
				.version = sl_str_z(version),
				.method = m,
				.max_body = 1000};
	const char *why;
	uint64_t n;
	int status = api_guard(&f, &n, &why);

	CHECK(status == 0 || why[0]);
	CHECK(status != 0 || n <= 1000);
	return status;
}

TEST(t26_only_plain_framing_passes)
{
	static const struct {
		enum api_method m;
		bool te;
		int lengths;
		const char *length;
		int hosts;
		const char *host, *version;
		int want;
	} t[] = {
		{API_GET, false, 0, "", 1, "a", "HTTP/1.1", 0},
		{API_GET, false, 0, "", 1, "a", "HTTP/1.0", 0},
		{API_POST, false, 1, "0", 1, "a", "HTTP/1.1", 0},
		{API_POST, false, 1, "1000", 1, "a", "HTTP/1.1", 0},
		{API_POST, false, 1, "0001", 1, "a", "HTTP/1.1", 0},
		{API_DELETE, false, 1, "0", 1, "a", "HTTP/1.1", 0},
		{API_POST, false, 1, "1001", 1, "a", "HTTP/1.1", 413},
		{API_POST, false, 1, "99999999999999999999999", 1, "a", "HTTP/1.1", 413},
		{API_POST, false, 1, "18446744073709551617", 1, "a", "HTTP/1.1", 413},
		{API_POST, true, 0, "", 1, "a", "HTTP/1.1", 411},
		{API_POST, true, 1, "5", 1, "a", "HTTP/1.1", 411},
		{API_GET, true, 0, "", 1, "a", "HTTP/1.1", 411},
		{API_POST, false, 0, "", 1, "a", "HTTP/1.1", 411},
		{API_PATCH, false, 0, "", 1, "a", "HTTP/1.1", 411},
		{API_PUT, false, 0, "", 1, "a", "HTTP/1.1", 411},
		{API_POST, false, 2, "5", 1, "a", "HTTP/1.1", 400},
		{API_POST, false, 1, "", 1, "a", "HTTP/1.1", 400},
		{API_POST, false, 1, "3, 5", 1, "a", "HTTP/1.1", 400},
		{API_POST, false, 1, "+3", 1, "a", "HTTP/1.1", 400},
		{API_POST, false, 1, "3abc", 1, "a", "HTTP/1.1", 400},
		{API_POST, false, 1, "-1", 1, "a", "HTTP/1.1", 400},
		{API_POST, false, 1, "0x3", 1, "a", "HTTP/1.1", 400},
		{API_POST, false, 1, "3 ", 1, "a", "HTTP/1.1", 400},
		{API_POST, false, 1, "1e1", 1, "a", "HTTP/1.1", 400},
		{API_GET, false, 1, "5", 1, "a", "HTTP/1.1", 400},
		{API_HEAD, false, 1, "5", 1, "a", "HTTP/1.1", 400},
		{API_OPTIONS, false, 1, "5", 1, "a", "HTTP/1.1", 400},
		{API_DELETE, false, 1, "5", 1, "a", "HTTP/1.1", 400},
		{API_GET, false, 0, "", 0, "", "HTTP/1.1", 400},
		{API_GET, false, 0, "", 2, "a", "HTTP/1.1", 400},
		{API_GET, false, 0, "", 1, "", "HTTP/1.1", 400},
		{API_GET, false, 0, "", 1, "a", "HTTP/2.0", 505},
		{API_GET, false, 0, "", 1, "a", "HTTP/1.2", 505},
		{API_GET, false, 0, "", 1, "a", "", 505},
	};

	for (size_t i = 0; i < SL_COUNT(t); i++)
		CHECK_EQ(judge(t[i].m, t[i].te, t[i].lengths, t[i].length, t[i].hosts, t[i].host,
			       t[i].version),
			 t[i].want);
}

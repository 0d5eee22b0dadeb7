/* SPDX-License-Identifier: Apache-2.0
 * api/guard.c — the framing of a request, judged before any handler. The library reads lengths
 * leniently and takes a chunked body for none, so whatever is not plain is refused and the
 * connection closed (RFC 9112 section 6.3). */
#include "api/api_int.h"

static int judge_length(const struct api_framing *f, uint64_t *body_len, const char **why)
{
	bool too_long = true;

	if (f->length_count > 1) {
		*why = "more than one Content-Length";
		return 400;
	}
	for (size_t i = 0; i < f->length.n; i++)
		too_long = too_long && f->length.p[i] >= '0' && f->length.p[i] <= '9';
	if (f->length.n == 0 || !too_long) {
		*why = "Content-Length is not one run of digits";
		return 400;
	}
	if (!sl_str_u64(f->length, f->max_body, body_len)) {
		*why = "the body is larger than http.max_body";
		return 413;
	}
	return 0;
}

static bool takes_body(enum api_method m)
{
	return m == API_POST || m == API_PATCH || m == API_PUT;
}

int api_guard(const struct api_framing *f, uint64_t *body_len, const char **why)
{
	int status = 0;

	*body_len = 0;
	*why = "";
	if (f->transfer_encoding) {
		*why = "Transfer-Encoding is not supported: send a Content-Length";
		return 411;
	}
	if (f->length_count != 0)
		status = judge_length(f, body_len, why);
	if (status)
		return status;
	/* RFC 9112 section 3.2: a server must answer 400 to a request without, or with more than
	 * one, Host. */
	if (f->host_count != 1 || f->host.n == 0) {
		*why = "there must be exactly one Host";
		return 400;
	}
	if (!sl_str_eq(f->version, SL_STR("HTTP/1.1")) &&
	    !sl_str_eq(f->version, SL_STR("HTTP/1.0"))) {
		*why = "only HTTP/1.1 and HTTP/1.0 are spoken here";
		return 505;
	}
	if (takes_body(f->method) && f->length_count == 0) {
		*why = "a Content-Length is needed";
		return 411;
	}
	if (!takes_body(f->method) && *body_len > 0) {
		*why = "this method takes no body";
		return 400;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 * api/problem.c — what a client gets when something is wrong: RFC 9457. */
#include "api/api_int.h"
#include <stdio.h>

static const struct {
	int status;
	const char *text;
} texts[] = {
	{200, "OK"},
	{201, "Created"},
	{204, "No Content"},
	{304, "Not Modified"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{409, "Conflict"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Content"},
	{426, "Upgrade Required"},
	{428, "Precondition Required"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{503, "Service Unavailable"},
	{505, "HTTP Version Not Supported"},
};

const char *api_status_text(int status)
{
	for (size_t i = 0; i < SL_COUNT(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

static void problem(struct api_conn *c, int status, const char *field, const char *detail)
{
	char body[3800];
	struct sl_buf b = sl_buf(body, sizeof(body));

	sl_buf_fmt(&b, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
		   api_status_text(status), status);
	sl_buf_json(&b, sl_str_z(detail));
	if (field) {
		sl_buf_z(&b, ",\"field\":");
		sl_buf_json(&b, sl_str_z(field));
	}
	sl_buf_z(&b, "}\n");
	SL_LOG(DEBUG, HTTP, "request refused", SL_KA("peer", &c->peer), SL_KI("status", status),
	       SL_KS("method", api_method_name(c->req.method)),
	       SL_KSTR("path", api_log_path(&c->req)), SL_KS("why", detail));
	api_respond(c, status, "application/problem+json", body, b.n);
}

void api_problem(struct api_conn *c, int status, const char *fmt, ...)
{
	char detail[384];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	problem(c, status, NULL, detail);
}

void api_problem_at(struct api_conn *c, int status, const char *field, const char *fmt, ...)
{
	char detail[384];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	problem(c, status, field, detail);
}

void api_busy(struct api_conn *c, int retry_after_s, const char *why)
{
	api_header(c, "Retry-After", "%d", retry_after_s);
	api_problem(c, 503, "%s", why);
}

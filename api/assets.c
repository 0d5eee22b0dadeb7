/* SPDX-License-Identifier: Apache-2.0
 * api/assets.c — the page, embedded. A file of api/web/ that the table names and that exists is
 * served as it is. */
#include "api/api_int.h"

#define EMBED(symbol, path)                                                                        \
	__asm__(".pushsection .rodata\n.global api_web_" #symbol "\n.global api_web_" #symbol      \
		"_end\n"                                                                           \
		"api_web_" #symbol ":\n.incbin \"" path "\"\napi_web_" #symbol                     \
		"_end:\n.byte 0\n.popsection\n");                                                  \
	extern const char api_web_##symbol[], api_web_##symbol##_end[]

EMBED(index, "api/web/index.html");
#if __has_include("api/web/app.js")
EMBED(app, "api/web/app.js");
#endif
#if __has_include("api/web/style.css")
EMBED(style, "api/web/style.css");
#endif

static const struct {
	const char *path, *type, *start, *end;
} assets[] = {
	{"/", "text/html; charset=utf-8", api_web_index, api_web_index_end},
#if __has_include("api/web/app.js")
	{"/app.js", "text/javascript; charset=utf-8", api_web_app, api_web_app_end},
#endif
#if __has_include("api/web/style.css")
	{"/style.css", "text/css; charset=utf-8", api_web_style, api_web_style_end},
#endif
};

static void serve(struct api_conn *c, const char *type, const char *data, size_t len)
{
	/* The key is public: this is a version, not a secret. */
	static const uint64_t key[2] = {UINT64_C(0x736c756963652077), UINT64_C(0x6562207061676573)};
	char etag[32];

	(void)sl_fmt(etag, sizeof(etag), "\"%016llx\"",
		     (unsigned long long)sl_siphash13(key, data, len));
	c->res.cacheable = true;
	api_header(c, "Cache-Control", "no-cache");
	api_header(c, "ETag", "%s", etag);
	if (strstr(c->req.if_none_match, etag)) {
		api_respond_static(c, 304, NULL, NULL, 0);
		return;
	}
	api_header(c, "Content-Security-Policy",
		   "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
		   "frame-ancestors 'none'");
	api_header(c, "Referrer-Policy", "no-referrer");
	api_respond_static(c, 200, type, data, len);
}

void api_asset_get(struct api_conn *c)
{
	for (size_t i = 0; i < SL_COUNT(assets); i++)
		if (strcmp(c->req.path, assets[i].path) == 0) {
			serve(c, assets[i].type, assets[i].start,
			      (size_t)(assets[i].end - assets[i].start));
			return;
		}
	api_problem(c, 404, "there is no such path");
}

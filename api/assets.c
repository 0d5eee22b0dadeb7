/* SPDX-License-Identifier: Apache-2.0
 * api/assets.c — the pages, embedded. The files of api/web/ that the table names are served as they
 * are. */
#include "api/api_int.h"

#define EMBED(symbol, path)                                                                        \
	__asm__(".pushsection .rodata\n.global api_web_" #symbol "\n.global api_web_" #symbol      \
		"_end\n"                                                                           \
		"api_web_" #symbol ":\n.incbin \"api/web/" path "\"\napi_web_" #symbol             \
		"_end:\n.byte 0\n.popsection\n");                                                  \
	extern const char api_web_##symbol[], api_web_##symbol##_end[];

#define HTML "text/html; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"
#define STYLE "text/css; charset=utf-8"

/* clang-format off */
#define FILES(X) \
	X(whip,         "whip.html",     HTML)    /* publish by WHIP, play by WHEP */ \
	X(app,          "app.js",        SCRIPT) \
	X(style,        "style.css",     STYLE) \
	X(console,      "console.html",  HTML)    /* join a room: / too */ \
	X(console_js,   "console.js",    SCRIPT) \
	X(console_css,  "console.css",   STYLE) \
	X(devices,      "devices.js",    SCRIPT) \
	X(synthetic,    "synthetic.js",  SCRIPT) \
	X(tiles,        "tiles.js",      SCRIPT) \
	X(operator,     "operator.html", HTML) \
	X(operator_js,  "operator.js",   SCRIPT) \
	X(operator_css, "operator.css",  STYLE) \
	X(plot,         "plot.js",       SCRIPT) \
	X(icon,         "icon.svg",      "image/svg+xml") \
	X(sluice,       "sluice.js",     SCRIPT)  /* for pages of others, too */
/* clang-format on */

#define EMBED_FILE(symbol, path, type) EMBED(symbol, path)
FILES(EMBED_FILE)

static const struct asset {
	const char *path, *type, *start, *end;
} assets[] = {{"/", HTML, api_web_console, api_web_console_end},
#define ROW(symbol, path, type) {"/" path, type, api_web_##symbol, api_web_##symbol##_end},
	      FILES(ROW)
#undef ROW
};

static const struct asset *find(const char *path)
{
	for (size_t i = 0; i < SL_COUNT(assets); i++)
		if (strcmp(path, assets[i].path) == 0)
			return &assets[i];
	return NULL;
}

bool api_asset_is(const char *path)
{
	return find(path);
}

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
	const struct asset *a = find(c->req.path);

	if (a)
		serve(c, a->type, a->start, (size_t)(a->end - a->start));
	else
		api_problem(c, 404, "there is no such path");
}

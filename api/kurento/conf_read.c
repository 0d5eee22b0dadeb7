/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/conf_read.c — the two forms of Kurento's configuration files that are read. */
#include "api/kurento/conf.h"

enum { PATH_MAX_LEN = 256, DEPTH_MAX = 16 };

struct reader {
	char *p;
	size_t line;
	kms_leaf_fn fn;
	void *arg;
	struct kms_conf_why *why;
	struct sl_buf path, exact; /* of struct kms_leaf */
	unsigned depth;
	size_t index; /* of the next item of an array */
	bool comment; /* below a key that begins with "//" */
	char path_text[PATH_MAX_LEN];
	char exact_text[2 * PATH_MAX_LEN];
};
struct mark {
	size_t path, exact;
};

static int wrong(struct reader *r, const char *text)
{
	r->why->line = r->line;
	r->why->text = text;
	return SL_EPARSE;
}

static int tell(struct reader *r, size_t line, const char *value)
{
	struct kms_leaf leaf = {
		.path = r->path_text, .exact = r->exact_text, .value = value, .line = line};

	return r->comment ? SL_OK : r->fn(r->arg, &leaf);
}

static struct mark mark(const struct reader *r)
{
	return (struct mark){r->path.n, r->exact.n};
}

/* One part more on the path; cut() takes it off again. */
static bool push(struct reader *r, const char *part)
{
	if (r->path.n > 0)
		sl_buf_char(&r->path, '.');
	sl_buf_z(&r->path, part);
	sl_buf_fmt(&r->exact, "%c%s", KMS_LEAF_MEMBER, part);
	return !r->path.full && !r->exact.full;
}

static bool push_item(struct reader *r)
{
	sl_buf_fmt(&r->exact, "%c%zu", KMS_LEAF_ITEM, r->index);
	return !r->exact.full;
}

static void cut_buf(struct sl_buf *b, size_t n)
{
	b->n = n;
	b->full = false;
	b->p[n] = '\0';
}

static void cut(struct reader *r, struct mark had)
{
	cut_buf(&r->path, had.path);
	cut_buf(&r->exact, had.exact);
}

static void start(struct reader *r, char *text, kms_leaf_fn fn, void *arg, struct kms_conf_why *why)
{
	*r = (struct reader){.p = text, .line = 1, .fn = fn, .arg = arg, .why = why};
	r->path = sl_buf(r->path_text, sizeof(r->path_text));
	r->exact = sl_buf(r->exact_text, sizeof(r->exact_text));
}

/* ================= JSON ================= */

/* Past a comment that begins here; false: none does. */
static bool skip_comment(struct reader *r)
{
	bool block = r->p[0] == '/' && r->p[1] == '*';

	if (!block && (r->p[0] != '/' || r->p[1] != '/'))
		return false;
	for (; *r->p && (block ? r->p[0] != '*' || r->p[1] != '/' : *r->p != '\n'); r->p++)
		r->line += *r->p == '\n';
	if (block && *r->p)
		r->p += 2;
	return true;
}

/* The next character that counts. */
static char look(struct reader *r)
{
	for (;; r->p++) {
		while (skip_comment(r)) {
		}
		if (*r->p == '\n')
			r->line++;
		else if (!*r->p || !strchr(" \t\r", *r->p))
			return *r->p;
	}
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at && c > ' ' ? (int)(at - digits) : -1;
}

/* The code point of four hex digits; 0: they are none, or NUL, or half of a pair, which nothing in
 * these files needs. */
static uint32_t code_point(const char *p)
{
	uint32_t code = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return 0;
		code = code << 4 | (uint32_t)digit;
	}
	return code >= 0xd800 && code < 0xe000 ? 0 : code;
}

/* RFC 3629 section 3; at most three bytes. */
static size_t put_utf8(char *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	out[0] = (char)(0xe0 | code >> 12);
	out[1] = (char)(0x80 | (code >> 6 & 0x3f));
	out[2] = (char)(0x80 | (code & 0x3f));
	return 3;
}

/* Undoes the escape behind a backslash at p; *used: characters of it. How many bytes it is: 0, it
 * is none. */
static size_t escape(const char *p, char *out, size_t *used)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *at = *p ? strchr(from, *p) : NULL;
	uint32_t code = *p == 'u' ? code_point(p + 1) : 0;

	*used = at ? 1 : 5;
	if (!at)
		return code ? put_utf8(out, code) : 0;
	*out = to[at - from];
	return 1;
}

/* The string that begins here, without its quotes; NULL: it is wrong. */
static char *string(struct reader *r)
{
	char *begin = ++r->p;
	char *to = begin;

	while (*r->p && *r->p != '"' && *r->p != '\n') {
		size_t used;
		size_t bytes;

		if (*r->p != '\\') {
			*to++ = *r->p++;
			continue;
		}
		/* Never longer than what it stands for. */
		bytes = escape(r->p + 1, to, &used);
		if (bytes == 0)
			return NULL;
		to += bytes;
		r->p += 1 + used;
	}
	if (*r->p != '"')
		return NULL;
	r->p++;
	*to = '\0';
	return begin;
}

static int value(struct reader *r);

/* A number, true, false or null: it is copied, for the bracket behind it is still to be read. */
static int scalar(struct reader *r)
{
	size_t n = strspn(r->p, "0123456789+-.abcdefghijklmnopqrstuvwxyzE");
	char text[64];

	if (n == 0 || !sl_str_copy(text, sizeof(text), sl_str(r->p, n)))
		return wrong(r, "a value is wanted here");
	r->p += n;
	return strcmp(text, "null") == 0 ? SL_OK : tell(r, r->line, text);
}

static int member(struct reader *r)
{
	struct mark had = mark(r);
	bool was_comment = r->comment;
	char *key;
	int err;

	if (look(r) != '"' || (key = string(r)) == NULL)
		return wrong(r, "a key in quotes is wanted here");
	if (look(r) != ':')
		return wrong(r, "a colon is wanted behind a key");
	r->p++;
	r->comment = was_comment || (key[0] == '/' && key[1] == '/');
	if (!push(r, r->comment ? "" : key))
		return wrong(r, "a key this long does not exist");
	err = value(r);
	r->comment = was_comment;
	cut(r, had);
	return err;
}

static int item(struct reader *r)
{
	struct mark had = mark(r);
	int err = push_item(r) ? value(r) : wrong(r, "nested too deep");

	cut(r, had);
	return err;
}

/* An object or an array, from its bracket on. */
static int many(struct reader *r, char end, int (*one)(struct reader *))
{
	size_t index = 0;
	int err = SL_OK;

	if (++r->depth > DEPTH_MAX)
		return wrong(r, "nested too deep");
	r->p++;
	while (!err && look(r) != end) {
		r->index = index++;
		err = one(r);
		if (!err && look(r) == ',')
			r->p++;
		else if (!err && *r->p != end)
			err = wrong(r, "a comma or the closing bracket is wanted here");
	}
	r->p += !err;
	r->depth--;
	return err;
}

static int value(struct reader *r)
{
	char first = look(r);
	size_t line = r->line;
	char *text;

	if (first == '{')
		return many(r, '}', member);
	if (first == '[')
		return many(r, ']', item);
	if (first != '"')
		return scalar(r);
	text = string(r);
	return text ? tell(r, line, text)
		    : wrong(r, "this string does not end, or has a bad escape");
}

int kms_conf_json(char *text, kms_leaf_fn fn, void *arg, struct kms_conf_why *why)
{
	struct reader r;
	int err;

	start(&r, text, fn, arg, why);
	if (look(&r) != '{')
		return wrong(&r, "an object is wanted: the file begins with {");
	err = value(&r);
	if (!err && look(&r))
		err = wrong(&r, "there is something behind the last bracket");
	return err;
}

/* ================= INI ================= */

/* Dots part a name, as objects part a path. */
static bool push_parts(struct reader *r, struct sl_str name)
{
	char part[PATH_MAX_LEN];
	bool fits = true;

	while (fits && name.n > 0)
		fits = sl_str_copy(part, sizeof(part), sl_str_cut(&name, '.')) && push(r, part);
	return fits;
}

static int ini_setting(struct reader *r, struct sl_str line)
{
	struct sl_str rest = line;
	struct sl_str key = sl_str_trim(sl_str_cut(&rest, '='));
	struct sl_str text = sl_str_trim(rest);
	struct mark had = mark(r);
	char copy[1024];
	int err;

	if (key.n == 0 || !memchr(line.p, '=', line.n))
		return wrong(r, "key=value is wanted here");
	if (!push_parts(r, key))
		return wrong(r, "a key this long does not exist");
	err = sl_str_copy(copy, sizeof(copy), text) ? tell(r, r->line, copy)
						    : wrong(r, "this value is too long");
	cut(r, had);
	return err;
}

static int ini_line(struct reader *r, struct sl_str line)
{
	if (line.n == 0 || line.p[0] == ';' || line.p[0] == '#')
		return SL_OK;
	if (line.p[0] != '[')
		return ini_setting(r, line);
	cut(r, (struct mark){0, 0});
	if (line.p[line.n - 1] != ']' || !push_parts(r, sl_str(line.p + 1, line.n - 2)))
		return wrong(r, "a section is written [section]");
	return SL_OK;
}

/* sl_str_trim() takes blanks only; files of other systems end lines by CR LF. */
static struct sl_str without_cr(struct sl_str line)
{
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return sl_str_trim(line);
}

int kms_conf_ini(char *text, kms_leaf_fn fn, void *arg, struct kms_conf_why *why)
{
	struct sl_str rest = sl_str_z(text);
	struct reader r;
	int err = SL_OK;

	start(&r, text, fn, arg, why);
	for (; !err && rest.n > 0; r.line++)
		err = ini_line(&r, without_cr(sl_str_cut(&rest, '\n')));
	return err;
}

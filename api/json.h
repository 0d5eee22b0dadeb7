/* SPDX-License-Identifier: Apache-2.0
 * api/json.h — JSON of clients: read it safely, name what is wrong with it, write answers.
 * What:      a scanner that refuses what the parser behind it (cJSON) would take too generously,
 * getters that check type and range and name the field, and a writer for bodies and events. RFCs:
 * 8259 (JSON), 6901 (the pointers that name a field), 3629 (UTF-8). Deviates:  stricter than RFC
 * 8259 where it leaves the choice: no byte order mark, no key twice in one object, no \u0000, no
 * lone surrogates, numbers of at most 40 characters. Why first: cJSON by itself accepts trailing
 * garbage, invalid UTF-8 and \u0000 (which cuts a string silently), takes the first of two equal
 * keys where others take the last, and turns 1 MiB of "[0,0,..." into 42 MB. Memory:    the scanner
 * takes at most one block: 16 bytes for each of the keys there may be, times two to four. Parsing
 *            takes a copy of the text and what cJSON needs: bounded by the text and the number of
 * values. Threads:   the control thread only (cJSON's allocator hooks are global). Start at:
 * api_json_parse(), api_json_root(), api_json_get_str(); api_json_out_init() to write. */
#ifndef SL_API_JSON_H
#define SL_API_JSON_H
#include "core/base/base.h"
#include "core/base/str.h"
#include <cjson/cJSON.h>

struct sl_rng;

enum {
	API_JSON_BYTES_MAX = 1 << 20,
	API_JSON_DEPTH_MAX = 32,
	API_JSON_VALUES_MAX = 4096,
	API_JSON_NUMBER_MAX = 40
};

/* A zero stands for the default above. No depth over API_JSON_DEPTH_MAX. Values are scalars,
 * objects and arrays; keys do not count. */
struct api_json_limits {
	size_t bytes;
	uint32_t depth, values;
};

/* What is wrong, for a problem body: whole sentences that quote the client's text only escaped and
 * cut. */
struct api_json_why {
	size_t at;	 /* byte in the text, when it is not JSON */
	char field[160]; /* else a JSON pointer, like "/publish/0/kind"; "" is the whole */
	char text[320];
};

/* ---- json.c ---- */

/* Keys are hashed with a secret, so that no client can choose keys that collide. Once, at start. */
void api_json_seed(const struct sl_rng *rng);
/* Is the text one JSON value within limits (NULL: the defaults)? SL_EPARSE: no; SL_EFULL: too long,
 * too deep or too many values; SL_ENOMEM. *why is filled on any failure. Time is linear in the
 * text. */
SL_MUST_USE int api_json_scan(struct sl_str text, const struct api_json_limits *limits,
			      struct api_json_why *why);
/* Scans, then parses; the text need not be NUL-terminated. Errors as above. Free the tree with
 * api_json_free(). */
SL_MUST_USE int api_json_parse(struct sl_str text, const struct api_json_limits *limits,
			       cJSON **out, struct api_json_why *why);
void api_json_free(cJSON *tree); /* takes NULL */
/* The HTTP status of an error of this header: 400, 413, 422 or 503. */
int api_json_status(int err);

/* ---- json_get.c: look-ups are exact, case included ---- */

enum api_json_need { API_JSON_OPTIONAL, API_JSON_REQUIRED };

/* A value and the way to it. Lives on the caller's stack, no longer than what `up` points to. */
struct api_json_at {
	const cJSON *v; /* borrowed; NULL: not there */
	const struct api_json_at *up;
	const char *key; /* in `up`, or NULL: item `index` of it */
	size_t index;
	struct api_json_why *why; /* where errors go */
};

struct api_json_at api_json_root(const cJSON *tree, struct api_json_why *why);

/* All of these return 1, or a negative error with *why filled: SL_ENOTFOUND for a required field
 * that is not there, SL_ERANGE for a wrong type or value; and 0, leaving *out as it is, for an
 * optional field that is not there. null is a value of the wrong type for all but api_json_get().
 */
/* *out can be handed to api_json_wrong() even when nothing is there (then out->v is NULL). */
SL_MUST_USE int api_json_get(const struct api_json_at *obj, const char *key,
			     enum api_json_need need, struct api_json_at *out);
SL_MUST_USE int api_json_get_object(const struct api_json_at *obj, const char *key,
				    enum api_json_need need, struct api_json_at *out);
SL_MUST_USE int api_json_get_array(const struct api_json_at *obj, const char *key,
				   enum api_json_need need, size_t items_max,
				   struct api_json_at *out);
/* min to max bytes; NUL-terminated as well, and without a NUL inside. It lives as long as the tree.
 */
SL_MUST_USE int api_json_get_str(const struct api_json_at *obj, const char *key,
				 enum api_json_need need, size_t min, size_t max,
				 struct sl_str *out);
/* Whole numbers: what a double holds exactly, so never beyond 2^53 - 1, whatever min and max are.
 */
SL_MUST_USE int api_json_get_int(const struct api_json_at *obj, const char *key,
				 enum api_json_need need, int64_t min, int64_t max, int64_t *out);
SL_MUST_USE int api_json_get_num(const struct api_json_at *obj, const char *key,
				 enum api_json_need need, double min, double max, double *out);
SL_MUST_USE int api_json_get_bool(const struct api_json_at *obj, const char *key,
				  enum api_json_need need, bool *out);
/* One of n words: its index. */
SL_MUST_USE int api_json_get_word(const struct api_json_at *obj, const char *key,
				  enum api_json_need need, const char *const *words, size_t n,
				  size_t *out);
/* An array of such words, n <= 32: bit i for words[i]. */
SL_MUST_USE int api_json_get_words(const struct api_json_at *obj, const char *key,
				   enum api_json_need need, const char *const *words, size_t n,
				   uint32_t *out);

/* The same for a value that is at hand: an item of an array, or the whole. */
SL_MUST_USE int api_json_object(const struct api_json_at *at);
SL_MUST_USE int api_json_array(const struct api_json_at *at, size_t items_max);
SL_MUST_USE int api_json_str(const struct api_json_at *at, size_t min, size_t max,
			     struct sl_str *out);
SL_MUST_USE int api_json_int(const struct api_json_at *at, int64_t min, int64_t max, int64_t *out);
SL_MUST_USE int api_json_num(const struct api_json_at *at, double min, double max, double *out);
SL_MUST_USE int api_json_bool(const struct api_json_at *at, bool *out);
SL_MUST_USE int api_json_word(const struct api_json_at *at, const char *const *words, size_t n,
			      size_t *out);
SL_MUST_USE int api_json_words(const struct api_json_at *at, const char *const *words, size_t n,
			       uint32_t *out);
bool api_json_is_null(const struct api_json_at *at);

/* Walks the items of an array or the members of an object: start with a zeroed *item; false at the
 * end. */
bool api_json_next(const struct api_json_at *list, struct api_json_at *item);
/* SL_OK when the object has no keys but these, else SL_ERANGE. */
SL_MUST_USE int api_json_only(const struct api_json_at *obj, const char *const *keys, size_t n);
/* Says that this value will not do, in words that follow its name: "must not be in the past".
 * Returns err. */
int api_json_wrong(const struct api_json_at *at, int err, const char *fmt, ...) SL_PRINTF(3, 4);

/* ---- json_out.c ---- */

/* Text that grows up to a cap and fails as a whole: after the first failure nothing is added, and
 * taking it says why. */
struct api_json_out {
	/* owned */
	struct sl_buf b;
	/* state */
	size_t max;
	uint32_t depth;
	bool more; /* a value stands before this place */
	int err;
};

/* At most `max` bytes of text. Takes no memory yet. */
void api_json_out_init(struct api_json_out *o, size_t max);
void api_json_out_fini(struct api_json_out *o); /* takes a zeroed one */
/* Empty again; the memory and the cap stay. */
void api_json_out_reset(struct api_json_out *o);
/* Key NULL: an item of an array, or the whole. */
void api_json_open_object(struct api_json_out *o, const char *key);
void api_json_close_object(struct api_json_out *o);
void api_json_open_array(struct api_json_out *o, const char *key);
void api_json_close_array(struct api_json_out *o);
void api_json_put_str(struct api_json_out *o, const char *key, struct sl_str s);
void api_json_put_z(struct api_json_out *o, const char *key,
		    const char *z); /* NULL is written as null */
void api_json_put_int(struct api_json_out *o, const char *key, int64_t v);
void api_json_put_u64(struct api_json_out *o, const char *key, uint64_t v);
void api_json_put_num(struct api_json_out *o, const char *key,
		      double v); /* null when it is not finite */
void api_json_put_bool(struct api_json_out *o, const char *key, bool v);
void api_json_put_null(struct api_json_out *o, const char *key);
void api_json_put_raw(struct api_json_out *o, const char *key, struct sl_str json);
/* A value that was read, written again. */
void api_json_put_tree(struct api_json_out *o, const char *key, const cJSON *v);
/* What was written, as long as *o is left alone. SL_ENOMEM, or SL_EFULL past the cap. */
SL_MUST_USE int api_json_out_text(const struct api_json_out *o, struct sl_str *out);
/* Hands the text over (NUL-terminated; sl_free() it) and leaves *o as after fini, whatever it
 * returns. */
SL_MUST_USE int api_json_out_take(struct api_json_out *o, char **text, size_t *len);
#endif

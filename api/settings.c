/* SPDX-License-Identifier: Apache-2.0
 * api/settings.c — what can be set of a room: defaults, what a request asks for, and what follows
 * for those who come. */
#include "api/rest.h"

/* A camera's share never makes it useless. */
enum { SHARE_MIN_BPS = 150000 };

/* ================= values ================= */

void api_room_set_default(const struct sl_api *api, struct api_room_set *out)
{
	*out = (struct api_room_set){.linger_us = api->conf->rooms.linger_us, .max_video_bps = -1};
}

void api_room_set_fini(struct api_room_set *set)
{
	sl_free(set->names);
	*set = (struct api_room_set){0};
}

int api_room_set_copy(const struct api_room_set *from, struct api_room_set *out)
{
	*out = *from;
	if (!from->names)
		return SL_OK;
	out->names = sl_zalloc(from->names_len);
	if (!out->names)
		return SL_ENOMEM;
	memcpy(out->names, from->names, from->names_len);
	return SL_OK;
}

void api_room_etag(const struct sl_api *api, const struct api_room_set *set, char out[API_ETAG])
{
	int64_t n[] = {set->linger_us, set->max_video_bps, set->capacity, set->codecs,
		       (int64_t)set->publishers};
	uint64_t h = sl_siphash13(api->secret, n, sizeof(n)) ^
		     sl_siphash13(api->secret + 2, set->names ? set->names : "", set->names_len);

	(void)sl_fmt(out, API_ETAG, "%016llx", (unsigned long long)h);
}

/* ================= reading ================= */

/* An index of api_codec_words is a codec that is forwarded. */
static enum sl_codec codec_of_word(size_t i)
{
	for (int c = SL_CODEC_NONE + 1; c < SL_CODEC_COUNT; c++) {
		const struct sl_codec_info *info = sl_codec_info((enum sl_codec)c);

		if (info->forwarded && strcmp(info->name, api_codec_words[i]) == 0)
			return (enum sl_codec)c;
	}
	return SL_CODEC_NONE;
}

static size_t codec_words(void)
{
	size_t n = 0;

	while (api_codec_words[n])
		n++;
	return n;
}

static int read_codecs(const struct api_json_at *root, struct api_room_set *out)
{
	struct api_json_at at;
	uint32_t words = 0;
	int rc = api_json_get(root, "codecs", API_JSON_OPTIONAL, &at);

	if (rc <= 0)
		return rc;
	out->codecs = 0;
	if (api_json_is_null(&at))
		return SL_OK;
	rc = api_json_words(&at, api_codec_words, codec_words(), &words);
	if (rc < 0)
		return rc;
	if (words == 0)
		return api_json_wrong(&at, SL_ERANGE, "must name at least one codec");
	for (size_t i = 0; api_codec_words[i]; i++)
		if (words >> i & 1)
			out->codecs |= UINT32_C(1) << codec_of_word(i);
	return SL_OK;
}

/* The names' bytes, with a NUL each; every item is looked at before anything is kept. */
static int measure_names(const struct api_json_at *list, size_t *len, size_t *count)
{
	struct api_json_at item = {0};
	struct sl_str name;
	int rc = api_json_array(list, API_PUBLISHERS_MAX);

	*len = *count = 0;
	while (rc >= 0 && api_json_next(list, &item)) {
		const char *why;

		rc = api_json_str(&item, 1, API_NAME_MAX, &name);
		if (rc < 0)
			return rc;
		why = api_name_check(name);
		if (why)
			return api_json_wrong(&item, SL_ERANGE, "%s", why);
		*len += name.n + 1;
		*count += 1;
	}
	return rc;
}

static int read_names(const struct api_json_at *list, struct api_room_set *out)
{
	struct api_json_at item = {0};
	size_t len, count, off = 0;
	int rc = measure_names(list, &len, &count);
	char *names;

	if (rc < 0)
		return rc;
	names = sl_zalloc(len + 1);
	if (!names)
		return api_json_wrong(list, SL_ENOMEM, "is too much: out of memory");
	while (api_json_next(list, &item)) {
		size_t n = strlen(item.v->valuestring) + 1;

		memcpy(names + off, item.v->valuestring, n);
		off += n;
	}
	sl_free(out->names);
	out->names = names;
	out->names_len = len;
	out->name_count = count;
	out->publishers = API_LISTED;
	return SL_OK;
}

static int read_publishers(const struct api_json_at *root, struct api_room_set *out)
{
	static const char *const words[] = {"anyone", "nobody"};
	struct api_json_at at;
	size_t word = API_ANYONE;
	int rc = api_json_get(root, "publishers", API_JSON_OPTIONAL, &at);

	if (rc <= 0)
		return rc;
	if (cJSON_IsArray(at.v))
		return read_names(&at, out);
	if (!api_json_is_null(&at) && api_json_word(&at, words, SL_COUNT(words), &word) < 0)
		return api_json_wrong(&at, SL_ERANGE,
				      "must be \"anyone\", \"nobody\" or a list of names");
	sl_free(out->names);
	out->names = NULL;
	out->names_len = out->name_count = 0;
	out->publishers = (enum api_who)word;
	return SL_OK;
}

/* null is `otherwise`. */
int api_read_number(const struct api_json_at *root, const struct api_object *type, const char *key,
		    int64_t otherwise, int64_t *out)
{
	struct api_json_at at;
	int rc = api_json_get(root, key, API_JSON_OPTIONAL, &at);

	if (rc <= 0)
		return rc;
	if (api_json_is_null(&at)) {
		*out = otherwise;
		return 1;
	}
	for (size_t i = 0; i < type->count; i++)
		if (strcmp(type->fields[i].name, key) == 0)
			return api_json_int(&at, (int64_t)type->fields[i].min,
					    (int64_t)type->fields[i].max, out);
	return SL_ENOTFOUND;
}

int api_read_object(const struct api_json_at *root, const struct api_object *type)
{
	const char *keys[16];
	int rc = api_json_object(root);

	return rc < 0 ? rc : api_json_only(root, keys, api_settable(type, keys, SL_COUNT(keys)));
}

int api_room_set_read(const struct api_json_at *root, struct api_room_set *out)
{
	const struct api_object *type = &api_object_room;
	int64_t capacity = out->capacity, linger_ms = -2;
	int rc = api_read_object(root, type);

	if (rc >= 0)
		rc = api_read_number(root, type, "capacity", 0, &capacity);
	if (rc >= 0)
		rc = api_read_number(root, type, "max_video_bps", -1, &out->max_video_bps);
	if (rc >= 0)
		rc = api_read_number(root, type, "linger_ms", -1, &linger_ms);
	if (rc >= 0)
		rc = read_codecs(root, out);
	if (rc >= 0)
		rc = read_publishers(root, out);
	out->capacity = (uint32_t)capacity;
	if (linger_ms > -2)
		out->linger_us = linger_ms < 0 ? SL_NEVER : linger_ms * SL_MS;
	return SL_MIN(rc, 0);
}

/* ================= writing ================= */

static void view_names(struct api_answer *a, const struct api_room_set *set,
		       struct api_view_room *out)
{
	const char **names = api_answer_alloc(a, set->name_count + 1, sizeof(*names));
	const char *p = set->names;

	out->publishers = (struct api_list){.n = (size_t)set->publishers};
	if (set->publishers != API_LISTED)
		return;
	out->publishers = (struct api_list){.at = names, .n = names ? set->name_count : 0};
	for (size_t i = 0; names && i < set->name_count; i++) {
		names[i] = p;
		p += strlen(p) + 1;
	}
}

void api_view_room_set(struct api_answer *a, const struct api_room *r, struct api_view_room *out)
{
	const struct sl_api *api = a->conn->api;
	const struct api_room_set *set = &r->set;
	const char **codecs = api_answer_alloc(a, codec_words(), sizeof(*codecs));
	size_t n = 0;

	for (size_t i = 0; codecs && api_codec_words[i]; i++)
		if (!set->codecs || set->codecs >> codec_of_word(i) & 1)
			codecs[n++] = api_codec_words[i];
	out->codecs = (struct api_list){.at = codecs, .n = n};
	view_names(a, set, out);
	out->capacity = api_room_capacity(api, r);
	out->max_video_bps = set->max_video_bps < 0 ? (int64_t)api->room_bps : set->max_video_bps;
	out->linger_ms = set->linger_us == SL_NEVER ? -1 : set->linger_us / SL_MS;
}

/* ================= what follows ================= */

uint32_t api_room_capacity(const struct sl_api *api, const struct api_room *r)
{
	uint32_t most = api->conf->rooms.max_participants;

	return r->set.capacity ? SL_MIN(r->set.capacity, most) : most;
}

bool api_room_has_place(const struct sl_api *api, const struct api_room *r)
{
	return api_room_count(r) < api_room_capacity(api, r);
}

bool api_room_may_publish(const struct api_room *r, struct sl_str participant)
{
	const char *p = r->set.names;

	if (r->set.publishers != API_LISTED)
		return r->set.publishers == API_ANYONE;
	for (size_t i = 0; i < r->set.name_count; i++) {
		if (sl_str_eq(sl_str_z(p), participant))
			return true;
		p += strlen(p) + 1;
	}
	return false;
}

void api_allow_codecs(uint32_t allowed, uint8_t *codecs)
{
	for (int c = SL_CODEC_NONE + 1; allowed && c < SL_CODEC_COUNT; c++)
		if (sl_codec_info((enum sl_codec)c)->forwarded && !(allowed >> c & 1))
			codecs[c] = 0;
}

void api_track_told(const struct sl_api *api, struct api_track *t, const struct sl_track_conf *tc)
{
	t->cap_bps = tc->max_bps;
	t->capped = tc->publish && tc->kind == SL_VIDEO && (!tc->twcc || api->conf->publish.cap);
}

/* Published video tracks that are not muted; 1 where there is none, for they are divided by. */
static int64_t cameras(const struct api_room *r)
{
	int64_t n = 0;

	SL_LIST_EACH(it, tmp, &r->publishers) {
		const struct api_session *s = SL_LIST_AT(it, struct api_session, link);

		for (size_t i = 0; i < s->track_count; i++)
			n += s->tracks[i].publish && s->tracks[i].kind == SL_VIDEO &&
			     s->tracks[i].id && !s->tracks[i].muted;
	}
	return n > 0 ? n : 1;
}

uint32_t api_room_cap_of(const struct sl_api *api, const struct api_room *r,
			 const struct api_session *s, const struct api_track *t, const char **by)
{
	int64_t total = r->set.max_video_bps < 0 ? (int64_t)api->room_bps : r->set.max_video_bps;
	int64_t cap = INT64_MAX;

	*by = NULL;
	if (t->capped && api->publish_bps) {
		cap = api->publish_bps;
		*by = "publish.max_video_bps of the configuration";
	}
	if (total > 0) {
		int64_t share = SL_MAX(total / cameras(r), SHARE_MIN_BPS);

		if (share < cap)
			*by = "the room's max_video_bps, which its cameras share";
		cap = SL_MIN(cap, share);
	}
	if (s->cap_bps && s->cap_bps < cap) {
		*by = "the session's max_video_bps";
		cap = s->cap_bps;
	}
	if (cap < INT64_MAX)
		return (uint32_t)SL_MIN(cap, (int64_t)UINT32_MAX);
	/* To core 0 is the configured cap, which may have been lifted since. */
	return t->capped && api->conf->publish.max_video_bps ? UINT32_MAX : 0;
}

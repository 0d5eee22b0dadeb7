/* SPDX-License-Identifier: Apache-2.0
 * api/openapi.c — GET /v1/openapi.json: what this server answers under /v1, as OpenAPI 3.1. The
 * operations are the table below, the schemas those of fields.c. */
#include "api/rest.h"

enum { TEXT_MAX = 1 << 20, RETRY_S = 1 };

/* Problems that an operation may answer with, besides 401 and 403. */
enum {
	E400 = 1,
	E404 = 2,
	E412 = 8,
	E413 = 16,
	E415 = 32,
	E422 = 64,
	E503 = 128,
	E426 = 256,
	E_BODY = E400 | E413 | E415 | E422 | E503
};

struct operation {
	const char *path, *method, *id, *summary;
	const char *query;		 /* names with a blank behind each */
	const struct api_object *body;	 /* what of it can be written */
	int ok, ok_too;			 /* ok_too: 0 none */
	const struct api_object *result; /* NULL: no body */
	unsigned problems;
};

/* clang-format off */
static const struct operation operations[] = {
	{"/v1/rooms", "get", "listRooms", "Rooms, in order of their names", "limit after ", NULL,
	 200, 0, &api_object_room_list, E400 | E503},
	{"/v1/rooms/{room}", "get", "getRoom", "A room, with its settings", "", NULL,
	 200, 0, &api_object_room, E400 | E404 | E503},
	{"/v1/rooms/{room}", "put", "putRoom",
	 "Makes a room that stays, or sets all of its settings: what is not said goes to its "
	 "default", "",
	 &api_object_room, 201, 200, &api_object_room, E_BODY | E412},
	{"/v1/rooms/{room}", "patch", "patchRoom",
	 "Changes the settings that are said; null is the default", "",
	 &api_object_room, 200, 0, &api_object_room, E_BODY | E404 | E412},
	{"/v1/rooms/{room}", "delete", "deleteRoom", "Ends a room and everybody's session in it",
	 "", NULL,
	 204, 0, NULL, E400 | E404 | E503},
	{"/v1/rooms/{room}/participants", "get", "listParticipants",
	 "Who is in a room, in order of their names",
	 "limit after ", NULL, 200, 0, &api_object_participant_list, E400 | E404 | E503},
	{"/v1/rooms/{room}/participants/{participant}", "get", "getParticipant",
	 "Somebody in a room", "", NULL,
	 200, 0, &api_object_participant, E400 | E404 | E503},
	{"/v1/rooms/{room}/participants/{participant}", "delete", "removeParticipant",
	 "Kicks somebody out; nothing keeps them from coming back",
	 "", NULL, 204, 0, NULL, E400 | E404 | E503},
	{"/v1/rooms/{room}/participants/{participant}/tracks", "get", "listTracks",
	 "What somebody sends", "", NULL,
	 200, 0, &api_object_track_list, E400 | E404 | E503},
	{"/v1/tracks/{id}", "get", "getTrack", "A track, with statistics", "", NULL,
	 200, 0, &api_object_track, E404 | E503},
	{"/v1/tracks/{id}", "patch", "patchTrack",
	 "Mutes it for everybody, or lets it be heard and seen again", "",
	 &api_object_track, 200, 0, &api_object_track, E_BODY | E404},
	{"/v1/sessions", "get", "listSessions",
	 "Sessions, in order of their ids; with state=closed the last ones that ended, newest "
	 "first",
	 "limit after room state ", NULL, 200, 0, &api_object_session_list, E400 | E503},
	{"/v1/sessions/{id}", "get", "getSession",
	 "A session, with statistics and diagnosis; for a while also after its end", "", NULL,
	 200, 0, &api_object_session, E404 | E503},
	{"/v1/sessions/{id}", "patch", "patchSession", "Caps its cameras", "",
	 &api_object_session, 200, 0, &api_object_session, E_BODY | E404},
	{"/v1/sessions/{id}", "delete", "deleteSession", "Ends a session",
	 "", NULL, 204, 0, NULL, E404},
	{"/v1/subscriptions/{id}", "get", "getSubscription", "A subscription, with statistics",
	 "", NULL,
	 200, 0, &api_object_subscription, E404 | E503},
	{"/v1/subscriptions/{id}", "patch", "patchSubscription", "Pauses it, or lets it go on", "",
	 &api_object_subscription, 200, 0, &api_object_subscription, E_BODY | E404},
	{"/v1/loops", "get", "listLoops", "Media loops, with their counters, and the process",
	 "", NULL,
	 200, 0, &api_object_loop_list, E503},
	{"/v1/config", "get", "getConfig", "What of the configuration can change at run time",
	 "", NULL,
	 200, 0, &api_object_config, E503},
	{"/v1/config", "patch", "patchConfig", "Changes it until the server ends", "",
	 &api_object_config, 200, 0, &api_object_config, E_BODY},
};

static const struct {
	unsigned bit;
	int status;
	const char *text;
} problems[] = {
	{E400, 400, "a name, a query parameter or the JSON is malformed"},
	{0,    401, "a token is needed"},
	{0,    403, "the token does not reach this path, or the Origin is not allowed"},
	{E404, 404, "there is no such thing"},
	{E412, 412, "If-Match does not fit: the settings have changed since"},
	{E413, 413, "the body is too large, too deep, or has too many values"},
	{E415, 415, "the Content-Type is not application/json"},
	{E422, 422,
	 "a field is unknown, missing, of the wrong type or out of range: `field` names it"},
	{E426, 426, "this path is a WebSocket"},
	{E503, 503,
	 "a limit is reached, or a media loop is busy: Retry-After says when to try again"},
};

static const struct {
	const char *name, *where, *help, *type;
	int min, max;
	const char *words;
} parameters[] = {
	{"room",        "path",
	  "name of a room, percent-encoded", "string", 0, 0, NULL},
	{"participant", "path",  "name of a participant, percent-encoded", "string", 0, 0, NULL},
	{"id",          "path",  "opaque id", "string", 0, 0, NULL},
	{"limit",       "query", "most items on a page; 100 when it is not said",
	 "integer", 1, API_PAGE_MAX, NULL},
	{"after",       "query", "`next` of the page before", "string", 0, 0, NULL},
	{"room",        "query", "only those of this room", "string", 0, 0, NULL},
	{"state",       "query", "open when it is not said", "string", 0, 0, "open closed "},
};
/* clang-format on */

/* ================= pieces ================= */

static void put_ref(struct api_json_out *o, const char *key, const char *kind, const char *name)
{
	char ref[120];

	(void)sl_fmt(ref, sizeof(ref), "#/components/%s/%s", kind, name);
	if (key)
		api_json_open_object(o, key);
	api_json_put_z(o, "$ref", ref);
	if (key)
		api_json_close_object(o);
}

static void put_content(struct api_json_out *o, const char *type, const char *schema)
{
	api_json_open_object(o, "content");
	api_json_open_object(o, type);
	put_ref(o, "schema", "schemas", schema);
	api_json_close_object(o);
	api_json_close_object(o);
}

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = words; p && *p; p = strchr(p, ' ') + 1)
		if (strncmp(p, word, n) == 0 && p[n] == ' ')
			return true;
	return false;
}

static void put_words(struct api_json_out *o, const char *words)
{
	struct sl_str rest = sl_str_z(words);

	if (!words)
		return;
	api_json_open_array(o, "enum");
	while (rest.n > 0)
		api_json_put_str(o, NULL, sl_str_cut(&rest, ' '));
	api_json_close_array(o);
}

static void put_parameter(struct api_json_out *o, size_t i)
{
	bool path = strcmp(parameters[i].where, "path") == 0;

	api_json_open_object(o, NULL);
	api_json_put_z(o, "name", parameters[i].name);
	api_json_put_z(o, "in", parameters[i].where);
	api_json_put_z(o, "description", parameters[i].help);
	api_json_put_bool(o, "required", path);
	api_json_open_object(o, "schema");
	api_json_put_z(o, "type", parameters[i].type);
	if (parameters[i].max) {
		api_json_put_int(o, "minimum", parameters[i].min);
		api_json_put_int(o, "maximum", parameters[i].max);
	}
	put_words(o, parameters[i].words);
	api_json_close_object(o);
	api_json_close_object(o);
}

static void put_parameters(struct api_json_out *o, const struct operation *op)
{
	char in_path[32];

	api_json_open_array(o, "parameters");
	for (size_t i = 0; i < SL_COUNT(parameters); i++) {
		bool path = strcmp(parameters[i].where, "path") == 0;

		(void)sl_fmt(in_path, sizeof(in_path), "{%s}", parameters[i].name);
		if (path ? strstr(op->path, in_path) != NULL
			 : has_word(op->query, parameters[i].name))
			put_parameter(o, i);
	}
	if (op->problems & E412) {
		api_json_open_object(o, NULL);
		api_json_put_z(o, "name", "If-Match");
		api_json_put_z(o, "in", "header");
		api_json_put_z(o, "description", "ETag of the settings that are to be changed");
		api_json_open_object(o, "schema");
		api_json_put_z(o, "type", "string");
		api_json_close_object(o);
		api_json_close_object(o);
	}
	api_json_close_array(o);
}

static void put_header(struct api_json_out *o, const char *name, const char *help)
{
	api_json_open_object(o, name);
	api_json_put_z(o, "description", help);
	api_json_put_bool(o, "required", true);
	api_json_open_object(o, "schema");
	api_json_put_z(o, "type", "string");
	api_json_close_object(o);
	api_json_close_object(o);
}

static void put_ok_headers(struct api_json_out *o, const struct operation *op, int status)
{
	if (op->result != &api_object_room)
		return;
	api_json_open_object(o, "headers");
	put_header(o, "ETag", "revision of what can be set, for If-Match");
	if (status == 201)
		put_header(o, "Location", "path of the room");
	api_json_close_object(o);
}

static void put_ok(struct api_json_out *o, const struct operation *op, int status)
{
	char text[8];

	(void)sl_fmt(text, sizeof(text), "%d", status);
	api_json_open_object(o, text);
	api_json_put_z(o, "description", api_status_text(status));
	put_ok_headers(o, op, status);
	if (op->result)
		put_content(o, "application/json", op->result->name);
	api_json_close_object(o);
}

static void put_problem_refs(struct api_json_out *o, unsigned bits)
{
	char status[8], name[16];

	for (size_t i = 0; i < SL_COUNT(problems); i++) {
		if (problems[i].bit && !(bits & problems[i].bit))
			continue;
		(void)sl_fmt(status, sizeof(status), "%d", problems[i].status);
		(void)sl_fmt(name, sizeof(name), "Problem%d", problems[i].status);
		put_ref(o, status, "responses", name);
	}
}

static void put_responses(struct api_json_out *o, const struct operation *op)
{
	api_json_open_object(o, "responses");
	put_ok(o, op, op->ok);
	if (op->ok_too)
		put_ok(o, op, op->ok_too);
	put_problem_refs(o, op->problems);
	api_json_close_object(o);
}

static void put_operation(struct api_json_out *o, const struct operation *op)
{
	api_json_open_object(o, op->method);
	api_json_put_z(o, "operationId", op->id);
	api_json_put_z(o, "summary", op->summary);
	put_parameters(o, op);
	if (op->body) {
		api_json_open_object(o, "requestBody");
		api_json_put_bool(o, "required", true);
		put_content(o, "application/json", op->body->settings);
		api_json_close_object(o);
	}
	put_responses(o, op);
	api_json_close_object(o);
}

static void put_problems(struct api_json_out *o)
{
	api_json_open_object(o, "responses");
	for (size_t i = 0; i < SL_COUNT(problems); i++) {
		char name[16];

		(void)sl_fmt(name, sizeof(name), "Problem%d", problems[i].status);
		api_json_open_object(o, name);
		api_json_put_z(o, "description", problems[i].text);
		if (problems[i].status == 503) {
			api_json_open_object(o, "headers");
			put_header(o, "Retry-After", "seconds after which to try again");
			api_json_close_object(o);
		}
		put_content(o, "application/problem+json", api_object_problem.name);
		api_json_close_object(o);
	}
	api_json_close_object(o);
}

/* ================= streams: not JSON over HTTP, but a reader has to find them ================= */

/* clang-format off */
static const struct {
	const char *path, *id, *summary, *type;
	unsigned problems;
} streams[] = {
	{"/v1/events", "followEvents",
	 "What happens, as server-sent events (Last-Event-ID resumes), or by upgrade to WebSocket: "
	 "see docs/events.md",
	 "text/event-stream", E400 | E503},
	{"/v1/rooms/{room}/join", "joinRoom",
	 "Upgrade to WebSocket: joining a room, with signalling; see docs/join.md",
	 NULL, E400 | E426 | E503},
};

/* Query parameters of the streams, by their place in the table above. */
static const struct {
	const char *name, *help;
	size_t stream;
} stream_parameters[] = {
	{"room",          "only those of this room", 0},
	{"last_event_id", "the last event that was seen; the header Last-Event-ID goes before", 0},
	{"stats",         "seconds between statistics of each session, 1 to 60; none without", 0},
	{"access_token",  "the token, where headers cannot be set", 0},
	{"participant",   "who joins; a name is chosen when it is not said", 1},
	{"resume",        "token of welcome: the same session goes on", 1},
	{"replace",       "token of welcome: a new session in place of that one", 1},
	{"access_token",  "the token, where headers cannot be set", 1},
};
/* clang-format on */

static void put_stream_parameters(struct api_json_out *o, size_t stream)
{
	api_json_open_array(o, "parameters");
	if (strstr(streams[stream].path, "{room}"))
		put_parameter(o, 0);
	for (size_t i = 0; i < SL_COUNT(stream_parameters); i++) {
		if (stream_parameters[i].stream != stream)
			continue;
		api_json_open_object(o, NULL);
		api_json_put_z(o, "name", stream_parameters[i].name);
		api_json_put_z(o, "in", "query");
		api_json_put_z(o, "description", stream_parameters[i].help);
		api_json_put_bool(o, "required", false);
		api_json_open_object(o, "schema");
		api_json_put_z(o, "type", "string");
		api_json_close_object(o);
		api_json_close_object(o);
	}
	api_json_close_array(o);
}

static void put_stream_ok(struct api_json_out *o, const char *type)
{
	api_json_open_object(o, "101");
	api_json_put_z(o, "description", "WebSocket");
	api_json_close_object(o);
	if (!type)
		return;
	api_json_open_object(o, "200");
	api_json_put_z(o, "description",
		       "a stream without an end: the data of each event is an Event, as is each "
		       "message of the WebSocket");
	put_content(o, type, "Event");
	api_json_close_object(o);
}

static void put_stream(struct api_json_out *o, size_t i)
{
	api_json_open_object(o, streams[i].path);
	api_json_open_object(o, "get");
	api_json_put_z(o, "operationId", streams[i].id);
	api_json_put_z(o, "summary", streams[i].summary);
	put_stream_parameters(o, i);
	api_json_open_object(o, "responses");
	put_stream_ok(o, streams[i].type);
	put_problem_refs(o, streams[i].problems);
	api_json_close_object(o);
	api_json_close_object(o);
	api_json_close_object(o);
}

/* ================= the whole ================= */

static void put_paths(struct api_json_out *o)
{
	const char *open = "";

	api_json_open_object(o, "paths");
	for (size_t i = 0; i < SL_COUNT(operations); i++) {
		if (strcmp(open, operations[i].path) != 0) {
			if (*open)
				api_json_close_object(o);
			open = operations[i].path;
			api_json_open_object(o, open);
		}
		put_operation(o, &operations[i]);
	}
	api_json_close_object(o);
	for (size_t i = 0; i < SL_COUNT(streams); i++)
		put_stream(o, i);
	api_json_close_object(o);
}

static void put_security(struct api_json_out *o)
{
	api_json_open_object(o, "securitySchemes");
	api_json_open_object(o, "token");
	api_json_put_z(o, "type", "http");
	api_json_put_z(o, "scheme", "bearer");
	api_json_put_z(o, "description",
		       "http.token, or for /v1/rooms/{room} and below a join token with the right "
		       "admin; none where none is configured");
	api_json_close_object(o);
	api_json_close_object(o);
}

void api_openapi_get(struct api_conn *c)
{
	struct api_json_out o;
	char *text;
	size_t len;

	api_json_out_init(&o, TEXT_MAX);
	api_json_open_object(&o, NULL);
	api_json_put_z(&o, "openapi", "3.1.0");
	api_json_open_object(&o, "info");
	api_json_put_z(&o, "title", "sluice");
	api_json_put_z(&o, "version", "1");
	api_json_put_z(
		&o, "description",
		"Rooms, who is in them, and what they send. Times are in seconds, rates in bits a "
		"second. docs/rest.md has an example for each path. Besides what each operation "
		"names, HTTP itself may be refused: 405, 411, 421 and 505, as docs/http.md says.");
	api_json_close_object(&o);
	put_paths(&o);
	api_json_open_object(&o, "components");
	api_json_open_object(&o, "schemas");
	api_write_schemas(&o);
	api_json_close_object(&o);
	put_problems(&o);
	put_security(&o);
	api_json_close_object(&o);
	api_json_open_array(&o, "security");
	api_json_open_object(&o, NULL);
	api_json_open_array(&o, "token");
	api_json_close_array(&o);
	api_json_close_object(&o);
	api_json_close_array(&o);
	api_json_close_object(&o);
	if (api_json_out_take(&o, &text, &len))
		api_busy(c, RETRY_S, "out of memory");
	else
		api_respond_owned(c, 200, "application/json", text, len);
}

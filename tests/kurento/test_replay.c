/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_replay.c — what real clients said, said again: the answers have the same
 * shape. Ids of the recording stand for ours, learned answer by answer. */
#include "tests/kurento/peer.h"
#include <stdlib.h>

enum { LINE_MAX_BYTES = 1 << 16, IDS = 256, UUID = 36 };

static struct {
	char theirs[IDS][UUID + 1], ours[IDS][UUID + 1];
	size_t n;
	bool webrtc; /* the server has WebRtcEndpoint */
	FILE *file;
	cJSON *line;
} replay;

/* What a request gets here though the stand-in answered otherwise: it had every class, and knew no
 * SDP. */
static const struct {
	int id;
	bool webrtc; /* only without that class */
	int code;
} differs[] = {
	{6, true, 40108},   {7, true, 40101},  {8, true, 40101},   {9, true, 40101},
	{10, true, 40101},  {11, true, 40101}, {12, true, 40101},  {13, true, 40101},
	{14, true, 40101},  {15, true, 40101}, {16, true, 40101},  {17, true, 40101},
	{18, true, 40101},  {19, true, 40101}, {12, false, 40201}, {23, false, 40108},
	{24, false, 40101},
};

static bool uuid_at(const char *s)
{
	for (int i = 0; i < UUID; i++)
		if ((i == 8 || i == 13 || i == 18 || i == 23)
			    ? s[i] != '-'
			    : !strchr("0123456789abcdef", s[i]) || !s[i])
			return false;
	return true;
}

static const char *ours_for(const char *theirs)
{
	for (size_t i = 0; i < replay.n; i++)
		if (memcmp(replay.theirs[i], theirs, UUID) == 0)
			return replay.ours[i];
	return NULL;
}

static void learn(const char *theirs, const char *ours)
{
	for (; *theirs && *ours; theirs++, ours++) {
		if (!uuid_at(theirs) || !uuid_at(ours) || ours_for(theirs))
			continue;
		CHECK(replay.n < IDS);
		memcpy(replay.theirs[replay.n], theirs, UUID);
		memcpy(replay.ours[replay.n++], ours, UUID);
	}
}

/* In place: they are equally long. */
static void translate(char *text)
{
	for (; *text; text++)
		if (uuid_at(text) && ours_for(text))
			memcpy(text, ours_for(text), UUID);
}

static int code_of(const cJSON *answer)
{
	const cJSON *code = at(answer, "error", "code", NULL);

	return code ? (int)code->valuedouble : 0;
}

/* What is there must be here, of the same kind; here may be more. */
static void same_shape(const cJSON *theirs, const cJSON *ours, int id)
{
	const cJSON *m;
	int i = 0;

	if (!ours || (theirs->type & 0xff) != (ours->type & 0xff))
		sl_test_failed(__FILE__, __LINE__, "request %d: '%s' is of another kind", id,
			       theirs->string ? theirs->string : "?");
	if (cJSON_IsString(theirs))
		learn(theirs->valuestring, ours->valuestring);
	cJSON_ArrayForEach(m, theirs)
	{
		const cJSON *o = cJSON_IsArray(theirs)
					 ? cJSON_GetArrayItem(ours, i++)
					 : cJSON_GetObjectItemCaseSensitive(ours, m->string);

		/* Players and recorders are not here; the transaction ends where it asks for one.
		 */
		if (id >= 20 && id <= 21 && cJSON_IsArray(theirs) && (!o || at(o, "error", NULL))) {
			CHECK_EQ(o ? code_of(o) : 40108, 40108);
			return;
		}
		/* What it names depends on what there is. */
		if (m->string && (strcmp(m->string, "factories") == 0))
			continue;
		same_shape(m, o, id);
	}
}

static void compare(const cJSON *theirs, const cJSON *ours)
{
	int id = (int)at(theirs, "id", NULL)->valuedouble, code = code_of(ours);

	for (size_t i = 0; i < SL_COUNT(differs); i++)
		if (differs[i].id == id && differs[i].code == code &&
		    (!differs[i].webrtc || !replay.webrtc))
			return;
	/* Statistics of what never connected. */
	if (id == 17 && code == 0)
		return;
	STOP_AFTER_OOM();
	if (code != code_of(theirs))
		sl_test_failed(__FILE__, __LINE__, "request %d got %d: %s", id, code,
			       text_of(ours));
	same_shape(theirs, ours, id);
	if (code)
		CHECK_STR(str_at(ours, "error", "message"), str_at(theirs, "error", "message"));
}

/* Events come when they come. */
static cJSON *next_answer(struct peer *p)
{
	for (int turn = 0; turn < 1000; turn++) {
		const cJSON *got;

		while ((got = peer_take(p)) != NULL)
			if (at(got, "id", NULL))
				return (cJSON *)(uintptr_t)got;
		STOP_AFTER_OOM();
		world_wait(SL_MS);
	}
	sl_test_failed(__FILE__, __LINE__, "no answer");
}

/* One line of the recording; p follows its connections. */
static void step(struct peer **p, cJSON *line)
{
	const char *dir = str_at(line, "dir", NULL);
	const cJSON *m = at(line, "m", NULL);
	static char said[LINE_MAX_BYTES];

	if (strcmp(dir, "OPEN") == 0) {
		*p = peer_new();
	} else if (strcmp(dir, "CLOSE") == 0) {
		peer_close(*p);
		*p = NULL;
	} else if (strncmp(dir, "C->S", 4) == 0) {
		CHECK(cJSON_PrintPreallocated((cJSON *)(uintptr_t)m, said, sizeof(said), 0));
		translate(said);
		peer_say(*p, said);
	} else if (at(m, "id", NULL)) {
		compare(m, next_answer(*p));
	}
}

static void end_replay(void *unused)
{
	(void)unused;
	api_json_free(replay.line);
	replay.line = NULL;
	if (replay.file)
		fclose(replay.file);
	replay.file = NULL;
}

static void replay_file(const char *path)
{
	static char text[LINE_MAX_BYTES];
	struct api_json_why why;
	struct peer *p = NULL;

	memset(&replay, 0, sizeof(replay));
	DEFER(end_replay, NULL);
	replay.file = fopen(path, "re");
	if (!replay.file)
		sl_test_failed(__FILE__, __LINE__, "%s cannot be read", path);
	replay.webrtc = kms_class_works(kms_class_find(SL_STR("WebRtcEndpoint")));
	while (fgets(text, sizeof(text), replay.file)) {
		api_json_free(replay.line);
		replay.line = NULL;
		TRY(api_json_parse(sl_str_z(text), NULL, &replay.line, &why));
		step(&p, replay.line);
	}
	CHECK(!p);
	CHECK_EQ(kms_object_count(world.k), 0);
}

TEST(the_frames_of_kurento_client_7_are_answered_as_they_were)
{
	WORLD();
	replay_file("tests/kurento/frames/frames-shim.jsonl");
}

TEST(the_frames_of_its_oldest_socket_library_are_answered_as_they_were)
{
	WORLD();
	replay_file("tests/kurento/frames/frames-websocket-stream-0.5.1.jsonl");
}

TEST(the_frames_of_its_binary_socket_library_are_answered_as_they_were)
{
	WORLD();
	replay_file("tests/kurento/frames/frames-websocket-stream-1.5.2.jsonl");
}

TEST(the_frames_of_kurento_client_6_are_answered_as_they_were)
{
	WORLD();
	replay_file("tests/kurento/frames/frames-6.18.jsonl");
}

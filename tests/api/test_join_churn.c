/* SPDX-License-Identifier: Apache-2.0 — people come, go, publish, lose their sockets and come back,
 * by a seed; whenever it is quiet everybody has what everybody else publishes. */
#include "tests/api/join_client.h"
#include "api/join.h"

enum { PEOPLE = 12, STEPS = 600, QUIET_EVERY = 25 };

static struct sl_test_rng seed;
static struct sl_rng dice;
static bool in[PEOPLE];

static uint32_t roll(uint32_t n)
{
	return sl_rng_u32(&dice) % n;
}

static struct api_join *join_of(size_t i)
{
	struct api_session *s = session_of(&peers[i]);

	if (!s)
		STOP_AFTER_OOM();
	CHECK(s && s->join);
	return s->join;
}

/* Is an offer out that it has not answered? */
static bool is_asked(size_t i)
{
	const struct api_join *j = join_of(i);

	return j->phase == JOIN_OFFERED && j->offer > (uint32_t)peers[i].offer;
}

static void come(size_t i)
{
	char name[8];

	CHECK(sl_fmt(name, sizeof(name), "p%zu", i));
	join_as(i, name);
	in[i] = true;
}

static void go(size_t i)
{
	say(&peers[i], "{\"type\":\"leave\"}");
	closed_with(&peers[i], 1000);
	in[i] = false;
}

static void publish_some(size_t i)
{
	static const char *const what[] = {
		"{\"kind\":\"audio\",\"source\":\"microphone\"}",
		"{\"kind\":\"video\",\"source\":\"camera\"}",
		"{\"kind\":\"audio\",\"source\":\"microphone\"},{\"kind\":\"video\",\"source\":"
		"\"camera\"}",
		"{\"kind\":\"video\",\"source\":\"screen\"}",
	};
	size_t used = 0;

	for (size_t k = 0; k < join_of(i)->line_count; k++)
		used += !join_of(i)->lines[k].slot && join_of(i)->lines[k].used;
	if (used + 2 <= 4)
		say(&peers[i], "{\"type\":\"publish\",\"tracks\":[%s]}",
		    what[roll(SL_COUNT(what))]);
}

static void unpublish_one(size_t i)
{
	const struct api_join *j = join_of(i);
	size_t at = roll(64);

	for (size_t k = 0; k < j->line_count; k++) {
		size_t line = (at + k) % j->line_count;

		if (j->lines[line].slot || !j->lines[line].used)
			continue;
		say(&peers[i], "{\"type\":\"unpublish\",\"track\":\"%s\"}",
		    j->s->tracks[line].public_id);
		RIG_UNTIL(!j->lines[line].used || sl_test_oom_fired());
		return;
	}
}

static void lose_and_come_back(size_t i)
{
	char query[128], session[API_ID_LEN + 1], token[API_ID_LEN + 1];
	struct peer *p = &peers[i];

	CHECK(sl_fmt(query, sizeof(query), "participant=p%zu&resume=%s", i, p->token));
	memcpy(session, p->session, sizeof(session));
	memcpy(token, p->token, sizeof(token));
	client_close(p->w.c);
	if (roll(2))
		RIG_UNTIL(!join_of(i)->socket);
	enter(i, query);
	CHECK(cJSON_IsTrue(member(heard(p, "welcome"), "resumed")));
	memcpy(p->session, session, sizeof(session));
	memcpy(p->token, token, sizeof(token));
}

static void something(size_t i)
{
	switch (roll(12)) {
	case 0:
		go(i);
		break;
	case 1:
		lose_and_come_back(i);
		break;
	case 2:
		say(&peers[i], "{\"type\":\"restart\"}");
		break;
	case 3:
	case 4:
		unpublish_one(i);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		publish_some(i);
		break;
	default:
		if (is_asked(i)) {
			offered(&peers[i]);
			answer_offer(&peers[i], NULL);
		}
		break;
	}
}

static void until_quiet(void)
{
	for (bool more = true; more;) {
		settle_all();
		STOP_AFTER_OOM();
		more = false;
		for (size_t i = 0; i < PEOPLE; i++)
			while (in[i] && is_asked(i)) {
				more = true;
				negotiated(&peers[i]);
			}
	}
}

static size_t times_played(const struct api_session *player, const struct api_track *t)
{
	size_t n = 0;

	for (size_t i = 0; i < player->track_count; i++) {
		const struct api_track *sub = &player->tracks[i];

		n += !sub->publish && sub->id && sub->kind == t->kind && sub->playing == t->id &&
		     fake_core_route(&rig.core, sub->id) == t->id;
	}
	return n;
}

static size_t plays(const struct api_session *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->track_count; i++)
		n += !s->tracks[i].publish && s->tracks[i].playing;
	return n;
}

/* Everything once, and nothing else; and core has no other tracks than the sessions know. */
static void check_everybody_has_everything(void)
{
	size_t known = 0, there = 0;

	for (size_t i = 0; i < PEOPLE; i++) {
		const struct api_session *player = in[i] ? session_of(&peers[i]) : NULL;
		size_t n = 0;

		for (size_t k = 0; player && k < PEOPLE; k++) {
			const struct api_session *pub =
				in[k] && k != i ? session_of(&peers[k]) : NULL;

			for (size_t t = 0; pub && t < pub->track_count; t++)
				if (pub->tracks[t].publish && pub->tracks[t].id) {
					CHECK_EQ(times_played(player, &pub->tracks[t]), 1);
					n++;
				}
		}
		CHECK(!player || plays(player) == n);
		for (size_t t = 0; player && t < player->track_count; t++)
			known += player->tracks[t].id != 0;
	}
	for (size_t i = 0; i < rig.core.track_count; i++)
		for (size_t t = 0; rig.core.tracks[i].live && t < rig.core.count; t++)
			there += rig.core.t[t].open &&
				 rig.core.t[t].id == rig.core.tracks[i].transport;
	CHECK_EQ(known, there);
}

static void churn(uint64_t number)
{
	dice = sl_test_rng(&seed, number);
	memset(in, 0, sizeof(in));
	rig.api->ws_ping_us = rig.api->ws_silence_us = 3600 * SL_SEC;
	for (int step = 1; step <= STEPS && rig.core.count < FAKE_TRANSPORTS - PEOPLE; step++) {
		size_t i = roll(PEOPLE);

		if (in[i])
			something(i);
		else
			come(i);
		STOP_AFTER_OOM();
		if (step % QUIET_EVERY == 0) {
			until_quiet();
			check_everybody_has_everything();
		}
	}
	for (size_t i = 0; i < PEOPLE; i++)
		if (in[i])
			go(i);
	settle_all();
	CHECK_EQ(sl_api_sessions(rig.api), 0);
	CHECK_EQ(fake_core_open_count(&rig.core), 0);
	CHECK(sl_list_empty(&rig.api->joins_lost) && sl_list_empty(&rig.api->joins_stirred));
}

TEST(twelve_people_come_and_go_by_a_seed)
{
	JOIN_RIG();
	churn(1);
}

TEST(twelve_people_come_and_go_by_another_seed)
{
	JOIN_RIG();
	churn(2);
}

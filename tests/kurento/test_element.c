/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_element.c — connect, disconnect and what they tell, as clients see them. */
#include "tests/kurento/peer.h"

struct pair {
	struct peer *p;
	char pipeline[256], one[256], two[256];
};

static void pair_make(struct pair *pair)
{
	static const char *const events[] = {"ElementConnected", "ElementDisconnected"};

	pair->p = peer_new();
	new_pipeline(pair->p, pair->pipeline);
	new_element(pair->p, "PassThrough", pair->pipeline, pair->one);
	new_element(pair->p, "PassThrough", pair->pipeline, pair->two);
	for (size_t i = 0; i < SL_COUNT(events); i++)
		CHECK_EQ(call_code(pair->p, "subscribe", "'object':'%s','type':'%s'", pair->one,
				   events[i]),
			 0);
}

/* `more`: further arguments, each behind a comma. */
static int ask(struct pair *pair, const char *operation, const char *sink, const char *more)
{
	return call_code(pair->p, "invoke",
			 "'object':'%s','operation':'%s','operationParams':{'sink':'%s'%s}",
			 pair->one, operation, sink, more);
}

/* The events that came since: all of one name and about one sink; one for each kind, in that order.
 */
static void check_told(struct pair *pair, const char *event, const char *sink, const char *kinds)
{
	char told[64] = "";
	const cJSON *m;

	while ((m = peer_take(pair->p)) != NULL) {
		const cJSON *data = at(m, "params", "value", "data", NULL);

		if (at(m, "id", NULL))
			continue;
		CHECK_STR(str_at(data, "type", NULL), event);
		CHECK_STR(str_at(data, "sink", NULL), sink);
		(void)sl_fmt(told + strlen(told), sizeof(told) - strlen(told), "%s ",
			     str_at(data, "mediaType", NULL));
	}
	CHECK_STR(told, kinds);
}

TEST(connect_and_disconnect_are_told_once_for_each_kind_of_media)
{
	struct pair pair;

	WORLD();
	pair_make(&pair);
	CHECK_EQ(ask(&pair, "connect", pair.two, ""), 0);
	check_told(&pair, "ElementConnected", pair.two, "AUDIO DATA VIDEO ");
	CHECK_EQ(ask(&pair, "disconnect", pair.two, ",'mediaType':'DATA'"), 0);
	check_told(&pair, "ElementDisconnected", pair.two, "DATA ");
	CHECK_EQ(ask(&pair, "connect", pair.one, ",'mediaType':'VIDEO'"), 0);
	check_told(&pair, "ElementConnected", pair.one, "VIDEO ");
}

TEST(disconnecting_what_is_not_connected_succeeds_and_is_told)
{
	struct pair pair;

	WORLD();
	pair_make(&pair);
	CHECK_EQ(ask(&pair, "disconnect", pair.two, ""), 0);
	check_told(&pair, "ElementDisconnected", pair.two, "AUDIO DATA VIDEO ");
}

TEST(element_of_another_pipeline_can_not_be_connected_and_is_not_connected)
{
	struct pair pair;
	char other[256], stranger[256];

	WORLD();
	pair_make(&pair);
	new_pipeline(pair.p, other);
	new_element(pair.p, "PassThrough", other, stranger);
	CHECK_EQ(ask(&pair, "connect", stranger, ""), 40004);
	check_told(&pair, "", "", "");
	CHECK_EQ(ask(&pair, "disconnect", stranger, ",'mediaType':'AUDIO'"), 0);
	check_told(&pair, "ElementDisconnected", stranger, "AUDIO ");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/list.h"
#include "tests/test.h"

struct item {
	int value;
	struct sl_list node;
};

static int sum_and_order(struct sl_list *head, int *digits)
{
	int n = 0;

	*digits = 0;
	SL_LIST_EACH(it, tmp, head) {
		*digits = *digits * 10 + SL_LIST_AT(it, struct item, node)->value;
		n++;
	}
	return n;
}

TEST(list_keeps_the_order_of_adding)
{
	struct sl_list head;
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};
	int digits;

	sl_list_init(&head);
	CHECK(sl_list_empty(&head));
	CHECK_EQ(sum_and_order(&head, &digits), 0);
	sl_list_add(&head, &a.node);
	sl_list_add(&head, &c.node);
	sl_list_add(&c.node, &b.node);
	CHECK_EQ(sum_and_order(&head, &digits), 3);
	CHECK_EQ(digits, 123);
}

TEST(list_walk_survives_deleting_the_present_node)
{
	struct sl_list head;
	struct item items[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
	int digits;

	sl_list_init(&head);
	for (size_t i = 0; i < SL_COUNT(items); i++)
		sl_list_add(&head, &items[i].node);
	SL_LIST_EACH(it, tmp, &head)
		if (SL_LIST_AT(it, struct item, node)->value % 2 == 0)
			sl_list_del(it);
	CHECK_EQ(sum_and_order(&head, &digits), 2);
	CHECK_EQ(digits, 13);
	CHECK(sl_list_empty(&items[1].node));
}

TEST(list_delete_is_harmless_on_a_node_that_is_in_no_list)
{
	struct item zeroed = {0}, once = {.value = 1};
	struct sl_list head;

	sl_list_init(&head);
	sl_list_del(&zeroed.node);
	sl_list_add(&head, &once.node);
	sl_list_del(&once.node);
	sl_list_del(&once.node);
	CHECK(sl_list_empty(&head));
	CHECK(zeroed.node.next == NULL);
}

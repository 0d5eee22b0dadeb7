/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_impls.c — what has functions against what the tables say. */
#include "api/kurento/tables.h"
#include "tests/test.h"

TEST(functions_are_of_methods_that_their_class_has_under_todays_name)
{
	for (size_t i = 0; kms_impls[i]; i++) {
		const struct kms_class *c = kms_class_find(sl_str_z(kms_impls[i]->name));

		if (!c)
			sl_test_failed(__FILE__, __LINE__, "no class %s", kms_impls[i]->name);
		for (const struct kms_method_impl *m = kms_impls[i]->methods; m && m->name; m++) {
			const struct kms_method *known = kms_method_find(c, sl_str_z(m->name));

			if (!known || strcmp(known->name, m->name) != 0)
				sl_test_failed(__FILE__, __LINE__, "%s has no %s", c->name,
					       m->name);
		}
	}
}

/* One method without a function would take a class away without a word. */
TEST(these_classes_can_be_made_and_no_others)
{
	static const char *const there[] = {"Dispatcher",    "DispatcherOneToMany", "HubPort",
					    "MediaPipeline", "PassThrough",	    "RtpEndpoint",
					    "WebRtcEndpoint"};
	size_t works = 0;

	for (size_t i = 0; i < SL_COUNT(there); i++)
		if (!kms_class_works(kms_class_find(sl_str_z(there[i]))))
			sl_test_failed(__FILE__, __LINE__, "%s does not work", there[i]);
	for (size_t i = 0; i < kms_class_count; i++)
		works += !kms_classes[i].abstract && kms_class_works(&kms_classes[i]);
	CHECK_EQ(works, SL_COUNT(there));
}

/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/fake_calls.c — stands in for what model.c calls and is not there yet; the real ones
 * come first. */
#include "api/kurento/kms.h"
#include <stdlib.h>

__attribute__((weak)) struct kms *kms_call_kms(const struct kms_call *call)
{
	(void)call;
	abort();
}

__attribute__((weak)) void kms_fail(struct kms_call *call, enum kms_error code, const char *fmt,
				    ...)
{
	(void)call;
	(void)code;
	(void)fmt;
	abort();
}

__attribute__((weak)) struct kms_object *kms_object_by_id(struct kms *k, struct sl_str id)
{
	(void)k;
	(void)id;
	abort();
}

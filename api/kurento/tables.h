/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/tables.h — what kmd/compile.py writes besides the tables of kms.h, and the reader of arguments.
 * Everything here is sorted by name (strcmp), so that it can be searched by halves. */
#ifndef SL_KMS_TABLES_H
#define SL_KMS_TABLES_H
#include "api/kurento/kms.h"

/* A name that only older clients know, and today's. */
struct kms_alias {
	const char *old, *name;
};
struct kms_module {
	const char *name;
	struct sl_str kmd;
};
extern const struct kms_event_type kms_event_types[];
extern const size_t kms_event_type_count, kms_enum_count, kms_record_count;
extern const struct kms_alias kms_method_aliases[], kms_event_aliases[], kms_param_aliases[];
extern const size_t kms_method_alias_count, kms_event_alias_count, kms_param_alias_count;
extern const struct kms_module kms_modules[];
extern const size_t kms_module_count;

/* ---- args.c ---- */

/* How arguments are read; error and why say what is wrong with them. */
struct kms_args_in {
	struct kms *kms; /* handed to object() */
	struct kms_object *(*object)(struct kms *kms, struct sl_str id);
	enum kms_error error;
	char why[320];
};
/* What kms_args() does; false with error and why filled. */
bool kms_args_read(struct kms_args_in *in, const struct kms_param *params, size_t n,
		   const cJSON *given, cJSON **out);
#endif

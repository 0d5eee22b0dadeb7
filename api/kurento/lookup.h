/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/lookup.h — addresses of names, for the TURN servers of applications. */
#ifndef SL_KMS_LOOKUP_H
#define SL_KMS_LOOKUP_H
#include "api/kurento/kms.h"

enum { KMS_HOST_NAME_MAX = 253 };       /* RFC 1035 section 2.3.4, without the last dot */

/* Letters, digits, hyphens, underscores and dots; no address. */
bool kms_is_host_name(struct sl_str s);
struct kms_lookup;
/* addr: NULL: not found, `why` says more. The lookup is void. */
typedef void kms_lookup_fn(void *arg, const struct sl_addr *addr, const char *why);
/* Calls fn once, later, on the control thread. SL_ERANGE: no name that is asked for (T46), SL_ENOMEM; then fn is not
 * called. */
SL_MUST_USE int kms_lookup(struct kms *k, const char *name, kms_lookup_fn *fn, void *arg, struct kms_lookup **out);
/* fn is not called any more; takes NULL. */
void kms_lookup_forget(struct kms_lookup *l);
#endif

/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/kurento.h — Kurento Media Server's interface, on the HTTP port of api/: entry points.
 * kms.h has the page for who works on it; docs/kurento.md the one for users. */
#ifndef SL_KURENTO_H
#define SL_KURENTO_H
#include "api/api.h"

struct kms;
/* Adds /kurento to the api. api and what it stands on must outlive it. SL_ENOMEM, or SL_EIO with *why. */
SL_MUST_USE int sl_kurento_new(struct sl_api *api, struct kms **out, struct sl_core_why *why);
/* Objects that are there: a server that drains waits for them, and makes no new pipelines. */
size_t sl_kurento_objects(const struct kms *k);
/* Before sl_api_free(). Takes NULL. */
void sl_kurento_free(struct kms *k);
/* Is this event about a transport of ours? Then the api need not hear of it. */
bool sl_kurento_event(struct kms *k, const struct sl_core_event *ev);
#endif

/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/kurento.h — Kurento Media Server's interface, on the HTTP port of api/: entry points.
 * kms.h has the page for who works on it; docs/kurento.md the one for users. */
#ifndef SL_KURENTO_H
#define SL_KURENTO_H
#include "api/api.h"

/* What Kurento's own files and environment say that has no meaning here, for the log. */
enum { SL_KURENTO_NOTES_MAX = 64 };
struct sl_kurento_notes {
	size_t n;
	struct sl_kurento_note {
		char where[256];        /* a file, or "environment" */
		char keys[400];         /* "a, b" */
		const char *why;
	} at[SL_KURENTO_NOTES_MAX];
};
/* Kurento's settings (docs/kurento.md) for sl_config_load_over(); arg is a struct sl_kurento_notes, zeroed. */
int sl_kurento_conf(void *arg, const struct sl_config *wanted, char *const *env, struct sl_config *c,
		    struct sl_config_error *e);
/* Once there is a log. */
void sl_kurento_conf_log(const struct sl_kurento_notes *notes);

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

/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/conf.h — Kurento's configuration files, taken apart. conf.c says what their keys mean
 * here. */
#ifndef SL_KMS_CONF_H
#define SL_KMS_CONF_H
#include "core/base/str.h"

/* One setting; the path has dots between its parts: "mediaServer.net.websocket.port". */
struct kms_leaf {
	const char *path, *value;
	const char *exact;              /* the path, each part behind what it is; items by their index */
	size_t line;
};
enum { KMS_LEAF_MEMBER = 0x1f, KMS_LEAF_ITEM = 0x1e };
/* Anything but SL_OK ends the reading. */
typedef int (*kms_leaf_fn)(void *arg, const struct kms_leaf *leaf);
/* What is wrong with a file, and where. */
struct kms_conf_why {
	size_t line;
	const char *text;
};
/* They write into the text. Items of an array are settings of the same path. SL_EPARSE with *why
 * filled, or what fn returned.
 * JSON as Kurento's files have it: with comments, commas before a bracket, and keys that begin with
 * "//", which are comments as well. */
SL_MUST_USE int kms_conf_json(char *text, kms_leaf_fn fn, void *arg, struct kms_conf_why *why);
/* "[section]", "key=value"; a line that begins with ; or # is a comment. */
SL_MUST_USE int kms_conf_ini(char *text, kms_leaf_fn fn, void *arg, struct kms_conf_why *why);
#endif

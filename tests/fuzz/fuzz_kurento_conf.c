/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_kurento_conf.c — Kurento's configuration files: the first byte says which form.
 * A setting has a path and a line of the file; what is refused has a reason and a line. */
#include "api/kurento/conf.h"
#include <stdlib.h>

static size_t lines;

static int on_leaf(void *arg, const struct kms_leaf *leaf)
{
	size_t *told = arg;

	if (leaf->line == 0 || leaf->line > lines || strlen(leaf->path) > 255 || !leaf->value ||
	    leaf->exact[0] != KMS_LEAF_MEMBER)
		__builtin_trap();
	/* What fn says ends the reading. */
	return ++*told == 1000 ? SL_EFULL : SL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kms_conf_why why = {0};
	size_t told = 0;
	char *text;
	int err;

	if (len == 0)
		return 0;
	text = malloc(len);
	if (!text)
		return 0;
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	lines = 1;
	for (size_t i = 0; text[i]; i++)
		lines += text[i] == '\n';
	err = data[0] & 1 ? kms_conf_json(text, on_leaf, &told, &why)
			  : kms_conf_ini(text, on_leaf, &told, &why);
	if (err == SL_EPARSE && (!why.text || why.line == 0 || why.line > lines))
		__builtin_trap();
	if (err == SL_EFULL && told != 1000)
		__builtin_trap();
	if (err != SL_OK && err != SL_EPARSE && err != SL_EFULL)
		__builtin_trap();
	free(text);
	return 0;
}

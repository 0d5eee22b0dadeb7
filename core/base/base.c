/* SPDX-License-Identifier: Apache-2.0
 * core/base/base.c — what an error is called, and the end of the process on a bug of ours. */
#include "core/base/base.h"
#include "core/base/str.h"
#include <stdlib.h>
#include <unistd.h>

const char *sl_strerror(int err)
{
	static const struct {
		int err;
		const char *text;
	} texts[] = {{SL_OK, "no error"},
#define X(name, n, text) {SL_##name, text},
		     SL_ERRORS(X)
#undef X
	};

	for (size_t i = 0; i < SL_COUNT(texts); i++)
		if (texts[i].err == err)
			return texts[i].text;
	return "unknown error";
}

/* Not through the log: its thread may be the one that failed, and nothing is sure any more. */
void sl_assert_failed(const char *what, const char *file, int line)
{
	char msg[512];

	(void)sl_fmt(msg, sizeof(msg), "%s:%d: this must hold and does not: %s\n", file, line,
		     what);
	if (write(STDERR_FILENO, msg, strlen(msg)) < 0)
		_exit(134);
	abort();
}

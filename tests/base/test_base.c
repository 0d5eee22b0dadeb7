/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(every_error_has_a_sentence_of_its_own)
{
	static const int errs[] = {
#define X(name, n, text) SL_##name,
		SL_ERRORS(X)
#undef X
	};

	CHECK_STR(sl_strerror(SL_OK), "no error");
	for (size_t i = 0; i < SL_COUNT(errs); i++) {
		CHECK(errs[i] < 0);
		CHECK(strcmp(sl_strerror(errs[i]), "unknown error") != 0);
		for (size_t k = 0; k < i; k++)
			CHECK(strcmp(sl_strerror(errs[i]), sl_strerror(errs[k])) != 0);
	}
}

TEST(a_number_that_is_no_error_is_called_unknown)
{
	CHECK_STR(sl_strerror(1), "unknown error");
	CHECK_STR(sl_strerror(-9999), "unknown error");
}

TEST(a_broken_assertion_says_where_and_aborts)
{
	char text[512] = "";
	size_t n = 0;
	ssize_t got;
	int fds[2], status;
	pid_t pid;

	CHECK(pipe(fds) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		SL_ASSERT(1 + 1 == 3);
		_exit(0);
	}
	close(fds[1]);
	while ((got = read(fds[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(fds[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "test_base.c:"));
	CHECK(strstr(text, "1 + 1 == 3"));
}

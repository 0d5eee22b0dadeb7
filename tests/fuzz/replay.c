/* SPDX-License-Identifier: Apache-2.0 — stands in for libFuzzer's main(): replays a corpus folder,
 * so that `make test` runs every past crash again. Prints how many inputs there were; an empty or
 * missing folder is a failure. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t buf[1 << 20];

static int replay(const char *dir, const char *name)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (!f)
		return 0;
	LLVMFuzzerTestOneInput(buf, fread(buf, 1, sizeof(buf), f));
	fclose(f);
	return 1;
}

int main(int argc, char **argv)
{
	DIR *d = argc == 3 ? opendir(argv[2]) : NULL;
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			n += replay(argv[2], e->d_name);
	if (d)
		closedir(d);
	printf("replay-%s: %d passed, %d failed\n", argc > 1 ? argv[1] : "?", n, n == 0);
	return n == 0;
}

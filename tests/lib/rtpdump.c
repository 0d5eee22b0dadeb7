/* SPDX-License-Identifier: Apache-2.0 — rtpdump files, mapped. */
#include "tests/lib/rtpdump.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RID_IDS                                                                                    \
	.id = {                                                                                    \
		[SL_EXT_ABS_SEND_TIME] = 2,                                                        \
		[SL_EXT_VIDEO_ORIENTATION] = 3,                                                    \
		[SL_EXT_TWCC] = 4,                                                                 \
		[SL_EXT_VIDEO_TIMING] = 7,                                                         \
		[SL_EXT_MID] = 9,                                                                  \
		[SL_EXT_RID] = 10,                                                                 \
		[SL_EXT_DEPENDENCY_DESCRIPTOR] = 13,                                               \
		[SL_EXT_VIDEO_LAYERS] = 14,                                                        \
	}
#define AUDIO_IDS                                                                                  \
	.id = {                                                                                    \
		[SL_EXT_AUDIO_LEVEL] = 1,                                                          \
		[SL_EXT_ABS_SEND_TIME] = 2,                                                        \
		[SL_EXT_TWCC] = 3,                                                                 \
		[SL_EXT_MID] = 4,                                                                  \
		[SL_EXT_VIDEO_TIMING] = 7,                                                         \
		[SL_EXT_VIDEO_LAYERS] = 9,                                                         \
		[SL_EXT_DEPENDENCY_DESCRIPTOR] = 12,                                               \
		[SL_EXT_VIDEO_ORIENTATION] = 13,                                                   \
	}
#define FILE_OF(name) "tests/vectors/rtp/chromium156-" name ".rtpdump"

const struct capture captures[CAPTURES] = {
	{FILE_OF("vp8-simulcast-3rid"), SL_VP8, 96, 97, 0, 3, {RID_IDS}},
	{FILE_OF("h264-simulcast-3rid"), SL_H264, 102, 103, 0, 3, {RID_IDS}},
	{FILE_OF("vp9-simulcast"), SL_VP9, 98, 99, 0, 3, {RID_IDS}},
	{FILE_OF("vp9-svc"), SL_VP9, 98, 99, 0, 1, {RID_IDS}},
	{FILE_OF("av1-svc"), SL_AV1, 45, 46, 0, 1, {RID_IDS}},
	{FILE_OF("opus-red-vp8"), SL_VP8, 96, 97, 63, 1, {AUDIO_IDS}},
};

static const uint8_t *find_newline(const struct sl_rd *r)
{
	return sl_rd_left(r) > 0 ? memchr(r->p, '\n', sl_rd_left(r)) : NULL;
}

/* A line of text, then a header of 16 bytes: start time, address, port. */
static bool skip_header(struct sl_rd *r)
{
	static const char magic[] = "#!rtpplay1.0 ";
	const uint8_t *newline = find_newline(r);

	if (!newline || sl_rd_left(r) < sizeof(magic) || memcmp(r->p, magic, sizeof(magic) - 1))
		return false;
	sl_rd_skip(r, (size_t)(newline - r->p) + 1 + 16);
	return !r->bad;
}

int rtpdump_open(const char *path, struct rtpdump *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st = {0};
	void *map = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (map == MAP_FAILED)
		return SL_ENOTFOUND;
	out->map = map;
	out->map_len = (size_t)st.st_size;
	out->rest = sl_rd(map, out->map_len);
	if (skip_header(&out->rest))
		return SL_OK;
	rtpdump_close(out);
	return SL_EPARSE;
}

void rtpdump_close(void *dump)
{
	struct rtpdump *d = dump;

	if (d->map)
		munmap(d->map, d->map_len);
	d->map = NULL;
}

/* |length 16, these 8 bytes included|RTP length 16, 0 for RTCP|milliseconds 32|packet. */
bool rtpdump_next(struct rtpdump *d, struct rtpdump_packet *out)
{
	uint16_t len, rtp_len;

	if (d->rest.bad || sl_rd_left(&d->rest) == 0)
		return false;
	len = sl_rd16(&d->rest);
	rtp_len = sl_rd16(&d->rest);
	out->ms = sl_rd32(&d->rest);
	out->rtcp = rtp_len == 0;
	out->len = len >= 8 ? len - 8u : SIZE_MAX;
	out->data = sl_rd_bytes(&d->rest, out->len);
	return !d->rest.bad;
}

/* SPDX-License-Identifier: Apache-2.0
 * tests/lib/rtpdump.h — reads captures in rtpdump format, and says what is in ours. */
#ifndef SL_TEST_RTPDUMP_H
#define SL_TEST_RTPDUMP_H
#include "rtp/rtp.h"

struct rtpdump {
	/* owned */
	void *map;
	size_t map_len;
	/* state */
	struct sl_rd rest;
};
struct rtpdump_packet {
	const uint8_t *data; /* borrowed from the capture */
	size_t len;
	uint32_t ms; /* since the capture's start */
	bool rtcp;
};

/* SL_ENOTFOUND, or SL_EPARSE for another format. Takes nothing from the heap. */
SL_MUST_USE int rtpdump_open(const char *path, struct rtpdump *out);
void rtpdump_close(void *dump);
/* False at the end; then d->rest.bad tells whether the file was cut. */
bool rtpdump_next(struct rtpdump *d, struct rtpdump_packet *out);

/* The captures in tests/vectors/rtp. */
struct capture {
	const char *path;
	enum sl_codec codec;
	uint8_t pt, rtx_pt, red_pt; /* red_pt 0: no audio */
	int streams;		    /* media SSRCs of the video */
	struct sl_ext_map map;
};
enum { CAPTURES = 6 };
extern const struct capture captures[CAPTURES];
#endif

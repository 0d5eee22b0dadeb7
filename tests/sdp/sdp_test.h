/* SPDX-License-Identifier: Apache-2.0 — what the tests of rtp/sdp share: offers from files, our
 * side, short checks. */
#ifndef SDP_TEST_H
#define SDP_TEST_H
#include "rtp/sdp/sdp.h"
#include "tests/test.h"

enum { T_TEXT_MAX = 1 << 18 };

/* One reading of a text: lives until it is used for another one, or the test ends. Always static.
 */
struct t_sdp {
	bool begun;
	struct sl_arena arena;
	struct sl_sdp sdp;
	struct sl_sdp_why why;
};

/* Text of tests/vectors/sdp/<name>.sdp in one static buffer: valid until the next call. */
struct sl_str t_load(const char *name);
/* Reads; the arena is given back when the test ends. A failed allocation ends the run. Else the
 * error, as it is. */
int t_read(struct t_sdp *t, struct sl_str text);
int t_read_z(struct t_sdp *t, const char *text);
/* Reads a vector that must be good. */
void t_read_file(struct t_sdp *t, const char *name);
/* As text in a static buffer. */
const char *t_text(const struct sl_sdp *sdp);
/* Our side: 192.0.2.1:10000 and [2001:db8::1]:10000, lite, DTLS client, every codec. */
struct sl_sdp_ours t_ours(void);
/* Answers; ends the run when an allocation failed. Else the error, as it is. */
int t_answer(struct t_sdp *t, const struct sl_sdp *offer, const struct sl_sdp_ours *ours,
	     enum sl_sdp_role role);
/* Reads a vector and answers it, which must work. */
void t_answer_file(struct t_sdp *offer, struct t_sdp *answer, const char *name,
		   enum sl_sdp_role role);

/* "96 97 102": payload types of an m-line. Static buffer. */
const char *t_pts(const struct sl_sdp_media *m);
/* "1 3 4": extension ids of an m-line. Static buffer. */
const char *t_ext_ids(const struct sl_sdp_media *m);
const struct sl_sdp_codec *t_codec(const struct sl_sdp_media *m, uint8_t pt);
#define CHECK_S(s, z) CHECK(t_is((s), (z)))
bool t_is(struct sl_str s, const char *z);
#endif

/* SPDX-License-Identifier: Apache-2.0
 * tests/dtls/pair.h — two handshake engines and a link between them, in virtual time, seeded. */
#ifndef TESTS_DTLS_PAIR_H
#define TESTS_DTLS_PAIR_H
#include "core/base/str.h"
#include "dtls/dtls_int.h"
#include "tests/test.h"

enum { CLIENT, SERVER };
enum { PAIR_QUEUE = 128, PAIR_DGRAM = 1500, PAIR_CERTS = 3 };

struct pair_dgram {
	int64_t at_us;
	int to;
	size_t len;
	uint8_t data[PAIR_DGRAM];
};

struct pair {
	struct sl_dtls *end[2];
	struct sl_dtls_conf conf[2];
	struct sl_test_rng rng_state[3];
	struct sl_rng rng[3]; /* of each end, and of the link */
	int64_t now_us, delay_us;
	unsigned loss, duplicate, reorder; /* percent */
	bool threads;			   /* each step on a thread of its own */
	int delivered[2];		   /* datagrams that reached each end */
	uint64_t trace;			   /* over all bytes sent */
	/* Sees each datagram before it is delivered; false: it is lost. */
	bool (*tap)(struct pair *p, int to, const uint8_t *data, size_t len);
	const void *tap_arg;
	int tap_count;
	size_t queued;
	struct pair_dgram queue[PAIR_QUEUE];
};

/* Certificates made once for all tests. */
const struct sl_cert *pair_cert(int which);
struct sl_fingerprint pair_fingerprint(enum sl_digest algorithm, const struct sl_cert *cert);
/* Sets everything to the usual; conf may be altered before pair_start(). The struct is static. */
struct pair *pair_new(uint64_t seed);
void pair_start(struct pair *p);
/* Until both have an end and nothing is on the way, or that much time has gone. */
void pair_run(struct pair *p, int64_t for_us);
void pair_send(struct pair *p, int to, const void *data, size_t len); /* arrives now */
bool pair_connected(const struct pair *p);
/* sl_dtls_is_close(); a run whose allocation failed ends when it says no. */
bool pair_closes(struct sl_dtls_records *r, const uint8_t *data, size_t len);
/* Both connected and each opens what the other seals. */
void pair_check(struct pair *p);
size_t pair_file(const char *path, void *buf, size_t cap);
#endif

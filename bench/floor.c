/* SPDX-License-Identifier: Apache-2.0
 * bench/floor.c — what forwarding costs at least on this machine: a bare loop that writes a
 * header, seals in batches through ipsec-mb and sends by UDP GSO. No sessions, no feedback, no
 * clock, no receiving. Same packets as the fanout scenario: bursts whose smaller packets come
 * first, made equal by RTP padding. A child on another core receives without UDP_GRO, as
 * sluice-load does, and deciphers one packet in a thousand with libsrtp2. The loop waits (asleep,
 * so without cost) while the child is behind. Prints a line of JSON. */
#include "core/base/base.h"
#include "core/base/bytes.h"
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <intel-ipsec-mb.h>
#include <mbedtls/aes.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	BURST = 8,
	BATCH = 128,
	DESTS = BATCH / BURST,
	HDR = 24, /* 12, and an extension with transport-cc number, time of sending and mid */
	SMALL = 1100,
	LARGE = 1101,
	TAG = 10,
	WIRE = HDR + LARGE + TAG,
	SLOT = 2048,
	SUBSCRIBERS_MAX = 4000,
	BEHIND = 512, /* packets per subscriber that may be under way */
	CHECK_EVERY = 997,
	POLL_US = 500
};

struct dest {
	_Alignas(16) uint32_t enc[60];
	uint32_t dec[60];
	_Alignas(16) uint8_t ipad[20];
	uint8_t opad[20], salt[16], master[30];
	uint32_t ssrc, ts_add;
	uint16_t seq, twcc;
	struct sockaddr_in to;
};

/* Shared with the child. */
struct tally {
	uint64_t received, checked, bad;
	bool stop;
};

static struct dest *dests;
static unsigned dest_count = 50;
static struct tally *tally;
static IMB_MGR *mgr;
static uint8_t payload[BURST][LARGE];

static double now_s(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "bench-floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(int core)
{
	cpu_set_t set;

	if (core < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void fill(void *out, size_t n)
{
	static uint32_t x = 1;
	uint8_t *p = out;

	while (n--) {
		x = x * 1664525 + 1013904223;
		*p++ = (uint8_t)(x >> 24);
	}
}

/* ---- keys ---- */

/* RFC 3711 section 4.3.3 without a derivation rate. */
static void derive(const uint8_t *master, uint8_t label, uint8_t *out, size_t n)
{
	mbedtls_aes_context aes;
	uint8_t iv[16] = {0};
	uint8_t block[16];
	size_t off = 0;

	memcpy(iv, master + 16, 14);
	iv[7] ^= label;
	memset(out, 0, n);
	mbedtls_aes_init(&aes);
	mbedtls_aes_setkey_enc(&aes, master, 128);
	mbedtls_aes_crypt_ctr(&aes, n, &off, iv, block, out, out);
	mbedtls_aes_free(&aes);
}

static void pad_hash(const uint8_t *auth, uint8_t with, uint8_t *out)
{
	uint8_t pad[64];

	memset(pad, with, sizeof(pad));
	for (int i = 0; i < 20; i++)
		pad[i] ^= auth[i];
	IMB_SHA1_ONE_BLOCK(mgr, pad, out);
}

static void make_keys(struct dest *d)
{
	uint8_t key[16];
	uint8_t auth[20];

	derive(d->master, 0, key, sizeof(key));
	derive(d->master, 1, auth, sizeof(auth));
	derive(d->master, 2, d->salt, 14);
	IMB_AES_KEYEXP_128(mgr, key, d->enc, d->dec);
	pad_hash(auth, 0x36, d->ipad);
	pad_hash(auth, 0x5c, d->opad);
}

/* ---- one batch: header, cipher, tag ---- */

struct batch {
	IMB_JOB cipher[BATCH], hash[BATCH];
	uint8_t iv[BATCH][16], tag[BATCH][12];
	uint8_t slab[DESTS][BURST * WIRE + 16];
	int n;
};

/* RFC 8285 one-byte form: transport-cc (id 3), time of sending (2), mid (4). */
static void write_header(uint8_t *p, struct dest *d, unsigned at, uint32_t ts, uint32_t now24)
{
	p[0] = at < BURST / 2 ? 0xb0 : 0x90;
	p[1] = at + 1 == BURST ? 0xe0 : 0x60;
	sl_put16(p + 2, d->seq);
	sl_put32(p + 4, ts + d->ts_add);
	sl_put32(p + 8, d->ssrc);
	sl_put32(p + 12, 0xbede0002);
	p[16] = 0x31;
	sl_put16(p + 17, d->twcc++);
	p[19] = 0x22;
	sl_put24(p + 20, now24);
	p[23] = 0;
}

static void write_iv(uint8_t *iv, const struct dest *d)
{
	memcpy(iv, d->salt, 16);
	sl_put32(iv + 4, sl_get32(iv + 4) ^ d->ssrc);
	sl_put16(iv + 12, sl_get16(iv + 12) ^ d->seq);
}

static void add_packet(struct batch *b, struct dest *d, uint8_t *out, unsigned at, uint32_t ts)
{
	IMB_JOB *c = &b->cipher[b->n];
	IMB_JOB *h = &b->hash[b->n];

	write_header(out, d, at, ts, ts & 0xffffff);
	write_iv(b->iv[b->n], d);
	d->seq++;
	c->cipher_mode = IMB_CIPHER_CNTR;
	c->cipher_direction = IMB_DIR_ENCRYPT;
	c->hash_alg = IMB_AUTH_NULL;
	c->enc_keys = d->enc;
	c->dec_keys = d->enc;
	c->key_len_in_bytes = 16;
	c->iv = b->iv[b->n];
	c->iv_len_in_bytes = 16;
	c->src = payload[at];
	c->dst = out + HDR;
	c->cipher_start_src_offset_in_bytes = 0;
	c->msg_len_to_cipher_in_bytes = LARGE;
	h->hash_alg = IMB_AUTH_HMAC_SHA_1;
	h->src = out;
	h->hash_start_src_offset_in_bytes = 0;
	h->msg_len_to_hash_in_bytes = HDR + LARGE + 4;
	h->u.HMAC._hashed_auth_key_xor_ipad = d->ipad;
	h->u.HMAC._hashed_auth_key_xor_opad = d->opad;
	h->auth_tag_output = b->tag[b->n];
	h->auth_tag_output_len_in_bytes = 12;
	b->n++;
}

/* Numbers stay below 2^16 (begin_again), so the ROC is 0 throughout. */
static void seal(struct batch *b, unsigned used)
{
	uint32_t n = (uint32_t)b->n;

	IMB_SUBMIT_CIPHER_BURST_NOCHECK(mgr, b->cipher, n, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT,
					IMB_KEY_128_BYTES);
	for (unsigned i = 0; i < used * BURST; i++)
		memset(b->slab[i / BURST] + i % BURST * WIRE + HDR + LARGE, 0, 4);
	IMB_SUBMIT_HASH_BURST_NOCHECK(mgr, b->hash, n, IMB_AUTH_HMAC_SHA_1);
	for (unsigned i = 0; i < used * BURST; i++)
		memcpy(b->slab[i / BURST] + i % BURST * WIRE + HDR + LARGE, b->tag[i], TAG);
}

/* Fresh keys would be needed past a wrap; a new SSRC serves as well. */
static void begin_again(struct dest *d)
{
	if (d->seq > 65000) {
		d->seq = 1;
		d->ssrc++;
	}
}

static void send_runs(int fd, struct batch *b, struct dest *const *to, unsigned n)
{
	struct mmsghdr m[DESTS];
	struct iovec iov[DESTS];
	_Alignas(16) uint8_t control[DESTS][CMSG_SPACE(sizeof(uint16_t))];
	const uint16_t size = WIRE;
	unsigned at = 0;

	memset(m, 0, n * sizeof(m[0]));
	memset(control, 0, sizeof(control));
	for (unsigned i = 0; i < n; i++) {
		struct msghdr *h = &m[i].msg_hdr;
		struct cmsghdr *c;

		iov[i] = (struct iovec){b->slab[i], (size_t)BURST * WIRE};
		h->msg_name = &to[i]->to;
		h->msg_namelen = sizeof(to[i]->to);
		h->msg_iov = &iov[i];
		h->msg_iovlen = 1;
		h->msg_control = control[i];
		h->msg_controllen = sizeof(control[i]);
		c = CMSG_FIRSTHDR(h);
		c->cmsg_level = SOL_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(size));
		memcpy(CMSG_DATA(c), &size, sizeof(size));
	}
	while (at < n) {
		int did = sendmmsg(fd, m + at, n - at, 0);

		if (did < 0)
			die("sendmmsg");
		at += (unsigned)did;
	}
}

/* One burst to everybody. Returns how many packets that were. */
static uint64_t fan_out(int fd, struct batch *b, uint32_t ts)
{
	for (unsigned first = 0; first < dest_count; first += DESTS) {
		unsigned n = SL_MIN(dest_count - first, (unsigned)DESTS);
		struct dest *to[DESTS];

		b->n = 0;
		for (unsigned i = 0; i < n; i++) {
			to[i] = &dests[first + i];
			begin_again(to[i]);
			for (unsigned at = 0; at < BURST; at++)
				add_packet(b, to[i], b->slab[i] + at * WIRE, at, ts);
		}
		seal(b, n);
		if (fd >= 0)
			send_runs(fd, b, to, n);
	}
	return (uint64_t)dest_count * BURST;
}

/* ---- which instructions ---- */

static const struct {
	const char *name;
	void (*init)(IMB_MGR *m);
	uint64_t needs;
} kinds[] = {{"sse", init_mb_mgr_sse, IMB_FEATURE_SSE4_2 | IMB_FEATURE_AESNI},
	     {"avx2", init_mb_mgr_avx2, IMB_FEATURE_AVX2 | IMB_FEATURE_AESNI},
	     {"avx512", init_mb_mgr_avx512, IMB_FEATURE_AVX512_SKX | IMB_FEATURE_AESNI}};

static double trial(struct batch *b)
{
	double best = 1e9;

	for (int i = 0; i < 30; i++) {
		double t = now_s(CLOCK_THREAD_CPUTIME_ID);

		fan_out(-1, b, 0);
		best = SL_MIN(best, now_s(CLOCK_THREAD_CPUTIME_ID) - t);
	}
	return best;
}

static const char *choose(struct batch *b)
{
	const char *name = NULL;
	IMB_MGR *best = NULL;
	double least = 1e9;

	for (size_t i = 0; i < SL_COUNT(kinds); i++) {
		double t;

		mgr = alloc_mb_mgr(0);
		if (!mgr)
			die("alloc_mb_mgr");
		if ((mgr->features & kinds[i].needs) == kinds[i].needs) {
			kinds[i].init(mgr);
			t = trial(b);
			if (t < least) {
				least = t;
				best = mgr;
				name = kinds[i].name;
				continue;
			}
		}
		free_mb_mgr(mgr);
	}
	mgr = best;
	return name;
}

/* ---- the child ---- */

static srtp_t checker_of(const struct dest *d)
{
	srtp_policy_t policy = {0};
	uint8_t key[30];
	srtp_t ctx;

	memcpy(key, d->master, sizeof(key));
	srtp_crypto_policy_set_rtp_default(&policy.rtp);
	srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
	policy.key = key;
	policy.ssrc.type = ssrc_any_inbound;
	policy.window_size = 0x4000;
	return srtp_create(&ctx, &policy) == srtp_err_status_ok ? ctx : NULL;
}

static bool intact(unsigned who, const uint8_t *data, size_t len)
{
	srtp_t ctx = checker_of(&dests[who]);
	uint8_t plain[SLOT];
	int n = (int)len;
	bool ok;

	memcpy(plain, data, len);
	ok = ctx && srtp_unprotect(ctx, plain, &n) == srtp_err_status_ok && n == HDR + LARGE &&
	     memcmp(plain + HDR, payload[(sl_get16(plain + 2) - 1u) % BURST], LARGE) == 0;
	if (ctx)
		srtp_dealloc(ctx);
	return ok;
}

static void take_all(int fd, unsigned who)
{
	static uint8_t data[64][SLOT];
	static uint64_t count;
	struct mmsghdr m[64] = {0};
	struct iovec iov[64];
	int n;

	for (int i = 0; i < 64; i++) {
		iov[i] = (struct iovec){data[i], SLOT};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(fd, m, 64, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		if (++count % CHECK_EVERY == 0) {
			tally->checked++;
			tally->bad += !intact(who, data[i], m[i].msg_len);
		}
	if (n > 0)
		SL_STORE(&tally->received, tally->received + (uint64_t)n);
}

static void receive(const int *fds)
{
	struct epoll_event ev[64];
	int ep = epoll_create1(0);

	srtp_init();
	for (unsigned i = 0; i < dest_count; i++) {
		ev[0] = (struct epoll_event){.events = EPOLLIN, .data.u32 = i};
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev[0]);
	}
	while (!SL_LOAD(&tally->stop)) {
		int n = epoll_wait(ep, ev, 64, 0);

		for (int i = 0; i < n; i++)
			take_all(fds[ev[i].data.u32], ev[i].data.u32);
		/* As sluice-load: the sender shall not pay for wake-ups. */
		if (n < 64)
			usleep(POLL_US);
	}
}

static void open_sockets(int *fds)
{
	int size = 4 << 20;

	for (unsigned i = 0; i < dest_count; i++) {
		struct sockaddr_in a = {.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof(a);

		fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (fds[i] < 0)
			die("socket");
		if (setsockopt(fds[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		if (bind(fds[i], (struct sockaddr *)&a, len) < 0 ||
		    getsockname(fds[i], (struct sockaddr *)&a, &len) < 0)
			die("bind");
		dests[i].to = a;
	}
}

/* ---- measuring ---- */

static uint64_t run_for(int fd, struct batch *b, double seconds, uint64_t *sent)
{
	double end = now_s(CLOCK_MONOTONIC) + seconds;
	uint64_t before = *sent;
	uint32_t ts = 0;

	while (now_s(CLOCK_MONOTONIC) < end) {
		*sent += fan_out(fd, b, ts += 3000);
		while (*sent - SL_LOAD(&tally->received) > (uint64_t)dest_count * BEHIND &&
		       now_s(CLOCK_MONOTONIC) < end)
			usleep(POLL_US);
	}
	return *sent - before;
}

static void measure(struct batch *b, double seconds, const char *kind)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t sent = 0;
	uint64_t n;
	double cpu;
	double wall;

	if (fd < 0)
		die("socket");
	run_for(fd, b, SL_MIN(0.5, seconds / 2), &sent);
	cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
	wall = now_s(CLOCK_MONOTONIC);
	n = run_for(fd, b, seconds, &sent);
	cpu = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = now_s(CLOCK_MONOTONIC) - wall;
	usleep(300000);
	printf("{\"event\":\"result\",\"subscribers\":%u,\"seconds\":%.3f,\"sent\":%llu,"
	       "\"pps\":%.0f,\"cpu_us_per_packet\":%.4f,\"kind\":\"%s\",\"lost\":%lld,"
	       "\"checked\":%llu,\"bad\":%llu}\n",
	       dest_count, wall, (unsigned long long)n, (double)n / wall, cpu * 1e6 / (double)n,
	       kind, (long long)(sent - SL_LOAD(&tally->received)),
	       (unsigned long long)tally->checked, (unsigned long long)tally->bad);
	close(fd);
}

static void make_dests(void)
{
	for (unsigned i = 0; i < dest_count; i++) {
		fill(dests[i].master, sizeof(dests[i].master));
		dests[i].ssrc = 0x10000000 * (1 + i % 8) + i;
		dests[i].ts_add = i * 7919;
		dests[i].seq = 1;
	}
	for (int i = 0; i < BURST; i++) {
		fill(payload[i], LARGE);
		if (i < BURST / 2)
			payload[i][SMALL] = 1; /* RFC 3550 section 5.1: how many bytes of padding */
	}
}

struct args {
	double seconds;
	int core, receiver_core;
};

static bool parse(struct args *a, int argc, char **argv)
{
	static const struct option options[] = {{"subscribers", 1, 0, 'n'},
						{"seconds", 1, 0, 's'},
						{"core", 1, 0, 'c'},
						{"receiver-core", 1, 0, 'r'},
						{0}};
	int o;

	*a = (struct args){.seconds = 3, .core = -1, .receiver_core = -1};
	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (o == 'n')
			dest_count = (unsigned)strtoul(optarg, NULL, 10);
		else if (o == 's')
			a->seconds = strtod(optarg, NULL);
		else if (o == 'c')
			a->core = (int)strtol(optarg, NULL, 10);
		else if (o == 'r')
			a->receiver_core = (int)strtol(optarg, NULL, 10);
		else
			return false;
	}
	return dest_count >= 1 && dest_count <= SUBSCRIBERS_MAX && a->seconds > 0 &&
	       a->seconds <= 600;
}

/* What parent and child share: keys, sockets and the tally. */
static int *prepare(void)
{
	struct rlimit files = {65536, 65536};
	int *fds = calloc(dest_count, sizeof(*fds));

	setrlimit(RLIMIT_NOFILE, &files);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	dests = aligned_alloc(64, (dest_count * sizeof(*dests) + 63) / 64 * 64);
	if (!dests || !fds || tally == MAP_FAILED)
		die("memory");
	memset(dests, 0, dest_count * sizeof(*dests));
	make_dests();
	open_sockets(fds);
	return fds;
}

static void expand_keys(void)
{
	mgr = alloc_mb_mgr(0);
	if (!mgr)
		die("alloc_mb_mgr");
	init_mb_mgr_sse(mgr);
	for (unsigned i = 0; i < dest_count; i++)
		make_keys(&dests[i]);
	free_mb_mgr(mgr);
}

int main(int argc, char **argv)
{
	struct batch *b = calloc(1, sizeof(*b));
	struct args args;
	pid_t child;
	int *fds;

	if (!b || !parse(&args, argc, argv)) {
		fputs("usage: bench-floor [--subscribers N] [--seconds S] [--core C] "
		      "[--receiver-core C]\n",
		      stderr);
		return 2;
	}
	fds = prepare();
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(args.receiver_core);
		receive(fds);
		_exit(0);
	}
	if (child < 0)
		die("fork");
	pin(args.core);
	expand_keys();
	measure(b, args.seconds, choose(b));
	SL_STORE(&tally->stop, true);
	waitpid(child, NULL, 0);
	return tally->bad ? 1 : 0;
}

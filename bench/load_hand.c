/* SPDX-License-Identifier: Apache-2.0
 * bench/load_hand.c — DTLS handshakes on a thread of low priority: one costs milliseconds, in
 * which bursts would wait. A handshake is with one thread at a time: what comes for it meanwhile
 * waits, up to a bound. */
#include "bench/load.h"
#include "core/base/mem.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WAITING = 8, OUT = 24, DGRAM = 1600, NICE = 10 };

struct dgram {
	size_t len;
	uint8_t data[DGRAM];
};

struct load_hand {
	struct sl_list link; /* in a queue of load_hands */
	struct load_hands *hands;
	struct load_peer *peer;
	struct sl_dtls *dtls; /* the worker's while `busy` */
	bool busy, due, tick;
	unsigned in_count, wait_count, out_count, out_at;
	int64_t now_us, deadline_us;
	enum sl_dtls_state state;
	struct sl_dtls_keys keys;
	struct dgram in[WAITING], wait[WAITING], out[OUT];
};

struct load_hands {
	struct load_watch watch;
	struct load *load;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct sl_list asked, done; /* under lock */
	bool stop;
	struct sl_rng rng; /* the thread's */
};

static int64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SL_SEC + ts.tv_nsec / 1000;
}

/* ---- on the thread ---- */

static void take_out(struct load_hand *h)
{
	const uint8_t *data;
	size_t len;

	while (sl_dtls_pull(h->dtls, &data, &len))
		if (h->out_count < OUT && len <= DGRAM) {
			h->out[h->out_count].len = len;
			memcpy(h->out[h->out_count++].data, data, len);
		}
}

static void work(struct load_hands *all, struct load_hand *h)
{
	sl_dtls_set_rng(h->dtls, &all->rng);
	h->out_count = h->out_at = 0;
	if (h->tick)
		sl_dtls_tick(h->dtls, h->now_us);
	take_out(h);
	for (unsigned i = 0; i < h->in_count; i++) {
		sl_dtls_recv(h->dtls, h->in[i].data, h->in[i].len, h->now_us);
		take_out(h);
	}
	h->state = sl_dtls_state(h->dtls);
	if (h->state == SL_DTLS_CONNECTED && sl_dtls_keys(h->dtls, &h->keys) < 0)
		h->state = SL_DTLS_FAILED;
	h->deadline_us = sl_dtls_deadline_us(h->dtls);
}

static void *run(void *arg)
{
	struct load_hands *all = arg;
	const uint64_t one = 1;

	/* Of this thread alone, as Linux has it. */
	setpriority(PRIO_PROCESS, 0, NICE);
	pthread_mutex_lock(&all->lock);
	while (!all->stop) {
		struct load_hand *h;

		if (sl_list_empty(&all->asked)) {
			pthread_cond_wait(&all->some, &all->lock);
			continue;
		}
		h = SL_LIST_AT(all->asked.next, struct load_hand, link);
		sl_list_del(&h->link);
		pthread_mutex_unlock(&all->lock);
		work(all, h);
		pthread_mutex_lock(&all->lock);
		sl_list_add(&all->done, &h->link);
		if (write(all->watch.fd, &one, sizeof(one)) < 0)
			break;
	}
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

/* ---- on the loop ---- */

struct load_hands *load_hands_new(struct load *l)
{
	struct load_hands *h = sl_zalloc(sizeof(*h));
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (!h || fd < 0 || sl_rng_system_new(&h->rng) < 0)
		return NULL;
	h->load = l;
	sl_list_init(&h->asked);
	sl_list_init(&h->done);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->some, NULL);
	if (load_watch(l, &h->watch, LOAD_HAND, fd, EPOLLIN) < 0 ||
	    pthread_create(&h->thread, NULL, run, h) != 0)
		return NULL;
	return h;
}

void load_hands_free(struct load_hands *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_signal(&h->some);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	close(h->watch.fd);
	sl_rng_system_free(&h->rng);
	sl_free(h);
}

static void ask(struct load_hand *h)
{
	struct load_hands *all = h->hands;

	memcpy(h->in, h->wait, h->wait_count * sizeof(h->wait[0]));
	h->in_count = h->wait_count;
	h->tick = h->due;
	h->wait_count = 0;
	h->due = false;
	h->busy = true;
	h->deadline_us = SL_NEVER;
	h->now_us = monotonic_us();
	h->peer->refs++;
	pthread_mutex_lock(&all->lock);
	sl_list_add(&all->asked, &h->link);
	pthread_cond_signal(&all->some);
	pthread_mutex_unlock(&all->lock);
}

static struct load_hand *next_done(struct load_hands *all)
{
	struct load_hand *h = NULL;

	pthread_mutex_lock(&all->lock);
	if (!sl_list_empty(&all->done)) {
		h = SL_LIST_AT(all->done.next, struct load_hand, link);
		sl_list_del(&h->link);
	}
	pthread_mutex_unlock(&all->lock);
	return h;
}

void load_hands_done(struct load_hands *all)
{
	struct load_hand *h;
	uint64_t n;

	if (read(all->watch.fd, &n, sizeof(n)) < 0)
		return;
	while ((h = next_done(all))) {
		struct load_peer *p = h->peer;

		h->busy = false;
		p->refs--;
		load_peer_hand_done(p);
		if (p->state != LOAD_GONE && !h->busy && (h->wait_count || h->due))
			ask(h);
	}
}

struct load_hand *load_hand_new(struct load_peer *p)
{
	struct load_hand *h = sl_zalloc(sizeof(*h));
	struct sl_dtls_conf conf = {.client = p->dtls_client,
				    .cert = p->load->cert,
				    .peer_count = 1,
				    .rng = &p->load->rng};

	conf.peer[0] = p->fingerprint;
	if (h && sl_dtls_new(&conf, &h->dtls) < 0) {
		sl_free(h);
		return NULL;
	}
	if (!h)
		return NULL;
	h->hands = p->load->hands;
	h->peer = p;
	h->deadline_us = SL_NEVER;
	return h;
}

void load_hand_free(struct load_hand *h)
{
	if (!h)
		return;
	SL_ASSERT(!h->busy);
	sl_dtls_free(h->dtls);
	sl_wipe(&h->keys, sizeof(h->keys));
	sl_free(h);
}

void load_hand_step(struct load_peer *p, const uint8_t *data, size_t len)
{
	struct load_hand *h = p->hand;

	if (data && h->wait_count < WAITING && len <= DGRAM) {
		h->wait[h->wait_count].len = len;
		memcpy(h->wait[h->wait_count++].data, data, len);
	}
	if (!data)
		h->due = true;
	if (!h->busy)
		ask(h);
}

bool load_hand_pull(struct load_hand *h, const uint8_t **data, size_t *len)
{
	if (h->out_at == h->out_count)
		return false;
	*data = h->out[h->out_at].data;
	*len = h->out[h->out_at++].len;
	return true;
}

enum sl_dtls_state load_hand_state(const struct load_hand *h)
{
	return h->state;
}

const struct sl_dtls_keys *load_hand_keys(const struct load_hand *h)
{
	return &h->keys;
}

bool load_hand_idle(const struct load_hand *h)
{
	return !h->busy;
}

int64_t load_hand_deadline_us(const struct load_hand *h)
{
	return h->deadline_us;
}

/* SPDX-License-Identifier: Apache-2.0
 * core/loop_int.h — a media loop as its files see it: loop.c has its turns, loop_sock.c the sockets
 * that belong to one transport each. */
#ifndef SL_LOOP_INT_H
#define SL_LOOP_INT_H
#include "core/core_int.h"
#include <pthread.h>
#include <uv.h>

struct sl_socket {
	uv_poll_t poll;
	struct sl_udp udp;
	struct sl_loop *loop;
	bool closed; /* only of one transport's */
};

/* Sockets that belong to one transport each, by the low bits of their number. */
struct sl_socks {
	struct sl_sock_slot {
		struct sl_socket *s; /* owned; NULL: free */
		uint32_t gen, next;  /* next free slot */
	} *slots;
	uint32_t size, count, free;
	bool closed; /* the loop ends: no more of them */
};

struct sl_loop {
	struct sl_loop_conf conf;
	/* owned */
	struct sl_engine engine;
	struct sl_rng rng;
	struct sl_socket sockets[SL_CORE_LOCALS_MAX];
	size_t socket_count;
	struct sl_socks socks;
	struct sl_udp_bufs *bufs;
	struct sl_ring commands;		 /* control thread → loop: struct sl_cmd * */
	struct sl_ring notes;			 /* loop → control thread: struct sl_note */
	struct sl_ring relay[SL_CORE_LOOPS_MAX]; /* from this loop to loop i */
	uv_loop_t uv;
	uv_async_t async;
	uv_timer_t timer;
	pthread_t thread;
	/* state */
	bool uv_ready, started, stopping;
	uint64_t relay_dirty; /* loops to wake at the end of this turn */
	bool control_dirty;
	int64_t timer_due_us, last_rx_us;
};

/* ---- loop.c ---- */
void sl_loop_readable(uv_poll_t *poll, int status, int events);

/* ---- loop_sock.c; see struct sl_engine_io ---- */
SL_MUST_USE int sl_loop_sock_open(struct sl_loop *l, uint64_t transport, const struct sl_addr *bind,
				  struct sl_addr *local);
void sl_loop_sock_close(struct sl_loop *l, uint32_t sock);
/* All of them, and no new ones from now on. */
void sl_loop_socks_close(struct sl_loop *l);
/* Returns how many datagrams the system took: none of a socket that is not open. */
int sl_loop_sock_send(struct sl_loop *l, uint32_t sock, struct sl_run *runs, int n);
#endif

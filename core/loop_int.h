/* SPDX-License-Identifier: Apache-2.0
 * core/loop_int.h — a media loop as its files see it: loop.c has its turns, loop_sock.c the sockets
 * that belong to one transport each, tcp.c streams and who listens for them. */
#ifndef SL_LOOP_INT_H
#define SL_LOOP_INT_H
#include "core/core_int.h"
#include <pthread.h>
#include <uv.h>

struct sl_socket {
	uv_poll_t poll;
	struct sl_udp udp;
	struct sl_loop *loop;
	bool closed;		  /* only of one transport's */
	struct sl_stream *stream; /* owned; NULL: UDP */
};

/* One TCP socket for each address, where peers' connections come in. */
struct sl_listener {
	uv_poll_t poll;
	int fd; /* 0: none */
	struct sl_loop *loop;
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
	struct sl_listener listeners[SL_CORE_LOCALS_MAX]; /* by local address */
	struct sl_list strangers; /* connections that nobody has claimed yet, the oldest first */
	uint32_t stranger_count;
	uv_timer_t stranger_timer;
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
/* What stands around whatever wakes the loop: reads the clock; sends, and arms the timer. */
int64_t sl_loop_begin(struct sl_loop *l);
void sl_loop_finish(struct sl_loop *l, int64_t now_us);

/* ---- loop_sock.c; see struct sl_engine_io ---- */
SL_MUST_USE int sl_loop_sock_open(struct sl_loop *l, uint64_t transport, const struct sl_addr *bind,
				  struct sl_addr *local);
void sl_loop_sock_close(struct sl_loop *l, uint32_t sock);
void sl_loop_sock_give(struct sl_loop *l, uint32_t sock, uint64_t transport);
/* All of them, and no new ones from now on. */
void sl_loop_socks_close(struct sl_loop *l);
/* Returns how many datagrams the system took: none of a socket that is not open. */
int sl_loop_sock_send(struct sl_loop *l, uint32_t sock, struct sl_run *runs, int n);
/* A socket to be opened: SL_ESTATE, SL_EFULL, SL_ENOMEM. */
SL_MUST_USE int sl_loop_sock_new(struct sl_loop *l, uint64_t transport, struct sl_socket **out);
/* Takes over s, whose descriptor is open. Its number, or an error, and then s is gone. */
SL_MUST_USE int sl_loop_sock_start(struct sl_socket *s, uint32_t flags, int events, uv_poll_cb fn);
void sl_loop_sock_drop(struct sl_socket *s); /* one that was not started */

/* ---- tcp.c ---- */
SL_MUST_USE int sl_loop_stream_open(struct sl_loop *l, uint64_t transport,
				    const struct sl_stream_to *to, struct sl_addr *local);
/* Returns how many datagrams were taken, all of each: what does not fit waits, and when too much
 * waits they are dropped. */
int sl_stream_send(struct sl_socket *s, const struct sl_run *runs, int n);
void sl_stream_free(struct sl_stream *st); /* takes NULL */
void sl_stream_claimed(struct sl_socket *s);
/* Under the number of that UDP socket. SL_EIO: not to be had; errno says why. */
SL_MUST_USE int sl_loop_listen(struct sl_loop *l, size_t local);
void sl_loop_listeners_start(struct sl_loop *l);
void sl_loop_listeners_close(struct sl_loop *l); /* from libuv; the descriptors with _free */
void sl_loop_listeners_free(struct sl_loop *l);
#endif

/* SPDX-License-Identifier: Apache-2.0
 * dtls/tls_client.h — the client's end of a TLS 1.2 stream without IO, for relays that are reached
 * over TLS: bytes of the server in (recv), bytes for the server out (pull), and the plain text
 * between (read, write). Handshakes cost milliseconds: not for a media loop. One thread at a time.
 * The heap is used at new and, inside the library, during the handshake. */
#ifndef SL_TLS_CLIENT_H
#define SL_TLS_CLIENT_H
#include "core/base/rng.h"
#include "core/base/str.h"

/* Authorities that a server's certificate may be signed by; read-only once made. */
struct sl_tls_roots;
/* From PEM text of any number of certificates; those that the library cannot read are left out.
 * SL_EPARSE: not one could be read. SL_ENOMEM. */
SL_MUST_USE int sl_tls_roots_new(struct sl_str pem, struct sl_tls_roots **out);
void sl_tls_roots_free(struct sl_tls_roots *roots);             /* takes NULL */

struct sl_tls_client;
struct sl_tls_client_conf {
	const char *host;               /* a name (told to the server) or an IP address */
	const struct sl_tls_roots *roots;       /* borrowed; NULL: the certificate is not looked
						 * at. Else it has to be for `host` */
	const struct sl_rng *rng;       /* borrowed */
};
enum sl_tls_state { SL_TLS_HANDSHAKING, SL_TLS_CONNECTED, SL_TLS_CLOSED, SL_TLS_FAILED };

/* The first flight is there to be pulled. SL_ENOMEM; SL_ERANGE: a name that TLS cannot carry. */
SL_MUST_USE int sl_tls_client_new(const struct sl_tls_client_conf *conf,
				  struct sl_tls_client **out);
void sl_tls_client_free(struct sl_tls_client *c);               /* takes NULL */
/* How many of the server's bytes were taken; the rest comes again after read() gave 0. */
size_t sl_tls_client_recv(struct sl_tls_client *c, const void *data, size_t len);
/* The bytes that wait to be sent, of which `sent` were since the last call; valid until the next
 * call. */
size_t sl_tls_client_pull(struct sl_tls_client *c, size_t sent, const uint8_t **out);
/* Plain text of the server: its length, or 0: none now. */
size_t sl_tls_client_read(struct sl_tls_client *c, void *buf, size_t cap);
/* How much plain text was taken: 0 before the handshake is done, or while something waits to be
 * pulled. */
size_t sl_tls_client_write(struct sl_tls_client *c, const void *data, size_t len);
/* Says goodbye (close_notify); pull it. */
void sl_tls_client_close(struct sl_tls_client *c);
enum sl_tls_state sl_tls_client_state(const struct sl_tls_client *c);
const char *sl_tls_client_why(const struct sl_tls_client *c);   /* FAILED: in words */
#endif

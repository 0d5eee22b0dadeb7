/* SPDX-License-Identifier: Apache-2.0
 * core/tls.h — streams over TLS for media loops, which do no public-key cryptography themselves:
 * one thread of the process speaks TLS with the servers; a loop holds the other end of a socket
 * pair, which carries the plain text. */
#ifndef SL_CORE_TLS_H
#define SL_CORE_TLS_H
#include "core/base/addr.h"

struct sl_core_why;

/* Whether certificates of servers are checked against the system's authorities and the host's name
 * (`ice.turn_tls_verify`); for streams opened from now on. At first they are not. */
void sl_tls_set_verify(bool verify);
/* A stream to `remote`, whose certificate is to be for `host` (a name or an IP address). Returns
 * the plain end's descriptor, non-blocking, at once: what is written to it waits for the
 * connection, an end of file says that there is none or no more (a log line says why), and closing
 * it ends the TLS session after what was written before. May be called by any thread; the first
 * call starts the TLS thread. SL_ERANGE (the name), SL_EFULL, SL_ENOMEM or SL_EIO, with *why. */
SL_MUST_USE int sl_tls_stream(const struct sl_addr *remote, const char *host,
			      struct sl_core_why *why);
/* Ends all streams and the thread. Nobody may be in sl_tls_stream() meanwhile. */
void sl_tls_stop(void);
#endif

/* SPDX-License-Identifier: Apache-2.0
 * core/plain.h — what a transport without ICE and DTLS is opened with: plain RTP (AVP, AVPF) or
 * SRTP with keys from SDES (SAVP, SAVPF).
 * Shape:     one transport for each m-line, as such peers do not bundle; its tracks are a
 *            publisher, a subscriber or both. It has sockets of its own: an even port for RTP
 *            and the odd one above it for RTCP, or one port where both agreed to a=rtcp-mux.
 * Where to:  media goes where signalling said, and nowhere else. Only with a `learn` other than
 *            NEVER it goes to where packets come from, and who that is is decided once: SRTP by the
 *            first authentic packet, plain RTP by three packets in a row of one SSRC with a
 *            negotiated payload type, from the address (any port) that signalling said. Within its
 *            first five packets such a source gives way to the exact address and port that was
 *            said; after that, and after that one change, nothing moves it (T01).
 * From whom: the same source, and only it, is heard, whether media follows it or not. Whatever else
 *            arrives is dropped before anything of it is used or counted (T02).
 * Start at:  struct sl_plain_conf in struct sl_transport_conf. */
#ifndef SL_PLAIN_H
#define SL_PLAIN_H
#include "core/base/addr.h"

enum sl_transport_kind { SL_TK_WEBRTC, SL_TK_PLAIN };
enum sl_plain_learn {
	SL_LEARN_NEVER,
	SL_LEARN_SOURCE,                /* an active peer: nothing is sent before it was heard */
	SL_LEARN_SYMMETRIC              /* to the address said, until it was heard */
};
/* RFC 4568 section 6.2 and RFC 6188: the suites of SDES. */
enum sl_sdes_suite {
	SL_SDES_NONE,                   /* plain RTP */
	SL_SDES_AES128_80, SL_SDES_AES128_32, SL_SDES_AES256_80, SL_SDES_AES256_32,
	SL_SDES_COUNT
};
enum { SL_SDES_KEY_MAX = 46 };
struct sl_sdes_key {
	enum sl_sdes_suite suite;
	uint8_t bytes[SL_SDES_KEY_MAX]; /* master key, then master salt: 30 or 46 bytes together */
};
struct sl_plain_conf {
	struct sl_addr bind;            /* its port does not count */
	uint16_t port_min, port_max;    /* where pairs are taken from; 0: 1024 to 65535 */
	bool mux;                       /* RTCP on the port of RTP */
	/* The peer's; family 0 or port 0: not said, nothing is sent there. With `offering` they
	 * come by sl_core_set_remote(), and so do learn, any_address and the keys. */
	struct sl_addr rtp, rtcp;
	enum sl_plain_learn learn;
	bool any_address;               /* plain RTP: it need not come from the address said */
	struct sl_sdes_key in, out;     /* the peer's and ours: both, or neither */
	uint64_t key_packets;           /* what a key is good for; 0: RFC 3711 section 9.2 */
	int64_t timeout_us;             /* of silence, then it is closed; 0: never */
};
#endif

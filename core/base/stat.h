/* SPDX-License-Identifier: Apache-2.0
 * core/base/stat.h — named counters of one thread, readable by others.
 * The table below is the whole list; /metrics prints it as sluice_<name>_total with the help text.
 * A counter is written by the thread that owns the struct and read by the control thread, so plain
 * relaxed words are enough. */
#ifndef SL_STAT_H
#define SL_STAT_H
#include "core/base/base.h"

#define SL_STATS(X)                                                                            \
	/* datagrams */                                                                        \
	X(rx_packets, "datagrams received")                                                    \
	X(rx_bytes, "bytes received in datagrams")                                             \
	X(tx_packets, "datagrams sent")                                                        \
	X(tx_bytes, "bytes sent in datagrams")                                                 \
	X(tx_dropped, "datagrams the system would not take at once")                           \
	X(demux_unknown_class, "datagrams of no class of RFC 7983")                            \
	X(demux_truncated, "datagrams too short for their class, or cut by the system")        \
	X(demux_no_transport,                                                                  \
	  "datagrams from an address that no authenticated check has come from")               \
	X(plain_foreign, "datagrams to a plain transport's ports from elsewhere than its peer") \
	X(video_shed, "video packets dropped or withheld because buffers or time ran low")                  \
	X(demux_no_memory, "datagrams dropped because no packet buffer was free")              \
	/* STUN and ICE */                                                                     \
	X(stun_malformed, "STUN messages that do not parse")                                   \
	X(stun_unknown_ufrag, "STUN requests for a user fragment that is not here")            \
	X(stun_bad_integrity, "STUN messages whose integrity does not check")                  \
	X(stun_bad_username, "STUN requests whose user name is not ours and the peer's")       \
	X(stun_unknown_transaction, "STUN responses to nothing that was asked")                \
	X(stun_unsupported,                                                                    \
	  "STUN messages of a method or with attributes that are not understood")              \
	X(ice_requests, "authenticated ICE checks received")                                   \
	X(ice_checks_sent, "ICE checks sent")                                                  \
	X(ice_pair_changes, "changes of the candidate pair in use")                            \
	X(ice_pairs_full, "candidate pairs refused because the session has enough")            \
	X(ice_timeouts, "sessions given up because nothing authentic came any more")           \
	/* DTLS */                                                                             \
	X(dtls_handshakes, "DTLS handshakes completed")                                        \
	X(dtls_failed, "DTLS handshakes failed")                                               \
	X(dtls_restarted, "DTLS handshakes started again after a failed one")                  \
	X(dtls_dropped, "DTLS datagrams dropped: injected, out of state, or over a bound")     \
	X(dtls_bad_fingerprint, "DTLS peers whose certificate is not the one signalled")       \
	X(dtls_closed_by_peer, "authentic close_notify alerts received")                       \
	/* SRTP */                                                                             \
	X(srtp_auth_failed, "SRTP packets whose authentication failed")                        \
	X(srtp_replayed, "SRTP packets replayed or too old")                                   \
	X(srtcp_auth_failed, "SRTCP packets whose authentication failed")                      \
	X(srtcp_replayed, "SRTCP packets replayed or too old")                                 \
	X(srtp_no_keys, "SRTP or SRTCP packets before the keys")                               \
	X(srtp_seal_failed, "packets that could not be sealed")                                \
	/* RTP */                                                                              \
	X(rtp_malformed, "RTP packets that do not parse")                                      \
	X(rtp_unknown_ssrc, "RTP packets of a source that no track claims")                    \
	X(rtp_unknown_pt, "RTP packets of a payload type that was not negotiated")             \
	X(rtp_ssrc_limit, "RTP packets of a source beyond the limit per peer")                 \
	X(rtp_duplicate, "RTP packets that were here before")                                  \
	X(rtp_late, "RTP packets too old to forward")                                          \
	X(rtp_in, "RTP packets accepted from publishers")                                      \
	X(rtp_padding_only, "RTP packets with nothing but padding")                            \
	X(rtp_forwarded, "RTP packets forwarded to subscribers")                               \
	X(rtp_rtx_in, "packets recovered by RTX")                                              \
	X(rtp_rtx_out, "packets sent again")                                                   \
	X(rtp_rtx_refused, "retransmissions refused: not kept, or over the limit")             \
	X(rtp_waiting_keyframe, "packets not forwarded because a key frame has to come first") \
	X(rtp_no_codec, "packets not forwarded because the subscriber has no such codec")      \
	/* RTCP */                                                                             \
	X(rtcp_in, "RTCP compounds accepted")                                                  \
	X(rtcp_malformed, "RTCP compounds that do not parse")                                  \
	X(rtcp_out, "RTCP compounds sent")                                                     \
	X(nack_sent, "packets asked for again")                                                \
	X(nack_received, "packets that peers asked for again")                                 \
	X(pli_sent, "key frames asked for")                                                    \
	X(pli_received, "key-frame requests of peers")                                         \
	X(keyframes, "key frames received")                                                    \
	X(twcc_sent, "transport-cc feedback messages sent")                                    \
	X(twcc_received, "transport-cc feedback messages received")                            \
	X(remb_sent, "REMB messages sent")                                                     \
	X(remb_received, "REMB messages received")                                             \
	/* between loops, and life cycle */                                                    \
	X(relay_out, "packets copied to another loop")                                         \
	X(relay_dropped, "packets dropped because the ring to another loop was full")          \
	X(late_dropped, "messages and events lost because too many waited for room")           \
	X(commands, "commands executed")                                                       \
	X(transports_opened, "transports opened")                                              \
	X(transports_closed, "transports closed")                                              \
	X(bugs, "sessions closed because of an error of sluice's own")

enum sl_stat {
#define X(name, help) SL_STAT_##name,
	SL_STATS(X)
#undef X
	SL_STAT_COUNT
};

struct sl_stats {
	uint64_t n[SL_STAT_COUNT];
};

static inline void sl_stat_add(struct sl_stats *s, enum sl_stat which, uint64_t n)
{
	SL_STORE(&s->n[which], s->n[which] + n);
}

static inline void sl_stat_inc(struct sl_stats *s, enum sl_stat which)
{
	sl_stat_add(s, which, 1);
}

static inline uint64_t sl_stat_get(const struct sl_stats *s, enum sl_stat which)
{
	return SL_LOAD(&s->n[which]);
}

const char *sl_stat_name(enum sl_stat which);
const char *sl_stat_help(enum sl_stat which);
#endif

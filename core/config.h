/* SPDX-License-Identifier: Apache-2.0
 * core/config.h — what can be set, as one checked struct. Part of core/core.h.
 * One table of keys in config.c (path, type, unit, default, range, help) yields the YAML reader,
 * the flags (--http.port=8888), the environment (SLUICE_HTTP_PORT), --help and docs/config.md.
 * Later sources win: defaults, Kurento's own settings (docs/kurento.md), file, environment, flags.
 * An error names the file, the line and the mend. */
#ifndef SL_CONFIG_H
#define SL_CONFIG_H
#include "core/base/addr.h"
#include "core/base/str.h"

enum { SL_CONFIG_LIST_MAX = 16, SL_CONFIG_TEXT_MAX = 512 };

struct sl_config_list {
	size_t n;
	char at[SL_CONFIG_LIST_MAX][SL_CONFIG_TEXT_MAX];
};

struct sl_config {
	struct {
		char bind[SL_CONFIG_TEXT_MAX];          /* ip; "127.0.0.1" */
		uint32_t port;                          /* 8888; 0 = any free */
		char token[SL_CONFIG_TEXT_MAX];         /* empty: none */
		char jwt_key[SL_CONFIG_TEXT_MAX];       /* empty: no join tokens */
		bool insecure;
		struct sl_config_list origins, hosts, proxies;
		char cert[SL_CONFIG_TEXT_MAX], key[SL_CONFIG_TEXT_MAX];         /* PEM files */
		uint32_t max_connections;               /* 1000 */
		uint32_t max_per_address;               /* 64; loopback and http.proxies are not
							 * counted */
		uint32_t max_body;                      /* 65536 bytes */
		/* 5 s, 10 s, 60 s */
		int64_t header_timeout_us, body_timeout_us, idle_timeout_us;
	} http;
	struct {
		struct sl_config_list bind;             /* ips; empty: every interface but loopback
							 * and link-local */
		struct sl_config_list announce;         /* ip or ip:port */
		uint32_t port;                          /* 10000; 0 = any free */
		bool gro, gso, gso_padding, tcp;        /* true */
	} media;
	struct {
		int64_t timeout_us;                     /* 15 s */
		bool lite;                              /* true */
		struct sl_config_list servers;          /* stun:.. or turn:.. for Link headers */
		bool turn_tls_verify;                   /* false */
	} ice;
	struct {
		int64_t queue_us;                       /* 500 ms */
		bool active;                            /* answer as DTLS client where allowed:
							 * true */
		char cert[SL_CONFIG_TEXT_MAX], key[SL_CONFIG_TEXT_MAX];
	} dtls;
	struct {
		char transform[SL_CONFIG_TEXT_MAX];     /* "auto", "mb", "soft" or "libsrtp" */
	} srtp;
	struct {
		bool auto_create;                       /* true */
		int64_t linger_us;                      /* 30 s after the last user */
		uint32_t max;                           /* 1000 */
		uint32_t max_participants;              /* per room: 200 */
		uint32_t max_video_bps;                 /* shared by a room's cameras: 8000000; 0 no cap */
	} rooms;
	struct {
		uint32_t max_sessions;                  /* 10000 */
		uint32_t max_sockets;                   /* 20000: of single sessions */
		uint32_t sdp_mlines;                    /* 256: of an offer of ours */
	} limits;
	struct {
		uint32_t max_video_bps;                 /* 2500000: REMB where transport-cc is not
							 * negotiated; 0 = no cap */
		bool cap;                               /* also send it where transport-cc is
							 * there */
	} publish;
	struct {                                        /* api/kurento; docs/kurento.md */
		char conf[SL_CONFIG_TEXT_MAX];          /* "/etc/kurento/kurento.conf.json"; empty:
							 * no file of Kurento's is read */
		char modules[SL_CONFIG_TEXT_MAX];       /* empty: modules/ beside conf */
		char path[SL_CONFIG_TEXT_MAX];          /* "kurento" */
		bool strict;                            /* false */
		bool caps;                              /* false: no limit that nobody has set */
		bool cache;                             /* true */
		int64_t gc_us;                          /* 240 s (gc_s) */
		char metadata[SL_CONFIG_TEXT_MAX];      /* of getMetadata() */
		char stun[SL_CONFIG_TEXT_MAX];          /* ip; empty: none */
		uint32_t stun_port;                     /* 3478 */
		char turn[SL_CONFIG_TEXT_MAX];          /* user:password@ip:port?transport=udp */
		char external_ipv4[SL_CONFIG_TEXT_MAX], external_ipv6[SL_CONFIG_TEXT_MAX];
		struct sl_config_list network_interfaces;       /* names; empty: all */
		bool ice_tcp;                           /* true */
		uint32_t min_port, max_port;            /* 1024, 65535 */
		bool rtp_symmetric, rtp_any_address;    /* false */
		char cert_rsa[SL_CONFIG_TEXT_MAX], cert_ecdsa[SL_CONFIG_TEXT_MAX];
							/* PEM files: certificate and key; empty:
							 * made at start */
		uint32_t dscp;                          /* 0 to 63; 0 */
		uint32_t mtu;                           /* 1200 */
		uint32_t encoder_bps, min_encoder_bps, max_encoder_bps;  /* 300000, 0, 0 */
		uint32_t exception_percent;             /* of the file limit; 80; 0 no check */
		uint32_t max_sessions, max_pipelines, max_objects;      /* 10000, 20000, 100000 */
		uint32_t session_objects, session_subscriptions;        /* 50000, 100000 */
		uint32_t session_creates_per_s, messages_per_s; /* 1000, 1000 */
		uint32_t max_calls;                     /* under way: 20000 */
	} kurento;
	struct {
		char level[SL_CONFIG_TEXT_MAX];         /* "info" or "warn,ice=debug" */
		char format[SL_CONFIG_TEXT_MAX];        /* "logfmt" or "json" */
	} log;
	uint32_t loops;                                 /* 0 = auto: one per core */
	int64_t drain_us;                               /* 30 s (drain_s) */
};

struct sl_config_error {
	char text[1024];                /* "sluice.yaml:12: http.port: 99999 is out of range; use 0
					 * to 65535" */
};

void sl_config_defaults(struct sl_config *c);
/* Reads a YAML file over what is in *c. SL_EPARSE, SL_EIO or SL_ENOMEM with *e filled. */
SL_MUST_USE int sl_config_file(struct sl_config *c, const char *path, struct sl_config_error *e);
SL_MUST_USE int sl_config_env(struct sl_config *c, char *const *env, struct sl_config_error *e);
/* Flags as --http.port=1, --http.port 1, --insecure (short names of the table). --config FILE,
 * --help, --version and --config-reference are told in *action; a file named so is read before
 * environment and other flags. */
enum sl_config_action { SL_CONFIG_RUN, SL_CONFIG_HELP, SL_CONFIG_VERSION, SL_CONFIG_REFERENCE };
SL_MUST_USE int sl_config_load(struct sl_config *c, int argc, char **argv, char *const *env,
			       enum sl_config_action *action, struct sl_config_error *e);
/* One value by its key, as text: "http.port". False with *why, and nothing has changed. */
bool sl_config_set(struct sl_config *c, const char *key, struct sl_str value, char *why,
		   size_t why_cap);
/* sl_config_load() with another program's settings between the defaults and ours: `below` gets
 * `wanted` (all that is set here, to know where to look) and sets over the defaults in *c with
 * sl_config_set(). A negative error of its own, with *e filled, ends the loading. */
struct sl_config_below {
	int (*read)(void *arg, const struct sl_config *wanted, char *const *env,
		    struct sl_config *c, struct sl_config_error *e);
	void *arg;
};
SL_MUST_USE int sl_config_load_over(struct sl_config *c, int argc, char **argv, char *const *env,
				    const struct sl_config_below *below,
				    enum sl_config_action *action, struct sl_config_error *e);
/* Rules between keys: token or insecure to listen elsewhere than on loopback, cert with key,
 * announce with port 0, ... */
SL_MUST_USE int sl_config_check(const struct sl_config *c, struct sl_config_error *e);
/* --help, and the Markdown of docs/config.md. */
void sl_config_help(struct sl_buf *out);
void sl_config_reference(struct sl_buf *out);
#endif

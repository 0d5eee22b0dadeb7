/* SPDX-License-Identifier: Apache-2.0
 * core/config.h — what can be set, as one checked struct. Part of core/core.h.
 * One table of keys in config.c (path, type, unit, default, range, help) yields the YAML reader,
 * the flags (--http.port=8888), the environment (SLUICE_HTTP_PORT), --help and docs/config.md.
 * Later sources win: defaults, file, environment, flags. An error names the file, the line and the
 * mend. */
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
		bool gro, gso, gso_padding;             /* true */
	} media;
	struct {
		int64_t timeout_us;                     /* 15 s */
		bool lite;                              /* true */
		struct sl_config_list servers;          /* stun:.. or turn:.. for Link headers */
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
/* Rules between keys: token or insecure to listen elsewhere than on loopback, cert with key,
 * announce with port 0, ... */
SL_MUST_USE int sl_config_check(const struct sl_config *c, struct sl_config_error *e);
/* --help, and the Markdown of docs/config.md. */
void sl_config_help(struct sl_buf *out);
void sl_config_reference(struct sl_buf *out);
#endif

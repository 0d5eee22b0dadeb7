/* SPDX-License-Identifier: Apache-2.0
 * core/main.c — the composition root: options, start, signals, end.
 * SIGTERM drains: no new sessions, then at most `drain_s` for those that are there, then a clean
 * end. SIGINT or a second SIGTERM ends at once. SIGHUP reads http.cert and http.key again. Exit
 * status 0 for each clean end. */
#include "api/api.h"
#include "api/kurento/kurento.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rng.h"
#include "core/core.h"
#include "dtls/dtls.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "0.1.0"
#endif

enum { DRAIN_LOOK_MS = 100, REFERENCE_MAX = 65536, SIGNALS = 3 };

struct server {
	struct sl_config conf;
	struct sl_kurento_notes notes;
	struct sl_core *core;
	struct sl_api *api;
	struct kms *kurento;
	struct sl_rng rng;
	uv_loop_t loop;
	uv_signal_t signals[SIGNALS];
	uv_timer_t drain;
	int64_t drain_left_ms;
	bool draining;
};

extern char **environ;

static void on_event(void *arg, const struct sl_core_event *ev)
{
	struct server *s = arg;

	if (s->kurento && sl_kurento_event(s->kurento, ev))
		return;
	if (s->api)
		sl_api_event(s->api, ev);
}

/* ---- stopping ---- */

static void stop(struct server *s, const char *why)
{
	SL_LOG(INFO, MAIN, "stopping", SL_KS("why", why),
	       SL_KU("sessions", sl_api_sessions(s->api)),
	       SL_KU("objects", sl_kurento_objects(s->kurento)));
	uv_stop(&s->loop);
}

static void on_drain(uv_timer_t *timer)
{
	struct server *s = timer->data;

	s->drain_left_ms -= DRAIN_LOOK_MS;
	if (sl_api_sessions(s->api) == 0 && sl_kurento_objects(s->kurento) == 0)
		stop(s, "drained");
	else if (s->drain_left_ms <= 0)
		stop(s, "drain time is over");
}

static void on_term(struct server *s)
{
	if (s->draining) {
		stop(s, "second SIGTERM");
		return;
	}
	s->draining = true;
	s->drain_left_ms = s->conf.drain_us / SL_MS;
	sl_api_drain(s->api);
	SL_LOG(INFO, MAIN, "draining", SL_KU("sessions", sl_api_sessions(s->api)),
	       SL_KI("at_most_s", s->conf.drain_us / SL_SEC));
	uv_timer_start(&s->drain, on_drain, 0, DRAIN_LOOK_MS);
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct server *s = handle->data;

	if (signum == SIGTERM)
		on_term(s);
	else if (signum == SIGINT)
		stop(s, "SIGINT");
	else
		sl_api_reload_cert(s->api);
}

/* ---- starting ---- */

static int watch_signals(struct server *s)
{
	static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

	uv_timer_init(&s->loop, &s->drain);
	s->drain.data = s;
	for (int i = 0; i < SIGNALS; i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		if (uv_signal_start(&s->signals[i], on_signal, numbers[i]) < 0)
			return SL_EIO;
	}
	return SL_OK;
}

/* T53: nothing that we write is for others, and no core file holds a key. */
static void guard_secrets(void)
{
	umask(027);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static const char *host_for_url(const struct sl_config *c, char buf[SL_CONFIG_TEXT_MAX + 2])
{
	struct sl_addr a;

	if (sl_addr_parse_ip(sl_str_z(c->http.bind), &a) < 0)
		return c->http.bind;
	if (sl_addr_is_any(&a))
		return "localhost";
	sl_fmt(buf, SL_CONFIG_TEXT_MAX + 2, a.family == 6 ? "[%s]" : "%s", c->http.bind);
	return buf;
}

static void say_loop(const struct server *s, unsigned loop)
{
	struct sl_addr at[SL_CORE_LOCALS_MAX];
	size_t n = sl_core_sockets(s->core, loop, at, SL_CORE_LOCALS_MAX);
	char text[SL_ADDR_TEXT];

	printf("%s{\"loop\":%u,\"port\":%u,\"addresses\":[", loop ? "," : "", loop,
	       sl_core_port(s->core, loop));
	for (size_t i = 0; i < n; i++)
		printf("%s\"%s\"", i ? "," : "", sl_addr_text(&at[i], text));
	printf("]}");
}

/* One JSON object in one line, with the ports that were really taken. */
static void say_ready(struct server *s)
{
	char host[SL_CONFIG_TEXT_MAX + 2];
	uint16_t port = sl_api_port(s->api);
	const char *scheme = s->conf.http.cert[0] ? "https" : "http";

	printf("{\"ready\":true,\"version\":\"%s\",\"pid\":%d,"
	       "\"http\":{\"url\":\"%s://%s:%u/\","
	       "\"port\":%u},\"media\":[",
	       SLUICE_VERSION, (int)getpid(), scheme, host_for_url(&s->conf, host), port, port);
	for (unsigned i = 0; i < sl_core_loops(s->core); i++)
		say_loop(s, i);
	printf("]}\n");
	fflush(stdout);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Figures are nanoseconds for a packet of 1100 bytes, alone and in batches of 8 and 32. many_from
 * 0: one instruction set serves batches of any size. */
static void say_transform(const struct sl_srtp_choice *c, int64_t took_us)
{
	const uint32_t *small = c->cm_ns[c->small], *large = c->cm_ns[c->large];

	SL_LOG(INFO, SRTP, "transform chosen", SL_KS("aes_cm", sl_srtp_impl_name(c->cm)),
	       SL_KS("aes_gcm", sl_srtp_impl_name(c->gcm)), SL_KI("took_us", took_us));
	if (c->small)
		SL_LOG(INFO, SRTP, "ipsec-mb measured", SL_KS("few", sl_srtp_arch_name(c->small)),
		       SL_KS("many", sl_srtp_arch_name(c->large)),
		       SL_KI("many_from", c->large == c->small ? 0 : c->large_from),
		       SL_KU("ns_alone", small[0]), SL_KU("ns_of_8", SL_MIN(small[4], large[4])),
		       SL_KU("ns_of_32", large[6]), SL_KU("ns_soft", c->cm_ns[SL_ARCH_NONE][0]),
		       SL_KU("ns_gcm", c->gcm_ns[c->aead]),
		       SL_KU("ns_gcm_soft", c->gcm_ns[SL_ARCH_NONE]));
}

static int choose_transform(const char *want, struct sl_core_why *why)
{
	struct sl_srtp_choice c;
	int64_t start_ns = now_ns();
	int err = sl_srtp_choose(sl_str_z(want), now_ns, &c);

	if (err) {
		if (err == SL_EUNSUPPORTED)
			sl_fmt(why->text, sizeof(why->text),
			       "srtp.transform: mb needs an x86 processor with AES; use auto");
		return err;
	}
	sl_srtp_use(&c);
	say_transform(&c, (now_ns() - start_ns) / 1000);
	return SL_OK;
}

static int start(struct server *s)
{
	struct sl_core_why why = {{0}};
	int err = watch_signals(s);

	if (!err)
		err = choose_transform(s->conf.srtp.transform, &why);
	if (!err && s->conf.http.key[0])
		err = sl_core_check_key_file(s->conf.http.key, &why);
	if (!err)
		err = sl_core_new(&s->conf, &s->loop, on_event, s, &s->core, &why);
	if (!err)
		err = sl_api_new(&s->conf, s->core, &s->loop, &s->rng, &s->api, &why);
	if (!err)
		err = sl_kurento_new(s->api, &s->kurento, &why);
	if (!err)
		return SL_OK;
	SL_LOG(ERROR, MAIN, "cannot start",
	       SL_KS("why", why.text[0] ? why.text : sl_strerror(err)));
	return err;
}

static void end(struct server *s)
{
	sl_kurento_free(s->kurento);
	s->kurento = NULL;
	sl_api_free(s->api);
	sl_core_free(s->core);
	if (s->drain.data)
		uv_close((uv_handle_t *)&s->drain, NULL);
	for (int i = 0; i < SIGNALS; i++)
		if (s->signals[i].data)
			uv_close((uv_handle_t *)&s->signals[i], NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
	sl_rng_system_free(&s->rng);
	sl_log_stop();
}

static int serve(struct server *s)
{
	int err;

	guard_secrets();
	signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(&s->loop) < 0 ||
	    sl_log_start(STDERR_FILENO, strcmp(s->conf.log.format, "json") == 0) < 0) {
		fprintf(stderr, "sluice: out of memory\n");
		return EXIT_FAILURE;
	}
	sl_kurento_conf_log(&s->notes);
	err = sl_rng_system_new(&s->rng);
	if (err)
		SL_LOG(ERROR, MAIN, "the system gives no randomness",
		       SL_KS("why", sl_strerror(err)));
	else
		err = start(s);
	if (!err) {
		say_ready(s);
		uv_run(&s->loop, UV_RUN_DEFAULT);
	}
	end(s);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int print(void (*write)(struct sl_buf *))
{
	char *text = sl_zalloc(REFERENCE_MAX);
	struct sl_buf b;

	if (!text)
		return EXIT_FAILURE;
	b = sl_buf(text, REFERENCE_MAX);
	write(&b);
	fputs(text, stdout);
	sl_free(text);
	return EXIT_SUCCESS;
}

/* ---- sluice token ---- */

static const char token_usage[] =
	"Usage: sluice token --room ROOM --participant NAME "
	"[--rights publish,subscribe,admin] [--ttl SECONDS]\n"
	"       [--config FILE] [--http.jwt_key KEY]\n\n"
	"Prints a join token for a user of the room, signed with http.jwt_key.\n";

struct token_args {
	const char *room, *participant, *rights, *ttl;
};

/* Takes its own flags out of argv; what is left is configuration. Returns the new argc, or -1. */
static int take_token_args(int argc, char **argv, struct token_args *a)
{
	const struct {
		const char *flag, **value;
	} flags[] = {{"--room", &a->room},
		     {"--participant", &a->participant},
		     {"--rights", &a->rights},
		     {"--ttl", &a->ttl}};
	int left = 1;

	for (int i = 2; i < argc; i++) {
		size_t k = 0;

		while (k < SL_COUNT(flags) && strcmp(argv[i], flags[k].flag) != 0)
			k++;
		if (k == SL_COUNT(flags))
			argv[left++] = argv[i];
		else if (++i == argc)
			return -1;
		else
			*flags[k].value = argv[i];
	}
	argv[left] = NULL;
	return left;
}

static int make_token(int argc, char **argv)
{
	static struct sl_config conf;
	struct token_args a = {.rights = "publish,subscribe", .ttl = "3600"};
	struct sl_config_error e = {{0}};
	struct sl_core_why why = {{0}};
	enum sl_config_action action;
	char token[4200];
	uint32_t ttl_s;

	argc = take_token_args(argc, argv, &a);
	if (argc < 0 || !a.room || !a.participant ||
	    !sl_str_u32(sl_str_z(a.ttl), 10 * 365 * 86400, &ttl_s) || !ttl_s) {
		fputs(token_usage, stderr);
		return 2;
	}
	if (sl_config_load(&conf, argc, argv, environ, &action, &e) < 0 ||
	    action != SL_CONFIG_RUN) {
		fprintf(stderr, "sluice: %s\n", e.text[0] ? e.text : token_usage);
		return 2;
	}
	if (sl_api_make_token(&conf, a.room, a.participant, a.rights, ttl_s,
			      (int64_t)time(NULL) * SL_SEC, token, sizeof(token), &why) < 0) {
		fprintf(stderr, "sluice: %s\n", why.text);
		return 2;
	}
	puts(token);
	return EXIT_SUCCESS;
}

/* Sessions over TCP, TURN or plain RTP have descriptors of their own. */
static void raise_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

int main(int argc, char **argv)
{
	static struct server s;
	struct sl_config_below kurento = {sl_kurento_conf, &s.notes};
	struct sl_config_error e;
	enum sl_config_action action;
	int err;

	if (argc > 1 && strcmp(argv[1], "token") == 0)
		return make_token(argc, argv);
	err = sl_config_load_over(&s.conf, argc, argv, environ, &kurento, &action, &e);

	if (err) {
		fprintf(stderr, "sluice: %s\n", e.text[0] ? e.text : sl_strerror(err));
		return 2;
	}
	if (sl_log_set_levels(sl_str_z(s.conf.log.level)) < 0) {
		fprintf(stderr,
			"sluice: log.level: use error, warn, info or debug, also by module: "
			"warn,ice=debug\n");
		return 2;
	}
	switch (action) {
	case SL_CONFIG_HELP:
		return print(sl_config_help);
	case SL_CONFIG_REFERENCE:
		return print(sl_config_reference);
	case SL_CONFIG_VERSION:
		printf("sluice %s\n", SLUICE_VERSION);
		return EXIT_SUCCESS;
	default:
		raise_descriptors();
		return serve(&s);
	}
}

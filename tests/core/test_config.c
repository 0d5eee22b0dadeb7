/* SPDX-License-Identifier: Apache-2.0
 * tests/core/test_config.c — what can be set, from where, and what an error says. */
#include "core/config.h"
#include "tests/test.h"
#include <stdlib.h>
#include <unistd.h>

enum type { TEXT, NUMBER, SWITCH, LIST, TIME };

#define AT(field) offsetof(struct sl_config, field)

/* Every key once more: its default, another value, and how both are kept. The bounds of numbers as
 * in --help. */
static const struct row {
	const char *path, *env;
	enum type type;
	size_t at;
	int64_t def;		  /* NUMBER, SWITCH; TIME in microseconds */
	const char *text;	  /* another value */
	int64_t value;		  /* the same, as kept */
	const char *under, *over; /* NUMBER, TIME: first values that are refused */
} rows[] = {
	{"http.bind", "HTTP_BIND", TEXT, AT(http.bind), 0, "127.0.0.2", 0, NULL, NULL},
	{"http.port", "HTTP_PORT", NUMBER, AT(http.port), 8888, "1", 1, "-1", "65536"},
	{"http.token", "HTTP_TOKEN", TEXT, AT(http.token), 0, "s3cret=:#", 0, NULL, NULL},
	{"http.jwt_key", "HTTP_JWT_KEY", TEXT, AT(http.jwt_key), 0, "a key of 16 or more", 0, NULL,
	 NULL},
	{"http.insecure", "HTTP_INSECURE", SWITCH, AT(http.insecure), 0, "yes", 1, NULL, NULL},
	{"http.origins", "HTTP_ORIGINS", LIST, AT(http.origins), 0, "https://a.example", 1, NULL,
	 NULL},
	{"http.hosts", "HTTP_HOSTS", LIST, AT(http.hosts), 0, "a.example", 1, NULL, NULL},
	{"http.proxies", "HTTP_PROXIES", LIST, AT(http.proxies), 0, "192.0.2.1", 1, NULL, NULL},
	{"http.cert", "HTTP_CERT", TEXT, AT(http.cert), 0, "/a b.pem", 0, NULL, NULL},
	{"http.key", "HTTP_KEY", TEXT, AT(http.key), 0, "k.pem", 0, NULL, NULL},
	{"http.max_connections", "HTTP_MAX_CONNECTIONS", NUMBER, AT(http.max_connections), 1000,
	 "60000", 60000, "7", "60001"},
	{"http.max_per_address", "HTTP_MAX_PER_ADDRESS", NUMBER, AT(http.max_per_address), 64, "1",
	 1, "0", "60001"},
	{"http.max_body_bytes", "HTTP_MAX_BODY_BYTES", NUMBER, AT(http.max_body), 65536, "1024",
	 1024, "1023", "1048577"},
	{"http.header_timeout_ms", "HTTP_HEADER_TIMEOUT_MS", TIME, AT(http.header_timeout_us),
	 5 * SL_SEC, "10", 10000, "9", "60001"},
	{"http.body_timeout_ms", "HTTP_BODY_TIMEOUT_MS", TIME, AT(http.body_timeout_us),
	 10 * SL_SEC, "10", 10000, "9", "600001"},
	{"http.idle_timeout_ms", "HTTP_IDLE_TIMEOUT_MS", TIME, AT(http.idle_timeout_us),
	 60 * SL_SEC, "10", 10000, "9", "3600001"},
	{"media.bind", "MEDIA_BIND", LIST, AT(media.bind), 0, "2001:db8::1", 1, NULL, NULL},
	{"media.announce", "MEDIA_ANNOUNCE", LIST, AT(media.announce), 0, "203.0.113.7:9", 1, NULL,
	 NULL},
	{"media.port", "MEDIA_PORT", NUMBER, AT(media.port), 10000, "65535", 65535, "-1", "65536"},
	{"media.gro", "MEDIA_GRO", SWITCH, AT(media.gro), 1, "off", 0, NULL, NULL},
	{"media.gso", "MEDIA_GSO", SWITCH, AT(media.gso), 1, "off", 0, NULL, NULL},
	{"media.gso_padding", "MEDIA_GSO_PADDING", SWITCH, AT(media.gso_padding), 1, "off", 0, NULL,
	 NULL},
	{"media.tcp", "MEDIA_TCP", SWITCH, AT(media.tcp), 1, "off", 0, NULL, NULL},
	{"ice.timeout", "ICE_TIMEOUT", TIME, AT(ice.timeout_us), 15 * SL_SEC, "600", 600 * SL_SEC,
	 "0", "601"},
	{"ice.lite", "ICE_LITE", SWITCH, AT(ice.lite), 1, "Off", 0, NULL, NULL},
	{"ice.turn_tls_verify", "ICE_TURN_TLS_VERIFY", SWITCH, AT(ice.turn_tls_verify), 0, "yes", 1,
	 NULL, NULL},
	{"ice.servers", "ICE_SERVERS", LIST, AT(ice.servers), 0, "stun:stun.example:3478", 1, NULL,
	 NULL},
	{"dtls.queue_ms", "DTLS_QUEUE_MS", TIME, AT(dtls.queue_us), 500 * SL_MS, "1", 1000, "0",
	 "60001"},
	{"dtls.active", "DTLS_ACTIVE", SWITCH, AT(dtls.active), 1, "FALSE", 0, NULL, NULL},
	{"dtls.cert", "DTLS_CERT", TEXT, AT(dtls.cert), 0, "c.pem", 0, NULL, NULL},
	{"dtls.key", "DTLS_KEY", TEXT, AT(dtls.key), 0, "k.pem", 0, NULL, NULL},
	{"srtp.transform", "SRTP_TRANSFORM", TEXT, AT(srtp.transform), 0, "soft", 0, NULL, NULL},
	{"rooms.auto_create", "ROOMS_AUTO_CREATE", SWITCH, AT(rooms.auto_create), 1, "0", 0, NULL,
	 NULL},
	{"rooms.linger_ms", "ROOMS_LINGER_MS", TIME, AT(rooms.linger_us), 30 * SL_SEC, "0", 0, "-1",
	 "86400001"},
	{"rooms.max", "ROOMS_MAX", NUMBER, AT(rooms.max), 1000, "1", 1, "0", "1000001"},
	{"rooms.max_participants", "ROOMS_MAX_PARTICIPANTS", NUMBER, AT(rooms.max_participants),
	 200, "1", 1, "0", "10001"},
	{"rooms.max_video_bps", "ROOMS_MAX_VIDEO_BPS", NUMBER, AT(rooms.max_video_bps), 8000000,
	 "0", 0, "-1", "1000000001"},
	{"limits.max_sessions", "LIMITS_MAX_SESSIONS", NUMBER, AT(limits.max_sessions), 10000, "1",
	 1, "0", "10001"},
	{"limits.max_sockets", "LIMITS_MAX_SOCKETS", NUMBER, AT(limits.max_sockets), 20000, "0", 0,
	 "-1", "500001"},
	{"limits.sdp_mlines", "LIMITS_SDP_MLINES", NUMBER, AT(limits.sdp_mlines), 256, "16", 16,
	 "15", "257"},
	{"publish.max_video_bps", "PUBLISH_MAX_VIDEO_BPS", NUMBER, AT(publish.max_video_bps),
	 2500000, "0", 0, "-1", "1000000001"},
	{"publish.cap", "PUBLISH_CAP", SWITCH, AT(publish.cap), 0, "1", 1, NULL, NULL},
	{"kurento.conf", "KURENTO_CONF", TEXT, AT(kurento.conf), 0, "/k.json", 0, NULL, NULL},
	{"kurento.modules", "KURENTO_MODULES", TEXT, AT(kurento.modules), 0, "/m", 0, NULL, NULL},
	{"kurento.path", "KURENTO_PATH", TEXT, AT(kurento.path), 0, "media/kms", 0, NULL, NULL},
	{"kurento.strict", "KURENTO_STRICT", SWITCH, AT(kurento.strict), 0, "on", 1, NULL, NULL},
	{"kurento.caps", "KURENTO_CAPS", SWITCH, AT(kurento.caps), 0, "on", 1, NULL, NULL},
	{"kurento.cache", "KURENTO_CACHE", SWITCH, AT(kurento.cache), 1, "off", 0, NULL, NULL},
	{"kurento.gc_s", "KURENTO_GC_S", TIME, AT(kurento.gc_us), 240 * SL_SEC, "1", SL_SEC, "0",
	 "86401"},
	{"kurento.metadata", "KURENTO_METADATA", TEXT, AT(kurento.metadata), 0, "{}", 0, NULL,
	 NULL},
	{"kurento.stun", "KURENTO_STUN", TEXT, AT(kurento.stun), 0, "2001:db8::1", 0, NULL, NULL},
	{"kurento.stun_port", "KURENTO_STUN_PORT", NUMBER, AT(kurento.stun_port), 3478, "1", 1, "0",
	 "65536"},
	{"kurento.turn", "KURENTO_TURN", TEXT, AT(kurento.turn), 0,
	 "u:p:@/@192.0.2.1:3478?transport=tls", 0, NULL, NULL},
	{"kurento.external_ipv4", "KURENTO_EXTERNAL_IPV4", TEXT, AT(kurento.external_ipv4), 0,
	 "192.0.2.1", 0, NULL, NULL},
	{"kurento.external_ipv6", "KURENTO_EXTERNAL_IPV6", TEXT, AT(kurento.external_ipv6), 0,
	 "2001:db8::1", 0, NULL, NULL},
	{"kurento.network_interfaces", "KURENTO_NETWORK_INTERFACES", LIST,
	 AT(kurento.network_interfaces), 0, "eth0", 1, NULL, NULL},
	{"kurento.ice_tcp", "KURENTO_ICE_TCP", SWITCH, AT(kurento.ice_tcp), 1, "off", 0, NULL,
	 NULL},
	{"kurento.min_port", "KURENTO_MIN_PORT", NUMBER, AT(kurento.min_port), 1024, "1", 1, "0",
	 "65536"},
	{"kurento.max_port", "KURENTO_MAX_PORT", NUMBER, AT(kurento.max_port), 65535, "2000", 2000,
	 "0", "65536"},
	{"kurento.rtp_symmetric", "KURENTO_RTP_SYMMETRIC", SWITCH, AT(kurento.rtp_symmetric), 0,
	 "on", 1, NULL, NULL},
	{"kurento.rtp_any_address", "KURENTO_RTP_ANY_ADDRESS", SWITCH, AT(kurento.rtp_any_address),
	 0, "on", 1, NULL, NULL},
	{"kurento.cert_rsa", "KURENTO_CERT_RSA", TEXT, AT(kurento.cert_rsa), 0, "r.pem", 0, NULL,
	 NULL},
	{"kurento.cert_ecdsa", "KURENTO_CERT_ECDSA", TEXT, AT(kurento.cert_ecdsa), 0, "e.pem", 0,
	 NULL, NULL},
	{"kurento.dscp", "KURENTO_DSCP", NUMBER, AT(kurento.dscp), 0, "63", 63, "-1", "64"},
	{"kurento.mtu", "KURENTO_MTU", NUMBER, AT(kurento.mtu), 1200, "296", 296, "295", "1501"},
	{"kurento.encoder_bps", "KURENTO_ENCODER_BPS", NUMBER, AT(kurento.encoder_bps), 300000, "7",
	 7, "-1", "2147483648"},
	{"kurento.min_encoder_bps", "KURENTO_MIN_ENCODER_BPS", NUMBER, AT(kurento.min_encoder_bps),
	 0, "7", 7, "-1", "2147483648"},
	{"kurento.max_encoder_bps", "KURENTO_MAX_ENCODER_BPS", NUMBER, AT(kurento.max_encoder_bps),
	 0, "7", 7, "-1", "2147483648"},
	{"kurento.exception_percent", "KURENTO_EXCEPTION_PERCENT", NUMBER,
	 AT(kurento.exception_percent), 80, "0", 0, "-1", "101"},
	{"kurento.max_sessions", "KURENTO_MAX_SESSIONS", NUMBER, AT(kurento.max_sessions), 10000,
	 "1", 1, "0", "1000001"},
	{"kurento.max_pipelines", "KURENTO_MAX_PIPELINES", NUMBER, AT(kurento.max_pipelines), 20000,
	 "1", 1, "0", "1000001"},
	{"kurento.max_objects", "KURENTO_MAX_OBJECTS", NUMBER, AT(kurento.max_objects), 100000, "1",
	 1, "0", "10000001"},
	{"kurento.session_objects", "KURENTO_SESSION_OBJECTS", NUMBER, AT(kurento.session_objects),
	 50000, "1", 1, "0", "10000001"},
	{"kurento.session_subscriptions", "KURENTO_SESSION_SUBSCRIPTIONS", NUMBER,
	 AT(kurento.session_subscriptions), 100000, "1", 1, "0", "10000001"},
	{"kurento.session_creates_per_s", "KURENTO_SESSION_CREATES_PER_S", NUMBER,
	 AT(kurento.session_creates_per_s), 1000, "1", 1, "0", "1000001"},
	{"kurento.messages_per_s", "KURENTO_MESSAGES_PER_S", NUMBER, AT(kurento.messages_per_s),
	 1000, "1", 1, "0", "1000001"},
	{"kurento.max_calls", "KURENTO_MAX_CALLS", NUMBER, AT(kurento.max_calls), 20000, "1", 1,
	 "0", "10000001"},
	{"log.level", "LOG_LEVEL", TEXT, AT(log.level), 0, "warn,ice=debug", 0, NULL, NULL},
	{"log.format", "LOG_FORMAT", TEXT, AT(log.format), 0, "json", 0, NULL, NULL},
	{"loops", "LOOPS", NUMBER, AT(loops), 0, "64", 64, "-1", "65"},
	{"drain_s", "DRAIN_S", TIME, AT(drain_us), 30 * SL_SEC, "86400", 86400 * SL_SEC, "-1",
	 "86401"},
};

/* Defaults of TEXT keys that are not empty. */
static const struct {
	const char *path, *def;
} texts[] = {{"http.bind", "127.0.0.1"},
	     {"srtp.transform", "auto"},
	     {"kurento.conf", "/etc/kurento/kurento.conf.json"},
	     {"kurento.path", "kurento"},
	     {"log.level", "info"},
	     {"log.format", "logfmt"}};

/* ---- reading and writing what a test needs ---- */

static struct sl_config conf;
static struct sl_config_error error;
static char file[64];

static void remove_file(void *arg)
{
	unlink(arg);
	file[0] = '\0';
}

static void write_file(const char *text, size_t n)
{
	FILE *f;
	int fd;

	/* One file at a time. */
	if (file[0])
		unlink(file);
	else
		sl_test_defer(remove_file, file);
	sl_fmt(file, sizeof(file), "/tmp/sluice-test-XXXXXX");
	fd = mkstemp(file);
	CHECK(fd >= 0);
	f = fdopen(fd, "w");
	if (!f && sl_test_oom_fired())
		sl_test_oom_stop();
	CHECK(f != NULL);
	CHECK_EQ(fwrite(text, 1, n, f), n);
	fclose(f);
}

static int load_text(const char *text)
{
	write_file(text, strlen(text));
	return sl_config_file(&conf, file, &error);
}

static int load(const char *const *args, char *const *env)
{
	char *argv[16] = {(char *)(uintptr_t) "sluice"};
	enum sl_config_action action;
	int argc = 1;

	while (args && args[argc - 1]) {
		argv[argc] = (char *)(uintptr_t)args[argc - 1];
		argc++;
	}
	return sl_config_load(&conf, argc, argv, env, &action, &error);
}

static int64_t kept(const struct row *r)
{
	const char *at = (const char *)&conf + r->at;
	uint32_t n;
	bool on;
	int64_t us;

	switch (r->type) {
	case NUMBER:
		memcpy(&n, at, sizeof(n));
		return n;
	case SWITCH:
		memcpy(&on, at, sizeof(on));
		return on;
	case TIME:
		memcpy(&us, at, sizeof(us));
		return us;
	default:
		return 0;
	}
}

static const struct sl_config_list *list_of(const struct row *r)
{
	return (const struct sl_config_list *)(const void *)((const char *)&conf + r->at);
}

static void check_value(const struct row *r)
{
	if (r->type == TEXT)
		CHECK_STR((const char *)&conf + r->at, r->text);
	else if (r->type == LIST)
		CHECK_STR(list_of(r)->n == 1 ? list_of(r)->at[0] : "not one entry", r->text);
	else
		CHECK_EQ(kept(r), r->value);
}

static const char *default_text(const struct row *r)
{
	for (size_t i = 0; i < SL_COUNT(texts); i++)
		if (strcmp(texts[i].path, r->path) == 0)
			return texts[i].def;
	return "";
}

static void check_default(const struct row *r)
{
	if (r->type == TEXT)
		CHECK_STR((const char *)&conf + r->at, default_text(r));
	else if (r->type == LIST)
		CHECK_EQ(list_of(r)->n, 0);
	else
		CHECK_EQ(kept(r), r->def);
}

/* All keys but this one are as they were. */
static void check_others(const struct row *changed)
{
	for (size_t i = 0; i < SL_COUNT(rows); i++)
		if (&rows[i] != changed)
			check_default(&rows[i]);
}

static void as_yaml(const struct row *r, const char *value, char *out, size_t cap)
{
	struct sl_str name = sl_str_z(r->path);
	struct sl_str section = sl_str_cut(&name, '.');

	if (name.n > 0)
		sl_fmt(out, cap, "# one key\n%.*s:\n  %.*s: \"%s\"\n", SL_STR_ARG(section),
		       SL_STR_ARG(name), value);
	else
		sl_fmt(out, cap, "# one key\n\n%s: \"%s\"\n", r->path, value);
}

static int set_by_env(const struct row *r, const char *value)
{
	char var[256];
	char other[] = "PATH=/bin";
	char *env[] = {other, var, NULL};

	sl_fmt(var, sizeof(var), "SLUICE_%s=%s", r->env, value);
	sl_config_defaults(&conf);
	return sl_config_env(&conf, env, &error);
}

/* Rules between keys may refuse one that stands alone; then its value is there all the same. */
static int set_by_flag(const struct row *r, const char *value, bool joined)
{
	char flag[256];
	const char *const args[] = {flag, joined ? NULL : value, NULL};

	sl_fmt(flag, sizeof(flag), joined ? "--%s=%s" : "--%s", r->path, value);
	return load(args, NULL);
}

/* ---- every key ---- */

TEST(config_defaults_are_these_and_may_be_run)
{
	memset(&conf, 0xff, sizeof(conf));
	sl_config_defaults(&conf);
	for (size_t i = 0; i < SL_COUNT(rows); i++)
		check_default(&rows[i]);
	CHECK_EQ(sl_config_check(&conf, &error), SL_OK);
}

TEST(config_takes_every_key_from_a_file)
{
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		char text[256];

		sl_config_defaults(&conf);
		as_yaml(&rows[i], rows[i].text, text, sizeof(text));
		CHECK_EQ(load_text(text), SL_OK);
		check_value(&rows[i]);
		check_others(&rows[i]);
	}
}

TEST(config_takes_every_key_from_the_environment)
{
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		CHECK_EQ(set_by_env(&rows[i], rows[i].text), SL_OK);
		check_value(&rows[i]);
		check_others(&rows[i]);
	}
}

TEST(config_takes_every_key_as_a_flag)
{
	for (size_t i = 0; i < SL_COUNT(rows); i++)
		for (int joined = 0; joined <= 1; joined++) {
			int err = set_by_flag(&rows[i], rows[i].text,
					      rows[i].type == SWITCH || joined);

			CHECK(err == SL_OK || strstr(error.text, "go together"));
			check_value(&rows[i]);
			check_others(&rows[i]);
		}
}

TEST(config_reference_and_help_name_every_key_and_no_other)
{
	static char text[65536];
	struct sl_buf b = sl_buf(text, sizeof(text));
	size_t lines = 0;

	sl_config_reference(&b);
	CHECK(!b.full);
	for (const char *p = text; (p = strstr(p, "\n| `")); p++)
		lines++;
	CHECK_EQ(lines, SL_COUNT(rows));
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		char want[128];

		sl_fmt(want, sizeof(want), "\n| `%s` | `SLUICE_%s` | ", rows[i].path, rows[i].env);
		CHECK(strstr(text, want) != NULL);
	}
	b = sl_buf(text, sizeof(text));
	sl_config_help(&b);
	CHECK(!b.full);
	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		char want[128];

		sl_fmt(want, sizeof(want), "\n  --%s ", rows[i].path);
		CHECK(strstr(text, want) != NULL);
	}
}

TEST(config_reference_in_docs_is_what_the_server_prints)
{
	static char printed[65536];
	static char kept_text[65536];
	struct sl_buf b = sl_buf(printed, sizeof(printed));
	FILE *f = fopen("docs/config.md", "rb");

	CHECK(f != NULL);
	kept_text[fread(kept_text, 1, sizeof(kept_text) - 1, f)] = '\0';
	fclose(f);
	sl_config_reference(&b);
	CHECK(strcmp(kept_text, printed) ==
	      0); /* else: sluice --config-reference >docs/config.md */
}

/* ---- bounds and types ---- */

static void refused_everywhere(const struct row *r, const char *value)
{
	char text[256];
	char want[256];

	sl_config_defaults(&conf);
	as_yaml(r, value, text, sizeof(text));
	CHECK_EQ(load_text(text), SL_EPARSE);
	sl_fmt(want, sizeof(want), "%s:3: %s: \"%s\" is not possible; use ", file, r->path, value);
	CHECK(strncmp(error.text, want, strlen(want)) == 0);
	CHECK_EQ(set_by_env(r, value), SL_EPARSE);
	sl_fmt(want, sizeof(want), "environment: SLUICE_%s: \"%s\" is not possible; use ", r->env,
	       value);
	CHECK(strncmp(error.text, want, strlen(want)) == 0);
	CHECK_EQ(set_by_flag(r, value, true), SL_EPARSE);
	sl_fmt(want, sizeof(want), "--%s: \"%s\" is not possible; use ", r->path, value);
	CHECK(strncmp(error.text, want, strlen(want)) == 0);
}

TEST(config_refuses_what_is_out_of_range_or_no_number)
{
	static const char *const wrong[] = {
		"many", "1.5", " 1", "0x10", "1e3", "99999999999999999999", "", "true"};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		if (!rows[i].under)
			continue;
		refused_everywhere(&rows[i], rows[i].under);
		refused_everywhere(&rows[i], rows[i].over);
		for (size_t k = 0; k < SL_COUNT(wrong); k++)
			refused_everywhere(&rows[i], wrong[k]);
		check_default(&rows[i]);
	}
}

TEST(config_switches_take_eight_words_and_no_other)
{
	static const struct {
		const char *word;
		int on; /* -1: refused */
	} words[] = {{"true", 1}, {"yes", 1},	{"on", 1},     {"1", 1},   {"TRUE", 1},
		     {"Yes", 1},  {"false", 0}, {"no", 0},     {"off", 0}, {"0", 0},
		     {"OFF", 0},  {"2", -1},	{"maybe", -1}, {"y", -1},  {"tru", -1}};

	for (size_t i = 0; i < SL_COUNT(rows); i++)
		for (size_t k = 0; rows[i].type == SWITCH && k < SL_COUNT(words); k++) {
			if (words[k].on < 0) {
				refused_everywhere(&rows[i], words[k].word);
				continue;
			}
			CHECK_EQ(set_by_env(&rows[i], words[k].word), SL_OK);
			CHECK_EQ(kept(&rows[i]), words[k].on);
		}
}

TEST(config_text_has_a_longest_length)
{
	static char text[SL_CONFIG_TEXT_MAX + 64] = "SLUICE_HTTP_TOKEN=";
	size_t head = strlen(text);
	char *env[] = {text, NULL};

	sl_config_defaults(&conf);
	memset(text + head, 'x', SL_CONFIG_TEXT_MAX - 1);
	CHECK_EQ(sl_config_env(&conf, env, &error), SL_OK);
	CHECK_EQ(strlen(conf.http.token), SL_CONFIG_TEXT_MAX - 1);
	text[head + SL_CONFIG_TEXT_MAX - 1] = 'x';
	CHECK_EQ(sl_config_env(&conf, env, &error), SL_EPARSE);
	CHECK_STR(error.text,
		  "environment: SLUICE_HTTP_TOKEN: longer than 511 characters; shorten it");
}

TEST(config_refuses_addresses_that_are_none_or_of_the_other_family)
{
	static const struct {
		const char *flag, *want;
	} cases[] = {
		{"--kurento.stun=stun.example",
		 "--kurento.stun: \"stun.example\" is not possible; use an "
		 "address as 192.0.2.1 or 2001:db8::1"},
		{"--kurento.stun=0.0.0.0",
		 "--kurento.stun: \"0.0.0.0\" is not possible; use an address as "
		 "192.0.2.1 or 2001:db8::1"},
		{"--kurento.external_ipv4=2001:db8::1",
		 "--kurento.external_ipv4: \"2001:db8::1\" is not possible; use an address as "
		 "192.0.2.1"},
		{"--kurento.external_ipv6=192.0.2.1",
		 "--kurento.external_ipv6: \"192.0.2.1\" is not possible; use an address as "
		 "2001:db8::1"},
	};

	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		const char *const args[] = {cases[i].flag, NULL};

		CHECK_EQ(load(args, NULL), SL_EPARSE);
		CHECK_STR(error.text, cases[i].want);
	}
}

TEST(config_takes_turn_servers_and_never_repeats_a_wrong_one)
{
	static const struct {
		const char *value;
		bool good;
	} cases[] = {
		{"", true},
		{"u:p@192.0.2.1:3478", true},
		{"u:p@turn.example:5349?transport=tls", false},
		{"u:p@192.0.2.1:5349?transport=tls", true},
		{"u:p@[2001:db8::1]:3478?transport=tcp", true},
		{"u:a@b:c@192.0.2.1:3478?transport=udp", true},
		{"u:@192.0.2.1:3478", true},
		{"secret@192.0.2.1:3478", false},
		{":secret@192.0.2.1:3478", false},
		{"u:secret@192.0.2.1", false},
		{"u:secret@:3478", false},
		{"u:secret@192.0.2.1:0", false},
		{"u:secret@192.0.2.1:65536", false},
		{"u:secret@192.0.2.1:3478?transport=sctp", false},
		{"u:secret@192.0.2.1:3478?", true},
		{"turn:192.0.2.1:3478", false},
	};

	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		char flag[100];
		const char *const args[] = {flag, NULL};

		sl_fmt(flag, sizeof(flag), "--kurento.turn=%s", cases[i].value);
		CHECK_EQ(load(args, NULL), cases[i].good ? SL_OK : SL_EPARSE);
		CHECK_STR(conf.kurento.turn, cases[i].good ? cases[i].value : "");
		CHECK(!strstr(error.text, "secret"));
	}
}

TEST(config_refuses_a_path_of_kurento_that_no_url_has)
{
	static const char *const wrong[] = {"--kurento.path=", "--kurento.path=/kurento",
					    "--kurento.path=a b", "--kurento.path=a?b"};

	for (size_t i = 0; i < SL_COUNT(wrong); i++) {
		const char *const args[] = {wrong[i], NULL};

		CHECK_EQ(load(args, NULL), SL_EPARSE);
		CHECK(strstr(error.text, "; write kurento"));
	}
}

/* Stands for another program's settings. */
static int below(void *arg, const struct sl_config *wanted, char *const *env, struct sl_config *c,
		 struct sl_config_error *e)
{
	char why[256];

	(void)env;
	CHECK_STR(wanted->kurento.conf, "/elsewhere");
	CHECK_EQ(c->http.port, 8888);
	CHECK(!c->kurento.conf[0] || strcmp(c->kurento.conf, "/elsewhere") != 0);
	CHECK(sl_config_set(c, "http.port", SL_STR("1111"), why, sizeof(why)));
	CHECK(sl_config_set(c, "loops", SL_STR("3"), why, sizeof(why)));
	if (sl_config_set(c, "kurento.mtu", sl_str_z(arg), why, sizeof(why)))
		return SL_OK;
	sl_fmt(e->text, sizeof(e->text), "there: %s", why);
	return SL_EPARSE;
}

TEST(config_of_another_program_lies_between_the_defaults_and_ours)
{
	char one[] = "SLUICE_LOOPS=4";
	char *env[] = {one, NULL};
	char *argv[] = {(char *)(uintptr_t) "sluice",
			(char *)(uintptr_t) "--kurento.conf=/elsewhere", NULL};
	struct sl_config_below other = {below, (char *)(uintptr_t) "1400"};
	enum sl_config_action action;

	TRY(sl_config_load_over(&conf, 2, argv, env, &other, &action, &error));
	CHECK_EQ(conf.http.port, 1111);
	CHECK_EQ(conf.loops, 4);
	CHECK_EQ(conf.kurento.mtu, 1400);
	CHECK_STR(conf.kurento.conf, "/elsewhere");
	other.arg = (char *)(uintptr_t) "9";
	{
		int err = sl_config_load_over(&conf, 2, argv, env, &other, &action, &error);

		if (err == SL_ENOMEM)
			TRY(err);
		CHECK_EQ(err, SL_EPARSE);
	}
	CHECK_STR(error.text, "there: \"9\" is not possible; use a whole number from 296 to 1500");
}

/* ---- files ---- */

TEST(config_file_errors_name_the_line_and_the_mend)
{
	static const struct {
		const char *text, *want; /* want: behind the file's name */
	} cases[] = {
		{"http:\n  prt: 1\n",
		 ":2: http.prt: there is no such key; did you mean http.port?"},
		{"http:\n  Port: 1\n",
		 ":2: http.Port: there is no such key; did you mean http.port?"},
		{"loop: 1\n", ":1: loop: there is no such key; did you mean loops?"},
		{"\n\ndrain: 1\n", ":3: drain: there is no such key; did you mean drain_s?"},
		{"medai:\n  port: 1\n", ":1: medai: there is no such key; --help lists them all"},
		{"colour: blue\n", ":1: colour: there is no such key; --help lists them all"},
		{"http:\n  port: 1\n  port: 2\n",
		 ":3: http.port: stands here a second time; keep one of them"},
		{"http:\n  port: 1\nmedia:\n  port: 1\nhttp:\n  port: 2\n",
		 ":6: http.port: stands here a second time; keep one of them"},
		{"http.port: 1\nhttp:\n  port: 1\n",
		 ":3: http.port: stands here a second time; keep one of them"},
		{"http:\n  port: [1]\n", ":2: http.port: one value is wanted here"},
		{"http:\n  port: {a: 1}\n", ":2: http.port: one value is wanted here"},
		{"loops:\n  - 1\n", ":1: loops: one value is wanted here"},
		{"media:\n  bind:\n    a: 1\n",
		 ":2: media.bind: a list or one value is wanted here"},
		{"media:\n  bind:\n    - 192.0.2.1\n    - [1]\n",
		 ":4: media.bind: a list of plain values is wanted here"},
		{"http: 1\n",
		 ":1: http: a section has no value; write its keys below it, indented"},
		{"http:\n  - port\n",
		 ":1: http: a section has no value; write its keys below it, indented"},
		{"just text\n", ":1: \"key: value\" lines are wanted here"},
		{"- http\n", ":1: \"key: value\" lines are wanted here"},
		{"\n[1]: 2\n", ":2: a key is wanted here"},
		{"http:\n  port: \"1\n", ":3: found unexpected end of stream"},
		{"http:\n\tport: 1\n", ":2: found character that cannot start any token"},
		{"http: {port: 1\n", ":2: did not find expected ',' or '}'"},
		{"http:\n  port: 80:80\n",
		 ":2: http.port: \"80:80\" is not possible; use a whole number from 0 to 65535"},
		{"ice:\n  lite: 2\n", ":2: ice.lite: \"2\" is not possible; use true or false"},
		{"a: &x 1\nloops: *x\n", ":1: a: there is no such key; --help lists them all"},
		{"loops: *x\n", ":1: loops: one value is wanted here"},
		{"http:\n  token: \"a\\0b\"\n",
		 ":2: http.token: longer than 511 characters; shorten it"},
	};

	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		sl_config_defaults(&conf);
		CHECK_EQ(load_text(cases[i].text), SL_EPARSE);
		CHECK(strncmp(error.text, file, strlen(file)) == 0);
		CHECK_STR(error.text + strlen(file), cases[i].want);
	}
}

TEST(config_files_that_say_nothing_change_nothing)
{
	static const char *const texts_[] = {"",
					     "\n\n",
					     "# only a comment\n",
					     "---\n",
					     "---\n...\n",
					     "http:\n",
					     "{}\n",
					     "http: {}\n",
					     "loops:\n",
					     "loops: ~\n",
					     "loops: null\n",
					     "media:\n  bind:\n",
					     "\xef\xbb\xbf"};

	for (size_t i = 0; i < SL_COUNT(texts_); i++) {
		sl_config_defaults(&conf);
		CHECK_EQ(load_text(texts_[i]), SL_OK);
		check_others(NULL);
	}
}

TEST(config_file_takes_what_yaml_has_for_the_same_thing)
{
	sl_config_defaults(&conf);
	CHECK_EQ(load_text("{http: {port: 80, token: 'it''s'}, loops: auto}\n"), SL_OK);
	CHECK_EQ(conf.http.port, 80);
	CHECK_STR(conf.http.token, "it's");
	CHECK_EQ(conf.loops, 0);
	CHECK_EQ(load_text("http.port: 81\nmedia: {bind: [ 192.0.2.1, '2001:db8::1' ]}\n"), SL_OK);
	CHECK_EQ(conf.http.port, 81);
	CHECK_EQ(conf.media.bind.n, 2);
	CHECK_STR(conf.media.bind.at[1], "2001:db8::1");
	CHECK_EQ(load_text("media:\n  bind: \"192.0.2.7 , 192.0.2.8,\"\n"), SL_OK);
	CHECK_EQ(conf.media.bind.n, 2);
	CHECK_STR(conf.media.bind.at[1], "192.0.2.8");
	CHECK_EQ(load_text("media:\n  bind: []\n"), SL_OK);
	CHECK_EQ(conf.media.bind.n, 0);
	CHECK_EQ(load_text("http:\n  token: \"\"\n"), SL_OK);
	CHECK_STR(conf.http.token, "");
	CHECK_EQ(load_text("http:\n  token: null-but-not-quite\n"), SL_OK);
	CHECK_STR(conf.http.token, "null-but-not-quite");
}

TEST(config_lists_have_a_bound)
{
	char text[1024];
	struct sl_buf b = sl_buf(text, sizeof(text));

	sl_buf_z(&b, "http:\n  hosts:\n");
	for (int i = 0; i < SL_CONFIG_LIST_MAX; i++)
		sl_buf_fmt(&b, "    - host%d\n", i);
	sl_config_defaults(&conf);
	CHECK_EQ(load_text(text), SL_OK);
	CHECK_EQ(conf.http.hosts.n, SL_CONFIG_LIST_MAX);
	CHECK_STR(conf.http.hosts.at[15], "host15");
	sl_buf_z(&b, "    - one-more\n");
	CHECK_EQ(load_text(text), SL_EPARSE);
	CHECK_STR(error.text + strlen(file),
		  ":19: http.hosts: more than 16 entries; leave some out");
}

TEST(config_survives_files_that_are_no_text)
{
	static const char bytes[] = {0, 1, (char)0xff, (char)0xfe, 7, '\n', 'a', ':'};
	static char deep[4096];
	static char wide[1024];

	memset(deep, '{', sizeof(deep) - 1);
	memset(wide, 'k', sizeof(wide) - 3);
	memcpy(wide + sizeof(wide) - 3, ":1", 3);
	sl_config_defaults(&conf);
	write_file(bytes, sizeof(bytes));
	CHECK_EQ(sl_config_file(&conf, file, &error), SL_EPARSE);
	CHECK_EQ(load_text(deep), SL_EPARSE);
	CHECK_EQ(load_text(wide), SL_EPARSE);
	for (size_t n = 1; n < 60; n++) { /* cut anywhere */
		write_file("http: {port: 1, hosts: [a, \"b\"]}\nmedia:\n  bind: [1.2.3.4]\n", n);
		if (sl_config_file(&conf, file, &error) < 0)
			CHECK(strncmp(error.text, file, strlen(file)) == 0);
	}
	check_default(&rows[0]);
}

TEST(config_file_that_is_not_there_is_named)
{
	sl_config_defaults(&conf);
	CHECK_EQ(sl_config_file(&conf, "/nowhere/sluice.yaml", &error), SL_EIO);
	CHECK_STR(error.text, "/nowhere/sluice.yaml: No such file or directory; name a file that "
			      "can be read with --config");
	CHECK(sl_config_file(&conf, "/", &error) < 0);
	CHECK(strncmp(error.text, "/:", 2) == 0);
}

/* ---- environment and flags ---- */

TEST(config_environment_names_what_it_does_not_know)
{
	char bad[] = "SLUICE_HTTP_PROT=1";
	char near[] = "SLUICEX=1";
	char *env[] = {near, NULL, NULL};

	sl_config_defaults(&conf);
	CHECK_EQ(sl_config_env(&conf, env, &error), SL_OK);
	CHECK_EQ(sl_config_env(&conf, NULL, &error), SL_OK);
	env[1] = bad;
	CHECK_EQ(sl_config_env(&conf, env, &error), SL_EPARSE);
	CHECK_STR(error.text,
		  "environment: SLUICE_HTTP_PROT: there is no such key; --help lists them all");
}

TEST(config_flag_errors_say_what_to_write)
{
	static const struct {
		const char *args[3];
		const char *want;
	} cases[] = {
		{{"--http.prt=1"}, "--http.prt: there is no such key; did you mean http.port?"},
		{{"--verbose"}, "--verbose: there is no such key; --help lists them all"},
		{{"--http.port"}, "--http.port: wants a value"},
		{{"--config"}, "--config: wants a file"},
		{{"-c"}, "-c: wants a file"},
		{{"-p", "1"}, "-p: flags begin with --; --help lists them"},
		{{"sluice.yaml"}, "sluice.yaml: flags begin with --; --help lists them"},
		{{"--insecure=perhaps"},
		 "--insecure: \"perhaps\" is not possible; use true or false"},
		{{"--port=http"},
		 "--port: \"http\" is not possible; use a whole number from 0 to 65535"},
		{{"--"}, "--: there is no such key; --help lists them all"},
		{{"--=1"}, "--: there is no such key; --help lists them all"},
	};

	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		CHECK_EQ(load(cases[i].args, NULL), SL_EPARSE);
		CHECK_STR(error.text, cases[i].want);
	}
}

TEST(config_flags_have_short_names_and_actions)
{
	static const struct {
		const char *flag;
		enum sl_config_action action;
	} actions[] = {{"--help", SL_CONFIG_HELP},
		       {"-h", SL_CONFIG_HELP},
		       {"--version", SL_CONFIG_VERSION},
		       {"--config-reference", SL_CONFIG_REFERENCE},
		       {"--insecure", SL_CONFIG_RUN}};
	const char *const args[] = {"--port", "7", "--token=t", "--bind=::1", "--insecure", NULL};

	CHECK_EQ(load(args, NULL), SL_OK);
	CHECK_EQ(conf.http.port, 7);
	CHECK_STR(conf.http.token, "t");
	CHECK_STR(conf.http.bind, "::1");
	CHECK(conf.http.insecure);
	for (size_t i = 0; i < SL_COUNT(actions); i++) {
		char name[] = "sluice";
		char flag[32];
		char *argv[] = {name, flag, NULL};
		enum sl_config_action action;

		sl_fmt(flag, sizeof(flag), "%s", actions[i].flag);
		CHECK_EQ(sl_config_load(&conf, 2, argv, NULL, &action, &error), SL_OK);
		CHECK_EQ(action, actions[i].action);
	}
}

TEST(config_later_sources_win)
{
	char env_port[] = "SLUICE_HTTP_PORT=2";
	char env_loops[] = "SLUICE_LOOPS=2";
	char *env[] = {env_port, env_loops, NULL};
	char flag[96];
	const char *const args[] = {"--port=3", flag, "--http.hosts=c", NULL};

	static const char text[] =
		"http: {port: 1, token: t, hosts: [a, b]}\nloops: 1\ndrain_s: 1\n";

	write_file(text, sizeof(text) - 1);
	sl_fmt(flag, sizeof(flag), "--config=%s", file);
	CHECK_EQ(load(args, env), SL_OK);
	CHECK_EQ(conf.http.port, 3); /* flag over environment over file, wherever --config stands */
	CHECK_EQ(conf.loops, 2);     /* environment over file */
	CHECK_EQ(conf.drain_us, SL_SEC); /* file over default */
	CHECK_STR(conf.http.token, "t");
	CHECK_EQ(conf.http.hosts.n, 1); /* a list is replaced, not added to */
	CHECK_STR(conf.http.hosts.at[0], "c");
	CHECK_EQ(conf.media.port, 10000);
}

/* ---- rules between keys ---- */

TEST(t43_listens_elsewhere_than_on_loopback_only_with_a_token_a_key_or_insecure)
{
	static const struct {
		const char *bind;
		bool local;
	} binds[] = {{"127.0.0.1", true},    {"127.0.0.2", true},	  {"127.255.255.254", true},
		     {"::1", true},	     {"::ffff:127.0.0.1", true},  {"0.0.0.0", false},
		     {"::", false},	     {"192.0.2.1", false},	  {"10.0.0.1", false},
		     {"2001:db8::1", false}, {"::ffff:192.0.2.1", false}, {"169.254.0.1", false},
		     {"128.0.0.1", false},   {"126.255.255.255", false}};

	for (size_t i = 0; i < SL_COUNT(binds); i++)
		for (int how = 0; how < 8; how++) {
			bool may = binds[i].local || how > 0;

			sl_config_defaults(&conf);
			sl_fmt(conf.http.bind, sizeof(conf.http.bind), "%s", binds[i].bind);
			sl_fmt(conf.http.token, sizeof(conf.http.token), "%s",
			       how & 1 ? "token" : "");
			conf.http.insecure = how & 2;
			sl_fmt(conf.http.jwt_key, sizeof(conf.http.jwt_key), "%s",
			       how & 4 ? "0123456789abcdef" : "");
			CHECK_EQ(sl_config_check(&conf, &error), may ? SL_OK : SL_EPARSE);
			CHECK(may || (strstr(error.text, "http.token") &&
				      strstr(error.text, "--insecure")));
		}
}

TEST(config_rules_between_keys_name_the_keys_and_the_mend)
{
	static const struct {
		const char *text;
		const char *want; /* NULL: fine */
	} cases[] = {
		{"http: {bind: localhost}",
		 "http.bind: no IP address; write 127.0.0.1, 0.0.0.0 or ::"},
		{"http: {bind: \"\"}", "http.bind: no IP address; write 127.0.0.1, 0.0.0.0 or ::"},
		{"http: {bind: '127.0.0.1:80'}",
		 "http.bind: no IP address; write 127.0.0.1, 0.0.0.0 or ::"},
		{"http: {cert: a}", "http.cert and http.key go together; set both or none"},
		{"http: {key: a}", "http.cert and http.key go together; set both or none"},
		{"http: {cert: a, key: b}", NULL},
		{"dtls: {cert: a}", "dtls.cert and dtls.key go together; set both or none"},
		{"dtls: {key: a}", "dtls.cert and dtls.key go together; set both or none"},
		{"dtls: {cert: a, key: b}", NULL},
		{"srtp: {transform: mb}", NULL},
		{"srtp: {transform: libsrtp}", NULL},
		{"srtp: {transform: MB}", "srtp.transform: use auto, mb, soft or libsrtp"},
		{"srtp: {transform: \"\"}", "srtp.transform: use auto, mb, soft or libsrtp"},
		{"log: {format: xml}", "log.format: use logfmt or json"},
		{"log: {format: JSON}", "log.format: use logfmt or json"},
		{"media: {bind: [192.0.2.1, eth0]}",
		 "media.bind: an entry is no IP address; write 192.0.2.1 or 2001:db8::1"},
		{"media: {bind: '192.0.2.1:5'}",
		 "media.bind: an entry is no IP address; write 192.0.2.1 or 2001:db8::1"},
		{"media: {announce: example.org}",
		 "media.announce: an entry is neither ip nor ip:port; write 203.0.113.7 or "
		 "203.0.113.7:10000"},
		{"media: {announce: '203.0.113.7:70000'}",
		 "media.announce: an entry is neither ip nor ip:port; write 203.0.113.7 or "
		 "203.0.113.7:10000"},
		{"media: {announce: '203.0.113.7:10000', port: 0}",
		 "media.announce: an ip:port needs a fixed media.port; set one, or announce the ip "
		 "alone"},
		{"media: {announce: ['203.0.113.7', '[2001:db8::1]:9'], port: 0}",
		 "media.announce: an ip:port needs a fixed media.port; set one, or announce the ip "
		 "alone"},
		{"media: {announce: ['203.0.113.7', '2001:db8::1'], port: 0}", NULL},
		{"media: {announce: ['203.0.113.7:10000', '[2001:db8::1]:9']}", NULL},
		{"http: {proxies: [proxy]}", "http.proxies: an entry is no IP address"},
		{"http: {port: 0}\nmedia: {port: 0}\nloops: 64", NULL},
	};

	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		sl_config_defaults(&conf);
		CHECK_EQ(load_text(cases[i].text), SL_OK);
		CHECK_EQ(sl_config_check(&conf, &error), cases[i].want ? SL_EPARSE : SL_OK);
		if (cases[i].want)
			CHECK_STR(error.text, cases[i].want);
	}
}

/* Of a value that is secret no error repeats anything. */
TEST(t29_no_error_repeats_a_token)
{
	static const char *const files[] = {
		"http: {token: [hunter2]}", "http: {token: {hunter2: 1}}",
		"http: {token: hunter2, token: hunter2}", "http: {token: hunter2, bind: 0.0.0}"};

	for (size_t i = 0; i < SL_COUNT(files); i++) {
		int err;

		sl_config_defaults(&conf);
		err = load_text(files[i]);
		if (!err)
			err = sl_config_check(&conf, &error);
		CHECK_EQ(err, SL_EPARSE);
		CHECK(strstr(error.text, "hunter2") == NULL);
	}
}

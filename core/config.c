/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <yaml.h>

enum { JWT_KEY_MIN = 16, KURENTO_PATH_MAX = 64 };
enum type { TEXT, NUMBER, SWITCH, LIST, SECONDS, MILLISECONDS, IP, IPV4, IPV6, TURN_URL };

struct key {
	const char *path;
	enum type type;
	size_t at;	   /* offset in struct sl_config */
	uint32_t min, max; /* NUMBER, SECONDS, MILLISECONDS */
	const char *unit;
	const char *def; /* as one would write it; "" = empty */
	const char *help;
};

#define AT(field) offsetof(struct sl_config, field)

/* The only list of what can be set. */
static const struct key keys[] = {
	{"http.bind", TEXT, AT(http.bind), 0, 0, "address", "127.0.0.1",
	 "address of the HTTP port; 0.0.0.0 or :: for all"},
	{"http.port", NUMBER, AT(http.port), 0, 65535, "", "8888",
	 "HTTP port; 0 takes any free one"},
	{"http.token", TEXT, AT(http.token), 0, 0, "", "",
	 "bearer token that requests must carry; empty for none"},
	{"http.jwt_key", TEXT, AT(http.jwt_key), 0, 0, "", "",
	 "key of join tokens (HS256, at least 16 characters); with it requests need a token"},
	{"http.insecure", SWITCH, AT(http.insecure), 0, 0, "", "false",
	 "listen elsewhere than on loopback without a token (also --insecure)"},
	{"http.origins", LIST, AT(http.origins), 0, 0, "", "",
	 "origins of web pages that may use the API, as https://example.org"},
	{"http.hosts", LIST, AT(http.hosts), 0, 0, "", "",
	 "host names that requests may name while listening on loopback without a token"},
	{"http.proxies", LIST, AT(http.proxies), 0, 0, "addresses", "",
	 "reverse proxies, not counted by http.max_per_address"},
	{"http.cert", TEXT, AT(http.cert), 0, 0, "PEM file", "",
	 "certificate for HTTPS on the same port; read again on SIGHUP"},
	{"http.key", TEXT, AT(http.key), 0, 0, "PEM file", "", "key of http.cert"},
	{"http.max_connections", NUMBER, AT(http.max_connections), 8, 60000, "", "1000",
	 "HTTP connections at a time"},
	{"http.max_per_address", NUMBER, AT(http.max_per_address), 1, 60000, "", "64",
	 "HTTP connections of one address; loopback and http.proxies are not counted"},
	{"http.max_body_bytes", NUMBER, AT(http.max_body), 1024, 1048576, "bytes", "65536",
	 "largest request body"},
	{"http.header_timeout_ms", MILLISECONDS, AT(http.header_timeout_us), 10, 60000, "ms",
	 "5000", "time for a request's header to arrive"},
	{"http.body_timeout_ms", MILLISECONDS, AT(http.body_timeout_us), 10, 600000, "ms", "10000",
	 "time for a request's body to arrive"},
	{"http.idle_timeout_ms", MILLISECONDS, AT(http.idle_timeout_us), 10, 3600000, "ms", "60000",
	 "time an idle connection is kept"},
	{"media.bind", LIST, AT(media.bind), 0, 0, "addresses", "",
	 "local addresses for media; empty: of every interface but loopback and link-local"},
	{"media.announce", LIST, AT(media.announce), 0, 0, "addresses, with or without port", "",
	 "addresses told to peers in place of the local ones of their family (NAT)"},
	{"media.port", NUMBER, AT(media.port), 0, 65535, "", "10000",
	 "UDP port of the first loop, the others follow; 0 takes any free ones"},
	{"media.gro", SWITCH, AT(media.gro), 0, 0, "", "true",
	 "take datagrams that the system has joined (UDP GRO)"},
	{"media.gso", SWITCH, AT(media.gso), 0, 0, "", "true",
	 "send datagrams to one peer in one call (UDP GSO) where the system and the route allow "
	 "it"},
	{"media.gso_padding", SWITCH, AT(media.gso_padding), 0, 0, "", "true",
	 "make their lengths equal by at most 16 bytes of RTP padding"},
	{"media.tcp", SWITCH, AT(media.tcp), 0, 0, "", "true",
	 "ICE over TCP, on the same port numbers"},
	{"ice.timeout", SECONDS, AT(ice.timeout_us), 1, 600, "s", "15",
	 "silence after which a peer is gone"},
	{"ice.lite", SWITCH, AT(ice.lite), 0, 0, "", "true", "ICE lite: peers do the checking"},
	{"ice.servers", LIST, AT(ice.servers), 0, 0, "URLs", "",
	 "STUN or TURN servers told to WHIP and WHEP clients"},
	{"ice.turn_tls_verify", SWITCH, AT(ice.turn_tls_verify), 0, 0, "", "false",
	 "check the certificates of TURN servers that sluice itself uses over TLS"},
	{"dtls.queue_ms", MILLISECONDS, AT(dtls.queue_us), 1, 60000, "ms", "500",
	 "estimated wait for a handshake past which new sessions get 503"},
	{"dtls.active", SWITCH, AT(dtls.active), 0, 0, "", "true",
	 "be DTLS client where the offer allows it"},
	{"dtls.cert", TEXT, AT(dtls.cert), 0, 0, "PEM file", "",
	 "certificate for DTLS; empty: made at start"},
	{"dtls.key", TEXT, AT(dtls.key), 0, 0, "PEM file", "", "key of dtls.cert"},
	{"srtp.transform", TEXT, AT(srtp.transform), 0, 0, "", "auto",
	 "what ciphers media: mb (ipsec-mb), soft (mbedTLS), libsrtp; auto measures at start"},
	{"rooms.auto_create", SWITCH, AT(rooms.auto_create), 0, 0, "", "true",
	 "a room appears with its first user"},
	{"rooms.linger_ms", MILLISECONDS, AT(rooms.linger_us), 0, 86400000, "ms", "30000",
	 "how long a room stays after its last user"},
	{"rooms.max", NUMBER, AT(rooms.max), 1, 1000000, "", "1000", "rooms at a time"},
	{"rooms.max_participants", NUMBER, AT(rooms.max_participants), 1, 10000, "", "200",
	 "participants of one room"},
	{"rooms.max_video_bps", NUMBER, AT(rooms.max_video_bps), 0, 1000000000, "bit/s", "8000000",
	 "what the cameras of a room share, told to each by REMB (at least 150 kbit/s); 0 for no "
	 "cap; PATCH /v1/config"},
	{"limits.max_sessions", NUMBER, AT(limits.max_sessions), 1, 10000, "", "10000",
	 "WHIP and WHEP sessions, and participants who joined, at a time"},
	{"limits.max_sockets", NUMBER, AT(limits.max_sockets), 0, 500000, "", "20000",
	 "sockets that belong to one session each: plain RTP, TURN and ICE over TCP"},
	{"limits.sdp_mlines", NUMBER, AT(limits.sdp_mlines), 16, 256, "", "256",
	 "m-lines of an offer to a participant who joined: two for each that is seen and heard"},
	{"publish.max_video_bps", NUMBER, AT(publish.max_video_bps), 0, 1000000000, "bit/s",
	 "2500000", "REMB to publishers without transport-cc; 0 for no cap; PATCH /v1/config"},
	{"publish.cap", SWITCH, AT(publish.cap), 0, 0, "", "false",
	 "send that cap to publishers with transport-cc too"},
	{"kurento.conf", TEXT, AT(kurento.conf), 0, 0, "file", "/etc/kurento/kurento.conf.json",
	 "Kurento's own configuration, read where it exists; empty for none"},
	{"kurento.modules", TEXT, AT(kurento.modules), 0, 0, "directory", "",
	 "its modules' files; empty: modules/ beside kurento.conf"},
	{"kurento.path", TEXT, AT(kurento.path), 0, 0, "", "kurento",
	 "where Kurento's clients connect: ws://host:8888/kurento"},
	{"kurento.strict", SWITCH, AT(kurento.strict), 0, 0, "", "false",
	 "refuse what Kurento refuses where more is possible, as a second offer"},
	{"kurento.caps", SWITCH, AT(kurento.caps), 0, 0, "", "false",
	 "begin with Kurento's default of 100 to 500 kbit/s for video that is sent"},
	{"kurento.cache", SWITCH, AT(kurento.cache), 0, 0, "", "true",
	 "keep answers for 20 s for clients that ask again"},
	{"kurento.gc_s", SECONDS, AT(kurento.gc_us), 1, 86400, "s", "240",
	 "how often sessions that nobody is connected to are looked for; two rounds end one"},
	{"kurento.metadata", TEXT, AT(kurento.metadata), 0, 0, "JSON", "",
	 "what getMetadata answers"},
	{"kurento.stun", IP, AT(kurento.stun), 0, 0, "address", "", "STUN server of endpoints"},
	{"kurento.stun_port", NUMBER, AT(kurento.stun_port), 1, 65535, "", "3478", "its port"},
	{"kurento.turn", TURN_URL, AT(kurento.turn), 0, 0, "user:password@address:port", "",
	 "TURN server of endpoints; ?transport=udp, tcp or tls may follow"},
	{"kurento.external_ipv4", IPV4, AT(kurento.external_ipv4), 0, 0, "address", "",
	 "told to peers in place of local IPv4 addresses (NAT)"},
	{"kurento.external_ipv6", IPV6, AT(kurento.external_ipv6), 0, 0, "address", "",
	 "told to peers in place of local IPv6 addresses"},
	{"kurento.network_interfaces", LIST, AT(kurento.network_interfaces), 0, 0, "names", "",
	 "network interfaces that endpoints use; empty for all"},
	{"kurento.ice_tcp", SWITCH, AT(kurento.ice_tcp), 0, 0, "", "true",
	 "TCP candidates of endpoints"},
	{"kurento.min_port", NUMBER, AT(kurento.min_port), 1, 65535, "", "1024",
	 "lowest port of RtpEndpoints, which have a pair each"},
	{"kurento.max_port", NUMBER, AT(kurento.max_port), 1, 65535, "", "65535", "highest one"},
	{"kurento.rtp_symmetric", SWITCH, AT(kurento.rtp_symmetric), 0, 0, "", "false",
	 "RtpEndpoints send to where a peer's packets come from, also when it does not say "
	 "a=direction:active"},
	{"kurento.rtp_any_address", SWITCH, AT(kurento.rtp_any_address), 0, 0, "", "false",
	 "plain RTP of a peer behind NAT (a=direction:active) may come from elsewhere than the "
	 "address it names: who sends first gets its media"},
	{"kurento.cert_rsa", TEXT, AT(kurento.cert_rsa), 0, 0, "PEM file", "",
	 "certificate and key of endpoints that ask for RSA; empty: made at start"},
	{"kurento.cert_ecdsa", TEXT, AT(kurento.cert_ecdsa), 0, 0, "PEM file", "",
	 "the same for ECDSA"},
	{"kurento.dscp", NUMBER, AT(kurento.dscp), 0, 63, "", "0",
	 "DSCP of what endpoints send that set none"},
	{"kurento.mtu", NUMBER, AT(kurento.mtu), 296, 1500, "bytes", "1200",
	 "longest packet of endpoints, from the RTP header on"},
	{"kurento.encoder_bps", NUMBER, AT(kurento.encoder_bps), 0, 2147483647, "bit/s", "300000",
	 "encoderBitrate of new elements"},
	{"kurento.min_encoder_bps", NUMBER, AT(kurento.min_encoder_bps), 0, 2147483647, "bit/s",
	 "0", "their minEncoderBitrate"},
	{"kurento.max_encoder_bps", NUMBER, AT(kurento.max_encoder_bps), 0, 2147483647, "bit/s",
	 "0", "their maxEncoderBitrate; 0 for no limit"},
	{"kurento.exception_percent", NUMBER, AT(kurento.exception_percent), 0, 100, "%", "80",
	 "share of the file limit past which nothing more is created; 0 for no check"},
	{"kurento.max_sessions", NUMBER, AT(kurento.max_sessions), 1, 1000000, "", "10000",
	 "sessions of Kurento's clients at a time"},
	{"kurento.max_pipelines", NUMBER, AT(kurento.max_pipelines), 1, 1000000, "", "20000",
	 "pipelines at a time"},
	{"kurento.max_objects", NUMBER, AT(kurento.max_objects), 1, 10000000, "", "100000",
	 "objects at a time"},
	{"kurento.session_objects", NUMBER, AT(kurento.session_objects), 1, 10000000, "", "50000",
	 "objects that one session may hold"},
	{"kurento.session_subscriptions", NUMBER, AT(kurento.session_subscriptions), 1, 10000000,
	 "", "100000", "subscriptions that one session may hold"},
	{"kurento.session_creates_per_s", NUMBER, AT(kurento.session_creates_per_s), 1, 1000000, "",
	 "1000", "objects that one session may create per second, ten seconds' worth at once"},
	{"kurento.messages_per_s", NUMBER, AT(kurento.messages_per_s), 1, 1000000, "", "1000",
	 "messages of one connection per second, ten seconds' worth at once"},
	{"kurento.max_calls", NUMBER, AT(kurento.max_calls), 1, 10000000, "", "20000",
	 "calls under way at a time"},
	{"log.level", TEXT, AT(log.level), 0, 0, "", "info",
	 "error, warn, info or debug, also by module: warn,ice=debug; PATCH /v1/config"},
	{"log.format", TEXT, AT(log.format), 0, 0, "", "logfmt", "logfmt or json"},
	{"loops", NUMBER, AT(loops), 0, 64, "", "0", "media loops; 0 or auto: one per core"},
	{"drain_s", SECONDS, AT(drain_us), 0, 86400, "s", "30",
	 "after SIGTERM, how long sessions may go on"},
};

/* Short names of flags. */
static const struct {
	const char *name, *path;
} short_names[] = {{"insecure", "http.insecure"},
		   {"port", "http.port"},
		   {"bind", "http.bind"},
		   {"token", "http.token"}};

static const struct key *find(const char *path, size_t n)
{
	for (size_t i = 0; i < SL_COUNT(keys); i++)
		if (strlen(keys[i].path) == n && memcmp(keys[i].path, path, n) == 0)
			return &keys[i];
	return NULL;
}

/* ---- one value ---- */

static bool set_number(const struct key *k, struct sl_config *c, struct sl_str v, char *why,
		       size_t cap)
{
	uint32_t n = 0;
	int64_t us;

	if (k->at == AT(loops) && sl_str_eq(v, SL_STR("auto")))
		v = SL_STR("0");
	if (!sl_str_u32(v, UINT32_MAX, &n) || n < k->min || n > k->max) {
		sl_fmt(why, cap, "\"%.*s\" is not possible; use a whole number from %u to %u",
		       SL_STR_ARG(v), k->min, k->max);
		return false;
	}
	us = (int64_t)n * (k->type == SECONDS ? SL_SEC : SL_MS);
	if (k->type == NUMBER)
		memcpy((char *)c + k->at, &n, sizeof(n));
	else
		memcpy((char *)c + k->at, &us, sizeof(us));
	return true;
}

static bool set_switch(const struct key *k, struct sl_config *c, struct sl_str v, char *why,
		       size_t cap)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	for (size_t i = 0; i < SL_COUNT(yes); i++) {
		bool on = sl_str_ieq(v, sl_str_z(yes[i]));

		if (!on && !sl_str_ieq(v, sl_str_z(no[i])))
			continue;
		memcpy((char *)c + k->at, &on, sizeof(on));
		return true;
	}
	sl_fmt(why, cap, "\"%.*s\" is not possible; use true or false", SL_STR_ARG(v));
	return false;
}

static bool add_item(const struct key *k, struct sl_config *c, struct sl_str v, char *why,
		     size_t cap)
{
	struct sl_config_list *list = (struct sl_config_list *)(void *)((char *)c + k->at);

	if (list->n == SL_CONFIG_LIST_MAX) {
		sl_fmt(why, cap, "more than %d entries; leave some out", SL_CONFIG_LIST_MAX);
		return false;
	}
	if (!sl_str_copy(list->at[list->n], SL_CONFIG_TEXT_MAX, v)) {
		sl_fmt(why, cap, "an entry is longer than %d characters; shorten it",
		       SL_CONFIG_TEXT_MAX - 1);
		return false;
	}
	list->n++;
	return true;
}

static void clear_list(const struct key *k, struct sl_config *c)
{
	memset((char *)c + k->at, 0, sizeof(struct sl_config_list));
}

static bool set_list(const struct key *k, struct sl_config *c, struct sl_str v, char *why,
		     size_t cap)
{
	clear_list(k, c);
	while (v.n > 0) {
		struct sl_str item = sl_str_trim(sl_str_cut(&v, ','));

		if (item.n > 0 && !add_item(k, c, item, why, cap))
			return false;
	}
	return true;
}

static bool set_text(const struct key *k, struct sl_config *c, struct sl_str v, char *why,
		     size_t cap)
{
	if (sl_str_copy((char *)c + k->at, SL_CONFIG_TEXT_MAX, v))
		return true;
	sl_fmt(why, cap, "longer than %d characters; shorten it", SL_CONFIG_TEXT_MAX - 1);
	return false;
}

static bool set_address(const struct key *k, struct sl_config *c, struct sl_str v, char *why,
			size_t cap)
{
	static const char *const examples[] = {
		[IP] = "192.0.2.1 or 2001:db8::1", [IPV4] = "192.0.2.1", [IPV6] = "2001:db8::1"};
	struct sl_addr a;

	if (v.n == 0 || (sl_addr_parse_ip(v, &a) == SL_OK && !sl_addr_is_any(&a) &&
			 (k->type == IP || a.family == (k->type == IPV4 ? 4 : 6))))
		return set_text(k, c, v, why, cap);
	sl_fmt(why, cap, "\"%.*s\" is not possible; use an address as %s", SL_STR_ARG(v),
	       examples[k->type]);
	return false;
}

/* user:password@ip:port, then nothing or ?transport=... The password may hold any character; so
 * the last @ ends it. */
static bool is_turn_url(struct sl_str v)
{
	static const char *const transports[] = {"", "transport=udp", "transport=tcp",
						 "transport=tls"};
	const char *at = memrchr(v.p, '@', v.n);
	const char *colon = memchr(v.p, ':', v.n);
	struct sl_str after;
	struct sl_addr a;

	if (!at || !colon || colon >= at || colon == v.p)
		return false;
	after = sl_str(at + 1, v.n - (size_t)(at + 1 - v.p));
	if (sl_addr_parse(sl_str_cut(&after, '?'), &a) < 0 || a.port == 0)
		return false;
	for (size_t i = 0; i < SL_COUNT(transports); i++)
		if (sl_str_eq(after, sl_str_z(transports[i])))
			return true;
	return false;
}

/* What is wrong with it is not repeated: there is a password in it. */
static bool set_turn_url(const struct key *k, struct sl_config *c, struct sl_str v, char *why,
			 size_t cap)
{
	if (v.n == 0 || is_turn_url(v))
		return set_text(k, c, v, why, cap);
	sl_fmt(why, cap,
	       "not possible; use user:password@192.0.2.1:3478?transport=udp (or tcp, tls)");
	return false;
}

static bool set(const struct key *k, struct sl_config *c, struct sl_str v, char *why, size_t cap)
{
	static bool (*const setters[])(const struct key *, struct sl_config *, struct sl_str,
				       char *, size_t) = {
		[TEXT] = set_text,	   [NUMBER] = set_number,  [SWITCH] = set_switch,
		[LIST] = set_list,	   [SECONDS] = set_number, [MILLISECONDS] = set_number,
		[IP] = set_address,	   [IPV4] = set_address,   [IPV6] = set_address,
		[TURN_URL] = set_turn_url,
	};

	return setters[k->type](k, c, v, why, cap);
}

bool sl_config_set(struct sl_config *c, const char *key, struct sl_str value, char *why,
		   size_t why_cap)
{
	const struct key *k = find(key, strlen(key));

	SL_ASSERT(k);
	return set(k, c, value, why, why_cap);
}

void sl_config_defaults(struct sl_config *c)
{
	char why[256];

	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < SL_COUNT(keys); i++)
		SL_ASSERT(set(&keys[i], c, sl_str_z(keys[i].def), why, sizeof(why)));
}

/* ---- names that do not exist ---- */

/* Letters that differ, in place and at the ends: enough to find a slip of the finger. */
static size_t distance(const char *a, size_t an, const char *b)
{
	size_t bn = strlen(b);
	size_t head = 0;
	size_t tail = 0;

	while (head < an && head < bn && a[head] == b[head])
		head++;
	while (tail < an - head && tail < bn - head && a[an - 1 - tail] == b[bn - 1 - tail])
		tail++;
	return SL_MAX(an, bn) - head - tail;
}

static void unknown(const char *path, size_t n, char *why, size_t cap)
{
	const struct key *best = &keys[0];

	for (size_t i = 1; i < SL_COUNT(keys); i++)
		if (distance(path, n, keys[i].path) < distance(path, n, best->path))
			best = &keys[i];
	if (distance(path, n, best->path) <= 3)
		sl_fmt(why, cap, "there is no such key; did you mean %s?", best->path);
	else
		sl_fmt(why, cap, "there is no such key; --help lists them all");
}

/* ---- the YAML file ---- */

struct yaml_reader {
	struct sl_config *c;
	const char *file;
	struct sl_config_error *e;
	yaml_parser_t parser;
	char path[256];
	bool seen[SL_COUNT(keys)];
	int depth;
};

static int complain(struct yaml_reader *r, size_t line, const char *path, const char *why)
{
	sl_fmt(r->e->text, sizeof(r->e->text), "%s:%zu: %s%s%s", r->file, line, path,
	       *path ? ": " : "", why);
	return SL_EPARSE;
}

static int next_event(struct yaml_reader *r, yaml_event_t *ev)
{
	if (yaml_parser_parse(&r->parser, ev))
		return SL_OK;
	return complain(r, r->parser.problem_mark.line + 1, "",
			r->parser.problem ? r->parser.problem : "not YAML");
}

static struct sl_str scalar(const yaml_event_t *ev)
{
	return sl_str((const char *)ev->data.scalar.value, ev->data.scalar.length);
}

static int read_items(struct yaml_reader *r, const struct key *k)
{
	char why[256];

	clear_list(k, r->c);
	for (;;) {
		yaml_event_t ev;
		int err = next_event(r, &ev);

		if (err)
			return err;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			return SL_OK;
		}
		if (ev.type != YAML_SCALAR_EVENT)
			err = complain(r, ev.start_mark.line + 1, k->path,
				       "a list of plain values is wanted here");
		else if (!add_item(k, r->c, scalar(&ev), why, sizeof(why)))
			err = complain(r, ev.start_mark.line + 1, k->path, why);
		yaml_event_delete(&ev);
		if (err)
			return err;
	}
}

static int set_scalar(struct yaml_reader *r, const struct key *k, const yaml_event_t *ev)
{
	struct sl_str v = scalar(ev);
	char why[256];

	/* "key:" with nothing behind it, or "~": as if the line were not there. */
	if (ev->data.scalar.plain_implicit &&
	    (v.n == 0 || sl_str_eq(v, SL_STR("~")) || sl_str_eq(v, SL_STR("null"))))
		return SL_OK;
	return set(k, r->c, v, why, sizeof(why))
		       ? SL_OK
		       : complain(r, ev->start_mark.line + 1, k->path, why);
}

static int read_mapping(struct yaml_reader *r);

static bool is_section(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < SL_COUNT(keys); i++)
		if (strncmp(keys[i].path, path, n) == 0 && keys[i].path[n] == '.')
			return true;
	return false;
}

static int read_value(struct yaml_reader *r, size_t line)
{
	const struct key *k = find(r->path, strlen(r->path));
	char why[256];
	yaml_event_t ev;
	int err = next_event(r, &ev);

	if (err)
		return err;
	if (k && r->seen[k - keys])
		err = complain(r, line, r->path, "stands here a second time; keep one of them");
	else if (k && ev.type == YAML_SCALAR_EVENT)
		err = set_scalar(r, k, &ev);
	else if (k && k->type == LIST && ev.type == YAML_SEQUENCE_START_EVENT)
		err = read_items(r, k);
	else if (k)
		err = complain(r, line, r->path,
			       k->type == LIST ? "a list or one value is wanted here"
					       : "one value is wanted here");
	else if (ev.type == YAML_MAPPING_START_EVENT && is_section(r->path))
		err = read_mapping(r);
	else if (is_section(r->path)) {
		if (ev.type != YAML_SCALAR_EVENT || scalar(&ev).n > 0)
			err = complain(r, line, r->path,
				       "a section has no value; write its keys below it, indented");
	} else {
		unknown(r->path, strlen(r->path), why, sizeof(why));
		err = complain(r, line, r->path, why);
	}
	if (k && !err)
		r->seen[k - keys] = true;
	yaml_event_delete(&ev);
	return err;
}

static int read_key(struct yaml_reader *r, const yaml_event_t *ev)
{
	size_t had = strlen(r->path);
	struct sl_buf b = sl_buf(r->path + had, sizeof(r->path) - had);
	int err;

	if (had > 0)
		sl_buf_char(&b, '.');
	sl_buf_str(&b, scalar(ev));
	err = b.full ? complain(r, ev->start_mark.line + 1, "", "a key this long does not exist")
		     : read_value(r, ev->start_mark.line + 1);
	r->path[had] = '\0';
	return err;
}

static int read_mapping(struct yaml_reader *r)
{
	int err = SL_OK;

	if (++r->depth > 4)
		return complain(r, r->parser.mark.line + 1, r->path, "nested too deep");
	for (;;) {
		yaml_event_t ev;
		bool end;

		err = next_event(r, &ev);
		if (err)
			return err;
		end = ev.type == YAML_MAPPING_END_EVENT;
		if (!end && ev.type != YAML_SCALAR_EVENT)
			err = complain(r, ev.start_mark.line + 1, r->path, "a key is wanted here");
		else if (!end)
			err = read_key(r, &ev);
		yaml_event_delete(&ev);
		if (end || err)
			break;
	}
	r->depth--;
	return err;
}

static int read_document(struct yaml_reader *r)
{
	for (;;) {
		yaml_event_t ev;
		int err = next_event(r, &ev);
		yaml_event_type_t type = ev.type;
		size_t line = ev.start_mark.line + 1;
		bool empty;

		if (err)
			return err;
		empty = type == YAML_SCALAR_EVENT && scalar(&ev).n == 0;
		yaml_event_delete(&ev);
		if (type == YAML_MAPPING_START_EVENT)
			err = read_mapping(r);
		else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
			 type == YAML_ALIAS_EVENT)
			err = empty ? SL_OK
				    : complain(r, line, "", "\"key: value\" lines are wanted here");
		if (err || type == YAML_STREAM_END_EVENT)
			return err;
	}
}

int sl_config_file(struct sl_config *c, const char *path, struct sl_config_error *e)
{
	struct yaml_reader r = {.c = c, .file = path, .e = e};
	FILE *f = fopen(path, "rb");
	int err;

	if (!f) {
		sl_fmt(e->text, sizeof(e->text),
		       "%s: %s; name a file that can be read with --config", path, strerror(errno));
		return SL_EIO;
	}
	if (!yaml_parser_initialize(&r.parser)) {
		fclose(f);
		return SL_ENOMEM;
	}
	yaml_parser_set_input_file(&r.parser, f);
	err = read_document(&r);
	yaml_parser_delete(&r.parser);
	fclose(f);
	return err;
}

/* ---- environment and flags ---- */

static void env_name(const struct key *k, char *out, size_t cap)
{
	struct sl_buf b = sl_buf(out, cap);

	sl_buf_z(&b, "SLUICE_");
	for (const char *p = k->path; *p; p++)
		sl_buf_char(&b,
			    *p == '.' ? '_' : (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p));
}

static int env_one(struct sl_config *c, struct sl_str name, struct sl_str value,
		   struct sl_config_error *e)
{
	char why[256];

	for (size_t i = 0; i < SL_COUNT(keys); i++) {
		char want[128];

		env_name(&keys[i], want, sizeof(want));
		if (!sl_str_eq(name, sl_str_z(want)))
			continue;
		if (set(&keys[i], c, value, why, sizeof(why)))
			return SL_OK;
		sl_fmt(e->text, sizeof(e->text), "environment: %s: %s", want, why);
		return SL_EPARSE;
	}
	sl_fmt(e->text, sizeof(e->text),
	       "environment: %.*s: there is no such key; --help lists them all", SL_STR_ARG(name));
	return SL_EPARSE;
}

int sl_config_env(struct sl_config *c, char *const *env, struct sl_config_error *e)
{
	for (; env && *env; env++) {
		struct sl_str value = sl_str_z(*env);
		struct sl_str name = sl_str_cut(&value, '=');

		if (sl_str_starts(name, SL_STR("SLUICE_")) && env_one(c, name, value, e) < 0)
			return SL_EPARSE;
	}
	return SL_OK;
}

static const struct key *flag_key(struct sl_str name)
{
	for (size_t i = 0; i < SL_COUNT(short_names); i++)
		if (sl_str_eq(name, sl_str_z(short_names[i].name)))
			return find(short_names[i].path, strlen(short_names[i].path));
	return find(name.p, name.n);
}

/* One flag; *used counts the arguments it took. */
static int flag_one(struct sl_config *c, char **argv, int left, int *used,
		    struct sl_config_error *e)
{
	struct sl_str value = sl_str_z(argv[0] + 2);
	bool has_value = strchr(argv[0], '=') != NULL;
	struct sl_str name = sl_str_cut(&value, '=');
	const struct key *k = flag_key(name);
	char why[256];

	*used = 1;
	if (!k) {
		unknown(name.p, name.n, why, sizeof(why));
		sl_fmt(e->text, sizeof(e->text), "--%.*s: %s", SL_STR_ARG(name), why);
		return SL_EPARSE;
	}
	if (!has_value && k->type == SWITCH) {
		value = SL_STR("true");
	} else if (!has_value) {
		if (left < 2) {
			sl_fmt(e->text, sizeof(e->text), "--%.*s: wants a value", SL_STR_ARG(name));
			return SL_EPARSE;
		}
		value = sl_str_z(argv[1]);
		*used = 2;
	}
	if (set(k, c, value, why, sizeof(why)))
		return SL_OK;
	sl_fmt(e->text, sizeof(e->text), "--%.*s: %s", SL_STR_ARG(name), why);
	return SL_EPARSE;
}

struct scan {
	const char *file;
	enum sl_config_action action;
};

static const struct {
	const char *flag;
	enum sl_config_action action;
} actions[] = {
	{"--help", SL_CONFIG_HELP},
	{"-h", SL_CONFIG_HELP},
	{"--version", SL_CONFIG_VERSION},
	{"--config-reference", SL_CONFIG_REFERENCE},
};

static bool is_action(const char *arg, struct scan *s)
{
	for (size_t i = 0; i < SL_COUNT(actions); i++)
		if (strcmp(arg, actions[i].flag) == 0) {
			s->action = actions[i].action;
			return true;
		}
	return false;
}

/* Walks the arguments; sets values when `c` is given, else only finds --config and the actions. */
static int walk(struct sl_config *c, int argc, char **argv, struct scan *s,
		struct sl_config_error *e)
{
	for (int i = 1; i < argc;) {
		int used = 1;

		if (is_action(argv[i], s)) {
			i++;
			continue;
		}
		if (strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "-c") == 0) {
			if (i + 1 == argc) {
				sl_fmt(e->text, sizeof(e->text), "%s: wants a file", argv[i]);
				return SL_EPARSE;
			}
			s->file = argv[i + 1];
			used = 2;
		} else if (strncmp(argv[i], "--config=", 9) == 0) {
			s->file = argv[i] + 9;
		} else if (strncmp(argv[i], "--", 2) != 0) {
			sl_fmt(e->text, sizeof(e->text),
			       "%s: flags begin with --; --help lists them", argv[i]);
			return SL_EPARSE;
		} else {
			struct sl_config scratch;
			int err;

			if (!c)
				sl_config_defaults(&scratch);
			err = flag_one(c ? c : &scratch, argv + i, argc - i, &used, e);
			if (err)
				return err;
		}
		i += used;
	}
	return SL_OK;
}

/* File, environment and flags over what is in *c. */
static int read_ours(struct sl_config *c, int argc, char **argv, char *const *env, struct scan *s,
		     struct sl_config_error *e)
{
	int err = s->file ? sl_config_file(c, s->file, e) : SL_OK;

	if (!err)
		err = sl_config_env(c, env, e);
	if (!err)
		err = walk(c, argc, argv, s, e);
	return err;
}

/* The defaults, with what lies between them and our own settings. */
static int read_below(struct sl_config *c, char *const *env, const struct sl_config_below *below,
		      struct sl_config_error *e)
{
	struct sl_config *wanted = sl_zalloc(sizeof(*wanted));
	int err = SL_ENOMEM;

	if (wanted) {
		*wanted = *c;
		sl_config_defaults(c);
		err = below->read(below->arg, wanted, env, c, e);
	}
	sl_free(wanted);
	return err;
}

int sl_config_load_over(struct sl_config *c, int argc, char **argv, char *const *env,
			const struct sl_config_below *below, enum sl_config_action *action,
			struct sl_config_error *e)
{
	struct scan s = {0};
	int err;

	sl_config_defaults(c);
	e->text[0] = '\0';
	err = walk(NULL, argc, argv, &s, e);
	*action = s.action;
	if (err || s.action != SL_CONFIG_RUN)
		return err;
	err = read_ours(c, argc, argv, env, &s, e);
	if (!err && below)
		err = read_below(c, env, below, e);
	if (!err && below)
		err = read_ours(c, argc, argv, env, &s, e);
	return err ? err : sl_config_check(c, e);
}

int sl_config_load(struct sl_config *c, int argc, char **argv, char *const *env,
		   enum sl_config_action *action, struct sl_config_error *e)
{
	return sl_config_load_over(c, argc, argv, env, NULL, action, e);
}

/* ---- rules between keys ---- */

static int refuse(struct sl_config_error *e, const char *text)
{
	sl_fmt(e->text, sizeof(e->text), "%s", text);
	return SL_EPARSE;
}

static bool is_transform(const char *name)
{
	static const char *const names[] = {"auto", "mb", "soft", "libsrtp"};

	for (size_t i = 0; i < SL_COUNT(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static int check_addresses(const struct sl_config *c, struct sl_config_error *e)
{
	struct sl_addr a;

	for (size_t i = 0; i < c->media.bind.n; i++) {
		if (sl_addr_parse_ip(sl_str_z(c->media.bind.at[i]), &a) < 0)
			return refuse(e, "media.bind: an entry is no IP address; "
					 "write 192.0.2.1 or 2001:db8::1");
		/* A candidate is a socket: the wildcard is no address that a peer could be told. */
		if (sl_addr_is_any(&a))
			return refuse(e,
				      "media.bind: 0.0.0.0 and :: are no addresses of their own; "
				      "leave it empty for every interface");
	}
	if (c->media.port + SL_MAX(c->loops, 1u) > 65536)
		return refuse(e, "media.port: the loops' ports follow the first; use a lower one");
	for (size_t i = 0; i < c->media.announce.n; i++) {
		if (sl_addr_parse(sl_str_z(c->media.announce.at[i]), &a) < 0)
			return refuse(e, "media.announce: an entry is neither ip nor ip:port; "
					 "write 203.0.113.7 or 203.0.113.7:10000");
		/* The announced port stands for loop 0's: with ports that the system chooses it
		 * would stand for nothing. */
		if (a.port && c->media.port == 0)
			return refuse(e, "media.announce: an ip:port needs a fixed media.port; "
					 "set one, or announce the ip alone");
	}
	for (size_t i = 0; i < c->http.proxies.n; i++)
		if (sl_addr_parse_ip(sl_str_z(c->http.proxies.at[i]), &a) < 0)
			return refuse(e, "http.proxies: an entry is no IP address");
	return SL_OK;
}

static int check_kurento(const struct sl_config *c, struct sl_config_error *e)
{
	const char *path = c->kurento.path;

	if (path[0] == '/' || !path[0] || strlen(path) >= KURENTO_PATH_MAX ||
	    path[strspn(path, "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "0123456789-._~/")])
		return refuse(
			e, "kurento.path: at most 63 letters, digits, -._~ and / between them are "
			   "possible; write kurento");
	if (c->kurento.min_port > c->kurento.max_port)
		return refuse(e, "kurento.min_port is above kurento.max_port; exchange them");
	return SL_OK;
}

int sl_config_check(const struct sl_config *c, struct sl_config_error *e)
{
	struct sl_addr bind;

	if (sl_addr_parse_ip(sl_str_z(c->http.bind), &bind) < 0)
		return refuse(e, "http.bind: no IP address; write 127.0.0.1, 0.0.0.0 or ::");
	if (!sl_addr_is_loopback(&bind) && !c->http.token[0] && !c->http.jwt_key[0] &&
	    !c->http.insecure)
		return refuse(e, "http.bind: listening elsewhere than on loopback wants http.token "
				 "or http.jwt_key, "
				 "or --insecure if everybody may use the server");
	if (c->http.jwt_key[0] && strlen(c->http.jwt_key) < JWT_KEY_MIN)
		return refuse(e, "http.jwt_key: use at least 16 characters, "
				 "as openssl rand -hex 32 gives");
	if (!c->http.cert[0] != !c->http.key[0])
		return refuse(e, "http.cert and http.key go together; set both or none");
	if (!c->dtls.cert[0] != !c->dtls.key[0])
		return refuse(e, "dtls.cert and dtls.key go together; set both or none");
	if (!is_transform(c->srtp.transform))
		return refuse(e, "srtp.transform: use auto, mb, soft or libsrtp");
	if (strcmp(c->log.format, "logfmt") != 0 && strcmp(c->log.format, "json") != 0)
		return refuse(e, "log.format: use logfmt or json");
	return check_kurento(c, e) ? SL_EPARSE : check_addresses(c, e);
}

/* ---- help ---- */

void sl_config_help(struct sl_buf *out)
{
	sl_buf_z(out, "sluice — a WebRTC media server\n\n"
		      "Usage: sluice [--config FILE] [--KEY=VALUE ...]\n"
		      "       sluice token --room ROOM --participant NAME ...\n"
		      "       sluice --help | --version | --config-reference\n\n"
		      "Keys (as flag --http.port=8888, in YAML under http: port:, "
		      "in the environment SLUICE_HTTP_PORT):\n");
	for (size_t i = 0; i < SL_COUNT(keys); i++)
		sl_buf_fmt(out, "  --%-24s %s%s%s%s [%s]\n", keys[i].path, keys[i].help,
			   *keys[i].unit ? " (" : "", keys[i].unit, *keys[i].unit ? ")" : "",
			   keys[i].def);
	sl_buf_z(out, "\nLater sources win: defaults, Kurento's own settings, file, environment, "
		      "flags.\n");
}

static void reference_range(struct sl_buf *out, const struct key *k)
{
	switch (k->type) {
	case SWITCH:
		sl_buf_z(out, "true or false");
		return;
	case LIST:
		sl_buf_fmt(out, "list%s%s", *k->unit ? " of " : "", k->unit);
		return;
	case NUMBER:
	case SECONDS:
	case MILLISECONDS:
		sl_buf_fmt(out, "%u to %u%s%s", k->min, k->max, *k->unit ? " " : "", k->unit);
		return;
	default:
		sl_buf_z(out, *k->unit ? k->unit : "text");
	}
}

void sl_config_reference(struct sl_buf *out)
{
	sl_buf_z(out, "# Configuration\n\n"
		      "Written by `sluice --config-reference`. "
		      "No file is needed: every key has a default.\n"
		      "Sources, later ones win: defaults, Kurento's own files and environment "
		      "([kurento.md](kurento.md)), the YAML file of `--config FILE`, "
		      "the environment, flags.\n"
		      "An error names the file, the line and the mend, "
		      "and the server does not start.\n\n"
		      "```yaml\n"
		      "# the same as --http.port=80, and as SLUICE_HTTP_PORT=80\n"
		      "http:\n"
		      "  port: 80\n"
		      "media:\n"
		      "  announce: [203.0.113.7, \"2001:db8::7\"]  "
		      "# in flags and environment with commas\n"
		      "```\n\n"
		      "| key | environment | default | value | meaning |\n"
		      "| --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < SL_COUNT(keys); i++) {
		const struct key *k = &keys[i];
		char env[128];

		env_name(k, env, sizeof(env));
		sl_buf_fmt(out, "| `%s` | `%s` | %s | ", k->path, env, *k->def ? k->def : "empty");
		reference_range(out, k);
		sl_buf_fmt(out, " | %s |\n", k->help);
	}
	sl_buf_z(out, "\nShort flags: ");
	for (size_t i = 0; i < SL_COUNT(short_names); i++)
		sl_buf_fmt(out, "%s`--%s` for `%s`", i ? ", " : "", short_names[i].name,
			   short_names[i].path);
	sl_buf_z(out, ".\n");
}

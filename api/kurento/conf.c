/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/conf.c — Kurento's own configuration: kurento.conf.json, the modules' files and the
 * environment of its Docker image, as defaults below our own. The tables say what a key is here, or
 * why it is nothing: that is told in the log, once. */
#include "api/kurento/conf.h"
#include "api/kurento/kms.h"
#include "core/base/log.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1 << 20, WHY_MAX = 256, KEY_MAX = 256 };

static const char DEFAULT_FILE[] = "/etc/kurento/kurento.conf.json";

struct conf {
	/* borrowed */
	struct sl_config *c;
	const struct sl_config *wanted;
	struct sl_kurento_notes *notes;
	struct sl_config_error *e;
	/* state: of the file that is read */
	const char *file;
	const char *prefix; /* of its keys */
	/* state: of all files */
	cJSON *metadata;
	char secure_cert[SL_CONFIG_TEXT_MAX];
	char secure_port[8];
	bool plain; /* a port without TLS is asked for */
};

/* One setting of Kurento's and where it stands; line 0: in the environment. */
struct place {
	const char *key, *file;
	size_t line;
};

struct row {
	const char *from, *key; /* Kurento's and ours; NULL: it is nothing here */
	/* NULL: the value is taken as it is. */
	int (*read)(struct conf *k, const struct row *row, const struct place *at,
		    const char *value);
	const char *why; /* it is nothing */
};

/* ================= what is said ================= */

static int wrong(struct conf *k, const struct place *at, const char *why)
{
	if (at->line)
		(void)sl_fmt(k->e->text, sizeof(k->e->text), "%s:%zu: %s: %s", at->file, at->line,
			     at->key, why);
	else
		(void)sl_fmt(k->e->text, sizeof(k->e->text), "%s: %s: %s", at->file, at->key, why);
	return SL_EPARSE;
}

static bool among(const char *keys, const char *key)
{
	struct sl_str rest = sl_str_z(keys);

	while (rest.n > 0)
		if (sl_str_eq(sl_str_trim(sl_str_cut(&rest, ',')), sl_str_z(key)))
			return true;
	return false;
}

/* Keys of one file that are nothing for the same reason share a line of the log. */
static void note(struct conf *k, const struct place *at, const char *why)
{
	struct sl_kurento_notes *notes = k->notes;
	struct sl_kurento_note *n = NULL;
	size_t had;

	for (size_t i = 0; i < notes->n; i++)
		if (notes->at[i].why == why && strcmp(notes->at[i].where, at->file) == 0) {
			n = &notes->at[i];
			if (among(n->keys, at->key))
				return;
		}
	had = n ? strlen(n->keys) : 0;
	if (n && sl_fmt(n->keys + had, sizeof(n->keys) - had, ", %s", at->key))
		return;
	if (n)
		n->keys[had] = '\0';
	if (notes->n == SL_KURENTO_NOTES_MAX)
		return;
	n = &notes->at[notes->n++];
	n->why = why;
	(void)sl_fmt(n->where, sizeof(n->where), "%s", at->file);
	(void)sl_fmt(n->keys, sizeof(n->keys), "%s", at->key);
}

void sl_kurento_conf_log(const struct sl_kurento_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		SL_LOG(INFO, CONFIG, "settings of Kurento's without meaning here",
		       SL_KS("where", notes->at[i].where), SL_KS("keys", notes->at[i].keys),
		       SL_KS("why", notes->at[i].why));
}

/* ================= values that are not taken as they are ================= */

static int set(struct conf *k, const char *key, const struct place *at, const char *value)
{
	char why[WHY_MAX];

	if (sl_config_set(k->c, key, sl_str_z(value), why, sizeof(why)))
		return SL_OK;
	return wrong(k, at, why);
}

/* A share from 0 to 1 as percent. */
static int read_share(struct conf *k, const struct row *row, const struct place *at,
		      const char *value)
{
	char percent[8];
	char *end;
	double share = strtod(value, &end);

	if (end == value || *end || !(share >= 0 && share <= 1))
		return wrong(k, at, "use a share from 0 to 1, as 0.8");
	(void)sl_fmt(percent, sizeof(percent), "%d", (int)(share * 100 + 0.5));
	return set(k, row->key, at, percent);
}

static int read_disabled(struct conf *k, const struct row *row, const struct place *at,
			 const char *value)
{
	int err = set(k, row->key, at, value);

	k->c->kurento.cache = !k->c->kurento.cache;
	return err;
}

static int read_dscp(struct conf *k, const struct row *row, const struct place *at,
		     const char *value)
{
	uint8_t dscp;
	char number[8];

	if (strcmp(value, "NO_VALUE") == 0)
		return SL_OK;
	if (!kms_dscp(sl_str_z(value), &dscp))
		return wrong(k, at, "there is no such word; use one of DSCPValue, as AF41");
	(void)sl_fmt(number, sizeof(number), "%u", dscp);
	return set(k, row->key, at, number);
}

/* Older versions have one key for both families. */
static int read_external(struct conf *k, const struct row *row, const struct place *at,
			 const char *value)
{
	struct sl_addr a;

	(void)row;
	if (sl_addr_parse_ip(sl_str_z(value), &a) < 0)
		return wrong(k, at, "use an address as 192.0.2.1 or 2001:db8::1");
	return set(k, a.family == 4 ? "kurento.external_ipv4" : "kurento.external_ipv6", at, value);
}

/* "auto" asks a public service who we are: that is nothing a server does unasked. */
static int read_discovered(struct conf *k, const struct row *row, const struct place *at,
			   const char *value)
{
	if (strcmp(value, "auto") != 0)
		return set(k, row->key, at, value);
	note(k, at, "no public service is asked for the address; write it, or use a STUN server");
	return SL_OK;
}

/* Where a firewall lets Kurento's media through: ours goes there, too. */
static int read_min_port(struct conf *k, const struct row *row, const struct place *at,
			 const char *value)
{
	int err = set(k, row->key, at, value);

	return err ? err : set(k, "media.port", at, value);
}

static int read_port(struct conf *k, const struct row *row, const struct place *at,
		     const char *value)
{
	if (strcmp(value, "0") == 0) {
		note(k, at, "there is always one port; http.port says which");
		return SL_OK;
	}
	k->plain = true;
	return set(k, row->key, at, value);
}

/* Whoever may come in is asked for here, for the place is known; sl_config_check() asks again. */
static int read_address(struct conf *k, const struct row *row, const struct place *at,
			const char *value)
{
	const struct sl_config *w = k->wanted;
	struct sl_addr a;

	if (sl_addr_parse_ip(sl_str_z(value), &a) < 0)
		return wrong(k, at, "no IP address; write 127.0.0.1, 0.0.0.0 or ::");
	if (!sl_addr_is_loopback(&a) && strcmp(w->http.bind, "127.0.0.1") == 0 &&
	    !w->http.token[0] && !w->http.jwt_key[0] && !w->http.insecure)
		return wrong(
			k, at,
			"listening elsewhere than on loopback wants http.token or http.jwt_key, "
			"or --insecure if everybody may use the server");
	return set(k, row->key, at, value);
}

static int read_secure(struct conf *k, const struct row *row, const struct place *at,
		       const char *value)
{
	bool port = strcmp(row->key, "http.port") == 0;
	uint32_t n;

	if (port && !sl_str_u32(sl_str_z(value), 65535, &n))
		return wrong(k, at, "use a whole number from 0 to 65535");
	if (!(port ? sl_fmt(k->secure_port, sizeof(k->secure_port), "%s", value)
		   : sl_fmt(k->secure_cert, sizeof(k->secure_cert), "%s", value)))
		return wrong(k, at, "too long; shorten it");
	return SL_OK;
}

static int read_password(struct conf *k, const struct row *row, const struct place *at,
			 const char *value)
{
	(void)row;
	if (!value[0])
		return SL_OK;
	return wrong(k, at,
		     "a key with a password is not read; write it without one: "
		     "openssl pkey -in FILE -out KEY");
}

/* ================= the tables ================= */

static const char NO_CLASS[] = "there is no such element yet";
static const char ONE_THREAD[] = "one thread serves all connections; loops are for media";
static const char CODECS[] = "peers agree on codecs among those that are forwarded";
static const char LOGS[] = "the log goes to standard error; log.level and log.format shape it";

#define WS "mediaServer.net.websocket."
#define RESOURCES "mediaServer.resources."
#define CLASS(name) "modules.kurento." name "."
#define WEBRTC CLASS("WebRtcEndpoint")

static const struct row file_rows[] = {
	{RESOURCES "exceptionLimit", "kurento.exception_percent", read_share, NULL},
	{RESOURCES "killLimit", NULL, NULL, "the server never ends itself for what it holds"},
	{RESOURCES "garbageCollectorPeriod", "kurento.gc_s", NULL, NULL},
	{RESOURCES "disableRequestCache", "kurento.cache", read_disabled, NULL},
	{WS "port", "http.port", read_port, NULL},
	{WS "address", "http.bind", read_address, NULL},
	{WS "ipv6", NULL, NULL, "http.bind says where to listen; :: is IPv6 and IPv4"},
	{WS "path", "kurento.path", NULL, NULL},
	{WS "threads", NULL, NULL, ONE_THREAD},
	{WS "connqueue", NULL, NULL, "the queue is as long as the system lets it be"},
	{WS "secure.port", "http.port", read_secure, NULL},
	{WS "secure.certificate", "http.cert", read_secure, NULL},
	{WS "secure.password", NULL, read_password, NULL},
	{WS "registrar.address", NULL, NULL, "the server connects to nobody of its own accord"},
	{WS "registrar.localAddress", NULL, NULL,
	 "the server connects to nobody of its own accord"},
	{CLASS("BaseRtpEndpoint") "minPort", "kurento.min_port", read_min_port, NULL},
	{CLASS("BaseRtpEndpoint") "maxPort", "kurento.max_port", NULL, NULL},
	{CLASS("BaseRtpEndpoint") "mtu", "kurento.mtu", NULL, NULL},
	{CLASS("MediaElement") "encoderBitrate", "kurento.encoder_bps", NULL, NULL},
	{CLASS("MediaElement") "minEncoderBitrate", "kurento.min_encoder_bps", NULL, NULL},
	{CLASS("MediaElement") "maxEncoderBitrate", "kurento.max_encoder_bps", NULL, NULL},
	{CLASS("MediaElement") "outputBitrate", "kurento.encoder_bps", NULL, NULL},
	{CLASS("MediaElement") "minOutputBitrate", "kurento.min_encoder_bps", NULL, NULL},
	{CLASS("MediaElement") "maxOutputBitrate", "kurento.max_encoder_bps", NULL, NULL},
	{CLASS("SdpEndpoint") "numAudioMedias", NULL, NULL, "an endpoint has as many as its peer"},
	{CLASS("SdpEndpoint") "numVideoMedias", NULL, NULL, "an endpoint has as many as its peer"},
	{CLASS("SdpEndpoint") "audioCodecs.", NULL, NULL, CODECS},
	{CLASS("SdpEndpoint") "videoCodecs.", NULL, NULL, CODECS},
	{CLASS("UriEndpoint"), NULL, NULL, NO_CLASS},
	{CLASS("Composite"), NULL, NULL, NO_CLASS},
	{CLASS("HttpEndpoint"), NULL, NULL, NO_CLASS},
	{CLASS("PlayerEndpoint"), NULL, NULL, NO_CLASS},
	{CLASS("RecorderEndpoint"), NULL, NULL, NO_CLASS},
	{CLASS("VideoSampler"), NULL, NULL, NO_CLASS},
	{WEBRTC "networkInterfaces", "kurento.network_interfaces", NULL, NULL},
	{WEBRTC "stunServerAddress", "kurento.stun", NULL, NULL},
	{WEBRTC "stunServerPort", "kurento.stun_port", NULL, NULL},
	{WEBRTC "turnURL", "kurento.turn", NULL, NULL},
	{WEBRTC "pemCertificate", "kurento.cert_rsa", NULL, NULL},
	{WEBRTC "pemCertificateRSA", "kurento.cert_rsa", NULL, NULL},
	{WEBRTC "pemCertificateECDSA", "kurento.cert_ecdsa", NULL, NULL},
	{WEBRTC "externalAddress", NULL, read_external, NULL},
	{WEBRTC "externalIPv4", "kurento.external_ipv4", NULL, NULL},
	{WEBRTC "externalIPv6", "kurento.external_ipv6", NULL, NULL},
	{WEBRTC "iceTcp", "kurento.ice_tcp", NULL, NULL},
	{WEBRTC "qos-dscp", "kurento.dscp", read_dscp, NULL},
	{WEBRTC "enable-h265", NULL, NULL, CODECS},
};

/* Of the Docker image, and of the command line that we have not. An empty one is as good as none.
 */
static const struct row env_rows[] = {
	{"KMS_MIN_PORT", "kurento.min_port", read_min_port, NULL},
	{"KMS_MAX_PORT", "kurento.max_port", NULL, NULL},
	{"KMS_MTU", "kurento.mtu", NULL, NULL},
	{"KMS_STUN_IP", "kurento.stun", NULL, NULL},
	{"KMS_STUN_PORT", "kurento.stun_port", NULL, NULL},
	{"KMS_TURN_URL", "kurento.turn", NULL, NULL},
	{"KMS_NETWORK_INTERFACES", "kurento.network_interfaces", NULL, NULL},
	{"KMS_ICE_TCP", "kurento.ice_tcp", NULL, NULL},
	{"KMS_EXTERNAL_ADDRESS", NULL, read_external, NULL},
	{"KMS_EXTERNAL_IPV4", "kurento.external_ipv4", read_discovered, NULL},
	{"KMS_EXTERNAL_IPV6", "kurento.external_ipv6", read_discovered, NULL},
	{"KMS_PEM_CERTIFICATE_RSA", "kurento.cert_rsa", NULL, NULL},
	{"KMS_PEM_CERTIFICATE_ECDSA", "kurento.cert_ecdsa", NULL, NULL},
	{"KMS_UID", NULL, NULL, "the server keeps the user that started it"},
	{"KURENTO_MODULES_PATH", NULL, NULL, "modules are part of the server"},
	{"KURENTO_LOGS_PATH", NULL, NULL, LOGS},
	{"KURENTO_LOG_FILE_SIZE", NULL, NULL, LOGS},
	{"KURENTO_NUMBER_LOG_FILES", NULL, NULL, LOGS},
	{"GST_DEBUG", NULL, NULL, LOGS},
};

/* A name that ends in a dot stands for all below it. */
static bool is_for(const struct row *row, const char *key)
{
	size_t n = strlen(row->from);

	if (row->from[n - 1] != '.')
		return strcmp(row->from, key) == 0;
	return strncmp(row->from, key, n) == 0 ||
	       (strlen(key) == n - 1 && !strncmp(row->from, key, n - 1));
}

/* key: with its prefix; at->key: as the file has it. */
static int apply(struct conf *k, const struct row *rows, size_t n, const char *key,
		 const struct place *at, const char *value)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_for(&rows[i], key))
			continue;
		if (rows[i].read)
			return rows[i].read(k, &rows[i], at, value);
		if (rows[i].key)
			return set(k, rows[i].key, at, value);
		note(k, at, rows[i].why);
		return SL_OK;
	}
	note(k, at, "there is no such key");
	return SL_OK;
}

/* ================= files ================= */

/* What comes next in or as a value of `at`: the item or member of that name, or a new one. */
static cJSON *metadata_step(cJSON *at, bool item, const char *name, char next, const char *value)
{
	cJSON *in = item ? cJSON_GetArrayItem(at, (int)strtol(name, NULL, 10))
			 : cJSON_GetObjectItemCaseSensitive(at, name);

	if (next == KMS_LEAF_ITEM ? cJSON_IsArray(in) : next && cJSON_IsObject(in))
		return in;
	in = !next		     ? cJSON_CreateString(value)
	     : next == KMS_LEAF_ITEM ? cJSON_CreateArray()
				     : cJSON_CreateObject();
	if (in && (item ? cJSON_AddItemToArray(at, in) : cJSON_AddItemToObject(at, name, in)))
		return in;
	cJSON_Delete(in);
	return NULL;
}

/* Items that have nothing in them, which nobody was told of, are there as well. */
static bool metadata_fill(cJSON *list, const char *index)
{
	int n = (int)strtol(index, NULL, 10);

	for (int i = cJSON_GetArraySize(list); i < n; i++)
		if (!cJSON_AddItemToArray(list, cJSON_CreateString("")))
			return false;
	return true;
}

/* Free-form; Kurento tells all values of it as strings. exact: from behind "metadata" on. */
static int add_metadata(struct conf *k, const char *exact, const char *value)
{
	bool list = *exact == KMS_LEAF_ITEM;
	char name[2 * KEY_MAX];
	cJSON *at;

	if (k->metadata && cJSON_IsArray(k->metadata) != list) {
		cJSON_Delete(k->metadata);
		k->metadata = NULL;
	}
	if (!k->metadata)
		k->metadata = list ? cJSON_CreateArray() : cJSON_CreateObject();
	for (at = k->metadata; at && *exact;) {
		bool item = *exact++ == KMS_LEAF_ITEM;
		size_t n = strcspn(exact, (char[]){KMS_LEAF_MEMBER, KMS_LEAF_ITEM, '\0'});

		(void)sl_fmt(name, sizeof(name), "%.*s", (int)n, exact);
		exact += n;
		if (item && !metadata_fill(at, name))
			return SL_ENOMEM;
		at = metadata_step(at, item, name, *exact, value);
	}
	return at ? SL_OK : SL_ENOMEM;
}

static int on_leaf(void *arg, const struct kms_leaf *leaf)
{
	struct conf *k = arg;
	struct place at = {.key = leaf->path, .file = k->file, .line = leaf->line};
	char key[KEY_MAX * 2];

	(void)sl_fmt(key, sizeof(key), "%s%s", k->prefix, leaf->path);
	if (!k->prefix[0] && strncmp(leaf->exact + 1, "metadata", 8) == 0 && leaf->exact[9] &&
	    leaf->exact[9] <= KMS_LEAF_MEMBER)
		return add_metadata(k, leaf->exact + 9, leaf->value);
	return apply(k, file_rows, SL_COUNT(file_rows), key, &at, leaf->value);
}

static int no_file(struct conf *k, const char *file, const char *why)
{
	(void)sl_fmt(k->e->text, sizeof(k->e->text), "%s: %s", file, why);
	return SL_EIO;
}

/* The whole file, with a NUL behind it; *text NULL: there is none. */
static int slurp(struct conf *k, const char *file, char **text)
{
	FILE *f = fopen(file, "re");
	char *all;
	size_t n;
	bool good;

	*text = NULL;
	if (!f)
		return errno == ENOENT || errno == ENOTDIR ? SL_OK
							   : no_file(k, file, strerror(errno));
	all = sl_zalloc(FILE_MAX + 1);
	n = all ? fread(all, 1, FILE_MAX, f) : 0;
	good = !ferror(f) && n < FILE_MAX;
	(void)fclose(f);
	if (all && good && !memchr(all, '\0', n)) {
		*text = all;
		return SL_OK;
	}
	sl_free(all);
	return all ? no_file(k, file, "cannot be read, or is no text of less than a megabyte")
		   : SL_ENOMEM;
}

static bool ends(const char *name, const char *end)
{
	size_t n = strlen(name);
	size_t m = strlen(end);

	return n >= m && strcmp(name + n - m, end) == 0;
}

/* *there: it was. */
static int read_file(struct conf *k, const char *file, const char *prefix, bool *there)
{
	struct kms_conf_why why = {0};
	bool json = ends(file, ".json");
	char *text;
	int err;

	k->file = file;
	k->prefix = prefix;
	err = slurp(k, file, &text);
	*there = text != NULL;
	if (text && !json && !ends(file, ".ini"))
		err = no_file(k, file, "only .json and .ini are read; write it as one of them");
	else if (text)
		err = json ? kms_conf_json(text, on_leaf, k, &why)
			   : kms_conf_ini(text, on_leaf, k, &why);
	if (why.text)
		(void)sl_fmt(k->e->text, sizeof(k->e->text), "%s:%zu: %s", file, why.line,
			     why.text);
	sl_free(text);
	k->file = NULL;
	k->prefix = NULL;
	return err;
}

static int is_module_file(const struct dirent *d)
{
	return ends(d->d_name, ".conf.json") || ends(d->d_name, ".conf.ini");
}

/* "WebRtcEndpoint.conf.ini" → "modules.kurento.WebRtcEndpoint." */
static int read_module_file(struct conf *k, const char *dir, const char *name)
{
	struct sl_str rest = sl_str_z(name);
	struct sl_str class = sl_str_cut(&rest, '.');
	char prefix[KEY_MAX];
	char file[SL_CONFIG_TEXT_MAX * 2];
	bool there;

	(void)sl_fmt(prefix, sizeof(prefix), "modules.kurento.%.*s.", SL_STR_ARG(class));
	(void)sl_fmt(file, sizeof(file), "%s/kurento/%s", dir, name);
	return read_file(k, file, prefix, &there);
}

/* Files in the order of their names. */
static int read_modules(struct conf *k, const char *dir)
{
	struct dirent **found = NULL;
	char path[SL_CONFIG_TEXT_MAX * 2];
	int err = SL_OK;
	int n;

	(void)sl_fmt(path, sizeof(path), "%s/kurento", dir);
	n = scandir(path, &found, is_module_file, alphasort);
	for (int i = 0; i < n; i++) {
		if (!err)
			err = read_module_file(k, dir, found[i]->d_name);
		free(found[i]);
	}
	free(found);
	return err;
}

/* ================= the whole ================= */

static const char *env_of(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=' && (*env)[n + 1])
			return *env + n + 1;
	return NULL;
}

static void directory_of(const char *file, char *out, size_t cap)
{
	const char *slash = strrchr(file, '/');

	(void)sl_fmt(out, cap, "%.*s", slash ? (int)(slash - file) : 1, slash ? file : ".");
}

/* The directory that is set; else modules/ beside the file, then those of the environment. */
static int read_all_modules(struct conf *k, const char *file, char *const *env)
{
	struct sl_str more = sl_str_z(env_of(env, "KURENTO_MODULES_CONFIG_PATH"));
	char dir[SL_CONFIG_TEXT_MAX];
	char path[SL_CONFIG_TEXT_MAX + 8];
	int err;

	if (k->wanted->kurento.modules[0])
		return read_modules(k, k->wanted->kurento.modules);
	directory_of(file, dir, sizeof(dir));
	(void)sl_fmt(path, sizeof(path), "%s/modules", dir);
	err = read_modules(k, path);
	while (!err && more.n > 0) {
		struct sl_str one = sl_str_cut(&more, ':');

		(void)sl_fmt(dir, sizeof(dir), "%.*s", SL_STR_ARG(one));
		err = read_modules(k, dir);
	}
	return err;
}

static int keep_metadata(struct conf *k, const char *file)
{
	struct place at = {.key = "metadata", .file = file};
	char *text = k->metadata ? cJSON_PrintUnformatted(k->metadata) : NULL;
	int err = text ? set(k, "kurento.metadata", &at, text) : k->metadata ? SL_ENOMEM : SL_OK;

	cJSON_free(text);
	return err;
}

/* With a certificate, plain connections from elsewhere are sent away: a plain port that is asked
 * for is kept. */
static int keep_secure(struct conf *k, const char *file)
{
	struct place at = {.key = WS "secure", .file = file};
	char dir[SL_CONFIG_TEXT_MAX];
	char cert[SL_CONFIG_TEXT_MAX * 2];
	int err;

	if (!k->secure_cert[0])
		return SL_OK;
	if (k->plain) {
		note(k, &at,
		     "there is one port, and with a certificate it sends plain connections from "
		     "elsewhere "
		     "away; leave websocket.port out to have TLS");
		return SL_OK;
	}
	directory_of(file, dir, sizeof(dir));
	(void)sl_fmt(cert, sizeof(cert), "%s%s%s", k->secure_cert[0] == '/' ? "" : dir,
		     k->secure_cert[0] == '/' ? "" : "/", k->secure_cert);
	err = set(k, "http.port", &at, k->secure_port[0] ? k->secure_port : "8433");
	if (!err)
		err = set(k, "http.cert", &at, cert);
	return err ? err : set(k, "http.key", &at, cert);
}

static int read_main_file(struct conf *k, const char *file)
{
	bool there;
	int err = read_file(k, file, "", &there);

	if (!err && !there && strcmp(file, DEFAULT_FILE) != 0)
		err = no_file(k, file,
			      "there is no such file; name another, or none: --kurento.conf=");
	if (!err)
		err = keep_metadata(k, file);
	return err ? err : keep_secure(k, file);
}

static int read_env(struct conf *k, char *const *env)
{
	int err = SL_OK;

	for (; !err && env && *env; env++) {
		struct sl_str value = sl_str_z(*env);
		struct sl_str name = sl_str_cut(&value, '=');
		char key[KEY_MAX];
		struct place at = {.key = key, .file = "environment"};
		bool known = sl_str_starts(name, SL_STR("KMS_"));

		(void)sl_fmt(key, sizeof(key), "%.*s", SL_STR_ARG(name));
		for (size_t i = 0; i < SL_COUNT(env_rows); i++)
			known |= strcmp(env_rows[i].from, key) == 0;
		if (known && value.n > 0)
			err = apply(k, env_rows, SL_COUNT(env_rows), key, &at, value.p);
	}
	return err;
}

int sl_kurento_conf(void *arg, const struct sl_config *wanted, char *const *env,
		    struct sl_config *c, struct sl_config_error *e)
{
	struct conf k = {.c = c, .wanted = wanted, .notes = arg, .e = e};
	const char *file = wanted->kurento.conf;
	const char *other = env_of(env, "KURENTO_CONF_FILE");
	int err = SL_OK;

	if (other && strcmp(file, DEFAULT_FILE) == 0)
		file = other;
	if (file[0])
		err = read_main_file(&k, file);
	if (!err && (file[0] || wanted->kurento.modules[0]))
		err = read_all_modules(&k, file, env);
	if (!err)
		err = read_env(&k, env);
	cJSON_Delete(k.metadata);
	return err;
}

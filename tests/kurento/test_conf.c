/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_conf.c — what Kurento's own files and environment set here, what of it is only
 * told, and what an error says. */
#include "api/kurento/kms.h"
#include "tests/test.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { TEXT, NUMBER, SWITCH, LIST, TIME };

#define AT(field) #field, offsetof(struct sl_config, field)

static const struct {
	enum kind kind;
	const char *name;
	size_t at;
} settings[] = {
	{TEXT, AT(http.bind)},
	{NUMBER, AT(http.port)},
	{TEXT, AT(http.cert)},
	{TEXT, AT(http.key)},
	{NUMBER, AT(media.port)},
	{TEXT, AT(kurento.path)},
	{SWITCH, AT(kurento.cache)},
	{TIME, AT(kurento.gc_us)},
	{TEXT, AT(kurento.metadata)},
	{TEXT, AT(kurento.stun)},
	{NUMBER, AT(kurento.stun_port)},
	{TEXT, AT(kurento.turn)},
	{TEXT, AT(kurento.external_ipv4)},
	{TEXT, AT(kurento.external_ipv6)},
	{LIST, AT(kurento.network_interfaces)},
	{SWITCH, AT(kurento.ice_tcp)},
	{NUMBER, AT(kurento.min_port)},
	{NUMBER, AT(kurento.max_port)},
	{TEXT, AT(kurento.cert_rsa)},
	{TEXT, AT(kurento.cert_ecdsa)},
	{NUMBER, AT(kurento.dscp)},
	{NUMBER, AT(kurento.mtu)},
	{NUMBER, AT(kurento.encoder_bps)},
	{NUMBER, AT(kurento.min_encoder_bps)},
	{NUMBER, AT(kurento.max_encoder_bps)},
	{NUMBER, AT(kurento.exception_percent)},
};

static struct sl_config conf, plain;
static struct sl_config_error error;
static struct sl_kurento_notes notes;
static char dir[64];

/* ---- a directory as /etc/kurento ---- */

static void path_of(const char *name, char *out, size_t cap)
{
	(void)sl_fmt(out, cap, "%s%s%s", dir, *name ? "/" : "", name);
}

static void remove_all(void *unused)
{
	static const char *const dirs[] = {"modules/kurento", "modules", "other/kurento", "other",
					   ""};

	(void)unused;
	for (size_t i = 0; i < SL_COUNT(dirs); i++) {
		char path[128];
		char file[512];
		struct dirent *entry;
		DIR *d;

		path_of(dirs[i], path, sizeof(path));
		d = opendir(path);
		while (d && (entry = readdir(d)) != NULL) {
			(void)sl_fmt(file, sizeof(file), "%s/%s", path, entry->d_name);
			if (entry->d_type == DT_REG)
				unlink(file);
		}
		if (d)
			closedir(d);
		rmdir(path);
	}
}

static void make_dirs(void)
{
	char path[128];

	(void)sl_fmt(dir, sizeof(dir), "/tmp/sluice-kms-XXXXXX");
	CHECK(mkdtemp(dir));
	DEFER(remove_all, NULL);
	path_of("modules", path, sizeof(path));
	CHECK_EQ(mkdir(path, 0700), 0);
	path_of("modules/kurento", path, sizeof(path));
	CHECK_EQ(mkdir(path, 0700), 0);
}

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	path_of(name, path, sizeof(path));
	f = fopen(path, "w");
	CHECK(f);
	fputs(text, f);
	(void)fclose(f);
}

static void remove_file(const char *name)
{
	char path[256];

	path_of(name, path, sizeof(path));
	CHECK_EQ(unlink(path), 0);
}

/* ---- reading it ---- */

static int load(const char *flag, char *const *env)
{
	char file[128];
	char *argv[] = {(char *)(uintptr_t) "sluice", file, (char *)(uintptr_t)flag, NULL};
	struct sl_config_below below = {sl_kurento_conf, &notes};
	enum sl_config_action action;
	int err;

	memset(&notes, 0, sizeof(notes));
	(void)sl_fmt(file, sizeof(file), "--kurento.conf=%s/kurento.conf.json", dir);
	err = sl_config_load_over(&conf, flag ? 3 : 2, argv, env, &below, &action, &error);
	if (err == SL_ENOMEM)
		TRY(err);
	return err;
}

static void show(const char *name, enum kind kind, const void *at, struct sl_buf *b)
{
	const struct sl_config_list *list = at;
	uint32_t n;
	int64_t us;

	memcpy(&n, at, sizeof(n));
	memcpy(&us, at, sizeof(us));
	sl_buf_fmt(b, "%s%s=", b->n ? " " : "", name);
	if (kind == TEXT)
		sl_buf_z(b, at);
	else if (kind == NUMBER)
		sl_buf_fmt(b, "%u", n);
	else if (kind == SWITCH)
		sl_buf_fmt(b, "%d", *(const char *)at);
	else if (kind == TIME)
		sl_buf_fmt(b, "%lld", (long long)us);
	for (size_t i = 0; kind == LIST && i < list->n; i++)
		sl_buf_fmt(b, "%s%s", i ? "," : "", list->at[i]);
}

static size_t size_of(enum kind kind)
{
	return kind == TEXT	? SL_CONFIG_TEXT_MAX
	       : kind == NUMBER ? sizeof(uint32_t)
	       : kind == SWITCH ? sizeof(bool)
	       : kind == TIME	? sizeof(int64_t)
				: sizeof(struct sl_config_list);
}

/* What differs from the defaults: "http.port=9999 kurento.mtu=1400"; the directory is "~". */
static const char *changed(void)
{
	static char text[2048];
	struct sl_buf b = sl_buf(text, sizeof(text));
	char *home;

	sl_config_defaults(&plain);
	for (size_t i = 0; i < SL_COUNT(settings); i++) {
		const char *ours = (const char *)&conf + settings[i].at;
		const char *def = (const char *)&plain + settings[i].at;
		bool same = settings[i].kind == TEXT
				    ? strcmp(ours, def) == 0
				    : memcmp(ours, def, size_of(settings[i].kind)) == 0;

		if (!same)
			show(settings[i].name, settings[i].kind, ours, &b);
	}
	while (dir[0] && (home = strstr(text, dir)) != NULL) {
		*home = '~';
		memmove(home + 1, home + strlen(dir), strlen(home + strlen(dir)) + 1);
	}
	return text;
}

static bool noted(const char *key)
{
	for (size_t i = 0; i < notes.n; i++) {
		struct sl_str rest = sl_str_z(notes.at[i].keys);

		while (rest.n > 0)
			if (sl_str_eq(sl_str_trim(sl_str_cut(&rest, ',')), sl_str_z(key)))
				return true;
	}
	return false;
}

/* ---- the main file ---- */

TEST(without_files_of_kurento_nothing_changes)
{
	char *argv[] = {(char *)(uintptr_t) "sluice", NULL};
	struct sl_config_below below = {sl_kurento_conf, &notes};
	enum sl_config_action action;

	if (access("/etc/kurento", F_OK) == 0)
		sl_test_skip("this machine has a Kurento of its own");
	memset(&notes, 0, sizeof(notes));
	TRY(sl_config_load_over(&conf, 1, argv, NULL, &below, &action, &error));
	CHECK_STR(changed(), "");
	CHECK_EQ(notes.n, 0);
}

TEST(the_main_file_sets_what_it_says)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"{}", ""},
		{"{\"mediaServer\":{\"net\":{\"websocket\":{\"port\":9999,\"path\":\"kms\"}}}}",
		 "http.port=9999 kurento.path=kms"},
		{"{\"mediaServer\":{\"net\":{\"websocket\":{\"port\":\"9999\",\"address\":\"::1\"}}"
		 "}}",
		 "http.bind=::1 http.port=9999"},
		{"{\"mediaServer\":{\"resources\":{\"exceptionLimit\":\"0.75\","
		 "\"garbageCollectorPeriod\":60,\"disableRequestCache\":true}}}",
		 "kurento.cache=0 kurento.gc_us=60000000 kurento.exception_percent=75"},
		{"{\"mediaServer\":{\"resources\":{\"disableRequestCache\":false}}}", ""},
		/* comments in both ways, and what they leave behind */
		{"{ // a comment\n \"mediaServer\": { /* {{ */ \"net\": {\n"
		 "  \"//secure\": {\"port\": 8433, \"certificate\": \"x.pem\"},\n"
		 "  \"//secure\": \"twice\",\n"
		 "  \"websocket\": {\n    //\"port\": 1,\n    \"port\": 2, // two\n  },\n } } }\n",
		 "http.port=2"},
		{"{\"metadata\":{\"a\":\"x\\\"y\",\"b\":{\"c\":1,\"d\":true}}}",
		 "kurento.metadata={\"a\":\"x\\\"y\",\"b\":{\"c\":\"1\",\"d\":\"true\"}}"},
		/* lists, in which a null and what holds nothing is an empty text */
		{"{\"metadata\":{\"a\":[1,\"x\",[]],\"b\":[null,{\"c\":1,\"d.e\":[2]},{\"c\":3}]}}",
		 "kurento.metadata={\"a\":[\"1\",\"x\"],\"b\":[\"\",{\"c\":\"1\",\"d.e\":[\"2\"]},"
		 "{\"c\":\"3\"}]}"},
		{"{\"metadata\":[{\"a\":1},2]}", "kurento.metadata=[{\"a\":\"1\"},\"2\"]"},
		{"{\"mediaServer\":{\"net\":{\"websocket\":{\"secure\":{\"port\":8443,"
		 "\"certificate\":\"cert.pem\",\"password\":\"\"}}}}}",
		 "http.port=8443 http.cert=~/cert.pem http.key=~/cert.pem"},
		{"{\"mediaServer\":{\"net\":{\"websocket\":{\"port\":0,\"secure\":"
		 "{\"certificate\":\"/c.pem\"}}}}}",
		 "http.port=8433 http.cert=/c.pem http.key=/c.pem"},
		{"{\"metadata\":{\"a\":\"\\u0041\\u00e9\\u20AC\\n\"}}",
		 "kurento.metadata={\"a\":\"A\xc3\xa9\xe2\x82\xac\\n\"}"},
		/* a module's settings may stand here, too */
		{"{\"modules\":{\"kurento\":{\"BaseRtpEndpoint\":{\"minPort\":\"40000\"}}}}",
		 "media.port=40000 kurento.min_port=40000"},
	};

	make_dirs();
	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		write_file("kurento.conf.json", cases[i].text);
		if (load(NULL, NULL) < 0)
			sl_test_failed(__FILE__, __LINE__, "%s: %s", cases[i].text, error.text);
		CHECK_STR(changed(), cases[i].want);
	}
}

TEST(the_main_file_may_be_ini)
{
	char file[128];
	char *argv[] = {(char *)(uintptr_t) "sluice", file, NULL};
	struct sl_config_below below = {sl_kurento_conf, &notes};
	enum sl_config_action action;

	make_dirs();
	write_file("kurento.conf.ini", "; a comment\n# another\r\n[mediaServer.net.websocket]\r\n"
				       "port = 9999\r\n\n[metadata]\nowner=me\n");
	(void)sl_fmt(file, sizeof(file), "--kurento.conf=%s/kurento.conf.ini", dir);
	TRY(sl_config_load_over(&conf, 2, argv, NULL, &below, &action, &error));
	CHECK_STR(changed(), "http.port=9999 kurento.metadata={\"owner\":\"me\"}");
}

TEST(errors_of_files_name_the_file_the_line_the_key_and_the_mend)
{
	static const struct {
		const char *name, *text, *want; /* want: behind the directory */
	} cases[] = {
		{"kurento.conf.json",
		 "{\n\"mediaServer\":{\"net\":{\"websocket\":{\n\"port\":99999}}}}",
		 "/kurento.conf.json:3: mediaServer.net.websocket.port: \"99999\" is not possible; "
		 "use a whole "
		 "number from 0 to 65535"},
		{"kurento.conf.json",
		 "{\"mediaServer\":{\"net\":{\"websocket\":{\"address\":\"here\"}}}}",
		 "/kurento.conf.json:1: mediaServer.net.websocket.address: no IP address; write "
		 "127.0.0.1, "
		 "0.0.0.0 or ::"},
		{"kurento.conf.json",
		 "{\"mediaServer\":{\"net\":{\"websocket\":{\"address\":\"0.0.0.0\"}}}}",
		 "/kurento.conf.json:1: mediaServer.net.websocket.address: listening elsewhere "
		 "than on loopback "
		 "wants http.token or http.jwt_key, or --insecure if everybody may use the server"},
		{"kurento.conf.json", "{\"mediaServer\":{\"resources\":{\"exceptionLimit\":80}}}",
		 "/kurento.conf.json:1: mediaServer.resources.exceptionLimit: use a share from 0 "
		 "to 1, as 0.8"},
		{"kurento.conf.json",
		 "{\"mediaServer\":{\"net\":{\"websocket\":{\"secure\":{\"password\":\"secret\"}}}}"
		 "}",
		 "/kurento.conf.json:1: mediaServer.net.websocket.secure.password: a key with a "
		 "password is not "
		 "read; write it without one: openssl pkey -in FILE -out KEY"},
		{"kurento.conf.json", "[]",
		 "/kurento.conf.json:1: an object is wanted: the file begins with {"},
		{"kurento.conf.json", "",
		 "/kurento.conf.json:1: an object is wanted: the file begins with {"},
		{"kurento.conf.json", "{\n\"a\":\n}",
		 "/kurento.conf.json:3: a value is wanted here"},
		{"kurento.conf.json", "{\"a\" 1}",
		 "/kurento.conf.json:1: a colon is wanted behind a key"},
		{"kurento.conf.json", "{\"a\":1 \"b\":2}",
		 "/kurento.conf.json:1: a comma or the closing bracket is wanted here"},
		{"kurento.conf.json", "{a:1}",
		 "/kurento.conf.json:1: a key in quotes is wanted here"},
		{"kurento.conf.json", "{\"a\":1",
		 "/kurento.conf.json:1: a comma or the closing bracket is wanted here"},
		{"kurento.conf.json", "{\"a\":\"x\ny\"}",
		 "/kurento.conf.json:1: this string does not end, or has a bad escape"},
		{"kurento.conf.json", "{\"a\":\"\\q\"}",
		 "/kurento.conf.json:1: this string does not end, or has a bad escape"},
		{"kurento.conf.json", "{\"a\":\"\\u0000\"}",
		 "/kurento.conf.json:1: this string does not end, or has a bad escape"},
		{"kurento.conf.json", "{\"a\":\"\\ud83d\"}",
		 "/kurento.conf.json:1: this string does not end, or has a bad escape"},
		{"kurento.conf.json", "{} {}",
		 "/kurento.conf.json:1: there is something behind the last bracket"},
		{"kurento.conf.json", "{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}",
		 "/kurento.conf.json:1: nested too deep"},
		{"modules/kurento/BaseRtpEndpoint.conf.ini", ";\nmtu=9000\n",
		 "/modules/kurento/BaseRtpEndpoint.conf.ini:2: mtu: \"9000\" is not possible; use "
		 "a whole "
		 "number from 296 to 1500"},
		{"modules/kurento/BaseRtpEndpoint.conf.ini", "mtu\n",
		 "/modules/kurento/BaseRtpEndpoint.conf.ini:1: key=value is wanted here"},
		{"modules/kurento/BaseRtpEndpoint.conf.ini", "[mtu\n",
		 "/modules/kurento/BaseRtpEndpoint.conf.ini:1: a section is written [section]"},
		{"modules/kurento/WebRtcEndpoint.conf.ini", "turnURL=u:secret@nowhere\n",
		 "/modules/kurento/WebRtcEndpoint.conf.ini:1: turnURL: not possible; use "
		 "user:password@192.0.2.1:3478?transport=udp (or tcp, tls)"},
		{"modules/kurento/WebRtcEndpoint.conf.ini", "stunServerAddress=stun.example\n",
		 "/modules/kurento/WebRtcEndpoint.conf.ini:1: stunServerAddress: \"stun.example\" "
		 "is not "
		 "possible; use an address as 192.0.2.1 or 2001:db8::1"},
		{"modules/kurento/WebRtcEndpoint.conf.json", "{\"qos-dscp\":\"FAST\"}",
		 "/modules/kurento/WebRtcEndpoint.conf.json:1: qos-dscp: there is no such word; "
		 "use one of "
		 "DSCPValue, as AF41"},
		{"modules/kurento/WebRtcEndpoint.conf.ini", "externalAddress=me\n",
		 "/modules/kurento/WebRtcEndpoint.conf.ini:1: externalAddress: use an address as "
		 "192.0.2.1 or "
		 "2001:db8::1"},
	};

	make_dirs();
	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		write_file("kurento.conf.json", "{}");
		write_file(cases[i].name, cases[i].text);
		CHECK(load(NULL, NULL) < 0);
		CHECK(strncmp(error.text, dir, strlen(dir)) == 0);
		CHECK_STR(error.text + strlen(dir), cases[i].want);
		remove_file(cases[i].name);
	}
}

TEST(a_file_that_is_named_and_not_there_is_an_error)
{
	char env_text[] = "KURENTO_CONF_FILE=/nowhere/k.json";
	char *env[] = {env_text, NULL};
	char *argv[] = {(char *)(uintptr_t) "sluice", NULL};
	struct sl_config_below below = {sl_kurento_conf, &notes};
	enum sl_config_action action;

	make_dirs();
	CHECK_EQ(load(NULL, NULL), SL_EIO);
	CHECK(strstr(error.text, "/kurento.conf.json: there is no such file; name another, or "
				 "none: --kurento.conf="));
	{
		int err = sl_config_load_over(&conf, 1, argv, env, &below, &action, &error);

		if (err == SL_ENOMEM)
			TRY(err);
		CHECK_EQ(err, SL_EIO);
	}
	CHECK(strncmp(error.text, "/nowhere/k.json: there is no such file", 38) == 0);
}

TEST(a_form_that_is_not_read_is_an_error_not_a_silence)
{
	char file[128];
	char *argv[] = {(char *)(uintptr_t) "sluice", file, NULL};
	struct sl_config_below below = {sl_kurento_conf, &notes};
	enum sl_config_action action;
	int err;

	make_dirs();
	write_file("kurento.conf.info", "mediaServer { }\n");
	(void)sl_fmt(file, sizeof(file), "--kurento.conf=%s/kurento.conf.info", dir);
	err = sl_config_load_over(&conf, 2, argv, NULL, &below, &action, &error);
	if (err == SL_ENOMEM)
		TRY(err);
	CHECK_EQ(err, SL_EIO);
	CHECK(strstr(error.text, "kurento.conf.info: only .json and .ini are read"));
}

/* ---- the modules' files ---- */

TEST(the_modules_files_set_what_they_say)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{"BaseRtpEndpoint.conf.ini", "minPort=40000\nmaxPort=50000\nmtu=1400\n",
		 "media.port=40000 kurento.min_port=40000 kurento.max_port=50000 kurento.mtu=1400"},
		{"MediaElement.conf.ini",
		 "encoderBitrate=1\nminEncoderBitrate=2\nmaxEncoderBitrate=3\n",
		 "kurento.encoder_bps=1 kurento.min_encoder_bps=2 kurento.max_encoder_bps=3"},
		{"MediaElement.conf.ini",
		 "outputBitrate=1\nminOutputBitrate=2\nmaxOutputBitrate=3\n",
		 "kurento.encoder_bps=1 kurento.min_encoder_bps=2 kurento.max_encoder_bps=3"},
		{"WebRtcEndpoint.conf.ini",
		 "; stunServerAddress=198.51.100.1\n"
		 "networkInterfaces=eth0, eth1\nstunServerAddress=192.0.2.1\nstunServerPort=3479\n"
		 "turnURL=u:p@192.0.2.2:3478?transport=tcp\n",
		 "kurento.stun=192.0.2.1 kurento.stun_port=3479 "
		 "kurento.turn=u:p@192.0.2.2:3478?transport=tcp "
		 "kurento.network_interfaces=eth0,eth1"},
		{"WebRtcEndpoint.conf.ini",
		 "pemCertificateRSA=/r.pem\npemCertificateECDSA=/e.pem\nexternalIPv4=192.0.2.1\n"
		 "externalIPv6=2001:db8::1\niceTcp=0\nqos-dscp=EF\n",
		 "kurento.external_ipv4=192.0.2.1 kurento.external_ipv6=2001:db8::1 "
		 "kurento.ice_tcp=0 "
		 "kurento.cert_rsa=/r.pem kurento.cert_ecdsa=/e.pem kurento.dscp=46"},
		{"WebRtcEndpoint.conf.json",
		 "{\"externalAddress\":\"2001:db8::2\",\"qos-dscp\":\"NO_VALUE\"}",
		 "kurento.external_ipv6=2001:db8::2"},
		{"WebRtcEndpoint.conf.ini.dpkg-old", "iceTcp=0\n", ""},
	};
	char name[128];

	make_dirs();
	write_file("kurento.conf.json", "{}");
	for (size_t i = 0; i < SL_COUNT(cases); i++) {
		(void)sl_fmt(name, sizeof(name), "modules/kurento/%s", cases[i].name);
		write_file(name, cases[i].text);
		if (load(NULL, NULL) < 0)
			sl_test_failed(__FILE__, __LINE__, "%s: %s", cases[i].name, error.text);
		CHECK_STR(changed(), cases[i].want);
		remove_file(name);
	}
}

TEST(modules_may_be_elsewhere)
{
	char path[128];
	char flag[128];
	char env_text[160];
	char *env[] = {env_text, NULL};

	make_dirs();
	path_of("other", path, sizeof(path));
	CHECK_EQ(mkdir(path, 0700), 0);
	(void)sl_fmt(flag, sizeof(flag), "--kurento.modules=%s", path);
	(void)sl_fmt(env_text, sizeof(env_text), "KURENTO_MODULES_CONFIG_PATH=/nowhere:%s", path);
	path_of("other/kurento", path, sizeof(path));
	CHECK_EQ(mkdir(path, 0700), 0);
	write_file("kurento.conf.json", "{}");
	write_file("modules/kurento/BaseRtpEndpoint.conf.ini", "mtu=1000\nminPort=2000\n");
	write_file("other/kurento/BaseRtpEndpoint.conf.ini", "mtu=1100\n");
	CHECK_EQ(load(NULL, NULL), SL_OK);
	CHECK_STR(changed(), "media.port=2000 kurento.min_port=2000 kurento.mtu=1000");
	CHECK_EQ(load(NULL, env), SL_OK);
	CHECK_STR(changed(), "media.port=2000 kurento.min_port=2000 kurento.mtu=1100");
	CHECK_EQ(load(flag, NULL), SL_OK);
	CHECK_STR(changed(), "kurento.mtu=1100");
}

/* ---- what has no meaning here ---- */

TEST(keys_without_meaning_are_noted_once_with_their_reason)
{
	static const char *const keys[] = {"mediaServer.net.websocket.threads",
					   "mediaServer.net.websocket.connqueue",
					   "mediaServer.net.websocket.ipv6",
					   "mediaServer.net.websocket.registrar.address",
					   "mediaServer.resources.killLimit",
					   "mediaServer.net.websocket.prot",
					   "audioCodecs.name",
					   "numAudioMedias",
					   "defaultPath"};

	make_dirs();
	write_file("kurento.conf.json", "{\"mediaServer\":{\"net\":{\"websocket\":{\"threads\":10,"
					"\"connqueue\":5,\"ipv6\":true,"
					"\"prot\":1,\"registrar\":{\"address\":\"ws://"
					"x\"}}},\"resources\":{\"killLimit\":0.7}}}");
	write_file("modules/kurento/SdpEndpoint.conf.json",
		   "{\"numAudioMedias\":1,\"audioCodecs\":[{\"name\":\"opus/48000/"
		   "2\"},{\"name\":\"PCMU/8000\"}]}");
	write_file("modules/kurento/UriEndpoint.conf.ini",
		   "defaultPath=file:///var/lib/kurento/\n");
	CHECK_EQ(load(NULL, NULL), SL_OK);
	CHECK_STR(changed(), "");
	for (size_t i = 0; i < SL_COUNT(keys); i++)
		if (!noted(keys[i]))
			sl_test_failed(__FILE__, __LINE__, "%s is not noted", keys[i]);
	for (size_t i = 0; i < notes.n; i++) {
		CHECK(notes.at[i].why);
		CHECK(!strstr(notes.at[i].keys, "audioCodecs.name, audioCodecs.name"));
		for (size_t j = 0; j < i; j++)
			CHECK(notes.at[i].why != notes.at[j].why ||
			      strcmp(notes.at[i].where, notes.at[j].where) != 0);
	}
}

TEST(of_two_ports_the_plain_one_is_kept_and_the_other_noted)
{
	make_dirs();
	write_file("kurento.conf.json",
		   "{\"mediaServer\":{\"net\":{\"websocket\":{\"port\":9000,\"secure\":{"
		   "\"port\":8433,\"certificate\":\"c.pem\"}}}}}");
	CHECK_EQ(load(NULL, NULL), SL_OK);
	CHECK_STR(changed(), "http.port=9000");
	CHECK(noted("mediaServer.net.websocket.secure"));
}

/* ---- the environment, and who wins ---- */

TEST(the_environment_of_the_image_is_above_the_files_and_below_ours)
{
	char port[] = "KMS_MIN_PORT=50000";
	char tcp[] = "KMS_ICE_TCP=0";
	char stun[] = "KMS_STUN_IP=192.0.2.9";
	char empty[] = "KMS_STUN_PORT=";
	char ours[] = "SLUICE_KURENTO_MAX_PORT=60000";
	char *env[] = {port, tcp, stun, empty, ours, NULL};

	make_dirs();
	write_file("kurento.conf.json", "{}");
	write_file("modules/kurento/BaseRtpEndpoint.conf.ini",
		   "minPort=40000\nmaxPort=55000\nmtu=1300\n");
	CHECK_EQ(load("--kurento.mtu=1350", env), SL_OK);
	CHECK_STR(
		changed(),
		"media.port=50000 kurento.stun=192.0.2.9 kurento.ice_tcp=0 kurento.min_port=50000 "
		"kurento.max_port=60000 kurento.mtu=1350");
}

TEST(the_environment_may_be_wrong_or_without_meaning)
{
	char good[][48] = {"KMS_EXTERNAL_IPV4=auto", "KMS_UID=1000",
			   "KMS_NEW_THING=1",	     "GST_DEBUG=3",
			   "KURENTO_LOGS_PATH=/x",   "PATH=/bin"};
	char bad[] = "KMS_EXTERNAL_IPV6=192.0.2.1";
	char *env[] = {good[0], good[1], good[2], good[3], good[4], good[5], NULL, NULL};

	make_dirs();
	write_file("kurento.conf.json", "{}");
	CHECK_EQ(load(NULL, env), SL_OK);
	CHECK_STR(changed(), "");
	CHECK(noted("KMS_EXTERNAL_IPV4"));
	CHECK(noted("KMS_UID"));
	CHECK(noted("KMS_NEW_THING"));
	CHECK(noted("GST_DEBUG"));
	CHECK(noted("KURENTO_LOGS_PATH"));
	CHECK(!noted("PATH"));
	env[6] = bad;
	CHECK_EQ(load(NULL, env), SL_EPARSE);
	CHECK_STR(error.text,
		  "environment: KMS_EXTERNAL_IPV6: \"192.0.2.1\" is not possible; use an address "
		  "as 2001:db8::1");
}

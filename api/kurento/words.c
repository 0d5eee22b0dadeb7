/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/words.c — values that are words of their own: DSCP names and TURN servers. */
#include "api/kurento/lookup.h"

/* RFC 8837 section 5 for what is named by media; the rest as in IANA's registry. */
static const struct {
	const char *word;
	uint8_t dscp;
} dscps[] = {
	{"NO_DSCP", 0},
	{"AUDIO_VERYLOW", 1},
	{"AUDIO_LOW", 0},
	{"AUDIO_MEDIUM", 46},
	{"AUDIO_HIGH", 46},
	{"VIDEO_VERYLOW", 1},
	{"VIDEO_LOW", 0},
	{"VIDEO_MEDIUM", 36},
	{"VIDEO_HIGH", 36},
	{"VIDEO_MEDIUM_THROUGHPUT", 38},
	{"DATA_VERYLOW", 1},
	{"VIDEO_HIGH_THROUGHPUT", 34},
	{"DATA_LOW", 0},
	{"DATA_MEDIUM", 10},
	{"DATA_HIGH", 18},
	{"CHROME_HIGH", 56},
	{"CHROME_MEDIUM", 56},
	{"CHROME_LOW", 0},
	{"CHROME_VERYLOW", 8},
	{"CS0", 0},
	{"CS1", 8},
	{"CS2", 16},
	{"CS3", 24},
	{"CS4", 32},
	{"CS5", 40},
	{"CS6", 48},
	{"CS7", 56},
	{"AF11", 10},
	{"AF12", 12},
	{"AF13", 14},
	{"AF21", 18},
	{"AF22", 20},
	{"AF23", 22},
	{"AF31", 26},
	{"AF32", 28},
	{"AF33", 30},
	{"AF41", 34},
	{"AF42", 36},
	{"AF43", 38},
	{"EF", 46},
	{"VOICEADMIT", 44},
	{"LE", 1},
};

bool kms_dscp(struct sl_str word, uint8_t *out)
{
	for (size_t i = 0; i < SL_COUNT(dscps); i++)
		if (sl_str_eq(word, sl_str_z(dscps[i].word))) {
			*out = dscps[i].dscp;
			return true;
		}
	return false;
}

static bool transport_of(struct sl_str after, enum sl_turn_transport *out)
{
	static const struct {
		const char *text;
		enum sl_turn_transport transport;
	} rows[] = {{"", SL_TURN_UDP},
		    {"transport=udp", SL_TURN_UDP},
		    {"transport=tcp", SL_TURN_TCP},
		    {"transport=tls", SL_TURN_TLS}};

	for (size_t i = 0; i < SL_COUNT(rows); i++)
		if (sl_str_eq(after, sl_str_z(rows[i].text))) {
			*out = rows[i].transport;
			return true;
		}
	return false;
}

/* "192.0.2.1:3478", "[2001:db8::1]:3478", "turn.example.org:3478". */
static bool server_of(struct sl_str s, struct sl_turn_server *out)
{
	const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
	struct sl_str host = sl_str(s.p, colon ? (size_t)(colon - s.p) : 0);
	char ip[SL_ADDR_TEXT];
	uint32_t port = 0;

	if (sl_addr_parse(s, &out->addr) == SL_OK)
		return out->addr.port && sl_str_copy(out->host, sizeof(out->host),
						     sl_str_z(sl_addr_ip_text(&out->addr, ip)));
	if (!colon || !kms_is_host_name(host) ||
	    !sl_str_u32(sl_str(colon + 1, s.n - host.n - 1), 65535, &port) || port == 0)
		return false;
	out->addr = (struct sl_addr){.port = (uint16_t)port};
	return sl_str_copy(out->host, sizeof(out->host), host);
}

/* The password may hold any character: the last @ ends it. */
bool kms_turn_url(struct sl_str url, struct sl_turn_server *out)
{
	struct sl_turn_server t = {.transport = SL_TURN_UDP};
	const char *at = url.n ? memrchr(url.p, '@', url.n) : NULL;
	struct sl_str who = sl_str(url.p, at ? (size_t)(at - url.p) : 0);
	struct sl_str after = sl_str(at ? at + 1 : NULL, at ? url.n - who.n - 1 : 0);
	struct sl_str server = sl_str_cut(&after, '?');
	struct sl_str user = sl_str_cut(&who, ':');

	if (user.n == 0 || user.p + user.n == at || !server_of(server, &t) ||
	    !transport_of(after, &t.transport) || !sl_str_copy(t.user, sizeof(t.user), user) ||
	    !sl_str_copy(t.password, sizeof(t.password), who))
		return false;
	*out = t;
	return true;
}

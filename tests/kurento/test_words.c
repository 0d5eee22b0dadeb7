/* SPDX-License-Identifier: Apache-2.0
 * tests/kurento/test_words.c — DSCP names and TURN servers. */
#include "api/kurento/tables.h"
#include "tests/test.h"

TEST(every_dscp_word_of_the_interface_but_no_value_is_known)
{
	const struct kms_param *p =
		&kms_class_find(SL_STR("WebRtcEndpoint"))->params[5]; /* qosDscp */
	const struct kms_enum *e = &kms_enums[p->type.index];
	uint8_t dscp = 0xff;

	CHECK_STR(p->name, "qosDscp");
	for (uint16_t i = 0; i < e->count; i++) {
		bool known = kms_dscp(sl_str_z(e->words[i]), &dscp);

		CHECK_EQ(known, strcmp(e->words[i], "NO_VALUE") != 0);
		CHECK(!known || dscp < 64);
	}
	CHECK(kms_dscp(SL_STR("AF41"), &dscp));
	CHECK_EQ(dscp, 34);
	CHECK(!kms_dscp(SL_STR("AF44"), &dscp));
	CHECK(!kms_dscp(SL_STR(""), &dscp));
}

TEST(turn_servers_are_read_and_wrong_ones_refused)
{
	static const struct {
		const char *url, *want; /* NULL: refused */
	} rows[] = {
		{"u:p@192.0.2.1:3478", "u p 192.0.2.1:3478 192.0.2.1 0"},
		{"u:p@192.0.2.1:3478?transport=udp", "u p 192.0.2.1:3478 192.0.2.1 0"},
		{"u:p@192.0.2.1:3478?transport=tcp", "u p 192.0.2.1:3478 192.0.2.1 1"},
		{"u:p:q@r@[2001:db8::1]:5349?transport=tls",
		 "u p:q@r [2001:db8::1]:5349 2001:db8::1 2"},
		{"u:@192.0.2.1:3478", "u  192.0.2.1:3478 192.0.2.1 0"},
		{"u@192.0.2.1:3478", NULL},
		{":p@192.0.2.1:3478", NULL},
		{"u:p@192.0.2.1", NULL},
		{"u:p@turn.example:3478", "u p none turn.example 0"},
		{"u:p@turn.example:3478?transport=tls", "u p none turn.example 2"},
		{"u:p@turn.example", NULL},
		{"u:p@turn.example:0", NULL},
		{"u:p@turn.example:65536", NULL},
		{"u:p@turn example:3478", NULL},
		{"u:p@.example:3478", NULL},
		{"u:p@turn..example:3478", NULL},
		{"u:p@192.0.2.256:3478", NULL},
		{"u:p@2001:db8::1:3478", NULL},
		{"u:p@192.0.2.1:3478?transport=sctp", NULL},
		{"192.0.2.1:3478", NULL},
		{"@", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < SL_COUNT(rows); i++) {
		struct sl_turn_server t;
		char addr[SL_ADDR_TEXT];
		char text[200];

		CHECK_EQ(kms_turn_url(sl_str_z(rows[i].url), &t), rows[i].want != NULL);
		if (!rows[i].want)
			continue;
		(void)sl_fmt(text, sizeof(text), "%s %s %s %s %d", t.user, t.password,
			     sl_addr_text(&t.addr, addr), t.host, (int)t.transport);
		CHECK_STR(text, rows[i].want);
	}
}

TEST(t46_a_turn_server_whose_name_is_longer_than_253_bytes_is_refused)
{
	char url[400];
	struct sl_turn_server t;

	for (size_t len = 250; len <= 300; len++) {
		struct sl_buf b = sl_buf(url, sizeof(url));

		sl_buf_z(&b, "u:p@");
		for (size_t i = 0; i < len; i++)
			sl_buf_char(&b, i % 50 == 49 ? '.' : 'a');
		sl_buf_z(&b, ":3478");
		CHECK_EQ(kms_turn_url(sl_str(url, b.n), &t), len <= 253);
	}
	/* RFC 1035 section 2.3.4: a label has 63 bytes at most. */
	for (size_t len = 60; len <= 70; len++) {
		struct sl_buf b = sl_buf(url, sizeof(url));

		sl_buf_z(&b, "u:p@");
		for (size_t i = 0; i < len; i++)
			sl_buf_char(&b, 'a');
		sl_buf_z(&b, ".example:3478");
		CHECK_EQ(kms_turn_url(sl_str(url, b.n), &t), len <= 63);
	}
}

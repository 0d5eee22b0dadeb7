/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/dot.c — pipelines, hubs and elements as Graphviz text: what is connected with what, and where media flows
 * (bold). Clients ask for GStreamer's; there is none here, and this says what they want to know. */
#include "api/kurento/graph.h"
#include "core/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { DOT_BYTES_MIN = 4096, DOT_BYTES_MAX = 8 << 20, PATH_BYTES_MAX = 4096 };

/* Names are the client's. */
static void quoted(struct sl_buf *b, const char *z)
{
	for (; *z; z++) {
		if (*z == '"' || *z == '\\')
			sl_buf_char(b, '\\');
		sl_buf_char(b, *z == '\n' || *z == '\r' ? ' ' : *z);
	}
}

static void put_node(struct sl_buf *b, const struct kms_object *o)
{
	sl_buf_fmt(b, "\t\"%s\" [label=\"%s\\n", o->id, o->class->name);
	quoted(b, o->name ? o->name : o->id);
	sl_buf_z(b, "\"];\n");
}

static void put_edge(struct sl_buf *b, const struct kms_object *from, const struct kms_object *to,
		     enum kms_media media, bool flowing)
{
	sl_buf_fmt(b, "\t\"%s\" -> \"%s\" [label=\"%s\"%s];\n", from->id, to->id,
		   kms_media_word(media), flowing ? ", style=bold" : "");
}

static void put_link(struct sl_buf *b, const struct kms_link *l)
{
	put_edge(b, &l->source->o, &l->sink->o, l->media, l->source->flowing_out[l->media]);
}

static void put_sinks(struct sl_buf *b, const struct kms_element *e)
{
	for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++)
		SL_LIST_EACH(it, tmp, &e->sinks[media])
			put_link(b, SL_LIST_AT(it, struct kms_link, in_source));
}

/* Through the hub, from port to port. */
static void put_fed(struct sl_buf *b, struct kms_element *e)
{
	for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++) {
		struct kms_element *from = e->ops && e->ops->feeds ? e->ops->feeds(e, media) : NULL;

		if (from)
			put_edge(b, &from->o, &e->o, media, from->flowing_in[media]);
	}
}

static void put_element(struct sl_buf *b, struct kms_object *o)
{
	struct kms_element *e = (struct kms_element *)(void *)o;

	put_node(b, o);
	put_sinks(b, e);
	put_fed(b, e);
}

/* An element with its neighbours, or a pipeline or hub with all that is in it. Ports lie in hubs,
 * and nothing in ports. */
static void put_object(struct sl_buf *b, struct kms_object *o)
{
	if (kms_object_is(o, "MediaElement"))
		put_element(b, o);
	SL_LIST_EACH(it, tmp, &o->children)
		put_object(b, SL_LIST_AT(it, struct kms_object, in_parent));
}

static void put_sources(struct sl_buf *b, struct kms_object *o)
{
	struct kms_element *e = (struct kms_element *)(void *)o;

	if (!kms_object_is(o, "MediaElement"))
		return;
	for (unsigned media = 0; media < KMS_MEDIA_COUNT; media++)
		if (e->source[media] && e->source[media]->source != e)
			put_link(b, e->source[media]);
}

static void put_graph(struct sl_buf *b, struct kms_object *o)
{
	sl_buf_fmt(b, "digraph \"%s\" {\n\trankdir=LR;\n\tnode [shape=box];\n", o->id);
	put_sources(b, o);
	put_object(b, o);
	sl_buf_z(b, "}\n");
}

/* Written again into twice the room until it fits. SL_ENOMEM or SL_EFULL; sl_free() *out. */
static int dot_text(struct kms_object *o, char **out, size_t *len)
{
	for (size_t cap = DOT_BYTES_MIN; cap <= DOT_BYTES_MAX; cap *= 2) {
		char *p = sl_zalloc(cap);
		struct sl_buf b;

		if (!p)
			return SL_ENOMEM;
		b = sl_buf(p, cap);
		put_graph(&b, o);
		if (!b.full) {
			*out = p;
			*len = b.n;
			return SL_OK;
		}
		sl_free(p);
	}
	return SL_EFULL;
}

void kms_dot_get(struct kms_object *o, struct kms_call *call)
{
	char *text = NULL;
	size_t len = 0;
	int err = dot_text(o, &text, &len);

	if (err)
		kms_fail_err(call, err);
	else
		kms_done_str(call, sl_str(text, len));
	sl_free(text);
}

/* Ids are ours: hexadecimal digits, names of classes, '-', '_' and '.', but '/' between them. */
static int write_file(const char *dir, const struct kms_object *o, const char *text, size_t len)
{
	char path[PATH_BYTES_MAX];
	struct sl_buf b = sl_buf(path, sizeof(path));
	int fd, err = SL_OK;

	sl_buf_fmt(&b, "%s/", dir);
	for (const char *z = o->id; *z; z++)
		sl_buf_char(&b, *z == '/' ? '+' : *z);
	sl_buf_z(&b, ".dot");
	if (b.full)
		return SL_EFULL;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return SL_EIO;
	if (write(fd, text, len) != (ssize_t)len)
		err = SL_EIO;
	close(fd);
	return err;
}

/* Where Kurento's users have it: the folder that GST_DEBUG_DUMP_DOT_DIR names; without it nothing
 * is written. */
void kms_dot_dump(struct kms_object *o, struct kms_call *call)
{
	const char *dir = getenv("GST_DEBUG_DUMP_DOT_DIR");
	char *text = NULL;
	size_t len = 0;
	int err = dir && *dir ? dot_text(o, &text, &len) : SL_OK;

	if (!err && text)
		err = write_file(dir, o, text, len);
	sl_free(text);
	if (err)
		kms_fail_err(call, err);
	else
		kms_done(call);
}

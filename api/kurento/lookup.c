/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/lookup.c — addresses of names, without waiting: libuv asks the system on a thread of
 * its pool. */
#include "api/kurento/lookup.h"
#include "core/base/mem.h"
#include <netdb.h>
#include <uv.h>

struct kms_lookup {
	uv_getaddrinfo_t req;
	kms_lookup_fn *fn; /* NULL: nobody waits any more */
	void *arg;
};

/* RFC 1123 section 2.1, and the underscore that people use: nothing for which the system or the
 * library has a second meaning. */
static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

bool kms_is_host_name(struct sl_str s)
{
	size_t label = 0;

	if (s.n == 0 || s.n > KMS_HOST_NAME_MAX) /* T46 */
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_name_char(s.p[i]))
			return false;
		label = s.p[i] == '.' ? 0 : label + 1;
		if (label > 63 || (s.p[i] == '.' && (i == 0 || s.p[i - 1] == '.')))
			return false;
	}
	/* What ends in digits is an address that is written wrong. */
	return s.p[s.n - 1] < '0' || s.p[s.n - 1] > '9' || memchr(s.p, '.', s.n) == NULL;
}

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
	struct kms_lookup *l = SL_CONTAINER(req, struct kms_lookup, req);
	struct sl_addr addr = {0};

	if (status == 0 && res && sl_addr_from_sockaddr(res->ai_addr, &addr) != SL_OK)
		addr = (struct sl_addr){0};
	uv_freeaddrinfo(res);
	if (l->fn)
		l->fn(l->arg, addr.family ? &addr : NULL,
		      status ? uv_strerror(status) : "it has no address");
	sl_free(l);
}

int kms_lookup(struct kms *k, const char *name, kms_lookup_fn *fn, void *arg,
	       struct kms_lookup **out)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct kms_lookup *l;

	if (!kms_is_host_name(sl_str_z(name)))
		return SL_ERANGE;
	l = sl_zalloc(sizeof(*l));
	if (!l)
		return SL_ENOMEM;
	l->fn = fn;
	l->arg = arg;
	if (uv_getaddrinfo(k->loop, &l->req, on_found, name, NULL, &hints) != 0) {
		sl_free(l);
		return SL_ENOMEM;
	}
	*out = l;
	return SL_OK;
}

void kms_lookup_forget(struct kms_lookup *l)
{
	if (!l)
		return;
	l->fn = NULL;
	uv_cancel((uv_req_t *)&l->req);
}

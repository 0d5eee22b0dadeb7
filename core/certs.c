/* SPDX-License-Identifier: Apache-2.0
 * core/certs.c — the certificates of this process. The first is ECDSA, or what `dtls.cert` has:
 * made or read at the start. The second is RSA, for sessions that ask for it: read at the start
 * where a file is configured, else made at the first need on a thread of its own, for that takes up
 * to some seconds. */
#include "core/core_int.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PEM_MAX = 65536, NICE = 10 };

/* ---- from files ---- */

static int read_pem(const char *path, const char *what, char *buf, size_t cap,
		    struct sl_core_why *why)
{
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(buf, 1, cap - 1, f) : 0;

	if (f)
		fclose(f);
	buf[n] = '\0';
	if (n > 0)
		return SL_OK;
	sl_fmt(why->text, sizeof(why->text), "cannot read %s; check %s", path, what);
	return SL_EIO;
}

int sl_core_check_key_file(const char *path, struct sl_core_why *why)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		sl_fmt(why->text, sizeof(why->text), "cannot read %s: %s", path, strerror(errno));
		return SL_EIO;
	}
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		sl_fmt(why->text, sizeof(why->text),
		       "%s belongs to another user; chown it to the user that runs sluice", path);
		return SL_EIO;
	}
	if (st.st_mode & S_IRWXO) {
		sl_fmt(why->text, sizeof(why->text),
		       "%s is a key that everybody may read; chmod 600 it", path);
		return SL_EIO;
	}
	return SL_OK;
}

/* `what` names the settings, for the error. */
static int from_files(const char *cert_path, const char *key_path, const char *what,
		      const struct sl_rng *rng, struct sl_cert **out, struct sl_core_why *why)
{
	char *cert = sl_zalloc(PEM_MAX);
	char *key = sl_zalloc(PEM_MAX);
	int err = cert && key ? read_pem(cert_path, what, cert, PEM_MAX, why) : SL_ENOMEM;

	if (!err)
		err = sl_core_check_key_file(key_path, why);
	if (!err)
		err = read_pem(key_path, what, key, PEM_MAX, why);
	if (!err) {
		err = sl_cert_from_pem(sl_str_z(cert), sl_str_z(key), rng, out);
		if (err)
			sl_fmt(why->text, sizeof(why->text), "%s: %s", what, sl_strerror(err));
	}
	if (key)
		sl_wipe(key, PEM_MAX);
	sl_free(cert);
	sl_free(key);
	return err;
}

int sl_certs_load(struct sl_certs *c, const struct sl_config *conf, const struct sl_rng *rng,
		  struct sl_core_why *why)
{
	const char *rsa = conf->kurento.cert_rsa;
	const char *ecdsa = conf->kurento.cert_ecdsa;
	int err;

	if (conf->dtls.cert[0])
		err = from_files(conf->dtls.cert, conf->dtls.key, "dtls.cert and dtls.key", rng,
				 &c->first, why);
	else if (ecdsa[0])
		err = from_files(ecdsa, ecdsa, "kurento.cert_ecdsa", rng, &c->first, why);
	else
		err = sl_cert_new(rng, (int64_t)time(NULL) * SL_SEC, &c->first);
	if (!err && rsa[0])
		err = from_files(rsa, rsa, "kurento.cert_rsa", rng, &c->rsa, why);
	return err;
}

/* ---- RSA, made ---- */

static void *make(void *arg)
{
	struct sl_certs *c = arg;
	struct sl_cert *cert = NULL;
	struct sl_rng rng;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	if (sl_rng_system_new(&rng) == SL_OK) {
		if (sl_cert_new_rsa(&rng, (int64_t)time(NULL) * SL_SEC, &c->stop, &cert) == SL_OK)
			__atomic_store_n(&c->rsa, cert, __ATOMIC_RELEASE);
		sl_rng_system_free(&rng);
	}
	__atomic_store_n(&c->made, true, __ATOMIC_RELEASE);
	c->done(c->arg);
	return NULL;
}

const struct sl_cert *sl_certs_rsa(const struct sl_certs *c)
{
	return __atomic_load_n(&c->rsa, __ATOMIC_ACQUIRE);
}

bool sl_certs_make_rsa(struct sl_certs *c)
{
	if (sl_certs_rsa(c) || c->making)
		return true;
	c->made = false;
	c->making = pthread_create(&c->thread, NULL, make, c) == 0;
	return c->making;
}

bool sl_certs_settle(struct sl_certs *c)
{
	if (!c->making || !__atomic_load_n(&c->made, __ATOMIC_ACQUIRE))
		return false;
	pthread_join(c->thread, NULL);
	c->making = false;
	if (c->rsa)
		SL_LOG(INFO, DTLS, "RSA certificate made",
		       SL_KS("fingerprint", sl_cert_fingerprint(c->rsa)));
	return true;
}

void sl_certs_free(struct sl_certs *c)
{
	__atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
	if (c->making)
		pthread_join(c->thread, NULL);
	sl_cert_free(c->first);
	sl_cert_free(c->rsa);
	*c = (struct sl_certs){0};
}

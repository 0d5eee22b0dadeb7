/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/manager.c — ServerManager: what the server is, what it has, what it takes of the
 * machine. */
#include "api/kurento/rpc.h"
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* What the client libraries of that version expect to meet. */
#define VERSION "7.3.0"
#define GENERATED "Nov 25 2025 10:00:00"
enum { INTERVAL_MAX_MS = 60000, LOOKS_MAX = 100 };

/* ================= what it is and has ================= */

static void put_module(struct api_json_out *out, const char *name)
{
	kms_open_record(out, NULL, "ModuleInfo");
	api_json_put_z(out, "version", VERSION);
	api_json_put_z(out, "name", name);
	api_json_put_z(out, "generationTime", GENERATED);
	api_json_open_array(out, "factories");
	for (size_t i = 0; i < kms_class_count; i++)
		if (strcmp(kms_classes[i].factory_of, name) == 0 &&
		    kms_class_works(&kms_classes[i]))
			api_json_put_z(out, NULL, kms_classes[i].name);
	api_json_close_array(out);
	api_json_close_object(out);
}

/* Clients want all three modules to be there, and look for their classes by themselves. */
static void get_info(struct kms_object *o, struct kms_call *call)
{
	static const char *const modules[] = {"core", "elements", "filters"};
	struct api_json_out *out = kms_value(call);

	(void)o;
	kms_open_record(out, NULL, "ServerInfo");
	api_json_put_z(out, "version", VERSION);
	api_json_open_array(out, "modules");
	for (size_t i = 0; i < SL_COUNT(modules); i++)
		put_module(out, modules[i]);
	api_json_close_array(out);
	api_json_put_z(out, "type", "KMS");
	api_json_open_array(out, "capabilities");
	api_json_put_z(out, NULL, "transactions");
	api_json_close_array(out);
	api_json_close_object(out);
	kms_done(call);
}

static void get_pipelines(struct kms_object *o, struct kms_call *call)
{
	struct api_json_out *out = kms_value(call);

	api_json_open_array(out, NULL);
	SL_LIST_EACH(it, tmp, &o->kms->pipelines)
		kms_put_object(out, NULL, SL_LIST_AT(it, struct kms_object, in_class));
	api_json_close_array(out);
	kms_done(call);
}

static void get_sessions(struct kms_object *o, struct kms_call *call)
{
	struct api_json_out *out = kms_value(call);

	api_json_open_array(out, NULL);
	SL_LIST_EACH(it, tmp, &o->kms->rpc->all)
		api_json_put_z(out, NULL, SL_LIST_AT(it, struct kms_session, in_all)->id);
	api_json_close_array(out);
	kms_done(call);
}

static void get_metadata(struct kms_object *o, struct kms_call *call)
{
	kms_done_str(call, sl_str_z(o->kms->set.metadata));
}

static void get_kmd(struct kms_object *o, struct kms_call *call)
{
	struct sl_str text = kms_kmd(kms_arg_str(call, "moduleName"));

	(void)o;
	if (text.n)
		kms_done_str(call, text);
	else
		kms_fail(call, KMS_UNDEFINED, "Requested kmd module doesn't exist");
}

/* ================= the machine ================= */

static void get_cpu_count(struct kms_object *o, struct kms_call *call)
{
	cpu_set_t set;

	(void)o;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		kms_done_int(call, CPU_COUNT(&set));
	else
		kms_done_int(call, sysconf(_SC_NPROCESSORS_ONLN));
}

/* The second number of /proc/self/statm: pages in memory. */
static void get_used_memory(struct kms_object *o, struct kms_call *call)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long all = 0, pages = 0;

	(void)o;
	if (f && fscanf(f, "%llu %llu", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	kms_done_int(call, (int64_t)pages * sysconf(_SC_PAGESIZE) / 1024);
}

static int64_t cpu_us(void)
{
	struct rusage r;

	if (getrusage(RUSAGE_SELF, &r) < 0)
		return 0;
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * SL_SEC + r.ru_utime.tv_usec +
	       r.ru_stime.tv_usec;
}

struct manager {
	struct kms_object o;
	struct sl_list
		looks; /* questions for the use of the processor that wait for their interval */
	unsigned look_count;
};
struct look {
	struct sl_list link;
	struct manager *manager;
	struct kms_timer timer;
	struct kms_call *call;
	int64_t since_us, cpu_us;
};

static void look_free(struct look *l)
{
	l->manager->look_count--;
	sl_list_del(&l->link);
	kms_timer_unset(&l->timer);
	sl_free(l);
}

/* In percent of one processor. */
static void on_look(struct kms_timer *t)
{
	struct look *l = SL_CONTAINER(t, struct look, timer);
	struct kms_call *call = l->call;
	int64_t took_us = SL_MAX(kms_now_us(kms_call_kms(call)) - l->since_us, 1);
	double used = 100.0 * (double)(cpu_us() - l->cpu_us) / (double)took_us;

	look_free(l);
	api_json_put_num(kms_value(call), NULL, used);
	kms_done(call);
}

static void get_used_cpu(struct kms_object *o, struct kms_call *call)
{
	int64_t ms = kms_arg_int(call, "interval");
	struct manager *m = (struct manager *)o;
	struct look *l = m->look_count < LOOKS_MAX ? sl_zalloc(sizeof(*l)) : NULL;

	if (!l) {
		kms_fail_err(call, m->look_count < LOOKS_MAX ? SL_ENOMEM : SL_EBUSY);
		return;
	}
	ms = SL_MIN(SL_MAX(ms, 1), INTERVAL_MAX_MS);
	l->manager = m;
	m->look_count++;
	l->call = call;
	l->since_us = kms_now_us(o->kms);
	l->cpu_us = cpu_us();
	l->timer.fn = on_look;
	sl_list_add(&m->looks, &l->link);
	kms_timer_set(o->kms, &l->timer, l->since_us + ms * SL_MS);
}

static bool init(struct kms_object *o, struct kms_call *call)
{
	(void)call;
	sl_list_init(&((struct manager *)o)->looks);
	return true;
}

static void fini(struct kms_object *o)
{
	struct manager *m = (struct manager *)o;

	while (m->looks.next && !sl_list_empty(&m->looks)) {
		struct look *l = SL_LIST_AT(m->looks.next, struct look, link);
		struct kms_call *call = l->call;

		look_free(l);
		kms_done(call);
	}
}

/* clang-format off */
static const struct kms_method_impl methods[] = {
	{"getInfo",       get_info},
	{"getPipelines",  get_pipelines},
	{"getSessions",   get_sessions},
	{"getMetadata",   get_metadata},
	{"getKmd",        get_kmd},
	{"getCpuCount",   get_cpu_count},
	{"getUsedCpu",    get_used_cpu},
	{"getUsedMemory", get_used_memory},
	{NULL, NULL},
};
/* clang-format on */
const struct kms_impl kms_manager_impl = {
	.name = "ServerManager",
	.size = sizeof(struct manager),
	.init = init,
	.fini = fini,
	.methods = methods,
};

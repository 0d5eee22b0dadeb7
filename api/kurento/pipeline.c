/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/pipeline.c — MediaPipeline: what elements are in. */
#include "api/kurento/pipeline.h"

static void get_latency_stats(struct kms_object *o, struct kms_call *call)
{
	kms_done_bool(call, ((struct kms_pipeline *)o)->latency_stats);
}

static void set_latency_stats(struct kms_object *o, struct kms_call *call)
{
	((struct kms_pipeline *)o)->latency_stats = kms_arg_bool(call, "latencyStats");
	kms_done(call);
}

/* clang-format off */
static const struct kms_method_impl methods[] = {
	{"getLatencyStats",  get_latency_stats},
	{"setLatencyStats",  set_latency_stats},
	{"getGstreamerDot",  kms_dot_get},
	{"dumpGstreamerDot", kms_dot_dump},
	{NULL, NULL},
};
/* clang-format on */
const struct kms_impl kms_pipeline_impl = {
	.name = "MediaPipeline",
	.size = sizeof(struct kms_pipeline),
	.methods = methods,
};

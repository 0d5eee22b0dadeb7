/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/pipeline.h — what endpoints ask of the pipeline that they are in: kms_object_pipeline(). */
#ifndef SL_KMS_PIPELINE_H
#define SL_KMS_PIPELINE_H
#include "api/kurento/kms.h"

struct kms_pipeline {
	struct kms_object o;
	bool latency_stats;             /* endpoints fill the latencies of their statistics */
};
#endif

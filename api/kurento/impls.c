/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/impls.c — which classes there are: one line each. */
#include "api/kurento/endpoint.h"

const struct kms_impl *const kms_impls[] = {
	&kms_media_object_impl, &kms_manager_impl,
	&kms_pipeline_impl,	&kms_element_impl,
	&kms_pass_through_impl, &kms_hub_impl,
	&kms_hub_port_impl,	&kms_dispatcher_impl,
	&kms_one_to_many_impl,	&kms_sdp_endpoint_impl,
	&kms_base_rtp_impl,	&kms_rtp_impl,
	&kms_webrtc_impl,	NULL,
};

/* SPDX-License-Identifier: Apache-2.0
 * api/health.c — for those who start and stop servers: is it alive, does it want new sessions? */
#include "api/api_int.h"

void api_healthz_get(struct api_conn *c)
{
	api_respond_static(c, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

void api_readyz_get(struct api_conn *c)
{
	if (c->api->draining)
		api_busy(c, 5, "draining: no new sessions");
	else
		api_respond_static(c, 200, "text/plain; charset=utf-8", "ready\n", 6);
}

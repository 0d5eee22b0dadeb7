/* SPDX-License-Identifier: Apache-2.0
 * core/cmd.c — commands of the control thread, carried out on the loop they are for. */
#include "core/core_int.h"

typedef int handler(struct sl_engine *e, struct sl_cmd *cmd);

static int cmd_open(struct sl_engine *e, struct sl_cmd *cmd)
{
	return sl_transport_open(e, cmd->conf, &cmd->reply);
}

static struct sl_transport *target(struct sl_engine *e, const struct sl_cmd *cmd)
{
	struct sl_transport *t = sl_pool_at(&e->transports, cmd->object);

	return t && t->phase != SL_T_DEAD ? t : NULL;
}

static int cmd_candidates(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);

	return t ? sl_transport_candidates(t, cmd->cands, cmd->cand_count, cmd->end) : SL_ENOTFOUND;
}

static int cmd_restart(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);

	return t ? sl_transport_restart(t, cmd->ufrag, cmd->pwd, &cmd->reply) : SL_ENOTFOUND;
}

static void free_track(struct sl_engine *e, uint64_t id, bool publish)
{
	struct sl_publisher *p = publish ? sl_pool_at(&e->publishers, id) : NULL;
	struct sl_subscriber *s = publish ? NULL : sl_pool_at(&e->subscribers, id);

	if (p)
		sl_publisher_free(p);
	if (s)
		sl_subscriber_free(s);
}

/* All of them or none. */
static int cmd_add_tracks(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);
	const struct sl_transport_conf *c = cmd->conf;
	int err = t ? SL_OK : SL_ENOTFOUND;
	size_t done = 0;

	while (!err && done < c->track_count) {
		const struct sl_track_conf *tc = &c->tracks[done];

		err = tc->publish ? sl_publisher_new(t, tc, &cmd->reply.tracks[done])
				  : sl_subscriber_new(t, tc, &cmd->reply.tracks[done]);
		done += err == SL_OK;
	}
	while (err && done-- > 0)
		free_track(e, cmd->reply.tracks[done], c->tracks[done].publish);
	return err;
}

static int cmd_remove_track(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_publisher *p = sl_pool_at(&e->publishers, cmd->object);
	struct sl_subscriber *s = sl_pool_at(&e->subscribers, cmd->object);

	if (!p && !s)
		return SL_ENOTFOUND;
	free_track(e, cmd->object, p != NULL);
	return SL_OK;
}

static int cmd_route(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_subscriber *s = sl_pool_at(&e->subscribers, cmd->object);

	return s ? sl_subscriber_route(s, cmd->other) : SL_ENOTFOUND;
}

static int cmd_info(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);

	if (!t)
		return SL_ENOTFOUND;
	sl_transport_info(t, &cmd->reply.info);
	return SL_OK;
}

static int cmd_stats(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);

	if (!t)
		return SL_ENOTFOUND;
	sl_transport_stats(t, cmd->stats);
	cmd->reply.stats = cmd->stats;
	return SL_OK;
}

static int cmd_pause(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_publisher *p = sl_pool_at(&e->publishers, cmd->object);
	struct sl_subscriber *s = sl_pool_at(&e->subscribers, cmd->object);

	if (p)
		sl_publisher_pause(p, cmd->paused);
	else if (s)
		sl_subscriber_pause(s, cmd->paused);
	return p || s ? SL_OK : SL_ENOTFOUND;
}

static int cmd_cap(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_publisher *p = sl_pool_at(&e->publishers, cmd->object);

	if (!p)
		return SL_ENOTFOUND;
	sl_publisher_limit(
		p, &(struct sl_track_limits){.min_bps = p->conf.min_bps, .max_bps = cmd->bps});
	return SL_OK;
}

static int cmd_limits(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_publisher *p = sl_pool_at(&e->publishers, cmd->object);
	struct sl_subscriber *s = sl_pool_at(&e->subscribers, cmd->object);

	if (p)
		sl_publisher_limit(p, &cmd->limits);
	else if (s)
		sl_subscriber_limit(s, &cmd->limits);
	return p || s ? SL_OK : SL_ENOTFOUND;
}

static int cmd_keyframe(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_publisher *p = sl_pool_at(&e->publishers, cmd->object);
	struct sl_subscriber *s = sl_pool_at(&e->subscribers, cmd->object);

	if (!p && !s)
		return SL_ENOTFOUND;
	if ((p ? p->conf.kind : s->conf.kind) != SL_VIDEO)
		return SL_EUNSUPPORTED;
	if (p)
		sl_publisher_ask_keyframe(p);
	else if (s->replica)
		sl_replica_want_keyframe(s->replica);
	return SL_OK;
}

static int cmd_remote(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);

	return t ? sl_transport_set_remote(t, cmd->conf) : SL_ENOTFOUND;
}

static int cmd_credentials(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);

	return t ? sl_transport_new_credentials(t, &cmd->reply) : SL_ENOTFOUND;
}

static int cmd_gather(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);

	return t ? sl_transport_gather(t, cmd->gather) : SL_ENOTFOUND;
}

static int cmd_close(struct sl_engine *e, struct sl_cmd *cmd)
{
	struct sl_transport *t = target(e, cmd);

	if (!t)
		return SL_ENOTFOUND;
	sl_transport_close(t, SL_CLOSE_REQUESTED);
	return SL_OK;
}

static int cmd_stop(struct sl_engine *e, struct sl_cmd *cmd)
{
	(void)cmd;
	sl_engine_close_all(e, e->now_us);
	return SL_OK;
}

static handler *const handlers[SL_CMD_COUNT] = {
	[SL_CMD_STATS] = cmd_stats,
	[SL_CMD_PAUSE] = cmd_pause,
	[SL_CMD_CAP] = cmd_cap,
	[SL_CMD_REMOTE] = cmd_remote,
	[SL_CMD_CREDENTIALS] = cmd_credentials,
	[SL_CMD_OPEN] = cmd_open,
	[SL_CMD_CANDIDATES] = cmd_candidates,
	[SL_CMD_RESTART] = cmd_restart,
	[SL_CMD_ADD_TRACKS] = cmd_add_tracks,
	[SL_CMD_REMOVE_TRACK] = cmd_remove_track,
	[SL_CMD_ROUTE] = cmd_route,
	[SL_CMD_INFO] = cmd_info,
	[SL_CMD_GATHER] = cmd_gather,
	[SL_CMD_LIMITS] = cmd_limits,
	[SL_CMD_KEYFRAME] = cmd_keyframe,
	[SL_CMD_CLOSE] = cmd_close,
	[SL_CMD_STOP] = cmd_stop,
};

void sl_engine_command(struct sl_engine *e, struct sl_cmd *cmd, int64_t now_us)
{
	SL_ASSERT(cmd->type < SL_CMD_COUNT);
	e->now_us = now_us;
	sl_stat_inc(&e->stats, SL_STAT_commands);
	cmd->reply.err = handlers[cmd->type](e, cmd);
}

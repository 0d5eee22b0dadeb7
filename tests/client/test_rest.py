# SPDX-License-Identifier: Apache-2.0
"""The REST API by its description: every operation, every status, and what the operations do."""
import asyncio
import ctypes
import os
import resource

import rest
import web
from harness import DEADLINE_S, Server, Skip, alone, check, equal, join_token, server, test, until
from join import Join
from peer import Peer
from test_events import Reader

# What of the description cannot be caused from outside, with the reason. Nothing at present.
UNCAUSED = {}
STREAMS = ("followEvents", "joinRoom")


def every_described_status_was_seen():
    described = set()
    for s in Server.all:
        described |= s.api.description.every_status() if s.api else set()
    missing = sorted(described - set(rest.seen) - set(UNCAUSED))
    check(described and not missing, "never seen:", *("\n    %s %s %d" % (m, p, s) for p, m, s in missing))
    check(set(UNCAUSED) <= described, "no longer described:", set(UNCAUSED) - described)


# ---- something to ask about ----


class Things:
    """A room with a publisher by WHIP and a player by WHEP, both connected, and all their ids."""

    @classmethod
    async def make(cls, s, room):
        self = cls()
        self.s, self.room = s, room
        self.publisher, self.player = await Peer.make(), await Peer.make()
        answer, self.session = await s.sdp("/whip/%s?participant=ann" % room, self.publisher.offer("sendonly"))
        await self.publisher.answered(answer)
        answer, self.playing = await s.sdp("/whep/%s/ann" % room, self.player.offer("recvonly"))
        await self.player.answered(answer)
        await self.publisher.up()
        await self.player.up()
        for mid in self.publisher.lines:
            self.publisher.play(mid)
        self.tracks = (await s.api.getSession(id=self.session, expect=200)).json["tracks"]
        self.subscriptions = (await s.api.getSession(id=self.playing, expect=200)).json["subscriptions"]
        for mid in self.player.lines:
            await self.player.wait("media", lambda: self.player.got(mid) > 5)
        return self

    def fill(self, operation, room=None, participant="ann", id=None):
        """Arguments for the path of an operation."""
        ids = {"tracks": self.tracks[0], "subscriptions": self.subscriptions[0], "sessions": self.session}
        all_of = {"room": room or self.room, "participant": participant, "id": id or ids.get(operation.path.split("/")[2])}
        return {name: all_of[name] for name, p in operation.parameters.items() if p["in"] == "path"}

    def stop(self):
        self.publisher.stop()
        self.player.stop()


def operations(s, status):
    return [o for o in s.api.description.operations.values() if status in o.answers]


async def refused(s, operation, status, given, token=None, **more):
    """Asks what must be answered with this status; the streams by upgrade (too)."""
    api = s.api if token is None else s.api.with_token(token)
    answer = None
    if operation.id != "joinRoom":
        answer = await api.call(operation, raw=more.pop("raw", b"{}"), expect=status, **given, **more)
    if operation.id in STREAMS:
        headers = {"Authorization": "Bearer " + api.token} if api.token else {}
        path, _ = operation.url(given, s.api.description.schemas, True)
        try:
            (await web.WebSocket.open(s.port, path, headers)).drop()
            check(False, "upgraded:", path)
        except web.Refused as why:
            answer = why.answer
            equal(answer.status, status)
            api.judge(operation, answer)
    return answer


# ---- refusals, on every operation that describes them ----


@test
async def nothing_is_answered_without_a_token_or_with_one_of_another_room():
    s = await server()
    t = await Things.make(s, "locked")
    stranger = join_token("--room", "elsewhere", "--participant", "eve", "--rights", "publish,subscribe,admin")
    mine = join_token("--room", "locked", "--participant", "eve", "--rights", "publish,subscribe")
    check(operations(s, 401) and len(operations(s, 401)) == len(s.api.description.operations), "all describe 401")
    for o in operations(s, 401):
        answer = await refused(s, o, 401, t.fill(o), token="")
        check(answer.headers.get("www-authenticate", "").startswith("Bearer"), o.id, answer.headers)
        await refused(s, o, 401, t.fill(o), token="x" + s.token)
    for o in operations(s, 403):
        await refused(s, o, 403, t.fill(o), token=stranger)
        if o.id != "joinRoom":
            await refused(s, o, 403, t.fill(o), token=mine)
    equal((await s.api.getTrack(id=t.tracks[0], expect=200)).json["muted"], False)
    t.stop()


@test
async def what_is_malformed_is_400_and_names_the_field():
    s = await server()
    t = await Things.make(s, "malformed")
    for o in operations(s, 400):
        if o.body:
            for raw in (b"", b"{", b"[1,]", b'{"a":1,"a":1}', b'{"a":"\\u0000"}', b'{"a":"\xff"}', b"{}{}"):
                await refused(s, o, 400, t.fill(o), raw=raw)
        if "room" in t.fill(o):
            for name in ("a+b", "x" * 65, "\u0085"):
                answer = await refused(s, o, 400, t.fill(o, room=name), raw=b"{}")
                if o.id not in STREAMS:
                    equal(answer.json["field"], "{room}")
        if "participant" in t.fill(o):
            answer = await refused(s, o, 400, t.fill(o, participant="\u0085"))
            equal(answer.json["field"], "{participant}")
        if o.method == "GET" and o.id not in STREAMS:
            for query, field in (({"colour": "red"}, "?colour"), ({"limit": "0"}, "?limit"), ({"limit": "1001"}, "?limit"),
                                 ({"limit": "ten"}, "?limit"), ({"state": "half"}, "?state")):
                if field[1:] in o.parameters or field == "?colour" and "limit" in o.parameters:
                    answer = await refused(s, o, 400, dict(t.fill(o), **query))
                    equal(answer.json["field"], field)
    events = s.api.description.operations["followEvents"]
    for query in ({"room": "a/b"}, {"last_event_id": "x"}):
        await refused(s, events, 400, query)
    t.stop()


@test
async def what_does_not_exist_is_404():
    s = await server()
    t = await Things.make(s, "absent")
    for o in operations(s, 404):
        for wrong in ({"room": "nowhere"}, {"participant": "nobody"}, {"id": "A" * 22}, {"id": "x"}, {"id": t.session[:-1]}):
            if set(wrong) <= set(t.fill(o)):
                await refused(s, o, 404, t.fill(o, **wrong))
    path = "/v1/rooms/absent/join"
    s.api.judge(s.api.description.operations["joinRoom"], await web.request(s.port, "GET", path, {"Authorization": "Bearer " + s.token}))
    # Ids of one kind are none of another.
    await s.api.getTrack(id=t.session, expect=404)
    await s.api.getSession(id=t.tracks[0], expect=404)
    await s.api.getSubscription(id=t.tracks[0], expect=404)
    t.stop()


@test
async def what_is_wrong_with_a_body_is_told_by_its_status_and_field():
    s = await server()
    t = await Things.make(s, "bodies")
    for o in operations(s, 413):
        await refused(s, o, 413, t.fill(o), raw=b" " * 70000)
        await refused(s, o, 413, t.fill(o), raw=b"[" * 33 + b"]" * 33)
        await refused(s, o, 413, t.fill(o), raw=b"[" + b"1," * 5000 + b"1]")
    for o in operations(s, 415):
        for kind in ("text/plain", "application/jsonx", "application/x-www-form-urlencoded"):
            await refused(s, o, 415, t.fill(o), content_type=kind)
    wrong = {"capacity": 0, "publishers": ["a", 1], "codecs": ["opus", "MP3"], "max_video_bps": -1, "linger_ms": "long",
             "muted": 1, "paused": None, "log.level": "loud", "publish.max_video_bps": 1.5, "rooms.max_video_bps": "8"}
    for o in operations(s, 422):
        answer = await refused(s, o, 422, t.fill(o), raw=b'{"colour":"red"}')
        equal(answer.json["field"], "/colour")
        await refused(s, o, 422, t.fill(o), raw=b"[]")
        fields = s.api.description.schemas.resolve(o.body)["properties"]
        check(set(fields) <= set(wrong), fields)
        for name in fields:
            answer = await refused(s, o, 422, t.fill(o), raw=web.json.dumps({name: wrong[name]}).encode())
            check(answer.json["field"].startswith("/" + name), answer)
    for o in operations(s, 412):
        await refused(s, o, 412, t.fill(o), headers={"If-Match": '"of-yesterday"'})
    equal((await s.api.getRoom(room="bodies", expect=200)).json["participants"], 1)
    t.stop()


@test
async def out_of_descriptors_everything_is_503_and_what_runs_goes_on():
    s = await Server.start("--loops=1")
    t = await Things.make(s, "scarce")
    had = resource.prlimit(s.proc.pid, resource.RLIMIT_NOFILE)
    stream = await web.EventStream.open(s.port, "/v1/events")
    await stream.next()
    resource.prlimit(s.proc.pid, resource.RLIMIT_NOFILE, (len(os.listdir("/proc/%d/fd" % s.proc.pid)), had[1]))
    try:
        for o in operations(s, 503):
            answer = await refused(s, o, 503, t.fill(o))
            check(int(answer.headers["retry-after"]) > 0)
        before = t.player.got("0")
        await t.player.wait("media", lambda: t.player.got("0") > before + 10)
    finally:
        resource.prlimit(s.proc.pid, resource.RLIMIT_NOFILE, had)
    await s.api.deleteRoom(room="scarce", expect=204)
    while (await stream.next())[1] != "room":
        pass
    stream.close()
    t.stop()


class Stopped:
    """The media loop of a server, stopped: its thread is traced. (Thread numbers of one process are all different.)"""
    ATTACH, DETACH, WALL = 16, 17, 0x40000000

    def __init__(self, pid):
        names = {int(t): open("/proc/%d/task/%s/comm" % (pid, t)).read().strip() for t in os.listdir("/proc/%d/task" % pid)}
        self.thread = next(t for t, name in names.items() if name == "media-0")
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self):
        if self.libc.ptrace(self.ATTACH, self.thread, None, None) != 0:
            raise Skip("no thread may be stopped here: " + os.strerror(ctypes.get_errno()))
        os.waitpid(self.thread, self.WALL)

    def __exit__(self, *_):
        self.libc.ptrace(self.DETACH, self.thread, None, None)


@alone
@test
async def a_media_loop_that_does_not_answer_is_503_when_its_queue_is_full_and_all_comes_back():
    s = await Server.start("--loops=1", "--http.max_connections=20000")
    t = await Things.make(s, "stuck")
    kinds = [lambda: s.api.getSession(id=t.session), lambda: s.api.getTrack(id=t.tracks[0]),
             lambda: s.api.getSubscription(id=t.subscriptions[0])]
    # A command is queued by each mute and pause; those that ask for statistics wait for their answer.
    writes = [lambda b: s.api.patchTrack(id=t.tracks[0], body={"muted": b}),
              lambda b: s.api.patchSubscription(id=t.subscriptions[0], body={"paused": b})]
    with Stopped(s.proc.pid):
        waiting = [asyncio.ensure_future(kinds[i % 3]()) for i in range(1200)]
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=DEADLINE_S)
            if len(done) >= 300:
                break
            check(done, "the queue never filled")
            await asyncio.sleep(0.05)
        for ask in kinds + [lambda: writes[0](True), lambda: writes[1](True)]:
            answer = await ask()
            equal(answer.status, 503)
            check(int(answer.headers["retry-after"]) > 0)
        equal((await s.api.getRoom(room="stuck")).status, 200)
    equal({(await one).status for one in waiting}, {200, 503})
    for b in (True, False):
        await until("muting again", lambda: settled(writes[0], b))
        await until("pausing again", lambda: settled(writes[1], b))
    before = t.player.got("0")
    await t.player.wait("media again", lambda: t.player.got("0") > before)
    t.stop()


@test
async def a_media_loop_that_falls_behind_is_told_and_takes_nobody_until_it_can_again():
    s = await Server.start("--loops=1")
    t = await Things.make(s, "behind")
    events = await Reader.open(s)
    load = asyncio.ensure_future(events.until("load"))
    while not load.done():
        with Stopped(s.proc.pid):
            await asyncio.sleep(0.06)           # what comes meanwhile has waited long
        await asyncio.sleep(0)
    equal((load.result()["loop"], load.result()["busy"]), (0, True))
    while (await events.until("load"))["busy"]:
        pass
    await s.sdp("/whip/behind?participant=bob", (await Peer.make()).offer("sendonly"))
    events.close()
    t.stop()


async def settled(write, to):
    return (await write(to)).status == 200


# ---- rooms ----


@test
async def a_room_is_made_by_put_and_put_again_changes_nothing():
    s = await server()
    want = {"capacity": 7, "publishers": ["ann", "bob"], "codecs": ["opus", "VP8"], "max_video_bps": 900000, "linger_ms": 60000}
    first = await s.api.putRoom(room="put \u00e4/".rstrip("/"), body=want, expect=201)
    equal(first.headers["location"], "/v1/rooms/put%20%C3%A4")
    again = await s.api.putRoom(room="put \u00e4", body=want, expect=200)
    for answer in (first, again, await s.api.getRoom(room="put \u00e4", expect=200)):
        equal({k: answer.json[k] for k in want}, want)
        equal(answer.headers["etag"], first.headers["etag"])
        equal(answer.json["name"], "put \u00e4")
    less = await s.api.putRoom(room="put \u00e4", body={"capacity": 7}, expect=200)
    equal((less.json["publishers"], less.json["linger_ms"]), ("anyone", None))
    check(less.headers["etag"] != first.headers["etag"])
    await s.api.deleteRoom(room="put \u00e4", expect=204)
    await s.api.deleteRoom(room="put \u00e4", expect=404)


@test
async def a_patch_on_a_stale_revision_is_412_and_one_without_changes_what_it_says():
    s = await server()
    old = (await s.api.putRoom(room="rev", body={"capacity": 3}, expect=201)).headers["etag"]
    new = await s.api.patchRoom(room="rev", body={"capacity": 4}, If_Match=old, expect=200)
    await s.api.patchRoom(room="rev", body={"capacity": 5}, If_Match=old, expect=412)
    await s.api.putRoom(room="rev", body={"capacity": 5}, If_Match=old, expect=412)
    equal((await s.api.getRoom(room="rev", expect=200)).json["capacity"], 4)
    same = await s.api.patchRoom(room="rev", body={"capacity": 4}, If_Match=new.headers["etag"], expect=200)
    equal(same.headers["etag"], new.headers["etag"])
    await s.api.patchRoom(room="rev", body={"publishers": "nobody"}, If_Match="*", expect=200)
    last = await s.api.patchRoom(room="rev", body={"capacity": None}, expect=200)
    equal((last.json["capacity"], last.json["publishers"]), (200, "nobody"))
    await s.api.putRoom(room="rev-new", body={}, If_Match="*", expect=412)
    await s.api.deleteRoom(room="rev", expect=204)


async def pages(call, key, **given):
    """All items, by pages of two."""
    out, after = [], {}
    while True:
        page = (await call(limit=2, expect=200, **given, **after)).json
        check(len(page[key]) <= 2)
        out += page[key]
        if page["next"] is None:
            return out
        equal(len(page[key]), 2)
        after = {"after": page["next"]}


@test
async def lists_come_in_pages_in_order_each_thing_once():
    s = await server()
    rooms = ["page-%d" % i for i in range(5)]
    for room in reversed(rooms):
        await s.api.putRoom(room=room, body={}, expect=201)
    names = [r["name"] for r in await pages(s.api.listRooms, "rooms")]
    equal([n for n in names if n in rooms], rooms)
    equal(names, sorted(names, key=str.encode))
    people = ["d", "b", "e", "a", "c"]
    ids = []
    for name in people:
        peer = await Peer.make()
        ids.append((await s.sdp("/whip/page-0?participant=" + name, peer.offer("sendonly")))[1])
        peer.stop()
    found = await pages(s.api.listParticipants, "participants", room="page-0")
    equal([p["name"] for p in found], sorted(people))
    equal({p["via"] for p in found}, {"whip"})
    found = await pages(s.api.listSessions, "sessions", room="page-0")
    equal([x["id"] for x in found], sorted(ids))
    for name in people:
        await s.api.removeParticipant(room="page-0", participant=name, expect=204)
    found = (await s.api.listSessions(room="page-0", state="closed", limit=1000, expect=200)).json["sessions"]
    equal([x["id"] for x in found], ids[::-1])
    equal((await s.api.listSessions(room="page-0", expect=200)).json["sessions"], [])
    for room in rooms:
        await s.api.deleteRoom(room=room, expect=204)


@test
async def a_room_lives_as_long_as_it_is_told():
    s = await server()
    events = await web.EventStream.open(s.port, "/v1/events?room=brief", {"Authorization": "Bearer " + s.token})
    await s.api.putRoom(room="brief", body={}, expect=201)
    join = await Join.open(s.port, "brief", await Peer.make(), token=s.token, participant="ann")
    await join.message(type="welcome")
    equal((await s.api.getRoom(room="brief", expect=200)).json["participants"], 1)
    await s.api.patchRoom(room="brief", body={"linger_ms": 1}, expect=200)
    equal(await join.leave(), 1000)
    seen = []
    while ("room", "ended") not in seen:
        _, kind, data = await events.next()
        seen.append((kind, data.get("event")))
    equal(seen[0], ("hello", None))
    for one in (("room", "created"), ("session", "opened"), ("participant", "joined"), ("participant", "left"), ("session", "closed")):
        check(one in seen, one, seen)
    await s.api.getRoom(room="brief", expect=404)
    join.media.stop()
    events.close()


@test
async def a_room_with_null_as_its_lifetime_stays_and_rooms_max_is_503():
    s = await Server.start("--loops=1", "--rooms.max=2", "--rooms.auto_create=false", "--rooms.linger_ms=0")
    await s.api.putRoom(room="stays", body={}, expect=201)
    join = await Join.open(s.port, "stays", await Peer.make(), participant="ann")
    await join.message(type="welcome")
    await join.leave()
    equal((await s.api.getRoom(room="stays", expect=200)).json["linger_ms"], None)
    await s.api.putRoom(room="second", body={}, expect=201)
    answer = await s.api.putRoom(room="third", body={}, expect=503)
    check("rooms.max" in answer.json["detail"] and int(answer.headers["retry-after"]) > 0, answer)
    nowhere = await Join.open(s.port, "third", await Peer.make())
    await nowhere.error("no_room")
    equal(await nowhere.end(), 4404)
    join.media.stop()
    nowhere.media.stop()


@test
async def a_kick_ends_one_and_the_end_of_a_room_ends_all():
    s = await server()
    joins = [await Join.open(s.port, "ends", await Peer.make(), token=s.token, participant=n) for n in ("ann", "bob", "cyd")]
    for j in joins:
        await j.message(type="welcome")
        await j.media.up()
    await s.api.removeParticipant(room="ends", participant="bob", expect=204)
    await s.api.removeParticipant(room="ends", participant="bob", expect=404)
    equal(await joins[1].end(), 4410)
    await joins[0].message(type="participant", event="left", name="bob")
    back = await Join.open(s.port, "ends", await Peer.make(), token=s.token, participant="bob")
    await back.message(type="welcome")
    await s.api.deleteSession(id=joins[2].welcome["session"], expect=204)
    equal(await joins[2].end(), 4410)
    await s.api.deleteRoom(room="ends", expect=204)
    equal([await joins[0].end(), await back.end()], [4410, 4410])
    ended = (await s.api.getSession(id=joins[0].welcome["session"], expect=200)).json
    equal((ended["state"], ended["diagnosis"]["cause"]), ("closed", "closed"))
    for j in joins + [back]:
        j.media.stop()


@test
async def capacity_and_publishers_of_a_room_hold_for_those_to_come():
    s = await server()
    await s.api.putRoom(room="full", body={"capacity": 1, "publishers": ["ann"]}, expect=201)
    ann = await Join.open(s.port, "full", await Peer.make(), token=s.token, participant="ann")
    await ann.message(type="welcome")
    bob = await Join.open(s.port, "full", await Peer.make(), token=s.token, participant="bob")
    await bob.error("room_full")
    equal(await bob.end(), 4429)
    await s.api.patchRoom(room="full", body={"capacity": 2}, expect=200)
    bob = await Join.open(s.port, "full", bob.media, token=s.token, participant="bob")
    await bob.message(type="welcome")
    bob.send(type="publish", request="x", tracks=[{"kind": "audio", "source": "microphone"}])
    equal((await bob.error("no_right"))["request"], "x")
    await ann.publish(("audio", "microphone"))
    await s.api.putRoom(room="full", body={"publishers": "nobody"}, expect=200)
    check(ann.closed is None)
    answer = await s.offer("/whip/full", bob.media.offer("sendonly"))
    equal(answer.status, 403)
    await s.api.deleteRoom(room="full", expect=204)
    ann.media.stop()
    bob.media.stop()


@test
async def sessions_use_only_the_codecs_of_their_room():
    s = await server()
    await s.api.putRoom(room="codecs", body={"codecs": ["opus", "H264"]}, expect=201)
    peer = await Peer.make(codecs=("opus", "VP8", "H264"))
    answer, _ = await s.sdp("/whip/codecs", peer.offer("sendonly"))
    await peer.answered(answer)
    equal([list(line.codecs) for line in peer.lines.values()], [["opus"], ["H264"]])
    other = await Peer.make(codecs=("PCMU", "VP8"))
    answer = await s.offer("/whip/codecs", other.offer("sendonly"))
    equal(answer.status, 422)
    await s.api.deleteRoom(room="codecs", expect=204)
    peer.stop()
    other.stop()


# ---- tracks, subscriptions, sessions ----


@test
async def a_track_is_muted_for_everyone_and_let_go_on():
    s = await server()
    t = await Things.make(s, "mute")
    track = (await s.api.getTrack(id=t.tracks[0], expect=200)).json
    equal((track["kind"], track["participant"], track["muted"], track["session"]), ("audio", "ann", False, t.session))
    tracks = (await s.api.listTracks(room="mute", participant="ann", expect=200)).json["tracks"]
    equal([x["id"] for x in tracks], t.tracks)
    for _ in range(2):
        equal((await s.api.patchTrack(id=t.tracks[0], body={"muted": True}, expect=200)).json["muted"], True)
    equal((await s.api.getParticipant(room="mute", participant="ann", expect=200)).json["tracks"][0]["muted"], True)
    before = t.player.got("1")
    await t.player.wait("video goes on", lambda: t.player.got("1") > before + 20)
    still = t.player.got("0")
    before = t.player.got("1")
    await t.player.wait("video goes on", lambda: t.player.got("1") > before + 20)
    equal(t.player.got("0"), still)
    await s.api.patchTrack(id=t.tracks[0], body={"muted": False}, expect=200)
    await t.player.wait("sound again", lambda: t.player.got("0") > still + 5)
    statistics = (await s.api.getTrack(id=t.tracks[0], expect=200)).json["statistics"]
    equal(statistics["mimeType"], "audio/opus")
    check(statistics["packetsReceived"] > 20 and statistics["ssrc"] == t.publisher.lines["0"].ssrc, statistics)
    t.stop()


@test
async def a_subscription_is_paused_and_let_go_on():
    s = await server()
    t = await Things.make(s, "pause")
    one = (await s.api.getSubscription(id=t.subscriptions[1], expect=200)).json
    equal((one["kind"], one["participant"], one["track"], one["paused"]), ("video", "ann", t.tracks[1], False))
    check(one["statistics"]["packetsSent"] > 0 and one["statistics"]["ssrc"] in t.player.lines["1"].theirs, one)
    for _ in range(2):
        equal((await s.api.patchSubscription(id=t.subscriptions[1], body={"paused": True}, expect=200)).json["paused"], True)
    before = t.player.got("0")
    await t.player.wait("sound goes on", lambda: t.player.got("0") > before + 20)
    still = t.player.got("1")
    before = t.player.got("0")
    await t.player.wait("sound goes on", lambda: t.player.got("0") > before + 20)
    equal(t.player.got("1"), still)
    await s.api.patchSubscription(id=t.subscriptions[1], body={"paused": False}, expect=200)
    await t.player.wait("a picture again", lambda: t.player.got("1") > still + 5)
    t.stop()


@test
async def a_session_is_capped_and_ended():
    s = await server()
    t = await Things.make(s, "cap")
    equal((await s.api.patchSession(id=t.session, body={"max_video_bps": 222000}, expect=200)).json["max_video_bps"], 222000)

    async def told(bps):
        return (await s.api.getTrack(id=t.tracks[1], expect=200)).json["statistics"]["cap"] == bps
    await until("the cap", lambda: told(222000))
    await t.publisher.wait("REMB", lambda: t.publisher.feedback[206, 15] > 0)
    equal((await s.api.patchSession(id=t.session, body={"max_video_bps": None}, expect=200)).json["max_video_bps"], None)
    session = (await s.api.getSession(id=t.session, expect=200)).json
    equal((session["via"], session["participant"], session["state"]), ("whip", "ann", "connected"))
    pair = session["statistics"]["selectedCandidatePair"]
    equal((pair["remote"], pair["selected"]), ("127.0.0.1:%d" % t.publisher.port, True))
    await s.api.deleteSession(id=t.session, expect=204)
    await s.api.deleteSession(id=t.session, expect=404)
    equal((await s.api.getSession(id=t.session, expect=200)).json["state"], "closed")
    await s.api.getTrack(id=t.tracks[1], expect=404)
    t.stop()


@test
async def loops_and_configuration_are_told_and_changed():
    s = await Server.start("--loops=2")
    loops = (await s.api.listLoops(expect=200)).json
    equal([loop["port"] for loop in loops["loops"]], s.media)
    equal((loops["rooms"], loops["sessions"], loops["draining"]), (0, 0, False))
    had = (await s.api.getConfig(expect=200)).json
    equal(had["log.level"], "debug")
    for change in ({"log.level": "info,ice=debug"}, {"publish.max_video_bps": 1000000}, {"rooms.max_video_bps": 0}):
        now = (await s.api.patchConfig(body=change, expect=200)).json
        had.update(change)
        equal(now, had)
    equal((await s.api.getConfig(expect=200)).json, had)

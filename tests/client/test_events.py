# SPDX-License-Identifier: Apache-2.0
"""Events, as docs/events.md tells them: by WebSocket and as server-sent events."""
import asyncio
import json
import os
import re
import socket
import urllib.parse

import rest
import web
from harness import ROOT, Server, alone, check, equal, server, test
from join import Join
from peer import Peer

SESSION = {"room", "session", "participant"}
FIELDS = {
    "hello": set(), "gap": {"after"}, "overflow": {"reason"}, "room": {"event", "room"},
    "participant": {"event"} | SESSION, "track": {"event", "track"} | SESSION, "session": {"event", "role"} | SESSION,
    "load": {"loop", "busy", "videoWithheld"}, "speaker": SESSION, "codec_mismatch": {"subscription", "codec", "publisher"} | SESSION,
    "overload": {"reason", "refused"}, "stats": SESSION,
}
WORDS = {
    "room": {"created", "changed", "ended"}, "participant": {"joined", "left"}, "track": {"added", "removed", "changed"},
    "session": {"opened", "connected", "silent", "back", "closed"},
}
seen = set()


def every_event_of_the_document_was_seen(skipped):
    text = open(os.path.join(ROOT, "docs/events.md")).read()
    table = re.findall(r"(?m)^\| `(\w+)` \| [^|]+ \| (.*) \|$", text)
    equal({kind for kind, _ in table}, set(FIELDS))
    documented = {(kind, word) for kind, row in table for word in WORDS.get(kind, [None])
                  if word is None or check("`%s`" % word in row, kind, word) is None}
    equal(documented - seen - ({("load", None)} if skipped else set()), set())


def judge(event, note=True):
    kind = event["type"]
    want = {"type"} | FIELDS[kind] | ({"overflow": set(), "stats": {"time"}}.get(kind, {"id", "time"}))
    if (kind, event.get("event")) == ("session", "closed"):
        want.add("cause")
    if kind == "stats":
        want |= {"subscriptions"} if "subscriptions" in event else {"statistics", "tracks"}
    equal(set(event), want)
    if kind == "track":
        equal(set(event["track"]), {"id", "kind", "source", "muted", "codec"})
    if kind in WORDS:
        check(event["event"] in WORDS[kind], event)
    if note:
        seen.add((kind, event.get("event")))
    return event


class Reader:
    """One of both ways; next() gives judged events."""

    @classmethod
    async def open(cls, s, ws=False, last=None, **query):
        self = cls()
        headers = {"Authorization": "Bearer " + s.token} if s.token else {}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        path = "/v1/events" + ("?" + urllib.parse.urlencode(query) if query else "")
        self.ws, self.schemas = ws, s.api.description.schemas
        self.stream = await (web.WebSocket if ws else web.EventStream).open(s.port, path, headers)
        rest.seen["/v1/events", "GET", 101 if ws else 200] += 1
        self.first = await self.next()
        return self

    async def next(self):
        """The next event, as both the document and the description say it is."""
        event = await self.take()
        self.schemas.check(event, {"$ref": "#/components/schemas/Event"}, event["type"])
        return event

    async def take(self):
        if self.ws:
            return judge(json.loads(await web.within(self.stream.recv())))
        number, kind, data = await self.stream.next()
        equal((number, kind), (str(data["id"]) if "id" in data else None, data["type"]))
        check(("id" in data) == (kind not in ("overflow", "stats")))
        return judge(data)

    async def until(self, kind, word=None, out=None):
        while True:
            event = await self.next()
            if out is not None:
                out.append(event)
            if (event["type"], event.get("event")) == (kind, word):
                return event

    def close(self):
        self.stream.drop() if self.ws else self.stream.close()


@test
async def the_description_has_every_event_with_every_field():
    document = (await server()).api.description.document
    stream = document["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    equal(stream["schema"], {"$ref": "#/components/schemas/Event"})
    event = document["components"]["schemas"]["Event"]["properties"]
    equal(set(event["type"]["enum"]), set(FIELDS))
    equal(set(event["event"]["enum"]), set().union(*WORDS.values()))
    equal(set(event), {"id", "type", "time", "cause", "statistics", "tracks", "subscriptions"}.union(*FIELDS.values()))


@test
async def both_ways_tell_the_same_in_order_of_a_room():
    s = await server()
    one, other = await Reader.open(s, room="tell"), await Reader.open(s, ws=True, room="tell")
    equal((one.first["type"], other.first["type"]), ("hello", "hello"))
    await s.api.putRoom(room="tell-nobody-this", body={}, expect=201)
    ann = await Join.open(s.port, "tell", await Peer.make(), token=s.token, participant="ann")
    published = (await ann.publish(("audio", "microphone")))[0]
    await ann.media.up()
    ann.media.play(published["mid"])
    await s.api.patchRoom(room="tell", body={"capacity": 50}, expect=200)
    await s.api.patchTrack(id=published["track"], body={"muted": True}, expect=200)
    await ann.message(type="track", event="changed")
    await ann.leave()
    await s.api.deleteRoom(room="tell", expect=204)
    first, second = [], []
    await one.until("room", "ended", first)
    await other.until("room", "ended", second)
    equal(first, second)
    ids = [e["id"] for e in first]
    equal(ids, sorted(set(ids)))
    check(ids[0] > one.first["id"])
    words = [(e["type"], e.get("event")) for e in first]
    for before, after in ((("room", "created"), ("session", "opened")), (("session", "opened"), ("participant", "joined")),
                          (("participant", "joined"), ("track", "added")), (("track", "removed"), ("participant", "left")),
                          (("participant", "left"), ("session", "closed")), (("session", "closed"), ("room", "ended"))):
        check(words.index(before) < words.index(after), before, after, words)
    equal({e["room"] for e in first}, {"tell"})
    check(any(e["type"] == "track" and e["event"] == "changed" and e["track"]["muted"] for e in first))
    one.close()
    other.close()
    ann.media.stop()


@test
async def who_comes_back_gets_what_it_missed_and_a_gap_where_that_is_gone():
    s = await server()
    for ws in (False, True):
        room = "again-%d" % ws
        one = await Reader.open(s, ws=ws, room=room)
        await s.api.putRoom(room=room, body={}, expect=201)
        created = await one.until("room", "created")
        one.close()
        await s.api.patchRoom(room=room, body={"capacity": 5}, expect=200)
        await s.api.deleteRoom(room=room, expect=204)
        back = await Reader.open(s, ws=ws, room=room, last=created["id"])
        got = [back.first]
        await back.until("room", "ended", got)
        words = [e.get("event") for e in got if e["type"] != "hello"]
        check(words[-2:] == ["changed", "ended"] and "created" not in words, words)
        check("hello" in [e["type"] for e in got])
        equal([e["id"] for e in got if e["type"] != "hello"], sorted({e["id"] for e in got if e["type"] != "hello"}))
        back.close()
        byquery = await Reader.open(s, ws=ws, room=room, last_event_id=created["id"])
        await byquery.until("room", "ended")
        byquery.close()
        header_first = await Reader.open(s, ws=ws, room=room, last=created["id"], last_event_id=1)
        check(header_first.first["type"] != "gap")
        header_first.close()
        lost = await Reader.open(s, ws=ws, room=room, last=1)
        equal((lost.first["type"], lost.first["after"]), ("gap", 1))
        lost.close()
        everything = await Reader.open(s, ws=ws, room=room, last=0)
        check(everything.first["type"] != "gap")
        await everything.until("room", "ended")
        everything.close()


@test
async def a_session_that_falls_silent_and_comes_back_is_told_and_who_speaks():
    s = await server()
    reader = await Reader.open(s, ws=True, room="speak")
    ann, bob = [await Join.open(s.port, "speak", await Peer.make(), token=s.token, participant=n) for n in ("ann", "bob")]
    mid = (await ann.publish(("audio", "microphone")))[0]["mid"]
    await bob.publish(("audio", "microphone"))
    await ann.media.up()
    await bob.media.up()
    ann.media.play(mid)
    equal((await reader.until("speaker"))["participant"], "ann")
    equal((await bob.message(type="speaker"))["participant"], "ann")
    equal((await s.api.getRoom(room="speak", expect=200)).json["speaker"], "ann")
    bob.media.silent = True
    equal((await reader.until("session", "silent"))["participant"], "bob")
    bob.media.silent = False
    equal((await reader.until("session", "back"))["participant"], "bob")
    for j in (ann, bob):
        await j.leave()
        j.media.stop()
    reader.close()


@test
async def statistics_come_as_often_as_asked_for_with_the_fields_of_rest():
    s = await server()
    ann, bob = [await Join.open(s.port, "numbers", await Peer.make(), token=s.token, participant=n) for n in ("ann", "bob")]
    track = (await ann.publish(("audio", "microphone")))[0]
    await ann.media.up()
    await bob.media.up()
    ann.media.play(track["mid"])
    await bob.wait("a slot", lambda: bob.slot_of("ann", "audio"))
    schemas = s.api.description.schemas

    def fits(value, name):
        schemas.check(value, {"$ref": "#/components/schemas/" + name})
    for ws in (False, True):
        reader = await Reader.open(s, ws=ws, room="numbers", stats=1)
        got = {}
        while not ({"tracks", "subscriptions"} <= set(got) and got["tracks"] and got["subscriptions"]):
            event = await reader.until("stats")
            if "tracks" in event:
                fits(event["statistics"], "SessionStatistics")
            for key, name in (("tracks", "TrackStatistics"), ("subscriptions", "SubscriptionStatistics")):
                for one in event.get(key, []):
                    equal(set(one), {"id", "kind", "statistics"})
                    fits(one["statistics"], name)
                    got.setdefault(key, {})[one["id"]] = (event["participant"], one["kind"])
        equal(got["tracks"], {track["track"]: ("ann", "audio")})
        equal(set(got["subscriptions"].values()), {("bob", "audio")})
        reader.close()
    events = s.api.description.operations["followEvents"]
    for wrong in ("0", "61", "x", ""):
        await s.api.call(events, raw=b"", stats=wrong, expect=400)
    for j in (ann, bob):
        await j.leave()
        j.media.stop()


@test
async def who_is_refused_at_a_limit_is_told_as_an_overload():
    s = await Server.start("--loops=1", "--limits.max_sessions=1")
    reader = await Reader.open(s)
    ann = await Join.open(s.port, "few", await Peer.make())
    await ann.message(type="welcome")
    bob = await Join.open(s.port, "few", await Peer.make(), patient=False)
    await bob.error("busy")
    equal(await bob.end(), 1013)
    check((await reader.until("overload"))["refused"] >= 1)
    ann.media.stop()
    bob.media.stop()
    reader.close()


@alone
@test
async def a_reader_that_does_not_read_is_ended_with_the_reason():
    s = await Server.start("--loops=1")
    sockets = []
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s" % ("A" * 22 + "==")
    for head in ("Accept: text/event-stream", upgrade):
        raw = socket.socket()
        # Little of what is not read lies in the kernel.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        raw.connect(("127.0.0.1", s.port))
        raw.send(("GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n\r\n" % head).encode())
        raw.settimeout(web.DEADLINE_S)
        check(raw.recv(12).startswith(b"HTTP/1.1 "))
        sockets.append(raw)
    rooms = [chr(0x1f600 + i) * 64 for i in range(20)]
    for room in rooms:
        await s.api.putRoom(room=room, body={}, expect=201)
    for i in range(80):
        await asyncio.gather(*(s.api.patchRoom(room=room, body={"capacity": 2 + i}, expect=200) for room in rooms))
    for raw, last in zip(sockets, (b"event: overflow", b"\x03\xf5")):
        got = b""
        while last not in got:
            piece = await asyncio.get_running_loop().run_in_executor(None, raw.recv, 65536)
            check(piece, "an end without a reason:", got[-300:])
            got += piece
        if last.startswith(b"event"):
            judge(json.loads(re.search(rb"event: overflow\ndata: (.*)\n", got).group(1)))
            check(b"\nid: " not in got[got.index(last):])
        else:
            check(got[got.rindex(last) + 2:], "no reason")
        raw.close()

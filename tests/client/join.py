# SPDX-License-Identifier: Apache-2.0
"""A client of the messages of docs/join.md, version 1. What carries its media is given: an object with
`async answer(sdp, sends)` -> SDP."""
import asyncio
import json
import re
import urllib.parse

import web

DEADLINE_S = 30
SOURCES = ("", "microphone", "camera", "screen")
TRACK = {"id": str, "kind": ("audio", "video"), "source": SOURCES, "muted": bool}
PERSON = {"name": str, "tracks": [TRACK]}
MESSAGES = {
    "welcome": {"version": int, "session": str, "participant": str, "resume": str, "resumed": bool, "grace_s": int,
                "rights": [str], "tracks": [TRACK], "room": {"name": str, "speaker": (None, str), "participants": [PERSON]}},
    "offer": {"offer": int, "sdp": str, "publish": [{"request": str, "mid": str, "kind": ("audio", "video"), "source": SOURCES,
                                                     "track": str}]},
    "slots": {"slots": [{"audio": (None, str), "video": (None, str), "participant": (None, str),
                         "tracks": {"audio": (None, str), "video": (None, str)}}]},
    "participant": {"event": ("joined", "left"), "name": str},
    "track": {"event": ("added", "removed", "changed"), "participant": str, "track": TRACK},
    "speaker": {"participant": str},
    "error": {"code": str, "message": str},
}
OPTIONAL = {"error": {"request": str}}
CODES = {"bad_message", "unknown_type", "no_offer", "bad_answer", "not_sent", "no_right", "too_many_tracks", "unknown_track",
         "name_taken", "room_full", "no_room", "busy"}


def fits(value, shape):
    if isinstance(shape, dict):
        return isinstance(value, dict) and set(value) == set(shape) and all(fits(value[k], s) for k, s in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(v, shape[0]) for v in value)
    if isinstance(shape, tuple):
        return any(fits(value, s) if isinstance(s, type) else value == s for s in shape)
    return isinstance(value, shape) and not (shape is int and isinstance(value, bool))


readers = []                                # tasks need somebody who holds them
seen, sent, codes, closes = set(), set(), set(), set()     # of this run


def judge(message):
    """A message that the document does not describe is an error of one of the two."""
    kind = message.get("type")
    shape = dict(MESSAGES[kind], type=str)
    for name, of in OPTIONAL.get(kind, {}).items():
        if name in message:
            shape[name] = of
    if not fits(message, shape):
        raise AssertionError("not as documented: %s" % json.dumps(message)[:500])
    if kind == "error" and message["code"] not in CODES:
        raise AssertionError("undocumented code: " + message["code"])


def judge_offer(sdp, before):
    """The rules on m-lines; before: mid -> what it was, of the offers before, which is brought up to date."""
    head, *parts = re.split(r"(?m)^(?=m=)", sdp)
    mids = []
    for i, part in enumerate(parts):
        kind, port = re.match(r"m=(\S+) (\d+) ", part).groups()
        mid = re.search(r"(?m)^a=mid:(\S+)", part).group(1)
        way = re.search(r"(?m)^a=(sendonly|recvonly|inactive)\r?$", part).group(1)
        ssrcs = tuple(dict.fromkeys(re.findall(r"(?m)^a=ssrc:(\d+) ", part)))
        old = before.get(mid, (kind, way, ssrcs))
        slot = "sendonly" in (way, old[1])
        mids.append(mid)
        for ok, what in ((mid == str(i), "a mid is the number of its m-line"), (port != "0", "no m-line has port 0"),
                         (old[0] == kind, "an m-line keeps its kind"),
                         (not slot or way == old[1] and ssrcs == old[2] and ssrcs, "a slot keeps its direction and its SSRCs"),
                         (re.search(r"(?m)^a=setup:actpass", part + head), "setup is actpass")):
            if not ok:
                raise AssertionError("%s: m-line %s of %s" % (what, mid, sdp))
        before[mid] = (kind, way, ssrcs)
    if len(mids) != len(before):
        raise AssertionError("m-lines were lost: %s of %s" % (mids, before))
    if not re.search(r"(?m)^a=candidate:", sdp):
        raise AssertionError("candidates are complete in an offer")


class Join:
    def __init__(self, media=None):
        self.media = media
        self.log = []                       # messages, as they came
        self.people, self.slots, self.mine = {}, [], {}
        self.offers = 0
        self.welcome = self.closed = None
        self.answering = True
        self.m_lines = {}
        self.speaker = None
        self.publishing = {}                # mid -> kind, of what was offered and not unpublished
        self.changed = asyncio.Event()

    @classmethod
    async def open(cls, port, room, media=None, token=None, headers=None, joins=None, patient=True, **query):
        """query: participant, resume, replace, access_token. joins: a Join that goes on with this socket. patient: on a
        crowded machine a server takes nobody for a moment; then it is tried again, as 1013 asks for."""
        while True:
            self = joins or cls(media)
            had = len(self.log)
            await self.connect(port, room, token, headers, query)
            first = await self.wait("a first message", lambda: self.log[had:] or self.closed)
            if not patient or first is self.closed or first[0].get("code") != "busy":
                return self
            await self.end()
            await asyncio.sleep(0.2)

    async def connect(self, port, room, token, headers, query):
        path = "/v1/rooms/%s/join" % urllib.parse.quote(room, safe="")
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = "Bearer " + token
        self.socket = await web.WebSocket.open(port, path + ("?" + urllib.parse.urlencode(query) if query else ""), headers)
        web_seen()
        self.closed = self.welcome = None
        readers.append(asyncio.ensure_future(self.read(self.socket)))

    async def read(self, socket):
        try:
            while True:
                await self.take(json.loads(await socket.recv()))
        except web.Closed as end:
            closes.add(end.code)
            if socket is self.socket:
                self.closed = end
        except asyncio.CancelledError:
            raise
        except Exception as why:
            self.closed = why
        self.wake()

    def wake(self):
        self.changed.set()
        self.changed = asyncio.Event()

    async def take(self, message):
        judge(message)
        seen.add(message["type"])
        if message["type"] == "error":
            codes.add(message["code"])
        self.log.append(message)
        await getattr(self, "on_" + message["type"])(message)
        self.wake()

    async def on_welcome(self, m):
        if self.welcome:
            raise AssertionError("two welcomes on one socket")
        self.welcome = m
        self.people = {p["name"]: {t["id"]: t for t in p["tracks"]} for p in m["room"]["participants"]}
        if not m["resumed"]:
            self.offers = 0

    async def on_offer(self, m):
        if m["offer"] <= self.offers:
            raise AssertionError("offers are numbered upwards")
        self.offers = m["offer"]
        judge_offer(m["sdp"], self.m_lines)
        for one in m["publish"]:
            self.publishing[one["mid"]] = one
            self.mine[one["track"]] = one
        self.offered = m
        if self.answering and self.media:
            self.send(type="answer", offer=m["offer"], sdp=await self.media.answer(m["sdp"], set(self.publishing)))
            self.answered = m["offer"]

    async def on_slots(self, m):
        self.slots = m["slots"]

    async def on_participant(self, m):
        if m["event"] == "joined":
            self.people[m["name"]] = {}
        else:
            del self.people[m["name"]]

    async def on_track(self, m):
        if m["event"] == "removed":
            del self.people[m["participant"]][m["track"]["id"]]
        elif m["participant"] in self.people:
            self.people[m["participant"]][m["track"]["id"]] = m["track"]

    async def on_speaker(self, m):
        self.speaker = m["participant"]

    async def on_error(self, m):
        pass

    def send(self, **message):
        sent.add(message["type"])
        self.socket.send(message)

    async def wait(self, what, is_so, deadline_s=DEADLINE_S):
        """The first true value of is_so()."""
        end = asyncio.get_running_loop().time() + deadline_s
        while True:
            got = is_so()
            if got:
                return got
            if self.closed is not None and not isinstance(self.closed, web.Closed):
                raise self.closed
            try:
                await asyncio.wait_for(self.changed.wait(), end - asyncio.get_running_loop().time())
            except asyncio.TimeoutError:
                raise AssertionError("never: %s; closed: %r; the last messages: %s" % (what, self.closed, str(self.log[-5:])[:1500]))

    async def message(self, since=0, **fields):
        """The first message after number `since` that has these fields."""
        def find():
            for m in self.log[since:]:
                if all(m.get(k) == v for k, v in fields.items()):
                    return m
        return await self.wait(str(fields), find)

    async def error(self, code, since=0):
        return await self.message(since, type="error", code=code)

    async def end(self):
        await self.wait("the end", lambda: self.closed)
        return self.closed.code

    async def publish(self, *tracks, request="p"):
        """tracks: (kind, source). Their entries of the offer."""
        since = len(self.log)
        self.send(type="publish", request=request, tracks=[{"kind": k, "source": s} for k, s in tracks])

        def offered():
            for m in self.log[since:]:
                found = m["type"] == "offer" and [p for p in m["publish"] if p["request"] == request]
                if found and getattr(self, "answered", 0) >= m["offer"]:
                    return found
        return await self.wait("an offer for " + request, offered)

    def unpublish(self, track):
        self.publishing.pop(self.mine.pop(track)["mid"])
        self.send(type="unpublish", track=track)

    def slot_of(self, name, kind):
        """The mid on which somebody's medium comes, or None."""
        for slot in self.slots:
            if slot["participant"] == name and slot["tracks"][kind]:
                return slot[kind]
        return None

    async def leave(self):
        self.send(type="leave")
        return await self.end()

    def drop(self):
        """The network goes away."""
        self.socket.drop()


def web_seen():
    import rest
    rest.seen["/v1/rooms/{room}/join", "GET", 101] += 1

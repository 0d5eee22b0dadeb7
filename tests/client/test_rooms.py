# SPDX-License-Identifier: Apache-2.0
"""People in rooms, by the messages of docs/join.md, beside WHIP and WHEP."""
import asyncio
import json
import os
import re

import join as signalling
import test_events
import web
from harness import ROOT, check, equal, join_token, server, test, until
from join import Join
from media import Media
from peer import Peer


def every_message_and_code_of_the_document_was_seen():
    text = open(os.path.join(ROOT, "docs/join.md")).read()
    parts = dict(re.findall(r"(?ms)^## ([^\n]+)\n(.*?)(?=^## |\Z)", text))

    def words(title):
        return set(re.findall(r"(?m)^\| `(\w+)` \|", parts[title]))
    equal(words("Messages of the server"), set(signalling.MESSAGES))
    equal(words("Errors"), signalling.CODES)
    equal(set(signalling.MESSAGES) - signalling.seen, set())
    equal(words("Messages of the client") - signalling.sent, set())
    equal(signalling.CODES - signalling.codes, set())
    closes = {int(c) for c in re.findall(r"\b(1\d{3}|4\d{3})\b", parts["Errors"] + parts["Rules"])} - {4000}
    equal(closes - signalling.closes, set())


async def joins(s, room, *names, **query):
    """Joins with peers made by hand, connected."""
    out = []
    for name in names:
        j = await Join.open(s.port, room, await Peer.make(), token=s.token, participant=name, **query)
        await j.message(type="welcome")
        out.append(j)
    for j in out:
        await j.media.up()
    return out


async def publishes(join, *tracks, request="p"):
    got = await join.publish(*tracks, request=request)
    for one in got:
        join.media.play(one["mid"])
    return got


async def receives(join, name, kind):
    """The slot's mid on which somebody's packets come."""
    mid = await join.wait("a slot for " + name, lambda: join.slot_of(name, kind))
    had = join.media.got(mid)
    await join.media.wait("packets of " + name, lambda: join.media.got(mid) > had + 5)
    return mid


async def part(*all_of):
    for j in all_of:
        if j.closed is None:
            equal(await j.leave(), 1000)
        j.media.stop()


def examples(name):
    """The JSON objects in the code of a document."""
    out = []
    for block in re.findall(r"(?ms)^```json\n(.*?)^```", open(os.path.join(ROOT, "docs", name)).read()):
        text = block.strip()
        while text:
            one, end = json.JSONDecoder().raw_decode(text)
            out.append(one)
            text = text[end:].strip()
    return out


@test
async def the_examples_of_the_documents_have_the_fields_that_the_tables_say():
    found = examples("join.md")
    for one in found:
        if one["type"] in signalling.MESSAGES:
            signalling.judge(one)
    check(len(found) > 5, found)
    for one in examples("events.md"):
        test_events.judge(one, note=False)


# ---- meeting ----


@test
async def two_people_meet_and_see_and_hear_each_other():
    s = await server()
    ann, bob = Media(), Media()
    a = await Join.open(s.port, "meet", ann, token=s.token, participant="ann")
    b = await Join.open(s.port, "meet", bob, token=s.token, participant="bob")
    await a.publish(("audio", "microphone"), ("video", "camera"))
    await b.publish(("audio", "microphone"), ("video", "camera"))
    for join, media, other in ((a, ann, "bob"), (b, bob, "ann")):
        video = await join.wait("a slot with video", lambda: join.slot_of(other, "video"))
        audio = await join.wait("a slot with audio", lambda: join.slot_of(other, "audio"))
        await media.sees_and_hears(video, audio)
        equal({t["source"] for t in join.people[other].values()}, {"microphone", "camera"})
    equal(await a.leave(), 1000)
    await b.message(type="participant", event="left", name="ann")
    equal(await b.leave(), 1000)
    await ann.close()
    await bob.close()


@test
async def a_whip_publisher_and_a_whep_player_share_the_room_with_those_who_joined():
    s = await server()
    camera, screen, ann = Media(), Media(), Media()
    answer, publishing = await s.sdp("/whip/mixed?participant=cam", await camera.offer("sendonly"))
    await camera.answered(answer)
    a = await Join.open(s.port, "mixed", ann, token=s.token, participant="ann")
    answer, playing = await s.sdp("/whep/mixed/ann", await screen.offer("recvonly"))
    await screen.answered(answer)
    await a.publish(("audio", "microphone"), ("video", "camera"))
    await ann.sees_and_hears(await a.wait("video", lambda: a.slot_of("cam", "video")),
                             await a.wait("audio", lambda: a.slot_of("cam", "audio")))
    mids = {t.kind: t.mid for t in screen.pc.getTransceivers()}
    await screen.sees_and_hears(mids["video"], mids["audio"])
    people = (await s.api.listParticipants(room="mixed", expect=200)).json["participants"]
    equal({p["name"]: p["via"] for p in people}, {"ann": "join", "cam": "whip"})
    sessions = (await s.api.listSessions(room="mixed", expect=200)).json["sessions"]
    equal({x["id"]: (x["via"], x["participant"]) for x in sessions},
          {publishing: ("whip", "cam"), playing: ("whep", None), a.welcome["session"]: ("join", "ann")})
    await a.leave()
    for m in (camera, screen, ann):
        await m.close()


@test
async def people_come_and_go_without_new_m_lines_and_slots_grow_in_steps():
    s = await server()
    names = ["p%d" % i for i in range(5)]
    everyone = await joins(s, "steps", *names)
    watcher = everyone[0]

    def slot_count():
        return len(watcher.slots)
    sizes = []
    for j in everyone[1:]:
        await publishes(j, ("audio", "microphone"), ("video", "camera"))
        name = j.welcome["participant"]
        for kind in ("audio", "video"):
            await receives(watcher, name, kind)
        sizes.append(slot_count())
    check(set(sizes) <= {2, 4, 8} and sizes == sorted(sizes), sizes)
    slots = {(slot["audio"], slot["video"]) for slot in watcher.slots}
    equal(len({m for pair in slots for m in pair}), 2 * slot_count())
    offers = watcher.offers
    await part(everyone[1])
    await watcher.message(type="participant", event="left", name="p1")
    await watcher.wait("an empty slot", lambda: not any(x["participant"] == "p1" for x in watcher.slots))
    again, = await joins(s, "steps", "new")
    await publishes(again, ("audio", "microphone"), ("video", "camera"))
    await receives(watcher, "new", "video")
    equal(watcher.offers, offers)
    equal({(slot["audio"], slot["video"]) for slot in watcher.slots}, slots)
    equal(set(watcher.people), {"p2", "p3", "p4", "new"})
    await part(watcher, again, *everyone[2:])


@test
async def a_screen_has_a_slot_beside_the_camera_and_what_is_unpublished_makes_way():
    s = await server()
    ann, bob = await joins(s, "screens", "ann", "bob")
    camera = await publishes(ann, ("audio", "microphone"), ("video", "camera"))
    screen = await publishes(ann, ("video", "screen"), ("audio", "screen"), request="s")
    await bob.wait("two slots of ann's", lambda: sum(x["participant"] == "ann" for x in bob.slots) == 2)
    slots = [x["tracks"] for x in bob.slots if x["participant"] == "ann"]

    def pair(tracks):
        return {"audio": next(t["track"] for t in tracks if t["kind"] == "audio"),
                "video": next(t["track"] for t in tracks if t["kind"] == "video")}
    check(pair(camera) in slots and pair(screen) in slots, slots, camera, screen)
    gone = screen[0]
    ann.media.hush(gone["mid"])
    ann.unpublish(gone["track"])
    await bob.message(type="track", event="removed", participant="ann")
    check(gone["track"] not in bob.people["ann"])
    more = (await publishes(ann, ("video", "screen"), request="again"))[0]
    equal(more["mid"], gone["mid"])
    check(more["track"] != gone["track"])
    await bob.wait("it comes", lambda: any(x["tracks"]["video"] == more["track"] for x in bob.slots))
    await s.api.getTrack(id=gone["track"], expect=404)
    since = len(ann.log)
    ann.unpublish(more["track"])
    ann.media.hush(more["mid"])
    ann.send(type="unpublish", track=more["track"])
    await ann.error("unknown_track", since)
    ann.send(type="restart")
    offer = await ann.message(since, type="offer")
    check(re.search(r"(?ms)^m=video((?!^m=).)*a=mid:%s\r?$((?!^m=).)*^a=inactive" % gone["mid"], offer["sdp"])
          or ann.m_lines[gone["mid"]][1] == "inactive", offer["sdp"])
    await part(ann, bob)


@test
async def who_mutes_itself_is_told_to_others_and_an_operators_mute_cannot_be_undone():
    s = await server()
    ann, bob = await joins(s, "muting", "ann", "bob")
    track, _ = await publishes(ann, ("audio", "microphone"), ("video", "camera"))
    mid = await receives(bob, "ann", "audio")
    for muted in (True, False):
        since = len(bob.log)
        ann.send(type="mute", track=track["track"], muted=muted)
        changed = await bob.message(since, type="track", event="changed")
        equal(changed["track"], {"id": track["track"], "kind": "audio", "source": "microphone", "muted": muted})
        equal((await s.api.getTrack(id=track["track"], expect=200)).json["muted"], muted)
    await receives(bob, "ann", "audio")
    since = len(ann.log)
    await s.api.patchTrack(id=track["track"], body={"muted": True}, expect=200)
    equal((await ann.message(since, type="track", event="changed"))["track"]["muted"], True)
    ann.send(type="mute", track=track["track"], muted=False)
    await ann.error("no_right", since)
    equal((await s.api.getTrack(id=track["track"], expect=200)).json["muted"], True)
    await s.api.patchTrack(id=track["track"], body={"muted": False}, expect=200)
    equal(await receives(bob, "ann", "audio"), mid)
    await part(ann, bob)


@test
async def a_client_pauses_a_slot_and_lets_it_go_on():
    s = await server()
    ann, bob = await joins(s, "pausing", "ann", "bob")
    await publishes(ann, ("audio", "microphone"), ("video", "camera"))
    video, audio = await receives(bob, "ann", "video"), await receives(bob, "ann", "audio")
    bob.send(type="pause", mid=video, paused=True)

    async def paused(want):
        session = (await s.api.getSession(id=bob.welcome["session"], expect=200)).json
        all_of = [(await s.api.getSubscription(id=i, expect=200)).json for i in session["subscriptions"]]
        return [x["paused"] for x in all_of if x["mid"] == video] == [want]
    await until("a pause", lambda: paused(True))
    await receives(bob, "ann", "audio")
    still = bob.media.got(video)
    had = bob.media.got(audio)
    await bob.media.wait("sound goes on", lambda: bob.media.got(audio) > had + 20)
    equal(bob.media.got(video), still)
    bob.send(type="pause", mid=video, paused=False)
    await until("the end of a pause", lambda: paused(False))
    await receives(bob, "ann", "video")
    await part(ann, bob)


# ---- coming back ----


@test
async def after_a_dropped_socket_the_same_session_goes_on():
    s = await server()
    ann, bob = await joins(s, "resume", "ann", "bob")
    await publishes(ann, ("audio", "microphone"), ("video", "camera"))
    await publishes(bob, ("audio", "microphone"))
    await receives(bob, "ann", "video")
    had = (await s.api.getSession(id=ann.welcome["session"], expect=200)).json
    old, port = ann.welcome, ann.media.port
    ann.drop()
    await ann.wait("the drop", lambda: ann.closed)
    # Media go on meanwhile.
    await receives(bob, "ann", "video")
    since = len(ann.log)
    await Join.open(s.port, "resume", joins=ann, token=s.token, participant="ann", resume=old["resume"])
    welcome = await ann.message(since, type="welcome")
    equal((welcome["resumed"], welcome["session"], welcome["participant"]), (True, old["session"], "ann"))
    equal({p["name"] for p in welcome["room"]["participants"]}, {"bob"})
    await ann.message(since, type="slots")
    await ann.message(since, type="offer")
    await ann.media.wait("another address", lambda: ann.media.port != port and ann.media.nominated)
    await receives(bob, "ann", "video")
    await receives(ann, "bob", "audio")
    now = (await s.api.getSession(id=old["session"], expect=200)).json
    equal((now["tracks"], now["subscriptions"]), (had["tracks"], had["subscriptions"]))
    check(not any(m["type"] == "participant" for m in bob.log[-5:]), "nobody noticed")
    # While the old socket is still there, it makes way.
    other = Join(ann.media)
    other.m_lines, other.publishing = ann.m_lines, ann.publishing
    await Join.open(s.port, "resume", joins=other, token=s.token, participant="ann", resume=welcome["resume"])
    equal((await other.message(type="welcome"))["resumed"], True)
    equal(await ann.end(), 4410)
    await other.message(type="offer")
    await receives(bob, "ann", "video")
    await part(other, bob)


@test
async def a_reloaded_page_takes_the_place_of_its_old_session():
    s = await server()
    ann, bob = await joins(s, "reload", "ann", "bob")
    ann.drop()
    fresh = await Join.open(s.port, "reload", await Peer.make(), token=s.token, participant="ann", replace=ann.welcome["resume"])
    welcome = await fresh.message(type="welcome")
    equal((welcome["resumed"], welcome["participant"]), (False, "ann"))
    check(welcome["session"] != ann.welcome["session"])
    equal((await s.api.getSession(id=ann.welcome["session"], expect=200)).json["state"], "closed")
    strange = await Join.open(s.port, "reload", await Peer.make(), token=s.token, resume="AAAAAAAAAAAAAAAAAAAAAA")
    welcome = await strange.message(type="welcome")
    equal(welcome["resumed"], False)
    check(welcome["participant"] not in ("ann", "bob", ""), welcome)
    ann.media.stop()
    await part(fresh, strange, bob)


@test
async def restart_gives_new_ice_credentials_and_media_go_on():
    s = await server()
    ann, bob = await joins(s, "restart", "ann", "bob")
    await publishes(ann, ("audio", "microphone"))
    mid = await receives(bob, "ann", "audio")
    ufrag, since = bob.media.remote["ice-ufrag"], len(bob.log)
    bob.send(type="restart")
    await bob.message(since, type="offer")
    await bob.media.wait("new credentials", lambda: bob.media.remote["ice-ufrag"] != ufrag and bob.media.nominated)
    equal(await receives(bob, "ann", "audio"), mid)
    await part(ann, bob)


@test
async def candidates_of_a_client_are_taken_as_a_fragment():
    s = await server("full")
    peer = await Peer.make()
    peer.manners.checks = peer.manners.answers = False
    j = await Join.open(s.port, "trickle", peer, participant="ann")
    await j.wait("an answer", lambda: getattr(j, "answered", 0))
    fragment = "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" % (peer.ufrag, peer.pwd)
    j.send(type="candidate", sdpfrag=fragment + "a=candidate:9 1 udp 2130706431 127.0.0.77 9 typ host\r\n")

    async def tried():
        pairs = (await s.api.getSession(id=j.welcome["session"], expect=200)).json["diagnosis"]["candidatePairs"]
        return any(p["remote"] == "127.0.0.77:9" for p in pairs)
    await until("a pair of that candidate", tried)
    since = len(j.log)
    j.send(type="candidate", sdpfrag=7)
    await j.error("bad_message", since)
    await part(j)


# ---- what is refused ----


@test
async def what_is_asked_wrongly_is_an_error_and_the_socket_stays():
    s = await server()
    ann, = await joins(s, "errors", "ann")
    await ann.wait("an answer", lambda: getattr(ann, "answered", 0))

    async def wrong(code, text=None, **message):
        since = len(ann.log)
        if text is not None:
            ann.socket.send(text)
        else:
            ann.send(**message)
        e = await ann.error(code, since)
        check(e["message"], e)
        if message.get("type") == "publish" and code != "bad_message":
            equal(e.get("request"), message["request"])
        return e
    for text in ("", "{", "[]", "1", '{"type":1}', "{}", '{"type":"leave","type":"leave"}', "\u0000"):
        await wrong("bad_message", text)
    await asyncio.sleep(0.3)                    # messages are counted: no flood is meant here
    await wrong("unknown_type", type="dance")
    check("muted" in (await wrong("bad_message", type="mute", track="x"))["message"])
    check("colour" in (await wrong("bad_message", type="leave", colour="red"))["message"])
    for tracks in ([], [{}], [{"kind": "smell", "source": "camera"}], [{"kind": "video", "source": "telescope"}], "all"):
        await wrong("bad_message", type="publish", request="w", tracks=tracks)
    one = {"kind": "audio", "source": "microphone"}
    await wrong("bad_message", type="publish", request="w", tracks=[one] * 9)
    await wrong("no_offer", type="answer", offer=99, sdp="v=0\r\n")
    for message in ({"type": "unpublish", "track": "x"}, {"type": "mute", "track": "x", "muted": True},
                    {"type": "pause", "mid": "77", "paused": True}):
        await wrong("unknown_track", **message)
    # An answer that is refused may be given again.
    ann.answering = False
    since = len(ann.log)
    ann.send(type="publish", request="p", tracks=[{"kind": "audio", "source": "microphone"}])
    offer = await ann.message(since, type="offer")
    await wrong("bad_answer", type="answer", offer=offer["offer"], sdp="v=0\r\n")
    good = await ann.media.answer(offer["sdp"], set(ann.publishing))
    await wrong("bad_answer", type="answer", offer=offer["offer"], sdp=good.replace("m=audio", "m=video"))
    ann.send(type="answer", offer=offer["offer"], sdp=good)
    mid = offer["publish"][0]["mid"]
    ann.media.play(mid)
    bob, = await joins(s, "errors", "bob")
    await receives(bob, "ann", "audio")
    # One that does not send what was asked for ends that publish.
    since = len(ann.log)
    ann.send(type="publish", request="q", tracks=[{"kind": "video", "source": "camera"}])
    offer = await ann.message(since, type="offer")
    ann.send(type="answer", offer=offer["offer"], sdp=await ann.media.answer(offer["sdp"], {mid}))
    equal((await ann.error("not_sent", since)).get("request"), "q")
    await s.api.getTrack(id=offer["publish"][0]["track"], expect=404)
    await wrong("too_many_tracks", type="publish", request="many", tracks=[one] * 8)
    check(ann.closed is None)
    await part(ann, bob)


@test
async def a_name_is_taken_while_its_holder_is_there():
    s = await server()
    ann, = await joins(s, "names", "ann")
    other = await Join.open(s.port, "names", await Peer.make(), token=s.token, participant="ann")
    await other.error("name_taken")
    equal(await other.end(), 4409)
    check(ann.closed is None)
    ann.media.silent = True

    async def again():
        j = await Join.open(s.port, "names", await Peer.make(), token=s.token, participant="ann")
        await j.wait("a word", lambda: j.log)
        if j.welcome:
            return j
        j.media.stop()
    fresh = await until("the name", again)
    equal(await ann.end(), 4410)
    other.media.stop()
    ann.media.stop()
    await part(fresh)


@test
async def who_floods_or_sends_too_much_is_closed_and_others_do_not_notice():
    s = await server()
    bob, = await joins(s, "flood", "bob")
    for what, code in (("many", 1008), ("large", 1009), ("pieces", 1009), ("binary", 1003), ("no text", 1007)):
        j, = await joins(s, "flood", "ann")
        if what == "many":
            for _ in range(300):
                j.send(type="mute", track="x", muted=True)
        elif what == "large":
            j.socket.frame(web.TEXT, b" " * (1 << 20) + b"{}")
        elif what == "pieces":
            for i in range(70):
                j.socket.frame(web.TEXT if i == 0 else 0, b" ", fin=False)
        elif what == "binary":
            j.socket.frame(web.BINARY, b"{}")
        else:
            j.socket.frame(web.TEXT, b'{"type":"\xff"}')
        equal((what, await j.end()), (what, code))
        # The session goes on, for the socket may come back.
        equal((await s.api.getSession(id=j.welcome["session"], expect=200)).json["state"], "connected")
        j.media.stop()
        await s.api.removeParticipant(room="flood", participant="ann", expect=204)
    check(bob.closed is None)
    await part(bob)


@test
async def when_the_media_connection_is_gone_the_socket_is_closed():
    s = await server()
    ann, bob = await joins(s, "gone", "ann", "bob")
    ann.media.close_dtls()
    equal(await ann.end(), 1013)
    await bob.message(type="participant", event="left", name="ann")
    equal((await s.api.getSession(id=ann.welcome["session"], expect=200)).json["diagnosis"]["cause"], "closed_by_peer")
    await part(ann, bob)


# ---- tokens ----


@test
async def a_join_token_opens_its_room_to_its_participant_with_its_rights():
    s = await server()
    token = join_token("--room", "tokens", "--participant", "ann", "--rights", "publish,subscribe")
    for how in ({"token": token}, {"access_token": token}):
        a = await Join.open(s.port, "tokens", await Peer.make(), **how)
        welcome = await a.message(type="welcome")
        equal((welcome["participant"], sorted(welcome["rights"])), ("ann", ["publish", "subscribe"]))
        await part(a)
    for room, name in (("elsewhere", "ann"), ("tokens", "bob")):
        try:
            j = await Join.open(s.port, room, token=token, participant=name)
            await j.message(type="welcome")
            check(False, "joined", room, name)
        except web.Refused as why:
            check(why.answer.status == 403, room, name, why)
    listener = join_token("--room", "tokens", "--participant", "lis", "--rights", "subscribe")
    speaker = join_token("--room", "tokens", "--participant", "spe", "--rights", "publish")
    a, b = [await Join.open(s.port, "tokens", await Peer.make(), token=t) for t in (listener, speaker)]
    for j in (a, b):
        await j.message(type="welcome")
        await j.media.up()
    a.send(type="publish", request="no", tracks=[{"kind": "audio", "source": "microphone"}])
    await a.error("no_right")
    await publishes(b, ("audio", "microphone"))
    await receives(a, "spe", "audio")
    equal(b.slots, [])
    peer = await Peer.make()
    for path, given, want in (("/whip/tokens", listener, 403), ("/whep/tokens", speaker, 403), ("/whip/elsewhere", speaker, 403)):
        way = "sendonly" if "whip" in path else "recvonly"
        answer = await s.offer(path, peer.offer(way), token=given)
        equal((path, answer.status), (path, want))
    await part(a, b)
    peer.stop()


@test
async def a_token_that_is_forged_or_has_expired_opens_nothing():
    s = await server()
    good = join_token("--room", "expired", "--participant", "ann", "--ttl", "1")
    head, claims, mac = good.split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    for token in (head + "." + claims + "." + mac[::-1], none + "." + claims + ".", head + "." + claims + ".", head + "." + claims):
        try:
            await Join.open(s.port, "expired", token=token)
            check(False, "joined with " + token)
        except web.Refused as why:
            equal(why.answer.status, 401)

    async def expired():
        answer = await web.request(s.port, "GET", "/v1/rooms/expired", {"Authorization": "Bearer " + good})
        return answer.status == 401
    await until("the token expires", expired)


@test
async def a_token_with_admin_drives_its_own_room_and_no_other():
    s = await server()
    token = join_token("--room", "mine", "--participant", "ann", "--rights", "publish,subscribe,admin")
    api = s.api.with_token(token)
    await api.putRoom(room="mine", body={"capacity": 5}, expect=201)
    await api.patchRoom(room="mine", body={"capacity": 6}, expect=200)
    ann = await Join.open(s.port, "mine", await Peer.make(), token=token)
    await ann.message(type="welcome")
    equal((await api.listParticipants(room="mine", expect=200)).json["participants"][0]["name"], "ann")
    await api.listTracks(room="mine", participant="ann", expect=200)
    await api.putRoom(room="other", body={}, expect=403)
    await api.listRooms(expect=403)
    await api.getSession(id=ann.welcome["session"], expect=403)
    await api.removeParticipant(room="mine", participant="ann", expect=204)
    equal(await ann.end(), 4410)
    await api.deleteRoom(room="mine", expect=204)
    ann.media.stop()


@test
async def a_join_token_holds_for_the_sessions_that_it_made():
    s = await server()
    ann = join_token("--room", "own", "--participant", "ann", "--rights", "publish,subscribe")
    bob = join_token("--room", "own", "--participant", "bob", "--rights", "publish,subscribe")
    peer = await Peer.make()
    answer, session = await s.sdp("/whip/own", peer.offer("sendonly"), token=ann)
    await peer.answered(answer)
    equal((await s.api.getParticipant(room="own", participant="ann", expect=200)).json["session"], session)
    for token, want in ((bob, 403), ("", 401), (ann, 200)):
        headers = {"Authorization": "Bearer " + token} if token else {}
        answer = await web.request(s.port, "DELETE", "/sessions/" + session, headers)
        equal(answer.status // 100 * 100 if want == 200 else answer.status, want)
    peer.stop()

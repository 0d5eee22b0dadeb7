# SPDX-License-Identifier: Apache-2.0
"""Each sentence of the diagnosis, caused for real: a peer that has that fault asks the running server what is wrong."""
import collections
import os
import re

from harness import ROOT, Server, check, equal, free_port, server, test, until
from join import Join
from media import Media
from peer import Manners, Peer, Relay, is_rtp
from test_events import Reader

# Each sentence that api/diagnosis.c can say: a pattern for all of them together must be found in what the tests got.
SENTENCES = {
    "fingerprint_differs": [r"is not the one whose fingerprint"],
    "dtls_failed": [r"the encryption handshake failed: .+\. Look"],
    "never_connected": [r"never connected: no connectivity check .*127\.0\.0\.1:\d+ by UDP"],
    "timed_out": [r"fell silent for longer"],
    "closed_by_peer": [r"ended the connection itself"],
    "closed": [r"was ended here: by its client's request"],
    "connecting": [r"began a moment ago"],
    "wrong_credentials": [r"with wrong credentials \(\d+ of them\)"],
    "no_answer": [r"\d+ connectivity checks were sent and none was answered"],
    "no_checks": [r"No connectivity check ever arrived\. .*127\.0\.0\.1:\d+ by UDP"],
    "no_dtls": [r"does not finish \(handshake\)", r"does not finish \(hello awaited\)"],
    "silent": [r"Nothing has come from the peer for \d+ s"],
    "authentication_fails": [r"\d+ packets fail their authentication"],
    "no_common_codec": [r"cannot take the video that", r"cannot take the audio that"],
    "not_negotiated": [r"\d+ RTP packets are of a payload type"],
    "muted": [r"every track is muted or paused"],
    "sends_nothing": [r"has sent no media", r"sends no media any more"],
    "nobody_sends": [r"those whom it plays send nothing", r"nobody whom it may play sends", r"nobody publishes in the room"],
    "loss_upstream": [r"[1-9][\d.]* % of the packets from the publisher to the server"],
    "loss_downstream": [r"[1-9][\d.]* % of the packets from the server to the player"],
    "capped": [r"\d+ kb/s, by publish\.max_video_bps of the configuration", r"\d+ kb/s, by the room's max_video_bps",
               r"\d+ kb/s, by the session's max_video_bps"],
    "waiting_for_keyframe": [r"waits for a key frame"],
    "well": [r"All is well\."],
}
# "The session was ended by an error of the server's own" needs one: tests/api/test_diagnosis.c causes it,
# a_session_that_is_over_says_how_it_ended.
heard = collections.defaultdict(set)


def every_cause_and_sentence_was_seen():
    source = open(os.path.join(ROOT, "api/diagnosis.c")).read()
    causes = re.findall(r'^\t\{"(\w+)",', source, re.M)
    equal(sorted(causes), sorted(SENTENCES))
    for cause, patterns in SENTENCES.items():
        for pattern in patterns:
            check(any(re.search(pattern, s) for s in heard[cause]), "never said:", cause, pattern, sorted(heard[cause])[:5])
        for sentence in heard[cause]:
            check(any(re.search(p, sentence) for p in patterns), "a sentence that is not listed:", cause, sentence)


async def diagnosed(s, session, cause, pattern=""):
    """Waits until that is what the server says; the whole diagnosis."""
    last = []

    async def ask():
        answer = await s.api.getSession(id=session)
        if answer.status == 404:                # it ended while its loop was asked: what is left of it comes next
            return None
        d = answer.json["diagnosis"]
        heard[d["cause"]].add(d["sentence"])
        last[:] = [d]
        return d if d["cause"] == cause and re.search(pattern, d["sentence"]) else None
    try:
        return await until("%s %s" % (cause, pattern), ask)
    except AssertionError as why:
        raise AssertionError("%s; at last %r" % (why, last))


async def publishes(s, room, manners=None, codecs=("opus", "VP8"), kinds=("audio", "video"), name="ann"):
    peer = await Peer.make(manners, codecs)
    answer, session = await s.sdp("/whip/%s?participant=%s" % (room, name), peer.offer("sendonly", kinds))
    await peer.answered(answer)
    return peer, session


async def plays(s, room, codecs=("opus", "VP8"), kinds=("audio", "video"), whom="", manners=None):
    peer = await Peer.make(manners, codecs)
    answer, session = await s.sdp("/whep/" + room + ("/" + whom if whom else ""), peer.offer("recvonly", kinds))
    await peer.answered(answer)
    return peer, session


def talk(peer, **how):
    for mid in peer.lines:
        peer.play(mid, **how)


# ---- who does not connect ----


@test
async def a_peer_that_just_began_is_connecting_and_without_checks_it_is_told_so():
    s = await server()
    peer, session = await publishes(s, "d-nocheck", Manners(checks=False))
    await diagnosed(s, session, "connecting")
    d = await diagnosed(s, session, "no_checks")
    equal(d["dtlsStep"], "no way found yet")
    peer.stop()


@test
async def a_peer_that_never_checks_is_in_the_end_told_never_to_have_connected():
    s = await server("short")
    peer, session = await publishes(s, "d-never", Manners(checks=False))
    d = await diagnosed(s, session, "never_connected")
    equal((d["dtlsStep"], d["packetsDropped"]), (None, None))
    peer.stop()


@test
async def checks_with_a_wrong_password_are_told():
    s = await server()
    peer, session = await publishes(s, "d-password", Manners(good_password=False))
    d = await diagnosed(s, session, "wrong_credentials")
    check(d["packetsDropped"]["stun"] > 0)
    peer.stop()


@test
async def checks_of_the_server_that_nobody_answers_are_told():
    s = await server("full")
    peer, session = await publishes(s, "d-answer", Manners(checks=False, answers=False))
    d = await diagnosed(s, session, "no_answer")
    check(d["candidatePairs"] and d["candidatePairs"][0]["requestsSent"] > 0 and d["candidatePairs"][0]["responsesReceived"] == 0, d)
    peer.stop()


@test
async def a_peer_without_dtls_is_told_whoever_begins():
    s = await server()
    mute, session = await publishes(s, "d-dtls", Manners(dtls=False))
    deaf, other = await publishes(s, "d-dtls", Manners(dtls=False, setup="active"), name="bob")
    d = await diagnosed(s, session, "no_dtls", "handshake")
    equal(d["dtlsStep"], "handshake")
    check(d["candidatePairs"][0]["requestsReceived"] > 0)
    d = await diagnosed(s, other, "no_dtls", "hello awaited")
    mute.stop()
    deaf.stop()


@test
async def another_certificate_than_the_sdp_announced_is_told():
    s = await server()
    peer, session = await publishes(s, "d-print", Manners(good_fingerprint=False))
    await diagnosed(s, session, "fingerprint_differs")
    other = await Peer.make(Manners(good_fingerprint=False))
    join = await Join.open(s.port, "d-print", other, token=s.token, participant="bob")
    await join.message(type="offer")
    await diagnosed(s, join.welcome["session"], "fingerprint_differs")
    peer.stop()
    other.stop()


@test
async def a_handshake_that_fails_is_told():
    s = await server()
    peer, session = await publishes(s, "d-srtp", Manners(srtp_profile=False))
    await diagnosed(s, session, "dtls_failed")
    peer.stop()


# ---- who was connected ----


@test
async def all_is_well_and_the_end_tells_who_ended_it():
    s = await server()
    ann, session = await publishes(s, "d-well")
    bob, playing = await plays(s, "d-well")
    await ann.up()
    await bob.up()
    talk(ann)
    d = await diagnosed(s, session, "well")
    equal((d["dtlsStep"], d["candidatePairs"][0]["selected"]), ("connected", True))
    await diagnosed(s, playing, "well")
    ann.close_dtls()
    await diagnosed(s, session, "closed_by_peer")
    await s.api.deleteSession(id=playing, expect=204)
    await diagnosed(s, playing, "closed")
    ann.stop()
    bob.stop()


@test
async def a_peer_that_falls_silent_is_told_first_so_and_then_gone():
    s = await server()
    ann, session = await publishes(s, "d-silent")
    await ann.up()
    ann.silent = True
    d = await diagnosed(s, session, "silent")
    equal((await s.api.getSession(id=session, expect=200)).json["state"], "silent")
    equal(d["dtlsStep"], "connected")
    ann.silent = False
    talk(ann)
    await diagnosed(s, session, "well")
    ann.stop()
    short = await server("short")
    bob, session = await publishes(short, "d-silent")
    await bob.up()
    bob.stop()
    await diagnosed(short, session, "timed_out")


@test
async def media_under_other_keys_is_told():
    s = await server()
    ann, session = await publishes(s, "d-keys", Manners(good_keys=False))
    await ann.up()
    talk(ann, every_s=0.01)
    d = await diagnosed(s, session, "authentication_fails")
    check(d["packetsDropped"]["forged"] >= 100, d)
    ann.stop()


@test
async def media_that_was_not_negotiated_is_told():
    s = await server()
    ann, session = await publishes(s, "d-pt")
    await ann.up()
    ann.play("0", pt=77, every_s=0.01)
    d = await diagnosed(s, session, "not_negotiated")
    check(d["packetsDropped"]["unknown_pt"] + d["packetsDropped"]["unknown_ssrc"] >= 100, d)
    ann.stop()


@test
async def a_player_without_the_codec_of_what_it_plays_is_told():
    s = await server()
    events = await Reader.open(s, ws=True, room="d-codec")
    ann, _ = await publishes(s, "d-codec", codecs=("H264",), kinds=("video",))
    bob, playing = await plays(s, "d-codec", codecs=("VP8",), kinds=("video",))
    cyd, _ = await publishes(s, "d-codec2", codecs=("PCMU",), kinds=("audio",))
    dan, hearing = await plays(s, "d-codec2", codecs=("opus",), kinds=("audio",))
    for peer in (ann, bob, cyd, dan):
        await peer.up()
    talk(ann)
    talk(cyd)
    await diagnosed(s, playing, "no_common_codec", "video")
    await diagnosed(s, hearing, "no_common_codec", "audio")
    e = await events.until("codec_mismatch")
    equal((e["session"], e["codec"], e["publisher"]), (playing, "H264", "ann"))
    equal(e["subscription"], (await s.api.getSession(id=playing, expect=200)).json["subscriptions"][0])
    events.close()
    for peer in (ann, bob, cyd, dan):
        peer.stop()


@test
async def a_publisher_that_sends_nothing_is_told_whether_it_ever_did():
    s = await server()
    ann, session = await publishes(s, "d-nothing")
    bob, playing = await plays(s, "d-nothing")
    await ann.up()
    await bob.up()
    await diagnosed(s, session, "sends_nothing", "has sent no media")
    await diagnosed(s, playing, "nobody_sends", "those whom it plays")
    talk(ann)
    await diagnosed(s, session, "well")
    for mid in ann.lines:
        ann.hush(mid)
    await diagnosed(s, session, "sends_nothing", "any more")
    ann.stop()
    bob.stop()


@test
async def a_player_of_nobody_is_told_whether_the_room_is_empty():
    s = await server()
    bob, playing = await plays(s, "d-nobody", whom="ann")
    await bob.up()
    await diagnosed(s, playing, "nobody_sends", "nobody publishes")
    cyd, _ = await publishes(s, "d-nobody", name="cyd")
    await cyd.up()
    talk(cyd)
    await diagnosed(s, playing, "nobody_sends", "nobody whom it may play")
    bob.stop()
    cyd.stop()


@test
async def what_is_muted_or_paused_by_request_is_told():
    s = await server()
    ann, session = await publishes(s, "d-muted")
    bob, playing = await plays(s, "d-muted")
    await ann.up()
    await bob.up()
    talk(ann)
    await diagnosed(s, session, "well")
    for track in (await s.api.getSession(id=session, expect=200)).json["tracks"]:
        await s.api.patchTrack(id=track, body={"muted": True}, expect=200)
    await diagnosed(s, session, "muted")
    for track in (await s.api.getSession(id=session, expect=200)).json["tracks"]:
        await s.api.patchTrack(id=track, body={"muted": False}, expect=200)
    await diagnosed(s, playing, "well")
    for one in (await s.api.getSession(id=playing, expect=200)).json["subscriptions"]:
        await s.api.patchSubscription(id=one, body={"paused": True}, expect=200)
    await diagnosed(s, playing, "muted")
    ann.stop()
    bob.stop()


@test
async def a_wait_for_a_key_frame_is_told():
    s = await server()
    ann, _ = await publishes(s, "d-key", kinds=("video",))
    bob, playing = await plays(s, "d-key", kinds=("video",))
    await ann.up()
    await bob.up()
    talk(ann, key_frames=False)
    await diagnosed(s, playing, "waiting_for_keyframe")
    talk(ann)
    await diagnosed(s, playing, "well")
    ann.stop()
    bob.stop()


# ---- a poor picture ----


async def relayed():
    """A server that is reached through a relay only."""
    front, behind = free_port(), free_port()
    s = await Server.start("--loops=1", "--media.announce=127.0.0.1:%d" % front, media=("--media.port=%d" % behind,))
    return s, await Relay().open(front, ("127.0.0.1", behind))


@test
async def loss_is_told_with_its_direction():
    s, relay = await relayed()
    ann, bob = Media(), Media()
    answer, session = await s.sdp("/whip/d-loss?participant=ann", await ann.offer("sendonly"))
    await ann.answered(answer)
    answer, playing = await s.sdp("/whep/d-loss", await bob.offer("recvonly"))
    await bob.answered(answer)
    await diagnosed(s, session, "well")
    await diagnosed(s, playing, "well")
    dice = {"n": 0}

    def one_in_five(data):
        dice["n"] += is_rtp(data)
        return is_rtp(data) and dice["n"] % 5 == 0
    relay.up = one_in_five
    await diagnosed(s, session, "loss_upstream")
    relay.up, relay.down = relay.down, one_in_five
    await diagnosed(s, playing, "loss_downstream")
    await ann.close()
    await bob.close()
    relay.close()


@test
async def a_picture_at_its_cap_says_whose_cap_that_is():
    s = await Server.start("--loops=1", "--publish.cap=true", "--publish.max_video_bps=400000")
    ann, session = await publishes(s, "d-cap", kinds=("video",))
    await ann.up()
    talk(ann, size=1000, every_s=0.01)
    await diagnosed(s, session, "capped", "of the configuration")
    await s.api.putRoom(room="d-cap", body={"max_video_bps": 200000}, expect=200)
    await diagnosed(s, session, "capped", "200 kb/s, by the room")
    await s.api.patchSession(id=session, body={"max_video_bps": 160000}, expect=200)
    await diagnosed(s, session, "capped", "160 kb/s, by the session")
    await ann.wait("REMB", lambda: ann.feedback[206, 15] > 0)
    ann.stop()

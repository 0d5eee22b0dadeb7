# SPDX-License-Identifier: Apache-2.0
"""aiortc as the media of a Join, of WHIP and of WHEP: a small moving picture and a tone, frames and sound counted."""
import asyncio
import collections
import fractions
import time

import aioice.ice
import av
import numpy
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

WIDTH, HEIGHT, FPS, RATE, CHUNK = 160, 96, 10, 48000, 960
# Loopback only: elsewhere nothing of a test may be heard.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


class Paced(MediaStreamTrack):
    """A track whose nth piece is due n * step seconds after the first."""

    def __init__(self):
        super().__init__()
        self.n, self.started = 0, time.monotonic()

    async def due(self, step):
        await asyncio.sleep(max(0.0, self.started + self.n * step - time.monotonic()))
        self.n += 1
        return self.n - 1


class Picture(Paced):
    kind = "video"

    async def recv(self):
        n = await self.due(1 / FPS)
        rows = (numpy.arange(HEIGHT * 3 // 2) + 3 * n) % 256
        data = numpy.repeat(rows[:, None], WIDTH, axis=1).astype(numpy.uint8)
        data[HEIGHT:] = 128
        frame = av.VideoFrame.from_ndarray(data, format="yuv420p")
        frame.pts, frame.time_base = n * 90000 // FPS, fractions.Fraction(1, 90000)
        return frame


class Tone(Paced):
    kind = "audio"

    async def recv(self):
        n = await self.due(CHUNK / RATE)
        wave = 8000 * numpy.sin(2 * numpy.pi * 440 * (numpy.arange(CHUNK) + n * CHUNK) / RATE)
        frame = av.AudioFrame.from_ndarray(wave.astype(numpy.int16).reshape(1, -1), format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = n * CHUNK, RATE, fractions.Fraction(1, RATE)
        return frame


class Media:
    def __init__(self):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.frames = collections.Counter()         # mid -> frames decoded
        self.sound = collections.Counter()          # mid -> energy
        self.pc.on("track", self.watch)
        self.watching = []

    def watch(self, track):
        self.watching.append(asyncio.ensure_future(self.count(track)))

    def mid_of(self, track):
        return next(t.mid for t in self.pc.getTransceivers() if t.receiver.track is track)

    async def count(self, track):
        while True:
            frame = await track.recv()
            mid = self.mid_of(track)
            if track.kind == "video":
                self.frames[mid] += 1
            else:
                samples = frame.to_ndarray().astype(numpy.float64) / 32768
                self.sound[mid] += float(numpy.mean(samples**2)) * frame.samples / frame.sample_rate

    async def answer(self, sdp, sends):
        """For Join: what is sent is attached by mid."""
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        for t in self.pc.getTransceivers():
            if t.mid in sends and not t.sender.track:
                t.sender.replaceTrack(Picture() if t.kind == "video" else Tone())
                t.direction = "sendonly"
            elif t.mid not in sends and t.sender.track:
                t.sender.replaceTrack(None)
                t.direction = "inactive"
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        return self.pc.localDescription.sdp

    async def offer(self, way):
        """For WHIP ("sendonly") and WHEP ("recvonly")."""
        for kind, track in (("audio", Tone), ("video", Picture)):
            self.pc.addTransceiver(track() if way == "sendonly" else kind, direction=way)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def answered(self, sdp):
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def sees_and_hears(self, video, audio, deadline_s=30):
        end = time.monotonic() + deadline_s
        had = self.frames[video], self.sound[audio]
        while time.monotonic() < end:
            if self.frames[video] >= had[0] + 5 and self.sound[audio] > had[1] + 0.001:
                return
            await asyncio.sleep(0.1)
        raise AssertionError("never seen and heard: %r %r, want %s %s" % (self.frames, self.sound, video, audio))

    async def close(self):
        for task in self.watching:
            task.cancel()
        await self.pc.close()


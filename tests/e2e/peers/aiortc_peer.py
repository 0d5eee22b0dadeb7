# SPDX-License-Identifier: Apache-2.0
"""aiortc: publishes a moving picture and a tone, or counts decoded frames and measures sound."""
import asyncio
import fractions
import json
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import av
import numpy
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

WIDTH, HEIGHT, FPS, RATE, CHUNK = 320, 240, 25, 48000, 960
counts = {"frames": 0, "sound": 0.0}


def say(what):
    print(json.dumps(what), flush=True)


def request(method, url, body=None, tries=30):
    headers = {"Content-Type": "application/sdp"} if body else {}
    asked = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        if error.code != 503 or tries == 1:
            raise
    time.sleep(1)  # it takes nobody for a moment, as on a crowded machine
    return request(method, url, body, tries - 1)


class Paced(MediaStreamTrack):
    """A track whose nth piece is due n * step seconds after the first."""

    def __init__(self):
        super().__init__()
        self.n = 0
        self.started = time.monotonic()

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
        counts["frames"] += 1
        return frame


class Tone(Paced):
    kind = "audio"

    async def recv(self):
        n = await self.due(CHUNK / RATE)
        wave = 8000 * numpy.sin(2 * numpy.pi * 440 * (numpy.arange(CHUNK) + n * CHUNK) / RATE)
        frame = av.AudioFrame.from_ndarray(wave.astype(numpy.int16).reshape(1, -1), format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = n * CHUNK, RATE, fractions.Fraction(1, RATE)
        counts["sound"] += 0.03 * CHUNK / RATE
        return frame


async def watch(track):
    while True:
        frame = await track.recv()
        if track.kind == "video":
            counts["frames"] += 1
            continue
        samples = frame.to_ndarray().astype(numpy.float64) / 32768
        counts["sound"] += float(numpy.mean(samples**2)) * frame.samples / frame.sample_rate


async def connect(what, url):
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.on("connectionstatechange", lambda: say({"state": pc.connectionState}))
    if what == "publish":
        pc.addTransceiver(Tone(), direction="sendonly")
        pc.addTransceiver(Picture(), direction="sendonly")
    else:
        pc.addTransceiver("audio", direction="recvonly")
        pc.addTransceiver("video", direction="recvonly")
        pc.on("track", lambda track: asyncio.ensure_future(watch(track)))
    await pc.setLocalDescription(await pc.createOffer())
    offer = pc.localDescription.sdp.encode()
    _, headers, answer = await asyncio.get_running_loop().run_in_executor(None, request, "POST", url, offer)
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return pc, urllib.parse.urljoin(url, headers["Location"])


async def main(what, url):
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    pc, location = await connect(what, url)
    while not ending.is_set():
        say(counts)
        try:
            await asyncio.wait_for(ending.wait(), 0.2)
        except asyncio.TimeoutError:
            pass
    try:
        await asyncio.get_running_loop().run_in_executor(None, request, "DELETE", location)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
    await pc.close()


asyncio.run(main(sys.argv[1], sys.argv[2]))

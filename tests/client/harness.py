# SPDX-License-Identifier: Apache-2.0
"""Tests as sentences, several at a time in one asyncio loop, and the servers that they ask."""
import asyncio
import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
import traceback

import rest
import web

DEADLINE_S = 30
AT_A_TIME = 8
TOKEN, KEY = "static-token-of-the-tests", "a-key-of-join-tokens-for-the-tests"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
tests = []
binary = None


class Skip(Exception):
    """This machine does not let it be tested."""


def test(fn):
    tests.append(fn)
    return fn


def alone(fn):
    """With thousands of requests: others beside it would wait."""
    fn.alone = True
    return fn


def check(ok, *what):
    if not ok:
        raise AssertionError(" ".join(str(w) for w in what) or "check failed")


def equal(got, want):
    check(got == want, "got", repr(got), "want", repr(want))


async def until(what, ask, deadline_s=DEADLINE_S):
    """Asks again and again; ask() is a coroutine function, and its first true answer counts."""
    end, got = time.monotonic() + deadline_s, None
    while time.monotonic() < end:
        got = await ask()
        if got:
            return got
        await asyncio.sleep(0.1)
    raise AssertionError("never: " + what)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end_with_parent():
    """No server outlives a run, however that ends: PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    """A running server past its ready line, and an Api on it."""
    all = []

    @classmethod
    async def start(cls, *flags, token=None, media=("--media.port=0",)):
        self = cls()
        self.log = tempfile.TemporaryFile()
        # Patient with a client on a crowded machine.
        args = [binary, "--http.port=0", "--media.bind=127.0.0.1", "--log.level=debug", "--dtls.queue_ms=10000",
                "--http.header_timeout_ms=60000", "--http.body_timeout_ms=60000", *media, *flags]
        if token:
            args.append("--token=" + token)
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
        self.proc = await asyncio.create_subprocess_exec(*args, stdout=subprocess.PIPE, stderr=self.log,
                                                         stdin=subprocess.DEVNULL, env=env, preexec_fn=end_with_parent)
        Server.all.append(self)
        self.api = None
        line = await web.within(self.proc.stdout.readline())
        check(line, "no ready line:", self.tail())
        self.ready = json.loads(line)
        self.port, self.token = self.ready["http"]["port"], token
        self.media = [m["port"] for m in self.ready["media"]]
        self.api = await rest.Api.of(self.port, token)
        return self

    def tail(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-3000:]

    async def offer(self, path, offer, token=None):
        """WHIP or WHEP: the answer. On a crowded machine a server takes nobody for a moment: then again, as it asks for."""
        headers = {"Content-Type": "application/sdp"}
        if token or self.token:
            headers["Authorization"] = "Bearer " + (token or self.token)

        async def ask():
            answer = await web.request(self.port, "POST", path, headers, offer.encode())
            return answer if answer.status != 503 else None
        return await until("an answer to an offer", ask)

    async def sdp(self, path, offer, token=None):
        """WHIP or WHEP: the answer's SDP and the session's id."""
        answer = await self.offer(path, offer, token)
        check(answer.status == 201, path, answer)
        return answer.body.decode(), answer.headers["location"].rsplit("/", 1)[1]

    async def cleanup(self):
        if self.proc.returncode is None:
            os.kill(self.proc.pid, signal.SIGINT)
            try:
                await asyncio.wait_for(self.proc.wait(), 10)
            except asyncio.TimeoutError:
                self.proc.kill()
                await self.proc.wait()
        self.log.close()


shared = {}


async def server(kind="main"):
    """Servers that tests share, each in rooms of its own."""
    flags = {
        "main": dict(flags=["--loops=2", "--ice.timeout=15", "--http.jwt_key=" + KEY], token=TOKEN),
        "short": dict(flags=["--loops=1", "--ice.timeout=2"]),
        "full": dict(flags=["--loops=1", "--ice.lite=false"]),
    }[kind]
    if kind not in shared:
        shared[kind] = asyncio.ensure_future(Server.start(*flags["flags"], token=flags.get("token")))
    return await asyncio.shield(shared[kind])


def join_token(*flags):
    out = subprocess.run([binary, "token", "--http.jwt_key=" + KEY, *flags], stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S)
    return out.stdout.decode().strip()


async def run_one(fn, gate, results):
    async with gate:
        began = time.monotonic()
        try:
            await asyncio.wait_for(fn(), 3 * DEADLINE_S)
            results[fn.__name__] = None
        except Skip as why:
            results[fn.__name__] = why
        except BaseException:
            results[fn.__name__] = traceback.format_exc()
        if os.environ.get("SL_TIMES"):
            print("%6.1f s %s" % (time.monotonic() - began, fn.__name__), flush=True)


async def run_all(wanted):
    # Some tests hold a thousand connections.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    chosen = [fn for fn in tests if wanted in fn.__name__]
    gate, results = asyncio.Semaphore(AT_A_TIME), {}
    await asyncio.gather(*(run_one(fn, gate, results) for fn in chosen if not hasattr(fn, "alone")))
    for fn in chosen:
        if hasattr(fn, "alone"):
            await run_one(fn, gate, results)
    return results


async def stop_tasks():
    """What tests have left running."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def stop_servers():
    """What those said that ended badly."""
    bad = []
    for s in Server.all:
        died = s.proc.returncode
        if died is not None and died != 0:
            bad.append("a server ended with %d: %s" % (died, s.tail()))
        await s.cleanup()
        if died is None and s.proc.returncode != 0:
            bad.append("a server's end was %d" % s.proc.returncode)
    return bad

# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1, WebSocket (RFC 6455) and server-sent events for asyncio: as much as a client of the server needs."""
import asyncio
import base64
import collections
import hashlib
import json
import os
import struct

DEADLINE_S = 30
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Answer:
    """status; headers (names in lower case); body (bytes)."""

    def __init__(self, status, headers, body=b""):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "<%d %s>" % (self.status, self.body[:300])


class Refused(Exception):
    """An upgrade that was answered otherwise."""

    def __init__(self, answer):
        super().__init__(repr(answer))
        self.answer = answer


class Closed(Exception):
    """The end of a WebSocket: code (1006 without a close frame) and reason."""

    def __init__(self, code, reason=""):
        super().__init__("%d %s" % (code, reason))
        self.code, self.reason = code, reason


async def within(what):
    return await asyncio.wait_for(what, DEADLINE_S)


async def read_head(reader):
    head = (await within(reader.readuntil(b"\r\n\r\n"))).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    version, status = first.split(" ")[:2]
    if version != "HTTP/1.1":
        raise AssertionError("no HTTP/1.1: " + first)
    return Answer(int(status), {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)})


async def send_head(port, method, path, headers, body):
    reader, writer = await within(asyncio.open_connection("127.0.0.1", port))
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: 127.0.0.1:%d" % port]
    lines += ["%s: %s" % kv for kv in headers.items()]
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b""))
    return reader, writer


async def request(port, method, path, headers=None, body=None):
    reader, writer = await send_head(port, method, path, headers or {}, body)
    try:
        return await read_answer(reader)
    finally:
        writer.close()


async def read_answer(reader):
    """A server that refuses early closes before it has read all: what it said counts, and not the reset after it."""
    try:
        answer = await read_head(reader)
    except ConnectionError:
        reader = what_came(reader)
        answer = await read_head(reader)
    if answer.status in (101, 204, 304) or "content-length" not in answer.headers:
        return answer
    n = int(answer.headers["content-length"])
    try:
        answer.body = await within(reader.readexactly(n))
    except ConnectionError:
        answer.body = await what_came(reader).readexactly(n)
    return answer


def what_came(reader):
    """What is still to be read of a connection that was reset."""
    rest = asyncio.StreamReader()
    rest.feed_data(bytes(reader._buffer))
    rest.feed_eof()
    return rest


class WebSocket:
    """recv() gives texts and raises Closed; pings are answered by themselves unless `pongs` is False."""

    @classmethod
    async def open(cls, port, path, headers=None):
        self = cls()
        key = base64.b64encode(os.urandom(16)).decode()
        asks = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
        asks.update(headers or {})
        self.reader, self.writer = await send_head(port, "GET", path, asks, None)
        answer = await read_answer(self.reader)
        if answer.status != 101:
            self.writer.close()
            raise Refused(answer)
        # RFC 6455 section 4.2.2
        want = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        if answer.headers["sec-websocket-accept"] != want:
            raise AssertionError("Sec-WebSocket-Accept does not fit the key")
        return self

    def frame(self, opcode, payload=b"", fin=True):
        mask = os.urandom(4)
        n = len(payload)
        head = bytes([fin << 7 | opcode])
        head += bytes([0x80 | n]) if n < 126 else struct.pack(">BH", 0xfe, n) if n < 65536 else struct.pack(">BQ", 0xff, n)
        whole = (mask * (n // 4 + 1))[:n]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(n, "big")
        self.writer.write(head + mask + masked)

    def send(self, message):
        self.frame(TEXT, (message if isinstance(message, str) else json.dumps(message)).encode())

    async def read_frame(self):
        first, second = await self.reader.readexactly(2)
        if second & 0x80 or first & 0x70:
            raise AssertionError("a server's frame is neither masked nor extended")
        n = second & 0x7f
        if n > 125:
            n = int.from_bytes(await self.reader.readexactly(2 if n == 126 else 8), "big")
        return bool(first & 0x80), first & 15, await self.reader.readexactly(n)

    async def recv(self):
        text = b""
        try:
            while True:
                fin, opcode, payload = await self.read_frame()
                if opcode == PING:
                    self.frame(PONG, payload)
                elif opcode == CLOSE:
                    self.frame(CLOSE, payload[:2])
                    code = int.from_bytes(payload[:2], "big") if payload else 1005
                    raise Closed(code, payload[2:].decode())
                elif opcode in (0, TEXT):
                    text += payload
                    if fin:
                        return text.decode()
                elif opcode != PONG:
                    raise AssertionError("opcode %d" % opcode)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Closed(1006, "no close frame")

    def close(self, code=1000):
        self.frame(CLOSE, struct.pack(">H", code))

    def drop(self):
        """As a network that goes away: no close frame."""
        self.writer.transport.abort()


class EventStream:
    """Server-sent events: next() gives (id or None, event, data)."""

    @classmethod
    async def open(cls, port, path, headers=None):
        self = cls()
        self.reader, self.writer = await send_head(port, "GET", path, dict(headers or {}, Accept="text/event-stream"), None)
        self.answer = await read_answer(self.reader)
        if self.answer.status != 200:
            self.writer.close()
            raise Refused(self.answer)
        self.lines = collections.deque()
        return self

    async def line(self):
        return (await self.reader.readuntil(b"\n")).decode().rstrip("\n")

    async def next(self):
        got = {}
        while True:
            line = await within(self.line())
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(":")
                got[name] = value.removeprefix(" ")
            elif "data" in got:
                return got.get("id"), got.get("event"), json.loads(got["data"])

    def close(self):
        self.writer.close()

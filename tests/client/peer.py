# SPDX-License-Identifier: Apache-2.0
"""A peer made by hand, so that it can misbehave: SDP, ICE (controlling, to a lite server), DTLS and SRTP over one UDP socket.

What it does wrong is said by its Manners. Its media are packets that look like Opus, VP8 or H264 to a forwarding server.
"""
import asyncio
import collections
import dataclasses
import hashlib
import hmac
import os
import re
import struct
import zlib

from aiortc.rtcdtlstransport import RTCCertificate
from OpenSSL import SSL
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

MAGIC = 0x2112a442
CHECK_S = 0.1
FORMATS = {"opus": (111, "opus/48000/2"), "VP8": (96, "VP8/90000"), "H264": (102, "H264/90000"), "PCMU": (0, "PCMU/8000")}
FMTP = {"H264": "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}
AUDIO = ("opus", "PCMU")
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"


@dataclasses.dataclass
class Manners:
    """What is wrong with a peer; by default nothing."""
    checks: bool = True                 # it sends connectivity checks
    good_password: bool = True
    answers: bool = True                # it answers the server's checks
    dtls: bool = True                   # it speaks DTLS
    srtp_profile: bool = True           # it offers use_srtp
    good_fingerprint: bool = True
    good_keys: bool = True
    setup: str = ""                     # a=setup of its SDP; "": actpass in an offer, active in an answer


def token():
    return os.urandom(12).hex()


def sections(sdp):
    """The session's part and those of its m-lines."""
    parts = re.split(r"(?m)^(?=m=)", sdp.replace("\r\n", "\n"))
    return parts[0], parts[1:]


def value(part, name, default=None):
    found = re.search(r"(?m)^a=%s:(.*)$" % re.escape(name), part)
    return found.group(1).strip() if found else default


def direction(part):
    return re.search(r"(?m)^a=(sendrecv|sendonly|recvonly|inactive)$", part).group(1)


@dataclasses.dataclass
class Line:
    """An m-line as this peer has it."""
    mid: str
    kind: str
    direction: str
    ssrc: int
    codecs: dict = dataclasses.field(default_factory=dict)      # name -> payload type
    theirs: list = dataclasses.field(default_factory=list)      # the server's SSRCs
    seq: int = 1
    level: int = 0                                              # id of the extension for the audio level; 0: none


class Peer(asyncio.DatagramProtocol):
    certificate = None

    def __init__(self, manners=None, codecs=("opus", "VP8")):
        self.manners, self.codecs = manners or Manners(), codecs
        self.ufrag, self.pwd = token()[:8], token()
        self.remote = {}
        self.lines = {}                             # mid -> Line
        self.received = collections.Counter()       # (SSRC, payload type) of RTP -> packets
        self.feedback = collections.Counter()       # RTCP types
        self.tx = self.rx = None
        self.asked = collections.deque(maxlen=100)      # ids of checks
        self.nominated = self.connected = self.gone = False
        self.silent = False
        self.changed = asyncio.Event()
        self.senders = {}
        self.key_frames = {}                        # SSRC -> how many were asked for
        self.tasks = []
        if Peer.certificate is None:
            Peer.certificate = RTCCertificate.generateCertificate()

    @classmethod
    async def make(cls, *args, **kwargs):
        self = cls(*args, **kwargs)
        await self.bind()
        return self

    async def bind(self):
        self.socket, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.port = self.socket.get_extra_info("sockname")[1]

    # ---- SDP ----

    def transport_lines(self, setup):
        digest = Peer.certificate.getFingerprints()[0].value
        if not self.manners.good_fingerprint:
            digest = ":".join(["00"] * 32)
        return ["a=ice-ufrag:" + self.ufrag, "a=ice-pwd:" + self.pwd, "a=fingerprint:sha-256 " + digest,
                "a=setup:" + (self.manners.setup or setup), "a=rtcp-mux", "a=rtcp-rsize",
                "a=candidate:1 1 udp 2130706431 127.0.0.1 %d typ host" % self.port]

    def media_lines(self, line, setup):
        out = ["m=%s 9 UDP/TLS/RTP/SAVPF %s" % (line.kind, " ".join(str(pt) for pt in line.codecs.values()) or "0"),
               "c=IN IP4 0.0.0.0", "a=mid:" + line.mid, "a=" + line.direction]
        out += self.transport_lines(setup)
        if line.level:
            out.append("a=extmap:%d %s" % (line.level, LEVEL))
        for name, pt in line.codecs.items():
            out.append("a=rtpmap:%d %s" % (pt, FORMATS[name][1]))
            if name in FMTP:
                out.append("a=fmtp:%d %s" % (pt, FMTP[name]))
            if line.kind == "video":
                out += ["a=rtcp-fb:%d nack" % pt, "a=rtcp-fb:%d nack pli" % pt, "a=rtcp-fb:%d goog-remb" % pt]
        if line.direction in ("sendonly", "sendrecv"):
            out += ["a=msid:m %s" % line.mid, "a=ssrc:%d cname:tests" % line.ssrc]
        return out

    def description(self, lines, setup):
        out = ["v=0", "o=- %d 1 IN IP4 127.0.0.1" % int.from_bytes(os.urandom(4), "big"), "s=-", "t=0 0",
               "a=group:BUNDLE " + " ".join(line.mid for line in lines)]
        for line in lines:
            out += self.media_lines(line, setup)
        return "\r\n".join(out) + "\r\n"

    def line(self, mid, kind, way, formats):
        old = self.lines.get(mid)
        ssrc = old.ssrc if old else int.from_bytes(os.urandom(4), "big") | 1
        self.lines[mid] = Line(mid, kind, way, ssrc, formats, level=1 if kind == "audio" else 0)
        return self.lines[mid]

    def offer(self, way, kinds=("audio", "video")):
        """For WHIP ("sendonly") or WHEP ("recvonly")."""
        lines = []
        for i, kind in enumerate(kinds):
            formats = {c: FORMATS[c][0] for c in self.codecs if (c in AUDIO) == (kind == "audio")}
            lines.append(self.line(str(i), kind, way, formats))
        return self.description(lines, "actpass")

    def read_line(self, part, line):
        found = re.search(r"(?m)^a=extmap:(\d+)\S* %s" % LEVEL, part)
        line.level = int(found.group(1)) if found else 0
        line.theirs = [int(s) for s in dict.fromkeys(re.findall(r"(?m)^a=ssrc:(\d+) ", part))]
        for key in ("ice-ufrag", "ice-pwd", "setup"):
            if value(part, key):
                self.remote[key] = value(part, key)
        found = re.search(r"(?m)^a=candidate:\S+ 1 udp \d+ (127\S+) (\d+) typ", part, re.I)
        if found:
            self.remote["address"] = (found.group(1), int(found.group(2)))

    async def answered(self, sdp):
        """Takes the answer to offer(), and connects."""
        head, parts = sections(sdp)
        for key in ("ice-ufrag", "ice-pwd", "setup"):
            if value(head, key):
                self.remote[key] = value(head, key)
        for part in parts:
            line = self.lines[value(part, "mid")]
            taken = re.match(r"m=\S+ (\d+) \S+ (.*)", part)
            accepted = taken.group(2).split()
            line.codecs = {c: pt for c, pt in line.codecs.items() if str(pt) in accepted and taken.group(1) != "0"}
            self.read_line(part, line)
        self.start("client" if self.remote["setup"] == "passive" else "server")

    def take_line(self, part, sends):
        """The m-line of the answer to one of an offer."""
        mid, kind = value(part, "mid"), part[2:7]
        formats = {}
        for pt, name in re.findall(r"(?m)^a=rtpmap:(\d+) ([^/\s]+)", part):
            known = [c for c in self.codecs if c.lower() == name.lower()]
            if known and known[0] not in formats:
                formats[known[0]] = int(pt)
        theirs = direction(part)
        mine = {"sendonly": "recvonly", "inactive": "inactive", "recvonly": "sendonly" if mid in sends else "inactive"}[theirs]
        line = self.line(mid, kind, mine, formats)
        self.read_line(part, line)
        return line

    async def answer(self, sdp, sends):
        """The answer to an offer of the server; sends: mids of m-lines to send on. New credentials of the server's are an
        ICE restart: it gets new ones in return, and a socket of its own (another address)."""
        _, parts = sections(sdp)
        before = self.remote.get("ice-ufrag")
        lines = [self.take_line(part, sends) for part in parts]
        if before and self.remote["ice-ufrag"] != before:
            self.socket.close()
            self.ufrag, self.pwd = token()[:8], token()
            self.nominated = False
            self.asked.clear()
            await self.bind()
        text = self.description(lines, "active")
        if not before:
            self.start("client" if self.manners.setup != "passive" else "server")
        return text

    # ---- its life ----

    def start(self, role):
        self.tasks.append(asyncio.ensure_future(self.check()))
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(Peer.certificate._cert)
        context.use_privatekey(Peer.certificate._key)
        context.set_cipher_list(b"HIGH:!CAMELLIA:!aNULL")
        if self.manners.srtp_profile:
            context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
        self.tls, self.role = SSL.Connection(context), role
        self.tls.set_connect_state() if role == "client" else self.tls.set_accept_state()

    def wake(self):
        self.changed.set()
        self.changed = asyncio.Event()

    async def wait(self, what, is_so, deadline_s=30):
        end = asyncio.get_running_loop().time() + deadline_s
        while not is_so():
            try:
                await asyncio.wait_for(self.changed.wait(), end - asyncio.get_running_loop().time())
            except asyncio.TimeoutError:
                raise AssertionError("never: " + what)

    async def up(self):
        await self.wait("connected", lambda: self.connected)
        return self

    def send(self, data):
        if not self.silent and not self.socket.is_closing():
            self.socket.sendto(data, self.remote["address"])

    def stop(self):
        """As a process that is killed: nothing is said."""
        for task in self.tasks + list(self.senders.values()):
            task.cancel()
        self.socket.close()

    def close_dtls(self):
        try:
            self.tls.shutdown()
        except SSL.Error:
            pass
        self.flush()

    # ---- ICE, RFC 8445 and 8489 ----

    def stun(self, kind, tid, attributes, key):
        def attribute(number, data):
            return struct.pack(">HH", number, len(data)) + data + b"\0" * (-len(data) % 4)

        def head(body, more):
            return struct.pack(">HHI", kind, len(body) + more, MAGIC) + tid
        body = b"".join(attribute(number, data) for number, data in attributes)
        body += attribute(0x0008, hmac.digest(key, head(body, 24) + body, hashlib.sha1))
        body += attribute(0x8028, struct.pack(">I", zlib.crc32(head(body, 8) + body) ^ 0x5354554e))
        return head(body, 0) + body

    async def check(self):
        while self.manners.checks:
            pwd = self.remote["ice-pwd"] if self.manners.good_password else "x" * 24
            name = "%s:%s" % (self.remote["ice-ufrag"], self.ufrag)
            self.asked.append(os.urandom(12))
            self.send(self.stun(1, self.asked[-1], [(0x0006, name.encode()), (0x0024, struct.pack(">I", 1845501695)),
                                                (0x802a, os.urandom(8)), (0x0025, b"")], pwd.encode()))
            await asyncio.sleep(1 if self.nominated else CHECK_S)
            self.kick_dtls()

    def on_stun(self, data, address):
        kind, tid = struct.unpack(">H", data[:2])[0], data[8:20]
        if kind == 0x0001 and self.manners.answers and self.manners.checks:
            port = address[1] ^ MAGIC >> 16
            ip = int.from_bytes(bytes(map(int, address[0].split("."))), "big") ^ MAGIC
            where = struct.pack(">BBHI", 0, 1, port, ip)
            self.send(self.stun(0x0101, tid, [(0x0020, where)], self.pwd.encode()))
        if kind == 0x0101 and not self.nominated and tid in self.asked:
            self.nominated = True
            self.kick_dtls()
            self.wake()

    # ---- DTLS, RFC 6347 and 5764 ----

    def flush(self):
        """Each record in a datagram of its own."""
        try:
            data = self.tls.bio_read(65536)
        except SSL.Error:
            return
        while len(data) >= 13:
            n = 13 + int.from_bytes(data[11:13], "big")
            self.send(data[:n])
            data = data[n:]

    def kick_dtls(self):
        if self.connected or not self.nominated or not self.manners.dtls:
            return
        try:
            self.tls.do_handshake()
            self.connected = True
        except SSL.WantReadError:
            pass                                        # OpenSSL sends again by itself when it is asked again later
        except SSL.Error:
            self.gone = True
        self.flush()
        if self.connected:
            self.make_keys()
            self.wake()

    def make_keys(self):
        keys = self.tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 60)
        ours, theirs = (keys[:16] + keys[32:46], keys[16:32] + keys[46:60])[::1 if self.role == "client" else -1]
        if not self.manners.good_keys:
            ours = bytes(30)
        policies = Policy(key=ours, ssrc_type=Policy.SSRC_ANY_OUTBOUND), Policy(key=theirs, ssrc_type=Policy.SSRC_ANY_INBOUND)
        self.tx, self.rx = (Session(policy) for policy in policies)

    def on_dtls(self, data):
        if not self.manners.dtls:
            return
        self.tls.bio_write(data)
        if not self.connected:
            self.kick_dtls()
            return
        try:
            if self.tls.recv(2048) == b"":
                self.gone = True
        except SSL.ZeroReturnError:
            self.gone = True
        except SSL.Error:
            pass
        self.flush()
        self.wake()

    # ---- media ----

    def datagram_received(self, data, address):
        if data[0] < 4:
            self.on_stun(data, address)
        elif 20 <= data[0] < 64:
            self.on_dtls(data)
        elif 128 <= data[0] < 192 and self.rx:
            self.on_media(data)

    def on_media(self, data):
        try:
            if 192 <= data[1] < 224:
                self.on_rtcp(self.rx.unprotect_rtcp(data))
            else:
                data = self.rx.unprotect(data)
                self.received[struct.unpack(">I", data[8:12])[0], data[1] & 127] += 1
        except SrtpError:
            self.feedback["unauthentic"] += 1
        self.wake()

    def on_rtcp(self, data):
        while len(data) >= 8:
            n = 4 * (1 + int.from_bytes(data[2:4], "big"))
            what = (data[1], data[0] & 31)
            self.feedback[what] += 1
            if what == (206, 1):                        # RFC 4585 section 6.3.1: PLI
                self.key_frames[int.from_bytes(data[8:12], "big")] = True
            data = data[n:]

    def got(self, mid):
        """Packets that came on an m-line, by its SSRCs."""
        return sum(n for (ssrc, _), n in self.received.items() if ssrc in self.lines[mid].theirs)

    def rtp(self, line, seq, ts, payload, marker=False, pt=None, ssrc=None):
        codec = next(iter(line.codecs))
        pt = line.codecs[codec] if pt is None else pt
        head = struct.pack(">BBHII", 144 if line.level else 128, pt | marker << 7, seq & 0xffff, ts & 0xffffffff, ssrc or line.ssrc)
        if line.level:                                  # RFC 8285 section 4.2, RFC 6464 section 3: speech, and loud
            head += struct.pack(">HHBBH", 0xbede, 1, line.level << 4, 0x80 | 10, 0)
        self.send(self.tx.protect(head + payload))

    def play(self, mid, **how):
        """Starts to send on an m-line, over and over what a microphone or a camera would; again: changes how."""
        self.hush(mid)
        self.senders[mid] = asyncio.ensure_future(self.sending(self.lines[mid], **how))

    def hush(self, mid):
        if mid in self.senders:
            self.senders.pop(mid).cancel()

    async def sending(self, line, size=0, key_frames=True, pt=None, ssrc=None, every_s=0.02):
        seq = line.seq
        while True:
            codec = next(iter(line.codecs))
            key = key_frames and (seq % 50 == 1 or self.key_frames.pop(line.ssrc, False))
            payload = frame(codec, key) + bytes(size)
            self.rtp(line, seq, seq * int(every_s * (48000 if line.kind == "audio" else 90000)), payload,
                     line.kind == "video", pt, ssrc)
            line.seq = seq = seq + 1
            await asyncio.sleep(every_s)


def frame(codec, key):
    """A small whole frame."""
    if codec == "VP8":                                  # RFC 7741 sections 4.2 and 4.3; RFC 6386 section 9.1
        return b"\x10" + (b"\x10\x02\x00\x9d\x01\x2a\xa0\x00\x5a\x00" + bytes(20) if key else b"\x11\x02\x00" + bytes(20))
    if codec == "H264":                                 # RFC 6184 section 5.7.1: STAP-A of SPS, PPS and IDR
        units = [bytes.fromhex("6742e01f8d680a03da"), bytes.fromhex("68ce3c80"), b"\x65" + bytes(20)] if key else [b"\x41" + bytes(20)]
        return b"\x78" + b"".join(struct.pack(">H", len(u)) + u for u in units)
    return b"\x78" + bytes(40)                          # RFC 6716 section 3.1: one frame of CELT, 20 ms


class Relay:
    """A UDP relay: the server's address for its clients, and a client's address for the server. up and down are asked for
    each datagram whether it is lost."""

    def __init__(self):
        self.up = self.down = lambda data: False
        self.behind = {}                                # client address -> socket towards the server

    async def open(self, port, server):
        self.server = server
        loop = asyncio.get_running_loop()
        relay = self

        class Front(asyncio.DatagramProtocol):
            def datagram_received(self, data, address):
                relay.from_client(data, address)
        self.front, _ = await loop.create_datagram_endpoint(Front, ("127.0.0.1", port))
        return self

    def from_client(self, data, address):
        if self.up(data):
            return
        if address in self.behind:
            if self.behind[address]:
                self.behind[address].sendto(data)
            return
        self.behind[address] = None
        asyncio.ensure_future(self.connect(data, address))

    async def connect(self, data, address):
        relay = self

        class Back(asyncio.DatagramProtocol):
            def datagram_received(self, got, _):
                if not relay.down(got):
                    relay.front.sendto(got, address)
        self.behind[address], _ = await asyncio.get_running_loop().create_datagram_endpoint(Back, remote_addr=self.server)
        self.behind[address].sendto(data)

    def close(self):
        self.front.close()
        for back in self.behind.values():
            if back:
                back.close()


def is_rtp(data):
    """And neither RTCP, DTLS nor STUN."""
    return 128 <= data[0] < 192 and not 192 <= data[1] < 224

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/server/run.py [SLUICE [FILTER]] — the built server as an operator sees it: start, log, signals, end.

Each test starts servers of its own on ports that the system chooses, and waits for events (a line, an answer, an exit),
at most DEADLINE_S for each. Nothing here needs a browser: the offer is a recorded one whose peer never comes.
Last line: "server: N passed, N failed, N skipped".
"""
import errno
import hashlib
import hmac
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib

DEADLINE_S = 60
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SLUICE = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/release/sluice"))
OFFER = open(os.path.join(ROOT, "tests/vectors/sdp/chromium.sdp"), newline="").read()
TOKEN = "tok3n-that-no-log-shows"
NOBODY = 65534

tests = []
servers = []                    # of the test that runs
all_logs = []                   # (test, line): looked through for secrets at the end
secrets = {TOKEN}


class Skip(Exception):
    pass


def test(fn):
    tests.append(fn)
    return fn


def check(ok, *what):
    if not ok:
        raise AssertionError(" ".join(str(w) for w in what) or "check failed")


def equal(got, want):
    check(got == want, "got", repr(got), "want", repr(want))


def until(what, fn):
    """Asks again and again until it is so: each question is an event of its own (a request, a connection)."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        got = fn()
        if got:
            return got
    raise AssertionError("never: " + what)


class Lines:
    """What a pipe says, line by line, as it comes."""

    def __init__(self, pipe, on_line=None):
        self.lines, self.ended = [], False
        self.changed = threading.Condition()
        self.on_line = on_line
        self.thread = threading.Thread(target=self.read, args=(pipe,), daemon=True)
        self.thread.start()

    def read(self, pipe):
        for raw in pipe:
            line = raw.decode("utf-8", "surrogateescape")
            if self.on_line:
                self.on_line(line)
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, what, after=0):
        """Number of the first line from `after` on that has `what` in it."""
        def find():
            for i in range(after, len(self.lines)):
                if what in self.lines[i]:
                    return i + 1
            return -1 if self.ended else 0
        with self.changed:
            at = self.changed.wait_for(find, DEADLINE_S)
        check(at and at > 0, "no line with", repr(what), "in", "".join(self.lines[-20:]))
        return at - 1

    def text(self):
        self.thread.join(DEADLINE_S)
        return "".join(self.lines)


class Server:
    """A running server, past its ready line. Defaults but for the ports; logs all there is to log."""

    def __init__(self, *flags, env=None, preexec=None, binary=SLUICE, quiet=False, media=True):
        self.args = [binary, "--http.port=0"]
        if media:
            self.args += ["--media.port=0", "--media.bind=127.0.0.1"]
        if not quiet:
            self.args += ["--log.level=debug"]
        self.args += flags
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
        clean.update(env or {})
        self.proc = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                     env=clean, preexec_fn=preexec, cwd=scratch())
        servers.append(self)
        name = current
        self.err = Lines(self.proc.stderr, lambda line: all_logs.append((name, line)))
        self.out = Lines(self.proc.stdout, lambda line: all_logs.append((name, line)))
        self.out.wait("\n")
        self.ready = json.loads(self.out.lines[0])
        self.port = self.ready["http"]["port"]
        self.pid = self.proc.pid

    def signal(self, number):
        os.kill(self.pid, number)

    def exit(self):
        return self.proc.wait(DEADLINE_S)

    def connect(self, tls=None, host="127.0.0.1"):
        if tls:
            return http.client.HTTPSConnection(host, self.port, timeout=DEADLINE_S, context=tls)
        return http.client.HTTPConnection(host, self.port, timeout=DEADLINE_S)

    def ask(self, method, path, body=None, tls=None, host="127.0.0.1", **headers):
        """(status, headers, text)"""
        c = self.connect(tls, host)
        try:
            c.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            r = c.getresponse()
            return r.status, r.headers, r.read().decode()
        finally:
            c.close()

    def publish(self, room="room", **headers):
        status, got, text = self.ask("POST", "/whip/" + room, OFFER, Content_Type="application/sdp", **headers)
        if status == 201:
            secrets.update(re.findall(r"a=ice-pwd:(\S+)", text + OFFER))
        return status, got, text

    def drains(self):
        until("/readyz 503", lambda: self.ask("GET", "/readyz")[0] == 503)

    def cleanup(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait(DEADLINE_S)
        self.out.thread.join(DEADLINE_S)
        self.err.thread.join(DEADLINE_S)
        self.proc.stdout.close()
        self.proc.stderr.close()


def run(*flags, env=None):
    """A server that is to end by itself: (exit status, stdout, stderr)."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
    clean.update(env or {})
    done = subprocess.run([SLUICE, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          env=clean, timeout=DEADLINE_S, cwd=scratch())
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def scratch(name=None, text=None):
    """The test's own folder, or a file in it."""
    if name is None:
        return folder
    path = os.path.join(folder, name)
    if text is not None:
        with open(path, "w") as f:
            f.write(text)
    return path


def own_address():
    """An address of this machine that is not loopback. Nothing is sent: connect() on UDP only looks up the route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            raise Skip("this machine has no address but loopback")
        return s.getsockname()[0]


def refused(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(DEADLINE_S)
        return s.connect_ex((host, port)) == errno.ECONNREFUSED


def anyone():
    """A TLS client that takes any certificate."""
    ctx = ssl.create_default_context()
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    return ctx


def make_cert(name):
    """(certificate file, key file), with that common name."""
    cert, key = scratch(name + ".pem"), scratch(name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=" + name, "-out", cert, "-keyout", key],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=DEADLINE_S)
    return cert, key


def served_cert(server):
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as raw, anyone().wrap_socket(raw) as s:
        return ssl.DER_cert_to_PEM_cert(s.getpeercert(True)).replace("\n", "")


def file_cert(path):
    return open(path).read().replace("\n", "")


# ---- a peer that can do ICE and nothing else ----


class Peer:
    """One end of a session that checks as a browser does, by the credentials of the offer and of an answer."""

    def __init__(self, answer):
        found = dict(re.findall(r"a=(ice-ufrag|ice-pwd|fingerprint):(?:sha-256 )?(\S+)", answer))
        self.name = "%s:%s" % (found["ice-ufrag"], re.search(r"a=ice-ufrag:(\S+)", OFFER).group(1))
        self.key = found["ice-pwd"].encode()
        self.fingerprint = found["fingerprint"]
        self.candidates = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (\S+)", answer)
        self.address = (self.candidates[0][0], int(self.candidates[0][1]))
        self.socket = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(self.address)

    def request(self, key=None):
        """A Binding request that nominates: (transaction id, datagram)."""
        def attribute(kind, value):
            return struct.pack(">HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)

        def head(body, more):
            return struct.pack(">HHI", 1, len(body) + more, 0x2112a442) + tid
        tid = os.urandom(12)
        body = attribute(0x0006, self.name.encode()) + attribute(0x0024, struct.pack(">I", 1845501695))
        body += attribute(0x802a, os.urandom(8)) + attribute(0x0025, b"")
        body += attribute(0x0008, hmac.digest(key or self.key, head(body, 24) + body, hashlib.sha1))
        body += attribute(0x8028, struct.pack(">I", zlib.crc32(head(body, 8) + body) ^ 0x5354554e))
        return tid, head(body, 0) + body

    def check(self):
        """Asks until a success response to the question comes."""
        def asked():
            tid, datagram = self.request()
            self.socket.settimeout(1)
            self.socket.send(datagram)
            try:
                while True:
                    got = self.socket.recv(2048)
                    if got[:2] == b"\x01\x01" and got[8:20] == tid:
                        return True
            except (TimeoutError, ConnectionRefusedError):
                return False
        until("an answer to a check", asked)

    def datagram(self, first):
        """The next one that begins with such a byte."""
        self.socket.settimeout(DEADLINE_S)
        while True:
            got = self.socket.recv(2048)
            if got[0] == first:
                return got

    def close(self):
        self.socket.close()


# ---- start ----


@test
def ready_line_is_one_json_object_with_the_real_ports():
    s = Server("--loops=2")
    equal(s.ready["ready"], True)
    equal(s.ready["pid"], s.pid)
    equal(s.ready["http"]["url"], "http://127.0.0.1:%d/" % s.port)
    check(s.port > 0)
    equal(s.ask("GET", "/healthz")[0], 200)
    equal([m["loop"] for m in s.ready["media"]], [0, 1])
    ports = {m["port"] for m in s.ready["media"]}
    equal(len(ports), 2)
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            try:
                u.bind(("127.0.0.1", port))
                check(False, "nobody has UDP port", port)
            except OSError as e:
                equal(e.errno, errno.EADDRINUSE)
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)
    equal(s.out.text().count("\n"), 1)
    equal(run("--version")[1], "sluice %s\n" % s.ready["version"])


@test
def without_a_word_there_is_a_loop_for_each_core():
    for flags in ((), ("--loops=auto",), ("--loops=0",)):
        equal(len(Server(*flags).ready["media"]), min(os.sysconf("SC_NPROCESSORS_ONLN"), 64))


@test
def ready_line_names_a_url_that_answers_for_every_way_to_bind():
    for bind, url in (("0.0.0.0", "http://localhost:"), ("127.0.0.3", "http://127.0.0.3:")):
        s = Server("--bind=" + bind, "--token=" + TOKEN)
        equal(s.ready["http"]["url"], "%s%d/" % (url, s.port))
        equal(s.ask("GET", "/healthz", host="127.0.0.3")[0], 200)
    try:
        s = Server("--bind=::1")
    except AssertionError:
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError:
                raise Skip("this machine has no IPv6 loopback")
        raise
    equal(s.ready["http"]["url"], "http://[::1]:%d/" % s.port)
    equal(s.ask("GET", "/healthz", host="::1")[0], 200)


@test
def help_version_and_reference_go_to_standard_output():
    for flag in ("--help", "-h"):
        status, out, err = run(flag)
        equal((status, err), (0, ""))
        check("--http.port" in out and "Usage: sluice" in out)
    status, out, err = run("--version")
    equal((status, err), (0, ""))
    check(re.fullmatch(r"sluice \d+\.\d+\.\d+\S*\n", out), out)
    status, out, err = run("--config-reference")
    equal((status, err), (0, ""))
    equal(out, open(os.path.join(ROOT, "docs/config.md")).read())


@test
def wrong_options_end_with_status_2_and_the_mend():
    for flags, want in ((["--prot=1"], "sluice: --prot: there is no such key"),
                        (["--http.prt=1"], "did you mean http.port?"),
                        (["--http.port=70000"], "use a whole number from 0 to 65535"),
                        (["--log.level=loud"], "log.level: use error, warn, info or debug"),
                        (["--log.format=xml"], "log.format: use logfmt or json"),
                        (["--http.cert=a.pem"], "http.cert and http.key go together"),
                        (["--media.announce=192.0.2.1:9", "--media.port=0"], "media.announce: an ip:port needs a fixed"),
                        (["--config", "/nowhere.yaml"], "/nowhere.yaml: No such file"),
                        (["serve"], "serve: flags begin with --")):
        status, out, err = run(*flags)
        equal((status, out), (2, ""))
        check(want in err and err.startswith("sluice: ") and err.count("\n") == 1, flags, err)
    status, _, err = run(env={"SLUICE_HTTP_PORT": "x"})
    equal(status, 2)
    check("environment: SLUICE_HTTP_PORT: " in err, err)


@test
def bad_yaml_names_file_line_and_mend():
    path = scratch("bad.yaml", "http:\n  port: 1\n  prot: 2\n")
    equal(run("--config", path), (2, "", "sluice: %s:3: http.prot: there is no such key; did you mean http.port?\n" % path))
    path = scratch("worse.yaml", "http:\n  port: [\n")
    status, _, err = run("--config", path)
    equal(status, 2)
    check(err.startswith("sluice: %s:2: http.port: " % path), err)


@test
def flags_win_over_environment_over_file():
    path = scratch("some.yaml", "http:\n  token: of-the-file\nloops: 3\nlog: {format: json}\n")
    s = Server("--loops=1", "--config", path, env={"SLUICE_LOOPS": "2", "SLUICE_HTTP_TOKEN": TOKEN})
    equal(len(s.ready["media"]), 1)
    equal(s.publish(Authorization="Bearer of-the-file")[0], 401)
    equal(s.publish(Authorization="Bearer " + TOKEN)[0], 201)
    json.loads(s.err.lines[0])
    secrets.add("of-the-file")


@test
def kurentos_own_files_lie_below_ours_and_what_means_nothing_is_told_once():
    os.makedirs(scratch("kms/modules/kurento"))
    path = scratch("kms/kurento.conf.json", """{ "mediaServer": { "net": { "websocket": {
        // "port": 1,
        "path": "elsewhere", "threads": 10 } } } }""")
    scratch("kms/modules/kurento/SdpEndpoint.conf.json", '{"audioCodecs": [{"name": "opus/48000/2"}, {"name": "PCMU/8000"}]}')
    s = Server("--kurento.conf=" + path, env={"KMS_UID": "1000"})
    equal(s.ask("GET", "/kurento")[0], 404)
    check(s.ask("GET", "/elsewhere")[0] != 404)
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)
    for key in ("mediaServer.net.websocket.threads", "audioCodecs.name", "KMS_UID"):
        equal(len([line for line in s.err.text().splitlines() if "keys=" + key in line and "why=" in line]), 1)
    s = Server("--kurento.conf=" + path, "--kurento.path=kurento")
    check(s.ask("GET", "/kurento")[0] != 404)


@test
def kurentos_own_files_end_with_status_2_and_the_mend_when_they_are_wrong():
    path = scratch("kms.ini", "[modules.kurento.BaseRtpEndpoint]\nmtu=9000\n")
    equal(run("--kurento.conf=" + path), (2, "", "sluice: %s:2: modules.kurento.BaseRtpEndpoint.mtu: "
          '"9000" is not possible; use a whole number from 296 to 1500\n' % path))
    status, _, err = run("--kurento.conf=/nowhere.json")
    equal((status, err[:47]), (2, "sluice: /nowhere.json: there is no such file; n"))


@test
def t43_listens_on_loopback_only_by_default():
    s = Server(media=False)
    equal(s.ask("GET", "/healthz")[0], 200)
    check(refused("127.0.0.2", s.port))
    try:
        mine = own_address()
    except Skip:
        return
    check(refused(mine, s.port))


@test
def t43_refuses_to_start_elsewhere_without_a_token():
    for bind in ("0.0.0.0", "::", "192.0.2.1"):
        status, out, err = run("--http.port=0", "--bind=" + bind)
        equal((status, out), (2, ""))
        check("http.token" in err and "--insecure" in err, err)
    for how in ("--token=" + TOKEN, "--insecure"):
        s = Server("--bind=0.0.0.0", how)
        equal(s.ask("GET", "/healthz", host="127.0.0.2")[0], 200)


@test
def port_in_use_ends_with_status_1_and_says_which():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        u.bind(("127.0.0.1", 0))
        port = u.getsockname()[1]
        status, out, err = run("--http.port=0", "--media.bind=127.0.0.1", "--media.port=%d" % port, "--loops=1")
    equal((status, out), (1, ""))
    check("127.0.0.1:%d" % port in err and "in use" in err and "media.port" in err, err)
    first = Server()
    status, out, err = run("--http.port=%d" % first.port, "--media.port=0", "--media.bind=127.0.0.1")
    equal((status, out), (1, ""))
    check(str(first.port) in err and "in use" in err and "http.port" in err, err)
    equal(first.ask("GET", "/healthz")[0], 200)


# ---- the end ----


@test
def sigterm_without_sessions_ends_at_once():
    s = Server("--drain_s=86400")
    s.signal(signal.SIGTERM)
    equal(s.exit(), 0)
    check("draining" in s.err.text() and "why=drained" in s.err.text())


@test
def r01_sigterm_drains_and_ends_with_the_last_session():
    s = Server("--drain_s=86400", "--ice.timeout=600")
    status, headers, _ = s.publish()
    equal(status, 201)
    equal(s.ask("GET", "/readyz")[0], 200)
    s.signal(signal.SIGTERM)
    s.drains()
    check(int(s.ask("GET", "/readyz")[1]["Retry-After"]) > 0)
    for path in ("/whip/room", "/whip/other", "/whep/room"):
        status, got, text = s.ask("POST", path, OFFER, Content_Type="application/sdp")
        equal(status, 503)
        check(int(got["Retry-After"]) > 0)
        equal(json.loads(text)["status"], 503)
    equal(s.ask("GET", "/healthz")[0], 200)
    check(s.proc.poll() is None)
    check(s.ask("DELETE", headers["Location"])[0] in (200, 204))
    equal(s.exit(), 0)
    check("why=drained" in s.err.text())


@test
def r01_drain_time_is_bounded():
    for drain_s in (0, 1):
        s = Server("--drain_s=%d" % drain_s, "--ice.timeout=600")
        equal(s.publish()[0], 201)
        s.signal(signal.SIGTERM)
        equal(s.exit(), 0)
        check("drain time is over" in s.err.text())


@test
def r01_second_sigterm_ends_at_once():
    s = Server("--drain_s=86400", "--ice.timeout=600")
    equal(s.publish()[0], 201)
    s.signal(signal.SIGTERM)
    s.drains()
    s.signal(signal.SIGTERM)
    equal(s.exit(), 0)
    check("second SIGTERM" in s.err.text())


@test
def sigint_ends_at_once_with_sessions_and_connections():
    s = Server("--drain_s=86400", "--ice.timeout=600", "--loops=2")
    for i in range(4):
        equal(s.publish("room%d" % i)[0], 201)
    idle = [socket.create_connection(("127.0.0.1", s.port), DEADLINE_S) for _ in range(3)]
    idle[1].send(b"GET /healthz HT")
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)
    for i in idle:
        i.close()


@test
def clients_of_kurento_are_told_that_the_server_ends():
    s = Server()
    with socket.create_connection(("127.0.0.1", s.port), DEADLINE_S) as c:
        c.sendall(b"GET /kurento HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % s.port)
        check(c.recv(4096).startswith(b"HTTP/1.1 101 "))
        s.signal(signal.SIGTERM)
        told = b""
        while more := c.recv(4096):
            told += more
    equal(told[:4], b"\x88" + bytes([len(told) - 2]) + (1001).to_bytes(2, "big"))
    equal(s.exit(), 0)


@test
def session_whose_peer_never_comes_ends_by_itself():
    s = Server("--drain_s=86400", "--ice.timeout=1")
    equal(s.publish()[0], 201)
    s.signal(signal.SIGTERM)
    equal(s.exit(), 0)
    check("why=drained" in s.err.text())


# ---- HTTPS ----


@test
def https_and_plain_share_the_port():
    cert, key = make_cert("one")
    s = Server("--http.cert", cert, "--http.key", key)
    equal(s.ready["http"]["url"], "https://127.0.0.1:%d/" % s.port)
    equal(s.ask("GET", "/healthz", tls=anyone())[0], 200)
    equal(s.ask("GET", "/healthz")[0], 200)
    equal(served_cert(s), file_cert(cert))


@test
def plain_requests_from_elsewhere_are_sent_to_https():
    mine = own_address()
    cert, key = make_cert("one")
    s = Server("--http.cert", cert, "--http.key", key, "--bind=0.0.0.0", "--token=" + TOKEN)
    status, headers, _ = s.ask("GET", "/whip/a%20b", host=mine)
    equal(status, 308)
    equal(headers["Location"], "https://%s:%d/whip/a%%20b" % (mine, s.port))
    equal(s.ask("GET", "/healthz", tls=anyone(), host=mine)[0], 200)


@test
def sighup_shows_the_renewed_certificate_to_new_connections():
    cert, key = make_cert("old")
    new_cert, new_key = make_cert("new")
    s = Server("--http.cert", cert, "--http.key", key)
    equal(served_cert(s), file_cert(cert))
    old = s.connect(anyone())
    old.connect()                       # shakes hands with the old one, asks later
    os.replace(new_cert, cert)
    os.replace(new_key, key)
    s.signal(signal.SIGHUP)
    s.err.wait("http.cert read again")
    equal(served_cert(s), file_cert(cert))
    old.request("GET", "/healthz")
    equal(old.getresponse().status, 200)
    old.close()


@test
def sighup_with_a_broken_file_keeps_the_old_certificate():
    cert, key = make_cert("old")
    other_cert, other_key = make_cert("other")
    was = file_cert(cert)
    good_key = open(key).read()
    s = Server("--http.cert", cert, "--http.key", key)
    seen = 0
    for name, text in ((cert, "rubbish"), (cert, ""), (cert, None), (key, "rubbish"), (key, open(other_key).read())):
        keep = open(name).read()
        os.unlink(name)
        if text is not None:
            scratch(os.path.basename(name), text)
        s.signal(signal.SIGHUP)
        seen = s.err.wait("http.cert cannot be read again", seen) + 1
        equal(served_cert(s), was)
        equal(s.ask("GET", "/healthz", tls=anyone())[0], 200)
        scratch(os.path.basename(name), keep)
    equal(open(key).read(), good_key)
    os.replace(other_cert, cert)        # and it heals
    os.replace(other_key, key)
    s.signal(signal.SIGHUP)
    s.err.wait("http.cert read again", seen)
    equal(served_cert(s), file_cert(cert))


@test
def sighup_without_https_changes_nothing():
    s = Server()
    s.signal(signal.SIGHUP)
    equal(s.ask("GET", "/healthz")[0], 200)
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)


@test
def certificate_that_cannot_be_read_ends_with_status_1():
    cert, key = make_cert("one")
    _, other_key = make_cert("other")
    for c, k in (("/nowhere.pem", key), (scratch("no.pem", "rubbish"), key), (cert, other_key)):
        status, out, err = run("--http.port=0", "--media.port=0", "--media.bind=127.0.0.1", "--http.cert", c, "--http.key", k)
        equal((status, out), (1, ""))
        check("http.cert" in err, err)


# ---- media ----


def loopback6():
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            raise Skip("this machine has no IPv6 loopback")


@test
def a_check_is_answered_and_the_handshake_begins_over_ipv4_and_ipv6():
    for ip in ("127.0.0.1", "::1"):
        if ip == "::1":
            loopback6()
        s = Server("--media.port=0", "--media.bind=" + ip, media=False)
        equal([[ip]] * len(s.ready["media"]), [[re.sub(r"^\[?(.*?)\]?:\d+$", r"\1", a) for a in m["addresses"]]
                                              for m in s.ready["media"]])
        status, _, answer = s.publish()
        equal(status, 201)
        p = Peer(answer)
        equal([(c[0], c[2]) for c in p.candidates], [(ip, "host")])
        p.check()
        hello = p.datagram(22)
        equal((hello[13], hello[1]), (1, 0xfe))         # a ClientHello in a DTLS record: we are the client
        p.close()


@test
def t08_nothing_unauthenticated_is_answered_before_or_after_a_check():
    s = Server()
    p = Peer(s.publish()[2])
    p.check()
    p.datagram(22)
    stranger = Peer(s.publish("other")[2])
    for junk in (stranger.request(b"wrong")[1], b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"x" * 12, b"\x16\xfe\xfd" + b"\0" * 50,
                 b"\x80\x60" + b"\0" * 40, b"\x80\xc8" + b"\0" * 40, b"\x40\x00\x00\x04abcd", b"", b"\xff" * 1400):
        stranger.socket.send(junk)
    # The first answer that the stranger gets is to the first question that is signed.
    tid, datagram = stranger.request()
    stranger.socket.send(datagram)
    got = stranger.socket.recv(2048)
    equal((got[:2], got[8:20]), (b"\x01\x01", tid))
    check(len(got) <= len(datagram), len(got), len(datagram))
    stranger.close()
    p.close()


@test
def announced_addresses_stand_in_the_answer():
    s = Server("--media.announce=203.0.113.7,2001:db8::7")
    port = str(s.ready["media"][0]["port"])
    answer = s.publish()[2]
    check(("203.0.113.7", port, "host") in Peer(answer).candidates, answer)
    check("127.0.0.1 " + port not in answer, answer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    s = Server("--loops=1", "--media.bind=127.0.0.1", "--media.port=%d" % port, "--media.announce=203.0.113.7:4000", media=False)
    equal(Peer(s.publish()[2]).candidates, [("203.0.113.7", "4000", "host")])


@test
def ice_servers_are_told_as_links():
    s = Server("--ice.servers=stun:stun.example.org,turn:turn.example.org?transport=udp")
    for path in ("/whip/room", "/whep/room"):
        offer = OFFER if "whip" in path else OFFER.replace("a=sendrecv", "a=recvonly").replace("a=sendonly", "a=recvonly")
        status, headers, _ = s.ask("POST", path, offer, Content_Type="application/sdp")
        equal(status, 201)
        equal([link.split(";")[0] for link in headers.get_all("Link")],
              ["<stun:stun.example.org>", "<turn:turn.example.org?transport=udp>"])


@test
def a_name_is_free_again_when_its_holder_has_been_silent_for_six_seconds():
    s = Server("--ice.timeout=600")
    path = "room?participant=ann"
    status, headers, answer = s.publish(path)
    equal(status, 201)
    holder = Peer(answer)
    holder.check()
    status, _, text = s.publish(path)
    equal(status, 409)
    equal(json.loads(text)["status"], 409)
    equal(s.publish("elsewhere?participant=ann")[0], 201)

    def taken_over():
        status = s.publish(path)[0]
        check(status in (201, 409), status)
        return status == 201
    until("the name is free", lambda: taken_over() or time.sleep(0.2))
    equal(s.ask("DELETE", headers["Location"])[0], 404)
    check("replaced" in s.err.lines[s.err.wait("session closed")])
    holder.close()


@test
def dtls_cert_may_be_rsa_and_is_what_the_answer_names():
    cert, key = scratch("rsa.pem"), scratch("rsa.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=rsa", "-out", cert,
                    "-keyout", key], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=DEADLINE_S)
    os.chmod(key, 0o600)
    for c, k in ((cert, key), make_cert("ec")):
        os.chmod(k, 0o600)
        s = Server("--dtls.cert", c, "--dtls.key", k)
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(open(c).read())).hexdigest().upper()
        p = Peer(s.publish()[2])
        equal(p.fingerprint.replace(":", ""), digest)
        p.check()
        equal(p.datagram(22)[13], 1)
        p.close()
    status, out, err = run("--http.port=0", "--media.port=0", "--media.bind=127.0.0.1", "--dtls.cert", cert, "--dtls.key",
                           make_cert("ec")[1])
    equal((status, out), (1, ""))
    check("dtls.cert" in err, err)


@test
def t12_two_servers_have_different_certificates():
    equal(len({Peer(Server().publish()[2]).fingerprint for _ in range(3)}), 3)


# ---- limits ----


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


@test
def r20_out_of_descriptors_new_ones_get_503_and_everything_running_goes_on():
    s = Server("--loops=1", "--ice.timeout=600", "--http.header_timeout_ms=60000", preexec=few_descriptors, quiet=True)
    status, headers, _ = s.publish()
    equal(status, 201)
    early = socket.create_connection(("127.0.0.1", s.port), DEADLINE_S)
    equal(s.ask("GET", "/healthz")[0], 200)         # so `early` has been accepted
    held, answer = [], b""
    while not answer:
        c = socket.create_connection(("127.0.0.1", s.port), DEADLINE_S)
        held.append(c)
        check(len(held) < 200, "never out of descriptors")
        if len(held) > 30:
            c.settimeout(0.2)                       # accepted ones say nothing
            try:
                answer = c.recv(4096)
            except TimeoutError:
                pass
    check(answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After:" in answer, answer)
    early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    check(early.recv(4096).startswith(b"HTTP/1.1 200 "))
    early.close()
    for c in held:
        c.close()
    until("answers again", lambda: healthy(s))
    equal(s.publish("other")[0], 201)
    check(s.ask("DELETE", headers["Location"])[0] in (200, 204))
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)


def healthy(server):
    try:
        return server.ask("GET", "/healthz")[0] == 200
    except OSError:
        return False


@test
def too_few_descriptors_to_start_say_so():
    def none():
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
    done = subprocess.run([SLUICE, "--http.port=0", "--media.port=0", "--media.bind=127.0.0.1", "--loops=4"], preexec_fn=none,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=DEADLINE_S)
    equal((done.returncode, done.stdout), (1, b""))
    check(done.stderr)


# ---- logs and secrets ----


@test
def json_log_is_one_object_a_line():
    s = Server("--log.format=json", "--token=" + TOKEN, "--ice.timeout=600")
    equal(s.publish(Authorization="Bearer " + TOKEN)[0], 201)
    equal(s.publish()[0], 401)
    equal(s.publish("bad%0aroom", Authorization="Bearer " + TOKEN)[0] // 100, 4)
    s.ask("GET", "/%1b%5b31m%22%0d%0alevel=error", Authorization="Bearer " + TOKEN)
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)
    s.err.text()
    check(len(s.err.lines) > 3)
    for line in s.err.lines:
        got = json.loads(line)
        check({"time", "level", "module", "msg"} <= set(got), line)
        check(got["level"] in ("error", "warn", "info", "debug"), line)


@test
def log_level_is_set_by_module():
    s = Server("--log.level=error,whip=info", quiet=True)
    equal(s.publish()[0], 201)
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)
    s.err.text()
    check(any("session opened" in line for line in s.err.lines))
    for line in s.err.lines:
        check("module=whip" in line or "level=error" in line, line)
    s = Server("--log.level=debug,whip=error", quiet=True)
    equal(s.publish()[0], 201)
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)
    check("module=room" in s.err.text() and "module=whip" not in s.err.text(), s.err.text())


@test
def t53_a_key_that_everybody_may_read_is_refused():
    cert, key = make_cert("one")
    for which in ("dtls", "http"):
        for mode, refused_ in ((0o644, True), (0o604, True), (0o640, False), (0o600, False)):
            os.chmod(key, mode)
            flags = ("--%s.cert" % which, cert, "--%s.key" % which, key)
            if not refused_:
                Server(*flags)
                continue
            status, out, err = run("--http.port=0", "--media.port=0", "--media.bind=127.0.0.1", *flags)
            equal((status, out), (1, ""))
            check(key in err and "chmod 600" in err, err)


@test
def t29_logfmt_lines_cannot_be_forged():
    s = Server("--ice.timeout=600")
    s.ask("GET", "/%0d%0atime=2000-01-01T00:00:00Z%20level=error%20msg=forged%1b%5b31m")
    s.publish("a%20b%22c%0a")
    s.ask("GET", "/healthz", User_Agent="x\ty", Origin="http://a\x1b[31m")
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)
    for line in s.err.text().splitlines():
        check(re.match(r"time=\S+ level=(error|warn|info|debug) module=[a-z]+ msg=", line), line)
        check(not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line), repr(line))


@test
def t53_nothing_is_for_others_and_the_process_cannot_be_looked_into():
    binary, drop = SLUICE, None
    if os.getuid() == 0:                # root may look into anything: be somebody else
        binary = shutil.copy(SLUICE, scratch("sluice"))
        os.chmod(binary, 0o755)
        os.chmod(scratch(), 0o755)

        def drop():
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
    s = Server(preexec=drop, binary=binary)
    status = open("/proc/%d/status" % s.pid).read()
    equal(re.search(r"^Umask:\s+(\d+)", status, re.M).group(1), "0027")
    # man 5 proc: the files of a process that is not dumpable belong to root.
    equal(os.stat("/proc/%d/mem" % s.pid).st_uid, 0)
    looked = subprocess.run(["cat", "/proc/%d/environ" % s.pid], preexec_fn=drop, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=DEADLINE_S)
    check(looked.returncode != 0 and looked.stdout == b"" and b"denied" in looked.stderr, looked)


@test
def t53_a_crash_leaves_no_core():
    def allow():
        limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
    s = Server(preexec=allow)
    s.signal(signal.SIGABRT)
    _, how = os.waitpid(s.pid, 0)
    s.proc.returncode = -os.WTERMSIG(how)
    equal(os.WTERMSIG(how), signal.SIGABRT)
    check(not os.WCOREDUMP(how))
    check(not [f for f in os.listdir(scratch()) if f.startswith("core")])


@test
def t29_no_token_or_password_of_this_run_is_in_any_log():
    s = Server("--token=" + TOKEN, "--ice.timeout=600")
    status, headers, _ = s.publish(Authorization="Bearer " + TOKEN)
    equal(status, 201)
    equal(s.publish(Authorization="Bearer wrong-" + TOKEN)[0], 401)
    equal(s.ask("GET", "/whip/room?token=" + TOKEN)[0] // 100, 4)
    frag = "a=ice-ufrag:frsh\r\na=ice-pwd:frag-password-of-24-chars\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    secrets.add("frag-password-of-24-chars")
    status, _, text = s.ask("PATCH", headers["Location"], frag, Content_Type="application/trickle-ice-sdpfrag", If_Match="*",
                            Authorization="Bearer " + TOKEN)
    equal(status, 200)
    secrets.update(re.findall(r"a=ice-pwd:(\S+)", text))
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)
    s.err.text()
    check(len(secrets) >= 4 and len(all_logs) > 100, len(secrets), len(all_logs))
    for name, line in all_logs:
        for secret in secrets:
            check(secret not in line, name, line)


# ---- Kurento's clients ----


class Kurento:
    """A connection to /kurento. Requests may be sent in one go; answers come in order."""

    def __init__(self, server):
        self.sock = socket.create_connection(("127.0.0.1", server.port), DEADLINE_S)
        self.sock.sendall(b"GET /kurento HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        self.file = self.sock.makefile("rb")
        equal(self.file.readline(), b"HTTP/1.1 101 Switching Protocols\r\n")
        while self.file.readline() != b"\r\n":
            pass
        self.id = 0

    def send(self, opcode, data):
        n = len(data)
        head = bytes([0x80 | opcode, 0x80 | n]) if n < 126 else bytes([0x80 | opcode, 0xfe]) + struct.pack(">H", n)
        self.sock.sendall(head + b"\0\0\0\0" + data)

    def receive(self):
        """The next message; pings are answered."""
        whole = b""
        while True:
            first, n = self.file.read(2)
            n = struct.unpack(">H", self.file.read(2))[0] if n == 126 else struct.unpack(">Q", self.file.read(8))[0] if n == 127 else n
            data = self.file.read(n)
            if first & 15 == 9:
                self.send(10, data)
                continue
            check(first & 15 < 3, "closed:", data)
            whole += data
            if first & 0x80:
                return json.loads(whole)

    def many(self, requests):
        """[(method, params)] to their results."""
        ids = []
        for method, params in requests:
            self.send(1, json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}).encode())
            ids.append(self.id)
            self.id += 1
        answers = {}
        while len(answers) < len(ids):
            m = self.receive()
            if "id" in m:
                check("result" in m, m)
                answers[m["id"]] = m["result"]
        return [answers[i] for i in ids]

    def ask(self, method, **params):
        return self.many([(method, params)])[0]


def descriptors(s):
    return len(os.listdir("/proc/%d/fd" % s.pid))


def memory_kib(s):
    return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % s.pid).read()).group(1))


@test
def a_thousand_pipelines_come_and_go_twenty_times_and_give_everything_back():
    s = Server("--kurento.session_creates_per_s=1000000", "--kurento.messages_per_s=100000", quiet=True)
    k = Kurento(s)
    k.ask("describe", object="manager_ServerManager")
    files = descriptors(s)
    memory = []
    for _ in range(20):
        made = []
        for _ in range(10):
            pipelines = [r["value"] for r in k.many([("create", {"type": "MediaPipeline"})] * 100)]
            k.many([("create", {"type": t, "constructorParams": {"mediaPipeline": p}}) for p in pipelines
                    for t in ("PassThrough", "WebRtcEndpoint")])
            made += pipelines
        equal(len(k.ask("invoke", object="manager_ServerManager", operation="getPipelines")["value"]), 1000)
        for at in range(0, 1000, 100):
            k.many([("release", {"object": p}) for p in made[at:at + 100]])
        equal(k.ask("invoke", object="manager_ServerManager", operation="getPipelines")["value"], [])
        memory.append(memory_kib(s))
    equal(descriptors(s), files)
    check(memory[-1] < memory[9] + 4096, "memory in KiB after each round:", memory)


@test
def a_server_that_drains_waits_for_kurentos_objects_and_makes_no_new_ones():
    s = Server("--drain_s=86400")
    k = Kurento(s)
    pipeline = k.ask("create", type="MediaPipeline")["value"]
    for gauge in ("sessions", "pipelines", "objects"):
        check(f"\nsluice_kurento_{gauge} 1\n" in s.ask("GET", "/metrics")[2], "not one of its", gauge)
    s.signal(signal.SIGTERM)
    s.drains()
    k.send(1, json.dumps({"jsonrpc": "2.0", "id": "x", "method": "create", "params": {"type": "MediaPipeline"}}).encode())
    equal(k.receive()["error"]["code"], 40009)
    k.ask("release", object=pipeline)
    equal(s.exit(), 0)
    s.err.wait("why=drained")


@test
def kurentos_clients_need_the_token_and_its_health_check_does_not():
    s = Server("--token=" + TOKEN)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
               "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    equal(s.ask("GET", "/kurento", **upgrade)[0], 401)
    equal(s.ask("GET", "/kurento", Connection="Upgrade", Upgrade="websocket")[0], 500)
    c = s.connect()
    c.request("GET", "/kurento?token=" + TOKEN, None, {k.replace("_", "-"): v for k, v in upgrade.items()})
    equal(c.getresponse().status, 101)
    c.close()
    s.signal(signal.SIGINT)
    equal(s.exit(), 0)


# ---- installed, and run by make ----


@test
def make_run_starts_the_server_and_passes_signals_on():
    build, variant = os.path.split(os.path.dirname(SLUICE))
    if variant != "release":
        raise Skip("make run builds the release")
    make = subprocess.Popen(["make", "-C", ROOT, "BUILD=" + build, "run",
                             "ARGS=--http.port=0 --media.port=0 --media.bind=127.0.0.1 --drain_s=86400"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        out, err = Lines(make.stdout), Lines(make.stderr)
        ready = json.loads(out.lines[out.wait('{"ready":true')])
        check(ready["http"]["url"].startswith("http://127.0.0.1:"))
        make.send_signal(signal.SIGTERM)
        err.wait("why=drained")
        make.wait(DEADLINE_S)
    finally:
        if make.poll() is None:
            os.killpg(make.pid, signal.SIGKILL)
        out.thread.join(DEADLINE_S)
        err.thread.join(DEADLINE_S)
        make.stdout.close()
        make.stderr.close()


@test
def make_install_puts_a_server_that_runs_under_destdir():
    build, variant = os.path.split(os.path.dirname(SLUICE))
    subprocess.run(["make", "-s", "-C", ROOT, "BUILD=" + build, "VARIANT=" + variant, "DESTDIR=" + scratch(), "PREFIX=/usr", "install"],
                   check=True, stdout=subprocess.PIPE, timeout=5 * DEADLINE_S)
    found = sorted(os.path.relpath(os.path.join(at, name), scratch()) for at, _, names in os.walk(scratch()) for name in names)
    equal(found, ["usr/bin/sluice", "usr/bin/sluice-load", "usr/share/doc/sluice/LICENSE", "usr/share/doc/sluice/README.md"])
    s = Server(binary=scratch("usr/bin/sluice"))
    equal(s.ask("GET", "/")[0], 200)                    # the page is in the binary
    equal(s.publish()[0], 201)


# ---- running them ----


def run_one(fn):
    """None, or why not."""
    global folder, current
    current = fn.__name__
    folder = tempfile.mkdtemp(prefix="sluice-test-")
    try:
        fn()
        return None
    finally:
        for s in servers:
            s.cleanup()
        servers.clear()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    passed = failed = skipped = 0
    for fn in tests:
        if len(sys.argv) > 2 and sys.argv[2] not in fn.__name__:
            continue
        try:
            run_one(fn)
            passed += 1
        except Skip as why:
            print("skipped: %s: %s" % (fn.__name__, why))
            skipped += 1
        except Exception:
            print("FAILED: %s\n%s" % (fn.__name__, traceback.format_exc()))
            for name, line in all_logs[-30:]:
                if name == fn.__name__:
                    print("    " + line.rstrip("\n"))
            failed += 1
        sys.stdout.flush()
    print("server: %d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

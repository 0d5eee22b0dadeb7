# SPDX-License-Identifier: Apache-2.0
"""Plain RTP in, SRTP out, one to many: what sluice (by /kurento) and rtpengine (by its ng protocol) are told, and the
plan that the load generator then follows."""
import base64
import json
import os
import re
import socket
import struct

FIRST_PORT = 20000      # the generator's; servers have theirs from 40000 on
SUITE = 'AES_CM_128_HMAC_SHA1_80'
HOST = '127.0.0.1'


class RelayError(Exception):
    """A server refuses, or says what cannot be understood."""


def new_key():
    return base64.b64encode(os.urandom(30)).decode()


def peer_ports(n):
    """Even ports of loopback, each with its neighbour free."""
    port = FIRST_PORT
    while n > 0:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, \
             socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
            try:
                a.bind((HOST, port))
                b.bind((HOST, port + 1))
                yield port
                n -= 1
            except OSError:
                pass
        port += 2


def session(port, direction, key=None):
    """One m-line of VP8, ours."""
    lines = ['v=0', 'o=- 1 1 IN IP4 ' + HOST, 's=-', 'c=IN IP4 ' + HOST, 't=0 0',
             f'm=video {port} RTP/{"SAVP" if key else "AVP"} 96', 'a=rtpmap:96 VP8/90000']
    if key:
        lines.append(f'a=crypto:1 {SUITE} inline:{key}')
    return '\r\n'.join([*lines, 'a=' + direction, ''])


def far_end(sdp):
    """Where the server is, as IP:PORT, and its key of the suite, if it has one."""
    port = re.search(r'^m=video (\d+) ', sdp, re.M)
    key = re.search(rf'^a=crypto:\d+ {SUITE} inline:([^\s|]+)', sdp, re.M)
    if not port or port[1] == '0':
        raise RelayError(f'nothing was accepted: {sdp}')
    return f'{HOST}:{port[1]}', key and key[1]


def crypto_tag(sdp):
    found = re.search(rf'^a=crypto:(\d+) {SUITE} ', sdp, re.M)
    return int(found[1]) if found else 1


class WebSocket:
    """RFC 6455 as far as one client of one server needs it."""

    def __init__(self, host, port, path):
        self.sock = socket.create_connection((host, port), 20)
        self.file = self.sock.makefile('rb')
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f'GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n'
                           f'Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n'
                           'Sec-WebSocket-Version: 13\r\n\r\n').encode())
        if b' 101 ' not in self.file.readline():
            raise RelayError('the server does not speak WebSocket there')
        while self.file.readline().strip():
            pass

    def say(self, text):
        data, mask = text.encode(), os.urandom(4)
        size = (struct.pack('!BB', 0x81, 0x80 | len(data)) if len(data) < 126
                else struct.pack('!BBH', 0x81, 0x80 | 126, len(data)))
        self.sock.sendall(size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def hear(self):
        """The next text; control frames and events of no interest are skipped by callers."""
        while True:
            first, size = self.file.read(2)
            if size == 126:
                size, = struct.unpack('!H', self.file.read(2))
            elif size == 127:
                size, = struct.unpack('!Q', self.file.read(8))
            data = self.file.read(size)
            if first & 15 == 1:
                return data.decode()

    def close(self):
        self.sock.close()


class Kurento:
    """JSON-RPC of one program."""

    def __init__(self, url):
        host, port = re.match(r'http://([^:/]+):(\d+)', url).groups()
        self.socket = WebSocket(host, int(port), '/kurento')
        self.number = 0
        self.session = {}

    def call(self, method, **params):
        self.number += 1
        self.socket.say(json.dumps({'jsonrpc': '2.0', 'id': self.number, 'method': method,
                                    'params': {**params, **self.session}}))
        while True:
            answer = json.loads(self.socket.hear())
            if answer.get('id') == self.number:
                break
        if 'error' in answer:
            raise RelayError(f'{method}: {answer["error"]}')
        self.session = {'sessionId': answer['result']['sessionId']}
        return answer['result'].get('value')

    def endpoint(self, pipeline, offer, **more):
        o = self.call('create', type='RtpEndpoint',
                      constructorParams={'mediaPipeline': pipeline, **more})
        return o, self.call('invoke', object=o, operation='processOffer',
                            operationParams={'offer': offer})


def plan_sluice(url, n):
    """One endpoint that the publisher sends to, N that are fed from it. The connection is kept: with it the objects."""
    rpc = Kurento(url)
    pipeline = rpc.call('create', type='MediaPipeline', constructorParams={})
    ports = peer_ports(n + 1)
    port = next(ports)
    source, answer = rpc.endpoint(pipeline, session(port, 'sendonly'))
    plan = {'publishers': [{'port': port, 'peer': far_end(answer)[0]}], 'subscribers': []}
    for port in ports:
        sink, answer = rpc.endpoint(pipeline, session(port, 'recvonly', new_key()),
                                    crypto={'crypto': 'AES_128_CM_HMAC_SHA1_80'})
        rpc.call('invoke', object=source, operation='connect', operationParams={'sink': sink})
        peer, key = far_end(answer)
        plan['subscribers'].append({'port': port, 'peer': peer, 'key': key})
    return plan, rpc


def bencode(v):
    if isinstance(v, int):
        return b'i%de' % v
    if isinstance(v, str):
        v = v.encode()
        return b'%d:%s' % (len(v), v)
    if isinstance(v, list):
        return b'l' + b''.join(map(bencode, v)) + b'e'
    return b'd' + b''.join(bencode(k) + bencode(v[k]) for k in sorted(v)) + b'e'


def bdecode(data, at=0):
    """(value, where it ends)."""
    if data[at:at + 1] == b'i':
        end = data.index(b'e', at)
        return int(data[at + 1:end]), end + 1
    if data[at:at + 1] in (b'l', b'd'):
        is_list, items, at = data[at:at + 1] == b'l', [], at + 1
        while data[at:at + 1] != b'e':
            item, at = bdecode(data, at)
            items.append(item)
        return (items if is_list else dict(zip(items[::2], items[1::2]))), at + 1
    colon = data.index(b':', at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end].decode(), end


class Ng:
    """rtpengine's control protocol: a cookie and a dictionary in a datagram, both ways."""

    def __init__(self, port):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect((HOST, port))
        self.sock.settimeout(5)

    def call(self, command, **params):
        # Who says the same cookie again gets the same answer again.
        cookie = os.urandom(8).hex().encode()
        message = {'command': command, **{k.replace('_', '-'): v for k, v in params.items()}}
        self.sock.send(cookie + b' ' + bencode(message))
        answer = self.sock.recv(65536)
        got, _, body = answer.partition(b' ')
        reply = bdecode(body)[0]
        if got != cookie or reply.get('result') not in ('ok', 'pong'):
            raise RelayError(f'{command}: {reply}')
        return reply

    def close(self):
        self.sock.close()


def plan_rtpengine(control_port, n):
    ng = Ng(control_port)
    ports = peer_ports(n + 1)
    port = next(ports)
    common = {'call_id': 'bench'}
    # It takes formats that it could not transcode only by name.
    answer = ng.call('publish', from_tag='camera', sdp=session(port, 'sendonly'),
                     codec={'accept': ['VP8']}, **common)
    plan = {'publishers': [{'port': port, 'peer': far_end(answer['sdp'])[0]}], 'subscribers': []}
    for i, port in enumerate(ports):
        tag = f'player{i}'
        offer = ng.call('subscribe request', from_tag='camera', to_tag=tag,
                        transport_protocol='RTP/SAVP', DTLS='off', ICE='remove', **common)
        peer, key = far_end(offer['sdp'])
        # RFC 4568 section 5.1.2: the tag that was chosen, and a key of our own.
        ours = session(port, 'recvonly', new_key()).replace('crypto:1 ',
                                                            f'crypto:{crypto_tag(offer["sdp"])} ')
        ng.call('subscribe answer', to_tag=tag, sdp=ours, **common)
        plan['subscribers'].append({'port': port, 'peer': peer, 'key': key})
    return plan, ng

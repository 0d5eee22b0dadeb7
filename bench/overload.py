# SPDX-License-Identifier: Apache-2.0
"""The server beyond saturation, for real: what it gives up, in which order, what it says, and that all of it comes back.

The server has one core, which busy processes then share until it is left with too little; so its loop really falls
behind, while the generator, on another core, goes on. Processes are added until half of the video is withheld, so it
holds on machines of any speed."""
import ctypes
import http.client
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time

from servers import BenchError, Load, Sluice, pinned

WAIT_S = 60                     # for what must come in the end
BUSY_BY = 8                     # busy processes at a time
BUSY_MAX = 80
PRESS_S = 2.5                   # before there are more of them
PRESSED = 0.5                   # of the video withheld
WHY = 'the media loops cannot keep up'
OFFER = 'v=0\r\n'               # who is refused is not read


def end_with_parent():
    """PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Pressure:
    """Processes that never rest, on one core."""

    def __init__(self, core):
        self.core, self.children = core, []

    def more(self):
        if len(self.children) >= BUSY_MAX:
            raise BenchError(f'{BUSY_MAX} busy processes on its core did not bring it behind')
        for _ in range(BUSY_BY):
            self.children.append(subprocess.Popen([*pinned(self.core), 'sh', '-c', 'while :; do :; done'],
                                                  preexec_fn=end_with_parent))

    def end(self):
        for child in self.children:
            child.kill()
        for child in self.children:
            child.wait()
        self.children = []


class Client:
    """HTTP to the server, and its events as they come."""

    def __init__(self, url):
        self.address = url.partition('//')[2]
        self.events = {'load': queue.Queue(), 'overload': queue.Queue()}
        self.stream = http.client.HTTPConnection(self.address, timeout=2 * WAIT_S)
        self.stream.request('GET', '/v1/events')
        threading.Thread(target=self.read, args=(self.stream.getresponse(),), daemon=True).start()

    def read(self, stream):
        try:
            for line in stream:
                e = json.loads(line[5:]) if line.startswith(b'data:') else {'type': None}
                if e['type'] in self.events:
                    self.events[e['type']].put(e)
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass                        # the server's end, or ours

    def event(self, kind, right=lambda e: True, wait_s=WAIT_S):
        """The next such event, or None when there was none in that time."""
        end = time.monotonic() + wait_s
        while True:
            try:
                e = self.events[kind].get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                return None
            if right(e):
                return e

    def ask(self, method, path, body=None):
        """(status, headers, text); an answer that takes longer is none."""
        c = http.client.HTTPConnection(self.address, timeout=20)
        try:
            c.request(method, path, body, {'Content-Type': 'application/sdp'} if body else {})
            answer = c.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            c.close()


def unpin(pid):
    """All its threads, so that what else runs on that core does not stand in for the pressure."""
    for thread in os.listdir(f'/proc/{pid}/task'):
        os.sched_setaffinity(int(thread), os.sched_getaffinity(0))


def press(client, pressure):
    """Until half of the video is withheld: what was not as it should be."""
    faults = []
    pressure.more()
    first = client.event('load', wait_s=PRESS_S)
    while not first:
        pressure.more()
        first = client.event('load', wait_s=PRESS_S)
    if not first['busy'] or first['videoWithheld'] != 0:
        faults.append(f'the first that it says is {first}: new sessions are refused first')
    faults += refused(client)
    while not client.event('load', lambda e: e['videoWithheld'] >= PRESSED, PRESS_S):
        pressure.more()
    return faults + refused(client) + told(client)


def refused(client):
    faults = []
    for path in ('/whip/late?participant=late', '/whep/load'):
        status, headers, _ = client.ask('POST', path, OFFER)
        if status != 503 or not int(headers.get('Retry-After', '0')) > 0:
            faults.append(f'{path} while it is busy: {status}, Retry-After {headers.get("Retry-After")}')
    return faults


def gauge(text, name):
    return float(re.search(rf'(?m)^{name}\{{loop="0"\}} (\S+)$', text).group(1))


def told(client):
    """What /v1/loops, /metrics and the events say while video is withheld."""
    loop = json.loads(client.ask('GET', '/v1/loops')[2])['loops'][0]
    metrics = client.ask('GET', '/metrics')[2]
    faults = []
    if not loop['busy'] or loop['videoWithheld'] * 8 not in range(1, 9):
        faults.append(f'/v1/loops says {loop}')
    if gauge(metrics, 'sluice_loop_busy') != 1 or not gauge(metrics, 'sluice_video_withheld_ratio') > 0 or \
            not gauge(metrics, 'sluice_video_shed_total') > 0:
        faults.append('/metrics does not say that it is busy and what it withholds')
    refusal = client.event('overload')
    if not refusal or refusal['reason'] != WHY or not refusal['refused'] > 0:
        faults.append(f'of those refused it says {refusal}')
    return faults


def back(client):
    """The pressure is over: nothing is withheld any more, and then new sessions are welcome."""
    last = client.event('load', lambda e: not e['busy'])
    if not last:
        return [f'it is still busy {WAIT_S} s after there was room again']
    loop = json.loads(client.ask('GET', '/v1/loops')[2])['loops'][0]
    return [f'no longer busy: {last}, and /v1/loops {loop}'] if last['videoWithheld'] or loop['videoWithheld'] else []


def media_faults(o, n):
    """Of the window that saw all of it: audio complete, video not."""
    audio, video, faults = o['audio'], o['video'], []
    if audio['lost'] > o['generator_drops']:
        faults.append(f'{audio["lost"]} packets of audio lost')
    # The last one of each may be under way.
    if audio['received'] + o['generator_drops'] < (audio['sent'] - 1) * n or not audio['sent']:
        faults.append(f'audio: {audio["sent"]} sent to {n}, {audio["received"]} received')
    if video['received'] >= video['sent'] * n:
        faults.append('all of the video came')
    if o['bad']:
        faults.append(f'{o["bad"]} packets are not what was sent')
    return faults


def overloaded(build, path, n, server_core, load_core, log):
    """(faults before, of and after the overload; the window over it; the window after it)"""
    # A datagram at a time costs the server many times what it costs the generator, which so has time to spare.
    server = Sluice('sluice', build, server_core, log, ['--media.gso=false'])
    pressure, loads = Pressure(server_core), []
    try:
        loads.append(Load(build, server, path, n, load_core, log))
        if loads[0].wait('ready', 120)['silent']:
            raise BenchError('not everybody got every track before there was any pressure')
        client = Client(server.url)
        loads[0].say('measure 3600')
        loads[0].wait('begin', 10)
        faults = press(client, pressure)
        pressure.end()
        unpin(server.pid)
        faults += back(client)
        loads[0].say('end')
        through = loads[0].wait('result', 30)
        # Others, in a room of their own: `ready` comes with the first packet of every track.
        loads.append(Load(build, server, path, 1, load_core, log, ['--room', 'again']))
        if loads[1].wait('ready', 60)['silent']:
            faults.append('who came afterwards got not every track')
        loads[0].say('drain 1.5')
        after = loads[0].wait('result', 30)
        return faults + media_faults(through, n), through, after
    finally:
        pressure.end()
        for load in loads:
            load.end()
        server.end()

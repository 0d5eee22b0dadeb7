# SPDX-License-Identifier: Apache-2.0
"""Servers under test and the load generator, as processes: started, asked, ended."""
import json
import os
import pathlib
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import relay

HERE = pathlib.Path(__file__).resolve().parent
TICK = os.sysconf('SC_CLK_TCK')
PAGE = os.sysconf('SC_PAGE_SIZE')
JANUS_LIB = '/usr/lib/x86_64-linux-gnu/janus'


class BenchError(Exception):
    """Something did not start, or ended, or did not answer."""


def pinned(core):
    """Words before a command that keep all its threads on one core."""
    return [] if core is None else ['taskset', '-c', str(core)]


def process_cpu_s(pid):
    """User and system time of all threads of a process, those that ended included."""
    text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    fields = text.rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def process_rss(pid):
    """Resident bytes."""
    return int(pathlib.Path(f'/proc/{pid}/statm').read_text().split()[1]) * PAGE


def core_busy_s(core):
    """What a core has worked, for anybody; None without a core."""
    if core is None:
        return None
    for line in pathlib.Path('/proc/stat').read_text().splitlines():
        words = line.split()
        if words[0] == f'cpu{core}':
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, words[1:9])
            return (user + nice + system + irq + softirq + steal) / TICK
    raise BenchError(f'there is no core {core}')


def stop(child):
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def free_port():
    """A TCP port of loopback that is free now."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Process:
    """A child whose lines on standard output are JSON events."""

    def __init__(self, command, log, stdin=None):
        self.log = log
        self.child = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=log,
                                      text=True, bufsize=1)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.child.stdout, selectors.EVENT_READ)

    @property
    def pid(self):
        return self.child.pid

    def line(self, timeout_s):
        """The next line; an error past the time or at the end."""
        if not self.selector.select(timeout_s):
            raise BenchError(f'{self.child.args[0]} says nothing for {timeout_s} s')
        text = self.child.stdout.readline()
        if not text:
            raise BenchError(f'{" ".join(self.child.args)} ended; see {self.log.name}')
        return text

    def end(self):
        """SIGTERM, and SIGKILL to one that does not go."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()


class Sluice:
    """The server of this project: one loop, loopback, any free ports."""

    kind = 'sluice'

    def __init__(self, name, build, core, log, flags=()):
        self.name = name
        command = [*pinned(core), str(build / 'sluice'), '--loops=1', '--http.port=0',
                   '--media.bind=127.0.0.1', '--media.port=0', '--kurento.conf=',
                   '--kurento.min_port=40000', '--log.level=warn', '--drain_s=0',
                   '--limits.max_sessions=10000', '--rooms.max_participants=10000', *flags]
        self.process = Process(command, log)
        self.url = json.loads(self.process.line(20))['http']['url'].rstrip('/')
        self.control = None
        self.wait_idle()

    @property
    def pid(self):
        return self.process.pid

    def wait_idle(self):
        """Its RSA certificate is made beside the start, which must not be measured."""
        end, before = time.monotonic() + 30, -1
        while time.monotonic() < end and process_cpu_s(self.pid) != before:
            before = process_cpu_s(self.pid)
            time.sleep(0.3)

    def relay(self, n):
        """Plain RTP in, SRTP out to so many: the generator's plan."""
        plan, self.control = relay.plan_sluice(self.url, n)
        return plan

    def end(self):
        if self.control:
            self.control.socket.close()
        self.process.end()


class Janus:
    """janus with its videoroom, as bench/janus/ configures it."""

    kind = 'janus'

    def __init__(self, name, core, log, event_loops=0):
        self.name = name
        if not shutil.which('janus'):
            raise BenchError('janus is not installed; dist/install-packages bench installs it')
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='bench-janus-'))
        port = free_port()
        fill = {'@CONFIG@': str(self.folder), '@LIB@': JANUS_LIB, '@PORT@': str(port),
                '@EVENT_LOOPS@': f'event_loops = {event_loops}' if event_loops else ''}
        for source in (HERE / 'janus').glob('*.jcfg'):
            text = source.read_text()
            for key, value in fill.items():
                text = text.replace(key, value)
            (self.folder / source.name).write_text(text)
        self.url = f'http://127.0.0.1:{port}/janus'
        # Its lines are of no interest; a full pipe would stop it.
        self.child = subprocess.Popen([*pinned(core), 'janus', '-F', str(self.folder)],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_for(port, log)

    def wait_for(self, port, log):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.child.poll() is None:
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        self.end()
        raise BenchError(f'janus does not start; see {log.name}')

    @property
    def pid(self):
        return self.child.pid

    def end(self):
        stop(self.child)
        shutil.rmtree(self.folder, ignore_errors=True)


class Rtpengine:
    """rtpengine without its kernel module, on loopback."""

    def __init__(self, name, core, log):
        self.name = name
        if not shutil.which('rtpengine'):
            raise BenchError('rtpengine is not installed; dist/install-packages bench installs it')
        self.port = free_port()
        self.control = None
        # No table: all of it in user space.
        self.child = subprocess.Popen(
            [*pinned(core), 'rtpengine', '--config-file=none', '--foreground', '--log-stderr',
             '--log-level=4', '--table=-1', f'--interface={relay.HOST}',
             f'--listen-ng={relay.HOST}:{self.port}', '--port-min=40000', '--port-max=60000'],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_for(log)

    def wait_for(self, log):
        end = time.monotonic() + 20
        while time.monotonic() < end and self.child.poll() is None:
            ng = relay.Ng(self.port)
            try:
                ng.call('ping')
                return
            except OSError:
                time.sleep(0.2)
            finally:
                ng.close()
        self.end()
        raise BenchError(f'rtpengine does not start; see {log.name}')

    @property
    def pid(self):
        return self.child.pid

    def relay(self, n):
        plan, self.control = relay.plan_rtpengine(self.port, n)
        return plan

    def end(self):
        if self.control:
            self.control.close()
        stop(self.child)


class Load:
    """sluice-load, joined to a server and obeying commands."""

    def __init__(self, build, server, scenario, n, core, log, extra=(), plan=None):
        if plan:
            self.plan = tempfile.NamedTemporaryFile('w', suffix='.json', encoding='utf-8')
            json.dump(plan, self.plan)
            self.plan.flush()
            how = ['--server', 'rtp', '--plan', self.plan.name]
        else:
            how = ['--server', server.kind, '--url', server.url]
        command = [*pinned(core), str(build / 'sluice-load'), *how, '--scenario', str(scenario),
                   '--n', str(n), '--control', *extra]
        self.process = Process(command, log, stdin=subprocess.PIPE)

    def wait(self, event, timeout_s):
        """The next event of a name; failures and other lines end the run."""
        while True:
            o = json.loads(self.process.line(timeout_s))
            if o['event'] == event:
                return o
            if o['event'] == 'failed':
                raise BenchError(o['why'])

    def say(self, text):
        self.process.child.stdin.write(text + '\n')
        self.process.child.stdin.flush()

    def end(self):
        try:
            self.say('quit')
            self.process.child.stdin.close()
            self.process.child.wait(15)
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.process.end()

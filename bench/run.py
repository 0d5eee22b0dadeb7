#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark: servers under test on one core, the load generator on another.

run.py                  everything: a table, JSON and a plot under bench/results/
run.py --smoke          every scenario on sluice alone, small: is all that arrives what was sent?
run.py --only fanout,audio --servers sluice,floor --sizes 50,100 --rounds 1
Servers: sluice, janus (its default), janus-1 (event_loops = 1), rtpengine (relay only), floor (a bare loop, no server).
docs/bench.md tells what the figures mean."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import time

import overload
import plot
from relay import RelayError
from servers import (BenchError, Janus, Load, Rtpengine, Sluice, core_busy_s, process_cpu_s,
                     process_rss, HERE)

SCENARIOS = ['fanout', 'latency', 'meeting', 'audio', 'churn', 'memory', 'relay']
SMOKE = [*SCENARIOS, 'overload']
SERVERS = ['sluice', 'janus-1', 'janus', 'rtpengine', 'floor']
WARM_UP_S = 1.0
NEAR = 0.85             # of saturation: where the figures are taken
EASY = 0.70             # where the latency of a server with room to spare is taken
CHURN_LOAD = 0.30       # while peers come and go, if the fanout has told what saturates
STEP = 1.25             # between the rates of the search
BEHIND = 0.05           # of the packets that should have come: then they do not
LOWER_TRIES = 6         # where even the first rate is too much
IN_FLIGHT = 0.02        # of a window's packets may be on their way at its end
FULL = 0.97             # of the core: saturated
GENERATOR_FULL = 0.92
LATE_US = 3000          # p99 by which the generator's bursts may be late
FOREIGN = 0.05          # of the server's core, by other programs: the machine is not quiet
LOST = 0.05             # of what was sent: a server that drops it spares itself the work
STARVED_US = 10000      # a generator later than this has no time
SMOKE_TRIES = 3
START_PPS = {'sluice': 60000, 'janus': 12000, 'janus-1': 20000}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, args):
        self.args = args
        self.build = pathlib.Path(args.build).resolve()
        self.server_core, self.load_core = cores(args)
        self.log = open(self.build / 'bench.log', 'w+', encoding='utf-8')
        self.saturation = {}

    def scenario(self, name):
        path = HERE / 'scenarios' / f'{name}.json'
        return path, json.loads(path.read_text())

    def start_server(self, name):
        if name == 'sluice':
            return Sluice(name, self.build, self.server_core, self.log, self.args.flag)
        if name == 'rtpengine':
            return Rtpengine(name, self.server_core, self.log)
        return Janus(name, self.server_core, self.log, 1 if name == 'janus-1' else 0)

    def window(self, server, load, seconds, verb='measure'):
        """One measurement, with the server's own CPU time."""
        load.say(f'{verb} {seconds}')
        load.wait('begin', 10)
        cpu, busy, start = process_cpu_s(server.pid), core_busy_s(self.server_core), time.monotonic()
        o = load.wait('result', seconds + 30)
        wall = time.monotonic() - start
        o['cpu_s'] = process_cpu_s(server.pid) - cpu
        o['server_cpu'] = o['cpu_s'] / wall
        if busy is not None:
            o['foreign_cpu'] = max(0.0, (core_busy_s(self.server_core) - busy) / wall - o['server_cpu'])
        o['cpu_us_per_packet'] = o['cpu_s'] * 1e6 / max(1, o['received'])
        o['rss'] = process_rss(server.pid)
        o['generator_limit'] = (o['generator_cpu'] > GENERATOR_FULL or
                                o['late_us']['p99'] > LATE_US or o['generator_drops'] > 0)
        return o

    def joined(self, name, path, n, extra=()):
        """A server with everybody in it: (server, load, resident bytes before,
        what `ready` says)."""
        server = self.start_server(name)
        load = None
        try:
            time.sleep(0.3)
            before = process_rss(server.pid)
            plan = server.relay(n) if json.loads(path.read_text()).get('relay') else None
            load = Load(self.build, server, path, n, self.load_core, self.log, extra, plan)
            ready = load.wait('ready', 120)
            silent = ready['silent']
            if silent:
                say(f'    {name} N={n}: {silent} subscribers do not get every track')
            return server, load, before, ready
        except BaseException:
            if load:
                load.end()
            server.end()
            raise


def cores(args):
    """The server's and the generator's; None where there is but one."""
    have = sorted(os.sched_getaffinity(0))
    if args.smoke or len(have) < 2:
        return None, None
    return have[0], have[1]


# ---- methods: each runs one point once, and returns a dict of figures ----

def figures(o, n, ready, steady=True):
    keep = ('cpu_us_per_packet', 'pps', 'server_cpu', 'foreign_cpu', 'generator_cpu',
            'generator_limit', 'received', 'lost', 'duplicates', 'reordered', 'bad', 'checked',
            'latency_us', 'late_us', 'join_us', 'generator_drops', 'nacked')
    f = {k: o[k] for k in keep if k in o}
    f['n'] = n
    f['silent'] = ready['silent']
    f['join_first_us'] = {k: ready[f'join_{k}_us'] for k in ('p50', 'p99')}
    # Also what a server left out without a gap; a little is always under way.
    wanted = o['sent'] * n if steady else o['lost'] + o['received']
    missing = wanted * (1 - IN_FLIGHT) - o['received']
    f['loss'] = max(o['lost'], missing, 0) / max(1, wanted)
    return f


def measure_fixed(bench, name, path, scenario, n):
    server, load, before, ready = bench.joined(name, path, n)
    try:
        time.sleep(WARM_UP_S)
        o = bench.window(server, load, bench.args.seconds)
        f = figures(o, n, ready)
        f['rss_per_subscriber'] = (o['rss'] - before) / n
        return f
    finally:
        load.end()
        server.end()


def too_much(bench, server, load, n, rate):
    """Whether a rate is more than can be forwarded: None, or whose limit it is. Twice, as one may be chance."""
    limit = None
    load.say(f'rate video {rate:.0f}')
    time.sleep(0.3)
    for _ in range(2):
        o = bench.window(server, load, 1)
        behind = o['received'] < (1 - BEHIND) * o['sent'] * n
        if o['lost'] > 0.001 * o['received'] or o['server_cpu'] > FULL or behind:
            limit = 'server'
        elif o['generator_limit']:
            limit = 'generator'
        else:
            return None
    return limit


def search(bench, server, load, n, rate):
    """Steps the rate up until packets are lost or a core is full: the best rate, and whose limit that was."""
    limit = too_much(bench, server, load, n, rate)
    for _ in range(LOWER_TRIES):
        if not limit:
            break
        rate /= STEP ** 2
        limit = too_much(bench, server, load, n, rate)
    while not limit:
        rate *= STEP
        limit = too_much(bench, server, load, n, rate)
    return rate / STEP, limit


def measure_saturate(bench, name, path, scenario, n):
    if name == 'floor':
        return measure_floor(bench, n)
    start = START_PPS[name] / n
    known = bench.saturation.get((name, n))
    # While they join it must not be too much already: a server that cannot keep up takes nobody in.
    gently = min(scenario['video']['pps'], start)
    server, load, before, ready = bench.joined(name, path, n, ('--video', f'{gently:.0f}'))
    try:
        if not known:
            known = bench.saturation[name, n] = search(bench, server, load, n, start)
            say(f'    {name} N={n}: saturated at {known[0] * n:.0f} packets/s (by the {known[1]})')
        load.say(f'rate video {NEAR * known[0]:.0f}')
        time.sleep(WARM_UP_S)
        o = bench.window(server, load, bench.args.seconds)
        f = figures(o, n, ready)
        load.say(f'rate video {EASY * known[0]:.0f}')
        time.sleep(WARM_UP_S)
        f['easy_p99_us'] = bench.window(server, load, bench.args.seconds)['latency_us']['p99']
        f['saturation_pps'] = known[0] * n
        f['limit'] = known[1]
        f['rss_per_subscriber'] = (o['rss'] - before) / n
        return f
    finally:
        load.end()
        server.end()


def measure_floor(bench, n):
    command = [str(bench.build / 'bench-floor'), '--subscribers', str(n), '--seconds',
               str(bench.args.seconds)]
    if bench.server_core is not None:
        command += ['--core', str(bench.server_core), '--receiver-core', str(bench.load_core)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=bench.log, text=True, check=False,
                          timeout=bench.args.seconds + 60)
    if done.returncode != 0:
        raise BenchError(f'bench-floor failed: {done.stdout}')
    o = json.loads(done.stdout)
    return {'n': n, 'cpu_us_per_packet': o['cpu_us_per_packet'], 'pps': o['pps'], 'kind': o['kind'],
            'lost': o['lost'], 'bad': o['bad'], 'loss': o['lost'] / max(1, o['sent'])}


def measure_churn(bench, name, path, scenario, n):
    """The same media without and with N joins per second: what a join costs and disturbs."""
    server, load, _, ready = bench.joined(name, path, n, ['--churn', '0'])
    known = bench.saturation.get((name, scenario['subscribers']))
    try:
        if known:
            load.say(f'rate video {CHURN_LOAD * known[0]:.0f}')
        time.sleep(WARM_UP_S)
        quiet = bench.window(server, load, bench.args.seconds)
        load.say(f'churn {n}')
        time.sleep(2 * WARM_UP_S)
        o = bench.window(server, load, bench.args.seconds)
        f = figures(o, n, ready, steady=False)
        f['joins'], f['refused'], f['failed'] = o['joins'], o['refused'], o['failed']
        media = quiet['cpu_us_per_packet'] * o['received'] / 1e6
        f['cpu_ms_per_join'] = (o['cpu_s'] - media) * 1e3 / max(1, o['joins'])
        return f
    finally:
        load.end()
        server.end()


def measure_memory(bench, name, path, scenario, n):
    server, load, before, ready = bench.joined(name, path, n)
    try:
        time.sleep(3 * WARM_UP_S)
        idle = process_rss(server.pid)
        load.say(f'rate video {scenario["busy_video_pps"]}')
        time.sleep(WARM_UP_S)
        o = bench.window(server, load, bench.args.seconds)
        f = figures(o, n, ready)
        f['rss_idle_per_subscriber'] = (idle - before) / n
        f['rss_per_subscriber'] = (o['rss'] - before) / n
        return f
    finally:
        load.end()
        server.end()


METHODS = {'saturate': measure_saturate, 'fixed': measure_fixed, 'churn': measure_churn,
           'memory': measure_memory}


# ---- the whole run ----

def plan(bench):
    """(scenario, n, servers) of everything that was asked for."""
    wanted = bench.args.servers.split(',')
    for name in bench.args.only.split(','):
        path, scenario = bench.scenario(name)
        sizes = scenario['sizes']
        every = sorted({n for s in wanted for n in sizes.get(s, [])})
        for n in every:
            if bench.args.sizes and n not in bench.args.sizes:
                continue
            yield name, path, scenario, n, [s for s in wanted if n in sizes.get(s, [])]


def joining(r):
    """From asking to the first packet: of those who came and went, else of those who stay."""
    return r['join_us'] if r['join_us']['count'] else r['join_first_us']


def summary(rounds):
    """Median and spread of what the rounds measured."""
    out = {'rounds': rounds}
    pick = {'cpu_us_per_packet': lambda r: r['cpu_us_per_packet'], 'pps': lambda r: r['pps'],
            'loss': lambda r: r['loss'],
            'p50_us': lambda r: r['latency_us']['p50'], 'p99_us': lambda r: r['latency_us']['p99'],
            'p999_us': lambda r: r['latency_us']['p999'],
            'join_p50_us': lambda r: joining(r)['p50'], 'join_p99_us': lambda r: joining(r)['p99'],
            'rss_per_subscriber': lambda r: r['rss_per_subscriber'],
            'rss_idle_per_subscriber': lambda r: r['rss_idle_per_subscriber'],
            'cpu_ms_per_join': lambda r: r['cpu_ms_per_join'],
            'server_cpu': lambda r: r['server_cpu'],
            'easy_p99_us': lambda r: r['easy_p99_us'],
            'saturation_pps': lambda r: r['saturation_pps']}
    for key, of in pick.items():
        try:
            values = [of(r) for r in rounds]
        except KeyError:
            continue
        out[key] = statistics.median(values)
        out[key + '_spread'] = max(values) - min(values)
    out['bad'] = sum(r.get('bad', 0) for r in rounds)
    notes = []
    if any(r.get('generator_limit') or r.get('limit') == 'generator' for r in rounds):
        notes.append('the generator was the limit')
    if any(r.get('foreign_cpu', 0) > FOREIGN for r in rounds):
        notes.append('other programs used the core')
    if out['loss'] > LOST:
        notes.append('too much was lost')
    if any(r.get('silent') for r in rounds):
        notes.append('some got not every track')
    out['notes'] = notes
    return out


def run_all(bench):
    work = list(plan(bench))
    total = sum(len(servers) for *_, servers in work) * bench.args.rounds
    done, results = 0, []
    for name, path, scenario, n, servers in work:
        rounds = {s: [] for s in servers}
        # A, B, A, B: what drifts, drifts for all.
        for number in range(bench.args.rounds):
            for s in servers:
                done += 1
                say(f'[{done}/{total}] {name} N={n} {s}, round {number + 1} of {bench.args.rounds}')
                try:
                    rounds[s].append(METHODS[scenario['method']](bench, s, path, scenario, n))
                except (BenchError, RelayError) as e:
                    say(f'    {e}')
        for s in servers:
            if rounds[s]:
                results.append({'scenario': name, 'n': n, 'server': s, **summary(rounds[s])})
    return results


def machine():
    cpu = next((line.split(':')[1].strip() for line in open('/proc/cpuinfo', encoding='utf-8')
                if line.startswith('model name')), 'unknown')
    flags = next((line.split(':')[1].split() for line in open('/proc/cpuinfo', encoding='utf-8')
                  if line.startswith('flags')), [])
    return {'cpu': cpu, 'cores': os.cpu_count(), 'kernel': platform.release(),
            'simd': [f for f in ('avx2', 'avx512f', 'vaes', 'sha_ni') if f in flags]}


COLUMNS = [('us/packet', 'cpu_us_per_packet', 2, 1), ('packets/s', 'pps', 0, 1),
           ('loss %', 'loss', 3, 100), ('p50 ms', 'p50_us', 2, 1e-3), ('p99 ms', 'p99_us', 2, 1e-3),
           ('p99.9 ms', 'p999_us', 2, 1e-3), ('p99 at 70 %', 'easy_p99_us', 2, 1e-3),
           ('KiB/sub', 'rss_per_subscriber', 0, 1 / 1024),
           ('idle KiB', 'rss_idle_per_subscriber', 0, 1 / 1024),
           ('ms/join', 'cpu_ms_per_join', 2, 1), ('join p99 ms', 'join_p99_us', 0, 1e-3)]


def cell(r, key, digits, factor):
    if key not in r or (key.startswith('join') and not r[key]):
        return ''
    text = f'{r[key] * factor:.{digits}f}'
    if key == 'cpu_us_per_packet':
        text += f' ±{r[key + "_spread"] * factor / 2:.{digits}f}'
    return text


def table(results):
    head = ['scenario', 'N', 'server', *(c[0] for c in COLUMNS), 'remark']
    rows = [[r['scenario'], str(r['n']), r['server'], *(cell(r, *c[1:]) for c in COLUMNS),
             '; '.join(r['notes'])] for r in results]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, ['-' * w for w in widths], *rows]:
        lines.append('| ' + ' | '.join(c.rjust(w) if 2 < i < len(head) - 1 else c.ljust(w)
                                       for i, (c, w) in enumerate(zip(row, widths))) + ' |')
    return '\n'.join(lines)


def ratios(results):
    """sluice against each other server, where both were measured in this run."""
    at = {(r['scenario'], r['n'], r['server']): r for r in results}
    lines = []
    for (scenario, n, server), r in at.items():
        ours = at.get((scenario, n, 'sluice'))
        if server == 'sluice' or not ours or scenario in ('churn', 'memory'):
            continue
        if max(ours.get('loss', 0), r.get('loss', 0)) > LOST:
            lines.append(f'{scenario} N={n}: nothing to compare, too much was lost')
            continue
        a, b = ours['cpu_us_per_packet'], r['cpu_us_per_packet']
        if server == 'floor':
            lines.append(f'{scenario} N={n}: sluice costs {a / b:.2f} times the floor')
        else:
            lines.append(f'{scenario} N={n}: sluice costs {b / a:.1f} times less than {server}')
    return '\n'.join(lines)


def save(bench, results):
    out = pathlib.Path(bench.args.out)
    out.mkdir(parents=True, exist_ok=True)
    stamp = datetime.datetime.now().strftime('%Y%m%d-%H%M')
    commit = subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], cwd=HERE, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.strip()
    whole = {'when': stamp, 'commit': commit, 'machine': machine(),
             'command': ' '.join(['bench/run.py', *sys.argv[1:]]), 'results': results}
    (out / f'{stamp}.json').write_text(json.dumps(whole, indent=1) + '\n')
    for name in sorted({r['scenario'] for r in results}):
        if any('latency_us' in x for r in results if r['scenario'] == name for x in r['rounds']):
            (out / f'{stamp}-{name}.svg').write_text(plot.svg(name, results))
    say(f'written: {out}/{stamp}.json')


# ---- smoke: correctness, not speed ----

def smoke_faults(o, n, scenario):
    """What a window must not show."""
    lost = o['lost'] - o['generator_drops']
    faults = [f'{k} {o[k]}' for k in ('duplicates', 'bad', 'shifted', 'strays', 'failed', 'unsent') if o[k]]
    if lost > 0:
        faults.append(f'{lost} lost')
    if not o['checked']:
        faults.append('nothing was deciphered')
    if scenario['method'] == 'churn' and not o['joins']:
        faults.append('nobody joined')
    # More may come than was sent: some was under way when the window began.
    if scenario['method'] != 'churn' and o['received'] + o['lost'] < o['sent'] * n:
        faults.append(f'{o["sent"]} sent to {n}, {o["received"]} received')
    return faults


def smoke_point(bench, path, scenario, n):
    small = scenario['smoke']
    extra = [x for key, flag in (('video_pps', '--video'), ('subscribers', '--subscribers'),
                                    ('joins_per_s', '--churn'))
             if key in small for x in (flag, str(small[key]))]
    subscribers = small.get('subscribers', n)
    server, load, _, ready = bench.joined('sluice', path, n, extra)
    try:
        o = bench.window(server, load, 3 if 'joins_per_s' in small else 1.5, 'drain')
    finally:
        load.end()
        server.end()
    faults = smoke_faults(o, subscribers, scenario)
    if ready['silent']:
        faults.append(f'{ready["silent"]} subscribers did not get every track')
    starved = o['late_us']['p99'] > STARVED_US and not o['bad'] and not o['duplicates']
    return faults, starved


def smoke_overload(bench, path, scenario, n):
    """Beyond saturation: sessions, then video, never audio; and back."""
    server_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    faults, through, after = overload.overloaded(bench.build, path, n, server_core, load_core, bench.log)
    starved = any(o['late_us']['p99'] > STARVED_US for o in (through, after))
    return faults + smoke_faults(after, n, scenario), starved


def smoke_fairly(bench, path, scenario, n):
    """A server without time sheds video, as it should: then the point says nothing, and is run again."""
    point = smoke_overload if scenario['method'] == 'overload' else smoke_point
    for _ in range(SMOKE_TRIES):
        faults, starved = point(bench, path, scenario, n)
        if not faults or not starved:
            break
    return faults


def smoke(bench):
    passed = failed = skipped = 0
    only = bench.args.only.split(',')
    for name in SMOKE if only == SCENARIOS else only:
        path, scenario = bench.scenario(name)
        if scenario['method'] == 'overload' and len(os.sched_getaffinity(0)) < 2:
            print(f'skipped {name}: server and generator need a core each')
            skipped += 1
            continue
        for n in scenario['smoke']['sizes']:
            try:
                faults = smoke_fairly(bench, path, scenario, n)
            except (BenchError, RelayError) as e:
                faults = [str(e)]
            passed, failed = passed + (not faults), failed + bool(faults)
            print(f'{"FAIL" if faults else "ok"} {name} N={n} {"; ".join(faults)}'.rstrip(), flush=True)
    print(f'bench-smoke: {passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return 1 if failed else 0


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default=str(HERE.parent / 'build' / 'release'), help='where the programs are')
    p.add_argument('--smoke', action='store_true')
    p.add_argument('--only', default=','.join(SCENARIOS), help='scenarios')
    p.add_argument('--servers', default=','.join(SERVERS))
    p.add_argument('--sizes', type=lambda s: {int(x) for x in s.split(',')}, help='only these N')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--seconds', type=float, default=4, help='of one measurement')
    p.add_argument('--flag', action='append', default=[], help='flag for sluice, as --flag=--x=y')
    p.add_argument('--out', default=str(HERE / 'results'))
    return p.parse_args()


def main():
    # So that what was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(options())
    if bench.args.smoke:
        return smoke(bench)
    if bench.server_core is None:
        say('one core only: server and generator share it, and the figures say little')
    results = run_all(bench)
    if not results:
        return 1
    print(table(results))
    print(ratios(results))
    save(bench, results)
    return 1 if any(r['bad'] for r in results) else 0


if __name__ == '__main__':
    sys.exit(main())

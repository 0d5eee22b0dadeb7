# SPDX-License-Identifier: Apache-2.0
"""A plot as SVG, written by hand: CPU per packet and p99 against N, both axes logarithmic."""
import math

COLOURS = {'sluice': '#0a7d4f', 'janus': '#c0392b', 'janus-1': '#e08e0b', 'floor': '#7f8c8d'}
W, H, LEFT, TOP, GAP = 380, 260, 60, 40, 70


def decades(values):
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values)))
    return low, high if high > low else low * 10


def ticks(low, high):
    v = low
    while v <= high * 1.001:
        for m in (1, 2, 5):
            if v * m <= high * 1.001:
                yield v * m
        v *= 10


class Panel:
    def __init__(self, x0, title, unit, lines):
        self.x0, self.title, self.unit, self.lines = x0, title, unit, lines
        points = [p for line in lines.values() for p in line]
        self.x_range = min(p[0] for p in points), max(p[0] for p in points)
        self.y_range = decades([max(p[1], 1e-3) for p in points])

    def x(self, n):
        a, b = self.x_range
        share = 0.5 if a == b else math.log(n / a) / math.log(b / a)
        return self.x0 + 10 + share * (W - 20)

    def y(self, v):
        a, b = self.y_range
        return TOP + H - math.log(max(v, 1e-3) / a) / math.log(b / a) * H

    def grid(self):
        out = [f'<text x="{self.x0}" y="{TOP - 14}" class="t">{self.title}</text>',
               f'<rect x="{self.x0}" y="{TOP}" width="{W}" height="{H}" class="f"/>']
        for v in ticks(*self.y_range):
            y = self.y(v)
            out.append(f'<line x1="{self.x0}" x2="{self.x0 + W}" y1="{y:.1f}" y2="{y:.1f}" class="g"/>')
            out.append(f'<text x="{self.x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{v:g}</text>')
        for n in sorted({p[0] for line in self.lines.values() for p in line}):
            out.append(f'<text x="{self.x(n):.1f}" y="{TOP + H + 16}" text-anchor="middle">{n}</text>')
        out.append(f'<text x="{self.x0 + W / 2}" y="{TOP + H + 34}" text-anchor="middle">N</text>')
        return out

    def curves(self):
        out = []
        for server, points in self.lines.items():
            colour = COLOURS.get(server, '#34495e')
            path = ' '.join(f'{self.x(n):.1f},{self.y(v):.1f}' for n, v in points)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            out += [f'<circle cx="{self.x(n):.1f}" cy="{self.y(v):.1f}" r="3.5" fill="{colour}">'
                    f'<title>{server}, N={n}: {v:.3g} {self.unit}</title></circle>' for n, v in points]
        return out


def lines_of(results, scenario, key, factor):
    lines = {}
    for r in results:
        if r['scenario'] == scenario and key in r:
            lines.setdefault(r['server'], []).append((r['n'], r[key] * factor))
    return {server: sorted(points) for server, points in lines.items()}


def legend(servers, y):
    out, x = [], LEFT
    for server in servers:
        colour = COLOURS.get(server, '#34495e')
        out.append(f'<rect x="{x}" y="{y - 9}" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{x + 18}" y="{y + 2}">{server}</text>')
        x += 110
    return out


def svg(scenario, results):
    cost = Panel(LEFT, f'{scenario}: CPU per forwarded packet, µs', 'µs',
                 lines_of(results, scenario, 'cpu_us_per_packet', 1))
    late = Panel(LEFT + W + GAP, f'{scenario}: latency p99, ms', 'ms',
                 lines_of(results, scenario, 'p99_us', 1e-3))
    width, height = LEFT + 2 * W + GAP + 20, TOP + H + 80
    body = cost.grid() + cost.curves() + late.grid() + late.curves()
    body += legend(cost.lines, TOP + H + 62)
    style = ('text{font:12px sans-serif;fill:#333}.t{font-weight:bold}'
             '.f{fill:none;stroke:#888}.g{stroke:#ddd}')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
            f'<style>{style}</style><rect width="100%" height="100%" fill="white"/>'
            + '\n'.join(body) + '</svg>\n')

// SPDX-License-Identifier: Apache-2.0
// A small live plot on a canvas: the last two minutes of one or two series.
const POINTS = 120;

export class Plot {
	/** @param {HTMLElement} box is filled @param {string} title @param {{labels: string[], word: (v: number) => string, floor?: number}} how
	 *  word: a value for people; floor: the least that the top of the plot stands for. */
	constructor(box, title, { labels, word, floor = 1 }) {
		this.title = title;
		this.labels = labels;
		this.word = word;
		this.floor = floor;
		this.series = labels.map(() => []);
		this.canvas = document.createElement('canvas');
		this.canvas.setAttribute('role', 'img');
		const head = Object.assign(document.createElement('h3'), { textContent: title });
		this.legend = Object.assign(document.createElement('p'), { className: 'legend' });
		box.append(head, this.legend, this.canvas);
		this.values = labels.map((label, i) => {
			const item = Object.assign(document.createElement('span'), { className: `series s${i}` });
			const value = document.createElement('b');
			item.append(label ? `${label} ` : '', value);
			this.legend.append(item);
			return value;
		});
		new ResizeObserver(() => this.draw()).observe(this.canvas);
		matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
	}

	/** One value for each series; null: unknown. */
	push(values) {
		values.forEach((v, i) => {
			this.series[i].push(v);
			if (this.series[i].length > POINTS)
				this.series[i].shift();
			this.values[i].textContent = v === null ? '–' : this.word(v);
		});
		this.canvas.setAttribute('aria-label', `${this.title}: ${this.labels.map((l, i) => `${l} ${this.values[i].textContent}`).join(', ')}`);
		this.draw();
	}

	draw() {
		const scale = devicePixelRatio || 1;
		const w = this.canvas.clientWidth, h = this.canvas.clientHeight;
		const style = getComputedStyle(this.canvas);
		const brush = this.canvas.getContext('2d');
		if (!w || !h)
			return;
		this.canvas.width = w * scale;
		this.canvas.height = h * scale;
		brush.scale(scale, scale);
		const top = niceAbove(Math.max(this.floor, ...this.series.flat().filter((v) => v !== null)));
		this.lines(brush, w, h, top, style);
		this.series.forEach((s, i) => this.curve(brush, s, w, h, top, style.getPropertyValue(`--s${i}`), i === 0));
	}

	lines(brush, w, h, top, style) {
		brush.strokeStyle = style.getPropertyValue('--line');
		brush.fillStyle = style.getPropertyValue('--soft');
		brush.font = '11px system-ui, sans-serif';
		for (const part of [0, 0.5, 1]) {
			const y = Math.round(1 + (h - 3) * (1 - part)) + 0.5;
			brush.globalAlpha = part ? 0.5 : 1;
			brush.beginPath();
			brush.moveTo(0, y);
			brush.lineTo(w, y);
			brush.stroke();
		}
		brush.globalAlpha = 1;
		brush.fillText(this.word(top), 2, 14);
	}

	curve(brush, values, w, h, top, colour, filled) {
		const x = (i) => w - ((values.length - 1 - i) * w) / (POINTS - 1);
		const y = (v) => 2 + (h - 4) * (1 - v / top);
		const known = values.map((v, i) => [i, v]).filter(([, v]) => v !== null);
		if (known.length < 2)
			return;
		brush.beginPath();
		known.forEach(([i, v], n) => (n ? brush.lineTo(x(i), y(v)) : brush.moveTo(x(i), y(v))));
		brush.strokeStyle = brush.fillStyle = colour;
		brush.lineWidth = 1.75;
		brush.lineJoin = 'round';
		brush.stroke();
		if (!filled)
			return;
		brush.lineTo(x(known[known.length - 1][0]), h);
		brush.lineTo(x(known[0][0]), h);
		brush.globalAlpha = 0.14;
		brush.fill();
		brush.globalAlpha = 1;
	}
}

// 1, 2 or 5 times a power of ten.
function niceAbove(v) {
	const power = 10 ** Math.floor(Math.log10(v));
	return [1, 2, 5, 10].map((m) => m * power).find((n) => n >= v * 0.999);
}

// SPDX-License-Identifier: Apache-2.0
// Tiles that fill their stage: a grid, or one large with the others in a strip. Who is beyond TILES_MAX is not shown.
import { hue } from './synthetic.js';

const TILES_MAX = 25;
const GAP_PX = 8;
const PICTURE = 16 / 9;
const WIDEST = 1.95;                     // a tile's shape; pictures are cropped to it
const NARROWEST = { wide: 1.3, upright: 1 };

/** The largest tiles of which n fit into w × h: {cols, w, h}. */
export function arrange(n, w, h, gap = GAP_PX) {
	const narrowest = w > h ? NARROWEST.wide : NARROWEST.upright;
	let best = { cols: 1, w: 0, h: 0, area: 0 };
	for (let cols = 1; cols <= n; cols++) {
		const rows = Math.ceil(n / cols);
		let tw = (w - gap * (cols - 1)) / cols;
		let th = (h - gap * (rows - 1)) / rows;
		tw = Math.min(tw, th * WIDEST);
		th = Math.min(th, tw / narrowest);
		const seen = Math.min(tw / th, PICTURE) / PICTURE;
		const area = tw * th * (0.5 + 0.5 * seen);
		if (tw > 0 && th > 0 && area > best.area)
			best = { cols, w: tw, h: th, area };
	}
	return best;
}

function initials(name) {
	const words = name.trim().split(/[\s._-]+/).filter(Boolean);
	return (words.length > 1 ? [words[0], words[words.length - 1]] : words).map((w) => [...w][0].toUpperCase()).join('') || '?';
}

export class Tile {
	constructor(template, key, onPin) {
		this.key = key;
		this.element = template.content.firstElementChild.cloneNode(true);
		this.element.dataset.key = key;
		this.find = (part) => this.element.querySelector(`.${part}`);
		this.video = this.find('picture');
		this.audio = this.find('sound');
		this.heardMs = 0;
		this.find('pin').onclick = () => onPin(key);
		this.video.onresize = () => this.fit();
	}

	/** @param {{name: string, own: boolean, screen: boolean, mirror: boolean, video: MediaStreamTrack|null,
	 *          audio: MediaStreamTrack|null, silent: boolean, dark: boolean}} now */
	update(now) {
		const whose = now.screen ? `${now.name}’s screen` : now.name;
		const text = now.own ? (now.screen ? 'Your screen' : `${now.name} (you)`) : whose;
		this.now = now;
		this.name = now.name;
		this.find('name').textContent = text;
		this.find('avatar').textContent = initials(now.name);
		this.element.style.setProperty('--hue', hue(now.name));
		this.find('muted').toggleAttribute('hidden', !now.silent);
		this.element.classList.toggle('mirror', now.mirror);
		this.element.classList.toggle('screen', now.screen);
		this.element.classList.toggle('dark', now.dark || !now.video);
		this.element.setAttribute('aria-label', [text, now.silent && 'microphone off', !now.screen && (now.dark || !now.video) &&
			'camera off'].filter(Boolean).join(', '));
		this.find('pin').setAttribute('aria-label', `Enlarge ${text}`);
		carry(this.video, now.dark ? null : now.video);
		carry(this.audio, now.own ? null : now.audio);
	}

	// A picture whose shape is far from the tile's is shown whole.
	fit() {
		const { videoWidth: vw, videoHeight: vh, clientWidth: w, clientHeight: h } = this.video;
		if (!vw || !h)
			return;
		const ratio = (vw / vh) / (w / h);
		this.element.classList.toggle('whole', ratio > 1.8 || ratio < 1 / 1.8);
	}

	place(box) {
		const s = this.element.style;
		[s.left, s.top, s.width, s.height] = [box.x, box.y, box.w, box.h].map((v) => `${Math.round(v)}px`);
		this.element.classList.toggle('small', box.w < 180);
		this.element.hidden = false;
		this.fit();
	}
}

// The element plays that track, or nothing.
function carry(element, track) {
	const has = element.srcObject && element.srcObject.getTracks()[0];
	if ((has || null) === (track || null))
		return;
	element.srcObject = track ? new MediaStream([track]) : null;
	if (track)
		element.play().catch((e) => {
			if (e.name === 'NotAllowedError')
				element.dispatchEvent(new CustomEvent('silenced', { bubbles: true }));
		});
}

export class Stage {
	/** @param {HTMLElement} element @param {HTMLTemplateElement} template @param {(keys: Set<string>) => void} onShown */
	constructor(element, template, onShown) {
		this.element = element;
		this.template = template;
		this.onShown = onShown;
		/** @type {Map<string, Tile>} */ this.tiles = new Map();
		this.pinned = null;
		this.speaker = null;
		new ResizeObserver(() => this.layout()).observe(element);
	}

	/** Shows exactly these, in this order: list of [key, what Tile.update() takes]. */
	show(list) {
		const keys = new Set(list.map(([key]) => key));
		for (const [key, tile] of this.tiles)
			if (!keys.has(key))
				this.remove(key, tile);
		for (const [key, now] of list) {
			if (!this.tiles.has(key))
				this.add(key, now);
			this.tiles.get(key).update(now);
		}
		if (this.pinned && !keys.has(this.pinned))
			this.pinned = null;
		this.mark();
		this.layout();
	}

	add(key, now) {
		const tile = new Tile(this.template, key, (k) => this.pin(k));
		this.tiles.set(key, tile);
		this.element.append(tile.element);
		if (now.screen && !now.own)
			this.pinned = key;
	}

	remove(key, tile) {
		carry(tile.video, null);
		carry(tile.audio, null);
		tile.element.remove();
		this.tiles.delete(key);
	}

	clear() {
		this.show([]);
	}

	pin(key) {
		this.pinned = this.pinned === key ? null : key;
		this.mark();
		this.layout();
	}

	setSpeaker(name) {
		this.speaker = name;
		for (const tile of this.tiles.values())
			if (tile.name === name)
				tile.heardMs = performance.now();
		this.mark();
		if (this.tiles.size > TILES_MAX)
			this.layout();
	}

	mark() {
		for (const [key, tile] of this.tiles) {
			const speaks = tile.name === this.speaker && !tile.now.screen && !tile.now.silent && this.tiles.size > 1;
			tile.element.classList.toggle('speaks', speaks);
			tile.find('speaking').toggleAttribute('hidden', !speaks);
			tile.find('pin').setAttribute('aria-pressed', String(this.pinned === key));
		}
	}

	// The first of them, but never without who spoke last.
	chosen() {
		const all = [...this.tiles.values()];
		if (all.length <= TILES_MAX)
			return all;
		const rank = (t, i) => (t.key === this.pinned ? Infinity : t.now.own ? 1e15 : t.heardMs || -i);
		const keep = new Set(all.map((t, i) => [rank(t, i), t]).sort((a, b) => b[0] - a[0]).slice(0, TILES_MAX).map(([, t]) => t));
		return all.filter((t) => keep.has(t));
	}

	layout() {
		const w = this.element.clientWidth, h = this.element.clientHeight;
		const chosen = this.chosen();
		if (!w || !h || !chosen.length)
			return;
		const large = this.tiles.get(this.pinned);
		const boxes = large && chosen.length > 1 ? this.spotlight(large, chosen, w, h) : grid(chosen, { x: 0, y: 0, w, h });
		for (const tile of this.tiles.values())
			if (boxes.has(tile))
				tile.place(boxes.get(tile));
			else
				tile.element.hidden = true;
		this.onShown(new Set([...boxes.keys()].map((t) => t.key)), this.tiles.size - boxes.size);
	}

	// One large; the others beside it, or below on an upright window, as many as have a decent size.
	spotlight(large, chosen, w, h) {
		const beside = w > h;
		const share = beside ? Math.min(Math.max(w * 0.2, 140), 300) : Math.min(Math.max(h * 0.22, 110), 240);
		const strip = beside ? { x: w - share, y: 0, w: share, h } : { x: 0, y: h - share, w, h: share };
		const main = beside ? { x: 0, y: 0, w: w - share - GAP_PX, h } : { x: 0, y: 0, w, h: h - share - GAP_PX };
		const others = chosen.filter((t) => t !== large);
		return new Map([[large, main], ...grid(others, strip)]);
	}
}

// Rows of equal tiles, the last one centred.
function grid(tiles, box) {
	const { cols, w, h } = arrange(tiles.length, box.w, box.h);
	const rows = Math.ceil(tiles.length / cols);
	const top = box.y + (box.h - rows * h - (rows - 1) * GAP_PX) / 2;
	return new Map(tiles.map((tile, i) => {
		const row = Math.floor(i / cols);
		const inRow = Math.min(cols, tiles.length - row * cols);
		const left = box.x + (box.w - inRow * w - (inRow - 1) * GAP_PX) / 2;
		return [tile, { x: left + (i % cols) * (w + GAP_PX), y: top + row * (h + GAP_PX), w, h }];
	}));
}

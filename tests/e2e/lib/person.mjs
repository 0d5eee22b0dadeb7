// SPDX-License-Identifier: Apache-2.0
// Somebody in the console, in a tab: joins, presses what people press, reads what they read.
import { BUSY, Tab } from './browser.mjs';
import { shots } from './shot.mjs';
import { seconds, until } from './wait.mjs';

const HUE_SLACK = 30;
const LOUD = 1e-5, SILENT = 1e-7;       // of totalAudioEnergy

// A drawn picture that costs little; Firefox's stands still in a hidden tab, so there it is the fake devices.
const PICTURE = { chromium: 'synthetic=1&size=320x180&fps=10', firefox: '' };

export class Person {
	// `query` as size=160x90&fps=5.
	static async open(kind, base, room, name, query = PICTURE[kind]) {
		const person = new Person();
		person.name = name;
		person.kind = kind;
		person.tab = await Tab.open(kind, `${base}/?room=${encodeURIComponent(room)}&name=${encodeURIComponent(name)}&${query}`);
		person.page = person.tab.page;
		return person;
	}

	evaluate(fn, arg) {
		return this.tab.evaluate(fn, arg);
	}

	press(id) {
		return this.page.click(`#${id}`);
	}

	until(what, fn, arg, deadlineMs) {
		return until(`${this.name} in ${this.kind}: ${what}`, async (last) => {
			const seen = await this.evaluate(fn, arg);
			last([seen, await this.said(), this.tab.console.slice(-5)]);
			return seen;
		}, deadlineMs);
	}

	// All that the page says in words.
	said() {
		return this.evaluate(() => ['status', 'refusal', 'toasts', 'device-note'].map((id) => document.getElementById(id))
			.filter((e) => e && e.checkVisibility()).map((e) => e.textContent).join(' | '));
	}

	untilSays(pattern) {
		return until(`${this.name} in ${this.kind} reads ${pattern}`, async (last) => {
			const text = await this.said();
			last([text, this.tab.console.slice(-5)]);
			return pattern.test(text) && text;
		});
	}

	// On a crowded machine a server may take nobody for a moment: then people press again.
	async join() {
		await this.untilReady();
		await this.press('join');
		await this.untilIn(async () => {
			if (BUSY.test(await this.said()) && await this.evaluate(() => !document.getElementById('join').disabled))
				await this.press('join');
		});
	}

	untilReady() {
		return this.until('sees oneself', () => window.sluice?.devices.track('audio') && document.getElementById('preview').videoWidth > 0);
	}

	// In the room once the server said welcome and all that one has is published.
	untilIn(otherwise = () => {}) {
		return until(`${this.name} in ${this.kind} is in the room, and sends`, async (last) => {
			const state = await this.evaluate(() => {
				const { room } = window.sluice || {};
				return room && { room: room.state, media: room.pc?.connectionState, tracks: [...room.localTracks].map((l) => !!l.id) };
			});
			last([state, await this.said(), this.tab.console.slice(-5)]);
			if (state?.room === 'connected' && state.media === 'connected' && state.tracks.length && state.tracks.every((there) => there))
				return true;
			await otherwise();
			return false;
		}, seconds(60));
	}

	// By whom and of what ("anna camera") how many frames were decoded, and how much sound was heard.
	async counts() {
		const list = await this.evaluate(async () => (await window.sluice.room.stats()).tracks.filter((t) => !t.own)
			.map(({ participant, kind, source, frames, audioEnergy }) => ({ participant, kind, source, frames, audioEnergy })));
		return Object.fromEntries(list.map((t) => [`${t.participant} ${t.source || t.kind}`, t.kind === 'video' ? t.frames : t.audioEnergy]));
	}

	// Until so many more frames than now of each of `names`, and more sound, were decoded. `source`: of the picture.
	async untilDecodes(names, { frames = 5, sound = true, source = 'camera' } = {}) {
		const [video, audio] = source === '' ? ['video', 'audio'] : [source, source === 'camera' ? 'microphone' : source];
		let before = null;
		return until(`${this.name} in ${this.kind} decodes ${names.join(', ')} ${source}`, async (last) => {
			const now = await this.counts().catch((e) => ({ error: e.message }));
			before ||= now;
			last({ before, now, said: await this.said() });
			return names.every((n) => grown(now, before, n, video) >= frames && (!sound || grown(now, before, n, audio) > LOUD));
		}, seconds(60));
	}

	// Until nothing of somebody's microphone is heard while the camera's frames come.
	async untilSilent(name) {
		let before = await this.counts();
		return until(`${this.name} in ${this.kind} hears nothing of ${name}`, async (last) => {
			const now = await this.counts();
			last({ before, now });
			if (grown(now, before, name, 'camera') < 8)
				return false;
			const silent = grown(now, before, name, 'microphone') < SILENT;
			before = now;
			return silent;
		});
	}

	tiles() {
		return this.evaluate(() => [...document.querySelectorAll('#stage .tile:not([hidden])')].map((t) => ({
			key: t.dataset.key, label: t.getAttribute('aria-label'), dark: t.classList.contains('dark'),
			muted: !t.querySelector('.muted').hasAttribute('hidden'), width: t.clientWidth, height: t.clientHeight })));
	}

	untilTile(what, key, check) {
		return until(`${this.name} in ${this.kind} sees ${key} ${what}`, async (last) => {
			const tiles = await this.tiles();
			last(tiles);
			return check(tiles.find((t) => t.key === key));
		});
	}

	// The drawn picture has its sender's colour: the tile of `name` must show that of `name` and nobody else's.
	untilColour(name) {
		return this.until(`the tile of ${name} shows ${name}`, async ([who, slack]) => {
			const { hue } = await import('/synthetic.js');
			const video = document.querySelector(`#stage [data-key="person ${CSS.escape(who)}"] video`);
			if (!video?.videoWidth)
				return false;
			const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
			const brush = canvas.getContext('2d');
			brush.drawImage(video, 0, 0);
			const [r, g, b] = brush.getImageData(canvas.width / 2, canvas.height - 4, 1, 1).data;
			const [max, min] = [Math.max(r, g, b), Math.min(r, g, b)];
			const sixth = max === r ? ((g - b) / (max - min) + 6) % 6 : max === g ? (b - r) / (max - min) + 2 : (r - g) / (max - min) + 4;
			const off = Math.abs(sixth * 60 - (hue(who) + 20)) % 360;
			return max - min > 30 && Math.min(off, 360 - off) < slack;
		}, [name, HUE_SLACK]);
	}

	// Whoever is the active speaker has a frame round the tile, and nobody else has.
	untilMarks(names) {
		return this.until(`one of ${names.join(', ')} or oneself is marked as who speaks`, ([others, own]) => {
			const marked = [...document.querySelectorAll('#stage .tile.speaks')].map((t) => t.dataset.key.replace('person ', ''));
			const { speaker } = window.sluice.room;
			return marked.length === 1 && marked[0] === speaker && [...others, own].includes(speaker);
		}, [names, this.name]);
	}

	// What one sends and gets, what is lost and how long the way is, as the page says it.
	untilReadsNumbers() {
		return this.until('reads rates, loss and the time of the way', () => {
			const says = (id) => document.getElementById(id).textContent;
			return ['n-sent', 'n-received'].every((id) => /^[1-9][\d.]* [kM]b\/s$/.test(says(id))) && /^[\d.]+ %$/.test(says('n-loss')) &&
				/^[1-9]\d* ms$/.test(says('n-rtt'));
		});
	}

	shots(name) {
		return shots(this.tab, name);
	}

	close() {
		return this.tab.close();
	}
}

const grown = (now, before, name, what) => (now[`${name} ${what}`] || 0) - (before[`${name} ${what}`] || 0);

// Everyone in the room decodes everyone else.
export function untilAllDecode(people, how) {
	return Promise.all(people.map((p) => p.untilDecodes(people.filter((o) => o !== p).map((o) => o.name), how)));
}

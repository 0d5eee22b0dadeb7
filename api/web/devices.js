// SPDX-License-Identifier: Apache-2.0
// Camera and microphone: which there are, which is chosen, and the tracks that come from them.
import { Picture, Tone } from './synthetic.js';

const KINDS = {
	video: { device: 'videoinput', word: 'camera', made: 'Synthetic picture', want: { width: { ideal: 1280 }, height: { ideal: 720 } } },
	audio: { device: 'audioinput', word: 'microphone', made: 'Synthetic tone', want: {} },
};
const WHY = {
	NotAllowedError: (word) => `The ${word} was not allowed. Allow it in the browser and choose it again.`,
	NotFoundError: (word) => `There is no ${word}.`,
	NotReadableError: (word) => `The ${word} is in use elsewhere.`,
	OverconstrainedError: (word) => `That ${word} is not there any more.`,
};

/** Events: `change` {kind}: another track, or none. */
export class Devices extends EventTarget {
	/** @param {{video: HTMLSelectElement, audio: HTMLSelectElement}} selects @param {HTMLElement} note */
	constructor(selects, note, params) {
		super();
		this.selects = selects;
		this.note = note;
		this.params = params;
		this.name = '';
		this.on = { video: true, audio: true };
		this.source = { video: null, audio: null };      // {track, stop()}
		this.notes = {};
		this.turn = Promise.resolve();
		for (const kind of ['video', 'audio'])
			selects[kind].onchange = () => this.choose(kind, selects[kind].value, true);
		navigator.mediaDevices?.addEventListener('devicechange', () => this.list());
	}

	/** @returns {MediaStreamTrack|null} */
	track(kind) {
		return this.source[kind] && this.source[kind].track;
	}

	value(kind) {
		return this.selects[kind].value;
	}

	/** Opens what was chosen last, or the first there is; the synthetic ones where there is none. */
	async start() {
		await this.list();
		const synthetic = this.params.has('synthetic');
		if (!navigator.mediaDevices && !synthetic)
			this.notes.all = 'The browser gives camera and microphone only to pages from https or localhost: picture and tone are synthetic.';
		if (!synthetic)
			await this.askOnce();
		for (const kind of ['video', 'audio']) {
			const kept = localStorage.getItem(`sluice.${kind}`);
			const first = [...this.selects[kind].options].map((o) => o.value);
			await this.choose(kind, synthetic ? 'synthetic' : first.includes(kept) ? kept : first[0]);
		}
		await this.list();
	}

	// One question for both instead of two. What cannot be had shows when it is opened.
	async askOnce() {
		const all = navigator.mediaDevices ? await navigator.mediaDevices.enumerateDevices().catch(() => []) : [];
		const has = (kind) => all.some((d) => d.kind === KINDS[kind].device);
		if (!has('video') || !has('audio') || all.some((d) => d.label))
			return;
		const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true }).catch(() => null);
		stream?.getTracks().forEach((t) => t.stop());
		await this.list();
	}

	async list() {
		const all = navigator.mediaDevices ? await navigator.mediaDevices.enumerateDevices().catch(() => []) : [];
		for (const kind of ['video', 'audio']) {
			const { device, word, made } = KINDS[kind];
			const found = all.filter((d) => d.kind === device);
			const options = found.map((d, i) => [d.deviceId || 'default', d.label || `${capital(word)} ${i + 1}`]);
			this.fill(this.selects[kind], [...options, ['synthetic', made], ['none', `No ${word}`]]);
		}
	}

	fill(select, options) {
		const before = select.value;
		select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
		if (options.some(([value]) => value === before))
			select.value = before;
	}

	// One after the other, for a person clicks faster than a camera opens.
	choose(kind, value, keep = false) {
		this.turn = this.turn.then(() => this.change(kind, value, keep));
		return this.turn;
	}

	async change(kind, value, keep) {
		let chosen = value;
		this.close(kind);
		delete this.notes[kind];
		if (kind === 'audio' || this.on[kind])
			chosen = await this.open(kind, value);
		this.selects[kind].value = chosen;
		if (keep)
			localStorage.setItem(`sluice.${kind}`, chosen);
		this.explain();
		this.dispatchEvent(new CustomEvent('change', { detail: { kind } }));
	}

	// Returns what it became: a device that cannot be had is replaced.
	async open(kind, value) {
		if (value === 'none')
			return value;
		if (value === 'synthetic') {
			this.source[kind] = kind === 'video' ? new Picture(this.name, this.size()) : new Tone(this.name);
			return value;
		}
		try {
			return await this.capture(kind, value);
		} catch (e) {
			const refused = e.name === 'NotAllowedError';
			this.notes[kind] = (WHY[e.name] || (() => e.message))(KINDS[kind].word) + (refused ? '' : ` ${KINDS[kind].made} instead.`);
			return this.open(kind, refused ? 'none' : 'synthetic');
		}
	}

	async capture(kind, value) {
		const want = { ...KINDS[kind].want, ...(value === 'default' ? {} : { deviceId: { exact: value } }) };
		const stream = await navigator.mediaDevices.getUserMedia({ [kind]: want });
		const track = stream.getTracks()[0];
		track.onended = () => this.choose(kind, 'default');
		this.source[kind] = { track, stop: () => track.stop() };
		await this.list();
		return track.getSettings().deviceId || value;
	}

	// ?size=160x90&fps=5
	size() {
		const [, width, height] = /^(\d{2,4})x(\d{2,4})$/.exec(this.params.get('size') || '') || [0, 640, 360];
		return { width: +width, height: +height, fps: Math.min(Math.max(+this.params.get('fps') || 25, 1), 60) };
	}

	/** A camera that is off is closed, so that its light goes out; a microphone stays open. */
	async turnOn(kind, on) {
		this.on[kind] = on;
		if (kind === 'video')
			await this.choose(kind, this.value(kind));
		else
			this.dispatchEvent(new CustomEvent('change', { detail: { kind } }));
	}

	/** The synthetic ones look and sound like who sends them. */
	async rename(name) {
		this.name = name;
		for (const kind of ['video', 'audio'])
			if (this.value(kind) === 'synthetic' && this.source[kind])
				await this.choose(kind, 'synthetic');
	}

	explain() {
		this.note.textContent = Object.values(this.notes).join(' ');
		this.note.hidden = !this.note.textContent;
	}

	close(kind) {
		if (this.source[kind]) {
			this.source[kind].track.onended = null;
			this.source[kind].stop();
		}
		this.source[kind] = null;
	}

	stop() {
		this.close('video');
		this.close('audio');
	}
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Shows how loud a track is on a <meter>, until the function returned is called. */
export function levelMeter(track, meter) {
	const audio = new AudioContext();
	const analyser = Object.assign(audio.createAnalyser(), { fftSize: 512 });
	const samples = new Float32Array(512);
	audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
	const timer = setInterval(() => {
		analyser.getFloatTimeDomainData(samples);
		const rms = Math.sqrt(samples.reduce((s, x) => s + x * x, 0) / samples.length);
		meter.value = rms > 0 ? Math.max(0, 1 + Math.log10(rms) / 2.5) : 0;
	}, 100);
	return () => {
		clearInterval(timer);
		audio.close();
	};
}

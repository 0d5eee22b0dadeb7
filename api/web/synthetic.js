// SPDX-License-Identifier: Apache-2.0
// A picture and a tone where there is no camera and no microphone. Loaded as a worker it only beats time, because the
// timers of a hidden page run once a second.
'use strict';

const NOTES_HZ = [196, 220, 261.6, 293.7, 329.6, 392, 440, 523.3];
const hash = (text) => [...text].reduce((h, c) => (h * 31 + c.codePointAt(0)) >>> 0, 7);

/** 0 to 359, the same for the same name everywhere. */
export const hue = (name) => (Math.imul(hash(name), 2654435761) >>> 8) % 360;

/** A drawn picture as a MediaStreamTrack: `track`, until stop(). */
export class Picture {
	/** @param {string} name @param {{width?: number, height?: number, fps?: number}} [size] */
	constructor(name, { width = 640, height = 360, fps = 25 } = {}) {
		this.canvas = Object.assign(document.createElement('canvas'), { width, height });
		this.brush = this.canvas.getContext('2d', { alpha: false });
		this.hue = hue(name);
		this.name = name;
		this.count = 0;
		this.track = this.open(fps);
		this.worker = new Worker(new URL('./synthetic.js', import.meta.url), { type: 'module' });
		this.worker.onmessage = () => this.frame();
		this.worker.postMessage(1000 / fps);
		this.frame();
	}

	// Canvas capture stands still in a hidden page; a generated track does not, where the browser has one.
	open(fps) {
		if (typeof MediaStreamTrackGenerator === 'undefined')
			return this.canvas.captureStream(fps).getVideoTracks()[0];
		const track = new MediaStreamTrackGenerator({ kind: 'video' });
		this.writer = track.writable.getWriter();
		return track;
	}

	frame() {
		this.draw(this.count++);
		if (!this.writer || this.writer.desiredSize <= 0)
			return;
		const picture = new VideoFrame(this.canvas, { timestamp: performance.now() * 1000 });
		this.writer.write(picture).catch(() => picture.close());
	}

	// Waves that roll, a ball on them, and the time.
	draw(n) {
		const { width: w, height: h } = this.canvas;
		const b = this.brush;
		const sky = b.createLinearGradient(0, 0, 0, h);
		sky.addColorStop(0, `hsl(${this.hue} 45% 16%)`);
		sky.addColorStop(1, `hsl(${this.hue} 55% 34%)`);
		b.fillStyle = sky;
		b.fillRect(0, 0, w, h);
		for (let k = 0; k < 3; k++)
			this.wave(k, n);
		b.fillStyle = `hsl(${(this.hue + 40) % 360} 85% 70%)`;
		b.beginPath();
		b.arc(w * (0.5 + 0.36 * Math.sin(n / 40)), this.crest(0, n, 0.5 + 0.36 * Math.sin(n / 40)) - h * 0.07, h * 0.07, 0, 7);
		b.fill();
		b.fillStyle = '#fffc';
		b.font = `600 ${Math.round(h / 11)}px system-ui, sans-serif`;
		b.textAlign = 'right';
		b.fillText(new Date().toTimeString().slice(0, 8), w * 0.96, h * 0.14);
	}

	crest(k, n, x) {
		return this.canvas.height * (0.5 + 0.15 * k + 0.06 * Math.sin(x * (7 - k) + n / (18 + 5 * k) + k * 2));
	}

	wave(k, n) {
		const { width: w, height: h } = this.canvas;
		const b = this.brush;
		b.fillStyle = `hsl(${(this.hue + 12 * k) % 360} 60% ${44 - 9 * k}% / 0.8)`;
		b.beginPath();
		b.moveTo(0, h);
		for (let x = 0; x <= 32; x++)
			b.lineTo((x * w) / 32, this.crest(k, n, x / 32));
		b.lineTo(w, h);
		b.fill();
	}

	stop() {
		this.worker.terminate();
		this.track.stop();
	}
}

/** A soft note each second as a MediaStreamTrack: `track`, until stop(). */
export class Tone {
	/** @param {string} name chooses the note */
	constructor(name) {
		this.audio = new AudioContext();
		const out = this.audio.createMediaStreamDestination();
		this.gain = this.audio.createGain();
		this.gain.gain.value = 0;
		this.note = this.audio.createOscillator();
		this.note.frequency.value = NOTES_HZ[hash(name) % NOTES_HZ.length];
		this.note.connect(this.gain).connect(out);
		this.note.start();
		this.track = out.stream.getAudioTracks()[0];
		this.worker = new Worker(new URL('./synthetic.js', import.meta.url), { type: 'module' });
		this.worker.onmessage = () => this.strike();
		this.worker.postMessage(1000);
		this.wake = () => this.audio.resume();
		for (const gesture of ['pointerdown', 'keydown'])
			addEventListener(gesture, this.wake, { once: true });
		this.wake();
		this.strike();
	}

	strike() {
		const now = this.audio.currentTime;
		const level = this.gain.gain;
		level.cancelScheduledValues(now);
		level.setValueAtTime(0.002, now);
		level.exponentialRampToValueAtTime(0.12, now + 0.04);
		level.exponentialRampToValueAtTime(0.002, now + 0.8);
	}

	stop() {
		this.worker.terminate();
		this.track.stop();
		this.audio.close();
	}
}

if (typeof document === 'undefined')
	onmessage = (e) => setInterval(() => postMessage(null), e.data);

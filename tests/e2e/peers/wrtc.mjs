// SPDX-License-Identifier: Apache-2.0
// libwebrtc by @roamhq/wrtc: publishes a moving picture and a tone, or counts decoded frames and measures sound.
import wrtc from '@roamhq/wrtc';
import { endBySignal, open, say } from './session.mjs';

const [, , what, url] = process.argv;
const { RTCVideoSource, RTCVideoSink, RTCAudioSource, RTCAudioSink } = wrtc.nonstandard;
const WIDTH = 320, HEIGHT = 240, RATE = 48000, AUDIO_MS = 10, FRAME_MS = 40;
const counts = { frames: 0, sound: 0 };
const pc = new wrtc.RTCPeerConnection({ bundlePolicy: 'max-bundle' });

function startPicture(source) {
	const data = new Uint8ClampedArray((WIDTH * HEIGHT * 3) / 2).fill(128);
	setInterval(() => {
		for (let y = 0; y < HEIGHT; y++)
			data.fill((y + counts.frames * 3) & 255, y * WIDTH, (y + 1) * WIDTH);
		source.onFrame({ width: WIDTH, height: HEIGHT, data });
		counts.frames++;
	}, FRAME_MS);
}

// Ten milliseconds at a time, as many as the clock asks for.
function startTone(source) {
	const started = Date.now();
	const n = (RATE * AUDIO_MS) / 1000;
	let sent = 0;
	setInterval(() => {
		for (; sent * AUDIO_MS < Date.now() - started; sent++) {
			const samples = Int16Array.from({ length: n }, (_, i) => 8000 * Math.sin(((sent * n + i) * 2 * Math.PI * 440) / RATE));
			source.onData({ samples, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: n });
			counts.sound += 0.06 * AUDIO_MS / 1000;
		}
	}, AUDIO_MS);
}

function publish() {
	const picture = new RTCVideoSource(), tone = new RTCAudioSource();
	pc.addTransceiver(tone.createTrack(), { direction: 'sendonly' });
	pc.addTransceiver(picture.createTrack(), { direction: 'sendonly' });
	return () => {
		startPicture(picture);
		startTone(tone);
	};
}

function hear(samples) {
	for (const s of samples)
		counts.sound += (s / 32768) ** 2 / RATE;
}

function play() {
	pc.ontrack = ({ track }) => {
		if (track.kind === 'video')
			new RTCVideoSink(track).onframe = () => { counts.frames++; };
		else
			new RTCAudioSink(track).ondata = (d) => hear(d.samples);
	};
	pc.addTransceiver('audio', { direction: 'recvonly' });
	pc.addTransceiver('video', { direction: 'recvonly' });
	return () => {};
}

pc.onconnectionstatechange = () => say({ state: pc.connectionState });
const opened = (what === 'publish' ? publish : play)();
await pc.setLocalDescription(await pc.createOffer());
const { answer, location } = await open(url, pc.localDescription.sdp);
endBySignal(location, () => pc.close());
await pc.setRemoteDescription({ type: 'answer', sdp: answer });
opened();
setInterval(() => say(counts), 200);

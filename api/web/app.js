// SPDX-License-Identifier: Apache-2.0
// The page /whip.html: publishes by WHIP (RFC 9725) and plays by WHEP, with trickle, ICE restart and a clean end.
// Address: ?room=NAME, ?synthetic=1 for a drawn picture and a tone, ?codec=VP8|VP9|H264|AV1 for that codec alone.
// `window.sluice` shows the two sessions to tests and to the curious.
'use strict';

const FRAME_MS = 40;
const STATS_MS = 1000;
const SDPFRAG = 'application/trickle-ice-sdpfrag';

// ---- SDP, as far as trickle and ICE restart need it ----

function attribute(sdp, name) {
	const found = new RegExp(`^a=${name}:(.*?)\\r?$`, 'm').exec(sdp);
	return found ? found[1] : '';
}

// RFC 8840 section 4: credentials, then the m-line that carries the transport.
function fragment(sdp, candidates, end) {
	const kind = /^m=(\w+)/m.exec(sdp)[1];
	const lines = [
		`a=ice-ufrag:${attribute(sdp, 'ice-ufrag')}`,
		`a=ice-pwd:${attribute(sdp, 'ice-pwd')}`,
		`m=${kind} 9 UDP/TLS/RTP/SAVPF 0`,
		`a=mid:${attribute(sdp, 'mid')}`,
		...candidates.map((c) => `a=${c}`),
	];
	if (end)
		lines.push('a=end-of-candidates');
	return lines.join('\r\n') + '\r\n';
}

// The answer of before, with the credentials and candidates that an ICE restart brought.
function restartedAnswer(answer, frag) {
	const fresh = frag.split(/\r?\n/).filter((l) => /^a=(candidate:|end-of-candidates)/.test(l));
	const lines = answer.split(/\r?\n/).filter((l) => l && !/^a=(candidate:|end-of-candidates)/.test(l));
	const second = lines.findIndex((l, i) => l.startsWith('m=') && lines.slice(0, i).some((p) => p.startsWith('m=')));

	lines.splice(second < 0 ? lines.length : second, 0, ...fresh);
	return lines.map((l) => {
		if (l.startsWith('a=ice-ufrag:'))
			return `a=ice-ufrag:${attribute(frag, 'ice-ufrag')}`;
		return l.startsWith('a=ice-pwd:') ? `a=ice-pwd:${attribute(frag, 'ice-pwd')}` : l;
	}).join('\r\n') + '\r\n';
}

// ---- what a person is told ----

class Refused extends Error {
	constructor(status, sentence) {
		super(sentence);
		this.status = status;
	}
}

const asSentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');

// RFC 9457: the problem body says why.
async function refusal(response) {
	const problem = await response.json().catch(() => ({}));
	const why = asSentence(problem.detail || problem.title || `status ${response.status}`);
	const after = response.headers.get('Retry-After');
	const again = response.status === 503 ? ` Try again in ${after || 'a few'} seconds.` : '';

	if (response.status === 401)
		return new Refused(401, 'The server wants an access token: type it above and try again.');
	return new Refused(response.status, `The server refused: ${why}${again}`);
}

async function request(url, options) {
	let response;
	try {
		response = await fetch(url, options);
	} catch {
		throw new Refused(0, 'The server cannot be reached.');
	}
	if (!response.ok)
		throw await refusal(response);
	return response;
}

// ---- one WHIP or WHEP session ----

class Session {
	// tell(state, sentence): state is connecting, waiting, live, refused, lost or idle.
	constructor(url, token, tell) {
		this.url = url;
		this.auth = token ? { Authorization: `Bearer ${token}` } : {};
		this.tell = tell;
		this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
		this.pc.onicecandidate = (e) => this.candidate(e.candidate);
		this.pc.onconnectionstatechange = () => this.changed();
		this.waiting = [];      // candidates not sent yet
		this.gathered = false;
		this.closed = false;
		this.restarts = 0;
	}

	async open() {
		await this.pc.setLocalDescription();
		const response = await request(this.url, {
			method: 'POST',
			headers: { ...this.auth, 'Content-Type': 'application/sdp' },
			body: this.pc.localDescription.sdp,
		});
		this.location = new URL(response.headers.get('Location'), this.url).href;
		this.etag = response.headers.get('ETag');
		this.answer = await response.text();
		if (this.closed) {
			this.remove();
			return;
		}
		await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
		this.ready = true;
		if (this.pc.connectionState === 'failed')
			this.recover();
		else
			this.flush();
	}

	candidate(c) {
		if (c && c.candidate)
			this.waiting.push(c.candidate);
		else
			this.gathered = true;
		this.flush();
	}

	async patch(match, body) {
		return request(this.location, {
			method: 'PATCH',
			headers: { ...this.auth, 'Content-Type': SDPFRAG, 'If-Match': match },
			body,
		});
	}

	// One PATCH at a time, each with all that was found since the last.
	async flush() {
		if (!this.ready || this.sending || this.closed || (!this.waiting.length && !this.gathered))
			return;
		const body = fragment(this.pc.localDescription.sdp, this.waiting, this.gathered);
		this.waiting = [];
		this.gathered = false;
		this.sending = true;
		await this.patch(this.etag, body).catch((e) => console.warn(`candidates not taken: ${e.message}`));
		this.sending = false;
		this.flush();
	}

	async restartIce() {
		this.ready = false;
		this.waiting = [];
		this.gathered = false;
		this.pc.restartIce();
		await this.pc.setLocalDescription();
		const response = await this.patch('*', fragment(this.pc.localDescription.sdp, [], false));
		this.etag = response.headers.get('ETag') || this.etag;
		this.answer = restartedAnswer(this.answer, await response.text());
		await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
		this.restarts++;
		this.ready = true;
		this.flush();
	}

	changed() {
		const state = this.pc.connectionState;
		if (this.closed)
			return;
		if (state === 'connected')
			this.connected();
		else if (state === 'disconnected')
			this.tell('lost', 'The connection was lost. Waiting for it to come back…');
		else if (state === 'failed')
			this.recover();
	}

	connected() {
		this.tell('live', 'Live.');
	}

	async recover() {
		if (!this.location)     // not answered yet: open() looks again
			return;
		this.tell('connecting', 'The connection was lost. Trying another way…');
		try {
			await this.restartIce();
		} catch {
			this.end('lost', 'The connection was lost.');
		}
	}

	remove() {
		if (this.location)
			fetch(this.location, { method: 'DELETE', headers: this.auth, keepalive: true }).catch(() => {});
		this.location = null;
	}

	end(state, sentence) {
		if (this.closed)
			return;
		this.closed = true;
		this.remove();
		this.pc.close();
		this.tell(state, sentence);
	}

	async stats() {
		const out = { state: this.pc.connectionState, framesEncoded: 0, framesDecoded: 0, keyFramesDecoded: 0,
			audioEnergy: 0, packets: 0, bytes: 0, codec: '', width: 0, height: 0, dtlsRole: '', ice: '' };
		const reports = await this.pc.getStats();
		for (const r of reports.values())
			addReport(out, r, reports);
		return out;
	}
}

function addReport(out, r, reports) {
	const flow = r.type === 'outbound-rtp' || r.type === 'inbound-rtp';
	if (flow) {
		out.packets += r.packetsSent || r.packetsReceived || 0;
		out.bytes += r.bytesSent || r.bytesReceived || 0;
	}
	if (flow && r.kind === 'video') {
		out.framesEncoded += r.framesEncoded || 0;
		out.framesDecoded += r.framesDecoded || 0;
		out.keyFramesDecoded += r.keyFramesDecoded || 0;
		out.width = r.frameWidth || out.width;
		out.height = r.frameHeight || out.height;
		const codec = reports.get(r.codecId);
		out.codec = codec ? codec.mimeType.split('/')[1] : out.codec;
	} else if (r.kind === 'audio' && (r.type === 'inbound-rtp' || r.type === 'media-source'))
		out.audioEnergy += r.totalAudioEnergy || 0;
	else if (r.type === 'transport') {
		out.dtlsRole = r.dtlsRole || '';
		out.ice = r.selectedCandidatePairId || '';
	}
}

// ?codec=: that codec alone, with its retransmissions.
function preferCodec(transceiver, name) {
	const wanted = new RegExp(`^video/(${name}|rtx)$`, 'i');
	for (const side of [RTCRtpSender, RTCRtpReceiver]) {
		const codecs = side.getCapabilities('video').codecs.filter((c) => wanted.test(c.mimeType));
		try {
			if (codecs.some((c) => !/rtx$/i.test(c.mimeType))) {
				transceiver.setCodecPreferences(codecs);
				return;
			}
		} catch {
			// This browser wants the other side's list.
		}
	}
	throw new Refused(0, `This browser has no ${name}.`);
}

// ---- a picture and a tone of our own ----

class Synthetic {
	constructor() {
		this.canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
		this.brush = this.canvas.getContext('2d', { alpha: false });
		this.count = 0;
		this.stream = new MediaStream([this.tone(), this.picture()]);
		// The timers of a hidden page run once a second; a worker's do not.
		this.worker = new Worker('app.js');
		this.worker.onmessage = () => this.frame();
		this.frame();
	}

	tone() {
		this.audio = new AudioContext();
		const tone = new OscillatorNode(this.audio, { frequency: 440 });
		const gain = new GainNode(this.audio, { gain: 0.1 });
		const out = new MediaStreamAudioDestinationNode(this.audio, { channelCount: 1 });
		tone.connect(gain).connect(out);
		tone.start();
		this.audio.resume();
		return out.stream.getAudioTracks()[0];
	}

	// Canvas capture stands still in a hidden page; a generated track does not, where the browser has one.
	picture() {
		if (typeof MediaStreamTrackGenerator === 'undefined')
			return this.canvas.captureStream(1000 / FRAME_MS).getVideoTracks()[0];
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

	draw(n) {
		const { width, height } = this.canvas;
		const b = this.brush;
		for (let i = 0; i < 8; i++) {
			b.fillStyle = `hsl(${(i * 45 + n) % 360} 60% 45%)`;
			b.fillRect((i * width) / 8, 0, width / 8, height);
		}
		b.fillStyle = '#000a';
		b.fillRect(0, height - 70, width, 70);
		b.fillStyle = '#fff';
		b.beginPath();
		b.arc(width / 2 + 220 * Math.cos(n / 20), height / 2 - 30 + 90 * Math.sin(n / 13), 36, 0, 2 * Math.PI);
		b.fill();
		b.font = '32px monospace';
		b.fillText(new Date().toISOString().slice(11, 23), 24, height - 24);
	}

	stop() {
		this.worker.terminate();
		this.audio.close();
		this.stream.getTracks().forEach((t) => t.stop());
	}
}

class Camera {
	static async open() {
		const camera = new Camera();
		camera.stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
		return camera;
	}

	stop() {
		this.stream.getTracks().forEach((t) => t.stop());
	}
}

// ---- the page ----

const page = { params: null, publish: null, play: null };
const element = (id) => document.getElementById(id);
const roomName = () => element('room').value.trim();

function endpoint(kind) {
	return new URL(`${kind}/${encodeURIComponent(roomName())}`, location.href).href;
}

// tell() for one of the two cards: the sentence, and which of its buttons can be pressed.
function teller(card) {
	return (state, sentence) => {
		const running = ['connecting', 'waiting', 'live'].includes(state) || (state === 'lost' && page[card] && !page[card].closed);
		element(`${card}-status`).dataset.state = state;
		element(`${card}-status`).textContent = sentence;
		element(card).disabled = running;
		element(`${card}-stop`).disabled = !running;
		if (!running)
			element(`${card}-detail`).textContent = '';
	};
}

function failed(tell, error) {
	if (error.status === 401) {
		element('token-field').hidden = false;
		element('token').focus();
	}
	tell('refused', error.message);
}

// Camera and microphone, or the drawn picture where there are none. Says which in `note`.
async function openSource(tell) {
	if (element('source').value === 'synthetic')
		return { source: new Synthetic(), note: '' };
	if (!navigator.mediaDevices)
		return { source: new Synthetic(), note: ' This browser gives its camera only to pages from https or localhost, so it is a synthetic picture.' };
	tell('connecting', 'Asking for your camera and microphone…');
	try {
		return { source: await Camera.open(), note: '' };
	} catch (e) {
		if (e.name === 'NotFoundError' || e.name === 'NotReadableError' || e.name === 'OverconstrainedError')
			return { source: new Synthetic(), note: ' No usable camera and microphone, so it is a synthetic picture.' };
		throw new Refused(0, 'Camera and microphone were not allowed. Allow them in the browser, or choose the synthetic picture.');
	}
}

async function publish() {
	const tell = teller('publish');
	let session, source;
	if (!element('setup').reportValidity())
		return;
	tell('connecting', 'Connecting…');
	try {
		const opened = await openSource(tell);
		source = opened.source;
		tell('connecting', 'Connecting…');
		session = new Session(endpoint('whip'), element('token').value, tell);
		page.publish = session;
		session.source = source;
		session.connected = () => tell('live', `Live in room ${roomName()}.${opened.note}`);
		element('publish-video').srcObject = source.stream;
		for (const track of source.stream.getTracks()) {
			const t = session.pc.addTransceiver(track, { direction: 'sendonly', streams: [source.stream] });
			if (track.kind === 'video' && page.params.get('codec'))
				preferCodec(t, page.params.get('codec'));
		}
		closeWith(session, () => source.stop());
		await session.open();
	} catch (e) {
		abandon(session, source, tell, e);
	}
}

function abandon(session, source, tell, error) {
	if (source)
		source.stop();
	if (session && session.closed)
		return;
	if (session)
		session.end('refused', error.message);
	failed(tell, error);
}

// What else ends when a session does.
function closeWith(session, fn) {
	const end = session.end;
	session.end = (state, sentence) => {
		fn();
		end.call(session, state, sentence);
	};
}

async function play() {
	const tell = teller('play');
	const video = element('play-video');
	let session;
	if (!element('setup').reportValidity())
		return;
	tell('connecting', 'Connecting…');
	try {
		session = new Session(endpoint('whep'), element('token').value, tell);
		page.play = session;
		session.connected = () => tell('waiting', `Connected. Waiting for somebody to publish in room ${roomName()}…`);
		video.srcObject = new MediaStream();
		session.pc.ontrack = (e) => video.srcObject.addTrack(e.track);
		session.pc.addTransceiver('audio', { direction: 'recvonly' });
		const t = session.pc.addTransceiver('video', { direction: 'recvonly' });
		if (page.params.get('codec'))
			preferCodec(t, page.params.get('codec'));
		closeWith(session, () => { video.srcObject = null; });
		await session.open();
	} catch (e) {
		abandon(session, null, tell, e);
	}
}

function stop(card, sentence) {
	if (page[card])
		page[card].end('idle', sentence);
}

function describe(now, before, seconds) {
	const frames = now.framesEncoded + now.framesDecoded - before.framesEncoded - before.framesDecoded;
	const parts = [];
	if (now.width)
		parts.push(`${now.width} × ${now.height}`, now.codec, `${Math.round(frames / seconds)} frames/s`);
	parts.push(`${Math.round(((now.bytes - before.bytes) * 8) / seconds / 1000)} kb/s`);
	if (now.audioEnergy > before.audioEnergy)
		parts.push('with sound');
	return parts.join(', ');
}

async function watchCard(card) {
	const session = page[card];
	if (!session || session.closed || session.pc.connectionState !== 'connected')
		return;
	const now = await session.stats();
	const before = session.last || now;
	const seconds = before === now ? 1 : STATS_MS / 1000;
	session.last = now;
	if (session.closed)
		return;
	element(`${card}-detail`).textContent = describe(now, before, seconds);
	if (card === 'play')
		watchPlayer(now, before);
}

// A player is live while packets come in.
function watchPlayer(now, before) {
	const state = element('play-status').dataset.state;
	if (now.packets > before.packets && state !== 'live')
		teller('play')('live', `Live from room ${roomName()}.`);
	else if (now.packets === before.packets && state === 'live')
		teller('play')('waiting', `Nothing comes from room ${roomName()} at the moment. Waiting…`);
}

function remember() {
	page.params.set('room', roomName());
	history.replaceState(null, '', `?${page.params}`);
	const other = new URLSearchParams(page.params);
	other.delete('synthetic');
	element('other-tab').href = `?${other}`;
}

function checkRoom() {
	const bad = /[/+\u0000-\u001f\u007f]/.test(roomName()) || /^\.{0,2}$/.test(roomName());
	element('room').setCustomValidity(bad ? 'Type 1 to 64 characters without / or +; not . or ..' : '');
}

function start() {
	page.params = new URLSearchParams(location.search);
	if (page.params.has('room'))
		element('room').value = page.params.get('room');
	if (page.params.has('synthetic'))
		element('source').value = 'synthetic';
	remember();
	checkRoom();
	element('room').oninput = () => { checkRoom(); remember(); };
	element('setup').onsubmit = (e) => e.preventDefault();
	element('publish').onclick = publish;
	element('play').onclick = play;
	element('publish-stop').onclick = () => stop('publish', 'Stopped.');
	element('play-stop').onclick = () => stop('play', 'Stopped.');
	addEventListener('pagehide', () => {
		stop('publish', 'Stopped.');
		stop('play', 'Stopped.');
	});
	setInterval(() => { watchCard('publish'); watchCard('play'); }, STATS_MS);
	window.sluice = { page, publish, play, stop, stats: (card) => page[card].stats() };
}

if (typeof document === 'undefined')
	setInterval(() => postMessage(null), FRAME_MS);
else
	start();

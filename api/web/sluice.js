// SPDX-License-Identifier: Apache-2.0
// sluice.js — joins a room of a sluice server from a browser (docs/client.md). No dependencies, one ES module.
//
//     import { join } from '/sluice.js';
//     const room = await join({ room: 'demo', participant: 'anna' });
//     room.addEventListener('media', ({ detail: { track } }) => show(track.participant, track.media));
//     await room.publish([{ track: microphone, source: 'microphone' }, { track: camera, source: 'camera' }]);
//
// It speaks docs/join.md: one PeerConnection, only the server offers, and what is sent is attached by mid. A lost
// connection is opened again with the token that resumes the same participant; `state` events say how it goes.
'use strict';

const VERSION = 1;
const BACKOFF_MS = [0, 300, 700, 1500, 3000, 5000];
const DISCONNECTED_MS = 3000;   // ICE often recovers from a short loss without help
const ANSWER_MS = 6000;         // a socket on which nothing comes back for this long is dead
const CANDIDATES_MS = 20;       // candidates found together go in one message
const OPEN_MS = 8000;
const LEAVE_MS = 1000;
const STATS_LEAST_MS = 500;     // rates over less time than this would jump

/**
 * @typedef {'connecting'|'connected'|'reconnecting'|'closed'} State
 * @typedef {'audio'|'video'} Kind
 * @typedef {Object} JoinOptions
 * @property {string} room             name of the room, 1 to 64 characters
 * @property {string} [participant]    own name; without it the server chooses one
 * @property {string} [token]          access or join token
 * @property {string} [url]            of the server; by default where this module was loaded from
 * @property {string} [replace]        Room.token of an earlier life of the page, whose name is then free
 * @property {RTCConfiguration} [rtc]  more for the PeerConnection, as iceServers
 * @typedef {Object} Sendable
 * @property {MediaStreamTrack|null} track
 * @property {string} [source]         "camera", "microphone" (by default, as the kind), "screen"
 * @property {Kind} [kind]             needed when track is null
 * @property {boolean} [muted]         from the start
 * @property {number} [maxBps]         of this track's encoder
 * @typedef {Object} Stats
 * @property {number} sendBps          payload and headers of RTP sent, over the time since the last call
 * @property {number} receiveBps
 * @property {number|null} sendLoss    0 to 1, as the server reports it; null while unknown
 * @property {number|null} receiveLoss 0 to 1, since the last call; null when nothing came
 * @property {number|null} rttMs       of the selected pair of candidates
 * @property {string} connection       state of the PeerConnection
 * @property {TrackStats[]} tracks
 * @typedef {Object} TrackStats
 * @property {string} id
 * @property {string} participant
 * @property {Kind} kind
 * @property {string} source
 * @property {boolean} own
 * @property {number} packets
 * @property {number} bytes
 * @property {number} bps
 * @property {number} frames           decoded, or encoded if own
 * @property {number} audioEnergy      totalAudioEnergy of webrtc-stats
 * @property {number} width
 * @property {number} height
 * @property {string} codec
 */

/** Why something cannot be: `code` is one of docs/join.md, or "unreachable", "refused", "closed". */
export class SluiceError extends Error {
	/** @param {string} code @param {string} message @param {number} [status] of HTTP, where there was one */
	constructor(code, message, status = 0) {
		super(message);
		this.code = code;
		this.status = status;
	}
}

/** A track of somebody else. `media` is null until it is on an m-line, and again when it is not. */
export class RemoteTrack {
	constructor(participant, said) {
		/** @type {string} */ this.participant = participant;
		/** @type {string} */ this.id = said.id;
		/** @type {Kind} */ this.kind = said.kind;
		/** @type {string} */ this.source = said.source || '';
		/** @type {boolean} */ this.muted = !!said.muted;
		/** @type {MediaStreamTrack|null} */ this.media = null;
		/** @type {string|null} */ this.mid = null;
		this.paused = false;
	}
}

/** Somebody else in the room. */
export class Participant {
	constructor(name) {
		/** @type {string} */ this.name = name;
		/** @type {Map<string, RemoteTrack>} */ this.tracks = new Map();
	}
}

/** A track of one's own, made by Room.publish(). */
export class LocalTrack {
	constructor(room, wanted) {
		this.room = room;
		/** @type {MediaStreamTrack|null} */ this.media = wanted.track || null;
		/** @type {Kind} */ this.kind = wanted.kind || wanted.track.kind;
		/** @type {string} */ this.source = wanted.source || (this.kind === 'audio' ? 'microphone' : 'camera');
		/** @type {boolean} */ this.muted = !!wanted.muted;
		/** @type {number} */ this.maxBps = wanted.maxBps || 0;
		/** @type {string|null} */ this.id = null;
		/** @type {string|null} */ this.mid = null;
		this.request = null;
		this.ended = false;
		this.known = false;             // muted, as the server last said
		this.asked = [];                // mutes that it has not answered
		this.unsaid = false;            // one could not be sent
	}

	/** Sends another MediaStreamTrack (or, with null, nothing) from now on; nobody has to negotiate. */
	async replace(/** @type {MediaStreamTrack|null} */ track) {
		this.media = track;
		if (track)
			track.enabled = !this.muted;
		const t = this.room.transceiver(this.mid);
		if (t)
			await t.sender.replaceTrack(track);
	}

	/** Tells everyone, and sends silence or black until unmuted. */
	mute(muted = true) {
		this.set(muted);
		if (this.id)
			this.tellMute();
	}

	set(muted) {
		this.muted = muted;
		if (this.media)
			this.media.enabled = !muted;
	}

	tellMute() {
		const { muted } = this;
		if ((this.asked.length ? this.asked[this.asked.length - 1] : this.known) === muted)
			return;
		this.unsaid = !this.room.say({ type: 'mute', track: this.id, muted });
		if (!this.unsaid)
			this.asked.push(muted);
	}

	forget() {
		this.id = this.mid = null;
		this.known = this.unsaid = false;
		this.asked = [];
	}

	/** Ends it for everyone. The MediaStreamTrack goes on: stop() it where it was made. */
	unpublish() {
		return this.room.unpublish(this);
	}
}

// ---- SDP, as far as trickle needs it ----

function attribute(sdp, name) {
	const found = new RegExp(`^a=${name}:(.*?)\\r?$`, 'm').exec(sdp);
	return found ? found[1] : '';
}

// RFC 8840 section 4: credentials, then the m-line that carries the transport.
function fragment(sdp, candidates, end) {
	const lines = [
		`a=ice-ufrag:${attribute(sdp, 'ice-ufrag')}`,
		`a=ice-pwd:${attribute(sdp, 'ice-pwd')}`,
		`m=${/^m=(\w+)/m.exec(sdp)[1]} 9 UDP/TLS/RTP/SAVPF 0`,
		`a=mid:${attribute(sdp, 'mid')}`,
		...candidates.map((c) => `a=${c}`),
	];
	if (end)
		lines.push('a=end-of-candidates');
	return lines.join('\r\n') + '\r\n';
}

/**
 * The room as one participant has it. Events (CustomEvent, with a `detail`):
 * `state` {state, reason, attempt} · `joined`, `left` {participant} · `trackadded`, `trackremoved`, `trackchanged`
 * {track} · `media` {track}: its MediaStreamTrack came, went or is another · `speaker` {participant: string|null} ·
 * `localtrack` {track, error}: an own track was muted or ended by the server, or (with `error`) was not, as was asked ·
 * `error` {error} · `closed` {error}.
 */
export class Room extends EventTarget {
	/** @param {JoinOptions} options */
	constructor(options) {
		super();
		this.options = options;
		/** @type {string} */ this.name = options.room;
		/** @type {string} */ this.participant = options.participant || '';
		/** @type {string} */ this.session = '';
		/** @type {string[]} */ this.rights = [];
		/** @type {State} */ this.state = 'connecting';
		/** @type {string|null} */ this.speaker = null;
		/** @type {Map<string, Participant>} everybody else */ this.participants = new Map();
		/** @type {Set<LocalTrack>} */ this.localTracks = new Set();
		this.pc = null;
		this.socket = null;
		/** @type {string} resumes; keep it secret */ this.token = '';
		this.slots = [];
		this.endsUnsaid = [];           // ids of own tracks that ended while there was no socket
		this.pausedMids = new Map();    // mid → paused, as the server was told
		this.requests = new Map();      // request → {locals, resolve, reject}
		this.requestCount = 0;
		this.work = Promise.resolve();  // offers are dealt with one after the other
		this.attempt = 0;
		this.waiting = [];              // candidates not sent yet
		this.base = this.last = null;   // statistics of calls before
		this.online = () => this.networkChanged();
		this.offline = () => this.lost('This device is offline.');
	}

	// ================= joining and coming back =================

	/** Used by join(): resolves once the server said welcome. */
	open() {
		return new Promise((resolve, reject) => {
			this.welcomed = resolve;
			this.refused = reject;
			addEventListener('online', this.online);
			addEventListener('offline', this.offline);
			navigator.connection?.addEventListener?.('change', this.online);
			this.connect();
		});
	}

	/** Leaves for good; the others see it at once. */
	leave() {
		const socket = this.socket;
		if (this.say({ type: 'leave' })) {
			// The server closes it; a close of ours right behind could overtake the message.
			socket.onclose = socket.onmessage = null;
			this.socket = null;
			setTimeout(() => socket.close(), LEAVE_MS);
		}
		this.close(new SluiceError('closed', 'You have left the room.'));
	}

	address(scheme) {
		const base = new URL(this.options.url || new URL('.', import.meta.url), location.href);
		const url = new URL(`${base.pathname.replace(/\/$/, '')}/v1/rooms/${encodeURIComponent(this.name)}/join`, base);
		const query = url.searchParams;
		if (scheme === 'ws')
			url.protocol = url.protocol.replace('http', 'ws');
		if (this.participant)
			query.set('participant', this.participant);
		if (scheme === 'ws' && (this.token || this.options.replace))
			query.set(this.token ? 'resume' : 'replace', this.token || this.options.replace);
		if (this.options.token && scheme === 'ws')
			query.set('access_token', this.options.token);
		return url.href;
	}

	connect() {
		clearTimeout(this.retry);
		if (this.state === 'closed')
			return;
		const socket = new WebSocket(this.address('ws'));
		let opened = false;
		this.drop();
		this.socket = socket;
		this.greeted = false;
		this.said = null;
		this.tooLong = setTimeout(() => this.socketGone(socket, opened, {}), OPEN_MS);
		socket.onopen = () => { opened = true; };
		socket.onmessage = (e) => this.socket === socket && this.heard(e.data);
		socket.onclose = (e) => this.socketGone(socket, opened, e);
	}

	// Forgets the socket without a word.
	drop() {
		clearTimeout(this.tooLong);
		clearTimeout(this.unanswered);
		if (this.socket) {
			this.socket.onclose = this.socket.onmessage = null;
			this.socket.close();
		}
		this.socket = null;
	}

	async socketGone(socket, opened, e) {
		if (this.socket !== socket)
			return;
		this.drop();
		if (this.state === 'closed')
			return;
		const why = opened ? this.closedBecause(e) : await this.refusal();
		if (why)
			this.close(why);
		else if (!this.session)
			this.close(this.said || new SluiceError('unreachable', 'The server ended the connection before it said welcome.'));
		else if (!this.socket)
			this.lost('The connection to the server was lost.');
	}

	// What a close frame means for good; null: try again. Codes from 4000 on are the server's own (docs/join.md).
	closedBecause(e) {
		if (e.code === 1000 || e.code >= 4000)
			return this.said || new SluiceError('closed', e.reason ? sentence(e.reason) : 'The server ended the session.');
		return null;
	}

	// A browser does not say why a WebSocket was refused: ask the same address by HTTP. Null: try again.
	async refusal() {
		const headers = this.options.token ? { Authorization: `Bearer ${this.options.token}` } : {};
		let response;
		try {
			response = await fetch(this.address('http'), { headers, cache: 'no-store' });
		} catch {
			return this.session ? null : new SluiceError('unreachable', 'The server cannot be reached.');
		}
		const problem = await response.json().catch(() => ({}));
		const hopeless = [400, 401, 403, 404, 421].includes(response.status) || (response.status === 409 && !this.session);
		if (!hopeless && this.session)
			return null;
		return new SluiceError('refused', sentence(problem.detail || problem.title || 'the server refused'), response.status);
	}

	// Opens a socket again, later and later, until the server says what is.
	lost(reason) {
		if (this.state === 'closed' || !this.session)
			return;
		this.drop();
		clearTimeout(this.retry);
		const wait = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)];
		this.retry = setTimeout(() => this.connect(), wait * (0.75 + Math.random() / 2));
		this.attempt++;
		this.become('reconnecting', reason);
	}

	// The way may be another one now: ask for new candidates; a socket that is dead shows by not answering.
	networkChanged() {
		if (this.state === 'closed' || !this.session)
			return;
		if (this.socket && this.socket.readyState === WebSocket.OPEN)
			this.restart('The network changed.');
		else if (!this.socket) {
			this.attempt = 0;
			this.connect();
		}
	}

	restart(reason) {
		if (!this.say({ type: 'restart' }))
			return;
		this.become('reconnecting', reason);
		clearTimeout(this.unanswered);
		this.unanswered = setTimeout(() => this.lost('The server does not answer.'), ANSWER_MS);
	}

	become(state, reason = '') {
		const same = this.state === state && state !== 'reconnecting';
		this.state = state;
		if (state === 'connected')
			this.attempt = 0;
		if (!same)
			this.tell('state', { state, reason, attempt: this.attempt });
	}

	close(error) {
		if (this.state === 'closed')
			return;
		this.become('closed', error.message);
		clearTimeout(this.retry);
		clearTimeout(this.patience);
		removeEventListener('online', this.online);
		removeEventListener('offline', this.offline);
		navigator.connection?.removeEventListener?.('change', this.online);
		this.drop();
		this.endPeer();
		this.rejectAll(error);
		this.refused(error);
		this.tell('closed', { error });
	}

	// ================= messages =================

	/** False: there is no socket now. */
	say(message) {
		if (!this.socket || this.socket.readyState !== WebSocket.OPEN)
			return false;
		this.socket.send(JSON.stringify(message));
		return true;
	}

	tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}

	heard(text) {
		const message = JSON.parse(text);
		const on = { welcome: 'onWelcome', offer: 'onOffer', slots: 'onSlots', participant: 'onParticipant',
			track: 'onTrack', speaker: 'onSpeaker', error: 'onError' }[message.type];
		if (on)
			this[on](message);
	}

	onWelcome(m) {
		clearTimeout(this.tooLong);
		this.greeted = true;
		if (m.version !== VERSION) {
			this.close(new SluiceError('refused', `The server speaks version ${m.version}, this page ${VERSION}: reload it.`));
			return;
		}
		Object.assign(this, { session: m.session, participant: m.participant, token: m.resume, rights: m.rights || [] });
		if (!m.resumed || !this.pc)
			this.startPeer();
		this.takeStock(m.room.participants || []);
		this.nowSpeaks(m.room.speaker || null);
		if (!m.resumed)
			this.publishAgain();
		else {
			// What others did to own tracks meanwhile; what this side did is said next.
			for (const track of m.tracks || []) {
				const local = [...this.localTracks].find((l) => l.id === track.id && !l.unsaid);
				if (!local)
					continue;
				local.asked = [];
				this.onOwnTrack({ event: 'changed', track });
			}
			this.sayMissed();
		}
		if (!m.resumed || this.pc.connectionState === 'connected')
			this.become('connected');
		this.welcomed(this);
	}

	// What could not be said of own tracks while there was no socket.
	sayMissed() {
		this.endsUnsaid.forEach((id) => this.say({ type: 'unpublish', track: id }));
		this.endsUnsaid = [];
		for (const local of this.localTracks) {
			local.asked = [];
			if (local.unsaid)
				local.tellMute();
		}
	}

	// Who is here now: says what changed since it was last known.
	takeStock(said) {
		const here = new Map(said.map((p) => [p.name, p]));
		for (const name of [...this.participants.keys()])
			if (!here.has(name))
				this.forget(name);
		for (const p of said)
			if (p.name !== this.participant)
				this.takeStockOf(this.meet(p.name), p.tracks || []);
	}

	takeStockOf(participant, tracks) {
		const ids = new Set(tracks.map((t) => t.id));
		for (const id of [...participant.tracks.keys()])
			if (!ids.has(id))
				this.dropTrack(participant, id);
		for (const t of tracks)
			this.keepTrack(participant, t);
	}

	meet(name) {
		let p = this.participants.get(name);
		if (!p) {
			p = new Participant(name);
			this.participants.set(name, p);
			this.tell('joined', { participant: p });
		}
		return p;
	}

	forget(name) {
		const p = this.participants.get(name);
		if (!p)
			return;
		for (const id of [...p.tracks.keys()])
			this.dropTrack(p, id);
		this.participants.delete(name);
		this.tell('left', { participant: p });
		if (this.speaker === name)
			this.nowSpeaks(null);
	}

	keepTrack(participant, said) {
		let track = participant.tracks.get(said.id);
		const event = track ? 'trackchanged' : 'trackadded';
		if (!track) {
			track = new RemoteTrack(participant.name, said);
			participant.tracks.set(said.id, track);
		}
		track.muted = !!said.muted;
		this.tell(event, { track });
		this.placeMedia();
	}

	dropTrack(participant, id) {
		const track = participant.tracks.get(id);
		if (!track)
			return;
		participant.tracks.delete(id);
		track.media = null;
		this.tell('trackremoved', { track });
	}

	onParticipant(m) {
		if (m.name === this.participant)
			return;
		this.forget(m.name);            // who joins under a name is not who had it before
		if (m.event === 'joined')
			this.meet(m.name);
	}

	onTrack(m) {
		if (m.participant === this.participant)
			this.onOwnTrack(m);
		else if (m.event === 'removed')
			this.dropTrack(this.meet(m.participant), m.track.id);
		else
			this.keepTrack(this.meet(m.participant), m.track);
	}

	// Somebody with the right to do so muted, unmuted or ended it.
	onOwnTrack(m) {
		const local = [...this.localTracks].find((l) => l.id === m.track.id);
		if (!local || m.event === 'added')
			return;
		if (m.event === 'removed') {
			this.localTracks.delete(local);
			local.ended = true;
		} else if (!this.othersMuted(local, !!m.track.muted))
			return;
		this.tell('localtrack', { track: local });
	}

	// False when it is but the answer to what was asked for here.
	othersMuted(local, muted) {
		local.known = muted;
		local.asked = local.asked[0] === muted ? local.asked.slice(1) : [];
		if (local.asked.length || local.muted === muted)
			return false;
		local.set(muted);
		return true;
	}

	// What was asked for is not so: an operator's mute stays.
	refuseMutes(error) {
		for (const local of this.localTracks)
			if (local.asked.length) {
				local.asked = [];
				local.set(local.known);
				this.tell('localtrack', { track: local, error });
			}
	}

	onSpeaker(m) {
		this.nowSpeaks(m.participant || null);
	}

	nowSpeaks(name) {
		if (this.speaker === name)
			return;
		this.speaker = name;
		this.tell('speaker', { participant: name });
	}

	onError(m) {
		const error = new SluiceError(m.code, sentence(m.message || m.code));
		const request = this.requests.get(m.request);
		if (request) {
			this.requests.delete(m.request);
			request.locals.forEach((l) => this.localTracks.delete(l));
			request.reject(error);
		} else if (!this.greeted)
			this.said = error;      // the server closes after it
		else if (m.code !== 'not_sent') {       // its track was unpublished meanwhile
			if (!m.request && (m.code === 'no_right' || m.code === 'busy'))
				this.refuseMutes(error);
			this.tell('error', { error });
		}
	}

	// ================= media =================

	startPeer() {
		this.endPeer();
		const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...this.options.rtc });
		this.pc = pc;
		this.base = this.last = null;
		pc.onicecandidate = (e) => this.pc === pc && this.candidate(e.candidate);
		pc.onconnectionstatechange = () => this.pc === pc && this.peerChanged();
	}

	endPeer() {
		clearTimeout(this.patience);
		clearTimeout(this.sendSoon);
		if (this.pc) {
			this.pc.onconnectionstatechange = this.pc.onicecandidate = null;
			this.pc.close();
		}
		this.pc = null;
		this.slots = [];
		this.waiting = [];
		this.gathered = this.answered = false;
		this.pausedMids.clear();
		this.work = Promise.resolve();
		this.placeMedia();
		this.localTracks.forEach((local) => local.forget());
		this.endsUnsaid = [];
	}

	/** The transceiver of an m-line. */
	transceiver(mid) {
		return mid === null || !this.pc ? null : this.pc.getTransceivers().find((t) => t.mid === mid) || null;
	}

	peerChanged() {
		const state = this.pc.connectionState;
		clearTimeout(this.patience);
		if (state === 'connected' && this.socket)
			this.become('connected');
		else if (state === 'failed')
			this.restart('The media connection was lost. Looking for another way.');
		else if (state === 'disconnected') {
			this.become('reconnecting', 'The media connection was lost.');
			this.patience = setTimeout(() => this.restart('The media connection was lost. Looking for another way.'),
				DISCONNECTED_MS);
		}
	}

	onOffer(m) {
		const pc = this.pc;
		clearTimeout(this.unanswered);
		this.work = this.work.then(() => this.pc === pc && this.answer(pc, m)).catch((e) => {
			if (this.pc === pc)
				this.tell('error', { error: new SluiceError('bad_offer', `An offer could not be answered: ${e.message}`) });
		});
	}

	async answer(pc, m) {
		const before = attribute(pc.localDescription?.sdp || '', 'ice-ufrag');
		await pc.setRemoteDescription({ type: 'offer', sdp: m.sdp });
		for (const entry of m.publish || [])
			await this.attach(entry);
		await pc.setLocalDescription();
		if (this.pc !== pc)
			return;
		if (attribute(pc.localDescription.sdp, 'ice-ufrag') !== before)
			this.gathered = pc.iceGatheringState === 'complete';
		this.say({ type: 'answer', offer: m.offer, sdp: pc.localDescription.sdp });
		this.answered = true;
		this.sendCandidates();
		this.placeMedia();
		this.settle(m.publish || []);
		if (pc.connectionState === 'connected')
			this.become('connected');
		this.askAgain();
	}

	// By mid, direction and replaceTrack: addTrack would take over a transceiver that receives.
	async attach(entry) {
		const t = this.transceiver(entry.mid);
		const local = this.localFor(entry);
		if (!t)
			return;
		if (!local || local.ended) {
			t.direction = 'inactive';
			return;
		}
		local.id = entry.track;
		local.mid = entry.mid;
		t.direction = 'sendonly';
		await t.sender.replaceTrack(local.media);
		if (local.maxBps)
			await limit(t.sender, local.maxBps);
	}

	localFor(entry) {
		const locals = [...this.localTracks];
		return locals.find((l) => l.id && l.id === entry.track) || locals.find((l) => !l.id &&
			l.request === entry.request && l.kind === entry.kind && l.source === (entry.source || l.source)) || null;
	}

	// Requests whose tracks all have an m-line are done.
	settle() {
		for (const [name, request] of this.requests)
			if (request.locals.every((l) => l.id || l.ended)) {
				this.requests.delete(name);
				request.locals.filter((l) => l.muted && l.id).forEach((l) => l.mute(true));
				request.resolve(request.locals);
			}
	}

	candidate(c) {
		const current = attribute(this.pc.localDescription?.sdp || '', 'ice-ufrag');
		if (c && c.candidate && (!c.usernameFragment || c.usernameFragment === current))
			this.waiting.push(c.candidate);
		else if (!c)
			this.gathered = true;
		clearTimeout(this.sendSoon);
		this.sendSoon = setTimeout(() => this.sendCandidates(), CANDIDATES_MS);
	}

	sendCandidates() {
		if (!this.answered || !this.pc || !(this.waiting.length || this.gathered))
			return;
		if (this.say({ type: 'candidate', sdpfrag: fragment(this.pc.localDescription.sdp, this.waiting, this.gathered) })) {
			this.waiting = [];
			this.gathered = false;
		}
	}

	onSlots(m) {
		this.slots = m.slots;
		this.placeMedia();
	}

	// Gives every remote track the receiver of its m-line, now that slots or m-lines are others.
	placeMedia() {
		const at = new Map();
		for (const slot of this.slots)
			for (const kind of ['audio', 'video'])
				if (slot[kind] !== null && slot.tracks && slot.tracks[kind])
					at.set(slot.tracks[kind], slot[kind]);
		for (const p of this.participants.values())
			for (const track of p.tracks.values())
				this.place(track, at.get(track.id) ?? null);
	}

	place(track, mid) {
		const t = this.transceiver(mid);
		const media = t ? t.receiver.track : null;
		track.mid = mid;
		if (t)
			this.tellPause(mid, track.paused);
		if (media === track.media)
			return;
		track.media = media;
		this.tell('media', { track });
	}

	/** Stops or goes on receiving it, as when its tile is out of sight. */
	pause(/** @type {RemoteTrack} */ track, paused = true) {
		track.paused = paused;
		if (track.mid !== null)
			this.tellPause(track.mid, paused);
	}

	tellPause(mid, paused) {
		if ((this.pausedMids.get(mid) || false) !== paused && this.say({ type: 'pause', mid, paused }))
			this.pausedMids.set(mid, paused);
	}

	// ================= sending =================

	/**
	 * Publishes tracks. Resolves with one LocalTrack each, in order, once they have their m-lines.
	 * @param {Sendable|Sendable[]|MediaStreamTrack} what
	 * @returns {Promise<LocalTrack[]>}
	 */
	publish(what) {
		const wanted = (Array.isArray(what) ? what : [what]).map((w) => (w instanceof MediaStreamTrack ? { track: w } : w));
		const locals = wanted.map((w) => new LocalTrack(this, w));
		for (const local of locals) {
			this.localTracks.add(local);
			if (local.media)
				local.media.enabled = !local.muted;
		}
		return this.ask(locals);
	}

	ask(locals) {
		const name = `p${++this.requestCount}`;
		return new Promise((resolve, reject) => {
			if (this.state === 'closed') {
				reject(new SluiceError('closed', 'The room was left.'));
				return;
			}
			locals.forEach((l) => { l.request = name; });
			this.requests.set(name, { locals, resolve, reject, said: this.sayPublish(name, locals) });
		});
	}

	sayPublish(name, locals) {
		return this.say({ type: 'publish', request: name, tracks: locals.map((l) => ({ kind: l.kind, source: l.source })) });
	}

	// After a new session: everything that was published, in one request. What was asked for meanwhile is asked again.
	publishAgain() {
		const waiting = new Set([...this.requests.values()].flatMap((r) => r.locals));
		const old = [...this.localTracks].filter((l) => !waiting.has(l));
		for (const request of this.requests.values())
			request.said = false;
		if (old.length)
			this.ask(old).catch((error) => this.tell('error', { error }));
		this.askAgain();
	}

	// What could not be asked for while there was no socket.
	askAgain() {
		for (const [name, request] of this.requests)
			request.said ||= this.sayPublish(name, request.locals);
	}

	/** Ends a track for everyone. */
	async unpublish(/** @type {LocalTrack} */ local) {
		const t = this.transceiver(local.mid);
		this.localTracks.delete(local);
		local.ended = true;
		if (local.id && !this.say({ type: 'unpublish', track: local.id }))
			this.endsUnsaid.push(local.id);
		local.forget();
		if (t)
			await t.sender.replaceTrack(null);
	}

	rejectAll(error) {
		for (const request of this.requests.values())
			request.reject(error);
		this.requests.clear();
	}

	// ================= statistics =================

	/** @returns {Promise<Stats>} over the time since the last call, but at least half a second */
	async stats() {
		if (!this.pc)
			return { sendBps: 0, receiveBps: 0, sendLoss: null, receiveLoss: null, rttMs: null, connection: 'closed', tracks: [] };
		const pc = this.pc;
		const now = count(await pc.getStats(), this.trackByMid());
		this.last ||= now;
		if (now.atMs - this.last.atMs >= STATS_LEAST_MS)
			[this.base, this.last] = [this.last, now];
		const stats = compare(now, this.base || this.last);
		return { ...stats, connection: pc.connectionState };
	}

	trackByMid() {
		const by = new Map();
		for (const l of this.localTracks)
			if (l.mid !== null)
				by.set(l.mid, { id: l.id, participant: this.participant, source: l.source, own: true });
		for (const p of this.participants.values())
			for (const t of p.tracks.values())
				if (t.mid !== null)
					by.set(t.mid, { id: t.id, participant: p.name, source: t.source, own: false });
		return by;
	}
}

async function limit(sender, bps) {
	const p = sender.getParameters();
	if (!p.encodings || !p.encodings.length)
		return;
	p.encodings[0].maxBitrate = bps;
	await sender.setParameters(p).catch(() => {});
}

// Sums and tracks of one getStats().
function count(reports, tracks) {
	const sum = { atMs: performance.now(), sent: 0, received: 0, packets: 0, lost: 0, rttMs: null, sendLoss: null, tracks: [] };
	let losses = 0, told = 0;
	for (const r of reports.values()) {
		if (r.type === 'outbound-rtp' || r.type === 'inbound-rtp')
			countFlow(sum, r, reports, tracks.get(r.mid));
		else if (r.type === 'remote-inbound-rtp' && r.fractionLost !== undefined) {
			losses += r.fractionLost;
			told++;
		} else if (r.type === 'candidate-pair' && r.state === 'succeeded' && r.nominated && r.currentRoundTripTime !== undefined)
			sum.rttMs = r.currentRoundTripTime * 1000;
	}
	sum.sendLoss = told ? losses / told : null;
	return sum;
}

function countFlow(sum, r, reports, track) {
	const bytes = (r.bytesSent || r.bytesReceived || 0) + (r.headerBytesSent || r.headerBytesReceived || 0);
	if (r.type === 'outbound-rtp')
		sum.sent += bytes;
	else {
		sum.received += bytes;
		sum.packets += r.packetsReceived || 0;
		sum.lost += r.packetsLost || 0;
	}
	if (!track)
		return;
	const codec = reports.get(r.codecId);
	sum.tracks.push({ ...track, kind: r.kind, bytes, packets: r.packetsSent || r.packetsReceived || 0,
		frames: r.framesDecoded || r.framesEncoded || 0, audioEnergy: r.totalAudioEnergy || 0,
		width: r.frameWidth || 0, height: r.frameHeight || 0, codec: codec ? codec.mimeType.split('/')[1] : '' });
}

function compare(now, before) {
	const s = Math.max(now.atMs - before.atMs, 1) / 1000;
	const bps = (a, b) => Math.max(0, ((a - b) * 8) / s);
	const lost = Math.max(0, now.lost - before.lost);
	const expected = lost + Math.max(0, now.packets - before.packets);
	const was = new Map(before.tracks.map((t) => [t.id, t.bytes]));
	return {
		sendBps: bps(now.sent, before.sent),
		receiveBps: bps(now.received, before.received),
		sendLoss: now.sendLoss,
		receiveLoss: expected ? lost / expected : null,
		rttMs: now.rttMs,
		tracks: now.tracks.map((t) => ({ ...t, bps: bps(t.bytes, was.get(t.id) ?? t.bytes) })),
	};
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');

/**
 * Joins a room.
 * @param {JoinOptions} options
 * @returns {Promise<Room>} in the room; rejects with a SluiceError that says why not
 */
export function join(options) {
	return new Room(options).open();
}

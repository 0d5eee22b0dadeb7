// SPDX-License-Identifier: Apache-2.0
// The operator's page: what the server's REST API and events say, each second. #token=TOKEN, or typed.
import { Plot } from './plot.js';

const POLL_MS = 1000;
const SESSIONS_MAX = 60;        // looked at in detail at once
const EVENTS_MAX = 200;
const EVENTS = ['room', 'participant', 'track', 'session', 'speaker', 'codec_mismatch', 'overload', 'gap', 'overflow'];

const $ = (id) => document.getElementById(id);
const count = (v) => (v >= 99_950 ? `${Math.round(v / 1000)}k` : v >= 9_995 ? `${(v / 1000).toFixed(1)}k` : String(Math.round(v)));
const rate = (bps) => (bps >= 999_500 ? `${(bps / 1e6).toFixed(1)} Mb/s` : `${Math.round(bps / 1000)} kb/s`);
const percent = (part) => `${(part * 100).toFixed(part > 0 && part < 0.01 ? 2 : 1)} %`;
const milliseconds = (ms) => (ms < 0.5 ? 'under 1 ms' : `${Math.round(ms)} ms`);
const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

function duration(s) {
	if (s < 120)
		return `${Math.round(s)} s`;
	return s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

const page = { token: '', chosen: null, before: null, plots: null, cards: new Map(), source: null };

// ================= asking =================

async function ask(path, options = {}) {
	const headers = { ...(page.token ? { Authorization: `Bearer ${page.token}` } : {}), ...options.headers };
	const response = await fetch(`v1/${path}`, { ...options, headers, cache: 'no-store' });
	if (response.status === 204)
		return null;
	const body = await response.json().catch(() => ({}));
	if (!response.ok)
		throw Object.assign(new Error(body.detail || body.title || `status ${response.status}`), { status: response.status });
	return body;
}

async function all(path, list) {
	const items = [];
	let after = null;
	do {
		const mark = path.includes('?') ? '&' : '?';
		const answer = await ask(after === null ? `${path}${mark}limit=1000` : `${path}${mark}limit=1000&after=${encodeURIComponent(after)}`);
		items.push(...answer[list]);
		after = answer.next;
	} while (after && items.length < 5000);
	return items;
}

const change = (path, body) => ask(path, { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
const end = (path) => ask(path, { method: 'DELETE' });

// ================= numbers =================

// Sums of the loops' counters, and what they grew by each second.
function grown(server) {
	const now = { atMs: performance.now(), cpu: server.cpuTime, loops: server.loops.map((l) => l.counters || {}) };
	const before = page.before;
	page.before = now;
	if (!before || before.loops.length !== now.loops.length)
		return null;
	const s = (now.atMs - before.atMs) / 1000;
	const loops = now.loops.map((c, i) => Object.fromEntries(Object.keys(c).map((k) =>
		[k, Math.max(0, (c[k] - (before.loops[i][k] || 0)) / s)])));
	const sum = (name) => loops.reduce((n, l) => n + (l[name] || 0), 0);
	return { loops, sum, cpu: Math.max(0, (now.cpu - before.cpu) / s) };
}

const part = (some, of) => (of + some > 0 ? some / (of + some) : 0);

function makePlots() {
	const box = document.querySelector('.plots');
	const plot = (title, how) => {
		const card = Object.assign(document.createElement('div'), { className: 'card' });
		box.append(card);
		return new Plot(card, title, how);
	};
	return {
		packets: plot('Packets a second', { labels: ['in', 'out'], word: count, floor: 10 }),
		bits: plot('Bit rate', { labels: ['in', 'out'], word: rate, floor: 100_000 }),
		loss: plot('Loss: packets asked for again', { labels: ['in', 'out'], word: percent, floor: 0.01 }),
		cpu: plot('Processor', { labels: ['of one core'], word: (v) => `${Math.round(v * 100)} %`, floor: 0.1 }),
	};
}

function showPlots(g) {
	page.plots ||= makePlots();
	if (!g)
		return;
	page.plots.packets.push([g.sum('rx_packets'), g.sum('tx_packets')]);
	page.plots.bits.push([g.sum('rx_bytes') * 8, g.sum('tx_bytes') * 8]);
	page.plots.loss.push([part(g.sum('nack_sent'), g.sum('rtp_in')), part(g.sum('nack_received'), g.sum('rtp_forwarded'))]);
	page.plots.cpu.push([g.cpu]);
}

function showTotals(server, rooms) {
	const totals = {
		rooms: server.rooms,
		people: rooms.reduce((n, r) => n + r.participants, 0),
		sessions: server.sessions,
		loops: server.loops.length,
		memory: megabytes(server.residentBytes),
		running: duration(server.uptime),
		...(server.draining ? { state: 'draining' } : {}),
	};
	fill($('totals'), Object.entries(totals), ([name]) => name, () => {
		const div = document.createElement('div');
		div.append(document.createElement('dt'), document.createElement('dd'));
		return div;
	}, (div, [name, value]) => {
		text(div.firstChild, name);
		text(div.lastChild, String(value));
	});
}

const DROPPED = ['tx_dropped', 'video_shed', 'demux_no_memory', 'relay_dropped', 'srtp_auth_failed', 'rtp_malformed'];

function showLoops(server, g) {
	fill($('loops'), server.loops, (l) => l.loop, () => {
		const row = document.createElement('tr');
		for (let i = 0; i < 9; i++)
			row.append(document.createElement('td'));
		return row;
	}, (row, l, i) => {
		const r = g ? g.loops[i] : {};
		const cells = [l.loop, l.addresses.map((a) => (a.includes(':') && !/:\d+$/.test(a) ? `[${a}]` : a)).join(', ') + (l.addresses.some((a) =>
			/\.\d+:\d+$/.test(a)) ? '' : `, port ${l.port}`), l.transports, `${count(r.rx_packets || 0)} /s`, `${count(r.tx_packets || 0)} /s`,
			rate((r.rx_bytes || 0) * 8), rate((r.tx_bytes || 0) * 8), percent(part(r.nack_received || 0, r.rtp_forwarded || 0)),
			count(DROPPED.reduce((n, name) => n + ((l.counters || {})[name] || 0), 0))];
		cells.forEach((c, k) => text(row.cells[k], String(c)));
	});
}

// ================= lists that keep their elements =================

function text(element, value) {
	if (element.textContent !== value)
		element.textContent = value;
}

// One child for each item, kept by key, so that focus and open details stay.
function fill(parent, items, keyOf, make, update) {
	const old = new Map([...parent.children].map((e) => [e.dataset.key, e]));
	items.forEach((item, i) => {
		const key = String(keyOf(item));
		const element = old.get(key) || make(item);
		element.dataset.key = key;
		old.delete(key);
		if (parent.children[i] !== element)
			parent.insertBefore(element, parent.children[i] || null);
		update(element, item, i);
	});
	for (const element of old.values())
		element.remove();
}

// ================= rooms and people =================

function showRooms(rooms) {
	if (page.chosen !== null && !rooms.some((r) => r.name === page.chosen))
		page.chosen = null;
	const list = rooms.length ? [null, ...rooms] : [];
	$('no-rooms').hidden = rooms.length > 0;
	fill($('rooms'), list, (r) => (r ? `room ${r.name}` : 'all'), (r) => {
		const li = document.createElement('li');
		const button = Object.assign(document.createElement('button'), { type: 'button' });
		button.append(Object.assign(document.createElement('span'), { className: 'name' }), document.createElement('span'));
		button.onclick = () => {
			page.chosen = r ? r.name : null;
			look();
		};
		li.append(button);
		return li;
	}, (li, r) => {
		const button = li.firstChild;
		button.setAttribute('aria-current', String(page.chosen === (r ? r.name : null)));
		text(button.firstChild, r ? r.name : 'Everybody');
		text(button.lastChild, r ? String(r.participants) : '');
		button.setAttribute('aria-label', r ? `${r.name}, ${plural(r.participants, 'participant')}, ${r.players} playing` : 'Everybody');
	});
}

function showRoomHead(room) {
	text($('room-title'), room ? room.name : 'Everybody');
	$('close-room').hidden = !room;
	if (!room) {
		text($('room-facts'), '');
		return;
	}
	const facts = [`${plural(room.participants, 'participant')} of ${room.capacity}`, `${room.players} playing`, `${duration(room.age)} old`];
	if (room.speaker)
		facts.push(`${room.speaker} speaks`);
	if (room.max_video_bps)
		facts.push(`cameras share ${rate(room.max_video_bps)}`);
	text($('room-facts'), facts.join(' · '));
}

function makeSession(s) {
	const card = $('session').content.firstElementChild.cloneNode(true);
	card.querySelector('.kick').onclick = () => act(() => end(`sessions/${s.id}`), `Remove ${titleOf(s)} from room ${s.room}?`);
	return card;
}

// Causes that nobody needs to mend (docs/rest.md).
const IN_ORDER = new Set(['well', 'connecting', 'capped', 'muted', 'nobody_sends', 'waiting_for_keyframe', 'closed', 'closed_by_peer']);
const titleOf = (s) => s.participant || (s.plays ? `player of ${s.plays}` : 'player');

function showSession(card, s, tracks, inRoom) {
	const st = s.statistics;
	card.dataset.state = s.state;
	card.classList.toggle('trouble', !!s.diagnosis && !IN_ORDER.has(s.diagnosis.cause));
	text(card.querySelector('h3'), titleOf(s));
	text(card.querySelector('.via'), { whip: 'WHIP', whep: 'WHEP', join: 'joined' }[s.via] || s.via);
	const facts = [s.state, ...(inRoom ? [] : [`room ${s.room}`]), `loop ${s.loop}`, duration(s.age)];
	if (st)
		facts.push(`in ${rate(st.incomingBitrate)}`, `out ${rate(st.outgoingBitrate)}`);
	if (st && st.currentRoundTripTime !== null)
		facts.push(`round trip ${milliseconds(st.currentRoundTripTime * 1000)}`);
	text(card.querySelector('.facts'), facts.join(' · '));
	text(card.querySelector('.sentence'), s.diagnosis ? s.diagnosis.sentence : s.ended || '');
	card.querySelector('.kick').hidden = s.state === 'closed';
	showTracks(card.querySelector('.tracks'), tracks);
	if (card.querySelector('details').open || !card.querySelector('.more').firstChild)
		showDiagnosis(card.querySelector('.more'), s);
	card.querySelector('details').hidden = !s.diagnosis;
}

function showTracks(list, tracks) {
	list.hidden = !tracks.length;
	fill(list, tracks, (t) => t.id, () => {
		const li = document.createElement('li');
		li.append(document.createElement('span'), Object.assign(document.createElement('button'), { type: 'button', className: 'plain' }));
		return li;
	}, (li, t) => {
		const what = [t.source || t.kind, t.mimeType && t.mimeType.split('/')[1]].filter(Boolean).join(' · ');
		text(li.firstChild, t.muted ? `${what} · muted` : what);
		li.firstChild.classList.toggle('muted', t.muted);
		text(li.lastChild, t.muted ? 'Unmute' : 'Mute');
		li.lastChild.setAttribute('aria-label', `${t.muted ? 'Unmute' : 'Mute'} ${t.participant}’s ${t.source || t.kind}`);
		li.lastChild.onclick = () => act(() => change(`tracks/${t.id}`, { muted: !t.muted }));
	});
}

function table(head, rows) {
	const t = document.createElement('table');
	const tr = t.createTHead().insertRow();
	head.forEach((h) => tr.append(Object.assign(document.createElement('th'), { textContent: h, scope: 'col' })));
	const body = t.createTBody();
	for (const cells of rows) {
		const row = body.insertRow();
		cells.forEach((c) => { row.insertCell().textContent = String(c); });
	}
	return t;
}

function showDiagnosis(box, s) {
	const d = s.diagnosis, st = s.statistics;
	const said = [];
	if (!d)
		return;
	const line = (value) => said.push(Object.assign(document.createElement('p'), { textContent: value }));
	line([`Rule: ${d.cause}`, d.dtlsStep && `DTLS: ${d.dtlsStep}`, st && `ICE: ${st.iceState}`, st && st.srtpCipher,
		`session ${s.id}`].filter(Boolean).join(' · '));
	line(`${count(d.packetsReceived)} packets received, ${count(d.packetsSent)} sent` + (st ? `, ${count(st.packetsLost)} lost on the way here` : '') + '.');
	if (d.candidatePairs.length)
		said.push(table(['Here', 'There', 'Type', 'State', 'Checks in', 'Checks out', 'Answers'], d.candidatePairs.map((p) =>
			[p.local, p.remote, p.remoteCandidateType, p.state + (p.selected ? ', selected' : ''), p.requestsReceived, p.requestsSent, p.responsesReceived])));
	else
		line('No pair of candidates was tried.');
	const drops = Object.entries(d.packetsDropped || {}).filter(([, n]) => n > 0);
	if (drops.length)
		line(`Went no further: ${drops.map(([name, n]) => `${name.replace(/_/g, ' ')} ${n}`).join(', ')}.`);
	box.replaceChildren(...said);
}

async function showSessions(room) {
	const query = room ? `?room=${encodeURIComponent(room.name)}` : '';
	const sessions = (await all(`sessions${query}`, 'sessions')).slice(0, SESSIONS_MAX);
	const details = (await Promise.all(sessions.map((s) => ask(`sessions/${s.id}`).catch(() => null)))).filter(Boolean);
	const rooms = [...new Set(details.map((s) => s.room))];
	const people = (await Promise.all(rooms.map((r) => all(`rooms/${encodeURIComponent(r)}/participants`, 'participants').catch(() => [])))).flat();
	const tracks = new Map(people.map((p) => [p.session, p.tracks]));
	$('no-sessions').hidden = details.length > 0;
	fill($('sessions'), details, (s) => s.id, makeSession, (card, s) => showSession(card, s, tracks.get(s.id) || [], !!room));
}

async function act(fn, question) {
	if (question && !confirm(question))
		return;
	try {
		await fn();
		await look();
	} catch (e) {
		tell('reconnecting', `That was refused: ${e.message}`);
	}
}

// ================= events =================

const who = (e) => e.participant || 'A player';
const WORDS = {
	room: (e) => `Room ${e.room} ${e.event}`,
	participant: (e) => `${who(e)} ${e.event} room ${e.room}`,
	track: (e) => `${who(e)}: ${e.track.source || e.track.kind} ${e.event}${e.track.muted ? ', muted' : ''}`,
	session: (e) => `${who(e)}: session ${e.event === 'back' ? 'is back' : e.event}${e.cause ? `, ${e.cause}` : ''}`,
	speaker: (e) => `${who(e)} speaks in room ${e.room}`,
	codec_mismatch: (e) => `${who(e)} in room ${e.room} cannot play ${e.codec || 'the codec'} that is sent there`,
	overload: (e) => `Overload: ${e.reason}`,
	gap: () => 'Some events before this were missed',
	overflow: () => 'Some events were missed',
};

function heard(type, data) {
	const e = JSON.parse(data);
	const li = document.createElement('li');
	li.dataset.type = `${type} ${e.room}`;
	if (type === 'speaker' && $('events').firstChild?.dataset.type === li.dataset.type)
		$('events').firstChild.remove();        // only the last of a conversation
	li.append(Object.assign(document.createElement('time'), { textContent: new Date(e.time || Date.now()).toTimeString().slice(0, 8) }),
		Object.assign(document.createElement('span'), { textContent: WORDS[type] ? WORDS[type](e) : data }));
	$('events').prepend(li);
	while ($('events').children.length > EVENTS_MAX)
		$('events').lastChild.remove();
	$('no-events').hidden = true;
}

function listen() {
	page.source?.close();
	page.source = new EventSource(`v1/events${page.token ? `?access_token=${encodeURIComponent(page.token)}` : ''}`);
	for (const type of EVENTS)
		page.source.addEventListener(type, (e) => heard(type, e.data));
}

// ================= the page =================

function tell(state, sentence) {
	$('status').dataset.state = state;
	text($('status'), sentence);
}

async function look() {
	const [server, rooms] = await Promise.all([ask('loops'), all('rooms', 'rooms')]);
	const g = grown(server);
	$('board').hidden = false;
	$('token-form').hidden = true;
	showTotals(server, rooms);
	showPlots(g);
	showLoops(server, g);
	showRooms(rooms);
	const room = rooms.find((r) => r.name === page.chosen) || null;
	showRoomHead(room);
	await showSessions(room);
	if (page.source.readyState === EventSource.CLOSED)
		listen();
	tell('connected', 'Live');
}

function failed(e) {
	page.before = null;
	if (e.status === 401 || e.status === 403) {
		$('token-form').hidden = false;
		tell('reconnecting', e.status === 401 ? 'A token is needed.' : `Refused: ${e.message}`);
		return false;
	}
	tell('reconnecting', e.status ? `The server answers: ${e.message}` : 'The server cannot be reached. Trying again…');
	return true;
}

async function watch() {
	let again = true;
	if (!document.hidden)
		await look().catch((e) => { again = failed(e); });
	if (again)
		setTimeout(watch, POLL_MS);
}

function start() {
	page.token = new URLSearchParams(location.hash.slice(1)).get('token') || sessionStorage.getItem('sluice.token') || '';
	$('token-form').onsubmit = (e) => {
		e.preventDefault();
		page.token = $('token').value;
		sessionStorage.setItem('sluice.token', page.token);
		listen();
		watch();
	};
	$('close-room').onclick = () => act(() => end(`rooms/${encodeURIComponent(page.chosen)}`), `Close room ${page.chosen} for everybody in it?`);
	listen();
	watch();
}

start();

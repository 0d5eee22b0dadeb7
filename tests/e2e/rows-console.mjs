// SPDX-License-Identifier: Apache-2.0
// The console, driven as people do it: meetings, mischief, and what an operator sees of it.
import { missingBrowser, Tab } from './lib/browser.mjs';
import { foreignPage } from './lib/foreign.mjs';
import { counted, filter, ip } from './lib/net.mjs';
import { missingPeer } from './lib/peer.mjs';
import { untilAllDecode } from './lib/person.mjs';
import { shots } from './lib/shot.mjs';
import { pause, seconds, until } from './lib/wait.mjs';

const chromium = () => missingBrowser('chromium');
const firefox = () => missingBrowser('firefox');
const peer = (kind) => () => missingPeer(kind);
const CUT_MS = 5000;
const SMALL = 'synthetic=1&size=160x90&fps=5';

function check(holds, sentence) {
	if (!holds)
		throw new Error(sentence);
}

const roomPath = (t) => `rooms/${encodeURIComponent(t.room)}`;
const participants = async (t) => (await t.sluice.rest('GET', `${roomPath(t)}/participants`)).participants;

async function trackOf(t, name, source) {
	const { tracks } = await t.sluice.rest('GET', `${roomPath(t)}/participants/${encodeURIComponent(name)}`);
	return tracks.find((track) => track.source === source).id;
}

// ---- in the room ----

async function muteOneself(anna, others) {
	await anna.press('mic');
	await Promise.all(others.map(async (o) => {
		await o.untilTile('with a microphone that is off', 'person Anna', (tile) => tile.muted);
		await o.untilSilent('Anna');
	}));
	await anna.press('mic');
	await Promise.all(others.map((o) => o.untilDecodes(['Anna'])));
}

// By a back end, for everyone: the page says so, and its own switch cannot undo it.
async function muteByRest(t, anna, others) {
	for (const [source, button, says] of [['microphone', 'mic', /Your microphone was switched off/], ['camera', 'cam', /Your camera was switched off/]]) {
		const path = `tracks/${await trackOf(t, 'Anna', source)}`;
		await t.sluice.rest('PATCH', path, { muted: true });
		await anna.untilSays(says);
		await Promise.all(others.map((o) => o.untilTile('without it', 'person Anna', (tile) => (source === 'camera' ? tile.dark : tile.muted))));
		await anna.press(button);
		await anna.untilSays(/operator has muted/);
		await anna.untilTile('still without it', 'person Anna', (tile) => (source === 'camera' ? tile.dark : tile.muted));
		await t.sluice.rest('PATCH', path, { muted: false });
		await anna.untilSays(/allowed again/);
		await Promise.all(others.map((o) => o.untilDecodes(['Anna'])));
	}
}

async function shareScreen(anna, others) {
	await anna.press('share');
	await Promise.all(others.map((o) => o.untilDecodes(['Anna'], { source: 'screen', sound: false })));
	await Promise.all(others.map((o) => o.untilDecodes(['Anna'])));
	await anna.press('share');
	await Promise.all(others.map((o) => o.untilTile('no more', 'screen Anna', (tile) => !tile)));
	await Promise.all(others.map((o) => o.untilDecodes(['Anna'])));
}

const meeting = {
	name: 'console-two-and-three-meet',
	limitS: 300,
	needs: [chromium, firefox],
	async run(t) {
		await t.server();
		const anna = await t.person('chromium', 'Anna');
		await anna.untilReady();
		await anna.shots('join');
		await anna.join();
		await anna.shots('alone');
		const ben = await t.person('firefox', 'Ben');
		await ben.join();
		await untilAllDecode([anna, ben]);
		await ben.untilColour('Anna');
		await anna.shots('room-2');
		const clara = await t.person('chromium', 'Clara Dée');
		await clara.join();
		await untilAllDecode([anna, ben, clara]);
		for (const [who, whom] of [[anna, clara], [clara, anna], [ben, anna], [ben, clara]])
			await who.untilColour(whom.name);
		await anna.untilMarks(['Ben', 'Clara Dée']);
		await anna.untilReadsNumbers();
		await anna.shots('room-3');
		await muteOneself(anna, [ben, clara]);
		await muteByRest(t, anna, [ben, clara]);
		await shareScreen(anna, [ben, clara]);
		await untilAllDecode([anna, ben, clara]);
	},
};

const NAMES = ['Ada', 'Boris', 'Chloé', 'Dilan', 'Emeka', 'Fatima', 'Goran', 'Hana Sato'];

const eight = {
	name: 'console-eight-meet',
	limitS: 300,
	needs: [chromium],
	async run(t) {
		await t.server();
		const people = await Promise.all(NAMES.map((name) => t.person('chromium', name, SMALL)));
		// Eight windows full of pictures are more than two cores can paint.
		await Promise.all(people.map((p) => p.page.setViewportSize({ width: 320, height: 240 })));
		await Promise.all(people.map((p) => p.join()));
		await untilAllDecode(people, { frames: 3 });
		await people[0].shots('room-8');
		check((await participants(t)).length === NAMES.length, 'the server has another number of participants');
	},
};

// ---- coming and going ----

async function leaveAndComeBack(anna, ben) {
	await ben.press('leave');
	await ben.untilSays(/You have left/);
	await anna.untilTile('no more', 'person Ben', (tile) => !tile);
	await ben.join();
	await untilAllDecode([anna, ben]);
}

async function reload(anna, ben) {
	for (const one of [anna, ben]) {
		await one.page.reload();
		await one.join();
		await untilAllDecode([anna, ben]);
	}
}

// Nobody is gone for the others, who are not told anything.
async function cut(t, anna, ben) {
	const sessions = async () => JSON.stringify((await participants(t)).map((p) => p.session).sort());
	const before = await sessions();
	const { port } = new URL(t.sluice.url);
	const heal = await filter(t, 'cut', [`tcp dport ${port} counter drop`, `tcp sport ${port} counter drop`, 'meta l4proto udp counter drop']);
	await pause(CUT_MS);
	check(await counted('cut') > 0, 'nothing was cut');
	await heal();
	await untilAllDecode([anna, ben]);
	check(await sessions() === before, 'somebody has another session after the cut');
}

async function changeAddress(t, anna, ben) {
	await ip('addr', 'add', '10.97.0.1/24', 'dev', 'client0');
	await ip('addr', 'del', '10.98.0.1/24', 'dev', 'client0');
	await ip('route', 'replace', 'default', 'via', '10.97.0.2', 'dev', 'client0');
	await untilAllDecode([anna, ben]);
	for (const p of [anna, ben])
		await p.untilSays(/Connected|connection is back/);
}

async function restartServer(t, anna, ben) {
	const { port } = new URL(t.sluice.url);
	await t.sluice.stop();
	t.sluice = null;
	for (const p of [anna, ben])
		await p.untilSays(/connection.* was lost.*Trying to come back/);
	await t.server(`--http.port=${port}`, ...CLIENT_APART);
	for (const p of [anna, ben])
		await p.untilIn();
	await untilAllDecode([anna, ben]);
}

async function kick(t, anna, ben) {
	await t.sluice.rest('DELETE', `${roomPath(t)}/participants/Ben`);
	await ben.untilSays(/removed|ended/i);
	await anna.untilTile('no more', 'person Ben', (tile) => !tile);
	await t.sluice.rest('DELETE', roomPath(t));
	await anna.untilSays(/ended|closed|over/i);
}

// The browsers' address is another one than the server's, so that it can change.
const CLIENT_APART = ['--media.bind=10.99.0.1'];
async function apart(t) {
	await ip('link', 'add', 'client0', 'type', 'veth', 'peer', 'name', 'client1');
	t.defer(async () => {
		await ip('link', 'del', 'client0');
		await ip('route', 'replace', 'default', 'via', '10.99.0.2', 'dev', 'media0');
	});
	await ip('addr', 'add', '10.98.0.1/24', 'dev', 'client0');
	await ip('link', 'set', 'client1', 'up');
	await ip('link', 'set', 'client0', 'up');
	await ip('route', 'replace', 'default', 'via', '10.98.0.2', 'dev', 'client0');
	await filter(t, 'apart', ['ip saddr 10.99.0.1 ip daddr 10.99.0.1 meta l4proto udp drop']);
}

const goings = {
	name: 'console-comings-and-goings',
	limitS: 300,
	needs: [chromium, firefox],
	async run(t) {
		await apart(t);
		await t.server(...CLIENT_APART);
		const anna = await t.person('chromium', 'Anna');
		const ben = await t.person('firefox', 'Ben');
		await anna.join();
		await ben.join();
		await untilAllDecode([anna, ben]);
		await leaveAndComeBack(anna, ben);
		await reload(anna, ben);
		await cut(t, anna, ben);
		await changeAddress(t, anna, ben);
		await restartServer(t, anna, ben);
		await kick(t, anna, ben);
	},
};

// ---- with WHIP and WHEP ----

const mixed = {
	name: 'console-with-whip-and-whep',
	needs: [chromium, firefox, peer('aiortc')],
	async run(t) {
		await t.server('--loops=2');
		const anna = await t.person('chromium', 'Anna');
		const ben = await t.person('firefox', 'Ben');
		await anna.join();
		await ben.join();
		await t.peer('aiortc', 'publish', 'Camera 7');
		for (const [person, others] of [[anna, ['Ben']], [ben, ['Anna']]]) {
			await person.untilDecodes(others);
			await person.untilDecodes(['Camera 7'], { source: '' });
		}
		for (const name of ['Anna', 'Camera 7'])
			await (await t.peer('aiortc', 'play', name)).untilFlows();
		const player = await t.tab('chromium');
		await player.press('play');
		await player.untilDecoded();
	},
};

// ---- thieves ----

// What a page elsewhere would try, with all that a script there may do. Returns what it got through with.
const steal = async ({ base, paths, room }) => {
	const ws = base.replace('http', 'ws');
	const late = (ms) => new Promise((done) => setTimeout(done, ms));
	const got = [];
	const ask = async (method, path, options) => {
		const answer = await fetch(base + path, { method, ...options }).catch(() => null);
		if (answer && answer.type !== 'opaque' && answer.ok)
			got.push(`${method} ${path}: ${answer.status}`);
		answer?.body?.cancel();         // that of events has no end
	};
	const first = (events, source) => Promise.race([late(5000), ...events.map((e) => new Promise((done) => { source.addEventListener(e, () => done(e)); }))]);
	const socket = async (path) => {
		const one = new WebSocket(ws + path);
		const what = await first(['open', 'message', 'error', 'close'], one);
		if (what !== 'error' && what !== 'close')
			got.push(`WebSocket ${path}: ${what}`);
		one.close();
	};
	const source = async (path) => {
		const one = new EventSource(base + path);
		const what = await first(['open', 'message', 'hello', 'error'], one);
		if (what !== 'error')
			got.push(`EventSource ${path}: ${what}`);
		one.close();
	};
	const session = async (path) => {
		const pc = new RTCPeerConnection();
		for (const kind of ['audio', 'video'])
			pc.addTransceiver(kind, { direction: path.startsWith('/whip') ? 'sendonly' : 'recvonly' });
		await pc.setLocalDescription();
		await ask('POST', path, { headers: { 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
		for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/sdp'])
			await ask('POST', path, { mode: 'no-cors', body: new Blob([pc.localDescription.sdp], { type }) });
		pc.close();
	};
	const json = (body) => ({ headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
	for (const path of paths)
		await Promise.all([ask('GET', path), ask('GET', path, { mode: 'no-cors' }), ask('POST', path, { mode: 'no-cors', body: '{}' }),
			...[{ muted: true }, { paused: true }, { capacity: 100 }, { 'log.level': 'error' }].map((body) => ask('PATCH', path, json(body)))]);
	await Promise.all([socket(`/v1/rooms/${room}/join?participant=Mallory`), socket('/v1/events'), source('/v1/events'), source('/v1/events?last_event_id=0')]);
	await session(`/whip/${room}?participant=Malvin`);
	await session(`/whep/${room}`);
	for (const path of [...paths].reverse())
		await Promise.all([ask('PUT', path, json({})), ask('DELETE', path)]);
	return got;
};

// Every path of the API, with what is there in place of its parameters.
async function everyPath(t) {
	const { paths } = await t.sluice.rest('GET', 'openapi.json');
	const [first] = await participants(t);
	const { subscriptions } = await t.sluice.rest('GET', `sessions/${first.session}`);
	const there = { rooms: encodeURIComponent(t.room), participants: encodeURIComponent(first.name), tracks: first.tracks[0].id, sessions: first.session,
		subscriptions: subscriptions[0] };
	return Object.keys(paths).map((path) => path.replace(/(\w+)\/\{\w+\}/g, (_, of) => `${of}/${there[of]}`));
}

async function state(t) {
	const { rooms } = await t.sluice.rest('GET', 'rooms');
	const { sessions } = await t.sluice.rest('GET', 'sessions');
	const people = await participants(t);
	return JSON.stringify([rooms.map((r) => [r.name, r.capacity, r.participants, r.players]), sessions.map((s) => s.id).sort(),
		people.map((p) => [p.name, p.session, p.tracks.map((track) => [track.id, track.muted])])]);
}

const thieves = ['chromium', 'firefox'].map((kind) => ({
	name: `console-keeps-foreign-pages-out-in-${kind}`,
	needs: [chromium, () => missingBrowser(kind)],
	async run(t) {
		await t.server();
		const anna = await t.person('chromium', 'Anna', SMALL);
		const ben = await t.person('chromium', 'Ben', SMALL);
		await anna.join();
		await ben.join();
		await untilAllDecode([anna, ben]);
		const before = await state(t);
		const there = { base: t.sluice.url, paths: await everyPath(t), room: encodeURIComponent(t.room) };
		const { port } = new URL(await foreignPage(t, '0.0.0.0'));
		for (const origin of [`http://thief.test:${port}`, `http://10.99.0.1:${port}`]) {
			const thief = await Tab.open(kind, `${origin}/`);
			t.tabs.push(thief);
			const got = await thief.evaluate(steal, there);
			check(!got.length, `a page of ${origin} got through: ${got.join('; ')}`);
		}
		check(await state(t) === before, `something is other than before:\n${before}\n${await state(t)}`);
		await untilAllDecode([anna, ben]);
		// The same from the server's own page gets through, or it would prove nothing.
		const own = await (await Tab.open(kind, `${t.sluice.url}/icon.svg`).then((tab) => t.tabs.push(tab) && tab)).evaluate(steal, there);
		check(['GET /v1/rooms', 'PATCH /v1/tracks/', 'PATCH /v1/subscriptions/', 'DELETE /v1/', 'WebSocket /v1/rooms/', 'WebSocket /v1/events', 'EventSource /v1/events']
			.every((what) => own.some((line) => line.startsWith(what))), `its own page got no further than: ${own.join('; ')}`);
	},
}));

// The thief's own name stands for this machine: to the browser it is all one origin.
const rebound = {
	name: 'console-keeps-a-rebound-name-out',
	needs: [chromium],
	async run(t) {
		await t.server();
		const anna = await t.person('chromium', 'Anna', SMALL);
		await anna.join();
		const before = await state(t);
		const base = t.sluice.url.replace('127.0.0.1', 'rebound.test');
		const there = { base, paths: [...(await everyPath(t)), '/', '/sluice.js', '/metrics'], room: encodeURIComponent(t.room) };
		const thief = await Tab.open('chromium', 'about:blank');
		t.tabs.push(thief);
		// As if loaded before the name was given another address.
		await thief.page.route(`${base}/mine`, (route) => route.fulfill({ contentType: 'text/html', body: '<!DOCTYPE html><title>mine</title>' }));
		await thief.page.goto(`${base}/mine`);
		const got = await thief.evaluate(steal, there);
		check(!got.length, `it got through: ${got.join('; ')}`);
		const status = await thief.evaluate(async () => (await fetch('/v1/rooms')).status);
		check(status === 421, `GET /v1/rooms: ${status}`);
		check(await state(t) === before, 'something is other than before');
	},
};

// ---- the operator's page ----

class Operator {
	static async open(t) {
		const operator = new Operator();
		operator.tab = await Tab.open('chromium', `${t.sluice.url}/operator.html`);
		operator.shots = (name) => shots(operator.tab, name);
		t.tabs.push(operator.tab);
		return operator;
	}

	// All that the page says, in parts.
	see() {
		return this.tab.evaluate(() => {
			const texts = (selector, root = document) => [...root.querySelectorAll(selector)].map((e) => e.textContent.replace(/\s+/g, ' ').trim());
			return {
				totals: Object.fromEntries([...document.querySelectorAll('#totals div')].map((d) => [d.querySelector('dt').textContent, d.querySelector('dd').textContent])),
				rooms: texts('#rooms .name'), loops: texts('#loops tr').length,
				plots: [...document.querySelectorAll('.plots canvas')].map((c) => c.getAttribute('aria-label')),
				sessions: Object.fromEntries([...document.querySelectorAll('.session')].map((s) => [s.querySelector('h3').textContent,
					{ sentence: s.querySelector('.sentence').textContent, facts: s.querySelector('.facts').textContent, tracks: texts('.tracks li span', s) }])),
				events: texts('#events li span'),
			};
		});
	}

	until(what, holds, deadlineMs) {
		return until(`the operator sees ${what}`, async (last) => {
			const seen = await this.see();
			last(seen);
			return holds(seen) && seen;
		}, deadlineMs);
	}

	untilSentence(name, pattern) {
		return this.until(`of ${name}: ${pattern}`, ({ sessions }) => pattern.test(sessions[name]?.sentence), seconds(60));
	}

	// A button of somebody's session.
	press(name, selector) {
		return this.tab.page.click(`.session:has(h3:text-is("${name}")) ${selector}`);
	}
}

const operator = {
	name: 'operator-sees-and-acts',
	needs: [chromium],
	async run(t) {
		await t.server('--loops=2');
		const anna = await t.person('chromium', 'Anna', SMALL);
		const ben = await t.person('chromium', 'Ben', SMALL);
		const page = await Operator.open(t);
		await page.until('nobody', ({ totals }) => totals.people === '0');
		await page.shots('operator-empty');
		await anna.join();
		await ben.join();
		await untilAllDecode([anna, ben]);
		await (await t.tab('chromium')).press('play');
		const seen = await page.until('who is there', ({ totals, rooms, sessions, plots }) => totals.people === '2' && totals.sessions === '3' && rooms.includes(t.room) &&
			['Anna', 'Ben', 'player'].every((n) => /^(All is well|The picture has all)/.test(sessions[n]?.sentence)) && /VP8/.test(sessions.Anna.tracks.join()) &&
			plots.every((p) => /\d/.test(p)) && / [1-9]/.test(plots[0]));
		check(seen.loops === 2, `there are ${seen.loops} loops`);
		check(['microphone', 'camera'].every((w) => seen.sessions.Anna.tracks.some((text) => text.startsWith(w))), 'a track is missing');
		check(seen.events.some((e) => /Anna joined/.test(e)), 'no event tells of Anna');
		await page.press('Anna', 'summary');
		await page.tab.page.waitForSelector('details[open] td:has-text("selected")');
		await page.tab.page.click(`#rooms button:has-text("${t.room}")`);
		await page.until('one room', ({ sessions }) => Object.keys(sessions).length === 3);
		await page.shots('operator');
		await page.press('Anna', '.tracks li:has-text("microphone") button');
		await anna.untilSays(/Your microphone was switched off/);
		await page.until('that it is muted', ({ sessions }) => sessions.Anna.tracks.some((w) => /microphone.*muted/.test(w)));
		page.tab.page.on('dialog', (d) => d.accept());
		await page.press('Ben', '.kick');
		await ben.untilSays(/ended|removed/i);
		await page.until('that Ben is gone', ({ sessions, events }) => !sessions.Ben && events.some((e) => /Ben left/.test(e)));
		await page.tab.page.click('#close-room');
		await anna.untilSays(/ended|closed|over/i);
		await page.until('that nobody is there', ({ totals }) => totals.people === '0');
	},
};

// ---- what is wrong, caused for real ----

// 30 of 100 datagrams with this port are lost until healed.
const loss = (t, which) => filter(t, 'loss', [`udp ${which} numgen random mod 100 < 30 counter drop`]);

const sentences = {
	name: 'operator-reads-what-is-wrong',
	needs: [chromium],
	limitS: 300,
	async run(t) {
		await t.server('--loops=1');
		const { addresses } = (await t.sluice.rest('GET', 'loops')).loops[0];
		const ports = `{ ${addresses.map((a) => /:(\d+)$/.exec(a)[1]).join(', ')} }`;
		const anna = await t.person('chromium', 'Anna');
		const ben = await t.person('chromium', 'Ben');
		const page = await Operator.open(t);
		await anna.join();
		await ben.join();
		await untilAllDecode([anna, ben]);
		const up = await loss(t, `dport ${ports}`);
		await page.untilSentence('Anna', /% of the packets from the publisher to the server are lost/);
		await page.shots('operator-loss');
		await up();
		const down = await loss(t, `sport ${ports}`);
		await page.untilSentence('Ben', /% of the packets from the server to the player are lost/);
		await down();
		await anna.evaluate(() => window.sluice.room.localTracks.forEach((l) => l.replace(null)));
		await page.untilSentence('Anna', /publisher is connected but sends no media any more/);
		await filter(t, 'blocked', [`udp dport ${ports} counter drop`, `tcp dport ${ports} counter drop`]);
		const clara = await t.person('chromium', 'Clara', SMALL);
		await clara.untilReady();
		await clara.press('join');
		await page.untilSentence('Clara', /No connectivity check ever arrived/);
		await page.untilSentence('Ben', /Nothing has come from the peer for \d+ s/);
	},
};

export const rows = [meeting, eight, goings, mixed, ...thieves, rebound, operator, sentences];

#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// tests/e2e/measure.mjs [JOINS [picture|people|joins|kurento...]] — figures for people to read, on a quiet machine; nothing here passes or fails.
// SLUICE names the binary. In a network namespace of its own; server and browsers share the machine.
//
//   first picture   from the click on Join to the first decoded frame of somebody who was there before, in Chromium and
//                   in Firefox: median and worst of JOINS (20), each by a new tab that sends camera and microphone too
//   ten people      all on camera (320x180, 10 frames/s), each in a small tab of Chromium with the nine others: CPU time
//                   of the server a second over 10 s, its resident memory before and then, packets and bits a second
//   joins a second  by sluice.js, 60 at once from 4 tabs of Chromium, until all their media connections are there
//   kurento         an application of Kurento's: from the creation of the pipeline to the first decoded frame of the
//                   page's own picture, median and worst of JOINS; calls a second on one connection (kurento.messages_per_s out of the way), one at a time and
//                   64 under way; resident memory for each of 500 WebRtcEndpoints that wait, and for each that has
//                   answered an offer
//
// One JSON object a line.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { closeBrowsers, missingBrowser, Tab } from './lib/browser.mjs';
import { Person, untilAllDecode } from './lib/person.mjs';
import { Application } from './rows-kurento.mjs';
import { Server } from './lib/server.mjs';
import { pause, until } from './lib/wait.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const joins = Number(process.argv[2] || 20);
const wanted = process.argv.slice(3);
const wants = (figure) => !wanted.length || wanted.includes(figure);
const OVER_MS = 10_000;
const CAMERA = 'synthetic=1&size=320x180&fps=10';
const TABS = 4, JOINS_OF_A_TAB = 15;

if (process.env.SL_NETNS !== 'inside') {
	const self = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
	process.exit(spawnSync(join(here, 'netns.sh'), self, { stdio: 'inherit' }).status ?? 1);
}

const say = (what) => console.log(JSON.stringify(what));
const round = (v, digits = 0) => Number(v.toFixed(digits));

function median(values) {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.floor(sorted.length / 2)];
}

// Milliseconds from the click to the first frame in the tile of `whom`.
async function firstPicture(person, whom) {
	await person.untilReady();
	await person.evaluate((name) => {
		const look = () => {
			const video = document.querySelector(`#stage [data-key="person ${name}"] video`);
			if (video)
				video.requestVideoFrameCallback(() => { window.firstMs = performance.now() - window.clickedMs; });
			else
				setTimeout(look, 2);
		};
		document.getElementById('join').addEventListener('click', () => {
			window.clickedMs = performance.now();
			look();
		}, true);
	}, whom);
	await person.press('join');
	return until('the first picture', () => person.evaluate(() => window.firstMs));
}

async function measureFirstPicture(kind) {
	const server = await Server.start('--log.level=warn');
	const anna = await Person.open('chromium', server.url, 'measure', 'Anna', 'synthetic=1');
	const took = [];
	await anna.join();
	for (let n = 0; n < joins; n++) {
		const one = await Person.open(kind, server.url, 'measure', `Guest ${n}`);
		took.push(await firstPicture(one, 'Anna'));
		await one.close();
		await server.until('nobody else is there', (m) => m.sluice_participants === 1);
	}
	await anna.close();
	await server.stop();
	say({ figure: 'first picture', browser: kind, joins, median_ms: round(median(took)), worst_ms: round(Math.max(...took)) });
}

// Counters of all loops, and the process.
async function load(server) {
	const now = await server.rest('GET', 'loops');
	const sum = (name) => now.loops.reduce((n, l) => n + l.counters[name], 0);
	return { at: performance.now(), cpu: now.cpuTime, in: sum('rx_packets'), out: sum('tx_packets'), bits: 8 * sum('tx_bytes'), resident: now.residentBytes };
}

async function measureTen() {
	const server = await Server.start('--log.level=warn');
	const empty = await load(server);
	const people = [];
	for (let n = 0; n < 10; n++) {
		people.push(await Person.open('chromium', server.url, 'measure', `Person ${n}`, CAMERA));
		await people[n].page.setViewportSize({ width: 480, height: 320 });
		await people[n].join();
	}
	await untilAllDecode(people);
	const before = await load(server);
	await pause(OVER_MS);
	const after = await load(server);
	const s = (after.at - before.at) / 1000;
	const rate = (name) => (after[name] - before[name]) / s;
	say({ figure: 'ten people', cpu_percent_of_a_core: round(100 * rate('cpu'), 1), resident_mb: round(after.resident / 1e6, 1), resident_mb_empty: round(empty.resident / 1e6, 1),
		packets_in_s: round(rate('in')), packets_out_s: round(rate('out')), mbit_out_s: round(rate('bits') / 1e6, 2) });
	await Promise.all(people.map((p) => p.close()));
	await server.stop();
}

async function joinMany([tab, count]) {
	const { join: enter } = await import('/sluice.js');
	const connected = (pc) => new Promise((done) => {
		const look = () => pc.connectionState === 'connected' && done();
		pc.addEventListener('connectionstatechange', look);
		look();
	});
	const rooms = await Promise.all(Array.from({ length: count }, (_, n) => enter({ room: `measure ${tab}`, participant: `${tab} ${n}` })));
	await Promise.all(rooms.map((r) => connected(r.pc)));
	window.rooms = rooms;
}

async function measureJoins() {
	const server = await Server.start('--log.level=warn');
	const tabs = await Promise.all(Array.from({ length: TABS }, () => Tab.open('chromium', `${server.url}/`)));
	const began = performance.now();
	await Promise.all(tabs.map((tab, n) => tab.evaluate(joinMany, [n, JOINS_OF_A_TAB])));
	const s = (performance.now() - began) / 1000;
	say({ figure: 'joins a second', joins: TABS * JOINS_OF_A_TAB, took_ms: round(1000 * s), joins_s: round(TABS * JOINS_OF_A_TAB / s, 1) });
	await Promise.all(tabs.map((tab) => tab.close()));
	await server.stop();
}

// What a row is given, for an application that is measured.
async function application() {
	const ends = [];
	const t = {
		async server() { t.sluice = await Server.start('--log.level=warn', '--kurento.messages_per_s=1000000'); },
		async tab(kind) { const tab = await Tab.open(kind, `${t.sluice.url}/`); ends.unshift(() => tab.close()); return tab; },
		defer(end) { ends.unshift(end); },
	};
	const app = await Application.open(t);
	return { app, server: t.sluice, async close() {
		for (const end of ends)
			await end();
		await t.sluice.stop();
	} };
}

async function kurentoPicture(app, browser) {
	const began = performance.now();
	app.pipeline = await app.client.create('MediaPipeline');
	const me = await app.caller(browser, `caller ${began}`);
	await me.endpoint.connect(me.endpoint);
	while (!(await me.page('seen')).frames)
		await pause(5);
	const took = performance.now() - began;
	await me.page('close');
	await app.pipeline.release();
	return took;
}

// By the protocol itself: kurento-client costs more than the server. `under` calls are under way at any time.
async function callsASecond(port, count, under) {
	const line = new WebSocket(`ws://127.0.0.1:${port}/kurento`);
	let sent = 0, answered = 0;
	const call = () => line.send(JSON.stringify({ jsonrpc: '2.0', id: sent++, method: 'invoke', params: { object: 'manager_ServerManager', operation: 'getName' } }));
	await once(line, 'open');
	const began = performance.now();
	await new Promise((done) => {
		line.on('message', () => {
			if (sent < count)
				call();
			if (++answered === count)
				done();
		});
		for (let n = 0; n < under; n++)
			call();
	});
	const s = (performance.now() - began) / 1000;
	line.close();
	return count / s;
}

// What each of a number of endpoints adds to the server's memory; made: what becomes of each.
async function endpointKilobytes(app, server, count, made) {
	const { residentBytes: before } = await server.rest('GET', 'loops');
	const pipeline = await app.client.create('MediaPipeline');
	for (let n = 0; n < count; n++)
		await made(await pipeline.create('WebRtcEndpoint'));
	const { residentBytes: after } = await server.rest('GET', 'loops');
	await pipeline.release();
	return (after - before) / count / 1000;
}

async function measureKurento() {
	const { app, server, close } = await application();
	const browser = await app.browser();
	const took = [];
	for (let n = 0; n < joins; n++)
		took.push(await kurentoPicture(app, browser));
	const offerer = await app.browser();
	const offer = await offerer.tab.evaluate(async () => {
		const pc = new RTCPeerConnection();
		pc.addTransceiver('audio');
		pc.addTransceiver('video');
		return (await pc.createOffer()).sdp;
	});
	const { port } = server.ready.http;
	say({ figure: 'kurento', pictures: joins, first_picture_median_ms: round(median(took)), first_picture_worst_ms: round(Math.max(...took)),
		calls_s: round(await callsASecond(port, 3000, 1)), calls_s_64_under_way: round(await callsASecond(port, 30000, 64)),
		waiting_endpoint_kb: round(await endpointKilobytes(app, server, 500, () => {}), 1),
		answered_endpoint_kb: round(await endpointKilobytes(app, server, 500, (e) => e.processOffer(offer)), 1) });
	await close();
}

for (const kind of wants('picture') ? ['chromium', 'firefox'] : [])
	if (missingBrowser(kind))
		say({ figure: 'first picture', browser: kind, missing: missingBrowser(kind) });
	else
		await measureFirstPicture(kind);
if (wants('people'))
	await measureTen();
if (wants('joins'))
	await measureJoins();
if (wants('kurento'))
	await measureKurento();
await closeBrowsers();

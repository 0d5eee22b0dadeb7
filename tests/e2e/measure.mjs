#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// tests/e2e/measure.mjs [JOINS [picture|people|joins...]] — figures for people to read, on a quiet machine; nothing here passes or fails.
// SLUICE names the binary. In a network namespace of its own; server and browsers share the machine.
//
//   first picture   from the click on Join to the first decoded frame of somebody who was there before, in Chromium and
//                   in Firefox: median and worst of JOINS (20), each by a new tab that sends camera and microphone too
//   ten people      all on camera (320x180, 10 frames/s), each in a small tab of Chromium with the nine others: CPU time
//                   of the server a second over 10 s, its resident memory before and then, packets and bits a second
//   joins a second  by sluice.js, 60 at once from 4 tabs of Chromium, until all their media connections are there
//
// One JSON object a line.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closeBrowsers, missingBrowser, Tab } from './lib/browser.mjs';
import { Person, untilAllDecode } from './lib/person.mjs';
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

for (const kind of wants('picture') ? ['chromium', 'firefox'] : [])
	if (missingBrowser(kind))
		say({ figure: 'first picture', browser: kind, missing: missingBrowser(kind) });
	else
		await measureFirstPicture(kind);
if (wants('people'))
	await measureTen();
if (wants('joins'))
	await measureJoins();
await closeBrowsers();

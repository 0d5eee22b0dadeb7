#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// tests/e2e/soak.mjs [SECONDS] — joins and leaves against one server until the time is over; then everybody must be
// gone and its memory back where it was after the first rounds. Bounded by the clock, not by a count.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingPeer, Peer } from './lib/peer.mjs';
import { Server } from './lib/server.mjs';

const WARM_ROUNDS = 3;
const PLAYERS = 4;
const SLACK_KB = 16 * 1024;
const here = dirname(fileURLToPath(import.meta.url));

if (process.env.SL_NETNS !== 'inside') {
	const self = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
	process.exit(spawnSync(join(here, 'netns.sh'), self, { stdio: 'inherit' }).status ?? 1);
}

async function round(server, number) {
	const room = `soak-${number % 3}`;
	const publisher = await Peer.start('wrtc', 'publish', `${server.url}/whip/${room}`);
	const players = await Promise.all(Array.from({ length: PLAYERS }, () => Peer.start('wrtc', 'play', `${server.url}/whep/${room}`)));
	await Promise.all([publisher, ...players].map((p) => p.untilFlows(10)));
	// One leaves without a word; the server has to notice.
	const [silent, ...others] = players;
	silent.process.child.kill('SIGKILL');
	await Promise.all([publisher, ...others].map((p) => p.stop()));
	await server.until('everybody is gone', (m) => m.sluice_sessions === 0 && m.sluice_transports === 0);
}

async function soak(seconds) {
	const end = Date.now() + seconds * 1000;
	const server = await Server.start('--loops=2', '--ice.timeout=8', '--log.level=warn');
	let rounds = 0;
	let warm = 0;
	while (Date.now() < end || rounds <= WARM_ROUNDS) {
		await round(server, rounds++).catch(async (e) => {
			const counts = Object.entries(await server.metrics()).filter(([, v]) => v > 0);
			throw new Error(`round ${rounds}: ${e.message}\n${JSON.stringify(Object.fromEntries(counts))}\n${server.process.report()}`);
		});
		if (rounds === WARM_ROUNDS)
			warm = server.rssKb();
		if (rounds % 10 === 0)
			console.log(`${rounds} rounds, ${server.rssKb()} KB`);
	}
	const now = server.rssKb();
	console.log(`${rounds} rounds: ${warm} KB after ${WARM_ROUNDS}, ${now} KB at the end`);
	await server.stop();
	if (now > warm + SLACK_KB)
		throw new Error(`memory does not come back: ${warm} KB, then ${now} KB`);
}

const lacking = missingPeer('wrtc');
if (lacking) {
	console.log(`soak: ${lacking}\nsoak: 0 passed, 1 failed`);
	process.exit(1);
}
const error = await soak(Number(process.argv[2] || 600)).catch((e) => e);
if (error)
	console.log(`not ok soak: ${error.message}`);
console.log(`soak: ${error ? 0 : 1} passed, ${error ? 1 : 0} failed`);
process.exit(error ? 1 : 0);

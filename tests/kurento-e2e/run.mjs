#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// tests/kurento-e2e/run.mjs [FILTER...] — the built server against kurento-client from npm, by each way to install it,
// in a network namespace of its own. SLUICE names the binary. Prints a line per row and the sum.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Server } from '../e2e/lib/server.mjs';
import { until, within, seconds } from '../e2e/lib/wait.mjs';
import { churn } from './churn.mjs';
import { check, drive } from './drive.mjs';
import { invoke, recipes } from './lib/client.mjs';
import { Tap } from './lib/tap.mjs';

const self = fileURLToPath(import.meta.url);
const here = dirname(self);
const ROW_S = Number(process.env.SL_KURENTO_ROW_S || 60);

async function withServer(flags, run) {
	const server = await Server.start(...flags);
	const tap = await Tap.open(Number(new URL(server.url).port));
	const thrown = new Promise((_, fail) => process.on('uncaughtException', fail));
	try {
		await within('the row', Promise.race([run(tap, server), thrown]), seconds(ROW_S));
	} catch (e) {
		e.stack += `\n    not answered: ${[...tap.waiting.values()]}\n    last: ${JSON.stringify(tap.last)}\n${server.process.report()}`;
		throw e;
	} finally {
		// From here on the client looks for a server that is gone, and its errors are no news.
		await tap.close();
		await server.stop();
	}
}

// The line is cut while a session has objects and subscriptions: both are there afterwards.
async function reconnects(recipe, tap) {
	const client = await recipe.load()(tap.url);
	const pipeline = await client.create('MediaPipeline');
	const [one, two] = [await pipeline.create('PassThrough'), await pipeline.create('PassThrough')];
	let events = 0;
	one.on('ElementConnected', () => { events++; });
	await one.connect(two, 'VIDEO');
	await until('an event comes', () => events === 1);
	const back = new Promise((done) => client.once('reconnected', done));
	tap.cut();
	check(await within('the client to come back', back) === true, 'it is another session');
	await one.connect(two, 'AUDIO');
	await until('events go on', () => events === 2);
	check(tap.sessions.size === 1, `${tap.sessions.size} sessions`);
	await pipeline.release();
	client.close();
}

const children = new Set();
process.on('exit', () => children.forEach((c) => c.kill('SIGKILL')));

// A client that dies without a word: what it made goes with its session.
async function dies(recipe, tap) {
	const client = await recipe.load()(tap.url);
	const manager = await client.getServerManager();
	const child = spawn(process.execPath, [join(here, 'abandon.mjs'), recipe.name, tap.url], { stdio: ['ignore', 'pipe', 'inherit'] });
	children.add(child);
	const [line] = await within('the other client to be ready', once(createInterface({ input: child.stdout }), 'line'));
	check(line === 'ready', line);
	// Not by getPipelines(): the client would ask what each is, and then hold it, too.
	check((await invoke(manager, 'getPipelines')).length === 5, 'there are not five pipelines');
	child.kill('SIGKILL');
	children.delete(child);
	await until('all that it made is gone', async (last) => {
		const left = await invoke(manager, 'getPipelines');
		last(left.length);
		return left.length === 0;
	}, seconds(20));
	client.close();
}

const rows = recipes.flatMap((recipe) => [
	// On loopback: elsewhere an endpoint sends nothing to the server's own addresses.
	{ name: `${recipe.name}-drives-everything`, recipe, run: drive, flags: ['--media.bind=127.0.0.1'] },
	{ name: `${recipe.name}-comes-back-to-its-session`, recipe, run: reconnects },
	...(recipe.name === '7.3-c' ? [{ name: 'pipelines-come-and-go', recipe, run: churn,
		flags: ['--media.bind=127.0.0.1', '--kurento.session_creates_per_s=100000', '--kurento.messages_per_s=100000'] }] : []),
	...(recipe.name === '7.3-a' ? [{ name: `${recipe.name}-dies`, recipe, run: dies, flags: ['--kurento.gc_s=1'] }] : []),
]);

// In a process of its own: the client's timers and its attempts to connect again end with it.
async function one(name) {
	const row = rows.find((r) => r.name === name);
	await withServer(row.flags || [], (tap, server) => row.run(row.recipe, tap, server));
}

function runRow(row, sums) {
	const started = Date.now();
	const missing = row.recipe.missing();
	if (missing && process.env.CI !== 'true') {
		sums.skipped++;
		console.log(`skip ${row.name}: ${missing}`);
		return;
	}
	const { status, stdout, stderr } = spawnSync(process.execPath, [self, '--one', row.name], { encoding: 'utf8', timeout: seconds(2 * ROW_S) });
	const took = ((Date.now() - started) / 1000).toFixed(1);
	sums[status === 0 ? 'passed' : 'failed']++;
	console.log(status === 0 ? `${process.env.SL_KURENTO_ROUNDS ? stdout : ""}ok ${row.name} (${took} s)` : `not ok ${row.name} (${took} s)\n${stdout}${stderr}`);
}

async function main() {
	const filters = process.argv.slice(2);
	const chosen = rows.filter((r) => !filters.length || filters.some((f) => r.name.includes(f)));
	const sums = { passed: 0, failed: 0, skipped: 0 };

	if (process.env.SL_NETNS !== 'inside')
		return spawnSync(join(here, '../e2e/netns.sh'), [process.execPath, self, ...filters], { stdio: 'inherit' }).status ?? 1;
	if (filters[0] === '--one') {
		await one(filters[1]);
		return 0;
	}
	chosen.forEach((row) => runRow(row, sums));
	console.log(`kurento-clients: ${sums.passed} passed, ${sums.failed} failed, ${sums.skipped} skipped`);
	return sums.failed || !chosen.length ? 1 : 0;
}

process.exit(await main().catch((e) => {
	console.error(e.stack);
	return 1;
}));

// SPDX-License-Identifier: Apache-2.0
// Pipelines come and go, with endpoints that have made offers, by the hundred: descriptors and memory come back.
// SL_KURENTO_PIPELINES and SL_KURENTO_ROUNDS make it longer.
import { readdirSync } from 'node:fs';
import { unheard } from './lib/client.mjs';
import { check } from './drive.mjs';
import { until } from '../e2e/lib/wait.mjs';

const PIPELINES = Number(process.env.SL_KURENTO_PIPELINES || 100);
const ROUNDS = Number(process.env.SL_KURENTO_ROUNDS || 5);
const PLAIN_EACH = 10;          // so many pipelines have one RtpEndpoint, with sockets of its own
const GROWTH = 1.1, SLACK_KB = 4096;

const OFFER = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=audio 5004 RTP/AVP 0', ''].join('\r\n');

async function pipeline(client, i) {
	const p = await client.create('MediaPipeline');
	const [web, pass] = [await p.create('WebRtcEndpoint'), await p.create('PassThrough')];
	await web.connect(pass);
	await pass.connect(web);
	await web.generateOffer();
	if (i % PLAIN_EACH === 0) {
		const plain = await p.create('RtpEndpoint');
		await plain.processOffer(OFFER);
		await web.connect(plain);
	}
	return p;
}

const descriptors = (server) => readdirSync(`/proc/${server.process.child.pid}/fd`).length;

async function round(client, server) {
	const started = Date.now();
	const all = [];
	for (let i = 0; i < PIPELINES; i += 20)
		all.push(...await Promise.all([...Array(20)].map((_, j) => pipeline(client, i + j))));
	const full = { kb: server.rssKb(), descriptors: descriptors(server) };
	await Promise.all(all.map((p) => p.release()));
	await server.until('the transports are gone', (m) => m.sluice_transports === 0);
	return { full, kb: server.rssKb(), descriptors: descriptors(server), ms: Date.now() - started };
}

export async function churn(recipe, tap, server) {
	const client = await recipe.load()(tap.url);
	const rounds = [];
	for (let i = 0; i < ROUNDS; i++) {
		rounds.push(await round(client, server));
		if (process.env.SL_KURENTO_ROUNDS)
			console.log(JSON.stringify(rounds[i]));
	}
	check(!unheard.length, unheard[0]?.message);
	const [first, last] = [rounds[1], rounds[rounds.length - 1]];
	await until('all descriptors are back', (say) => {
		say(rounds.map((r) => r.descriptors));
		return descriptors(server) <= first.descriptors;
	});
	check(last.kb <= first.kb * GROWTH + SLACK_KB, `memory grows, in KiB after each round: ${rounds.map((r) => r.kb)}`);
	client.close();
}

// SPDX-License-Identifier: Apache-2.0
// The built server: started on free ports, asked over HTTP, ended by signal; a sanitizer's word is a failure.
import { readFileSync } from 'node:fs';
import { Process } from './process.mjs';
import { seconds, until } from './wait.mjs';

// Deadlines that a crowded machine must not reach.
const PATIENT = ['--http.header_timeout_ms=60000', '--http.body_timeout_ms=60000', '--dtls.queue_ms=60000'];

export const binary = process.env.SLUICE || 'build/release/sluice';

const ready = (line) => {
	try {
		const said = JSON.parse(line);
		return said.ready && said;
	} catch {
		return null;
	}
};

// What the caller configures by the environment holds for every server.
const configured = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('SLUICE_')));

export class Server {
	static async start(...flags) {
		const server = new Server();
		server.process = new Process('sluice', binary, ['--http.port=0', '--media.port=0', '--log.level=debug', ...PATIENT, ...flags], {
			env: { ...configured, PATH: process.env.PATH, ASAN_OPTIONS: process.env.ASAN_OPTIONS || '', TSAN_OPTIONS: process.env.TSAN_OPTIONS || '' },
		});
		server.ready = await server.process.line('ready', ready);
		server.url = server.ready.http.url.replace(/\/$/, '');
		return server;
	}

	// A request to the REST API, as a back end makes it.
	async rest(method, path, body) {
		const response = await fetch(`${this.url}/v1/${path}`, { method, ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }) });
		const text = await response.text();
		if (!response.ok)
			throw new Error(`${method} ${path}: ${response.status} ${text}`);
		return text && JSON.parse(text);
	}

	// All counters and gauges, loops added up: name → value.
	async metrics() {
		const text = await (await fetch(`${this.url}/metrics`)).text();
		const sums = {};
		for (const line of text.split('\n')) {
			const [, name, value] = /^(\w+)(?:\{[^}]*\})? (\S+)$/.exec(line) || [];
			if (name)
				sums[name] = (sums[name] || 0) + Number(value);
		}
		return sums;
	}

	until(what, check, deadlineMs) {
		return until(what, async (last) => {
			const m = await this.metrics();
			last(Object.fromEntries(Object.entries(m).filter(([, v]) => v > 0)));
			return check(m);
		}, deadlineMs);
	}

	rssKb() {
		return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.process.child.pid}/status`, 'utf8'))[1]);
	}

	// Ends at once, cleanly: exit status 0, no sanitizer's report.
	async stop(signal = 'SIGINT') {
		const how = await this.process.stop(signal, seconds(60));
		const report = this.process.errors.find((l) => /Sanitizer|runtime error/.test(l));
		if (how.code !== 0 || report)
			throw new Error(`sluice ended with ${JSON.stringify(how)} ${report || ''}`);
	}
}

// SPDX-License-Identifier: Apache-2.0
// Child processes: lines of stdout as events, the end of stderr for the report, no survivors.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { seconds, within } from './wait.mjs';

const KEEP_LINES = 60;
const alive = new Set();

process.on('exit', () => alive.forEach((child) => child.kill('SIGKILL')));

export class Process {
	constructor(name, command, args, options = {}) {
		this.name = name;
		this.errors = [];
		this.onLine = () => {};
		this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
		alive.add(this.child);
		this.ended = new Promise((done) => {
			this.child.once('error', (e) => done({ error: e.message }));
			this.child.once('close', (code, signal) => done({ code, signal }));
		});
		this.ended.then((how) => { this.how = how; alive.delete(this.child); });
		this.child.stdin.on('error', () => {});
		createInterface({ input: this.child.stdout }).on('line', (l) => this.onLine(l));
		createInterface({ input: this.child.stderr }).on('line', (l) => this.keep(l));
	}

	keep(line) {
		this.errors.push(line);
		if (this.errors.length > KEEP_LINES && !/Sanitizer/.test(this.errors[0]))
			this.errors.shift();
	}

	// The first line that pick() turns into something true.
	line(what, pick, deadlineMs = seconds(30)) {
		const seen = new Promise((done, fail) => {
			this.onLine = (l) => {
				const got = pick(l);
				if (got)
					done(got);
			};
			this.ended.then((how) => fail(new Error(`${this.name} ended before it was ${what}: ${JSON.stringify(how)}\n${this.report()}`)));
		});
		return within(`${this.name} ${what}`, seen, deadlineMs);
	}

	async stop(signal = 'SIGTERM', deadlineMs = seconds(30)) {
		if (!this.how)
			this.child.kill(signal);
		try {
			return await within(`${this.name} to end`, this.ended, deadlineMs);
		} catch (e) {
			this.child.kill('SIGKILL');
			await this.ended;
			throw e;
		}
	}

	report() {
		return this.errors.map((l) => `    ${this.name}: ${l}`).join('\n');
	}
}

export async function run(command, args, options = {}) {
	const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
	let out = '';
	child.stdout.on('data', (d) => { out += d; });
	child.stderr.on('data', (d) => { out += d; });
	const how = await Promise.race([once(child, 'close'), once(child, 'error').then(([e]) => [e.code])]);
	return { ok: how[0] === 0, out };
}

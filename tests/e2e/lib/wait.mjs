// SPDX-License-Identifier: Apache-2.0
// Waiting for events, with a deadline of about ten times the usual; SL_E2E_PATIENCE multiplies it for slow builds.
const PATIENCE = Number(process.env.SL_E2E_PATIENCE || 1);
const LOOK_MS = 100;

export const seconds = (s) => s * 1000 * PATIENCE;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Until check() gives something true; its value. The error says what was there last.
export async function until(what, check, deadlineMs = seconds(30)) {
	const end = Date.now() + deadlineMs;
	let last;

	while (Date.now() < end) {
		const seen = await check((l) => { last = l; });
		if (seen)
			return seen;
		await pause(LOOK_MS);
	}
	throw new Error(`${what}: not within ${deadlineMs / 1000} s; last: ${JSON.stringify(last)}`);
}

// The promise, or an error after the deadline.
export function within(what, promise, deadlineMs = seconds(30)) {
	let timer;
	const late = new Promise((_, fail) => {
		timer = setTimeout(() => fail(new Error(`${what}: not within ${deadlineMs / 1000} s`)), deadlineMs);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

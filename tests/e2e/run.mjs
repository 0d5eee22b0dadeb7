#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// tests/e2e/run.mjs [--list] [FILTER...] — the built server against browsers and other stacks, pairs one after the
// other, in a network namespace of its own. SLUICE names the binary. Prints a line per row and the sum.
// A row whose peer is not installed is skipped and says so; with CI=true that is a failure.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closeBrowsers } from './lib/browser.mjs';
import { Row } from './lib/row.mjs';
import { rows as sessionRows } from './rows.mjs';
import { rows as consoleRows } from './rows-console.mjs';
import { rows as rtpRows } from './rows-rtp.mjs';
import { rows as kurentoRows } from './rows-kurento.mjs';
import { rows as webrtcRows } from './rows-kurento-webrtc.mjs';
import { rows as turnRows } from './rows-turn.mjs';

const rows = [...sessionRows, ...consoleRows, ...rtpRows, ...kurentoRows, ...webrtcRows, ...turnRows];

const here = dirname(fileURLToPath(import.meta.url));

function enterNamespace() {
	const self = [join(here, 'netns.sh'), process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
	const how = spawnSync(self[0], self.slice(1), { stdio: 'inherit' });
	process.exit(how.status ?? 1);
}

async function runRow(row, name, sums) {
	const started = Date.now();
	const missing = row.needs.map((need) => need()).find((why) => why);
	if (missing && process.env.CI !== 'true') {
		sums.skipped++;
		console.log(`skip ${row.name}: ${missing}`);
		return;
	}
	const one = new Row(row);
	const error = missing ? new Error(missing) : await one.run();
	const took = ((Date.now() - started) / 1000).toFixed(1);
	if (!error) {
		sums.passed++;
		console.log(`ok ${row.name} (${took} s)`);
		return;
	}
	sums.failed++;
	console.log(`not ok ${row.name} (${took} s): ${error.message}\n${one.report()}`);
}

async function main() {
	const args = process.argv.slice(2);
	const filters = args.filter((a) => !a.startsWith('--'));
	const chosen = rows.filter((r) => !filters.length || filters.some((f) => r.name === f || (f.endsWith('*') && r.name.startsWith(f.slice(0, -1)))));
	const sums = { passed: 0, failed: 0, skipped: 0 };
	const title = process.env.SL_E2E_TITLE || 'e2e';

	if (args.includes('--list')) {
		rows.forEach((r) => console.log(r.name));
		return 0;
	}
	if (process.env.SL_NETNS !== 'inside')
		enterNamespace();
	for (const row of chosen)
		await runRow(row, row.name, sums);
	await closeBrowsers();
	console.log(`${title}: ${sums.passed} passed, ${sums.failed} failed, ${sums.skipped} skipped`);
	return sums.failed || !chosen.length ? 1 : 0;
}

process.exit(await main());

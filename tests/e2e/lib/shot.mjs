// SPDX-License-Identifier: Apache-2.0
// Pictures of the pages, kept as output of the tests for people to look at. Chromium only.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { seconds } from './wait.mjs';

const FOLDER = join(process.env.SL_E2E_BUILD || 'build/e2e', 'shots');
const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

async function shot(tab, name, size, colorScheme) {
	await tab.page.emulateMedia({ colorScheme });
	await tab.page.setViewportSize(size);
	await tab.evaluate(async () => {
		await new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
		const moves = document.getAnimations().filter((a) => a.effect.getTiming().iterations === 1);
		await Promise.all(moves.map((a) => a.finished.catch(() => {})));
	});
	await tab.page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true, timeout: seconds(60) });
}

/** Each window that a page has to do with: a desk's and a phone's, light and dark. */
export async function shots(tab, name) {
	mkdirSync(FOLDER, { recursive: true });
	for (const [where, size] of [['phone', PHONE], ['desk', DESK]])
		for (const scheme of ['dark', 'light'])
			// It is for looking at, and nothing else: a machine too busy to paint is told of.
			await shot(tab, `${name}-${where}-${scheme}`, size, scheme).catch((e) => console.log(`no picture ${name}-${where}-${scheme}: ${e.message.split('\n')[0]}`));
}

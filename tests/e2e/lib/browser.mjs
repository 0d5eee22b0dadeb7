// SPDX-License-Identifier: Apache-2.0
// Chromium through playwright-core and Firefox through WebDriver BiDi, headless, with fake devices.
import { existsSync } from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seconds, until, within } from './wait.mjs';

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const FIREFOX = process.env.FIREFOX || '/usr/bin/firefox-esr';

const CHROMIUM_FLAGS = [
	'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
	'--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required',
	// Other web sites' names, all on this machine; and no guard of the browser's own between them and the server.
	'--host-resolver-rules=MAP *.test 127.0.0.1', '--disable-features=LocalNetworkAccessChecks',
];

const FIREFOX_PREFS = {
	'media.navigator.streams.fake': true,
	'media.navigator.permission.disabled': true,
	'media.peerconnection.ice.loopback': true,
	'media.peerconnection.ice.obfuscate_host_addresses': false,
	'media.autoplay.default': 0,
	'network.dns.localDomains': 'thief.test,rebound.test',
	'network.lna.blocking': false,
	'app.update.enabled': false,
	'datareporting.policy.dataSubmissionEnabled': false,
	'network.captive-portal-service.enabled': false,
	'network.connectivity-service.enabled': false,
	'media.gmp-manager.updateEnabled': false,
};

async function chromium() {
	const { chromium: launcher } = await import('playwright-core');
	const browser = await launcher.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS, timeout: seconds(60) });
	return {
		context: () => browser.newContext({ permissions: ['camera', 'microphone'] }),
		close: () => browser.close(),
	};
}

async function firefox() {
	const { default: puppeteer } = await import('puppeteer-core');
	const profile = mkdtempSync(join(tmpdir(), 'sluice-firefox-'));
	const browser = await puppeteer.launch({
		browser: 'firefox', executablePath: FIREFOX, headless: true, userDataDir: profile,
		extraPrefsFirefox: FIREFOX_PREFS, timeout: seconds(60), protocolTimeout: seconds(60),
	});
	return {
		context: () => browser.createBrowserContext(),
		close: async () => {
			await browser.close();
			rmSync(profile, { recursive: true, force: true });
		},
	};
}

/** What a page says when the server takes nobody for a moment, as on a crowded machine: then people press again. */
export const BUSY = /cannot keep up|at (its|a) limit|try again/i;

const kinds = {
	chromium: { launch: chromium, path: CHROMIUM },
	firefox: { launch: firefox, path: FIREFOX },
};
const running = {};

export const missingBrowser = (kind) => (existsSync(kinds[kind].path) ? '' : `${kinds[kind].path} is not there`);

export async function closeBrowsers() {
	for (const kind of Object.keys(running)) {
		await within(`${kind} to close`, running[kind].then((b) => b.close())).catch(() => {});
		delete running[kind];
	}
}

// A tab of a context of its own. `init` runs in the page before any script of it.
export class Tab {
	static async open(kind, url, init) {
		const tab = new Tab();
		running[kind] ||= kinds[kind].launch().catch((e) => {
			delete running[kind];
			throw e;
		});
		tab.kind = kind;
		tab.context = await (await running[kind]).context();
		tab.page = await tab.context.newPage();
		tab.console = [];
		tab.page.on('console', (m) => tab.console.push(`${m.type()}: ${m.text()}`));
		tab.page.on('pageerror', (e) => tab.console.push(`error: ${e.message}`));
		await tab.page.goto(url);
		if (init)
			await tab.page.evaluate(init);
		return tab;
	}

	evaluate(fn, arg) {
		return within(`${this.kind} to evaluate`, this.page.evaluate(fn, arg));
	}

	// The sentence below a card's buttons, and its state.
	status(card) {
		return this.evaluate((c) => {
			const e = document.getElementById(`${c}-status`);
			return { state: e.dataset.state, text: e.textContent };
		}, card);
	}

	untilState(card, state) {
		return until(`${this.kind} ${card} is ${state}`, async (last) => {
			const s = await this.status(card);
			last([s, this.console]);
			return s.state === state && s;
		});
	}

	// Presses the button; "publish" is live once connected, "play" once packets come.
	async press(card) {
		await this.page.click(`#${card}`);
		return until(`${this.kind} ${card} is live`, async (last) => {
			const s = await this.status(card);
			last([s, this.console]);
			if (s.state === 'refused' && BUSY.test(s.text))
				await this.page.click(`#${card}`);
			return s.state === 'live' && s;
		});
	}

	stats(card) {
		return this.evaluate((c) => window.sluice.stats(c), card);
	}

	// Until this many more frames than before, and more sound, were decoded. The last statistics.
	async untilDecoded(frames = 20, before = { framesDecoded: 0, audioEnergy: 0 }) {
		return until(`${this.kind} decodes picture and sound`, async (last) => {
			const s = await this.stats('play');
			last(s);
			return s.framesDecoded >= before.framesDecoded + frames && s.audioEnergy > before.audioEnergy + 1e-6 && s;
		}, seconds(60));
	}

	async close() {
		await within('tab to close', this.page.close());
		await within('context to close', this.context.close()).catch(() => {});
	}
}

// SPDX-License-Identifier: Apache-2.0
import { missingBrowser } from './lib/browser.mjs';

const chromium = () => missingBrowser('chromium');
const firefox = () => missingBrowser('firefox');

export const rows = [
	{
		name: 'chromium-to-chromium',
		needs: [chromium],
		async run(t) {
			await t.server();
			const publisher = await t.tab('chromium');
			const player = await t.tab('chromium');
			await publisher.press('publish');
			await player.press('play');
			await player.untilDecoded();
		},
	},
];

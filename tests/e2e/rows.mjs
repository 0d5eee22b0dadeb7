// SPDX-License-Identifier: Apache-2.0
// The rows: what is joined with what, and what must come out. Each has a server of its own.
import { missingBrowser } from './lib/browser.mjs';
import { foreignPage } from './lib/foreign.mjs';
import { counted, filter } from './lib/net.mjs';
import { missingPeer } from './lib/peer.mjs';
import { run } from './lib/process.mjs';
import { until } from './lib/wait.mjs';

const chromium = () => missingBrowser('chromium');
const firefox = () => missingBrowser('firefox');
const peer = (kind) => () => missingPeer(kind);

function check(holds, sentence) {
	if (!holds)
		throw new Error(sentence);
}

// A publisher and a player by the page, picture and sound decoded.
async function pair(t, from, to, query = 'synthetic=1', ...flags) {
	await t.server(...flags);
	const publisher = await t.tab(from, query);
	const player = await t.tab(to);
	await publisher.press('publish');
	await player.press('play');
	return { publisher, player, seen: await player.untilDecoded() };
}

const browsers = [
	['chromium-to-chromium', 'chromium', 'chromium', '', 'VP8'],
	['vp9', 'chromium', 'chromium', 'synthetic=1&codec=VP9', 'VP9'],
	['h264', 'chromium', 'chromium', 'synthetic=1&codec=H264', 'H264'],
	['av1', 'chromium', 'chromium', 'synthetic=1&codec=AV1', 'AV1'],
	['chromium-to-firefox', 'chromium', 'firefox', 'synthetic=1', 'VP8'],
	['firefox-to-chromium', 'firefox', 'chromium', '', 'VP8'],
	['vp9-chromium-to-firefox', 'chromium', 'firefox', 'synthetic=1&codec=VP9', 'VP9'],
	['av1-chromium-to-firefox', 'chromium', 'firefox', 'synthetic=1&codec=AV1', 'AV1'],
	['vp9-firefox-to-chromium', 'firefox', 'chromium', 'codec=VP9', 'VP9'],
].map(([name, from, to, query, codec]) => ({
	name,
	needs: [chromium, firefox].filter((_, i) => i === 0 || [from, to].includes('firefox')),
	async run(t) {
		const { seen } = await pair(t, from, to, query);
		check(seen.codec === codec, `decodes ${seen.codec}, not ${codec}`);
	},
}));

const stacks = ['aiortc', 'werift', 'wrtc', 'pion'].flatMap((kind) => [
	{
		name: `${kind}-publishes`,
		needs: [chromium, peer(kind)],
		async run(t) {
			await t.server();
			const player = await t.tab('chromium');
			await t.peer(kind, 'publish');
			await player.press('play');
			await player.untilDecoded();
		},
	},
	{
		name: `${kind}-plays`,
		needs: [chromium, peer(kind)],
		async run(t) {
			await t.server();
			const publisher = await t.tab('chromium', 'synthetic=1&codec=VP8');
			await publisher.press('publish');
			await (await t.peer(kind, 'play')).untilFlows();
		},
	},
]);

// Of every datagram that is not the encoder's or decoder's, 5 of 100 are lost, in both directions.
async function lose(t, percent) {
	const drop = `meta l4proto udp numgen random mod 100 < ${percent} counter drop`;
	const rules = ['table inet loss {', 'chain input {', 'type filter hook input priority 0;', `ip saddr 10.99.0.1 ${drop}`,
		`ip6 saddr fd99::1 ${drop}`, '}', '}'].join('\n');
	const nft = await run('nft', [rules], { env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } });
	check(nft.ok, `nft: ${nft.out}`);
	t.defer(() => run('nft', ['delete table inet loss'], { env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin` } }));
}

async function restartIce(tab, card) {
	const ufrag = (c) => window.sluice.page[c].pc.localDescription.sdp.match(/a=ice-ufrag:(.*)/)[1];
	const before = await tab.evaluate(ufrag, card);
	await tab.evaluate((c) => window.sluice.page[c].restartIce(), card);
	check((await tab.evaluate(ufrag, card)) !== before, 'the restart brought no new credentials');
	await until(`${card} is connected again`, async (last) => {
		const s = await tab.stats(card);
		last(s);
		return s.state === 'connected';
	});
}

// In the page: where it sends to.
async function farEnd(card) {
	const stats = await window.sluice.page[card].pc.getStats();
	const used = [...stats.values()].find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
	return stats.get(used.remoteCandidateId).address;
}

async function publishFromAfar(t, token) {
	const player = await t.tab('chromium', token ? `token=${token}` : '');
	const page = await t.tab('chromium', '', await foreignPage(t));
	const url = `${t.sluice.url}/whip/${encodeURIComponent(t.room)}`;
	const got = await page.evaluate(async ([whip, bearer]) => {
		const auth = bearer ? { Authorization: `Bearer ${bearer}` } : {};
		const pc = new RTCPeerConnection();
		window.pc = pc;
		const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
		stream.getTracks().forEach((track) => pc.addTransceiver(track, { direction: 'sendonly' }));
		await pc.setLocalDescription();
		const made = await fetch(whip, { method: 'POST', headers: { ...auth, 'Content-Type': 'application/sdp' }, body: pc.localDescription.sdp });
		const [location, etag] = [made.headers.get('Location'), made.headers.get('ETag')];
		await pc.setRemoteDescription({ type: 'answer', sdp: await made.text() });
		window.session = new URL(location, whip).href;
		const patched = await fetch(window.session, { method: 'PATCH', headers: { ...auth, 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': etag },
			body: 'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n' });
		return { status: made.status, location, etag, link: made.headers.get('Link'), patched: patched.status };
	}, [url, token]);
	check(got.status === 201 && got.location && got.etag && got.link && got.patched === 204, `not all is exposed: ${JSON.stringify(got)}`);
	if (token)
		await player.evaluate((v) => { document.getElementById('token').value = v; }, token);
	await player.press('play');
	await player.untilDecoded();
	const removed = await page.evaluate(async ([bearer]) => (await fetch(window.session, { method: 'DELETE',
		headers: bearer ? { Authorization: `Bearer ${bearer}` } : {} })).status, [token]);
	check(removed === 200, `DELETE: ${removed}`);
}

const paths = [
	{
		name: 'lossy-path',
		needs: [chromium],
		async run(t) {
			const { publisher, player } = await pair(t, 'chromium', 'chromium', 'synthetic=1&codec=VP8');
			await lose(t, 5);
			const middle = await player.untilDecoded(100, await player.stats('play'));
			await player.untilDecoded(100, middle);
			const m = await t.sluice.metrics();
			check(m.sluice_nack_sent_total > 0 && m.sluice_nack_received_total > 0, 'nothing was asked for again: was anything lost?');
			check(m.sluice_rtp_rtx_in_total > 0 && m.sluice_rtp_rtx_out_total > 0, 'nothing was sent again');
			check((await publisher.status('publish')).state === 'live', 'the publisher is not live any more');
		},
	},
	{
		name: 'aiortc-over-a-lossy-path',
		needs: [chromium, peer('aiortc')],
		async run(t) {
			await t.server();
			await lose(t, 5);
			const player = await t.tab('chromium');
			await t.peer('aiortc', 'publish');
			await player.press('play');
			await player.untilDecoded(100);
		},
	},
	{
		name: 'whip-and-whep-by-tcp',
		needs: [chromium],
		async run(t) {
			await filter(t, 'noudp', ['meta l4proto udp counter drop']);
			const { player } = await pair(t, 'chromium', 'chromium');
			await player.untilDecoded(50, await player.stats('play'));
			check(await counted('noudp') > 0, 'nothing was dropped: was TCP the only way?');
		},
	},
	{
		name: 'ice-restart',
		needs: [chromium],
		async run(t) {
			const { publisher, player } = await pair(t, 'chromium', 'chromium');
			await restartIce(publisher, 'publish');
			await player.untilDecoded(50, await player.stats('play'));
			await restartIce(player, 'play');
			await player.untilDecoded(50, await player.stats('play'));
			check((await t.sluice.metrics()).sluice_dtls_handshakes_total === 2, 'an ICE restart must not shake hands again');
		},
	},
	{
		name: 'ice-restart-in-firefox',
		needs: [chromium, firefox],
		async run(t) {
			const { publisher, player } = await pair(t, 'firefox', 'firefox', '');
			await restartIce(publisher, 'publish');
			await restartIce(player, 'play');
			await player.untilDecoded(50, await player.stats('play'));
		},
	},
	{
		name: 'page-of-another-origin',
		needs: [chromium],
		async run(t) {
			await t.server('--ice.servers=stun:stun.example.org');
			await publishFromAfar(t, '');
		},
	},
	{
		name: 'page-of-another-origin-with-a-token',
		needs: [chromium],
		async run(t) {
			await t.server('--http.token=not-a-secret', '--ice.servers=stun:stun.example.org');
			await publishFromAfar(t, 'not-a-secret');
		},
	},
	...[['active', 'server'], ['passive', 'client']].map(([ours, theirs]) => ({
		name: `dtls-${ours}`,
		needs: [chromium],
		async run(t) {
			const { publisher, player } = await pair(t, 'chromium', 'chromium', 'synthetic=1', `--dtls.active=${ours === 'active'}`);
			for (const s of [await publisher.stats('publish'), await player.stats('play')])
				check(s.dtlsRole === theirs, `the browser is DTLS ${s.dtlsRole}, not ${theirs}`);
		},
	})),
	{
		name: 'dtls-passive-in-firefox',
		needs: [chromium, firefox],
		run: (t) => pair(t, 'firefox', 'firefox', '', '--dtls.active=false'),
	},
	{
		name: 'publisher-and-player-on-different-loops',
		needs: [chromium],
		async run(t) {
			await pair(t, 'chromium', 'chromium', 'synthetic=1', '--loops=2');
			check((await t.sluice.metrics()).sluice_relay_out_total > 0, 'nothing went from loop to loop');
		},
	},
	{
		name: 'ipv6-only',
		needs: [chromium, firefox],
		async run(t) {
			const { publisher, player } = await pair(t, 'chromium', 'chromium', 'synthetic=1', '--http.bind=::1', '--media.bind=fd99::1');
			const second = await t.tab('firefox');
			await second.press('play');
			await second.untilDecoded();
			for (const [tab, card] of [[publisher, 'publish'], [player, 'play'], [second, 'play']]) {
				const address = await tab.evaluate(farEnd, card);
				check(address === 'fd99::1', `${tab.kind} sends to ${address}`);
			}
		},
	},
	{
		name: 'player-before-publisher',
		needs: [chromium],
		async run(t) {
			await t.server();
			const player = await t.tab('chromium');
			await player.page.click('#play');
			await player.untilState('play', 'waiting');
			await (await t.tab('chromium', 'synthetic=1')).press('publish');
			await player.untilDecoded();
		},
	},
	...['chromium', 'firefox'].map((kind) => ({
		name: `${kind}-tab-closed-without-delete`,
		needs: [() => missingBrowser(kind)],
		async run(t) {
			await t.server('--ice.timeout=600');
			const tab = await t.tab(kind);
			await tab.press('publish');
			await tab.evaluate(() => {
				const real = window.fetch;
				window.fetch = (url, o) => (o?.method === 'DELETE' ? Promise.reject(new Error('no')) : real(url, o));
			});
			await tab.page.goto('about:blank');
			await t.sluice.until('the room is empty', (m) => m.sluice_participants === 0 && m.sluice_sessions === 0);
			check((await t.sluice.metrics()).sluice_dtls_closed_by_peer_total === 1, 'it was no close_notify that ended it');
		},
	})),
	{
		name: 'stop-and-leaving-end-sessions',
		needs: [chromium],
		async run(t) {
			const { publisher, player } = await pair(t, 'chromium', 'chromium');
			await player.page.click('#play-stop');
			await t.sluice.until('the player is gone', (m) => m.sluice_sessions === 1);
			check((await player.status('play')).state === 'idle', 'the page does not say that it stopped');
			await player.press('play');
			await publisher.page.goto('about:blank');
			await player.untilState('play', 'waiting');
			await t.sluice.until('the publisher is gone', (m) => m.sluice_participants === 0);
		},
	},
	{
		name: 'page-says-why-it-was-refused',
		needs: [chromium],
		async run(t) {
			await t.server('--rooms.auto_create=false');
			const tab = await t.tab('chromium', 'synthetic=1');
			await tab.page.click('#publish');
			const { text } = await tab.untilState('publish', 'refused');
			check(text.includes('There is no such room'), `it says: ${text}`);
		},
	},
	{
		name: 'server-that-ends-says-so',
		needs: [chromium],
		async run(t) {
			const { player } = await pair(t, 'chromium', 'chromium');
			await t.sluice.stop();
			t.sluice = null;
			const { text } = await player.untilState('play', 'lost');
			check(/lost/.test(text), `it says: ${text}`);
		},
	},
];

// Many at once on two loops: for the thread checker, and for leaks of what core keeps.
const crowd = {
	name: 'joins-and-leaves',
	needs: [peer('wrtc')],
	async run(t) {
		await t.server('--loops=2');
		for (let round = 0; round < 4; round++) {
			const publisher = await t.peer('wrtc', 'publish');
			const players = await Promise.all([0, 1, 2].map(() => t.peer('wrtc', 'play')));
			await Promise.all([publisher, ...players].map((p) => p.untilFlows(5)));
			await Promise.all([publisher, ...players].map((p) => p.stop()));
			t.peers.splice(0);
		}
		await t.sluice.until('everybody is gone', (m) => m.sluice_transports === 0 && m.sluice_sessions === 0);
		const m = await t.sluice.metrics();
		check(m.sluice_relay_out_total > 0, 'nothing went from loop to loop');
		check(m.sluice_transports_opened_total === 16 && m.sluice_transports_closed_total === 16, 'transports leak');
	},
};

export const rows = [...browsers, ...stacks, ...paths, crowd];

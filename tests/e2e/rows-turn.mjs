// SPDX-License-Identifier: Apache-2.0
// Rows where a WebRtcEndpoint and a browser cannot reach each other by UDP: through coturn, or by ICE over TCP. The
// endpoint is connected to itself: the browser sees and hears what it sends.
import { missingBrowser } from './lib/browser.mjs';
import { foreignPage } from './lib/foreign.mjs';
import { counted, filter, ip } from './lib/net.mjs';
import { Rpc } from './lib/rpc.mjs';
import { TURN, missingTurn, startTurn } from './lib/turn.mjs';
import { pause, until } from './lib/wait.mjs';

const SERVER = '10.96.0.1', SERVER6 = 'fd96::1';
const chromium = () => missingBrowser('chromium');

function check(holds, sentence) {
	if (!holds)
		throw new Error(sentence);
}

// In the page: a call with camera and microphone; its offer.
async function offer(conf) {
	const pc = new RTCPeerConnection(conf);
	const video = document.createElement('video');

	Object.assign(video, { autoplay: true });
	document.body.append(video);
	Object.assign(window, { pc, found: [] });
	pc.ontrack = ({ streams: [stream] }) => { video.srcObject = stream; };
	pc.onicecandidate = ({ candidate }) => candidate?.candidate && window.found.push(candidate.toJSON());
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
	stream.getTracks().forEach((track) => pc.addTrack(track, stream));
	await pc.setLocalDescription();
	return pc.localDescription.sdp;
}

// In the page: what is decoded, and the pair of candidates that is used.
async function look() {
	const stats = await window.pc.getStats();
	const inbound = (kind) => [...stats.values()].find((s) => s.type === 'inbound-rtp' && s.kind === kind) || {};
	const pair = [...stats.values()].find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
	const { address, protocol } = (pair && stats.get(pair.remoteCandidateId)) || {};
	return { state: window.pc.iceConnectionState, frames: inbound('video').framesDecoded || 0, energy: inbound('audio').totalAudioEnergy || 0, heard: inbound('audio').packetsReceived, address, protocol };
}

// The server has an address that the browser does not have (it leaves out those of lo): nobody checks what is his own.
async function apart(t) {
	for (const address of [`${SERVER}/32`, `${SERVER6}/128`]) {
		await ip('addr', 'add', address, 'dev', 'lo');
		t.defer(() => ip('addr', 'del', address, 'dev', 'lo'));
	}
	return `--media.bind=${SERVER},${SERVER6}`;
}

async function endpoint(t, turnUrl, flags = []) {
	await t.server('--kurento.min_port=40000', '--kurento.max_port=40999', ...flags);
	const rpc = await Rpc.open(t.sluice);
	t.defer(() => rpc.close());
	const pipeline = await rpc.create('MediaPipeline');
	const id = await rpc.create('WebRtcEndpoint', { mediaPipeline: pipeline });
	for (const type of ['IceCandidateFound', 'IceGatheringDone', 'NewCandidatePairSelected', 'Error'])
		await rpc.call('subscribe', { object: id, type });
	if (turnUrl)
		await rpc.invoke(id, 'setTurnUrl', { turnUrl });
	await rpc.invoke(id, 'connect', { sink: id });
	return { rpc, id };
}

const eventsOf = (rpc, type) => rpc.events.filter((e) => e.type === type).map((e) => e.data);

// Candidates both ways, as an application does it, until the row ends.
function trickle(t, tab, { rpc, id }) {
	const told = { ours: 0, theirs: 0 };
	let over = false;

	t.defer(() => { over = true; });
	(async () => {
		while (!over) {
			const ours = eventsOf(rpc, 'IceCandidateFound').slice(told.ours).map((d) => d.candidate);
			const theirs = await tab.evaluate((n) => window.found.slice(n), told.theirs);
			told.ours += ours.length;
			told.theirs += theirs.length;
			await tab.evaluate((list) => Promise.all(list.map((c) => window.pc.addIceCandidate(c))), ours);
			for (const { candidate, sdpMid, sdpMLineIndex } of theirs)
				await rpc.invoke(id, 'addIceCandidate', { candidate: { candidate, sdpMid, sdpMLineIndex } });
			await pause(50);
		}
	})().catch((error) => { told.error = error.message; });
	return told;
}

async function call(t, e, conf = {}) {
	const tab = await t.tab('chromium', '', await foreignPage(t));
	const answer = await e.rpc.invoke(e.id, 'processOffer', { offer: await tab.evaluate(offer, conf) });

	await tab.evaluate((sdp) => window.pc.setRemoteDescription({ type: 'answer', sdp }), answer);
	await e.rpc.invoke(e.id, 'gatherCandidates');
	const told = trickle(t, tab, e);
	return until('picture and sound come back', async (last) => {
		const s = await tab.evaluate(look);
		last([s, told, e.rpc.events.map((x) => [x.type, x.data?.candidate?.candidate || x.data?.description])]);
		return s.frames >= 20 && s.energy > 0 && s;
	});
}

// Where the two meet: on loopback. What a relay brings comes by another way.
const DIRECT = 'iif lo meta l4proto udp counter drop';
const url = (query, port = TURN.port, password = TURN.password, host = TURN.host) => `${TURN.user}:${password}@${host}:${port}${query}`;

// The end of a stream tells at once that the relay is no more.
async function die(turn, e) {
	await turn.stop('SIGTERM');
	const error = await until('an Error event', () => eventsOf(e.rpc, 'Error')[0]);
	check(error.description.includes(`TURN tcp ${TURN.host}`), `not in words: ${JSON.stringify(error)}`);
}

const relays = [
	['turn-udp', url('?transport=udp'), []],
	['turn-ipv6', url('', TURN.port, TURN.password, `[${TURN.host6}]`), [], TURN.host6],
	['turn-tcp', url('?transport=tcp'), [`udp sport ${TURN.port} counter drop`]],
	['turn-tls', url('?transport=tls', TURN.tls), [`udp sport ${TURN.port} counter drop`, `tcp sport ${TURN.port} counter drop`]],
].map(([name, turnUrl, rules, host = TURN.host]) => ({
	name,
	needs: [chromium, missingTurn],
	async run(t) {
		const turn = await startTurn(t);
		await filter(t, 'relay', [DIRECT, ...rules]);
		const e = await endpoint(t, turnUrl, ['--kurento.ice_tcp=false', await apart(t)]);
		const s = await call(t, e);
		check(s.address === host, `not through the relay: ${JSON.stringify(s)}`);
		const [pair] = eventsOf(e.rpc, 'NewCandidatePairSelected').slice(-1);
		check(/ typ relay/.test(pair.candidatePair.localCandidate), `the pair that was told: ${JSON.stringify(pair)}`);
		check(await counted('relay') > 0, 'nothing was dropped: was the relay the only way?');
		check(!eventsOf(e.rpc, 'Error').length, `errors: ${JSON.stringify(eventsOf(e.rpc, 'Error'))}`);
		if (name === 'turn-tcp')
			await die(turn, e);
	},
}));

const others = [
	{
		name: 'turn-wrong-password',
		needs: [chromium, missingTurn],
		async run(t) {
			await startTurn(t);
			const e = await endpoint(t, url('', TURN.port, 'wrong'));
			const tab = await t.tab('chromium', '', await foreignPage(t));
			await e.rpc.invoke(e.id, 'processOffer', { offer: await tab.evaluate(offer) });
			await e.rpc.invoke(e.id, 'gatherCandidates');
			const error = await until('an Error event', () => eventsOf(e.rpc, 'Error')[0]);
			check(error.description.includes(TURN.host) && /wrong user name or password/.test(error.description), `not in words: ${JSON.stringify(error)}`);
			await until('gathering is done', () => eventsOf(e.rpc, 'IceGatheringDone')[0]);
			check(eventsOf(e.rpc, 'IceCandidateFound').every((d) => !/ typ relay/.test(d.candidate.candidate)), 'a relay candidate without an allocation');
			await until('a line in the log', () => t.sluice.process.errors.some((l) => /level=warn/.test(l) && /wrong user name or password/.test(l)));
		},
	},
	{
		// Each has a relayed address at the same server: the relay speaks to itself.
		name: 'turn-both',
		needs: [chromium, missingTurn],
		async run(t) {
			await startTurn(t);
			await filter(t, 'relay', [DIRECT, `ip saddr ${TURN.host} udp sport != ${TURN.port} counter drop`]);
			const e = await endpoint(t, url(''), ['--kurento.ice_tcp=false', await apart(t)]);
			const iceServers = [{ urls: `turn:${TURN.host}:${TURN.port}`, username: TURN.user, credential: TURN.password }];
			const s = await call(t, e, { iceServers, iceTransportPolicy: 'relay' });
			check(s.address === TURN.host, `not through the relay: ${JSON.stringify(s)}`);
		},
	},
	{
		name: 'ice-tcp',
		needs: [chromium],
		async run(t) {
			await filter(t, 'noudp', ['meta l4proto udp counter drop']);
			const s = await call(t, await endpoint(t, ''));
			check(s.protocol === 'tcp', `not over TCP: ${JSON.stringify(s)}`);
			check(await counted('noudp') > 0, 'nothing was dropped');
		},
	},
];

export const rows = [...relays, ...others];

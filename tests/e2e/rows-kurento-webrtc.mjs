// SPDX-License-Identifier: Apache-2.0
// What a WebRtcEndpoint does beyond Kurento's: it renegotiates, restarts ICE, carries several pictures, takes a page that
// was loaded anew. And what Kurento does for those who do not trickle.
import { missingBrowser } from './lib/browser.mjs';
import { Rpc } from './lib/rpc.mjs';
import { until } from './lib/wait.mjs';

const needs = (browser) => [() => missingBrowser(browser)];
const FRAMES = 8;

function check(holds, sentence) {
	if (!holds)
		throw new Error(sentence);
}

function page() {
	let pc, early;
	const picture = async () => {
		const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 160, height: 120, frameRate: 10 } });
		return { video: stream.getVideoTracks()[0], audio: stream.getAudioTracks()[0], stream };
	};
	const candidates = () => Promise.all(early.splice(0).map((c) => pc.addIceCandidate(c)));

	window.call = {
		streams: 0,
		async begin() {
			const { video, audio, stream } = await picture();
			pc?.close();
			pc = new RTCPeerConnection();
			early = [];
			pc.onicecandidate = ({ candidate }) => candidate && window.toServer?.(candidate.toJSON());
			pc.ontrack = ({ streams }) => { window.call.streams += streams.length; };
			pc.addTrack(audio, stream);
			pc.addTrack(video, stream);
		},
		async more() {
			const { video, stream } = await picture();
			pc.addTrack(video, stream);
		},
		less() {
			pc.getTransceivers().filter((t) => t.receiver.track.kind === 'video')[1].stop();
		},
		restart() {
			pc.restartIce();
		},
		async offer(whole) {
			await pc.setLocalDescription();
			if (whole && pc.iceGatheringState !== 'complete')
				await new Promise((done) => pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && done()));
			return pc.localDescription.sdp;
		},
		async answered(sdp) {
			await pc.setRemoteDescription({ type: 'answer', sdp });
			await candidates();
		},
		candidate({ candidate, sdpMid, sdpMLineIndex }) {
			const c = { candidate, sdpMid, sdpMLineIndex };
			return pc.remoteDescription ? pc.addIceCandidate(c) : early.push(c);
		},
		async seen() {
			const stats = [...(await pc.getStats()).values()];
			return {
				state: pc.connectionState,
				streams: window.call.streams,
				frames: stats.filter((s) => s.type === 'inbound-rtp' && s.kind === 'video').map((s) => s.framesDecoded || 0),
			};
		},
	};
}

// An endpoint that plays to its page what the page sends.
class Loop {
	static async open(t, { trickle = true, browser = 'chromium' } = {}) {
		const loop = new Loop();
		Object.assign(loop, { t, trickle });
		await t.server();
		loop.rpc = await Rpc.open(t.sluice);
		t.defer(() => loop.rpc.close());
		loop.tab = await t.tab(browser);
		loop.pipeline = await loop.rpc.create('MediaPipeline');
		loop.endpoint = await loop.rpc.create('WebRtcEndpoint', { mediaPipeline: loop.pipeline });
		await loop.invoke('connect', { sink: loop.endpoint });
		for (const type of ['IceCandidateFound', 'IceGatheringDone', 'IceComponentStateChanged', 'ConnectionStateChanged', 'MediaStateChanged', 'NewCandidatePairSelected', 'DtlsConnectionStateChange'])
			await loop.rpc.call('subscribe', { object: loop.endpoint, type });
		if (trickle)
			await loop.tab.page.exposeFunction('toServer', (candidate) => loop.invoke('addIceCandidate', { candidate }).catch((e) => { loop.wrong = e; }));
		await loop.tab.evaluate(page);
		await loop.page('begin');
		return loop;
	}

	invoke(operation, params) {
		return this.rpc.invoke(this.endpoint, operation, params);
	}

	page(what, arg) {
		return this.tab.evaluate(([w, a]) => window.call[w](a), [what, arg]);
	}

	events(type) {
		return this.rpc.events.filter((e) => e.type === type).map((e) => e.data);
	}

	async negotiate() {
		const answer = await this.invoke('processOffer', { offer: await this.page('offer', !this.trickle) });
		await this.page('answered', answer);
		return answer;
	}

	// Hands over what core has found since the last time.
	async trickleOn() {
		const found = this.events('IceCandidateFound');
		for (const { candidate } of found.splice(this.told || 0))
			await this.page('candidate', candidate);
		this.told = this.events('IceCandidateFound').length;
	}

	untilDecodes(pictures) {
		let before;
		return until(`${pictures} pictures are decoded`, async (last) => {
			if (this.trickle)
				await this.trickleOn();
			const now = await this.page('seen');
			last({ before, now });
			if (this.wrong)
				throw this.wrong;
			before ||= now;
			const moved = now.frames.filter((n, i) => n >= (before.frames[i] || 0) + FRAMES);
			return moved.length >= pictures;
		});
	}
}

async function renegotiates(t) {
	const me = await Loop.open(t);
	await me.negotiate();
	await me.invoke('gatherCandidates');
	await me.untilDecodes(1);
	check((await me.page('seen')).streams >= 2, 'tracks come without a stream');

	await me.page('more');
	await me.negotiate();
	await me.untilDecodes(2);
	const again = await me.invoke('processOffer', { offer: await me.page('offer') }).then(() => 'taken', (e) => e.message);
	check(/40208/.test(again), `an offer that says the same was ${again}`);

	await me.page('less');
	await me.negotiate();
	await me.untilDecodes(1);

	const ufrag = (sdp) => /a=ice-ufrag:(\S+)/.exec(sdp)[1];
	const before = ufrag(await me.invoke('getLocalSessionDescriptor'));
	await me.page('restart');
	const after = ufrag(await me.negotiate());
	check(before !== after, 'ICE did not restart');
	await me.untilDecodes(1);
	check(me.events('ConnectionStateChanged').length === 1, 'the connection was lost on the way');

	await me.page('begin');
	await me.negotiate();
	await me.untilDecodes(1);
	await me.rpc.call('release', { object: me.pipeline });
	await t.sluice.until('the transport is gone', (m) => m.sluice_transports === 0);
}

const withoutTrickle = (browser) => async (t) => {
	const me = await Loop.open(t, { trickle: false, browser });
	await me.invoke('gatherCandidates');
	await until('all candidates are gathered', () => me.events('IceGatheringDone').length === 1);
	check(/a=candidate:/.test(await me.negotiate()), 'the answer has no candidates');
	await me.untilDecodes(1);

	const states = me.events('IceComponentStateChanged').map((e) => e.state);
	check(states.join(' ') === 'GATHERING CONNECTING CONNECTED READY', `component states: ${states}`);
	for (const [type, n] of [['ConnectionStateChanged', 1], ['MediaStateChanged', 1]])
		check(me.events(type).length === n && me.events(type)[0].newState === 'CONNECTED', `${type}: ${JSON.stringify(me.events(type))}`);
	check(me.events('NewCandidatePairSelected').length >= 1, 'no pair was told');
	check(me.events('DtlsConnectionStateChange').filter((e) => e.state === 'CONNECTED').length === 2, 'DTLS is not told for both halves');

	const types = Object.values(await me.invoke('getStats')).map((s) => s.__type__);
	for (const type of ['EndpointStats', 'RTCInboundRTPStreamStats', 'RTCOutboundRTPStreamStats', 'RTCTransportStats', 'RTCIceCandidatePairStats', 'RTCCodec'])
		check(types.includes(type), `no ${type} among the statistics`);
	await me.invoke('setMaxVideoRecvBandwidth', { maxVideoRecvBandwidth: 300 });
	await until('statistics say whose limit holds', async (last) => {
		const stats = Object.values(await me.invoke('getStats', { mediaType: 'VIDEO' }));
		const mine = stats.find((s) => s.type === 'inboundrtp');
		last(mine);
		return mine.bandwidthLimitedBy === 'client' && mine.remb === 300000;
	});
	await me.invoke('requestKeyframe');
	await me.untilDecodes(1);
};

export const rows = [
	{ name: 'kurento-renegotiates', needs: needs('chromium'), run: renegotiates },
	{ name: 'kurento-without-trickle-in-chromium', needs: needs('chromium'), run: withoutTrickle('chromium') },
	{ name: 'kurento-without-trickle-in-firefox', needs: needs('firefox'), run: withoutTrickle('firefox') },
];

// SPDX-License-Identifier: Apache-2.0
// Applications written for Kurento: kurento-client in node, a page in Chromium, the server between them.
import { recipes } from '../kurento-e2e/lib/client.mjs';
import { Tap } from '../kurento-e2e/lib/tap.mjs';
import { missingBrowser } from './lib/browser.mjs';
import { until, within } from './lib/wait.mjs';

const recipe = recipes[0];
const needs = [() => missingBrowser('chromium'), () => recipe.missing()];
const FRAMES = 8, SOUND = 1e-6;

function check(holds, sentence) {
	if (!holds)
		throw new Error(sentence);
}

// What a page of an application has: a peer connection, its own camera and microphone, and candidates to and fro.
function page() {
	const peers = {};
	window.kurento = {
		async open(name, { send, receive, width }) {
			const pc = new RTCPeerConnection();
			const early = [];
			peers[name] = { pc, early };
			pc.onicecandidate = ({ candidate }) => candidate && window.toServer(name, candidate.toJSON());
			// What is heard is counted only where it is played.
			pc.ontrack = ({ track }) => {
				const element = Object.assign(document.createElement(track.kind), { autoplay: true, srcObject: new MediaStream([track]) });
				document.body.append(element);
			};
			const stream = send && await navigator.mediaDevices.getUserMedia({ audio: true, video: { width, height: width * 3 / 4, frameRate: 10 } });
			peers[name].add = () => {
				for (const kind of ['audio', 'video']) {
					const direction = send ? (receive ? 'sendrecv' : 'sendonly') : 'recvonly';
					pc.addTransceiver(send ? stream.getTracks().find((t) => t.kind === kind) : kind, { direction, ...(send && { streams: [stream] }) });
				}
			};
			peers[name].fill = () => Promise.all(pc.getTransceivers().map((t) => {
				t.direction = send ? (receive ? 'sendrecv' : 'sendonly') : 'recvonly';
				return send && t.sender.replaceTrack(stream.getTracks().find((s) => s.kind === t.receiver.track.kind));
			}));
		},
		async offer(name) {
			const { pc, add } = peers[name];
			add();
			await pc.setLocalDescription();
			return pc.localDescription.sdp;
		},
		async answered(name, sdp) {
			const { pc, early } = peers[name];
			await pc.setRemoteDescription({ type: 'answer', sdp });
			await Promise.all(early.splice(0).map((c) => pc.addIceCandidate(c)));
		},
		async answer(name, sdp) {
			const { pc, early, fill } = peers[name];
			await pc.setRemoteDescription({ type: 'offer', sdp });
			await fill();
			await pc.setLocalDescription();
			await Promise.all(early.splice(0).map((c) => pc.addIceCandidate(c)));
			return pc.localDescription.sdp;
		},
		candidate(name, c) {
			const { pc, early } = peers[name];
			const { candidate, sdpMid, sdpMLineIndex } = c;
			return pc.remoteDescription ? pc.addIceCandidate({ candidate, sdpMid, sdpMLineIndex }) : early.push({ candidate, sdpMid, sdpMLineIndex });
		},
		async seen(name) {
			const sums = { state: peers[name].pc.connectionState, frames: 0, sound: 0, width: 0 };
			for (const s of (await peers[name].pc.getStats()).values()) {
				if (s.type !== 'inbound-rtp')
					continue;
				sums.frames += s.framesDecoded || 0;
				sums.sound += s.totalAudioEnergy || 0;
				sums.width = s.frameWidth || sums.width;
			}
			return sums;
		},
		close(name) {
			peers[name].pc.close();
		},
	};
}

// The application: its client, its pipeline, the people who called.
export class Application {
	static async open(t) {
		const app = new Application();
		await t.server();
		app.t = t;
		app.line = await Tap.open(Number(new URL(t.sluice.url).port));
		app.client = await recipe.load()(app.line.url);
		t.defer(async () => {
			app.over = true;
			app.client.close();
			await app.line.close();
		});
		app.pipeline = await app.client.create('MediaPipeline');
		return app;
	}

	// A page of somebody's.
	async browser() {
		const tab = await this.t.tab('chromium');
		const callers = {};
		await tab.page.exposeFunction('toServer', (name, candidate) => this.over || callers[name].fromPage(candidate));
		await tab.evaluate(page);
		return { tab, callers };
	}

	// Somebody calls, from that page, and is answered: the order of calls of Kurento's tutorials.
	async caller(browser, name, { send = true, receive = true, width = 160, asked = false } = {}) {
		const c = new Caller();
		c.name = name;
		c.tab = browser.tab;
		browser.callers[name] = c;
		c.endpoint = await this.pipeline.create('WebRtcEndpoint');
		c.endpoint.on('IceCandidateFound', ({ candidate }) => c.tab.evaluate(([n, x]) => window.kurento.candidate(n, x), [name, candidate]).catch((e) => { c.wrong = e; }));
		await c.page('open', { send, receive, width });
		if (asked)
			await c.endpoint.processAnswer(await c.page('answer', await c.endpoint.generateOffer()));
		else
			await c.page('answered', await c.endpoint.processOffer(await c.page('offer')));
		await c.endpoint.gatherCandidates();
		return c;
	}
}

class Caller {
	page(what, arg) {
		return this.tab.evaluate(([w, n, a]) => window.kurento[w](n, a), [what, this.name, arg]);
	}

	fromPage(candidate) {
		const { getComplexType } = recipe.load();
		this.endpoint.addIceCandidate(getComplexType('IceCandidate')(candidate)).catch((e) => { this.wrong = e; });
	}

	// Until more frames and sound than now came; of a picture so wide, when that is said.
	async untilDecodes(width) {
		let before;
		return until(`${this.name} decodes picture and sound${width ? ` of ${width}` : ''}`, async (last) => {
			const now = await this.page('seen');
			if (this.wrong)
				throw this.wrong;
			if (!before || (width && now.width !== width))
				before = now;
			last({ before, now });
			return (!width || now.width === width) && now.frames >= before.frames + FRAMES && now.sound > before.sound + SOUND;
		});
	}

	// Until frames have stopped coming for a while.
	async untilStops() {
		let before = {};
		let still = 0;
		return until(`${this.name} decodes nothing any more`, async (last) => {
			const now = await this.page('seen');
			last({ before, now });
			still = now.frames === before.frames ? still + 1 : 0;
			before = now;
			return still >= 5;
		});
	}

	async hangUp() {
		await this.page('close');
		await this.endpoint.release();
	}
}

const helloWorld = (name, how) => ({
	name,
	needs,
	async run(t) {
		const app = await Application.open(t);
		const me = await app.caller(await app.browser(), 'me', how);
		await me.endpoint.connect(me.endpoint);
		await me.untilDecodes();
		check(await me.endpoint.isMediaFlowingIn('VIDEO') && await me.endpoint.isMediaFlowingOut('AUDIO'), 'the endpoint does not say that media flows');
		await me.endpoint.disconnect(me.endpoint);
		await me.untilStops();
		await app.pipeline.release();
		await t.sluice.until('the transport is gone', (m) => m.sluice_transports === 0);
	},
});

async function oneToMany(t) {
	const app = await Application.open(t);
	const browser = await app.browser();
	const presenter = await app.caller(browser, 'presenter', { receive: false });
	const viewers = await Promise.all([1, 2, 3].map((i) => app.caller(browser, `viewer ${i}`, { send: false })));
	await Promise.all(viewers.map((v) => presenter.endpoint.connect(v.endpoint)));
	await Promise.all(viewers.map((v) => v.untilDecodes()));
	await viewers[0].hangUp();
	await Promise.all(viewers.slice(1).map((v) => v.untilDecodes()));
}

async function oneToOne(t) {
	const app = await Application.open(t);
	const [a, b] = [await app.caller(await app.browser(), 'anna', { width: 160 }), await app.caller(await app.browser(), 'bert', { width: 320 })];
	await a.endpoint.connect(b.endpoint);
	await b.endpoint.connect(a.endpoint);
	await Promise.all([a.untilDecodes(320), b.untilDecodes(160)]);
}

// Each has an endpoint to send, and one for each of the others to receive, as Kurento's group call does it.
async function groupCall(t) {
	const app = await Application.open(t);
	const browser = await app.browser();
	const people = {};
	const links = {};
	const join = async (name) => {
		people[name] = await app.caller(browser, name, { receive: false });
		await Promise.all(Object.keys(people).filter((o) => o !== name).flatMap((o) => [listen(name, o), listen(o, name)]));
	};
	const listen = async (to, from) => {
		const link = `${to} hears ${from}`;
		links[link] = await app.caller(browser, link, { send: false });
		await people[from].endpoint.connect(links[link].endpoint);
	};
	const all = () => Promise.all(Object.values(links).map((l) => l.untilDecodes()));
	const leave = async (name) => {
		for (const link of Object.keys(links).filter((l) => l.split(' ').includes(name))) {
			await links[link].hangUp();
			delete links[link];
		}
		await people[name].hangUp();
		delete people[name];
	};
	for (const name of ['anna', 'bert', 'cora', 'dave'])
		await join(name);
	await all();
	const quiet = links['anna hears bert'];
	await people.bert.endpoint.disconnect(quiet.endpoint);
	await quiet.untilStops();
	await people.bert.endpoint.connect(quiet.endpoint);
	await quiet.untilDecodes();
	await leave('dave');
	await all();
}

// The viewer's picture changes with what is connected, without a new negotiation.
async function switching(t) {
	const app = await Application.open(t);
	const browser = await app.browser();
	const [small, large] = [await app.caller(browser, 'small', { receive: false, width: 160 }), await app.caller(browser, 'large', { receive: false, width: 320 })];
	const [v, w] = [await app.caller(browser, 'viewer', { send: false }), await app.caller(browser, 'other viewer', { send: false })];
	const pass = await app.pipeline.create('PassThrough');
	const hub = await app.pipeline.create('DispatcherOneToMany');
	const ports = [await hub.createHubPort(), await hub.createHubPort(), await hub.createHubPort()];

	await small.endpoint.connect(pass);
	await pass.connect(v.endpoint);
	await small.endpoint.connect(ports[0]);
	await large.endpoint.connect(ports[1]);
	await ports[2].connect(w.endpoint);
	await hub.setSource(ports[0]);
	await Promise.all([v.untilDecodes(160), w.untilDecodes(160)]);
	await large.endpoint.connect(pass);
	await hub.setSource(ports[1]);
	await Promise.all([v.untilDecodes(320), w.untilDecodes(320)]);
	await hub.removeSource();
	await w.untilStops();
	await small.endpoint.connect(pass);
	await hub.setSource(ports[0]);
	await Promise.all([v.untilDecodes(160), w.untilDecodes(160)]);
}

// The application's line to the server is cut: media goes on, and the client finds its session again, with its events.
async function lineCut(t) {
	const app = await Application.open(t);
	const browser = await app.browser();
	const [a, b] = [await app.caller(browser, 'anna', { receive: false }), await app.caller(browser, 'bert', { send: false })];
	let ends = 0;
	a.endpoint.on('ElementDisconnected', () => { ends++; });
	const stopped = new Promise((done) => b.endpoint.on('MediaFlowInStateChanged', ({ state }) => state === 'NOT_FLOWING' && done()));
	await a.endpoint.connect(b.endpoint);
	await b.untilDecodes();
	const back = new Promise((done) => app.client.once('reconnected', done));
	app.line.cut();
	await b.untilDecodes();
	check(await within('the client to come back', back) === true, 'the client is in another session');
	await a.endpoint.disconnect(b.endpoint);
	await within('the end of the flow is told', stopped);
	check(ends === 3, `${ends} times disconnected`);
}

export const rows = [
	helloWorld('kurento-hello-world', {}),
	helloWorld('kurento-hello-world-that-the-server-offers', { asked: true }),
	{ name: 'kurento-one-to-many', needs, run: oneToMany },
	{ name: 'kurento-one-to-one', needs, run: oneToOne },
	{ name: 'kurento-group-call', needs, run: groupCall },
	{ name: 'kurento-source-switching', needs, run: switching },
	{ name: 'kurento-line-cut-in-a-call', needs, run: lineCut },
];

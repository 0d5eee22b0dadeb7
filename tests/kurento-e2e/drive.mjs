// SPDX-License-Identifier: Apache-2.0
// One client drives all that the server has: each property read and set, each method called, each event subscribed to.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { failure, invoke, unheard } from './lib/client.mjs';
import { lineage } from './lib/kmd.mjs';
import { pause, seconds, until } from '../e2e/lib/wait.mjs';

export function check(holds, sentence) {
	if (!holds)
		throw new Error(sentence);
}

async function fails(code, object, method, ...args) {
	const got = await failure(object, method, ...args);
	check(got === code, `${method}(${args.map((a) => a.id || a)}): ${got}, not ${code}`);
}

// What is set, where the value that is there already will not do.
const VALUES = {
	name: 'a name "with" é', sendTagsInEvents: true, latencyStats: true,
	encoderBitrate: 500000, minEncoderBitrate: 100000, maxEncoderBitrate: 900000,
	minOutputBitrate: 100000, maxOutputBitrate: 900000, minOuputBitrate: 100000, maxOuputBitrate: 900000,
	maxAudioRecvBandwidth: 64, maxVideoRecvBandwidth: 3000, minVideoRecvBandwidth: 50, minVideoSendBandwidth: 60,
	maxVideoSendBandwidth: 4000, mtu: 1100, networkInterfaces: 'lo', iceTcp: false, stunServerAddress: '127.0.0.1',
	stunServerPort: 3478, turnUrl: 'user:secret@127.0.0.1:3478?transport=tcp', externalIPv4: '198.51.100.1',
	externalIPv6: '2001:db8::1', externalAddress: '198.51.100.2',
};
// The client knows it and asks nobody.
const LOCAL = new Set(['id']);

const capital = (name) => name[0].toUpperCase() + name.slice(1);

async function readAndSet(object, { name, readOnly, final }, rembParams) {
	const get = LOCAL.has(name) ? () => invoke(object, `get${capital(name)}`) : () => object[`get${capital(name)}`]();
	const was = await get();
	if (readOnly || final)
		return;
	const value = name === 'rembParams' ? rembParams : VALUES[name];
	check(value !== undefined, `no value to try for ${name}`);
	await object[`set${capital(name)}`](value);
	const is = await get();
	if (name === 'rembParams')
		check(is.upLosses === value.upLosses && is.rembOnConnect === value.rembOnConnect, `rembParams: ${JSON.stringify(is)}`);
	else
		check(is === value, `${name}: ${JSON.stringify(value)} was set after ${JSON.stringify(was)}, ${JSON.stringify(is)} is read`);
}

class Drive {
	constructor(recipe, tap) {
		this.recipe = recipe;
		this.tap = tap;
		this.classes = recipe.classes();
		this.heard = new Map();
	}

	async open() {
		const kurento = this.recipe.load();
		this.kurento = kurento;
		this.client = await kurento(this.tap.url, { strict: true });
		this.manager = await this.client.getServerManager();
		const info = await this.manager.getInfo();
		check(info.type === 'KMS' && info.modules.length === 3, `getInfo: ${JSON.stringify(info)}`);
		this.there = new Set(info.modules.flatMap((m) => m.factories));
	}

	async everything() {
		await this.open();
		await this.serverManager();
		await this.graph();
		if (this.there.has('RtpEndpoint'))
			await this.plain();
		if (this.there.has('WebRtcEndpoint'))
			await this.call();
		await this.transactions();
		await this.refusals();
		this.covered();
		await this.client.close();
	}

	// All that its class and its ancestors say may come.
	async listen(object, className) {
		for (const c of lineage(this.classes, className))
			for (const name of c.events) {
				object.on(name, (event) => this.heard.set(name, [...(this.heard.get(name) || []), { ...event, on: object.id }]));
			}
		await until(`${className}'s events are subscribed to`, () => lineage(this.classes, className)
			.every((c) => c.events.every((e) => this.tap.subscribed.has(`${className} ${e}`))));
	}

	async properties(object, className) {
		const rembParams = this.kurento.getComplexType('RembParams')({ upLosses: 20, rembOnConnect: 500000 });
		for (const c of lineage(this.classes, className))
			for (const property of c.properties)
				await readAndSet(object, property, rembParams);
	}

	async tags(object) {
		await object.addTag('colour', 'red');
		await object.addTag('colour', 'blue');
		check(await object.getTag('colour') === 'blue', 'a tag is not what it was set to');
		check((await object.getTags()).length === 1, 'not one tag');
		await object.removeTag('colour');
		await object.removeTag('colour');
		await fails(40110, object, 'getTag', 'colour');
	}

	// An object with everything that it has on its own.
	async make(type, params, parent = this.pipeline) {
		const object = await parent.create(type, params);
		await this.listen(object, type);
		return object;
	}

	async serverManager() {
		const m = this.manager;
		await this.listen(m, 'ServerManager');
		for (const name of ['name', 'sendTagsInEvents', 'creationTime', 'children', 'id', 'info', 'metadata', 'pipelines', 'sessions'])
			await (LOCAL.has(name) ? invoke(m, 'getId') : m[`get${capital(name)}`]());
		check((await m.getSessions()).includes([...this.tap.sessions][0]), 'the own session is not among the sessions');
		for (const module of ['core', 'elements', 'filters'])
			check((await m.getKmd(module)).includes('remoteClasses'), `getKmd(${module})`);
		await fails(40500, m, 'getKmd', 'nothing');
		check(await m.getCpuCount() >= 1, 'no CPU');
		check(await m.getUsedCpu(100) >= 0, 'getUsedCpu');
		check(await m.getUsedMemory() > 1000, 'getUsedMemory');
		await this.tags(m);
	}

	async graph() {
		const created = this.client.create('MediaPipeline');
		this.pipeline = await created;
		await this.listen(this.pipeline, 'MediaPipeline');
		await this.properties(this.pipeline, 'MediaPipeline');
		await this.tags(this.pipeline);
		const [one, two] = [await this.make('PassThrough'), await this.make('PassThrough')];
		await this.properties(one, 'PassThrough');
		await this.tags(one);
		await this.connections(one, two);
		await this.questions(one);
		await this.hubs(one, two);
		check((await this.manager.getPipelines()).some((p) => p.id === this.pipeline.id), 'the pipeline is not among the pipelines');
		check((await this.pipeline.getChildren()).length === 4, 'the pipeline has not four children');
	}

	async connections(one, two) {
		await one.connect(two);
		await one.connect(two, 'AUDIO');
		check((await one.getSinkConnections()).length === 3, 'not three sinks');
		const [video] = await two.getSourceConnections('VIDEO');
		check(video.source.id === one.id || video.source === one.id, `who feeds it: ${JSON.stringify(video)}`);
		await one.disconnect(two, 'VIDEO');
		check((await two.getSourceConnections()).length === 2, 'not two sources are left');
		await two.connect(one);
		await one.connect(one, 'DATA');
		await one.disconnect(two, 'AUDIO', 'default', 'default');
		await one.disconnect(two);
		const other = await this.client.create('MediaPipeline');
		const stranger = await other.create('PassThrough');
		await fails(40004, one, 'connect', stranger);
		await other.release();
		await this.until('ElementConnected', (e) => e.mediaType === 'VIDEO' && (e.sink === two.id || e.sink.id === two.id));
		await this.until('ElementDisconnected', (e) => e.mediaType === 'DATA');
	}

	async questions(element) {
		check(await element.isMediaFlowingIn('VIDEO') === false && await element.isMediaFlowingOut('AUDIO') === false, 'media flows from nowhere');
		check(await element.isMediaTranscoding('VIDEO') === false, 'it transcodes');
		await fails(40107, element, 'isMediaFlowingIn', 'DATA');
		const stats = Object.values(await element.getStats());
		check(stats.length === 1 && stats[0].type === 'element', `getStats: ${JSON.stringify(stats)}`);
		const { getComplexType } = this.kurento;
		const audio = getComplexType('AudioCaps')({ codec: 'OPUS', bitrate: 32000 });
		const framerate = getComplexType('Fraction')({ numerator: 15, denominator: 1 });
		const video = getComplexType('VideoCaps')({ codec: 'VP8', framerate });
		await fails(40006, element, 'setAudioFormat', audio);
		await fails(40006, element, 'setVideoFormat', video);
		if (this.recipe.old)
			await element.setOutputBitrate(300000);
		await this.drawn(element);
		await this.drawn(this.pipeline);
	}

	async drawn(object) {
		const text = await object.getGstreamerDot();
		check(text.startsWith('digraph') && text.includes('PassThrough'), `getGstreamerDot: ${text.slice(0, 80)}`);
		await object.getGstreamerDot('SHOW_ALL');
		if (!this.recipe.old)
			await object.dumpGstreamerDot();
	}

	async hubs(one, two) {
		const dispatcher = await this.make('Dispatcher');
		const [in1, out1] = [await this.make('HubPort', { hub: dispatcher }, this.client), await this.make('HubPort', { hub: dispatcher }, this.client)];
		await this.properties(dispatcher, 'Dispatcher');
		await this.properties(in1, 'HubPort');
		await one.connect(in1);
		await out1.connect(two);
		await dispatcher.connect(in1, out1);
		await dispatcher.getGstreamerDot();
		if (!this.recipe.old)
			await dispatcher.dumpGstreamerDot();
		const many = await this.make('DispatcherOneToMany');
		const port = await many.createHubPort();
		await this.properties(many, 'DispatcherOneToMany');
		await fails(40004, many, 'setSource', in1);
		await many.setSource(port);
		await many.removeSource();
		check((await many.getChildren()).length === 1, 'the hub has not one port');
		await many.release();
		await dispatcher.release();
		this.pair = [await this.pipeline.create('Dispatcher'), await this.pipeline.create('DispatcherOneToMany')];
	}

	// Two endpoints of this server call each other, candidates one by one; plain RTP is what they tell each other.
	async call() {
		const far = await this.client.create('MediaPipeline');
		const [a, b] = [await this.make('WebRtcEndpoint'), await this.make('WebRtcEndpoint', {}, far)];
		await this.unused();
		await fails(40202, a, 'getLocalSessionDescriptor');
		await fails(40203, a, 'getRemoteSessionDescriptor');
		await fails(40209, a, 'processAnswer', 'v=0');
		await fails(40201, b, 'processOffer', '');
		this.trickle(a, b);
		this.trickle(b, a);
		const answer = await b.processOffer(await a.generateOffer());
		await a.processAnswer(answer);
		await fails(40210, a, 'processAnswer', answer);
		await Promise.all([a.gatherCandidates(), b.gatherCandidates()]);
		check((await a.getLocalSessionDescriptor()).startsWith('v=0') && (await a.getRemoteSessionDescriptor()).startsWith('v=0'), 'descriptions');
		await until('the endpoints are connected', async (last) => {
			const states = [await a.getConnectionState(), await b.getConnectionState()];
			last([states, await a.getIceConnectionState(), Object.fromEntries(this.tap.events)]);
			return states.every((s) => s === 'CONNECTED');
		});
		check((await a.getICECandidatePairs()).length > 0, 'no pair of candidates');
		await this.properties(a, 'WebRtcEndpoint');
		if (this.there.has('RtpEndpoint'))
			await this.tell(a, await this.make('RtpEndpoint', {}, far), false, b);
		if (!this.recipe.old)
			await a.requestKeyframe();
		await this.counted(a);
		await far.release();
	}

	// Its settings before any session, and what has not come yet.
	async unused() {
		const e = await this.make('WebRtcEndpoint', { recvonly: false, sendonly: true, certificateKeyType: 'ECDSA' });
		await this.properties(e, 'WebRtcEndpoint');
		await this.tags(e);
		await fails(40111, e, 'createDataChannel', 'chat');
		await fails(40111, e, 'closeDataChannel', 1);
		await e.release();
	}

	trickle(from, to) {
		const { getComplexType } = this.kurento;
		const add = ({ candidate }) => to.addIceCandidate(getComplexType('IceCandidate')(candidate)).catch((e) => { this.wrong = e; });
		from.on(this.recipe.old ? 'OnIceCandidate' : 'IceCandidateFound', add);
	}

	async counted(endpoint) {
		const stats = Object.values(await endpoint.getStats());
		check(stats.some((s) => s.type === 'endpoint'), `no statistics of the endpoint among ${stats.map((s) => s.type)}`);
		await endpoint.getStats('AUDIO');
	}

	// RTP of ours → RtpEndpoint → RtpEndpoint → us.
	async plain() {
		const out = await this.make('RtpEndpoint');
		await this.tags(out);
		await fails(40202, out, 'getLocalSessionDescriptor');
		await fails(40203, out, 'getRemoteSessionDescriptor');
		await fails(40209, out, 'processAnswer', 'v=0');
		await fails(40201, out, 'processOffer', '');
		await this.tell(out, out, true);
		const asks = await this.make('RtpEndpoint');
		const offer = await asks.generateOffer();
		await fails(40208, asks, 'generateOffer');
		const answers = await this.make('RtpEndpoint');
		const answer = await answers.processOffer(offer);
		await asks.processAnswer(answer);
		await fails(40210, asks, 'processAnswer', answer);
		check((await asks.getLocalSessionDescriptor()).startsWith('v=0') && (await asks.getRemoteSessionDescriptor()).startsWith('v=0'), 'descriptions');
		if (!this.recipe.old)
			await fails(40111, out, 'requestKeyframe');
		for (const e of [out, asks, answers])
			await e.release();
	}

	// Sound of ours goes through an RtpEndpoint and a PassThrough into `to`, and comes out of `out` to us: at once,
	// where they are the same, or from `from`, at the far end.
	async tell(to, out, same, from) {
		const near = await this.make('RtpEndpoint');
		await this.properties(near, 'RtpEndpoint');
		const pass = await this.make('PassThrough');
		const sound = await Sound.open();
		await near.connect(pass);
		await pass.connect(to);
		if (!same)
			await from.connect(out);
		sound.to(await near.processOffer(sound.offer('sendonly')));
		await out.processOffer(sound.offer('recvonly'));
		await until('sound is heard at the far end', (last) => {
			last([sound.sent, sound.heard, Object.fromEntries(this.tap.events)]);
			return sound.heard > 10;
		}, seconds(15));
		check(await pass.isMediaFlowingIn('AUDIO') && await pass.isMediaFlowingOut('AUDIO'), 'sound does not flow through the PassThrough');
		await this.counted(near);
		await this.formats(pass);
		const name = this.recipe.old ? 'MediaFlowInStateChange' : 'MediaFlowInStateChanged';
		await this.until(name, (e) => e.on === pass.id && e.state === 'FLOWING');
		sound.close();
		await this.until(name, (e) => e.on === pass.id && e.state === 'NOT_FLOWING');
		await pass.release();
		await near.release();
	}

	// What the peer sends can be asked for, and nothing else.
	async formats(element) {
		const { getComplexType } = this.kurento;
		await element.setAudioFormat(getComplexType('AudioCaps')({ codec: 'PCMU', bitrate: 64000 }));
		await fails(40006, element, 'setAudioFormat', getComplexType('AudioCaps')({ codec: 'OPUS', bitrate: 32000 }));
	}

	// References within a transaction, and one that fails in its middle.
	async transactions() {
		let made;
		await this.pipeline.transaction(function steps() {
			made = [this.create('PassThrough'), this.create('PassThrough')];
			made[0].connect(made[1]);
		});
		const [one, two] = await Promise.all(made);
		check((await two.getSourceConnections()).length === 3, 'the transaction connected nothing');
		check(this.tap.methods.has('transaction'), 'no transaction was sent');
		await Promise.all([one.release(), two.release()]);
	}

	async refusals() {
		const gone = await this.pipeline.create('PassThrough');
		const { id } = gone;
		await gone.release();
		await fails(40101, this.client, 'getMediaobjectById', id);
		await invoke(this.pipeline, 'noSuchThing').then(() => check(false, 'there is no such method'), (e) => check(e.code === 40008, e.message));
		const other = await this.pipeline.create('PassThrough');
		check((await this.client.getMediaobjectById(other.id)).id === other.id, 'an object by its id');
		await this.until('ObjectCreated', () => true);
		await this.until('ObjectDestroyed', (e) => e.objectId === id);
		await this.pipeline.release();
	}

	until(event, fits) {
		return until(`${event} is heard`, (last) => {
			last(this.heard.get(event)?.slice(-3));
			return (this.heard.get(event) || []).some(fits);
		}, seconds(15));
	}

	// Every method of every class that the server has, by the client's own descriptions.
	covered() {
		if (this.wrong || unheard.length)
			throw this.wrong || unheard[0];
		const called = new Set();
		for (const call of this.tap.calls) {
			const [object, method] = call.split('.');
			for (const c of lineage(this.classes, object))
				if (c.methods.includes(method))
					called.add(`${c.name}.${method}`);
		}
		const classes = new Set([...this.there, 'ServerManager'].flatMap((name) => lineage(this.classes, name)));
		const wanted = [...classes].flatMap((c) => c.methods.map((m) => `${c.name}.${m}`));
		const missing = wanted.filter((m) => !called.has(m));
		check(missing.length === 0, `never called: ${missing.join(', ')}`);
		this.expected();
		check(this.tap.answersText, 'an answer was not text');
		check(this.tap.binary === this.recipe.binary, `frames of kind ${[...this.tap.opcodes.up]}`);
		return wanted.length;
	}

	// Events that must have come, under each of their names.
	expected() {
		const old = (name, before) => (this.recipe.old ? [name, ...before] : [name]);
		const names = ['ObjectCreated', 'ObjectDestroyed', 'ElementConnected', 'ElementDisconnected'];
		if (this.there.has('WebRtcEndpoint'))
			names.push(...old('IceCandidateFound', ['OnIceCandidate']), ...old('IceGatheringDone', ['OnIceGatheringDone']),
				...old('IceComponentStateChanged', ['OnIceComponentStateChanged', 'IceComponentStateChange']),
				...(this.recipe.old ? [] : ['DtlsConnectionStateChange']), 'NewCandidatePairSelected', 'MediaSessionStarted',
				'ConnectionStateChanged');
		if (this.there.has('RtpEndpoint'))
			names.push(...old('MediaFlowInStateChanged', ['MediaFlowInStateChange']), 'MediaStateChanged',
				...old('MediaFlowOutStateChanged', ['MediaFlowOutStateChange']),
				...old('MediaTranscodingStateChanged', ['MediaTranscodingStateChange']));
		const missing = names.filter((n) => !this.heard.has(n));
		check(missing.length === 0, `never heard: ${missing.join(', ')}`);
	}
}

// A source and a sink of PCMU, on a port of ours.
class Sound {
	static async open() {
		const s = new Sound();
		s.heard = s.sent = 0;
		s.socket = createSocket('udp4');
		s.socket.on('message', (m) => { s.heard += (m[1] & 0x7f) === 0; });
		s.socket.bind(0, '127.0.0.1');
		await once(s.socket, 'listening');
		return s;
	}

	offer(direction) {
		const { port } = this.socket.address();
		return ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', `m=audio ${port} RTP/AVP 0`,
			'a=rtpmap:0 PCMU/8000', `a=${direction}`, 'a=rtcp-mux', ''].join('\r\n');
	}

	to(answer) {
		const port = Number(/m=audio (\d+)/.exec(answer)[1]);
		const address = /c=IN IP4 (\S+)/.exec(answer)[1];
		const packet = Buffer.alloc(12 + 160, 0xd5);
		packet.set([0x80, 0]);
		packet.writeUInt32BE(0x5eed, 8);
		this.timer = setInterval(() => {
			packet.writeUInt16BE(this.sent & 0xffff, 2);
			packet.writeUInt32BE(this.sent * 160, 4);
			this.socket.send(packet, port, address === '0.0.0.0' ? '127.0.0.1' : address);
			this.sent++;
		}, 20);
	}

	close() {
		clearInterval(this.timer);
		this.socket.close();
	}
}

export async function drive(recipe, tap) {
	const d = new Drive(recipe, tap);
	await d.everything();
	await pause(0);
}

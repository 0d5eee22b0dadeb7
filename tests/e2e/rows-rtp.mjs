// SPDX-License-Identifier: Apache-2.0
// Rows with ffmpeg as the peer of RtpEndpoints: plain RTP and SRTP in and out, a telephone's offer, and a third host that
// sends to all of it.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Process } from './lib/process.mjs';
import { Rpc } from './lib/rpc.mjs';
import { ThirdHost } from './lib/third.mjs';
import { until } from './lib/wait.mjs';

const V4 = '10.99.0.1';
const V6 = 'fd99::1';
const KEYS = { sender: 'c2VuZGVyLW1hc3Rlci1rZXktYW5kLXNhbHQtLS0t', server: 'c2VydmVyLW1hc3Rlci1rZXktYW5kLXNhbHQtLS0t' };
const SUITE = 'AES_CM_128_HMAC_SHA1_80';
const PORTS = ['--kurento.min_port=40000', '--kurento.max_port=40031'];

function check(holds, sentence) {
	if (!holds)
		throw new Error(sentence);
}

const formats = {
	vp8: { kind: 'video', pt: 96, map: 'VP8/90000',
		source: ['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-pix_fmt', 'yuv420p', '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8',
			'-g', '25', '-b:v', '400k'] },
	opus: { kind: 'audio', pt: 111, map: 'opus/48000/2',
		source: ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-ac', '2', '-c:a', 'libopus', '-b:a', '32k'] },
	pcma: { kind: 'audio', pt: 8, source: ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=8000', '-ac', '1', '-c:a', 'pcm_alaw'] },
};

// An m-line of the peer's, at that port.
function line(format, port, { key, dir }) {
	return [`m=${format.kind} ${port} RTP/${key ? 'SAVP' : 'AVP'} ${format.pt}`, ...(format.map ? [`a=rtpmap:${format.pt} ${format.map}`] : []),
		...(key ? [`a=crypto:1 ${SUITE} inline:${key}`] : []), `a=${dir}`];
}

const family = (host) => (host === V6 ? 'IP6' : 'IP4');
const description = (lines, host) => ['v=0', `o=- 0 0 IN ${family(host)} ${host}`, 's=-', `c=IN ${family(host)} ${host}`, 't=0 0', ...lines.flat(), '']
	.join('\r\n');

// Even ports that nobody else has: sockets are opened in the rows' own namespace only.
let next = 20000;
function port() {
	next += 2;
	return next;
}

function portsOf(answer, host) {
	const found = [...answer.matchAll(/^m=(\w+) (\d+) /gm)].map((m) => Number(m[2]));
	check(found.every((p) => p >= 40000 && p <= 40031 && p % 2 === 0), `not even ports of the range: ${answer}`);
	check(answer.includes(`\r\nc=IN ${family(host)} ${host}\r\n`), `not our address: ${answer}`);
	return found;
}

function encode(t, format, host, from, to, key) {
	const srtp = key ? ['-srtp_out_suite', SUITE, '-srtp_out_params', key] : [];
	const url = `${key ? 'srtp' : 'rtp'}://${host === V6 ? `[${V6}]` : host}:${to}?localrtpport=${from}&localrtcpport=${from + 1}&pkt_size=1200`;
	const sender = new Process('ffmpeg', 'ffmpeg', ['-hide_banner', '-loglevel', 'error', '-re', ...format.source, '-payload_type', String(format.pt), '-f', 'rtp',
		...srtp, url]);
	t.defer(() => sender.stop('SIGKILL'));
	return sender;
}

// Frames decoded, or seconds' worth of sound energy.
function decode(t, format, host, at, key) {
	const output = format.kind === 'video' ? ['-f', 'null', '-progress', 'pipe:1', '-'] : ['-ac', '1', '-ar', '8000', '-f', 's16le', 'pipe:1'];
	const player = new Process('ffmpeg', 'ffmpeg', ['-hide_banner', '-loglevel', 'error', '-protocol_whitelist', 'pipe,udp,rtp,srtp', '-fflags', 'nobuffer',
		'-analyzeduration', '1000000', '-f', 'sdp', '-i', 'pipe:0', ...output]);
	const seen = { frames: 0, sound: 0, process: player };
	if (format.kind === 'video')
		player.onLine = (l) => { seen.frames = Number(/^frame=\s*(\d+)/.exec(l)?.[1] ?? seen.frames); };
	else
		player.child.stdout.on('data', (d) => {
			for (let i = 0; i + 1 < d.length; i += 2)
				seen.sound += (d.readInt16LE(i) / 32768) ** 2 / 8000;
		});
	player.child.stdin.end(description([line(format, at, { key, dir: 'recvonly' })], host));
	t.defer(() => player.stop('SIGKILL'));
	return seen;
}

async function program(t, ...flags) {
	await t.server(...PORTS, ...flags);
	const rpc = await Rpc.open(t.sluice);
	t.defer(() => rpc.close());
	return { rpc, pipeline: await rpc.create('MediaPipeline') };
}

const crypto = (key) => (key ? { crypto: { crypto: 'AES_128_CM_HMAC_SHA1_80', keyBase64: key } } : {});

// What comes from `from` goes to `to`, each with a key or without.
async function relay(t, names, keyIn, keyOut, host = V4) {
	const { rpc, pipeline } = await program(t);
	const kinds = names.map((n) => formats[n]);
	const from = kinds.map(port);
	const to = kinds.map(port);
	const useIpv6 = host === V6;
	const source = await rpc.create('RtpEndpoint', { mediaPipeline: pipeline, useIpv6, ...crypto(keyIn && KEYS.server) });
	const sink = await rpc.create('RtpEndpoint', { mediaPipeline: pipeline, useIpv6, ...crypto(keyOut && KEYS.server) });
	await rpc.invoke(source, 'connect', { sink });
	const theirs = (ports, dir, key) => description(kinds.map((f, i) => line(f, ports[i], { dir, key: key && KEYS.sender })), host);
	const answered = await rpc.invoke(sink, 'processOffer', { offer: theirs(to, 'recvonly', keyOut) });
	portsOf(answered, host);
	check(!keyOut || answered.includes(`inline:${KEYS.server}`), `the key is not ours: ${answered}`);
	const players = kinds.map((f, i) => decode(t, f, host, to[i], keyOut && KEYS.server));
	const ports = portsOf(await rpc.invoke(source, 'processOffer', { offer: theirs(from, 'sendonly', keyIn) }), host);
	const senders = kinds.map((f, i) => encode(t, f, host, from[i], ports[i], keyIn && KEYS.sender));
	return { rpc, players, senders, source, sink };
}

function decoded(players, frames, sound) {
	return until('pictures and sound are decoded', async (last) => {
		last(players.map((p) => ({ frames: p.frames, sound: p.sound, said: p.process.errors.slice(-2) })));
		return players.every((p) => p.frames >= frames || p.sound >= sound);
	});
}

// Every port of the range that somebody listens on.
async function openPorts() {
	const open = [];
	for (let p = 40000; p <= 40031; p++) {
		const probe = createSocket('udp4');
		probe.bind(p, V4);
		const free = await once(probe, 'listening').then(() => true, () => false);
		if (free)
			probe.close();
		else
			open.push(p);
	}
	return open;
}

export const rows = [
	{
		name: 'rtp-to-srtp',
		needs: [],
		async run(t) {
			const { players } = await relay(t, ['vp8', 'opus'], false, true);
			await decoded(players, 40, 0.002);
		},
	},
	{
		name: 'srtp-to-rtp',
		needs: [],
		async run(t) {
			const { rpc, players, source, sink } = await relay(t, ['vp8', 'opus'], true, false);
			await decoded(players, 40, 0.002);
			check(await rpc.invoke(source, 'getConnectionState') === 'CONNECTED', 'the endpoint is not connected');
			check(await rpc.invoke(source, 'getMediaState') === 'CONNECTED', 'no media comes');
			check(await rpc.invoke(sink, 'isMediaFlowingIn', { mediaType: 'VIDEO' }), 'no picture flows on');
			const stats = Object.values(await rpc.invoke(source, 'getStats'));
			check(stats.some((s) => s.type === 'inboundrtp' && s.packetsReceived > 40), `nothing is counted: ${JSON.stringify(stats)}`);
		},
	},
	{
		name: 'rtp-pcma-by-number',
		needs: [],
		async run(t) {
			const { players } = await relay(t, ['pcma'], false, false);
			await decoded(players, Infinity, 0.002);
		},
	},
	{
		name: 'rtp-ipv6',
		needs: [],
		async run(t) {
			const { players } = await relay(t, ['pcma'], false, true, V6);
			await decoded(players, Infinity, 0.002);
		},
	},
	{
		// T01 and T02, as they are on the wire.
		name: 'rtp-third-host',
		needs: [],
		async run(t) {
			const { players } = await relay(t, ['vp8', 'opus'], false, false);
			await decoded(players, 10, 0.0005);
			const third = await ThirdHost.start(t);
			const ports = await openPorts();
			check(ports.length === 8, `open are ${ports}`);
			const before = await t.sluice.metrics();
			const seen = players.map((p) => p.frames);
			const { sent, came } = await third.spray(ports.map((p) => [V4, p]), 400);
			check(sent === 3200 && came === 0, `of ${sent} packets that it sent, ${came} came back to it`);
			const after = await t.sluice.metrics();
			const foreign = after.sluice_plain_foreign_total - before.sluice_plain_foreign_total;
			check(foreign >= 3000, `the server heard ${foreign} of them`);
			await decoded(players, seen[0] + 25, 0.002);
		},
	},
];

// SPDX-License-Identifier: Apache-2.0
// werift, WebRTC in TypeScript, which has no codecs: publishes RTP that comes to two ports of its own, or sends what it
// gets to the two ports named.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpPacket } from 'werift';
import { endBySignal, open, say } from './session.mjs';

const [, , what, url, ...ports] = process.argv;
const PAYLOAD_TYPE = { video: 96, audio: 111 };
const PLI_MS = 1000;
const pc = new RTCPeerConnection({
	iceServers: [],
	bundlePolicy: 'max-bundle',
	codecs: {
		audio: [new RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48000, channels: 2, payloadType: 111 })],
		video: [new RTCRtpCodecParameters({
			mimeType: 'video/VP8', clockRate: 90000, payloadType: 96,
			rtcpFeedback: [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }, { type: 'transport-cc' }],
		})],
	},
});

async function feed(kind) {
	const track = new MediaStreamTrack({ kind });
	const socket = createSocket('udp4');
	pc.addTransceiver(track, { direction: 'sendonly' });
	socket.on('message', (packet) => track.writeRtp(packet));
	socket.bind(0, '127.0.0.1');
	await once(socket, 'listening');
	return socket.address().port;
}

async function publish() {
	const audio = await feed('audio');
	const video = await feed('video');
	return () => say({ feed: { video, audio } });
}

// Key frames are asked for again and again: the decoder may have started after the first.
function forward(transceiver, track, port) {
	const socket = createSocket('udp4');
	track.onReceiveRtp.subscribe((packet) => {
		const copy = RtpPacket.deSerialize(packet.serialize());
		copy.header.payloadType = PAYLOAD_TYPE[track.kind];
		copy.header.extension = false;
		copy.header.extensions = [];
		socket.send(copy.serialize(), port, '127.0.0.1');
	});
	if (track.kind === 'video')
		track.onReceiveRtp.once((packet) =>
			setInterval(() => transceiver.receiver.sendRtcpPLI(packet.header.ssrc), PLI_MS));
}

function play() {
	for (const [kind, port] of [['audio', ports[1]], ['video', ports[0]]]) {
		const transceiver = pc.addTransceiver(kind, { direction: 'recvonly' });
		transceiver.onTrack.subscribe((track) => forward(transceiver, track, Number(port)));
	}
	return () => {};
}

pc.connectionStateChange.subscribe((state) => say({ state }));
const opened = await (what === 'publish' ? publish : play)();
await pc.setLocalDescription(await pc.createOffer());
const { answer, location } = await open(url, pc.localDescription.sdp);
endBySignal(location, () => pc.close());
await pc.setRemoteDescription({ type: 'answer', sdp: answer });
opened();

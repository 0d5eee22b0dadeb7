// SPDX-License-Identifier: Apache-2.0
// ffmpeg as encoder and decoder of the stacks that have none: VP8 (payload type 96) and Opus (111) over RTP on loopback.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Process } from './process.mjs';

const VP8 = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-g', '25', '-b:v', '500k'];
const OPUS = ['-c:a', 'libopus', '-b:a', '32k'];

export function startEncoder({ video, audio }) {
	return new Process('ffmpeg', 'ffmpeg', [
		'-hide_banner', '-loglevel', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25',
		'-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000',
		'-map', '0:v', '-pix_fmt', 'yuv420p', ...VP8, '-payload_type', '96', '-f', 'rtp', `rtp://127.0.0.1:${video}?pkt_size=1200`,
		'-map', '1:a', '-ac', '2', ...OPUS, '-payload_type', '111', '-f', 'rtp', `rtp://127.0.0.1:${audio}?pkt_size=1200`,
	]);
}

async function bindUdp(port) {
	const socket = createSocket('udp4');
	socket.bind(port, '127.0.0.1');
	await once(socket, 'listening');
	return socket;
}

// A free even port whose neighbour (RTCP) is free too. Nobody else is in this network namespace.
async function freePair() {
	for (;;) {
		const first = await bindUdp(0);
		const { port } = first.address();
		const second = port % 2 === 0 && (await bindUdp(port + 1).catch(() => null));
		first.close();
		if (second) {
			second.close();
			return port;
		}
	}
}

const session = (video, audio) => `v=0
o=- 0 0 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=video ${video} RTP/AVP 96
a=rtpmap:96 VP8/90000
m=audio ${audio} RTP/AVP 111
a=rtpmap:111 opus/48000/2
`;

// Two processes, so that neither waits for the other: pictures by -progress, sound as samples.
export class Decoder {
	static async start() {
		const decoder = new Decoder();
		decoder.counts = { frames: 0, sound: 0 };
		decoder.video = await freePair();
		decoder.audio = await freePair();
		decoder.pictures = decoder.launch(['-map', '0:v', '-an', '-f', 'null', '-progress', 'pipe:1', '-']);
		decoder.pictures.onLine = (l) => {
			const found = /^frame=\s*(\d+)/.exec(l);
			if (found)
				decoder.counts.frames = Number(found[1]);
		};
		decoder.pictures.child.stdin.end(session(decoder.video, decoder.audio).replace(/m=audio[^]*/, ''));
		decoder.samples = decoder.launch(['-map', '0:a', '-vn', '-ac', '1', '-ar', '8000', '-f', 's16le', 'pipe:1']);
		decoder.samples.child.stdout.on('data', (d) => decoder.hear(d));
		decoder.samples.child.stdin.end(session(decoder.video, decoder.audio).replace(/m=video[^]*?(?=m=audio)/, ''));
		return decoder;
	}

	launch(output) {
		return new Process('ffmpeg', 'ffmpeg', ['-hide_banner', '-loglevel', 'error', '-protocol_whitelist', 'pipe,udp,rtp',
			'-fflags', 'nobuffer', '-analyzeduration', '2000000', '-f', 'sdp', '-i', 'pipe:0', ...output]);
	}

	hear(data) {
		for (let i = 0; i + 1 < data.length; i += 2)
			this.counts.sound += (data.readInt16LE(i) / 32768) ** 2 / 8000;
	}

	async stop(signal) {
		await this.pictures.stop(signal);
		await this.samples.stop(signal);
	}
}

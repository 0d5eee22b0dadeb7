// SPDX-License-Identifier: Apache-2.0
// Other WebRTC stacks as programs: PROGRAM publish|play URL. Each prints JSON lines, among them {"frames":N,"sound":E}
// of what it has sent or decoded so far, and on SIGTERM ends its session by DELETE.
// Stacks without codecs get theirs from ffmpeg, over RTP on loopback: {"feed":{"video":PORT,"audio":PORT}} asks for
// VP8 and Opus to be sent there; as players they send what they get to the ports of a decoder, given as arguments.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Decoder, startEncoder } from './ffmpeg.mjs';
import { Process } from './process.mjs';
import { seconds, until } from './wait.mjs';

const here = join(dirname(fileURLToPath(import.meta.url)), '..');
const module = (name) => join(here, 'node_modules', name);
const PION = join(process.env.SL_E2E_BUILD || 'build/e2e', 'pion');
const FFMPEG = '/usr/bin/ffmpeg';
const AIORTC = '/usr/lib/python3/dist-packages/aiortc';

// needs: files that must be there. codecs: it encodes and decodes by itself.
const kinds = {
	aiortc: { command: ['/usr/bin/python3', join(here, 'peers/aiortc_peer.py')], needs: [AIORTC], codecs: true },
	wrtc: { command: [process.execPath, join(here, 'peers/wrtc.mjs')], needs: [module('@roamhq/wrtc')], codecs: true },
	werift: { command: [process.execPath, join(here, 'peers/werift.mjs')], needs: [module('werift'), FFMPEG] },
	pion: { command: [PION], needs: [PION, FFMPEG] },
};

export function missingPeer(kind) {
	const lacking = kinds[kind].needs.find((path) => !existsSync(path));
	return lacking ? `${lacking} is not there` : '';
}

const parse = (line) => {
	try {
		return JSON.parse(line);
	} catch {
		return null;
	}
};

export class Peer {
	static async start(kind, what, url) {
		const peer = new Peer();
		peer.kind = kind;
		peer.helpers = [];
		peer.said = { frames: 0, sound: 0 };
		await peer.spawn(kinds[kind], what, url);
		return peer;
	}

	async spawn(kind, what, url) {
		const ports = [];
		if (!kind.codecs && what === 'play') {
			this.decoder = await Decoder.start();
			this.helpers.push(this.decoder);
			ports.push(String(this.decoder.video), String(this.decoder.audio));
		}
		this.process = new Process(this.kind, kind.command[0], [...kind.command.slice(1), what, url, ...ports]);
		if (!kind.codecs && what === 'publish') {
			const { feed } = await this.process.line('ready for media', (l) => parse(l)?.feed && parse(l));
			this.helpers.push(startEncoder(feed));
		}
		this.process.onLine = (l) => Object.assign(this.said, parse(l));
	}

	// What it sent (publisher), or decoded.
	get counts() {
		return this.decoder ? this.decoder.counts : this.said;
	}

	untilFlows(frames = 20, before = { frames: 0, sound: 0 }) {
		return until(`${this.kind} has picture and sound`, async (last) => {
			last(this.counts);
			if (this.process.how)
				throw new Error(`${this.kind} ended: ${JSON.stringify(this.process.how)}\n${this.process.report()}`);
			return this.counts.frames >= before.frames + frames && this.counts.sound > before.sound && { ...this.counts };
		}, seconds(60));
	}

	async stop() {
		const how = await this.process.stop('SIGTERM', seconds(20));
		for (const helper of this.helpers)
			await helper.stop('SIGKILL');
		if (how.code !== 0)
			throw new Error(`${this.kind} ended with ${JSON.stringify(how)}`);
	}
}

// SPDX-License-Identifier: Apache-2.0
// A third host: a network namespace of its own with a way to the server. It sends RTP, RTCP and noise to ports and
// counts every UDP packet that comes to it. Started by itself it is what runs there.
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { ip } from './net.mjs';
import { Process, run } from './process.mjs';

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
const SERVER = '10.98.0.1';
const EVERY_MS = 5;

export class ThirdHost {
	static async start(t) {
		const host = new ThirdHost();
		await ip('link', 'add', 'third0', 'type', 'veth', 'peer', 'name', 'third1');
		await ip('addr', 'add', `${SERVER}/24`, 'dev', 'third0');
		await ip('link', 'set', 'third0', 'up');
		const env = { ...process.env, PATH };
		host.process = new Process('third host', 'unshare', ['--net', process.execPath, fileURLToPath(import.meta.url)], { env });
		t.defer(() => host.process.stop('SIGKILL'));
		await host.process.line('there', (l) => l === 'there');
		await ip('link', 'set', 'third1', 'netns', String(host.process.child.pid));
		return host;
	}

	// Packets sent, and packets that came, after so many rounds over the ports.
	async spray(ports, rounds) {
		this.process.child.stdin.write(`${JSON.stringify({ ports, rounds })}\n`);
		return JSON.parse(await this.process.line('done', (l) => l.startsWith('{') && l));
	}
}

function packet(round) {
	const data = Buffer.alloc(172, round);
	data[0] = 0x80;
	data[1] = round % 4 === 3 ? 200 : [96, 111, 8][round % 3];
	data.writeUInt16BE(round % 4 === 3 ? 42 : round & 0xffff, 2);
	data.writeUInt32BE(round % 2 ? 0x1234 : Math.floor(Math.random() * 2 ** 32), 8);
	return round % 7 === 6 ? data.fill(Math.floor(Math.random() * 256)) : data;
}

async function inside() {
	const must = async (command, ...args) => {
		const how = await run(command, args, { env: { ...process.env, PATH } });
		if (!how.ok)
			throw new Error(`${command} ${args.join(' ')}: ${how.out}`);
		return how.out;
	};
	const orders = (async function* lines() {
		let text = '';
		for await (const chunk of process.stdin) {
			text += chunk;
			for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
				yield JSON.parse(text.slice(0, end));
				text = text.slice(end + 1);
			}
		}
	})();
	console.log('there');
	const { value: order } = await orders.next();
	for (const args of [['addr', 'add', '10.98.0.66/24', 'dev', 'third1'], ['link', 'set', 'lo', 'up'], ['link', 'set', 'third1', 'up'],
		['route', 'add', 'default', 'via', SERVER]])
		await must('ip', ...args);
	await must('nft', 'table inet third {\nchain input {\ntype filter hook input priority 0;\nmeta l4proto udp counter\n}\n}');
	const socket = createSocket('udp4');
	let sent = 0;
	for (let round = 0; round < order.rounds; round++) {
		for (const [host, port] of order.ports) {
			socket.send(packet(round), port, host);
			sent++;
		}
		await new Promise((done) => setTimeout(done, EVERY_MS));
	}
	const came = Number(/counter packets (\d+)/.exec(await must('nft', 'list table inet third'))[1]);
	console.log(JSON.stringify({ sent, came }));
	socket.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url))
	await inside();

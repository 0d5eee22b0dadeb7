// SPDX-License-Identifier: Apache-2.0
// Between a client and the server: writes down what is called and what comes, and can cut the line.
import { createServer, connect } from 'node:net';
import { once } from 'node:events';

const TEXT = 1, BINARY = 2;

// Cuts a WebSocket's bytes into frames, the HTTP part skipped; RFC 6455 section 5.2.
class Frames {
	constructor(onMessage) {
		this.onMessage = onMessage;
		this.left = Buffer.alloc(0);
		this.open = false;
		this.parts = [];
	}

	push(chunk) {
		this.left = Buffer.concat([this.left, chunk]);
		if (!this.open) {
			const end = this.left.indexOf('\r\n\r\n');
			if (end < 0)
				return;
			this.open = true;
			this.left = this.left.subarray(end + 4);
		}
		while (this.frame());
	}

	frame() {
		const b = this.left;
		if (b.length < 2)
			return false;
		const masked = (b[1] & 0x80) !== 0;
		let [length, at] = [b[1] & 0x7f, 2];
		if (length > 125 && b.length < (length === 126 ? 4 : 10))
			return false;
		if (length === 126)
			[length, at] = [b.readUInt16BE(2), 4];
		else if (length === 127)
			[length, at] = [Number(b.readBigUInt64BE(2)), 10];
		const start = at + (masked ? 4 : 0);
		if (b.length < start + length)
			return false;
		const payload = Buffer.from(b.subarray(start, start + length));
		for (let i = 0; masked && i < length; i++)
			payload[i] ^= b[at + (i & 3)];
		this.left = b.subarray(start + length);
		this.take((b[0] & 0x80) !== 0, b[0] & 0x0f, payload);
		return true;
	}

	take(last, opcode, payload) {
		if (opcode >= 8)
			return;
		this.opcode = opcode || this.opcode;
		this.parts.push(payload);
		if (last)
			this.onMessage(this.opcode, Buffer.concat(this.parts.splice(0)).toString());
	}
}

const classOf = (id) => (id === 'manager_ServerManager' ? 'ServerManager' : /_kurento\.(\w+)$/.exec(id)?.[1]);

export class Tap {
	static async open(port) {
		const tap = new Tap();
		tap.calls = new Set();          // "PassThrough.connect"
		tap.created = [];               // classes, in order, of a transaction's operations too
		tap.events = new Map();         // name → count
		tap.subscribed = new Set();     // "PassThrough ElementConnected"
		tap.opcodes = { up: new Set(), down: new Set() };
		tap.sessions = new Set();
		tap.methods = new Set();
		tap.waiting = new Map();        // id → what was asked and is not answered
		tap.sockets = new Set();
		tap.server = createServer((near) => tap.join(near, connect(port, '127.0.0.1')));
		tap.server.listen(0, '127.0.0.1');
		await once(tap.server, 'listening');
		tap.url = `ws://127.0.0.1:${tap.server.address().port}/kurento`;
		return tap;
	}

	join(near, far) {
		const up = new Frames((opcode, text) => this.fromClient(opcode, JSON.parse(text)));
		const down = new Frames((opcode, text) => this.fromServer(opcode, JSON.parse(text)));
		for (const [from, to, frames] of [[near, far, up], [far, near, down]]) {
			this.sockets.add(from);
			from.on('data', (d) => {
				frames.push(d);
				to.write(d);
			});
			from.on('error', () => to.destroy());
			from.on('close', () => {
				this.sockets.delete(from);
				to.destroy();
			});
		}
	}

	fromClient(opcode, message) {
		this.opcodes.up.add(opcode);
		this.waiting.set(message.id, JSON.stringify(message).slice(0, 200));
		this.last = message;
		this.sent(message);
		for (const operation of message.params?.operations || [])
			this.sent(operation);
	}

	sent({ method, params }) {
		this.methods.add(method);
		if (method === 'create')
			this.created.push(params.type);
		if (method === 'invoke')
			this.calls.add(`${this.classOf(params.object)}.${params.operation}`);
		if (method === 'subscribe')
			this.subscribed.add(`${classOf(params.object)} ${params.type}`);
	}

	// Within a transaction an object is "newref:N", its Nth operation; here the last one of that kind will do.
	classOf(id) {
		return classOf(id) || this.created[this.created.length - 1];
	}

	fromServer(opcode, message) {
		this.opcodes.down.add(opcode);
		this.waiting.delete(message.id);
		if (message.result?.sessionId)
			this.sessions.add(message.result.sessionId);
		if (message.method === 'onEvent') {
			const { type } = message.params.value;
			this.events.set(type, (this.events.get(type) || 0) + 1);
		}
	}

	get binary() {
		return this.opcodes.up.has(BINARY);
	}

	get answersText() {
		return this.opcodes.down.size === 1 && this.opcodes.down.has(TEXT);
	}

	cut() {
		this.sockets.forEach((s) => s.destroy());
	}

	async close() {
		this.server.close();
		this.cut();
	}
}

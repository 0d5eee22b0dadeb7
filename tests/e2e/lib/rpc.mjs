// SPDX-License-Identifier: Apache-2.0
// A program at /kurento, without Kurento's client library: one request after another, events by type.
import { once } from 'node:events';
import WebSocket from 'ws';
import { within } from './wait.mjs';

export class Rpc {
	static async open(server) {
		const rpc = new Rpc();
		rpc.socket = new WebSocket(`${server.url.replace(/^http/, 'ws')}/kurento`);
		rpc.id = 0;
		rpc.events = [];
		rpc.waiting = new Map();
		rpc.socket.on('message', (m) => rpc.hear(JSON.parse(m)));
		await within('a connection to /kurento', once(rpc.socket, 'open'));
		return rpc;
	}

	hear(m) {
		if (m.method === 'onEvent')
			this.events.push(m.params.value);
		else
			this.waiting.get(m.id)?.(m);
	}

	async call(method, params) {
		const id = this.id++;
		const answer = new Promise((done) => { this.waiting.set(id, done); });
		const session = this.session && { sessionId: this.session };
		this.socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, ...session } }));
		const { result, error } = await within(`an answer to ${method}`, answer);
		if (error)
			throw new Error(`${method}: ${error.code} ${error.message}`);
		this.session = result.sessionId || this.session;
		return result.value;
	}

	create(type, constructorParams = {}) {
		return this.call('create', { type, constructorParams });
	}

	invoke(object, operation, operationParams = {}) {
		return this.call('invoke', { object, operation, operationParams });
	}

	close() {
		this.socket.terminate();
	}
}

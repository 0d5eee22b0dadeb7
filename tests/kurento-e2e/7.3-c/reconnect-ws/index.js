// SPDX-License-Identifier: Apache-2.0
// kurento-client's way to connect and connect again, on ws 7: a stream in which each chunk is one message.
const reconnect = require('reconnect-core');
const WebSocket = require('ws');

const AS_MESSAGES = { readableObjectMode: true, writableObjectMode: true, decodeStrings: false, encoding: 'utf8' };

module.exports = reconnect((url, options) => {
	const socket = new WebSocket(url, options);
	const stream = WebSocket.createWebSocketStream(socket, AS_MESSAGES);
	socket.once('open', () => stream.emit('connect'));
	return stream;
});

// SPDX-License-Identifier: Apache-2.0
// A TURN server (coturn) in a network namespace of its own, with a way to the rows' namespace and back.
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ip } from './net.mjs';
import { Process } from './process.mjs';
import { until } from './wait.mjs';

const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
const vector = (name) => fileURLToPath(new URL(`../../vectors/dtls/${name}`, import.meta.url));
const US = '10.97.0.1', US6 = 'fd97::1';

export const TURN = { host: '10.97.0.2', host6: 'fd97::2', port: 3478, tls: 5349, user: 'me', password: 'se:c@ret' };

export const missingTurn = () => (existsSync('/usr/bin/turnserver') ? '' : '/usr/bin/turnserver is not there');

const ARGS = ['-n', '--log-file=stdout', '--simple-log', '--no-cli', '--no-dtls', '--no-software-attribute', `--listening-ip=${TURN.host}`,
	`--relay-ip=${TURN.host}`, `--listening-ip=${TURN.host6}`, `--relay-ip=${TURN.host6}`, `--listening-port=${TURN.port}`, `--tls-listening-port=${TURN.tls}`, '--lt-cred-mech', '--realm=sluice.test',
	`--user=${TURN.user}:${TURN.password}`, `--cert=${vector('turn-cert.pem')}`, `--pkey=${vector('turn-key.pem')}`, '--pidfile=/dev/null'];

async function answers() {
	const socket = connect(TURN.port, TURN.host);
	try {
		await once(socket, 'connect');
		return true;
	} catch {
		return false;
	} finally {
		socket.destroy();
	}
}

export async function startTurn(t) {
	const inside = `echo there; read go; ip link set lo up; ip addr add ${TURN.host}/24 dev turn1
		ip addr add ${TURN.host6}/64 dev turn1 nodad; ip link set turn1 up; ip route add default via ${US}
		ip -6 route add default via ${US6}; exec turnserver "$@"`;
	await ip('link', 'add', 'turn0', 'type', 'veth', 'peer', 'name', 'turn1');
	await ip('addr', 'add', `${US}/24`, 'dev', 'turn0');
	await ip('addr', 'add', `${US6}/64`, 'dev', 'turn0', 'nodad');
	await ip('link', 'set', 'turn0', 'up');
	const server = new Process('turnserver', 'unshare', ['--net', 'sh', '-c', inside, 'turn', ...ARGS], { env: { ...process.env, PATH } });
	t.defer(async () => {
		await server.stop('SIGKILL');
		// The namespace takes its end along a moment later.
		await ip('link', 'delete', 'turn0').catch(() => {});
	});
	await server.line('there', (l) => l === 'there');
	server.child.stdout.resume();
	await ip('link', 'set', 'turn1', 'netns', String(server.child.pid));
	server.child.stdin.write('go\n');
	await until('the TURN server answers', answers);
	return server;
}

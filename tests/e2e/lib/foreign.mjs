// SPDX-License-Identifier: Apache-2.0
// A page of another origin: nothing but the two lines that a stranger's page would have.
import { createServer } from 'node:http';
import { once } from 'node:events';

const PAGE = '<!DOCTYPE html><title>elsewhere</title>';

/** Its address. It is there until the row's end. */
export async function foreignPage(t, bind = '127.0.0.1') {
	const server = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(PAGE));
	server.listen(0, bind);
	await once(server, 'listening');
	t.defer(() => server.close());
	return `http://127.0.0.1:${server.address().port}`;
}

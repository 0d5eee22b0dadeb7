// SPDX-License-Identifier: Apache-2.0
// What the peers in JavaScript share: one WHIP or WHEP session over plain HTTP, and their end.

export const say = (what) => console.log(JSON.stringify(what));

const TRIES = 30;

// 503: the server takes nobody for a moment, as on a crowded machine.
export async function open(url, offer, tries = TRIES) {
	const response = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/sdp' }, body: offer });
	const answer = await response.text();
	if (response.status === 503 && tries > 1) {
		await new Promise((done) => { setTimeout(done, 1000); });
		return open(url, offer, tries - 1);
	}
	if (response.status !== 201)
		throw new Error(`${response.status}: ${answer}`);
	return { answer, location: new URL(response.headers.get('Location'), url).href };
}

// SIGTERM: DELETE, close(), exit.
export function endBySignal(location, close) {
	process.on('SIGTERM', async () => {
		const response = await fetch(location, { method: 'DELETE' }).catch((e) => ({ status: e.message }));
		await close();
		process.exit(response.status === 200 || response.status === 404 ? 0 : 1);
	});
}

// SPDX-License-Identifier: Apache-2.0
// One row of the table: its server, its tabs and peers, and their end, however the row ends.
import { Tab } from './browser.mjs';
import { Peer } from './peer.mjs';
import { Person } from './person.mjs';
import { Server } from './server.mjs';
import { seconds, within } from './wait.mjs';

const ROW_S = 120;

export class Row {
	constructor(row) {
		this.row = row;
		this.tabs = [];
		this.peers = [];
		this.undo = [];
		this.room = `${row.name} é`;    // a name that needs encoding
	}

	async server(...flags) {
		this.sluice = await Server.start(...flags);
		const own = await fetch(`${this.sluice.url}/whip.html`, { method: 'HEAD' });
		this.path = own.ok ? '/whip.html' : '/';
		return this.sluice;
	}

	// The server's page for WHIP and WHEP (or, at another base, whatever is there); `query` as ?codec=VP9&synthetic=1.
	async tab(kind, query = '', base = this.sluice.url) {
		const tab = await Tab.open(kind, `${base}${this.path}?room=${encodeURIComponent(this.room)}&${query}`);
		this.tabs.push(tab);
		return tab;
	}

	// Somebody at the console, not yet in the room.
	async person(kind, name, query) {
		const person = await Person.open(kind, this.sluice.url, this.room, name, query);
		this.tabs.push(person.tab);
		return person;
	}

	// By WHIP or WHEP. `name`: the publisher's own, or of whom is played.
	async peer(kind, what, name) {
		const publishes = what === 'publish';
		const room = `${this.sluice.url}/${publishes ? 'whip' : 'whep'}/${encodeURIComponent(this.room)}`;
		const peer = await Peer.start(kind, what, !name ? room : `${room}${publishes ? '?participant=' : '/'}${encodeURIComponent(name)}`);
		this.peers.push(peer);
		return peer;
	}

	defer(fn) {
		this.undo.push(fn);
	}

	// The error, or null.
	async run() {
		let error = null;
		try {
			await within('the row', this.row.run(this), seconds(this.row.limitS || ROW_S));
		} catch (e) {
			error = e;
		}
		for (const end of this.ends())
			try {
				await end();
			} catch (e) {
				error ||= e;
			}
		return error;
	}

	ends() {
		return [
			...this.undo.reverse(),
			...this.tabs.map((t) => () => t.close().catch(() => {})),
			...this.peers.map((p) => () => p.stop()),
			() => this.sluice && this.sluice.stop(),
		];
	}

	report() {
		const tabs = this.tabs.flatMap((t) => t.console.slice(-10).map((l) => `    ${t.kind}: ${l}`));
		const processes = [...this.peers.map((p) => p.process), this.sluice && this.sluice.process];
		return [...tabs, ...processes.filter(Boolean).map((p) => p.report())].join('\n');
	}
}

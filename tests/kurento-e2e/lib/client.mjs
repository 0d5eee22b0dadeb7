// SPDX-License-Identifier: Apache-2.0
// kurento-client as npm installs it, by each recipe, and what every program of ours wants of it.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { classesOf } from './kmd.mjs';

const home = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

// The client's transactions call Domain without new, which node allows no more; without it they use their own.
require('domain').Domain = undefined;

export const recipes = ['7.3-a', '7.3-b', '7.3-c', '6.18-a'].map((name) => ({
	name,
	folder: join(home, name),
	old: name.startsWith('6'),
	binary: name === '7.3-b',
	classes() {
		return classesOf(this.folder);
	},
	missing() {
		return existsSync(join(this.folder, 'node_modules', 'kurento-client')) ? '' : `tests/kurento-e2e/${name}: npm ci was not run`;
	},
	load() {
		return createRequire(join(this.folder, 'package.json'))('kurento-client');
	},
}));

// Any operation by its name, as the client's own methods do it.
export const invoke = (object, operation, params) => new Promise((done, fail) => {
	const answer = (error, value) => (error ? fail(error) : done(value));
	object._invoke(...[undefined, operation, params, answer].filter((x, i) => i !== 2 || x));
});

// Without a callback the client only prints the error of a call, by console.trace, and goes on.
export const unheard = [];
console.trace = (error) => unheard.push(error);

// The error's code of a call that must fail; a word, when it did not.
export const failure = (object, method, ...args) => new Promise((done) => {
	object[method](...args, (error) => done(error ? error.code : 'it succeeded'));
});

// SPDX-License-Identifier: Apache-2.0
// What a client says of each class: read from the interface descriptions in its own package.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// They are JSON but for line breaks within strings and commas before a closing bracket.
function tolerant(text) {
	const whole = text.replace(/"(?:[^"\\]|\\[\s\S])*"/g, (s) => s.replace(/\r?\n/g, '\\n').replace(/\t/g, '\\t'));
	return JSON.parse(whole.replace(/,(\s*[\]}])/g, '$1'));
}

const capital = (name) => name[0].toUpperCase() + name.slice(1);

function accessors({ name, readOnly, final }) {
	return readOnly || final ? [`get${capital(name)}`] : [`get${capital(name)}`, `set${capital(name)}`];
}

// name → { name, parent, properties, methods (with the accessors), events }
export function classesOf(recipe) {
	const classes = new Map();
	for (const module of ['core', 'elements', 'filters']) {
		const file = join(recipe, 'node_modules', `kurento-client-${module}`, 'src', `${module}.kmd.json`);
		for (const c of tolerant(readFileSync(file, 'utf8')).remoteClasses) {
			const properties = c.properties || [];
			classes.set(c.name, { name: c.name, parent: c.extends || (c.name === 'MediaObject' ? null : 'MediaObject'), properties,
				methods: [...properties.flatMap(accessors), ...(c.methods || []).map((m) => m.name)], events: c.events || [] });
		}
	}
	return classes;
}

// The class and its ancestors, nearest first.
export function lineage(classes, name) {
	const line = [];
	for (let c = classes.get(name); c; c = classes.get(c.parent))
		line.push(c);
	return line;
}

// SPDX-License-Identifier: Apache-2.0
// The network of the rows' own namespace: what is cut, what is lost, which addresses there are.
import { run } from './process.mjs';

const env = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

async function must(command, args) {
	const how = await run(command, args, { env });
	if (!how.ok)
		throw new Error(`${command} ${args.join(' ')}: ${how.out}`);
	return how.out;
}

export const ip = (...args) => must('ip', args);

/** Rules of the input hook under a name, one each line, until heal(). */
export async function filter(t, name, rules) {
	await must('nft', [['table inet ' + name + ' {', 'chain input {', 'type filter hook input priority 0;', ...rules, '}', '}'].join('\n')]);
	let there = true;
	const heal = async () => {
		if (there)
			await must('nft', [`delete table inet ${name}`]);
		there = false;
	};
	t.defer(heal);
	return heal;
}

/** How many packets the rules of that name have counted. */
export async function counted(name) {
	const found = [...(await must('nft', [`list table inet ${name}`])).matchAll(/counter packets (\d+)/g)];
	return found.reduce((n, [, packets]) => n + Number(packets), 0);
}

// SPDX-License-Identifier: Apache-2.0
// A client that makes five pipelines, says so, and waits to be killed.
import { recipes } from './lib/client.mjs';

const [name, url] = process.argv.slice(2);
const client = await recipes.find((r) => r.name === name).load()(url);
for (let i = 0; i < 5; i++) {
	const pipeline = await client.create('MediaPipeline');
	const [one, two] = [await pipeline.create('PassThrough'), await pipeline.create('PassThrough')];
	await one.connect(two);
}
console.log('ready');

// SPDX-License-Identifier: MIT
// ws_npm_client.js - drives a server with npm's "ws": run by test_ws_clients.py.
// Usage: node ws_npm_client.js FOLDER-WITH-node_modules ARENA-URL APP-URL. Prints "ok NAME" or "FAIL NAME: why" for each case.
'use strict';
const [folder, arena, app] = process.argv.slice(2);
const WebSocket = require(require.resolve('ws', { paths: [folder] }));
const assert = require('assert');
const crypto = require('crypto');
const { once } = require('events');

const kinds = [false, true, { clientMaxWindowBits: 9, serverMaxWindowBits: 9 }, { serverNoContextTakeover: true, clientNoContextTakeover: true }];

// A socket whose messages are awaited one by one.
async function open(url, options = {}, protocols = []) {
	const ws = new WebSocket(url, protocols, { perMessageDeflate: false, maxPayload: 17 << 20, ...options });
	const arrived = [], waiting = [];
	ws.on('message', (data, isBinary) => {
		const message = isBinary ? data : data.toString();
		waiting.length > 0 ? waiting.shift().resolve(message) : arrived.push(message);
	});
	ws.on('close', (code, reason) => waiting.forEach((w) => w.reject(new Error(`closed: ${code} ${reason}`))));
	ws.next = () => arrived.length > 0 ? Promise.resolve(arrived.shift())
		: new Promise((resolve, reject) => waiting.push({ resolve, reject }));
	ws.end = async (code = 1000, reason = '') => {
		ws.close(code, reason);
		const [got] = await once(ws, 'close');
		assert.strictEqual(got, code === undefined ? 1005 : code);
	};
	await once(ws, 'open');
	return ws;
}

const cases = {
	async echo_of_all_sizes() {
		for (const perMessageDeflate of kinds) {
			const ws = await open(arena + '/ws', { perMessageDeflate });
			assert.strictEqual(ws.extensions.includes('permessage-deflate'), perMessageDeflate !== false);
			for (const size of [0, 1, 125, 126, 127, 1024, 65535, 65536, 1 << 20, 16 << 20]) {
				const text = 'npm says: '.repeat(size / 10 + 1).slice(0, size);
				ws.send(text);
				assert.ok(await ws.next() === text, `text of ${size}`);
				const data = crypto.randomBytes(Math.min(size, 1 << 20));
				ws.send(data);
				assert.ok(data.equals(await ws.next()), `binary of ${data.length}`);
			}
			await ws.end();
		}
	},

	async echo_of_fragments() {
		for (const perMessageDeflate of kinds) {
			const ws = await open(arena + '/ws', { perMessageDeflate });
			for (const count of [2, 3, 500]) {
				for (let i = 0; i < count; i++)
					ws.send(`fragment ${i} `, { fin: i === count - 1, compress: perMessageDeflate !== false });
				assert.strictEqual(await ws.next(), Array.from({ length: count }, (_, i) => `fragment ${i} `).join(''));
			}
			await ws.end();
		}
	},

	async many_messages_without_waiting() {
		for (const perMessageDeflate of kinds) {
			const ws = await open(arena + '/ws', { perMessageDeflate: perMessageDeflate && { ...(perMessageDeflate === true ? {} : perMessageDeflate), threshold: 0 } });
			const text = (i) => `message ${i} `.repeat(i % 30 + 1);
			for (let i = 0; i < 3000; i++)
				ws.send(text(i));
			for (let i = 0; i < 3000; i++)
				assert.strictEqual(await ws.next(), text(i));
			await ws.end();
		}
	},

	async pings_and_pongs() {
		const ws = await open(arena + '/ws');
		for (const payload of ['', 'hello', 'p'.repeat(125)]) {
			const pong = once(ws, 'pong');
			ws.ping(payload);
			assert.strictEqual((await pong)[0].toString(), payload);
		}
		ws.pong('unsolicited');
		ws.send('still here');
		assert.strictEqual(await ws.next(), 'still here');
		await ws.end();
		const other = await open(app + '/ws/cmd?tell-pong=1');
		other.send('ping hello');
		assert.strictEqual(await other.next(), 'pong hello');
		await other.end();
	},

	async subprotocols() {
		for (const [offered, chosen] of [[['alpha'], 'alpha'], [['alpha', 'beta'], 'beta'], [[], '']]) {
			const ws = await open(app + '/ws/protocols', {}, offered);
			assert.strictEqual(ws.protocol, chosen);
			await ws.end();
		}
	},

	async closing_from_here() {
		for (const [code, reason] of [[1000, ''], [1001, 'away'], [3000, 'r'.repeat(123)], [4999, '\u20ac']]) {
			const ws = await open(app + '/ws/echo');
			ws.send('hello');
			assert.strictEqual(await ws.next(), 'hello');
			await ws.end(code, reason);
		}
		const ws = await open(app + '/ws/echo');
		ws.close();
		assert.strictEqual((await once(ws, 'close'))[0], 1005);
	},

	async closing_from_there() {
		for (const [code, reason] of [[1000, ''], [1001, 'away'], [3000, 'r'.repeat(123)], [4999, 'end']]) {
			const ws = await open(app + '/ws/cmd');
			ws.send(`close ${code} ${reason}`.trimEnd());
			const [gotCode, gotReason] = await once(ws, 'close');
			assert.deepStrictEqual([gotCode, gotReason.toString()], [code, reason]);
		}
	},

	async refusals() {
		for (const status of [401, 403, 429, 503]) {
			const ws = new WebSocket(app + `/ws/refuse/${status}`);
			const [, response] = await once(ws, 'unexpected-response');
			assert.strictEqual(response.statusCode, status);
			response.resume();
			ws.on('error', () => {});
			ws.terminate();
		}
	},

	async thousand_connections_at_once() {
		const all = [];
		for (let i = 0; i < 1000; i += 100)
			all.push(...await Promise.all(Array.from({ length: 100 }, (_, k) => open(arena + '/ws', { perMessageDeflate: (i + k) % 2 === 0 }))));
		for (const round of [1, 2]) {
			all.forEach((ws, i) => ws.send(`round ${round} of ${i} `.repeat(10)));
			await Promise.all(all.map(async (ws, i) => assert.strictEqual(await ws.next(), `round ${round} of ${i} `.repeat(10))));
		}
		await Promise.all(all.map((ws) => ws.end()));
	},
};

(async () => {
	let bad = 0;
	for (const [name, run] of Object.entries(cases)) {
		let timer;
		const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('150 s have passed')), 150000); });
		try {
			await Promise.race([run(), late]);
			console.log('ok', name);
		} catch (error) {
			bad++;
			console.log(`FAIL ${name}: ${String(error.stack).replace(/\n/g, ' | ').slice(0, 1500)}`);
		}
		clearTimeout(timer);
	}
	process.exit(bad ? 1 : 0);
})();

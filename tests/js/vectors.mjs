// Writes tests/vectors/tx.json and, for C, tx.txt: one signed transaction per shape, made without any of our C code.
import { writeFileSync } from 'node:fs';

import { digest, keyOf, sha256, signWeb } from './keys.mjs';
import { hex, plain, Transaction } from './schema.mjs';

const key = keyOf(sha256('supervm dev key alice'));
const id = (n) => sha256(`vector object ${n}`);
const to = keyOf(sha256('supervm dev key bob')).address;
const owned = (n) => ({ Owned: { id: id(n), version: '1' } });
const latest = (n) => ({ Owned: { id: id(n), version: null } });
const shared = (n, mutable = true) => ({ Shared: { id: id(n), mutable } });
const text = (string) => new TextEncoder().encode(string);

const shapes = {
    empty: [[], []],
    transfer: [[owned(1)], [{ Transfer: { input: 0, to } }]],
    'transfer latest': [[latest(1)], [{ Transfer: { input: 0, to } }]],
    pay: [[owned(1)], [{ Pay: { from: 0, to, amount: '5' } }]],
    'pay everything there could be': [[owned(1)], [{ Pay: { from: 0, to, amount: '18446744073709551615' } }]],
    move: [[owned(1), owned(2)], [{ Move: { from: 0, into: 1, amount: '7' } }]],
    'create owned': [[], [{ Create: { owner: { Address: to }, type: 'note', data: text('hello') } }]],
    'create shared': [[], [{ Create: { owner: { Shared: { open_withdraw: true } }, type: 'pool', data: text('') } }]],
    'create immutable': [[], [{ Create: { owner: { Immutable: true }, type: 'a-z_0.9:', data: text('x') } }]],
    'create with a length of two bytes': [[], [{ Create: { owner: { Immutable: true }, type: 't', data: new Uint8Array(128) } }]],
    update: [[owned(1)], [{ Update: { input: 0, data: text('new') } }]],
    add: [[shared(1)], [{ Add: { input: 0, offset: 8, delta: '1' } }]],
    'add a negative number': [[shared(1)], [{ Add: { input: 0, offset: 0, delta: '-1' } }]],
    'add the least number': [[shared(1)], [{ Add: { input: 0, offset: 65535, delta: '-9223372036854775808' } }]],
    'expect balance': [[owned(1)], [{ Expect: { input: 0, check: { BalanceAtLeast: '9' } } }]],
    'expect data': [[{ Immutable: { id: id(1) } }], [{ Expect: { input: 0, check: { DataHash: sha256('data') } } }]],
    'expect version': [[shared(1, false)], [{ Expect: { input: 0, check: { Version: '3' } } }]],
    delete: [[owned(1)], [{ Delete: { input: 0 } }]],
    share: [[owned(1)], [{ Share: { input: 0, open_withdraw: false } }]],
    freeze: [[owned(1)], [{ Freeze: { input: 0 } }]],
    'two paths': [[owned(1), shared(2)], [{ Pay: { from: 0, to, amount: '1' } }, { Add: { input: 1, offset: 0, delta: '1' } }]],
};

const vectors = [];
for (const [name, [inputs, ops]] of Object.entries(shapes)) {
    // The inputs must ascend: where sorting turns two around, their indices in the operations turn with them.
    const bytes = (input) => Buffer.from(Object.values(input)[0].id);
    const turned = inputs.length === 2 && Buffer.compare(bytes(inputs[0]), bytes(inputs[1])) > 0;
    const index = (name, value) => (turned && ['input', 'from', 'into'].includes(name) ? 1 - value : value);
    const turnedOps = ops.map((op) => Object.fromEntries(Object.entries(op).map(([kind, fields]) => [
        kind, Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, index(name, value)]))])));
    const tx = {
        V1: {
            chain: '9447477817255496629', sender: key.address, nonce: '1', expires_ms: '0', gas_limit: '10000', privacy: 0,
            inputs: turned ? [...inputs].reverse() : inputs, ops: turnedOps,
        },
    };
    const txBytes = Transaction.serialize(tx).toBytes();
    vectors.push({
        name,
        seed: hex(key.seed),
        transaction: hex(txBytes),
        signed: hex(await signWeb(txBytes, key)),
        digest: hex(digest(txBytes)),
        newObjectOfOp1: hex(sha256(digest(txBytes), Uint8Array.of(1, 0))),
        tx: plain(tx),
    });
}
writeFileSync(new URL('../vectors/tx.json', import.meta.url), `${JSON.stringify(vectors, null, 1)}\n`);
const lines = vectors.map(({ seed, transaction, signed, digest }) => [seed, transaction, signed, digest].join(' '));
writeFileSync(new URL('../vectors/tx.txt', import.meta.url), `# seed transaction signed-transaction digest\n${lines.join('\n')}\n`);
console.log(`${vectors.length} vectors`);

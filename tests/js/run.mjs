// SuperVM's codec and signatures against @mysten/bcs, node:crypto and WebCrypto, byte for byte in both directions.
// SVM_SEED repeats a run, SVM_SHORT makes it a tenth as long. Ends with "N passed, N failed".
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

import { Bridge } from './bridge.mjs';
import { Node } from './node.mjs';
import { digest, keyOf, sha256, signNode, signWeb, verifyWeb } from './keys.mjs';
import { Random } from './random.mjs';
import { Frame, hex, ObjectRow, plain, Receipt, SignedTransaction, Transaction, unhex } from './schema.mjs';

const seed = BigInt(process.env.SVM_SEED ?? Date.now());
const rounds = process.env.SVM_SHORT ? 300 : 3000;
console.log(`SVM_SEED=${seed}`);

const tests = {
    async 'a node executes what WebCrypto signed'() {
        const node = await Node.start();
        try {
            const { chain } = await node.call('node_info');
            const alice = keyOf(sha256(Buffer.from('supervm dev key alice')));
            const bob = keyOf(sha256(Buffer.from('supervm dev key bob')));
            const coin = sha256(Buffer.from('supervm dev object alice spare 3'));
            const txBytes = Transaction.serialize({
                V1: {
                    chain: chain.id, sender: alice.address, nonce: 0, expires_ms: 0, gas_limit: 10000, privacy: 0,
                    inputs: [{ Owned: { id: coin, version: 1 } }],
                    ops: [{ Pay: { from: 0, to: bob.address, amount: 7 } }],
                },
            }).toBytes();
            const tx = Buffer.from(await signWeb(txBytes, alice)).toString('base64');
            const receipt = await node.call('tx_submit', { tx });
            assert.equal(receipt.status, 'executed');
            assert.equal(receipt.path, 'fast');
            assert.equal(receipt.digest, `0x${hex(digest(txBytes))}`);
            const again = await node.call('tx_submit', { tx });
            assert.equal(again.duplicate, true);
            assert.equal(again.seq, receipt.seq);
        } finally {
            assert.equal(await node.stop(), 0);
        }
    },

    async 'what JavaScript encodes and signs, C decodes and verifies'(bridge, random) {
        for (let round = 0; round < rounds; round++) {
            const key = keyOf(random.bytes(32));
            const tx = random.transaction(key.address);
            const txBytes = Transaction.serialize(tx, { maxSize: 1 << 20 }).toBytes();
            const signed = round % 10 === 0 ? await signWeb(txBytes, key) : signNode(txBytes, key);
            const answer = await bridge.ask(`decode ${hex(signed)}`);
            assert.equal(answer.err, 'OK', `round ${round}: ${answer.reason}`);
            assert.equal(answer.verify, 'OK');
            assert.equal(answer.again, hex(txBytes));
            assert.equal(answer.digest, hex(digest(txBytes)));
            assert.deepEqual(answer.tx, plain(tx));
            const mine = await bridge.ask(`sign ${hex(key.seed)} ${hex(txBytes)}`);
            assert.equal(mine.signed, hex(signed));
            assert.equal(mine.address, hex(key.address));
            assert.equal(mine.publicKey, hex(key.publicKey));
        }
    },

    async 'what C encodes and signs, JavaScript decodes and verifies'(bridge, random) {
        for (let round = 0; round < rounds; round++) {
            const answer = await bridge.ask(`random ${random.next()}`);
            const signed = unhex(answer.signed);
            const parsed = SignedTransaction.parse(signed);
            assert.deepEqual(plain(parsed.tx), answer.tx);
            assert.equal(hex(SignedTransaction.serialize(parsed, { maxSize: 1 << 20 }).toBytes()), answer.signed);
            const key = keyOf(unhex(answer.seed));
            const txBytes = Transaction.serialize(parsed.tx, { maxSize: 1 << 20 }).toBytes();
            assert.equal(hex(signNode(txBytes, key)), answer.signed);
            assert.equal(hex(parsed.tx.V1.sender), hex(key.address));
            if (round % 10 === 0) assert.equal(await verifyWeb(signed), true);
        }
    },

    async 'C refuses what is damaged, or says that the signature is wrong'(bridge, random) {
        let refused = 0;
        for (let round = 0; round < rounds; round++) {
            const key = keyOf(random.bytes(32));
            const signed = signNode(Transaction.serialize(random.transaction(key.address), { maxSize: 1 << 20 }).toBytes(), key);
            signed[random.below(signed.length)] ^= 1 << random.below(8);
            const answer = await bridge.ask(`decode ${hex(signed)}`);
            assert.ok(answer.err !== 'OK' || answer.verify === 'BAD_SIGNATURE', `round ${round}`);
            if (answer.err === 'TX_DECODE') {
                refused++;
                assert.ok(answer.offset <= signed.length);
            }
        }
        assert.ok(refused > 0);
    },

    async 'what nodes write parses as docs/protocol.md says'(bridge) {
        const types = { Frame, Receipt };
        const samples = [];
        for (let n = 0; ; n++) {
            const { type, bytes } = await bridge.ask(`sample ${n}`);
            if (!type) break;
            const value = types[type].parse(unhex(bytes));
            assert.equal(hex(types[type].serialize(value).toBytes()), bytes);
            samples.push(plain(value));
        }
        const id = (first) => first.toString(16).padStart(2, '0').padEnd(64, '0');
        const [tx, failed, cells, empty, receipt] = samples;
        assert.deepEqual(
            { ...tx.Tx, writes: tx.Tx.writes.length },
            {
                digest: id(9), sender: id(5), seq: '77', node_ms: '88', gas_used: '1300', failure: { NONE: true }, failed_op: 0,
                path: { Consensus: true }, fallback: { Contended: id(2) }, latency_us: 250, transfers: 2, writes: 4,
            },
        );
        const rows = tx.Tx.writes.map(({ row }) => plain(ObjectRow.parse(unhex(row))));
        const times = { created_ms: '1', modified_ms: '2', last_tx: id(9) };
        const live = { version: '7', balance: '1000', type: 'coin', data: '0102', ...times };
        assert.deepEqual(rows, [
            { Live: { ...live, holder: { Owned: id(8) } } },
            { Live: { ...live, holder: { Shared: { controller: id(8), open_withdraw: true } } } },
            { Live: { ...live, holder: { Immutable: true } } },
            { Tombstone: { version: '7', ...times } },
        ]);
        assert.deepEqual(tx.Tx.writes.map(({ prior }) => prior),
            [{ None: true }, { Owned: id(6) }, { Shared: true }, { Owned: id(6) }]);
        assert.deepEqual(failed.Tx.failure, { OVERFLOW: true });
        assert.equal(failed.Tx.failed_op, 3);
        assert.deepEqual(cells.Cells.writes,
            [{ key: '61', version: '3', value: '6f6e65' }, { key: '62', version: '4', value: null }]);
        assert.deepEqual(empty, { Void: { seq: '12' } });
        assert.deepEqual(receipt.changes.map(({ id, change, holder }) => [id.slice(0, 2), Object.keys(change)[0], holder]), [
            ['01', 'Created', { Owned: id(8) }],
            ['02', 'Mutated', { Shared: true }],
            ['03', 'Mutated', { Immutable: true }],
            ['04', 'Deleted', { Owned: id(0) }],
        ]);
    },

    async 'the stored vectors still hold'(bridge) {
        const path = new URL('../vectors/tx.json', import.meta.url);
        assert.ok(existsSync(path));
        const vectors = JSON.parse(readFileSync(path, 'utf8'));
        assert.ok(vectors.length >= 20);
        for (const vector of vectors) {
            const answer = await bridge.ask(`decode ${vector.signed}`);
            assert.equal(answer.err, 'OK', `${vector.name}: ${answer.reason}`);
            assert.equal(answer.verify, 'OK');
            assert.equal(answer.digest, vector.digest);
            assert.deepEqual(answer.tx, vector.tx);
            const id = sha256(unhex(vector.digest), Uint8Array.of(1, 0));
            assert.equal(hex(id), vector.newObjectOfOp1);
        }
    },
};

const bridge = Bridge.open();
let failed = 0;
for (const [name, test] of Object.entries(tests)) {
    try {
        await test(bridge, new Random(seed));
        console.log(`ok   ${name}`);
    } catch (error) {
        failed++;
        console.log(`FAIL ${name}\n${error.stack}`);
    }
}
await bridge.close();
console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

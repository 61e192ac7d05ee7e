// The wire format of docs/protocol.md, written down a second time: in the types of @mysten/bcs.
import { bcs } from '@mysten/bcs';

const Bytes32 = bcs.bytes(32);
const i64 = bcs.u64().transform({
    input: (value) => BigInt.asUintN(64, BigInt(value)),
    output: (value) => BigInt.asIntN(64, BigInt(value)).toString(),
});

const Input = bcs.enum('Input', {
    Owned: bcs.struct('Owned', { id: Bytes32, version: bcs.option(bcs.u64()) }),
    Shared: bcs.struct('Shared', { id: Bytes32, mutable: bcs.bool() }),
    Immutable: bcs.struct('Immutable', { id: Bytes32 }),
});
const Owner = bcs.enum('Owner', {
    Address: Bytes32,
    Shared: bcs.struct('SharedOwner', { open_withdraw: bcs.bool() }),
    Immutable: null,
});
const Check = bcs.enum('Check', { BalanceAtLeast: bcs.u64(), DataHash: Bytes32, Version: bcs.u64() });
const Op = bcs.enum('Op', {
    Transfer: bcs.struct('Transfer', { input: bcs.u16(), to: Bytes32 }),
    Pay: bcs.struct('Pay', { from: bcs.u16(), to: Bytes32, amount: bcs.u64() }),
    Move: bcs.struct('Move', { from: bcs.u16(), into: bcs.u16(), amount: bcs.u64() }),
    Create: bcs.struct('Create', { owner: Owner, type: bcs.string(), data: bcs.byteVector() }),
    Update: bcs.struct('Update', { input: bcs.u16(), data: bcs.byteVector() }),
    Add: bcs.struct('Add', { input: bcs.u16(), offset: bcs.u16(), delta: i64 }),
    Expect: bcs.struct('Expect', { input: bcs.u16(), check: Check }),
    Delete: bcs.struct('Delete', { input: bcs.u16() }),
    Share: bcs.struct('Share', { input: bcs.u16(), open_withdraw: bcs.bool() }),
    Freeze: bcs.struct('Freeze', { input: bcs.u16() }),
});
const TransactionV1 = bcs.struct('TransactionV1', {
    chain: bcs.u64(),
    sender: Bytes32,
    nonce: bcs.u64(),
    expires_ms: bcs.u64(),
    gas_limit: bcs.u64(),
    privacy: bcs.u8(),
    inputs: bcs.vector(Input),
    ops: bcs.vector(Op),
});
export const Transaction = bcs.enum('Transaction', { V1: TransactionV1 });
const Auth = bcs.enum('Auth', {
    Ed25519: bcs.struct('Ed25519', { public_key: Bytes32, signature: bcs.bytes(64) }),
});
export const SignedTransaction = bcs.struct('SignedTransaction', { tx: Transaction, auths: bcs.vector(Auth) });

// ---- what nodes write

const Failure = bcs.enum('Failure', {
    NONE: null,
    INSUFFICIENT_BALANCE: null,
    EXPECT_FAILED: null,
    OVERFLOW: null,
    GAS_TOO_LOW: null,
    OUT_OF_BOUNDS: null,
    BALANCE_NOT_ZERO: null,
    WITHDRAW_DENIED: null,
});
const outcome = {
    digest: Bytes32,
    sender: Bytes32,
    seq: bcs.u64(),
    node_ms: bcs.u64(),
    gas_used: bcs.u64(),
    failure: Failure,
    failed_op: bcs.u16(),
    path: bcs.enum('Path', { Fast: null, Consensus: null, Private: null }),
    fallback: bcs.enum('Fallback', { None: null, Contended: Bytes32 }),
    latency_us: bcs.u32(),
};
const Holder = bcs.enum('Holder', {
    Owned: Bytes32,
    Shared: bcs.struct('SharedHolder', { controller: Bytes32, open_withdraw: bcs.bool() }),
    Immutable: null,
});
export const ObjectRow = bcs.enum('ObjectRow', {
    Live: bcs.struct('Live', {
        version: bcs.u64(),
        holder: Holder,
        balance: bcs.u64(),
        type: bcs.string(),
        data: bcs.byteVector(),
        created_ms: bcs.u64(),
        modified_ms: bcs.u64(),
        last_tx: Bytes32,
    }),
    Tombstone: bcs.struct('Tombstone', {
        version: bcs.u64(),
        created_ms: bcs.u64(),
        modified_ms: bcs.u64(),
        last_tx: Bytes32,
    }),
});
const Write = bcs.struct('Write', {
    id: Bytes32,
    prior: bcs.enum('Prior', { None: null, Owned: Bytes32, Shared: null, Immutable: null }),
    row: bcs.byteVector(),
});
const CellWrite = bcs.struct('CellWrite', {
    key: bcs.byteVector(),
    version: bcs.u64(),
    value: bcs.option(bcs.byteVector()),
});
export const Frame = bcs.enum('Frame', {
    Tx: bcs.struct('Effects', { ...outcome, transfers: bcs.u16(), writes: bcs.vector(Write) }),
    Cells: bcs.struct('CellEffects', { seq: bcs.u64(), node_ms: bcs.u64(), writes: bcs.vector(CellWrite) }),
    Void: bcs.struct('Void', { seq: bcs.u64() }),
});
const Change = bcs.struct('Change', {
    id: Bytes32,
    version: bcs.u64(),
    change: bcs.enum('ChangeKind', { Created: null, Mutated: null, Deleted: null }),
    holder: bcs.enum('ChangeHolder', { Owned: Bytes32, Shared: null, Immutable: null }),
});
export const Receipt = bcs.struct('Receipt', { ...outcome, changes: bcs.vector(Change) });

export const hex = (bytes) => Buffer.from(bytes).toString('hex');
export const unhex = (text) => new Uint8Array(Buffer.from(text, 'hex'));

// plain: what a parsed value is in JSON: bytes in hex, no $kind.
export function plain(value) {
    if (value instanceof Uint8Array) return hex(value);
    if (Array.isArray(value)) return value.map(plain);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(
        Object.entries(value)
            .filter(([name]) => name !== '$kind')
            .map(([name, member]) => [name, plain(member)]),
    );
}

// Seeded random transactions, in the shape that @mysten/bcs serialises. All of them pass the static rules.
export class Random {
    constructor(seed) {
        this.state = BigInt.asUintN(64, BigInt(seed));
    }
    next() { // SplitMix64
        const mask = (1n << 64n) - 1n;
        this.state = (this.state + 0x9e3779b97f4a7c15n) & mask;
        let z = this.state;
        z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
        z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
        return z ^ (z >> 31n);
    }
    below(bound) {
        return Number(this.next() % BigInt(bound));
    }
    bool() {
        return this.below(2) === 1;
    }
    bytes(len) {
        return Uint8Array.from({ length: len }, () => this.below(256));
    }
    u64() {
        const edges = [0n, 1n, 127n, 128n, 255n, 256n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];
        return (this.below(3) === 0 ? edges[this.below(edges.length)] : this.next() >> BigInt(this.below(64))).toString();
    }
    amount() {
        return (BigInt(this.u64()) | 1n).toString();
    }
    data() {
        return this.bytes(this.below(12) === 0 ? 120 + this.below(20) : this.below(30));
    }
    type() {
        const letters = 'abcdefghijklmnopqrstuvwxyz0123456789._:-';
        return Array.from({ length: 1 + this.below(64) }, () => letters[this.below(letters.length)]).join('');
    }
    owner() {
        return [{ Address: this.bytes(32) }, { Shared: { open_withdraw: this.bool() } }, { Immutable: true }][this.below(3)];
    }
    check() {
        return [{ BalanceAtLeast: this.u64() }, { DataHash: this.bytes(32) }, { Version: this.u64() }][this.below(3)];
    }
    input() {
        const id = this.bytes(32);
        return [
            { Owned: { id, version: this.u64() } },
            { Owned: { id, version: null } },
            { Shared: { id, mutable: this.bool() } },
            { Immutable: { id } },
        ][this.below(4)];
    }
    op(inputs, closed) {
        const writable = inputs.flatMap((input, index) =>
            (input.Owned || input.Shared?.mutable) && !closed.has(index) ? [index] : []);
        const create = () => ({ Create: { owner: this.owner(), type: this.type(), data: this.data() } });
        if (writable.length === 0) return create();
        const input = writable[this.below(writable.length)];
        const others = writable.filter((index) => index !== input);
        const choices = [
            create,
            () => ({ Pay: { from: input, to: this.bytes(32), amount: this.amount() } }),
            () => ({ Update: { input, data: this.data() } }),
            () => ({ Add: { input, offset: this.below(65536), delta: BigInt.asIntN(64, BigInt(this.u64())).toString() } }),
            () => ({ Expect: { input, check: this.check() } }),
        ];
        if (others.length > 0)
            choices.push(() => ({ Move: { from: input, into: others[this.below(others.length)], amount: this.amount() } }));
        if (inputs[input].Owned) {
            const closing = (op) => () => (closed.add(input), op());
            choices.push(closing(() => ({ Transfer: { input, to: this.bytes(32) } })));
            choices.push(closing(() => ({ Delete: { input } })));
            choices.push(closing(() => ({ Share: { input, open_withdraw: this.bool() } })));
            choices.push(closing(() => ({ Freeze: { input } })));
        }
        return choices[this.below(choices.length)]();
    }
    transaction(sender) {
        const inputs = Array.from({ length: this.below(this.below(30) === 0 ? 257 : 6) }, () => this.input());
        const id = (input) => Buffer.from(Object.values(input)[0].id);
        inputs.sort((left, right) => Buffer.compare(id(left), id(right)));
        const closed = new Set();
        const ops = Array.from({ length: this.below(this.below(30) === 0 ? 257 : 6) }, () => this.op(inputs, closed));
        return {
            V1: {
                chain: this.u64(),
                sender,
                nonce: this.u64(),
                expires_ms: this.u64(),
                gas_limit: this.u64(),
                privacy: 0,
                inputs,
                ops,
            },
        };
    }
}

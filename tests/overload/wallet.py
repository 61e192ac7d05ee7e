"""Objects that one client knows by heart, and signed transactions over them: what the node shows must be what the client has worked out.

    Wallet --transactions of a round, each object in one of them--> the node --answers--> Wallet.settle
       '--what each object must be now--> Wallet.audit, against the node's objects

The population is fixed: what a payment or a creation makes is deleted again two rounds later. docs/protocol.md is the format; signing is libsodium's,
which the node needs itself."""
import base64
import ctypes
import hashlib
import itertools
import struct
import time

SODIUM = ctypes.CDLL('libsodium.so.23')
TRANSFER, PAY, MOVE, CREATE, UPDATE, ADD, DELETE = 0, 1, 2, 3, 4, 5, 7
OWNED, SHARED = 0, 1
EXPIRY_MS = 40000  # ahead; the node keeps receipts for longer


def uleb(n):
    out = b''
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def sized(data):
    return uleb(len(data)) + data


class Key:
    def __init__(self, seed):
        public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        SODIUM.crypto_sign_seed_keypair(public, secret, seed)
        self.public, self.secret = public.raw, secret.raw
        self.address = hashlib.sha256(b'\0' + self.public).digest()

    def sign(self, message):
        out = ctypes.create_string_buffer(64)
        SODIUM.crypto_sign_detached(out, None, message, ctypes.c_ulonglong(len(message)), self.secret)
        return out.raw


class Thing:
    """An owned object as it must be."""

    def __init__(self, ident, account, version, balance=0, data=b''):
        self.id, self.account, self.version, self.balance, self.data = ident, account, version, balance, data

    def differs(self, got):
        """What the node says of it, if that is something else."""
        want = {'version': str(self.version), 'owner': '0x' + self.account.key.address.hex(), 'balance': str(self.balance),
                'data': base64.b64encode(self.data).decode()}
        return None if got and all(got[k] == v for k, v in want.items()) else f'0x{self.id.hex()} is {got}, and must be {want}'


class Account:
    def __init__(self, key):
        self.key, self.things = key, {}

    def take(self, thing):
        thing.account = self
        self.things[thing.id] = thing


class Tx:
    """Signed bytes, and what to do when they have been executed."""

    def __init__(self, text, digest, done):
        self.text, self.digest, self.done = text, digest, done


class Wallet:
    """ACCOUNTS accounts with a purse and COUNTERS counters each, and a token for every second one."""

    def __init__(self, name, chain, rng, accounts, counters, shared):
        self.chain, self.rng, self.shared, self.nonce = chain, rng, shared, itertools.count(time.time_ns())
        self.accounts = [Account(Key(hashlib.sha256(f'soak {name} {i}'.encode()).digest())) for i in range(accounts)]
        self.per_account = counters
        self.purses, self.counters, self.tokens = [], [], []
        self.passing = []  # made in an earlier round, to be deleted: coins that have come in and scratch objects
        self.added = 0     # to the shared counter
        self.deleted = []  # the newest ids that are gone

    # ---- transactions --------------------------------------------------------------------------------------------------

    def tx(self, key, inputs, ops, done):
        """INPUTS: (id, Thing or None = shared), sorted by id; ops as bytes. DONE gets the digest."""
        parts = [b'\0', struct.pack('<Q', self.chain), key.address, struct.pack('<QQQ', next(self.nonce), int(time.time() * 1000) + EXPIRY_MS, 1000000),
                 b'\0', uleb(len(inputs))]
        for ident, version in inputs:
            parts.append(bytes([SHARED]) + ident + b'\1' if version is None else
                         bytes([OWNED]) + ident + (b'\1' + struct.pack('<Q', version) if self.rng.random() < 0.5 else b'\0'))
        body = b''.join(parts) + uleb(len(ops)) + b''.join(ops)
        message = b'\0\0\x53' + body
        signed = body + b'\1\0' + key.public + key.sign(message)
        return Tx(base64.b64encode(signed).decode(), hashlib.sha256(message).digest(), done)

    def written(self, things):
        """The version that a transaction over THINGS gives."""
        version = 1 + max(t.version for t in things)
        for t in things:
            t.version = version
        return version

    @staticmethod
    def made(digest, op):
        return hashlib.sha256(digest + struct.pack('<H', op)).digest()

    def create(self, account, sizes, keep):
        """New objects of the account with data of SIZES bytes, eight at least; KEEP is the list they go to."""
        data = [struct.pack('<Q', 0) + self.rng.randbytes(size - 8) for size in sizes]
        owner = b'\0' + account.key.address
        ops = [bytes([CREATE]) + owner + sized(b'soak') + sized(d) for d in data]

        def done(digest):
            for i, d in enumerate(data):
                thing = Thing(self.made(digest, i), account, 1, data=d)
                account.take(thing)
                keep.append(thing)
        return self.tx(account.key, [], ops, done)

    def add(self, counter):
        delta = self.rng.randrange(1, 9)

        def done(_):
            self.written([counter])
            counter.data = struct.pack('<Q', struct.unpack_from('<Q', counter.data)[0] + delta) + counter.data[8:]
        op = bytes([ADD]) + struct.pack('<HHq', 0, 0, delta)
        return self.tx(counter.account.key, [(counter.id, counter.version)], [op], done)

    def add_shared(self, account):
        def done(_):
            self.added += 1
        op = bytes([ADD]) + struct.pack('<HHq', 0, 0, 1)
        return self.tx(account.key, [(self.shared, None)], [op], done)

    def update(self, counter):
        data = counter.data[:8] + self.rng.randbytes(len(counter.data) - 8)

        def done(_):
            self.written([counter])
            counter.data = data
        return self.tx(counter.account.key, [(counter.id, counter.version)], [bytes([UPDATE]) + b'\0\0' + sized(data)], done)

    def transfer(self, token):
        to = self.rng.choice(self.accounts)

        def done(_):
            self.written([token])
            del token.account.things[token.id]
            to.take(token)
        return self.tx(token.account.key, [(token.id, token.version)], [bytes([TRANSFER]) + b'\0\0' + to.key.address], done)

    def pay(self, purse):
        to, amount = self.rng.choice(self.accounts), self.rng.randrange(1, 100)

        def done(digest):
            purse.balance -= amount
            coin = Thing(self.made(digest, 0), to, self.written([purse]), balance=amount)
            to.take(coin)
            self.passing.append(coin)
        return self.tx(purse.account.key, [(purse.id, purse.version)], [bytes([PAY]) + b'\0\0' + to.key.address + struct.pack('<Q', amount)], done)

    def clear(self, thing, purse):
        """THING goes; what it holds goes to PURSE, of the same account."""
        order = sorted([thing, purse] if thing.balance else [thing], key=lambda t: t.id)
        at = struct.pack('<H', order.index(thing))
        ops = [bytes([DELETE]) + at]
        if thing.balance:
            ops.insert(0, bytes([MOVE]) + at + struct.pack('<HQ', order.index(purse), thing.balance))

        def done(_):
            self.written(order)
            if thing.balance:
                purse.balance += thing.balance
            del thing.account.things[thing.id]
            self.deleted = (self.deleted + [thing.id])[-50:]
        return self.tx(thing.account.key, [(t.id, t.version) for t in order], ops, done)

    # ---- rounds --------------------------------------------------------------------------------------------------------

    def begin(self, key, coin, each):
        """Rounds that make the population: every account gets EACH units of COIN, whose owner signs, and makes what is its own."""
        for at in range(0, len(self.accounts), 200):
            yield [self.fund(key, coin, self.accounts[at:at + 200], each)]
        for at in range(0, len(self.accounts), 100):
            yield [self.create(a, [self.rng.randrange(16, 200) for _ in range(self.per_account)], self.counters) for a in self.accounts[at:at + 100]]
            yield [self.create(a, [64], self.tokens) for a in self.accounts[at:at + 100:2]]

    def fund(self, key, coin, accounts, each):
        ops = [bytes([PAY]) + b'\0\0' + a.key.address + struct.pack('<Q', each) for a in accounts]

        def done(digest):
            version = self.written([coin])
            coin.balance -= each * len(accounts)
            for i, a in enumerate(accounts):
                purse = Thing(self.made(digest, i), a, version, balance=each)
                a.take(purse)
                a.purse = purse
                self.purses.append(purse)
        return self.tx(key, [(coin.id, coin.version)], ops, done)

    def round(self, count):
        """About COUNT transactions, no object in two of them. Most write in place; a fiftieth makes what a later round deletes."""
        few, out, used = max(1, count // 50), [], set()
        passing, self.passing = self.passing, []
        for thing in passing:
            if thing.account.purse.id in used:
                self.passing.append(thing)
                continue
            used.add(thing.account.purse.id)
            out.append(self.clear(thing, thing.account.purse))
        out += [self.pay(p) for p in self.rng.sample(self.purses, few) if p.id not in used]
        out += [self.create(a, [self.rng.randrange(16, 2000)], self.passing) for a in self.rng.sample(self.accounts, few)]
        out += [self.transfer(t) for t in self.rng.sample(self.tokens, count // 10)]
        out += [self.add_shared(a) for a in self.rng.sample(self.accounts, count // 20)]
        counters = self.rng.sample(self.counters, max(0, count - len(out)))
        out += [self.update(c) if i % 4 == 0 else self.add(c) for i, c in enumerate(counters)]
        self.rng.shuffle(out)
        return out

    def things(self):
        return [t for a in self.accounts for t in a.things.values()]

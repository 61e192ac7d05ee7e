#!/usr/bin/env python3
"""Mixed load for as long as wanted, with restarts; every transaction accounted for by its client, memory in a steady state.

    tests/overload/soak.py MINUTES      SVM_SEED and RATE (2000 transactions a second) as environment

Four clients write at a fixed rate to a population that stays the same (wallet.py): counters, purses, tokens that change hands, payments
whose coins are merged and deleted again, scratch objects; a shared counter in the order. Receipts are kept for a minute, memory for objects
is less than the population needs. A client knows what each object must be, and holds the node to it: some after each round, all of
them after a restart and at the end. What had no answer is sent again.

In the first sixth of the time there are five restarts (SIGTERM and kill -9 in turn), then one life to the end. Every 20 s the database is told to
compact, so that its buffers come and go evenly. Every second resident memory, descriptors, threads, the floor's lag, dirty bytes and the
slowest answers are written to build/soak.csv; build/soak.svg is made of it (gnuplot, if it is there)."""
import collections
import http.client
import json
import math
import os
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..'))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, 'tests', d) for d in ('rpc', 'cli', 'overload')]
import player  # noqa: E402
import wallet  # noqa: E402
from player import harness  # noqa: E402
from test_http import exchange, request  # noqa: E402

SEED = int(os.environ.get('SVM_SEED', '0')) or random.SystemRandom().randrange(1 << 32)
RATE = float(os.environ.get('RATE', '2000'))  # transactions a second, all clients
ROUND, ACCOUNTS, COUNTERS, EACH = 60, 250, 20, 3000
RECEIPTS_S, RESTARTS, CYCLE_S, WARM = 60, 5, 20, 0.4  # of the last life
LOOKS, PAGE_KIB = 10, resource.getpagesize() // 1024  # at resident memory, in a second
FIELDS = ('seconds life cycle resident_kib descriptors threads applied durable materialised dirty_bytes versions objects cache_bytes block_cache write_buffers '
          'table_readers receipts answered '
          'p50_ms p99_ms max_ms').split()
SAMPLES = {'applied': 'supervm_seq_applied', 'durable': 'supervm_seq_durable', 'materialised': 'supervm_seq_materialised',
           'dirty_bytes': 'supervm_wal_dirty_bytes', 'versions': 'supervm_mvcc_versions', 'objects': 'supervm_objects',
           'cache_bytes': 'supervm_mvcc_resident_bytes', 'block_cache': 'supervm_state_block_cache_bytes',
           'write_buffers': 'supervm_state_write_buffers_bytes', 'table_readers': 'supervm_state_table_readers_bytes',
           'receipts': 'supervm_receipts_bytes'}
LATER = ('OVERLOADED', 'SHUTTING_DOWN', 'BUSY', 'STORAGE_READ_ONLY', 'RETRIES_EXHAUSTED')

# Everything that has a size comes to it within a minute or two.
SMALL = ('--receipts.seconds', str(RECEIPTS_S), '--tx.expiry_max', '50s', '--log-level', 'warn', '--cache.bytes', '8MiB', '--tx.dedupe_bytes', '8MiB',
         '--storage.dirty_bytes_max', '32MiB', '--storage.block_cache', '8MiB')


class Restarted(Exception):
    """The node is another one than the client has seen last."""


class Client(threading.Thread):
    """Sends rounds of its wallet and remembers what has not been said to be durable: after a kill it is sent again, in its order."""

    def __init__(self, soak, name):
        super().__init__(daemon=True)
        self.soak, self.name_, self.rng = soak, name, random.Random(f'{SEED} {name}')
        self.node = self.connection = self.wallet = None
        self.to_audit = False
        self.loose = []  # rounds that were executed, and not yet known to be durable
        self.durable = collections.deque(maxlen=20000)  # (digest, position, when), the newest: held against the node, also after a restart
        self.sent = self.again = self.audited = self.looked_up = 0
        self.took = []

    # ---- talking -------------------------------------------------------------------------------------------------------

    def call(self, method, **params):
        """One call on the connection that is kept; Restarted when there is no answer and another node after that."""
        try:
            body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': params})
            self.connection.request('POST', '/', body, {'Content-Type': 'application/json'})
            answer = json.loads(self.connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            self.connection.close()
            self.connect()
            raise Restarted from None
        if 'error' in answer:
            raise harness.RpcError(answer['error'])
        return answer['result']

    def connect(self):
        """To the node that there is now."""
        while self.soak.node in (None, self.node) and not self.soak.done.is_set():
            time.sleep(0.05)
        self.node = self.soak.node
        if self.node:
            self.connection = http.client.HTTPConnection(self.node.address, timeout=60)

    def submit(self, txs, wait):
        """Until each has been executed, whatever happens to the node meanwhile. True: all of them are durable, and all before them."""
        left, unknown = list(txs), set()
        while left:
            try:
                items = self.call('tx_submitBatch', txs=[t.text for t in left], wait=wait)['items']
            except Restarted:
                unknown |= set(left)
                self.again += len(left)
                self.restore()
                continue
            except harness.RpcError as e:
                self.expect(e.name in LATER, f'{e.error}')
                items = [{'error': e.error, 'result': None}] * len(left)
            rest = [t for t, item in zip(left, items) if not self.settled(t, item, unknown, wait)]
            if len(rest) == len(left):
                time.sleep(0.05)
            left = rest
        return wait == 'durable'

    def settled(self, tx, item, unknown, wait):
        if item['error']:
            name = item['error']['data']['name']
            if name == 'EXPIRED' and tx in unknown:  # and never will be executed
                return True
            self.expect(name in LATER, f'{item["error"]}')
            return False
        receipt = item['result']
        if receipt['status'] == 'pending':
            return False
        self.expect(receipt['status'] in (wait, 'durable') and receipt['digest'] == '0x' + tx.digest.hex(), f'{receipt}')
        if receipt['status'] == 'durable':
            self.durable.append((receipt['digest'], receipt['seq'], time.monotonic()))
        if tx.done:
            tx.done(tx.digest)
            tx.done = None
            self.sent += 1
        return True

    def restore(self):
        """After a restart: what was executed and perhaps not written is sent again, then looked up; step() compares everything."""
        self.to_audit = True
        while not self.soak.done.is_set():
            try:
                for txs in self.loose:
                    self.send_again(txs)
                self.look_up(200)
                return
            except Restarted:
                continue

    def send_again(self, txs):
        while txs:
            items = self.call('tx_submitBatch', txs=[t.text for t in txs], wait='durable')['items']
            for item in items:
                self.expect(item['result'] or item['error']['data']['name'] in LATER, f'sent again: {item}')
            txs = [t for t, item in zip(txs, items) if not item['result'] or item['result']['status'] != 'durable']
            self.again += len(items)

    def expect(self, good, text):
        if not good:
            self.soak.fail(f'{self.name_}: {text}')
            raise SystemExit

    # ---- what must hold ------------------------------------------------------------------------------------------------

    def look_up(self, count):
        for digest, seq, when in self.rng.sample(self.durable, min(count, len(self.durable))):
            if time.monotonic() - when < RECEIPTS_S - 20:
                got = self.call('tx_get', digest=digest)
                self.expect(got['seq'] == seq and got['status'] == 'durable', f'{digest} was durable at {seq}, and is {got}')
                self.looked_up += 1

    def audit(self, things):
        for at in range(0, len(things), 200):
            some = things[at:at + 200]
            items = self.call('object_getMany', ids=['0x' + t.id.hex() for t in some])['items']
            for thing, item in zip(some, items):
                self.expect(not thing.differs(item['object']), thing.differs(item['object']))
            self.audited += len(some)

    def spot_check(self):
        kind = self.rng.randrange(5)
        if kind == 0:
            self.audit(self.rng.sample(self.wallet.counters, 20) + self.rng.sample(self.wallet.purses, 5))
        elif kind == 1:
            account = self.rng.choice(self.wallet.accounts)
            items = self.call('object_listByOwner', owner='0x' + account.key.address.hex(), limit=1000)['items']
            want = sorted('0x' + ident.hex() for ident in account.things)
            self.expect([i['id'] for i in items] == want, f'objects of an account: {len(items)}, and must be {len(want)}')
            self.audited += len(items)
        elif kind == 2:
            gone = self.wallet.deleted[-20:]
            items = self.call('object_getMany', ids=['0x' + ident.hex() for ident in gone])['items'] if gone else []
            self.expect(all(i['object'] is None for i in items), 'a deleted object is there')
        elif kind == 3:
            self.look_up(20)
        else:
            self.call('stats_summary')

    # ---- life ----------------------------------------------------------------------------------------------------------

    def populate(self):
        self.connect()
        chain = int(self.call('node_info')['chain']['id'])
        key = wallet.Key(player.seed(self.name_))
        coin = wallet.Thing(bytes.fromhex(player.KNOWN[self.name_ + '_coin'][2:]), wallet.Account(key), 1, balance=1000000)
        self.wallet = wallet.Wallet(f'{SEED} {self.name_}', chain, self.rng, ACCOUNTS, COUNTERS, bytes.fromhex(player.KNOWN['counter'][2:]))
        for txs in self.wallet.begin(key, coin, EACH):
            self.submit(txs, 'durable')

    def run(self):
        try:
            self.populate()
            due = time.monotonic()
            while not self.soak.done.is_set():
                start = time.monotonic()
                self.step()
                self.took.append(time.monotonic() - start)
                due = max(due + ROUND * len(self.soak.clients) / RATE, time.monotonic() - 1)
                time.sleep(max(0, due - time.monotonic()))
        except Exception as e:  # whatever it is, it must be seen
            self.soak.fail(f'{self.name_}: {e!r}')

    def step(self):
        txs = self.wallet.round(ROUND)
        if self.submit(txs, self.rng.choice(['durable', 'durable', 'executed'])):
            self.loose = []
        else:
            self.loose.append(txs)
        try:
            if self.to_audit:
                self.audit(self.wallet.things())
                self.to_audit = False
            elif self.rng.random() < 0.2:
                self.spot_check()
        except Restarted:
            self.restore()
        except harness.RpcError as e:
            self.expect(e.name in LATER, f'{e.error}')


class Soak:
    def __init__(self, minutes):
        self.begun = time.monotonic()
        self.seconds = minutes * 60
        self.done, self.node, self.failures = threading.Event(), None, []
        self.life, self.cycle, self.rows = 0, 0, []
        self.top = tempfile.mkdtemp(prefix='supervm-soak-')
        self.clients = [Client(self, n) for n in ('alice', 'bob', 'carol', 'dave')]

    def fail(self, text):
        print('FAILED', text, flush=True)
        self.failures.append(text)
        self.done.set()

    def start(self):
        self.life += 1
        self.node = harness.Node('--dev', '--datadir', os.path.join(self.top, 'data'), *SMALL, timeout=120)

    def stop(self, how):
        node, self.node = self.node, None
        if how == signal.SIGTERM:
            code = node.stop()
            if code != 0:
                self.fail(f'exit code {code}: {node.stderr[-500:]}')
        else:
            node.kill()

    def resident_kib(self):
        """In the mean of a second: a compaction's buffers come and go within one."""
        seen = []
        for _ in range(LOOKS):
            time.sleep(1 / LOOKS)
            if self.node.process.poll() is None:
                with open(f'/proc/{self.node.process.pid}/statm', encoding='ascii') as f:
                    seen.append(int(f.read().split()[1]) * PAGE_KIB)
        return round(statistics.fmean(seen)) if seen else 0

    def look(self, resident_kib):
        pid = self.node.process.pid
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            status = dict(line.split(':', 1) for line in f)
        text = exchange(self.node.address, request('GET', '/metrics', '')).body.decode()
        took = sorted(t for c in self.clients for t in c.took)
        for c in self.clients:
            c.took = []
        row = {'seconds': round(time.monotonic() - self.begun, 1), 'life': self.life, 'cycle': self.cycle, 'resident_kib': resident_kib,
               'descriptors': len(os.listdir(f'/proc/{pid}/fd')), 'threads': int(status['Threads']),
               'answered': sum(c.sent for c in self.clients)}
        for key, name in SAMPLES.items():
            row[key] = int(sum(float(line.rsplit(' ', 1)[1]) for line in text.splitlines() if line.startswith(name) and line[len(name)] in ' {'))
        for key, share in (('p50_ms', 0.5), ('p99_ms', 0.99), ('max_ms', 1.0)):
            row[key] = round(took[min(int(len(took) * share), len(took) - 1)] * 1000, 2) if took else 0
        self.node.read(0)
        self.rows.append(row)

    def run(self):
        self.start()
        for client in self.clients:
            client.start()
        restarts = [self.seconds / 6 * (i + 1) / RESTARTS for i in range(RESTARTS)]
        how = signal.SIGTERM
        while (now := time.monotonic() - self.begun) < self.seconds and not self.done.is_set():
            resident = self.resident_kib()
            if self.node.process.poll() is not None:
                self.fail(f'the node ended with {self.node.process.returncode}: {self.node.stderr[-1000:]}')
                break
            self.look(resident)
            if now > (self.cycle + 1) * CYCLE_S:
                self.cycle += 1
                player.post(self.node, '{"jsonrpc":"2.0","id":1,"method":"admin_compact"}', over_unix=True, timeout=120)
            if restarts and now > restarts[0]:
                restarts.pop(0)
                self.stop(how)
                how = signal.SIGKILL if how == signal.SIGTERM else signal.SIGTERM
                self.start()
        self.done.set()
        for client in self.clients:
            client.join(60)
        if not self.failures:
            self.close()

    def close(self):
        """Once more a restart, then everything is as the clients say, and the shared counter is the sum of what they added."""
        self.done.clear()
        self.stop(signal.SIGTERM)
        self.start()
        for client in self.clients:
            client.connect()
            client.look_up(200)
            client.audit(client.wallet.things())
        data = self.node.rpc('object_get', id=player.KNOWN['counter'])['object']['data']
        added = sum(c.wallet.added for c in self.clients)
        if int.from_bytes(wallet.base64.b64decode(data)[:8], 'little') != added:
            self.fail(f'the shared counter holds {data}, and {added} were added')
        self.stop(signal.SIGTERM)


def slope(rows, of_cycle):
    """Of resident memory, in percent an hour: (the slope, its least and most with 95 %, how many cycles, what they are in the mean in MiB, seconds left out).

    Only the last life counts, without its first two fifths. What is resident follows the database's buffers, which are flushed at each
    cycle's end; so a cycle is one point, OF_CYCLE its samples, and the slope is Theil's and Sen's: the median of those between any two
    points. Its bounds are Sen's as well, by the variance of Kendall's S."""
    last = [r for r in rows if r['life'] == rows[-1]['life']]
    begin = last[0]['seconds'] + (last[-1]['seconds'] - last[0]['seconds']) * WARM
    cycles = {}
    for row in last:
        if row['seconds'] >= begin:
            cycles.setdefault(row['cycle'], []).append(row)
    points = [(statistics.fmean(r['seconds'] for r in cycles[c]), of_cycle(r['resident_kib'] for r in cycles[c])) for c in sorted(cycles)[1:-1]]
    count, left_out = len(points), begin - last[0]['seconds']
    if count < 3:
        return float('nan'), float('nan'), float('nan'), count, 0, left_out
    mean = statistics.fmean(y for _, y in points)
    steep = sorted((b[1] - a[1]) / (b[0] - a[0]) * 3600 / mean * 100 for i, a in enumerate(points) for b in points[i + 1:])
    wide = 1.96 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    least, most = (steep[min(max(round((len(steep) + s * wide) / 2), 0), len(steep) - 1)] for s in (-1, 1))
    return statistics.median(steep), least, most, count, mean / 1024, left_out


def write(rows):
    path = os.path.join(ROOT, 'build', 'soak.csv')
    with open(path, 'w', encoding='ascii') as f:
        print(','.join(FIELDS), file=f)
        for row in rows:
            print(','.join(str(row[k]) for k in FIELDS), file=f)
    if shutil.which('gnuplot'):
        plots = '; '.join(f"set ylabel '{k}'; plot '{path}' using 1:{FIELDS.index(k) + 1} with lines notitle"
                          for k in ('resident_kib', 'descriptors', 'dirty_bytes', 'p99_ms'))
        subprocess.run(['gnuplot', '-e', "set terminal svg size 900,1000; set output 'build/soak.svg'; set datafile separator ','; "
                        f"set xlabel 'seconds'; set multiplot layout 4,1; {plots}"], cwd=ROOT, check=False)


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    print(f'SVM_SEED={SEED}', flush=True)
    soak = Soak(minutes)
    try:
        soak.run()
    finally:
        soak.done.set()
        if soak.node is not None:
            soak.node.kill()
        shutil.rmtree(soak.top, ignore_errors=True)
    write(soak.rows)
    percent, least, most, cycles, mean, left_out = slope(soak.rows, statistics.fmean)
    floor, floor_least, floor_most, _, floor_mean, _ = slope(soak.rows, min)
    rows, clients = soak.rows, soak.clients
    figures = (f'SVM_SEED={SEED}; {minutes:g} min, {soak.life} lives; {sum(c.sent for c in clients):,} transactions, all accounted for, {sum(c.again for c in clients):,} '
               f'sent again after a restart; {sum(c.audited for c in clients):,} objects compared, {sum(c.looked_up for c in clients):,} receipts; {rows[-1]["objects"]:,} objects; '
               f'slope of resident memory {percent:+.2f} %/h ({least:+.1f} .. {most:+.1f}) of {mean:.1f} MiB (last life but for its first {left_out:.0f} s: median slope '
               f'between the means of {cycles} cycles of {CYCLE_S} s, with 95 %); of what each cycle has at least {floor:+.2f} %/h ({floor_least:+.1f} .. {floor_most:+.1f}) of {floor_mean:.1f} MiB; '
               f'descriptors at most {max(r["descriptors"] for r in rows)}, threads {max(r["threads"] for r in rows)}; '
               f'p99 {statistics.median(r["p99_ms"] for r in rows):.0f} ms in half the seconds, at most {max(r["p99_ms"] for r in rows):.0f} ms')
    print(figures)
    if not soak.failures and os.environ.get('LEDGER', '1') == '1' and minutes >= 10:
        subprocess.run([os.path.join(ROOT, 'scripts', 'ledger'), 'soak', figures], check=False)
    print(f'{0 if soak.failures else 1} passed, {1 if soak.failures else 0} failed')
    sys.exit(1 if soak.failures else 0)


main()

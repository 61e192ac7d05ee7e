#!/usr/bin/env python3
"""Mixed load for as long as wanted, with restarts; every transaction accounted for by its client.

    tests/overload/soak.py MINUTES [SECONDS between restarts, default 300]

Clients pay, count and ask in turn, each on accounts of its own name; a client knows what it was answered and holds the node to
it, at each step and after each restart (SIGTERM and kill -9 in turn). Every second resident memory, descriptors, threads, the
floor's lag, dirty bytes and the slowest answers are written to build/soak.csv; build/soak.svg is made of it (gnuplot, if it is there).
The slope of resident memory is that of a straight line through the samples of the last two thirds, restarts apart."""
import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..'))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(ROOT, 'tests', d) for d in ('rpc', 'cli')]
import player  # noqa: E402
from player import harness  # noqa: E402
from test_http import exchange, request  # noqa: E402

SEED = int(os.environ.get('SVM_SEED', '0')) or random.SystemRandom().randrange(1 << 32)
FIELDS = 'seconds life resident_kib descriptors threads applied durable materialised dirty_bytes versions objects answered p50_ms p99_ms max_ms'.split()
SAMPLES = {'applied': 'supervm_seq_applied', 'durable': 'supervm_seq_durable', 'materialised': 'supervm_seq_materialised',
           'dirty_bytes': 'supervm_wal_dirty_bytes', 'versions': 'supervm_mvcc_versions', 'objects': 'supervm_objects'}

# Caches that are full after minutes, so that memory has to stay where it is for the rest.
SMALL = ('--receipts.seconds', '600', '--log-level', 'warn', '--cache.bytes', '16MiB', '--tx.dedupe_bytes', '8MiB',
         '--storage.dirty_bytes_max', '32MiB')


class Client(threading.Thread):
    """Sends from its account and remembers; a payment without an answer is looked up by the balance afterwards."""

    def __init__(self, soak, name, other):
        super().__init__(daemon=True)
        self.soak, self.name_, self.other = soak, name, other
        self.rng = random.Random(f'{SEED} {name}')
        self.sent = self.unknown = self.answered = self.refused = 0
        self.durable = []  # (digest, position), the newest: held against the node after each restart
        self.took = []

    def run(self):
        while not self.soak.done.is_set():
            node = self.soak.node
            if node is None:
                time.sleep(0.05)
                continue
            start = time.monotonic()
            try:
                self.step(node)
                self.answered += 1
                self.took.append(time.monotonic() - start)
            except harness.RpcError as e:
                if e.name not in ('OVERLOADED', 'SHUTTING_DOWN', 'BUSY', 'STORAGE_READ_ONLY'):
                    self.soak.fail(f'{self.name_}: {e.error}')
                self.refused += 1
                time.sleep(0.05)
            except (OSError, ValueError, http.client.HTTPException):
                time.sleep(0.05)  # the node is being restarted
            except Exception as e:  # whatever it is, it must be seen
                self.soak.fail(f'{self.name_}: {e!r}')
            time.sleep(self.soak.pause)

    def step(self, node):
        kind = self.rng.randrange(20)
        if kind < 14:
            self.unknown += 1
            wait = self.rng.choice(['durable', 'durable', 'executed'])
            receipt = node.rpc('dev_send', **{'from': self.name_, 'to': self.other, 'amount': '1', 'wait': wait})
            if receipt['status'] != wait and receipt['status'] != 'durable':
                self.soak.fail(f'{self.name_}: {receipt}')
            self.unknown -= 1
            self.sent += 1
            if receipt['status'] == 'durable':
                self.durable = (self.durable + [(receipt['digest'], receipt['seq'])])[-50:]
        elif kind < 15:
            node.rpc('dev_generateLoad', transactions=200, concurrency=50)
        elif kind < 18:
            node.rpc('object_get', id=player.KNOWN[self.name_ + '_coin'])
        elif kind < 19:
            node.rpc('object_listByOwner', owner=player.KNOWN[self.name_], limit=20)
        else:
            node.rpc('stats_summary')


class Soak:
    def __init__(self, minutes, every_s):
        self.end = time.monotonic() + minutes * 60
        self.every_s, self.done, self.node, self.failures = every_s, threading.Event(), None, []
        self.looked_up = 0
        self.pause = float(os.environ.get('PAUSE', '0.005'))
        self.top = tempfile.mkdtemp(prefix='supervm-soak-')
        self.rows, self.life, self.begun = [], 0, time.monotonic()
        # The first four pay to accounts that send nothing: their sums are known. (dev_generateLoad pays from all of them.)
        self.clients = [Client(self, n, o) for n, o in (('alice', 'frank'), ('bob', 'grace'), ('carol', 'heidi'), ('dave', 'ivan'))]

    def fail(self, text):
        print('FAILED', text, flush=True)
        self.failures.append(text)
        self.done.set()

    def start(self):
        self.life += 1
        node = harness.Node('--dev', '--datadir', os.path.join(self.top, 'data'), *SMALL, timeout=120)
        try:
            self.hold_to_it(node)
        except BaseException:
            node.kill()
            raise
        self.node = node

    def hold_to_it(self, node):
        """What was answered durable is there, at its position."""
        for client in self.clients:
            for digest, seq in list(client.durable):
                self.looked_up += 1
                got = node.rpc('tx_get', digest=digest)
                if got['seq'] != seq or got['status'] != 'durable':
                    self.fail(f'life {self.life}: {digest} was durable at {seq}, and is {got}')

    def stop(self, how):
        node, self.node = self.node, None
        if how == signal.SIGTERM:
            code = node.stop()
            if code != 0:
                self.fail(f'exit code {code}: {node.stderr[-500:]}')
        else:
            node.kill()

    def sample(self, name):
        text = exchange(self.node.address, request('GET', '/metrics', '')).body.decode()
        return sum(float(line.rsplit(' ', 1)[1]) for line in text.splitlines() if line.startswith(name) and line[len(name)] in ' {')

    def look(self):
        pid = self.node.process.pid
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            status = dict(line.split(':', 1) for line in f)
        text = exchange(self.node.address, request('GET', '/metrics', '')).body.decode()
        took = sorted(t for c in self.clients for t in c.took)
        for c in self.clients:
            c.took = []
        row = {'seconds': round(time.monotonic() - self.begun, 1), 'life': self.life, 'resident_kib': int(status['VmRSS'].split()[0]),
               'descriptors': len(os.listdir(f'/proc/{pid}/fd')), 'threads': int(status['Threads']),
               'answered': sum(c.answered for c in self.clients)}
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
        next_restart, how = time.monotonic() + self.every_s, signal.SIGTERM
        while time.monotonic() < self.end and not self.done.is_set():
            time.sleep(1)
            if self.node.process.poll() is not None:
                self.fail(f'the node ended with {self.node.process.returncode}: {self.node.stderr[-1000:]}')
                break
            self.look()
            if time.monotonic() > next_restart and self.end - time.monotonic() > self.every_s / 2:
                self.stop(how)
                how = signal.SIGKILL if how == signal.SIGTERM else signal.SIGTERM
                self.start()
                next_restart = time.monotonic() + self.every_s
        self.done.set()
        for client in self.clients:
            client.join(60)
        if not self.failures:
            self.hold_to_it(self.node)
            self.stop(signal.SIGTERM)


def slope_percent_per_hour(rows):
    """Of a line through (seconds, resident), lives apart: each life's rows less their mean, the first minute of a life left out."""
    last = [r for r in rows if r['seconds'] > rows[-1]['seconds'] / 3]
    xy = []
    for life in {r['life'] for r in last}:
        mine = [r for r in last if r['life'] == life]
        mine = [r for r in mine if r['seconds'] > mine[0]['seconds'] + min(60, (mine[-1]['seconds'] - mine[0]['seconds']) / 2)]
        if len(mine) > 10:
            mx, my = (sum(r[k] for r in mine) / len(mine) for k in ('seconds', 'resident_kib'))
            xy += [(r['seconds'] - mx, r['resident_kib'] - my) for r in mine]
    xx = sum(x * x for x, _ in xy)
    mean = sum(r['resident_kib'] for r in last) / len(last)
    return sum(x * y for x, y in xy) / xx * 3600 / mean * 100 if xx else float('nan')


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
    every_s = float(sys.argv[2]) if len(sys.argv) > 2 else 300
    print(f'SVM_SEED={SEED}', flush=True)
    soak = Soak(minutes, every_s)
    try:
        soak.run()
    finally:
        soak.done.set()
        if soak.node is not None:
            soak.node.kill()
        shutil.rmtree(soak.top, ignore_errors=True)
    write(soak.rows)
    slope = slope_percent_per_hour(soak.rows)
    rows = soak.rows
    figures = (f'{minutes:g} min, {soak.life} lives, {sum(c.answered for c in soak.clients):,} answers, {sum(c.sent for c in soak.clients):,} payments, '
               f'{soak.looked_up:,} looked up after restarts, {rows[-1]["applied"]:,} positions; resident {min(r["resident_kib"] for r in rows) // 1024} .. '
               f'{max(r["resident_kib"] for r in rows) // 1024} MiB, slope {slope:+.2f} %/h; descriptors at most {max(r["descriptors"] for r in rows)}, '
               f'threads {max(r["threads"] for r in rows)}; p99 at most {max(r["p99_ms"] for r in rows):.0f} ms')
    print(figures)
    if not soak.failures and os.environ.get('LEDGER', '1') == '1' and minutes >= 5:
        subprocess.run([os.path.join(ROOT, 'scripts', 'ledger'), 'soak', figures], check=False)
    print(f'{0 if soak.failures else 1} passed, {1 if soak.failures else 0} failed')
    sys.exit(1 if soak.failures else 0)


main()

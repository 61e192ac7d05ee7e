#!/usr/bin/env python3
"""Failing socket calls: the real daemon below shim.so, which makes the n-th of a kind of call fail, once or with all that follow.

    driver --page: kind, n--> shim.so in supervmd <--HTTP over TCP and the unix socket-- the driver's clients

In each life the node starts, serves, is left without a word and in the middle of one, and is told to end. It must not crash or hang; a start that
fails says why and has an exit code; every client has an answer or a closed connection, a new one is served afterwards; what was
answered durable is there in this life and the next one, and no more was paid than was asked for.

Usage: tests/fail/sockets.py [POINTS]        at most POINTS (3) places for each kind of call and error, spread from one that SVM_SEED chooses;
                                             0: every place
       tests/fail/sockets.py KIND ERROR N [good]   one life, to look at
Environment: KIND_OF_BUILD=asan takes build/asan/bin/supervmd, whose leaks count. Ends with `N passed, N failed`."""
import ctypes
import errno
import http.client
import json
import mmap
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.environ.get('KIND_OF_BUILD', 'release')
DAEMON = os.path.join(ROOT, 'build', 'bin' if BUILD == 'release' else f'{BUILD}/bin', 'supervmd')
SHIM = os.path.join(ROOT, 'build', 'release', 'fail', 'shim.so')
SEED = int(os.environ.get('SVM_SEED', '0')) or random.SystemRandom().randrange(1 << 32)
SLOW = 4 if BUILD == 'asan' else 1
ANSWER_S, LIFE_S = 10 * SLOW, 20 * SLOW
READY = re.compile(r'^supervmd ready http://(\S+) unix:(\S+)$', re.M)

# As in shim.c; what the kernel may say; whether it may say so for ever.
KINDS = (('accept', ('EMFILE', 'ENOMEM', 'ECONNABORTED'), True), ('receive', ('ECONNRESET', 'ENOMEM'), True), ('send', ('EPIPE', 'ENOMEM'), True),
         ('watch', ('ENOSPC', 'ENOMEM'), True), ('wait', ('EINTR',), False), ('make', ('EMFILE',), True), ('socket', ('EMFILE',), True),
         ('bind', ('EADDRINUSE',), True), ('listen', ('EADDRINUSE',), True), ('option', ('ENOBUFS',), True), ('connect', ('EAGAIN',), True),
         ('shutdown', ('ENOTCONN',), True), ('wake', ('EINTR',), False), ('woken', ('EINTR',), False))
NAMES = [k[0] for k in KINDS]
WATCH, MAKE = NAMES.index('watch'), NAMES.index('make')


class Page:
    """What shim.so maps: armed, kind, n, for good, error; failed; counts."""

    def __init__(self, path):
        with open(path, 'wb') as f:
            f.write(bytes(4 * (6 + len(KINDS))))
        with open(path, 'r+b') as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def arm(self, kind, n, good, error):
        struct.pack_into('<5I', self.map, 4, kind, n, good, error, 0)
        self.map[24:] = bytes(len(self.map) - 24)
        struct.pack_into('<I', self.map, 0, 1)

    def disarm(self):
        struct.pack_into('<I', self.map, 0, 0)

    def failed(self):
        return struct.unpack_from('<I', self.map, 20)[0]

    def counts(self):
        return struct.unpack_from(f'<{len(KINDS)}I', self.map, 24)


class Wrong(Exception):
    """Something that must not be."""


class Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Lane:
    """One data directory and the lives in it, one after the other."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix='supervm-fail-', dir='/dev/shm' if os.path.isdir('/dev/shm') else None)
        self.page = Page(os.path.join(self.top, 'page'))
        self.fresh()

    def fresh(self):
        shutil.rmtree(os.path.join(self.top, 'data'), ignore_errors=True)
        self.durable, self.paid, self.unknown, self.had = [], 0, 0, None

    # ---- the node --------------------------------------------------------------------------------------------------

    def start(self, kind):
        """True when it serves; False when it has ended with a reason."""
        preload = SHIM if BUILD != 'asan' else subprocess.run(['gcc', '-print-file-name=libasan.so'], capture_output=True, text=True, check=True).stdout.strip() + ' ' + SHIM
        env = {k: v for k, v in os.environ.items() if not k.startswith('SUPERVM_')}
        env.update(LD_PRELOAD=preload, FAIL_PAGE=os.path.join(self.top, 'page'), SVM_LANES='off', NOTIFY_SOCKET='@supervm-fail-nobody')
        with open(os.path.join(self.top, 'log'), 'wb') as log:
            self.process = subprocess.Popen([DAEMON, '--dev', '--datadir', 'data', '--listen', '127.0.0.1:0', '--log-level', 'warn', '--storage.disk_free_min', '0'],
                                            cwd=self.top, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        end = time.monotonic() + LIFE_S
        while time.monotonic() < end:
            if match := READY.search(self.log()):
                self.address, self.unix = match.group(1), os.path.join(self.top, match.group(2))
                return True
            if self.process.poll() is not None:
                self.ended(kind)
                return False
            time.sleep(0.005)
        raise Wrong('neither ready nor ended')

    def log(self):
        with open(os.path.join(self.top, 'log'), encoding='utf-8', errors='replace') as f:
            return f.read()

    def ended(self, kind):
        """How a start that fails may end: saying why; or by the abort() of libuv, which has no other answer when it gets no pipe or watch of its own."""
        if self.process.returncode == -signal.SIGABRT and not self.log() and kind in (WATCH, MAKE):
            return
        if self.process.returncode != 1 or not self.log().strip():
            raise Wrong(f'exit code {self.process.returncode} at the start')

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(LIFE_S)
        except subprocess.TimeoutExpired:
            raise Wrong('SIGTERM does not end it') from None
        if code != 0:
            raise Wrong(f'exit code {code} at the end')

    # ---- clients ---------------------------------------------------------------------------------------------------

    def call(self, connection, method, **params):
        body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': method, 'params': params})
        connection.request('POST', '/', body, {'Content-Type': 'application/json'})
        answer = json.loads(connection.getresponse().read())
        if 'error' in answer:
            raise Wrong(f'{method}: {answer["error"]}')
        return answer['result']

    def pay(self, connection):
        self.unknown += 1
        receipt = self.call(connection, 'dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'durable'})
        self.unknown -= 1
        self.paid += 1
        if receipt['status'] != 'durable':
            raise Wrong(f'{receipt}')
        self.durable.append((receipt['digest'], receipt['seq']))

    def tcp(self, wait_s):
        return http.client.HTTPConnection(self.address, timeout=wait_s)

    def steps(self, wait_s):
        """Each on a connection of its own, or two."""
        def two_payments():
            connection = self.tcp(wait_s)
            self.pay(connection)
            self.pay(connection)

        def local():
            connection = Unix(self.unix, wait_s)
            self.pay(connection)
            self.call(connection, 'admin_config')

        def large():
            connection = self.tcp(wait_s)
            self.call(connection, 'rpc.discover')
            self.call(connection, 'object_listByOwner', owner='0x' + '0' * 64)

        def leaves():
            s = socket.create_connection(tuple(self.address.rsplit(':', 1)), timeout=wait_s)
            s.sendall(b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"json')
            s.close()

        def resets():
            s = socket.create_connection(tuple(self.address.rsplit(':', 1)), timeout=wait_s)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            s.sendall(b'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
            s.close()

        def at_once():
            connections = [self.tcp(wait_s) for _ in range(4)]
            for c in connections:
                c.request('GET', '/readyz')
            for c in connections:
                c.getresponse().read()

        return (two_payments, local, large, leaves, resets, at_once, two_payments)

    def serve(self, wait_s, good):
        """What the calls fail in. A client may be cut off; unless it fails for good, nobody waits in vain."""
        for step in self.steps(wait_s):
            try:
                step()
            except socket.timeout:
                if not good:
                    raise Wrong(f'{step.__name__}: no answer, and no end of the connection') from None
            except (OSError, ValueError, http.client.HTTPException):
                pass
            if self.process.poll() is not None:
                raise Wrong(f'exit code {self.process.returncode} while it serves')

    def afterwards(self):
        """A new client, when calls have come to their senses."""
        try:
            for connection in (self.tcp(ANSWER_S), Unix(self.unix, ANSWER_S)):
                self.pay(connection)
            self.look(connection)
        except (OSError, ValueError, http.client.HTTPException) as e:
            raise Wrong(f'a new connection is not served: {e!r}') from None

    def look(self, connection):
        for digest, seq in self.durable[-20:]:
            got = self.call(connection, 'tx_get', digest=digest)
            if (got['status'], got['seq']) != ('durable', seq):
                raise Wrong(f'{digest} was durable at {seq}, and is {got}')
        got = self.call(connection, 'dev_accounts')['items'][0]['coin']
        balance = int(self.call(connection, 'object_get', id=got)['object']['balance'])
        spent = (self.had or 1000000) - balance
        if not self.paid <= spent <= self.paid + self.unknown:
            raise Wrong(f'{self.paid} were answered, {self.unknown} were not, and {spent} are paid')
        self.had, self.paid, self.unknown = balance, 0, 0

    # ---- lives -----------------------------------------------------------------------------------------------------

    def life(self, kind, n, good, error):
        """Returns (a call failed, it opened, counts)."""
        opened = False
        self.page.arm(kind, n, good, error)
        try:
            opened = self.start(kind)
            if opened:
                self.serve(0.3 * SLOW if good else ANSWER_S, good)
                if self.page.failed():  # else it is one of the last calls, those of the end
                    self.page.disarm()
                    self.afterwards()
                self.stop()
        finally:
            self.page.disarm()
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        return self.page.failed() > 0, opened, self.page.counts()


class Driver:
    def __init__(self):
        self.lock, self.todo = threading.Lock(), []
        self.lives = self.hits = self.opened = self.failed = 0

    def one(self, lane, kind, error, n, good):
        try:
            hit, opened, _ = lane.life(kind, n, good, getattr(errno, error))
            bad = None
        except Wrong as e:
            hit, opened, bad = lane.page.failed() > 0, True, str(e)
        with self.lock:
            self.lives += 1
            self.hits += hit
            self.opened += opened
            if bad:
                self.failed += 1
                print(f'FAIL {NAMES[kind]} {error} {n}{" good" if good else ""}: {bad}', *lane.log().splitlines()[-5:], sep='\n     | ', flush=True)
        if bad:
            lane.fresh()

    def work(self, lane):
        while True:
            with self.lock:
                if not self.todo:
                    return
                life = self.todo.pop()
            self.one(lane, *life)


def plan(counts, points, rng):
    todo = []
    for kind, (_, errors, for_ever) in enumerate(KINDS):
        stride = 1 if points == 0 else max(1, -(-counts[kind] // points))
        for error in errors:
            for n in range(1 + rng.randrange(stride), counts[kind] + 1, stride):
                todo += [(kind, error, n, good) for good in ((False, True) if for_ever else (False,))]
    rng.shuffle(todo)
    return todo


def main():
    args, driver = sys.argv[1:], Driver()
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: nothing is left behind
    print(f'SVM_SEED={SEED}', flush=True)
    lanes = [Lane(), Lane()]
    try:
        if len(args) >= 3:
            driver.one(lanes[0], NAMES.index(args[0]), args[1], int(args[2]), len(args) > 3)
            print(lanes[0].log())
        else:
            lanes[0].life(0, 0, False, 0)
            counts = lanes[0].life(0, 0, False, 0)[2]
            print(' '.join(f'{c} {n}' for c, n in zip(counts, NAMES)), flush=True)
            driver.todo = plan(counts, int(args[0]) if args else 3, random.Random(SEED))
            threads = [threading.Thread(target=driver.work, args=(lane,)) for lane in lanes]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
    finally:
        for lane in lanes:
            shutil.rmtree(lane.top, ignore_errors=True)
    print(f'{driver.lives} lives: in {driver.hits} a socket call failed, {driver.opened} opened')
    print(f'{driver.lives - driver.failed} passed, {driver.failed} failed')
    sys.exit(1 if driver.failed or not driver.lives else 0)


main()

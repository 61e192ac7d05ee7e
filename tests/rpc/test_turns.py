"""Turns: batches that wait for theirs, what comes beside them, and clients that leave meanwhile."""
import contextlib
import json
import os
import select
import signal
import socket
import time

from player import KNOWN, harness
from test_http import DISCOVER, Reply, ask_and_not_read, connect, dev, exchange, gauge, read_reply, request


def tests():
    return sorted((n, f) for n, f in globals().items() if n.startswith('test_'))


def answered_before_a_call(node, count):
    """How many of COUNT batches are answered when a call that came behind them is."""
    batches = [connect(node) for _ in range(count)]
    with connect(node) as single:
        for s in batches:
            s.sendall(request(body=json.dumps(DISCOVER * 20)))
        single.sendall(request())
        assert 'result' in Reply(read_reply(single)).json
        answered = len(select.select(batches, [], [], 0)[0])
    for s in batches:
        assert len(Reply(read_reply(s)).json) == 20
        s.close()
    return answered


def test_a_call_among_batches():
    """Batches that come together take turns with others: a call that comes behind them is not the last to be answered."""
    with dev() as node:
        seen = []  # a machine that lets this process wait has answered them all before the call is sent
        while not seen or (min(seen) == 60 and len(seen) < 5):
            seen.append(answered_before_a_call(node, 60))
        assert min(seen) < 60, 'the call had to wait for every batch'


def test_batches_that_leave():
    """Batches that wait for their turn go with their clients, and hold nobody's end."""
    with dev() as node:
        for s in [ask_and_not_read(node, 20) for _ in range(40)]:
            s.close()
        assert 'result' in exchange(node.address, request()).json
        batches = [ask_and_not_read(node, 20) for _ in range(40)]
        assert node.stop() == 0
        for s in batches:
            s.close()


def connect_local(node):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(os.path.join(node.dir, node.socket))
    return s


@contextlib.contextmanager
def held(node):
    """NODE stands still."""
    node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)


OPEN = 'supervm_http_connections{transport="http"}'
OPEN_LOCAL = 'supervm_http_connections{transport="unix"}'


def settle(node):
    """Wait until NODE has done with everybody, the asker apart."""
    end = time.monotonic() + 30
    while gauge(node, OPEN) > 1 or gauge(node, OPEN_LOCAL) > 0 or gauge(node, 'supervm_queue_depth{queue="calls"}') > 0:
        assert time.monotonic() < end, 'connections or calls are left'
        time.sleep(0.05)


def ran_for_those_that_left(way):
    """How many transactions run of 40 batches of 1000 whose clients, connected in that WAY, have gone, and of one whose client is there."""
    pay = [{'jsonrpc': '2.0', 'id': i, 'method': 'dev_send', 'params': {'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'none'}}
           for i in range(1000)]
    with dev() as node:
        with connect(node) as stays:
            with held(node):
                for _ in range(40):
                    with way(node) as s:
                        s.sendall(request(body=json.dumps(pay)))
                stays.sendall(request(body=json.dumps(pay)))
            assert len(Reply(read_reply(stays)).json) == 1000
        settle(node)
        one = request(body=json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'stats_storage'}))
        return int(exchange(node.address, one).json['result']['loggedSeq'])


def test_batches_in_line_of_clients_that_left():
    """What waits for its turn when its client has gone is not run; who is there is answered."""
    for way in (connect, connect_local):
        ran = ran_for_those_that_left(way)
        assert ran <= 20 * 1000, f'{ran} transactions of 41 clients of which 40 had gone ({way.__name__})'


def answered_before_a_crowd(node, crowd, count):
    """How many of COUNT batches that are in line are answered when a call of each of CROWD new connections is."""
    pay = [{'jsonrpc': '2.0', 'id': i, 'method': 'dev_send', 'params': {'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'none'}}
           for i in range(500)]
    with contextlib.ExitStack() as held_open:
        batches = [held_open.enter_context(connect(node)) for _ in range(count)]
        assert 'result' in exchange(node.address, request(), timeout=30).json  # all are accepted
        with held(node):
            for s in batches:
                s.sendall(request(body=json.dumps(pay)))
            singles = [held_open.enter_context(connect(node)) for _ in range(crowd)]
            for s in singles:
                s.sendall(request())
        for s in singles:
            assert 'result' in Reply(read_reply(s)).json
        answered = len(select.select(batches, [], [], 0)[0])
        for s in batches:
            assert len(Reply(read_reply(s)).json) == 500
    return answered


def test_a_crowd_beside_batches():
    """Connections that come together are not accepted by tens, between one turn of the batches and the next."""
    with dev() as node:
        seen = []  # a machine that lets this process wait may have answered many before it looks
        while not seen or (min(seen) >= 7 and len(seen) < 5):
            seen.append(answered_before_a_crowd(node, 150, 25))
        assert min(seen) < 7, seen


def called(node, method):
    """How many calls of METHOD have been answered, well or not."""
    text = exchange(node.address, request('GET', '/metrics', ''), timeout=30).body.decode()
    return sum(int(line.split()[1]) for line in text.splitlines()
               if line.startswith('supervm_rpc_requests_total{') and f'method="{method}"' in line)


def until(condition, what):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def on_pool(node):
    """Calls that run on the pool, or wait for it."""
    return gauge(node, 'supervm_queue_depth{queue="blocking"}')


def reads(count):
    """A batch of COUNT calls of the pool."""
    return request(body=json.dumps([{'jsonrpc': '2.0', 'id': i, 'method': 'object_get', 'params': [KNOWN['counter']]} for i in range(count)]))


@contextlib.contextmanager
def busy_pool():
    """A node whose pool is one thread, which has a call that does not end before it is let go; and what lets it go."""
    load = request(body=json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'dev_generateLoad', 'params': {'transactions': 1}}))
    with harness.node('--dev', '--engine.workers', '1', env={'UV_THREADPOOL_SIZE': '1'}) as node, \
            connect(node) as busy, contextlib.ExitStack() as stall:
        stall.enter_context(harness.stalled(node, 'svm-work-0'))
        busy.sendall(load)
        until(lambda: on_pool(node) == 1, 'the long call is not begun')

        def let_go():
            stall.close()
            assert 'result' in Reply(read_reply(busy)).json
        yield node, let_go


def test_calls_of_clients_that_left():
    """What waits for the pool when its client has gone is not run, whichever way it came."""
    with busy_pool() as (node, let_go):
        for way in (connect, connect_local):
            with way(node) as s:
                s.sendall(reads(1000))
                until(lambda: on_pool(node) == 1001, 'the batch is not begun')
            until(lambda: on_pool(node) == 1, 'calls wait though the client has gone')
        let_go()
        assert called(node, 'object_get') == 0


def test_behind_a_batch_that_is_dropped():
    """A second request of a client that has left is not answered: the connection ends, and nothing of it is left."""
    with busy_pool() as (node, let_go):
        with connect(node) as s:
            s.sendall(reads(20) + request())
            until(lambda: on_pool(node) == 21, 'the batch is not begun')
            s.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert s.recv(1) == b'', 'one that has left is answered'
        until(lambda: on_pool(node) == 1 and gauge(node, OPEN) == 2, 'the connection is left')
        let_go()
        assert called(node, 'object_get') == 0

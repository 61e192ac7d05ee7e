"""Turns: batches that wait for theirs, what comes beside them, and clients that leave meanwhile."""
import contextlib
import json
import select
import signal
import time

from player import harness
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


@contextlib.contextmanager
def held(node):
    """NODE stands still."""
    node.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)


def settle(node):
    """Wait until NODE has done with everybody, the asker apart."""
    end = time.monotonic() + 30
    while gauge(node, 'supervm_http_connections{transport="http"}') > 1 or gauge(node, 'supervm_queue_depth{queue="calls"}') > 0:
        assert time.monotonic() < end, 'connections or calls are left'
        time.sleep(0.05)


def test_batches_in_line_of_clients_that_left():
    """What waits for its turn when its client has gone is not run; who is there is answered."""
    pay = [{'jsonrpc': '2.0', 'id': i, 'method': 'dev_send', 'params': {'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'none'}}
           for i in range(1000)]
    with dev() as node:
        with connect(node) as stays:
            with held(node):
                for _ in range(40):
                    with connect(node) as s:
                        s.sendall(request(body=json.dumps(pay)))
                stays.sendall(request(body=json.dumps(pay)))
            assert len(Reply(read_reply(stays)).json) == 1000
        settle(node)
        one = request(body=json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'stats_storage'}))
        ran = int(exchange(node.address, one).json['result']['loggedSeq'])
        assert ran <= 20 * 1000, f'{ran} transactions of 41 clients of which 40 had gone'


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


def test_calls_of_clients_that_left():
    """Of a batch that reads much, what has not been begun when its client has gone is not run."""
    pay = [{'jsonrpc': '2.0', 'id': i, 'method': 'dev_send', 'params': {'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'executed'}}
           for i in range(1000)]
    with harness.node('--dev', env={'UV_THREADPOOL_SIZE': '1'}) as node:
        assert len(exchange(node.address, request(body=json.dumps(pay)), timeout=60).json) == 1000
        bob = next(a['address'] for a in node.rpc('dev_accounts')['items'] if a['name'] == 'bob')
        many = [{'jsonrpc': '2.0', 'id': i, 'method': 'object_listByOwner', 'params': {'owner': bob, 'limit': 1000}} for i in range(1000)]
        for i in range(1, 4):  # seconds of work for the pool
            with connect(node) as s:
                s.sendall(request(body=json.dumps(many)))
                end = time.monotonic() + 30
                while gauge(node, 'supervm_queue_depth{queue="blocking"}') + called(node, 'object_listByOwner') < 1000 * i:
                    assert time.monotonic() < end, 'a batch is not begun'
        settle(node)
        ran = called(node, 'object_listByOwner')
        assert ran < 3 * 1000, f'{ran} calls for clients that had gone'
        assert len(node.rpc('object_listByOwner', owner=bob, limit=1000)['items']) > 600

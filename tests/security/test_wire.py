"""What a client on the network, or a web page in a browser of this machine, can do over TCP."""
import contextlib
import json
import socket
import time

import player
import test_http
from player import harness
from test_http import HEALTH, exchange, request


def dev(*args):
    return harness.node('--dev', *args)


def connect(node):
    host, port = node.address.rsplit(':', 1)
    return socket.create_connection((host, int(port)), timeout=20)


def served(node, method):
    """How many calls of METHOD the node has answered."""
    text = exchange(node.address, request('GET', '/metrics', '')).body.decode()
    return sum(int(line.rsplit(' ', 1)[1]) for line in text.splitlines()
               if line.startswith('supervm_rpc_requests_total{method="%s"' % method))


def raw(node, data, wait=1.0):
    """Everything the node says to DATA until it closes or is silent."""
    with connect(node) as s:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(data)
        s.settimeout(wait)
        got = b''
        with contextlib.suppress(socket.timeout, ConnectionResetError):
            while part := s.recv(65536):
                got += part
        return got


def test_no_listening_beyond_loopback():
    """Not without a second option; with the defaults every socket of the process is of loopback."""
    for address in ('0.0.0.0:0', '[::]:0', '192.0.2.1:0'):
        code, _, words = harness.daemon('--dev', '--listen', address)
        assert code in (1, 2) and 'listen-public-confirm' in words, (address, code, words)
    with dev() as node:
        with open(f'/proc/{node.process.pid}/net/tcp', encoding='ascii') as f:
            lines = [line.split() for line in f][1:]
        port = int(node.address.rsplit(':', 1)[1])
        mine = [line[1] for line in lines if line[3] == '0A' and line[1].endswith('%04X' % port)]
        assert mine == ['0100007F:%04X' % port], mine


def test_no_administration_over_tcp():
    with dev() as node:
        names = [m['name'] for m in node.rpc('rpc.discover')['methods'] if m['name'].startswith('admin_')]
        assert len(names) >= 8, names
        for name in names:
            status, text = player.post(node, json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': name, 'params': {}}))
            assert json.loads(text)['error']['data']['name'] == 'FORBIDDEN', (name, text)
        assert node.rpc('node_health')
        _, text = player.post(node, '{"jsonrpc":"2.0","id":1,"method":"admin_config"}', True)
        assert 'result' in json.loads(text), text


SMUGGLED = b'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s'
HIDDEN = b'{"jsonrpc":"2.0","id":9,"method":"node_info"}'


def test_nothing_is_smuggled():
    """A request hidden in another, as one parser of two might see it, is never called."""
    hidden = SMUGGLED % (len(HIDDEN), HIDDEN)
    head = b'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n'
    health = HEALTH.encode()
    frames = {
        'length before chunked': head + b'Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' % (5 + len(hidden)) + hidden,
        'chunked behind a tab': head + b'Transfer-Encoding:\tchunked\r\nContent-Length: 0\r\n\r\n' + hidden,
        'chunked in capitals, twice': head + b'Transfer-Encoding: CHUNKED\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n' + hidden,
        'folded': head + b'X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n' + hidden,
        'a size beyond 64 bits': head + b'Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nabcde\r\n0\r\n\r\n' + hidden,
        'a negative size': head + b'Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n' + hidden,
        'a size with 0x': head + b'Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n' + hidden,
        'a length beyond 64 bits': head + b'Content-Length: 18446744073709551617\r\n\r\n' + hidden,
    }
    with dev() as node:
        for name, data in frames.items():
            raw(node, data)
            assert served(node, 'node_info') == 0, f'{name}: the hidden request was called'
        plain = head + b'Content-Length: %d\r\n\r\n' % len(health) + health + hidden
        assert raw(node, plain).count(b'HTTP/1.1 200') == 2  # one after the other is allowed
        assert served(node, 'node_info') == 1, 'the test sees nothing'


def test_json_bombs():
    """What is small and means much, or is not JSON to everybody: a typed error, soon, and the next request is served."""
    call = '{"jsonrpc":"2.0","id":1,"method":"object_get","params":%s}'
    bodies = {
        'deep arrays': '[' * (1 << 20),
        'deep objects': '{"a":' * (1 << 20),
        'deep parameters': call % ('[' * 100000 + ']' * 100000),
        'a number of a megabyte': call % ('[' + '9' * (1 << 20) + ']'),
        'an exponent without end': call % '[1e999999999]',
        'a fraction of a megabyte': call % ('[0.' + '1' * (1 << 20) + ']'),
        'half a pair': call % r'["\ud800"]',
        'a NUL in a name': '{"jsonrpc":"2.0","id":1,"method":"node_health\\u0000","params":[]}',
        'no UTF-8': (call % '["\xff\xfe"]').encode('latin-1'),
        'overlong UTF-8': (call % '["\xc0\xaf"]').encode('latin-1'),
        'a name twice': '{"jsonrpc":"2.0","id":1,"method":"node_info","method":"object_get","params":[]}',
        'many names': call % ('{' + ','.join('"%x":0' % i for i in range(300000)) + '}'),
        'a byte order mark': '\ufeff' + HEALTH,
        'two values': HEALTH + HEALTH,
        'a control character': call % '["\x01"]',
    }
    with dev() as node:
        for name, body in bodies.items():
            got = exchange(node.address, request(body=body), timeout=20)
            assert got.status == 200, (name, got.status, got.body[:200])
            error = got.json['error'] if isinstance(got.json, dict) else got.json[0]['error']
            assert error['data']['name'] in ('PARSE_ERROR', 'INVALID_REQUEST', 'INVALID_PARAMS', 'LIMIT_EXCEEDED',
                                             'METHOD_NOT_FOUND'), (name, error)
            assert len(got.body) < 4096, (name, len(got.body))
        assert exchange(node.address, request()).status == 200


def test_many_names():
    """Ten times as many names cost about ten times as much: tables are hashed with a seed of the process."""
    with dev() as node:
        def took(names):
            body = '{"jsonrpc":"2.0","id":1,"method":"object_get","params":{' + ','.join(f'"{n}":0' for n in names) + '}}'
            start = time.monotonic()
            got = exchange(node.address, request(body=body), timeout=60)
            assert 'error' in got.json
            return time.monotonic() - start
        few = min(took([f'n{i:06}' for i in range(20000)]) for _ in range(3))
        many = min(took([f'n{i:06}' for i in range(200000)]) for _ in range(3))
        assert many < 60 * few + 1, f'200,000 names take {many:.2f} s, 20,000 take {few:.2f} s: that is not linear'


def test_forged_transactions():
    """Each bit turned, the chain's among them, another's key, cut short: never executed; the right one exactly once, however often."""
    with dev() as node:
        good, _ = test_http.signed(node, 'alice', test_http.payment('alice', 0))
        forged = []
        for i in range(8 * len(good)):
            bad = bytearray(good)
            bad[i // 8] ^= 1 << i % 8
            forged.append(bytes(bad))
        mallory, _ = test_http.signed(node, 'bob', test_http.payment('alice', 1))
        forged += [good[:-1], good + b'\0', good[:-96] + mallory[-96:], mallory]
        before = node.rpc('object_get', id=player.KNOWN['bob_coin'])
        got = test_http.records(test_http.stream(node, forged, '?wait=executed'))
        executed = [i for i, r in enumerate(got) if r['status'] == 1]
        assert not executed, f'executed: {executed} of {len(forged)}, those below {8 * len(good)} with that bit turned'
        assert node.rpc('object_get', id=player.KNOWN['bob_coin']) == before
        got = test_http.records(test_http.stream(node, [good] * 50, '?wait=executed'))
        assert all(r['status'] == 1 and r['seq'] == got[0]['seq'] for r in got), got[:3]
        routing = node.rpc('stats_routing')
        assert routing['completed']['fast'] == 1, routing


def test_slow_clients_hold_nobody():
    """Two hundred that send a byte now and then: others are served meanwhile, and soon these are gone."""
    with dev('--rpc.idle_timeout', '1s') as node:
        crowd = [connect(node) for _ in range(200)]
        data = request()
        for s in crowd:
            s.sendall(data[:20])
        end = time.monotonic() + 15
        alive, at = list(crowd), 20
        while alive and time.monotonic() < end:
            start = time.monotonic()
            assert exchange(node.address, request()).status == 200
            assert time.monotonic() - start < 5
            time.sleep(0.3)
            for s in list(alive):
                try:
                    s.sendall(data[at:at + 1])
                except OSError:
                    alive.remove(s)
            at = min(at + 1, len(data) - 2)
        assert not alive, f'{len(alive)} of 200 are still there'
        for s in crowd:
            s.close()


def test_a_web_page_cannot_reach_the_node():
    """DNS rebinding ends at the Host header; a form cannot send the content type; no page may read an answer or send JSON."""
    with dev() as node:
        page = {'Origin': 'https://evil.example', 'Sec-Fetch-Site': 'cross-site'}
        got = exchange(node.address, request(host='evil.example', headers=page))
        assert got.status == 403
        for kind in ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'):
            assert exchange(node.address, request(headers={**page, 'Content-Type': kind})).status == 415, kind
        asked = {**page, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type'}
        got = exchange(node.address, request('OPTIONS', '/', '', asked))
        assert got.status == 405 and 'access-control-allow-origin' not in got.headers, (got.status, got.headers)
        assert served(node, 'node_health') == 0

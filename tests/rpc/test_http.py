"""HTTP as it comes off the wire: status codes, framing, hosts, sizes, and the binary submit path."""
import base64
import contextlib
import json
import os
import re
import socket
import struct
import time

import contract
import player
from player import harness

HEALTH = '{"jsonrpc":"2.0","id":1,"method":"node_health"}'


def tests():
    return sorted((n, f) for n, f in globals().items() if n.startswith('test_'))


class Reply:
    def __init__(self, data):
        head, _, self.body = data.partition(b'\r\n\r\n')
        lines = head.decode('latin-1').split('\r\n')
        self.status = int(lines[0].split(' ')[1])
        self.headers = {k.lower(): v for k, _, v in (line.partition(': ') for line in lines[1:])}

    @property
    def json(self):
        return json.loads(self.body)

    def error(self, status, name):
        """Must be an HTTP error with a JSON-RPC error body."""
        assert self.status == status, f'status {self.status}, expected {status}: {self.body!r}'
        bad = contract.check_error(None, self.json['error'])
        assert not bad or 'is not in the contract' in bad[-1], bad
        assert self.json['id'] is None and self.json['error']['data']['name'] == name, self.json
        return {name}



def exchange(address, raw, timeout=10, has_body=True):
    """Send bytes as they are; read until the reply is whole."""
    host, port = address.rsplit(':', 1)
    with socket.create_connection((host, int(port)), timeout=timeout) as s:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(raw)
        return Reply(read_reply(s, has_body))


def read_reply(s, has_body=True):
    data = b''
    while b'\r\n\r\n' not in data:
        part = s.recv(65536)
        if not part:
            break
        data += part
    assert data, 'the connection was closed without an answer'
    head, _, body = data.partition(b'\r\n\r\n')
    length = 0
    for line in head.decode('latin-1').lower().split('\r\n'):
        if line.startswith('content-length:'):
            length = int(line.split(':')[1])
    while has_body and len(body) < length:
        part = s.recv(65536)
        assert part, 'the reply was cut'
        body += part
        data += part
    return data


def request(method='POST', path='/', body=HEALTH, headers=None, host='127.0.0.1', version='HTTP/1.1'):
    body = body.encode() if isinstance(body, str) else body
    fields = {'Host': host, 'Content-Type': 'application/json', 'Content-Length': str(len(body))}
    if method != 'POST':
        del fields['Content-Type'], fields['Content-Length']
    fields.update(headers or {})
    lines = [f'{method} {path} {version}'] + [f'{k}: {v}' for k, v in fields.items() if v is not None]
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body


def dev(*args):
    return harness.node('--dev', *args)


def test_status_of_calls():
    with dev() as node:
        ok = exchange(node.address, request())
        assert ok.status == 200 and ok.headers['content-type'] == 'application/json', ok.headers
        assert exchange(node.address, request(body='{"jsonrpc":"2.0","method":"node_health"}')).status == 204
        assert exchange(node.address, request(body='nonsense')).status == 200
        assert exchange(node.address, request(headers={'Content-Type': 'application/json; charset=utf-8'})).status == 200
        assert exchange(node.address, request(headers={'Content-Type': 'Application/JSON ;x=y'})).status == 200


def test_routes_and_methods():
    with dev() as node:
        seen = exchange(node.address, request('GET', '/nowhere', '')).error(404, 'NOT_FOUND')
        got = exchange(node.address, request('GET', '/', ''))
        seen |= got.error(405, 'INVALID_REQUEST')
        assert got.headers['allow'] == 'POST'
        for method in ('PUT', 'DELETE', 'OPTIONS', 'PATCH'):
            exchange(node.address, request(method, '/', '')).error(405, 'INVALID_REQUEST')
        got = exchange(node.address, request('POST', '/livez'))
        seen |= got.error(405, 'INVALID_REQUEST')
        assert got.headers['allow'] == 'GET, HEAD'
        return seen


def test_content_type():
    with dev() as node:
        seen = set()
        for kind in ('text/plain', 'application/jsonp', 'application/x-www-form-urlencoded', None):
            seen |= exchange(node.address, request(headers={'Content-Type': kind})).error(415, 'INVALID_REQUEST')
        return seen


def test_framing():
    """What two parsers could read differently is refused."""
    head = b'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n'
    body = HEALTH.encode()
    length = str(len(body)).encode()
    cases = {
        'two lengths': head + b'Content-Length: ' + length + b'\r\nContent-Length: 5\r\n\r\n' + body,
        'equal lengths': head + (b'Content-Length: ' + length + b'\r\n') * 2 + b'\r\n' + body,
        'length and chunked': head + b'Content-Length: ' + length + b'\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'two encodings': head + b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'odd encoding': head + b'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
        'signed length': head + b'Content-Length: +' + length + b'\r\n\r\n' + body,
        'listed length': head + b'Content-Length: ' + length + b', ' + length + b'\r\n\r\n' + body,
        'no host': b'POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ' + length + b'\r\n\r\n' + body,
        'two hosts': head + b'Host: localhost\r\nContent-Length: ' + length + b'\r\n\r\n' + body,
        'hidden chunked': head + b'Content-Length: ' + length + b'\r\nX: \rTransfer-Encoding: chunked\r\n\r\n' + body,
        'a space before the colon': head + b'Content-Length: ' + length + b'\r\nX : y\r\n\r\n' + body,
        'no HTTP': b'GET /livez FOO/1.1\r\n\r\n',
    }
    with dev() as node:
        for name, raw in cases.items():
            reply = exchange(node.address, raw)
            assert reply.status == 400, f'{name}: {reply.status} {reply.body!r}'
        assert exchange(node.address, request()).status == 200
        return exchange(node.address, cases['two lengths']).error(400, 'INVALID_REQUEST')


def test_chunked_body():
    with dev() as node:
        chunks = b''.join(b'%x\r\n%s\r\n' % (len(c), c) for c in (HEALTH[:7].encode(), HEALTH[7:].encode()))
        head = request(body='', headers={'Content-Length': None, 'Transfer-Encoding': 'chunked'})
        assert exchange(node.address, head + chunks + b'0\r\n\r\n').status == 200


def test_body_in_pieces():
    """Split at every byte."""
    raw = request()
    with dev() as node:
        host, port = node.address.rsplit(':', 1)
        with socket.create_connection((host, int(port)), timeout=10) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(raw)):
                s.sendall(raw[i:i + 1])
            assert Reply(read_reply(s)).status == 200


def test_keep_alive_and_pipelining():
    with dev() as node:
        host, port = node.address.rsplit(':', 1)
        bodies = [json.dumps({'jsonrpc': '2.0', 'id': i, 'method': 'object_get' if i % 2 else 'node_health',
                              'params': [player.KNOWN['counter']] if i % 2 else []}) for i in range(20)]
        with socket.create_connection((host, int(port)), timeout=10) as s:
            s.sendall(b''.join(request(body=b) for b in bodies))
            data, replies = b'', []
            while len(replies) < len(bodies):
                part = s.recv(65536)
                assert part, 'closed early'
                data += part
                while b'\r\n\r\n' in data:
                    head, _, rest = data.partition(b'\r\n\r\n')
                    length = int(head.lower().split(b'content-length: ')[1].split(b'\r\n')[0])
                    if len(rest) < length:
                        break
                    replies.append(json.loads(rest[:length]))
                    data = rest[length:]
        assert [r['id'] for r in replies] == list(range(20)), replies
        assert all('result' in r for r in replies)


def test_body_limit():
    with dev('--rpc.body_bytes_max', '4KiB') as node:
        fits = HEALTH + ' ' * (4096 - len(HEALTH))
        assert exchange(node.address, request(body=fits)).status == 200
        got = exchange(node.address, request(body=fits + ' '))
        seen = got.error(413, 'LIMIT_EXCEEDED')
        assert got.json['error']['data']['limit'] == 4096 and got.json['error']['data']['got'] == 4097
        head = request(body='', headers={'Content-Length': None, 'Transfer-Encoding': 'chunked'})
        exchange(node.address, head + b'1400\r\n' + b' ' * 0x1400 + b'\r\n0\r\n\r\n').error(413, 'LIMIT_EXCEEDED')
        exchange(node.address, request(body='', headers={'Content-Length': '99999999999'})).error(413, 'LIMIT_EXCEEDED')
        assert exchange(node.address, request()).status == 200
        return seen


def test_header_limit():
    with dev() as node:
        reply = exchange(node.address, request(headers={'X-Long': 'a' * 100000}))
        assert reply.status in (413, 431), reply.status
        assert exchange(node.address, request()).status == 200


def test_hosts():
    with dev('--rpc.hosts', 'node.example') as node:
        for host in ('localhost', 'localhost:7878', '127.0.0.1:1', '[::1]:7878', 'node.example', 'NODE.example:80'):
            assert exchange(node.address, request(host=host)).status == 200, host
        got = exchange(node.address, request(host='evil.example'))
        seen = got.error(403, 'FORBIDDEN')
        assert '--rpc.hosts' in got.json['error']['message'] and got.json['error']['data']['host'] == 'evil.example'
        for host in ('localhost.evil.example', '127.0.0.1.evil.example', 'evil.example:7878', ''):
            exchange(node.address, request(host=host)).error(403, 'FORBIDDEN')
        return seen


def test_cors():
    with dev('--rpc.cors_origins', 'https://app.example') as node:
        asked = {'Origin': 'https://app.example', 'Access-Control-Request-Method': 'POST'}
        got = exchange(node.address, request('OPTIONS', '/', '', asked))
        assert got.status == 204 and got.headers['access-control-allow-origin'] == 'https://app.example', got.headers
        got = exchange(node.address, request(headers={'Origin': 'https://app.example'}))
        assert got.status == 200 and got.headers['access-control-allow-origin'] == 'https://app.example'
        got = exchange(node.address, request(headers={'Origin': 'https://evil.example'}))
        assert 'access-control-allow-origin' not in got.headers
        assert exchange(node.address, request('OPTIONS', '/', '', {'Origin': 'https://evil.example'})).status == 405
    with dev() as node:
        got = exchange(node.address, request(headers={'Origin': 'https://app.example'}))
        assert got.status == 200 and 'access-control-allow-origin' not in got.headers


def test_probes():
    with dev() as node:
        assert exchange(node.address, request('GET', '/livez', '')).body == b'ok\n'
        assert exchange(node.address, request('GET', '/readyz', '')).body == b'ready\n'
        body = exchange(node.address, request('GET', '/readyz?verbose', '')).body.decode()
        assert '[+]engine: ' in body and body.endswith('ready\n'), body
        head = exchange(node.address, request('HEAD', '/livez', ''), has_body=False)
        assert head.status == 200 and head.headers['content-length'] == '3', head.headers
        player.post(node, '{"jsonrpc":"2.0","id":1,"method":"admin_drain"}', over_unix=True)
        got = exchange(node.address, request('GET', '/readyz', ''))
        assert got.status == 503 and '[-]admission' in got.body.decode() and 'retry-after' in got.headers, got.body
        assert exchange(node.address, request('GET', '/livez', '')).status == 200


def test_probes_without_room():
    """A node that refuses writes does not say that admission is open."""
    with dev('--datadir', 'data', '--storage.disk_free_min', '64TiB') as node:
        end = time.monotonic() + 30
        got = exchange(node.address, request('GET', '/readyz?verbose', ''))
        while '[-]engine' not in got.body.decode():
            assert time.monotonic() < end, got.body
            time.sleep(0.1)
            got = exchange(node.address, request('GET', '/readyz?verbose', ''))
        assert got.status == 503 and '[-]admission: STORAGE_READ_ONLY: see engine\n' in got.body.decode(), got.body
        pay = {'from': 'alice', 'to': 'bob', 'amount': '1'}
        answer = exchange(node.address, request(body=json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'dev_send', 'params': pay}))).json
        assert answer['error']['data']['name'] == 'STORAGE_READ_ONLY', answer
        checks = node.rpc('node_health')
        assert checks['status'] == 'degraded' and not next(c['ok'] for c in checks['checks'] if c['name'] == 'admission'), checks


def test_stats_and_metrics():
    with dev() as node:
        node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1'})
        routing = exchange(node.address, request('GET', '/v1/stats/routing', '')).json
        bad = contract.check(routing, contract.METHODS['stats_routing']['result']['schema'])
        assert not bad and routing['completed']['fast'] == 1, bad
        got = exchange(node.address, request('GET', '/metrics', ''))
        assert got.headers['content-type'].startswith('text/plain; version=0.0.4')
        lines = got.body.decode().splitlines()
        values = dict(line.rsplit(' ', 1) for line in lines if not line.startswith('#'))
        assert values['supervm_tx_completed_total{path="fast",status="ok"}'] == '1'
        assert values['supervm_rpc_requests_total{method="dev_send",code="0"}'] == '1'
        assert values['supervm_tx_latency_seconds_bucket{path="fast",stage="total",le="+Inf"}'] == '1'
        assert len(values) == sum(not line.startswith('#') for line in lines), 'a sample appears twice'
        names = [line.split()[2] for line in lines if line.startswith('# TYPE')]
        assert len(names) == len(set(names)), 'a metric is declared twice'
        for name in values:
            family = name.split('{')[0]
            assert any(family == n or family in (n + '_bucket', n + '_sum', n + '_count') for n in names), name


def test_internal_errors_have_an_id():
    """What is the node's own fault says no more than where its log has the reason; a checkpoint that fails leaves nothing."""
    with harness.node('--dev', '--datadir', 'data', '--durability', 'sync') as node:
        os.remove(os.path.join(node.dir, 'data', 'genesis.json'))
        body = {'jsonrpc': '2.0', 'id': 1, 'method': 'admin_checkpoint', 'params': {'dir': os.path.join(node.dir, 'copy')}}
        error = json.loads(player.post(node, json.dumps(body), True)[1])['error']
        assert error['code'] == -32603 and error['data']['name'] == 'INTERNAL' and error['data']['errorId'], error
        assert not [name for name in os.listdir(node.dir) if name.startswith('copy')], os.listdir(node.dir)
        node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'durable'})
        return {'INTERNAL'}


def test_a_checkpoint_without_room():
    """A file of the log that is mostly hole cannot be copied: the admin is told how much room is missing, and nothing is left. What is not copied
    does not count: spares, and what is none of the log's."""
    hole = 8 << 40
    with harness.node('--dev', '--datadir', 'data', '--durability', 'sync') as node:
        log = os.path.join(node.dir, 'data', 'log')
        node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'durable'})
        segment = os.path.join(log, max(name for name in os.listdir(log) if name.endswith('.log')))
        size = os.path.getsize(segment)
        os.truncate(segment, hole)
        body = {'jsonrpc': '2.0', 'id': 1, 'method': 'admin_checkpoint', 'params': {'dir': os.path.join(node.dir, 'copy')}}
        answer = json.loads(player.post(node, json.dumps(body), True)[1])
        bad = contract.check_response('admin_checkpoint', answer)
        assert not bad and answer['error']['data']['name'] == 'STORAGE_FULL', (bad, answer)
        data = answer['error']['data']
        assert data['param'] == 'dir' and data['retry'] == 'later', data
        needed, free = (int(kib) for kib in re.findall(r'([0-9]+) KiB', data['reason']))
        assert needed > hole >> 10 and 0 < free < needed, data
        assert not [name for name in os.listdir(node.dir) if name.startswith('copy')], os.listdir(node.dir)
        os.truncate(segment, size)
        for name in ('spare-3', 'stranger'):
            with open(os.path.join(log, name), 'wb') as f:
                f.truncate(hole)
        answer = json.loads(player.post(node, json.dumps(body), True)[1])
        assert 'result' in answer, answer
        return {'STORAGE_FULL'}


def test_unix_socket_needs_no_host():
    with dev() as node:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(player.os.path.join(node.dir, node.socket))
            s.sendall(request(host='anything.example'))
            assert Reply(read_reply(s)).status == 200


def test_unknown_host_is_told_before_the_body():
    with dev() as node:
        exchange(node.address, request(host='evil.example', body=' ' * 100000)).error(403, 'FORBIDDEN')


# ---- POST /v1/tx ------------------------------------------------------------------------------------------------------

STREAM = 'application/vnd.supervm.txs+bcs'


def stream(node, txs, query='', raw=None):
    body = raw if raw is not None else b''.join(struct.pack('<I', len(tx)) + tx for tx in txs)
    return exchange(node.address, request('POST', '/v1/tx' + query, body, {'Content-Type': STREAM}))


def records(reply):
    assert reply.status == 200, reply.body
    assert len(reply.body) % 48 == 0
    names = ('code', 'status', 'path', 'flags', 'failure', 'seq', 'digest')
    return [dict(zip(names, r)) for r in struct.iter_unpack('<iBBBBQ32s', reply.body)]


def signed(node, signer, body):
    one = player.Player(None)
    one.known['chain'] = node.rpc('node_info')['chain']['id']
    one.transaction(node, 'tx', signer, json.dumps(body))
    return base64.b64decode(one.known['tx']), bytes.fromhex(one.known['tx_digest'][2:])


def payment(name, spare, amount='5'):
    return {'inputs': [{'kind': 'owned', 'id': f'${name}_spare_{spare}', 'version': '1'}],
            'ops': [{'op': 'pay', 'from': 0, 'to': '$bob', 'amount': amount}]}


def test_stream():
    with dev() as node:
        good, good_digest = signed(node, 'alice', payment('alice', 0))
        poor, poor_digest = signed(node, 'alice', payment('alice', 1, '1001'))
        got = records(stream(node, [good, b'\0\0', poor, good], '?wait=executed'))
        assert [r['status'] for r in got] == [1, 255, 3, 1], got
        assert [r['code'] for r in got] == [0, 1001, 0, 0]
        assert got[0]['digest'] == good_digest == got[3]['digest'] and got[2]['digest'] == poor_digest
        assert got[0]['path'] == 0 and got[1]['path'] == 255 and got[1]['seq'] == 0
        assert got[2]['failure'] == 1 and {got[0]['flags'] & 1, got[3]['flags'] & 1} == {0, 1}
        assert records(stream(node, [])) == []
        later, later_digest = signed(node, 'alice', payment('alice', 2))
        got = records(stream(node, [later], '?wait=none'))
        assert got[0]['status'] == 0 and got[0]['digest'] == later_digest, got
        return {'TX_DECODE'}


def test_stream_refused():
    with dev('--rpc.stream_items_max', '2') as node:
        seen = stream(node, [], raw=b'\x05\0\0\0abc').error(400, 'INVALID_REQUEST')
        stream(node, [], raw=b'\x05\0').error(400, 'INVALID_REQUEST')
        stream(node, [], raw=b'\xff\xff\xff\xffabc').error(400, 'INVALID_REQUEST')
        reply = stream(node, [b'a'] * 3)
        seen |= reply.error(413, 'LIMIT_EXCEEDED')
        data = reply.json['error']['data']
        assert (data.get('scope'), data['limit'], data['got']) == ('txs', 2, 3), data
        seen |= stream(node, [b'a'], '?wait=soon').error(400, 'INVALID_PARAMS')
        cases = {  # the query: the parameter, what was expected, what was got
            '?wait=soon': ('wait', 'one of none executed durable', 'soon'),
            '?wait': ('wait', 'one of none executed durable', 'nothing'),
            '?timeoutMs=x': ('timeoutMs', 'integer from 1 to 600000', 'x'),
            '?timeoutMs=': ('timeoutMs', 'integer from 1 to 600000', ''),
            '?timeoutMs=0': ('timeoutMs', 'integer from 1 to 600000', '0'),
            '?timeoutMs=600001': ('timeoutMs', 'integer from 1 to 600000', '600001'),
            '?timeoutMs=4294967297': ('timeoutMs', 'integer from 1 to 600000', '4294967297'),
            '?wiat=none': ('wiat', 'a parameter of this path: wait, timeoutMs', 'an unknown name'),
            '?wait=none&x=1': ('x', 'a parameter of this path: wait, timeoutMs', 'an unknown name'),
            '?Wait=none': ('Wait', 'a parameter of this path: wait, timeoutMs', 'an unknown name'),
            '?wait=none&wait=durable': ('wait', 'once', 'twice'),
            '?' + 'y' * 9000: ('y' * 64, 'a parameter of this path: wait, timeoutMs', 'an unknown name'),
        }
        for query, (param, expected, got) in cases.items():
            reply = stream(node, [b'a'], query)
            reply.error(400, 'INVALID_PARAMS')
            data = reply.json['error']['data']
            assert (data['param'], data['expected'], data['got']) == (param, expected, got), (query[:80], data)
        exchange(node.address, request('POST', '/v1/tx', b'')).error(415, 'INVALID_REQUEST')
        assert len(records(stream(node, [b'a'] * 2))) == 2
        for fits in ('1', '600000'):
            assert len(records(stream(node, [b'a'], '?timeoutMs=' + fits))) == 1
        return seen


def test_stream_told_to_come_again():
    """Beyond the node's capacity a transaction is refused by itself, and its record says when to send it again."""
    with dev('--engine.inflight_max', '64') as node:
        got = records(stream(node, [b'\0\0'] * 16384))
        assert {r['code'] for r in got} == {1001, -32006}, {r['code'] for r in got}
        assert all(r['status'] == 255 for r in got)
        assert all((r['seq'] > 0) == (r['code'] == -32006) for r in got)
        return {'OVERLOADED'}


def test_stream_beyond_the_waiters():
    with dev('--rpc.stream_items_max', '1000000') as node:
        reply = stream(node, [b''] * 140000)
        seen = reply.error(503, 'OVERLOADED')
        data = reply.json['error']['data']
        assert data['scope'] == 'waiters' and data['limit'] == 1 << 17 and reply.headers['retry-after'], data
        return seen


def test_silence():
    """A request that never ends is cut off after the idle timeout; others are served meanwhile."""
    with dev('--rpc.idle_timeout', '1s') as node:
        host, port = node.address.rsplit(':', 1)
        with socket.create_connection((host, int(port)), timeout=10) as s:
            s.sendall(request()[:-1])
            assert exchange(node.address, request()).status == 200
            start = time.monotonic()
            while s.recv(4096):
                pass
            assert time.monotonic() - start < 5


def test_many_connections():
    """Fifty clients at once, each with a batch, all answered."""
    with dev() as node:
        host, port = node.address.rsplit(':', 1)
        body = json.dumps([{'jsonrpc': '2.0', 'id': i, 'method': 'object_get', 'params': [player.KNOWN['counter']]}
                           for i in range(20)])
        sockets = [socket.create_connection((host, int(port)), timeout=20) for _ in range(50)]
        for s in sockets:
            s.sendall(request(body=body))
        for s in sockets:
            answers = Reply(read_reply(s)).json
            assert [a['id'] for a in answers] == list(range(20)) , answers
            assert not [a for a in answers if 'error' in a], [a for a in answers if 'error' in a]
            s.close()


def test_client_that_leaves():
    """Requests whose client has gone leave nothing behind."""
    with dev() as node:
        host, port = node.address.rsplit(':', 1)
        for _ in range(30):
            s = socket.create_connection((host, int(port)), timeout=10)
            s.sendall(request(body='{"jsonrpc":"2.0","id":1,"method":"dev_generateLoad","params":{"transactions":20}}'))
            s.close()
        end = time.monotonic() + 20
        while 'supervm_queue_depth{queue="calls"} 0\n' not in exchange(
                node.address, request('GET', '/metrics', '')).body.decode():
            assert time.monotonic() < end, 'calls are left in flight'
            time.sleep(0.1)


# ---- small requests, large answers ------------------------------------------------------------------------------------

def peak_mib(node):
    with open(f'/proc/{node.process.pid}/status', encoding='utf-8') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmHWM')) // 1024


def test_amplification():
    """Few bytes that would be many values, many calls or many answers."""
    call = '{"jsonrpc":"2.0","id":1,"method":"object_get","params":'
    with dev() as node:
        before = peak_mib(node)
        for body in ('[' + ','.join(['1'] * 2500000) + ']', call + '[' + '{},' * 1600000 + '{}]}', '{"":' * 20 + '[[],' * 9000000):
            got = exchange(node.address, request(body=body[:5 << 20]), timeout=60)
            assert got.status == 200 and len(got.body) < 1000, (got.status, len(got.body))
        got = exchange(node.address, request(body='[' + ','.join(['1'] * 300000) + ']'), timeout=60)
        assert got.json['error']['data']['scope'] == 'batch' and got.json['id'] is None, got.body[:300]
        got = exchange(node.address, request(body=json.dumps([json.loads(call + '["x"]}')] * 1001)), timeout=60)
        assert len(got.json) == 1001 and all(r['id'] == 1 for r in got.json)
        discover = [{'jsonrpc': '2.0', 'id': i, 'method': 'rpc.discover'} for i in range(1000)]
        got = exchange(node.address, request(body=json.dumps(discover)), timeout=60)
        assert [r['id'] for r in got.json] == list(range(1000)) and len(got.body) < 18 << 20
        assert {r['error']['data']['name'] for r in got.json if 'error' in r} == {'RESPONSE_TOO_LARGE'}
        assert peak_mib(node) - before < 300, (before, peak_mib(node))
        return {'LIMIT_EXCEEDED', 'RESPONSE_TOO_LARGE'}


def test_odd_headers():
    with dev() as node:
        exchange(node.address, request(host='a' * 20000)).error(403, 'FORBIDDEN')
        for path in ('/livez%00x', '/%6civez'):
            exchange(node.address, request('GET', path, '')).error(404, 'NOT_FOUND')


def test_what_the_library_refuses():
    """The status is right, whatever page comes with it (docs/rpc/index.md); the next request is served."""
    head = b'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n'
    cases = {
        400: [head + b'Content-Length: abc\r\n\r\n', head + b'no colon\r\n\r\n', head + b'Transfer-Encoding: chunked\r\n\r\nzz\r\n'],
        413: [head + b'Content-Length: 99999999999999999999999\r\n\r\n',
              head + b'Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n'],
        414: [b'GET /' + b'a' * 40000 + b' HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'],
        431: [head + b'X: ' + b'a' * 40000 + b'\r\n\r\n'],
        505: [b'GET /livez HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n'],
    }
    with dev() as node:
        for status, raws in cases.items():
            for raw in raws:
                reply = exchange(node.address, raw)
                assert reply.status == status and reply.headers['connection'] == 'close', (raw[:99], reply.status)
        assert exchange(node.address, request()).status == 200


def test_empty_body():
    with dev() as node:
        data = exchange(node.address, request(body='')).json['error']['data']
        assert data['name'] == 'PARSE_ERROR' and data['line'] == 1 and data['reason'] == 'the body is empty', data


def test_long_ids_in_small_responses():
    """An id is echoed even where a result would not fit."""
    with dev('--rpc.response_bytes_max', '64KiB') as node:
        one = {'jsonrpc': '2.0', 'id': 'i' * 100000, 'method': 'rpc.discover'}
        for body in (one, [one, one]):
            got = exchange(node.address, request(body=json.dumps(body)))
            assert got.status == 200, (got.status, got.body[:200])
            for r in got.json if isinstance(body, list) else [got.json]:
                assert r['id'] == one['id'] and r['error']['data']['name'] == 'RESPONSE_TOO_LARGE', str(r)[-300:]


# ---- clients that hold on ---------------------------------------------------------------------------------------------

def connect(node):
    host, port = node.address.rsplit(':', 1)
    return socket.create_connection((host, int(port)), timeout=10)


def test_trickle():
    """A byte now and then does not keep a connection: the whole request has a limit too."""
    with dev('--rpc.idle_timeout', '1s') as node, connect(node) as s:
        start = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for byte in request():
                s.sendall(bytes([byte]))
                time.sleep(0.3)
                assert time.monotonic() - start < 8, 'the connection is still there'


def test_crowd():
    """With every connection taken by somebody who says nothing, the next one is served soon."""
    with dev('--rpc.connections_max', '32') as node:
        crowd = [connect(node) for _ in range(200)]
        assert exchange(node.address, request(), timeout=20).status == 200
        for s in crowd:
            s.close()


def test_half_a_request_does_not_hold_the_end():
    with dev('--node.drain_timeout', '1m') as node, connect(node) as s:
        s.sendall(request()[:-1])
        assert exchange(node.address, request()).status == 200
        start = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - start < 8


def test_bodies_together():
    """Bodies that never end are bounded in their sum, and give it back."""
    with dev('--rpc.body_bytes_max', '1MiB') as node:
        held = []
        part = request(body=b' ' * (1 << 20))[:-1]
        for _ in range(70):
            s = connect(node)
            s.sendall(part)
            held.append(s)
        time.sleep(0.5)
        seen = exchange(node.address, request(body=b' ' * (1 << 20))).error(503, 'OVERLOADED')
        assert peak_mib(node) < 300
        for s in held:
            s.close()
        time.sleep(0.5)
        assert exchange(node.address, request(body=b' ' * (1 << 20))).status == 200
        return seen


# ---- replies that nobody reads ----------------------------------------------------------------------------------------

DISCOVER = [{'jsonrpc': '2.0', 'id': 1, 'method': 'rpc.discover'}]


def ask_and_not_read(node, items):
    """A connection with an answer on its way that the sockets' buffers do not hold."""
    host, port = node.address.rsplit(':', 1)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(30)
    s.connect((host, int(port)))
    s.sendall(request(body=json.dumps(DISCOVER * items)))
    return s


def gauge(node, name):
    text = exchange(node.address, request('GET', '/metrics', ''), timeout=30).body.decode()
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(name + ' ')), None)


def test_replies_together():
    """Answers that nobody reads are bounded in their sum; those who do not read make room, and no small call is refused."""
    limit = 16 * (2 << 20)
    with dev('--rpc.response_bytes_max', '2MiB') as node:
        before = peak_mib(node)
        held = [ask_and_not_read(node, 26) for _ in range(150)]
        seen = set()
        end = time.monotonic() + 20
        taken = 0
        while taken < 3 or not seen:
            assert time.monotonic() < end, f'in 20 s: {taken} large answers, refused with {seen}'
            assert 'result' in exchange(node.address, request(), timeout=30).json
            got = exchange(node.address, request(body=json.dumps(DISCOVER * 26)), timeout=30)
            if got.status == 200 and all('result' in r for r in got.json):
                taken += 1
            for r in got.json if got.status == 200 else [got.json]:
                if 'error' in r:
                    data = r['error']['data']
                    assert (data['name'], data['scope'], data['limit']) == ('OVERLOADED', 'replies', limit), r
                    assert data['retryAfterMs'] > 0, r
                    seen.add(data['name'])
            held += [ask_and_not_read(node, 26) for _ in range(2 if seen else 20)]
            time.sleep(0.2)
        assert gauge(node, 'supervm_http_cut_total') > 0
        assert gauge(node, 'supervm_http_reply_bytes') <= limit + 1024 * 65536
        assert peak_mib(node) - before < 130, (before, peak_mib(node))
        for s in held:
            s.close()
        end = time.monotonic() + 20
        while gauge(node, 'supervm_http_reply_bytes') > 65536:
            assert time.monotonic() < end, 'what was held is not given back'
            time.sleep(0.1)
        return seen


def test_what_ran_is_answered():
    """While there is no room for answers a batch of transactions is refused before it runs, or each that ran has its answer."""
    def logged():
        one = request(body=json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'stats_storage'}))
        return int(exchange(node.address, one, timeout=30).json['result']['loggedSeq'])

    pay = [{'jsonrpc': '2.0', 'id': i, 'method': 'dev_send', 'params': {'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'executed'}}
           for i in range(1000)]
    with dev('--rpc.response_bytes_max', '1MiB') as node:
        for _ in range(3):
            before = logged()
            with connect(node) as s:
                whole = request(body=json.dumps(pay))
                s.sendall(whole[:-1])
                held = [ask_and_not_read(node, 13) for _ in range(40)]
                time.sleep(0.25)
                s.sendall(whole[-1:])
                got = Reply(read_reply(s))
            for k in held:
                k.close()
            answers = got.json if got.status == 200 else []
            if not answers:
                got.error(503, 'OVERLOADED')
            time.sleep(0.3)
            assert sum('result' in r for r in answers) == logged() - before, (got.status, len(answers), logged() - before)


def test_what_a_batch_is_worked_with():
    """What each call of a batch has needed is given back when that call is answered, not when the last one is."""
    def ask(*calls):
        body = json.dumps([{'jsonrpc': '2.0', 'id': i, 'method': method, 'params': params} for i, (method, params) in enumerate(calls)])
        return [answer.get('result') for answer in exchange(node.address, request(body=body), timeout=60).json]

    with dev() as node:
        for _ in range(2):
            assert all(ask(*[('dev_send', {'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'executed'})] * 600))
        accounts = ask(('dev_accounts', {}))[0]['items']
        owner = next(account['address'] for account in accounts if account['name'] == 'bob')
        before = peak_mib(node)
        listed = ask(*[('object_listByOwner', {'owner': owner, 'limit': 1000})] * 1000)
        assert any(listed) and len(listed) == 1000
        assert peak_mib(node) - before < 120, (before, peak_mib(node))


# ---- methods ----------------------------------------------------------------------------------------------------------

# By hand, beside the contracts: a method that is not here must say that it changes nothing.
CHANGING = {'admin_checkpoint', 'admin_compact', 'admin_drain', 'admin_reload', 'admin_runGc', 'admin_setLogLevel', 'admin_stop',
            'dev_faucet', 'dev_generateLoad', 'dev_send', 'tx_submit', 'tx_submitBatch'}


def test_methods_that_change_say_so():
    """A client, and the gateway itself, know of every method whether a call has done something."""
    with dev() as node:
        methods = exchange(node.address, request(body=json.dumps(DISCOVER[0]))).json['result']['methods']
    said = {m['name']: m.get('x-readOnly') for m in methods}
    assert set(said.values()) == {True, False}, said
    assert {name for name, reads in said.items() if not reads} == CHANGING, said

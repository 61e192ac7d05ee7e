"""Plays golden exchanges against a fresh development node.

    // comment
    @args --rpc.batch_items_max 2    further arguments of the node; first in the file
    @tx NAME SIGNER {...}            NAME becomes the base64 of that transaction, signed by a dev account
    @exit CODE                       the node ends by itself, with that code
    >> {...}                         request over TCP          >unix> {...}   over the unix socket
    << {...}                         the response; `<<` alone: there is none (204)

In a response "$_" stands for anything, "$name" for a value that is kept when it is first seen and must be the same from then
on; a member "..." allows further members, an element "..." further elements. In a request "$name" is replaced. Known from
the start: $alice .. $judy, $alice_coin, $alice_spare_0 .., $counter, $pool, $notice, $faucet, $chain."""
import base64
import hashlib
import http.client
import json
import os
import re
import shlex
import socket
import sys

import contract
import ed25519

sys.path.insert(0, os.path.join(contract.ROOT, 'tests', 'cli'))
import harness  # noqa: E402

NAMES = 'alice bob carol dave erin frank grace heidi ivan judy'.split()


def seed(name):
    return hashlib.sha256(b'supervm dev key ' + name.encode()).digest()


def object_id(label):
    return '0x' + hashlib.sha256(b'supervm dev object ' + label.encode()).hexdigest()


def known_values():
    known = {label: object_id(label) for label in ('counter', 'pool', 'notice', 'faucet')}
    for name in NAMES:
        public = ed25519.public_key(seed(name))
        known[name] = '0x' + hashlib.sha256(b'\0' + public).hexdigest()
        known[name + '_coin'] = object_id(name + ' coin')
        for i in range(5):
            known[f'{name}_spare_{i}'] = object_id(f'{name} spare {i}')
    return known


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def post(node, body, over_unix=False, timeout=30):
    """(HTTP status, body) of a POST / of BODY (text)."""
    connection = UnixConnection(os.path.join(node.dir, node.socket), timeout) if over_unix else \
        http.client.HTTPConnection(node.address, timeout=timeout)
    try:
        connection.request('POST', '/', body.encode(), {'Content-Type': 'application/json'})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Mismatch(Exception):
    pass


def substitute(value, known):
    if isinstance(value, str) and value.startswith('$'):
        if value[1:] not in known:
            raise Mismatch(f'{value} is not known yet')
        return known[value[1:]]
    if isinstance(value, list):
        return [substitute(v, known) for v in value]
    if isinstance(value, dict):
        return {k: substitute(v, known) for k, v in value.items()}
    return value


def match(expected, got, known, where='response'):
    if isinstance(expected, str) and expected.startswith('$'):
        if expected != '$_' and known.setdefault(expected[1:], got) != got:
            raise Mismatch(f'{where}: {got!r} is not {expected} = {known[expected[1:]]!r}')
    elif isinstance(expected, dict):
        if not isinstance(got, dict):
            raise Mismatch(f'{where}: {got!r} is no object')
        names = set(expected) - {'...'}
        if names - set(got) or ('...' not in expected and set(got) - names):
            raise Mismatch(f'{where}: members {sorted(got)}, expected {sorted(expected)}')
        for name in expected:
            if name != '...':
                match(expected[name], got[name], known, f'{where}.{name}')
    elif isinstance(expected, list):
        more = expected[-1:] == ['...']
        items = expected[:-1] if more else expected
        if not isinstance(got, list) or len(got) < len(items) or (len(got) > len(items) and not more):
            raise Mismatch(f'{where}: {got!r} is not a list of {len(items)}')
        for i, item in enumerate(items):
            match(item, got[i], known, f'{where}[{i}]')
    elif type(expected) is not type(got) or expected != got:
        raise Mismatch(f'{where}: {got!r} is not {expected!r}')


class Player:
    """One file, one node. Afterwards: methods called, error names met, number of exchanges."""

    def __init__(self, path):
        self.path = path
        self.known = dict(KNOWN)
        self.methods, self.errors, self.count = set(), set(), 0

    def play(self):
        with open(self.path) as f:
            lines = [line.rstrip('\n') for line in f]
        lines = [line for line in lines if line and not line.startswith('//')]
        args = []
        while lines and lines[0].startswith('@args '):
            args += shlex.split(lines.pop(0)[6:])
        with harness.node('--dev', *args) as node:
            self.known['chain'] = node.rpc('node_info')['chain']['id']
            self.known['copy'] = os.path.join(node.dir, 'copy')
            while lines:
                self.step(node, lines)

    def step(self, node, lines):
        line = lines.pop(0)
        if line.startswith('@tx '):
            self.transaction(node, *line.split(' ', 3)[1:])
            return
        if line.startswith('@exit '):
            code = node.wait()
            if code != int(line[6:]):
                raise Mismatch(f'exit code {code}:\n{node.stderr}')
            return
        request = re.match(r'>(unix)?>\s(.*)', line)
        if not request or not lines or not lines[0].startswith('<<'):
            raise Mismatch(f'not understood: {line}')
        try:
            sent = json.loads(request.group(2))
            body = json.dumps(substitute(sent, self.known))
        except ValueError:
            sent, body = None, request.group(2)  # on purpose: what is no JSON goes out as it is
        status, text = post(node, body, bool(request.group(1)))
        self.judge(sent, lines.pop(0)[2:].strip(), status, text)

    def judge(self, sent, expected, status, text):
        self.count += 1
        if not expected:
            if status != 204 or text:
                raise Mismatch(f'an answer where none is due: {status} {text}')
            self.note(sent, None)
            return
        if status != 200:
            raise Mismatch(f'HTTP status {status}: {text}')
        got = json.loads(text)
        match(json.loads(expected), got, self.known)
        self.note(sent, got)

    def note(self, sent, got):
        """Judge by the contracts, and remember what was reached."""
        requests = sent if isinstance(sent, list) else [sent]
        methods = {json.dumps(r.get('id')): r.get('method') for r in requests if isinstance(r, dict)}
        self.methods |= {m for m in methods.values() if isinstance(m, str)}
        for response in got if isinstance(got, list) else [got] if got is not None else []:
            method = methods.get(json.dumps(response.get('id')))
            bad = contract.check_response(method, response)
            if bad:
                raise Mismatch('; '.join(bad))
            if 'error' in response:
                self.errors.add(response['error']['data']['name'])
            for error in nested_errors(response.get('result')) if method != 'rpc.discover' else []:
                self.errors.add(error['data']['name'])

    def transaction(self, node, name, signer, text):
        """Encoded by the node, signed here."""
        body = substitute(json.loads(text), self.known)
        body.setdefault('sender', self.known[signer])
        encoded = node.rpc('tx_encode', transaction=body)
        tx, message = base64.b64decode(encoded['tx']), base64.b64decode(encoded['signingMessage'])
        if message != b'\0\0\x53' + tx or encoded['digest'] != '0x' + hashlib.sha256(message).hexdigest():
            raise Mismatch('tx_encode: message or digest is not that of the bytes')
        public = ed25519.public_key(seed(signer))
        signed = tx + b'\1\0' + public + ed25519.sign(seed(signer), message)
        self.known[name] = base64.b64encode(signed).decode()
        self.known[name + '_digest'] = encoded['digest']


def nested_errors(value):
    if isinstance(value, dict):
        if isinstance(value.get('data'), dict) and 'retry' in value['data']:
            yield value
        for inner in value.values():
            yield from nested_errors(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nested_errors(inner)


KNOWN = known_values()

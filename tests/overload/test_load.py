"""More than a node can take: transactions, connections, clients that do not read, batches, a limit on memory."""
import contextlib
import http.client
import json
import os
import resource
import shutil
import socket
import subprocess
import time

import player
from player import harness
from test_http import exchange, read_reply, request, stream
from test_wire import connect

ROOT = harness.ROOT
LOAD = os.path.join(ROOT, 'build', 'bench', 'load')
LONG = bool(os.environ.get('LONG'))
CPUS = sorted(os.sched_getaffinity(0))


def dev(*args, **more):
    return harness.node('--dev', *args, **more)


def memory_mib(node, key='VmRSS'):
    with open(f'/proc/{node.process.pid}/status', encoding='utf-8') as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key)) / 1024


def metric(node, sample):
    text = exchange(node.address, request('GET', '/metrics', '')).body.decode()
    assert f'# TYPE {sample.partition("{")[0]} ' in text, f'there is no {sample}'
    return sum(float(line.rsplit(' ', 1)[1]) for line in text.splitlines() if line.startswith(sample))


def descriptors(node):
    return len(os.listdir(f'/proc/{node.process.pid}/fd'))


def back_to_normal(node, within=5):
    """Within so many seconds nothing is left in flight, and a lone transaction is answered."""
    end = time.monotonic() + within
    node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1'})
    while metric(node, 'supervm_queue_depth{queue="calls"}') > 0:
        assert time.monotonic() < end, f'not back to normal within {within} s'
        time.sleep(0.05)
    assert time.monotonic() < end, f'a lone transaction is not answered within {within} s'


def play(node, connections, seconds):
    """The generator on its own core against the node on another: its figures."""
    args = [LOAD, '--connect', node.address, '--pid', str(node.process.pid), '--mode', 'binary', '--wait', 'executed',
            '--objects', '200000', '--count', '200000', '--seconds', str(seconds), '--warm', '0.5',
            '--set', os.path.join(ROOT, 'build', 'overload.set'), '--connections', str(connections)]
    done = subprocess.run(args, capture_output=True, text=True, timeout=120, check=False,
                          preexec_fn=lambda: os.sched_setaffinity(0, {CPUS[-1]}))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def one_core_node():
    """Signatures one by one on one core: some 20,000 transactions a second, which a generator on the other core can exceed."""
    return dev('--engine.inflight_max', '8192', env={'SVM_LANES': 'off'})


def test_goodput_at_twelve_times_the_load():
    """Twelve times as many transactions are offered at any moment as the node takes in: at least 90 % of its peak is done
    (75 % in the short form), the rest is refused with a time to come again, and who keeps to that comes in."""
    seconds, least = (4, 0.9) if LONG else (2, 0.75)  # two seconds beside other processes cannot tell 90 % from 80
    peak = 0
    for _ in range(3):  # other processes of the machine may take a core for a while
        with one_core_node() as node:
            for task in os.listdir(f'/proc/{node.process.pid}/task'):
                os.sched_setaffinity(int(task), {CPUS[0]})
            peak = max(peak, play(node, 16, seconds)['value'])
        with one_core_node() as node:
            for task in os.listdir(f'/proc/{node.process.pid}/task'):
                os.sched_setaffinity(int(task), {CPUS[0]})
            over = play(node, 1000, seconds)
            refused = metric(node, 'supervm_tx_rejected_total')
            back_to_normal(node)
            peak_memory = memory_mib(node, 'VmHWM')
        share = over['value'] / peak
        said = (f'{over["value"]:,} of {peak:,} a second ({share:.0%}); {over["retries"]:,} refused and sent again, '
                f'memory {peak_memory:.0f} MiB')
        if share >= least:
            break
    assert share >= least, said
    assert over['retries'] > 0 and refused > 0, 'nothing was refused: this was no overload. ' + said
    assert peak_memory < 600, said
    return said


def test_ten_thousand_idle_connections():
    """They cost little memory, hold nobody, and give everything back."""
    wanted = 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted + 200:
        wanted = hard - 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with dev('--rpc.connections_max', '12000') as node:
            before, open_before = memory_mib(node), descriptors(node)
            crowd = []
            for i in range(wanted):
                crowd.append(connect(node))
                if i % 50 == 0:
                    assert exchange(node.address, request()).status == 200
            taken = []
            for _ in range(100):
                start = time.monotonic()
                assert exchange(node.address, request()).status == 200
                taken.append(time.monotonic() - start)
            each = (memory_mib(node) - before) * 1024 / wanted
            assert descriptors(node) - open_before >= wanted
            assert each < 64, f'{each:.1f} KiB for each'
            for s in crowd:
                s.close()
            end = time.monotonic() + 5
            while descriptors(node) > open_before + 5:
                assert time.monotonic() < end, f'{descriptors(node)} descriptors are left, {open_before} were before'
                time.sleep(0.1)
            back_to_normal(node)
        taken.sort()
        return f'{wanted:,}, {each:.1f} KiB each; beside them a call takes {taken[50] * 1000:.1f} ms, the slowest of 100 {taken[-1] * 1000:.0f} ms'
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clients_that_do_not_read():
    """Large answers nobody takes are bounded in their sum, hold nobody, and go after the timeout."""
    body = json.dumps([{'jsonrpc': '2.0', 'id': i, 'method': 'rpc.discover'} for i in range(40)])
    with dev('--rpc.idle_timeout', '2s') as node:
        size = len(exchange(node.address, request(body=body), timeout=30).body)
        assert size > 1 << 20, size
        crowd = []
        for _ in range(100):
            s = connect(node)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(request(body=body))
            crowd.append(s)
        start = time.monotonic()
        while time.monotonic() < start + 4:
            assert exchange(node.address, request()).status == 200
            node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1'})
            time.sleep(0.05)
        peak = memory_mib(node, 'VmHWM')
        assert peak < 200 + 100 * size / (1 << 20), f'{peak:.0f} MiB'
        end = time.monotonic() + 15
        while metric(node, 'supervm_http_connections') > 3:
            assert time.monotonic() < end, 'they are still there'
            time.sleep(0.2)
        for s in crowd:
            s.close()
        back_to_normal(node)
        return f'100 answers of {size / (1 << 20):.1f} MiB, at most {peak:.0f} MiB resident'


def test_peers_that_vanish():
    """Half-closed: the answer still comes. Reset, or stopped in the middle: nothing is left of them."""
    with dev('--rpc.idle_timeout', '1s') as node:
        before = descriptors(node)
        with connect(node) as s:
            s.sendall(request())
            s.shutdown(socket.SHUT_WR)
            assert b'200 OK' in read_reply(s)
        crowd = []
        for i in range(150):
            s = connect(node)
            data = request(body='{"jsonrpc":"2.0","id":1,"method":"dev_generateLoad","params":{"transactions":20}}')
            s.sendall(data if i % 3 else data[:-7])
            if i % 3 == 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                s.close()
            else:
                crowd.append(s)  # never reads again
        end = time.monotonic() + 20
        while descriptors(node) > before + 3:
            assert time.monotonic() < end, f'{descriptors(node)} descriptors, {before} were before'
            time.sleep(0.2)
        back_to_normal(node)
        for s in crowd:
            s.close()


def test_giant_batches():
    """As large as the limits allow, many at once, beside small calls: each call of each batch has its answer."""
    calls = [{'jsonrpc': '2.0', 'id': i, 'method': 'object_get', 'params': [player.KNOWN['counter']]} for i in range(1000)]
    body = json.dumps(calls)
    with dev() as node:
        crowd = []
        for _ in range(40):
            s = connect(node)
            s.settimeout(60)
            s.sendall(request(body=body))
            crowd.append(s)
        slowest = 0.0
        for _ in range(50):
            start = time.monotonic()
            assert exchange(node.address, request(), timeout=60).status == 200
            slowest = max(slowest, time.monotonic() - start)
        kinds = {}
        for s in crowd:
            answers = json.loads(read_reply(s).partition(b'\r\n\r\n')[2])
            assert [a['id'] for a in answers] == list(range(1000))
            for a in answers:
                kind = a['error']['data']['name'] if 'error' in a else 'ok'
                kinds[kind] = kinds.get(kind, 0) + 1
            s.close()
        assert set(kinds) <= {'ok', 'OVERLOADED'} and kinds['ok'] >= 4000, kinds
        reply = stream(node, [b'\0\0'] * 16384)
        assert reply.status == 200 and len(reply.body) == 48 * 16384
        back_to_normal(node)
        return f'40,000 calls: {kinds}; a call beside them took at most {slowest * 1000:.0f} ms'


SMALL = ('--cache.bytes', '16MiB', '--storage.dirty_bytes_max', '16MiB', '--tx.dedupe_bytes', '8MiB')


def limited(node, more_mib):
    """The node may have as much address space as it has now and MORE_MIB."""
    limit = int((memory_mib(node, 'VmSize') + more_mib) * (1 << 20))
    resource.prlimit(node.process.pid, resource.RLIMIT_AS, (limit, limit))


def test_memory_is_bounded():
    """Caches set to be small: whatever is written, it stays small, under a limit of the address space that would end it."""
    with dev('--datadir', 'data', *SMALL) as node:
        limited(node, 1024)
        made = refused = 0
        end = time.monotonic() + (60 if LONG else 6)
        while time.monotonic() < end:
            try:
                made += node.rpc('dev_generateLoad', transactions=2000)['completed']
            except harness.RpcError as e:
                assert e.name in ('OVERLOADED', 'NO_MEMORY', 'BUSY'), e.error
                refused += 1
        assert made >= 2000, (made, refused)
        back_to_normal(node, 20)
        peak = memory_mib(node, 'VmHWM')
        assert peak < 400, f'{peak:.0f} MiB'
        return f'{made:,} transactions, {refused} rounds refused, {peak:.0f} MiB resident at most'


def test_out_of_memory():
    """No memory left at all: the node says so and ends, or goes on, or RocksDB ends it (it aborts where C++ has no memory); what
    was answered durable is there afterwards."""
    with dev('--datadir', 'data', *SMALL) as node:
        limited(node, 100)
        last = 0
        end = time.monotonic() + (30 if LONG else 5)
        try:
            while time.monotonic() < end:
                last = int(node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'durable'})['seq'])
                node.rpc('dev_generateLoad', transactions=500)
        except (OSError, harness.RpcError, http.client.HTTPException):
            pass  # it has ended, or refuses
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.process.wait(1)  # one that has begun to end
        how = node.process.poll()
        node.process.kill()
        node.process.wait()
        assert how in (None, 1, -6), f'exit code {how}: {node.stderr[-1000:]}'
        kept = node.dir + '-kept'
        shutil.copytree(os.path.join(node.dir, 'data'), kept, ignore=shutil.ignore_patterns('*.sock'))
    try:
        with dev('--datadir', kept) as node:
            applied = int(metric(node, 'supervm_seq_applied'))
            assert applied >= last > 0, (applied, last)
            back_to_normal(node)
    finally:
        shutil.rmtree(kept, ignore_errors=True)
    return f'{"it went on" if how is None else f"it ended with {how}"}; {last} was durable, {applied} is there'

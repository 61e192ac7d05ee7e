"""Clocks that leap, a process that is stopped, processors that others take."""
import os
import signal
import struct
import subprocess
import threading
import time

import player
from player import harness
from test_load import LONG, ROOT, back_to_normal, dev

LIBRARY = os.path.join(ROOT, 'build', 'overload-clock.so')


class Clock:
    """The wall clock of a node, moved by hand."""

    def __init__(self):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'clock_shift.c')
        subprocess.run(['cc', '-O2', '-Wall', '-Werror', '-shared', '-fPIC', '-D_GNU_SOURCE', '-o', LIBRARY, source], check=True)
        self.path = os.path.join(ROOT, 'build', f'overload-clock-{os.getpid()}')
        self.set(0)
        self.env = {'LD_PRELOAD': LIBRARY, 'CLOCK_SHIFT': self.path}

    def set(self, seconds):
        with open(self.path, 'r+b' if os.path.exists(self.path) else 'wb') as f:
            f.write(struct.pack('<q', int(seconds * 1000)))
        time.sleep(0.05)

    def close(self):
        os.unlink(self.path)


def pay(node):
    """A payment is admitted and executed: its position; or the name of the refusal."""
    try:
        return int(node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1'})['seq'])
    except harness.RpcError as e:
        return e.name


def test_clock_that_leaps():
    """Back an hour: nothing changes. Forward less than clock_jump_max: nothing changes. Further: writes are refused, reads are
    served, and when the clock is right again so is the node."""
    clock = Clock()
    try:
        with dev('--node.clock_jump_max', '60s', env=clock.env) as node:
            first = pay(node)
            assert isinstance(first, int), first
            clock.set(-3600)
            assert pay(node) == first + 1, 'after a leap back'
            clock.set(-7 * 86400)
            assert pay(node) == first + 2, 'after a leap back by a week'
            clock.set(0)
            clock.set(40)
            assert pay(node) == first + 3, 'after a small leap forward'
            clock.set(0)
            assert pay(node) == first + 4, 'and back again'
            clock.set(5 * 3600)
            refusal = pay(node)
            assert isinstance(refusal, str), f'five hours ahead, and admitted at {refusal}'
            try:
                node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1'})
            except harness.RpcError as e:
                assert 'node.clock_jump_max' in str(e.error), e.error  # what to set, by its name
            assert player.KNOWN['alice_coin'] in str(node.rpc('object_get', id=player.KNOWN['alice_coin']))
            clock.set(1)
            assert pay(node) == first + 5, 'after the clock was set right'
            return f'five hours ahead: {refusal}'
    finally:
        clock.close()


def test_stopped_in_the_middle():
    """SIGSTOP under load, for longer than every timeout of a client of the engine: then all goes on, nothing is done twice."""
    seconds = 30 if LONG else 3
    with dev('--datadir', 'data') as node:
        answers, errors = [], []

        def client(name):
            for _ in range(30):
                try:
                    answers.append(node.rpc('dev_send', **{'from': name, 'to': 'judy', 'amount': '1', 'wait': 'durable'}))
                except (OSError, harness.RpcError) as e:
                    errors.append(repr(e))
        before = int(node.rpc('stats_routing')['completed']['fast'])
        threads = [threading.Thread(target=client, args=(n,)) for n in player.NAMES[:8]]
        for t in threads:
            t.start()
        time.sleep(0.05)
        node.notify(signal.SIGSTOP)
        time.sleep(seconds)
        node.notify(signal.SIGCONT)
        for t in threads:
            t.join()
        routing = node.rpc('stats_routing')
        completed = int(routing['completed']['fast']) - before
        assert completed >= len(answers) and completed <= len(answers) + len(errors), (completed, len(answers), errors[:3])
        assert len({a['seq'] for a in answers}) == len(answers), 'two answers have one position'
        assert seconds >= 30 or not errors, errors[:3]
        back_to_normal(node)
        return f'{seconds} s; {len(answers)} answered, {len(errors)} given up by their client'


def test_starved_of_processors():
    """A node of lowest priority beside four processes that take all there is: slow, and each call answered."""
    hogs = [subprocess.Popen(['sh', '-c', 'while :; do :; done']) for _ in range(4)]
    try:
        with dev('--datadir', 'data') as node:
            for task in os.listdir(f'/proc/{node.process.pid}/task'):
                os.setpriority(os.PRIO_PROCESS, int(task), 19)
            end = time.monotonic() + (20 if LONG else 3)
            done = 0
            while time.monotonic() < end:
                assert isinstance(pay(node), int)
                done += 1
            for hog in hogs:
                hog.kill()
            back_to_normal(node)
            return f'{done} transactions, one at a time, in {20 if LONG else 3} s'
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


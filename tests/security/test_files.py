"""What another user of the machine, or whoever finds a copy of the data, can do."""
import os
import shutil
import stat
import subprocess
import tempfile

import player
from player import harness

SECRETS = [player.seed(name) for name in player.NAMES]


def modes(top):
    """(path, type, mode) of everything below TOP and TOP itself."""
    for folder, _, files in os.walk(top):
        for path in [folder] + [os.path.join(folder, f) for f in files]:
            info = os.lstat(path)
            yield path, stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode)


def loaded(node):
    """A few transactions of each kind, so that every file is there."""
    node.rpc('dev_generateLoad', transactions=200)
    node.rpc('dev_send', **{'from': 'alice', 'to': 'bob', 'amount': '1', 'wait': 'durable'})


def checkpoint(node, name):
    path = os.path.join(node.dir, name)
    status, text = player.post(node, '{"jsonrpc":"2.0","id":1,"method":"admin_checkpoint","params":{"dir":"%s"}}' % path, True)
    assert status == 200 and '"result"' in text, text
    return path


def test_files_are_private():
    """Whatever the umask: directories 0700, files 0600, the socket as configured; a checkpoint likewise."""
    before = os.umask(0)
    try:
        with harness.node('--dev', '--datadir', 'data', '--rpc.socket_mode', '0600') as node:
            loaded(node)
            copy = checkpoint(node, 'copy')
            seen = list(modes(os.path.join(node.dir, 'data'))) + list(modes(copy))
            assert len(seen) > 15, seen
            for path, kind, mode in seen:
                allowed = {stat.S_IFDIR: 0o700, stat.S_IFREG: 0o600, stat.S_IFSOCK: 0o600}[kind]
                assert mode & ~allowed == 0, f'{path} has mode {mode:o}'
    finally:
        os.umask(before)


def test_no_key_is_kept():
    """The node verifies and never signs for others: no secret key is in its files, its copies, its words or its answers."""
    with harness.node('--dev', '--datadir', 'data') as node:
        loaded(node)
        copy = checkpoint(node, 'copy')
        found = []
        for top in (os.path.join(node.dir, 'data'), copy):
            for path, kind, _ in modes(top):
                if kind == stat.S_IFREG:
                    with open(path, 'rb') as f:
                        data = f.read()
                    found += [(path, i) for i, s in enumerate(SECRETS) if s in data or s.hex().encode() in data]
        node.read(0.2)
        answers = node.stderr + str(node.rpc('node_info')) + str(node.rpc('object_get', id=player.KNOWN['alice_coin']))
        found += [('words', i) for i, s in enumerate(SECRETS) if s.hex() in answers]
        public = player.KNOWN['alice'][2:]
        assert public in answers, 'the search would find nothing'
        assert not found, found


def left_in_memory(top, seed, *command, code=0):
    """Where the memory of supervm, at its end, has SEED (bytes)."""
    library, found = os.path.join(top, 'key_search.so'), os.path.join(top, 'found')
    if not os.path.exists(library):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'key_search.c')
        subprocess.run(['cc', '-O2', '-Wall', '-Werror', '-shared', '-fPIC', '-D_GNU_SOURCE', '-o', library, source], check=True)
    hidden = bytes(b ^ 0xff for b in seed).hex()
    harness.client(*command, env={'LD_PRELOAD': library, 'KEY_HIDDEN': hidden, 'KEY_FOUND': found}, code=code)
    with open(found, encoding='ascii') as f:
        lines = f.read().splitlines()
    os.unlink(found)
    assert lines[-1] == 'searched', lines
    return lines[:-1]


def test_no_key_is_left_in_memory():
    """What supervm has read from a key file is in no page of it when it ends: shown, signed with, paid with, or refused."""
    top = tempfile.mkdtemp(prefix='supervm-test-')
    try:
        key = os.path.join(top, 'key')
        address = harness.client('-o', 'json', 'key', 'new', key).json['address']
        with open(key, encoding='ascii') as f:
            text = f.read().strip()
        seed = bytes.fromhex(text[2:])
        with harness.node('--dev') as node:
            node.cli('send', 'alice', address, '100')
            there = ('--url', node.url)
            unsigned = harness.client(*there, 'tx', 'build', '--from', 'alice', '--owned', 'alice spare 3@1', '--pay', '0,bob,6').out.strip()
            for command in (('key', 'show', key), ('key', 'sign', key, 'hello'), ('tx', 'sign', '--key', key, unsigned),
                            (*there, 'send', key, 'bob', '5'), (*there, 'owned', key)):
                assert not (found := left_in_memory(top, seed, *command)), (command, found)
        with open(key, 'a', encoding='ascii') as f:
            f.write('and more')
        for mode in (0o600, 0o644):
            os.chmod(key, mode)
            assert not (found := left_in_memory(top, seed, 'key', 'show', key, code=2)), (mode, found)
        os.chmod(key, 0o600)
        assert left_in_memory(top, seed, 'key', 'verify', address, text, code=2), 'the search would find nothing'
    finally:
        shutil.rmtree(top)


def test_a_directory_of_others_is_refused():
    """Who may swap a file could say what the state is."""
    top = tempfile.mkdtemp(prefix='supervm-test-')
    try:
        data = os.path.join(top, 'data')
        os.mkdir(data)
        os.chmod(data, 0o777)
        code, _, words = harness.daemon('--dev', '--datadir', data, '--listen', '127.0.0.1:0')
        assert code == 1 and 'others may write' in words and 'chmod 700' in words, (code, words)
        assert os.listdir(data) == []
    finally:
        shutil.rmtree(top)


def test_links_are_not_followed():
    """A link or a file where the node would make its own leads it nowhere."""
    top = tempfile.mkdtemp(prefix='supervm-test-')
    try:
        victim = os.path.join(top, 'victim')
        for place in ('data/LOCK', 'data/SYNCED', 'data/log/0000000000000001.log', 'data/supervmd.sock'):
            with open(victim, 'w', encoding='ascii') as f:
                f.write('precious')
            shutil.rmtree(os.path.join(top, 'data'), ignore_errors=True)
            os.makedirs(os.path.join(top, os.path.dirname(place)), 0o700)
            os.chmod(os.path.join(top, 'data'), 0o700)
            os.symlink(victim, os.path.join(top, place))
            code, _, words = harness.daemon('--dev', '--datadir', os.path.join(top, 'data'), '--listen', '127.0.0.1:0')
            assert code == 1, (place, code, words)
            with open(victim, encoding='ascii') as f:
                assert f.read() == 'precious', place
    finally:
        shutil.rmtree(top)


def test_a_stolen_copy_is_of_its_chain_only():
    """A copy opens under its own genesis and under no other; what was changed in it is refused or dropped, never believed."""
    with harness.node('--dev', '--datadir', 'data') as node:
        loaded(node)
        copy = checkpoint(node, 'copy')
        shutil.copytree(copy, node.dir + '-copy')
        copy = node.dir + '-copy'
    try:
        os.chmod(copy, 0o700)
        with harness.node('--dev', '--datadir', copy) as node:
            assert node.rpc('node_health')
        path = os.path.join(copy, 'FORMAT')
        with open(path, 'r+', encoding='ascii') as f:
            text = f.read()
            at = text.index('0x') + 2
            f.seek(0)
            f.write(text[:at] + ('1' if text[at] == '0' else '0') + text[at + 1:])
        code, _, words = harness.daemon('--dev', '--datadir', copy, '--listen', '127.0.0.1:0')
        assert code == 1 and 'another chain' in words, (code, words)
    finally:
        shutil.rmtree(copy, ignore_errors=True)

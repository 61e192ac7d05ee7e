"""What the tests of supervmd and supervm share: start a node, read its words, call it, end it.

Only the standard library. Nodes listen on loopback, on free ports, and never outlive their test."""
import contextlib
import ctypes
import glob
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("BIN", os.path.join(ROOT, "build", "bin"))
DAEMON = os.path.join(BIN, "supervmd")
CLIENT = os.path.join(BIN, "supervm")
if "BIN" not in os.environ:  # a test is run by one command, in a fresh tree too
    subprocess.run(["make", "--no-print-directory", "-j2", "daemon", "cli"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                   env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD", "CC")})
READY = re.compile(r"^supervmd ready http://(\S+)(?: unix:(\S+))?$")


def clean_env(extra=None):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("SUPERVM_") and k not in ("NOTIFY_SOCKET", "JOURNAL_STREAM")}
    env.update(extra or {})
    return env


def daemon(*args, env=None, timeout=30):
    """Run supervmd to its end: (exit code, stdout, stderr)."""
    done = subprocess.run([DAEMON, *args], env=clean_env(env), timeout=timeout,
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Node:
    """A running supervmd; args as on its command line, --listen is added."""

    def __init__(self, *args, env=None, listen="127.0.0.1:0", timeout=30):
        self.dir = tempfile.mkdtemp(prefix="supervm-test-")
        self.process = subprocess.Popen(
            [DAEMON, *args, "--listen", listen], env=clean_env(env), cwd=self.dir,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.stderr = ""
        self.traced = None  # a thread that stands still, see stalled
        self.address = self.socket = None
        line = self.wait_for(READY, timeout)
        self.address, self.socket = line.group(1), line.group(2)
        self.url = "http://" + self.address

    def read(self, timeout):
        """Append what stderr has to say within TIMEOUT; False at its end."""
        fd = self.process.stderr.fileno()
        if select.select([fd], [], [], timeout)[0]:
            data = os.read(fd, 65536)
            self.stderr += data.decode(errors="replace")
            return bool(data)
        return True

    def wait_for(self, pattern, timeout=10):
        """The first line of stderr that matches PATTERN."""
        pattern = re.compile(pattern)
        end = time.monotonic() + timeout
        alive = True
        while True:
            for line in self.stderr.splitlines():
                if match := pattern.search(line):
                    return match
            if not alive or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"no line matches {pattern.pattern!r} in:\n{self.stderr}")
            alive = self.read(max(0.0, min(0.2, end - time.monotonic())))

    def rpc(self, method, **params):
        """The result of a call over TCP; raises RpcError."""
        return call(self.url, method, params)

    def cli(self, *args, **more):
        return client("--url", self.url, *args, **more)

    def admin(self, *args, **more):
        return client("--socket", self.socket, *args, **more)

    def notify(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=30):
        """Exit code; what is left of stderr is read."""
        end = time.monotonic() + timeout
        while self.read(0.1) and time.monotonic() < end:
            pass
        try:
            return self.process.wait(max(0.1, end - time.monotonic()))
        finally:
            self.process.stderr.close()
            shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self, number=signal.SIGTERM):
        self.notify(number)
        return self.wait()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            if self.traced:  # the process is not gone before its tracer has taken notice
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(self.traced, WALL)
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


@contextlib.contextmanager
def node(*args, **more):
    """A node that ends with the block, by SIGTERM and with exit code 0 unless the block has ended it."""
    running = Node(*args, **more)
    try:
        yield running
        if running.process.poll() is None and not running.process.stderr.closed:
            code = running.stop()
            assert code == 0, f"exit code {code}:\n{running.stderr}"
    finally:
        running.kill()


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(error)
        self.error = error
        self.name = error["data"]["name"]


def call(url, method, params, timeout=30):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as response:
        answer = json.load(response)
    if "error" in answer:
        raise RpcError(answer["error"])
    return answer["result"]


class Done:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)


def client(*args, stdin="", env=None, timeout=60, code=0):
    """Run supervm; its exit code must be CODE (None = any)."""
    done = Done(subprocess.run([CLIENT, *args], input=stdin, env=clean_env(env), timeout=timeout,
                               capture_output=True, text=True, check=False))
    assert code is None or done.code == code, \
        f"supervm {' '.join(args)}: exit {done.code}, expected {code}\n{done.out}{done.err}"
    return done


class Manager:
    """A service manager's end of NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.seen = []

    def env(self, watchdog_us=None):
        env = {"NOTIFY_SOCKET": self.path}
        if watchdog_us:
            env["WATCHDOG_USEC"] = str(watchdog_us)
        return env

    def receive(self, timeout):
        """One datagram as a dictionary, or None."""
        self.socket.settimeout(timeout)
        try:
            text = self.socket.recv(4096).decode()
        except (socket.timeout, BlockingIOError):
            return None
        message = dict(line.split("=", 1) for line in text.splitlines())
        self.seen.append(message)
        return message

    def wait_for(self, key, timeout=10):
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            message = self.receive(left)
            if message and key in message:
                return message
        raise AssertionError(f"no {key} within {timeout} s; seen: {self.seen}")

    def count(self, key, seconds):
        """How many messages with KEY arrive in SECONDS."""
        end = time.monotonic() + seconds
        n = 0
        while (left := end - time.monotonic()) > 0:
            message = self.receive(left)
            n += bool(message and key in message)
        return n

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def workdir():
    directory = tempfile.mkdtemp(prefix="supervm-test-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


@contextlib.contextmanager
def stalled(running, name):
    """One thread of the node, whose name begins with NAME, stands still for the time of the block. The others go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ptrace(request, thread):
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())

    found = []
    for path in glob.glob(f"/proc/{running.process.pid}/task/*/comm"):
        with open(path, encoding="utf-8") as f:
            if f.read().startswith(name):
                found.append(int(path.split("/")[4]))
    assert found, f"no thread {name}"
    ptrace(PTRACE_SEIZE, found[0])
    ptrace(PTRACE_INTERRUPT, found[0])
    os.waitpid(found[0], WALL)
    running.traced = found[0]
    try:
        yield
    finally:
        running.traced = None
        libc.ptrace(PTRACE_DETACH, found[0], None, None)  # fails when the node has died: the test says so

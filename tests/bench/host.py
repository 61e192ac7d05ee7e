"""What the benchmarks need of the machine: programs run once each, directories, nodes, and what the machine is."""
import ctypes
import glob
import hashlib
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

PROGRAMS = "build/release/bench"
DAEMON = "build/bin/supervmd"
LOAD = "build/bench/load"
OTHERS_TOLD = 0.05  # a run during which others had so much of the processors is named
# What a figure depends on: a ledger's rows are void when it has changed.
SOURCES = ("src", "include", "tests/bench", "tests/compare", "tests/demos", "Makefile", "scripts/compare")


class Skip(Exception):
    """A row that cannot be measured here, and why."""


class NoFigure(Exception):
    """A row that was measured and failed its audit, or whose program ended badly."""


def output(*command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def die_with_us():
    """In the child, before it becomes the program: SIGTERM when this script dies, whatever kills it."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def run(path, *arguments, timeout=900, env=None):
    """One run of a program: every line of JSON that it printed."""
    if not os.access(path, os.X_OK):
        name = os.path.basename(path)
        if path.startswith(PROGRAMS) and not os.path.exists(f"tests/bench/{name}.c"):
            raise Skip(f"there is no tests/bench/{name}.c")
        raise NoFigure(f"{path} is not built: make bench-programs")
    process = subprocess.Popen([path, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, **(env or {})}, preexec_fn=die_with_us)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException as error:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise NoFigure(f"{os.path.basename(path)} did not end within {timeout} s") from error
        raise
    if process.returncode != 0:
        raise NoFigure((err.strip().splitlines() or [f"{os.path.basename(path)} ended with {process.returncode}"])[-1])
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if not lines:
        raise NoFigure(f"{os.path.basename(path)} printed no figure")
    if "skip" in lines[-1]:
        raise Skip(lines[-1]["skip"])
    return lines


def program(name, *arguments, **options):
    return run(f"{PROGRAMS}/{name}", *arguments, **options)[-1]


class Disk:
    """A fresh directory on the disk that holds build/, gone afterwards."""

    def __enter__(self):
        os.makedirs("build/bench", exist_ok=True)
        self.path = tempfile.mkdtemp(prefix="run-", dir="build/bench")
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Node:
    """A development node on loopback. `ready_s`: from its start to the first /readyz that says yes."""

    def __init__(self, datadir, env=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        begin = time.monotonic()
        if not os.access(DAEMON, os.X_OK):
            raise NoFigure(f"{DAEMON} is not built: make")
        self.process = subprocess.Popen(
            [DAEMON, "--dev", "--datadir", datadir, "--durability", "sync", "--listen", f"127.0.0.1:{self.port}",
             "--rpc-socket", datadir + ".socket"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})}, preexec_fn=die_with_us)
        while not self.is_ready():
            if self.process.poll() is not None:
                raise NoFigure("the node ended: " + self.process.stderr.read().strip()[-300:])
            if time.monotonic() - begin > 60:
                self.stop()
                raise NoFigure("the node was not ready within a minute")
            time.sleep(0.001)
        self.ready_s = time.monotonic() - begin

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Others:
    """What share of the processors others had meanwhile: busy time of the machine less that of this script and of the programs it has
    waited for. `share` is None after a stretch too short for the clock that counts it (10 ms)."""

    @staticmethod
    def times():
        with open("/proc/stat", encoding="utf-8") as file:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
        own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), own, time.monotonic()

    def __enter__(self):
        self.begin = self.times()
        return self

    def __exit__(self, *_):
        busy, own, wall = (after - before for before, after in zip(self.begin, self.times()))
        self.share = max(0.0, (busy - own) / (wall * os.cpu_count())) if wall > 1 else None


# ---- what the machine is ---------------------------------------------------------------------------------------------

def has_ifma():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return "avx512ifma" in file.read()


def line_ns():
    """A cache line to the other core and back, now: the host may move the processors between runs. None on one core."""
    try:
        return program("bench_limits", "line", "--seconds", 0.05).get("least")  # the least: where the cores are, not who else runs
    except (Skip, NoFigure):
        return None


def sources():
    """One name for the state of everything that a figure depends on."""
    digest = hashlib.sha256()
    for path in SOURCES:
        digest.update(output("git", "rev-parse", f"HEAD:{path}").encode())
    digest.update(output("git", "diff", "HEAD", "--", *SOURCES).encode())
    return digest.hexdigest()[:16]


def commit():
    dirty = output("git", "status", "--porcelain", "-uno", "--", *SOURCES)
    return output("git", "rev-parse", "--short=12", "HEAD") + (" with local changes" if dirty else "")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        text = file.read()
    model = re.search(r"model name\s*:\s*(.*)", text)
    generation = re.search(r"cpu family\s*:\s*(\d+)\nmodel\s*:\s*(\d+)", text)  # hosts of a cloud hide the rest of the name
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory_kib = int(re.search(r"MemTotal:\s*(\d+)", file.read()).group(1))
    build = output("df", "--output=fstype", "build").splitlines()
    governor = glob.glob("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    found = {
        "processor": f"{model.group(1) if model else platform.machine()}"
                     f"{' (family {}, model {})'.format(*generation.groups()) if generation else ''}, {os.cpu_count()} cores, AVX-512-IFMA: "
                     f"{'yes' if has_ifma() else 'no'}" + (", of a virtual machine" if "hypervisor" in text else ""),
        "main memory": f"{memory_kib / 1048576:.0f} GiB",
        "disk": f"{build[-1] if build else 'unknown'} (the file system that holds build/)",
        "load before": f"{os.getloadavg()[0]:.1f} (one-minute average; what else ran takes from the figures)",
        "system": f"Linux {platform.release()}",
        "compiler": (output("gcc", "--version").splitlines() or ["unknown"])[0],
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }
    if governor:
        with open(governor[0], encoding="utf-8") as file:
            found["frequency governor"] = file.read().strip()
    return found

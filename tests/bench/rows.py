"""The rows: what is asked of each, how one run of it is made, and in which form it is run.

A row's `one(run)` makes one run and returns what its program said (`value` is the figure); it raises host.Skip when this machine
cannot, host.NoFigure when the audit failed. Rows of one group are run in turn, run by run, so that what the host does
meanwhile meets all of them. A derived row is computed from others."""
import json
import os
import statistics
import subprocess
import sys
import time

import host


class Plan:
    """The sizes of a form. `quick` is for a look; `scale` shortens the rows that the table does not ask for."""

    def __init__(self, form):
        quick = form == "quick"
        self.form = form
        self.runs = int(os.environ.get("RUNS", 1 if quick else 5))
        self.seconds = float(os.environ.get("RUN_SECONDS", 1 if quick else 10))
        self.objects = int(os.environ.get("OBJECTS", 100000 if quick else 1000000))
        self.seed = int(os.environ.get("SVM_SEED", int(time.time()) if form != "full" else 1))
        self.sweep_runs = int(os.environ.get("SWEEP_RUNS", min(self.runs, 3)))
        self.calls = 1000 if quick else 10000
        self.quick = quick

    def short(self, seconds):
        return min(self.seconds, seconds)

    def less(self, runs):
        return min(self.runs, runs)


class Row:
    def __init__(self, name, group, what, unit, one, *, least=None, aim=None, better="more", runs=5, cost_s=10.0, settings="",
                 part="other", tags=None):
        self.name, self.group, self.what, self.unit, self.one = name, group, what, unit, one
        self.least, self.aim, self.better, self.runs, self.cost_s = least, aim, better, runs, cost_s
        self.settings, self.part, self.tags = settings, part, tags or {}
        self.details, self.skip = [], None
        self.failed, self.failed_now = [], 0  # runs without a figure: all that the ledger holds, and those of today
        self.values_override = None

    @property
    def values(self):
        if self.values_override is not None:
            return self.values_override
        return [detail["value"] for detail in self.details if detail.get("value") is not None]

    def median(self):
        return statistics.median(self.values) if self.values else None

    def middle(self, key):
        """The median over the runs of another figure; None when the program does not tell it."""
        seen = [detail[key] for detail in self.details if detail.get(key) is not None]
        return statistics.median(seen) if seen else None

    @property
    def given_up(self):
        """Twice without a figure: the third run would be no better."""
        return self.failed_now >= 2

    def reaches(self, asked):
        if asked is None or not self.values:
            return None
        return self.median() >= asked if self.better == "more" else self.median() <= asked


class Derived(Row):
    """`values(rows by name)` -> list of figures, from rows that have been run. OF: the one whose runs they are."""

    def __init__(self, name, what, unit, compute, of, **options):
        super().__init__(name, "derived", what, unit, None, runs=0, cost_s=0, **options)
        self.compute, self.of = compute, of

    def settle(self, by_name):
        self.failed = by_name[self.of].failed
        self.tags.setdefault("seconds", by_name[self.of].middle("seconds"))
        try:
            self.values_override = self.compute(by_name)
        except host.Skip as skip:
            self.values_override, self.skip = [], str(skip)
        if not self.values_override and not self.skip:
            self.skip = "its rows have no figure"


# ---- the engine alone ------------------------------------------------------------------------------------------------

ENGINE_WHAT = {
    "fast": "fast path, engine only (decoded in, receipt out)",
    "bytes": "fast path from bytes (decode, digest, dedupe, route, execute)",
    "consensus": "consensus path, declared inputs, uncontended",
    "mixed": "mixed 70/30, alternating",
    "hot": "one hot counter, exact",
    "transfer": "transfers: objects change hands",
}
SWITCHING_PARTS = (("mixed", "alternating"), ("blocks", "blocks of 700 and 300"))


def engine(plan, row, threads, seconds, *more):
    def one(run):
        return host.program("bench_engine", row, "--threads", threads, "--seconds", seconds, "--objects", plan.objects, "--seed",
                            plan.seed + run, *more)
    return one


def engine_durable(plan, row, mode, seconds):
    def one(run):
        with host.Disk() as path:
            return host.program("bench_engine", row, "--threads", 2, "--seconds", seconds, "--objects", plan.objects, "--seed",
                                plan.seed + run, "--durability", mode, "--datadir", path + "/data")
    return one


def engine_rows(plan):
    asked = {"fast": (4e6, 10e6), "bytes": (1.5e6, 3e6), "consensus": (2e6, 5e6), "mixed": (3e6, 7e6), "hot": (3e6, 10e6)}
    cost = (12 if not plan.quick else 6) + plan.seconds
    rows = []
    for name, what in ENGINE_WHAT.items():
        if plan.form != "full" and name == "transfer":
            continue
        seconds = plan.short(5) if name == "transfer" else plan.seconds
        runs = plan.less(3) if name == "transfer" else plan.runs
        least, aim = asked.get(name, (None, None))
        rows.append(Row(f"engine-{name}", "engine", what, "tx/s", engine(plan, name, 2, seconds), least=least, aim=aim,
                        runs=runs, cost_s=cost, settings=f"2 threads, {seconds:g} s, {plan.objects} objects",
                        part="table" if least else "besides"))
    if not plan.quick:
        seconds = plan.short(5)
        rows.append(Row("engine-hot-1", "engine", "one hot counter, one thread: a chain on one core", "tx/s", engine(plan, "hot", 1, seconds),
                        runs=plan.less(3), cost_s=seconds + 15, settings=f"1 thread, {seconds:g} s, {plan.objects} objects", part="besides",
                        tags={"also": ("aborts", "aborts")}))
    rows.append(Row("mode-switching", "engine", "mode switching: alternating fast and consensus against blocks, loss", "%",
                    engine(plan, "switching", 2, plan.seconds), least=3, aim=1, better="less", runs=plan.runs,
                    cost_s=plan.seconds + (30 if not plan.quick else 12),
                    settings=f"2 threads, {plan.seconds:g} s, in turn, {plan.objects} objects", part="table"))
    for key, how in SWITCHING_PARTS:
        rows.append(Derived(f"mode-switching-{key}", f"in the row of mode switching: {how}", "tx/s",
                            lambda by, key=key: [detail[key] for detail in by["mode-switching"].details], "mode-switching", part="besides"))
    return rows


def durable_rows(plan):
    cost = plan.seconds + (20 if not plan.quick else 8)
    rows = [Row("engine-durable", "durable", "durable `sync`, engine, 1 object written per transaction", "tx/s",
                engine_durable(plan, "fast", "sync", plan.seconds), least=500e3, aim=900e3, runs=plan.runs, cost_s=cost,
                settings=f"2 threads, {plan.seconds:g} s, {plan.objects} objects", part="table")]
    if not plan.quick:
        seconds = plan.short(5)
        rows.append(Row("engine-durable-transfer", "durable", "durable `sync`, engine, transfers: objects change hands, the owner index with them", "tx/s",
                        engine_durable(plan, "transfer", "sync", seconds), runs=plan.less(3), cost_s=seconds + 20,
                        settings=f"2 threads, {seconds:g} s, {plan.objects} objects", part="besides"))
    return rows


def cells_rows(plan):
    rows = []
    for name, what, least, aim in (("uniform", "uniform", 1.5e6, 3e6), ("zipf99", "zipf 0.99", 0.7e6, 1.5e6)):
        def one(run, name=name):
            return host.program("bench_cells", f"cells-{name}", "--threads", 2, "--seconds", plan.seconds, "--seed", plan.seed + run,
                                "--batch", 256, "--cells", plan.objects)
        rows.append(Row(f"cells-{name}", "cells", f"interactive MVCC transactions, 2 reads + 2 writes, {what}", "tx/s", one,
                        least=least, aim=aim, runs=plan.runs, cost_s=plan.seconds + 4,
                        settings=f"2 threads, {plan.seconds:g} s, {plan.objects} cells", part="table"))
    return rows


# ---- the original's ---------------------------------------------------------------------------------------------------

def original_rows(plan):
    """Every workload of the original's; three of them and its transfers are asked for, in multiples of its best run."""
    asked = {"large-5000": (2, 4), "large-10000": (2, 4), "mixed-70-30": (2, 4), "transfers-50": (2, 5), "transfers-5": (2, 5)}
    path = f"{host.PROGRAMS}/bench_original"
    seen, rows = set(), []
    for line in host.output(path, "list").splitlines() if os.access(path, os.X_OK) else []:
        name, _, threads = line.split()
        first = name not in seen
        seen.add(name)
        if plan.quick and (not first or name not in asked):
            continue
        def one(_, name=name, threads=threads):
            return host.program("bench_original", name, "--threads", threads)
        row = Row(f"original-{name}" + ("" if first else f"-x{threads}"), "original",
                  f"the original's {name}, {threads} thread{'s' if threads != '1' else ''}", "tx/s", one, runs=5 * plan.runs, cost_s=0.1,
                  settings=f"{threads} threads", part="table" if first and name in asked else "original",
                  tags={"multiples": asked.get(name) if first else None, "threads": threads})
        rows.append(row)
    return rows


def original_asked(row):
    """Multiples of the original's best run become figures when a run has told what that was."""
    if row.tags.get("multiples") and row.details:
        theirs = row.details[0]["theirs"]
        row.least, row.aim = (factor * theirs for factor in row.tags["multiples"])


# ---- signatures --------------------------------------------------------------------------------------------------------

def lanes_rows(plan):
    def one(name):
        def run(_):
            if name == "ed25519-lanes" and not host.has_ifma():
                raise host.Skip("this processor has no AVX-512-IFMA")
            return host.program("bench_crypto", name, 1 if plan.quick else 2, 200)
        return run
    lanes = Row("ed25519-lanes", "lanes", "Ed25519 on lanes, per core, IFMA", "/s", one("ed25519-lanes"), least=150e3, aim=200e3,
                runs=plan.runs, cost_s=3, part="table", settings="1 thread")
    return [lanes]


# ---- over the socket -----------------------------------------------------------------------------------------------------

class Socket:
    """The load generator against a fresh node, both on the same cores; unix socket. The signed transactions are made once."""

    def __init__(self, plan):
        self.plan = plan
        self.count = 400000 if plan.quick else 3500000
        self.few = min(self.count, 800000)  # for rows that libsodium or single requests keep below 60,000/s
        self.peak = None

    def load(self, mode, seconds, lanes, *more, connections=32, few=False):
        if not os.access(host.LOAD, os.X_OK):
            raise host.NoFigure(f"{host.LOAD} is not built: make bench-programs")
        count = self.few if few else self.count
        path = f"build/bench/load-{self.plan.objects}-{count}.set"
        with host.Disk() as disk, host.Node(disk + "/data", env={} if lanes else {"SVM_LANES": "off"}) as node:
            told = host.run(host.LOAD, "--connect", f"unix:{disk}/data.socket", "--mode", mode, "--connections", connections, "--seconds", seconds,
                            "--objects", self.plan.objects, "--count", count, "--seed", 1, "--set", path, "--pid", node.process.pid,
                            "--audit", self.plan.objects, "--warm", 0.3 if self.plan.quick else 1, *more,
                            timeout=900)[-1]
        if told["exhausted"]:
            raise host.NoFigure(f"{count} signed transactions were used up before the time was")
        return told

    def rate(self, mode, lanes, seconds):
        def one(_):
            if lanes and not host.has_ifma():
                raise host.Skip("this processor has no AVX-512-IFMA")
            return self.load(mode, seconds, lanes, few=not lanes)
        return one

    def half(self, _):
        """Open loop at half of what single submits reach in a closed one; the peak is measured once."""
        seconds = self.plan.seconds
        if self.peak is None:
            self.peak = self.load("single", max(1.0, seconds / 3), True, "--wait", "executed", connections=64, few=True)["value"]
        told = self.load("single", seconds, True, "--wait", "executed", "--rate", round(self.peak / 2), connections=64, few=True)
        told["value"], told["p99_ms"], told["peak"] = told["p50_us"] / 1000, told["p99_us"] / 1000, self.peak
        return told


def socket_rows(plan):
    sock = Socket(plan)
    off = plan.short(5)
    beside = 9 if not plan.quick else 3
    rows = [Row("verify", "socket", "Ed25519 by libsodium, all cores together", "/s", lambda _: host.run(host.LOAD, "--verify", 2)[-1],
                runs=plan.runs, cost_s=2.2, part="besides", settings="2 s")]
    for mode, what, least, aim in (("batch", "JSON batches of 100", 60e3, 120e3), ("binary", "binary", 120e3, 200e3)):
        rows.append(Row(f"socket-{mode}", "socket", f"signed + durable over the socket, {what}, IFMA", "tx/s",
                        sock.rate(mode, True, plan.seconds), least=least, aim=aim, runs=plan.runs, cost_s=plan.seconds + beside, part="table",
                        settings=f"32 connections, {plan.seconds:g} s, {plan.objects} objects, load generator on the same cores"))
        rows.append(Row(f"socket-{mode}-portable", "socket", f"over the socket without IFMA (`SVM_LANES=off`), {what}", "tx/s",
                        sock.rate(mode, False, off), runs=plan.runs, cost_s=off + beside, part="besides",
                        settings=f"32 connections, {off:g} s, {plan.objects} objects, load generator on the same cores"))
    rows.append(Row("socket-half", "half", "single submits at 50 % load, `executed`: p50", "ms", sock.half, least=0.3, aim=0.15,
                    better="less", runs=plan.runs, cost_s=plan.seconds + beside, part="table",
                    settings=f"open loop at half of the closed loop's rate, 64 connections, {plan.seconds:g} s, {plan.objects} objects"))
    rows.append(Derived("socket-half-p99", "the same: p99", "ms",
                        lambda by: [detail["p99_ms"] for detail in by["socket-half"].details], "socket-half", least=2, aim=1, better="less",
                        part="table"))
    for mode, least, aim in (("batch", 70, 80), ("binary", 85, 93)):
        def share(by, mode=mode):
            """Each run of what the cores verified in the run of `verify` that was made in the same minutes; disturbed ones only if there are no others."""
            verified = by["verify"].details
            pairs = [(detail, min(verified, key=lambda v, at=detail["at"]: abs(v["at"] - at))) for detail in by[f"socket-{mode}-portable"].details if verified]
            calm = [pair for pair in pairs if max(detail["others"] or 0 for detail in pair) < host.OTHERS_TOLD]
            return [100 * portable["value"] / verify["value"] for portable, verify in calm or pairs]
        rows.append(Derived(f"socket-{mode}-share", f"over the socket without IFMA, {'JSON' if mode == 'batch' else mode}: share of what both cores "
                            "verify by libsodium, of different signatures, in the same minutes", "%", share, f"socket-{mode}-portable",
                            least=least, aim=aim, part="table"))
    return rows


# ---- part 1 -------------------------------------------------------------------------------------------------------------

class Part1:
    """The rows of "Speed and size": decoded transactions handed from one generator thread to the workers."""

    def __init__(self, plan):
        self.plan = plan
        self.filled = None

    def common(self, run, seconds, objects=None):
        return ["--objects", objects or self.plan.objects, "--workers", 0, "--seconds", seconds, "--seed", self.plan.seed + run]

    def rate(self, name, seconds):
        return lambda run: host.program("bench_part1", name, *self.common(run, seconds))

    def on_disk(self, name, seconds, objects=None):
        def one(run):
            with host.Disk() as path:
                return host.program("bench_part1", name, "--datadir", path + "/data", *self.common(run, seconds, objects))
        return one

    def latency(self, path, wait):
        def one(_):
            with host.Disk() as disk, host.Node(disk + "/data") as node:
                return host.program("bench_part1", "rpc-" + path, "--port", node.port, "--count", self.plan.calls, "--wait", wait)
        return one

    def ready_empty(self, _):
        with host.Disk() as path, host.Node(path + "/data") as node:
            return {"value": node.ready_s * 1000}

    def ready_filled(self, run):
        if self.filled is None:
            self.filled = host.Disk()
            path = self.filled.__enter__()
            host.program("bench_part1", "fill", "--datadir", path + "/data", *self.common(run, 1))
        with host.Node(self.filled.path + "/data") as node:
            return {"value": node.ready_s * 1000}

    def close(self):
        if self.filled is not None:
            self.filled.__exit__()


def part1_rows(plan, part1):
    seconds = plan.short(5)
    def engine_s(seconds):
        return f"one generator thread, a worker per core, {seconds:g} s, {plan.objects} objects"
    calls = f"{plan.calls} calls, one at a time, one keep-alive connection"
    def row(name, what, unit, one, least=None, better="more", runs=3, cost_s=10.0, settings=engine_s(seconds)):
        return Row(name, "part1", what, unit, one, least=least, better=better, runs=plan.less(runs), cost_s=cost_s, settings=settings,
                   part="part1")
    rows = [] if plan.quick else [
        row("part1-fast", "engine only, fast path", "tx/s", part1.rate("fast", seconds), 1e6),
        row("part1-consensus", "engine only, consensus path", "tx/s", part1.rate("consensus", seconds), 500e3),
        row("part1-durable", "durable (`sync`), fast path", "tx/s", part1.on_disk("durable", plan.seconds), 200e3, cost_s=plan.seconds + 20,
            settings=engine_s(plan.seconds)),
    ]
    for path, of in (("fast", "fast path"), ("consensus", "consensus path")):
        for wait, most in (("executed", 500), ("durable", 1000)):
            rows.append(row(f"rpc-{wait}-{path}", f"one signed `tx_submit` at a time, `{wait}`, {of}, p50", "us",
                            part1.latency(path, wait), most, "less", cost_s=3 if plan.quick else 4, settings=calls))
    rows += [
        row("ready-empty", "start to ready, empty directory", "ms", part1.ready_empty, 1000, "less", 5, 0.3, "sync"),
        row("ready-filled", f"start to ready, {plan.objects:,} objects", "ms", part1.ready_filled, 1000, "less", 5, 3, "sync"),
    ]
    objects = max(plan.objects, 1000000)  # of fewer it says how the database's caches fill
    memory = Row("memory", "memory", "memory per live object beyond its data (shared counters, loaded from disk)", "bytes",
                 part1.on_disk("memory", 1, objects), least=200, aim=120, better="less", runs=plan.runs, cost_s=6 if plan.quick else 9,
                 settings=f"{objects} shared counters of 8 bytes, loaded from disk", part="table")
    return [memory, *rows]


# ---- comparators --------------------------------------------------------------------------------------------------------

def compare_rows(plan):
    seconds, runs, often = (1, 1, 1) if plan.quick else (2, plan.less(3) if plan.form == "full" else 1, plan.runs)
    only = ["--only", "rocksdb-occ-(transfer|counter)"] if plan.quick else ["--often", f"compare-(supervm|rocksdb-occ)-(transfer|counter)={often}"]

    def one(_):
        command = ["scripts/compare", "--json", "--set", "quick", "--seconds", str(seconds), "--runs", str(runs), "--seed", str(plan.seed), *only]
        process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=3600, check=False,
                                 preexec_fn=host.die_with_us)
        if not process.stdout.strip():
            raise host.NoFigure((process.stderr.strip().splitlines() or ["scripts/compare ended badly"])[-1])
        systems = json.loads(process.stdout.splitlines()[-1])
        bad = [system for system in systems if system["error"]]
        for system in bad:
            print(f"  {system['row']}: {system['error']}", file=sys.stderr)
        return {"value": len([s for s in systems if s["value"]]), "systems": systems, "bad": len(bad)}

    rows = [Row("compare", "compare", "systems compared", "rows", one, runs=1,
                cost_s=(42 if plan.quick else (36 * runs + 8 * (often - runs)) * (seconds + 1.5)),
                settings=f"scripts/compare --set quick, runs of {seconds} s: {often} of `supervm` and `rocksdb-occ`, {runs} of each other", part="compare")]
    for mode, least, aim in (("unsynced", 5, 8), ("fsynced", 20, 45)):
        for workload, text in (("transfer-10k", "transfers between 10,000 accounts"), ("counter-1m", "1,000,000 counters")):
            def ratio(by, mode=mode, workload=workload):
                """Of each pair of runs, in the order in which they were made."""
                found = [system for detail in by["compare"].details for system in detail["systems"]]
                pair = {system["system"]: system.get("values", []) for system in found
                        if system["workload"] == workload and system["mode"] == mode and system["threads"] == 2}
                pairs = list(zip(pair.get("supervm", []), pair.get("rocksdb-occ", [])))
                if not pairs:
                    raise host.Skip("scripts/compare has no such pair")
                return [ours / theirs for ours, theirs in pairs]
            rows.append(Derived(f"against-occ-{mode}-{workload}", f"against RocksDB OptimisticTransactionDB, {mode}, same threads: {text}", "x", ratio,
                                "compare", least=least, aim=aim, part="table", tags={"seconds": seconds}))
    return rows


# ---- the machine's limits ----------------------------------------------------------------------------------------------

def limits_rows(plan):
    def one(_):
        lines = host.run(f"{host.PROGRAMS}/bench_limits", "all", "--seconds", 0.1 if plan.quick else 0.4, "--dir", "build")
        return {"value": len(lines), "limits": lines}
    return [Row("limits", "limits", "single parts of the machine", "rows", one, runs=1, cost_s=5 if plan.quick else 13, settings="alone",
                part="limits")]


# ---- sweeps: the full form ------------------------------------------------------------------------------------------------

def sweep_rows(plan):
    rows = []
    seconds, runs = plan.seconds, plan.sweep_runs

    def add(name, group, what, one, cost_s, **tags):
        rows.append(Row(name, group, what, "tx/s", one, runs=runs, cost_s=cost_s, settings=f"{seconds:g} s, {plan.objects} objects",
                        part="sweep", tags=tags))

    for path in ("fast", "consensus", "mixed", "hot"):
        for threads in (1, 2, 4, 8):
            add(f"threads-{path}-{threads}", "threads", f"{path}, {threads} threads", engine(plan, path, threads, seconds),
                seconds + 12, series=path, x=threads)
    for path in ("fast", "consensus", "mixed"):
        for zipf in ("0", "0.6", "0.9", "0.99"):
            add(f"zipf-{path}-{zipf}", "zipf", f"{path}, zipf {zipf}", engine(plan, path, 2, seconds, "--zipf", zipf), seconds + 12,
                series=path, x=float(zipf))
    for gc_ms in (1, 10, 1000, 60000, 0):  # 0: as by default, adaptive
        for reader in (0, 1):
            add(f"gc-{gc_ms or 'adaptive'}-{reader}", "gc",
                f"collection {f'every {gc_ms} ms' if gc_ms else 'as by default'}{', a long reader' if reader else ''}",
                engine(plan, "fast", 2, seconds, *(("--gc-ms", gc_ms) if gc_ms else ()), "--reader", reader), seconds + 14,
                series="with a long reader" if reader else "no reader", x=gc_ms or "adaptive")
    for objects in (10000, 100000, 1000000, 10000000):
        def one(run, objects=objects):
            return growth(objects, plan.seed + run)
        rows.append(Row(f"growth-{objects}", "growth", f"{objects:,} objects", "tx/s", one, runs=1, cost_s=30 + objects / 40000, part="sweep",
                        settings=f"{objects} objects", tags={"series": "growth", "x": objects}))
    return rows


def growth(objects, seed):
    """One size: what the process that holds it in memory says, and what the one that has it on disk does."""
    with host.Disk() as path:
        lines = host.run(f"{host.PROGRAMS}/bench_growth", "--objects", objects, "--datadir", path, "--cache-mb", 512, "--seed", seed, timeout=3600)
    told = {}
    for line in lines:
        told.update(line)
    told.update(value=told["tx_per_s"], bytes_per_object=told["bytes_resident_each"], gc_us_s=told["gc_us_per_s"])
    return told


def all_rows(plan, part1):
    """Those of the table first, the most wanted at the head: a run that is stopped has them."""
    rows = [*limits_rows(plan), *engine_rows(plan), *durable_rows(plan), *cells_rows(plan), *original_rows(plan), *lanes_rows(plan),
            *socket_rows(plan), *compare_rows(plan), *part1_rows(plan, part1)]
    if plan.form == "full":
        rows += sweep_rows(plan)
    return rows

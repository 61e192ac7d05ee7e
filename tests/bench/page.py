"""What was seen, as tables: on the terminal, and as docs/benchmarks.md."""
import os
import statistics

import host

PAGE = "docs/benchmarks.md"
ORDER = ["engine-fast", "engine-bytes", "engine-consensus", "engine-mixed", "engine-hot", "cells-uniform", "cells-zipf99",
         "original-large-5000", "original-large-10000", "original-mixed-70-30", "original-transfers-50", "original-transfers-5",
         "engine-durable", "against-occ-unsynced-transfer-10k", "against-occ-unsynced-counter-1m", "against-occ-fsynced-transfer-10k",
         "against-occ-fsynced-counter-1m", "ed25519-lanes", "socket-batch", "socket-binary",
         "socket-batch-share", "socket-binary-share", "mode-switching", "socket-half", "socket-half-p99", "memory"]


def number(value):
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def asked(row, value):
    if value is None:
        return ""
    return f"{'≥' if row.better == 'more' else '≤'} {number(value)}"


def length(seconds):
    return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"


def runs(row):
    """How many, and how long the timed part of each was, where the program tells it."""
    seconds = row.middle("seconds") or row.tags.get("seconds")
    return (f"{len(row.values)} x {length(seconds)}" if seconds else str(len(row.values))) if row.values else ""


def seen(row):
    """(median with its unit, range, runs) or what stands in their place."""
    failed = len(row.failed)
    told = f"{failed} of {failed + max(len(row.details), len(row.values))} runs: no figure" if failed else ""
    if row.values:
        # a loss below nothing is none that can be told from the noise; the range shows it
        middle = "0" if row.unit == "%" and row.better == "less" and row.median() < 0 else number(row.median())
        spread = f"{number(min(row.values))} .. {number(max(row.values))}" if len(row.values) > 1 else "one run"
        key, label = row.tags.get("also", (None, None))
        also = f", {number(row.middle(key)) if row.middle(key) else 0} {label}" if key and row.middle(key) is not None else ""
        return f"{middle} {row.unit}{also}", spread + (f"; {told}" if told else ""), runs(row)
    if failed:
        return "no figure", told, ""
    return ("SKIP", row.skip, "") if row.skip else ("not run", "", "")


def failures(rows):
    """Each run that had no figure, with what it said."""
    lines = [f"- {row.name}, {failed['date']}, {failed['commit']}: {failed['why']}" for row in rows if row.one is not None for failed in row.failed]
    systems = [system for row in rows for detail in row.details[:1] for system in detail.get("systems", [])]
    return lines + [f"- {system['row']}, {system['threads']} threads: {system['error']}" for system in systems if system["error"]]


def verdict(row):
    if row.skip and not row.values:
        return "SKIP"
    if len(row.failed) >= max(1, len(row.values)):
        return "**failed**"  # the runs that are left are not to be told as if they were all
    if row.reaches(row.aim):
        return "aim"
    return {True: "met", False: "**missed**", None: ""}[row.reaches(row.least)]


def in_order(rows):
    return sorted(rows, key=lambda row: ORDER.index(row.name) if row.name in ORDER else len(ORDER))


def asked_table(rows):
    lines = [["row", "at least", "aim", "seen (median)", "range", "runs", ""]]
    for row in in_order(rows):
        lines.append([row.what, asked(row, row.least), asked(row, row.aim), *seen(row), verdict(row)])
    return lines


def besides_table(rows):
    return [["row", "seen (median)", "range", "runs"]] + [[row.what, *seen(row)] for row in rows]


def part1_table(rows):
    lines = [["row", "asked", "seen (median)", "range", "runs", ""]]
    return lines + [[row.what, asked(row, row.least), *seen(row), verdict(row)] for row in rows]


def original_table(rows):
    lines = [["workload", "threads", "SuperVM (median)", "range", "runs", "the original's best", "ratio"]]
    for row in rows:
        theirs = row.middle("theirs")
        ratio = f"{row.median() / theirs:.2f}" if row.values and theirs else ""
        lines.append([row.name.removeprefix("original-").split("-x")[0], row.tags["threads"], *seen(row), number(theirs) if theirs else "-", ratio])
    return lines


def latency_table(rows):
    """Percentiles in microseconds, medians over the runs."""
    lines = [["row", "p50", "p95", "p99", "p99.9", "most"]]
    for row in rows:
        cells = [row.middle("p50_us"), row.middle("p95_us"), row.middle("p99_us"), row.middle("p999_us"), row.middle("max_us")]
        if cells[0] is not None and row.values:
            lines.append([row.what, *[number(cell) if cell is not None else "-" for cell in cells]])
    return lines


def cost_table(rows):
    lines = [["row", "CPU ns", "of it the load generator's", "log bytes", "CPU seconds a second"]]
    for row in rows:
        own, node, load = row.middle("cpu_ns"), row.middle("node_cpu_us"), row.middle("load_cpu_us")
        if not row.values or (own is None and node is None):
            continue
        total = own if own is not None else (node + load) * 1000
        log = row.middle("log_bytes")
        lines.append([row.what, number(total), number(load * 1000) if load is not None else "the caller's, not separable",
                      number(log) if log is not None else "-", f"{total * row.median() / 1e9:.2f}" if row.unit == "tx/s" else "-"])
    return lines


def steady_table(rows):
    lines = [["row", "dirty MiB, first quarter", "last quarter", "materialiser behind, tx, first", "last", "log syncs/s"]]
    for row in rows:
        if row.middle("dirty_first") is not None and row.values:
            lines.append([row.what, *[number(row.middle(key) / scale) for key, scale in
                                      (("dirty_first", 1 << 20), ("dirty_last", 1 << 20), ("lag_first", 1), ("lag_last", 1))],
                          number(row.middle("syncs_s"))])
    return lines


def compare_tables(row):
    """One table for each workload and mode of scripts/compare."""
    text = []
    for detail in row.details[:1]:
        kinds = dict.fromkeys((system["workload"], system["mode"]) for system in detail["systems"])
        for workload, mode in kinds:
            lines = [["system", "threads", "tx/s (median)", "range", "p50 us", "p99 us", "retries/tx", "CPU us/tx", "SuperVM is: declared",
                      "owned", "interactive"]]
            for system in detail["systems"]:
                if (system["workload"], system["mode"]) != (workload, mode):
                    continue
                if not system["value"]:
                    lines.append([system["system"], str(system["threads"]), "SKIP" if system["skip"] else "no figure",
                                  system["skip"] or system["error"] or "", *[""] * 7])
                    continue
                times = [f"{system['supervm_is_times'][ours]:.1f}x" if ours in system["supervm_is_times"] else ""
                         for ours in ("supervm", "supervm-owned", "supervm-cells")]
                lines.append([system["system"], str(system["threads"]), number(system["value"]),
                              f"{number(system['min'])} .. {number(system['max'])}",
                              *[number(system[key]) if system.get(key) is not None else "-" for key in ("p50_us", "p99_us")],
                              f"{system['retries_per_tx']:.3f}", f"{system['cpu_us']:.2f}", *times])
            text += [f"**{workload}, {mode}**", "", *markdown(lines), ""]
    return text


def limits_table(row):
    lines = [["part", "median", "least", "most", "what"]]
    for limit in row.details[0]["limits"] if row.details else []:
        if "skip" in limit:
            lines.append([limit["row"].removeprefix("limit-"), "SKIP", "", "", limit["skip"]])
        else:
            lines.append([limit["row"].removeprefix("limit-"), f"{number(limit['value'])} {limit['unit']}", number(limit["least"]),
                          number(limit["most"]), limit["what"]])
    return lines


# ---- writing ------------------------------------------------------------------------------------------------------------

def markdown(lines):
    return ["| " + " | ".join(lines[0]) + " |", "|" + "---|" * len(lines[0])] + ["| " + " | ".join(line) + " |" for line in lines[1:]]


def show(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def line_text(rows):
    """What the machine was like while it was measured: a cache line to the other core and back, before each run."""
    seen_ns = [detail["line_ns"] for row in rows for detail in row.details if detail.get("line_ns")]
    if not seen_ns:
        return "one core"
    return (f"a cache line went to the other core and back in {min(seen_ns):.0f} .. {max(seen_ns):.0f} ns, median {statistics.median(seen_ns):.0f} "
            f"({len(seen_ns)} probes, one before each run); every figure of two threads moves with it")


def others_text(rows):
    """How much of the processors others had while the programs ran."""
    shares = [(detail["others"], row.name) for row in rows for detail in row.details if detail.get("others") is not None]
    if not shares:
        return "not measured"
    text = f"median {100 * statistics.median(share for share, _ in shares):.1f} % of the processors' time during {len(shares)} runs, at most {100 * max(shares)[0]:.0f} %"
    told = sorted({name for share, name in shares if share >= host.OTHERS_TOLD})
    return text + (f"; {100 * host.OTHERS_TOLD:.0f} % or more during runs of {', '.join(told)}" if told else "")


HEAD = """# Benchmarks

Written by `make bench`. What was asked of the node beside what one machine has shown; run it on yours. How the rows are made is
told [at the end](#what-the-rows-mean); where each nanosecond goes, in [performance.md](performance.md).

Only transactions that were executed with success count: none that failed, was refused or was a duplicate. Each run is a process
of its own, and each run that changes state ends with an audit against what was counted, or it has no figure: [what is audited](#what-is-audited).
A run without a figure is told as one. "aim" and "met" say which of the two columns the median reaches; `runs` is how many
there were and how long the timed part of each was.
"""

AUDITED = """- *Engine only, from bytes, mixed, hot, durable, the first part's*: before and after the run the whole state is read. Objects, the sum of balances,
  the sum of counters and the sum of versions must be what the callers' counts say, of transfers also who owns what; each transaction was answered, with
  success. Durable rows are read a second time after a restart. The hot counter with one thread: nothing was begun again, met a conflict or fell back.
- *Interactive*: all cells are read. Each transaction takes 1 from one and adds 2 to another, so the sum tells how many there were; the engine's own
  counter must say the same.
- *The original's*: sums that the workload keeps, and every key that has one value it must have.
- *Over the socket, single submits*: the node's count of completed transactions, and each counter, read through the node.
- *What a user would pick instead*: each single object of every system.
- *Growth*: the whole state before and after; after a killed process and after a restart.
- *Signatures, libsodium's rate, start, memory of an object, the machine's parts* change no state: nothing is audited but that the program ended well."""

MEANING = """- *Engine only*: two threads call `svm_run_batch` with decoded transactions and do the work themselves; no signature. *From bytes*: the same
  with encoded transactions, decoded, hashed and looked for among the receipts. Each thread has objects of its own, shared ones too, and takes
  them in turn: what it costs when threads meet is in the sweep of skew, and in the hot counter.
- *One hot counter, one thread*: the same chain with nobody else at it: what one core does.
- *Durable*: the same with a data directory and an fsync before a transaction counts. Objects and receipts are written; the owner index where objects change
  hands. Dirty bytes and the materialiser's lag (in bytes of log) are sampled: a run in which the mean of the last quarter exceeds that of the first by more
  than a quarter, and by more than 64 MiB, which is one batch, has no figure.
- *Over the socket*: `build/bench/load` ([load.md](load.md)) and the node on the same cores, transactions signed beforehand, `wait: durable`.
  CPU and rates include the generator. *Without IFMA*: each run's rate in percent of what `load --verify` reached in its turn: both cores, nothing but
  libsodium's verification of different signatures. A pair of which one half was disturbed (5 % of the processors or more) is left out. One signature verified again and again, as `verify` among the machine's parts, is faster.
- *Percentiles* of the comparators stand in their tables. The original's workloads have none: what lies in their timed part is the original's, and a clock
  for each transaction is not. *Log bytes* of the socket rows are the node's over all that was sent, warm-up included.
- *Single submits at 50 % load*: an open loop at half of the rate that a closed loop of as many connections reached; latency counts from when a
  request was due, not from when it was sent.
- *Interactive*: `svm_cell_run_batch`, closures that read two cells and write both.
- *Latency*: as the caller sees it, of the timed part. Engine rows: from before `svm_run_batch` of 256 to the answer, of every seventeenth transaction;
  interactive ones: the whole batch of 256; over the socket: from the sending of a request of 100, in the open loop from when it was due.
- *The original's*: the workloads of the system this one replaces, same counts, keys, values and formatting inside the timed part, beside the best
  single run it was seen to make on such a machine; asked are multiples of that. They take milliseconds, so each is run five times as often.
- *Mode switching*: two engines in one process, one for fast and consensus alternating and one for the same transactions in blocks of 700
  and 300, in slices in the order A B B A: the machine's speed changes by more than the loss from one run to the next. The first three seconds of a slice
  are not counted: receipts of the slice before are forgotten in them. A loss below nothing is shown as 0; the range has it.
- *Against RocksDB*: [comparators.md](comparators.md) says how each system is set. Declared transactions at two threads; the ratio is that of each pair
  of runs, ours and theirs in turn, and its median. The tables below divide medians, so they may differ a little.
- *Memory* is the growth of the resident process while objects on the disk become cached ones, less the bytes of their types and data: that of
  the second half of them, when what has a fixed size, as the database's caches, is full. They are shared counters that were loaded from disk: no entry in the
  owner index, no version but one. Coins of accounts in memory mode, with their owner index and the receipts of their making, are the column
  bytes/object of the sweep *Growth*."""


def section(title, lines):
    return [f"## {title}", "", *markdown(lines), ""] if len(lines) > 1 else []


def write(rows, about, plots):
    """ROWS as measured; ABOUT: facts of machine and settings; PLOTS: the lines of the section on sweeps."""
    of = {}
    for row in rows:
        of.setdefault(row.part, []).append(row)
    measured = [row for row in rows if row.part not in ("compare", "limits", "sweep")]
    failed = failures(rows)
    text = [HEAD] + section("What was asked", asked_table(of.get("table", []))) + section("Besides", besides_table(of.get("besides", [])))
    text += section("The first part's rows", part1_table(of.get("part1", [])))
    text += section("The original's workloads", original_table([row for row in rows if row.group == "original"]))
    for row in of.get("compare", []):
        text += ["## What a user would pick instead", "", "The same transfers and counters, in turn with ours. " + row.settings + ".", ""]
        text += compare_tables(row) or [seen(row)[1] or "not run", ""]
    text += section("Latency, microseconds", latency_table(measured)) + section("Cost of one transaction", cost_table(measured))
    text += section("Durable rows: steady or not", steady_table(measured))
    text += plots
    for row in of.get("limits", []):
        text += section("The machine's single parts", limits_table(row))
    text += ["## Runs without a figure", "", *(failed or ["None."]), ""]
    text += ["## Machine", ""] + [f"- {key}: {value}" for key, value in about["machine"].items()]
    text += [f"- between the cores: {line_text(rows)}", f"- other programs and the kernel's own threads: {others_text(rows)}", "", "## Settings", ""]
    text += [f"- {key}: {value}" for key, value in about["settings"].items()]
    text += [f"- {row.name}: {len(row.values)} runs; {row.settings}" for row in rows if row.values and row.part not in ("sweep", "limits", "compare")
             and row.group not in ("derived", "original")]
    original = [len(row.values) for row in rows if row.group == "original" and row.values]
    text += [f"- the original's workloads: {min(original)} runs each"] if original else []
    text += ["", "## What is audited", "", AUDITED, "", "## What the rows mean", "", MEANING, ""]
    with open(PAGE + ".new", "w", encoding="utf-8") as file:
        file.write("\n".join(text))
    os.replace(PAGE + ".new", PAGE)

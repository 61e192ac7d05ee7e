"""The sweeps of the full form: kept as data in docs/plots/sweeps.json, drawn by gnuplot as docs/plots/*.svg.

A page that is written without a full run keeps what the last one left."""
import json
import os
import shutil
import subprocess

FOLDER = "docs/plots"
DATA = FOLDER + "/sweeps.json"
BYTES_MAX = 40000

# name, title, x, y; logarithmic axes; what of a run is drawn and its scale
PLOTS = {
    "threads": ("Threads", "threads", "million transactions/s", "x", "value", 1e-6),
    "zipf": ("Skew", "zipf exponent", "million transactions/s", "", "value", 1e-6),
    "growth": ("Growth", "objects", "CPU ns/transaction", "x", "cpu_ns", 1),
    "growth-memory": ("Memory as the state grows", "objects", "bytes/object", "x", "bytes_per_object", 1),
    "gc": ("Cadence of collection", "collection every (ms)", "million transactions/s", "x", "value", 1e-6),
    "gc-memory": ("Cadence of collection: memory", "collection every (ms)", "versions kept, most", "xy", "versions_max", 1),
}
ADAPTIVE = "adaptive"  # the default, which has no place on the axis: a dashed line
COLUMNS = {
    "threads": (("value", "tx/s"), ("cpu_ns", "CPU ns/tx"), ("p99_us", "p99 us")),
    "zipf": (("value", "tx/s"), ("cpu_ns", "CPU ns/tx"), ("p99_us", "p99 us")),
    "gc": (("value", "tx/s"), ("p99_us", "p99 us"), ("p999_us", "p99.9"), ("versions_max", "versions kept, most"),
           ("resident_max", "resident bytes, most"), ("gc_us_s", "collector us/s")),
    "growth": (("value", "tx/s"), ("cpu_ns", "CPU ns/tx"), ("bytes_per_object", "bytes/object"), ("open_s", "start, s"),
               ("recovery_s", "recovery, s"), ("gc_us_s", "collector us/s"), ("disk_tx_per_s", "on disk: tx/s"), ("disk_cpu_ns", "CPU ns/tx"),
               ("disk_loads", "loads/tx")),
}


def in_order(points):
    return sorted(points, key=lambda point: (point["x"] == ADAPTIVE, 0 if point["x"] == ADAPTIVE else point["x"]))


def counts(data):
    """How many runs a point has, of what the points themselves say."""
    runs = sorted({point["runs"] for series in data["sweeps"].values() for points in series.values() for point in points})
    if runs == [1]:
        return "One run for each point"
    return f"{runs[0]} runs for each point" if len(runs) == 1 else f"{runs[0]} to {runs[-1]} runs for each point (the column runs)"


def collect(rows, about):
    """The sweep rows as data: what was seen, by sweep, series and x. None when there are none."""
    sweeps = {}
    for row in rows:
        if row.part != "sweep" or not row.values:
            continue
        point = {"x": row.tags["x"], "runs": len(row.values), "least": min(row.values), "most": max(row.values)}
        for key in {key for columns in COLUMNS.values() for key, _ in columns} | {"value"}:
            if row.middle(key) is not None:
                point[key] = row.middle(key)
        sweeps.setdefault(row.group, {}).setdefault(row.tags["series"], []).append(point)
    if not sweeps:
        return None
    return {"commit": about["machine"]["commit"], "date": about["machine"]["date"], "processor": about["machine"]["processor"], "sweeps": sweeps}


def keep(data):
    os.makedirs(FOLDER, exist_ok=True)
    with open(DATA, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1, sort_keys=True)
        file.write("\n")


def kept():
    if not os.path.exists(DATA):
        return None
    with open(DATA, encoding="utf-8") as file:
        return json.load(file)


def draw_one(name, series):
    title, x, y, logs, key, scale = PLOTS[name]
    lines = ["set terminal svg size 640,400 fixed font 'sans-serif,12' name 'plot' background '#ffffff'", f"set output '{FOLDER}/{name}.svg'",
             f"set title '{title}'", f"set xlabel '{x}'", f"set ylabel '{y}'", "set grid lw 0.5 lc rgb '#d8d8d8'", "set key outside bottom center horizontal",
             "set border 3", "set tics nomirror"]
    if logs:
        lines.append(f"set logscale {logs}")
    if "y" not in logs:
        lines.append("set yrange [0:*]")
    xs = sorted({point["x"] for points in series.values() for point in points if point["x"] != ADAPTIVE})
    lines.append("set xtics (" + ", ".join(f"'{x:,g}' {x}" if x < 1000 else f"'{x:,}' {x}" for x in xs) + ")")
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
    curves, levels, blocks = [], [], []
    for (label, points), colour in zip(series.items(), colours):
        known = [point for point in in_order(points) if key in point and point["x"] != ADAPTIVE]
        if not known:
            continue
        bars = key == "value"
        lowest, highest = ("least", "most") if bars else (key, key)
        blocks += [*(f"{p['x']} {p[key] * scale:.6g} {p[lowest] * scale:.6g} {p[highest] * scale:.6g}" for p in known), "e"]
        curves.append(f"'-' with yerrorlines lw 2 pt 7 ps 0.5 lc rgb '{colour}' title '{label}'")
        for point in points:
            if point["x"] == ADAPTIVE and key in point:
                levels.append(f"{point[key] * scale:.6g} with lines lw 1 dt 2 lc rgb '{colour}' title '{label}, {ADAPTIVE}'")
    if not curves:
        return False
    curves += levels
    lines += ["plot " + ", ".join(curves), *blocks]
    subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", text=True, check=True, stderr=subprocess.PIPE)
    path = f"{FOLDER}/{name}.svg"
    with open(path, encoding="utf-8") as file:
        text = "\n".join(line.rstrip() for line in file.read().splitlines() if "<desc>" not in line) + "\n"
    if len(text) > BYTES_MAX:
        raise ValueError(f"{path} has {len(text)} bytes, the limit is {BYTES_MAX}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def draw(data):
    """Every plot that DATA has points for; the names of those drawn."""
    if data is None or not shutil.which("gnuplot"):
        return []
    os.makedirs(FOLDER, exist_ok=True)
    return [name for name in PLOTS if draw_one(name, data["sweeps"].get(name.split("-")[0], {}))]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def section(data):
    """The lines of docs/benchmarks.md."""
    if data is None:
        return ["## Sweeps", "", "Not run yet: `make bench-full`.", ""]
    text = ["## Sweeps", "", f"By `make bench-full` at {data['commit']}, {data['date']}, {data['processor']}. {counts(data)}; "
            "medians, and bars for the least and the most where there are several.", ""]
    for group, series in data["sweeps"].items():
        for name in PLOTS:
            if name.split("-")[0] == group and os.path.exists(f"{FOLDER}/{name}.svg"):
                text += [f"![{PLOTS[name][0]}](plots/{name}.svg)", ""]
        columns = [column for column in COLUMNS[group] if any(column[0] in point for points in series.values() for point in points)]
        text += ["| " + " | ".join(["", PLOTS[group][1], *[title for _, title in columns], "runs"]) + " |", "|" + "---|" * (len(columns) + 3)]
        for label, points in series.items():
            for point in in_order(points):
                cells = [number(point[key]) if key in point else "-" for key, _ in columns]
                at = point["x"] if point["x"] == ADAPTIVE else f"{point['x']:,}"
                text.append("| " + " | ".join([label, at, *cells, str(point["runs"])]) + " |")
        text.append("")
    return text

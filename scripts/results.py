"""The table of results in README.md and docs/results.md, made from the files in results/.

python scripts/results.py record NAME RUN_FOLDER --title TEXT --command "memspike run …" --order N
python scripts/results.py table [--check]
python scripts/results.py figures RUN_FOLDER
python scripts/results.py device-figures
python scripts/results.py record-fit FIT_FOLDER --command "memspike fit …"
python scripts/results.py record-study NAME RUN_FOLDER --command "memspike run …"
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from memspike.experiments import table as tables
from memspike.experiments.table import ACCURACY, ERROR, SCHEME, WRITES, Column, Row, cell

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
# cases of a table from which on it has means alone
MANY = 6
START, END = "<!-- results: made by scripts/results.py -->", "<!-- end of results -->"
# results that were recorded before they said their kind
KINDS = {
    "heard-eprop-speakers": "speakers",
    "heard-memprop-speakers": "speakers",
    "study-asymmetry-labels": "labels",
}
CONDITION = Column("condition", "condition", "text")
ACCURATE = Column("test_accuracy", "test accuracy, mean ± s.d.", "percent with sd", digits=2)
SEARCHED = ACCURATE._replace(key="ideal_accuracy")
CHIPS = ACCURATE._replace(key="chips_accuracy", title="20 noisy chips")
FINE = Column("test_accuracy_fine_step", "at a 10 µs step", "percent", digits=2)
FROZEN = "memristors frozen"
WALL = Column("wall_s", "training, shared machine", "fixed", "s", 0)


def pivot(rows: Sequence[Row], down: Column, across: Column, value: Column) -> tuple[list[str], list[list[str]]]:
    """One column as a table of its own: a line for every `down`, a column for every `across`, in the order of the rows.

    → the titles of the lines and columns, and the lines, each beginning with its `down`; what no row holds is empty.
    """
    found = {(cell(row, down), cell(row, across)): cell(row, value) for row in rows}
    above = list(dict.fromkeys(a for _, a in found))
    lines = [[d, *(found.get((d, a), "") for a in above)] for d in dict.fromkeys(d for d, _ in found)]
    return [down.title, *above], lines


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return "\n".join([*rows, *(f"| {' | '.join(line)} |" for line in lines)])


def load(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def recorded(pattern: str) -> list[dict]:
    """The entries of all files of a pattern, each with its kind."""
    found = []
    for file in sorted(RESULTS.glob(f"{pattern}.json")):
        entry = json.loads(file.read_text())
        found.append(entry | {"kind": entry["result"].get("kind", KINDS.get(file.stem))})
    return found


def code(entry: dict) -> str:
    return f"`{entry['command']}`"


def bold(text: str) -> str:
    """The first number in bold, without what stands in brackets behind it."""
    number, space, rest = text.partition(" (")
    return f"**{number}**{space}{rest}"


def seeded(result: dict) -> str:
    return f"{bold(cell(result, ACCURATE))}, {result['seeds']} seeds"


def accuracy_table() -> str:
    shown = (FINE, CHIPS, WALL)
    lines = []
    for entry in sorted(recorded("run-*"), key=lambda e: e["order"]):
        r = entry["result"]
        cells = (frozen(entry), *(cell(r, column) for column in shown))
        lines.append([entry["title"], seeded(r), *cells, code(entry)])
    return markdown(["network", ACCURATE.title, FROZEN, *(column.title for column in shown), "command"], lines)


def frozen(entry: dict) -> str:
    """The accuracy of the same command with frozen memristors, if it was measured."""
    command = f"{entry['command']} --set neuron.integrator=frozen-memristors"
    found = [one["result"] for one in recorded("frozen-*") if one["command"] == command]
    return cell(found[0], ACCURATE) if found else ""


def spikes_table() -> str:
    """MEMprop in the range of the published waveforms, and what its membranes do."""
    shown = (
        FINE,
        CHIPS,
        Column("membrane_outside", "time outside of −50 to 130 mV", "percent", digits=2),
        Column("spikes_per_active_neuron", "spikes of an active neuron", "fixed", digits=1),
    )
    lines = []
    for entry in sorted(recorded("spikes-*"), key=lambda e: e["order"]):
        r = entry["result"]
        ends = " to ".join(f"{1e3 * r[f'membrane_{end}']:.0f}" for end in ("low", "high"))
        cells = (frozen(entry), *(cell(r, column) for column in shown), f"{ends} mV", f"{entry['adaptive_mv']:.2f} mV")
        lines.append([entry["title"], seeded(r), *cells, code(entry)])
    titles = (ACCURATE.title, FROZEN, *(column.title for column in shown), "membranes", "off an adaptive solution")
    return markdown(["inputs as spike trains over 5 ms or more", *titles, "command"], lines)


def bench(header: str, rows: Iterable[dict], *cells: str) -> str:
    return markdown(header.split(" | "), [[cell.format(**row) for cell in cells] for row in rows])


def bench_table() -> str:
    return bench(
        "training gradient, 784-100-10, T = 100 | memspike | memspike, one core | eager PyTorch | ratio | one core",
        load("bench-bptt")["rows"],
        *("batch {batch}", "{memspike_ms} ms", "{memspike_one_core_ms} ms", "{torch_eager_ms} ms"),
        *("{ratio:.1f}×", "{ratio_one_core:.1f}×"),
    )


def lif_table() -> str:
    """A layer of LIF neurons, a line a width, a column a framework."""
    rows = load("bench-lif")["rows"]
    names = list(dict.fromkeys(row["of"] for row in rows))
    lines = []
    for n in dict.fromkeys(row["neurons"] for row in rows):
        each = {row["of"]: row for row in rows if row["neurons"] == n}
        lines.append([f"{n}", *(f"{each[x]['ms']:.3g} ms ({each[x]['ratio']:.1f}×)" for x in names)])
    return markdown(["LIF neurons, forward and backward, one core", *names], lines)


def rules_table() -> str:
    """Gradients of online rules."""
    names = {
        "braintrace": "braintrace 0.2.8: 100 recurrent LIF neurons, 1,000 steps",
        "jaxpike": "jaxpike 0.1.4: two layers, 1,000 steps, batch 16",
    }
    return bench(
        "gradient of e-prop without devices, one core | memspike | peer | ratio",
        [row | {"name": names[name]} for name, row in load("bench-online-rules")["rows"].items()],
        *("{name}", "{memspike_ms:.3g} ms", "{peer_ms:.3g} ms", "{ratio:.1f}×"),
    )


def long_table() -> str:
    return bench(
        "gradient through a long trial | whole | in segments | memory | time",
        load("bench-long-trials")["rows"],
        *("{steps:.0f} steps, 64-64-10, batch 32", "{whole_MB:.0f} MB", "{segments_MB:.0f} MB", "{memory_share:.1%}"),
        "{time_ratio:.2f}×",
    )


def build_table() -> str:
    """Against the build before the kernels."""
    found = load("bench-against")
    titles = {
        "mif-gradient-128": "MIF gradient, batch 128",
        "mif-gradient-16": "MIF gradient, batch 16",
        "soft-bounds": "10 updates of 1,024² varied soft-bounds devices",
        "pcm-eprop": "10 epochs of 10 chips of pattern generation on PCM",
    }
    rows = [row | {"name": titles.get(name, name)} for name, row in found["rows"].items()]
    ms = [row | {"old": 1e3 * row["old_s"], "new": 1e3 * row["new_s"]} for row in rows]
    return bench(
        f"one core | build {found['commit']} | with kernels | ratio",
        ms,
        *("{name}", "{old:.4g} ms", "{new:.4g} ms", "{ratio:.1f}×"),
    )


def device_table() -> str:
    found = load("bench-devices")
    ratios = {name: f"{ratio:.1f}×" for name, ratio in found["ratios"].items()}
    rows = [{"name": n, "rate": rate, "ratio": ratios.get(n, "")} for n, rate in found["rates_M_per_s"].items()]
    header = "pulse update of 1,024² varied cells, one core | M updates/s | ratio"
    return bench(header, rows, "{name}", "{rate}", "{ratio}")


def array_table() -> str:
    return bench(
        "wires, r/R = 10⁻⁴, one input, one core | memspike | SciPy spsolve | ratio",
        load("bench-arrays")["rows"],
        *("{size}²", "{memspike_ms:.2f} ms", "{scipy_ms:.0f} ms", "{ratio_scipy:.0f}×"),
    )


def wire_study_table() -> str:
    entry = load("study-wires")
    result, names = entry["result"], {"ideal wires": "without", "with its wires": "with"}
    rows = [r | {"line": f"{r['tile']}², trained {names[r['trained']]} the wires"} for r in result["rows"]]
    line = Column("line", "MNIST 784-400-10 on tiles, wires of", "text")
    table = markdown(*pivot(rows, line, Column("r_ohm", "", "number", "Ω"), ACCURACY))
    about = f"{result['seeds']} seeds, {result['epochs']} epochs; ideal wires {cell(result, ACCURATE)}."
    return f"{table}\n\n{code(entry)}: {about}"


def wired_training_table() -> str:
    names = {"ideal": "ideal wires", "tiles-128": "1 Ω, tiles of 128²", "tiles-256": "1 Ω, tiles of 256²"}
    rows = [row | {"name": names[row["array"]]} for row in load("bench-wired-training")["rows"]]
    header = "training step of memprop-mnist, batch 128, two cores | ms | of ideal wires"
    return bench(header, rows, "{name}", "{ms_per_step}", "{ratio:.2f}×")


def fit_table() -> str:
    entry = load("fit-reram")
    columns = (
        Column("law", "fit of a measured ReRAM", "text"),
        Column("rms", "rms of the mean, of the range", "percent", digits=2),
        Column("noise", "noise of a pulse", "fixed", "µS", 3),
        Column("variation", "ramp to ramp", "percent", digits=2),
    )
    rows = [
        {"law": f"{model}, {name}"} | {key: fit[f"{key}_{side}"] for key in ("rms", "noise", "variation")}
        for model, fit in entry["models"].items()
        for side, name in (("up", "SET"), ("down", "RESET"))
    ]
    return f"{written(rows, columns)}\n\n{code(entry)}, {entry['ramps']} ramps, {entry['points']} points."


def written(rows: list[dict], columns: tuple[Column, ...]) -> str:
    return markdown([column.title for column in columns], tables.cells(rows, columns))


def online_table() -> str:
    entries = sorted(recorded("study-pcm-*"), key=lambda e: e["result"]["mse_median"])
    lines = []
    for entry in entries:
        name, r = entry["name"].removeprefix("pcm-").replace("-", " "), entry["result"]
        lines.append([name, bold(cell(r, ERROR)), cell(r, WRITES), code(entry)])
    table = markdown(["pattern generation by e-prop, 10 seeds", ERROR.title, WRITES.title, "command"], lines)
    away = sum(entry["result"]["diverged"] for entry in entries)
    return (
        f"{table}\n\nZero output has {entries[0]['result']['mse_zero_output']:.3f}; "
        f"{'no seed' if not away else f'{away} seeds'} diverged. Mean of the last 10 epochs of 250."
    )


def schemes_table() -> str:
    entry = load("study-eprop-table")
    r, costs = entry["result"], (WRITES, tables.ENERGY._replace(form="fixed", unit="nJ", digits=0))
    scheme = SCHEME._replace(title=f"update scheme on PCM, {ERROR.title}")
    header, lines = pivot(r["rows"], scheme, CONDITION, ERROR)
    full = {row["scheme"]: row for row in r["rows"] if row["condition"] == "full" and row["writes_most"]}
    lines = [[*line, *(cell(full.get(line[0], {}), column) for column in costs)] for line in lines]
    return markdown([*header, *(column.title for column in costs)], lines) + (
        f"\n\n{code(entry)}: {r['seeds']} seeds from {r['seed']} on; settings of every scheme from 40 trials "
        "under all noise (`scripts/tune_pcm_eprop.py`), for all columns; the released code keeps its own. "
        f"Zero output has {r['mse_zero_output']:.3f}."
    )


def effects_table() -> str:
    entry = load("study-eprop-effects")
    columns = (Column("effect", "effect, four devices a side", "text"), ERROR, WRITES, tables.DAYS)
    return f"{written(entry['result']['rows'], columns)}\n\n{code(entry)}"


def ablation_table() -> str:
    entry = load("study-eprop-ablation")
    r = entry["result"]
    what = Column("weights", "pattern generation, digital weights: what learns", "text")
    return (
        f"{written(r['rows'], (what, ERROR, tables.RATE))}\n\n{code(entry)}: {r['seeds']} seeds, {r['epochs']} epochs, "
        f"constants of the released code; zero output has {r['mse_zero_output']:.3f}."
    )


def life_table() -> str:
    entry = load("study-eprop-life")
    rows = entry["result"]["rows"]
    columns = (
        SCHEME._replace(title="against full pairs"),
        CONDITION._replace(title="life of a device"),
        Column("mse_first", "error, first patterns", "fixed"),
        ERROR._replace(title="last patterns"),
        WRITES._replace(digits=1),
        tables.MOST._replace(title="at most"),
    )
    return f"{written(rows, columns)}\n\n{code(entry)}: {rows[0]['days']:.0f} days, new patterns every 250 epochs."


def heard_table() -> str:
    lines = []
    for entry in sorted(recorded("heard-*"), key=lambda e: e["order"]):
        r, found = entry["result"], seeded(entry["result"])
        if entry["kind"] == "speakers":
            of = [100 * row["accuracy_mean"] for row in r["rows"]]
            found = f"{cell(r, ACCURATE._replace(form='percent'))} ({min(of):.1f}–{max(of):.1f})"
        writes = cell(r, WRITES) if r.get("writes_per_device") else ""
        lines.append([*entry["title"].split(": "), found, writes, code(entry)])
    return markdown(["task", "network", "test accuracy", WRITES.title, "command"], lines)


def asymmetry_tables() -> str:
    names = ("asymmetry-devices", "asymmetry-eight", "asymmetry-mnist", "asymmetry-labels")
    return "\n\n".join(asymmetry_table(entry) for name in names for entry in recorded(f"study-{name}"))


def asymmetry_table(entry: dict) -> str:
    r, labelled = entry["result"], entry["kind"] == "labels"
    rows = r["rows"][1:]  # the first is the ideal device
    few = len({row["device"] for row in rows}) < MANY and not labelled
    accuracy = ACCURACY._replace(form="percent" if labelled else ACCURACY.form, digits=1)
    for row in rows:
        pulses = f" ({cell(row, tables.PULSES)})" if few else ""
        row["found"] = cell(row, accuracy).removesuffix(" %") + pulses
        row["case"] = f"{row['nl_up']:g}/{row['nl_down']:g}" if labelled else row["device"]
    what = "mean, by labels up/down" if labelled else "mean ± s.d." + " (pulses a weight)" * few
    texts = (Column(key, title, "text") for key, title in (("case", ""), ("found", "")))
    header, lines = pivot(rows, SCHEME._replace(title=f"test accuracy, {what}"), *texts)
    batch, hidden = r.get("batch", 1), "-".join(map(str, r.get("hidden", [100])))
    shown = "one image" if batch == 1 else f"{batch} images"
    reached = f"an ideal device with the same search reaches {bold(cell(r, SEARCHED))}; {r['seeds']} seeds. "
    return markdown(header, lines) + (
        f"\n\n{r['data']}, {hidden} neurons, {shown} at a time, every image {times(r['epochs'])}; cycle-to-cycle noise "
        f"and device-to-device spread on; {reached}{entry.get('note', '')}{code(entry)}"
    )


def times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def updates_table() -> str:
    table = bench(
        "pulsed update of 512², one core | memspike | … without its ledger | peer | ratio | … without ledger",
        [row | {"name": name} for name, row in load("bench-updates")["rows"].items()],
        *("{name}", "{memspike_ms} ms", "{memspike_without_ledger_ms} ms", "{peer_ms} ms"),
        *("{ratio:.1f}×", "{ratio_without_ledger:.1f}×"),
    )
    return (
        f"{table}\n\nPeers: eager PyTorch, which sends the pulses of a device all at once (our closed form of the law, "
        "written there) or one after the other, and the compiled update of aihwkit 1.2.0 with torch 2.13.0, one after "
        "the other as well. They keep no ledger. `benchmarks/updates.py`"
    )


def population_line() -> str:
    r = load("bench-population")
    return (
        f"{r['chips']} chips of pattern generation on PCM, all noise, one device a side, on {r['cores']} cores: "
        f"{r['together_ms_per_chip_and_epoch']} ms a chip and epoch of three patterns in one program, "
        f"{r['alone_ms_per_chip_and_epoch']} ms one chip after the other: {r['ratio']:.1f}×."
    )


def eprop_table() -> str:
    r = load("bench-eprop")
    return (
        "| one pattern of e-prop on PCM, 100–100–1, 1,000 steps, forward and gradient | ms | ratio |\n|---|---|---|\n"
        f"| memspike, one core | {r['memspike_ms']} | |\n"
        f"| eager PyTorch, trace per synapse | {r['torch_2_loop_ms']:.0f} | {r['ratio_loop']:.0f}× |\n"
        f"| eager PyTorch, cheapest gradient | {r['torch_1_product_ms']:.0f} | {r['ratio_product']:.0f}× |\n"
        f"| … with memspike's shortcuts written in PyTorch | {r['torch_1_shortcuts_ms']:.0f} "
        f"| {r['ratio_shortcuts']:.0f}× |"
    )


INTRODUCTION = """\
Rows of MIF networks were measured when a row pulse was a jump of the filter, but for those of `memprop-digits`, of
the vowels, of convolutions and of MNIST as spike trains; as a rectangle of 10 µs behind the same gain it peaks 5 µs
later. Quick runs of all presets agree within 0.8 %, and `memprop-digits` with seed 0 has 98.61 %.

Each figure is from the last epoch. Reporting seeds are 100, 101, …; settings were explored with seed 0 and
settled on held-out training images (`data.hold_out`). *Noisy chips*: the first seed's network programmed into 20
chips with 5 % programming spread, read with 1 % noise. Published for comparison: SPICEprop (arXiv 2203.01426)
reports 97.58 % on MNIST and 75.26 % on Fashion-MNIST, with a ReLU hidden layer and MIF neurons at the output
only."""
SPIKES = """\
Membranes at the 10 µs step, of the first 250 test examples; a spike is an upward crossing of 30 mV. *Adaptive*: the
largest deviation of a membrane from `scripts/adaptive.py`, which solves the equations of three test examples anew by
SciPy's DOP853. *Frozen*: trained and tested with `neuron.integrator=frozen-memristors`, where neurons are linear."""
SPEED = """\
Both compute the same gradient, forward and backward, in one run of `make bench` on two cores of a shared
machine; the ratio counts, not the milliseconds."""
LIF = """T = 100, batch 16, N inputs: times and ratios to ours (`benchmarks/lif.py`: snnTorch 1.0.0, SpikingJelly 2.0.0,
Norse 1.1.0, spyx 1.0.0). `python benchmarks/against.py 72c9391` compares builds, `benchmarks/long_trials.py` measures
memory. Kernels (extra `fast`) were installed."""
DEVICES = """\
With device-to-device spread of three parameters and cycle-to-cycle noise; NumPy and eager PyTorch run the same
equations, Synaptogen its own model of another device (`make bench`)."""


def block(brief: bool) -> str:
    """The tables of docs/results.md, or the few of README.md."""
    parts = [accuracy_table(), INTRODUCTION, spikes_table(), SPIKES, bench_table(), SPEED]
    if not brief:
        parts += [
            build_table(),
            lif_table(),
            LIF,
            rules_table(),
            long_table(),
            device_table(),
            DEVICES,
            updates_table(),
            array_table(),
            wired_training_table(),
        ]
    parts += [wire_study_table(), heard_table()]
    if brief:
        parts.append(schemes_table())
    else:
        parts += [asymmetry_tables(), online_table(), ablation_table(), schemes_table()]
        parts += [effects_table(), life_table()]
    parts += [eprop_table(), population_line()]
    parts += ["More in [Results](docs/results.md)."] if brief else [fit_table()]
    return "\n\n".join([START, *parts, END])


def replaced(path: Path) -> str:
    text = path.read_text()
    before, rest = text.split(START)
    return before + block(path.name == "README.md") + rest.split(END)[1]


def table(check: bool) -> int:
    stale = 0
    for path in (ROOT / "README.md", ROOT / "docs/results.md"):
        new = replaced(path)
        if new != path.read_text():
            stale += 1
            if not check:
                path.write_text(new)
    if check and stale:
        print("The results table is stale; run: python scripts/results.py table")
    return int(check and stale > 0)


def record(options: argparse.Namespace) -> int:
    result = json.loads((options.folder / "result.json").read_text())
    entry = {"title": options.title, "command": options.command, "order": options.order, "result": result}
    if options.adaptive is not None:
        entry["adaptive_mv"] = options.adaptive
    (RESULTS / f"{options.kind}-{options.name}.json").write_text(json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
    return 0


def record_fit(folder: Path, command: str) -> int:
    fit = json.loads((folder / "fit.json").read_text())
    keys = [f"{what}_{side}" for what in ("rms", "noise", "variation") for side in ("up", "down")]
    chosen = {fit["model"]: fit, "soft-bounds": fit["candidates"]["soft-bounds"]}
    entry = {
        "command": command,
        "ramps": fit["ramps_up"] + fit["ramps_down"],
        "points": fit["points_up"] + fit["points_down"],
        "models": {name: {key: row[key] for key in keys} for name, row in chosen.items()},
    }
    (RESULTS / "fit-reram.json").write_text(json.dumps(entry, indent=2) + "\n")
    return 0


def record_study(name: str, folder: Path, command: str) -> int:
    result = json.loads((folder / "result.json").read_text())
    entry = {"name": name, "command": command, "result": result}
    (RESULTS / f"study-{name}.json").write_text(json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
    drawn = folder / "figures/study.png"
    if drawn.exists():
        (ROOT / f"docs/figures/study-{name}.png").write_bytes(drawn.read_bytes())
    return 0


def figures(folder: Path) -> int:
    from memspike.neurons import mif
    from memspike.report.membrane_figures import spike_figure, waveforms
    from memspike.report.page import read_run

    run = read_run(folder)
    target = ROOT / "docs/figures"
    target.mkdir(exist_ok=True)
    spike_figure(mif()).savefig(target / "mif-spike.png", dpi=110)
    waveforms(run["samples"], number=1).savefig(target / "trained-network.png", dpi=110)
    return 0


def device_figures() -> int:
    from memspike import devices
    from memspike.report import plot_device

    for label, name in (("pulses", "ag-a-si"), ("steps", "ag-a-si"), ("drift", "ag-a-si"), ("time", "pcm")):
        figure = plot_device(devices.find(name), name, devices.spread_of(name))[label]
        figure.savefig(ROOT / f"docs/figures/device-{label}.png", dpi=110)
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    verbs = {name: commands.add_parser(name) for name in ("record", "record-study", "record-fit", "table", "figures")}
    commands.add_parser("device-figures")
    for name in ("record", "record-study"):
        verbs[name].add_argument("name")
    for name in ("record", "record-study", "record-fit", "figures"):
        verbs[name].add_argument("folder", type=Path)
    for name in ("record", "record-study", "record-fit"):
        verbs[name].add_argument("--command", required=True)
    verbs["record"].add_argument("--title", required=True)
    verbs["record"].add_argument("--order", type=int, required=True)
    verbs["record"].add_argument("--kind", choices=("run", "heard", "spikes", "frozen"), default="run")
    verbs["record"].add_argument("--adaptive", type=float, help="mV, of scripts/adaptive.py; for the kind spikes")
    verbs["table"].add_argument("--check", action="store_true")
    return parser.parse_args()


def main() -> int:
    given = parsed()
    return {
        "record": lambda: record(given),
        "record-study": lambda: record_study(given.name, given.folder, given.command),
        "record-fit": lambda: record_fit(given.folder, given.command),
        "table": lambda: table(given.check),
        "figures": lambda: figures(given.folder),
        "device-figures": device_figures,
    }[given.what]()


if __name__ == "__main__":
    sys.exit(main())

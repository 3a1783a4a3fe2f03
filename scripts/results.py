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
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
# cases of a table from which on it has means alone
MANY = 6
START, END = "<!-- results: made by scripts/results.py -->", "<!-- end of results -->"


def percent(value: float, sd: float | None = None) -> str:
    return f"{100 * value:.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}") + " %"


def runs() -> list[dict]:
    files = sorted(RESULTS.glob("run-*.json"))
    return sorted((json.loads(f.read_text()) for f in files), key=lambda r: r["order"])


def _row(title: str, command: str, r: dict) -> str:
    return (
        f"| {title} | **{percent(r['test_accuracy'], r['test_accuracy_sd'])}**, {r['seeds']} seeds "
        f"| {percent(r['test_accuracy_fine_step'])} | {percent(r['chips_accuracy'], r['chips_accuracy_sd'])} "
        f"| {r['wall_s']:.0f} s | `{command}` |"
    )


def accuracy_table() -> str:
    lines = [
        "| network | test accuracy, mean ± s.d. | at a 10 µs step | 20 noisy chips "
        "| training, shared machine | command |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(run["title"], run["command"], run["result"]) for run in runs()]
    return "\n".join(lines)


def bench_table() -> str:
    bench = json.loads((RESULTS / "bench-bptt.json").read_text())
    lines = [
        "| training gradient, 784-100-10, T = 100 | memspike | memspike, one core | eager PyTorch | ratio | one core |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| batch {row['batch']} | {row['memspike_ms']} ms | {row['memspike_one_core_ms']} ms "
        f"| {row['torch_eager_ms']} ms | {row['ratio']:.1f}× | {row['ratio_one_core']:.1f}× |"
        for row in bench["rows"]
    ]
    return "\n".join(lines)


def device_table() -> str:
    bench = json.loads((RESULTS / "bench-devices.json").read_text())
    lines = ["| pulse update of 1,024² varied cells, one core | M updates/s | ratio |", "|---|---|---|"]
    for name, rate in bench["rates_M_per_s"].items():
        ratio = bench["ratios"].get(name)
        lines.append(f"| {name} | {rate} | {f'{ratio:.1f}×' if ratio else ''} |")
    return "\n".join(lines)


def array_table() -> str:
    bench = json.loads((RESULTS / "bench-arrays.json").read_text())
    lines = ["| wires, r/R = 10⁻⁴, one input, one core | memspike | SciPy spsolve | ratio |", "|---|---|---|---|"]
    lines += [
        f"| {row['size']}² | {row['memspike_ms']:.2f} ms | {row['scipy_ms']:.0f} ms | {row['ratio_scipy']:.0f}× |"
        for row in bench["rows"]
    ]
    return "\n".join(lines)


def wire_study_table() -> str:
    entry = json.loads((RESULTS / "study-wires.json").read_text())
    result = entry["result"]
    rows = {(r["tile"], r["r_ohm"], r["trained"]): r for r in result["rows"]}
    tiles, ohms = (list(dict.fromkeys(key[k] for key in rows)) for k in (0, 1))
    lines = [
        "| MNIST 784-400-10 on tiles, wires of | " + " | ".join(f"{r:g} Ω" for r in ohms) + " |",
        "|---|" + "---|" * len(ohms),
    ]
    for tile in tiles:
        for trained, name in (("ideal wires", "without"), ("with its wires", "with")):
            each = (rows[tile, r, trained] for r in ohms)
            scores = " | ".join(percent(row["accuracy_mean"], row["accuracy_sd"]) for row in each)
            lines.append(f"| {tile}², trained {name} the wires | {scores} |")
    base = percent(result["test_accuracy"], result["test_accuracy_sd"])
    return "\n".join(lines) + (
        f"\n\n`{entry['command']}`: {result['seeds']} seeds, {result['epochs']} epochs; ideal wires {base}."
    )


def wired_training_table() -> str:
    bench = json.loads((RESULTS / "bench-wired-training.json").read_text())
    lines = ["| training step of memprop-mnist, batch 128, two cores | ms | of ideal wires |", "|---|---|---|"]
    names = {"ideal": "ideal wires", "tiles-128": "1 Ω, tiles of 128²", "tiles-256": "1 Ω, tiles of 256²"}
    lines += [f"| {names[row['array']]} | {row['ms_per_step']} | {row['ratio']:.2f}× |" for row in bench["rows"]]
    return "\n".join(lines)


def fit_table() -> str:
    entry = json.loads((RESULTS / "fit-reram.json").read_text())
    lines = [
        "| fit of a measured ReRAM | rms of the mean, of the range | noise of a pulse | ramp to ramp |",
        "|---|---|---|---|",
    ]
    for model, row in entry["models"].items():
        for side, name in (("up", "SET"), ("down", "RESET")):
            lines.append(
                f"| {model}, {name} | {percent(row[f'rms_{side}'])} | {1e6 * row[f'noise_{side}']:.3f} µS "
                f"| {percent(row[f'variation_{side}'])} |"
            )
    return "\n".join(lines) + f"\n\n`{entry['command']}`, {entry['ramps']} ramps, {entry['points']} points."


def online_table() -> str:
    entries = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("study-pcm-*.json"))]
    lines = [
        "| pattern generation by e-prop, 10 seeds | error: median (quartiles) | writes a device | command |",
        "|---|---|---|---|",
    ]
    for entry in sorted(entries, key=lambda e: e["result"]["mse_median"]):
        r = entry["result"]
        error = f"**{r['mse_median']:.4f}** ({r['mse_q1']:.4f}–{r['mse_q3']:.4f})"
        name = entry["name"].removeprefix("pcm-").replace("-", " ")
        lines.append(f"| {name} | {error} | {r['writes_per_device']:.2f} | `{entry['command']}` |")
    silent = entries[0]["result"]["mse_silent"]
    return (
        "\n".join(lines)
        + f"\n\nA silent network has {silent:.3f}; no seed ran away. Mean of the last 10 epochs of 250."
    )


def _median(row: dict) -> str:
    away = f", {row['diverged']} ran away" if row["diverged"] else ""
    return f"{row['mse_median']:.4f} ({row['mse_q1']:.4f}–{row['mse_q3']:.4f}{away})"


def schemes_table() -> str:
    entry = json.loads((RESULTS / "study-eprop-table.json").read_text())
    rows = entry["result"]["rows"]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    head = ["| update scheme on PCM, error: median (quartiles) |", *(f" {c} |" for c in conditions)]
    lines = ["".join([*head, " writes a device | energy |"]), "|---" * (len(conditions) + 3) + "|"]
    for scheme in dict.fromkeys(row["scheme"] for row in rows):
        own = {row["condition"]: row for row in rows if row["scheme"] == scheme}
        full = own["full"]
        cells = [_median(own[c]) if c in own else "" for c in conditions]
        costs = (
            ["", ""] if scheme == "fp32" else [f"{full['writes_per_device']:.2f}", f"{1e9 * full['energy_j']:.0f} nJ"]
        )
        lines.append(f"| {' | '.join([scheme, *cells, *costs])} |")
    r = entry["result"]
    return "\n".join(lines) + (
        f"\n\n`{entry['command']}`: {r['seeds']} seeds from {r['seed']} on; settings of every scheme from 40 trials "
        "under all noise (`scripts/tune_pcm_eprop.py`), for all columns; the released code keeps its own. "
        f"A silent network has {r['mse_silent']:.3f}."
    )


def effects_table() -> str:
    entry = json.loads((RESULTS / "study-eprop-effects.json").read_text())
    lines = [
        "| effect, four devices a side | error: median (quartiles) | writes a device | days |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['effect']} | {_median(row)} | {row['writes_per_device']:.2f} | {row['days']:.1f} |"
        for row in entry["result"]["rows"]
    ]
    return "\n".join(lines) + f"\n\n`{entry['command']}`"


def life_table() -> str:
    entry = json.loads((RESULTS / "study-eprop-life.json").read_text())
    lines = [
        "| against full pairs | life of a device | error, first patterns | last patterns | writes a device | at most |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['scheme']} | {row['condition']} | {row['mse_first']:.4f} | {_median(row)} "
        f"| {row['writes_per_device']:.1f} | {row['writes_most']} |"
        for row in entry["result"]["rows"]
    ]
    days = entry["result"]["rows"][0]["days"]
    return "\n".join(lines) + f"\n\n`{entry['command']}`: {days:.0f} days, new patterns every 250 epochs."


def heard_table() -> str:
    entries = [json.loads(file.read_text()) for file in RESULTS.glob("heard-*.json")]
    lines = ["| task | network | test accuracy | writes a device | command |", "|---|---|---|---|---|"]
    for entry in sorted(entries, key=lambda e: e["order"]):
        r = entry["result"]
        if "accuracy_mean" in r.get("rows", [{}])[0]:
            of = [row["accuracy_mean"] for row in r["rows"]]
            found = f"{percent(r['test_accuracy'])} ({100 * min(of):.1f}–{100 * max(of):.1f})"
        else:
            found = f"**{percent(r['test_accuracy'], r['test_accuracy_sd'])}**, {r['seeds']} seeds"
        writes = f"{r['writes_per_device']:.2f}" if r.get("writes_per_device") else ""
        task, name = entry["title"].split(": ")
        lines.append(f"| {task} | {name} | {found} | {writes} | `{entry['command']}` |")
    return "\n".join(lines)


def asymmetry_tables() -> str:
    names = ("asymmetry-devices", "asymmetry-eight", "asymmetry-mnist", "fast-tiles-mnist", "asymmetry-labels")
    return "\n\n".join(asymmetry_table(name) for name in names if (RESULTS / f"study-{name}.json").exists())


def asymmetry_table(name: str) -> str:
    def case(row):
        return row["device"] if row["nl_up"] is None else f"{row['nl_up']:g}/{row['nl_down']:g}"

    def cell(row):
        mean = f"{100 * row['accuracy_mean']:.1f}"
        if labelled:
            return mean
        pulses = f" ({row['pulses_per_weight']:.1f})" if len(cases) < MANY else ""
        return f"{mean} ± {100 * row['accuracy_sd']:.1f}{pulses}"

    entry = json.loads((RESULTS / f"study-{name}.json").read_text())
    rows = entry["result"]["rows"]
    cases = list(dict.fromkeys(map(case, rows[1:])))
    labelled = rows[-1]["nl_up"] is not None
    what = "mean, by labels up/down" if labelled else "mean ± s.d."
    what += " (pulses a weight)" if len(cases) < MANY and not labelled else ""
    lines = [f"| test accuracy, {what} | " + " | ".join(cases) + " |", "|---|" + "---|" * len(cases)]
    for scheme in dict.fromkeys(row["scheme"] for row in rows[1:]):
        own = {case(row): row for row in rows[1:] if row["scheme"] == scheme}
        lines.append(f"| {scheme} | " + " | ".join(cell(own[name]) for name in cases) + " |")
    r = entry["result"]
    ideal, batch = percent(r["ideal_accuracy"], r["ideal_accuracy_sd"]), r.get("batch", 1)
    shown = "one image" if batch == 1 else f"{batch} images"
    hidden = "-".join(map(str, r.get("hidden", [100])))
    reached = f"an ideal device with the same search reaches **{ideal}**; {r['seeds']} seeds. "
    lines.append(
        f"\n{r['data']}, {hidden} neurons, {shown} at a time, every image {times(r['epochs'])}; cycle-to-cycle noise "
        f"and device-to-device spread on; {reached}"
        f"{entry.get('note', '')}`{entry['command']}`"
    )
    return "\n".join(lines)


def times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def updates_table() -> str:
    bench = json.loads((RESULTS / "bench-updates.json").read_text())
    lines = [
        "| pulsed update of 512², one core | memspike | … without its ledger | peer | ratio | … without ledger |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['memspike_ms']} ms | {row['memspike_without_ledger_ms']} ms | {row['peer_ms']} ms "
        f"| {row['ratio']:.1f}× | {row['ratio_without_ledger']:.1f}× |"
        for name, row in bench["rows"].items()
    ]
    lines.append(
        "\nPeers: eager PyTorch, which sends the pulses of a device all at once (our closed form of the law, "
        "written there) or one after the other, and the compiled update of aihwkit 1.2.0, one after the other as well. "
        "They keep no ledger. `benchmarks/updates.py`"
    )
    return "\n".join(lines)


def population_line() -> str:
    r = json.loads((RESULTS / "bench-population.json").read_text())
    return (
        f"{r['chips']} chips of pattern generation on PCM, all noise, one device a side, on {r['cores']} cores: "
        f"{r['together_ms_per_chip_and_epoch']} ms a chip and epoch of three patterns as one vmapped run, "
        f"{r['alone_ms_per_chip_and_epoch']} ms one chip after the other: {r['ratio']:.1f}×."
    )


def eprop_table() -> str:
    r = json.loads((RESULTS / "bench-eprop.json").read_text())
    return (
        "| one pattern of e-prop on PCM, 100–100–1, 1,000 steps, forward and gradient | ms | ratio |\n|---|---|---|\n"
        f"| memspike, one core | {r['memspike_ms']} | |\n"
        f"| eager PyTorch, trace per synapse | {r['torch_2_loop_ms']:.0f} | {r['ratio_loop']:.0f}× |\n"
        f"| eager PyTorch, cheapest gradient | {r['torch_1_product_ms']:.0f} | {r['ratio_product']:.0f}× |\n"
        f"| … with memspike's shortcuts written in PyTorch | {r['torch_1_shortcuts_ms']:.0f} "
        f"| {r['ratio_shortcuts']:.0f}× |"
    )


INTRODUCTION = """\
Each figure is from the last epoch. Reporting seeds are 100, 101, …; settings were explored with seed 0 and
settled on held-out training images (`data.hold_out`). *Noisy chips*: the first seed's network programmed into 20
chips with 5 % programming spread, read with 1 % noise. Published for comparison: SPICEprop (arXiv 2203.01426)
reports 97.58 % on MNIST and 75.26 % on Fashion-MNIST, with a ReLU hidden layer and MIF neurons at the output
only."""
SPEED = """\
Both compute the same gradient, forward and backward, in one run of `make bench` on two cores of a shared
machine; the ratio counts, not the milliseconds."""
DEVICES = """\
With device-to-device spread of three parameters and cycle-to-cycle noise; NumPy and eager PyTorch run the same
equations, Synaptogen its own model of another device (`make bench`)."""


def block(brief: bool) -> str:
    """The tables of docs/results.md, or the few of README.md."""
    parts = [accuracy_table(), INTRODUCTION, bench_table(), SPEED]
    if not brief:
        parts += [device_table(), DEVICES, updates_table(), array_table(), wired_training_table()]
    parts += [wire_study_table(), heard_table()]
    if brief:
        parts.append(schemes_table())
    else:
        parts += [asymmetry_tables(), online_table(), schemes_table(), effects_table(), life_table()]
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
    from memspike.report.figures import overview
    from memspike.report.page import read_run
    from memspike.report.waveform import spike_figure

    run = read_run(folder)
    target = ROOT / "docs/figures"
    target.mkdir(exist_ok=True)
    spike_figure(mif()).savefig(target / "mif-spike.png", dpi=110)
    overview(run["samples"], run["result"]["test_accuracy"]).savefig(target / "trained-network.png", dpi=110)
    return 0


def device_figures() -> int:
    from memspike import devices
    from memspike.report import plot_device

    for label, name in (("pulses", "ag-a-si"), ("steps", "ag-a-si"), ("drift", "ag-a-si"), ("time", "pcm")):
        figure = plot_device(devices.find(name), name, devices.spread_of(name))[label]
        figure.savefig(ROOT / f"docs/figures/device-{label}.png", dpi=110)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    r = commands.add_parser("record")
    r.add_argument("name")
    r.add_argument("folder", type=Path)
    r.add_argument("--title", required=True)
    r.add_argument("--command", required=True)
    r.add_argument("--order", type=int, required=True)
    r.add_argument("--kind", choices=("run", "heard"), default="run")
    commands.add_parser("table").add_argument("--check", action="store_true")
    commands.add_parser("figures").add_argument("folder", type=Path)
    commands.add_parser("device-figures")
    f = commands.add_parser("record-fit")
    f.add_argument("folder", type=Path)
    f.add_argument("--command", required=True)
    s = commands.add_parser("record-study")
    s.add_argument("name")
    s.add_argument("folder", type=Path)
    s.add_argument("--command", required=True)
    options = parser.parse_args()
    if options.what == "record-study":
        return record_study(options.name, options.folder, options.command)
    if options.what == "record-fit":
        return record_fit(options.folder, options.command)
    if options.what == "device-figures":
        return device_figures()
    if options.what == "record":
        return record(options)
    return table(options.check) if options.what == "table" else figures(options.folder)


if __name__ == "__main__":
    sys.exit(main())

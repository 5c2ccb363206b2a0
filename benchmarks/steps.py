"""What a durable step costs: ``python benchmarks/steps.py [W1 W2 ...] [--rounds 5] [--synchronous normal full]``.

Workloads (each step is x + 1, every step recorded):
  W1  200 runs of a chain of 10 steps, one after another
  W2  10 runs of one step to 100 parallel steps to one join
  W3  a loop of 1,000 passes over one step
  W4  100 runs at once of 10 steps that sleep 10 ms, with 16 and with 64 workers (ms, beside the ideal)
  W5  a layered graph of 5,000 nodes, 50 a layer, 1 to 3 inputs each
  W6  peak memory of a process that does one of these once
  W7  W1 beside a CPU-bound tool that runs in the same engine, as shipped (ms a run, beside the same alone)
  W8  what these write into files (kB a step)

Beside the engine, in the same rounds: what plain Python needs in one thread with one SQLite commit a step, the same through a
thread pool, and (``--baselines PYTHON``: an interpreter with requirements-baselines.txt) LangGraph and DBOS.
Each is a process of its own. Printed are medians; times drift with the machine, ratios less.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from driver import Figure, Kind, Process, SubjectFailed, interleave, once, started
from shapes import NAP_S, Sizes, make_workloads

TIMED = ("W1", "W2", "W3", "W4/16", "W4/64", "W5")
OURS = "engine"
PLAIN, POOLED = "one thread", "thread pool"
# What the design allows: microseconds a step (W4: ms).
TARGETS = {
    "normal": {"W1": 100, "W2": 30, "W3": 100, "W4/64": 190, "W5": 50},
    "full": {"W1": 400, "W2": 60, "W3": 350, "W5": 80},
}


def main() -> None:
    chosen = read_arguments()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for synchronous in chosen.synchronous:
            kinds = make_kinds(chosen)
            (folder / synchronous).mkdir()
            with started(kinds, folder / synchronous, synchronous) as processes:
                print_times(synchronous, processes, [name for name in TIMED if wanted(chosen, name)])
        if wanted(chosen, "W6"):
            kinds = [kind for kind in make_kinds(chosen) if kind.name != POOLED]
            print_memory(kinds, folder)
        if wanted(chosen, "W7"):
            print_beside(make_kinds(chosen)[0], folder, chosen.rounds)
        if wanted(chosen, "W8"):
            print_written([kind for kind in make_kinds(chosen) if kind.name != POOLED], folder)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help="some of W1 to W8 (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--baseline-rounds", type=int, default=2)
    parser.add_argument("--synchronous", nargs="+", default=["normal", "full"], choices=("normal", "full"))
    parser.add_argument(
        "--baselines", metavar="PYTHON", help="an interpreter with requirements-baselines.txt"
    )
    for size in fields(Sizes):
        parser.add_argument(f"--{size.name}", type=int, default=size.default, metavar="N")
    return parser.parse_args()


def wanted(chosen: argparse.Namespace, workload: str) -> bool:
    return not chosen.workloads or workload in chosen.workloads or workload[:2] in chosen.workloads


def make_kinds(chosen: argparse.Namespace) -> list[Kind]:
    sizes = Sizes(**{size.name: getattr(chosen, size.name) for size in fields(Sizes)})
    own = [
        (OURS, ("subject_engine.py",)),
        (PLAIN, ("subject_floor.py", "plain")),
        (POOLED, ("subject_floor.py", "pooled")),
    ]
    kinds = [Kind(name, script, sys.executable, sizes, chosen.rounds) for name, script in own]
    if chosen.baselines is None:
        return kinds
    for name, script in (("LangGraph", "subject_langgraph.py"), ("DBOS", "subject_dbos.py")):
        if has(chosen.baselines, name):
            rounds = min(chosen.rounds, chosen.baseline_rounds)
            kinds.append(Kind(name, (script,), chosen.baselines, sizes, rounds))
    return kinds


def has(python: str, name: str) -> bool:
    found = subprocess.run([python, "-c", f"import {name.lower()}"], check=False, capture_output=True)
    return found.returncode == 0


def print_times(synchronous: str, processes: list[Process], workloads: list[str]) -> None:
    if not workloads:
        return
    names = [process.kind.name for process in processes]
    print(f"\nsynchronous={synchronous}: microseconds a step (W4: ms), and ratios to {OURS}\n")
    print(f"| | {' | '.join(names)} | spread of {OURS} | target |")
    print(f"|---|{'---:|' * (len(names) + 2)}")
    for workload in workloads:
        # One thread needs a hundred times longer where steps sleep, and says nothing.
        asked = [p for p in processes if not (workload.startswith("W4") and p.kind.name == PLAIN)]
        figures = interleave(asked, workload)
        units = {p.kind.name: unit_of(p.kind.sizes, workload) for p in asked}
        scaled = {
            name: Figure([value * units[name] for value in figure.values]) for name, figure in figures.items()
        }
        ours = scaled[OURS]
        cells = [describe(name, scaled.get(name), ours) for name in names]
        target = f"{TARGETS[synchronous].get(workload, '')}"
        if workload.startswith("W4"):
            sizes = processes[0].kind.sizes
            ideal = sizes.sleepers * 10 * NAP_S / int(workload[3:]) * 1e3
            target += f" (ideal {ideal:.0f}: {ours.median / ideal:.2f}x)"
        print(f"| {workload} | {' | '.join(cells)} | {ours.spread} | {target} |", flush=True)


def unit_of(sizes: Sizes, workload: str) -> float:
    """What turns seconds into the unit of the table."""
    work = make_workloads(sizes)[workload]
    if not work.together:
        return 1e6 / work.steps
    return 1e3 * make_workloads(Sizes())[workload].steps / work.steps


def describe(name: str, figure: Figure | None, ours: Figure) -> str:
    if figure is None:
        return "-"
    if name == OURS:
        return f"**{figure.median:.0f}**"
    return f"{figure.median:.0f} ({figure.median / ours.median:.2f}x)"


def print_memory(kinds: list[Kind], folder: Path) -> None:
    print("\nW6: peak memory in MB of a process that does the workload once\n")

    def peak(kind: Kind, place: Path, workload: str) -> str:
        return f"{once(kind, place, 'normal', [workload])[0]['peak_mb']:.0f}"

    print_once(kinds, folder / "memory", peak)


def print_written(kinds: list[Kind], folder: Path) -> None:
    print("\nW8: kB a step written into files, of a process that does the workload for the second time\n")

    def written(kind: Kind, place: Path, workload: str) -> str:
        answers = once(kind, place, "normal", [workload, workload])
        return f"{answers[1]['written_bytes'] / 1e3 / make_workloads(kind.sizes)[workload].steps:.1f}"

    print_once(kinds, folder / "written", written)


def print_once(kinds: list[Kind], folder: Path, measure: Callable[[Kind, Path, str], str]) -> None:
    folder.mkdir()
    workloads = ["W1", "W2", "W3", "W4/64", "W5"]
    print(f"| | {' | '.join(workloads)} |\n|---|{'---:|' * len(workloads)}")
    for kind in kinds:
        cells: list[str] = []
        for number, workload in enumerate(workloads):
            if kind.name == PLAIN and workload.startswith("W4"):
                cells.append("-")
                continue
            try:
                cells.append(measure(kind, folder / f"{kind.name.replace(' ', '-')}-{number}", workload))
            except SubjectFailed as error:
                print(error, file=sys.stderr)
                cells.append("-")
        print(f"| {kind.name} | {' | '.join(cells)} |", flush=True)


def print_beside(kind: Kind, folder: Path, rounds: int) -> None:
    alone: list[float] = []
    beside: list[float] = []
    runs = kind.sizes.beside
    for number in range(min(rounds, 3)):
        asked = ["W7/alone", "W7/alone", "W7", "W7"]  # the first of each is for warming up
        answers = once(kind, folder / f"beside-{number}", "normal", asked)
        alone.append(answers[1]["seconds"] * 1e3 / runs)
        beside.append(answers[3]["seconds"] * 1e3 / runs)
    one, two = Figure(alone), Figure(beside)
    print(
        "\nW7: milliseconds a run of 10 steps, alone and beside a CPU-bound tool in the same engine (normal)\n"
    )
    print("| alone | beside | ratio | target |\n|---:|---:|---:|---:|")
    print(f"| {one.median:.1f} | {two.median:.1f} ({two.spread}) | {two.median / one.median:.1f}x | 3x |")


if __name__ == "__main__":
    main()

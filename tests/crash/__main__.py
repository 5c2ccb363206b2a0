"""Kill the engine at random, for as long as you like, and hold what it leaves behind against the promises.

    python -m tests.crash --seconds 600 --seed 7

Each round is a row of lives of one program on one database, with random graphs, isolation and load; each life is killed (kill -9) at
a random moment or at a random failpoint, the last one is left alone. The exit status is 1 when a promise was broken; the
round's folder is kept then, and the same seed chooses the same graphs and moments again.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from engine.failpoints import POINTS
from engine.model.graph import GraphDefinition
from tests.crash.checks import Findings, check_folder
from tests.crash.mother import Mother
from tests.crash.shapes import ISOLATIONS, make_random

ROOT = Path(__file__).resolve().parents[2]
PLACES = [name for name in POINTS if name not in ("backup", "migrate", "save-file")]


def make_graphs(dice: random.Random) -> list[GraphDefinition]:
    """Some graphs, each with a name of its own."""
    kinds = dice.choices(ISOLATIONS, weights=(5, 1, 4), k=dice.randint(1, 5))
    return [
        make_random(dice, kind).model_copy(update={"name": f"{kind} {number}"})
        for number, kind in enumerate(kinds)
    ]


def play_round(mother: Mother, dice: random.Random, folder: Path, counts: Counter[str]) -> Findings:
    """A row of lives; what is wrong afterwards."""
    graphs = make_graphs(dice)
    calm, wild = folder / "calm", folder / "wild"
    calm.mkdir()
    wild.mkdir()
    mother.bear(calm, graphs)
    if mother.bury() != 0:
        raise RuntimeError("an undisturbed program failed; see above")
    undisturbed = check_folder(calm)
    pruned = dice.random() < 0.3
    for _ in range(dice.randint(3, 10)):
        counts["lives"] += 1
        chosen = dice.sample(graphs, dice.randint(1, len(graphs)))
        failpoint = (
            f"{dice.choice(PLACES)}:{dice.choice((1, 2, 3, 5, 8, 13, 40))}:kill"
            if dice.random() < 0.6
            else ""
        )
        prune_to = dice.choice((1, 3)) if pruned else None
        mother.bear(wild, chosen, failpoint, dice.choice(("normal", "full")), prune_to)
        if not failpoint and not mother.ended_within(dice.uniform(0.05, 0.9)):
            mother.kill()
        code = mother.bury()
        counts["kills"] += code == -9
        if code not in (0, -9):
            raise RuntimeError(f"a program ended with {code}; see above")
    mother.bear(wild, (), prune_to=2 if pruned and dice.random() < 0.5 else None)
    code = mother.bury()
    found = check_folder(wild, undisturbed.states, pruned=pruned)
    if code != 0:
        found.violations.append(f"the last life ended with {code}")
    found.violations.extend(undisturbed.violations)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60, help="for how long (default 60)")
    parser.add_argument("--seed", type=int, help="to choose the same again")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}", flush=True)
    dice, counts = random.Random(seed), Counter[str]()
    mother, until = Mother(ROOT), time.monotonic() + given.seconds
    try:
        while time.monotonic() < until and not counts["violations"]:
            folder = Path(tempfile.mkdtemp(prefix="wfe-crash-"))
            found = play_round(mother, dice, folder, counts)
            counts.update(
                rounds=1,
                runs=found.runs,
                steps=found.steps,
                told=found.lines_seen,
                violations=len(found.violations),
            )
            for violation in found.violations:
                print(f"round {counts['rounds']}: {violation}\n  in {folder}", flush=True)
            if not found.violations:
                shutil.rmtree(folder)
    finally:
        mother.close()
    names = ("rounds", "lives", "kills", "runs", "steps", "told", "violations")
    print(", ".join(f"{counts[name]} {name}" for name in names))
    return 1 if counts["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())

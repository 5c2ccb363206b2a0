"""Kill the engine at random, for as long as you like, and hold what it leaves behind against the promises.

    python -m tests.crash --seconds 600 --seed 7

Each round is a row of lives of one program on one database, with random graphs, isolation and load: with child runs, forks, kept
results, tokens and relaxed runs among them. Each life is killed (kill -9) at a random moment, at a random failpoint or at a
commit of a random kind, the last one is left alone. The exit status is 1 when a promise was broken; the round's folder is
kept then, and the same seed chooses the same graphs and moments again.
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
from typing import Any

from engine.failpoints import POINTS
from tests.crash.checks import Findings, check_folder
from tests.crash.life import LIVES
from tests.crash.mother import Mother
from tests.crash.shapes import ISOLATIONS, Scenario, make_random

ROOT = Path(__file__).resolve().parents[2]
PLACES = [name for name in POINTS if name not in ("backup", "migrate", "save-file")]
OF_TOOLS = ("before-tool", "after-tool", "before-result", "after-result")
"""Where a tool's process is killed: each one, so each must get something done before."""
KINDS = (
    "StepQueued", "ResourcesGranted", "StepStarted", "StepCompleted", "StepUnsure", "StepDecided", "NewResult",
    "ChildStarted", "ChildEnded", "RunForked", "RunCompleted", "RunContinued",
)  # fmt: skip
"""Commits are chosen by what they hold."""


def make_scenarios(dice: random.Random) -> list[Scenario]:
    """Some scenarios, whose graphs have names of their own."""
    kinds = dice.choices(ISOLATIONS, weights=(5, 1, 4), k=dice.randint(1, 5))
    return [make_random(dice, f"{kind} {number}", kind) for number, kind in enumerate(kinds)]


def choose_death(dice: random.Random) -> dict[str, Any]:
    """At which failpoint, or at which commit; nothing: at a random moment."""
    number, chance = dice.choice((1, 2, 3, 5, 8, 13, 40)), dice.random()
    if chance < 0.4:
        place = dice.choice(PLACES)
        return {"failpoint": f"{place}:{max(number, 3) if place in OF_TOOLS else number}:kill"}
    if chance < 0.65:
        return {"moment": f"{dice.choice(('before', 'after'))}:{dice.choice(KINDS)}:{min(number, 8)}"}
    return {}


def play_round(mother: Mother, dice: random.Random, folder: Path, counts: Counter[str]) -> Findings:
    """A row of lives; what is wrong afterwards."""
    scenarios = make_scenarios(dice)
    calm, wild = folder / "calm", folder / "wild"
    calm.mkdir()
    wild.mkdir()
    mother.bear(calm, scenarios)
    if mother.bury() != 0:
        raise RuntimeError(f"an undisturbed program failed; see above, and {folder}")
    undisturbed = check_folder(calm)
    wrong = undisturbed.violations
    pruned = dice.random() < 0.3
    for _ in range(dice.randint(3, 10)):
        counts["lives"] += 1
        chosen = dice.sample(scenarios, dice.randint(1, len(scenarios)))
        death = choose_death(dice)
        prune_to = dice.choice((1, 3)) if pruned else None
        mother.bear(wild, chosen, synchronous=dice.choice(("normal", "full")), prune_to=prune_to, **death)
        if not death and not mother.ended_within(dice.uniform(0.05, 0.9)):
            mother.kill()
        code = mother.bury()
        counts["kills"] += code == -9
        if code not in (0, -9):
            raise RuntimeError(f"a program ended with {code}; see above, and {folder}")
        if dice.random() < 0.3 and (wild / LIVES).exists():
            wrong += check_folder(wild, pruned=pruned, cut=True).violations
    mother.bear(wild, (), prune_to=2 if pruned and dice.random() < 0.5 else None)
    code = mother.bury()
    found = check_folder(wild, undisturbed.endings, pruned=pruned)
    if code != 0:
        found.violations.append(f"the last life ended with {code}")
    found.violations.extend(wrong)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=60, help="for how long (default 60)")
    parser.add_argument("--seed", type=int, help="to choose the same again")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}", flush=True)
    dice, counts = random.Random(seed), Counter[str]()
    mother, until, oldest_s = Mother(ROOT), time.monotonic() + given.seconds, 0.0
    try:
        while time.monotonic() < until and not counts["violations"]:
            folder = Path(tempfile.mkdtemp(prefix="wfe-crash-"))
            found = play_round(mother, dice, folder, counts)
            counts.update(
                rounds=1,
                runs=found.runs,
                steps=found.steps,
                told=found.lines_seen,
                children=found.children,
                forks=found.forks,
                reused=found.reused,
                decided=found.decided,
                lost=found.lost,
                violations=len(found.violations),
            )
            oldest_s = max(oldest_s, found.oldest_lost_s)
            for violation in found.violations:
                print(f"round {counts['rounds']}: {violation}\n  in {folder}", flush=True)
            if not found.violations:
                shutil.rmtree(folder)
    finally:
        mother.close()
    names = ("rounds", "lives", "kills", "runs", "steps", "told", "children", "forks", "reused", "decided")
    print(", ".join(f"{counts[name]} {name}" for name in (*names, "violations")))
    print(f"relaxed runs: {counts['lost']} steps lost and done again, up to {oldest_s:.2f} s old")
    return 1 if counts["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())

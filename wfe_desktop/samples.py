"""The sample workflows that come with the program, and the files that they work on."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from engine.model.graph import GraphDefinition

SAMPLES = ("code_review", "math_processing", "text_analysis")
"""The names of the sample workflows; the first is the one that the first start opens."""

_FILES = ("inventory.py", "garden.txt")


def load_sample(name: str) -> GraphDefinition:
    """The sample workflow of this name. Raises ``KeyError`` for a name that is not in ``SAMPLES``."""
    if name not in SAMPLES:
        raise KeyError(name)
    return GraphDefinition.model_validate_json(_read("workflows", f"{name}.json"))


def install_samples(workspace: Path) -> list[Path]:
    """Put the files that the samples read into the workspace, and return those that were put there.

    A file that is there already is left as it is, whoever made it. The folder is made where it is missing. Raises
    ``OSError`` where the workspace cannot be written to.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    installed: list[Path] = []
    for name in _FILES:
        target = workspace / name
        try:
            with target.open("xb") as file:
                file.write(_read("samples", name))
        except FileExistsError:
            continue
        installed.append(target)
    return installed


def _read(folder: str, name: str) -> bytes:
    return (resources.files("resources") / folder / name).read_bytes()

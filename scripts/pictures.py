"""Draws docs/images/{branch,join,loop}.svg again: runs three of the pattern samples for real and lets the canvas draw
them as they stand at the end.

    .venv/bin/python scripts/pictures.py [folder]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_API"] = "pyside6"
os.environ["QT_PREFERRED_BINDING"] = "PySide6"

from PySide6.QtWidgets import QApplication

from engine import AppConfig, GraphDefinition, RunStatus, Services, open_services
from wfe_desktop.canvas.adapter import CanvasWidget
from wfe_desktop.models.run_view import RunView
from wfe_desktop.running import canvas_view
from wfe_desktop.theme import LIGHT, apply_theme

ROOT = Path(__file__).resolve().parent.parent
PICTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "branch": ("wcp_05_simple_merge", {"amount": 250}),
    "join": ("wcp_03_synchronization", {"policy_s": 0.3, "damage_s": 0.6}),
    "loop": ("wcp_09_structured_discriminator", {"patients": 3}),
}


def draw(services: Services, sample: str, state: dict[str, Any], target: Path) -> None:
    """Run a sample and draw how it ended."""
    text = (ROOT / "resources" / "patterns" / f"{sample}.json").read_text(encoding="utf-8")
    graph = GraphDefinition.model_validate_json(text)
    run_id = services.engine.execute_workflow(services.graphs.create_graph(graph), state)
    run = services.engine.wait(run_id, 60)
    if run.status is not RunStatus.COMPLETED:
        raise SystemExit(f"{sample}: {run.status.value}: {run.error_message}")
    view = RunView(run_id, graph)
    view.load(run)
    canvas = CanvasWidget(theme=LIGHT)
    canvas.show_graph(graph, services.registry.list_tools())
    canvas.set_run_view({node: canvas_view(step) for node, step in view.nodes.items()}, view.edges)
    canvas.export_svg(target, graph.name)
    canvas.deleteLater()
    print(target)


def main() -> None:
    """Draw them all, into docs/images/ unless another folder is named."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    app = QApplication(sys.argv[:1])
    apply_theme(app, LIGHT)
    with tempfile.TemporaryDirectory() as home:
        services = open_services(AppConfig(database_url=f"sqlite:///{home}/runs.db", workspace=Path(home)))
        try:
            for name, (sample, state) in PICTURES.items():
                draw(services, sample, state, folder / f"{name}.svg")
        finally:
            services.close()


if __name__ == "__main__":
    main()

"""Where the program begins, before anything of it is loaded."""

from __future__ import annotations

import gc
from typing import Final

EXIT_INTERRUPTED: Final = 130


def main() -> int:
    """Runs the program; returns its exit status."""
    # Loading makes some 90,000 objects that stay. Looking through them again and again for garbage, as Python does by
    # itself after each 700, would be a tenth of the start.
    gc.set_threshold(50_000, 20, 20)
    try:
        from wfe_desktop.cli import main as run

        return run()
    except KeyboardInterrupt:  # before there was anything to close in order
        return EXIT_INTERRUPTED

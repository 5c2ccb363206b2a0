"""Where the program begins, before anything of it is loaded."""

from __future__ import annotations

import gc
from typing import Final

EXIT_INTERRUPTED: Final = 130


def main() -> int:
    """Runs the program; returns its exit status."""
    # Loading makes some 100,000 objects that stay. Looking through them again and again for garbage, as Python does by
    # itself, would be a tenth of the start. What goes on for longer turns it on when it has loaded.
    gc.disable()
    try:
        from wfe_desktop.cli import main as run

        return run()
    except KeyboardInterrupt:  # before there was anything to close in order
        return EXIT_INTERRUPTED

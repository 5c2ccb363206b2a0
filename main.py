"""Starts the program: ``python main.py --help`` says how."""

import sys

from wfe_desktop.start import main

if __name__ == "__main__":
    sys.exit(main())

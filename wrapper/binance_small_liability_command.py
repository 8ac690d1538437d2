"""The command `binance-small-liability`.

This module is outside the package because importing the package takes 0.2 s, and Ctrl-C must end
the command without output even during the import.
"""

import sys
from importlib.util import find_spec
from typing import NoReturn

# What the extra `cli` installs.
_EXTRA = ("prettytable", "shtab")


def main() -> NoReturn:
    """Runs the command line and exits. It does not return the exit code: zipapp would ignore it."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = 130  # the exit code that shells use for Ctrl-C
    sys.exit(code)


def _run() -> int:
    if any(find_spec(module) is None for module in _EXTRA):
        install = "pip install 'binance-small-liability[cli]'"
        sys.stderr.write(f"binance-small-liability: the command line needs: {install}\n")
        return 2
    from binance_small_liability.cli.main import run

    return run()

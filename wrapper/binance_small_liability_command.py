"""The command `binance-small-liability`.

This module stands beside the package because importing the package takes 0.2 s, during which
Ctrl-C must already end the command without output.
"""

import sys
from importlib.util import find_spec
from typing import NoReturn

# What the extra `cli` installs.
_EXTRA = ("prettytable", "shtab")


def main() -> NoReturn:
    """Runs the command line, and exits; zipapp would ignore an exit code that is returned."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = 130  # as shells count an end by Ctrl-C
    sys.exit(code)


def _run() -> int:
    if any(find_spec(module) is None for module in _EXTRA):
        install = "pip install 'binance-small-liability[cli]'"
        sys.stderr.write(f"binance-small-liability: the command line needs: {install}\n")
        return 2
    from binance_small_liability.cli.main import run

    return run()

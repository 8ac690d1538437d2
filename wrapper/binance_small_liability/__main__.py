"""`python -m binance_small_liability`, and the command `binance-small-liability`."""

import sys
from importlib.util import find_spec

# What the extra `cli` installs.
_EXTRA = ("prettytable", "shtab")


def main() -> int:
    """Runs the command line; returns its exit code."""
    if any(find_spec(module) is None for module in _EXTRA):
        install = "pip install 'binance-small-liability[cli]'"
        sys.stderr.write(f"binance-small-liability: the command line needs: {install}\n")
        return 2
    from .cli.main import run

    return run()


if __name__ == "__main__":
    sys.exit(main())

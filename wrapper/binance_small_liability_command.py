"""The command `binance-small-liability`.

This module is outside the package because importing the package takes 0.2 s, and Ctrl-C must end
the command without output even during the import.
"""

import signal
import sys
import time
from importlib.util import find_spec
from typing import NoReturn

# What the extra `cli` installs.
_EXTRA = ("prettytable", "shtab")
# When a terminal closes, the shell and the kernel may both send SIGHUP. Only the first counts.
_SAME_EVENT = 1.0  # seconds


class Interrupts:
    """SIGTERM and SIGHUP interrupt a command as Ctrl-C does: they raise KeyboardInterrupt.

    Attributes:
        number: the signal that interrupted it.
    """

    def __init__(self) -> None:
        """Begins to handle them. A signal that is ignored, as by `nohup`, stays ignored."""
        self.number = signal.SIGINT
        self._last = float("-inf")
        names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
        known = [getattr(signal, name) for name in names if hasattr(signal, name)]
        self._handled = [each for each in known if signal.getsignal(each) is not signal.SIG_IGN]
        for each in self._handled:
            signal.signal(each, self._interrupt)

    def _interrupt(self, number: int, _: object) -> None:
        now = time.monotonic()
        if now - self._last > _SAME_EVENT:
            self._last, self.number = now, signal.Signals(number)
            raise KeyboardInterrupt(self.number.name)

    def end(self) -> None:
        """The command is about to end, and nothing may change its exit code any more."""
        self._last = float("inf")
        for each in self._handled:
            signal.signal(each, signal.SIG_IGN)


def main() -> NoReturn:
    """Runs the command line and exits. It does not return the exit code: zipapp would ignore it."""
    interrupts = Interrupts()
    try:
        code = _run(interrupts)
    except KeyboardInterrupt:
        interrupts.end()
        code = 128 + interrupts.number  # as shells do
    sys.exit(code)


def _run(interrupts: Interrupts) -> int:
    if any(find_spec(module) is None for module in _EXTRA):
        install = 'pip install "binance-small-liability[cli]"'
        sys.stderr.write(f"binance-small-liability: the command line needs: {install}\n")
        return 2
    from binance_small_liability.cli.main import run

    return run(end=interrupts.end)

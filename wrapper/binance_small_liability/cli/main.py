"""One run of the command line."""

import logging
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from .errors import exit_code, report
from .output import check_stdout
from .parser import parse


def run(arguments: Sequence[str] | None = None, end: Callable[[], None] = lambda: None) -> int:
    """Runs one command and returns its exit code; the guide "Command line" lists them.

    Args:
        arguments: without the name of the program; by default those of the process.
        end: called once the exit code is known. From then on, no signal may change it.

    Raises:
        KeyboardInterrupt: a signal interrupted it.
    """
    options = Namespace(verbose=0, end=end)
    try:
        check_stdout()
        parse(sys.argv[1:] if arguments is None else arguments, options)
        _set_up_log(options.verbose)
        options.run(options)
    except Exception as error:  # users get one line instead of a traceback
        report(error, options)
        return exit_code(error)
    return 0


def _set_up_log(verbose: int) -> None:
    if verbose:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s: %(message)s")
    else:
        # Without a handler Python writes warnings to stderr.
        logging.getLogger("binance_small_liability").addHandler(logging.NullHandler())

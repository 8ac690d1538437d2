"""One run of the command line."""

import logging
import sys
from argparse import Namespace
from collections.abc import Sequence

from .errors import exit_code, report
from .output import check_stdout
from .parser import parse


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns 0; 1 if Binance refused or the network failed; 2 for wrong use; 3 if the outcome of an
    exchange is unknown. Ctrl-C passes through.
    """
    options = Namespace(verbose=False)
    try:
        check_stdout()
        parse(sys.argv[1:] if arguments is None else arguments, options)
        _set_up_log(options.verbose)
        options.run(options)
    except Exception as error:  # users get one line instead of a traceback
        report(error, options)
        return exit_code(error)
    return 0


def _set_up_log(verbose: bool) -> None:
    if verbose:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s: %(message)s")
    else:
        # Without a handler Python writes warnings to stderr.
        logging.getLogger("binance_small_liability").addHandler(logging.NullHandler())

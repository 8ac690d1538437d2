"""Serves Prism behind the fake Binance, which verifies every request, until Ctrl-C."""

import signal
import sys

from binance_small_liability.cli.mock import announce
from binance_small_liability.testing import FakeBinance

from tools.prism import prism

# SIGTERM ends it as Ctrl-C does.
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    with prism() as upstream:
        fake = FakeBinance(upstream=upstream)
        with fake.serve(int(sys.argv[1])) as url:
            announce(fake, url)
            signal.pause()
except KeyboardInterrupt:
    pass
except OSError as error:
    sys.exit(f"Port {sys.argv[1]} cannot be used: {error.strerror}")

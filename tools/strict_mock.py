"""Serves Prism behind the fake Binance, which verifies every request, until Ctrl-C."""

import signal
import sys

from binance_small_liability.testing import FakeBinance

from tools.prism import prism

# SIGTERM ends it as Ctrl-C does.
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    with prism() as upstream:
        fake = FakeBinance(upstream=upstream)
        with fake.serve(int(sys.argv[1])) as url:
            print(f"A mock of Binance that verifies requests, at {url}")
            print(f"  BINANCE_API_KEY={fake.api_key}")
            print(f"  BINANCE_API_SECRET={fake.api_secret}", flush=True)
            signal.pause()
except KeyboardInterrupt:
    pass
except OSError as error:
    sys.exit(f"Port {sys.argv[1]} cannot be used: {error.strerror}")

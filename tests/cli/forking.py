"""Runs the command in forks of this process: a fork costs 0.02 s, a start of the command 0.35 s.

A fork sends its process id to the test, and receives the arguments, the environment, the signals to
ignore, and its standard files. When it has ended, the test receives its exit code.
"""

import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress

from binance_small_liability._io import real_time
from binance_small_liability.cli.formats import render
from binance_small_liability.cli.main import run
from binance_small_liability_command import main


def serve(control: socket.socket) -> None:
    while child := os.fork():
        _, status = os.waitpid(child, 0)
        control.send(str(os.waitstatus_to_exitcode(status)).encode())
    control.send(str(os.getpid()).encode())
    message, files, _, _ = socket.recv_fds(control, 1_000_000, 3)
    if not message:  # the tests have ended
        return
    arguments, environment, ignored = json.loads(message)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")  # as Python's own
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    main()


if __name__ == "__main__":
    # Import what the command imports late.
    render(None, ["币"], "table")
    with real_time.skipping():
        run(["list", "--base-url", "http://127.0.0.1:1"])
    # Otherwise each fork would look through all objects when it exits.
    gc.freeze()
    with suppress(BrokenPipeError), socket.socket(fileno=int(sys.argv[1])) as control:
        serve(control)

"""How the clock is corrected: the exchange is asked for its time."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from ._answer import Answer
from ._clock import Clock
from ._errors import RateLimitError
from ._limits import Limits

TIME_PATH = "/api/v3/time"

log = logging.getLogger(__package__)


@contextmanager
def correcting(clock: Clock, limits: Limits) -> Iterator[Callable[[Answer], None]]:
    """Corrects `clock` by the answer that is handed to what it gives, or notes why it could not."""
    stop = clock.stopwatch()

    def note(answer: Answer) -> None:
        if answer.server_time is not None:
            stop(answer.server_time)
            log.warning("The clock is corrected by %+d ms", clock.correction.offset)
            return
        clock.fail(f"{TIME_PATH} answered HTTP {answer.status_code} without a time")
        refusal = answer.refusal(str)
        if isinstance(refusal, RateLimitError):
            limits.cool_down(refusal)

    try:
        yield note
    except httpx.HTTPError as error:
        clock.fail(f"{TIME_PATH} gave no usable answer: {type(error).__name__}")

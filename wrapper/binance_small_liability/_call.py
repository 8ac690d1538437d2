"""One call: its attempts, and what becomes of them."""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import attrs
import httpx
from tenacity import RetryCallState, stop_after_attempt

from ._answer import Answer
from ._clock import Correction
from ._coin import report_unknown, unknown_fields
from ._config import Config
from ._errors import (
    ApiError,
    ClockSkewError,
    NetworkError,
    RateLimitError,
    RequestTimeout,
    SmallLiabilityError,
)
from ._limits import Limits
from ._redaction import SEAL, defuse
from ._retry import RetryDetails, may_retry, wait_before_retry

log = logging.getLogger(__package__)


@attrs.define(eq=False)
class Call:
    """One request on its way through its attempts.

    Attributes:
        attempts: how many were made. Sending once more with a corrected clock is the same attempt.
        correction: that of the clock, if this call needed one; it gets no second.
    """

    config: Config
    limits: Limits
    request: httpx.Request
    attempts: int = 0
    correction: Correction | None = None
    _begun: int = 0

    def retrying(self) -> dict[str, Any]:
        """How tenacity is to try again."""
        return {
            "retry": self._may_retry,
            "wait": self._wait,
            "stop": stop_after_attempt(self.config.max_attempts),
            "before_sleep": self._report_retry,
            "reraise": True,
        }

    def _may_retry(self, state: RetryCallState) -> bool:
        return may_retry(_failure(state), self.request.method, self.config.max_retry_wait)

    def _wait(self, state: RetryCallState) -> float:
        jitter = random.random()  # noqa: S311 - it spreads load, it hides nothing
        longest = self.config.max_retry_wait
        return wait_before_retry(_failure(state), self.attempts, longest, jitter)

    def _report_retry(self, state: RetryCallState) -> None:
        error = cast(SmallLiabilityError, _failure(state))
        status = error.status_code if isinstance(error, ApiError) else None
        details = RetryDetails(self.attempts, state.upcoming_sleep, type(error), status)
        log.info(
            "Attempt %d failed with %s (HTTP status %s); trying again in %.3f s",
            details.attempt,
            details.error_class.__name__,
            details.status,
            details.wait,
        )
        if self.config.on_retry is not None:
            try:
                self.config.on_retry(details)
            except Exception:  # a service that miscounts its retries still wants its coins
                log.exception("on_retry failed")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One attempt: what it raises is an error of this package that knows how many were made."""
        self._begun += 1
        try:
            yield
        except httpx.HTTPError as cause:
            self.attempts = self._begun
            defuse(cause, self._redact)
            kind = RequestTimeout if isinstance(cause, httpx.TimeoutException) else NetworkError
            what = f"{type(cause).__name__}: {cause}"
            error = kind(f"No usable answer from {self.request.url.host}: {what}")
            error.attempts = self.attempts
            raise error from cause
        except SmallLiabilityError as error:
            error.attempts = self.attempts
            raise

    def sends(self) -> None:
        """The request leaves now: what may have kept this attempt from being one did not."""
        self.attempts = self._begun

    def received(self, answer: Answer) -> Answer:
        """Notes the request weight that `answer` tells."""
        if answer.used_weight is not None:
            self.limits.used_weight = answer.used_weight
        return answer

    def success(self, answer: Answer) -> Answer:
        """`answer`, if it is the success that the contract documents.

        Raises:
            SmallLiabilityError: what else it is.
        """
        error = answer.refusal(self._redact) or answer.fault()
        if error is None:
            report_unknown(self._redact(name) for name in unknown_fields(answer.json()))
            return answer
        if isinstance(error, RateLimitError):
            self.limits.cool_down(error)
        if isinstance(error, ClockSkewError) and self.correction is not None:
            error.problem = self.correction.problem
            error.offset = self.correction.offset if error.problem is None else None
        raise error

    def _redact(self, text: str) -> str:
        seal = self.request.extensions.get(SEAL)
        return text if seal is None else seal.redact(text)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None

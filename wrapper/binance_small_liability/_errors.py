"""The errors of this package, as a tree:

    SmallLiabilityError
    ├── ConfigurationError (also ValueError)  a wrong or missing option or argument; nothing sent
    ├── NetworkError                          no usable response; its cause is the transport's
    │   └── RequestTimeout
    ├── ContractError                         a success that does not match the contract, and where
    ├── OutcomeUnknownError                   an exchange may have taken effect; it is never retried
    └── ApiError                              Binance refused
        ├── AuthenticationError               401, -1002, -1022, -2008, -2014, -2015
        ├── ClockSkewError                    -1021
        ├── FirewallError                     403
        ├── RateLimitError                    429
        │   └── IpBanError                    418
        └── ServerError                       5xx

Errors can be pickled. They contain no secret, no API key and no signature. Their `args` are what
their constructors take, and can be written as JSON: Celery's results restore them this way.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

import attrs

_LONGEST_MSG = 300  # characters of Binance's text in a message; `msg` has up to 4,000


def sentence(text: str) -> str:
    """`text` with a mark at its end, so that another sentence can follow."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


class SmallLiabilityError(Exception):
    """Any failure of this package.

    Attributes:
        attempts: the number of attempts, including those that could not send their request.
    """

    attempts: int = 0

    @property
    def message(self) -> str:
        """The message without the number of attempts."""
        return Exception.__str__(self)

    def __str__(self) -> str:
        """The message as a sentence, and how many attempts were made if there were several."""
        attempts = f" {self.attempts} attempts were made." if self.attempts > 1 else ""
        return sentence(self.message) + attempts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


class ConfigurationError(SmallLiabilityError, ValueError):
    """A wrong or missing option or argument; nothing was sent.

    Attributes:
        option: the keyword or environment variable to correct.
        problem: what is wrong with it and what to do.
    """

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(option, problem)
        self.option = option
        self.problem = problem

    @property
    def message(self) -> str:
        """The option and its problem."""
        return f"{self.option} {self.problem}"

    def __str__(self) -> str:
        """The message. There was no attempt."""
        return self.message


class NetworkError(SmallLiabilityError):
    """No usable response arrived: no connection, a broken one, or bytes that are not HTTP.

    The transport's error, an `httpx.TransportError`, is its `__cause__`, without the frames that
    held the signed request.
    """


class RequestTimeout(NetworkError):
    """The whole attempt, or the wait for a connection, took longer than `timeout`."""


class ContractError(SmallLiabilityError):
    """A success that does not match the contract; the message says where.

    Either the API has changed, or a server between Binance and this machine changed the response.
    """


def _names(assets: Iterable[str]) -> tuple[str, ...]:
    if isinstance(assets, str) or not (names := tuple(assets)):
        raise ConfigurationError("receipt", "must have the names of assets")
    return names


@attrs.frozen
class Receipt:
    """What `confirm` needs to find out whether an exchange took effect.

    It can be pickled and written as JSON: `json.dumps(receipt.to_dict())`.

    Attributes:
        assets: the names of the coins whose debts it exchanges.
        sent_at: an aware datetime in UTC: the earliest time, by Binance's clock, at which the
            exchange can have taken effect. Binance accepts timestamps up to 1 s ahead of its clock,
            so this second is subtracted from the request's timestamp.
        conclusive_at: the time, by Binance's clock, after which the history lists the exchange if
            it took effect: the request's timestamp, `recv_window`, and the 10 s after which Binance
            gives up.
    """

    assets: tuple[str, ...] = attrs.field(converter=_names)
    sent_at: datetime
    conclusive_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """The receipt as a JSON object. Times are written in ISO 8601."""
        return {
            "assets": list(self.assets),
            "sent_at": self.sent_at.isoformat(),
            "conclusive_at": self.conclusive_at.isoformat(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` returned. Raises ConfigurationError."""
        try:
            sent_at = datetime.fromisoformat(stored["sent_at"])
            return cls(stored["assets"], sent_at, datetime.fromisoformat(stored["conclusive_at"]))
        except (KeyError, TypeError, ValueError):
            raise ConfigurationError("receipt", "is not what Receipt.to_dict returned") from None


class OutcomeUnknownError(SmallLiabilityError):
    """An exchange may have taken effect. It is never sent again.

    It is neither a NetworkError nor a ServerError, so that code that retries those cannot send an
    exchange again. Its `__cause__` says why: one of them, another ApiError, or a ContractError.

    Attributes:
        receipt: what `confirm` needs to find out whether the exchange took effect.
    """

    def __init__(self, receipt: Receipt | Mapping[str, Any]) -> None:
        self.receipt = receipt if isinstance(receipt, Receipt) else Receipt.from_dict(receipt)
        super().__init__(self.receipt.to_dict())

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets of the receipt."""
        return self.receipt.assets

    @property
    def sent_at(self) -> datetime:
        """The earliest time at which the exchange can have taken effect."""
        return self.receipt.sent_at

    @property
    def message(self) -> str:
        """What to do, and the receipt."""
        return (
            f"The exchange of {', '.join(self.assets)} may have taken effect. Do not retry it:"
            f" confirm(receipt) finds out. The receipt's sent_at is {self.sent_at.isoformat()},"
            f" its conclusive_at is {self.receipt.conclusive_at.isoformat()}."
        )


class ApiError(SmallLiabilityError):
    """Binance, or a server in front of it, refused.

    Attributes:
        status_code: the HTTP status.
        code: Binance's error code (negative), or None if the body has none. Codes are stable.
        msg: the first 4,000 characters of Binance's text, or "" if the body has none. Texts change.
        headers: the headers of the response; names are matched case-insensitively.
        retry_after: seconds until Binance accepts requests again, or None if that is not known.
        used_weight: the weight that the IP address or account had used in the current minute, or
            None if the response did not report it.
    """

    advice: ClassVar[str] = ""

    def __init__(
        self,
        status_code: int,
        code: int | None = None,
        msg: str = "",
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        used_weight: int | None = None,
    ) -> None:
        super().__init__(status_code, code, msg, dict(headers or {}), retry_after, used_weight)
        self.status_code = status_code
        self.code = code
        self.msg = msg
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.retry_after = retry_after
        self.used_weight = used_weight

    @property
    def message(self) -> str:
        """The status, Binance's code and text, and what to do."""
        parts = [f"HTTP {self.status_code}"]
        if self.code is not None:
            parts.append(f"code {self.code}")
        # The text may have line breaks; the message has none.
        text = " ".join(self.msg.split())[:_LONGEST_MSG]
        message = sentence(", ".join(parts) + (f": {text}" if text else ""))
        return f"{message} {self.advice}".strip()

    def __str__(self) -> str:
        """The message, and when Binance accepts requests again, if that is known."""
        if self.retry_after is None:
            return super().__str__()
        # Rounded up to whole seconds.
        return f"{super().__str__()} Retry after {-(-self.retry_after // 1):.9g} s."


class AuthenticationError(ApiError):
    """Binance did not accept the key or signature: 401, -1002, -1022, -2008, -2014, -2015."""

    advice = "Check the API key, its secret, its list of IP addresses and its permissions."


class ClockSkewError(ApiError):
    """The timestamp lies outside what Binance accepts: -1021, although the clock was corrected.

    Attributes:
        offset: milliseconds by which Binance's clock was measured to be ahead of this machine's,
            or None if it could not be measured.
        problem: why it could not be measured, or None if it was.
    """

    advice = "Check this machine's clock, or allow a larger recv_window."
    offset: int | None = None
    problem: str | None = None

    def __str__(self) -> str:
        """The message, and the measured offset or why there is none."""
        if self.problem is not None:
            return f"{super().__str__()} The clock could not be corrected: {self.problem}."
        if self.offset is not None:
            return f"{super().__str__()} The measured offset of the clock is {self.offset:+d} ms."
        return super().__str__()


class FirewallError(ApiError):
    """The web firewall stopped the request: 403."""

    advice = "Binance's firewall stopped the request; check where it comes from."


class RateLimitError(ApiError):
    """A limit is used up: 429. Continuing to send leads to a ban.

    Attributes:
        not_sent: why this client itself did not send the request, or "" if Binance refused it.
            Then the message begins with "Not sent:", there are no headers, and the refusal that was
            the reason, if any, is the `__cause__`.
    """

    advice = "Send less: the request weight of this minute is used up."
    not_sent: str = ""

    @property
    def message(self) -> str:
        """Why nothing was sent, or what Binance said."""
        return f"Not sent: {self.not_sent}." if self.not_sent else super().message


class IpBanError(RateLimitError):
    """This IP address is banned: 418."""

    advice = "This IP address is banned; send nothing until the ban has passed."


class ServerError(ApiError):
    """Binance, or the network in front of it, failed: any 5xx status."""

    advice = "Binance failed."


_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: FirewallError,
    418: IpBanError,
    429: RateLimitError,
}
_BY_CODE: dict[int | None, type[ApiError]] = {
    -1002: AuthenticationError,
    -1021: ClockSkewError,
    -1022: AuthenticationError,
    -2008: AuthenticationError,
    -2014: AuthenticationError,
    -2015: AuthenticationError,
}


def api_error_class(status_code: int, code: int | None) -> type[ApiError]:
    """The class of a refusal. A 418, 429 or 5xx takes precedence over the code."""
    if 500 <= status_code <= 599:
        return ServerError
    if status_code in (418, 429):
        return _BY_STATUS[status_code]
    return _BY_CODE.get(code) or _BY_STATUS.get(status_code, ApiError)

# Generated from openapi.yaml by `make generate`. Do not edit.
"""Reads the values of payloads, strictly and exactly.

A reader takes a value, and a set to which it adds the names of unknown fields. It raises Mismatch.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Read: TypeAlias = Callable[[Any, set[str]], T]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 253_402_300_799_999  # the last Unix time in milliseconds that a datetime can have
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,9})?")
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}


class Mismatch(ValueError):
    """A payload is not what the contract says. The message names the place."""

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"${where}: {problem}")
        self._problem = problem
        self._where = where

    def within(self, step: str) -> "Mismatch":
        """The same mismatch, with `step` in front of its place."""
        return Mismatch(self._problem, f"{step}{self._where}")


def wrong(expected: str, value: object) -> Mismatch:
    """The mismatch of a value that is not what was expected."""
    kind = "null" if value is None else _KINDS.get(type(value), "a number")
    return Mismatch(f"expected {expected}, got {kind}")


def decimal(value: Any, _: set[str]) -> Decimal:
    """Reads a number or a decimal string: Binance mixes them, and both are exact here."""
    if (type(value) is str and _DECIMAL.fullmatch(value)) or type(value) in (int, Decimal):
        return Decimal(value)
    raise wrong("a decimal", value)


def boolean(value: Any, _: set[str]) -> bool:
    """Reads true or false."""
    if type(value) is not bool:
        raise wrong("a boolean", value)
    return value


def date_time(value: Any, _: set[str]) -> datetime:
    """Reads a time of RFC 3339, with its offset, as an aware datetime in UTC."""
    try:
        time = datetime.fromisoformat(value)
        utc = time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise wrong("a time", value) from None
    if time.tzinfo is None:
        raise wrong("a time with an offset", value)
    return utc


def text(shortest: int = 0) -> Read[str]:
    """A reader of strings with at least `shortest` characters."""
    expected = ("a string", "a string that is not empty")[min(shortest, 1)]

    def read(value: Any, _: set[str]) -> str:
        if type(value) is not str or len(value) < shortest:
            raise wrong(expected, value)
        return value

    return read


def one_of(*allowed: str) -> Read[Any]:
    """A reader of the strings in an enum."""

    def read(value: Any, _: set[str]) -> str:
        if type(value) is not str or value not in allowed:
            raise wrong(f"one of {', '.join(allowed)}", value)
        return value

    return read


def integer(least: float, most: float) -> Read[int]:
    """A reader of whole numbers."""

    def read(value: Any, _: set[str]) -> int:
        if type(value) is not int or not least <= value <= most:
            raise wrong("a whole number", value)
        return value

    return read


def unix_milliseconds(least: int, most: int) -> Read[datetime]:
    """A reader of Unix times in milliseconds, as aware datetimes in UTC."""

    def read(value: Any, _: set[str]) -> datetime:
        if type(value) is not int or not least <= value <= most:
            raise wrong("a time in milliseconds", value)
        return moment(value)

    return read


def array(read_item: Read[T]) -> Read[list[T]]:
    """A reader of arrays."""

    def read(value: Any, unknown: set[str]) -> list[T]:
        if type(value) is not list:
            raise wrong("an array", value)
        items: list[T] = []
        try:
            for item in value:
                items.append(read_item(item, unknown))  # noqa: PERF401 - its length is the index
        except Mismatch as mismatch:
            raise mismatch.within(f"[{len(items)}]") from None
        return items

    return read


def nullable(read_present: Read[T]) -> Read[T | None]:
    """A reader that also accepts null."""
    return lambda value, unknown: None if value is None else read_present(value, unknown)


def nothing(_: Any, __: set[str]) -> None:
    """Reads a payload that the contract does not describe."""


def milliseconds(moment: datetime) -> int:
    """Unix time in milliseconds. Raises ValueError unless `moment` is an aware datetime."""
    try:
        # The minus of other libraries' times may return something else.
        return datetime.__sub__(moment, EPOCH) // timedelta(milliseconds=1)
    except Exception:  # a naive time, or whatever a time zone raises
        raise ValueError("must be an aware datetime") from None


def moment(milliseconds: int) -> datetime:
    """The aware datetime in UTC of a Unix time in milliseconds."""
    return EPOCH + timedelta(milliseconds=milliseconds)

"""The class of each refusal, as the tree in the docstring of `_errors` says."""

import re

import binance_small_liability
from binance_small_liability import ApiError
from binance_small_liability import _errors as errors

_LINE = re.compile(r" *[│├└ ]*── (?P<name>\w+)(?P<text>.*)")
TREE = [match for match in map(_LINE.fullmatch, (errors.__doc__ or "").splitlines()) if match]
# By the status or the code that the tree names.
NAMED: dict[int, type[ApiError]] = {
    int(number): getattr(binance_small_liability, match["name"])
    for match in TREE
    for number in re.findall(r"(?<![\w-])-?\d{3,4}(?!\w)", match["text"])
}


def refusal_class(status: int, code: int | None) -> type[ApiError]:
    """A 418, 429 or 5xx takes precedence over the code."""
    if status >= 500:
        return errors.ServerError
    if status in (418, 429):
        return NAMED[status]
    return NAMED.get(code or 0) or NAMED.get(status, ApiError)

"""The JSON examples of Binance's pages, which are often not quite JSON."""

import json
import re
from collections import defaultdict
from decimal import Decimal
from itertools import chain
from typing import Any

from tools.statements import Key, Pairs

# A text without a closing quotation mark ends with its line, so each letter is read once.
STRING = r'("(?:[^"\\\n]|\\.)*"?)'
# A comment ends with its line or, if there is only one, before a field or a bracket.
COMMENT = r"/\*.*?(?:\*/|\Z)|\.{3}|…|(?://|\#).*?"
LINE_END, ONE_LINE_END = r"(?=\n|\Z)", r"""(?=\Z|[][{}]|["“'‘][^"“”'‘’]{1,64}["”'’]\s*:)"""
STRAIGHT = str.maketrans("“”„‘’'", '""""""')


def document(text: str) -> Any:
    """The exact value of an example, perhaps with comments, trailing commas or curly quotes.

    Raises ValueError.
    """
    for attempt in chain([text], map(corrected, dict.fromkeys((text, text.translate(STRAIGHT))))):
        try:
            return json.loads(
                attempt, strict=False, parse_float=Decimal, parse_constant=_refuse_constant
            )
        except json.JSONDecodeError as error:
            reason = error
    raise reason


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def corrected(text: str) -> str:
    """An example without comments, trailing commas and other syntax that JSON does not have."""
    end = LINE_END if "\n" in text.strip() else ONE_LINE_END
    text = re.sub(f"(?s){STRING}|{COMMENT}{end}", r"\1", text)
    text = re.sub(rf"(?s){STRING}|,(?=\s*[\]}}])", r"\1", text)
    return re.sub(r"\\([^\"\\/bfnrtu])", r"\1", text)


def shape(values: list[Any], key: Key) -> Pairs:
    """The kinds of the values at `key` in examples, and of what they contain."""
    yield from ((key, kind) for kind in {kind_of(value) for value in values})
    objects = [value for value in values if isinstance(value, dict)]
    inside = defaultdict(list)
    for name, value in chain(*(each.items() for each in objects)):
        inside[name].append(value)
    for name, found in inside.items():
        yield from [((*key, name), "absent")] if len(found) < len(objects) else []
        yield from shape(found, (*key, name))
    if items := list(chain(*(value for value in values if isinstance(value, list)))):
        yield from shape(items, (*key, "[]"))


def kind_of(value: Any) -> str:
    """JSON's name of a value's type, or "decimal string"."""
    if isinstance(value, str):
        return "decimal string" if re.fullmatch(r"-?\d+(\.\d+)?", value) else "string"
    names = {bool: "boolean", int: "integer", Decimal: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")

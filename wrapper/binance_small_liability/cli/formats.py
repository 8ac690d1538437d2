"""Coins as text: a table, TSV, CSV or JSON, exact to the last digit."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import attrs

from binance_small_liability._records import Coin

FORMATS = ("table", "tsv", "csv", "json")
_COLUMNS = [field.name for field in attrs.fields(Coin)]
# Beyond it an exponent is shorter, and may be too long to be written out at all.
_MOST_ZEROS = 100


def render(coins: Iterable[Coin], form: str) -> str:
    """The coins in one of `FORMATS`, ending with a line break."""
    rows = [attrs.astuple(coin, recurse=False) for coin in coins]
    return {"table": _table, "tsv": _tsv, "csv": _csv, "json": _json}[form](rows)


def printable(text: str) -> str:
    """`text` with control characters escaped, which could move a terminal's cursor or worse."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _text(value: object) -> str:
    if value is None:
        return ""
    return printable(_decimal(value) if isinstance(value, Decimal) else str(value))


def _decimal(value: Decimal) -> str:
    return f"{value:f}" if abs(value.adjusted()) < _MOST_ZEROS else str(value)


def _table(rows: Sequence[tuple[Any, ...]]) -> str:
    from prettytable import PrettyTable

    if not rows:
        return "There are no small debts to exchange.\n"
    table = PrettyTable(_COLUMNS, border=False, align="l")
    for column, value in zip(_COLUMNS, rows[0], strict=True):
        if isinstance(value, Decimal):
            table.align[column] = "r"
    table.add_rows([[_text(value) for value in row] for row in rows])
    return "\n".join(line.rstrip() for line in table.get_string().splitlines()) + "\n"


def _tsv(rows: Sequence[tuple[Any, ...]]) -> str:
    lines = [_COLUMNS, *([_text(value) for value in row] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _csv(rows: Sequence[tuple[Any, ...]]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([[_text(value) for value in row] for row in rows])
    return text.getvalue()


def _json(rows: Sequence[tuple[Any, ...]]) -> str:
    import json

    coins = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    # In ASCII, so that it is JSON whatever the character set of its reader.
    return json.dumps(coins, default=_decimal, indent=2) + "\n"

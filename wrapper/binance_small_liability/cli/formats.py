"""Records as text: a table, TSV, CSV or JSON, with every digit.

The columns are the fields of the records' class.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs

# Numbers with more zeros keep their exponent: 1E+999999999 written out would fill the memory.
_MOST_ZEROS = 100


def render(kind: type[Any] | None, values: Iterable[Any], form: str) -> str:
    """Records of class `kind`, or other values, in one of `FORMATS`, ending with a line break."""
    if kind is None:
        return FORMATS[form](["value"], [(value,) for value in values])
    columns = [field.name for field in attrs.fields(kind)]
    rows = [attrs.astuple(record, recurse=False) for record in values]
    return FORMATS[form](columns, rows)


def render_json(value: Any) -> str:
    """Any value as JSON. json.dumps escapes what is not ASCII, for readers of any character set."""
    return json.dumps(value, default=_plain, indent=2) + "\n"


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        return attrs.asdict(value, recurse=False)
    return _exact(value)


def printable(text: str) -> str:
    """`text` with its control characters escaped, because a terminal would obey them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def no_debt(names: Iterable[str], coins: Sequence[Any]) -> str:
    """Says that the coins in `names` are not among `coins`, those with a small debt."""
    others = ", ".join(coin.asset for coin in coins)
    rest = f"; there are small debts in: {others}" if others else ", nor in any other coin"
    return f"There is no small debt in {', '.join(names)}{rest}"


def _text(value: object) -> str:
    return "" if value is None else printable(_exact(value))


def _exact(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}" if abs(value.adjusted()) < _MOST_ZEROS else str(value)
    if isinstance(value, datetime):
        utc = value.astimezone(UTC).replace(tzinfo=None)
        return utc.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, (list, bool)) or attrs.has(type(value)):
        return json.dumps(value, default=_plain)
    return str(value)


def _table(columns: list[str], rows: Sequence[tuple[Any, ...]]) -> str:
    from prettytable import PrettyTable

    table = PrettyTable(columns, border=False, align="l")
    for index, column in enumerate(columns):
        if any(isinstance(row[index], Decimal) for row in rows):
            table.align[column] = "r"
    table.add_rows([[_text(value) for value in row] for row in rows])
    return "\n".join(line.rstrip() for line in table.get_string().splitlines()) + "\n"


def _tsv(columns: list[str], rows: Sequence[tuple[Any, ...]]) -> str:
    lines = [columns, *([_text(value) for value in row] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _csv(columns: list[str], rows: Sequence[tuple[Any, ...]]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_text(value) for value in row] for row in rows])
    return text.getvalue()


def _json(columns: list[str], rows: Sequence[tuple[Any, ...]]) -> str:
    return render_json([dict(zip(columns, row, strict=True)) for row in rows])


FORMATS: dict[str, Callable[[list[str], Sequence[tuple[Any, ...]]], str]] = {
    "table": _table,
    "tsv": _tsv,
    "csv": _csv,
    "json": _json,
}

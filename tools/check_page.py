"""Compares openapi.yaml with a page of Binance's documentation.

Prints one line for each difference, the most important first, and then a verdict. `-` reads
standard input. The exit code is 0 if all pages agree, 1 if one differs, 2 if one cannot be read.

    python -m tools.check_page page.md another.html
"""

import sys
from collections import ChainMap
from difflib import get_close_matches
from itertools import chain
from typing import Any, NamedTuple

from tools import contract
from tools.page import Page, read_pages
from tools.sections import UnreadableError, read
from tools.statements import Key, Statements, Values, page_differences, statements
from tools.terminal import say

ABSENT, MISSING = Values({"absent"}), "missing from the page"
# An example cannot show that a field is optional.
OPTIONAL = Values({"absent", "null"})


class Comparison(NamedTuple):
    """How a page differs from an operation, and what it does not say, by importance."""

    operation: str
    differences: dict[Key, str]
    unstated: list[str]


def nearest(openapi: Any, pages: list[Page]) -> Comparison:
    """The comparison with the operation from which the page differs least."""
    page = {f'{number}, "{each.title}"': each.says for number, each in enumerate(pages)}
    found = [compared(openapi, *each, page) for each in contract.operations(openapi)]
    best = min(found, key=lambda each: len(each.differences))
    stated = next(each for each in page.values() if ("path",) in each)
    endpoint = f"{spelled(stated['method',])} {spelled(stated['path',])}"
    moved = len(best.differences) == 1 and get_close_matches(best.operation, [endpoint], 1, 0.8)
    if ("path",) in best.differences and not moved:
        return Comparison(endpoint, {("path",): f"path: {endpoint} is not in openapi.yaml"}, [])
    return best


def compared(openapi: Any, method: str, path: str, page: dict[str, Statements]) -> Comparison:
    """The comparison with one operation."""
    ours = statements(openapi, method, path)
    decided = page_differences(openapi, method, path)
    found = Comparison(f"{method} {path}", {}, [])
    # Only the things inside these are compared. The loop adds to them.
    agreed: set[Key] = {()}
    for key in (each for each in by_importance(ours, page) if each[:-1] in agreed):
        promised = ours.get(key, ABSENT)
        said = {title: it for title, each in page.items() if (it := says(each, key, promised))}
        if said and not agree({*said.values()}, promised, decided.get(named(key), [])):
            found.differences[key] = f"{named(key)}: {difference(key, said, promised)}"
        elif said and ABSENT not in (promised, *said.values()):
            agreed.add(key)
        elif not said:
            found.unstated.append(named(key))
    note_renamed(found.differences, ours, dict(ChainMap(*page.values())))
    return found


def by_importance(ours: Statements, page: dict[str, Statements]) -> list[Key]:
    """What to compare: in the contract's order, and each thing before what is inside it."""
    kinds = list(dict.fromkeys(key[0] for key in ours))
    new = (key for key in chain(*page.values()) if key[0] in ("parameter", "response"))
    return sorted(dict.fromkeys(chain(ours, new)), key=lambda key: (kinds.index(key[0]), len(key)))


def says(stated: Statements, key: Key, promised: Values) -> Values:
    """What a page says about `key`, in the contract's words: an integer is also a number.

    A parameter or field is absent if the page lists others but not this one.
    """
    wider = {"integer": "number", "decimal string": "string"}
    whole = stated.get(key[:-1], Values())
    said = stated.get(key) or (ABSENT if {"table", "object"} & whole else Values())
    return Values(wider[each] if wider.get(each) in promised else each for each in said)


def agree(said: set[Values], promised: Values, decided: list[str]) -> bool:
    """Whether a page and the contract say the same, except for what an example cannot show."""
    only = next(iter(said))
    same = only <= promised and (promised - only <= OPTIONAL or only <= OPTIONAL)
    return len(said) == 1 and (same or promised == {"anything"} or spelled(only) in decided)


def named(key: Key) -> str:
    """A thing's name, such as `response rows[].asset`."""
    inside = ".".join(key[1:]).replace(".[]", "[]") if key[0] == "response" else " ".join(key[1:])
    return f"{key[0]} {inside}".strip()


def spelled(values: Values) -> str:
    """Values as text."""
    return " or ".join(sorted(values))


def difference(key: Key, said: dict[str, Values], promised: Values) -> str:
    """Text: how a page and the contract, or the languages of a page, differ."""
    if {*said.values()} == {ABSENT}:
        return MISSING
    if promised == ABSENT and (key[0] == "response" or len(key) == 2):
        return "new on the page"
    on_page = f"{spelled(next(iter(said.values())))} on the page"
    if len({*said.values()}) > 1:
        on_page = " and ".join(f"{spelled(it)} in part {title}" for title, it in said.items())
    return f"{on_page}, {spelled(promised)} in openapi.yaml"


def note_renamed(differences: dict[Key, str], ours: Statements, stated: Statements) -> None:
    """If a thing is missing and a similar one beside it is new, say that it was renamed."""
    new = [key for key in differences if key not in ours][:100]
    for gone in [key for key, line in differences.items() if line.endswith(MISSING)]:
        near = {key[-1]: key for key in new if key[:-1] == gone[:-1] and stated[key] <= ours[gone]}
        for name in get_close_matches(gone[-1], near, 1) or [*near][: len(near) == 1]:
            differences[gone] = f"{named(gone)}: renamed to {name} on the page, it seems"
            del differences[near[name]]
            new.remove(near[name])


def check(openapi: Any, name: str) -> int:
    """Print how a page differs from the contract, and return the exit code."""
    source, text = "standard input" if name == "-" else name, ""
    try:
        text = read(name)
        operation, differences, unstated = nearest(openapi, read_pages(text))
    except UnreadableError as error:
        place = text.count("\n", 0, max(text.find(error.heading), 0)) + 1
        say(f"{source}:{place}: cannot be read: {error.reason}", sys.stderr)
        return 2
    for line in differences.values():
        say(f"{source}: DIFFERS: {line}")
    for what in unstated:
        say(f"{source}: not on the page: {what}")
    verdict = "differs from" if differences else "agrees with"
    say(f"{source}: {verdict} openapi.yaml ({operation})")
    return int(bool(differences))


def main(names: list[str]) -> int:
    """Check each page, and return the highest exit code."""
    if not names:
        print(__doc__, file=sys.stderr)
    openapi = contract.load()
    return max((check(openapi, name) for name in names), default=2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

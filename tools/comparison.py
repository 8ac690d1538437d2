"""How a page of Binance's documentation differs from the contract."""

from collections import ChainMap
from difflib import get_close_matches
from itertools import chain
from typing import Any, NamedTuple

from tools import contract
from tools.page import Page
from tools.statements import Key, Statements, Values, page_differences, statements

ABSENT, ANYTHING = Values({"absent"}), Values({"anything"})
# An example cannot show that a field is optional.
OPTIONAL = Values({"absent", "null"})


class Difference(NamedTuple):
    """What a page says about a thing in its parts, and what the contract says."""

    key: Key
    said: dict[str, Values]  # by the number and title of a part
    promised: Values
    renamed: str = ""  # the thing's name on the page

    @property
    def is_missing(self) -> bool:
        """Whether the page lists others, but not this."""
        return {*self.said.values()} == {ABSENT}

    @property
    def is_new(self) -> bool:
        """Whether the contract lacks the whole parameter or field."""
        return self.promised == ABSENT and (self.key[0] == "response" or len(self.key) == 2)

    @property
    def is_contradiction(self) -> bool:
        """Whether the languages of the page disagree."""
        return len({*self.said.values()}) > 1

    @property
    def on_page(self) -> Values:
        """What the page says, if its languages agree."""
        return next(iter(self.said.values()))

    def __str__(self) -> str:
        text = f"{spelled(self.on_page)} on the page, {spelled(self.promised)} in openapi.yaml"
        if self.key == ("path",) and self.promised == ABSENT:
            text = f"{spelled(self.on_page)} is not in openapi.yaml"
        elif self.is_contradiction:
            parts = [f"{spelled(values)} in part {title}" for title, values in self.said.items()]
            text = f"{' and '.join(parts)}, {spelled(self.promised)} in openapi.yaml"
        elif self.renamed:
            text = f"renamed to {self.renamed} on the page, it seems"
        elif self.is_missing:
            text = "missing from the page"
        elif self.is_new:
            text = "new on the page"
        return f"{named(self.key)}: {text}"


class Comparison(NamedTuple):
    """How a page differs from an operation, and what it does not say, by importance."""

    method: str
    path: str
    differences: dict[Key, Difference]
    unstated: list[str]


def nearest(openapi: Any, pages: list[Page]) -> Comparison:
    """The comparison with the operation from which the page differs least."""
    found = [compared(openapi, *each, pages) for each in contract.operations(openapi)]
    best = min(found, key=lambda each: len(each.differences))
    method, path = endpoint_of(pages)
    nearly = get_close_matches(f"{best.method} {best.path}", [f"{method} {path}"], 1, 0.8)
    if ("path",) in best.differences and not (len(best.differences) == 1 and nearly):
        said = {page.label: Values({f"{method} {path}"}) for page in pages[:1]}
        difference = Difference(("path",), said, ABSENT)
        return Comparison(method, path, {("path",): difference}, [])
    return best


def endpoint_of(pages: list[Page]) -> tuple[str, str]:
    """Method and path that a page states; several are joined."""
    stated = next(page.says for page in pages if ("path",) in page.says)
    return spelled(stated["method",]), spelled(stated["path",])


def compared(openapi: Any, method: str, path: str, pages: list[Page]) -> Comparison:
    """The comparison with one operation."""
    ours = statements(openapi, method, path)
    decided = page_differences(openapi, method, path)
    found = Comparison(method, path, {}, [])
    # Only the things inside these are compared. The loop adds to them.
    agreed: set[Key] = {()}
    for key in (each for each in by_importance(ours, pages) if each[:-1] in agreed):
        promised = ours.get(key, ABSENT)
        said = {page.label: it for page in pages if (it := says(page.says, key, promised))}
        if said and not agree({*said.values()}, promised, decided.get(named(key), [])):
            found.differences[key] = Difference(key, said, promised)
        elif said and ABSENT not in (promised, *said.values()):
            agreed.add(key)
        elif not said:
            found.unstated.append(named(key))
    note_renamed(found.differences, dict(ChainMap(*(page.says for page in pages))))
    return found


def by_importance(ours: Statements, pages: list[Page]) -> list[Key]:
    """What to compare: in the contract's order, and each thing before what is inside it."""
    kinds = list(dict.fromkeys(key[0] for key in ours))
    said = chain(*(page.says for page in pages))
    new = (key for key in said if key[0] in ("parameter", "response"))
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
    return len(said) == 1 and (same or promised == ANYTHING or spelled(only) in decided)


def named(key: Key) -> str:
    """A thing's name, such as `response rows[].asset`."""
    inside = ".".join(key[1:]).replace(".[]", "[]") if key[0] == "response" else " ".join(key[1:])
    return f"{key[0]} {inside}".strip()


def spelled(values: Values) -> str:
    """Values as text."""
    return " or ".join(sorted(values))


def note_renamed(differences: dict[Key, Difference], stated: Statements) -> None:
    """If a thing is missing and a similar one beside it is new, say that it was renamed."""
    new = [key for key, each in differences.items() if each.is_new][:100]
    for gone in [each for each in differences.values() if each.is_missing]:
        near = {
            key[-1]: key
            for key in new
            if key[:-1] == gone.key[:-1] and stated[key] <= gone.promised
        }
        for name in get_close_matches(gone.key[-1], near, 1) or [*near][: len(near) == 1]:
            differences[gone.key] = gone._replace(renamed=name)
            del differences[near[name]]
            new.remove(near[name])

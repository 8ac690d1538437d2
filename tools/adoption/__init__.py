"""Puts what a page of Binance's documentation says into the contract."""

import json
import re
from collections import ChainMap
from copy import deepcopy
from itertools import chain
from typing import Any

from tools.adoption.answer import adopt_example, adopt_field, adopt_new_answer, values_at
from tools.adoption.draft import Draft, RefusedError
from tools.adoption.new import limit, new_operation, secure
from tools.adoption.parameters import adopt_parameter, check_bounds, sign
from tools.comparison import Difference, compared, endpoint_of, nearest, spelled
from tools.contract import operations
from tools.page import Page

MOST_ROUNDS = 30

__all__ = ["RefusedError", "adopted"]


def adopted(
    contract: Any, pages: list[Page], replaces: str = "", source: str = ""
) -> tuple[Any, list[str]]:
    """The contract after which a page agrees, and a line for each change.

    Args:
        contract: is not changed.
        pages: what the page says, by language.
        replaces: the operationId of the operation that moved to the page's endpoint.
        source: the address of the page.

    Raises:
        RefusedError: the contract cannot say what the page says.
    """
    contract, page = deepcopy(contract), _merged(pages)
    method, path = endpoint_of(pages)
    if " or " in f"{method} {path}":
        raise RefusedError(f"the page has several endpoints: {method} {path}")
    lines = []
    is_new = (method, path) not in operations(contract)
    if is_new and replaces:
        lines.append(_move(contract, replaces, method, path))
    elif is_new:
        new_operation(contract, page, method, path, source)
        lines.append(f"new operation: {method} {path}")
    else:
        best = nearest(contract, pages)
        if (best.method, best.path) != (method, path):
            raise RefusedError(
                f"it states {method} {path}, but otherwise describes {best.method} {best.path}"
            )
    draft = Draft(contract, method, path, is_new=is_new and not replaces)
    before = draft.used()
    if draft.is_new:
        adopt_new_answer(draft, page)
        if draft.operation.get("security") is None:
            listed = {key[1] for key in page.says if len(key) == 2 and key[0] == "parameter"}
            sign(draft, listed)
    lines += _adopt_differences(draft, pages, page)
    if adopt_example(draft, page):
        lines.append("examples: they follow the page")
    check_bounds(draft)
    link = draft.operation["externalDocs"]
    if source and link["url"] != source:
        link["url"] = source
        lines.append(f"the page's address: {source}")
    draft.remove_unused(before)
    return contract, lines


def _merged(pages: list[Page]) -> Page:
    """A page in all its languages: the first one that says something counts."""
    stated = [page for page in pages if ("path",) in page.says] or pages
    return stated[0]._replace(
        says=dict(ChainMap(*(page.says for page in stated))),
        words=dict(ChainMap(*(page.words for page in stated))),
        examples=list(chain(*(page.examples for page in stated[:1]))),
    )


def _move(contract: Any, operation_id: str, method: str, path: str) -> str:
    """Give an operation another path or method."""
    for old, item in list(contract["paths"].items()):
        for old_method, operation in list(item.items()):
            if operation["operationId"] != operation_id:
                continue
            del item[old_method]
            moved = {method.lower(): operation}
            paths = {}
            for each, inside in contract["paths"].items():
                if inside:
                    paths[each] = inside
                if each == old and path not in contract["paths"]:
                    paths[path] = moved
            if path in paths and paths[path] is not moved:
                paths[path] |= moved
            contract["paths"] = paths
            return f"{operation_id}: {method} {path} instead of {old_method.upper()} {old}"
    known = ", ".join(
        each["operationId"] for item in contract["paths"].values() for each in item.values()
    )
    raise RefusedError(f"REPLACES={operation_id} is no operation; there are {known}")


def _adopt_differences(draft: Draft, pages: list[Page], page: Page) -> list[str]:
    method, path = endpoint_of(pages)
    lines: list[str] = []
    for _ in range(MOST_ROUNDS):
        differences = compared(draft.contract, method, path, pages).differences
        if not differences:
            return lines
        for difference in differences.values():
            if difference.is_contradiction:
                raise RefusedError(f"its languages contradict each other: {difference}")
            _adopt(draft, page, difference)
            lines.append(f"{difference}{_words(page, difference)}")
    raise RefusedError(f"it cannot be adopted: {next(iter(differences.values()))}")


def _adopt(draft: Draft, page: Page, difference: Difference) -> None:
    kind = difference.key[0]
    if kind == "parameter":
        adopt_parameter(draft, page, difference)
    elif kind == "response":
        adopt_field(draft, page, difference)
    elif kind in ("request weight", "limiter"):
        limit(draft, page)
    elif kind == "security type":
        secure(draft, page)
    elif kind.startswith("rule ") and spelled(difference.on_page).isdigit():
        _set_rule(draft, kind.removeprefix("rule "), int(spelled(difference.on_page)))
    else:
        raise RefusedError(f"it cannot be adopted: {difference}")


def _set_rule(draft: Draft, rule: str, number: int) -> None:
    if rule == "most-coins":
        for parameter in draft.operation["parameters"]:
            if parameter.get("schema", {}).get("type") == "array":
                parameter["schema"]["maxItems"] = number
    else:
        draft.operation["x-rules"][rule] = number


def _words(page: Page, difference: Difference) -> str:
    """The page's own words, as the reason."""
    key = difference.key
    if key[0] == "response":
        shown = json.dumps(
            next(values_at(page.examples, (*key[:-1], difference.renamed or key[-1])), None),
            default=float,
            ensure_ascii=False,
        )
        words = "" if difference.is_missing and not difference.renamed else shown
    else:
        renamed = (*key[:-1], difference.renamed) if difference.renamed else key
        words = page.words.get(renamed) or page.words.get(key[:2], "")
    return f" (the page: {re.sub(' +', ' ', words)})" if words else ""

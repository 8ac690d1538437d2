"""Puts what a page of Binance's documentation says into the contract."""

import json
import re
from collections import ChainMap
from copy import deepcopy
from itertools import chain
from typing import Any

from tools.adoption.answer import adopt_example, adopt_field, describe, values_at
from tools.adoption.draft import Draft, RefusedError
from tools.adoption.move import stated_endpoint
from tools.adoption.new import limit, new_operation, secure
from tools.adoption.parameters import adopt_parameter, check_parameters, sign
from tools.comparison import Difference, compared, nearest, spelled
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
        replaces: the operationId of the operation that the page describes, if it seems another.
        source: the address of the page.

    Raises:
        RefusedError: the contract cannot say what the page says.
    """
    contract, page, lines = deepcopy(contract), _merged(pages), []
    method, path = stated_endpoint(pages)
    if any("$ref" in key for key in page.says):
        raise RefusedError("response: a field with the name $ref would be a reference")
    is_new = (method, path) not in operations(contract)
    if is_new:
        new_operation(contract, page, method, path, source)
        lines.append(f"new operation: {method} {path}")
    else:
        _check_described(contract, pages, method, path, replaces)
    draft = Draft(contract, method, path, is_new=is_new)
    before = draft.used()
    if draft.is_new:
        describe(draft, page)
        sign(draft, page)
    lines += _adopt_differences(draft, pages, page)
    if adopt_example(draft, page):
        lines.append("examples: they follow the page")
    check_parameters(draft)
    link = draft.operation["externalDocs"]
    if source and link["url"] != source:
        link["url"] = source
        lines.append(f"the page's address: {source}")
    draft.remove_unused(before)
    return contract, lines


def _check_described(
    contract: Any, pages: list[Page], method: str, path: str, replaces: str
) -> None:
    """Raises RefusedError if a page seems to describe another operation than it states."""
    name = contract["paths"][path][method.lower()]["operationId"]
    if replaces not in ("", name):
        raise RefusedError(f"REPLACES={replaces}, but {method} {path} is {name}")
    best = nearest(contract, pages)
    if not replaces and (best.method, best.path) != (method, path):
        raise RefusedError(
            f"it states {method} {path}, but otherwise describes {best.method} {best.path};"
            f" REPLACES={name} says that it is right"
        )


def _merged(pages: list[Page]) -> Page:
    """A page in all its languages: the first one that says something counts."""
    stated = [page for page in pages if ("path",) in page.says] or pages
    return stated[0]._replace(
        says=dict(ChainMap(*(page.says for page in stated))),
        words=dict(ChainMap(*(page.words for page in stated))),
        examples=list(chain(*(page.examples for page in stated[:1]))),
    )


def _adopt_differences(draft: Draft, pages: list[Page], page: Page) -> list[str]:
    lines: list[str] = []
    for _ in range(MOST_ROUNDS):
        differences = compared(draft.contract, draft.method, draft.path, pages).differences
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
        sign(draft, page)
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

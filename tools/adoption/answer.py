"""What a page's example says about an answer, put into the contract."""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

from tools.adoption.draft import Draft, RefusedError, inserted, renamed
from tools.adoption.schemas import converted, nullable, schema_of
from tools.comparison import ABSENT, Difference, named, spelled
from tools.contract import resolved
from tools.page import Page
from tools.statements import Key, Values

DOCUMENTED = "documented"
SUMMARY = "The example of Binance's page"


def media_of(draft: Draft) -> Any:
    """Schema and examples of a success."""
    return draft.operation["responses"]["200"]["content"]["application/json"]


def describe(draft: Draft, page: Page) -> None:
    """Describe the whole answer by the page's example."""
    examples = [each for each in page.examples if each not in ({}, None)]
    if not examples:
        draft.unknown("What the body of a success contains. Binance's page shows no example of it.")
        return
    schema = schema_of(examples, "", complete=draft.is_new)
    if schema is None:
        kinds = spelled(page.says["response",])
        raise RefusedError(f"response: the contract cannot express its types: {kinds}")
    inside = schema["items"] if schema.get("type") == "array" else schema
    if "properties" in inside:
        name = draft.unused("schemas", draft.record_name)
        draft.contract["components"]["schemas"][name] = dict(inside)
        inside.clear()
        inside["$ref"] = f"#/components/schemas/{name}"
    media_of(draft)["schema"] = schema
    draft.unknown(
        "Which fields of the answer can be missing, and their types. The page has only an example."
    )


def adopt_field(draft: Draft, page: Page, difference: Difference) -> None:
    """Change a field of the answer as the page's example says."""
    *above, name = difference.key
    if not above:
        describe(draft, page)
        return
    parent = _parent(draft, tuple(above))
    if difference.renamed:
        new = difference.renamed
        draft.unknown(f"Whether {new} is {name} under another name.")
        renamed(parent["properties"], name, new)
        parent["required"] = [new if each == name else each for each in parent.get("required", ())]
        for values in _examples_at(draft, tuple(above)):
            renamed(values, name, new)
        draft.rename(difference.key, (*above, new))
    elif difference.is_missing:
        del parent["properties"][name]
        parent["required"] = [each for each in parent.get("required", ()) if each != name]
        for values in _examples_at(draft, tuple(above)):
            values.pop(name, None)
    elif difference.is_new:
        _add(draft, page, difference, parent)
    else:
        _retype(draft, page, difference, parent)
    if not parent.get("required", True):
        del parent["required"]


def adopt_example(draft: Draft, page: Page) -> bool:
    """Show the page's example; returns whether the contract showed another one."""
    media = media_of(draft)
    examples = media["examples"]
    fits = draft.validator(media["schema"])
    described = partial(_described, draft, media["schema"])
    new = described(page.examples[0]) if page.examples else None
    before = {name: each["value"] for name, each in examples.items()}
    for each in examples.values():
        each["value"] = described(each["value"])
    if new is not None and fits(new):
        if DOCUMENTED in examples:
            examples[DOCUMENTED]["value"] = new
        elif new not in before.values():
            media["examples"] = {DOCUMENTED: {"summary": SUMMARY, "value": new}, **examples}
            examples = media["examples"]
    for name in [name for name, each in examples.items() if not fits(each["value"])]:
        del examples[name]
    if not examples:
        examples["nothing"] = {"summary": "The page shows no example", "value": None}
    return before != {name: each["value"] for name, each in examples.items()}


def values_at(examples: list[Any], key: Key) -> Iterator[Any]:
    """What examples have at a place, such as ("response", "rows", "[]", "asset")."""
    found = examples
    for step in key[1:]:
        if step == "[]":
            found = list(chain(*(each for each in found if isinstance(each, list))))
        else:
            found = [each[step] for each in found if isinstance(each, dict) and step in each]
    yield from found


def _examples_at(draft: Draft, key: Key) -> Iterator[Any]:
    """The objects at a place in the examples of the contract."""
    examples = [each["value"] for each in media_of(draft)["examples"].values()]
    yield from (each for each in values_at(examples, key) if isinstance(each, dict))


def _described(draft: Draft, schema: Any, value: Any) -> Any:
    """An example without the fields that the contract leaves out."""
    schema = resolved(draft.contract, schema)
    for choice in chain(schema.get("oneOf", ()), schema.get("anyOf", ())):
        value = _described(draft, choice, value)
    if isinstance(value, dict) and "properties" in schema:
        inside = schema["properties"]
        return {
            name: _described(draft, inside[name], each)
            for name, each in value.items()
            if name in inside
        }
    if isinstance(value, list) and "items" in schema:
        return [_described(draft, schema["items"], each) for each in value]
    return value


def _parent(draft: Draft, key: Key) -> Any:
    """The schema of an object, so that its change concerns only this operation."""
    holder, place = media_of(draft), "schema"
    for step in key[1:]:
        holder, place = _part(draft, holder, place, step)
        if place not in holder:  # the contract did not describe the answer
            return {}
    return _chosen(draft, holder, place)


def _part(draft: Draft, holder: Any, place: Any, step: str) -> tuple[Any, str]:
    schema = _chosen(draft, holder, place)
    return (schema, "items") if step == "[]" else (schema["properties"], step)


def _chosen(draft: Draft, holder: Any, place: Any) -> Any:
    """The schema at a place, or its alternative with fields or items."""
    schema = draft.owned(holder, place)
    for choices in (schema.get(word, []) for word in ("oneOf", "anyOf")):
        for index in range(len(choices)):
            chosen = draft.owned(choices, index)
            if {"properties", "items"} & chosen.keys():
                return chosen
    return schema


def _add(draft: Draft, page: Page, difference: Difference, parent: Any) -> None:
    *above, name = difference.key
    if "properties" not in parent:
        # The contract did not describe the answer.
        describe(draft, page)
        return
    values = list(values_at(page.examples, difference.key))
    schema = schema_of(values, name, complete=False)
    if schema is None:
        said = spelled(difference.on_page)
        draft.decide(difference.key, said, "The contract cannot express what the example shows.")
        return
    order = list(dict.fromkeys(chain(*values_at(page.examples, tuple(above)))))
    inserted(parent["properties"], name, schema, order)
    draft.unknown(f"Whether `{named(difference.key)}` is always sent, and its type.")


def _retype(draft: Draft, page: Page, difference: Difference, parent: Any) -> None:
    *above, name = difference.key
    said = difference.on_page
    if "absent" in said:
        parent["required"] = [each for each in parent.get("required", ()) if each != name]
        said = Values(said - ABSENT)
    place = name if name != "[]" else "items"
    holder = parent if name == "[]" else parent["properties"]
    if said <= difference.promised:
        return
    old = holder[place]
    if said - difference.promised == {"null"}:
        kept = {k: v for k, v in old.items() if k in ("description", "x-public-name")}
        new = nullable({k: v for k, v in old.items() if k not in kept})
        holder[place] = kept | new
        return
    values = list(values_at(page.examples, difference.key))
    schema = schema_of(values, name, complete=False)
    if schema is None:
        raise RefusedError(f"{difference}, which the contract cannot express")
    holder[place] = {k: v for k, v in old.items() if k in ("description", "x-public-name")} | schema
    draft.unknown(f"The type of `{named(difference.key)}`. It follows from an example.")
    for each in _examples_at(draft, tuple(above)):
        if name in each:
            each[name] = converted(each[name], set(said), values[0])

"""What a page says about parameters, put into the contract."""

from copy import deepcopy
from typing import Any

from tools.adoption.draft import Draft, RefusedError
from tools.adoption.schemas import LARGEST, schema_of_parameter
from tools.comparison import Difference, spelled
from tools.contract import resolved
from tools.page import Page
from tools.statements import BOUNDS, Key, Values

TIMESTAMP = "timestamp"
SHARED = {
    "recvWindow": {"$ref": "#/components/parameters/RecvWindow"},
    TIMESTAMP: {"$ref": "#/components/parameters/Timestamp"},
}
UNLISTED = "The page does not list it, but every signed request has it."
BOTH = "The page says both, so it is always sent and the default does not matter."


def adopt_parameter(draft: Draft, page: Page, difference: Difference) -> None:
    """Change a parameter as the page says."""
    _, name, *facts = difference.key
    is_signed = "security" not in draft.operation
    if name == TIMESTAMP and is_signed and difference.renamed:
        raise RefusedError(f"{difference}, but every signed request has it")
    if name == TIMESTAMP and is_signed and difference.is_missing:
        draft.decide(difference.key, "absent", UNLISTED)
    elif facts:
        _adopt_fact(draft, page, difference.key, difference.on_page)
    elif difference.renamed:
        _rename(draft, name, difference.renamed)
    elif difference.is_missing:
        parameters = draft.operation["parameters"]
        del parameters[_index(draft, name)]
        if not parameters:
            del draft.operation["parameters"]
    else:
        _add(draft, page, name)


def sign(draft: Draft, page: Page) -> None:
    """Add the timestamp, which every signed request has, if the page does not list it."""
    parameters, key = draft.operation.get("parameters", []), ("parameter", TIMESTAMP)
    names = [resolved(draft.contract, each)["name"] for each in parameters]
    if "security" not in draft.operation and key not in page.says and TIMESTAMP not in names:
        draft.put("parameters", [*parameters, dict(SHARED[TIMESTAMP])])
        draft.decide(key, "absent", UNLISTED)


def _index(draft: Draft, name: str) -> int:
    names = [resolved(draft.contract, each)["name"] for each in draft.operation["parameters"]]
    return names.index(name)


def _owned(draft: Draft, name: str) -> Any:
    """A parameter whose change concerns only this operation."""
    parameters, index = draft.operation["parameters"], _index(draft, name)
    whole = resolved(draft.contract, parameters[index])
    if draft.is_shared(parameters[index].get("$ref")):
        parameters[index] = whole = deepcopy(whole)
    return whole


def _rename(draft: Draft, name: str, new: str) -> None:
    _owned(draft, name)["name"] = new
    draft.rename(("parameter", name), ("parameter", new))


def _add(draft: Draft, page: Page, name: str) -> None:
    """Add a parameter behind those that precede it on the page."""
    parameters = draft.operation.get("parameters", [])
    order = [key[1] for key in page.says if len(key) == 2 and key[0] == "parameter"]
    earlier = order[: order.index(name)]
    names = [resolved(draft.contract, each)["name"] for each in parameters]
    place = max((names.index(each) + 1 for each in earlier if each in names), default=0)
    shared = SHARED.get(name)
    new = dict(shared) if shared else {"name": name, "in": "query", "required": False}
    draft.put("parameters", [*parameters[:place], new, *parameters[place:]])
    if not shared:
        # The page may leave out the type. Then it is a text.
        said = page.says.get(("parameter", name, "type"), Values({"STRING"}))
        _adopt_fact(draft, page, ("parameter", name, "type"), said)
        mandatory = page.says.get(("parameter", name, "mandatory"), Values({"NO"}))
        _adopt_fact(draft, page, ("parameter", name, "mandatory"), mandatory)


def _adopt_fact(draft: Draft, page: Page, key: Key, said: Values) -> None:
    """Change the type, the default or another fact of a parameter."""
    _, name, fact = key
    parameter = _owned(draft, name)
    if len(said) > 1 and fact == "type":
        raise RefusedError(f"parameter {name}: the page says {spelled(said)}")
    if len(said) > 1 and fact != "enum":
        draft.decide(key, spelled(said), "The page says both, and the contract can say only one.")
        return
    value = next(iter(said))
    if fact == "type":
        _set_type(draft, page, parameter, value)
    elif fact == "mandatory":
        parameter["required"] = value == "YES"
        if value not in ("YES", "NO"):
            draft.decide(key, value, "It depends on other parameters, so the client may omit it.")
    elif fact == "mandatory despite its default":
        draft.decide(key, value, BOTH)
    else:
        schema = parameter["schema"] = dict(resolved(draft.contract, parameter["schema"]))
        _set_fact(draft, page, schema, key, said)


def _set_type(draft: Draft, page: Page, parameter: Any, kind: str) -> None:
    name = parameter["name"]
    values = _in_order(page, name, page.says.get(("parameter", name, "enum"), Values()))
    schema = schema_of_parameter(kind, name, values)
    if schema is None:
        raise RefusedError(f"parameter {name}: the type {kind} is unknown")
    old = resolved(draft.contract, parameter.get("schema", {}))
    stays = old.get("type") == schema.get("type") == "integer"
    for part in ("style", "explode", *(() if stays else ("example",))):
        parameter.pop(part, None)
    if kind == "ARRAY":
        parameter |= {"style": "form", "explode": False}
        reason = "The page says ARRAY. It is sent as one text of items joined by commas."
        draft.decide(("parameter", name, "type"), "ARRAY", reason)
    elif kind == "ENUM" and not values:
        draft.decide(("parameter", name, "type"), "ENUM", "The page does not list the values.")
    kept = {fact: old[fact] for fact in BOUNDS if fact in old} if stays else {}
    parameter["schema"] = {**schema, **kept}
    if kind in LARGEST and not stays:
        stated = [page.says.get(("parameter", name, bound)) for bound in ("minimum", "maximum")]
        if not all(stated):
            draft.unknown(f"The bounds of `{name}`. The page does not state both.")
    for fact in ("minimum", "maximum", "default", "enum"):
        if said := page.says.get(("parameter", name, fact)):
            _adopt_fact(draft, page, ("parameter", name, fact), said)


def _in_order(page: Page, name: str, values: Values) -> list[str]:
    words = page.words.get(("parameter", name), "")
    return sorted(values, key=lambda value: (words.find(value), value))


def _set_fact(draft: Draft, page: Page, schema: Any, key: Key, said: Values) -> None:
    _, name, fact = key
    if fact == "enum":
        known = [each for each in schema.get("enum", ()) if each in said]
        schema["enum"] = known + [each for each in _in_order(page, name, said) if each not in known]
        draft.unknown(f"The values of `{name}`. They were read from a sentence.")
        return
    value = _typed(next(iter(said)), schema)
    if value is None:
        draft.decide(key, spelled(said), f"It is no {schema['type']}.")
        return
    schema[fact] = value


def _typed(text: str, schema: Any) -> Any:
    """A default or a bound as a value of the schema, or None."""
    kind = schema["type"]
    if kind == "integer":
        return int(text) if text.lstrip("-").isdigit() else None
    if kind == "boolean":
        return {"TRUE": True, "FALSE": False}.get(text)
    if "enum" in schema:
        return text if text in schema["enum"] else None
    return text if kind == "string" else None


def check_parameters(draft: Draft) -> None:
    """Raises RefusedError if bounds exclude each other; drops examples that do not fit them."""
    for each in draft.operation.get("parameters", ()):
        parameter = resolved(draft.contract, each)
        schema = resolved(draft.contract, parameter["schema"])
        values = [schema.get(fact) for fact in ("minimum", "default", "maximum")]
        known = [value for value in values if isinstance(value, int)]
        if known != sorted(known):
            raise RefusedError(f"parameter {parameter['name']}: its bounds exclude each other")
        if "example" in parameter and not draft.validator(schema)(parameter["example"]):
            del parameter["example"]

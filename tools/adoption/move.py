"""Gives an operation of the contract the path and the method that a page states."""

from tools.adoption.draft import RefusedError
from tools.comparison import endpoint_of
from tools.contract import operations
from tools.page import Page
from tools.yaml_edits import Document


def stated_endpoint(pages: list[Page]) -> tuple[str, str]:
    """Method and path of a page. Raises RefusedError if it states several."""
    method, path = endpoint_of(pages)
    if len({endpoint_of([each]) for each in pages if ("path",) in each.says}) > 1:
        raise RefusedError("its languages contradict each other: they state other endpoints")
    if " or " in f"{method} {path}":
        raise RefusedError(f"the page has several endpoints: {method} {path}")
    return method, path


def move(document: Document, replaces: str, pages: list[Page]) -> tuple[Document, list[str]]:
    """The contract in which the operation `replaces` has a page's endpoint, and a line about it.

    Raises RefusedError.
    """
    contract, endpoint = document.value, stated_endpoint(pages)
    known = {
        contract["paths"][path][method.lower()]["operationId"]: (method, path)
        for method, path in operations(contract)
    }
    if replaces not in known:
        raise RefusedError(f"REPLACES={replaces} is not an operation; known: {', '.join(known)}")
    if endpoint in known.values():
        return document, []
    (old_method, old_path), (method, path) = known[replaces], endpoint
    old, new = ("paths", old_path, old_method.lower()), ("paths", path, method.lower())
    line = f"{replaces}: {method} {path} instead of {old_method} {old_path}"
    return document.moved(old, new), [line]

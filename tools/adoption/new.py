"""A new operation, and what weight, limiter and security type decide."""

import re
from typing import Any

from tools.adoption.draft import Draft, RefusedError, inserted
from tools.comparison import spelled
from tools.page import Page
from tools.statements import Values

# Pages never state the budget per minute; the general pages state it per limiter.
BUDGETS = {"IP": 12_000, "UID": 180_000}
HEADERS = {"IP": "UsedIpWeight", "UID": "UsedUidWeight"}
GUESSED_WEIGHT = 100
SIGNED = {"TRADE", "MARGIN", "USER_DATA"}
WITH_KEY = {"USER_STREAM", "MARKET_DATA"}
STATUSES = {
    "400": "BadRequest",
    "401": "Unauthorized",
    "403": "Forbidden",
    "418": "IpBanned",
    "429": "TooManyRequests",
    "5XX": "ServerError",
}
PAGES = "https://developers.binance.com/docs"


def new_operation(contract: Any, page: Page, method: str, path: str, source: str) -> None:
    """Add an operation of which only the answer and the parameters are missing."""
    name = _operation_id(contract, page.title, method, path)
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": page.title or name,
        "externalDocs": {"description": "Binance's page of this endpoint", "url": source or PAGES},
        "tags": [_tag(contract, path)],
        "x-security-type": "",
        "x-request-weight": 0,
        "x-request-weight-by": "",
        "responses": {
            "200": {
                "description": "The answer that Binance's page shows.",
                "content": {"application/json": {"schema": {}, "examples": {}}},
            },
            **{status: _refusal(status) for status in STATUSES},
        },
    }
    contract["paths"].setdefault(path, {})[method.lower()] = operation
    draft = Draft(contract, method, path, is_new=True)
    if not source:
        draft.unknown("The address of its page.")
    secure(draft, page)
    limit(draft, page)


def _operation_id(contract: Any, title: str, method: str, path: str) -> str:
    """The title in snake_case, without Get or Query."""
    plain = re.sub(r"\W+", "_", title.replace("'", ""), flags=re.ASCII).strip("_").lower()
    name = re.sub("^(get|query)_", "", plain)
    if not re.match("[a-z]", name):
        name = re.sub(r"\W+", "_", path.rpartition("/")[2]).lower()
    used = {each["operationId"] for item in contract["paths"].values() for each in item.values()}
    if name in used:
        name = f"{method.lower()}_{name}"
    if name in used or not name.isidentifier():
        raise RefusedError(f'the title "{title}" gives no name that is not used yet')
    return name


def _tag(contract: Any, path: str) -> str:
    """The part of the API, such as margin in /sapi/v1/margin/…"""
    parts = path.strip("/").split("/")
    tag = parts[2] if path.startswith("/sapi/") and len(parts) > 3 else "general"
    if tag not in [each["name"] for each in contract["tags"]]:
        prefix = "/".join(parts[:3])
        contract["tags"].append({"name": tag, "description": f"Operations below /{prefix}."})
    return tag


def secure(draft: Draft, page: Page) -> None:
    """Set the security type, and what a request therefore carries."""
    stated = page.says.get(("security type",), Values())
    lists_time = ("parameter", "timestamp") in page.says
    kind = spelled(stated) or ("USER_DATA" if lists_time else "NONE")
    if not stated:
        draft.unknown("The security type. The title of the page does not state it.")
    if kind not in {"NONE"} | SIGNED | WITH_KEY:
        raise RefusedError(f"the security type {kind} is unknown")
    draft.put("x-security-type", kind)
    draft.operation.pop("security", None)
    responses = draft.operation["responses"]
    if kind == "NONE" and not lists_time:
        responses.pop("401", None)
    elif "401" not in responses:
        inserted(responses, "401", _refusal("401"), ["200", *STATUSES])
    if kind not in SIGNED and lists_time:
        draft.unknown("Whether it is signed. The page lists `timestamp`, as those of signed ones.")
    elif kind not in SIGNED:
        draft.put("security", [{"apiKey": []}] if kind in WITH_KEY else [])


def _refusal(status: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{STATUSES[status]}"}


def limit(draft: Draft, page: Page) -> None:
    """Set weight and limiter, and the budget and the header that follow from them."""
    _set_weight(draft, page.says.get(("request weight",), Values()))
    limiters = page.says.get(("limiter",), Values())
    if len(limiters) > 1:
        raise RefusedError(f"the weight is counted by {spelled(limiters)}")
    limiter = spelled(limiters) or draft.operation["x-request-weight-by"] or "IP"
    if not limiters and draft.is_new:
        draft.unknown("Whether the weight counts for the IP address or for the account.")
    if limiter == draft.operation["x-request-weight-by"]:
        return
    draft.put("x-request-weight-by", limiter)
    if not draft.path.startswith("/sapi/"):
        return
    draft.put("x-request-weight-per-minute", BUDGETS[limiter])
    draft.unknown(
        "The budget per minute. Pages do not state it; it is the usual one of the limiter."
    )
    success = draft.operation["responses"]["200"]
    headers = {
        name: header
        for name, header in success.get("headers", {}).items()
        if not name.startswith("X-SAPI-USED-")
    }
    headers[f"X-SAPI-USED-{limiter}-WEIGHT-1M"] = {
        "$ref": f"#/components/headers/{HEADERS[limiter]}"
    }
    description = {"description": success["description"]}
    others = {k: v for k, v in success.items() if k not in ("description", "headers")}
    success.clear()
    success |= description | {"headers": headers} | others


def _set_weight(draft: Draft, stated: Values) -> None:
    if not all(each.isdigit() for each in stated):
        raise RefusedError(f"the request weight {spelled(stated)} is no whole number")
    weight = max(map(int, stated), default=0)
    if not stated and draft.is_new:
        weight = GUESSED_WEIGHT
        draft.unknown("The request weight. The page does not state it.")
    if len(stated) > 1:
        draft.unknown(
            "On what the request weight depends. The largest that the page states is used."
        )
        reason = "It depends on the parameters. The largest weight is always safe."
        draft.decide(("request weight",), spelled(stated), reason)
    if weight:
        draft.put("x-request-weight", weight)

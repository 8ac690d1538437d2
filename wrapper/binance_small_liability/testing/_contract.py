"""What the fake reads from the contract: operations, parameters, weights and answers."""

import json
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import attrs


@attrs.frozen
class Example:
    """One example of the contract."""

    status: str  # as the contract writes it, so perhaps "5XX"
    name: str
    media_type: str
    value: Any
    headers: dict[str, Any]  # the documented headers, with their examples

    def fits(self, status: int) -> bool:
        """Whether it is documented for `status`."""
        return self.status in (str(status), f"{status // 100}XX")

    @property
    def code(self) -> int | None:
        """Binance's error code, if it has one."""
        return self.value.get("code") if isinstance(self.value, dict) else None


@attrs.frozen
class Operation:
    """One endpoint."""

    id: str  # the contract's operationId
    method: str
    path: str
    has_key: bool
    signed: bool
    weight: int
    limiter: str  # what the weight is counted by: IP or UID
    weight_per_minute: int | None  # None if the endpoint has no budget of its own
    weight_header: str | None
    rules: dict[str, Any]
    parameters: dict[str, Any]
    schemas: dict[str, Any]  # of the parameters
    answers: list[Example]

    def answer(
        self, *, status: int | None = None, code: int | None = None, example: str | None = None
    ) -> Example:
        """The first documented answer that fits the arguments. Raises ValueError."""
        for answer in self.answers:
            if (
                (status is None or answer.fits(status))
                and (code is None or answer.code == code)
                and (example is None or answer.name == example)
            ):
                return answer
        raise ValueError(f"The contract has no response for {status=}, {code=}, {example=}")


class Contract:
    """The contract that is packaged with the wire client."""

    def __init__(self, document: Any) -> None:
        self._document = document
        schemes = document["components"]["securitySchemes"]
        self.key_header: str = schemes["apiKey"]["name"]
        self.signature_name: str = schemes["signature"]["name"]
        operations = [
            self._operation(path, method, node)
            for path, item in document["paths"].items()
            for method, node in item.items()
        ]
        self.operations = {operation.id: operation for operation in operations}
        self.parameter_names = {self.signature_name}.union(
            *(operation.parameters for operation in operations)
        )

    def at(self, path: str) -> dict[str, Operation]:
        """The operations of a path, by method."""
        return {each.method: each for each in self.operations.values() if each.path == path}

    def _operation(self, path: str, method: str, node: Any) -> Operation:
        parameters = [self._resolved(parameter) for parameter in node.get("parameters", [])]
        schemes = self._document["components"]["securitySchemes"]
        security = node.get("security", self._document["security"])
        sent_in = {schemes[name]["in"] for alternative in security for name in alternative}
        success = self._resolved(node["responses"]["200"]).get("headers", {})
        return Operation(
            id=node["operationId"],
            method=method.upper(),
            path=path,
            has_key="header" in sent_in,
            signed="query" in sent_in,
            weight=node["x-request-weight"],
            limiter=node["x-request-weight-by"],
            weight_per_minute=node.get("x-request-weight-per-minute"),
            weight_header=next((name for name in success if "WEIGHT" in name.upper()), None),
            rules=node.get("x-rules", {}),
            parameters={parameter["name"]: parameter for parameter in parameters},
            schemas={each["name"]: self._schema(each["schema"]) for each in parameters},
            answers=[
                Example(status, name, media_type, example["value"], self._headers(response))
                for status, reference in node["responses"].items()
                for response in [self._resolved(reference)]
                for media_type, media in response["content"].items()
                for name, example in media["examples"].items()
            ],
        )

    def _headers(self, response: Any) -> dict[str, Any]:
        headers = response.get("headers", {})
        return {name: self._resolved(header)["example"] for name, header in headers.items()}

    def _schema(self, schema: Any) -> Any:
        whole = self._resolved(schema)
        return {**whole, "items": self._resolved(whole["items"])} if "items" in whole else whole

    def _resolved(self, node: Any) -> Any:
        while "$ref" in node:
            target = self._document
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target[key]
            node = target
        return node


@cache
def packaged_contract() -> Contract:
    """The contract of this release, with exact numbers."""
    text = files("binance_small_liability_api").joinpath("openapi.json").read_text("utf-8")
    return Contract(json.loads(text, parse_float=Decimal))

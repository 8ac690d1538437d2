"""The fake and Prism accept the same requests, as far as Prism can check them.

The requests are derived from the contract, so that a new operation is compared, too.
"""

import hashlib
import hmac
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from binance_small_liability.testing import FakeBinance
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake.boundless import UNKNOWN, Boundless
from tests.fake.sending import example
from tools.contract import definition_of, load, operations


@dataclass(frozen=True)
class Sent:
    """A request; {now} becomes the time."""

    method: str
    path: str
    key: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    signature: tuple[tuple[str, str], ...] = ()
    payload_ends: str = ""  # signed, but not sent

    def with_value(self, name: str, value: str) -> "Sent":
        kept = dict(self.pairs)
        return replace(self, pairs=tuple({**kept, name: value}.items()))

    def without(self, name: str) -> "Sent":
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[0] != name))

    def and_pair(self, name: str, value: str) -> "Sent":
        return replace(self, pairs=(*self.pairs, (name, value)))


@dataclass(frozen=True)
class Operation:
    """One operation of the contract."""

    id: str
    method: str
    path: str
    signed: bool
    parameters: tuple[dict[str, Any], ...]

    def sent(self) -> Sent:
        """A valid request."""
        pairs = [(each["name"], example(each)) for each in self.parameters]
        return Sent(
            method=self.method,
            path=self.path,
            key=FakeBinance().api_key if self.signed else None,
            pairs=tuple((name, value) for name, value in pairs if value is not None),
            signature=(("signature", "{signature}"),) if self.signed else (),
        )


def _operations() -> dict[str, Operation]:
    contract = load()
    found = {}
    for method, path in operations(contract):
        node = definition_of(contract, method, path)
        signed = bool(node["security"])
        parameters = tuple(node["parameters"])
        operation_id = node["operationId"]
        found[operation_id] = Operation(operation_id, method, path, signed, parameters)
    return found


OPERATIONS = _operations()
SIGNED = [name for name, operation in OPERATIONS.items() if operation.signed]

Change = Callable[[Sent], Sent]
Changes = st.SearchStrategy[Change]


def _values(name: str, values: st.SearchStrategy[Any]) -> Changes:
    """Changes that give a parameter each of `values`."""
    return values.map(lambda value: lambda sent: sent.with_value(name, quote(str(value))))


_not_numbers = st.text("abcdefghijxyz-_.~", min_size=1).filter(lambda text: text.strip(".-"))
# Unpaired surrogates have no UTF-8.
_characters = st.characters(exclude_categories=["Cs"])
_names = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1)


def _integers(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, bool, Changes]]:
    lowest, highest = schema["minimum"], schema["maximum"]
    if name != "timestamp":  # Prism has no clock
        yield "is valid", True, _values(name, st.integers(lowest, highest))
    if highest < 2**53 - 1:  # beyond that, JavaScript's numbers are not exact
        yield "is too large", False, _values(name, st.integers(highest + 1, 10**15))
    yield "is too small", False, _values(name, st.integers(-(10**15), lowest - 1))
    yield "is not a number", False, _values(name, _not_numbers)
    yield "has a fraction", False, _values(name, st.integers(lowest, 59_999).map("{}.5".format))


# Of the valid values of a parameter, those that the fake's account accepts.
_ACCEPTED: dict[str, Callable[[str], str]] = {
    "assetNames": lambda text: ",".join(dict.fromkeys(text.split(","))).replace(UNKNOWN, "BTC"),
}


def _fits(text: str, schema: dict[str, Any]) -> bool:
    return (
        text in schema.get("enum", [text])
        and schema.get("minLength", 1) <= len(text) <= schema.get("maxLength", len(text))
        and re.search(schema.get("pattern", ""), text) is not None
    )


def _texts(name: str, schema: dict[str, Any], sample: str) -> Iterator[tuple[str, bool, Changes]]:
    """Valid texts, and changes of `sample` that are not valid, if the schema excludes any."""
    if "enum" in schema:
        valid: st.SearchStrategy[str] = st.sampled_from(schema["enum"])
    elif "pattern" in schema:
        valid = st.from_regex(schema["pattern"], fullmatch=True, alphabet=_characters)
    else:
        bounds = {"min_size": schema.get("minLength", 1), "max_size": schema.get("maxLength")}
        valid = st.text(_characters, **bounds)
    valid = valid.filter(lambda text: _fits(text, schema))
    yield "is valid", True, _values(name, valid.map(_ACCEPTED.get(name, str)))
    changed = [sample[:length] for length in range(1, len(sample) + 1)]
    changed += [sample * times for times in range(2, 1 + schema.get("maxLength", 1))]
    for mark in string.punctuation + " ":
        changed += [mark + sample, sample + mark, sample + mark * 2 + sample]
        changed += [mark.join([sample] * times) for times in range(2, 13)]
    invalid = [text for text in changed if not _fits(text, schema)]
    if invalid:
        yield "is not valid", False, _values(name, st.sampled_from(invalid))


def _arrays(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, bool, Changes]]:
    """Lists of different names, which the fake's account accepts."""
    least, most = schema["minItems"], schema["maxItems"]

    def lists(low: int, high: int) -> Changes:
        names = st.lists(_names, min_size=low, max_size=high, unique=True)
        return _values(name, names.map(",".join).map(_ACCEPTED.get(name, str)))

    yield "is valid", True, lists(least, most)
    yield "has too many items", False, lists(most + 1, most + 3)
    yield "has an empty item", False, _values(name, st.sampled_from(["A,,B", ",A", "A,"]))


def judged(operation: Operation) -> dict[str, tuple[bool, Changes]]:
    """Changes that Prism checks as the contract says, and whether they are accepted."""
    other_paths = st.sampled_from(["/", "/sapi", operation.path + "/x"])
    other_methods = st.sampled_from(["PUT", "DELETE", "PATCH"])
    changes: dict[str, tuple[bool, Changes]] = {
        "nothing is wrong": (True, st.just(lambda sent: sent)),
        "the path is another": (
            False,
            other_paths.map(lambda path: lambda sent: replace(sent, path=path)),
        ),
        "the method is another": (
            False,
            other_methods.map(lambda method: lambda sent: replace(sent, method=method)),
        ),
    }
    if operation.signed:
        changes |= {
            "the key is left out": (False, st.just(lambda sent: replace(sent, key=None))),
            "the signature is left out": (
                False,
                st.just(lambda sent: replace(sent, signature=())),
            ),
            "the order is another": (
                True,
                st.just(lambda sent: replace(sent, pairs=sent.pairs[::-1])),
            ),
        }
    for parameter in operation.parameters:
        name, schema = parameter["name"], parameter["schema"]
        changes[f"{name} left out"] = (
            not parameter["required"],
            st.just(methodcaller("without", name)),
        )
        if schema["type"] == "integer":
            kinds = _integers(name, schema)
        elif schema["type"] == "array":
            kinds = _arrays(name, schema)
        else:
            kinds = _texts(name, schema, str(parameter.get("example", "A")))
        for what, accepted, change in kinds:
            changes[f"{name} {what}"] = (accepted, change)
    return changes


# Prism accepts these, and the fake must not. Each is named by the reason.
BEYOND_PRISM: dict[str, Changes] = {
    "Prism knows no keys: any will do": st.sampled_from(["k", "x" * 64]).map(
        lambda key: lambda sent: replace(sent, key=key)
    ),
    "Prism cannot verify a signature": st.sampled_from(["0", "{signature}0", "0" * 64]).map(
        lambda text: lambda sent: replace(sent, signature=(("signature", text),))
    ),
    "Prism does not see what was signed": st.just(lambda sent: replace(sent, payload_ends="&x=1")),
    "Prism accepts a signature in any place": st.just(
        lambda sent: replace(sent, signature=(*sent.signature, ("recvWindow", "5000"))).without(
            "recvWindow"
        )
    ),
    "Prism has no clock": st.integers(0, 10**12).map(
        lambda v: lambda sent: sent.with_value("timestamp", str(v))
    ),
    "Prism ignores letter case": st.sampled_from(["recvwindow", "RECVWINDOW"]).map(
        lambda name: lambda sent: sent.without("recvWindow").and_pair(name, "5000")
    ),
    "Prism accepts unknown parameters": _not_numbers.map(
        lambda name: lambda sent: sent.and_pair(f"x{name}", "1")
    ),
    "Prism reads numbers as JavaScript does": st.sampled_from(["5e3", "5000.0", "0x10"]).map(
        lambda v: lambda sent: sent.with_value("recvWindow", v)
    ),
}
BEYOND_PRISM_OF_ONE: dict[tuple[str, str], Changes] = {
    ("exchange", "Prism knows no account"): _values(
        "assetNames", st.sampled_from([UNKNOWN, f"ETH,{UNKNOWN}"])
    ),
    ("exchange", "Prism does not compare the names"): _values(
        "assetNames", st.sampled_from(["ETH,ETH", "BTC,ETH,BTC"])
    ),
    ("server_time", "Prism accepts unknown parameters"): st.just(
        lambda sent: sent.and_pair("x", "1")
    ),
}
DIFFERENCES = {
    **{(name, reason): change for name in SIGNED for reason, change in BEYOND_PRISM.items()},
    **BEYOND_PRISM_OF_ONE,
}


@pytest.fixture(scope="module")
def fake() -> FakeBinance:
    return Boundless()


@pytest.fixture(scope="module")
def prism_client(prism_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=prism_url, trust_env=False) as client:
        yield client


def _statuses(sent: Sent, fake: FakeBinance, prism_client: httpx.Client) -> tuple[int, int]:
    # Almost 1000 ms ahead, so that a recvWindow of 1 ms is valid too.
    now = str(fake.now + 900)
    query = "&".join("=".join(pair) for pair in sent.pairs).replace("{now}", now)
    payload = (query + sent.payload_ends).encode()
    signature = hmac.new(str(fake.api_secret).encode(), payload, hashlib.sha256).hexdigest()
    tail = "".join(f"&{name}={value}" for name, value in sent.signature)
    target = f"{sent.path}?{query}{tail.replace('{signature}', signature)}".rstrip("?")
    request: dict[str, Any] = {
        "method": sent.method,
        "url": sent.path,
        "headers": {} if sent.key is None else {"X-MBX-APIKEY": sent.key},
        "extensions": {"target": target.encode()},
    }
    with httpx.Client(transport=fake.transport(), base_url="http://fake") as fake_client:
        statuses = [http.request(**request).status_code for http in (fake_client, prism_client)]
    assert all(status == 200 or 400 <= status <= 405 for status in statuses), statuses
    return statuses[0], statuses[1]


@pytest.mark.parametrize("name", OPERATIONS)
def test_both_agree_on_what_prism_can_check(
    name: str, fake: FakeBinance, prism_client: httpx.Client
) -> None:
    operation = OPERATIONS[name]
    all_changes = st.one_of(*(change for _, change in judged(operation).values()))

    @settings(max_examples=100, derandomize=True, deadline=None, database=None)
    @given(changes=st.lists(all_changes, max_size=2))
    def agree(changes: list[Change]) -> None:
        sent = operation.sent()
        for change in changes:
            sent = change(sent)
        by_fake, by_prism = _statuses(sent, fake, prism_client)
        assert (by_fake == 200) == (by_prism == 200), (sent, by_fake, by_prism)

    agree()


@pytest.mark.parametrize(
    ("name", "what"), [(name, what) for name in OPERATIONS for what in judged(OPERATIONS[name])]
)
def test_each_checked_change_alone(
    name: str, what: str, fake: FakeBinance, prism_client: httpx.Client
) -> None:
    accepted, changes = judged(OPERATIONS[name])[what]

    @settings(max_examples=10, derandomize=True, deadline=None, database=None)
    @given(change=changes)
    def agree(change: Change) -> None:
        sent = change(OPERATIONS[name].sent())
        by_fake, by_prism = _statuses(sent, fake, prism_client)
        assert ((by_fake == 200), (by_prism == 200)) == (accepted, accepted), sent

    agree()


@pytest.mark.parametrize(("name", "reason"), DIFFERENCES)
def test_what_only_the_fake_refuses(
    name: str, reason: str, fake: FakeBinance, prism_client: httpx.Client
) -> None:
    """Every difference on the list exists."""

    @settings(max_examples=10, derandomize=True, deadline=None, database=None)
    @given(change=DIFFERENCES[name, reason])
    def differ(change: Change) -> None:
        by_fake, by_prism = _statuses(change(OPERATIONS[name].sent()), fake, prism_client)
        assert by_fake in (400, 401)
        assert by_prism == 200

    differ()

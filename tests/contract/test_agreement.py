"""The fake and Prism agree on what to accept, wherever Prism is able to judge."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from binance_small_liability.testing import FakeBinance
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.contract import LIST_PATH


@dataclass(frozen=True)
class Sent:
    """A request; {now} stands for the time."""

    method: str = "GET"
    path: str = LIST_PATH
    key: str | None = FakeBinance().api_key
    pairs: tuple[tuple[str, str], ...] = (("recvWindow", "5000"), ("timestamp", "{now}"))
    signature: tuple[tuple[str, str], ...] = (("signature", "{signature}"),)
    payload_ends: str = ""  # is signed, but not sent

    def with_value(self, name: str, value: str) -> "Sent":
        pairs = [(key, value if key == name else old) for key, old in self.pairs]
        return replace(self, pairs=tuple(pairs))

    def without(self, name: str) -> "Sent":
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[0] != name))

    def and_pair(self, name: str, value: str) -> "Sent":
        return replace(self, pairs=(*self.pairs, (name, value)))


Change = Callable[[Sent], Sent]

_digits = st.integers(1, 60_000).map(str)
_not_numbers = st.text("abcdefghijxyz-_.~", min_size=1).filter(lambda text: text.strip(".-"))

# Prism judges these as the contract says, and so must the fake.
JUDGED: dict[str, st.SearchStrategy[Change]] = {
    "nothing is wrong": st.just(lambda sent: sent),
    "recvWindow is left out": st.just(lambda sent: sent.without("recvWindow")),
    "recvWindow is valid": _digits.map(lambda v: lambda sent: sent.with_value("recvWindow", v)),
    "recvWindow is too large": st.integers(60_001, 10**15).map(
        lambda v: lambda sent: sent.with_value("recvWindow", str(v))
    ),
    "recvWindow is too small": st.integers(-(10**15), 0).map(
        lambda v: lambda sent: sent.with_value("recvWindow", str(v))
    ),
    "recvWindow is no number": _not_numbers.map(
        lambda v: lambda sent: sent.with_value("recvWindow", v)
    ),
    "recvWindow has a fraction": st.integers(1, 59_999).map(
        lambda v: lambda sent: sent.with_value("recvWindow", f"{v}.5")
    ),
    "timestamp is left out": st.just(lambda sent: sent.without("timestamp")),
    "timestamp is no number": _not_numbers.map(
        lambda v: lambda sent: sent.with_value("timestamp", v)
    ),
    "timestamp is negative": st.integers(1, 10**15).map(
        lambda v: lambda sent: sent.with_value("timestamp", f"-{v}")
    ),
    "the key is left out": st.just(lambda sent: replace(sent, key=None)),
    "the signature is left out": st.just(lambda sent: replace(sent, signature=())),
    "the order is another": st.just(lambda sent: replace(sent, pairs=sent.pairs[::-1])),
    "the path is another": st.sampled_from(["/", "/sapi", LIST_PATH + "/x"]).map(
        lambda path: lambda sent: replace(sent, path=path)
    ),
    "the method is another": st.sampled_from(["POST", "PUT", "DELETE", "PATCH"]).map(
        lambda method: lambda sent: replace(sent, method=method)
    ),
}

# Prism accepts these, and the fake must not. Each is named by the reason.
BEYOND_PRISM: dict[str, st.SearchStrategy[Change]] = {
    "Prism knows no keys: any will do": st.sampled_from(["k", "x" * 64]).map(
        lambda key: lambda sent: replace(sent, key=key)
    ),
    "Prism cannot verify a signature": st.sampled_from(["0", "{signature}0", "0" * 64]).map(
        lambda text: lambda sent: replace(sent, signature=(("signature", text),))
    ),
    "Prism does not see what was signed": st.just(lambda sent: replace(sent, payload_ends="&x=1")),
    "Prism does not mind where the signature stands": st.just(
        lambda sent: replace(sent, signature=(*sent.signature, ("recvWindow", "5000"))).without(
            "recvWindow"
        )
    ),
    "Prism has no clock": st.integers(0, 10**12).map(
        lambda v: lambda sent: sent.with_value("timestamp", str(v))
    ),
    "Prism does not mind letter case": st.sampled_from(["recvwindow", "RECVWINDOW"]).map(
        lambda name: lambda sent: sent.without("recvWindow").and_pair(name, "5000")
    ),
    "Prism accepts unknown parameters": _not_numbers.map(
        lambda name: lambda sent: sent.and_pair(f"x{name}", "1")
    ),
    "Prism reads numbers as JavaScript does": st.sampled_from(["5e3", "5000.0", "0x10"]).map(
        lambda v: lambda sent: sent.with_value("recvWindow", v)
    ),
}


@pytest.fixture(scope="module")
def fake() -> FakeBinance:
    fake = FakeBinance()
    fake.weight_limit = 10**9
    return fake


@pytest.fixture(scope="module")
def prism_client(prism_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=prism_url, trust_env=False) as client:
        yield client


def _statuses(sent: Sent, fake: FakeBinance, prism_client: httpx.Client) -> tuple[int, int]:
    # As far ahead as may be, nearly, because a recvWindow of 1 ms is valid too.
    now = str(fake.now + 900)
    query = "&".join("=".join(pair) for pair in sent.pairs).replace("{now}", now)
    payload = (query + sent.payload_ends).encode()
    signature = hmac.new(str(fake.api_secret).encode(), payload, hashlib.sha256).hexdigest()
    tail = "".join(f"&{name}={value}" for name, value in sent.signature)
    target = f"{sent.path}?{query}{tail.replace('{signature}', signature)}"
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


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(changes=st.lists(st.one_of(*JUDGED.values()), max_size=2))
def test_both_agree_where_prism_can_judge(
    fake: FakeBinance, prism_client: httpx.Client, changes: list[Change]
) -> None:
    sent = Sent()
    for change in changes:
        sent = change(sent)
    by_fake, by_prism = _statuses(sent, fake, prism_client)
    assert (by_fake == 200) == (by_prism == 200), (sent, by_fake, by_prism)


@pytest.mark.parametrize("name", JUDGED)
def test_each_judged_change_alone(name: str, fake: FakeBinance, prism_client: httpx.Client) -> None:
    @settings(max_examples=10, derandomize=True, deadline=None, database=None)
    @given(change=JUDGED[name])
    def agree(change: Change) -> None:
        by_fake, by_prism = _statuses(change(Sent()), fake, prism_client)
        valid = {"nothing is wrong", "recvWindow is left out", "recvWindow is valid"}
        accepted = name in valid | {"the order is another"}
        assert ((by_fake == 200), (by_prism == 200)) == (accepted, accepted)

    agree()


@pytest.mark.parametrize("reason", BEYOND_PRISM)
def test_what_only_the_fake_refuses(
    reason: str, fake: FakeBinance, prism_client: httpx.Client
) -> None:
    """So that no difference is on the list without need."""

    @settings(max_examples=10, derandomize=True, deadline=None, database=None)
    @given(change=BEYOND_PRISM[reason])
    def differ(change: Change) -> None:
        by_fake, by_prism = _statuses(change(Sent()), fake, prism_client)
        assert by_fake in (400, 401)
        assert by_prism == 200

    differ()

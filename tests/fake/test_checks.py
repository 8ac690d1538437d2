"""The requests that the fake refuses, and the codes."""

import base64
import json
import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import attrs
import httpx
import pytest
from binance_small_liability import ConfigurationError
from binance_small_liability._io import real_time
from binance_small_liability.testing import FakeBinance
from binance_small_liability.testing._checks import _fits
from binance_small_liability.testing._signatures import public_key_verifier
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests import signing
from tests.conftest import ETH
from tests.fake.conftest import both_ways
from tests.fake.sending import SIGNED, Sender, hmac_sign, used, verdict
from tools.contract import LIST_PATH, definition_of, today
from tools.operations import (
    EXCHANGE,
    LIST_COINS,
    LIST_EXCHANGES,
    OPERATIONS,
    SERVER_TIME,
    Operation,
)

KEY = FakeBinance().api_key
WINDOW = LIST_COINS.generated.parameters["recv_window"]
USUAL, WIDEST = WINDOW.default, WINDOW.maximum or 0
DOCUMENTED = definition_of(today(), "GET", LIST_PATH)["parameters"]
LATEST = next(each["schema"] for each in DOCUMENTED if each["name"] == "timestamp")["maximum"]
NOW = "timestamp={now}"


@both_ways
@pytest.mark.parametrize(
    "query",
    [
        NOW,
        f"recvWindow={WIDEST}&{NOW}",
        f"{NOW}&recvWindow={USUAL}",
        f"recvWindow=%3{str(USUAL)[0]}{str(USUAL)[1:]}&{NOW}",
        f"recvWindo%77={USUAL}&{NOW}",
        f"recvWind%6fw={USUAL}&{NOW}",
    ],
)
def test_rightly_signed_requests_are_accepted(sender: Sender, query: str) -> None:
    response = sender.send(query)
    assert (verdict(response), used(response)) == ((200, None), 1)
    assert response.json() == json.loads(LIST_COINS.body)
    upper = sender.send(query, sign=lambda it: hmac_sign(it, sender.fake.api_secret).upper())
    assert verdict(upper) == (200, None)


FAULTS: list[tuple[str, str, str | None, int]] = [
    # Each request has one fault, or two of which the earlier check must decide.
    (NOW, SIGNED, None, -2014),
    (NOW, SIGNED, "", -2014),
    (NOW, SIGNED, "short", -2014),
    (NOW, SIGNED, KEY + "0", -2014),
    (NOW, SIGNED, KEY[:-1] + "-", -2014),
    ("", "", None, -2014),
    (NOW, SIGNED, KEY[:-1] + "x", -2015),
    (NOW, SIGNED, KEY.lower(), -2015),
    ("oops", "", KEY.lower(), -2015),
    (f"{NOW}&x=é", SIGNED, KEY, -1022),
    (f"{NOW}&x=%zz", SIGNED, KEY, -1022),
    (f"{NOW}&x=%", SIGNED, KEY, -1022),
    (f'{NOW}&x="', SIGNED, KEY, -1022),
    (f"{NOW}&x", SIGNED, KEY, -1104),
    (f"{NOW}&=5", SIGNED, KEY, -1104),
    (f"{NOW}&", SIGNED, KEY, -1104),
    (NOW, SIGNED + "&", KEY, -1104),
    (f"{NOW}&x=5", SIGNED, KEY, -1103),
    ("Timestamp={now}", SIGNED, KEY, -1103),
    (f"{NOW}&recvwindow={USUAL}", SIGNED, KEY, -1103),
    (NOW, "&Signature={signature}", KEY, -1103),
    (f"{NOW}&{NOW}", SIGNED, KEY, -1101),
    (NOW, SIGNED + SIGNED, KEY, -1101),
    (f"{NOW}&%74imestamp={{now}}", SIGNED, KEY, -1101),
    ("", "", KEY, -1102),
    (f"recvWindow={USUAL}", SIGNED, KEY, -1102),
    (NOW, "", KEY, -1102),
    ("timestamp=", SIGNED, KEY, -1105),
    (NOW, "&signature=", KEY, -1105),
    ("timestamp=now", SIGNED, KEY, -1100),
    (f"{NOW}.0", SIGNED, KEY, -1100),
    ("timestamp=-{now}", SIGNED, KEY, -1100),
    ("timestamp=+{now}", SIGNED, KEY, -1100),
    ("timestamp=111111111111111111111", SIGNED, KEY, -1100),
    (f"timestamp=0&recvWindow={WIDEST + 1}", SIGNED, KEY, -1131),
    (f"timestamp={LATEST + 1}", SIGNED, KEY, -1102),
    ("timestamp=0", SIGNED, KEY, -1021),
    ("timestamp=0", "&signature=0", KEY, -1021),
    (f"timestamp={LATEST}", SIGNED, KEY, -1021),
    (NOW, "&signature=0", KEY, -1022),
    (NOW, "&s%69gnature={signature}", KEY, -1022),
    (NOW, f"{SIGNED}&recvWindow={USUAL}", KEY, -1022),
    (NOW, f"&recvWindow={USUAL}{SIGNED}", KEY, -1022),
    (NOW, SIGNED + "0", KEY, -1022),
    (NOW, "&signature={truncated}", KEY, -1022),
]


@pytest.mark.parametrize(("query", "tail", "key", "code"), FAULTS)
def test_every_fault_has_its_code(
    sender: Sender, query: str, tail: str, key: str | None, code: int
) -> None:
    response = sender.send(query, tail, headers={} if key is None else {"X-MBX-APIKEY": key})
    assert verdict(response) == (401 if code in (-2014, -2015) else 400, code)
    assert response.headers["Content-Type"] == "application/json"
    # A refused request has the same weight.
    assert used(response) == 1


@pytest.mark.parametrize("sender", ["over a socket"], indirect=True)
def test_a_server_passes_on_every_byte(sender: Sender) -> None:
    sender.fake.weight_limit = sys.maxsize
    for query, tail, key, code in FAULTS:
        response = sender.send(query, tail, headers={} if key is None else {"X-MBX-APIKEY": key})
        assert verdict(response)[1] == code, (query, tail)
        assert response.headers["Content-Type"] == "application/json"


def _bounds() -> Iterator[tuple[Operation, str, str | None, int | None]]:
    """Values of each parameter, and the code with which Binance refuses them."""
    for operation in (*OPERATIONS, SERVER_TIME):
        for parameter in operation.generated.parameters.values():
            name, least, most = parameter.name, parameter.minimum or 0, parameter.maximum or 0
            values: dict[str | None, int | None] = {"": -1105}
            values[None] = -1102 if parameter.required else None
            if parameter.kind in ("integer", "time"):
                values |= dict.fromkeys(("x", "5e3", "5.0", "%D9%A5", "-1"), -1100)
                values |= {str(least): None, str(most): None}
                values[str(most + 1)] = -1131 if name == "recvWindow" else -1102
                if least:
                    values[str(least - 1)] = -1102
            if parameter.kind == "array":
                values |= dict.fromkeys((",", "A,", ",A", "A,,B"), -1102)
                values |= {"A": None, "币安人生": None}
                values[",".join(f"C{n}" for n in range(most))] = None
                values[",".join(f"C{n}" for n in range(most + 1))] = -1102
            yield from ((operation, name, value, code) for value, code in values.items())


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("operation", "name", "value", "code"), list(_bounds()), ids=str)
def test_the_bounds_of_every_parameter(
    sender: Sender, operation: Operation, name: str, value: str | None, code: int | None
) -> None:
    names = {"BTC", "ETH", *str(value).split(",")}
    sender.fake.coins = [attrs.evolve(ETH, asset=asset) for asset in names]
    response = sender.documented(operation, changes={name: value})
    assert verdict(response) == (200 if code is None else 400, code)
    assert used(response, operation) == (1 if operation.generated.weight_per_minute else None)
    assert operation is EXCHANGE or not sender.fake.exchanges


def test_a_parameter_of_another_operation_is_unknown(sender: Sender) -> None:
    assert verdict(sender.documented(LIST_EXCHANGES, changes={"assetNames": "A"})) == (400, -1103)


@pytest.mark.parametrize(
    ("name", "code"), [("x", -1101), ("timestamp", -1106), ("signature", -1106)]
)
def test_the_time_takes_no_parameters(sender: Sender, name: str, code: int) -> None:
    assert verdict(sender.documented(SERVER_TIME, changes={name: "1"})) == (400, code)


def test_the_checks_know_every_keyword_of_the_contracts_parameters() -> None:
    known = {
        "boolean": set(),
        "integer": {"minimum", "maximum"},
        "number": {"minimum", "maximum"},
        "string": {"pattern", "minLength", "maxLength", "enum"},
        "array": {"minItems", "maxItems", "items"},
    }
    for operation in (*OPERATIONS, SERVER_TIME):
        definition = definition_of(today(), operation.method, operation.path)
        for parameter in definition["parameters"]:
            schema = parameter["schema"]
            for each in (schema, *filter(None, [schema.get("items")])):
                new = set(each) - known[each["type"]] - {"type", "format", "description", "default"}
                assert not new, f"{parameter['name']}: let _fits in testing/_checks.py check {new}"


@pytest.mark.parametrize("comma", [",", "%2C", "%2c"])
def test_a_comma_may_be_encoded_or_not(sender: Sender, comma: str) -> None:
    """The signature covers the sent bytes, and both forms are valid queries."""
    sender.fake.coins = [ETH, attrs.evolve(ETH, asset="币安人生")]
    query = f"assetNames=ETH{comma}{quote('币安人生')}&{NOW}"
    assert verdict(sender.send(query, operation=EXCHANGE)) == (200, None)
    assert [each.asset for each in sender.fake.exchanges] == ["ETH", "币安人生"]


@pytest.mark.parametrize(
    ("offset", "recv_window", "accepted"),
    [
        (999, USUAL, True),
        (1000, USUAL, False),
        (-USUAL, USUAL, True),
        (-USUAL - 1, USUAL, False),
        (-WIDEST, WIDEST, True),
        (-USUAL, None, True),
        (-USUAL - 1, None, False),
    ],
)
@pytest.mark.usefixtures("clock")
def test_the_window_of_timestamps(
    sender: Sender, offset: int, recv_window: int | None, accepted: bool
) -> None:
    query = f"timestamp={sender.fake.now + offset}"
    query += "" if recv_window is None else f"&recvWindow={recv_window}"
    assert verdict(sender.send(query)) == ((200, None) if accepted else (400, -1021))


@pytest.mark.parametrize("position", [0, 31, 63])
def test_one_wrong_character_of_a_signature(sender: Sender, position: int) -> None:
    def sign(payload: str) -> str:
        right = hmac_sign(payload, sender.fake.api_secret)
        wrong = "0" if right[position] != "0" else "1"
        return right[:position] + wrong + right[position + 1 :]

    assert verdict(sender.send(sign=sign)) == (400, -1022)


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("recvWindow=5000&timestamp={}", "timestamp={}&recvWindow=5000"),
        ("recvWindow=%35000&timestamp={}", "recvWindow=5000&timestamp={}"),
        ("recvWindow=5000&timestamp={}", "recvWindow=%35000&timestamp={}"),
        ("timestamp={}", "?timestamp={}"),
        ("timestamp={}", "timestamp={}&"),
    ],
)
def test_a_signature_over_other_bytes(sender: Sender, sent: str, signed: str) -> None:
    now = sender.fake.now
    signature = hmac_sign(signed.format(now), sender.fake.api_secret)
    assert verdict(sender.send(sent.format(now), sign=lambda _: signature)) == (400, -1022)


@both_ways
def test_undocumented_paths_and_methods(sender: Sender) -> None:
    assert sender.send(path="/sapi/v1/margin").status_code == 404
    assert sender.send(path=LIST_PATH + "/").status_code == 404
    for path, allowed in ((LIST_PATH, "GET, POST"), (LIST_EXCHANGES.path, "GET")):
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "QUERY"):
            response = sender.send(path=path, method=method)
            assert (response.status_code, response.headers["Allow"]) == (405, allowed), method


@both_ways
def test_the_time(sender: Sender) -> None:
    sender.fake.clock_skew = -3_600_000
    response = sender.time()
    reported = response.json()["serverTime"]
    assert (response.status_code, used(response, SERVER_TIME)) == (200, None)
    assert 0 <= sender.fake.now - reported < 5000
    assert 3_600_000 <= real_time.unix_ns() // 1_000_000 - reported < 3_605_000


# Keys


def _public(kind: str) -> str:
    key = signing.private_key(kind).public_key()
    return str(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@pytest.mark.parametrize("kind", ["RSA", "Ed25519"])
def test_public_keys(kind: str) -> None:
    fake = FakeBinance(public_key=_public(kind))
    assert fake.credentials == {"api_key": fake.api_key}

    def raw(payload: str) -> str:
        return base64.b64encode(signing.sign(kind, payload.encode())).decode()

    def sign(payload: str) -> str:
        return quote(raw(payload), safe="")

    with httpx.Client(transport=fake.transport(), base_url="http://fake") as http_client:
        sender = Sender(fake, http_client)
        assert verdict(sender.send(sign=sign)) == (200, None)
        # Percent-encoding may have lower-case letters.
        lower = {"%2B": "%2b", "%2F": "%2f", "%3D": "%3d"}
        small = sender.send(sign=lambda p: re.sub("%..", lambda e: lower[e[0]], sign(p)))
        assert verdict(small) == (200, None)
        for wrong in (
            lambda payload: sign(payload + "0"),
            lambda payload: "A" + sign(payload)[1:] if sign(payload)[0] != "A" else "B",
            raw,
            lambda payload: sign(payload)[:-6],
            lambda payload: hmac_sign(payload, "secret"),
        ):
            assert verdict(sender.send(sign=wrong)) == (400, -1022)


@pytest.mark.parametrize(
    ("kind", "payload", "signature"), [each for each in signing.VECTORS if each[0] != "HMAC"]
)
def test_official_vectors(kind: str, payload: str, signature: str) -> None:
    verify = public_key_verifier(_public(kind).encode())
    assert verify(payload.encode(), quote(signature, safe=""))
    assert not verify(payload.encode() + b"0", quote(signature, safe=""))


def test_wrong_public_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    for pem, problem in (
        ("", "not a public key"),
        (_public("RSA")[:90], "not a public key"),
        (curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "RSA or Ed25519"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            FakeBinance(public_key=pem)
    with pytest.raises(ConfigurationError, match="combined"):
        FakeBinance(public_key=_public("RSA"), api_secret="secret")
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(ConfigurationError, match=r"\[asymmetric\]"):
        FakeBinance(public_key=_public("RSA"))


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        # A schema may have no bounds.
        (7, {"type": "integer"}, True),
        ("any", {"type": "string"}, True),
        ("any", {"type": "string", "pattern": "^x"}, False),
        ("币", {"type": "string", "minLength": 2, "maxLength": 3}, False),
        ("币安", {"type": "string", "minLength": 2, "maxLength": 3}, True),
        ("币安人", {"type": "string", "minLength": 2, "maxLength": 3}, True),
        ("币安人生", {"type": "string", "minLength": 2, "maxLength": 3}, False),
        ("BUY", {"type": "string", "enum": ["BUY", "SELL"]}, True),
        ("buy", {"type": "string", "enum": ["BUY", "SELL"]}, False),
    ],
)
def test_keywords_that_the_contract_does_not_use_yet(value: Any, schema: Any, fits: bool) -> None:
    assert _fits(value, schema) == fits

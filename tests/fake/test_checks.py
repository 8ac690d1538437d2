"""The requests that the fake refuses, and the codes."""

import base64
import http.client
import json
import re
import sys
import time
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest
from binance_small_liability import AuthenticationError, ConfigurationError, SmallLiabilityClient
from binance_small_liability._call.keys import HmacKey
from binance_small_liability._io import real_time
from binance_small_liability.testing import FakeBinance
from binance_small_liability.testing._checks import _fits
from binance_small_liability.testing._signatures import public_key_verifier
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from tests.conftest import API_KEY
from tests.fake.sending import (
    IP_WEIGHT,
    SIGNED,
    UID_WEIGHT,
    Sender,
    hmac_sign,
    verdict,
)
from tools.contract import LIST_PATH, ROOT, TIME_PATH, definition_of, load, operations
from tools.operations import HISTORY_PATH

VECTORS = json.loads((ROOT / "tests/signing-vectors.json").read_text("utf-8"))
PRIVATE_KEYS = {
    name: load_der_private_key(base64.b64decode(VECTORS[name]), None)
    for name in ("rsa_pkcs8_der_base64", "ed25519_pkcs8_der_base64")
}
KEY = FakeBinance().api_key


@pytest.mark.parametrize(
    "query",
    [
        "timestamp={now}",
        "recvWindow=60000&timestamp={now}",
        "timestamp={now}&recvWindow=5000",
        "recvWindow=%35000&timestamp={now}",
        "recvWindo%77=5000&timestamp={now}",
        "recvWind%6fw=5000&timestamp={now}",
    ],
)
def test_rightly_signed_requests_are_accepted(sender: Sender, query: str) -> None:
    response = sender.send(query)
    assert verdict(response) == (200, None)
    assert response.headers[IP_WEIGHT] == "100"
    assert response.json()[0]["asset"] == "ETH"


@pytest.mark.parametrize(
    ("query", "tail", "key", "code"),
    [
        # Each request has one fault, or two of which the earlier check must decide.
        ("timestamp={now}", SIGNED, None, -2014),
        ("timestamp={now}", SIGNED, "", -2014),
        ("timestamp={now}", SIGNED, "short", -2014),
        ("timestamp={now}", SIGNED, KEY + "0", -2014),
        ("timestamp={now}", SIGNED, KEY[:-1] + "-", -2014),
        ("", "", None, -2014),
        ("timestamp={now}", SIGNED, KEY[:-1] + "x", -2015),
        ("timestamp={now}", SIGNED, KEY.lower(), -2015),
        ("oops", "", KEY.lower(), -2015),
        ("timestamp={now}&x=é", SIGNED, KEY, -1022),
        ("timestamp={now}&x=%zz", SIGNED, KEY, -1022),
        ("timestamp={now}&x=%", SIGNED, KEY, -1022),
        ('timestamp={now}&x="', SIGNED, KEY, -1022),
        ("timestamp={now}&x", SIGNED, KEY, -1104),
        ("timestamp={now}&=5", SIGNED, KEY, -1104),
        ("timestamp={now}&", SIGNED, KEY, -1104),
        ("timestamp={now}", SIGNED + "&", KEY, -1104),
        ("timestamp={now}&limit=5", SIGNED, KEY, -1103),
        ("Timestamp={now}", SIGNED, KEY, -1103),
        ("timestamp={now}&recvwindow=5000", SIGNED, KEY, -1103),
        ("timestamp={now}", "&Signature={signature}", KEY, -1103),
        ("timestamp={now}&timestamp={now}", SIGNED, KEY, -1101),
        ("timestamp={now}", SIGNED + SIGNED, KEY, -1101),
        ("timestamp={now}&%74imestamp={now}", SIGNED, KEY, -1101),
        ("", "", KEY, -1102),
        ("recvWindow=5000", SIGNED, KEY, -1102),
        ("timestamp={now}", "", KEY, -1102),
        ("timestamp=", SIGNED, KEY, -1105),
        ("timestamp={now}&recvWindow=", SIGNED, KEY, -1105),
        ("timestamp={now}", "&signature=", KEY, -1105),
        ("timestamp=now", SIGNED, KEY, -1100),
        ("timestamp={now}.0", SIGNED, KEY, -1100),
        ("timestamp=-{now}", SIGNED, KEY, -1100),
        ("timestamp=+{now}", SIGNED, KEY, -1100),
        ("timestamp={now}&recvWindow=5e3", SIGNED, KEY, -1100),
        ("timestamp={now}&recvWindow=5000.5", SIGNED, KEY, -1100),
        ("timestamp={now}&recvWindow=%D9%A5", SIGNED, KEY, -1100),
        ("timestamp=111111111111111111111", SIGNED, KEY, -1100),
        ("timestamp={now}&recvWindow=60001", SIGNED, KEY, -1131),
        ("timestamp=0&recvWindow=60001", SIGNED, KEY, -1131),
        ("timestamp={now}&recvWindow=0", SIGNED, KEY, -1102),
        ("timestamp=9007199254740992", SIGNED, KEY, -1102),
        ("timestamp=0", SIGNED, KEY, -1021),
        ("timestamp=0", "&signature=0", KEY, -1021),
        ("timestamp=9007199254740991", SIGNED, KEY, -1021),
        ("timestamp={now}", "&signature=0", KEY, -1022),
        ("timestamp={now}", "&s%69gnature={signature}", KEY, -1022),
        ("timestamp={now}", SIGNED + "&recvWindow=5000", KEY, -1022),
        ("timestamp={now}", "&recvWindow=5000" + SIGNED, KEY, -1022),
        ("timestamp={now}", SIGNED + "0", KEY, -1022),
        ("timestamp={now}", "&signature={truncated}", KEY, -1022),
    ],
)
def test_every_fault_has_its_code(
    sender: Sender, query: str, tail: str, key: str | None, code: int
) -> None:
    response = sender.send(query, tail, headers={} if key is None else {"X-MBX-APIKEY": key})
    assert verdict(response) == (401 if code in (-2014, -2015) else 400, code)
    assert response.headers["Content-Type"] == "application/json"
    # A refused request has the same weight.
    assert response.headers[IP_WEIGHT] == "100"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("current=1&size=100", None),
        ("current=2147483647&size=1&startTime=0&endTime=9007199254740991", None),
        # The contract requires these two although it has defaults for them.
        ("size=100", -1102),
        ("current=1", -1102),
        ("current=&size=1", -1105),
        ("current=one&size=1", -1100),
        ("current=1&size=100&startTime=-1", -1100),
        ("current=0&size=100", -1102),
        ("current=2147483648&size=100", -1102),
        ("current=1&size=0", -1102),
        ("current=1&size=101", -1102),
        ("current=1&size=100&endTime=9007199254740992", -1102),
        ("current=1&size=100&assetNames=ETH", -1103),
    ],
)
def test_the_bounds_of_the_history(sender: Sender, query: str, code: int | None) -> None:
    response = sender.history(query)
    assert verdict(response) == (200 if code is None else 400, code)
    assert response.headers[UID_WEIGHT] == "100"
    assert IP_WEIGHT not in response.headers


@pytest.mark.parametrize(
    ("assets", "code"),
    [
        ("", -1105),
        (",", -1102),
        ("ETH,", -1102),
        (",ETH", -1102),
        ("ETH,,BTC", -1102),
        (",".join(f"C{n}" for n in range(11)), -1102),
        # These satisfy the contract, but the account has no debt in these coins.
        (",".join(f"C{n}" for n in range(10)), -3027),
        ("币安人生", -3027),
    ],
)
def test_the_bounds_of_an_exchange(sender: Sender, assets: str, code: int) -> None:
    response = sender.exchange(*assets.split(","))
    assert verdict(response) == (400, code)
    assert response.headers[UID_WEIGHT] == "3000"
    assert sender.fake.exchanges == []


def test_the_checks_know_every_keyword_of_the_contracts_parameters() -> None:
    contract = load()
    schemas = [
        parameter["schema"]
        for method, path in operations(contract)
        for parameter in definition_of(contract, method, path)["parameters"]
    ]
    keywords = {
        "boolean": set(),
        "integer": {"minimum", "maximum"},
        "number": {"minimum", "maximum"},
        "string": {"pattern", "minLength", "maxLength", "enum"},
        "array": {"minItems", "maxItems", "items"},
    }
    # A format beyond these would have to be checked, as Prism does.
    formats = (None, "int32", "int64", "unix-milliseconds", "decimal")
    for schema in (*schemas, *(each["items"] for each in schemas if "items" in each)):
        ignored = {"type", "format", "description", "default"}
        assert set(schema) <= keywords[schema["type"]] | ignored
        assert schema.get("format") in formats


@pytest.mark.parametrize("comma", [",", "%2C", "%2c"])
def test_a_comma_may_be_encoded_or_not(sender: Sender, comma: str) -> None:
    """The signature covers the sent bytes, and both forms are valid queries."""
    [eth] = sender.fake.coins
    sender.fake.coins = [eth, _renamed(eth, "币安人生")]
    query = f"assetNames=ETH{comma}{quote('币安人生')}&timestamp={{now}}"
    assert verdict(sender.send(query, method="POST")) == (200, None)
    assert [each.asset for each in sender.fake.exchanges] == ["ETH", "币安人生"]


def test_a_comma_in_another_form_than_was_signed(sender: Sender) -> None:
    def sign(payload: str) -> str:
        return hmac_sign(payload.replace("%2C", ","), sender.fake.api_secret)

    assert verdict(sender.exchange("ETH", "BTC", sign=sign)) == (400, -1022)


def _renamed(coin: Any, asset: str) -> Any:
    return type(coin)(
        asset, coin.principal, coin.interest, coin.liability_asset, coin.liability_qty
    )


@pytest.mark.parametrize(
    ("offset", "recv_window", "accepted"),
    [
        (999, 5000, True),
        (1000, 5000, False),
        (-5000, 5000, True),
        (-5001, 5000, False),
        (-60_000, 60_000, True),
        # By default it is 5000.
        (-5000, None, True),
        (-5001, None, False),
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


def test_a_client_that_signs_wrongly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prism would accept it."""
    fake = FakeBinance()
    with (
        fake.serve() as url,
        SmallLiabilityClient(**fake.credentials, base_url=url) as client,
    ):
        assert client.list_coins() == fake.coins
        right = HmacKey.sign

        def sign_another_order(key: HmacKey, payload: bytes) -> str:
            return right(key, b"&".join(reversed(payload.split(b"&"))))

        monkeypatch.setattr(HmacKey, "sign", sign_another_order)
        with pytest.raises(AuthenticationError, match="-1022"):
            client.list_coins()


def test_undocumented_paths_and_methods(sender: Sender) -> None:
    assert sender.send(path="/sapi/v1/margin").status_code == 404
    assert sender.send(path=LIST_PATH + "/").status_code == 404
    for path, allowed in ((LIST_PATH, "GET, POST"), (HISTORY_PATH, "GET")):
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "QUERY"):
            response = sender.send(path=path, method=method)
            assert (response.status_code, response.headers["Allow"]) == (405, allowed), method


def test_the_time(sender: Sender) -> None:
    sender.fake.clock_skew = -3_600_000
    response = sender.time()
    reported = response.json()["serverTime"]
    assert response.status_code == 200
    assert IP_WEIGHT not in response.headers
    assert 0 <= sender.fake.now - reported < 5000
    assert 3_600_000 <= real_time.unix_ns() // 1_000_000 - reported < 3_605_000


@pytest.mark.parametrize(
    ("query", "code"), [("x=1", -1101), ("timestamp=1", -1106), ("signature=1", -1106)]
)
def test_the_time_takes_no_parameters(sender: Sender, query: str, code: int) -> None:
    assert verdict(sender.send(query, "", path=TIME_PATH)) == (400, code)


def _private_sign(name: str, payload: str) -> bytes:
    key = PRIVATE_KEYS[name]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(payload.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(payload.encode())


def _pem(name: str) -> str:
    public = PRIVATE_KEYS[name].public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("name", PRIVATE_KEYS)
def test_public_keys(name: str) -> None:
    fake = FakeBinance(public_key=_pem(name))
    assert fake.credentials == {"api_key": fake.api_key}

    def sign(payload: str) -> str:
        return quote(base64.b64encode(_private_sign(name, payload)), safe="")

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
            lambda payload: base64.b64encode(_private_sign(name, payload)).decode(),
            lambda payload: sign(payload)[:-6],
            lambda payload: hmac_sign(payload, "secret"),
        ):
            assert verdict(sender.send(sign=wrong)) == (400, -1022)


@pytest.mark.parametrize("vector", [v for v in VECTORS["vectors"] if v["algorithm"][0] != "H"])
def test_official_vectors(vector: dict[str, str]) -> None:
    verify = public_key_verifier(_pem(vector["key"]).encode())
    assert verify(vector["payload"].encode(), quote(vector["signature"], safe=""))
    assert not verify(vector["payload"].encode() + b"0", quote(vector["signature"], safe=""))


def test_wrong_public_keys() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    for pem, problem in (
        ("", "not a public key"),
        (_pem("rsa_pkcs8_der_base64")[:90], "not a public key"),
        (curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "RSA or Ed25519"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            FakeBinance(public_key=pem)
    with pytest.raises(ConfigurationError, match="combined"):
        FakeBinance(public_key=_pem("rsa_pkcs8_der_base64"), api_secret="secret")


def test_without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(ConfigurationError, match=r"\[asymmetric\]"):
        FakeBinance(public_key=_pem("rsa_pkcs8_der_base64"))


def test_clients_written_by_others() -> None:
    """One client signs by hand over http.client, one over urllib, as the official examples do."""
    fake = FakeBinance(api_key=API_KEY, api_secret=VECTORS["hmac_secret"])
    headers = {"X-MBX-APIKEY": API_KEY}
    with fake.serve() as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        for _ in range(2):  # over one connection
            payload = f"timestamp={time.time_ns() // 1_000_000}"
            target = f"{LIST_PATH}?{payload}&signature={hmac_sign(payload, fake.api_secret)}"
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())[0]["asset"]) == (200, "ETH")
        connection.close()
        payload = urlencode({"assetNames": "ETH", "timestamp": fake.now})
        signature = hmac_sign(payload, fake.api_secret).upper()
        request = urllib.request.Request(  # noqa: S310 - the URL is the fake's
            f"{url}{LIST_PATH}?{payload}&signature={signature}", headers=headers, method="POST"
        )
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - the URL is the fake's
            assert (reply.status, reply.read()) == (200, b"{}")
    assert [received.status for received in fake.requests] == [200, 200, 200]


def test_a_schema_may_have_no_bounds() -> None:
    assert _fits(7, {"type": "integer"})
    assert _fits("any", {"type": "string"})
    assert not _fits("any", {"type": "string", "pattern": "^x"})


@pytest.mark.parametrize(
    ("text", "schema", "fits"),
    [
        ("币", {"minLength": 2, "maxLength": 3}, False),
        ("币安", {"minLength": 2, "maxLength": 3}, True),
        ("币安人", {"minLength": 2, "maxLength": 3}, True),
        ("币安人生", {"minLength": 2, "maxLength": 3}, False),
        ("BUY", {"enum": ["BUY", "SELL"]}, True),
        ("buy", {"enum": ["BUY", "SELL"]}, False),
    ],
)
def test_the_keywords_of_a_text(text: str, schema: dict[str, Any], fits: bool) -> None:
    assert _fits(text, {"type": "string", **schema}) == fits

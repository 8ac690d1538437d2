"""RSA and Ed25519 keys: official vectors, sent signatures, and invalid keys."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from traceback import TracebackException
from typing import Any
from urllib.parse import unquote

import pytest
from binance_small_liability import ConfigurationError, SmallLiabilityClient
from binance_small_liability._call.keys import AsymmetricKey
from binance_small_liability._secrets import Hidden
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.conftest import API_KEY, API_SECRET, ListCoins
from tests.wire import response, serving
from tools.contract import ROOT

VECTORS = json.loads((ROOT / "tests/signing-vectors.json").read_text("utf-8"))
PKCS8 = serialization.PrivateFormat.PKCS8
PEM = serialization.Encoding.PEM


def _pem(der_base64: str) -> str:
    lines = [der_base64[start : start + 64] for start in range(0, len(der_base64), 64)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])


RSA = _pem(VECTORS["rsa_pkcs8_der_base64"])
ED25519 = _pem(VECTORS["ed25519_pkcs8_der_base64"])
PASSWORD = "correct horse"


def _encrypted(pem: str) -> bytes:
    encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
    return bytes(_load(pem).private_bytes(PEM, PKCS8, encryption))


def _load(pem: str) -> Any:
    return serialization.load_pem_private_key(pem.encode(), None)


def _vectors() -> list[Any]:
    return [
        pytest.param(_pem(VECTORS[vector["key"]]), vector["payload"], vector["signature"])
        for vector in VECTORS["vectors"]
        if vector["algorithm"] != "HMAC-SHA256"
    ]


@pytest.mark.parametrize(("pem", "payload", "signature"), _vectors())
def test_official_vectors(pem: str, payload: str, signature: str) -> None:
    signed = AsymmetricKey(Hidden(pem), Hidden(None)).sign(payload.encode())
    assert unquote(signed) == signature
    assert set(signed).isdisjoint("+/="), "base64 must be percent-encoded"


def _verify(pem: str, payload: str, signature: str) -> None:
    public = _load(pem).public_key()
    raw = base64.b64decode(unquote(signature), validate=True)
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(raw, payload.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        public.verify(raw, payload.encode())


@pytest.mark.parametrize("pem", [RSA, ED25519], ids=["RSA", "Ed25519"])
@pytest.mark.parametrize(
    "form",
    [
        "text",
        "bytes",
        "file",
        "encrypted",
        "encrypted file",
        "one line",
        "one line file",
        "Windows' one line",
    ],
)
def test_every_form_of_a_key_signs_what_is_sent(
    list_coins: ListCoins, tmp_path: Path, pem: str, form: str
) -> None:
    content = _encrypted(pem) if "encrypted" in form else pem.encode()
    if "one line" in form:
        # As environment files hold it.
        content = content.replace(b"\n", rb"\r\n" if "Windows" in form else rb"\n")
    (tmp_path / "key.pem").write_bytes(content)
    forms: dict[str, Any] = {
        "text": pem,
        "line": content.decode(),
        "file": tmp_path / "key.pem",
    }
    options: dict[str, Any] = {
        "private_key": forms.get(form.split()[-1], content),
        "private_key_password": PASSWORD if "encrypted" in form else None,
    }
    with serving(response()) as server:
        list_coins(api_secret=None, base_url=server.url, **options)
    [request] = server.requests
    payload, signature = request.target.partition("?")[2].rsplit("&signature=", 1)
    _verify(pem, payload, signature)
    assert request.header("X-MBX-APIKEY") == API_KEY


def _pem_of(key: Any) -> bytes:
    return bytes(key.private_bytes(PEM, PKCS8, serialization.NoEncryption()))


WEAK_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
PUBLIC = (
    _load(ED25519).public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


KINDS = "must be Ed25519, or RSA of 2048 or 4096 bits"
NO_PEM = "is not PEM; give the text of the file, or its path as a pathlib.Path"
OPENSSH = "is in OpenSSH's format; PKCS#8 is needed, from openssl genpkey"
DAMAGED = "is not a private key in PEM (PKCS#8)"


@pytest.mark.parametrize(
    ("key", "password", "option", "problem"),
    [
        (_encrypted(ED25519), "wrong", "private_key_password", "does not decrypt the private key"),
        (_encrypted(RSA), None, "private_key_password", "is missing"),
        (ED25519, PASSWORD, "private_key_password", "was given for a key that is not encrypted"),
        (ED25519, 7, "private_key_password", "must be text or bytes"),
        (PUBLIC, None, "private_key", "is a public key; the private one is needed to sign"),
        (_pem_of(ec.generate_private_key(ec.SECP256R1())), None, "private_key", KINDS),
        (_pem_of(WEAK_RSA), None, "private_key", KINDS),
        ("garbage", None, "private_key", NO_PEM),
        (_encrypted(RSA), "", "private_key_password", "is missing"),
        (ED25519, "", "private_key_password", "was given for a key that is not encrypted"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", PASSWORD, "private_key", OPENSSH),
        ("/etc/key.pem", None, "private_key", NO_PEM),
        ("", None, "private_key", NO_PEM),
        ("ключ", None, "private_key", NO_PEM),
        ("\udcff", None, "private_key", NO_PEM),
        (
            b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
            None,
            "private_key",
            DAMAGED,
        ),
        (ED25519.replace("C4CAQ", "C4DAQ"), None, "private_key", DAMAGED),
        (
            Path("/nonexistent/key.pem"),
            None,
            "private_key",
            "cannot be read: No such file or directory: '/nonexistent/key.pem'",
        ),
        (Path("\0"), None, "private_key", "is not a path"),
        (Path("/"), None, "private_key", "cannot be read: Is a directory: '/'"),
        (7, None, "private_key", "must be PEM text, bytes or the path of a file"),
    ],
)
def test_what_is_wrong_with_a_key(key: Any, password: Any, option: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SmallLiabilityClient(api_key=API_KEY, private_key=key, private_key_password=password)
    assert (caught.value.option, caught.value.problem) == (option, problem)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_secret_and_a_private_key_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="cannot be combined with a secret"):
        SmallLiabilityClient(api_key=API_KEY, api_secret=API_SECRET, private_key=ED25519)


def test_a_password_without_a_private_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="was given without a private key"):
        SmallLiabilityClient(api_key=API_KEY, api_secret=API_SECRET, private_key_password="x")


def test_the_environment_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key.pem"
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.delenv("BINANCE_API_SECRET", raising=False)
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_FILE", str(file))
    with pytest.raises(ConfigurationError, match=r"^BINANCE_PRIVATE_KEY_FILE cannot be read"):
        SmallLiabilityClient.from_env()
    file.write_bytes(_encrypted(ED25519))
    with pytest.raises(ConfigurationError, match=r"^BINANCE_PRIVATE_KEY_PASSWORD is missing"):
        SmallLiabilityClient.from_env()
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_PASSWORD", PASSWORD)
    with serving(response()) as server, SmallLiabilityClient.from_env(base_url=server.url) as ours:
        ours.list_coins()
    payload, signature = server.requests[0].target.partition("?")[2].rsplit("&signature=", 1)
    _verify(ED25519, payload, signature)


def test_a_home_folder_in_the_environment_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.delenv("BINANCE_API_SECRET", raising=False)
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_FILE", "~/key.pem")
    with pytest.raises(ConfigurationError, match=f"No such file .*{tmp_path}/key.pem"):
        SmallLiabilityClient.from_env()
    (tmp_path / "key.pem").write_text(ED25519)
    SmallLiabilityClient.from_env()
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_FILE", "~nobody-here/key.pem")
    with pytest.raises(ConfigurationError, match=r"No such file .*~nobody-here/key.pem"):
        SmallLiabilityClient.from_env()


@pytest.mark.parametrize(
    "key",
    [ED25519, ED25519.replace("\n", r"\n"), VECTORS["ed25519_pkcs8_der_base64"], API_SECRET],
    ids=["PEM", "PEM in one line", "base64", "secret"],
)
def test_a_key_instead_of_its_path_is_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.delenv("BINANCE_API_SECRET", raising=False)
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_FILE", key)
    with pytest.raises(ConfigurationError) as caught:
        SmallLiabilityClient.from_env()
    assert caught.value.problem.endswith(": it looks like the key itself; give the path of a file")
    trace = TracebackException.from_exception(caught.value, capture_locals=True)
    trace.stack[:] = [frame for frame in trace.stack if frame.filename != __file__]
    assert trace.stack
    assert key[30:60] not in "".join(trace.format())


def test_without_cryptography_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from binance_small_liability import *\n"
        "SmallLiabilityClient(api_key='k', api_secret='s').close()\n"
        "try: SmallLiabilityClient(api_key='k', private_key='-----BEGIN')\n"
        "except ConfigurationError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'binance-small-liability[asymmetric]'" in done.stdout


def test_the_option_that_needs_cryptography_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ConfigurationError) as caught:
        AsymmetricKey(Hidden(ED25519), Hidden(None))
    assert caught.value.option == "private_key"
    assert "binance-small-liability[asymmetric]" in caught.value.problem

"""RSA and Ed25519 keys: sent signatures, and invalid keys."""

import sys
from collections.abc import Callable
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest
from binance_small_liability import ConfigurationError, SmallLiabilityClient
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.clients import run_sync
from tests.conftest import API_KEY, API_SECRET, listing
from tests.signing import KEYS, assert_signed, private_key
from tests.wire import response, serving

PKCS8 = serialization.PrivateFormat.PKCS8
PEM = serialization.Encoding.PEM
RSA, ED25519 = KEYS["RSA"], KEYS["Ed25519"]
PASSWORD = "correct horse"


def _encrypted(kind: str) -> bytes:
    encryption = serialization.BestAvailableEncryption(PASSWORD.encode())
    return bytes(private_key(kind).private_bytes(PEM, PKCS8, encryption))


def _file(folder: Path, content: str | bytes) -> Path:
    path = folder / "key.pem"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# What a caller gives, of a key in PEM. Environment files hold a key in one line.
FORMS: dict[str, Callable[[str, Path], str | bytes | Path]] = {
    "text": lambda kind, _: KEYS[kind],
    "bytes": lambda kind, _: KEYS[kind].encode(),
    "file": lambda kind, folder: _file(folder, KEYS[kind]),
    "encrypted": lambda kind, _: _encrypted(kind),
    "encrypted file": lambda kind, folder: _file(folder, _encrypted(kind)),
    "one line": lambda kind, _: KEYS[kind].replace("\n", r"\n"),
    "one line in a file": lambda kind, folder: _file(folder, KEYS[kind].replace("\n", r"\n")),
    "Windows' one line": lambda kind, _: KEYS[kind].replace("\n", r"\r\n"),
}


@pytest.mark.parametrize(
    ("kind", "form"),
    [*(("Ed25519", form) for form in FORMS), ("RSA", "text"), ("RSA", "encrypted file")],
)
def test_every_form_of_a_key_signs_what_is_sent(tmp_path: Path, kind: str, form: str) -> None:
    options: dict[str, Any] = {
        "private_key": FORMS[form](kind, tmp_path),
        "private_key_password": PASSWORD if "encrypted" in form else None,
    }
    with serving(response()) as server:
        listing(run_sync)(api_secret=None, base_url=server.url, **options)
    [request] = server.requests
    assert_signed(request, kind)
    assert request.header("X-MBX-APIKEY") == API_KEY


def _pem_of(key: Any) -> bytes:
    return bytes(key.private_bytes(PEM, PKCS8, serialization.NoEncryption()))


WEAK_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
PUBLIC = (
    private_key("Ed25519")
    .public_key()
    .public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)
KINDS = "must be Ed25519, or RSA of 2048 or 4096 bits"
NO_PEM = "is not PEM; give the text of the file, or its path as a pathlib.Path"
OPENSSH_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"
OPENSSH = "is in OpenSSH's format; PKCS#8 is needed, from openssl genpkey"
DAMAGED = "is not a private key in PEM (PKCS#8)"
BROKEN = b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"
UNENCRYPTED = "was given for a key that is not encrypted"


WRONG_KEYS: list[tuple[Any, str]] = [
    (PUBLIC, "is a public key; the private one is needed to sign"),
    (_pem_of(ec.generate_private_key(ec.SECP256R1())), KINDS),
    (_pem_of(WEAK_RSA), KINDS),
    *((text, NO_PEM) for text in ("garbage", "/etc/key.pem", "", "ключ", "\udcff")),
    (BROKEN, DAMAGED),
    (ED25519.replace("C4CAQ", "C4DAQ"), DAMAGED),
    (Path("/nonexistent"), "cannot be read: No such file or directory: '/nonexistent'"),
    (Path("\0"), "is not a path"),
    (Path("/"), "cannot be read: Is a directory: '/'"),
    (7, "must be PEM text, bytes or the path of a file"),
]
WRONG_PASSWORDS = [
    (_encrypted("Ed25519"), "wrong", "does not decrypt the private key"),
    *((_encrypted("RSA"), password, "is missing") for password in (None, "")),
    *((ED25519, password, UNENCRYPTED) for password in (PASSWORD, "")),
    (ED25519, 7, "must be text or bytes"),
    (None, "x", "was given without a private key; remove it"),
]


@pytest.mark.parametrize(
    ("option", "problem", "options"),
    [
        *(("private_key", problem, {"private_key": key}) for key, problem in WRONG_KEYS),
        *(
            (
                "private_key_password",
                problem,
                {"private_key": key, "private_key_password": password}
                | ({} if key else {"api_secret": API_SECRET}),
            )
            for key, password, problem in WRONG_PASSWORDS
        ),
        # It is named before the password.
        ("private_key", OPENSSH, {"private_key": OPENSSH_KEY, "private_key_password": PASSWORD}),
    ],
)
def test_what_is_wrong_with_a_key_or_a_password(
    option: str, problem: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SmallLiabilityClient(api_key=API_KEY, **options)
    assert (caught.value.option, caught.value.problem) == (option, problem)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_there_is_one_secret() -> None:
    with pytest.raises(ConfigurationError, match="cannot be combined with api_secret"):
        SmallLiabilityClient(api_key=API_KEY, api_secret=API_SECRET, private_key=ED25519)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the file of a private key, and no secret."""
    monkeypatch.setenv("BINANCE_API_KEY", API_KEY)
    monkeypatch.delenv("BINANCE_API_SECRET", raising=False)
    return lambda name: monkeypatch.setenv("BINANCE_PRIVATE_KEY_FILE", name)


def test_the_environment_names_a_file(
    tmp_path: Path, environment: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(str(tmp_path / "key.pem"))
    with pytest.raises(ConfigurationError, match=r"^BINANCE_PRIVATE_KEY_FILE cannot be read"):
        SmallLiabilityClient.from_env()
    _file(tmp_path, _encrypted("Ed25519"))
    with pytest.raises(ConfigurationError, match=r"^BINANCE_PRIVATE_KEY_PASSWORD is missing"):
        SmallLiabilityClient.from_env()
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_PASSWORD", PASSWORD)
    with serving(response()) as server, SmallLiabilityClient.from_env(base_url=server.url) as ours:
        ours.list_coins()
    assert_signed(server.requests[0], "Ed25519")


def test_a_home_folder_in_the_environment_is_found(
    tmp_path: Path, environment: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    environment("~/key.pem")
    with pytest.raises(ConfigurationError, match=f"No such file .*{tmp_path}/key.pem"):
        SmallLiabilityClient.from_env()
    _file(tmp_path, ED25519)
    SmallLiabilityClient.from_env()
    environment("~nobody-here/key.pem")
    with pytest.raises(ConfigurationError, match=r"No such file .*~nobody-here/key.pem"):
        SmallLiabilityClient.from_env()


@pytest.mark.parametrize(
    "key",
    [ED25519, ED25519.replace("\n", r"\n"), "".join(ED25519.splitlines()[1:-1]), API_SECRET],
    ids=["PEM", "PEM in one line", "base64", "secret"],
)
def test_a_key_instead_of_its_path_is_not_shown(
    key: str, environment: Callable[[str], None]
) -> None:
    environment(key)
    with pytest.raises(ConfigurationError) as caught:
        SmallLiabilityClient.from_env()
    assert caught.value.problem.endswith(": it looks like the key itself; give the path of a file")
    trace = TracebackException.from_exception(caught.value, capture_locals=True)
    trace.stack[:] = [frame for frame in trace.stack if frame.filename != __file__]
    assert trace.stack
    assert key[30:60] not in "".join(trace.format())


def test_without_cryptography_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    needed = 'needs another package: pip install "binance-small-liability[asymmetric]"'
    with pytest.raises(ConfigurationError) as caught:
        SmallLiabilityClient(api_key=API_KEY, private_key=ED25519)
    assert (caught.value.option, caught.value.problem) == ("private_key", needed)

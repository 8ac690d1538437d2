"""What removes keys and signatures from texts, and values that only `reveal` shows."""

import pickle
from urllib.parse import unquote

import pytest
from binance_small_liability._secrets import HIDDEN, LONGEST_TEXT, Hidden, redact

ENCODED = "abc%2Bdefg%3D"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("nothing", "nothing"),
        (f"key {ENCODED}, again {ENCODED}", f"key {HIDDEN}, again {HIDDEN}"),
        ("key abc+defg=, decoded", f"key {HIDDEN}, decoded"),
        # It cannot be cut out of a text that encodes it in another way.
        ("key abc%252Bdefg%253D", HIDDEN),
        ("key %61bc%2bdefg%3d", HIDDEN),
        ("key ABC+DEFG=", HIDDEN),
    ],
)
def test_a_secret_is_removed_in_every_encoding(text: str, redacted: str) -> None:
    assert redact(text, [ENCODED]) == redacted


def test_a_secret_has_at_least_eight_characters() -> None:
    assert redact("12345678", ["12345678"]) == HIDDEN
    assert redact("1234567", ["1234567"]) == "1234567"


def test_a_long_text_is_cut_without_a_part_of_a_secret() -> None:
    for encoded in ("abcfgjklmo", "abc%2Bfgjk", "%2561" * 10):
        for before in range(LONGEST_TEXT - 60, LONGEST_TEXT + 200):
            shown = redact("x" * before + encoded * 50 + "x" * 10_000, [unquote(unquote(encoded))])
            assert set(shown) <= {"x", *HIDDEN}
            assert len(shown) <= LONGEST_TEXT
    assert redact("%" * 10_000_000, [ENCODED]) == "%" * LONGEST_TEXT


def test_a_hidden_value_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match=r"^A hidden value cannot be pickled or copied\.$"):
        pickle.dumps(Hidden("secret"))

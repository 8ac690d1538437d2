"""The public names."""

import binance_small_liability

from tests.processes import python


def test_all_is_sorted_and_complete() -> None:
    public = [name for name in vars(binance_small_liability) if not name.startswith("_")]
    modules = {name for name in public if name in ("aiohttp", "cli", "redis", "testing")}
    assert sorted(binance_small_liability.__all__) == binance_small_liability.__all__
    assert set(public) - modules | {"__version__"} == set(binance_small_liability.__all__)


def test_everything_public_is_documented() -> None:
    for name in binance_small_liability.__all__:
        assert getattr(binance_small_liability, name).__doc__, name


def test_the_import_loads_only_what_a_plain_call_needs() -> None:
    code = "import binance_small_liability, sys; print(*sys.modules)"
    unwanted = {
        "argparse",
        "prettytable",
        "shtab",
        "anyio",
        "asyncio",
        "httpcore",
        "cryptography",
        "pytest",
        "yaml",
        "unittest",
        "importlib.metadata",
        "redis",
        "aiohttp",
    }
    assert unwanted.isdisjoint(python(code).split())

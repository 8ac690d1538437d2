"""The public names."""

import subprocess
import sys

import binance_small_liability


def test_all_is_sorted_and_complete() -> None:
    public = [name for name in vars(binance_small_liability) if not name.startswith("_")]
    modules = {name for name in public if name in ("aiohttp", "cli", "redis", "testing")}
    assert sorted(binance_small_liability.__all__) == binance_small_liability.__all__
    assert set(public) - modules == set(binance_small_liability.__all__)


def test_everything_public_is_documented() -> None:
    for name in binance_small_liability.__all__:
        assert getattr(binance_small_liability, name).__doc__, name


def test_the_import_loads_only_what_a_plain_call_needs() -> None:
    code = "import binance_small_liability, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
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
    }
    assert unwanted.isdisjoint(done.stdout.split())


def test_the_first_client_imports_the_generated_code() -> None:
    """Importing the package is faster without it. During a call the import could meet a fork."""
    code = (
        "import sys, binance_small_liability as package\n"
        "before = set(sys.modules)\n"
        "package.SmallLiabilityClient(api_key='key', api_secret='secret')\n"
        "for modules in before, set(sys.modules):\n"
        "    print(any('_api.api.' in name for name in modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]

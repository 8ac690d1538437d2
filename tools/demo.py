"""Lists the coins of the mock server; then exchanges debts at the fake and lists the result."""

from collections.abc import Iterable
from typing import Any

import attrs
from binance_small_liability import Coin, Exchange, SmallLiabilityClient
from binance_small_liability.testing import FakeBinance

from tools.prism import prism


def show(title: str, record: type[attrs.AttrsInstance], rows: Iterable[Any]) -> None:
    """Prints records as a table."""
    names = [field.name for field in attrs.fields(record)]
    lines = [names, *([str(getattr(row, name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{title}")
    for line in lines:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


print("Starting Prism, a mock server …", flush=True)
with (
    prism() as url,
    SmallLiabilityClient(api_key="demo", api_secret="demo", base_url=url) as client,
):
    show("The coins of Prism, which serves openapi.yaml:", Coin, client.list_coins())

fake = FakeBinance()
with fake.serve() as url, SmallLiabilityClient(**fake.credentials, base_url=url) as client:
    coins = client.list_coins()
    show("The coins of the fake Binance:", Coin, coins)
    client.exchange([coin.asset for coin in coins])
    show("After the exchange:", Coin, client.list_coins())
    show("What was exchanged:", Exchange, client.list_exchanges())
print("""
Next:
  .venv/bin/binance-small-liability mock    serves this fake; it prints the variables of a client
  make mock                                 serves openapi.yaml with Prism
  make test                                 runs all checks and tests
  docs/pages/first-call.md                  shows a first call in Python and in the shell""")

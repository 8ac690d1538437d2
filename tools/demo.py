"""Lists the coins of the mock server as a small table."""

from binance_small_liability import SmallLiabilityClient

from tools.prism import prism

with (
    prism() as url,
    SmallLiabilityClient(api_key="demo", api_secret="demo", base_url=url) as client,
):
    row = "{:<8} {:>14} {:>14} {:<10} {:>14}".format
    print(row("asset", "principal", "interest", "liability", "quantity"))
    for coin in client.list_coins():
        amounts = str(coin.principal), str(coin.interest)
        print(row(coin.asset, *amounts, coin.liability_asset, str(coin.liability_qty)))

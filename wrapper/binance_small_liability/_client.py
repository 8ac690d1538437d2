"""The two clients: configuration in, coins out."""

from typing import TYPE_CHECKING, Self, cast

from binance_small_liability_api.api.margin import (
    get_small_liability_exchange_coin_list as endpoint,
)
from binance_small_liability_api.models import SmallLiabilityCoin

from ._auth import BinanceAuth
from ._coin import Coin, coins_from_wire
from ._config import Config
from ._configured import ConfiguredClient

if TYPE_CHECKING:
    # Named in quotes below, which ruff does not see.
    from ._session import AsyncSession, Session  # noqa: F401


class SmallLiabilityClient(ConfiguredClient["Session"]):
    """A synchronous client. Threads may share it."""

    def _connect(self, config: Config, auth: BinanceAuth) -> None:
        # Only here: what sends is imported with the first client, as httpx does with httpcore.
        from . import _session

        self._session = _session.Session(config, auth)
        self._wire_client.set_httpx_client(self._session)

    def list_coins(self, *, recv_window: int | None = None) -> list[Coin]:
        """The coins whose small debts can be exchanged; an empty list where there are none.

        Costs 100 of request weight, of which an IP address has 12000 a minute. Source:
        https://developers.binance.com/docs/margin_trading/trade/Get-Small-Liability-Exchange-Coin-List

        Args:
            recv_window: for how many milliseconds this request stays valid, 1 to 60000.

        Raises:
            SmallLiabilityError: whatever went wrong; its subclasses say what.
        """
        wire_coins = endpoint.sync(**self._arguments(recv_window))
        return coins_from_wire(_documented(wire_coins))

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        """This client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self.close()


class AsyncSmallLiabilityClient(ConfiguredClient["AsyncSession"]):
    """An asynchronous client. The tasks of one event loop may share it."""

    def _connect(self, config: Config, auth: BinanceAuth) -> None:
        from . import _session

        self._session = _session.AsyncSession(config, auth)
        self._wire_client.set_async_httpx_client(self._session)

    async def list_coins(self, *, recv_window: int | None = None) -> list[Coin]:
        """As `SmallLiabilityClient.list_coins`."""
        wire_coins = await endpoint.asyncio(**self._arguments(recv_window))
        return coins_from_wire(_documented(wire_coins))

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.aclose()

    async def __aenter__(self) -> Self:
        """This client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connections."""
        await self.close()


def _documented(answer: object) -> list[SmallLiabilityCoin]:
    # The session lets nothing else through.
    return cast(list[SmallLiabilityCoin], answer)

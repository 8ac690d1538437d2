# Generated from openapi.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.limit_error import LimitError
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    asset_names: str,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["assetNames"] = asset_names

    params["recvWindow"] = recv_window

    params["timestamp"] = timestamp

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/sapi/v1/margin/exchange-small-liability",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Any | Error | LimitError | str | None:
    if response.status_code == 200:
        response_200 = response.json()
        return response_200

    if response.status_code == 400:
        response_400 = Error.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = response.text
        return response_403

    if response.status_code == 418:
        response_418 = LimitError.from_dict(response.json())

        return response_418

    if response.status_code == 429:
        response_429 = LimitError.from_dict(response.json())

        return response_429

    if 500 <= response.status_code <= 599:
        response_5xx = Error.from_dict(response.json())

        return response_5xx

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Any | Error | LimitError | str]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    asset_names: str,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> Response[Any | Error | LimitError | str]:
    """Small Liability Exchange

     Exchanges the small debts in up to ten coins for one debt in a coin that Binance chooses.
    Cross margin only; each debt must be worth less than 10 USDT. The API key needs the
    permission for margin. There is no idempotency key and no transaction id: after a 5xx or a
    lost answer, only the history shows whether the exchange took effect.

    Args:
        asset_names (str):
        recv_window (int | Unset):  Default: 5000.
        timestamp (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Error | LimitError | str]
    """

    kwargs = _get_kwargs(
        asset_names=asset_names,
        recv_window=recv_window,
        timestamp=timestamp,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    asset_names: str,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> Any | Error | LimitError | str | None:
    """Small Liability Exchange

     Exchanges the small debts in up to ten coins for one debt in a coin that Binance chooses.
    Cross margin only; each debt must be worth less than 10 USDT. The API key needs the
    permission for margin. There is no idempotency key and no transaction id: after a 5xx or a
    lost answer, only the history shows whether the exchange took effect.

    Args:
        asset_names (str):
        recv_window (int | Unset):  Default: 5000.
        timestamp (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Error | LimitError | str
    """

    return sync_detailed(
        client=client,
        asset_names=asset_names,
        recv_window=recv_window,
        timestamp=timestamp,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    asset_names: str,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> Response[Any | Error | LimitError | str]:
    """Small Liability Exchange

     Exchanges the small debts in up to ten coins for one debt in a coin that Binance chooses.
    Cross margin only; each debt must be worth less than 10 USDT. The API key needs the
    permission for margin. There is no idempotency key and no transaction id: after a 5xx or a
    lost answer, only the history shows whether the exchange took effect.

    Args:
        asset_names (str):
        recv_window (int | Unset):  Default: 5000.
        timestamp (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Error | LimitError | str]
    """

    kwargs = _get_kwargs(
        asset_names=asset_names,
        recv_window=recv_window,
        timestamp=timestamp,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    asset_names: str,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> Any | Error | LimitError | str | None:
    """Small Liability Exchange

     Exchanges the small debts in up to ten coins for one debt in a coin that Binance chooses.
    Cross margin only; each debt must be worth less than 10 USDT. The API key needs the
    permission for margin. There is no idempotency key and no transaction id: after a 5xx or a
    lost answer, only the history shows whether the exchange took effect.

    Args:
        asset_names (str):
        recv_window (int | Unset):  Default: 5000.
        timestamp (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Error | LimitError | str
    """

    return (
        await asyncio_detailed(
            client=client,
            asset_names=asset_names,
            recv_window=recv_window,
            timestamp=timestamp,
        )
    ).parsed

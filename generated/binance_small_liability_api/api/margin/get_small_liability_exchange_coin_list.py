# Generated from openapi.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.limit_error import LimitError
from ...models.small_liability_coin import SmallLiabilityCoin
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["recvWindow"] = recv_window

    params["timestamp"] = timestamp

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/sapi/v1/margin/exchange-small-liability",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Error | LimitError | list[SmallLiabilityCoin] | str | None:
    if response.status_code == 200:
        response_200 = []
        _response_200 = response.json()
        for response_200_item_data in _response_200:
            response_200_item = SmallLiabilityCoin.from_dict(response_200_item_data)

            response_200.append(response_200_item)

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
) -> Response[Error | LimitError | list[SmallLiabilityCoin] | str]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> Response[Error | LimitError | list[SmallLiabilityCoin] | str]:
    """Get Small Liability Exchange Coin List

     Lists the coins whose debts are small enough to be exchanged. The list is empty if there
    are none.

    Args:
        recv_window (int | Unset):  Default: 5000.
        timestamp (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | LimitError | list[SmallLiabilityCoin] | str]
    """

    kwargs = _get_kwargs(
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
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> Error | LimitError | list[SmallLiabilityCoin] | str | None:
    """Get Small Liability Exchange Coin List

     Lists the coins whose debts are small enough to be exchanged. The list is empty if there
    are none.

    Args:
        recv_window (int | Unset):  Default: 5000.
        timestamp (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | LimitError | list[SmallLiabilityCoin] | str
    """

    return sync_detailed(
        client=client,
        recv_window=recv_window,
        timestamp=timestamp,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> Response[Error | LimitError | list[SmallLiabilityCoin] | str]:
    """Get Small Liability Exchange Coin List

     Lists the coins whose debts are small enough to be exchanged. The list is empty if there
    are none.

    Args:
        recv_window (int | Unset):  Default: 5000.
        timestamp (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | LimitError | list[SmallLiabilityCoin] | str]
    """

    kwargs = _get_kwargs(
        recv_window=recv_window,
        timestamp=timestamp,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    recv_window: int | Unset = 5000,
    timestamp: int,
) -> Error | LimitError | list[SmallLiabilityCoin] | str | None:
    """Get Small Liability Exchange Coin List

     Lists the coins whose debts are small enough to be exchanged. The list is empty if there
    are none.

    Args:
        recv_window (int | Unset):  Default: 5000.
        timestamp (int):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | LimitError | list[SmallLiabilityCoin] | str
    """

    return (
        await asyncio_detailed(
            client=client,
            recv_window=recv_window,
            timestamp=timestamp,
        )
    ).parsed

"""Connections are lent to one call at a time. The most recently used one is lent first."""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from binance_small_liability._errors import ConfigurationError

from .messages import Connection

# The most requests in flight in one process, or in one event loop.
MOST_IN_FLIGHT = 100
LONGEST_IDLE = 5.0  # seconds


class IdleConnections:
    """Idle connections of one process or event loop. Threads may share it."""

    def __init__(self) -> None:
        # Each with the time of its return, the most recent one last.
        self._stack: deque[tuple[float, Connection]] = deque()

    def put(self, connection: Connection) -> None:
        """Adds a connection that a call has given back."""
        self._stack.append((time.monotonic(), connection))

    def take(self) -> Connection | None:
        """The most recently used connection, unless it has been idle for too long."""
        try:
            returned, connection = self._stack.pop()
        except IndexError:
            return None
        if time.monotonic() - returned <= LONGEST_IDLE:
            return connection
        self._stack.append((returned, connection))
        return None

    def take_stale(self) -> Connection | None:
        """A connection that has been idle for too long, to be closed."""
        try:
            returned, connection = self._stack.popleft()
        except IndexError:
            return None
        if time.monotonic() - returned > LONGEST_IDLE:
            return connection
        self._stack.appendleft((returned, connection))
        return None

    def take_any(self) -> Connection | None:
        """Any connection, to be closed."""
        try:
            return self._stack.pop()[1]
        except IndexError:
            return None


class Place(ABC):
    """Where connections can be used: a process, or an event loop in it.

    Attributes:
        idle: the connections that are not lent.
    """

    def __init__(self) -> None:
        self.idle = IdleConnections()

    @abstractmethod
    async def take_turn(self, timeout: float) -> None:
        """Waits while too many requests are in flight. Raises httpx.PoolTimeout."""

    @abstractmethod
    def give_turn_back(self) -> None:
        """Lets another request begin."""


P = TypeVar("P", bound=Place)


class Lending(ABC, Generic[P]):
    """Lends connections. Its methods are coroutines for both clients."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """`connect` makes a connection that is not open yet."""
        self._connect = connect
        self.closed = False
        # Those of other processes are kept: what they hold would be closed with them.
        self._places: dict[Any, P] = {}

    @abstractmethod
    def _here(self) -> P:
        """The place of the caller, which is new in another process or event loop."""

    @abstractmethod
    async def _discard(self, connection: Connection) -> None:
        """Closes a connection."""

    def check_open(self) -> None:
        """Raises ConfigurationError if it is closed."""
        if self.closed:
            raise ConfigurationError("The client", "is closed; make a new one")

    async def borrow(self, timeout: float, *, fresh: bool) -> Connection:
        """Lends a connection."""
        place = self._here()
        await place.take_turn(timeout)
        try:
            return await self._lend(place, fresh)
        except BaseException:
            place.give_turn_back()
            raise

    async def _lend(self, place: P, fresh: bool) -> Connection:
        self.check_open()
        while not fresh and (connection := place.idle.take()) is not None:
            if connection.usable:
                return connection
            await self._discard(connection)
        return self._connect()

    async def give_back(self, connection: Connection) -> None:
        """Takes a connection back."""
        place = self._here()
        try:
            kept = connection.usable and not self.closed
            if kept:
                place.idle.put(connection)
        finally:
            # Before any `await`, because a cancelled task ends there.
            place.give_turn_back()
        if not kept:
            await self._discard(connection)
        while (stale := place.idle.take_stale()) is not None:
            await self._discard(stale)

    async def _discard_idle(self, place: P) -> None:
        while (connection := place.idle.take_any()) is not None:
            await self._discard(connection)

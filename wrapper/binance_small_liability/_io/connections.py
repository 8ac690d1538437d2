"""The stack of idle connections. The most recently used one is lent first."""

import time
from collections import deque
from typing import Generic, TypeVar

C = TypeVar("C")

# The most requests in flight in one process, or in one event loop.
MOST_IN_FLIGHT = 100
LONGEST_IDLE = 5.0  # seconds


class IdleConnections(Generic[C]):
    """Idle connections of one process or event loop. Threads may share it."""

    def __init__(self) -> None:
        # Each with the time of its return, the most recent one last.
        self._stack: deque[tuple[float, C]] = deque()

    def put(self, connection: C) -> None:
        """Adds a connection that a call has given back."""
        self._stack.append((time.monotonic(), connection))

    def take(self) -> C | None:
        """The most recently used connection, unless it has been idle for too long."""
        try:
            returned, connection = self._stack.pop()
        except IndexError:
            return None
        if time.monotonic() - returned <= LONGEST_IDLE:
            return connection
        self._stack.append((returned, connection))
        return None

    def take_stale(self) -> C | None:
        """A connection that has been idle for too long, to be closed."""
        try:
            returned, connection = self._stack.popleft()
        except IndexError:
            return None
        if time.monotonic() - returned > LONGEST_IDLE:
            return connection
        self._stack.appendleft((returned, connection))
        return None

    def take_any(self) -> C | None:
        """Any connection, to be closed."""
        try:
            return self._stack.pop()[1]
        except IndexError:
            return None

"""State that a forked child renews, such as a lock that a thread of the parent may hold."""

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """State that belongs to one process."""

    def renew(self) -> None:
        """Begins again in a forked child. No other thread runs yet."""


_all: WeakSet[Renewable] = WeakSet()


def renew_in_children(state: Renewable) -> None:
    """Each process that is forked from this one will call `state.renew`."""
    _all.add(state)


def _renew_all() -> None:
    for state in list(_all):
        state.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_renew_all)

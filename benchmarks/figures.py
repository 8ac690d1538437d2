"""What many figures come to."""

import statistics
from collections.abc import Iterable
from typing import NamedTuple


class Spread(NamedTuple):
    """The three quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> "Spread":
        """The quartiles of at least two figures."""
        return cls(*statistics.quantiles(figures, n=4, method="inclusive"))

    def times(self, factor: float) -> "Spread":
        """The same in another unit."""
        return Spread(*(figure * factor for figure in self))

    def text(self, decimals: int) -> str:
        """The median, with the quartiles around it in brackets."""
        low, median, high = (f"{figure:,.{decimals}f}" for figure in self)
        return f"{median} ({low} to {high})"


def ratio(figures: Iterable[float], base: Iterable[float]) -> Spread:
    """The spread of figures as multiples of what `base` took in the same round."""
    return Spread.of([mine / other for mine, other in zip(figures, base, strict=True)])

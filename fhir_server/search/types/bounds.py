"""Keywords of what has a lower and an upper bound: a period, a range of numbers; a point has both in one place.

The upper bound is stored only where its keywords differ from the lower one's, so most dates and all points cost four.
"""

from collections.abc import Sequence

_OPEN = "open"
_UPPER = ">"
"""Before the keywords of an upper bound."""


def keywords(lower: Sequence[str] | None, upper: Sequence[str] | None) -> Sequence[str]:
    """Those of a value between two bounds; None is a bound that is open."""
    if lower is not None and upper is not None and lower[-1] == upper[-1]:
        return lower
    return [
        *((_OPEN,) if lower is None else lower),
        *(_UPPER + each for each in ((_OPEN,) if upper is None else upper)),
    ]


def begins(covered: tuple[str, ...] | None, *, openly: bool = False) -> tuple[str, ...] | None:
    """The lower bound lies in what is covered, or, with `openly`, there is none."""
    return (*covered, _OPEN) if openly and covered is not None else covered


def ends(covered: tuple[str, ...] | None, *, openly: bool = False) -> tuple[str, ...] | None:
    """The upper bound does. Twice as many keywords: a point is known by its lower bound alone."""
    if covered is None:
        return None
    return (*covered, *(_UPPER + each for each in covered), *((_UPPER + _OPEN,) if openly else ()))


def crosses(covered: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The upper bound does or is open, and the value is no point."""
    return None if covered is None else (*(_UPPER + each for each in covered), _UPPER + _OPEN)

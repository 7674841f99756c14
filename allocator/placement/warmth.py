"""Sets of warm slices as integers: a bit for each profile and start of a space.

Warm slices are free and exist already: whoever needs one is served at once. When a new slice needs their room, their count or
the geometry, those go whose return is least likely to be wanted: what is asked for most stays.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from allocator.placement.states import StateSpace
from mig.occupancy import Placed

_BILLION: Final = 1e9


class Warmth:
    """The bits of one space."""

    def __init__(self, space: StateSpace) -> None:
        self._space = space
        self._width = space.shape.width
        self._slices: dict[int, tuple[tuple[int, int], ...]] = {0: ()}

    def bit(self, kind: int, start: int) -> int:
        """Of one slice, by the index of its offer."""
        return 1 << (kind * self._width + start)

    def bits(self, placed: Iterable[Placed]) -> int:
        """Of a set of slices that the shape offers."""
        bits = 0
        for item in placed:
            bits |= self.bit(self._space.kinds[item.profile], item.window.start)
        return bits

    def slices(self, bits: int) -> tuple[tuple[int, int], ...]:
        """(kind, start) of each, ascending."""
        known = self._slices.get(bits)
        if known is None:
            places = (place for place in range(bits.bit_length()) if bits >> place & 1)
            known = self._slices[bits] = tuple(divmod(place, self._width) for place in places)
        return known

    def placed(self, bits: int) -> tuple[Placed, ...]:
        """The slices themselves."""
        return tuple(self._space.placed[kind][start] for kind, start in self.slices(bits))

    def drops(self, state: int, warm: int, shares: Sequence[float]) -> tuple[int, int]:
        """What must go of the warm slices of a GPU that comes into a state: the demand for it in billionths, and its bits."""
        cost = drops = 0
        for kind, start in sorted(self.slices(warm), key=lambda item: (-shares[item[0]], item)):
            then = next((after for place, after in self._space.places(state, kind) if place == start), None)
            if then is None:
                cost += round(shares[kind] * _BILLION)
                drops |= self.bit(kind, start)
            else:
                state = then
        return cost, drops


@lru_cache(maxsize=256)
def warmth_of(space: StateSpace) -> Warmth:
    """The one of a space."""
    return Warmth(space)

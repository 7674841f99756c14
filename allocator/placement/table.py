"""What a policy says under one demand mix, as numbers by state: the values, and for each profile the moves in order of their gain.

Everything that asks for arithmetic is done here, once a mix; a decision then looks up. What a space and a policy are to each other,
whatever the mix, is worked out once and shared. Values are whole billionths: sums of floats that should be equal are not always,
and equal moves must be found equal.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from operator import mul, sub
from typing import Final

from allocator.placement.policy import Policy, Terms
from allocator.placement.states import StateSpace

_BILLION: Final = 1e9

Move = tuple[int, int, int, int]
"""A GPU's state, its used memory slices, a legal start there, and the state after it."""


class Moves:
    """One profile's legal moves on a space, whatever the mix: those on fuller GPUs first."""

    def __init__(self, space: StateSpace, kind: int, size: int) -> None:
        fuller = sorted(range(size), key=lambda state: space.free[state])
        self.list: list[Move] = [
            (state, space.shape.width - space.free[state], start, after)
            for state in fuller
            for start, after in space.places(state, kind)
        ]
        self.befores = [move[0] for move in self.list]
        self.afters = [move[3] for move in self.list]
        self.by_state: list[dict[int, int]] = [{} for _ in range(size)]
        """By state, by start: the index in `list`."""
        for index, (state, _, start, _) in enumerate(self.list):
            self.by_state[state][start] = index


class Ladder:
    """One profile's moves under a table, best first: larger gain, then fuller GPU."""

    def __init__(self, moves: Moves, value: Sequence[int]) -> None:
        self._moves = moves
        gains: list[int] = list(map(sub, map(value.__getitem__, moves.afters), map(value.__getitem__, moves.befores)))
        # A sort keeps the order among equals, which is that of `Moves`.
        self._order = sorted(range(len(gains)), key=gains.__getitem__, reverse=True)
        self._rank = [0] * len(gains)
        for rank, index in enumerate(self._order):
            self._rank[index] = rank
        self._gains = gains
        self._bits: dict[int, int] = {}
        self._best: dict[int, int | None] = {}
        self._equals: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._order)

    def gain(self, rank: int) -> int:
        """In billionths."""
        return self._gains[self._order[rank]]

    def move(self, rank: int) -> Move:
        """The move itself."""
        return self._moves.list[self._order[rank]]

    def equals(self, rank: int) -> int:
        """All moves that stand as high as this one, a bit each."""
        known = self._equals.get(rank)
        if known is None:
            standing, first, end = self.standing(rank), rank, rank + 1
            while first and self.standing(first - 1) == standing:
                first -= 1
            while end < len(self) and self.standing(end) == standing:
                end += 1
            known = self._equals[rank] = (1 << end) - (1 << first)
        return known

    def standing(self, rank: int) -> tuple[int, int]:
        """Gain and fullness: what moves are ordered by."""
        index = self._order[rank]
        return self._gains[index], self._moves.list[index][1]

    def rank(self, state: int, start: int) -> int | None:
        """Where the move stands, or None where it is not legal."""
        index = self._moves.by_state[state].get(start)
        return None if index is None else self._rank[index]

    def best(self, state: int) -> int | None:
        """The largest gain in a state, None where no more fits."""
        try:
            return self._best[state]
        except KeyError:
            gains = [self._gains[index] for index in self._moves.by_state[state].values()]
            best = self._best[state] = max(gains, default=None)
            return best

    def bits(self, state: int) -> int:
        """All moves of a state, a bit each at its rank."""
        known = self._bits.get(state)
        if known is None:
            known = self._bits[state] = sum(1 << self._rank[index] for index in self._moves.by_state[state].values())
        return known


class Table:
    """One policy under one mix on one space; `size` is the number of states that it knows. `shares` align with the offers."""

    def __init__(self, space: StateSpace, policy: Policy, shares: Sequence[float]) -> None:
        self.space = space
        self.policy = policy
        self.shares = tuple(shares)
        self.size = len(space)
        self.margin = round(policy.warm_margin(space) * _BILLION)
        self._ground = _ground(space, policy, self.size)
        self._weights = (1.0, *self.shares)
        self.billionths: list[int] = [self._weighed(terms) for terms in self._ground.terms]
        self._ladders: dict[int, Ladder] = {}

    def _weighed(self, terms: Terms) -> int:
        value: float = sum(map(mul, terms, self._weights))
        return round(value * _BILLION)

    def value(self, state: int) -> float:
        """How good a state is, also one that was met since."""
        if state < self.size:
            return self.billionths[state] / _BILLION
        return self._weighed(self.policy.terms(self.space, state)) / _BILLION

    def gain(self, state: int, after: int) -> float:
        """How much better one state is than another."""
        return (self.billionths[after] - self.billionths[state]) / _BILLION

    def ladder(self, kind: int) -> Ladder:
        """The moves of one profile, by the index of its offer."""
        known = self._ladders.get(kind)
        if known is None:
            known = self._ladders[kind] = Ladder(self._ground.moves(kind), self.billionths)
        return known

    @cached_property
    def unit(self) -> float:
        """The usual size of a gain, in billionths: what makes gains of different grids and policies comparable.

        States that only foreign slices bring are left out: they come and go, and with them the unit would.
        """
        ladders = [self.ladder(kind) for kind in range(len(self.shares))]
        gains = [
            abs(ladder.gain(rank))
            for ladder in ladders
            for rank in range(len(ladder))
            if ladder.move(rank)[0] < self.space.reachable
        ]
        return max(1.0, sum(gains) / max(1, len(gains)))


class _Ground:
    """What does not change with the mix: the terms of all states, and each profile's moves."""

    def __init__(self, space: StateSpace, policy: Policy, size: int) -> None:
        self.terms: list[Terms] = [policy.terms(space, state) for state in range(size)]
        self._space = space
        self._moves: dict[int, Moves] = {}

    def moves(self, kind: int) -> Moves:
        """By the index of the offer."""
        known = self._moves.get(kind)
        if known is None:
            known = self._moves[kind] = Moves(self._space, kind, len(self.terms))
        return known


@lru_cache(maxsize=64)
def _ground(space: StateSpace, policy: Policy, size: int) -> _Ground:
    return _Ground(space, policy, size)

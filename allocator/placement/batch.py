"""Pods that wait, planned together: in their order, none passed over that fits, and none refused for the order alone.

Pods are placed one after the other, so the first come have the choice. Where one finds no place, those before it and itself are
planned once more, the largest first: they may all fit if the small ones leave the room that the large one needs. If they do, that
plan stands; nobody who had a place loses it, whatever his priority. Nothing is written before the whole plan is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from allocator.placement.engine import Engine
from allocator.placement.explain import Decision, weigh
from allocator.placement.fleet import NodeView, Wish
from allocator.placement.placement import Placement
from allocator.placement.refusal import Refusal

MOST_REPLANNED: Final = 2000
"""Pods that are planned again in one batch, some 0.1 s of thought: eight times in a batch of 250."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A Pod that waits, and the nodes to which it does not go now."""

    wish: Wish
    shunned: frozenset[str] = frozenset()

    @property
    def anyone(self) -> tuple[Wish, frozenset[str]]:
        """What it asks for, whoever it is: where room only shrinks, a refusal holds for all who ask for the same."""
        return replace(self.wish, uid="", namespace="", name=""), self.shunned


Answer = Placement | Refusal


def plan(
    engine: Engine, waiting: Sequence[Waiting], *, most: int | None = None, why: dict[int, Decision] | None = None
) -> list[Answer]:
    """An answer for each Pod, in the order given, up to the one that is the `most`th to find a place.

    The engine counts those that found one as placed. `why`, where it is given, is filled with the reasons for each place, by the
    index of its Pod; that takes two more look-ups each.
    """
    batch = _Batch(engine, why)
    for pod in waiting:
        if most is not None and batch.placed >= most:
            break
        batch.add(pod)
    return batch.answers


class _Batch:
    """A plan in the making."""

    def __init__(self, engine: Engine, why: dict[int, Decision] | None) -> None:
        self._engine = engine
        self._why = why
        self._waiting: list[Waiting] = []
        self._before: dict[str, NodeView] = {}
        self._refusals: list[tuple[tuple[Wish, frozenset[str]], Refusal]] = []
        self._replanned = 0
        self.answers: list[Answer] = []
        self.placed = 0

    def add(self, pod: Waiting) -> None:
        """Plan one more Pod."""
        answer = self._refused(pod) or self._engine.place(pod.wish, shunned=pod.shunned)
        self._waiting.append(pod)
        self.answers.append(answer)
        if isinstance(answer, Placement):
            self._take(len(self._waiting) - 1, answer)
            self.placed += 1
        elif self._refused(pod) is None and not self._replan():
            self._refusals.append((pod.anyone, answer))

    def _refused(self, pod: Waiting) -> Refusal | None:
        if not self._refusals:
            return None
        asked = pod.anyone
        return next((refusal for known, refusal in self._refusals if known == asked), None)

    def _take(self, index: int, answer: Placement) -> None:
        pod = self._waiting[index]
        if self._why is not None:
            self._why[index] = weigh(self._engine, pod.wish, answer, shunned=pod.shunned)
        self._before.setdefault(answer.node, self._engine.view(answer.node))
        self._engine.take(pod.wish, answer)

    def _replan(self) -> bool:
        """Place all that have a place, and the last, the largest first; True if that is the plan now."""
        engine, last = self._engine, len(self.answers) - 1
        movable = [index for index, answer in enumerate(self.answers) if isinstance(answer, Placement)]
        order = sorted([*movable, last], key=self._size, reverse=True)
        if self._replanned + len(order) > MOST_REPLANNED or order == [*movable, last]:
            return False
        self._replanned += len(order)
        now, why = {node: engine.view(node) for node in self._before}, dict(self._why or {})
        engine.reset(self._before.values())
        fresh = self._in_order(order) if self._find(last) is not None else None
        if fresh is None:
            engine.reset({**self._before, **now}.values())
            if self._why is not None:
                self._why.clear()
                self._why.update(why)
            return False
        for index, answer in fresh.items():
            self.answers[index] = answer
        self.placed += 1
        return True

    def _in_order(self, order: Sequence[int]) -> dict[int, Placement] | None:
        """A place for each of these, or None as soon as one has none."""
        found: dict[int, Placement] = {}
        for index in order:
            answer = self._find(index)
            if answer is None:
                return None
            found[index] = answer
            self._take(index, answer)
        return found

    def _find(self, index: int) -> Placement | None:
        return self._engine.find(self._waiting[index].wish, shunned=self._waiting[index].shunned)

    def _size(self, index: int) -> tuple[int, int]:
        """What a Pod takes of a GPU: memory first, which is scarcer than compute."""
        profiles = [need.profile for need in self._waiting[index].wish.needs]
        return sum(profile.memory_gb for profile in profiles), sum(profile.slices for profile in profiles)

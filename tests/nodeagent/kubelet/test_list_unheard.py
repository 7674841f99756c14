"""A list that the kubelet does not go by is registered again, in time and not too often. On virtual time."""

import asyncio
from collections.abc import Mapping

from nodeagent.kubelet.listing import FOREIGN_S, RESYNC_S, UNLISTED_S, Expected, Listing
from nodeagent.kubelet.podresources import KubeletAway
from tests.support.virtualtime import run_virtually

RESOURCE = "nvidia.com/mig-1g.10gb"


class Scene:
    """A kubelet that answers what the test says."""

    def __init__(self) -> None:
        self.answer: Mapping[str, frozenset[str]] | None = {}
        self.reads: list[float] = []
        self.renewed: list[float] = []
        self.expected = Expected()
        clock = asyncio.get_running_loop().time
        self.clock = clock
        self.listing = Listing(
            self._read,
            expected=lambda: self.expected,
            renew=lambda _resource: self.renewed.append(clock()),
            clock=clock,
            on_change=lambda: None,
        )

    async def _read(self) -> Mapping[str, frozenset[str]]:
        self.reads.append(self.clock())
        if self.answer is None:
            raise KubeletAway("nobody there")
        return self.answer

    def offer(self, *ids: str) -> None:
        """What our stream says."""
        self.expected = Expected(healthy={RESOURCE: frozenset(ids)}, known=frozenset(ids))
        self.listing.poke()

    async def run_for(self, seconds: float) -> None:
        """Let the cache do its work."""
        try:
            async with asyncio.timeout(seconds):
                await self.listing.run()
        except TimeoutError:
            return


def test_agreement_is_looked_for_within_milliseconds_and_then_rarely() -> None:
    """A handful of calls until the kubelet has taken the list in, then one each `RESYNC_S`."""

    async def main() -> None:
        scene = Scene()
        scene.offer("a")
        asyncio.get_running_loop().call_later(0.02, setattr, scene, "answer", {RESOURCE: frozenset({"a"})})
        await scene.run_for(0.1)
        assert scene.listing.listed == {RESOURCE: frozenset({"a"})}
        assert 3 <= len(scene.reads) <= 8
        scene.reads.clear()
        await scene.run_for(10 * RESYNC_S)
        assert len(scene.reads) <= 11

    run_virtually(main)


def test_a_stream_that_is_not_heard_is_registered_again_and_again() -> None:
    """Every few seconds, for as long as it takes."""

    async def main() -> None:
        scene = Scene()
        scene.offer("a")
        began = scene.clock()
        await scene.run_for(4 * UNLISTED_S)
        assert scene.renewed[0] - began < UNLISTED_S + 1.5
        assert 2 <= len(scene.renewed) <= 4

    run_virtually(main)


def test_a_rival_stays_known_until_the_kubelet_shows_our_list_without_it() -> None:
    """After a restart the kubelet does not hold our stream yet, which says nothing of whose ids it listed."""

    async def main() -> None:
        scene = Scene()
        scene.offer("a")
        scene.answer = {RESOURCE: frozenset({"theirs"})}
        await scene.run_for(2 * FOREIGN_S)
        assert scene.listing.foreign == {RESOURCE}
        heard, scene.expected = scene.expected, Expected()
        for away in (True, False):
            scene.answer = None if away else {}
            await scene.run_for(2 * RESYNC_S)
            assert scene.listing.foreign == {RESOURCE}
        scene.expected, scene.answer = heard, {RESOURCE: frozenset({"a"})}
        await scene.run_for(2 * RESYNC_S)
        assert scene.listing.foreign == frozenset()

    run_virtually(main)


def test_a_rival_is_not_registered_over() -> None:
    """Foreign ids under our resource: another plugin's list won, and fighting would hand out wrong devices."""

    async def main() -> None:
        scene = Scene()
        scene.answer = {RESOURCE: frozenset({"theirs"})}
        scene.offer("a")
        await scene.run_for(4 * UNLISTED_S)
        assert scene.renewed == []
        assert scene.listing.foreign == {RESOURCE}
        assert scene.listing.listed[RESOURCE].isdisjoint({"a"})

    run_virtually(main)


def test_silence_is_no_reason_to_register_again() -> None:
    """While PodResources does not answer, nothing is known about our stream."""

    async def main() -> None:
        scene = Scene()
        scene.answer = None
        scene.offer("a")
        await scene.run_for(4 * UNLISTED_S)
        assert scene.renewed == []
        assert not scene.listing.answered
        assert scene.listing.trouble is not None

    run_virtually(main)

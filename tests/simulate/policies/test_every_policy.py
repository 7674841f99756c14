"""What holds for every policy: slices never overlap, releases give everything back, and no refusal is unfounded, or it is named."""

from random import Random

import pytest

from mig.occupancy import Placed, first_fault, legal_starts
from mig.placements import GpuShape
from mig.profiles import Profile
from simulate.placer import Placer, Spot
from simulate.policies import NAMES, NoSuchPolicy, make
from tests.support.shapes import shapes

FLEETS = {
    "a100": ("a100-80gb",) * 5,
    "a30": ("a30",) * 6,
    "mixed": ("a100-80gb", "a30", "a100-80gb", "rtx-pro-6000", "a30"),
}
WHOLE_GEOMETRIES = {"hami", "hami-memory", "nos"}
"""They cut by templates, so they refuse what their template does not have."""


def fleet(name: str) -> list[GpuShape]:
    known = shapes()
    return [known[next(model for model in known if model.startswith(prefix))] for prefix in FLEETS[name]]


class History:
    """A random course of placements and releases, with what lies on each GPU kept beside the policy."""

    def __init__(self, placer: Placer, gpus: list[GpuShape], seed: int) -> None:
        self.placer, self.gpus, self.rng = placer, gpus, Random(seed)
        self.profiles = sorted({offer.profile for shape in gpus for offer in shape.offers})
        self.on: list[list[Placed]] = [[] for _ in gpus]
        self.spots: list[Spot] = []

    def step(self) -> tuple[Profile, Spot | None] | None:
        """Place or release; what was asked and given, or None for a release."""
        if self.spots and self.rng.random() < 0.4:
            self.release(self.spots.pop(self.rng.randrange(len(self.spots))))
            return None
        asked = self.rng.choice(self.profiles)
        spot = self.placer.place(asked, now=0.0)
        if spot is not None:
            self.spots.append(spot)
            self.on[spot.gpu].append(spot.placed)
        return asked, spot

    def release(self, spot: Spot) -> None:
        """A slice ends."""
        self.placer.release(spot, now=0.0)
        self.on[spot.gpu].remove(spot.placed)

    def fits(self, profile: Profile) -> bool:
        """Whether some GPU has a legal start for it, by brute force."""
        return any(
            profile in shape.by_profile and legal_starts(shape.by_profile[profile], placed)
            for shape, placed in zip(self.gpus, self.on, strict=True)
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gpus", FLEETS)
def test_no_history_ever_leaves_a_gpu_that_hardware_could_not_have(name: str, gpus: str) -> None:
    shapes_of = fleet(gpus)
    history = History(make(name, shapes_of, per_node=2, seed=1), shapes_of, seed=2)
    for _ in range(400):
        done = history.step()
        if done is not None and done[1] is not None:
            gpu = done[1].gpu
            assert first_fault(shapes_of[gpu], history.on[gpu]) is None


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WHOLE_GEOMETRIES])
@pytest.mark.parametrize("gpus", FLEETS)
def test_a_refusal_means_that_it_truly_fits_nowhere(name: str, gpus: str) -> None:
    shapes_of = fleet(gpus)
    history = History(make(name, shapes_of, per_node=2, seed=1), shapes_of, seed=3)
    refused = 0
    for _ in range(400):
        done = history.step()
        if done is not None and done[1] is None:
            refused += 1
            assert not history.fits(done[0])
        elif done is not None:
            assert done[1] is not None
            assert done[1].placed.profile == done[0]
    assert refused > 20


@pytest.mark.parametrize("name", sorted(WHOLE_GEOMETRIES))
def test_a_policy_of_whole_geometries_refuses_what_would_fit(name: str) -> None:
    """Not a promise of ours: it shows that their refusals are their own, and that the check above can fail."""
    shapes_of = fleet("a100")
    history = History(make(name, shapes_of, per_node=2, seed=1), shapes_of, seed=3)
    unfounded = [
        done for done in (history.step() for _ in range(400)) if done and done[1] is None and history.fits(done[0])
    ]

    assert unfounded


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gpus", FLEETS)
def test_when_everything_has_ended_every_gpu_can_be_given_whole_again(name: str, gpus: str) -> None:
    shapes_of = fleet(gpus)
    history = History(make(name, shapes_of, per_node=2, seed=1), shapes_of, seed=4)
    for _ in range(300):
        history.step()
    while history.spots:
        history.release(history.spots.pop())
    whole = [max((o for o in shape.offers if not o.profile.attributes), key=lambda o: o.size) for shape in shapes_of]
    for offer in sorted(whole, key=lambda offer: -offer.profile.memory_gb):
        assert history.placer.place(offer.profile, now=0.0) is not None


@pytest.mark.parametrize("name", NAMES)
def test_equal_calls_in_equal_order_give_equal_answers(name: str) -> None:
    shapes_of = fleet("mixed")
    one, other = (History(make(name, shapes_of, per_node=2, seed=5), shapes_of, seed=6) for _ in range(2))

    assert [one.step() for _ in range(200)] == [other.step() for _ in range(200)]


def test_an_unknown_name_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(NoSuchPolicy, match=r"first-fit.*fgd"):
        make("fisrt-fit", fleet("a30"))

"""HAMi's default cuts an idle GPU by the first template with an instance large enough, and keeps that cut while one is in use."""

from collections.abc import Sequence

import pytest

from mig.occupancy import first_fault
from simulate.policies.hami import Hami, HamiByMemory, Template, templates
from tests.simulate.policies.laying import A30, A100, fleet, profile, went
from tests.support.shapes import shapes


def names(cuts: Sequence[Template]) -> list[list[str]]:
    return [[str(instance.profile) for instance in template] for template in cuts]


def test_the_templates_of_a_card_of_80_gb_are_the_shipped_ones() -> None:
    assert names(templates(A100)) == [
        ["1g.10gb"] * 7,
        ["2g.20gb"] * 3 + ["1g.10gb"],
        ["3g.40gb"] * 2,
        ["7g.80gb"],
    ]


def test_the_templates_of_an_a30_are_the_shipped_ones() -> None:
    assert names(templates(A30)) == [["1g.6gb"] * 4, ["2g.12gb"] * 2, ["4g.24gb"]]


@pytest.mark.parametrize("model", sorted(shapes()))
def test_every_template_can_exist_on_its_gpu(model: str) -> None:
    shape = shapes()[model]

    assert all(first_fault(shape, template) is None for template in templates(shape))


def test_a_gpu_in_use_keeps_its_template_and_refuses_what_a_new_cut_could_serve() -> None:
    """One of seven slices is in use and six are free, but none of them has 20 GB."""
    placer = Hami(fleet(1))

    assert went(placer, "1g.10gb") == (0, 0)
    assert went(placer, "2g.20gb") is None


def test_the_last_free_instance_lets_the_gpu_be_cut_anew() -> None:
    placer = Hami(fleet(1))
    spot = placer.place(profile("1g.10gb"), now=0.0)
    assert spot is not None
    placer.release(spot, now=1.0)

    assert went(placer, "7g.80gb") == (0, 0)


def test_a_request_is_memory_and_takes_the_first_free_instance_that_has_it() -> None:
    """After the three of 20 GB the fourth small one gets the small instance; before, it would have taken a large one."""
    placer = Hami(fleet(1))
    placer.place(profile("2g.20gb"), now=0.0)

    spots = [placer.place(profile("1g.10gb"), now=0.0) for _ in range(4)]
    assert [str(spot.placed.profile) for spot in spots if spot] == ["2g.20gb", "2g.20gb", "1g.10gb"]


@pytest.mark.parametrize(("asked", "given"), [("4g.40gb", "7g.80gb"), ("1g.20gb", "2g.20gb")])
def test_a_profile_without_a_template_gets_no_less_than_it_asks(asked: str, given: str) -> None:
    """Four slices of compute come with the whole GPU only: with 40 GB come three."""
    spot = Hami(fleet(1)).place(profile(asked), now=0.0)

    assert spot is not None
    assert str(spot.placed.profile) == given


@pytest.mark.parametrize(("asked", "given"), [("4g.40gb", "3g.40gb"), ("1g.20gb", "2g.20gb")])
def test_by_memory_alone_a_profile_may_get_less_compute(asked: str, given: str) -> None:
    spot = HamiByMemory(fleet(1)).place(profile(asked), now=0.0)

    assert spot is not None
    assert str(spot.placed.profile) == given


def test_the_fullest_node_comes_first_and_on_it_the_emptiest_gpu() -> None:
    placer = Hami(fleet(4), per_node=2)

    assert [went(placer, "1g.10gb") for _ in range(14)] == [(turn % 2, turn // 2) for turn in range(14)]
    assert went(placer, "1g.10gb") == (2, 0)

"""Taints and cordons keep away whom they keep away from the scheduler, and nobody else."""

from typing import Any

import pytest

from tests.allocator.fitting import fits, node

TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
CORDON = "node.kubernetes.io/unschedulable"


@pytest.mark.parametrize("effect", ["NoSchedule", "NoExecute"])
def test_an_untolerated_taint_keeps_away_and_is_named(effect: str) -> None:
    assert fits(node(taints=[{**TAINT, "effect": effect}])) == "with untolerated taint gpu"


def test_a_preference_is_no_obstacle() -> None:
    assert fits(node(taints=[{"key": "slow", "effect": "PreferNoSchedule"}])) is None


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu"}, False),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "cpu", "operator": "Exists"}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoSchedule"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "gpu", "operator": "Sounds", "value": "yes"}, False),
    ],
)
def test_a_toleration_covers_the_taints_that_it_names(toleration: dict[str, Any], *, tolerated: bool) -> None:
    assert (fits(node(taints=[TAINT]), tolerations=[toleration]) is None) is tolerated


def test_a_taint_without_a_value_is_tolerated_by_a_toleration_without_one() -> None:
    bare = node(taints=[{"key": "gpu", "effect": "NoSchedule"}])
    assert fits(bare, tolerations=[{"key": "gpu", "operator": "Equal"}]) is None


def test_for_how_long_a_taint_is_tolerated_makes_no_difference_to_where_a_pod_may_start() -> None:
    evicting = node(taints=[{**TAINT, "effect": "NoExecute"}])
    brief = {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}
    assert fits(evicting, tolerations=[brief]) is None


def test_every_taint_must_be_tolerated() -> None:
    view = node(taints=[TAINT, {"key": "night", "effect": "NoExecute"}])
    tolerations = [{"key": "gpu", "operator": "Exists"}]
    assert fits(view, tolerations=tolerations) == "with untolerated taint night"
    assert fits(view, tolerations=[*tolerations, {"key": "night", "operator": "Exists"}]) is None


def test_a_cordon_keeps_away_also_before_the_taint_of_that_name_is_on_the_node() -> None:
    """S4."""
    assert fits(node(unschedulable=True)) == "cordoned"
    assert fits(node(unschedulable=True), tolerations=[{"key": "gpu", "operator": "Exists"}]) == "cordoned"
    assert fits(node(unschedulable=True), tolerations=[{"key": CORDON, "operator": "Exists", "effect": "NoExecute"}])


@pytest.mark.parametrize("toleration", [{"key": CORDON, "operator": "Exists"}, {"operator": "Exists"}])
def test_who_tolerates_a_cordon_goes_there_as_the_scheduler_would_send_it(toleration: dict[str, str]) -> None:
    cordoned = node(unschedulable=True, taints=[{"key": CORDON, "effect": "NoSchedule"}])
    assert fits(cordoned, tolerations=[toleration]) is None

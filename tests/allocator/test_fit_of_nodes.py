"""A Pod goes only to a node that is handed over and Ready, and only where the scheduler would let it; S8 catches the rest."""

from dataclasses import replace

from tests.allocator.fitting import fits, node


def test_an_undemanding_pod_fits() -> None:
    assert fits(node()) is None


def test_a_node_that_is_not_handed_over_takes_nothing() -> None:
    assert fits(node(labels={"nos.nebuly.com/gpu-partitioning": "off"})) == "not handed over"


def test_a_node_that_is_not_ready_takes_nothing_even_of_those_that_tolerate_it() -> None:
    """S4: the scheduler would let them in, but no agent there could make their slice."""
    silent = node()
    silent = replace(silent, facts=replace(silent.facts, ready=False))
    assert fits(silent) == "not Ready"
    assert fits(silent, tolerations=[{"operator": "Exists"}]) == "not Ready"


def test_a_node_in_trouble_says_which() -> None:
    assert fits(replace(node(), trouble="whose agent is ending")) == "whose agent is ending"


def test_a_node_selector_must_match_wholly() -> None:
    view = node(labels={"zone": "a", "gen": "7", "bare": ""})
    assert fits(view, nodeSelector={"zone": "a", "gen": "7"}) is None
    assert fits(view, nodeSelector={"bare": ""}) is None
    for selector in ({"zone": "b"}, {"zone": "a", "rack": "1"}, {"rack": ""}):
        assert fits(view, nodeSelector=selector) == "not matching the nodeSelector"

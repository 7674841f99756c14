"""Required node affinity is evaluated as the scheduler does: labels and the node's name, in every operator."""

from typing import Any

import pytest

from tests.allocator.fitting import fits, node

LABELS = {"zone": "a", "gen": "7", "old": "007", "odd": "1_0", "huge": "9223372036854775808", "bare": ""}
MISFIT = "not matching the required node affinity"


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


def labels(*expressions: dict[str, Any]) -> dict[str, Any]:
    return {"matchExpressions": list(expressions)}


def fields(*expressions: dict[str, Any]) -> dict[str, Any]:
    return {"matchFields": list(expressions)}


def verdict(*terms: dict[str, Any], **spec: Any) -> str | None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return fits(node(labels=LABELS), affinity={"nodeAffinity": required}, **spec)


@pytest.mark.parametrize(
    ("item", "holds"),
    [
        (expression("zone", "In", "a", "b"), True),
        (expression("zone", "In", "b"), False),
        (expression("rack", "In", "x"), False),
        (expression("bare", "In", ""), True),
        (expression("zone", "NotIn", "b"), True),
        (expression("zone", "NotIn", "a", "b"), False),
        (expression("rack", "NotIn", "x"), True),
        (expression("bare", "Exists"), True),
        (expression("rack", "Exists"), False),
        (expression("rack", "DoesNotExist"), True),
        (expression("bare", "DoesNotExist"), False),
        (expression("zone", "Sounds", "like"), False),
    ],
)
def test_a_label_expression_holds_as_the_schedulers(item: dict[str, Any], *, holds: bool) -> None:
    """A label that is not there is in no set, and so not in every one."""
    assert (verdict(labels(item)) is None) is holds


@pytest.mark.parametrize(
    ("item", "holds"),
    [
        (expression("gen", "Gt", "6"), True),
        (expression("gen", "Gt", "7"), False),
        (expression("gen", "Lt", "8"), True),
        (expression("gen", "Lt", "7"), False),
        (expression("old", "Gt", "6"), True),
        (expression("gen", "Gt", "0000000000000000000000000006"), True),
        (expression("rack", "Gt", "0"), False),
        (expression("rack", "Lt", "9"), False),
        (expression("zone", "Gt", "0"), False),
        (expression("bare", "Lt", "9"), False),
        (expression("odd", "Gt", "6"), False),
        (expression("huge", "Gt", "6"), False),
        (expression("gen", "Lt", "9223372036854775807"), True),
        (expression("gen", "Lt", "9223372036854775808"), False),
        (expression("gen", "Gt", "x"), False),
        (expression("gen", "Gt"), False),
        (expression("gen", "Gt", "1", "2"), False),
    ],
)
def test_gt_and_lt_compare_integers_as_go_reads_them_and_nothing_else(item: dict[str, Any], *, holds: bool) -> None:
    """`1_0` is a legal label value and no number; beyond 64 bits there are none."""
    assert (verdict(labels(item)) is None) is holds


@pytest.mark.parametrize(
    ("item", "holds"),
    [
        (expression("metadata.name", "In", "n1"), True),
        (expression("metadata.name", "In", "n2"), False),
        (expression("metadata.name", "NotIn", "n1"), False),
        (expression("metadata.name", "NotIn", "n2"), True),
        (expression("metadata.name", "In", "n1", "n2"), False),
        (expression("metadata.name", "In"), False),
        (expression("metadata.name", "Exists"), False),
        (expression("metadata.name", "Gt", "0"), False),
        (expression("zone", "In", "a"), False),
        (expression("metadata.uid", "NotIn", "n1"), True),
    ],
)
def test_match_fields_compares_the_nodes_name_with_one_value(item: dict[str, Any], *, holds: bool) -> None:
    """So a DaemonSet's controller aims its Pods. A label is no field, and a field no label."""
    assert (verdict(fields(item)) is None) is holds


def test_a_label_named_like_the_field_is_still_a_label() -> None:
    assert verdict(labels(expression("metadata.name", "In", "n1"))) == MISFIT


def test_terms_are_alternatives_and_all_of_one_must_hold() -> None:
    right, wrong = expression("zone", "In", "a"), expression("zone", "In", "b")
    here, there = expression("metadata.name", "In", "n1"), expression("metadata.name", "In", "n2")
    assert verdict(labels(wrong), labels(right)) is None
    assert verdict(labels(right, wrong)) == MISFIT
    assert verdict(labels(right) | fields(here)) is None
    assert verdict(labels(right) | fields(there)) == MISFIT
    assert verdict(labels(wrong) | fields(here)) == MISFIT


def test_a_term_that_demands_nothing_and_a_list_without_terms_match_no_node() -> None:
    assert verdict({}) == MISFIT
    assert verdict(labels()) == MISFIT
    assert verdict() == MISFIT
    assert verdict({}, labels(expression("zone", "In", "a"))) is None


def test_selector_and_affinity_must_hold_both() -> None:
    right = labels(expression("zone", "In", "a"))
    assert verdict(right, nodeSelector={"gen": "7"}) is None
    assert verdict(right, nodeSelector={"gen": "8"}) == "not matching the nodeSelector"


def test_what_is_merely_preferred_keeps_nobody_away() -> None:
    preferred = [{"weight": 100, "preference": labels(expression("zone", "In", "b"))}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    assert fits(node(labels=LABELS), affinity=affinity) is None

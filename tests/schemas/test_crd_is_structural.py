"""The CRD's schema is one that apiextensions takes; a keyword that it refuses stops the generator by name."""

from collections.abc import Iterator
from typing import Any

import pytest

from mig import names
from schemas.crd import NotStructuralError, crd, structural

DOCUMENT = crd()
OPEN_API = DOCUMENT["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    children = [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")]
    for child in children:
        if isinstance(child, dict):
            yield from nodes(child)


def test_every_node_has_a_type_and_nothing_is_left_to_refer_to() -> None:
    for node in nodes(OPEN_API):
        assert "type" in node
        assert not {"$ref", "$defs", "$id", "$schema", "const", "title"} & set(node)


def test_every_list_says_how_it_merges_and_is_bounded() -> None:
    """Without a bound the API server's estimate of the CEL rules' cost is unbounded, too."""
    lists = [node for node in nodes(OPEN_API) if node["type"] == "array"]
    assert lists
    assert all("x-kubernetes-list-type" in node and "maxItems" in node for node in lists)


def test_the_names_are_those_that_the_processes_use() -> None:
    spec = DOCUMENT["spec"]
    assert (spec["group"], spec["versions"][0]["name"]) == (names.GROUP, names.VERSION)
    assert (spec["names"]["kind"], spec["names"]["plural"]) == (names.KIND, names.PLURAL)
    assert spec["names"]["shortNames"] == ["migs"]
    assert spec["names"]["categories"] == ["nos"]
    assert spec["scope"] == "Cluster"


def test_it_is_kept_when_the_chart_goes() -> None:
    """H4: deleting it would delete every MigSpec."""
    assert DOCUMENT["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@pytest.mark.parametrize("keyword", ["uniqueItems", "patternProperties", "if", "propertyNames"])
def test_what_apiextensions_refuses_stops_the_generator(keyword: str) -> None:
    with pytest.raises(NotStructuralError, match=keyword):
        structural({"type": "object", "properties": {"a": {"type": "object", keyword: {}}}}, {})


def test_a_reference_is_written_out_with_what_stands_beside_it() -> None:
    definitions = {"size": {"type": "integer", "description": "general"}}
    written = structural({"$ref": "#/$defs/size", "description": "particular"}, definitions)
    assert written == {"type": "integer", "description": "particular"}

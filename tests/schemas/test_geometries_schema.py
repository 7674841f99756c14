"""The geometries that an admin writes are accepted in the form of the contract and refused with their place otherwise."""

import pytest
import yaml

from mig.geometries import parse_geometries
from schemas import check

CONTRACT = """
- models: ["A30"]
  allowedGeometries:
    - 1g.6gb: 4
    - 1g.6gb: 2
      2g.12gb: 1
    - 2g.12gb: 2
    - 4g.24gb: 1
"""


def test_the_form_of_the_contract_is_accepted_and_read() -> None:
    document = yaml.safe_load(CONTRACT)
    assert check("geometries", document) == []
    allowed = parse_geometries(document).for_model("NVIDIA A30")
    assert allowed is not None
    assert len(allowed) == 4


def test_no_entry_is_a_document() -> None:
    assert check("geometries", []) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("models: [A30]", "(document): "),
        ("[{models: [A30]}]", "[0]: "),
        ("[{models: [], allowedGeometries: [{1g.6gb: 1}]}]", "[0].models: "),
        ("[{models: A30, allowedGeometries: [{1g.6gb: 1}]}]", "[0].models: "),
        ("[{models: [A30], allowedGeometries: []}]", "[0].allowedGeometries: "),
        ("[{models: [A30], allowedGeometries: [{}]}]", "[0].allowedGeometries[0]: "),
        ("[{models: [A30], allowedGeometries: [{1g.6gb: 0}]}]", "[0].allowedGeometries[0].1g.6gb: "),
        ("[{models: [A30], allowedGeometries: [{1g.6gb: '4'}]}]", "[0].allowedGeometries[0].1g.6gb: "),
        ("[{models: [A30], allowedGeometries: [{1g.6gb: true}]}]", "[0].allowedGeometries[0].1g.6gb: "),
        ("[{models: [A30], allowedGeometries: [{1g: 4}]}]", "[0].allowedGeometries[0]: "),
        ("[{models: [A30], allowedGeometries: [{1: 4}]}]", "[0].allowedGeometries[0]: "),
        ("[{models: [A30], allowedGeometries: [{1g.6gb: 4}], allowed: []}]", "[0]: "),
        ("[null]", "[0]: "),
        ("null", "(document): "),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, where: str) -> None:
    errors = check("geometries", yaml.safe_load(text))
    assert errors
    assert all(error.startswith(where) for error in errors), errors

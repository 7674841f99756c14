"""The CustomResourceDefinition of MigSpec, generated from its JSON Schema: `python -m schemas.crd` writes it into the chart.

The API server takes structural OpenAPI v3 schemas alone. So references are written out, `const` becomes `enum`, and what
apiextensions does not know is left out. Nothing is added but names, printer columns and the annotation that keeps the CRD,
and with it every MigSpec, when the chart is uninstalled. A test fails when the generated file is stale.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from schemas import schema

CHART_FILE: Final = Path(__file__).parent.parent / "helm" / "nos-mig" / "templates" / "crd" / "migspecs.yaml"

_HEADER: Final = "# Generated from schemas/migspec.schema.json by `python -m schemas.crd`; do not edit.\n"
_COLUMNS: Final = (
    ("Converged", "string", '.status.conditions[?(@.type=="Converged")].status', 0),
    ("GPUs", "integer", ".status.counts.gpus", 0),
    ("Used", "integer", ".status.counts.used", 0),
    ("Free", "integer", ".status.counts.free", 0),
    ("Pending", "integer", ".status.counts.pending", 0),
    ("Room", "string", ".status.counts.room", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Healthy", "string", '.status.conditions[?(@.type=="Healthy")].status', 1),
    ("Failed", "integer", ".status.counts.failed", 1),
    ("Foreign", "integer", ".status.counts.foreign", 1),
    ("Driver", "string", ".status.driverVersion", 1),
    ("Message", "string", '.status.conditions[?(@.type=="Converged")].message', 1),
)
"""Name, type, JSON path, priority; priority 1 is shown by `-o wide`."""

_LEFT_OUT: Final = frozenset({"$schema", "$id", "$defs", "title"})


class NotStructuralError(ValueError):
    """A keyword in the schema that apiextensions refuses; the message names it."""


_REFUSED: Final = frozenset(
    {"if", "then", "else", "patternProperties", "propertyNames", "unevaluatedProperties", "prefixItems", "uniqueItems"}
)


def structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """One schema as apiextensions accepts it, its `$ref` into `definitions` written out.

    Raises `NotStructuralError`.
    """
    if "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return structural({**definitions[node["$ref"].removeprefix("#/$defs/")], **beside}, definitions)
    refused = _REFUSED.intersection(node)
    if refused:
        raise NotStructuralError(f"apiextensions takes no {', '.join(sorted(refused))}; say it in CEL instead")
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            result[key] = {name: structural(child, definitions) for name, child in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, Mapping):
            result[key] = structural(value, definitions)
        elif key == "const":
            result["enum"] = [value]
        elif key not in _LEFT_OUT:
            result[key] = value
    return result


def crd() -> dict[str, Any]:
    """The whole object. `apiVersion` and `kind` lose their constants: the API server checks them itself."""
    source = schema("migspec")
    open_api = structural(source, source["$defs"])
    open_api["properties"].update(apiVersion={"type": "string"}, kind={"type": "string"}, metadata={"type": "object"})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "migspecs.nos.nebuly.com",
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {"app.kubernetes.io/name": "nos-mig", "app.kubernetes.io/part-of": "nos-mig"},
        },
        "spec": {
            "group": "nos.nebuly.com",
            "scope": "Cluster",
            "names": {
                "kind": "MigSpec",
                "listKind": "MigSpecList",
                "plural": "migspecs",
                "singular": "migspec",
                "shortNames": ["migs"],
                "categories": ["nos"],
            },
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "priority": priority}
                        for name, kind, path, priority in _COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": open_api},
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """No anchors: a definition that is used twice stands there twice."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def as_yaml() -> str:
    """The file's text. It holds no template of Helm, so Helm renders it as it is."""
    return _HEADER + yaml.dump(crd(), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Generate the CRD of MigSpec from its JSON Schema.")
    parser.add_argument("--output", type=Path, default=CHART_FILE, help="default: its place in the chart")
    output: Path = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(as_yaml(), encoding="utf-8")
    print(f"wrote {output}")


if __name__ == "__main__":
    main()

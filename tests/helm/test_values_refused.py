"""Values that the chart does not know, or that have the wrong type, are refused with their path (H2)."""

import json

import pytest
import yaml

from tests.support.chart import CHART, RenderError, render


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("webhok: {enabled: false}", "webhok"),
        ("webhook: {enable: false}", "webhook"),
        ("webhook: {enabled: 'no'}", "webhook/enabled"),
        ("webhook: {replicas: 0}", "webhook/replicas"),
        ("webhook: {replicas: two}", "webhook/replicas"),
        ("webhook: {url: 'http://127.0.0.1/mutate'}", "webhook/url"),
        ("webhook: {timeoutSeconds: 60}", "webhook/timeoutSeconds"),
        ("allocator: {url: x}", "allocator"),
        ("nodeAgent: {driverRoot: driver}", "nodeAgent/driverRoot"),
        ("nodeAgent: {privileged: 1}", "nodeAgent/privileged"),
        ("nodeAgent: {nvidiaDevicePlugin: {selectors: []}}", "nodeAgent/nvidiaDevicePlugin/selectors"),
        ("nodeAgent: {nvidiaDevicePlugin: {selectors: ['']}}", "nodeAgent/nvidiaDevicePlugin/selectors/0"),
        ("log: {level: loud}", "log/level"),
        ("image: {pullPolicy: Sometimes}", "image/pullPolicy"),
        ("image: {pullSecrets: [registry]}", "image/pullSecrets/0"),
        ("gpuPartitioner: {knownMigGeometries: {A30: []}}", "gpuPartitioner/knownMigGeometries"),
        ("gpuPartitioner: {knownMigGeometries: [{models: [A30]}]}", "gpuPartitioner/knownMigGeometries/0"),
        (
            "gpuPartitioner: {knownMigGeometries: [{models: [A30], allowedGeometries: [{1g.6gb: four}]}]}",
            "gpuPartitioner/knownMigGeometries/0/allowedGeometries/0/1g.6gb",
        ),
        (
            "gpuPartitioner: {knownMigGeometries: [{models: [A30], allowedGeometries: [{1g-6gb: 4}]}]}",
            "1g-6gb",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(text: str, path: str) -> None:
    """H2: a typing error in the values never installs something else in silence."""
    with pytest.raises(RenderError) as refusal:
        render(values=yaml.safe_load(text))
    message = str(refusal.value)
    assert "values don't meet the specifications of the schema" in message
    assert path in message


def test_every_key_of_the_values_is_described() -> None:
    """Nobody has to read templates to know what a value does."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for part, keys in values.items():
        properties = schema["properties"][part]["properties"]
        assert set(keys) == set(properties), part
        for key, node in properties.items():
            target = schema["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
            assert node.get("description") or target.get("description"), f"{part}.{key}"

"""A cluster out of a file: which nodes with which GPUs, what lies there, and which geometries are allowed.

```yaml
nodes:
  - name: a                  # a-0 … a-11; without a name node-0 …
    count: 12
    gpus:
      - {model: a100-80gb, count: 7}
      - {model: a100-80gb, slices: [3g.40gb@4, 1g.10gb@0]}   # held as long as the simulation runs
    cpu: "96"                # without: as much as anybody wants; so with memory and pods
    labels: {zone: west}
geometries: []               # as gpuPartitioner.knownMigGeometries of the chart; without: all that drivers offer
```

Its shape is `schemas/simulated-cluster.schema.json`. What is wrong is refused with its place and with what to write.
"""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import yaml

from allocator.placement.fleet import NodeView, Resources
from mig.geometries import ANYTHING, Geometries, GeometryError, parse_geometries
from mig.occupancy import Placed, first_fault
from mig.placements import Window
from mig.profiles import parse_profile
from mig.quantity import QuantityError, parse_quantity
from schemas import check
from simulate.cards import Card, UnknownCard, card
from simulate.scene import PLENTY, Scene, SceneError, assumptions, gpu_of, plain_node

Json = Mapping[str, Any]

MOST_GPUS: Final = 100_000
"""Of one description: what still fits into memory, and no slip of a zero."""


def read_cluster(path: Path) -> Scene:
    """A described cluster. Raises `SceneError` naming the file, the place, and what to write."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}; name a YAML file with a list `nodes`") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SceneError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    return cluster_of(document, name=str(path))


def cluster_of(document: object, *, name: str) -> Scene:
    """The cluster that a document describes; `name` stands in messages. Raises `SceneError`."""
    if errors := check("simulated-cluster", document):
        raise SceneError(f"{name}: {'; '.join(errors)}")
    assert isinstance(document, dict)
    size = sum(entry.get("count", 1) * sum(_count(gpu) for gpu in entry["gpus"]) for entry in document["nodes"])
    if size > MOST_GPUS:
        raise SceneError(f"{name}: {size} GPUs are more than the {MOST_GPUS} that can be simulated; lower the counts")
    reader = _Reader(name)
    nodes = [
        node for place, entry in enumerate(document["nodes"]) for node in reader.nodes(entry, where=f"nodes[{place}]")
    ]
    if len({node.name for node in nodes}) != len(nodes):
        raise SceneError(f"{name}: two entries of nodes have one name; give each entry a `name` of its own")
    return Scene(tuple(nodes), reader.geometries(document.get("geometries")), notes=tuple(assumptions(reader.cards)))


def _count(gpu: object) -> int:
    return int(gpu.get("count", 1)) if isinstance(gpu, dict) else 1


class _Reader:
    """Reads a document of the right shape; the file's name goes before each complaint."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._unnamed = 0
        self.cards: list[Card] = []

    def nodes(self, entry: Json, *, where: str) -> Iterator[NodeView]:
        """The nodes of one entry."""
        gpus = [made for place, gpu in enumerate(entry["gpus"]) for made in self._gpus(gpu, f"{where}.gpus[{place}]")]
        room = self._room(entry, where)
        for name in self._names(entry):
            views = (gpu_of(model, uuid=f"{name}/{place}", fixed=fixed) for place, (model, fixed) in enumerate(gpus))
            yield plain_node(name, views, room=room, labels=dict(entry.get("labels") or {}))

    def _names(self, entry: Json) -> list[str]:
        count = entry.get("count", 1)
        if "name" in entry:
            return [entry["name"]] if count == 1 else [f"{entry['name']}-{number}" for number in range(count)]
        first, self._unnamed = self._unnamed, self._unnamed + count
        return [f"node-{number}" for number in range(first, self._unnamed)]

    def _gpus(self, gpu: str | Json, where: str) -> list[tuple[Card, tuple[Placed, ...]]]:
        entry: Json = {"model": gpu} if isinstance(gpu, str) else gpu
        try:
            model = card(entry["model"])
        except UnknownCard as error:
            raise SceneError(f"{self._name}, {where}: {error}") from error
        self.cards.append(model)
        placed = tuple(self._slice(text, model, where) for text in entry.get("slices") or ())
        if fault := first_fault(model.shape, placed):
            raise SceneError(f"{self._name}, {where}.slices: {fault}; write slices that lie side by side")
        return [(model, placed)] * entry.get("count", 1)

    def _slice(self, text: str, model: Card, where: str) -> Placed:
        name, _, start = text.partition("@")
        profile = parse_profile(name)
        offer = model.shape.by_profile.get(profile)
        if offer is None:
            offered = ", ".join(map(str, sorted(model.shape.by_profile)))
            raise SceneError(f"{self._name}, {where}.slices: {model.model} offers no {name}; write one of {offered}")
        return Placed(Window(int(start), offer.size), profile)

    def _room(self, entry: Json, where: str) -> Resources:
        cpu = self._amount(entry, "cpu", where)
        memory = self._amount(entry, "memory", where)
        return Resources(
            milli_cpu=PLENTY.milli_cpu if cpu is None else math.floor(cpu * 1000),
            memory=PLENTY.memory if memory is None else math.floor(memory),
            pods=entry.get("pods", PLENTY.pods),
        )

    def _amount(self, entry: Json, key: str, where: str) -> Fraction | None:
        if key not in entry:
            return None
        try:
            return parse_quantity(entry[key])
        except QuantityError as error:
            raise SceneError(f"{self._name}, {where}.{key}: {error}") from error

    def geometries(self, document: object) -> Geometries:
        """The allowed geometries, of the form that the chart's values have."""
        if document is None:
            return ANYTHING
        if errors := check("geometries", document):
            raise SceneError(f"{self._name}, geometries: {'; '.join(errors)}")
        assert isinstance(document, list)
        try:
            return parse_geometries(document)
        except GeometryError as error:
            raise SceneError(f"{self._name}, geometries: {error}") from error

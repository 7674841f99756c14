"""The shipped geometries, generated from discovered data: `python -m schemas.default_geometries simgpu/models.json`.

For each popular model every maximal multiset of slices that its driver can realise, so that the defaults forbid nothing that a
driver offers; they are there to be read and narrowed. Which beginning of a product name stands for which discovered model is data,
`geometry_models.json`. A test compares the result with the domain's own enumeration, which this module does not share.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

CHART_FILE: Final = Path(__file__).parent.parent / "helm" / "nos-mig" / "files" / "default-geometries.yaml"
MODELS_FILE: Final = Path(__file__).parent / "geometry_models.json"

_HEADER: Final = """\
# Generated from discovered data by `python -m schemas.default_geometries`; do not edit: override a model in the chart's values,
# gpuPartitioner.knownMigGeometries. For each model every maximal set of slices that its driver can realise.
"""
_MEDIA: Final = "+me"
"""The profiles with it share one set of media engines: one holder a GPU."""

Layout = frozenset[tuple[int, int, str]]
"""Slices at their places: start, size, profile."""
Geometry = Mapping[str, int]


def maximal_geometries(profiles: list[Mapping[str, Any]]) -> list[Geometry]:
    """The multisets of slices that no other multiset contains, the one with the largest slices first."""
    multisets = {frozenset(Counter(name for _, _, name in layout).items()) for layout in _maximal_layouts(profiles)}
    counters = [Counter(dict(multiset)) for multiset in multisets]
    kept = [one for one in counters if not any(one < other for other in counters)]
    largest_first = [str(profile["name"]) for profile in reversed(profiles)]
    kept.sort(key=lambda one: [-one[name] for name in largest_first])
    return [{name: one[name] for name in reversed(largest_first) if name in one} for one in kept]


def _maximal_layouts(profiles: list[Mapping[str, Any]]) -> Iterator[Layout]:
    seen: set[Layout] = {frozenset()}
    frontier = list(seen)
    while frontier:
        layout = frontier.pop()
        grown = [layout | {slice_} for slice_ in _additions(layout, profiles)]
        if not grown:
            yield layout
        fresh = set(grown) - seen
        seen |= fresh
        frontier.extend(fresh)


def _additions(layout: Layout, profiles: list[Mapping[str, Any]]) -> Iterator[tuple[int, int, str]]:
    """Each slice that the driver's rules let be added: room, the profile's own count, one holder of the media engines."""
    taken = {place for start, size, _ in layout for place in range(start, start + size)}
    held = Counter(name for _, _, name in layout)
    media_held = any(_MEDIA in name for name in held)
    for profile in profiles:
        name = profile["name"]
        if held[name] >= profile["max_instances"] or (media_held and _MEDIA in name):
            continue
        for placement in profile["placements"]:
            start, size = placement["start"], placement["size"]
            if taken.isdisjoint(range(start, start + size)):
                yield start, size, name


def as_yaml(discovered: Mapping[str, Any], models: Mapping[str, list[str]]) -> str:
    """The file's text: one line a geometry; models that can do the same share an entry."""
    by_geometries: dict[str, list[str]] = {}
    for model in discovered["models"]:
        if model["id"] in models:
            lines = "".join(f"    - {_flow(geometry)}\n" for geometry in maximal_geometries(model["profiles"]))
            by_geometries.setdefault(lines, []).extend(models[model["id"]])
    entries = (
        f"- models: [{', '.join(names)}]\n  allowedGeometries:\n{lines}" for lines, names in by_geometries.items()
    )
    return _HEADER + "".join(entries)


def _flow(geometry: Geometry) -> str:
    return "{" + ", ".join(f"{name}: {count}" for name, count in geometry.items()) + "}"


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Generate the chart's default geometries from discovered models.")
    parser.add_argument("discovered", type=Path, help="the models as their drivers describe them, simgpu/models.json")
    parser.add_argument("--output", type=Path, default=CHART_FILE, help="default: its place in the chart")
    arguments = parser.parse_args()
    output: Path = arguments.output
    discovered = json.loads(arguments.discovered.read_text(encoding="utf-8"))
    models = json.loads(MODELS_FILE.read_text(encoding="utf-8"))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(as_yaml(discovered, models), encoding="utf-8")
    print(f"wrote {output}")


if __name__ == "__main__":
    main()

"""Coefficients as points that a search can move freely, and their place in the table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from allocator.placement.durations import Adjustments, Coefficients, Weights

POSITIVE: Final = 9
"""The first so many numbers of a point are square roots, so that the coefficients cannot be negative."""
TABLE: Final = Path(__file__).parents[2] / "allocator" / "placement" / "coefficients.json"

Point = Sequence[float]


def coefficients_of(point: Point) -> Coefficients:
    """What a point of the search stands for; the numbers as they are written, to three significant digits."""
    raw = [x * x for x in point[:POSITIVE]] + list(point[POSITIVE:])
    n = [float(f"{x:.3g}") for x in raw]
    return Coefficients(
        gpu=Weights(*n[0:3]),
        half=Weights(*n[3:6]),
        curve=n[6],
        now=n[7],
        horizon=max(n[8], 0.01),
        value=Adjustments(*n[9:15]),
    )


def point_of(coefficients: Coefficients) -> list[float]:
    """The point that stands for coefficients."""
    data = asdict(coefficients)
    roots = [*data["gpu"].values(), *data["half"].values(), data["curve"], data["now"], data["horizon"]]
    return [x**0.5 for x in roots] + list(data["value"].values())


def write(found: Mapping[str, object], *, table: Path = TABLE) -> None:
    """Into the table, its other keys untouched."""
    data = {**json.loads(table.read_text()), **found}
    table.write_text(json.dumps(data, indent=2) + "\n")

"""What drivers of different versions say of one GPU model.

Why: names and memory sizes of profiles change with the driver, and profiles are added; ids and places never change. So a client
that keeps names, or assumes that a profile is there, is caught by an upgrade. Promise: each difference is a row of
`driver.json` that was observed or stands in the user guide; a version that no row covers says what `models.json` records.
"""

from __future__ import annotations

import re
from dataclasses import replace

from simgpu.catalogue import Model, Table, tables
from simgpu.errors import SimGpuError


def checked(version: str) -> str:
    """Return the version, when it is one. Raises SimGpuError."""
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        raise SimGpuError(f"{version!r} is no version of a driver; write numbers with dots, such as 580.95.05")
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _applies(span: Table, version: str) -> bool:
    """Whether the version lies in `from` (included) to `before` (excluded), either of which may be missing."""
    asked = _numbers(version)
    return _numbers(span.get("from", "0")) <= asked and ("before" not in span or asked < _numbers(span["before"]))


def under_driver(model: Model, version: str) -> Model:
    """Return the model as a driver of the version presents it: ids and places are the same, names and memory may not be."""
    profiles = model.profiles
    for span in tables()[1]["drivers"].get(model.id, ()):
        if not _applies(span, version):
            continue
        names: dict[str, str] = span.get("names", {})
        memory: dict[str, int] = span.get("memory_mib", {})
        profiles = tuple(
            replace(p, name=names.get(str(p.id), p.name), memory_mib=memory.get(str(p.id), p.memory_mib))
            for p in profiles
            if p.id not in span.get("without", ())
        )
    return replace(model, profiles=profiles)

"""GPU models as frozen values, out of the two tables `models.json` and `driver.json`.

`models.json` is the collected knowledge about MIG profiles and their placements; `driver.json` adds what a driver answers
besides (architecture, ids of instances, its own order of placements, latencies, names that change with its version).
Promise: what a table records is taken unchanged; what nobody recorded is filled in by the rules that stand in `driver.json`
and below. A model whose placements nobody has published says so: `assumed` is true.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simgpu.errors import UnknownGpuError

Table = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One place of a profile: first memory slice, rank in the driver's own order, id that an instance there gets."""

    start: int
    rank: int
    gi_id: int


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long the hardware is busy, in milliseconds."""

    create_gi: int
    create_ci: int
    destroy_gi: int
    destroy_ci: int


@dataclass(frozen=True, kw_only=True)
class Engines:
    """What a GPU instance has besides memory."""

    sm: int
    copy: int
    decoder: int
    encoder: int
    jpeg: int
    ofa: int


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A GI profile. `id` is what create takes, `gi_enum` what profile-info takes; sizes are in memory slices."""

    name: str
    id: int
    gi_enum: int
    slices: int
    size: int
    instances: int
    media: bool
    graphics: bool
    memory_mib: int
    engines: Engines
    placements: tuple[Placement, ...]
    ci_enums: tuple[int, ...]
    latency: Latency


@dataclass(frozen=True, kw_only=True)
class Model:
    """A GPU model. One without MIG has no profiles and no grid; one that is `assumed` has a layout that nobody published."""

    id: str
    names: tuple[str, ...]
    architecture: int
    compute_capability: tuple[int, int]
    memory_mib: int
    pci_device_id: int = 0
    mode_needs_reset: bool = False
    compute_slices: int = 0
    grid_width: int = 0
    profiles: tuple[Profile, ...] = ()
    assumed: bool = False


@functools.cache
def tables() -> tuple[Table, Table]:
    """Return `models.json` and `driver.json`."""
    folder = Path(__file__).parent
    models: Table = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    driver: Table = json.loads((folder / "driver.json").read_text(encoding="utf-8"))
    return models, driver


def ci_slices() -> tuple[int, ...]:
    """Return the compute slices of each CI enum, 0 for those that no driver offers (the `_REV1` and `_NVL` names)."""
    enums: dict[str, int] = tables()[0]["nvml_ci_profile_enum"]
    slices = {number: name.removesuffix("_SLICE") for name, number in enums.items()}
    return tuple(int(slices[e]) if slices[e].isdigit() else 0 for e in range(len(slices)))


def gi_id(*, numbering: str, start: int, size: int, width: int) -> int:
    """Return the id that the driver gives an instance: its index in a heap over the grid.

    `heap` is Hopper's, A30's and RTX PRO's way; on A100 the `upper-half-first` of each level is numbered first.
    """
    count = width // size
    place = start // size
    if numbering == "upper-half-first":
        place = (place + count // 2) % count
    return count - 1 + place


def _placements(profile: Table, *, family: Table, width: int) -> tuple[Placement, ...]:
    size = profile["placements"][0]["size"]
    order: list[int] = family["default_order"][str(size)]
    return tuple(
        Placement(
            start=p["start"],
            rank=order.index(p["start"]),
            gi_id=gi_id(numbering=family["gi_ids"], start=p["start"], size=size, width=width),
        )
        for p in sorted(profile["placements"], key=lambda p: int(p["start"]))
    )


def _latency(family: Table, slices: int, gi_share: float) -> Latency:
    create, destroy = (family["latency_ms"][what][str(slices)] for what in ("create", "destroy"))
    gi_create, gi_destroy = round(create * gi_share), round(destroy * gi_share)
    return Latency(
        create_gi=gi_create, create_ci=create - gi_create, destroy_gi=gi_destroy, destroy_ci=destroy - gi_destroy
    )


def _engines(profile: Table, twin: Table, family: Table) -> Engines:
    """Counts of the profile, else of the same profile on the model with the same chip."""
    counts: dict[str, int] = profile.get("engines_user_guide") or twin.get("engines_user_guide") or {}
    sm = profile.get("sm_nvidia_smi") or twin.get("sm_nvidia_smi") or profile["slice_count"] * family["sm_per_slice"]
    return Engines(
        sm=sm,
        copy=counts.get("copy", 0),
        decoder=counts.get("nvdec", 0),
        encoder=counts.get("nvenc", 0),
        jpeg=counts.get("jpeg", 0),
        ofa=counts.get("ofa", 0),
    )


def _memory_mib(profile: Table) -> int:
    """Memory as recorded, else the whole GiB of the profile's name."""
    recorded: int | None = profile.get("memory_mib")
    return recorded or int(profile["name"].split(".")[1].partition("gb")[0]) * 1024


def _profile(profile: Table, *, twin: Table, family: Table, width: int) -> Profile:
    driver = tables()[1]
    slices: int = profile["slice_count"]
    return Profile(
        name=profile["name"],
        id=profile["profile_id"],
        gi_enum=profile["nvml_enum_value"],
        slices=slices,
        size=profile["placements"][0]["size"],
        instances=profile["max_instances"],
        media=bool({"me", "me.all"} & set(profile["attributes"])),
        graphics="gfx" in profile["attributes"],
        memory_mib=_memory_mib(profile),
        engines=_engines(profile, twin, family),
        placements=_placements(profile, family=family, width=width),
        ci_enums=tuple(ci_slices().index(n) for n in driver["ci_slices"][str(slices)]),
        latency=_latency(family, slices, driver["latency_gi_share"]),
    )


def _complete(entry: Table) -> Table:
    """The entry, with what nobody published taken from the model that it is assumed to be like."""
    known, driver = tables()
    assumed: Table | None = driver["assumed"].get(entry["id"])
    if assumed is None:
        return entry
    like: Table = next(m for m in known["models"] if m["id"] == assumed["layout_of"])
    twins = {(p["slice_count"], *p["attributes"]): p for p in like["profiles"]}
    profiles = []
    for profile in entry["profiles"]:
        attributes: list[str] = re.findall(r"-me|(?<=\+)[a-z.]+", profile["name"])
        twin: Table = twins[(profile["slice_count"], *attributes)]
        taken = ("profile_id", "nvml_enum_value", "placements", "attributes")
        engines = assumed["engines"].get(str(profile["slice_count"]), twin["engines_user_guide"])
        profiles.append({**profile, **{key: twin[key] for key in taken}, "engines_user_guide": engines})
    return {
        **entry,
        "layout": like["layout"],
        "grid_width": like["grid_width"],
        "memory_mib_total": assumed["memory_mib_total"],
        "pci_device_ids_mig_parted": [],
        "profiles": profiles,
    }


def _model(recorded: Table) -> Model:
    known, driver = tables()
    entry = _complete(recorded)
    extra: Table = driver["models"][entry["id"]]
    family: Table = {**driver["families"][extra["family"]], **extra}
    twin = next((m for m in known["models"] if m["id"] == extra.get("same_chip")), None)
    twins: dict[int, Table] = {p["profile_id"]: p for p in twin["profiles"]} if twin else {}
    profiles = tuple(
        _profile(p, twin=twins.get(p["profile_id"], {}), family=family, width=entry["grid_width"])
        for p in entry["profiles"]
    )
    ids = entry["pci_device_ids_mig_parted"]
    major, minor = family["compute_capability"]
    return Model(
        id=entry["id"],
        names=tuple(entry["models"]),
        architecture=family["architecture"],
        compute_capability=(major, minor),
        memory_mib=entry["memory_mib_total"] or max(p.memory_mib for p in profiles),
        pci_device_id=int(ids[0], 16) if ids else 0,
        mode_needs_reset=family["mode_needs_reset"],
        compute_slices=known["layouts"][entry["layout"]]["compute_slices"],
        grid_width=entry["grid_width"],
        profiles=profiles,
        assumed=recorded["layout"] is None,
    )


def _without_mig(entry: Table) -> Model:
    major, minor = entry["compute_capability"]
    return Model(
        id=entry["id"],
        names=(entry["name"],),
        architecture=entry["architecture"],
        compute_capability=(major, minor),
        memory_mib=entry["memory_mib"],
    )


@functools.cache
def models() -> tuple[Model, ...]:
    """Return every model that can be simulated, those without MIG last."""
    known, driver = tables()
    return (*map(_model, known["models"]), *map(_without_mig, driver["without_mig"]))


def _plain(name: str) -> str:
    return name.lower().replace("-", " ").removeprefix("nvidia ")


def _names() -> Iterator[tuple[str, Model, str]]:
    aliases: dict[str, str] = tables()[1]["aliases"]
    for model in models():
        yield _plain(model.id), model, model.names[0]
        for name in model.names:
            yield _plain(name), model, name
            yield from ((_plain(alias), model, name) for alias, meant in aliases.items() if meant == name)


def find(name: str) -> tuple[Model, str]:
    """Return the model and the product name that its driver reports, by model id, product name or alias.

    Upper and lower case, `-` and blanks, and a leading `NVIDIA` make no difference. Raises UnknownGpuError.
    """
    for candidate, model, product in _names():
        if candidate == _plain(name):
            return model, product
    known = ", ".join(model.id for model in models())
    raise UnknownGpuError(f"no GPU model is called {name!r}; known are {known}, and their product names")

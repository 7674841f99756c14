"""Allowed geometries: what the admin lets a GPU model be cut into.

The ConfigMap only narrows what the driver offers. A set of slices is allowed when it is part of at least one allowed
geometry; a model that no entry names is free. The rules: an entry applies to a model that begins with the entry's name
(leading `NVIDIA` dropped, `-` for spaces), the longest match wins, and any entry of the overrides that applies to a model
replaces what the defaults say of it, however exactly they name it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mig.profiles import Profile, ProfileNameError, parse_profile, same_profile


class GeometryError(ValueError):
    """A geometries document that cannot be used; the message says where and what to write instead."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """One allowed cut: how many slices of each profile at most."""

    counts: tuple[tuple[Profile, int], ...]

    def covers(self, wanted: Mapping[Profile, int]) -> bool:
        """Whether the wanted slices are part of it; profiles are compared as `same_profile` does, since drivers rename them."""
        left = dict(self.counts)
        for profile, count in wanted.items():
            key = profile if profile in left else next((own for own in left if same_profile(own, profile)), None)
            if key is None or left[key] < count:
                return False
            left[key] -= count
        return True


@dataclass(frozen=True, slots=True)
class Geometries:
    """The allowed geometries by model prefix; `defaults` speak for the models that `by_model` does not match."""

    by_model: Mapping[str, tuple[Geometry, ...]]
    defaults: "Geometries | None" = None
    _known: dict[tuple[str, tuple[tuple[Profile, int], ...]], bool] = field(
        default_factory=dict, compare=False, repr=False
    )
    """Answers given before: a search asks the same few thousand questions again and again."""

    def for_model(self, model: str) -> tuple[Geometry, ...] | None:
        """What is allowed on a GPU whose NVML name is `model`; None where nothing is said, so everything is."""
        name = normal_model(model)
        matches = [prefix for prefix in self.by_model if name.startswith(prefix)]
        if matches:
            return self.by_model[max(matches, key=len)]
        return self.defaults.for_model(model) if self.defaults is not None else None

    def allow(self, model: str, profiles: Iterable[Profile]) -> bool:
        """Whether a GPU of that model may hold these slices together, foreign ones included."""
        wanted = Counter(profiles)
        question = model, tuple(sorted(wanted.items()))
        answer = self._known.get(question)
        if answer is None:
            allowed = self.for_model(model)
            answer = allowed is None or any(geometry.covers(wanted) for geometry in allowed)
            self._known[question] = answer
        return answer


ANYTHING = Geometries({})


def normal_model(model: str) -> str:
    """A GPU's product name as the entries write it: `NVIDIA A100-SXM4-80GB` is `A100-SXM4-80GB`, spaces become `-`."""
    return model.strip().removeprefix("NVIDIA").strip().replace(" ", "-")


def parse_geometries(document: Sequence[Mapping[str, Any]]) -> Geometries:
    """Read the ConfigMap's list of `{models: [...], allowedGeometries: [{profile: count}]}`, its shape checked by schema before.

    Raises `GeometryError` naming the entry, the geometry and the profile.
    """
    by_model: dict[str, tuple[Geometry, ...]] = {}
    for index, entry in enumerate(document):
        geometries = tuple(
            _geometry(counts, where=f"entry {index} (models {entry['models']}), allowedGeometries[{place}]")
            for place, counts in enumerate(entry["allowedGeometries"])
        )
        for model in entry["models"]:
            name = normal_model(model)
            if name in by_model:
                raise GeometryError(
                    f"entry {index}: the model {model!r} is named twice; merge its allowedGeometries into one entry"
                )
            by_model[name] = geometries
    return Geometries(by_model)


def _geometry(counts: Mapping[str, int], *, where: str) -> Geometry:
    try:
        return Geometry(tuple(sorted((parse_profile(name), count) for name, count in counts.items())))
    except ProfileNameError as error:
        raise GeometryError(f"{where}: {error}") from error


def overridden(defaults: Geometries, overrides: Geometries) -> Geometries:
    """The defaults, with the overrides before them."""
    return Geometries(overrides.by_model, defaults)

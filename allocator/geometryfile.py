"""The geometries' ConfigMap: read with care, since an admin writes it, and never half.

A ConfigMap that cannot be used changes nothing: the last good form of each key stays in force, and an Event on the ConfigMap says
what is wrong and where. A process that starts with a bad key has no last good form of it and goes without: the geometries only
ever narrow what the driver offers. A ConfigMap that is not there forbids nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from mig.geometries import ANYTHING, Geometries, GeometryError, overridden, parse_geometries
from schemas import check

DEFAULTS: Final = "defaults.yaml"
OVERRIDES: Final = "overrides.yaml"


def read_geometries(text: str, *, key: str) -> Geometries:
    """One key of the ConfigMap. Raises `GeometryError` with the key, the place and what is wrong there."""
    try:
        document: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise GeometryError(f"{key} is no YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return ANYTHING
    if errors := check("geometries", document):
        raise GeometryError(f"{key}: {'; '.join(errors)}")
    try:
        return parse_geometries(document)
    except GeometryError as error:
        raise GeometryError(f"{key}: {error}") from error


class GeometryFile:
    """The last good form of each key. `on_error` hears the whole complaint once for each change of it; "" means all is well."""

    def __init__(self, *, on_error: Callable[[str], None]) -> None:
        self._on_error = on_error
        self._good = {DEFAULTS: ANYTHING, OVERRIDES: ANYTHING}
        self._complaint = ""

    def read(self, config_map: Mapping[str, Any] | None) -> Geometries:
        """What is in force now that the ConfigMap reads so (None: it is not there)."""
        data = (config_map or {}).get("data") or {}
        complaints = []
        for key in self._good:
            try:
                self._good[key] = read_geometries(data.get(key) or "", key=key)
            except GeometryError as error:
                complaints.append(str(error))
        complaint = "; ".join(complaints)
        if complaint != self._complaint:
            self._complaint = complaint
            self._on_error(complaint)
        return overridden(self._good[DEFAULTS], self._good[OVERRIDES])

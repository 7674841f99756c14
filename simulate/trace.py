"""Traces: CSV files of Pods that came and went, read as arrivals.

The header names the columns, in any order: `arrival` and `duration` in seconds, then `profile` (`3g.40gb`) or `gpu_fraction`
(0.25, which becomes the smallest profile that holds that share of compute and of memory); `declared` (seconds that the owner
announced) and `priority` (a whole number, the higher goes first) may be there, and empty. Rows come in order of arrival. The file
is read as a stream, a million rows in seconds. What cannot be used is refused with its line and column and with what to write.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Final, NoReturn

from mig.placements import GpuShape, ProfileOffer
from mig.profiles import Profile, ProfileNameError, parse_profile, same_profile
from simulate.load import Arrival

_SIZES: Final = ("profile", "gpu_fraction")
_COLUMNS: Final = ("arrival", "duration", *_SIZES, "declared", "priority")
_EXAMPLE: Final = "arrival,duration,profile or arrival,duration,gpu_fraction"
_ROUNDING: Final = 1e-6
"""A share that is written with six digits still fits the profile that it was taken from."""


class TraceError(ValueError):
    """A trace that cannot be used; the message names the file, the line, the column and what to write instead."""


def open_trace(path: Path, *, shapes: Sequence[GpuShape]) -> Iterator[Arrival]:
    """The arrivals of a file, read as they are asked for. Raises `TraceError`, also where it cannot be opened or is no text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from read_trace(lines, name=str(path), shapes=shapes)
    except OSError as error:
        raise TraceError(
            f"{path} cannot be read: {error.strerror}; name a CSV file with the header {_EXAMPLE}"
        ) from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path} is not UTF-8 text; export it as CSV with the header {_EXAMPLE}") from error


def read_trace(lines: Iterable[str], *, name: str, shapes: Sequence[GpuShape]) -> Iterator[Arrival]:
    """The arrivals of a trace's lines for a fleet; `name` stands in messages. Raises `TraceError`."""
    rows = csv.reader(lines, strict=True)
    try:
        header = [column.strip() for column in next(rows, [])]
        read = _Row(name, header, shapes)
        for row in rows:
            if row:
                yield read(row, rows.line_num)
    except csv.Error as error:
        raise TraceError(f"{name}, line {rows.line_num}: {error}; write plain CSV, one Pod a line") from error


class _Row:
    """Reads one row at a time, by the header's columns, and remembers when the last one came."""

    def __init__(self, name: str, header: Sequence[str], shapes: Sequence[GpuShape]) -> None:
        self._name = name
        self._width = len(header)
        self._line = 1
        self._last = 0.0
        self._profile_of = lru_cache(maxsize=4096)(_by_name(shapes))
        self._holder_of = lru_cache(maxsize=4096)(_by_share(shapes))
        self._check_header(header)
        self._place = {column: place for place, column in enumerate(header)}
        self._sized = next(column for column in _SIZES if column in self._place)

    def __call__(self, row: Sequence[str], line: int) -> Arrival:
        self._line = line
        if len(row) != self._width:
            raise TraceError(
                f"{self._name}, line {line}: {len(row)} fields where the header has {self._width}; write one each"
            )
        at = self._seconds(row, "arrival", least="0 or more")
        if at < self._last:
            self._refuse("arrival", row[self._place["arrival"]], f"{self._last:g} or later: sort the rows by arrival")
        self._last = at
        lasts = self._seconds(row, "duration", least="more than 0")
        declared = self._seconds(row, "declared", least="more than 0") if self._given(row, "declared") else None
        return Arrival(at, lasts, self._profile(row), declared, self._priority(row))

    def _check_header(self, header: Sequence[str]) -> None:
        unknown = [column for column in header if column not in _COLUMNS]
        missing = [column for column in _COLUMNS[:2] if column not in header]
        if unknown or missing or len(set(header)) != len(header) or sum(column in header for column in _SIZES) != 1:
            raise TraceError(
                f"{self._name}, line 1: the header is {','.join(header)!r}; write {_EXAMPLE}, each column once, "
                "and after them declared and priority if there are any"
            )

    def _given(self, row: Sequence[str], column: str) -> bool:
        return column in self._place and bool(row[self._place[column]].strip())

    def _seconds(self, row: Sequence[str], column: str, *, least: str) -> float:
        text = row[self._place[column]]
        try:
            seconds = float(text)
        except ValueError:
            self._refuse(column, text, f"seconds as a number, {least}")
        if not isfinite(seconds) or seconds < 0 or (seconds == 0 and column != "arrival"):
            self._refuse(column, text, f"seconds as a number, {least}")
        return seconds

    def _priority(self, row: Sequence[str]) -> int:
        if not self._given(row, "priority"):
            return 0
        text = row[self._place["priority"]]
        try:
            return int(text)
        except ValueError:
            self._refuse("priority", text, "a whole number, the higher goes first")

    def _profile(self, row: Sequence[str]) -> Profile:
        text = row[self._place[self._sized]].strip()
        try:
            return self._profile_of(text) if self._sized == "profile" else self._holder_of(text)
        except ValueError as error:
            self._refuse(self._sized, text, str(error))

    def _refuse(self, column: str, text: str, instead: str) -> NoReturn:
        raise TraceError(f"{self._name}, line {self._line}, {column}: {text!r}; write {instead}")


def _by_name(shapes: Sequence[GpuShape]) -> Callable[[str], Profile]:
    offered = sorted({offer.profile for shape in set(shapes) for offer in shape.offers})

    def profile_of(name: str) -> Profile:
        """The fleet's own name for it, since drivers rename profiles. The message of `ValueError` is what to write."""
        try:
            wanted = parse_profile(name)
        except ProfileNameError:
            wanted = None
        if wanted in offered:
            return wanted
        for profile in offered:
            if wanted is not None and same_profile(profile, wanted):
                return profile
        raise ValueError(f"a profile that a GPU of this fleet offers: {', '.join(map(str, offered))}")

    return profile_of


def _by_share(shapes: Sequence[GpuShape]) -> Callable[[str], Profile]:
    def holder_of(text: str) -> Profile:
        """The smallest profile of the fleet's first GPU that holds a share of it. The message is what to write."""
        try:
            share = float(text)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1 + _ROUNDING:
            raise ValueError("a share of one GPU, more than 0 and at most 1, and one row for each GPU of a larger Pod")
        return smallest_holding(shapes[0], share)

    return holder_of


def smallest_holding(shape: GpuShape, share: float) -> Profile:
    """The smallest plain profile with at least a share, of 1, of a GPU's compute slices and of its memory slices."""
    plain = [offer for offer in shape.offers if not offer.profile.attributes]
    most = max(offer.profile.slices for offer in plain)

    def holds(offer: ProfileOffer) -> bool:
        return min(offer.profile.slices / most, offer.size / shape.width) >= share - _ROUNDING

    return min((offer for offer in plain if holds(offer)), key=lambda offer: (offer.size, offer.profile)).profile

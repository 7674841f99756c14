"""When a Pod started is read as far as it can be read, and whether it can harms nothing else."""

from datetime import UTC, datetime

import pytest

from allocator.pods import MigPod, PodReader
from mig.demand import needs_of
from tests.allocator import objects

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        ("2026-01-01T00:00:05Z", START + 5),
        ("2026-01-01T02:00:05+02:00", START + 5),
        ("2026-01-01T00:00:05.250000Z", START + 5.25),
        ("yesterday", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_a_pods_start_is_read_as_the_api_server_writes_it_and_anything_else_is_none(
    start: object, seconds: float | None
) -> None:
    """A12."""
    obj = objects.pod("a", "1g.10gb")
    obj["metadata"] |= {"uid": "a", "resourceVersion": "1"}
    obj["status"]["startTime"] = start
    read = PodReader().read(obj)
    assert isinstance(read, MigPod)
    assert read.started == seconds
    assert read.needs == needs_of(obj["spec"])

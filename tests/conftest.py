"""Settings that hold for every test."""

from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code; a hang still meets the test's time-out.
settings.register_profile("here", deadline=None)
settings.load_profile("here")

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under xdist, the tests of one subject stay on one worker, since they share its cluster."""
    for item in items:
        subject = "/".join(item.path.relative_to(HERE).parts[:-1])
        item.add_marker(pytest.mark.xdist_group(subject))

"""Something that is not as it should be, as every room of the agent tells it to every other.

Whoever meets it says it in words for an admin; what becomes of it in the report and in Events is decided in `telling`.
"""

from dataclasses import dataclass
from typing import Final

SILENT: Final = "DriverSilent"
"""The reason of a GPU that does not answer in time: nothing is known of it, which is less than being gone."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is not as it should be: a condition's reason, and a sentence that says what to do."""

    reason: str
    message: str

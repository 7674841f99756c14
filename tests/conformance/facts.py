"""Facts about a driver: each has a name, what is expected, and what was found. All are compared, and then judged together.

Why not plain assertions: on a driver that nobody has seen, the first disagreement should not hide the next, and agreement is a
result worth reading. Nothing here knows NVML but the names of its return codes.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Final

pynvml: Final[Any] = import_module("pynvml")  # it has no types

_CODES: Final[dict[int, str]] = {
    value: name.removeprefix("NVML_ERROR_").removeprefix("NVML_")
    for name, value in vars(pynvml).items()
    if name == "NVML_SUCCESS" or (name.startswith("NVML_ERROR_") and isinstance(value, int))
}


def code_name(code: int) -> str:
    """The return code's name without its prefix, or its number."""
    return _CODES.get(code, str(code))


@dataclass(frozen=True)
class Fact:
    """One comparison. `where` is the device, or empty."""

    where: str
    name: str
    expected: str
    found: str
    agrees: bool

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{where}{self.name}: expected {self.expected}, found {self.found}"


class Facts:
    """Those that one test compared so far."""

    def __init__(self) -> None:
        self.compared: list[Fact] = []

    def same(self, name: str, *, expected: object, found: object, where: object = "") -> None:
        """Compare by equality."""
        self.compared.append(Fact(str(where), name, str(expected), str(found), expected == found))

    def code(self, name: str, *, expected: int | Iterable[int], found: int, where: object = "") -> None:
        """Compare a return code with the one, or the several, that a driver may give."""
        allowed = (expected,) if isinstance(expected, int) else tuple(expected)
        text = " or ".join(map(code_name, allowed))
        self.compared.append(Fact(str(where), name, text, code_name(found), found in allowed))

    def holds(self, name: str, claim: bool, *, found: object, where: object = "") -> None:  # noqa: FBT001 - the claim itself
        """Compare with a statement that the name makes; `found` is what it was judged by."""
        self.compared.append(Fact(str(where), name, "it holds", str(found), claim))

    def judge(self) -> None:
        """Raise AssertionError with every fact that was found otherwise, or if nothing was compared at all."""
        assert self.compared, "the test compared nothing"
        wrong = [str(fact) for fact in self.compared if not fact.agrees]
        assert not wrong, "the driver disagrees:\n  " + "\n  ".join(wrong)


def packed(facts: Facts) -> list[dict[str, Any]]:
    """As plain values, which a test report can carry."""
    return [asdict(fact) for fact in facts.compared]


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines for people: one a fact, aligned, those that disagree marked."""
    facts = [Fact(**row) for row in rows]
    places = max((len(fact.where) for fact in facts), default=0)
    names = max((len(fact.name) for fact in facts), default=0)
    return [
        f"{'ok' if fact.agrees else 'NO':3}{fact.where:{places}}  {fact.name:{names}}  "
        f"expected {fact.expected}, found {'the same' if fact.found == fact.expected else fact.found}"
        for fact in facts
    ]

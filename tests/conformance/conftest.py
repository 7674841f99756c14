"""Which library is tested, and the table of facts at the end.

`--nvml` says it: `simulated` (the default), `real` for the library that the loader finds, or a path to one. A real one
is only read, unless `--nvml-may-change` is given. NVML_CONFORMANCE says the same where no option can be given.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conformance import machine as machines
from tests.conformance import nvml
from tests.conformance.facts import Facts, packed, pynvml, table
from tests.conformance.machine import Machine

WHAT = "nvml"
TESTED = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--nvml", dest=WHAT, metavar="simulated|real|PATH", help="the NVML library to test")
    group.addoption(
        "--nvml-may-change", action="store_true", help="make and destroy MIG instances on GPUs that are empty"
    )


def wanted(config: pytest.Config) -> str:
    """As part of a larger run the options do not exist: pytest knows only those of the folders that it was given."""
    return config.getoption(WHAT, None) or os.environ.get("NVML_CONFORMANCE") or "simulated"


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine under test, one NVML session open on it."""
    which = wanted(pytestconfig)
    with ExitStack() as stack:
        if which == "simulated":
            from tests.conformance import simulated

            stack.enter_context(simulated.node(tmp_path_factory.mktemp("conformance")))
        _open_session(which)
        stack.callback(pynvml.nvmlShutdown)
        may_change = which == "simulated" or bool(pytestconfig.getoption("nvml_may_change", default=False))
        machine = Machine(machines.gpus(), simulated=which == "simulated", may_change=may_change)
        pytestconfig.stash[TESTED] = [
            f"{which} library, driver {nvml.get('nvmlSystemGetDriverVersion')}",
            *(f"{gpu}: {gpu.name}, MIG mode {gpu.current}, pending {gpu.pending}" for gpu in machine.gpus),
        ]
        yield machine


def _open_session(which: str) -> None:
    try:
        if which not in ("simulated", "real"):
            ctypes.CDLL(which, mode=ctypes.RTLD_GLOBAL)  # what every later load by name finds
        pynvml.nvmlInit()
    except (OSError, pynvml.NVMLError) as error:
        advice = (
            "name a library with --nvml=PATH, or leave --nvml (and NVML_CONFORMANCE) away to test the simulated one"
        )
        pytest.fail(f"the {which} library opens no session: {error}; {advice}", pytrace=False)


@pytest.fixture
def facts() -> Facts:
    """What the test compares; judged when it ends."""
    return Facts()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    facts = pyfuncitem.funcargs.get("facts")
    try:
        result = yield
    finally:
        if isinstance(facts, Facts):
            pyfuncitem.user_properties.append(("facts", packed(facts)))
    if isinstance(facts, Facts):
        facts.judge()
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """When these tests run by themselves: what was found, fact by fact."""
    if TESTED not in config.stash or not config.inipath or config.inipath.name != "pytest.ini":
        return
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    kept = [dict(report.user_properties).get("facts", []) for report in reports if report.when == "call"]
    rows = [row for rows in kept for row in rows]
    wrong = sum(not row["agrees"] for row in rows)
    terminalreporter.section("facts of NVML")
    for line in [*config.stash[TESTED], "", *table(rows), "", f"{len(rows)} facts compared, {wrong} found otherwise"]:
        terminalreporter.write_line(line)

"""One NVML session: opened, asked, closed."""

import re

from tests.conformance import nvml
from tests.conformance.facts import Facts, pynvml
from tests.conformance.machine import Machine


def test_the_driver_names_its_versions(machine: Machine, facts: Facts) -> None:
    """The agent reports the driver's version, and the library's begins with CUDA's."""
    driver, library = nvml.get("nvmlSystemGetDriverVersion"), nvml.get("nvmlSystemGetNVMLVersion")
    facts.holds("the driver's version is numbers with dots", bool(re.fullmatch(r"\d+(\.\d+)+", driver)), found=driver)
    facts.holds("the library's version ends in the driver's", library.endswith(driver), found=library)
    facts.holds("CUDA's version is 1000 * major + 10 * minor", nvml.get("nvmlSystemGetCudaDriverVersion") >= 11000,
                found=nvml.get("nvmlSystemGetCudaDriverVersion"))  # fmt: skip
    code, _ = nvml.number("nvmlDeviceGetCount_v2")
    facts.code("devices are counted", expected=nvml.SUCCESS, found=code)
    facts.same(
        "as many devices as have handles", expected=len(machine.gpus), found=nvml.number("nvmlDeviceGetCount_v2")[1]
    )


def test_a_session_may_be_opened_twice_and_closed_twice(machine: Machine, facts: Facts) -> None:
    """It is counted: the inner close leaves the outer session open, and its handles valid."""
    gpu = machine.gpus[0]
    facts.code("a second init", expected=nvml.SUCCESS, found=nvml.call("nvmlInit_v2"))
    facts.code("its shutdown", expected=nvml.SUCCESS, found=nvml.call("nvmlShutdown"))
    code, index = nvml.number("nvmlDeviceGetIndex", gpu.handle)
    facts.code("an earlier handle afterwards", expected=nvml.SUCCESS, found=code)
    facts.same("it is the same device", expected=gpu.index, found=index)


def test_without_a_session_every_call_says_so(machine: Machine, facts: Facts) -> None:
    """UNINITIALIZED, and not a stale answer; a new session finds the same devices."""
    facts.code("the last shutdown", expected=nvml.SUCCESS, found=nvml.call("nvmlShutdown"))
    try:
        count, _ = nvml.number("nvmlDeviceGetCount_v2")
        again = nvml.call("nvmlShutdown")
    finally:
        pynvml.nvmlInit()
    facts.code("counting devices without a session", expected=nvml.UNINITIALIZED, found=count)
    facts.code("one shutdown too many", expected=nvml.UNINITIALIZED, found=again)
    uuids = [nvml.get("nvmlDeviceGetUUID", nvml.get("nvmlDeviceGetHandleByIndex", gpu.index)) for gpu in machine.gpus]
    facts.same("the devices of a new session", expected=[gpu.uuid for gpu in machine.gpus], found=uuids)


def test_every_code_has_a_text(machine: Machine, facts: Facts) -> None:
    """What the agent's messages quote; a code that does not exist is called unknown."""
    assert machine.gpus
    codes = (nvml.SUCCESS, nvml.INVALID_ARGUMENT, nvml.NOT_SUPPORTED, nvml.NOT_FOUND, nvml.IN_USE)
    texts = [nvml.get("nvmlErrorString", code) for code in (*codes, nvml.INSUFFICIENT_RESOURCES)]
    facts.same("texts differ", expected=len(texts), found=len(set(texts)))
    facts.holds("no text is empty", all(texts), found=texts)
    unknown = nvml.get("nvmlErrorString", 998)
    facts.holds("an unknown code is called so", "unknown" in unknown.lower(), found=unknown)

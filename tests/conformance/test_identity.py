"""A GPU has one identity, whichever way it is asked for."""

import re

from tests.conformance import nvml
from tests.conformance.facts import Facts
from tests.conformance.machine import Gpu, Machine

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def index_of(function: str, key: str) -> int:
    """The index of the device that a look-up finds."""
    return int(nvml.get("nvmlDeviceGetIndex", nvml.get(function, key)))


def test_index_uuid_and_pci_address_lead_to_one_device(machine: Machine, facts: Facts) -> None:
    """The agent keeps UUIDs; the kernel's files go by PCI address; NVML calls want the handle."""
    for gpu in machine.gpus:
        own = nvml.get("nvmlDeviceGetIndex", gpu.handle)
        by_uuid = index_of("nvmlDeviceGetHandleByUUID", gpu.uuid)
        by_pci = index_of("nvmlDeviceGetHandleByPciBusId", pci(gpu))
        facts.same("its index is that of its handle", where=gpu, expected=gpu.index, found=own)
        facts.same("found by UUID", where=gpu, expected=gpu.index, found=by_uuid)
        facts.same("found by PCI address", where=gpu, expected=gpu.index, found=by_pci)


def pci(gpu: Gpu) -> str:
    """The address as NVML writes it."""
    return nvml.text(nvml.get("nvmlDeviceGetPciInfo", gpu.handle).busId)


def test_names_have_the_forms_that_the_agent_reads(machine: Machine, facts: Facts) -> None:
    """UUID, PCI address, product name, and the minor number of /dev/nvidia<N>."""
    for gpu in machine.gpus:
        where, bus_id = gpu, pci(gpu)
        form = r"[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.0"
        facts.holds("UUID is GPU- and 8-4-4-4-12 hex digits", bool(re.fullmatch(f"GPU-{UUID}", gpu.uuid)), where=where,
                    found=gpu.uuid)  # fmt: skip
        facts.holds(
            "PCI address has an eight-digit domain", bool(re.fullmatch(form, bus_id)), where=where, found=bus_id
        )
        facts.holds("product name is not empty", bool(gpu.name), where=where, found=gpu.name)
        code, minor = nvml.number("nvmlDeviceGetMinorNumber", gpu.handle)
        facts.code("it has a minor number", expected=nvml.SUCCESS, found=code, where=where)
        facts.holds("minor number is one of a node", minor < 256, where=where, found=minor)


def test_no_two_gpus_are_the_same(machine: Machine, facts: Facts) -> None:
    """UUIDs, PCI addresses and minor numbers tell them apart."""
    count = len(machine.gpus)
    minors = {nvml.get("nvmlDeviceGetMinorNumber", gpu.handle) for gpu in machine.gpus}
    facts.same("different UUIDs", expected=count, found=len({gpu.uuid for gpu in machine.gpus}))
    facts.same("different PCI addresses", expected=count, found=len({pci(gpu) for gpu in machine.gpus}))
    facts.same("different minor numbers", expected=count, found=len(minors))


def test_what_is_not_there_is_not_found(machine: Machine, facts: Facts) -> None:
    """An index behind the last is an invalid argument; a well-formed UUID or address of nobody is not found."""
    handle = machine.gpus[0].handle
    behind, _ = nvml.read(type(handle), "nvmlDeviceGetHandleByIndex_v2", len(machine.gpus))
    stranger = b"GPU-00000000-0000-4000-8000-000000000000"
    mig_stranger = b"MIG-00000000-0000-4000-8000-000000000000"
    facts.code("index behind the last", expected=nvml.INVALID_ARGUMENT, found=behind)
    for name, function, key in [
        ("UUID of no GPU", "nvmlDeviceGetHandleByUUID", stranger),
        ("UUID of no MIG device", "nvmlDeviceGetHandleByUUID", mig_stranger),
        ("PCI address of no GPU", "nvmlDeviceGetHandleByPciBusId_v2", b"0000FFFE:1F:1F.0"),
    ]:
        code, _ = nvml.read(type(handle), function, key)
        facts.code(name, expected=nvml.NOT_FOUND, found=code)


def test_a_gpu_is_no_mig_device(machine: Machine, facts: Facts) -> None:
    """Its handle says so, and refuses what only a part of a GPU can answer."""
    refusals = (nvml.NOT_SUPPORTED, nvml.INVALID_ARGUMENT, nvml.NOT_FOUND)
    for gpu in machine.gpus:
        where = gpu
        facts.same("a MIG device's handle", expected=(nvml.SUCCESS, 0), where=where,
                   found=nvml.number("nvmlDeviceIsMigDeviceHandle", gpu.handle))  # fmt: skip
        for what, function in [
            ("GPU instance", "nvmlDeviceGetGpuInstanceId"),
            ("compute instance", "nvmlDeviceGetComputeInstanceId"),
        ]:
            code, _ = nvml.number(function, gpu.handle)
            facts.code(f"id of its {what}", expected=refusals, found=code, where=where)
        code, _ = nvml.read(type(gpu.handle), "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", gpu.handle)
        facts.code("its parent", expected=refusals, found=code, where=where)

"""Faults in the environment of a process: they strike that process alone, and are written as a text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from simgpu import SimGpuError, SimNode
from tests.simgpu.conftest import Connect
from tests.simgpu.nvml import GPU_IS_LOST, ID_1G, INVALID_ARGUMENT, LIB_RM_VERSION_MISMATCH, Nvml, NvmlError

Start = Callable[[SimNode, str], Nvml]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a client process with the given faults, NVML not initialised."""
    clients: list[Nvml] = []

    def one(node: SimNode, text: str) -> Nvml:
        clients.append(Nvml({**node.environment(), "SIMGPU_FAULTS": text}, initialise=False))
        return clients[-1]

    yield one
    for client in clients:
        client.close()


def test_they_strike_the_process_that_has_them_and_no_other(a100: SimNode, start: Start, connect: Connect) -> None:
    sick, sound = start(a100, "nvmlDeviceGetMigMode:code=15:times=1"), connect(a100)
    sick.nvmlInit()
    for nvml in (sick, sound):
        nvml.nvmlDeviceGetHandleByIndex(0)
    assert sound.nvmlDeviceGetMigMode({"handle": 0}) == [1, 1]
    assert sick.fails(GPU_IS_LOST, "nvmlDeviceGetMigMode", {"handle": 0})
    assert sick.nvmlDeviceGetMigMode({"handle": 0}) == [1, 1]
    assert a100.faults == ()


def test_initialisation_itself_can_fail_as_often_as_it_says(a100: SimNode, start: Start) -> None:
    """N4: the text is read once a process, so its times are not counted anew with each attempt."""
    nvml = start(a100, "nvmlInit*:code=18:times=2")
    assert [nvml.code("nvmlInit") for _ in range(3)] == [LIB_RM_VERSION_MISMATCH] * 2 + [0]


def test_one_text_holds_many_faults(a100: SimNode, start: Start) -> None:
    """Blanks and empty parts do no harm; a name may end in a star, several names share a fault."""
    text = " nvmlDeviceCreateGpuInstance* : gpu=0 : code=10 : after ;; nvmlDeviceGetCount_v2,nvmlDeviceGetName:code=3;"
    nvml = start(a100, text)
    nvml.nvmlInit()
    device = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.fails(10, "create_at", device, ID_1G, 0, 1)
    assert len(a100.gpus[0].instances) == 1
    assert nvml.fails(3, "nvmlDeviceGetCount")
    assert nvml.fails(3, "nvmlDeviceGetName", device)


def test_a_fault_of_another_gpu_does_not_strike(a100: SimNode, start: Start) -> None:
    nvml = start(a100, "*:gpu=1:code=15")
    nvml.nvmlInit()
    assert nvml.nvmlDeviceGetMigMode(nvml.nvmlDeviceGetHandleByIndex(0)) == [1, 1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nvmlDoWhatIMean:code=1", "no function: 'nvmlDoWhatIMean'"),
        ("nvmlInit,:code=1x", "no number from 0 to 2147483647: 'code=1x'"),
        ("nvmlInit:code=-1", "no number from 0 to 2147483647: 'code=-1'"),
        ("nvmlInit:code=4294967296", "no number from 0 to 2147483647: 'code=4294967296'"),
        ("nvmlInit:colour=3", "write gpu=, code=, times=, block= or after, not: 'colour=3'"),
        ("nvmlInit", "say code= or block=, or both, for: 'nvmlInit'"),
        ("nvmlInit:code=0:times=3", "say code= or block=, or both, for: 'nvmlInit'"),
        ("nvmlInit:code=3:after", "after is for functions that change something, unlike: 'nvmlInit'"),
        (":", "a fault begins with a function: ':'"),
        (";".join(["nvmlInit:code=1"] * 33), "there are too many faults, from: 'nvmlInit:code=1'"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_with_what_is_wrong(text: str, sentence: str, a100: SimNode) -> None:
    """On the command line and from Python; a process that has it in its environment says so and gets no session."""
    with pytest.raises(SimGpuError) as refusal:
        a100.inject_text(text)
    assert str(refusal.value).endswith(sentence)
    assert a100.faults == ()
    program = "import pynvml\ntry:\n    pynvml.nvmlInit()\nexcept pynvml.NVMLError as e:\n    raise SystemExit(e.value)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**a100.environment(), "SIMGPU_FAULTS": text},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == INVALID_ARGUMENT
    complaint = str(refusal.value).removeprefix(f"cannot read the faults {text!r}: ")
    assert done.stderr == f"simgpu: SIMGPU_FAULTS: {complaint}\n"


def test_a_fault_is_written_as_it_is_read(a100: SimNode) -> None:
    """What `fault list` prints can be given to `fault add`, whatever the faults are."""
    texts = [
        "nvmlInit_v2:code=18",
        "nvmlDeviceCreateGpuInstance*:gpu=1:code=15:times=2",
        "nvmlDeviceGetName,nvmlDeviceGetSerial:code=3:block=20",
        "nvmlComputeInstanceDestroy:gpu=0:code=10:times=1:after",
        "*:block=1",
    ]
    a100.inject_text(";".join(texts))
    assert [str(fault) for fault in a100.faults] == texts


def test_faults_of_node_and_process_add_up(a100: SimNode, start: Start) -> None:
    """The process's own strike first, one a call."""
    nvml = start(a100, "nvmlDeviceGetCount_v2:code=3:times=1")
    nvml.nvmlInit()
    a100.inject(function="nvmlDeviceGetCount_v2", code=GPU_IS_LOST, times=1)
    codes = []
    for _ in range(3):
        try:
            codes.append(nvml.nvmlDeviceGetCount())
        except NvmlError as error:
            codes.append(-error.code)
    assert codes == [-3, -GPU_IS_LOST, 1]

"""Sources of an inspection that agree in everything, to be spoilt one at a time; and the command on a real node."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mig.migspec import Claim, Holder, MigMode, MigSpec, SliceState, Spec, SpecGpu, SpecSlice, Status, StatusGpu
from mig.migspec import StatusSlice as Reported
from nodeagent.gpus.ledger import Stored
from nodeagent.gpus.ownership import Entry
from nodeagent.inspection.join import inspect
from nodeagent.inspection.values import DriverReading, GpuReading, Holding, Inspection, Row, Sources
from nodeagent.kubelet.counts import Counts
from nodeagent.pods import PodView
from nodeagent.values import Gpu
from tests.support.agenthost import AgentHost
from tests.support.instances import GPU, instance, placed
from tests.support.shapes import shapes

A100 = Gpu(GPU, 0, "NVIDIA A100-SXM4-80GB", MigMode.ENABLED, shapes()["a100-80gb"])
PLACE = placed("1g.10gb@0+1")
RESOURCE = PLACE.profile.resource
ONE = instance("1g.10gb@0+1", gi=7, uuid="MIG-one")
CLAIM = Claim("uid-1", "main", "default", "train")
HOLDER = Holder("default", "train", "uid-1", "main")


def reported(state: SliceState, *, uuid: str = "MIG-one", message: str = "", holder: Holder | None = None) -> Reported:
    """What the report says of our one slice."""
    owned = state is not SliceState.FOREIGN
    return Reported(PLACE.window, PLACE.profile, state, uuid=uuid, owned=owned, message=message, holder=holder)


FREE, USED = reported(SliceState.FREE), reported(SliceState.USED, holder=HOLDER)


def migspec(*slices: Reported, wanted: bool = True, claim: Claim | None = None, answered: int = 12) -> MigSpec:
    """A MigSpec at generation 12 that wants our one slice, or nothing, on our one GPU."""
    spec = SpecGpu(GPU, (SpecSlice(PLACE.window, PLACE.profile, claim),) if wanted else ())
    gpu = StatusGpu(GPU, 0, A100.model, MigMode.ENABLED, 8, A100.shape.offers, slices)
    status = Status(answered, "boot-1", "580.95.05", (gpu,))
    return MigSpec("node", "uid", 12, "1", Spec(3, (spec,)), status)


def driver(*instances: Any, pids: tuple[int, ...] = ()) -> DriverReading:
    """A driver with one GPU; `pids` compute on every instance."""
    found = {item.gi: pids for item in instances} if pids else {}
    return DriverReading("580.95.05", {0: GpuReading(A100, tuple(instances), found)})


AGREED = Sources(
    node="node",
    boot_id="boot-1",
    driver=driver(ONE),
    migspec=migspec(FREE),
    counts=Counts({RESOURCE: 1}, {RESOURCE: 1}),
    pods={"uid-1": PodView("default", "train", "uid-1", ((PLACE.profile, 1),))},
    ledger=Stored("boot-1", frozenset({Entry(GPU, PLACE, "MIG-one")})),
    offered={RESOURCE: frozenset({"MIG-one"})},
    holdings=(),
)
"""One slice, wanted and warm, there, ours, offered, counted and free."""

HELD = replace(AGREED, migspec=migspec(USED, claim=CLAIM), holdings=(Holding("uid-1", "main", "MIG-one"),))
"""The same, used by the Pod that claims it."""

NOTHING = replace(
    AGREED,
    driver=driver(),
    migspec=migspec(wanted=False),
    counts=Counts(),
    ledger=Stored("boot-1"),
    offered={},
)
"""An empty node, and nothing wanted."""


def only(sources: Sources) -> Row:
    """The one row of an inspection with one slice."""
    (row,) = inspect(sources).gpus[0].rows
    return row


def said(inspection: Inspection) -> str:
    """All differences in one text."""
    return "\n".join(inspection.all_differences())


@dataclass(frozen=True, slots=True)
class Told:
    """What the command printed, and its exit status."""

    status: int
    text: str

    @property
    def json(self) -> dict[str, Any]:
        """Its output, read."""
        found: dict[str, Any] = json.loads(self.text)
        return found


async def run_inspect(host: AgentHost, *options: str, with_driver: bool = True) -> Told:
    """Run `nos-mig inspect` on the host's node, with the agent's own rights."""
    node = host.stack.nodes[host.node].node
    assert host.kubeconfig is not None
    words = [
        *(str(Path(sys.executable).with_name("nos-mig")), "inspect", "--node-name", host.node),
        *("--kubeconfig", str(host.kubeconfig), "--state-dir", str(host.state_dir)),
        *("--device-plugin-dir", str(node.device_plugin_dir)),
        *("--pod-resources-socket", str(node.pod_resources_socket)),
        *options,
    ]
    found = host.sim.environment() if with_driver else {}
    boot = {"NOS_MIG_BOOT_ID_FILE": str(host.sim.directory / "boot_id")}
    process = await asyncio.create_subprocess_exec(
        *words, env={**os.environ, **boot, **found}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert not err, err.decode()
    return Told(process.returncode, out.decode())


async def until_agreed(host: AgentHost, *, within_s: float = 30.0) -> None:
    """Run it again and again until it finds no difference."""
    told: Told | None = None
    try:
        async with asyncio.timeout(within_s):
            while told is None or told.status != 0:
                told = await run_inspect(host)
    except TimeoutError as error:
        raise AssertionError(told.text if told else "no inspection ended") from error

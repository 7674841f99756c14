"""The API server is away for long, and much has changed when it is back: nothing is touched meanwhile, then only what is new."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mig.migspec_json import spec_to_json
from nodeagent.telling.publisher import MIGSPECS
from tests.support.agenthost import AgentHost, states
from tests.support.door import Door

VERSIONS = 1000
WRITE_S = 300
"""For all of them: ten times what they take on two idle cores."""


@asynccontextmanager
async def behind_a_door(host: AgentHost) -> AsyncIterator[Door]:
    """Let the agent reach the API server through a door that the test can shut."""
    host.start()
    host.kill()
    assert host.kubeconfig is not None
    server = host.stack.cluster.server
    async with Door(server_port=urlsplit(server).port or 443) as door:
        kubeconfig = host.folder / "kubeconfig"
        text = host.kubeconfig.read_text().replace(server, f"https://127.0.0.1:{door.port}")
        kubeconfig.write_text(text.replace("tokenFile: ", f"tokenFile: {_folder(text, host.kubeconfig)}"))
        host.kubeconfig = kubeconfig
        yield door


def _folder(text: str, kubeconfig: Path) -> str:
    """What a path in the kubeconfig lacks, now that it lies elsewhere."""
    return "" if "tokenFile: /" in text else f"{kubeconfig.parent}/"


async def write_many(host: AgentHost, last: list[str]) -> None:
    """A thousand versions of the spec, as quickly as the API server takes them one after the other; the last is this."""
    (gpu,) = spec_to_json((await host.migspec()).spec)["gpus"]

    async def write(number: int) -> None:
        spec = {"leaderEpoch": 1, "gpus": [{**gpu, "slices": [_one(number % 7)]}]}
        await host.api.merge_patch(MIGSPECS, host.node, {"spec": spec}, timeout_s=60)

    before = (await host.migspec()).generation
    written = 0
    try:
        async with asyncio.timeout(WRITE_S):
            for number in range(VERSIONS):
                await write(number)
                written += 1
    except TimeoutError as error:
        raise AssertionError(f"the API server took {written} of {VERSIONS} writes within {WRITE_S} s") from error
    generation = await host.want({0: last})
    assert generation > before + VERSIONS


def _one(start: int) -> dict[str, object]:
    return {"start": start, "size": 1, "profile": "1g.10gb"}


@pytest.mark.timeout(WRITE_S + 180)
async def test_after_an_outage_a_thousand_specs_are_one_change(host: AgentHost) -> None:
    """N10: hardware untouched while nobody answers; then one converge to the newest, and the Pod that ran still runs."""
    async with behind_a_door(host) as door:
        host.start("--resync-s", "0.5")
        await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
        await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
        await host.run_pod("goes-on", "1g.10gb")
        await host.until_phase("goes-on", "Running")
        mine = host.devices_of("goes-on")
        host.sim.reset_calls()
        await door.shut()
        await write_many(host, ["1g.10gb@0+1", "3g.40gb@4+4"])
        await host.until_called("nvmlDeviceGetMigMode", times=4)
        assert host.changes() == {}
        await door.open()
        status = await host.until(lambda status: states(status).get("3g.40gb@4") == "Free", "the newest", within_s=40)
        assert states(status)["1g.10gb@0"] in ("Free", "Used")
        assert mine in {item.uuid for item in status.gpus[0].slices}
        made = {name: count for name, count in host.changes().items() if "Create" in name}
        assert made == {
            "nvmlDeviceCreateGpuInstanceWithPlacement": 1,
            "nvmlGpuInstanceCreateComputeInstance": 1,
        }
        assert host.changes().get("nvmlGpuInstanceDestroy", 0) <= 1

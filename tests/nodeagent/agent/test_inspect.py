"""`nos-mig inspect` beside a running agent on a real node, with the agent's own rights."""

from mig.migspec import SliceState
from simgpu import SimNode
from tests.support.agenthost import AgentHost, states
from tests.support.inspecting import run_inspect, until_agreed


def gi_at(sim: SimNode, gpu: int, start: int) -> int:
    """The id of the GPU instance at a place."""
    return next(item.id for item in sim.gpus[gpu].instances if item.start == start)


async def test_a_node_in_order_agrees_and_names_holders(host: AgentHost) -> None:
    """Driver, spec, status, ledger, kubelet and Node, with a foreign slice and a Pod; nothing is changed by looking."""
    host.sim.create_foreign(1, "3g.40gb", 4)
    host.start()
    await host.want({0: ["1g.10gb@0+1", "2g.20gb@2+2"], 1: []})
    await host.until_free(0, "1g.10gb@0+1", "2g.20gb@2+2")
    await host.run_pod("looked-at", "1g.10gb")
    await host.until_phase("looked-at", "Running")
    await host.until(lambda status: states(status)["1g.10gb@0"] == "Used", "used")
    host.sim.reset_calls()
    told = await run_inspect(host, "--output", "json")
    assert not {name for name in host.sim.calls() if any(word in name for word in ("Create", "Destroy", "Set"))}
    assert (told.status, told.json["unread"]) == (0, {}), told.text
    used, free = told.json["gpus"][0]["slices"]
    assert used["driver"]["uuid"] == host.devices_of("looked-at")
    assert used["kubelet"] == {"offered": True, "holder": "default/looked-at"}
    assert used["status"]["holder"] == "default/looked-at"
    assert (free["profile"], free["ours"], free["kubelet"]["holder"]) == ("2g.20gb", True, None)
    (foreign,) = told.json["gpus"][1]["slices"]
    assert (foreign["status"]["state"], foreign["ours"], foreign["kubelet"]["offered"]) == ("Foreign", False, False)
    counts = {each["resource"]: each for each in told.json["resources"]}
    assert counts["nvidia.com/mig-2g.20gb"] == {
        "resource": "nvidia.com/mig-2g.20gb",
        "slices": 1,
        "offered": 1,
        "capacity": 1,
        "allocatable": 1,
        "differences": [],
    }


async def test_what_happened_behind_the_agents_back_is_found_before_it_looks(host: AgentHost) -> None:
    """N6: one slice destroyed, one made by somebody, and an agent that is stopped."""
    host.start()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"], 1: []})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
    host.kill()
    host.sim.destroy(0, gi_at(host.sim, 0, 0))
    host.sim.create_foreign(1, "3g.40gb", 4)
    told = await run_inspect(host)
    assert told.status == 1, told.text
    gone, kept, strange = (line for line in told.text.splitlines() if line.startswith(("  0+1", "  1+1", "  4+4")))
    assert "reported Free and gone from the GPU" in gone
    assert "1g.10gb" in kept
    assert "on the GPU and not in the report" in strange
    found = await run_inspect(host, "--output", "json")
    assert found.json["gpus"][1]["slices"][0]["ours"] is False
    host.start()
    await host.until(
        lambda status: states(status) == {"1g.10gb@0": "Free", "1g.10gb@1": "Free", "3g.40gb@4": "Foreign"},
        "the agent mends it",
    )
    await until_agreed(host)  # the Node's count and the kubelet's list follow the report


async def test_what_cannot_be_read_is_said_and_the_rest_is_shown(host: AgentHost) -> None:
    """No driver in reach, and no state folder: the API server's and the kubelet's side are there."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    elsewhere = str(host.folder / "elsewhere")
    told = await run_inspect(host, "--output", "json", "--state-dir", elsewhere, with_driver=False)
    assert told.status == 2
    assert set(told.json["unread"]) == {"driver", "ledger"}
    assert "install the NVIDIA driver" in told.json["unread"]["driver"]
    (item,) = told.json["gpus"][0]["slices"]
    assert (item["driver"], item["status"]["state"]) == (None, SliceState.FREE)
    assert item["kubelet"]["offered"] is True
    assert item["differences"] == []
    away = await run_inspect(host, "--kubeconfig", elsewhere, "--pod-resources-socket", f"{elsewhere}.sock")
    assert away.status == 2
    assert "could not be read: MigSpec: " in away.text
    assert "could not be read: kubelet, offers: " in away.text
    assert "GI" in next(line for line in away.text.splitlines() if line.startswith("  0+1"))

"""Foreign slices that the admin tells us to take over become ours, used ones included; nothing is destroyed for it."""

import json
import os

from mig.migspec import Holder, SliceState, Status, StatusSlice
from tests.support.agenthost import AgentHost, states
from tests.support.foreign import create_cut


def found(status: Status, place: str) -> StatusSlice:
    """One slice by profile and start."""
    (item,) = (item for gpu in status.gpus for item in gpu.slices if f"{item.profile}@{item.window.start}" == place)
    return item


def uuids(host: AgentHost, gpu: int) -> dict[str, str]:
    """What exists on a GPU: profile and start → MIG device."""
    return {f"{gi.profile}@{gi.start}": ci.uuid for gi in host.sim.gpus[gpu].instances for ci in gi.compute_instances}


async def test_a_free_foreign_slice_becomes_ours_as_it_is(host: AgentHost) -> None:
    """It is written down, offered and `Free` though the spec does not list it, and stays for good once the spec does."""
    host.sim.create_foreign(0, "2g.20gb", 2)
    before = uuids(host, 0)
    host.start("--resync-s", "1")
    await host.want({0: []})
    await host.until(lambda status: states(status) == {"2g.20gb@2": "Foreign"}, "foreign at first")
    host.sim.reset_calls()
    await host.hand_over()
    await host.adopt("all")
    status = await host.until(lambda status: states(status) == {"2g.20gb@2": "Free"}, "ours and free")
    item = found(status, "2g.20gb@2")
    assert (item.owned, item.uuid) == (True, before["2g.20gb@2"])
    entries = json.loads((host.state_dir / "ledger.json").read_text())["slices"]
    assert [entry["uuid"] for entry in entries] == [item.uuid]
    await host.want({0: ["2g.20gb@2+2"]})
    await host.until_free(0, "2g.20gb@2+2")
    await host.take_back()
    host.kill()
    host.start()
    await host.until_free(0, "2g.20gb@2+2")
    assert uuids(host, 0) == before
    assert host.changes() == {}


async def test_only_what_the_annotation_names_is_taken_over(host: AgentHost) -> None:
    """By UUID of a GPU or of a MIG device; what nobody understands adopts nothing, and is said."""
    host.sim.create_foreign(0, "1g.10gb", 0)
    host.sim.create_foreign(0, "1g.10gb", 1)
    host.sim.create_foreign(1, "1g.10gb", 3)
    host.start()
    await host.want({0: [], 1: []})
    mine, second = uuids(host, 0)["1g.10gb@0"], host.sim.gpus[1].uuid
    await host.hand_over()
    await host.adopt(f"{mine}, {second}, everything, MIG-nowhere")
    wanted = {"1g.10gb@0": "Free", "1g.10gb@1": "Foreign", "1g.10gb@3": "Free"}
    status = await host.until(lambda status: states(status) == wanted, "two of three")
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert healthy.status == "True"
    assert "'everything' adopts nothing; write all, or UUIDs" in healthy.message
    assert "no such GPU or MIG device here: MIG-nowhere" in healthy.message


async def test_instances_that_are_not_whole(host: AgentHost) -> None:
    """One without compute instance is completed where the spec wants it; elsewhere, and cut otherwise, it says why it stays.

    An admin's command makes the GPU instance first: read before it made the other, it is neither taken over nor destroyed.
    """
    host.sim.create_foreign(0, "1g.10gb", 0, with_ci=False)
    host.sim.create_foreign(0, "1g.10gb", 1, with_ci=False)
    create_cut(host.sim, 0, "2g.20gb", 2)
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until(lambda status: set(states(status).values()) == {"Foreign", "Failed"}, "foreign at first")
    await host.hand_over()
    await host.adopt("all")
    wanted = {"1g.10gb@0": "Free", "1g.10gb@1": "Foreign", "2g.20gb@2": "Foreign"}
    status = await host.until(lambda status: states(status) == wanted, "completed, left alone")
    assert "cut into other compute instances" in found(status, "2g.20gb@2").message
    assert "taken over once one fills it" in found(status, "1g.10gb@1").message
    assert host.hardware(0) == {("1g.10gb", 0, True), ("1g.10gb", 1, False), ("2g.20gb", 2, True)}


async def test_one_that_a_pod_uses_is_used_by_that_pod(host: AgentHost) -> None:
    """The kubelet knows who has the device; it is never taken away before that Pod has ended."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    uid = await host.run_pod("older", "1g.10gb")
    await host.until_phase("older", "Running")
    host.kill()
    (host.state_dir / "ledger.json").unlink()
    await host.delete_migspec()
    host.start()
    await host.want({0: []})
    await host.until(lambda status: states(status) == {"1g.10gb@0": "Foreign"}, "nobody remembers it")
    host.sim.reset_calls()
    await host.hand_over()
    await host.adopt(host.sim.gpus[0].uuid)
    status = await host.until(lambda status: states(status) == {"1g.10gb@0": "Used"}, "used")
    item = found(status, "1g.10gb@0")
    assert (item.owned, item.holder) == (True, Holder("default", "older", uid, "main"))
    await host.take_back()
    assert states(await host.until(lambda _: True, "a report")) == {"1g.10gb@0": "Used"}
    assert host.changes() == {}
    await host.delete_pod("older")
    await host.until_free(0)


async def test_one_that_a_process_uses_is_not_offered_before_it_ends(host: AgentHost) -> None:
    """Used without any Pod: the driver's process list says so, and a Pod that waits gets another."""
    host.sim.create_foreign(0, "1g.10gb", 0)
    host.sim.hold(uuids(host, 0)["1g.10gb@0"], os.getpid())
    host.start("--resync-s", "1")
    await host.want({0: []})
    await host.hand_over()
    await host.adopt("all")
    seen: list[str] = []

    def used(status: Status) -> bool:
        seen.extend(state for place, state in states(status).items() if place == "1g.10gb@0")
        return states(status) == {"1g.10gb@0": SliceState.USED.value}

    status = await host.until(used, "used by a process")
    assert f"no Pod holds it, but processes {os.getpid()}" in found(status, "1g.10gb@0").message
    assert SliceState.FREE.value not in seen
    host.sim.release(os.getpid())
    await host.until(lambda status: states(status) == {"1g.10gb@0": "Free"}, "free, and kept for the allocator")


async def test_a_free_one_goes_where_the_spec_wants_its_room(host: AgentHost) -> None:
    """Taking over is what lets a spec be carried out that a foreign slice was in the way of."""
    host.sim.create_foreign(0, "1g.10gb", 5)
    host.start()
    await host.want({0: ["3g.40gb@4+4"]})
    await host.until(lambda status: states(status).get("3g.40gb@4") == "Failed", "in the way")
    await host.hand_over()
    await host.adopt("all")
    await host.until_free(0, "3g.40gb@4+4")
    assert host.hardware(0) == {("3g.40gb", 4, True)}


async def test_nothing_is_taken_over_on_a_node_that_is_not_handed_over(host: AgentHost) -> None:
    """The annotation alone does nothing, nor does the label without it (invariant 3); both together do."""
    host.sim.create_foreign(0, "1g.10gb", 0)
    host.start()
    await host.want({0: []})
    await host.adopt("all")
    await host.want({0: ["3g.40gb@4+4"]})
    await host.until(lambda status: states(status) == {"1g.10gb@0": "Foreign", "3g.40gb@4": "Free"}, "annotated alone")
    await host.adopt(None)
    await host.hand_over()
    await host.want({0: ["3g.40gb@4+4", "1g.10gb@1+1"]})
    both = {"1g.10gb@0": "Foreign", "1g.10gb@1": "Free", "3g.40gb@4": "Free"}
    await host.until(lambda status: states(status) == both, "labelled alone")
    await host.adopt("all")
    await host.until(lambda status: set(states(status).values()) == {"Free"}, "both")


async def test_an_agent_killed_while_it_takes_over_is_followed_by_one_that_goes_on(host: AgentHost) -> None:
    """N1: killed after the slice was written down and before that was said, it is kept for the allocator all the same."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.create_foreign(0, "2g.20gb", 2)
    before = uuids(host, 0)
    host.kill()
    host.start()
    await host.until(lambda status: states(status).get("2g.20gb@2") == "Foreign", "foreign at first")
    host.kill()
    ledger = host.state_dir / "ledger.json"
    document = json.loads(ledger.read_text())
    document["slices"].append(
        {
            "gpu": host.sim.gpus[0].uuid,
            "start": 2,
            "size": 2,
            "profile": "2g.20gb",
            "uuid": before["2g.20gb@2"],
        }
    )
    ledger.write_text(json.dumps(document))
    await host.hand_over()
    await host.adopt("all")
    host.sim.reset_calls()
    host.start()
    await host.until(lambda status: states(status) == {"1g.10gb@0": "Free", "2g.20gb@2": "Free"}, "kept, and free")
    assert uuids(host, 0) == before
    assert host.changes() == {}

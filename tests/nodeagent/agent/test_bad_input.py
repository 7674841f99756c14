"""Specs that cannot be carried out: no hardware changes for them, the conditions say what to do, and so does an Event, once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mig.migspec import Status
from tests.support.agenthost import AgentHost, states

CRD = "migspecs.nos.nebuly.com"


def without_rules(schema: Any) -> Any:
    """A schema without its CEL rules."""
    if isinstance(schema, dict):
        return {key: without_rules(value) for key, value in schema.items() if key != "x-kubernetes-validations"}
    return [without_rules(item) for item in schema] if isinstance(schema, list) else schema


@contextmanager
def no_rules(host: AgentHost) -> Iterator[None]:
    """The CRD without its rules, as under an API server that lets a bad spec through."""
    kubectl = host.stack.cluster.kubectl
    crd = json.loads(kubectl("get", "crd", CRD, "-o", "json"))
    before = {"spec": {"versions": crd["spec"]["versions"]}}
    after = {"spec": {"versions": without_rules(crd["spec"]["versions"])}}
    kubectl("patch", "crd", CRD, "--type=merge", "-p", json.dumps(after))
    try:
        yield
    finally:
        kubectl("patch", "crd", CRD, "--type=merge", "-p", json.dumps(before))


@pytest.fixture
async def served(host: AgentHost) -> AgentHost:
    """An agent with one free slice, whose calls to the driver count from now on."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]}, epoch=5)
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.reset_calls()
    return host


async def is_told(host: AgentHost, reason: str, *words: str, condition: str = "") -> None:
    """The condition and one Event on the MigSpec say these words."""

    def in_condition(status: Status) -> bool:
        healthy = status.condition("Healthy")
        return (
            healthy is not None
            and healthy.reason == (condition or reason)
            and all(word in healthy.message for word in words)
        )

    await host.until_whatever(in_condition, f"Healthy says {words}")
    (event,) = await host.until_event("MigSpec", reason)
    assert event["type"] == "Warning"
    assert all(word in event["note"] for word in words), event["note"]


def nothing_was_changed(host: AgentHost) -> None:
    """The slice of before is there, and no call that changes hardware was made."""
    assert host.hardware(0) == {("1g.10gb", 0, True)}
    assert not {name for name in host.sim.calls() if "Create" in name or "Destroy" in name}


async def test_a_spec_forced_past_the_rules_of_the_crd(served: AgentHost) -> None:
    """S5: two slices that overlap."""
    overlapping = [
        {"start": 0, "size": 4, "profile": "3g.40gb"},
        {"start": 2, "size": 2, "profile": "2g.20gb"},
    ]
    with no_rules(served):
        await served.force({"leaderEpoch": 5, "gpus": [{"uuid": served.sim.gpus[0].uuid, "slices": overlapping}]})
    await is_told(
        served, "InvalidSpec", "the spec cannot exist there", "nothing is changed on it", "delete the MigSpec"
    )
    nothing_was_changed(served)
    await served.want({0: ["1g.10gb@0+1"]}, epoch=5)
    await served.until_free(0, "1g.10gb@0+1")
    (over,) = await served.until_event("MigSpec", "SpecAccepted")
    assert over["type"] == "Normal"


async def test_a_profile_that_the_gpu_does_not_have(served: AgentHost) -> None:
    """S5."""
    slices = [{"start": 0, "size": 1, "profile": "1g.99gb"}]
    await served.write({"leaderEpoch": 5, "gpus": [{"uuid": served.sim.gpus[0].uuid, "slices": slices}]})
    await is_told(served, "InvalidSpec", "the GPU offers no profile 1g.99gb", "delete the MigSpec")
    nothing_was_changed(served)


async def test_a_gpu_that_is_not_here(served: AgentHost) -> None:
    """S6: the others are served on."""
    slices = [{"start": 0, "size": 1, "profile": "1g.10gb"}]
    mine = {"uuid": served.sim.gpus[0].uuid, "slices": slices}
    await served.write({"leaderEpoch": 5, "gpus": [mine, {"uuid": "GPU-elsewhere", "slices": slices}]})
    await is_told(
        served, "UnknownGpu", "GPU-elsewhere, which this node does not have", "delete", condition="GpuUnavailable"
    )
    nothing_was_changed(served)
    status = await served.until(lambda status: "Free" in states(status).values(), "ours is as it was")
    assert status.observed_generation == 2


async def test_an_older_epoch(served: AgentHost) -> None:
    """N11: a deposed allocator's spec that got past the rules wants everything gone, and nothing is heeded of it."""
    with no_rules(served):
        await served.force({"leaderEpoch": 3, "gpus": [{"uuid": served.sim.gpus[0].uuid, "slices": []}]})
    await is_told(served, "InvalidSpec", "has the epoch 3, older than 5: it is ignored", "writes it anew")
    nothing_was_changed(served)
    await served.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]}, epoch=6)
    await served.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")

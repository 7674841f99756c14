"""Whether the demo came out as it should: judged from the API server, the containers and the hardware, not our own word.

Each container that asked for a slice must see the UUID of a MIG device that exists on its node, and no device may have two
containers.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.scenario import DemoPod, Expect
from demo.stack import Stack, StackNode
from demo.timeline import PodTrack, Step, Timeline


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, and the lines that say it."""

    ok: bool
    lines: tuple[str, ...]


def judge(pods: Sequence[DemoPod], timeline: Timeline, refusals: Mapping[str, str], stack: Stack) -> Outcome:
    """Hold every Pod against its expectation and every container against the hardware."""
    faults = [fault for pod in pods for fault in _faults(pod, timeline.named(pod.name), refusals)]
    devices = [device for node in stack.nodes.values() for device in _handed_out(node)]
    faults += [f"{uuid} was handed to {count} containers" for uuid, count in Counter(devices).items() if count > 1]
    for node in stack.nodes.values():
        exist = {instance.uuid for gpu in node.sim.gpus for gi in gpu.instances for instance in gi.compute_instances}
        faults += [
            f"{node.name}: a container sees {uuid}, which is no device there"
            for uuid in _handed_out(node)
            if uuid not in exist
        ]
    expected = sum(len(pod.manifest["spec"]["containers"]) for pod in pods if pod.expect is Expect.RUNS)
    if not faults and len(devices) != expected:
        faults.append(f"{expected} containers should see a slice, {len(devices)} do")
    if faults:
        return Outcome(ok=False, lines=tuple(f"NOT as it should be: {fault}" for fault in faults))
    counts = Counter(pod.expect for pod in pods)
    return Outcome(
        ok=True,
        lines=(
            f"As it should be: {counts[Expect.RUNS]} Pods run, {counts[Expect.REFUSED]} was refused, {counts[Expect.WAITS]} waits.",
            f"{len(devices)} containers see {len(devices)} different MIG devices, each of which exists on its node.",
        ),
    )


def _faults(pod: DemoPod, track: PodTrack | None, refusals: Mapping[str, str]) -> list[str]:
    refusal = refusals.get(pod.name)
    if pod.expect is Expect.REFUSED:
        by_us = refusal is not None and "admission webhook" in refusal
        return [] if by_us else [f"{pod.name} should have been refused by the webhook: {refusal or 'it was admitted'}"]
    if refusal is not None:
        return [f"{pod.name} was refused: {refusal}"]
    if track is None:
        return [f"{pod.name} was never seen"]
    if pod.expect is Expect.WAITS:
        waits = track.phase == "Pending" and not track.node and track.reason
        return [] if waits else [f"{pod.name} should wait with a reason; it is {track.phase} {track.reason!r}"]
    if Step.RUNNING not in track.steps:
        return [f"{pod.name} does not run: {track.phase} {track.reason} {track.message}"]
    wanted = {container["name"] for container in pod.manifest["spec"]["containers"]}
    return [] if set(track.allocation) == wanted else [f"{pod.name}: mig-allocation names {sorted(track.allocation)}"]


def _handed_out(node: StackNode) -> list[str]:
    """The MIG devices that this node's containers see."""
    return [
        value
        for record in _records(node)
        for value in str(record["env"].get("NVIDIA_VISIBLE_DEVICES", "")).split(",")
        if value.startswith("MIG-")
    ]


def _records(node: StackNode) -> list[dict[str, Any]]:
    records = []
    for path in sorted(node.node.containers_dir.glob("*.json")):
        try:
            records.append(json.loads(path.read_text()))
        except FileNotFoundError:  # the container was removed in between
            continue
    return records

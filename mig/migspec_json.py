"""MigSpec between JSON and values.

Reading is strict about what is there and silent about what is not known: a field of a newer version passes, a missing or
wrong one raises `MigSpecError`. Writing leaves out what is empty, so that a `describe` stays short.
"""

from collections.abc import Mapping
from typing import Any

from mig.migspec import (
    Claim,
    Condition,
    Holder,
    MigMode,
    MigSpec,
    SliceState,
    Spec,
    SpecGpu,
    SpecSlice,
    Status,
    StatusGpu,
    StatusSlice,
    counts,
)
from mig.names import API_VERSION, KIND
from mig.placements import ProfileOffer, Window
from mig.profiles import parse_profile

Json = Mapping[str, Any]


class MigSpecError(ValueError):
    """An object that is no MigSpec; the message says which object and what is wrong."""


def migspec_from_json(obj: Json) -> MigSpec:
    """Read one object of the API server. Raises `MigSpecError`."""
    metadata = obj.get("metadata") or {}
    try:
        status = obj.get("status")
        return MigSpec(
            name=metadata["name"],
            uid=metadata["uid"],
            generation=int(metadata["generation"]),
            resource_version=metadata["resourceVersion"],
            spec=spec_from_json(obj["spec"]),
            status=status_from_json(status) if status and "observedGeneration" in status else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MigSpecError(f"MigSpec {metadata.get('name', '?')}: {type(error).__name__}: {error}") from error


def spec_from_json(spec: Json) -> Spec:
    """Read `.spec`."""
    return Spec(
        leader_epoch=int(spec["leaderEpoch"]),
        gpus=tuple(
            SpecGpu(gpu["uuid"], tuple(_spec_slice_from_json(item) for item in gpu.get("slices") or ()))
            for gpu in spec.get("gpus") or ()
        ),
    )


def _spec_slice_from_json(item: Json) -> SpecSlice:
    claim = item.get("claim")
    return SpecSlice(
        window=_window(item),
        profile=parse_profile(item["profile"]),
        claim=None
        if claim is None
        else Claim(uid=claim["uid"], container=claim["container"], namespace=claim["namespace"], pod=claim["pod"]),
    )


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """Write `.spec`; slices by start, so that equal specs have equal bytes."""
    return {
        "leaderEpoch": spec.leader_epoch,
        "gpus": [
            {
                "uuid": gpu.uuid,
                "slices": [_spec_slice_to_json(item) for item in sorted(gpu.slices, key=lambda item: item.window)],
            }
            for gpu in spec.gpus
        ],
    }


def _spec_slice_to_json(item: SpecSlice) -> dict[str, Any]:
    slice_json: dict[str, Any] = {**_window_to_json(item.window), "profile": str(item.profile)}
    if item.claim is not None:
        slice_json["claim"] = {
            "namespace": item.claim.namespace,
            "pod": item.claim.pod,
            "uid": item.claim.uid,
            "container": item.claim.container,
        }
    return slice_json


def new_migspec(*, node: str, node_uid: str, spec: Spec) -> dict[str, Any]:
    """The object to create for a node that is handed over, owned by that very Node."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": node,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid}],
        },
        "spec": spec_to_json(spec),
    }


def status_from_json(status: Json) -> Status:
    """Read `.status`."""
    return Status(
        observed_generation=int(status["observedGeneration"]),
        boot_id=status.get("bootID", ""),
        driver_version=status.get("driverVersion", ""),
        gpus=tuple(_gpu_from_json(gpu) for gpu in status.get("gpus") or ()),
        conditions=tuple(_condition_from_json(item) for item in status.get("conditions") or ()),
    )


def _gpu_from_json(gpu: Json) -> StatusGpu:
    return StatusGpu(
        uuid=gpu["uuid"],
        index=int(gpu["index"]),
        model=gpu["model"],
        mig_mode=MigMode(gpu["migMode"]),
        grid_width=int(gpu.get("gridWidth", 0)),
        profiles=tuple(_offer_from_json(offer) for offer in gpu.get("profiles") or ()),
        slices=tuple(_status_slice_from_json(item) for item in gpu.get("slices") or ()),
        trouble=gpu.get("trouble", ""),
    )


def _offer_from_json(offer: Json) -> ProfileOffer:
    return ProfileOffer(
        profile=parse_profile(offer["name"]),
        profile_id=int(offer["id"]),
        size=int(offer["size"]),
        starts=tuple(offer["starts"]),
        max_instances=int(offer["maxInstances"]),
        memory_mib=int(offer.get("memoryMiB", 0)),
        engines=dict(offer.get("engines") or {}),
    )


def _status_slice_from_json(item: Json) -> StatusSlice:
    pod = item.get("pod")
    return StatusSlice(
        window=_window(item),
        profile=parse_profile(item["profile"]),
        state=SliceState(item["state"]),
        uuid=item.get("uuid", ""),
        owned=bool(item.get("owned", True)),
        holder=None
        if pod is None
        else Holder(pod["namespace"], pod["name"], pod.get("uid", ""), pod.get("container", "")),
        message=item.get("message", ""),
    )


def _condition_from_json(condition: Json) -> Condition:
    return Condition(
        type=condition["type"],
        status=condition["status"],
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
        observed_generation=int(condition.get("observedGeneration", 0)),
        last_transition_time=condition.get("lastTransitionTime", ""),
    )


def status_to_json(status: Status) -> dict[str, Any]:
    """Write `.status`, with the counts that the printer columns show."""
    return {
        "observedGeneration": status.observed_generation,
        **_present(bootID=status.boot_id, driverVersion=status.driver_version),
        "counts": dict(counts(status)),
        "gpus": [_gpu_to_json(gpu) for gpu in status.gpus],
        "conditions": [condition_to_json(condition) for condition in status.conditions],
    }


def _gpu_to_json(gpu: StatusGpu) -> dict[str, Any]:
    return {
        "uuid": gpu.uuid,
        "index": gpu.index,
        "model": gpu.model,
        "migMode": gpu.mig_mode.value,
        "gridWidth": gpu.grid_width,
        **_present(trouble=gpu.trouble),
        "profiles": [_offer_to_json(offer) for offer in gpu.profiles],
        "slices": [
            _status_slice_to_json(item) for item in sorted(gpu.slices, key=lambda item: (item.window, item.uuid))
        ],
    }


def _offer_to_json(offer: ProfileOffer) -> dict[str, Any]:
    return {
        "name": str(offer.profile),
        "id": offer.profile_id,
        "size": offer.size,
        "starts": list(offer.starts),
        "maxInstances": offer.max_instances,
        **_present(memoryMiB=offer.memory_mib, engines=dict(offer.engines)),
    }


def _status_slice_to_json(item: StatusSlice) -> dict[str, Any]:
    holder = item.holder
    return {
        **_window_to_json(item.window),
        "profile": str(item.profile),
        **_present(uuid=item.uuid),
        "owned": item.owned,
        "state": item.state.value,
        **_present(
            pod=None
            if holder is None
            else {
                "namespace": holder.namespace,
                "name": holder.name,
                **_present(uid=holder.uid, container=holder.container),
            },
            message=item.message,
        ),
    }


def condition_to_json(condition: Condition) -> dict[str, Any]:
    """Write one condition."""
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": condition.last_transition_time,
        **_present(observedGeneration=condition.observed_generation),
    }


def _window(item: Json) -> Window:
    return Window(int(item["start"]), int(item["size"]))


def _window_to_json(window: Window) -> dict[str, int]:
    return {"start": window.start, "size": window.size}


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}

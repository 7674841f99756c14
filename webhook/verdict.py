"""The verdict on one admission request: allowed with a patch, or denied with a message. Pure, and total.

It promises that any JSON object gets a verdict and never an exception, that a Pod which asks for no MIG device passes
unchanged, and that nothing a user writes in our annotations is believed; an `expected-duration` that cannot be read costs a
warning and nothing else. It reserves nothing and knows no node: a profile
that no GPU offers is admitted, and the allocator tells its Pod why it waits.
"""

from dataclasses import dataclass
from typing import Final

from mig.demand import request_of
from mig.lifetime import complaint
from mig.names import ALLOCATION_ANNOTATION, DURATION_ANNOTATION, GATE
from webhook.patch import Operation, gating_patch, has_gate
from webhook.rules import check_container
from webhook.shape import MALFORMED, Json, RefusalError, mapping, objects, shown

MIRROR_ANNOTATION: Final = "kubernetes.io/config.mirror"
"""The kubelet's mark on the API server's image of a static Pod, which runs whatever is decided here."""

MAX_MESSAGE: Final = 1000
"""Characters; a user's text in a message is cut anyway, this bounds the rest."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The Pod may be stored, with these changes; its user's client shows the warnings."""

    patch: tuple[Operation, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Denied:
    """The Pod may not be stored; `message` is for its user, `code` an HTTP status from 400."""

    message: str
    code: int


Verdict = Allowed | Denied


def verdict(request: Json) -> Verdict:
    """Judge the `request` of an AdmissionReview. Only the creation of a Pod itself is our business."""
    if request.get("operation") != "CREATE" or request.get("subResource") or not _is_pod(request):
        return Allowed()
    try:
        return _judge(request.get("object"))
    except RefusalError as refusal:
        message = str(refusal)
        return Denied(message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}…", refusal.code)


def _is_pod(request: Json) -> bool:
    kind = request.get("kind")
    return isinstance(kind, dict) and kind.get("kind") == "Pod" and not kind.get("group")


def _judge(sent: object) -> Verdict:
    if sent is None:
        raise RefusalError("the review of a Pod's creation carries no Pod", code=MALFORMED)
    pod = mapping(sent, where="the Pod")
    metadata = mapping(pod.get("metadata"), where="metadata")
    annotations = mapping(metadata.get("annotations"), where="metadata.annotations")
    if ALLOCATION_ANNOTATION in annotations:
        raise RefusalError(
            f"the annotation {ALLOCATION_ANNOTATION} is written by the allocator alone; leave it out, and the Pod gets a slice "
            "by its containers' limits"
        )
    if MIRROR_ANNOTATION in annotations:
        return Allowed()
    spec = mapping(pod.get("spec"), where="spec")
    if not _asks(spec):
        _check_not_stranded(spec)
        return Allowed()
    if node := spec.get("nodeName"):
        raise RefusalError(
            f"the Pod names its node ({shown(node)}) in spec.nodeName, so it cannot wait for its MIG device; use a nodeSelector "
            "instead, such as kubernetes.io/hostname"
        )
    warning = complaint(annotations.get(DURATION_ANNOTATION))
    return Allowed(gating_patch(pod, request_of(spec)), () if warning is None else (warning,))


def _asks(spec: Json) -> bool:
    """Whether any container asks for a MIG device, each of them checked."""
    names: set[object] = set()
    asking = False
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(objects(spec.get(kind), where=f"spec.{kind}")):
            where = f"spec.{kind}[{index}]"
            asking |= check_container(container, where=where)
            if container["name"] in names:
                raise RefusalError(f"{where}.name: {shown(container['name'])} is used twice; name each container once")
            names.add(container["name"])
    return asking


def _check_not_stranded(spec: Json) -> None:
    """A Pod that wants no device but carries our gate would wait for ever: the allocator ungates only what it serves."""
    if has_gate(spec):
        raise RefusalError(
            f"the Pod carries the scheduling gate {GATE} but asks for no MIG device, so nothing would ever remove the gate; "
            "leave it out (it is set for Pods that need it)"
        )

"""Pods and AdmissionReviews as the API server sends them, and what its patch makes of a Pod."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from tests.support.patches import json_patch
from webhook.verdict import Allowed, Denied, verdict

JsonObject = dict[str, Any]

ONE = "nvidia.com/mig-1g.10gb"
TWO = "nvidia.com/mig-2g.20gb"
THREE = "nvidia.com/mig-3g.40gb"
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"


def container(name: str, limits: Mapping[str, object] | None = None, **fields: Any) -> JsonObject:
    """Give a container with these limits."""
    resources = {} if limits is None else {"resources": {"limits": dict(limits)}}
    return {"name": name, "image": "busybox", **resources, **fields}


def pod(*containers: JsonObject, metadata: JsonObject | None = None, **spec: Any) -> JsonObject:
    """Give a Pod with these containers."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train-0", "namespace": "default"} if metadata is None else metadata,
        "spec": {"containers": list(containers), **spec},
    }


def request(sent: object, **fields: Any) -> JsonObject:
    """Give the request about the creation of a Pod."""
    return {
        "uid": UID,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "default",
        "operation": "CREATE",
        "object": sent,
        "oldObject": None,
        "dryRun": False,
        **fields,
    }


def review(sent: object, **fields: Any) -> JsonObject:
    """Give the whole AdmissionReview."""
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request(sent, **fields)}


def admitted(sent: JsonObject) -> JsonObject:
    """Give the Pod as it is stored after our patch; the Pod must be allowed."""
    judged = verdict(request(sent))
    assert isinstance(judged, Allowed), judged
    return json_patch(sent, judged.patch)


def refusal(sent: JsonObject) -> str:
    """Give the message that refuses the Pod; the Pod must be denied."""
    judged = verdict(request(sent))
    assert isinstance(judged, Denied), judged
    assert 400 <= judged.code < 500
    return judged.message


def patch_of(answer: Mapping[str, Any]) -> list[JsonObject]:
    """Give the operations that an answer carries."""
    if "patch" not in answer["response"]:
        return []
    assert answer["response"]["patchType"] == "JSONPatch"
    operations = json.loads(base64.b64decode(answer["response"]["patch"]))
    assert isinstance(operations, list)
    return operations

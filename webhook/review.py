"""The envelope: bytes of an AdmissionReview in, bytes of its answer out.

What is no `admission.k8s.io/v1` review is a `ReviewError`, which the server answers with 400: the API server never sends such
a thing, so nobody's Pod depends on it. What the review carries is `verdict`'s business.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webhook import strictjson
from webhook.verdict import Allowed, Denied, Verdict

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
OPERATIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
MAX_UID: Final = 256
_REASONS: Final[Mapping[int, str]] = {400: "BadRequest", 403: "Forbidden"}


class ReviewError(ValueError):
    """The body is no review that we can answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Review:
    """One question of the API server. `uid` must come back in the answer."""

    uid: str
    dry_run: bool
    request: Mapping[str, Any]


def read_review(body: bytes) -> Review:
    """Read an AdmissionReview. Raises `ReviewError`."""
    try:
        document = strictjson.parse(body)
    except strictjson.JsonError as error:
        raise ReviewError(f"the body cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ReviewError(f"the body is no {KIND}")
    if document.get("apiVersion") != API_VERSION:
        raise ReviewError(f"the review is not of {API_VERSION}; set admissionReviewVersions: [v1]")
    request = document.get("request")
    if not isinstance(request, dict):
        raise ReviewError("the review has no request")
    return _review(request)


def _review(request: Mapping[str, Any]) -> Review:
    uid, operation, dry_run = request.get("uid"), request.get("operation"), request.get("dryRun")
    kind, sent = request.get("kind"), request.get("object")
    if not isinstance(uid, str) or not 0 < len(uid) <= MAX_UID:
        raise ReviewError("request.uid is missing or no text")
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise ReviewError(f"request.operation is none of {', '.join(sorted(OPERATIONS))}")
    if dry_run is not None and not isinstance(dry_run, bool):
        raise ReviewError("request.dryRun is neither true nor false")
    if not isinstance(kind, dict) or not isinstance(kind.get("kind"), str):
        raise ReviewError("request.kind is missing or names no kind")
    if sent is not None and not isinstance(sent, dict):
        raise ReviewError("request.object is no object")
    return Review(uid, bool(dry_run), request)


def answer(review: Review, verdict: Verdict) -> bytes:
    """The AdmissionReview that carries the verdict back."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": isinstance(verdict, Allowed)}
    match verdict:
        case Denied(message=message, code=code):
            response["status"] = {
                "status": "Failure",
                "code": code,
                "reason": _REASONS.get(code, "Forbidden"),
                "message": message,
            }
        case Allowed(patch=patch) if patch:
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
        case Allowed():
            pass
    if isinstance(verdict, Allowed) and verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    return json.dumps({"apiVersion": API_VERSION, "kind": KIND, "response": response}).encode()

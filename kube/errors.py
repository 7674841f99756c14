"""What can go wrong with a call, named by what the caller can do about it.

Every failure of a call is an `ApiError`; network trouble and time-outs, too, so that nobody needs to know the
transport's own exceptions (they are chained as the cause). The subclasses are the few cases that callers tell apart.
`ConfigError` is different: nothing was sent, and only a human can help.
"""

import json
from collections.abc import Mapping
from typing import Any

# Longest excerpt of a body that is no Kubernetes Status (a proxy's HTML page, say), in characters.
MAX_EXCERPT = 256


class ConfigError(Exception):
    """There is no usable way to an API server: kubeconfig or service account missing or broken."""


class ApiError(Exception):
    """A call that did not succeed.

    ``status`` is the HTTP status, 0 when no answer came. ``reason`` and ``message`` are the API server's, ``body`` is
    its Status object or empty. ``retry_after_s`` is what the server asked for, in seconds.
    """

    def __init__(
        self,
        what: str,
        *,
        status: int = 0,
        reason: str = "",
        message: str = "",
        body: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        outcome = " ".join(part for part in (str(status or "no answer"), reason) if part)
        super().__init__(": ".join(part for part in (what, outcome, message) if part))
        self.what = what
        self.status = status
        self.reason = reason
        self.message = message
        self.body: Mapping[str, Any] = body or {}
        self.retry_after_s = retry_after_s


class Conflict(ApiError):
    """Somebody else wrote in between, or a ``test`` of a JSON patch failed: read again, decide again."""


class AlreadyExists(ApiError):
    """An object of that name is there already: read it."""


class NotFound(ApiError):
    """The object, its namespace or the whole resource (a CRD not installed) is not there."""


class Unauthorized(ApiError):
    """The API server does not accept our credentials, even freshly read ones."""


class Forbidden(ApiError):
    """We may not do this: RBAC, a policy or a quota says no. Repeating alone does not help."""


class Invalid(ApiError):
    """The object breaks a rule (schema, CEL, policy). Never repeat it unchanged."""


class Expired(ApiError):
    """The resourceVersion or continue token is too old: list again."""


class Unavailable(ApiError):
    """Try later: overload, server trouble, network trouble or time-out. A write may or may not have happened."""


class Garbled(Unavailable):
    """What came back is nothing that an API server says; a proxy may stand in between. Try later."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: Unavailable,
}


def from_status(what: str, status: Mapping[str, Any], *, retry_after_s: float | None = None) -> ApiError:
    """Make the error of a Kubernetes ``Status`` object, as bodies of failed calls and watch ERROR events carry it."""
    code = status.get("code")
    code = code if isinstance(code, int) else 500
    reason = str(status.get("reason") or "")
    details = status.get("details")
    asked = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    if retry_after_s is None and isinstance(asked, int | float):
        retry_after_s = float(asked)
    return _class_of(code, reason)(
        what,
        status=code,
        reason=reason,
        message=str(status.get("message") or ""),
        body=status,
        retry_after_s=retry_after_s,
    )


def from_response(what: str, *, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Make the error of a failed HTTP answer; a body that is no Status (HTML of a proxy) becomes a short excerpt."""
    retry_after_s = _retry_after_s(headers)
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict) and parsed.get("kind") == "Status":
        return from_status(what, {**parsed, "code": status}, retry_after_s=retry_after_s)
    excerpt = body[: 4 * MAX_EXCERPT].decode("utf-8", "replace").strip()[:MAX_EXCERPT]
    return _class_of(status, "")(what, status=status, message=excerpt, retry_after_s=retry_after_s)


def _class_of(status: int, reason: str) -> type[ApiError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    if reason == "Expired":
        return Expired
    if status >= 500:
        return Unavailable
    return _BY_STATUS.get(status, ApiError)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After. The API server sends whole seconds; a date (some proxies) counts as one second."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        return max(0.0, min(float(value), 3600.0))
    except ValueError:
        return 1.0

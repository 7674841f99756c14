"""The Secret with our certificates, as seen by watch and written with its resourceVersion.

Nobody locks: a write over a version that is no longer there fails, and the watch brings what won. A broken version is told
once, in the log, the metric and an Event.
"""

import logging
from typing import Final

from prometheus_client import Counter

from kube.client import Api
from kube.errors import AlreadyExists, Conflict, NotFound
from kube.events import EventRecorder, ObjectRef
from kube.resource import SECRETS
from kube.transport import JsonObject
from webhook.certificates import EMPTY, Material, read_material, write_material

log = logging.getLogger(__name__)

_LABELS: Final = {"app.kubernetes.io/name": "nos-mig", "app.kubernetes.io/component": "webhook"}


class Vault:
    """One Secret."""

    def __init__(self, api: Api, *, namespace: str, name: str, errors: Counter, recorder: EventRecorder) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._errors = errors
        self._recorder = recorder
        self._secret: JsonObject | None = None
        self._held: Material | None = None

    @property
    def held(self) -> Material | None:
        """What the Secret holds; None as long as nobody knows."""
        return self._held

    def see(self, secret: JsonObject | None) -> None:
        """Take in what the API server holds now; None when there is no such Secret."""
        if secret is not None and _version(secret) == _version(self._secret):
            return
        self._secret = secret
        self._held = EMPTY if secret is None else read_material(secret.get("data") or {})
        if secret is not None and self._held.faults:
            self._tell(secret, "; ".join(self._held.faults))

    async def store(self, material: Material) -> bool:
        """Write it over what we saw last; whether that succeeded. False: somebody else was first, the watch brings it."""
        data = write_material(material)
        try:
            if self._secret is None:
                stored = await self._api.create(SECRETS, self._new(data))
            else:
                stored = await self._api.replace(SECRETS, {**self._secret, "data": {**_data(self._secret), **data}})
        except (AlreadyExists, Conflict, NotFound) as error:
            log.info(
                "the certificates were written by somebody else", extra={"secret": self._name, "reason": str(error)}
            )
            return False
        self.see(stored)
        return True

    def _new(self, data: dict[str, str]) -> JsonObject:
        metadata = {"name": self._name, "namespace": self._namespace, "labels": _LABELS}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}

    def _tell(self, secret: JsonObject, faults: str) -> None:
        self._errors.inc()
        log.error("the certificates' Secret is broken; it is mended", extra={"secret": self._name, "faults": faults})
        self._recorder.emit(
            ObjectRef.of(secret, api_version="v1", kind="Secret"),
            warning=True,
            reason="CertificateBroken",
            action="Mend",
            note=f"the webhook keeps the certificate that it has and mends this Secret: {faults}",
        )


def _version(secret: JsonObject | None) -> tuple[object, object]:
    metadata = (secret or {}).get("metadata") or {}
    return metadata.get("uid"), metadata.get("resourceVersion")


def _data(secret: JsonObject) -> JsonObject:
    data = secret.get("data")
    return data if isinstance(data, dict) else {}

"""The caBundle in the MutatingWebhookConfiguration: what makes API servers trust the certificate that we serve.

Kept equal to the Secret's bundle, whoever clears or replaces it. Nothing else of that object is touched, and it is never
created: that is the chart's.
"""

import base64
import logging
from typing import Final

from kube.client import Api
from kube.errors import Conflict, NotFound
from kube.resource import MUTATING_WEBHOOK_CONFIGURATIONS
from kube.transport import JsonObject

log = logging.getLogger(__name__)

WEBHOOK: Final = "mig.nos.nebuly.com"
"""Our entry in the configuration."""


class Trust:
    """One MutatingWebhookConfiguration."""

    def __init__(self, api: Api, *, name: str) -> None:
        self._api = api
        self._name = name
        self._configuration: JsonObject | None = None
        self._known = False
        self._published = False

    def see(self, configuration: JsonObject | None) -> None:
        """Take in what the API server holds now; None when it is not there."""
        self._configuration, self._known = configuration, True

    def carries(self, bundle: bytes) -> bool:
        """Whether our entry is there, with exactly this bundle."""
        entries = self._entries()
        return bool(entries) and all(_bundle_of(entry) == _encoded(bundle) for _, entry in entries)

    async def publish(self, bundle: bytes) -> bool:
        """Write the bundle where it is not; whether it is there now. False: the object is missing, or just changed."""
        if not self.carries(bundle):
            operations = [
                operation
                for index, entry in self._entries()
                if _bundle_of(entry) != _encoded(bundle)
                for operation in _write(index, bundle)
            ]
            if not operations:
                return False
            try:
                patched = await self._api.json_patch(MUTATING_WEBHOOK_CONFIGURATIONS, self._name, operations)
            except (Conflict, NotFound) as error:
                log.info("the webhook configuration changed meanwhile", extra={"reason": str(error)})
                return False
            self.see(patched)
            log.info("caBundle written", extra={"configuration": self._name})
        self._published = True
        return True

    def trouble(self) -> str | None:
        """Why API servers may not trust us yet; None once they were told."""
        if self._published:
            return None
        what = f"MutatingWebhookConfiguration {self._name}"
        if not self._known:
            return f"the {what} has not been read yet"
        if self._configuration is None:
            return f"the {what} does not exist; install the chart"
        if not self._entries():
            return f"the {what} has no webhook named {WEBHOOK}; install the chart again"
        return f"the caBundle of the {what} has not been written yet"

    def _entries(self) -> list[tuple[int, JsonObject]]:
        """Our entries with their places in the list: one, unless somebody copied it."""
        webhooks = (self._configuration or {}).get("webhooks") or []
        return [(index, entry) for index, entry in enumerate(webhooks) if entry.get("name") == WEBHOOK]


def _bundle_of(entry: JsonObject) -> object:
    return (entry.get("clientConfig") or {}).get("caBundle")


def _encoded(bundle: bytes) -> str:
    return base64.b64encode(bundle).decode()


def _write(index: int, bundle: bytes) -> list[JsonObject]:
    return [
        {"op": "test", "path": f"/webhooks/{index}/name", "value": WEBHOOK},
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": _encoded(bundle)},
    ]

"""Keeps TLS going: the Secret, the certificate that is served, and the caBundle that API servers trust.

Level-triggered: it watches the Secret and the webhook's configuration, and after each change, and at least every
`Pace.tick_s`, brings all three to what `certificates.next_material` says. Replicas need no leader: whoever writes the Secret
first wins, the others adopt it. Nothing is served or published that is not stored. Trouble is told through `trouble` and
tried again; it never ends the loop, and never takes a working certificate away.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kube.client import Api
from kube.errors import ApiError
from kube.events import EventRecorder
from kube.listwatch import Timing, Trouble, list_watch, raw
from kube.resource import MUTATING_WEBHOOK_CONFIGURATIONS, SECRETS, Resource
from kube.transport import JsonObject
from kube.watchstate import Delete, Synced, Upsert
from webhook.authority import Names
from webhook.certificates import EMPTY, Lifetimes, Material, next_material, usable
from webhook.metrics import Metrics
from webhook.served import ServedCertificate
from webhook.trust import Trust
from webhook.vault import Vault

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often we look without being called, in seconds: when all is well, and after a failure."""

    tick_s: float = 30.0
    retry_s: float = 2.0


LIFETIMES: Final = Lifetimes()
PACE: Final = Pace()
TIMING: Final = Timing()


@dataclass(frozen=True, slots=True)
class Objects:
    """The names of what is kept in step."""

    namespace: str
    secret: str
    configuration: str


class Rotation:
    """The one writer, in this process, of the Secret and of the caBundle."""

    def __init__(
        self,
        api: Api,
        *,
        objects: Objects,
        names: Names,
        served: ServedCertificate,
        metrics: Metrics,
        recorder: EventRecorder,
        now: Callable[[], datetime],
        lifetimes: Lifetimes = LIFETIMES,
        pace: Pace = PACE,
        timing: Timing = TIMING,
    ) -> None:
        self._api = api
        self._objects = objects
        self._names = names
        self._served = served
        self._now = now
        self._lifetimes = lifetimes
        self._pace = pace
        self._timing = timing
        self._vault = Vault(
            api, namespace=objects.namespace, name=objects.secret, errors=metrics.certificate_errors, recorder=recorder
        )
        self._trust = Trust(api, name=objects.configuration)
        self._remembered = EMPTY
        self._changed = asyncio.Event()
        self._said: dict[str, str | None] = {}

    def trouble(self) -> list[str]:
        """Why the API server cannot reach us by TLS right now; empty when it can."""
        found = [self._served.trouble(), self._trust.trouble()]
        if any(found):
            found += self._said.values()
        return list(dict.fromkeys(reason for reason in found if reason))

    async def run(self) -> None:
        """Never returns."""
        objects = self._objects
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._watch(SECRETS, objects.secret, self._vault.see, namespace=objects.namespace), name="watch Secret"
            )
            group.create_task(
                self._watch(MUTATING_WEBHOOK_CONFIGURATIONS, objects.configuration, self._trust.see),
                name="watch configuration",
            )
            group.create_task(self._keep(), name="keep certificates")

    async def _watch(
        self, resource: Resource, name: str, see: Callable[[JsonObject | None], None], *, namespace: str | None = None
    ) -> None:
        """Report the one object of that name, and None where there is none."""

        def troubled(trouble: Trouble | None) -> None:
            self._say(str(resource), str(trouble) if trouble else None)

        events = list_watch(
            self._api,
            resource,
            decode=raw,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
            on_trouble=troubled,
            timing=self._timing,
        )
        present: JsonObject | None = None
        async for event in events:
            match event:
                case Upsert(obj=obj):
                    present = obj
                case Delete():
                    present = None
                case Synced():
                    pass  # a list has ended: what it did not name is missing for sure
                case _:
                    continue
            see(present)
            self._changed.set()

    async def _keep(self) -> None:
        while True:
            self._changed.clear()
            done = await self._step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.tick_s if done else self._pace.retry_s):
                    await self._changed.wait()

    async def _step(self) -> bool:
        """Bring everything one step on; whether nothing is left to do before the next change or tick."""
        done = await self._bring_forward()
        if self._served.leaf is not None:
            self._say("certificate", self._served.trouble())
        return done

    async def _bring_forward(self) -> bool:
        if (held := self._vault.held) is None:
            return False
        done = await self._tried("Secret", self._stored(held))
        held = self._vault.held or held
        if not usable(held.leaf, held.bundle, now=self._now()):
            return False  # broken, and not to be mended now: what we serve and what is trusted stays as it is
        # Published before served: an API server that knows the new authority still knows the one before.
        done &= await self._tried("caBundle", self._trust.publish(held.bundle_pem))
        self._adopt(held)
        return done

    async def _stored(self, held: Material) -> bool:
        """Whether the Secret holds what it should."""
        wanted = next_material(
            held,
            remembered=self._remembered,
            names=self._names,
            trusted=self._trust.carries(held.bundle_pem),
            now=self._now(),
            lifetimes=self._lifetimes,
        )
        return wanted is None or await self._vault.store(wanted)

    async def _tried(self, what: str, attempt: Awaitable[bool]) -> bool:
        try:
            done = await attempt
        except ApiError as error:
            self._say(what, f"the {what} cannot be written: {error}")
            return False
        self._say(what, None)
        return done

    def _adopt(self, held: Material) -> None:
        """Serve what is stored and sound."""
        assert held.leaf is not None
        try:
            changed = self._served.serve(held.leaf)
        except ssl.SSLError as error:
            self._say("leaf", f"the certificate in the Secret cannot be served: {error}")
            return
        self._say("leaf", None)
        self._remembered = held
        if changed:
            log.info("serving a new certificate", extra={"expires": str(self._served.expires)})

    def _say(self, what: str, trouble: str | None) -> None:
        """Keep the newest trouble of each kind, and log it when it changes."""
        if self._said.get(what) != trouble:
            self._said[what] = trouble
            if trouble:
                log.error("%s", trouble, extra={"what": what})
            else:
                log.info("well again", extra={"what": what})

"""The first act of a term: its epoch goes into every MigSpec, before anything is listed or decided.

From then on the API server itself refuses what an earlier leader still has on its way (a CEL rule: `leaderEpoch` never decreases).
What is listed afterwards is therefore the last word of all terms before.
"""

import asyncio
import logging
from typing import Any, Final

from allocator.patches import fence_patch
from allocator.watching import MIGSPECS
from kube.backoff import Backoff
from kube.client import Api
from kube.errors import Conflict, Invalid, NotFound, Unavailable
from kube.lease import LeadershipLost

log = logging.getLogger(__name__)

_CONCURRENCY: Final = 16


async def highest_epoch(api: Api) -> int:
    """The highest epoch in any MigSpec: the floor for a new term when the Lease was lost."""
    return max((_epoch(obj) for obj in await _migspecs(api)), default=0)


async def fence(api: Api, *, epoch: int) -> None:
    """Raise every MigSpec to our epoch, for as long as it takes.

    Raises `LeadershipLost` where a higher one stands: somebody else leads.
    """
    backoff = Backoff(first_s=0.2, cap_s=2.0)
    while True:
        try:
            refusals = await _fence_all(api, epoch)
        except Unavailable as error:
            log.warning("MigSpecs cannot be fenced yet: %s", error)
            await asyncio.sleep(backoff.failed(at_least_s=error.retry_after_s or 0.0))
        else:
            if refusals:
                raise LeadershipLost("; ".join(refusals))
            return


async def _fence_all(api: Api, epoch: int) -> list[str]:
    slots = asyncio.Semaphore(_CONCURRENCY)

    async def one(obj: dict[str, Any]) -> str | None:
        async with slots:
            return await _fence(api, obj, epoch)

    return [refusal for refusal in await asyncio.gather(*map(one, await _migspecs(api))) if refusal is not None]


async def _migspecs(api: Api) -> list[dict[str, Any]]:
    try:
        return (await api.list(MIGSPECS))[0]
    except NotFound:
        # The CRD is not installed yet; the watch waits for it and says so.
        return []


async def _fence(api: Api, obj: dict[str, Any], epoch: int) -> str | None:
    """Why the object refuses our epoch, or None where it carries it now or is gone."""
    metadata = obj["metadata"]
    if _epoch(obj) > epoch:
        return f"MigSpec {metadata['name']} is of epoch {_epoch(obj)}, ours is {epoch}"
    try:
        await api.json_patch(MIGSPECS, metadata["name"], fence_patch(uid=metadata["uid"], epoch=epoch))
    except (NotFound, Conflict):
        # Another object may have that name since: it is fenced when the index shows it.
        log.info("MigSpec %s went away while it was fenced", metadata["name"])
    except Invalid as error:
        return f"MigSpec {metadata['name']} refuses epoch {epoch}: {error}"
    return None


def _epoch(obj: dict[str, Any]) -> int:
    epoch = (obj.get("spec") or {}).get("leaderEpoch")
    return epoch if isinstance(epoch, int) else 0

"""Where the sources differ on one slice, in words, and what to do about it. Pure.

Each rule looks at one disagreement and says nothing where a source that it needs was not read. Slices of others that nobody
wants, and what the sources agree on however odd it is, are no differences.
"""

from collections.abc import Callable
from typing import Final

from mig.migspec import SliceState
from mig.names import ADOPT_ANNOTATION
from nodeagent.gpus.ownership import is_ours
from nodeagent.inspection.values import Known, Row
from nodeagent.kubelet.rivals import REMEDY

SOON: Final = "the agent reads each GPU every 30 s; if this stays, look whether it runs and what it logs"
UNANSWERED: Final = "the agent has not answered this spec; look whether it runs and what it logs"

Rule = Callable[[Row, Known], str | None]


def differences(row: Row, known: Known) -> tuple[str, ...]:
    """All that differs, the most serious first."""
    return tuple(text for rule in _RULES if (text := rule(row, known)))


def _wanted_and_missing(row: Row, known: Known) -> str | None:
    if row.wanted is None or row.instance is not None or not known.driver:
        return None
    if row.reported is None or not known.current:
        return f"wanted and not there; {UNANSWERED}"
    if row.reported.state is SliceState.FAILED:
        return f"could not be made: {row.reported.message}"
    if row.reported.state is SliceState.CREATING:
        return f"not there yet: {row.reported.message or 'being made'}"
    return (
        f"reported {row.reported.state} and gone from the GPU: somebody destroyed it behind the agent's back, which makes it "
        "anew within 30 s; a Pod that had it must be deleted"
    )


def _reported_and_missing(row: Row, known: Known) -> str | None:
    if row.reported is None or row.wanted is not None or row.instance is not None or not known.driver:
        return None
    return f"reported {row.reported.state} and gone from the GPU; {SOON}"


def _unreported(row: Row, known: Known) -> str | None:
    if row.instance is None or row.reported is not None or not known.status:
        return None
    return f"on the GPU and not in the report; {SOON}"


def _in_the_place_of_ours(row: Row, known: Known) -> str | None:
    if row.instance is None or row.wanted is None or row.ours is not False:
        return None
    why = "the ledger names another one" if row.entry is not None else "the ledger does not name it"
    adopt = f"; or annotate the Node {ADOPT_ANNOTATION}={row.instance.uuid}" if row.instance.uuid else ""
    return (
        f"stands where the spec wants a slice and is not ours ({why}): it is left alone. Destroy it with nvidia-smi mig -i "
        f"{known.index} -gi {row.instance.gi} -dci, then -dgi{adopt}"
    )


def _half_made(row: Row, _: Known) -> str | None:
    if row.instance is None or row.ours is not True or not row.instance.half_made:
        return None
    return f"a GPU instance without its compute instance; {SOON}"


def _not_wanted(row: Row, known: Known) -> str | None:
    if row.instance is None or row.wanted is not None or row.ours is not True or not known.spec:
        return None
    if row.reported is None or not known.current:
        return f"not wanted any more and still there; {UNANSWERED}"
    if row.reported.state is SliceState.USED and row.reported.holder is not None:
        return f"not wanted any more; it goes when {row.reported.holder.namespace}/{row.reported.holder.name} ends"
    return f"not wanted any more: {row.reported.message or row.reported.state}"


def _another_uuid(row: Row, _: Known) -> str | None:
    if row.instance is None or row.reported is None or not (row.instance.uuid and row.reported.uuid):
        return None
    if row.instance.uuid == row.reported.uuid:
        return None
    return f"another slice than the one that is reported here, {row.reported.uuid}; {SOON}"


def _ledger_against_report(row: Row, known: Known) -> str | None:
    if row.instance is None or row.reported is None or not known.ledger or row.reported.uuid != row.instance.uuid:
        return None
    by_ledger = row.entry is not None and is_ours(row.entry, row.instance)
    if by_ledger == row.reported.owned:
        return None
    ledger, report = ("ours", "foreign") if by_ledger else ("foreign", "ours")
    return f"{ledger} by the ledger and {report} by the report; {SOON}"


def _left_over_entry(row: Row, known: Known) -> str | None:
    if row.entry is None or row.instance is not None or row.wanted is not None or not known.driver:
        return None
    return f"in the ledger, and neither wanted nor there; {SOON}"


def _offered_and_missing(row: Row, known: Known) -> str | None:
    if row.instance is not None or not row.offered or not known.driver:
        return None
    return "the kubelet would hand it out although it is gone: a Pod that gets it fails to start"


def _offered_by_others(row: Row, known: Known) -> str | None:
    if row.instance is None or row.ours is not False or not row.offered or not known.ours_alone:
        return None
    return f"not ours, and yet the kubelet would hand it out: another device plugin offers it; {REMEDY}"


def _not_offered(row: Row, known: Known) -> str | None:
    promised = row.reported is not None and row.reported.state in (SliceState.FREE, SliceState.USED)
    if row.instance is None or row.reported is None or not promised or row.offered or not known.offers:
        return None
    return (
        f"reported {row.reported.state}, and the kubelet does not offer it: no Pod can get it now; "
        "look whether the agent runs and what it logs of its registration"
    )


def _computed_on(row: Row, _: Known) -> str | None:
    if not row.pids or row.reported is None or row.reported.state is not SliceState.FREE:
        return None
    pids = ", ".join(map(str, row.pids))
    return f"reported Free, and processes {pids} compute there; end them, or find out who started them"


def _another_holder(row: Row, _: Known) -> str | None:
    if not row.holder or row.holding is None or row.reported is None:
        return None
    if row.reported.state is SliceState.FREE:
        return f"reported Free, and the kubelet gave it to {row.holder}; the agent looks every 20 s"
    held = row.reported.holder
    if held is None or not held.uid or held.uid == row.holding.pod_uid:
        return None
    return f"the kubelet gave it to {row.holder}, the report says {held.namespace}/{held.name}"


def _claimed_by_another(row: Row, _: Known) -> str | None:
    claim = row.wanted.claim if row.wanted else None
    holder = row.reported.holder if row.reported else None
    if claim is None or holder is None or not holder.uid or holder.uid == claim.uid:
        return None
    return (
        f"claimed for {claim.namespace}/{claim.pod}, and {holder.namespace}/{holder.name} has it: "
        "the allocator lets the claims follow within seconds"
    )


_RULES: Final[tuple[Rule, ...]] = (
    _wanted_and_missing,
    _reported_and_missing,
    _in_the_place_of_ours,
    _offered_and_missing,
    _offered_by_others,
    _not_offered,
    _computed_on,
    _another_uuid,
    _ledger_against_report,
    _half_made,
    _not_wanted,
    _unreported,
    _left_over_entry,
    _another_holder,
    _claimed_by_another,
)

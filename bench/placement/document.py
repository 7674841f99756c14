"""The results as one JSON document: what is printed, and every run's figures for other conclusions.

Shares are of 1, times in seconds but for decisions (µs). An interval that one sample cannot give is null.
"""

from collections.abc import Iterable
from dataclasses import asdict
from math import isfinite
from typing import Any

from bench.placement.aims import Verdict
from bench.placement.batches import BatchReport
from bench.placement.decisions import DecisionReport
from bench.placement.results import Measure, Results, Where, requests, slices
from bench.placement.statistics import Estimate


def document(
    results: Results,
    verdicts: Iterable[Verdict],
    decisions: DecisionReport,
    batches: BatchReport,
    *,
    took: float,
    quick: bool,
) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        "quick": quick,
        "seconds": round(took, 1),
        "aims": [
            {"aim": v.what, "wanted": v.wanted, "measured": _estimate(v.measured), "holds": v.holds} for v in verdicts
        ],
        "acceptance": [_place(results, where) for where in results.places()],
        "decisions": [asdict(times) for times in decisions.times],
        "batches": asdict(batches),
        "half full": {name: [asdict(one) for one in rounds] for name, rounds in decisions.half_full.items()},
        "real seconds by policy": {name: round(seconds, 1) for name, seconds in results.took()},
    }


def _place(results: Results, where: Where) -> dict[str, Any]:
    return {
        "mix": where.mix,
        "load": where.load,
        "mode": where.mode.value,
        "policies": {name: _row(results, where, name) for name in results.contestants(where)},
    }


def _row(results: Results, where: Where, name: str) -> dict[str, Any]:
    measures: dict[str, Measure] = {"slices": slices, "requests": requests}
    return {
        **{what: _estimate(results.estimate(where, name, measure)) for what, measure in measures.items()},
        **{f"{what} to FGD": _estimate(results.difference(where, name, measure)) for what, measure in measures.items()},
        "of the clairvoyant bound": _estimate(results.share_of_bound(where, name)),
        "runs": {str(seed): asdict(run) for seed, run in sorted(results.runs(where, name).items())},
    }


def _estimate(value: Estimate | None) -> dict[str, Any] | None:
    if value is None:
        return None
    half = round(value.half, 6) if isfinite(value.half) else None
    return {"mean": round(value.mean, 6), "half": half, "samples": value.samples}

"""Placement sees when a claimed slice is expected to end, as its Pod declares it, and sees the same until something happens."""

from datetime import UTC, datetime
from typing import Any

import pytest

from allocator.index import Index, key_of, read_spec
from allocator.lifetimes import NO_ENDS, Lifetimes
from allocator.placement.fleet import GpuView
from allocator.pods import PodReader
from allocator.view import gpu_views
from mig.migspec import Claim, MigMode, Spec, SpecGpu, SpecSlice, Status, StatusGpu
from mig.migspec_json import spec_to_json, status_to_json
from mig.names import DURATION_ANNOTATION
from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import parse_profile
from tests.allocator import objects
from tests.support.shapes import shapes

A100 = shapes()["a100-80gb"]
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def at(profile: str, start: int) -> Placed:
    offer = A100.by_profile[parse_profile(profile)]
    return Placed(Window(start, offer.size), offer.profile)


def pod(
    name: str,
    *profiles: str,
    lasts: str | None = None,
    deadline: int | None = None,
    started: str | None = None,
    node: str = "",
) -> dict[str, Any]:
    obj = objects.pod(name, *profiles, node=node, gates=() if node else ("nos.nebuly.com/mig",))
    obj["metadata"] |= {"uid": name, "resourceVersion": f"{lasts}-{deadline}-{started}-{node}"}
    if lasts is not None:
        obj["metadata"]["annotations"][DURATION_ANNOTATION] = lasts
    if deadline is not None:
        obj["spec"]["activeDeadlineSeconds"] = deadline
    if started is not None:
        obj["status"]["startTime"] = started
    return obj


class Cluster:
    """One index, fed as the watches feed it, with a wall clock that moves when told to."""

    def __init__(self) -> None:
        self.now = START
        self.changes = 0
        self.index = Index(on_change=self._changed, wall=lambda: self.now)
        self._generation: dict[str, int] = {}

    def _changed(self) -> None:
        self.changes += 1

    def pods(self, *sent: dict[str, Any]) -> None:
        """These Pods are as they are sent."""
        for obj in sent:
            self.index.pods.watched(key_of(obj), self.index.read_pod(obj))

    def ends(self, obj: dict[str, Any]) -> None:
        """The Pod is gone."""
        self.index.pods.deleted(key_of(obj))

    def spec(self, node: str, claims: dict[Placed, str], *, again: bool = False) -> None:
        """The node's one GPU holds these slices, by the Pod that claims them; `again` without a change of the spec."""
        self._generation[node] = self._generation.get(node, 0) + (not again)
        slices = tuple(
            SpecSlice(placed.window, placed.profile, Claim(uid, f"c{number}", "default", uid) if uid else None)
            for number, (placed, uid) in enumerate(claims.items())
        )
        gpu = StatusGpu(f"GPU-{node}", 0, "NVIDIA A100", MigMode.ENABLED, A100.width, A100.offers)
        obj = {
            "metadata": {
                "name": node,
                "uid": node,
                "generation": self._generation[node],
                "resourceVersion": str(self.changes),
            },
            "spec": spec_to_json(Spec(1, (SpecGpu(gpu.uuid, slices),))),
            "status": status_to_json(Status(self._generation[node], "boot", "580", (gpu,), ())),
        }
        self.index.specs.watched(key_of(obj), read_spec(obj))

    def gpu(self, node: str = "n1") -> GpuView:
        """The node's GPU as placement sees it now."""
        (view,) = self.index.view(1).specs[node].gpu_views
        return view


def test_a_pod_that_runs_ends_when_it_started_and_what_it_declares() -> None:
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="90m", started="2026-01-01T01:00:00Z", node="n1"))
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    assert cluster.gpu().ends == ((START + 3600 + 5400, at("1g.10gb", 6)),)


def test_a_pod_that_has_not_started_counts_from_when_its_slice_was_reserved_not_from_when_it_was_made() -> None:
    """It may have waited for a place for hours."""
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="90m"))
    cluster.now += 50_000
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    assert cluster.gpu().ends == ((START + 50_000 + 5400, at("1g.10gb", 6)),)


def test_once_it_starts_its_start_counts() -> None:
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="90m"))
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    cluster.pods(pod("a", "1g.10gb", lasts="90m", started="2026-01-01T00:10:00Z", node="n1"))
    assert cluster.gpu().ends == ((START + 600 + 5400, at("1g.10gb", 6)),)


def test_a_pod_past_its_declared_end_is_still_one_whose_end_is_known() -> None:
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="1s", started="2026-01-01T00:00:00Z", node="n1"))
    cluster.now += 100_000
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    assert cluster.gpu().ends == ((START + 1, at("1g.10gb", 6)),)


def test_a_deadline_is_a_lifetime_and_the_annotation_a_shorter_one() -> None:
    cluster = Cluster()
    cluster.pods(
        pod("a", "1g.10gb", deadline=600, started="2026-01-01T00:00:00Z", node="n1"),
        pod("b", "1g.10gb", deadline=600, lasts="5m", started="2026-01-01T00:00:00Z", node="n1"),
        pod("c", "1g.10gb", deadline=600, lasts="5h", started="2026-01-01T00:00:00Z", node="n1"),
    )
    places = {uid: at("1g.10gb", start) for start, uid in enumerate("abc")}
    cluster.spec("n1", {placed: uid for uid, placed in places.items()})
    assert cluster.gpu().ends == (
        (START + 300, places["b"]),
        (START + 600, places["a"]),
        (START + 600, places["c"]),
    )


def test_slices_of_pods_that_declare_nothing_or_nothing_readable_and_warm_ones_have_no_end() -> None:
    """A12."""
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb"), pod("b", "1g.10gb", lasts="soon"))
    cluster.spec("n1", {at("1g.10gb", 6): "a", at("1g.10gb", 5): "b", at("1g.10gb", 4): ""})
    assert cluster.gpu().ends == ()
    assert cluster.index.view(1).specs["n1"].ends is NO_ENDS


def test_all_slices_of_a_pod_end_with_it() -> None:
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", "3g.40gb", lasts="60", started="2026-01-01T00:00:00Z", node="n1"))
    cluster.spec("n1", {at("1g.10gb", 6): "a", at("3g.40gb", 0): "a"})
    assert cluster.gpu().ends == ((START + 60, at("3g.40gb", 0)), (START + 60, at("1g.10gb", 6)))


@pytest.mark.parametrize("pods_first", [True, False])
def test_it_does_not_matter_which_watch_shows_its_part_first(*, pods_first: bool) -> None:
    """L11: a new leader lists Pods and MigSpecs side by side."""
    cluster = Cluster()
    running = pod("a", "1g.10gb", lasts="60", started="2026-01-01T00:00:00Z", node="n1")
    if pods_first:
        cluster.pods(running)
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    if not pods_first:
        assert cluster.gpu().ends == ()
        cluster.pods(running)
    assert cluster.gpu().ends == ((START + 60, at("1g.10gb", 6)),)


def test_a_lifetime_that_is_declared_later_changed_or_withdrawn_is_seen() -> None:
    cluster = Cluster()
    started = "2026-01-01T00:00:00Z"
    cluster.pods(pod("a", "1g.10gb", started=started, node="n1"))
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    seen = []
    for lasts in ("60", "2m", None, "soon"):
        cluster.pods(pod("a", "1g.10gb", lasts=lasts, started=started, node="n1"))
        seen.append([end - START for end, _ in cluster.gpu().ends])
    assert seen == [[60.0], [120.0], [], []]


def test_a_pod_that_is_gone_leaves_no_end_behind_even_before_its_claim_is_taken_away() -> None:
    """F4: neither does a claim that is gone, nor a MigSpec."""
    cluster = Cluster()
    running = pod("a", "1g.10gb", lasts="60", started="2026-01-01T00:00:00Z", node="n1")
    cluster.pods(running)
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    cluster.ends(running)
    assert cluster.gpu().ends == ()
    cluster.spec("n1", {at("1g.10gb", 6): ""})
    cluster.pods(running)
    assert cluster.gpu().ends == ()


def test_a_pod_made_anew_under_its_old_name_is_another_pod() -> None:
    """A9: the watch may show the new one in the place of the old."""
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="60", started="2026-01-01T00:00:00Z", node="n1"))
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    again = pod("a", "1g.10gb", lasts="2m")
    again["metadata"]["uid"] = "a-2"
    cluster.pods(again)
    assert cluster.gpu().ends == ()


def test_a_pod_that_moves_counts_anew_from_its_new_reservation() -> None:
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="60"))
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    cluster.spec("n1", {at("1g.10gb", 6): ""})
    cluster.now += 1000
    cluster.spec("n2", {at("1g.10gb", 5): "a"})
    assert cluster.gpu("n1").ends == ()
    assert cluster.gpu("n2").ends == ((START + 1060, at("1g.10gb", 5)),)


def test_a_pod_counts_from_its_reservation_through_all_later_changes_around_it() -> None:
    """F4: what is remembered of it does not grow with them."""
    cluster = Cluster()
    waiting = pod("a", "1g.10gb", lasts="60")
    cluster.pods(waiting)
    lifetimes, before = Lifetimes(wall=lambda: START), None
    for start in (5, 4, 3):
        cluster.spec("n1", {at("1g.10gb", 6): "a", at("1g.10gb", start): f"another-{start}"})
        cluster.now += 100
        after = cluster.index.view(1).specs["n1"].migspec
        lifetimes.spec_changed(before, after)
        before = after
    assert cluster.gpu().ends == ((START + 60, at("1g.10gb", 6)),)
    assert lifetimes.pod_changed(None, PodReader().read(waiting)) == ("n1",)


def test_claims_on_two_nodes_each_count_from_their_own_reservation_and_either_may_go_first() -> None:
    """L8: two leaders, or a lagging watch, can show this for a while."""
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="60"))
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    cluster.now += 100
    cluster.spec("n2", {at("1g.10gb", 6): "a"})
    assert [end for end, _ in cluster.gpu("n1").ends + cluster.gpu("n2").ends] == [START + 60, START + 160]
    cluster.spec("n2", {})
    cluster.pods(pod("a", "1g.10gb", lasts="90"))
    assert [end for end, _ in cluster.gpu("n1").ends] == [START + 90]


def test_a_broken_migspec_takes_its_ends_with_it_and_brings_them_back_when_it_is_mended() -> None:
    """A12, S5."""
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="60"))
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    broken = {"metadata": {"name": "n1", "uid": "n1", "resourceVersion": "broken"}, "spec": "?"}
    cluster.index.specs.watched(key_of(broken), read_spec(broken))
    cluster.pods(pod("a", "1g.10gb", lasts="90"))
    assert "n1" not in cluster.index.view(1).specs
    cluster.now += 7
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    assert cluster.gpu().ends == ((START + 7 + 90, at("1g.10gb", 6)),)


def test_time_going_by_reports_and_other_pods_change_no_end_and_no_view() -> None:
    """A round over thousands of nodes finds the very same objects where nothing happened."""
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="60"), pod("b", "1g.10gb", lasts="60"))
    cluster.spec("n1", {at("1g.10gb", 6): "a"})
    cluster.spec("n2", {at("1g.10gb", 6): "b"})
    before, ends = cluster.gpu(), cluster.gpu().ends
    cluster.now += 1000
    cluster.pods(pod("b", "1g.10gb", lasts="60", started="2026-01-01T00:00:05Z", node="n2"))
    cluster.pods(pod("c", "1g.10gb", lasts="60"))
    waiting = pod("a", "1g.10gb", lasts="60")
    waiting["metadata"]["resourceVersion"] = "a condition was written"
    cluster.pods(waiting)
    assert cluster.gpu() is before
    cluster.spec("n1", {at("1g.10gb", 6): "a"}, again=True)
    assert cluster.gpu().ends == ends
    assert cluster.gpu().state == before.state


def test_a_claim_that_follows_its_pod_to_another_slice_in_a_round_takes_the_end_along() -> None:
    """S7."""
    cluster = Cluster()
    cluster.pods(pod("a", "1g.10gb", lasts="60"))
    cluster.spec("n1", {at("1g.10gb", 6): "a", at("1g.10gb", 5): ""})
    tracked = cluster.index.view(1).specs["n1"]
    claim = tracked.slots["GPU-n1"][at("1g.10gb", 6)]
    (view,) = gpu_views(tracked, {"GPU-n1": {at("1g.10gb", 6): None, at("1g.10gb", 5): claim}})
    assert view.ends == ((START + 60, at("1g.10gb", 5)),)

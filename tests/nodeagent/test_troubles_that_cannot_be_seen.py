"""Unknown is not empty, for Events too: no trouble is told to be over because nobody can look."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from kube.events import ObjectRef
from mig.migspec import MigSpec, Spec, SpecGpu, SpecSlice
from nodeagent.kubelet.kubeletside import KubeletStatus
from nodeagent.kubelet.rivals import REMEDY
from nodeagent.state import GpuRecord, NodeState
from nodeagent.telling.announcing import Announcing
from nodeagent.trouble import Trouble
from nodeagent.values import DriverFacts
from tests.support.instances import placed
from tests.support.rack import Book, Rack

NO_DRIVER = Trouble("DriverUnavailable", "no library")
LOST = Trouble("GpuUnavailable", "it fell off the bus")
WELL = KubeletStatus(reachable=True, troubles=())
AWAY = KubeletStatus(reachable=False, troubles=("nobody listens on its socket",))
PLACE = placed("1g.10gb@0+1")


@dataclass
class Scene:
    """A node with one GPU that was read, a kubelet that answers, and the reasons of the Events since they were asked for."""

    state: NodeState
    kubelet: Book = field(default_factory=Book)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.announcing = Announcing(state=self.state, kubelet=self.kubelet, ledger_trouble=lambda: "", emit=self._emit)

    def _emit(self, regarding: ObjectRef, *, warning: bool = False, reason: str, action: str, note: str) -> None:
        assert all((regarding.name, action, note))
        self.told.append(f"{reason}{'!' if warning else ''}")

    def news(self) -> list[str]:
        """A warning ends with an exclamation mark."""
        self.announcing.tell()
        told, self.told = self.told, []
        return told


@pytest.fixture
def scene() -> Scene:
    rack = Rack(["GPU-a"])
    spec = Spec(1, (SpecGpu("GPU-a", (SpecSlice(PLACE.window, PLACE.profile),)),))
    state = NodeState("node", "boot", driver=DriverFacts("580.95.05", 1), migspec=MigSpec("node", "uid", 1, "1", spec))
    state.gpus[0] = GpuRecord(0, rack.gpu(0))
    made = Scene(state)
    assert made.news() == []
    return made


@pytest.mark.parametrize(
    ("trouble", "came", "over"),
    [
        (f"another plugin; {REMEDY}", "OtherDevicePlugin!", "DevicePluginAlone"),
        ("cannot publish the number", "KubeletTrouble!", "KubeletInOrder"),
    ],
)
def test_a_kubelet_that_is_away_ends_no_trouble_of_its_side(scene: Scene, trouble: str, came: str, over: str) -> None:
    """N3: it restarts while another plugin runs; the same is no news when it is back, and its end is told then."""
    troubled = KubeletStatus(reachable=True, troubles=(trouble,))
    for status, news in (
        (troubled, [came]),
        (AWAY, ["KubeletUnavailable!"]),
        (troubled, ["KubeletAvailable"]),
        (AWAY, ["KubeletUnavailable!"]),
        (WELL, ["KubeletAvailable", over]),
    ):
        scene.kubelet.status = status
        assert sorted(scene.news()) == sorted(news)


def gpu_lost(state: NodeState) -> None:
    state.gpus[0].trouble = LOST


def may_not(state: NodeState) -> None:
    state.gpus[0].denied = Trouble("NoPermission", "it may not")


def bad_spec(state: NodeState) -> None:
    state.gpus[0].fault = "no such profile"


def other_gpu(state: NodeState) -> None:
    assert state.migspec is not None
    spec = Spec(1, (SpecGpu("GPU-b", (SpecSlice(PLACE.window, PLACE.profile),)),))
    state.migspec = MigSpec("node", "uid", 1, "1", spec)


@pytest.mark.parametrize(
    ("harm", "came", "over"),
    [
        (gpu_lost, "GpuUnavailable!", "GpuAvailable"),
        (may_not, "NoPermission!", "Permitted"),
        (bad_spec, "InvalidSpec!", "SpecAccepted"),
        (other_gpu, "UnknownGpu!", "SpecAccepted"),
    ],
)
def test_a_driver_that_is_away_ends_no_trouble_of_a_gpu(
    scene: Scene, harm: Callable[[NodeState], None], came: str, over: str
) -> None:
    """N4: nor does one that is back, before it was asked; then, all at once, what is over is told."""
    state, migspec = scene.state, scene.state.migspec
    read = state.gpus[0].gpu
    harm(state)
    assert scene.news() == [came]
    harmed = state.gpus.pop(0)
    state.driver_trouble = NO_DRIVER
    assert scene.news() == ["DriverUnavailable!"]
    state.driver_trouble = None
    assert scene.news() == ["DriverAvailable"]
    state.gpus[0] = GpuRecord(0)
    assert scene.news() == []
    state.gpus[0] = harmed
    assert scene.news() == []
    state.gpus[0], state.migspec = GpuRecord(0, read), migspec
    assert scene.news() == [over]


def test_a_gpu_that_cannot_be_read_accepts_no_spec(scene: Scene) -> None:
    """Neither its own part nor, since it might be the very one, that of a GPU which is not here."""
    bad_spec(scene.state)
    other_gpu(scene.state)
    assert scene.news() == ["InvalidSpec!", "UnknownGpu!"]
    scene.state.gpus[0] = GpuRecord(0, trouble=LOST)
    assert scene.news() == ["GpuUnavailable!"]

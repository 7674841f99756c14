"""The picture shows each slice at its place, with its holder."""

from rich.console import Console, RenderableType

from demo.picture import gpus_picture, pods_table, summary
from demo.timeline import Timeline
from mig.migspec import Holder, MigMode, MigSpec, SliceState, Spec, Status, StatusGpu, StatusSlice
from mig.placements import Window
from mig.profiles import parse_profile


def drawn(picture: RenderableType) -> list[str]:
    console = Console(width=120, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(picture)
    return captured.get().splitlines()


def node(*slices: StatusSlice, mode: MigMode = MigMode.ENABLED) -> dict[str, MigSpec]:
    gpu = StatusGpu("G", 0, "NVIDIA A100", mode, 8, (), slices)
    return {"n1": MigSpec("n1", "u", 1, "1", Spec(1), Status(1, gpus=(gpu,)))}


def test_a_slice_stands_over_the_cells_that_it_covers() -> None:
    large = StatusSlice(Window(4, 4), parse_profile("3g.40gb"), SliceState.USED, "MIG-1", holder=Holder("d", "train-0"))
    heading, bar = drawn(gpus_picture(node(large)))
    assert "NVIDIA A100" in heading
    assert bar[2 : 2 + 36].split() == ["·"] * 4
    assert bar[2 + 36 :].strip() == "3g.40gb train-0"


def test_a_gpu_without_mig_mode_is_said_to_be_left_alone() -> None:
    assert "left alone" in drawn(gpus_picture(node(mode=MigMode.DISABLED)))[0]


def test_before_any_report_it_says_so() -> None:
    assert drawn(gpus_picture({})) == ["no GPU reported yet"]


def test_nobody_is_nothing() -> None:
    assert summary(Timeline()) == "0 of 0 Pods run"
    assert "POD" in drawn(pods_table([]))[0]

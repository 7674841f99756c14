"""A GPU that its agent reports in trouble gets nothing new; what lies there stays, and the other GPUs go on (N5, N7)."""

from tests.allocator.world import World, world

LOST = "GPU 0: the GPU fell off the bus: reboot the node or replace the GPU"
FIRST, SECOND = "GPU-1-0", "GPU-1-1"


def gpus_of(w: World, uid: str) -> list[str]:
    """The GPUs on which a Pod has claims."""
    return [gpu for _, gpu, _, _ in w.claims(uid)]


def test_nothing_new_is_placed_on_a_gpu_in_trouble() -> None:
    """N5: room on it is no room, though its shape would be the better place; the well GPU is used."""
    with world(gpus=2) as w:
        first = w.add_pod("first", "1g.10gb")
        w.run()
        (ill,) = gpus_of(w, first)
        well = SECOND if ill == FIRST else FIRST
        w.machines["n1"].ill[ill] = LOST
        w.machines["n1"].report()
        uids = [w.add_pod(f"p{n}", "1g.10gb") for n in range(3)]
        w.run()
        assert {gpu for uid in uids for gpu in gpus_of(w, uid)} == {well}
        assert gpus_of(w, first) == [ill]


def test_a_warm_slice_of_a_gpu_in_trouble_is_not_reused() -> None:
    """N5: it would be the quickest, and no container could start on it."""
    with world(gpus=2) as w:
        first = w.add_pod("first", "2g.20gb")
        w.run()
        (ill,) = gpus_of(w, first)
        w.delete_pod("first")
        w.run()
        w.machines["n1"].ill[ill] = LOST
        w.machines["n1"].report()
        second = w.add_pod("second", "2g.20gb")
        w.run()
        assert gpus_of(w, second) not in ([], [ill])
        assert w.bound_to("second") == "n1"


def test_a_pod_that_only_a_gpu_in_trouble_could_serve_is_told_so_and_served_later() -> None:
    """N5: the profile exists, so the reason is not `NoSuchProfile`; the message names GPU and trouble."""
    with world() as w:
        w.machines["n1"].ill[FIRST] = LOST
        w.machines["n1"].report()
        w.add_pod("waits", "1g.10gb")
        w.run(seconds=1.0)
        said = w.condition("waits")
        assert said["reason"] == "Full"
        assert f"left out: {FIRST} ({LOST})" in said["message"]
        assert not w.claims()
        w.machines["n1"].ill.clear()
        w.run()
        assert w.bound_to("waits") == "n1"


def test_a_slice_still_to_be_made_on_a_gpu_that_hangs_is_made_on_another() -> None:
    """N7: one stuck GPU delays nobody whom another can serve; the node is not shunned for it."""
    with world(gpus=2) as w:
        uid = w.add_pod("moved", "3g.40gb")
        w.round()
        (ill,) = gpus_of(w, uid)
        w.machines["n1"].ill[ill] = "GPU 0: the driver did not answer within 30 s"
        w.run()
        assert gpus_of(w, uid) not in ([], [ill])
        assert w.bound_to("moved") == "n1"


def test_without_another_place_a_reservation_on_a_gpu_that_hangs_stays() -> None:
    """N7: the call may still return; nothing is given up for nothing."""
    with world() as w:
        uid = w.add_pod("stays", "3g.40gb")
        w.round()
        w.machines["n1"].ill[FIRST] = "GPU 0: the driver did not answer within 30 s"
        w.run(seconds=1.0)
        assert gpus_of(w, uid) == [FIRST]
        said = w.condition("stays")
        assert said["reason"] == "Creating"
        assert "on a GPU in trouble: GPU 0: the driver did not answer" in said["message"]
        w.machines["n1"].ill.clear()
        w.run()
        assert w.bound_to("stays") == "n1"


def test_a_gpu_that_is_well_again_is_used_at_once() -> None:
    """N5: that slices failed on it while it was lost is no reason to avoid their places afterwards."""
    with world() as w:
        w.add_pod("patient", "7g.80gb")
        w.round()
        machine = w.machines["n1"]
        machine.ill[FIRST], machine.lost = LOST, {FIRST}
        w.run(seconds=0.5)
        assert not w.claims()
        assert f"left out: {FIRST}" in w.condition("patient")["message"]
        machine.ill.clear()
        machine.lost.clear()
        w.run(seconds=0.0)
        assert w.bound_to("patient") == "n1"


def swap(w: World, new: str) -> None:
    """Another GPU in the place of the only one; what lay on that is gone, and its Pods' devices with it."""
    machine = w.machines["n1"]
    machine.gpus = (new,)
    machine.instances = {new: {}}
    machine.devices = {}


def test_a_gpu_that_was_swapped_is_named_no_more_and_the_new_one_is_used() -> None:
    """S6: warm slices of the old one do not linger in the spec."""
    with world() as w:
        w.add_pod("done", "1g.10gb")
        w.run()
        w.delete_pod("done")
        w.run()
        swap(w, "GPU-new")
        uid = w.add_pod("next", "1g.10gb")
        w.run()
        assert [gpu.uuid for gpu in w.migspec("n1").spec.gpus] == ["GPU-new"]
        assert gpus_of(w, uid) == ["GPU-new"]
        assert w.bound_to("next") == "n1"


def test_a_claim_on_a_gpu_that_is_gone_stays_until_its_pod_ends() -> None:
    """S6: whether that Pod still computes is for the kubelet to say; its claim is no one else's."""
    with world() as w:
        uid = w.add_pod("runs", "1g.10gb")
        w.run()
        w.machines["n1"].gpus = ("GPU-new",)
        w.machines["n1"].instances["GPU-new"] = {}
        w.run()
        assert gpus_of(w, uid) == [FIRST]
        w.delete_pod("runs")
        w.run()
        assert [gpu.uuid for gpu in w.migspec("n1").spec.gpus] == ["GPU-new"]


def test_a_gpu_that_comes_back_is_taken_on_with_what_lies_on_it() -> None:
    """S6, N5: not naming it while it was away has lost nothing."""
    with world(gpus=2) as w:
        w.add_pod("done", "1g.10gb")
        w.run()
        w.delete_pod("done")
        w.run()
        machine = w.machines["n1"]
        both = machine.gpus
        ((warm, there),) = [(gpu.uuid, gpu.slices) for gpu in w.migspec("n1").spec.gpus if gpu.slices]
        machine.gpus = tuple(gpu for gpu in both if gpu != warm)
        w.run()
        assert [gpu.uuid for gpu in w.migspec("n1").spec.gpus] == list(machine.gpus)
        machine.gpus = both
        w.run()
        assert w.slices("n1") == [item.placed for item in there]
        assert machine.destroyed == 0

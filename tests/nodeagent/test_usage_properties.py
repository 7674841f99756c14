"""Random histories of usage: a slice that a living Pod holds is never called free."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mig.profiles import parse_profile
from nodeagent.kubelet.podresources import Assignment
from nodeagent.pods import PodView
from nodeagent.use.usage import Memory, Offered, Sight, judge

PROFILE = parse_profile("1g.10gb")
DEVICES = [Offered(f"MIG-{number}", PROFILE) for number in range(3)]


class World:
    """A kubelet, Pods and processes as they really are; and the agent's view of them, which may lack answers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made = 0
        self.pods: dict[str, PodView] = {}
        self.holds: dict[str, str] = {}
        """Device → uid of the Pod that the kubelet gave it."""
        self.dying: set[str] = set()
        """Devices on which containers of a Pod that is gone still compute."""
        self.handed_out: dict[str, float] = {}
        self.memory = Memory()

    def busy(self) -> set[str]:
        """What must not be called free."""
        alive = {device for device, uid in self.holds.items() if uid in self.pods and not self.pods[uid].finished}
        return alive | self.dying

    def start_pod(self, device: str) -> None:
        """The kubelet gives a device that nobody has to a new Pod."""
        self.made += 1
        pod = PodView("default", f"pod-{self.made}", f"uid-{self.made}", ((PROFILE, 1),))
        self.pods[pod.uid] = pod
        self.holds[device] = pod.uid
        self.handed_out[device] = self.now

    def look(self, *, kubelet: bool, driver: bool) -> None:
        """The agent judges from what it gets to see."""
        assignments = tuple(
            Assignment("default", self.pods[uid].name, "c", PROFILE.resource, device)
            for device, uid in self.holds.items()
            if uid in self.pods
        )
        pids = {each.device_id: (1,) if each.device_id in self.dying else () for each in DEVICES}
        judged = judge(
            DEVICES,
            Sight(
                now=self.now,
                asked_at=self.now,
                pods=tuple(self.pods.values()),
                assignments=assignments if kubelet else None,
                handed_out=dict(self.handed_out),
                pids=pids if driver else dict.fromkeys(pids),
            ),
            self.memory,
        )
        self.memory = judged.memory
        for device in judged.released:
            del self.handed_out[device]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_is_in_use_is_never_called_free(data: st.DataObject) -> None:
    """Over starts, ends, force-deletions, and readings that fail."""
    world = World()
    for _ in range(data.draw(st.integers(1, 25))):
        world.now += data.draw(st.sampled_from([0.01, 0.5, 4.0, 40.0]))
        step = data.draw(st.sampled_from(["start", "finish", "force-delete", "silence", "look"]))
        held = sorted(device for device in world.holds if world.holds[device] in world.pods)
        free = sorted({each.device_id for each in DEVICES} - world.busy() - set(held))
        if step == "start" and free:
            world.start_pod(data.draw(st.sampled_from(free)))
        elif step == "finish" and held:
            uid = world.holds.pop(data.draw(st.sampled_from(held)))
            del world.pods[uid]
        elif step == "force-delete" and held:
            device = data.draw(st.sampled_from(held))
            world.look(kubelet=True, driver=True)
            del world.pods[world.holds.pop(device)]
            world.dying.add(device)
        elif step == "silence":
            world.dying.clear()
        world.look(kubelet=data.draw(st.booleans()), driver=data.draw(st.booleans()))
        assert world.busy() <= set(world.memory.uses)
    world.dying.clear()
    world.pods.clear()
    world.now += 60
    world.look(kubelet=True, driver=True)
    assert not world.memory.uses
    assert not world.handed_out

"""An engine that has followed a fleet for long answers as one that was made this moment."""

from dataclasses import replace
from itertools import count

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from allocator.placement.durations import Scale
from allocator.placement.engine import Engine
from allocator.placement.fleet import NodeView, Requirement, Resources, Taint, Toleration, Wish
from allocator.placement.mix import Mix
from allocator.placement.placement import Placement, taken
from allocator.placement.policy import Policy
from mig.geometries import ANYTHING
from tests.placement.fleets import GEOMETRIES, MIXES, MODELS, POLICIES, WHOLE, gpus, node, offered, shown, wish

ZONE, HOST = "zone", "kubernetes.io/hostname"
NAMES = ("n0", "n1", "n2", "n3")
STEPS = ("node", "node", "node", "gone", "trouble", "geometries", "avoid", "mix", "take", "ask", "same")
TAINT = Taint("team", "red", "NoSchedule")


@st.composite
def nodes(draw: st.DrawFn, name: str, born: "count[int]") -> NodeView:
    """One node, with anything that tells nodes apart."""
    views = tuple(draw(gpus(MODELS, f"GPU-{next(born)}")) for _ in range(draw(st.integers(0, 2))))
    labels = {HOST: name} | draw(st.sampled_from(({}, {ZONE: "a"}, {ZONE: "b"})))
    made = node(name, *views, labels=labels, free=replace(WHOLE, milli_cpu=draw(st.sampled_from((8000, 4000, 100)))))
    facts = replace(
        made.facts,
        taints=(TAINT,) if draw(st.integers(0, 3)) == 0 else (),
        ready=draw(st.integers(0, 5)) > 0,
        cordoned=draw(st.integers(0, 5)) == 0,
    )
    return replace(made, facts=facts, trouble="whose agent is away" if draw(st.integers(0, 7)) == 0 else "")


@st.composite
def wishes(draw: st.DrawFn, fleet: tuple[NodeView, ...]) -> Wish:
    """A Pod of one to three slices, with demands on its node now and then."""
    there = offered(fleet)
    names = draw(st.lists(st.sampled_from(there), min_size=1, max_size=3)) if there else ["1g.10gb"]
    requirement = st.sampled_from(
        (
            Requirement(ZONE, "In", ("a",)),
            Requirement(ZONE, "DoesNotExist", ()),
            Requirement("metadata.name", "In", ("n1",), on_field=True),
            Requirement(HOST, "NotIn", ("n0",)),
        )
    )
    return replace(
        wish(*names),
        node_selector=draw(st.sampled_from(({}, {}, {ZONE: "a"}, {HOST: "n1"}, {"nobody": "has"}))),
        affinity=draw(st.none() | st.lists(st.lists(requirement, max_size=2).map(tuple), max_size=2).map(tuple)),
        tolerations=draw(st.sampled_from(((), (Toleration("team", "Exists", "", ""),)))),
        requests=Resources(milli_cpu=draw(st.sampled_from((0, 500))), pods=1),
        lasts=draw(st.sampled_from((None, None, 60.0, 4000.0))),
    )


class Story:
    """A fleet that changes, an engine that follows it, and all that a new one would be told."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.born: count[int] = count()
        self.policy: Policy = data.draw(st.sampled_from(POLICIES))
        self.mix: Mix = data.draw(st.sampled_from(MIXES))
        self.scale, self.now = Scale(), 0.0
        self.geometries = ANYTHING
        self.avoid: frozenset[tuple[str, str, int]] = frozenset()
        self.fleet: dict[str, NodeView] = {}
        self.engine = Engine(self.policy, mix=self.mix)

    def step(self) -> None:
        """Anything that happens to a fleet, each node told anew or as it was."""
        draw = self.data.draw
        step = draw(
            st.sampled_from(
                ("node", "node", "node", "gone", "trouble", "geometries", "avoid", "mix", "take", "ask", "same")
            )
        )
        name = draw(st.sampled_from(NAMES))
        if step == "node":
            self.fleet[name] = draw(nodes(name, self.born))
        elif step == "gone":
            self.fleet.pop(name, None)
        elif step == "trouble" and name in self.fleet:
            self.fleet[name] = self._ill(self.fleet[name])
        elif step == "geometries":
            self.geometries = draw(st.sampled_from(GEOMETRIES))
        elif step == "avoid":
            places = [(view.name, gpu.uuid) for view in self.fleet.values() for gpu in view.gpus]
            some = draw(st.lists(st.sampled_from(places), max_size=3)) if places else []
            self.avoid = frozenset((here, uuid, draw(st.integers(0, 6))) for here, uuid in some)
        elif step == "mix":
            self.mix, self.now = draw(st.sampled_from(MIXES)), self.now + 50.0
            self.scale = self.scale.after(draw(st.sampled_from((30.0, 900.0))))
        elif step == "take":
            self.take()
        elif step == "ask":
            self.engine.find(draw(wishes(tuple(self.fleet.values()))))
        elif step == "same":
            self.fleet = {
                known: replace(view, gpus=tuple(map(replace, view.gpus))) for known, view in self.fleet.items()
            }

    def _ill(self, view: NodeView) -> NodeView:
        words = self.data.draw(st.sampled_from(("", "XID 79")))
        return replace(view, gpus=tuple(replace(gpu, trouble=words) for gpu in view.gpus))

    def take(self) -> None:
        """A Pod comes and is placed."""
        self.told()
        asked = self.data.draw(wishes(tuple(self.fleet.values())))
        found = self.engine.find(asked)
        if isinstance(found, Placement):
            self.engine.take(asked, found)
            end = None if asked.lasts is None else self.now + asked.lasts
            self.fleet[found.node] = taken(self.fleet[found.node], found, asked, end=end)
            assert self.engine.view(found.node) == self.fleet[found.node]

    def told(self) -> None:
        """What a round begins with."""
        self.engine.follow(self.mix, self.scale, now=self.now)
        views = self.data.draw(st.permutations(list(self.fleet.values())))
        self.engine.sync(views, geometries=self.geometries, avoid=self.avoid)

    def fresh(self) -> Engine:
        """One that knows nothing but the present."""
        made = Engine(self.policy, mix=self.mix)
        made.follow(self.mix, self.scale, now=self.now)
        made.sync(self.fleet.values(), geometries=self.geometries, avoid=self.avoid)
        return made

    def __repr__(self) -> str:
        """What is there now."""
        return f"{shown(self.fleet.values())}; {self.geometries}, avoiding {sorted(self.avoid)}"


# A story that fails is as long as it is, since to shorten it takes minutes.
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=150, phases=QUICK, report_multiple_bugs=False)
@given(st.data())
def test_any_way_leads_to_the_answers_of_a_fresh_engine(data: st.DataObject) -> None:
    """Placements, refusals with their words, and who stands where."""
    story = Story(data)
    for _ in range(data.draw(st.integers(1, 9))):
        story.step()
        if data.draw(st.booleans()):
            story.told()
    story.told()
    fresh = story.fresh()
    for _ in range(4):
        asked = data.draw(wishes(tuple(story.fleet.values())))
        assert story.engine.place(asked) == fresh.place(asked), story
    assert {view.name: view for view in story.engine.views} == story.fleet


@settings(max_examples=60, phases=QUICK, report_multiple_bugs=False)
@given(st.data())
def test_taking_and_telling_come_to_the_same(data: st.DataObject) -> None:
    """One Pod after the other between two rounds, as in the next round: the fleet is the same and so is the next answer."""
    story = Story(data)
    for name in NAMES[:2]:
        story.fleet[name] = data.draw(nodes(name, story.born))
    story.told()
    for _ in range(4):
        story.take()
    asked = data.draw(wishes(tuple(story.fleet.values())))
    assert story.engine.place(asked) == story.fresh().place(asked), story

"""What the user asked of the demo, as a value."""

from dataclasses import dataclass

from demo.plan import NodePlan, fleet_plan


@dataclass(frozen=True, slots=True)
class Options:
    """Size and kind of the fleet."""

    nodes: int
    gpus: int
    models: tuple[str, ...]
    latencies: bool

    def plans(self) -> list[NodePlan]:
        """The fleet."""
        return fleet_plan(nodes=self.nodes, gpus=self.gpus, models=self.models, latencies=self.latencies)

    def words(self) -> list[str]:
        """The same as command-line options."""
        latencies = "--latencies" if self.latencies else "--no-latencies"
        return ["--nodes", str(self.nodes), "--gpus", str(self.gpus), "--models", ",".join(self.models), latencies]

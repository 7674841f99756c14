"""The console script `nos-mig`: one word picks the component, the rest are that component's own options.

Only the chosen component is imported, so that a webhook carries no NVML and an agent no demo.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final, Protocol, cast


class Component(Protocol):
    """What a component's `main` module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""

    def run(self, args: argparse.Namespace) -> int:
        """Run until told to stop; the exit status."""


COMPONENTS: Final = {
    "webhook": ("webhook.main", "admit Pods: one MIG device a container, gate, label, annotation"),
    "allocator": ("allocator.main", "reserve slices and ungate Pods; one leads, others stand by"),
    "nodeagent": ("nodeagent.main", "make one node's hardware what its MigSpec says"),
    "explain": ("allocator.explaining.main", "where a Pod's slices would go, or are, and why; or why it gets none"),
    "inspect": ("nodeagent.inspection.main", "what driver, spec, status, ledger and kubelet each say of this node"),
    "demo": ("demo.main", "a real control plane on this machine, simulated GPUs, Pods that get their slices"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nos-mig WORD …`; the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0 if words else 2
    if words[0] not in COMPONENTS:
        print(f"nos-mig: {words[0]!r} is no component; one of {', '.join(COMPONENTS)}", file=sys.stderr)
        return 2
    module, summary = COMPONENTS[words[0]]
    component = cast(Component, importlib.import_module(module))
    parser = argparse.ArgumentParser(prog=f"nos-mig {words[0]}", description=summary)
    component.add_arguments(parser)
    return component.run(parser.parse_args(words[1:]))


def _usage() -> str:
    lines = [f"  {name:<10} {summary}" for name, (_, summary) in COMPONENTS.items()]
    return "\n".join(
        ["usage: nos-mig COMPONENT [options]", "", *lines, "", "nos-mig COMPONENT --help shows a component's options."]
    )


if __name__ == "__main__":
    sys.exit(main())

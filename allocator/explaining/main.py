"""`nos-mig explain POD`: reads the cluster once, asks the allocator's own engine, and says what it would decide and why.

Read only. It needs get and list of pods, nodes, configmaps, leases and migspecs.nos.nebuly.com, and none of our processes running.
0: there is an answer; 1: there is no such Pod; 2: the cluster could not be read, or the options are wrong.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from allocator.explaining.case import case_of
from allocator.explaining.words import as_json, as_text
from allocator.onlook import OnlookError, look_on, onlooker
from allocator.placement.engine import Engine
from allocator.pods import FINISHED, MigPod, PodReader
from kube.client import Api
from kube.errors import ApiError, ConfigError, NotFound
from kube.resource import PODS

USER_ERRORS: Final = (OnlookError, ApiError, ConfigError, OSError)
"""Said in a line, without a traceback."""


class NoPod(Exception):
    """There is no Pod of that name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("pod", type=_pod_name, metavar="POD", help="the Pod's name")
    add("-n", "--namespace", default="default", metavar="NAME", help="the Pod's (default: %(default)s)")
    add("-o", "--output", choices=("text", "json"), default="text", help="default: %(default)s")
    add("--kubeconfig", type=Path, metavar="FILE", help="how to reach the API server (default: as the allocator does)")
    add(
        "--release-namespace",
        default="",
        metavar="NAME",
        help="where nos-mig is installed (default: looked for, which needs the right to list configmaps everywhere)",
    )


def _pod_name(text: str) -> str:
    kind, _, name = text.rpartition("/")
    if kind not in ("", "pod", "pods", "po") or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is no Pod; give the name of one of its Pods")
    return name


def run(args: argparse.Namespace) -> int:
    """Look, explain, print; the exit status."""
    try:
        lines = asyncio.run(_explained(args))
    except NoPod as error:
        print(f"nos-mig explain: {error}", file=sys.stderr)
        return 1
    except USER_ERRORS as error:
        print(f"nos-mig explain: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print("\n".join(lines))
    return 0


async def _explained(args: argparse.Namespace) -> Iterable[str]:
    async with onlooker(args.kubeconfig, command="explain") as api:
        pod = await _read(api, args.pod, namespace=args.namespace)
        if not isinstance(pod, MigPod):
            state, words = pod
            name = {"namespace": args.namespace, "name": args.pod}
            return _shown(args, {"pod": name, "state": state}, [f"{args.namespace}/{args.pod} {words}"])
        seen = await look_on(api, namespace=args.release_namespace)
    if pod.uid not in seen.view.pods:
        raise NoPod(f"the Pod {args.namespace}/{args.pod} ended or was deleted while the cluster was read")
    engine = Engine(mix=seen.learning.mix)
    engine.follow(seen.learning.mix, seen.learning.scale, now=time.time())
    case = case_of(seen.view, pod.uid, engine=engine)
    return _shown(args, as_json(case, seen.notes), as_text(case, seen.notes))


async def _read(api: Api, name: str, *, namespace: str) -> MigPod | tuple[str, str]:
    """The Pod, or what it is instead of one that slices are decided for: in a word and in words."""
    try:
        obj = await api.get(PODS, name, namespace=namespace)
    except NotFound as error:
        raise NoPod(f"there is no Pod {name} in the namespace {namespace}") from error
    if (obj.get("status") or {}).get("phase") in FINISHED:
        return "finished", "has finished; it holds no slice"
    pod = PodReader().read(obj)
    return pod if isinstance(pod, MigPod) else ("plain", "asks for no MIG slice; nos-mig leaves it alone")


def _shown(args: argparse.Namespace, document: Mapping[str, Any], text: Iterable[str]) -> Iterable[str]:
    return [json.dumps(document, indent=2)] if args.output == "json" else list(text)

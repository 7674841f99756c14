"""F1: for any Pod, sound or not, the verdict is the reference's, the patch is idempotent, and nothing raises."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mig.names import ALLOCATION_ANNOTATION, GATE, POD_LABEL, REQUEST_ANNOTATION
from tests.support.admission import ONE, TWO, container, pod, request
from tests.support.patches import json_patch
from tests.webhook.reference import expected
from webhook.verdict import Allowed, verdict

EXAMPLES = settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
QUANTITIES = (
    st.sampled_from(
        ["1", "0", "2", 1, 0, "1000m", "1e0", "0.5", "-1", "-0", "1 ", "abc", "1e400", "1.", ".0", "1n", "0Ki", None]
    )
    | st.integers(-2, 3)
    | st.from_regex(r"\A[+-]?[0-9]{0,3}\.?[0-9]{0,3}(|m|k|Ki|e[+-]?[0-9]{1,2})\Z")
    | ANY_JSON
)
RESOURCES = st.sampled_from(
    [
        ONE,
        TWO,
        "nvidia.com/mig-1g.10gb.me",
        "nvidia.com/mig-2g.24gb-me",
        "nvidia.com/mig-1g.24gb.me.all",
        "nvidia.com/gpu",
        "cpu",
        "nvidia.com/mig-x",
        "nvidia.com/mig-0g.10gb",
        "nvidia.com/mig-1g.010gb",
        "nvidia.com/mig-1g.10gb+me",
        "nvidia.com/mig-",
    ]
)
AMOUNTS = st.dictionaries(RESOURCES, QUANTITIES, max_size=3)
SOUND_AMOUNTS = st.dictionaries(
    st.sampled_from([ONE, TWO, "cpu", "nvidia.com/gpu"]), st.sampled_from(["1", "0"]), max_size=2
)
ENV = st.lists(st.fixed_dictionaries({"name": st.sampled_from(["PATH", "NVIDIA_VISIBLE_DEVICES"])}), max_size=1)
NAMES = st.sampled_from(["a", "b", "c", "main", "log", "load"])
ODD_CONTAINERS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "resources": st.fixed_dictionaries(
            {}, optional={"limits": SOUND_AMOUNTS | AMOUNTS, "requests": SOUND_AMOUNTS | AMOUNTS}
        ),
        "env": ENV,
        "restartPolicy": st.just("Always"),
    },
)
ONE_DEVICE = RESOURCES.map(lambda resource: {"limits": {resource: "1"}})
SOUND_CONTAINERS = st.fixed_dictionaries(
    {"name": NAMES}, optional={"resources": ONE_DEVICE, "restartPolicy": st.just("Always")}
)
CONTAINERS = st.lists(SOUND_CONTAINERS, max_size=3, unique_by=lambda one: str(one["name"])) | st.lists(
    ODD_CONTAINERS, max_size=3
)
ANNOTATIONS = st.dictionaries(
    st.sampled_from(["a/b", "~", REQUEST_ANNOTATION, ALLOCATION_ANNOTATION, "kubernetes.io/config.mirror"]),
    st.text(max_size=3),
    max_size=2,
)
ODD_PODS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "annotations": st.none() | ANNOTATIONS | st.just({}),
                "labels": st.none()
                | st.dictionaries(st.sampled_from([POD_LABEL, "app"]), st.sampled_from(["true", "x"])),
            },
        ),
        "spec": st.fixed_dictionaries(
            {"containers": CONTAINERS},
            optional={
                "initContainers": st.none() | CONTAINERS,
                "schedulingGates": st.none()
                | st.lists(st.sampled_from([{"name": GATE}, {"name": "other"}]), max_size=2),
                "nodeName": st.sampled_from(["", "n"]),
            },
        ),
    },
)
PROFILES = st.sampled_from(
    [ONE, TWO, "nvidia.com/mig-1g.10gb.me", "nvidia.com/mig-2g.24gb-me", "nvidia.com/mig-1g.24gb.me.all"]
)
ONE_AND_REQUEST = st.tuples(st.sampled_from(["0", "1"]), st.sampled_from(["0", "1", "1000m", None])).map(
    lambda pair: {"limits": {ONE: pair[0]}, "requests": {} if pair[1] is None else {ONE: pair[1]}}
)
ASKING = st.fixed_dictionaries(
    {"name": NAMES, "resources": PROFILES.map(lambda resource: {"limits": {resource: "1"}}) | ONE_AND_REQUEST},
    optional={"restartPolicy": st.just("Always")},
)
SOUND_PODS = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {}, optional={"annotations": st.dictionaries(st.text(), st.text(), max_size=2)}
        ),
        "spec": st.lists(ASKING, min_size=1, max_size=4, unique_by=lambda one: str(one["name"])).flatmap(
            lambda found: st.integers(0, len(found)).map(
                lambda cut: {"initContainers": found[:cut], "containers": found[cut:]}
            )
        ),
    }
)
PODS = SOUND_PODS | ODD_PODS


def replaced(document: Any, path: list[int], value: Any) -> Any:
    """Put `value` where the path leads, so that any part of a sound Pod may be of any shape."""
    if not path or not isinstance(document, dict | list) or not document:
        return value
    document = copy.copy(document)
    key: Any = path[0] % len(document) if isinstance(document, list) else sorted(document)[path[0] % len(document)]
    document[key] = replaced(document[key], path[1:], value)
    return document


@EXAMPLES
@given(PODS)
@example(pod(container("main", {ONE: "1"})))
@example(pod(container("main", {ONE: "1"}), container("log", {TWO: "1"})))
@example(pod(container("main", {ONE: "-0"})))
def test_a_pod_is_judged_as_the_reference_judges_it(sent: dict[str, Any]) -> None:
    """W1 to W8, W14, W16, W20, W21."""
    before = copy.deepcopy(sent)
    judged, wanted = verdict(request(sent)), expected(sent)
    assert sent == before
    assert isinstance(judged, Allowed) == (wanted is not None), judged
    if not isinstance(judged, Allowed):
        return
    stored = json_patch(sent, judged.patch)
    if not wanted:
        assert stored == sent
        return
    assert json.loads(stored["metadata"]["annotations"][REQUEST_ANNOTATION]) == wanted
    assert stored["metadata"]["labels"][POD_LABEL] == "true"
    assert GATE in [gate["name"] for gate in stored["spec"]["schedulingGates"]]
    assert verdict(request(stored)) == Allowed()


@EXAMPLES
@given(PODS, st.lists(st.integers(0, 7), max_size=6), ANY_JSON)
def test_a_pod_with_anything_anywhere_gets_a_verdict(sent: dict[str, Any], path: list[int], value: Any) -> None:
    """W11, W13: any JSON in any place; what is allowed can be patched, and its patch is idempotent."""
    broken = replaced(sent, path, value)
    judged = verdict(request(broken))
    if isinstance(judged, Allowed) and judged.patch:
        assert verdict(request(json_patch(broken, judged.patch))) == Allowed()


@EXAMPLES
@given(st.dictionaries(st.sampled_from(["uid", "kind", "operation", "object", "subResource", "dryRun"]), ANY_JSON))
def test_a_request_with_anything_in_it_gets_a_verdict(asked: dict[str, Any]) -> None:
    """W11."""
    verdict({**request(pod(container("main", {ONE: "1"}))), **asked})

"""A Pod that was given another plugin's slice, or one that is lost by now, has what it asked for: nobody waits for it."""

import pytest

from mig.profiles import parse_profile
from nodeagent.kubelet.podresources import Assignment
from nodeagent.pods import PodView, pod_from_json
from nodeagent.use.usage import Memory, Offered, Sight, judge

SMALL = parse_profile("1g.10gb")
POD = PodView("default", "train", "uid-1", needs=((SMALL, 1),))


def unserved(*assigned: str, resource: str = SMALL.resource, answered: bool = True) -> bool:
    """Whether a Pod is said to lack a slice when PodResources lists these ids for it."""
    listed = tuple(Assignment("default", "train", "main", resource, device_id) for device_id in assigned)
    sight = Sight(now=10.0, asked_at=9.9, pods=(POD,), assignments=listed if answered else None, handed_out={})
    return SMALL in judge([Offered("MIG-ours", SMALL)], sight, Memory()).unserved


def test_a_pod_without_any_device_lacks_one() -> None:
    """Also while PodResources does not answer."""
    assert unserved()
    assert unserved(answered=False)


@pytest.mark.parametrize("device_id", ["MIG-ours", "MIG-foreign"])
def test_a_pod_with_a_device_lacks_none(device_id: str) -> None:
    """Whosever it is."""
    assert not unserved(device_id)


def test_a_device_of_another_profile_is_none_of_this() -> None:
    assert unserved("MIG-foreign", resource=parse_profile("3g.40gb").resource)


def test_the_kubelet_has_taken_a_pod_on_when_it_gave_it_a_start_time() -> None:
    """It does so after it has allocated every device of it, or refused the Pod."""
    pod = {"metadata": {"namespace": "default", "name": "p", "uid": "u"}, "spec": {"containers": []}}
    assert not pod_from_json({**pod, "status": {"phase": "Pending"}}).admitted
    assert pod_from_json({**pod, "status": {"phase": "Pending", "startTime": "2026-01-01T00:00:00Z"}}).admitted

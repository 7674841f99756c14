"""At debug level each decision is one line with its reason; at any other level nobody pays for it."""

import logging

import pytest

from runtime.logs import fields_of
from tests.allocator.world import world

LOGGER = "allocator.waiting"


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, object]]]:
    """Each once: the model's leader decides every round a second time, and by another engine, to see that it comes to the same."""
    every = [(record.getMessage(), dict(fields_of(record))) for record in caplog.records if record.name == LOGGER]
    unique = [line for index, line in enumerate(every) if line not in every[:index]]
    assert all(every.count(line) == 2 for line in unique)
    return unique


def test_a_place_is_logged_once_with_what_decided_and_the_runner_up(caplog: pytest.LogCaptureFixture) -> None:
    with world(nodes=2) as w, caplog.at_level(logging.DEBUG, logger=LOGGER):
        uid = w.add_pod("a", "3g.40gb")
        w.run()
        assert w.bound_to("a") == "n1"
        ((message, fields),) = lines(caplog)
        assert message == "placed"
        worth = fields.pop("worth")
        assert isinstance(worth, float)
        assert fields == {
            "pod": "default/a",
            "uid": uid,
            "slices": "3g.40gb",
            "place": "3g.40gb at 4 on GPU-1-0 of n1",
            "elsewhere": "3g.40gb at 4 on GPU-2-0 of n2",
            "elsewhere_because": "as good in all that counts; the order of names decides",
            "beside": "3g.40gb at 0 on GPU-1-0 of n1",
            "beside_because": fields["beside_because"],
        }
        assert "its value gains" in str(fields["beside_because"])


def test_the_log_names_the_slices_that_the_pod_then_has(caplog: pytest.LogCaptureFixture) -> None:
    """Also of Pods that are planned together and once more."""
    with world(gpus=2) as w, caplog.at_level(logging.DEBUG, logger=LOGGER):
        w.add_pod("first", "2g.20gb")
        w.run()
        for name, profile in (("a", "2g.20gb"), ("b", "4g.40gb"), ("c", "4g.40gb")):
            w.add_pod(name, profile)
        w.run()
        told = {str(fields["pod"]): fields["place"] for message, fields in lines(caplog) if message == "placed"}
        assert told.keys() == {"default/first", "default/a", "default/b", "default/c"}
        for _, gpu, placed, claim in w.claims():
            assert told[f"default/{claim.pod}"] == f"{placed.profile} at {placed.window.start} on {gpu} of n1"


def test_a_refusal_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with world() as w, caplog.at_level(logging.DEBUG, logger=LOGGER):
        uid = w.add_pod("a", "5g.99gb")
        w.round()
        ((message, fields),) = lines(caplog)
        assert (message, fields["uid"], fields["reason"]) == ("refused", uid, "NoSuchProfile")
        assert "no GPU that is handed over offers 5g.99gb" in str(fields["why"])


def test_at_info_level_nothing_is_worked_out_or_logged_and_the_places_are_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    claims = []
    for level in (logging.INFO, logging.DEBUG):
        with world(nodes=2, gpus=2) as w, caplog.at_level(level, logger=LOGGER):
            for index, profile in enumerate(("1g.10gb", "3g.40gb", "2g.20gb", "4g.40gb", "7g.80gb")):
                w.add_pod(f"p{index}", profile)
            w.run()
            claims.append([(node, gpu, placed, claim.pod) for node, gpu, placed, claim in w.claims()])
        assert bool(lines(caplog)) == (level == logging.DEBUG)
    assert claims[0] == claims[1]
    assert len(claims[0]) == 5

"""What is printed: tables for people, JSON for programs."""

import json
from dataclasses import replace

from mig.migspec import SliceState
from nodeagent.inspection.join import inspect
from nodeagent.inspection.text import as_json, as_text
from nodeagent.inspection.values import Unread
from nodeagent.kubelet.counts import Counts
from tests.support.inspecting import AGREED, HELD, NOTHING, driver, migspec, reported


def test_agreement_reads_as_one_line_a_slice() -> None:
    """Each source has its column."""
    lines = as_text(inspect(HELD), width=200).splitlines()
    assert "GPU 0  GPU-test  NVIDIA A100-SXM4-80GB  MIG Enabled" in lines
    row = next(line for line in lines if line.startswith("  0+1"))
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells == [
        "0+1",
        "1g.10gb",
        "MIG-one, GI 7",
        "default/train main",
        "Used by default/train",
        "ours",
        "offered, default/train main",
        "-",
    ]
    assert lines[-1] == "All agree."


def test_words_are_wrapped_within_the_terminal_and_keep_their_column() -> None:
    """However narrow it is, the words get forty columns."""
    text = as_text(inspect(replace(AGREED, driver=driver(), offered={}, counts=Counts())), width=60)
    table = text[text.index("  PLACE") :].split("\n\n")[0].splitlines()
    column = table[0].index("WHERE THEY DIFFER")
    assert len(table) > 3
    assert all(len(line) <= column + 40 for line in table)
    assert all(line[:column].strip() == "" for line in table[2:])
    assert " ".join(line[column:] for line in table[1:]).startswith("reported Free and gone from the GPU: somebody")
    assert text.endswith("1 difference.\n")


def test_what_is_unknown_looks_unlike_what_is_not_there() -> None:
    """`?` and `-`."""
    unread = Unread("no kubelet")
    lines = as_text(inspect(replace(AGREED, offered=unread, driver=unread)), width=200).splitlines()
    (row,) = [line.split() for line in lines if line.startswith("  0+1")]
    assert row == ["0+1", "1g.10gb", "?", "warm", "Free", "ours", "?", "-"]
    (count,) = [line.split() for line in lines if line.startswith("  nvidia.com/")]
    assert count == ["nvidia.com/mig-1g.10gb", "?", "?", "1", "1", "-"]
    assert "could not be read: kubelet, offers: no kubelet" in lines
    assert lines[-1] == "What could be read agrees."
    assert "  no slices, and none wanted" in as_text(inspect(NOTHING), width=200).splitlines()


def test_what_the_report_remarks_is_shown_and_is_no_difference() -> None:
    """In brackets."""
    remarked = replace(AGREED, migspec=migspec(reported(SliceState.FREE, message="came round the webhook")))
    lines = as_text(inspect(remarked), width=200).splitlines()
    assert next(line for line in lines if line.startswith("  0+1")).endswith("  (came round the webhook)")
    assert lines[-1] == "All agree."


def test_json_says_the_same() -> None:
    """And null is what could not be read."""
    found = json.loads(json.dumps(as_json(inspect(HELD))))
    (item,) = found["gpus"][0]["slices"]
    assert item["driver"] == {"exists": True, "uuid": "MIG-one", "gpuInstance": 7, "pids": []}
    assert (item["status"]["state"], item["status"]["holder"]) == ("Used", "default/train")
    assert item["kubelet"] == {"offered": True, "holder": "default/train"}
    assert (item["spec"], item["ours"]) == ({"wanted": True, "claim": "default/train"}, True)
    assert (found["exitStatus"], found["unread"], item["differences"]) == (0, {}, [])
    silent = as_json(inspect(replace(AGREED, driver=Unread("x"), offered=Unread("y"))))
    assert silent["gpus"][0]["slices"][0]["driver"] is None
    assert silent["gpus"][0]["slices"][0]["kubelet"] is None
    assert (silent["gpus"][0]["migMode"], silent["exitStatus"]) == (None, 2)
    gone = as_json(inspect(replace(AGREED, driver=driver(), migspec=migspec(reported(SliceState.FREE)))))
    assert gone["gpus"][0]["slices"][0]["driver"] == {"exists": False}

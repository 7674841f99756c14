"""The ledger on disk: written before, whole or not at all, and no obstacle where the folder fails."""

from pathlib import Path

import pytest

from nodeagent.gpus.ledger import Ledger, LedgerError, Stored, from_text, load, to_text
from nodeagent.gpus.ownership import Entry
from tests.support.instances import GPU, placed

SLICE = placed("3g.40gb@4+4")


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "ledger.json"


async def test_an_intent_is_on_disk_when_intend_returns(path: Path) -> None:
    """N1: whoever is killed next is known to have meant it."""
    ledger = Ledger(path, boot_id="boot-1")
    await ledger.open()
    await ledger.intend(GPU, [SLICE])
    assert load(path) == Stored("boot-1", frozenset({Entry(GPU, SLICE)}))


async def test_a_later_agent_of_the_same_boot_finds_the_entries(path: Path) -> None:
    """And those of another boot are void, since the instances are (N8)."""
    first = Ledger(path, boot_id="boot-1")
    await first.open()
    await first.intend(GPU, [SLICE])
    same = Ledger(path, boot_id="boot-1")
    await same.open()
    assert (same.entries, same.lost) == (frozenset({Entry(GPU, SLICE)}), False)
    after_reboot = Ledger(path, boot_id="boot-2")
    await after_reboot.open()
    assert (after_reboot.entries, after_reboot.lost) == (frozenset(), False)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 2, "bootID": "b", "slices": []}', "[" * 100_000])
async def test_a_damaged_file_is_lost_and_replaced(path: Path, text: str) -> None:
    """It says so, and the next agent finds a sound one."""
    _write(path, text)
    ledger = Ledger(path, boot_id="boot-1")
    await ledger.open()
    assert ledger.lost
    assert load(path) == Stored("boot-1")


async def test_an_unwritable_folder_is_said_and_memory_goes_on(tmp_path: Path) -> None:
    """N12: read-only or full; here a folder that is a file, which not even root can write into."""
    (tmp_path / "state").write_text("")
    ledger = Ledger(tmp_path / "state" / "ledger.json", boot_id="boot-1")
    await ledger.open()
    assert ledger.lost
    assert "ledger.json cannot be" in ledger.trouble
    await ledger.intend(GPU, [SLICE])
    assert ledger.entries == {Entry(GPU, SLICE)}


async def test_a_folder_that_is_mended_is_used_again(tmp_path: Path) -> None:
    """The next change brings all of it to disk."""
    folder = tmp_path / "state"
    folder.write_text("")
    ledger = Ledger(folder / "ledger.json", boot_id="boot-1")
    await ledger.open()
    folder.unlink()
    folder.mkdir()
    await ledger.intend(GPU, [SLICE])
    assert ledger.trouble == ""
    assert load(folder / "ledger.json") == Stored("boot-1", frozenset({Entry(GPU, SLICE)}))


async def test_no_half_written_file_is_ever_under_the_name(path: Path) -> None:
    """A torn draft beside it changes nothing, and is replaced by the next write."""
    ledger = Ledger(path, boot_id="boot-1")
    await ledger.open()
    path.with_suffix(".new").write_text('{"version": 1, "boo')
    again = Ledger(path, boot_id="boot-1")
    await again.open()
    assert not again.lost
    await again.intend(GPU, [SLICE])
    assert load(path) == Stored("boot-1", frozenset({Entry(GPU, SLICE)}))


async def test_an_unchanged_ledger_is_not_written(path: Path) -> None:
    """A spec that only moves claims costs no disk."""
    ledger = Ledger(path, boot_id="boot-1")
    await ledger.open()
    await ledger.intend(GPU, [SLICE])
    before = _stamp(path)
    await ledger.intend(GPU, [SLICE])
    await ledger.settle(ledger.entries)
    after = _stamp(path)
    assert before == after


def test_the_text_and_the_entries_are_one_thing() -> None:
    """What is written is read back, and its text is stable."""
    stored = Stored("boot", frozenset({Entry(GPU, SLICE, "MIG-1"), Entry("GPU-b", placed("1g.10gb+me@0+1"))}))
    assert from_text(to_text(stored)) == stored
    assert to_text(from_text(to_text(stored))) == to_text(stored)
    with pytest.raises(LedgerError, match="damaged"):
        from_text(to_text(stored).replace("3g.40gb", "3g"))

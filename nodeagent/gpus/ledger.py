"""The ledger: which instances are ours, on disk, written before each is made.

One small JSON file in the state folder, replaced atomically before `intend` returns, so that a kill at any point leaves either the
old or the new file. Where the folder cannot be written the ledger lives on in memory, says so in
`trouble`, and the next start falls back on our own report in the MigSpec. Which instance an entry means is decided in `ownership`.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mig.occupancy import Placed
from mig.placements import Window
from mig.profiles import parse_profile
from nodeagent.gpus.ownership import Entry

_VERSION: Final = 1
_WRITE_S: Final = 5.0
"""A disk that takes longer to take a few hundred bytes counts as one that does not take them."""


class LedgerError(Exception):
    """The ledger cannot be read or written; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the file holds. Entries of another boot are worth nothing: instances vanish with a reboot."""

    boot_id: str
    entries: frozenset[Entry] = frozenset()


def to_text(stored: Stored) -> str:
    """The file's text; equal values give equal texts."""
    entries = [
        {
            "gpu": entry.gpu,
            "start": entry.placed.window.start,
            "size": entry.placed.window.size,
            "profile": str(entry.placed.profile),
            "uuid": entry.uuid,
        }
        for entry in sorted(stored.entries)
    ]
    return json.dumps({"version": _VERSION, "bootID": stored.boot_id, "slices": entries}, indent=1) + "\n"


def from_text(text: str) -> Stored:
    """Read the file's text. Raises `LedgerError` for anything but what `to_text` writes."""
    try:
        document = json.loads(text)
        if document["version"] != _VERSION:
            raise LedgerError(f"the ledger is of version {document['version']}, this agent reads {_VERSION}")
        entries = frozenset(
            Entry(
                item["gpu"],
                Placed(Window(int(item["start"]), int(item["size"])), parse_profile(item["profile"])),
                item["uuid"],
            )
            for item in document["slices"]
        )
        return Stored(str(document["bootID"]), entries)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LedgerError(f"the ledger is damaged: {type(error).__name__}: {error}") from error


def load(path: Path) -> Stored | None:
    """Read the file; None where there is none. Raises `LedgerError`."""
    try:
        return from_text(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} cannot be read: {error}") from error


def store(path: Path, stored: Stored, *, replace: Callable[[Path, Path], object] = os.replace) -> None:
    """Replace the file; when this returns the new one survives the process, however it ends. Raises `LedgerError`.

    It is not flushed to the disk: what ends the kernel ends the boot, and with it every instance that an entry could name.
    """
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(to_text(stored))
        replace(fresh, path)
    except OSError as error:
        raise LedgerError(f"{path} cannot be written: {error}") from error


class Ledger:
    """The entries of this boot. Changes are seen at once in `entries`, and on disk when the call returns."""

    def __init__(self, path: Path, *, boot_id: str, replace: Callable[[Path, Path], object] = os.replace) -> None:
        """`replace` is how a finished file takes the place of the old one, atomically."""
        self._replace = replace
        self._path = path
        self._boot_id = boot_id
        self._writing = asyncio.Lock()
        self._entries: frozenset[Entry] = frozenset()
        self._on_disk: frozenset[Entry] | None = None
        self._hanging: asyncio.Future[None] | None = None
        self.lost = False
        """Whether what was on disk cannot be relied on, so that the report in the MigSpec must be asked."""
        self.trouble = ""
        """Why the file cannot be used at the moment; empty when it can."""

    @property
    def entries(self) -> frozenset[Entry]:
        """All entries."""
        return self._entries

    async def open(self) -> None:
        """Read what an earlier agent left, and see whether the folder can be written."""
        stored: Stored | None = None
        try:
            stored = await asyncio.to_thread(load, self._path)
            self.lost = stored is None
        except LedgerError as error:
            self.lost = True
            self.trouble = str(error)
        if stored is not None and stored.boot_id == self._boot_id:
            self._entries = stored.entries
        await self._write()
        self.lost = self.lost or bool(self.trouble)

    async def recover(self, entries: Iterable[Entry]) -> None:
        """Take over what the report in the MigSpec says is ours, since the file was lost."""
        known = {(entry.gpu, entry.placed) for entry in self._entries}
        found = {entry for entry in entries if (entry.gpu, entry.placed) not in known}
        self.lost = False
        await self._become(self._entries | found)

    async def intend(self, gpu: str, placed: Iterable[Placed]) -> None:
        """Write down that we are going to make these, before the driver is asked. An older entry of a place is void."""
        fresh = {(gpu, item) for item in placed}
        kept = {entry for entry in self._entries if (entry.gpu, entry.placed) not in fresh}
        await self._become(frozenset(kept | {Entry(*place) for place in fresh}))

    async def adopt(self, entries: Iterable[Entry]) -> None:
        """Write down that these, which others made, are ours from now on."""
        fresh = {(entry.gpu, entry.placed): entry for entry in entries}
        kept = {entry for entry in self._entries if (entry.gpu, entry.placed) not in fresh}
        await self._become(frozenset(kept | set(fresh.values())))

    async def settle(self, entries: frozenset[Entry]) -> None:
        """Take over the entries as `ownership.settled` found them."""
        await self._become(entries)

    async def forget(self, gpu: str, placed: Placed) -> None:
        """The instance is gone, or was never made."""
        await self._become(frozenset(e for e in self._entries if (e.gpu, e.placed) != (gpu, placed)))

    async def _become(self, entries: frozenset[Entry]) -> None:
        self._entries = entries
        if entries != self._on_disk:
            await self._write()

    async def _write(self) -> None:
        """Bring the disk to what memory says by now; failures are kept in `trouble`, not raised."""
        async with self._writing:
            entries = self._entries
            if entries == self._on_disk:
                return
            if self._hanging is not None and not self._hanging.done():
                return  # an older text must not land on a newer one, so a write that hangs is waited out
            stored = Stored(self._boot_id, entries)
            write = asyncio.ensure_future(asyncio.to_thread(store, self._path, stored, replace=self._replace))
            try:
                async with asyncio.timeout(_WRITE_S):
                    await asyncio.shield(write)
            except LedgerError as error:
                self.trouble = str(error)
            except TimeoutError:
                self._hanging = write
                self.trouble = f"{self._path} could not be written within {_WRITE_S:g} s"
            else:
                self._on_disk = entries
                self.trouble = ""

"""Cuts a stream of bytes into lines, however the network cut it before.

Unlike iterating over aiohttp's content it has no limit of 128 KiB a line, since an object may be megabytes; and it
never gives an unfinished last line, since half an event is none.
"""

from collections.abc import Iterator


class LineTooLongError(ValueError):
    """A line outgrew the limit: whatever is at the other end, it is no watch."""


class LineBuffer:
    """Feed it chunks, get complete lines without their ends; at most ``max_line`` bytes are held back."""

    def __init__(self, *, max_line: int) -> None:
        self._max_line = max_line
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Give the lines that ``chunk`` completes, empty ones left out."""
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            line = b"".join([*self._parts, piece])
            self._parts, self._held = [], 0
            if line.strip():
                yield line
        if rest:
            self._parts.append(rest)
            self._held += len(rest)
        if self._held > self._max_line:
            raise LineTooLongError(f"a line of more than {self._max_line} bytes")

"""Tells whoever started a process which ports it got: one small JSON file, there as soon as the process listens.

Written whole or not at all, so that a reader who finds it can use it. Being there means "listens", not "ready": that is
what /readyz says.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit


def write_ready_file(path: Path | None, *, health_url: str | None, port: int | None = None) -> None:
    """Write the file; without a path there is nobody to tell. ``port`` is the component's own, None where it has none."""
    if path is None:
        return
    ports = {"health": urlsplit(health_url).port if health_url else None, "port": port}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(ports) + "\n", "utf-8")
    draft.replace(path)

"""Python and C describe the same bytes, and the C compiles without a warning."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from simgpu import build, layout


def test_python_and_c_agree_on_every_field(tmp_path: Path) -> None:
    """Size and offset of each field, size of each structure: the C compiler compares them."""
    lines = [f'#include "{build.SOURCES / "state.h"}"', "#include <stddef.h>"]
    for name, structure in layout.STRUCTURES.items():
        c = f"struct {name}"
        lines.append(f'_Static_assert(sizeof({c}) == {ctypes.sizeof(structure)}, "{name}");')
        for field, *_ in structure._fields_:
            place = getattr(structure, field)
            lines.append(f'_Static_assert(offsetof({c}, {field}) == {place.offset}, "{name}.{field} offset");')
            lines.append(f'_Static_assert(sizeof((({c} *)0)->{field}) == {place.size}, "{name}.{field} size");')
    constants = {name: getattr(layout, name) for name in ("MAGIC", "LAYOUT", "ANY")}
    lines += [f'_Static_assert(SIM_{name} == {value}ULL, "{name}");' for name, value in constants.items()]
    source = tmp_path / "layout.c"
    source.write_text("\n".join(lines))
    done = subprocess.run(
        [*build.compiler(), "-c", "-o", "/dev/null", source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(lines) > 150


def test_the_library_compiles_without_a_warning(tmp_path: Path) -> None:
    command = [*build.compiler(), *build.FLAGS, "-Werror", "-o", str(tmp_path / "lib.so"), *map(str, build.c_files())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

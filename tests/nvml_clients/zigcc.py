"""A C compiler for cgo on a machine that has none of its own: zig's, and its linker with one more option.

NVIDIA's Go bindings are linked with `--unresolved-symbols=ignore-in-object-files`, since the library is found at run time.
zig's compiler refuses that option; its linker knows it. So a link is made in two steps: zig is asked for its linker's command
line with the symbols that are missing tolerated, and the linker is run with it. Functions are then bound when
they are first called, as the bindings need it. Run as a script: `zigcc.py <command of zig cc> ARG...`.
"""

import shlex
import subprocess
import sys
from typing import Final

REFUSED: Final = "-Wl,--unresolved-symbols="
LINKER: Final = "ld.lld"


def main(argv: list[str]) -> int:
    """Compile as told; returns the exit status."""
    end = argv.index("cc") + 1
    zig, arguments = argv[:end], argv[end:]
    kept = [argument for argument in arguments if not argument.startswith(REFUSED)]
    if kept == arguments:
        return subprocess.run([*zig, *arguments], check=False).returncode
    told = subprocess.run([*zig, "-v", *kept], check=False, capture_output=True, text=True)
    lines = [line for line in told.stderr.splitlines() if line.startswith(f"{LINKER} ")]
    if told.returncode == 0 or not lines:
        sys.stderr.write(told.stderr)
        return told.returncode
    linker = [*zig[:-1], *shlex.split(lines[-1]), "-z", "lazy", "--unresolved-symbols=ignore-in-object-files"]
    return subprocess.run(linker, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

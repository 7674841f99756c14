"""The one build step that `pyproject.toml` cannot state: compile the kubelet's gRPC messages before Python files are collected."""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """`build_py` that makes `nodeagent/kubelet/api/*_pb2.py` first; editable installs run it, too."""

    def run(self) -> None:
        """Generate, then go on as usual."""
        runpy.run_path(str(Path(__file__).parent / "nodeagent/kubelet/api/generate.py"))["generate"]()
        super().run()


setup(cmdclass={"build_py": BuildPy})

"""Makes the Python modules of the kubelet's two gRPC APIs from the `.proto` files beside it.

The messages are compiled when the package is built (`setup.py` runs this file; `pip install -e .` does, too) and are not kept in
the repository; `python -m nodeagent.kubelet.api.generate` makes them again by hand. It needs grpcio-tools and imports nothing of
ours, so that a build can run it before anything is installed. Only messages are generated: the services are a handful of method
names, which `nodeagent.kubelet.plugin` and `nodeagent.kubelet.podresources` spell out.
"""

import importlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


class GenerationFailed(RuntimeError):
    """The compiler refused a file; it has printed where and why."""


def generate() -> None:
    """Write `*_pb2.py` and, for type checkers, `*_pb2.pyi` beside the `.proto` files.

    Raises `GenerationFailed`.
    """
    protoc = importlib.import_module("grpc_tools.protoc")  # a build tool: importing this module must not require it
    protos = sorted(str(path.relative_to(ROOT)) for path in HERE.glob("*.proto"))
    status = protoc.main(["protoc", f"--proto_path={ROOT}", f"--python_out={ROOT}", f"--pyi_out={ROOT}", *protos])
    if status != 0:
        raise GenerationFailed(f"protoc ended with {status} for {', '.join(protos)}")
    for stub in HERE.glob("*_pb2.pyi"):
        # protoc writes the bare generic, which strict type checking refuses.
        stub.write_text(stub.read_text().replace("_Mapping]", "_Mapping[str, object]]"))


if __name__ == "__main__":
    generate()

"""A process that uses all of `kube` stays small: what every component starts from."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.support.apiserver import ApiServer

SCRIPT = """
import asyncio, sys
from pathlib import Path
import kube.events, kube.lease, kube.listwatch
from kube.client import Api
from kube.resource import NODES

async def main():
    async with Api.connect(Path(sys.argv[1]), user_agent="test") as api:
        for _ in range(50):
            await api.list(NODES)
    rss = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    print(int(rss.split()[1]) / 1024)

asyncio.run(main())
"""

# What a process may take before it does anything of its own: 16 MiB below the smallest budget of a component.
LIMIT_MIB = 64


async def test_an_idle_client_is_small(tmp_path: Path, server: ApiServer) -> None:
    for number in range(500):
        server.store.create("api/v1/nodes", "", {"metadata": {"name": f"n{number}"}, "status": {"x": ["y"] * 50}})
    kubeconfig = server.kubeconfig(tmp_path / "config")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, str(kubeconfig), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert float(out) <= LIMIT_MIB

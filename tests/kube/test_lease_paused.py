"""L7: a leader that was stopped for longer than its lease ends as soon as it goes on, before it does anything else."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.apiserver import ApiServer

# Works by printing; a tenth of a second a step, so that work after the loss would show.
SCRIPT = """
import asyncio, sys
from pathlib import Path
from kube.client import Api
from kube.lease import LeadershipLost, LeaseElection

async def floor():
    return 0

async def work(epoch):
    print(f"leads {epoch}", flush=True)
    while True:
        await asyncio.sleep(0.1)

async def main():
    async with Api.connect(Path(sys.argv[1]), user_agent="test") as api:
        election = LeaseElection(
            api, namespace="ns", name="lease", identity=sys.argv[2], floor_epoch=floor,
            lease_s=2.0, renew_s=1.0, retry_s=0.2,
        )
        try:
            await election.lead(work)
        except LeadershipLost as lost:
            print(f"lost: {lost}", flush=True)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def candidate(kubeconfig: Path, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", SCRIPT, str(kubeconfig), name),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return (await process.stdout.readline()).decode().strip()


async def test_l7_a_leader_that_was_stopped_writes_nothing_more_and_exits(server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = server.kubeconfig(tmp_path / "config")
    async with candidate(kubeconfig, "first") as first:
        assert await said(first) == "leads 1"
        async with candidate(kubeconfig, "second") as second:
            os.kill(first.pid, signal.SIGSTOP)
            assert await said(second) == "leads 2"
            os.kill(first.pid, signal.SIGCONT)
            async with asyncio.timeout(20):
                assert await first.wait() == 70  # EX_SOFTWARE
            assert await said(first) == ""
            lease = server.store.get("apis/coordination.k8s.io/v1/leases", "ns", "lease")
            assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("second", 2)

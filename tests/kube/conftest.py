"""A model API server and a client to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kube.client import Api
from tests.support.apiserver import ApiServer, api_server


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with api_server() as server:
        yield server


@pytest.fixture
async def api(server: ApiServer, tmp_path: Path) -> AsyncIterator[Api]:
    async with server.connect(server.kubeconfig(tmp_path / "kubeconfig")) as api:
        yield api

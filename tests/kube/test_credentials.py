"""A5: rotated credentials are used without a restart; unusable ones are explained to whoever set them."""

import time
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from kube.client import Api
from kube.credentials import load
from kube.errors import ConfigError, Unauthorized
from kube.resource import NODES
from kube.transport import Transport
from tests.support.apiserver import ApiServer


class Guard:
    """Lets only one token pass, and remembers what it saw."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.seen: list[str | None] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        """See a request."""
        self.seen.append(request.headers.get("Authorization"))
        if self.seen[-1] == f"Bearer {self.token}":
            return web.json_response({"kind": "Node", "metadata": {"name": "n"}})
        return web.json_response({"kind": "Status", "reason": "Unauthorized"}, status=401)


@pytest.fixture
def guard(server: ApiServer) -> Guard:
    guard = Guard("one")
    server.interceptors.append(guard)
    return guard


async def test_a_rotated_token_file_is_used_from_the_next_call(server: ApiServer, guard: Guard, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("one\n")
    kubeconfig = server.kubeconfig(tmp_path / "config", tokenFile="token", token="never this one")
    async with server.connect(kubeconfig) as api:
        await api.get(NODES, "n")
        guard.token = "two"
        # As the kubelet rotates: another file takes the name.
        (tmp_path / "new").write_text("two\n")
        (tmp_path / "new").rename(token_file)
        await api.get(NODES, "n")
    assert guard.seen == ["Bearer one", "Bearer two"]


async def test_a_token_file_that_vanishes_or_is_empty_keeps_the_last_token(
    server: ApiServer, guard: Guard, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("one")
    async with server.connect(server.kubeconfig(tmp_path / "config", tokenFile=str(token_file))) as api:
        await api.get(NODES, "n")
        token_file.write_text("")
        await api.get(NODES, "n")
        token_file.unlink()
        await api.get(NODES, "n")
    assert guard.seen == ["Bearer one"] * 3


async def test_a_kubeconfig_rewritten_with_a_new_token_is_read_after_a_401(
    server: ApiServer, guard: Guard, tmp_path: Path
) -> None:
    kubeconfig = server.kubeconfig(tmp_path / "config", token="one")
    async with server.connect(kubeconfig) as api:
        await api.get(NODES, "n")
        guard.token = "two"
        server.kubeconfig(kubeconfig, token="two")
        await api.get(NODES, "n")
    assert guard.seen == ["Bearer one", "Bearer one", "Bearer two"]


async def test_a_token_that_stays_refused_is_unauthorized_without_a_storm(
    server: ApiServer, guard: Guard, tmp_path: Path
) -> None:
    async with server.connect(server.kubeconfig(tmp_path / "config", token="wrong")) as api:
        for _ in range(3):
            with pytest.raises(Unauthorized):
                await api.get(NODES, "n")
    assert len(guard.seen) == 3


async def test_an_exec_plugin_is_asked_again_after_a_401(server: ApiServer, guard: Guard, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    answer = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}'
    script = tmp_path / "plugin"
    script.write_text(f"#!/bin/sh\nprintf '{answer}' \"$(cat {tmp_path / 'token'})\"\n")
    script.chmod(0o755)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    async with server.connect(server.kubeconfig(tmp_path / "config", exec=plugin)) as api:
        await api.get(NODES, "n")
        guard.token = "two"
        (tmp_path / "token").write_text("two")
        await api.get(NODES, "n")
    assert guard.seen == ["Bearer one", "Bearer one", "Bearer two"]


async def test_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "ca.crt").write_text("a certificate")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    credentials = await load(environ=environ, service_account=tmp_path)
    assert credentials.configuration.host == "https://[fd00::1]:443"
    assert credentials.configuration.ssl_ca_cert == str(tmp_path / "ca.crt")
    assert credentials.authorization() == "Bearer one"
    (tmp_path / "token").write_text("another")
    assert credentials.authorization() == "Bearer another"


async def test_several_kubeconfigs_are_merged_as_kubectl_does(server: ApiServer, guard: Guard, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "token").write_text("one")
    whole = yaml.safe_load(server.kubeconfig(tmp_path / "whole", tokenFile="token").read_text())
    users = {"apiVersion": "v1", "kind": "Config", "users": whole.pop("users")}
    (tmp_path / "rest").write_text(yaml.safe_dump(whole))
    (tmp_path / "folder" / "users").write_text(yaml.safe_dump(users))
    environ = {"KUBECONFIG": f"{tmp_path / 'none'}:{tmp_path / 'rest'}:{tmp_path / 'folder' / 'users'}"}
    transport = Transport(await load(environ=environ), user_agent="test")
    await Api(transport).get(NODES, "n")
    await transport.close()
    assert guard.seen == ["Bearer one"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "does not exist"),
        ("", "is not usable"),
        ("]", "is not usable"),
        ("[1]", "is not usable"),
        ("kind: Config\ncurrent-context: gone\ncontexts: []\nclusters: []\nusers: []\n", "is not usable.*gone"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, content: str | None, why: str
) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=f"kubeconfig {path} {why}"):
        await load(path)


async def test_no_configuration_at_all_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="pass --kubeconfig FILE or set KUBECONFIG"):
        await load(environ={})


async def test_a_proxy_of_the_environment_is_not_used_towards_this_machine(
    server: ApiServer, guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    began = time.monotonic()
    async with server.connect(server.kubeconfig(tmp_path / "config", token="one")) as api:
        await api.get(NODES, "n")
    assert (len(guard.seen), time.monotonic() - began < 5) == (1, True)

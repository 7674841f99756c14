"""The few calls to the API server that driving a cluster takes: is it ready, is a node ready, a token please.

Synchronous, as the administrator, one connection a call, each with a deadline. The product's own way to the API server is
the package `kube`; this one must not need it.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from typing import Any, Final

from cluster.certificates import Authority, KeyPair
from cluster.errors import CommandError

CALL_TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.05


class AdminApi:
    """The API server of one cluster, asked by its administrator."""

    def __init__(self, *, port: int, authority: Authority, admin: KeyPair) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(authority.certificate_path))
        self._context.load_cert_chain(admin.certificate_path, admin.key_path)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """Send one request; returns status and body, raises OSError where there is no answer."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=CALL_TIMEOUT_S, context=self._context)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise OSError(f"no answer from the API server: {error!r}") from error
        finally:
            connection.close()

    def json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request that must succeed; raises CommandError with the API server's own words otherwise."""
        try:
            status, content = self.call(method, path, body)
        except OSError as error:
            raise CommandError(f"{method} {path}: the API server does not answer: {error}") from error
        if status >= 300:
            text = content.decode(errors="replace")
            raise CommandError(f"{method} {path}: status {status}: {text}", stderr=text)
        answer: dict[str, Any] = json.loads(content)
        return answer

    def exists(self, path: str) -> bool:
        """Tell whether a GET of that path succeeds now."""
        try:
            return self.call("GET", path)[0] == 200
        except OSError:
            return False

    def node_ready(self, name: str) -> bool:
        """Tell whether that Node is registered and Ready."""
        try:
            status, content = self.call("GET", f"/api/v1/nodes/{name}")
        except OSError:
            return False
        conditions = json.loads(content).get("status", {}).get("conditions", []) if status == 200 else []
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def wait_until(ready: Callable[[], bool], *, timeout_s: float) -> bool:
    """Ask until the answer is yes; False when time is up."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True

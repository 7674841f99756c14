"""Where the API server is and who we are to it: kubeconfig or the Pod's service account.

The `kubernetes` package reads the configuration (client certificates, exec plugins, contexts, KUBECONFIG lists). This
module adds what long-lived processes need on top: a token file is read again as soon as it changes on disk, and after
a 401 the whole configuration is read again, so that rotated tokens never need a restart. It does not reload
certificates: those of a kubeconfig file live as long as the process.
"""

import asyncio
import ipaddress
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.config.kube_config import load_kube_config

from kube.errors import ConfigError

log = logging.getLogger(__name__)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# Seconds between two re-readings of the whole configuration after a 401; an exec plugin may run a process each time.
RENEW_EVERY_S = 10.0


class TokenFile:
    """A bearer token in a file that somebody else rotates; a missing or empty file keeps the last good token."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._token = ""

    def read(self) -> str:
        """Give the token. One `stat` a call; the file itself is read only when it changed."""
        try:
            stat = self._path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                token = self._path.read_text(encoding="utf-8").strip()
                if token:
                    self._token = token
                self._stamp = stamp
        except (OSError, UnicodeDecodeError) as error:
            if self._stamp is not None:
                log.warning("token file %s cannot be read (%s); the last good token stays in use", self._path, error)
            self._stamp = None
        return self._token


class Credentials:
    """A loaded configuration and the token that goes with each request."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        token_file: TokenFile | None = None,
        reload: Callable[[], Awaitable[Configuration]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.configuration = configuration
        self._token_file = token_file
        self._reload = reload
        self._clock = clock
        self._renewed_at: float | None = None
        self._renewing = asyncio.Lock()

    def authorization(self) -> str | None:
        """Give the value of the Authorization header, or None when client certificates say who we are."""
        if self._token_file is not None and (token := self._token_file.read()):
            return f"Bearer {token}"
        return self.configuration.api_key.get("BearerToken")

    async def renew(self, refused: str | None) -> bool:
        """After a 401: say whether there is now another authorization than the ``refused`` one."""
        async with self._renewing:
            if self.authorization() != refused:
                return True
            now = self._clock()
            recently = self._renewed_at is not None and now - self._renewed_at < RENEW_EVERY_S
            if self._reload is None or recently:
                return False
            self._renewed_at = now
            try:
                self.configuration.api_key = (await self._reload()).api_key
            except ConfigError as error:
                log.warning("credentials were refused and cannot be read again: %s", error)
            return self.authorization() != refused


async def load(
    kubeconfig: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Credentials:
    """Find the API server: the given kubeconfig, else KUBECONFIG, else the Pod's service account, else ~/.kube/config.

    Raises `ConfigError` when there is none, or when it is broken.
    """
    if kubeconfig is not None:
        return await _from_kubeconfig(str(kubeconfig))
    if environ.get("KUBECONFIG"):
        return await _from_kubeconfig(environ["KUBECONFIG"])
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return _from_service_account(environ, service_account)
    default = Path.home() / ".kube" / "config"
    if default.exists():
        return await _from_kubeconfig(str(default))
    raise ConfigError(
        "no API server is configured: not in a Pod (KUBERNETES_SERVICE_HOST is not set), KUBECONFIG is not set and "
        f"{default} does not exist; pass --kubeconfig FILE or set KUBECONFIG"
    )


def _from_service_account(environ: Mapping[str, str], folder: Path) -> Credentials:
    configuration = Configuration()
    loader: Callable[..., Any] = InClusterConfigLoader
    try:
        loader(
            token_filename=str(folder / "token"),
            cert_filename=str(folder / "ca.crt"),
            try_refresh_token=False,
            environ=environ,
        ).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise ConfigError(
            f"the service account in {folder} is not usable ({error}); mount one (automountServiceAccountToken) "
            "or set KUBECONFIG"
        ) from error
    return Credentials(_finish(configuration), token_file=TokenFile(folder / "token"))


async def _from_kubeconfig(paths: str) -> Credentials:
    """Load one kubeconfig file, or several joined by ``:`` as in KUBECONFIG."""
    files = _existing(paths)

    async def read() -> Configuration:
        configuration = Configuration()
        load_file: Callable[..., Awaitable[Any]] = load_kube_config
        try:
            await load_file(config_file=paths, client_configuration=configuration, persist_config=False)
        except (ConfigException, OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as error:
            raise ConfigError(f"kubeconfig {paths} is not usable: {error}; try `kubectl --kubeconfig` on it") from error
        return _finish(configuration)

    configuration = await read()
    token_path = _token_file_of(files)
    return Credentials(configuration, token_file=TokenFile(token_path) if token_path else None, reload=read)


def _existing(paths: str) -> list[Path]:
    files = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    files = [path for path in files if path.is_file()]
    if not files:
        raise ConfigError(f"kubeconfig {paths} does not exist; pass the path of one that does")
    return files


def _token_file_of(files: list[Path]) -> Path | None:
    """Find ``tokenFile`` of the current context's user; as in client-go it wins over ``token``."""
    documents = [(path, yaml.safe_load(path.read_text(encoding="utf-8")) or {}) for path in files]
    current = next((document["current-context"] for _, document in documents if document.get("current-context")), None)

    def named(section: str, name: object) -> tuple[Path, dict[str, Any]] | None:
        for path, document in documents:
            for entry in document.get(section) or []:
                if entry.get("name") == name:
                    return path, entry
        return None

    context = named("contexts", current)
    user = named("users", context[1].get("context", {}).get("user")) if context else None
    if user is None:
        return None
    path, entry = user
    token_file = (entry.get("user") or {}).get("tokenFile")
    return path.parent / token_file if token_file else None


def _finish(configuration: Configuration) -> Configuration:
    # client-go accepts CAs without key identifiers; the strict flag that newer Pythons set would refuse them.
    configuration.disable_strict_ssl_verification = True
    # A proxy from the environment never helps towards this very machine; client-go skips it there, too.
    if _is_loopback(configuration.host):
        configuration.client_session_kwargs = {"trust_env": False}
    return configuration


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

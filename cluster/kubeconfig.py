"""Kubeconfig files: who one is, where the API server is, and whom to trust there.

Certificates are embedded, so that a file works wherever it is copied to; a token stays in a file of its own, so that it can
be renewed under a running client.
"""

import base64
from pathlib import Path
from typing import Any

import yaml

from cluster.certificates import KeyPair


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, at once and whole."""
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    aside.touch(mode=0o600)
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def write_certificate_kubeconfig(path: Path, *, server: str, authority: bytes, pair: KeyPair) -> Path:
    """Write a kubeconfig of somebody who has a client certificate."""
    user = {"client-certificate-data": _encoded(pair.certificate), "client-key-data": _encoded(pair.key)}
    return _write(path, server=server, authority=authority, user=user)


def write_token_kubeconfig(path: Path, *, server: str, authority: bytes, token_file: Path) -> Path:
    """Write a kubeconfig of somebody whose token is in a file, which clients read again and again."""
    return _write(path, server=server, authority=authority, user={"tokenFile": str(token_file)})


def _write(path: Path, *, server: str, authority: bytes, user: dict[str, str]) -> Path:
    name = "nos-mig"
    cluster = {"server": server, "certificate-authority-data": _encoded(authority)}
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    write_private(path, yaml.safe_dump(config, sort_keys=False))
    return path


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode("ascii")

"""The certificate that is served, swapped under running TLS without touching a connection.

The listening context never changes; for each handshake it hands over to the current one, which was loaded fresh. A live context
into which a torn pair was loaded would fail every later handshake. Before there is a certificate handshakes fail, and
readiness says so.
"""

import os
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from webhook.authority import Pair

_ALPN: Final = ["http/1.1"]


class ServedCertificate:
    """Which leaf TLS shows to those who connect."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._leaf: Pair | None = None
        self._current: ssl.SSLContext | None = None
        self.listening = _context()
        """The context to listen with."""
        self.listening.sni_callback = self._hand_over

    @property
    def leaf(self) -> Pair | None:
        """What is served at the moment."""
        return self._leaf

    @property
    def expires(self) -> datetime | None:
        """When it ends; None before the first."""
        return None if self._leaf is None else self._leaf.certificate.not_valid_after_utc

    def serve(self, leaf: Pair) -> bool:
        """Serve this leaf from the next handshake on; whether that is a change. Raises `ssl.SSLError` and keeps the old one."""
        if self._leaf is not None and self._leaf.certificate == leaf.certificate:
            return False
        context = _context()
        _load(context, leaf)
        self._current, self._leaf = context, leaf
        return True

    def trouble(self) -> str | None:
        """Why nobody can connect right now; None when all is well."""
        if self._leaf is None:
            return "there is no serving certificate yet"
        certificate, now = self._leaf.certificate, self._now()
        if now >= certificate.not_valid_after_utc:
            return f"the serving certificate expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
        if now < certificate.not_valid_before_utc:
            return f"the serving certificate is valid only from {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
        return None

    def seconds_left(self) -> float:
        """Until the certificate ends; negative afterwards and before the first."""
        return (self.expires - self._now() if self.expires is not None else timedelta(seconds=-1)).total_seconds()

    def _hand_over(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        """Called in each handshake, with or without a name sent."""
        if self._current is not None:
            connection.context = self._current


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_ALPN)
    return context


def _load(context: ssl.SSLContext, leaf: Pair) -> None:
    """The ssl module reads files alone: one in memory, so that the key touches no disk."""
    descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(leaf.key_pem + leaf.certificate_pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")

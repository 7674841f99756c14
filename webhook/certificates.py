"""What the certificates' Secret holds, how sound it is, and what it should hold next. Pure but for new keys.

The Secret has four keys: `ca.crt` (the bundle that API servers trust, newest authority first), `ca.key` (of the newest),
`tls.crt` and `tls.key` (the leaf that is served). A new authority joins the bundle first and signs the leaf only when API
servers had time to see it, so that at no moment a leaf is served that somebody does not trust.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from webhook.authority import BACKDATE, Names, Pair, may_sign, names_of, new_authority, new_leaf

T = TypeVar("T")

BUNDLE_KEY: Final = "ca.crt"
AUTHORITY_KEY: Final = "ca.key"
LEAF_CERTIFICATE: Final = "tls.crt"
LEAF_KEY: Final = "tls.key"

RENEW_AFTER: Final = 2 / 3
"""Share of a certificate's life after which it is replaced."""
MAX_BUNDLE: Final = 4
"""Authorities kept at most; more come together only when rotations pile up within `Lifetimes.settle`."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what we make lives. `settle` is how long API servers get to learn of a new authority."""

    authority: timedelta = timedelta(days=365)
    leaf: timedelta = timedelta(days=90)
    settle: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Material:
    """The Secret, read: what is sound in it, and in `faults` what is not."""

    bundle: tuple[x509.Certificate, ...] = ()
    authority: Pair | None = None
    leaf: Pair | None = None
    faults: tuple[str, ...] = ()

    @property
    def bundle_pem(self) -> bytes:
        """What API servers are to trust."""
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.bundle)


EMPTY: Final = Material()


class _BrokenError(ValueError):
    """One key of the Secret does not hold what it should."""


def read_material(data: Mapping[str, object]) -> Material:
    """Read a Secret's `data`. Broken or torn parts are left out and told in `faults`; nothing raises."""
    faults: list[str] = []
    bundle = _sound(lambda: _certificates(data, BUNDLE_KEY), faults) or ()
    authority = _sound(lambda: _authority(_pair(data, BUNDLE_KEY, AUTHORITY_KEY)), faults)
    leaf = _sound(lambda: _pair(data, LEAF_CERTIFICATE, LEAF_KEY), faults)
    return Material(bundle, authority, leaf, tuple(dict.fromkeys(faults)))


def write_material(material: Material) -> dict[str, str]:
    """The Secret's `data` for it. Only for complete material."""
    if material.authority is None or material.leaf is None:
        raise ValueError("material without an authority or a leaf is never stored")
    parts = {
        BUNDLE_KEY: material.bundle_pem,
        AUTHORITY_KEY: material.authority.key_pem,
        LEAF_CERTIFICATE: material.leaf.certificate_pem,
        LEAF_KEY: material.leaf.key_pem,
    }
    return {key: base64.b64encode(value).decode() for key, value in parts.items()}


def usable(leaf: Pair | None, bundle: Iterable[x509.Certificate], *, now: datetime) -> bool:
    """Whether an API server that trusts the bundle accepts this leaf now."""
    return leaf is not None and _valid(leaf.certificate, now) and _signer(leaf, bundle, now=now) is not None


def next_material(
    held: Material, *, remembered: Material, names: Names, trusted: bool, now: datetime, lifetimes: Lifetimes
) -> Material | None:
    """What the Secret should hold instead of `held`, or None when it is as it should be.

    `remembered` is what we last served: it lends its leaf and its bundle when the Secret was lost or broken, so that replicas
    that still serve it stay trusted. `trusted` says whether API servers' configuration carries exactly the held bundle.
    """
    authority = held.authority
    if authority is None or _due(authority.certificate, now):
        authority = new_authority(now=now, life=lifetimes.authority)
    others = [one for one in (*held.bundle, *remembered.bundle) if _valid(one, now) and one != authority.certificate]
    bundle = (authority.certificate, *dict.fromkeys(others))[:MAX_BUNDLE]
    leaf = next((one for one in (held.leaf, remembered.leaf) if usable(one, bundle, now=now)), None)
    settled = trusted and authority is held.authority and now >= _made(authority.certificate) + lifetimes.settle
    wanted = Material(
        bundle, authority, _next_leaf(leaf, authority, names, settled=settled, now=now, lifetimes=lifetimes)
    )
    if leaf is wanted.leaf and leaf is not None and _signed_by(leaf, authority) and _old(leaf, now, lifetimes):
        wanted = replace(wanted, bundle=(authority.certificate,))
    return None if wanted == replace(held, faults=()) else wanted


def _next_leaf(
    leaf: Pair | None, authority: Pair, names: Names, *, settled: bool, now: datetime, lifetimes: Lifetimes
) -> Pair:
    """Keep the leaf while it serves; replace it by one of the newest authority as soon as that is trusted."""
    if leaf is None:
        return new_leaf(authority, names, now=now, life=lifetimes.leaf)
    present = names_of(leaf.certificate)
    if not names <= present:
        # The union, so that two replicas with different names do not undo each other's leaf for ever.
        return new_leaf(authority, names | present, now=now, life=lifetimes.leaf)
    if settled and (_due(leaf.certificate, now) or not _signed_by(leaf, authority)):
        return new_leaf(authority, names, now=now, life=lifetimes.leaf)
    return leaf


def _old(leaf: Pair, now: datetime, lifetimes: Lifetimes) -> bool:
    """Whether every replica has had time to serve this leaf, so that no other is in use."""
    return now >= _made(leaf.certificate) + lifetimes.settle


def _made(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_before_utc + BACKDATE


def _valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _due(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether the share of its life has passed, or its life has not begun: the clock went back beyond `BACKDATE`."""
    life = certificate.not_valid_after_utc - _made(certificate)
    return now >= _made(certificate) + RENEW_AFTER * life or now < certificate.not_valid_before_utc


def _signer(leaf: Pair, bundle: Iterable[x509.Certificate], *, now: datetime) -> x509.Certificate | None:
    return next((one for one in bundle if _valid(one, now) and _issued(leaf.certificate, one)), None)


def _signed_by(leaf: Pair, authority: Pair) -> bool:
    return _issued(leaf.certificate, authority.certificate)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _sound(read: Callable[[], T], faults: list[str]) -> T | None:
    """What is read, or None and one more fault."""
    try:
        return read()
    except _BrokenError as error:
        faults.append(str(error))
        return None


def _decoded(data: Mapping[str, object], key: str) -> bytes:
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise _BrokenError(f"{key} is missing or empty")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _BrokenError(f"{key} is no base64: {error}") from error


def _certificates(data: Mapping[str, object], key: str) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(_decoded(data, key)))
    except _BrokenError:
        raise
    except ValueError as error:
        raise _BrokenError(f"{key} holds no certificate: {error}") from error


def _pair(data: Mapping[str, object], certificate_key: str, key_key: str) -> Pair:
    certificate = _certificates(data, certificate_key)[0]
    try:
        key = serialization.load_pem_private_key(_decoded(data, key_key), password=None)
    except _BrokenError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _BrokenError(f"{key_key} holds no private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _BrokenError(f"{key_key} is no elliptic-curve key")
    if key.public_key() != certificate.public_key():
        raise _BrokenError(f"{key_key} is not the key of {certificate_key} (a torn pair)")
    return Pair(certificate, key)


def _authority(pair: Pair) -> Pair:
    if not may_sign(pair.certificate):
        raise _BrokenError(f"{BUNDLE_KEY} begins with a certificate that may not sign others")
    return pair

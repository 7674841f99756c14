"""A certificate authority of our own, and leaves that it signs: ECDSA on P-256, X.509 as strict verifiers want it.

Pure but for the operating system's randomness in keys and serial numbers; the time is passed in. How long things live and
when they are replaced is decided in `certificates`.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATE: Final = timedelta(hours=1)
"""How far an API server's clock may be behind ours."""

_UNREADABLE: Final = (
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
    ValueError,
)
"""What reading the extensions of a stranger's certificate may raise."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a server is reached by: DNS names and IP addresses, as text."""

    dns: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    def __le__(self, other: "Names") -> bool:
        return self.dns <= other.dns and self.addresses <= other.addresses

    def __or__(self, other: "Names") -> "Names":
        return Names(self.dns | other.dns, self.addresses | other.addresses)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key, unencrypted PKCS #8."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def new_authority(*, now: datetime, life: timedelta) -> Pair:
    """A self-signed CA that may sign leaves only. Each has a subject of its own, so that verifiers tell two apart."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"nos-mig webhook CA {serial:x}"[:64])])
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=serial)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def new_leaf(authority: Pair, names: Names, *, now: datetime, life: timedelta) -> Pair:
    """A server certificate for these names; it never outlives its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(now + life, authority.certificate.not_valid_after_utc)
    certificate = (
        x509.CertificateBuilder(
            issuer_name=authority.certificate.subject,
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nos-mig webhook")]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
        )
        .not_valid_before(now - BACKDATE)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def names_of(certificate: x509.Certificate) -> Names:
    """The names that a certificate speaks for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except _UNREADABLE:
        return Names()
    return Names(
        frozenset(found.get_values_for_type(x509.DNSName)),
        frozenset(str(address) for address in found.get_values_for_type(x509.IPAddress)),
    )


def may_sign(certificate: x509.Certificate) -> bool:
    """Whether it is an authority's, so that verifiers accept what it signed."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except _UNREADABLE:
        return False


def _alternative_names(names: Names) -> Iterable[x509.GeneralName]:
    yield from (x509.DNSName(name) for name in sorted(names.dns))
    yield from (x509.IPAddress(ipaddress.ip_address(address)) for address in sorted(names.addresses))


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )

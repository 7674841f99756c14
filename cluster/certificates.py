"""The cluster's own certificate authority, and what it signs.

Everything is made anew for each cluster, lives as long as its folder, and is trusted by nobody else. Keys are on the curve
P-256: making one takes a millisecond. Nothing is rotated; a certificate outlasts any use of such a cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID: Final = timedelta(days=365)
BACKDATED: Final = timedelta(hours=1)
"""For clocks that are set back meanwhile."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A certificate and its key, as PEM and where they were written."""

    certificate: bytes
    key: bytes
    certificate_path: Path
    key_path: Path


@dataclass(frozen=True, kw_only=True)
class KeyFiles:
    """The two halves of a key that signs tokens."""

    private: Path
    public: Path


class Authority:
    """A certificate authority that writes what it makes into one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nos-mig-cluster")])
        builder = self._builder(self._name, self._key.public_key())
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        self.certificate_path = self._write("ca.crt", self.certificate)

    def issue(
        self, name: str, *, common_name: str, organization: str | None = None, addresses: Sequence[str] = ()
    ) -> KeyPair:
        """Sign a certificate for a client, and for a server if it has addresses; `name` is that of its files."""
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization is not None:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._builder(x509.Name(attributes), key.public_key())
        if addresses:
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
            names = [x509.DNSName("localhost"), *(x509.IPAddress(IPv4Address(address)) for address in addresses)]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = _private_pem(key)
        return KeyPair(
            certificate=certificate,
            key=private,
            certificate_path=self._write(f"{name}.crt", certificate),
            key_path=self._write(f"{name}.key", private),
        )

    def token_key(self) -> KeyFiles:
        """Make the key that signs the service accounts' tokens."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return KeyFiles(private=self._write("tokens.key", _private_pem(key)), public=self._write("tokens.pub", public))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + VALID)
        )

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

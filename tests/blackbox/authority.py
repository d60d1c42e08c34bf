"""
A certificate authority of our own, for the tests of TLS.
"""

from __future__ import annotations

import datetime
import ipaddress
import os

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@attrs.frozen
class Authority:
    """
    An authority, and where its files lie: C{ca.pem}, C{server.pem} and
    C{server.key} in C{folder}.
    """

    folder: str
    _key: ec.EllipticCurvePrivateKey
    _name: x509.Name

    @property
    def path(self) -> str:
        """Of the authority's certificate: what clients are to trust."""
        return os.path.join(self.folder, "ca.pem")

    @classmethod
    def make(cls, folder: str) -> Authority:
        """Make an authority, and a server's certificate for this machine."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        authority = cls(folder, key, name)
        certificate = (
            authority._builder(name, key.public_key())
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(
                x509.KeyUsage(
                    *(True, False, False, False, False, True, True, False, False)
                ),
                True,
            )
            .sign(key, hashes.SHA256())
        )
        _write(authority.path, certificate.public_bytes(serialization.Encoding.PEM))
        authority.issue()
        return authority

    def issue(self, name: str = "server") -> int:
        """
        Issue a certificate: C{NAME.pem} and C{NAME.key}.

        :return: its serial number.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names: list[x509.GeneralName] = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        certificate = (
            self._builder(subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self._key.public_key()
                ),
                False,
            )
            .add_extension(x509.BasicConstraints(False, None), True)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _write(os.path.join(self.folder, f"{name}.key"), secret)
        _write(os.path.join(self.folder, f"{name}.pem"), pem)
        return certificate.serial_number

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        )


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)

"""
TLS from PEM files, renewed without a restart.

A L{Certificates} is what a TLS endpoint is given.  It makes each connection from
the context it holds at that moment: after L{Certificates.reload} new connections
have the new certificate, while those that are open keep theirs.

Not chosen: C{twisted.internet.ssl.CertificateOptions}.  It cannot ask a client
for a certificate without requiring one, and changing the context it made, so
that it does, is deprecated by pyOpenSSL.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import attrs
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509 import Certificate, load_pem_x509_certificates
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from alluxio_tw.app import properties as p
from alluxio_tw.app.kinds import quoted
from alluxio_tw.app.sections import Tls
from alluxio_tw.errors import WrongConfiguration

CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""For TLS 1.2: forward secrecy and authenticated encryption, the cheapest first."""

CIPHERS_13 = (
    b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
)

PROTOCOL = b"http/1.1"

MAX_FILE = 4 << 20
"""Bytes; the largest bundles of authorities are a tenth of it."""

SOON = 14 * 86400.0
"""Seconds before its end that a certificate is warned about."""


@attrs.frozen
class Identity:
    """
    A certificate with what belongs to it, read and found to fit.
    """

    key: PrivateKeyTypes
    certificate: Certificate
    chain: Sequence[Certificate]
    authorities: Sequence[Certificate]

    @classmethod
    def read(cls, tls: Tls) -> Identity:
        """
        Read the files.

        :raises WrongConfiguration: one is missing, is not what it should be, or
            does not fit the others.
        """
        certificate, *chain = _certificates(tls.certificate, p.TLS_CERTIFICATE.name)
        key = _key(tls.key, p.TLS_KEY.name)
        if tls.chain:
            chain += _certificates(tls.chain, p.TLS_CHAIN.name)
        authorities = (
            _certificates(tls.client_ca, p.TLS_CLIENT_CA.name) if tls.client_ca else []
        )
        if _public(key) != _public(certificate):
            raise WrongConfiguration(
                f"{p.TLS_KEY.name}: the key in {quoted(tls.key)} is not that of the "
                f"certificate in {quoted(tls.certificate)}"
            )
        return cls(key, certificate, chain, authorities)

    @property
    def ends(self) -> datetime:
        """When the certificate expires."""
        return self.certificate.not_valid_after_utc

    def context(self, tls: Tls) -> SSL.Context:
        """
        Make the context for a server.

        :raises WrongConfiguration: OpenSSL does not accept something.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(
            SSL.TLS1_3_VERSION if tls.least == "1.3" else SSL.TLS1_2_VERSION
        )
        context.set_options(
            SSL.OP_NO_COMPRESSION
            | SSL.OP_NO_RENEGOTIATION
            | SSL.OP_CIPHER_SERVER_PREFERENCE
            | ssl.OP_SINGLE_ECDH_USE
        )
        # What an idle connection holds is given back: 34 KB each.
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        # Tickets are kept by the client; a cache here would only take memory.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"alluxio-tw")
        context.set_alpn_select_callback(_choose_protocol)
        try:
            context.use_certificate(crypto.X509.from_cryptography(self.certificate))
            for each in self.chain:
                context.add_extra_chain_cert(crypto.X509.from_cryptography(each))
            context.use_privatekey(crypto.PKey.from_cryptography_key(self.key))  # type: ignore[arg-type]
            context.check_privatekey()
            self._ask_clients(context, tls.client_required)
        except (SSL.Error, crypto.Error, TypeError) as error:
            raise WrongConfiguration(
                f"{p.TLS_CERTIFICATE.name}: {quoted(tls.certificate)} cannot be used: "
                f"{_reason(error)}"
            ) from error
        if hasattr(context, "set_tls13_ciphersuites"):
            context.set_tls13_ciphersuites(CIPHERS_13)
        context.set_cipher_list(CIPHERS)
        return context

    def _ask_clients(self, context: SSL.Context, required: bool) -> None:
        if not self.authorities:
            return
        store = context.get_cert_store()
        assert store is not None
        names = []
        for each in self.authorities:
            authority = crypto.X509.from_cryptography(each)
            store.add_cert(authority)
            names.append(authority.get_subject())
        context.set_client_ca_list(names)
        context.set_verify(
            SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if required else 0)
        )


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """
    Makes the server's end of TLS connections, from files that may change.

    :ivar ends: when the certificate in use expires.
    """

    log = Logger()

    def __init__(self, tls: Tls) -> None:
        """
        :raises WrongConfiguration: the files cannot be used.
        """
        self._tls = tls
        identity = Identity.read(tls)
        self._context = identity.context(tls)
        self.ends = identity.ends
        self._judge(identity)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def reload(self) -> bool:
        """
        Read the files again; if they cannot be used, that is logged and what was
        in use stays so.

        :return: whether the new ones are in use.
        """
        try:
            identity = Identity.read(self._tls)
            context = identity.context(self._tls)
        except WrongConfiguration as error:
            self.log.error(
                "The TLS certificate stays as it was: {why}", why=error.message
            )
            return False
        self._context = context
        self.ends = identity.ends
        self._judge(identity)
        return True

    def _judge(self, identity: Identity) -> None:
        now = datetime.now(timezone.utc)
        path = self._tls.certificate
        if identity.ends <= now:
            self.log.warn(
                "The certificate {path} expired at {ends}",
                path=path,
                ends=identity.ends,
            )
        elif (identity.ends - now).total_seconds() < SOON:
            self.log.warn(
                "The certificate {path} expires soon, at {ends}",
                path=path,
                ends=identity.ends,
            )
        if identity.certificate.not_valid_before_utc > now:
            self.log.warn(
                "The certificate {path} is not valid before {begins}",
                path=path,
                begins=identity.certificate.not_valid_before_utc,
            )


def _choose_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    # A client that offers only others may still mean HTTP/1.1.
    return PROTOCOL if PROTOCOL in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _read(path: str, name: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise WrongConfiguration(
            f"{name}: cannot read {quoted(path)}: {error.strerror}"
        ) from error
    if len(data) > MAX_FILE:
        raise WrongConfiguration(f"{name}: {quoted(path)} is too large")
    return data


def _certificates(path: str, name: str) -> list[Certificate]:
    data = _read(path, name)
    try:
        return load_pem_x509_certificates(data)
    except ValueError as error:
        raise WrongConfiguration(
            f"{name}: there is no certificate in {quoted(path)}: write it as PEM, with "
            "BEGIN CERTIFICATE"
        ) from error


def _key(path: str, name: str) -> PrivateKeyTypes:
    data = _read(path, name)
    try:
        return load_pem_private_key(_only_key(data), None)
    except TypeError as error:
        raise WrongConfiguration(
            f"{name}: the key in {quoted(path)} is encrypted: take its password off with "
            "openssl pkey -in FILE -out NEW"
        ) from error
    except Exception as error:
        # UnsupportedAlgorithm is an Exception of its own; none of them may show
        # what is in the file.
        raise WrongConfiguration(
            f"{name}: there is no private key in {quoted(path)}: write it as PEM, with "
            "BEGIN PRIVATE KEY"
        ) from error


def _only_key(data: bytes) -> bytes:
    """The private key of a file that may hold certificates and EC parameters too."""
    lines: list[bytes] = []
    for line in data.splitlines():
        if line.startswith(b"-----BEGIN") and b"PRIVATE KEY" in line:
            lines = [line]
        elif lines:
            lines.append(line)
            if line.startswith(b"-----END"):
                break
    return b"\n".join(lines) + b"\n"


def _public(of: PrivateKeyTypes | Certificate) -> bytes:
    return of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _reason(error: BaseException) -> str:
    # OpenSSL's errors are lists of (library, function, reason).
    first = error.args[0] if error.args else ""
    if isinstance(first, list):
        return "; ".join(str(each[-1]) for each in first)
    return str(first) or type(error).__name__

"""
TLS: which files are accepted, and what a client meets, over real sockets.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.app.sections import Tls
from alluxio_tw.app.tls import Certificates
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import WrongConfiguration

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

NOW = datetime.now(timezone.utc)


@attrs.define
class Pair:
    """A key and its certificate."""

    key: Key
    certificate: x509.Certificate

    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        return self.key.private_bytes(
            Encoding.PEM,
            PrivateFormat.PKCS8,
            BestAvailableEncryption(password) if password else NoEncryption(),
        )


def certify(
    name: str,
    by: Pair | None = None,
    authority: bool = False,
    days: float = 90,
    key: Key | None = None,
) -> Pair:
    """Make a certificate for C{name}, signed by C{by} or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=100))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(authority, None), True)
    )
    if not authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), False
        )
    return Pair(key, builder.sign(by.key if by else key, hashes.SHA256()))


AUTHORITY = certify("authority", authority=True)
BETWEEN = certify("between", AUTHORITY, authority=True)
SERVER = certify("localhost", BETWEEN)
RENEWED = certify("localhost", BETWEEN)
CLIENTS = certify("clients", authority=True)
CLIENT = certify("client", CLIENTS)
STRANGER = certify("client", certify("strangers", authority=True))


class Files:
    """Files of a test, in a folder of its own."""

    mktemp: Callable[[], str]

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.messages: list[str] = []

        def observe(event: dict[str, object]) -> None:
            if event.get("log_namespace") == "alluxio_tw.app.tls.Certificates":
                self.messages.append(str(event["log_format"]))

        observer: Any = observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)  # type: ignore[attr-defined]

    def put(self, name: str, *contents: bytes) -> str:
        path = self.folder / name
        path.write_bytes(b"".join(contents))
        return str(path)

    def tls(self, **more: object) -> Tls:
        given: dict[str, object] = {
            "certificate": self.put("cert.pem", SERVER.pem()),
            "key": self.put("key.pem", SERVER.key_pem()),
            "chain": self.put("chain.pem", BETWEEN.pem()),
        }
        return Tls(**{**given, **more})  # type: ignore[arg-type]


class FileTests(Files, SynchronousTestCase):
    def wrong(self, **more: object) -> str:
        error = self.assertRaises(WrongConfiguration, Certificates, self.tls(**more))
        message: str = error.message
        self.assertNotIn("\n", message)
        return message

    def test_missing_file(self) -> None:
        """A file that is not there is named, with its property."""
        message = self.wrong(certificate="/nowhere.pem")
        self.assertIn("tls.certificate.path: cannot read '/nowhere.pem'", message)
        self.assertIn("tls.key.path: cannot", self.wrong(key=str(self.folder)))
        self.assertIn("tls.chain.path: cannot", self.wrong(chain="/nowhere.pem"))
        self.assertIn("tls.client.ca.path", self.wrong(client_ca="/nowhere.pem"))

    def test_not_pem(self) -> None:
        """A file with something else in it is told from one with a certificate."""
        self.assertIn(
            "BEGIN CERTIFICATE", self.wrong(certificate=self.put("x", b"\x30\x82"))
        )
        self.assertIn("BEGIN PRIVATE KEY", self.wrong(key=self.put("x", SERVER.pem())))
        broken = SERVER.key_pem().replace(b"A", b"!", 3)
        self.assertIn("BEGIN PRIVATE KEY", self.wrong(key=self.put("x", broken)))

    def test_key_of_another(self) -> None:
        """A key that does not belong to the certificate is refused."""
        self.assertIn(
            "is not that of the certificate",
            self.wrong(key=self.put("x", CLIENT.key_pem())),
        )

    def test_encrypted_key(self) -> None:
        """An encrypted key is refused, with how to decrypt it."""
        self.assertIn(
            "openssl pkey", self.wrong(key=self.put("x", SERVER.key_pem(b"secret")))
        )

    def test_weak_key(self) -> None:
        """A key that OpenSSL finds too weak is refused with its reason."""
        weak = certify("localhost", key=rsa.generate_private_key(65537, 1024))
        message = self.wrong(
            certificate=self.put("c", weak.pem()), key=self.put("k", weak.key_pem())
        )
        self.assertIn("cannot be used: ", message)
        self.assertIn("too small", message)

    def test_all_in_one_file(self) -> None:
        """Certificate, chain and key may be in one file."""
        path = self.put("all.pem", SERVER.pem(), BETWEEN.pem(), SERVER.key_pem())
        found = Certificates(Tls(path, path))
        self.assertEqual(found.ends, SERVER.certificate.not_valid_after_utc)
        self.assertEqual(self.messages, [])

    def test_expired_certificate(self) -> None:
        """An expired certificate is used, with a warning; so is one about to expire."""
        for days, word in ((-1, "expired"), (3, "expires soon")):
            pair = certify("localhost", days=days)
            Certificates(
                self.tls(
                    certificate=self.put("c", pair.pem()),
                    key=self.put("k", pair.key_pem()),
                )
            )
            self.assertIn(word, self.messages.pop())


class Echo(Protocol):
    """Sends back what it is sent."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class HandshakeTests(Files, TestCase):
    def listen(self, certificates: Certificates) -> int:
        reactor: object = _reactor
        listener = reactor.listenSSL(  # type: ignore[attr-defined]
            0, Factory.forProtocol(Echo), certificates, interface="127.0.0.1"
        )
        self.addCleanup(listener.stopListening)
        port: int = listener.getHost().port
        return port

    def context(self, client: Pair | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=AUTHORITY.pem().decode())
        if client is not None:
            path = self.put("client.pem", client.pem(), client.key_pem())
            context.load_cert_chain(path)
        return context

    def talk(
        self,
        port: int,
        context: ssl.SSLContext,
        session: ssl.SSLSession | None = None,
    ) -> Deferred[ssl.SSLSocket]:
        """Handshake and be echoed to, in a thread; the socket stays open."""
        sockets = self.sockets

        def work() -> ssl.SSLSocket:
            raw = socket.create_connection(("127.0.0.1", port), 10)
            try:
                wrapped = context.wrap_socket(
                    raw, server_hostname="localhost", session=session
                )
            except BaseException:
                raw.close()
                raise
            sockets.append(wrapped)
            wrapped.sendall(b"hello")
            if wrapped.recv(5) != b"hello":
                raise ssl.SSLError("closed by the server")
            return wrapped

        return deferToThread(work)

    def setUp(self) -> None:
        super().setUp()
        self.sockets: list[ssl.SSLSocket] = []
        self.addCleanup(self.hang_up)

    def hang_up(self) -> None:
        for each in self.sockets:
            each.close()

    @deferred
    async def test_handshake(self) -> None:
        """A client that knows the authority gets through, the chain being sent."""
        port = self.listen(Certificates(self.tls()))
        found = await self.talk(port, self.context())
        self.assertEqual(found.version(), "TLSv1.3")
        cipher = found.cipher()
        assert cipher is not None
        self.assertEqual(cipher[0], "TLS_AES_128_GCM_SHA256")

    @deferred
    async def test_chain_is_needed(self) -> None:
        """Without the certificate between, the client cannot trust us."""
        port = self.listen(Certificates(self.tls(chain="")))
        await self.assertFailure(self.talk(port, self.context()), ssl.SSLError)

    @deferred
    async def test_versions(self) -> None:
        """TLS 1.2 is spoken unless forbidden, with forward secrecy; 1.1 is not."""
        context = self.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        found = await self.talk(self.listen(Certificates(self.tls())), context)
        self.assertEqual(found.version(), "TLSv1.2")
        cipher = found.cipher()
        assert cipher is not None
        self.assertEqual(cipher[0], "ECDHE-ECDSA-AES128-GCM-SHA256")
        port = self.listen(Certificates(self.tls(least="1.3")))
        await self.assertFailure(
            self.talk(port, context), ssl.SSLError, ConnectionError
        )

    @deferred
    async def test_old_versions(self) -> None:
        """TLS 1.1 is not spoken."""
        context = self.context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        port = self.listen(Certificates(self.tls()))
        await self.assertFailure(
            self.talk(port, context), ssl.SSLError, ConnectionError
        )

    @deferred
    async def test_protocols(self) -> None:
        """HTTP/1.1 is chosen by ALPN; a client that only offers others may go on."""
        port = self.listen(Certificates(self.tls()))
        for offered, chosen in (
            (["h2", "http/1.1"], "http/1.1"),
            (["h2"], None),
            ([], None),
        ):
            context = self.context()
            context.set_alpn_protocols(offered)
            found = await self.talk(port, context)
            self.assertEqual(found.selected_alpn_protocol(), chosen)

    @deferred
    async def test_session_tickets(self) -> None:
        """A client that comes again is spared the full handshake."""
        port = self.listen(Certificates(self.tls()))
        context = self.context()
        first = await self.talk(port, context)
        again = await self.talk(port, context, first.session)
        self.assertFalse(first.session_reused)
        self.assertTrue(again.session_reused)

    @deferred
    async def test_client_certificates(self) -> None:
        """Where authorities are configured, only their clients get in."""
        ca = self.put("ca.pem", CLIENTS.pem())
        port = self.listen(Certificates(self.tls(client_ca=ca)))
        await self.talk(port, self.context(CLIENT))
        refused = (ssl.SSLError, ConnectionError)
        await self.assertFailure(self.talk(port, self.context()), *refused)
        await self.assertFailure(self.talk(port, self.context(STRANGER)), *refused)

    @deferred
    async def test_optional_client_certificates(self) -> None:
        """Where they are not required, none is right, and a wrong one still wrong."""
        ca = self.put("ca.pem", CLIENTS.pem())
        tls = self.tls(client_ca=ca, client_required=False)
        port = self.listen(Certificates(tls))
        await self.talk(port, self.context(CLIENT))
        await self.talk(port, self.context())
        await self.assertFailure(
            self.talk(port, self.context(STRANGER)), ssl.SSLError, ConnectionError
        )

    @deferred
    async def test_resumed_client(self) -> None:
        """A client with a certificate may resume its session too."""
        ca = self.put("ca.pem", CLIENTS.pem())
        port = self.listen(Certificates(self.tls(client_ca=ca)))
        context = self.context(CLIENT)
        first = await self.talk(port, context)
        again = await self.talk(port, context, first.session)
        self.assertTrue(again.session_reused)

    @deferred
    async def test_reload(self) -> None:
        """After a reload new connections have the new certificate, old ones live on."""
        certificates = Certificates(self.tls())
        port = self.listen(certificates)
        before = await self.talk(port, self.context())
        self.put("cert.pem", RENEWED.pem())
        self.put("key.pem", RENEWED.key_pem())
        self.assertTrue(certificates.reload())
        after = await self.talk(port, self.context())
        self.assertEqual(before.getpeercert(True), self.der(SERVER))
        self.assertEqual(after.getpeercert(True), self.der(RENEWED))

        def speak() -> bytes:
            before.sendall(b"still")
            return before.recv(5)

        self.assertEqual(await deferToThread(speak), b"still")

    @deferred
    async def test_reload_of_wrong_files(self) -> None:
        """When the new files are wrong the old certificate stays, and that is logged."""
        certificates = Certificates(self.tls())
        port = self.listen(certificates)
        self.put("cert.pem", RENEWED.pem())  # and not its key
        self.assertFalse(certificates.reload())
        self.assertIn("stays as it was", self.messages[0])
        os.remove(self.folder / "key.pem")
        self.assertFalse(certificates.reload())
        found = await self.talk(port, self.context())
        self.assertEqual(found.getpeercert(True), self.der(SERVER))

    def der(self, pair: Pair) -> bytes:
        return pair.certificate.public_bytes(Encoding.DER)

"""
Which servers are believed to be who they say they are.
"""

from __future__ import annotations

import os
from typing import Any, cast

import attrs
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from alluxio_tw.errors import WrongConfiguration

_END = b"-----END CERTIFICATE-----"


def tls_policy(verify: bool, ca_file: str) -> IPolicyForHTTPS:
    """
    Which servers are trusted.

    :raises WrongConfiguration: the file of authorities cannot be used.
    """
    if not verify:
        return _TrustAll()
    if not ca_file:
        return cast("IPolicyForHTTPS", BrowserLikePolicyForHTTPS())
    try:
        with open(ca_file, "rb") as file:
            blocks = file.read(1 << 20).split(_END)
        found = [ssl.Certificate.loadPEM(block + _END) for block in blocks[:-1]]
        if not found:
            raise ValueError("there is no certificate in it")
    except (OSError, ValueError, SSL.Error) as error:
        raise WrongConfiguration(
            f"option 'ca_file' of an S3 mount: {os.path.basename(ca_file)!r} "
            f"cannot be used: {getattr(error, 'strerror', None) or error}"
        ) from error
    roots = ssl.trustRootFromCertificates(found)
    return cast("IPolicyForHTTPS", BrowserLikePolicyForHTTPS(roots))


@implementer(IPolicyForHTTPS)
class _TrustAll:
    """
    For C{verify=false}: whoever answers is believed.
    """

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        context = ssl.CertificateOptions(verify=False).getContext()
        return _Unverified(context, hostname)


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen
class _Unverified:
    _context: Any
    _hostname: bytes

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:  # noqa: N803
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._hostname)
        return connection

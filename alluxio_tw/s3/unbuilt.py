"""
Headers that ask for what is not built: refused, never ignored.

A client that asks for encryption, a lock or a grant and is told that all went
well would believe that it has it.
"""

from __future__ import annotations

from collections.abc import Mapping

from alluxio_tw.errors import (
    AccessControlListNotSupported,
    InvalidArgument,
    NotImplementedYet,
)

_NOT_BUILT = frozenset(
    (
        b"x-amz-bucket-object-lock-enabled",
        b"x-amz-object-lock-legal-hold",
        b"x-amz-object-lock-mode",
        b"x-amz-object-lock-retain-until-date",
        b"x-amz-server-side-encryption-aws-kms-key-id",
        b"x-amz-server-side-encryption-context",
        b"x-amz-server-side-encryption-customer-algorithm",
        b"x-amz-server-side-encryption-customer-key",
        b"x-amz-copy-source-server-side-encryption-customer-algorithm",
        b"x-amz-copy-source-server-side-encryption-customer-key",
        b"x-amz-write-offset-bytes",
    )
)
_ENCRYPTION = b"x-amz-server-side-encryption"
_GRANTS = frozenset(
    (
        b"x-amz-grant-full-control",
        b"x-amz-grant-read",
        b"x-amz-grant-read-acp",
        b"x-amz-grant-write",
        b"x-amz-grant-write-acp",
    )
)
_ACL = b"x-amz-acl"
# These give nothing to anybody who has not got it already.
_HARMLESS_ACLS = frozenset(
    (b"private", b"bucket-owner-full-control", b"bucket-owner-read")
)
_ACLS = _HARMLESS_ACLS | {
    b"public-read",
    b"public-read-write",
    b"authenticated-read",
    b"aws-exec-read",
    b"log-delivery-write",
}
_ALL = _NOT_BUILT | _GRANTS | {_ENCRYPTION, _ACL}


def refuse_unbuilt(headers: Mapping[bytes, bytes], encrypts: bool = False) -> None:
    """
    Refuse a request that asks for what we cannot give.

    :param encrypts: the storage encrypts what it keeps: C{AES256} is granted.
    :raises NotImplementedYet: with C{Header}.
    :raises AccessControlListNotSupported: somebody else shall be let in.
    :raises InvalidArgument: there is no such canned ACL.
    """
    if _ALL.isdisjoint(headers):
        return
    for name in sorted(_NOT_BUILT.intersection(headers)):
        if headers[name].lower() != b"false":
            raise _not_built(name)
    encryption = headers.get(_ENCRYPTION)
    if encryption is not None and not (encrypts and encryption == b"AES256"):
        raise _not_built(_ENCRYPTION)
    if not _GRANTS.isdisjoint(headers):
        raise AccessControlListNotSupported
    acl = headers.get(_ACL, b"private")
    if acl not in _ACLS:
        raise InvalidArgument(
            ArgumentName="x-amz-acl", ArgumentValue=acl.decode("latin-1")
        )
    if acl not in _HARMLESS_ACLS:
        raise AccessControlListNotSupported


def _not_built(name: bytes) -> NotImplementedYet:
    return NotImplementedYet(
        "A header you provided implies functionality that is not implemented.",
        Header=name.decode("ascii"),
    )

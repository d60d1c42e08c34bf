"""
A request that is known to be an S3 operation, with all that serves it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import attrs

from alluxio_tw.errors import InvalidRequest, MissingRequestBody
from alluxio_tw.gateway.buckets import Buckets
from alluxio_tw.gateway.keys import AccessKeys
from alluxio_tw.gateway.objects import Objects
from alluxio_tw.gateway.uploads import Uploads
from alluxio_tw.s3 import checksums
from alluxio_tw.s3.documents import Owner
from alluxio_tw.s3.path import BucketPath, ObjectPath, Query, Root, Target
from alluxio_tw.s3.routing import Operation
from alluxio_tw.s3.sigv4 import ChunkSigner
from alluxio_tw.web.authorization import Authorization
from alluxio_tw.web.decoding import DecodedBody, decode
from alluxio_tw.web.request import Request
from alluxio_tw.web.tree import read_whole


@attrs.frozen
class Rules:
    """
    What the configuration says of the S3 language.

    :ivar region: what this endpoint says it is in.
    :ivar metadata_limit: bytes of user metadata, names and values.
    :ivar tagging_restricted: hold to S3's limits on tags.
    :ivar xml_limit: bytes of an XML body.
    :ivar xml_list_limit: bytes of one that lists objects or parts.
    :ivar owner: the user that requests without a name run as.
    :ivar signed_region: the only one whose signatures hold; L{None} for any.
    """

    region: str = "us-east-1"
    metadata_limit: int = 2048
    tagging_restricted: bool = True
    xml_limit: int = 1 << 20
    xml_list_limit: int = 2 << 20
    owner: str = "alluxio"
    signed_region: str | None = None


@attrs.frozen
class Gateway:
    """
    What operations are made of.

    :ivar clock: seconds since the epoch.
    :ivar keys: what signatures are made with; L{None} if nobody checks them.
    :ivar authorization: who may do what.
    """

    objects: Objects
    buckets: Buckets
    uploads: Uploads
    rules: Rules = attrs.field(factory=Rules)
    clock: Callable[[], float] = time.time
    keys: AccessKeys | None = None
    authorization: Authorization = attrs.field()

    @authorization.default
    def _authorization(self) -> Authorization:
        return Authorization(self.buckets, self.clock)


@attrs.define
class Call:
    """
    An operation to be done.

    :ivar user: who asks.
    :ivar signer: proves the chunks of a signed body; L{None} lets them pass.
    """

    request: Request
    target: Target
    operation: Operation
    gateway: Gateway
    user: str
    signer: ChunkSigner | None = None

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """Of the request, by lower-case name."""
        return self.request.headers

    @property
    def query(self) -> Query:
        """Of the request."""
        return self.target.query

    @property
    def bucket(self) -> str:
        """The bucket; only for operations that have one."""
        assert not isinstance(self.target, Root)
        return self.target.bucket

    @property
    def key(self) -> str:
        """The key; only for operations that have one."""
        assert isinstance(self.target, ObjectPath)
        return self.target.key

    @property
    def resource(self) -> str:
        """What errors call C{Resource}."""
        target = self.target
        if isinstance(target, ObjectPath):
            return f"/{target.bucket}/{target.key}"
        if isinstance(target, BucketPath):
            return f"/{target.bucket}"
        return "/"

    @property
    def owner(self) -> Owner:
        """Whom what is here belongs to; of the service, who asks."""
        rules = self.gateway.rules
        if isinstance(self.target, Root):
            return Owner(self.user or rules.owner)
        standing = self.gateway.buckets.standing(self.target.bucket)
        return Owner(standing.owner or rules.owner)

    @property
    def url(self) -> str:
        """Of the object or bucket, as the client wrote it."""
        scheme = "https" if self.request.connection.secure else "http"
        host = self.headers.get(b"host", b"").decode("latin-1")
        return f"{scheme}://{host}{self.target.raw_path.decode('latin-1')}"

    async def document(
        self, digest: bool = False, optional: bool = False, checked: bool = True
    ) -> bytes:
        """
        The body, an XML document, whole and verified.

        :param digest: S3 insists on C{Content-MD5} or a checksum.
        :param optional: there need be none.
        :param checked: checksum headers are of this body.
        :raises MissingRequestBody: there is none.
        :raises MaxMessageLengthExceeded: it is too large.
        """
        headers = self.headers
        if not checked:
            headers = {
                name: value
                for name, value in headers.items()
                if not name.startswith(b"x-amz-checksum-")
                and name != b"x-amz-sdk-checksum-algorithm"
            }
        promises = checksums.Promises.from_headers(headers)
        if digest and promises.md5 is None and not promises.algorithm:
            raise InvalidRequest(
                "Missing required header for this request: Content-MD5"
            )
        body = decode(self.request, self.signer)
        if body is None:
            # It may have been there when the request was signed.
            checksums.Digests(promises, md5=False).verify()
            if not optional:
                raise MissingRequestBody()
            return b""
        rules = self.gateway.rules
        lists = self.operation.name in ("DeleteObjects", "CompleteMultipartUpload")
        limit = rules.xml_list_limit if lists else rules.xml_limit
        data = await read_whole(body, limit)
        digests = checksums.Digests(promises, md5=False)
        digests.update(data)
        digests.verify(body.trailers if isinstance(body, DecodedBody) else None)
        if not data and not optional:
            raise MissingRequestBody()
        return data

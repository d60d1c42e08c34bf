"""
What S3 does to whole keys: the requests behind the driver, one by one.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Container, Mapping, Sequence
from functools import partial

import attrs

from alluxio_tw.deferreds import quietly, together
from alluxio_tw.errors import (
    MalformedXML,
    MissingRequestBody,
    NoSuchPath,
    NotImplementedYet,
    ObjectChanged,
    StorageDenied,
    StorageUnavailable,
)
from alluxio_tw.iobjects import NO_PAIRS, Attributes, Demand, Status
from alluxio_tw.s3.checksums import ALGORITHMS
from alluxio_tw.s3.xml import parse, unquote
from alluxio_tw.spans import Span
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.s3_attributes import (
    NO_S3,
    checksum_header,
    etag_of,
    read_tags,
    said,
    status_of,
    tag_count,
    tag_document,
    to_headers,
)
from alluxio_tw.ufs.s3_bodies import Arrival, Check
from alluxio_tw.ufs.s3_connection import Response
from alluxio_tw.ufs.s3_digests import SUM, content_md5, md5_hex
from alluxio_tw.ufs.s3_faults import Complaint
from alluxio_tw.ufs.s3_multipart import Multipart
from alluxio_tw.ufs.s3_options import S3Options
from alluxio_tw.ufs.s3_wire import Answer, Asking, Wire

COPY_MOST = 5 << 30
"""Bytes that CopyObject and UploadPartCopy move in one request."""

# They cost next to nothing to compute beside the network.
_VERIFIED = frozenset(("crc32", "crc32c", "crc64nvme"))

Part = tuple[str, str, Span | None]
"""A source's key, its version, and what of it."""


@attrs.define(eq=False)
class S3Bucket:
    """
    A bucket and the way to it.

    :ivar live: the notes of uploads that are not to be swept.
    :ivar doubted: checksums of the whole that the server gets wrong, or has not.
    """

    wire: Wire
    given: S3Options
    live: set[str] = attrs.field(factory=set, init=False)
    doubted: set[str] = attrs.field(factory=set, init=False)

    async def get(
        self, key: str, status: Status, span: Span, offset: int
    ) -> tuple[Arrival, Check | None]:
        """
        Ask for a span of a version, from C{offset} bytes into the span.

        :raises ObjectChanged: there is another.
        """
        begin, left = span.offset + offset, span.length - offset
        headers = {b"if-match": _quoted(status.version)}
        whole = not begin and left == status.size
        if whole:
            headers[b"x-amz-checksum-mode"] = b"ENABLED"
        else:
            headers[b"range"] = b"bytes=%d-%d" % (begin, begin + left - 1)
        try:
            response, arrival = await self.wire.stream(
                Asking(b"GET", key, headers=headers)
            )
        except Complaint as error:
            if error.status in (412, 416):
                raise ObjectChanged() from error
            raise error.noun() from error
        if etag_of(response.headers) != status.version:
            arrival.close()
            raise ObjectChanged()
        if arrival.length not in (None, left) or response.code != (
            200 if whole else 206
        ):
            arrival.close()
            raise StorageUnavailable("The storage answered another range.")
        return arrival, _check(response, self.doubted) if whole else None

    async def status(self, key: str, tags: Mapping[str, str] | None = None) -> Status:
        """
        The current version; C{tags} if they are known.

        :raises NoSuchPath: there is none.
        """
        answer = await self.wire.call(
            Asking(b"HEAD", key, headers={b"x-amz-checksum-mode": b"ENABLED"})
        )
        if tags is None:
            tags = await self._tags(key) if tag_count(answer.headers) else NO_PAIRS
        return status_of(answer.headers, tags, None, self.doubted)

    async def _tags(self, key: str) -> Mapping[str, str]:
        try:
            answer = await self.wire.call(Asking(b"GET", key, (("tagging", ""),)))
            return read_tags(answer.body)
        except (StorageDenied, NotImplementedYet):
            # Who may read an object may not always read its tags.
            return NO_PAIRS
        except (MalformedXML, MissingRequestBody) as error:
            raise StorageUnavailable(NO_S3) from error

    async def put(
        self,
        key: str,
        pieces: list[bytes | memoryview],
        attributes: Attributes,
        condition: Mapping[bytes, bytes],
    ) -> str:
        """Put an object whole; its ETag."""
        headers = {**to_headers(attributes), **checksum_header(attributes)}
        try:
            answer = await self.conditional(
                Asking(b"PUT", key, (), headers, pieces), condition
            )
        except Complaint as error:
            # It may be that what stands in the way is what we have just put.
            if condition and error.status == 412 and error.tries > 1:
                there = await self.etag(key)
                if there == await self.wire.threads.run(md5_hex, pieces):
                    return there
            raise error.noun() from error
        return etag_of(answer.headers)

    async def settle(
        self, key: str, etag: str, size: int, told: Attributes, wanted: Attributes
    ) -> Status:
        """The version just written, of C{told}, made to have the attributes C{wanted}."""
        status = await self.made(key, etag, size, wanted)
        if _same(told, wanted):
            return status
        before = attrs.evolve(status.attributes, tags=told.tags)
        known = attrs.evolve(status, attributes=before)
        return await self.change(key, known, wanted)

    async def change(self, key: str, current: Status, attributes: Attributes) -> Status:
        """Replace what is said of a version that is there."""
        found = current.attributes
        if found.headers == attributes.headers and found.user == attributes.user:
            if list(found.tags.items()) != list(attributes.tags.items()):
                await self._tag(key, attributes.tags)
            kept = attrs.evolve(found, tags=dict(attributes.tags))
            return attrs.evolve(current, attributes=kept, memo={})
        etag = await self.copied(key, current, key, attributes, {})
        return await self.made(key, etag, current.size, attributes)

    async def _tag(self, key: str, tags: Mapping[str, str]) -> None:
        if not tags:
            asking = Asking(b"DELETE", key, (("tagging", ""),))
        else:
            body = tag_document(tags)
            asking = Asking(b"PUT", key, (("tagging", ""),), _md5ed(body), (body,))
        await self.wire.call(asking)

    async def copied(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        condition: Mapping[bytes, bytes],
    ) -> str:
        """
        Copy a version; the ETag of the copy.

        :raises ObjectChanged: there is another by now.
        """
        if status.size > COPY_MOST:
            spans = [
                Span(at, min(COPY_MOST, status.size - at))
                for at in range(0, status.size, COPY_MOST)
            ]
            parts: list[Part] = [(source, status.version, span) for span in spans]
            return await self.joined(parts, target, attributes, condition)
        headers = {
            **to_headers(attributes),
            b"x-amz-copy-source": self.wire.address.copy_source(source),
            b"x-amz-copy-source-if-match": _quoted(status.version),
            b"x-amz-metadata-directive": b"REPLACE",
            b"x-amz-tagging-directive": b"REPLACE",
        }
        try:
            answer = await self.conditional(
                Asking(b"PUT", target, (), headers, late=True), condition
            )
        except Complaint as error:
            if error.status == 412:
                # Which of two conditions did not hold: that on the source?
                await self.same_version(source, status)
            raise error.noun() from error
        try:
            made = parse(answer.body.lstrip(), "CopyObjectResult").word("ETag")
        except (MalformedXML, MissingRequestBody) as error:
            raise StorageUnavailable(NO_S3) from error
        if not made:
            raise StorageUnavailable(NO_S3)
        return unquote(made)

    async def same_version(self, key: str, status: Status) -> None:
        """
        Is this version the current one?

        :raises ObjectChanged: it is not.
        :raises NoSuchPath: there is none.
        """
        etag = await self.etag(key)
        if etag is None:
            raise NoSuchPath()
        if etag != status.version:
            raise ObjectChanged()

    async def made(
        self, key: str, etag: str, size: int, attributes: Attributes
    ) -> Status:
        """The version just written, as the storage tells it."""
        try:
            status = await self.status(key, dict(attributes.tags))
            if status.etag == etag:
                return status
        except NoSuchPath:
            pass
        # Somebody was quicker; ours was there nevertheless.
        return self.unseen(etag, size, attributes)

    def unseen(self, etag: str, size: int, attributes: Attributes) -> Status:
        """What was written now, not asked about."""
        now = int(self.wire.clock.seconds()) * 1_000_000_000
        return Status(size, etag, etag, now, attributes)

    async def joined(
        self,
        parts: Sequence[Part],
        target: str,
        attributes: Attributes,
        condition: Mapping[bytes, bytes],
    ) -> str:
        """Make an object of runs of bytes that are there; its ETag."""
        upload = await self.begin(target, attributes)
        try:
            step = self.given.upload_threads
            for at in range(0, len(parts), step):
                some = enumerate(parts[at : at + step], at + 1)
                await together(
                    [upload.copy_part(number, *part) for number, part in some]
                )
            etag = await upload.complete(condition)
            await upload.tidied
            return etag
        except BaseException:
            await quietly(upload.abort())
            raise

    async def begin(
        self, key: str, attributes: Attributes, algorithm: str = "", kind: str = ""
    ) -> Multipart:
        """
        Begin a multipart upload; its parts are given checksums of C{algorithm}.

        :param kind: C{FULL_OBJECT} if one of the whole will be known at its end.
        """
        begin = partial(
            Multipart.begin, self.wire, self.given.root, key, attributes, self.live
        )
        if kind and algorithm not in self.doubted:
            try:
                return await begin(algorithm, kind)
            except (NotImplementedYet, StorageUnavailable) as error:
                refused = getattr(error.__cause__, "status", None)
                if refused not in (400, 501):
                    raise
                # Not every server knows each of them.
                self.doubted.add(algorithm)
        return await begin(SUM if self.given.unsigned else "")

    async def delete(self, key: str, demand: Demand) -> bool:
        """
        Delete; whether there was something.

        :raises PreconditionFailed: the demand does not hold.
        """
        etag = await self.etag(key)
        demanded(demand, etag)
        if etag is None:
            return False
        condition = {}
        if demand.match is not None and self.given.conditional:
            condition = {b"if-match": _quoted(etag)}
        try:
            answer = await self.conditional(Asking(b"DELETE", key), condition)
            if answer.status != 204 and answer.body.strip():
                raise StorageUnavailable(NO_S3)
        except Complaint as error:
            if error.status == 404:
                # Perhaps by an earlier attempt of ours.
                return error.tries > 1
            raise error.noun() from error
        return True

    async def condition(self, key: str, demand: Demand) -> dict[bytes, bytes]:
        """
        Judge a demand of what is there, and say it in headers, for the storage to
        judge once more when it writes.

        :raises PreconditionFailed: it does not hold.
        """
        if demand.match is None and not demand.absent:
            return {}
        etag = await self.etag(key)
        demanded(demand, etag)
        if not self.given.conditional:
            return {}
        return (
            {b"if-none-match": b"*"} if etag is None else {b"if-match": _quoted(etag)}
        )

    async def conditional(
        self, asking: Asking, condition: Mapping[bytes, bytes]
    ) -> Answer:
        """
        Ask with a condition; without it, if the storage does not know of such.

        :raises Complaint: the storage refuses.
        """
        if condition:
            headers = {**asking.headers, **condition}
            try:
                return await self.wire.ask(attrs.evolve(asking, headers=headers))
            except Complaint as error:
                if error.status != 501:
                    raise
        return await self.wire.ask(asking)

    async def etag(self, key: str) -> str | None:
        """The ETag of what is there now; L{None} if there is nothing."""
        try:
            answer = await self.wire.call(Asking(b"HEAD", key))
        except NoSuchPath:
            return None
        return etag_of(answer.headers)


def _same(a: Attributes, b: Attributes) -> bool:
    """As far as an upload is told of them when it begins."""
    return (
        a.headers == b.headers
        and a.user == b.user
        and list(a.tags.items()) == list(b.tags.items())
    )


def _quoted(etag: str) -> bytes:
    return b'"%b"' % etag.encode("latin-1", "replace")


def _md5ed(body: bytes) -> dict[bytes, bytes]:
    return {b"content-md5": content_md5((body,)), b"content-type": b"application/xml"}


def _check(response: Response, doubted: Container[str]) -> Check | None:
    """The checksum that a whole object comes with, if it is one we compute."""
    found = said(response.headers, NO_PAIRS)
    if found.checksum_type != "FULL_OBJECT":
        return None
    for name, value in found.checksums.items():
        if name in _VERIFIED and name not in doubted:
            algorithm = ALGORITHMS[name]
            try:
                digest = b64decode(value, validate=True)
            except ValueError:
                continue
            if len(digest) == algorithm.width:
                return Check(algorithm.make(), digest)
    return None

"""
Multipart uploads at the storage: begun, fed, completed; and swept when they died.

Which uploads of a bucket are ours cannot be told from a list of them, so each is
noted in a small object beside the data, under a name that no listing shows.
Sweeping reads the notes and never touches another's upload.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import md5, sha256

import attrs
from twisted.internet.defer import Deferred, succeed

from alluxio_tw.errors import (
    MalformedXML,
    MissingRequestBody,
    NoSuchUpload,
    ObjectChanged,
    PreconditionFailed,
    StorageUnavailable,
)
from alluxio_tw.iobjects import NO_PAIRS, Attributes
from alluxio_tw.s3.text import escape
from alluxio_tw.s3.xml import parse, unquote
from alluxio_tw.spans import Span
from alluxio_tw.ufs.s3_attributes import etag_of, first, to_headers
from alluxio_tw.ufs.s3_digests import checksum, sum_header
from alluxio_tw.ufs.s3_faults import Complaint
from alluxio_tw.ufs.s3_wire import Asking, Wire

NOTES = ".alluxio-tw/multipart/"
"""Beneath the mount's root, what is noted of uploads on their way."""

NO_HEADERS: Mapping[bytes, bytes] = {}

FULL = "FULL_OBJECT"
"""The kind of checksum that is of all bytes of an object, however it came."""

_COMPLETED = "CompleteMultipartUploadResult"


@attrs.define(eq=False)
class Multipart:
    """
    One upload.

    :ivar key: the whole key.
    :ivar algorithm: of the checksums that L{part} computes; empty for none.
    :ivar full: the storage knows of checksums of whole objects, and is to be given one.
    :ivar tidied: fires when, after its completion, nothing is noted of it.
    """

    _wire: Wire
    key: str
    id: str
    _note: str = ""
    _live: set[str] = attrs.field(factory=set, repr=False)
    algorithm: str = ""
    full: bool = False
    _etags: dict[int, str] = attrs.field(factory=dict, init=False, repr=False)
    _checksums: dict[int, Mapping[str, str]] = attrs.field(
        factory=dict, init=False, repr=False
    )
    tidied: Deferred[None] = attrs.field(
        factory=lambda: succeed(None), init=False, repr=False
    )

    @classmethod
    async def create(
        cls,
        wire: Wire,
        key: str,
        attributes: Attributes,
        algorithm: str = "",
        kind: str = "",
    ) -> Multipart:
        """
        Begin an upload that is noted elsewhere.

        :param algorithm: of its parts' checksums; empty for none.
        :param kind: C{FULL_OBJECT}, C{COMPOSITE} or empty.
        """
        headers = to_headers(attributes)
        if algorithm:
            headers[b"x-amz-checksum-algorithm"] = algorithm.upper().encode()
            if kind:
                headers[b"x-amz-checksum-type"] = kind.encode()
        answer = await wire.call(Asking(b"POST", key, (("uploads", ""),), headers))
        id = _word(answer.body, "InitiateMultipartUploadResult", "UploadId")
        # Who does not repeat it has not heard of it, and joins the parts' checksums.
        told = first(answer.headers, b"x-amz-checksum-type").upper()
        return cls(wire, key, id, full=kind == FULL and told == FULL.encode())

    @classmethod
    async def begin(
        cls,
        wire: Wire,
        root: str,
        key: str,
        attributes: Attributes,
        live: set[str],
        algorithm: str = "",
        kind: str = "",
    ) -> Multipart:
        """
        Begin an upload.

        :param root: of the mount.
        :param attributes: what the object will be given.
        :param live: the notes of uploads that must not be swept.
        :param algorithm: of a checksum that L{part} is to compute; empty for none.
        :param kind: as of L{create}.
        """
        made = await cls.create(wire, key, attributes, algorithm, kind)
        id, made.algorithm = made.id, algorithm
        began = int(wire.clock.seconds())
        mark = sha256(id.encode()).hexdigest()[:24]
        note = f"{root}{NOTES}{began:012x}.{mark}"
        made._note, made._live = note, live
        live.add(note)
        try:
            body = json.dumps({"key": key, "id": id}).encode()
            await wire.call(Asking(b"PUT", note, body=(body,)))
        except BaseException:
            await made.abort()
            raise
        return made

    def has(self, number: int, etag: str, checksums: Mapping[str, str]) -> None:
        """A part is there already."""
        self._etags[number] = etag
        self._checksums[number] = checksums

    async def part(
        self,
        number: int,
        pieces: Sequence[bytes | memoryview],
        headers: Mapping[bytes, bytes] = NO_HEADERS,
    ) -> str:
        """
        Send a part, 1 and up; its ETag.

        :param headers: its checksum, if it is to be checked.
        """
        if self.algorithm:
            value = await self._checksum(pieces)
            headers = sum_header(value, self.algorithm)
            self._checksums[number] = {self.algorithm: value}
        answer = await self._wire.call(
            Asking(b"PUT", self.key, self._query(number), headers, pieces)
        )
        etag = self._etags[number] = etag_of(answer.headers)
        return etag

    async def _checksum(self, pieces: Sequence[bytes | memoryview]) -> str:
        return await self._wire.threads.run(checksum, pieces, self.algorithm)

    async def copy_part(
        self, number: int, source: str, etag: str, span: Span | None = None
    ) -> str:
        """
        Make a part of bytes that are there; its ETag.

        :param source: a whole key of the same bucket.
        :param etag: of the version that is meant; empty for any.
        :raises ObjectChanged: it is another.
        """
        headers = {b"x-amz-copy-source": self._wire.address.copy_source(source)}
        if etag:
            headers[b"x-amz-copy-source-if-match"] = b'"%b"' % etag.encode("latin-1")
        if span is not None:
            headers[b"x-amz-copy-source-range"] = b"bytes=%d-%d" % (
                span.offset,
                span.end - 1,
            )
        try:
            answer = await self._wire.call(
                Asking(b"PUT", self.key, self._query(number), headers, late=True)
            )
        except PreconditionFailed as error:
            raise ObjectChanged() from error
        made = unquote(_word(answer.body, "CopyPartResult", "ETag"))
        self._etags[number] = made
        return made

    async def complete(self, condition: Mapping[bytes, bytes], whole: str = "") -> str:
        """
        Make the object.

        :param condition: headers that the object there must satisfy.
        :param whole: the checksum of all of it, if it was begun for one.
        :return: its ETag.
        :raises PreconditionFailed: it does not.
        """
        body = "".join(
            f"<Part><PartNumber>{number}</PartNumber>"
            f"<ETag>&quot;{escape(etag)}&quot;</ETag>{self._said(number)}</Part>"
            for number, etag in sorted(self._etags.items())
        )
        document = (
            '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"{body}</CompleteMultipartUpload>"
        ).encode()
        said = {b"content-type": b"application/xml", **condition}
        if whole and self.full:
            said |= sum_header(whole, self.algorithm)
            said[b"x-amz-checksum-type"] = FULL.encode()
        asking = Asking(
            b"POST",
            self.key,
            (("uploadId", self.id),),
            said,
            (document,),
            late=True,
        )
        try:
            answer = await self._wire.ask(asking)
            etag = unquote(_word(answer.body, _COMPLETED, "ETag"))
        except Complaint as error:
            found = await self._done_before(error)
            if found is None:
                raise error.noun() from error
            etag = found
        self.tidied = Deferred.fromCoroutine(self._over())
        return etag

    async def abort(self) -> None:
        """Forget it; what cannot be reached now is swept later."""
        try:
            await self._wire.call(Asking(b"DELETE", self.key, (("uploadId", self.id),)))
        except NoSuchUpload:
            pass
        except BaseException:
            # The note stays, for whoever sweeps.
            self._live.discard(self._note)
            raise
        await self._over()

    async def _done_before(self, error: Complaint) -> str | None:
        """The ETag, if an earlier attempt was heard and only its reply was lost."""
        if error.tries == 1 or error.code not in ("NoSuchUpload", "PreconditionFailed"):
            return None
        try:
            answer = await self._wire.ask(Asking(b"HEAD", self.key))
        except Complaint:
            return None
        etag = etag_of(answer.headers)
        return etag if etag == self._expected() else None

    def _expected(self) -> str | None:
        try:
            digests = [bytes.fromhex(self._etags[n]) for n in sorted(self._etags)]
        except ValueError:
            return None
        whole = md5(b"".join(digests), usedforsecurity=False).hexdigest()
        return f"{whole}-{len(digests)}"

    def _said(self, number: int) -> str:
        """The checksums of a part, as its completion has them."""
        return "".join(
            f"<Checksum{name.upper()}>{escape(value)}</Checksum{name.upper()}>"
            for name, value in self._checksums.get(number, NO_PAIRS).items()
        )

    async def _over(self) -> None:
        if not self._note:
            return
        self._live.discard(self._note)
        try:
            await self._wire.call(Asking(b"DELETE", self._note))
        except Exception:
            return  # a note about nothing; it goes with the next sweep

    def _query(self, number: int) -> tuple[tuple[str, str], ...]:
        return (("partNumber", str(number)), ("uploadId", self.id))


async def sweep_note(wire: Wire, note: str) -> bool:
    """
    Abort the upload that a note is about, and remove the note.

    :param note: its whole key.
    :return: whether there was an upload.
    """
    try:
        answer = await wire.ask(Asking(b"GET", note))
        found = json.loads(answer.body)
        key, id = str(found["key"]), str(found["id"])
    except Complaint as error:
        if error.status == 404:
            return False
        raise error.noun() from error
    except (ValueError, KeyError, TypeError):
        key = id = ""
    there = False
    if id:
        try:
            await wire.call(Asking(b"DELETE", key, (("uploadId", id),)))
            there = True
        except NoSuchUpload:
            pass
    await wire.call(Asking(b"DELETE", note))
    return there


def noted_at(note: str) -> float | None:
    """When the upload of a note began, in seconds since the epoch."""
    try:
        return float(int(note.rpartition("/")[2].partition(".")[0], 16))
    except ValueError:
        return None


def _word(document: bytes, root: str, name: str) -> str:
    if root == _COMPLETED and b"<CompleteMultipartUploadResponse" in document:
        root = "CompleteMultipartUploadResponse"  # as moto has it
    try:
        word = parse(document.lstrip(), root).word(name)
    except (MalformedXML, MissingRequestBody) as error:
        raise StorageUnavailable("The storage answered what is no S3.") from error
    if not word:
        raise StorageUnavailable("The storage answered what is no S3.")
    return word

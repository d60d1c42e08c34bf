"""
What is written down of uploads in progress, in the state store.

    upload/<bucket>/<id>          the upload
    part/<id>/<number>            a part: where it lies, size, ETag, checksums
"""

from __future__ import annotations

import json
from typing import Any

import attrs

from alluxio_tw.errors import NoSuchUpload
from alluxio_tw.iobjects import Attributes, PartStatus, Upload
from alluxio_tw.istate import Held, IState

PAGE = 1000


@attrs.frozen
class Part:
    """
    A part, and where it lies.

    :ivar path: in the storage of the target's mount.
    """

    status: PartStatus
    path: str

    def encode(self) -> bytes:
        """As it is kept."""
        status = self.status
        return json.dumps(
            [
                status.number,
                status.size,
                status.etag,
                status.modified,
                dict(status.checksums),
                self.path,
            ],
            separators=(",", ":"),
        ).encode()

    @classmethod
    def decode(cls, held: Held) -> Part:
        """The inverse of L{encode}."""
        *fields, path = json.loads(held.value)
        return cls(PartStatus(*fields), path)


def upload_name(bucket: str, id: str) -> str:
    """Under which an upload is kept."""
    return f"upload/{bucket}/{id}"


def part_name(id: str, number: int) -> str:
    """Under which a part is kept; sorts by number."""
    return f"part/{id}/{number:05d}"


def encode_upload(upload: Upload, completing: str = "") -> bytes:
    """
    As it is kept.

    :param completing: the ETag that the object is being given.
    """
    value: dict[str, Any] = attrs.asdict(upload)
    value["completing"] = completing
    return json.dumps(value, separators=(",", ":")).encode()


def decode_upload(held: Held) -> tuple[Upload, str]:
    """The inverse of L{encode_upload}."""
    value = json.loads(held.value)
    completing: str = value.pop("completing", "")
    kept = value.pop("attributes")
    kept["part_sizes"] = tuple(kept["part_sizes"])
    kept["part_checksums"] = tuple(kept.get("part_checksums", ()))
    return Upload(**value, attributes=Attributes(**kept)), completing


async def find_upload(
    state: IState, bucket: str, key: str, id: str
) -> tuple[Held, Upload, str]:
    """
    An upload: its record, itself, and the ETag it is being completed with.

    :raises NoSuchUpload: there is none of that id for that key.
    """
    held: Held | None = None
    if id.isalnum() and len(id) <= 64:
        held = await state.get(upload_name(bucket, id))
    if held is None:
        raise NoSuchUpload(UploadId=id)
    upload, completing = decode_upload(held)
    if upload.key != key:
        raise NoSuchUpload(UploadId=id)
    return held, upload, completing


async def all_uploads(state: IState, bucket: str = "") -> list[tuple[str, Upload]]:
    """Uploads of a bucket, or of all, each with the name it is kept under."""
    prefix = f"upload/{bucket}/" if bucket else "upload/"
    found: list[tuple[str, Upload]] = []
    cursor = ""
    while True:
        some = await state.list(prefix, cursor, PAGE)
        found += [(each.name, decode_upload(each)[0]) for each in some]
        if len(some) < PAGE:
            return found
        cursor = some[-1].name


async def all_parts(state: IState, id: str) -> dict[int, Part]:
    """The parts of an upload, by number."""
    found: dict[int, Part] = {}
    cursor = ""
    while True:
        some = await state.list(f"part/{id}/", cursor, PAGE)
        for each in some:
            part = Part.decode(each)
            found[part.status.number] = part
        if len(some) < PAGE:
            return found
        cursor = some[-1].name

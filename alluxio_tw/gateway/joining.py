"""
Which parts an upload is completed from, and what they make; pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import attrs

from alluxio_tw.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
)
from alluxio_tw.gateway.ledger import Part
from alluxio_tw.iobjects import Attributes, PartStatus, Upload
from alluxio_tw.s3 import checksums
from alluxio_tw.s3.batches import CompletedPart

KEPT_PARTS = 1000
"""Of an object of more parts, only its own checksum is kept, not each part's."""


def choose(
    claims: Sequence[CompletedPart],
    upload: Upload,
    parts: Mapping[int, Part],
    minimum: int,
) -> list[Part]:
    """
    The parts that are meant; the checks in the order in which S3 complains.

    :param minimum: bytes of a part that is not the last.
    :raises InvalidPartOrder: they are not in ascending order.
    :raises InvalidPart: one is not there, or not the one that is meant.
    :raises BadDigest: it was uploaded without the kind of checksum that is meant.
    :raises EntityTooSmall: one that is not the last is too small.
    """
    numbers = [claim.number for claim in claims]
    if any(a >= b for a, b in pairwise(numbers)):
        raise InvalidPartOrder(UploadId=upload.id)
    chosen = []
    for claim in claims:
        part = parts.get(claim.number)
        if (
            part is None
            or part.status.etag != claim.etag
            or any(
                part.status.checksums.get(name, value) != value
                for name, value in claim.checksums.items()
            )
        ):
            raise InvalidPart(
                UploadId=upload.id, PartNumber=str(claim.number), ETag=claim.etag
            )
        for name in claim.checksums.keys() - part.status.checksums.keys():
            raise BadDigest(
                f"The {name} you specified for part {claim.number} did not match what"
                " we received."
            )
        chosen.append(part)
    for part in chosen[:-1]:
        if part.status.size < minimum:
            raise EntityTooSmall(
                ETag=part.status.etag,
                MinSizeAllowed=str(minimum),
                PartNumber=str(part.status.number),
                ProposedSize=str(part.status.size),
            )
    return chosen


def joined(upload: Upload, parts: Sequence[PartStatus]) -> Attributes:
    """What the object is given: what the upload was, and what its parts make."""
    algorithm = upload.checksum_algorithm or checksums.DEFAULT
    kind = upload.checksum_type or "FULL_OBJECT"
    found: dict[str, str] = {}
    each: tuple[str, ...] = ()
    if all(algorithm in part.checksums for part in parts):
        if kind == "FULL_OBJECT":
            found[algorithm] = checksums.full_object(
                algorithm, ((part.checksums[algorithm], part.size) for part in parts)
            )
        else:
            found[algorithm] = checksums.composite(
                algorithm, (part.checksums[algorithm] for part in parts)
            )
        if upload.checksum_algorithm and len(parts) <= KEPT_PARTS:
            each = tuple(part.checksums[algorithm] for part in parts)
    return attrs.evolve(
        upload.attributes,
        checksums=found,
        checksum_type=kind if found else "",
        part_sizes=tuple(part.size for part in parts),
        part_checksums=each,
    )


def check_claims(claims: Sequence[CompletedPart], upload: Upload, kind: str) -> None:
    """
    Does the client say of each part what the kind of its checksums asks for?

    :param kind: what it says the kind is; empty if it says nothing.
    :raises InvalidRequest: it is another kind, or a part's checksum is missing.
    """
    if kind and upload.checksum_type and kind != upload.checksum_type:
        raise InvalidRequest(
            f"The upload was created using the {upload.checksum_type} checksum mode. "
            "The complete request must use the same checksum mode."
        )
    if upload.checksum_type != "COMPOSITE":
        return
    algorithm = upload.checksum_algorithm
    for claim in claims:
        if algorithm not in claim.checksums:
            raise InvalidRequest(
                f"The upload was created using a {algorithm} checksum. The complete "
                "request must include the checksum for each part. It was missing for "
                f"part {claim.number} in the request."
            )


def agree(attributes: Attributes, whole: tuple[str, str] | None) -> None:
    """
    Is the whole what the client says it is?

    :param whole: algorithm and base64; L{None} if it says nothing.
    :raises BadDigest: it is not.
    """
    if whole is None:
        return
    algorithm, value = whole
    found = attributes.checksums.get(algorithm)
    if found is not None and found.partition("-")[0] != value.partition("-")[0]:
        raise BadDigest(
            f"The {algorithm.upper()} you specified did not match the calculated checksum."
        )

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import InvalidArgument, InvalidRequest
from alluxio_tw.s3.attributes import parse_object_attributes


class ObjectAttributesTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Attributes are named in a list, parts are paged by headers."""
        wanted, parts = parse_object_attributes(
            {
                b"x-amz-object-attributes": b"ETag, ObjectParts",
                b"x-amz-max-parts": b"2",
                b"x-amz-part-number-marker": b"3",
            }
        )
        self.assertEqual(wanted, {"ETag", "ObjectParts"})
        self.assertEqual((parts.after, parts.limit), (3, 2))

    def test_refused(self) -> None:
        """No attribute, an unknown one and a bad number are refused."""
        for headers in (
            {b"x-amz-object-attributes": b"ETag,"},
            {b"x-amz-object-attributes": b"etag"},
            {b"x-amz-object-attributes": b"\xff"},
            {b"x-amz-object-attributes": b"ETag", b"x-amz-max-parts": b"x"},
        ):
            self.assertRaises(InvalidArgument, parse_object_attributes, headers)
        for headers in ({}, {b"x-amz-object-attributes": b" "}):
            self.assertRaises(InvalidRequest, parse_object_attributes, headers)

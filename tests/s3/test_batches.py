from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import InvalidArgument, MalformedXML, MissingRequestBody
from alluxio_tw.s3.batches import (
    CompletedPart,
    DeleteRequest,
    Deletion,
    parse_complete,
    parse_delete,
)


def delete(inner: str) -> DeleteRequest:
    return parse_delete(f"<Delete>{inner}</Delete>".encode())


def complete(inner: str) -> tuple[CompletedPart, ...]:
    document = f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>"
    return parse_complete(document.encode())


class DeleteTests(SynchronousTestCase):
    def test_delete(self) -> None:
        """Keys come as they are, with the conditions that were set."""
        self.assertEqual(
            delete(
                "<Quiet>true</Quiet><Object><Key> a/b </Key></Object><Object>"
                '<Key>k</Key><VersionId>null</VersionId><ETag>"e"</ETag>'
                "<Size>5</Size><LastModifiedTime>t</LastModifiedTime><New/></Object>"
            ),
            DeleteRequest(
                (Deletion(" a/b "), Deletion("k", "null", "e", 5, "t")), quiet=True
            ),
        )
        self.assertFalse(delete("<Object><Key>k</Key></Object>").quiet)

    def test_a_thousand(self) -> None:
        """A thousand objects can be deleted at once, not one more, not none."""
        one = "<Object><Key>k</Key></Object>"
        self.assertEqual(len(delete(one * 1000).objects), 1000)
        self.assertRaises(MalformedXML, delete, one * 1001)
        self.assertRaises(MalformedXML, delete, "")
        self.assertRaises(MissingRequestBody, parse_delete, b"")

    def test_malformed(self) -> None:
        """An object needs one key; flags and sizes must be such."""
        for inner in (
            "<Object/>",
            "<Object><Key/></Object>",
            "<Object><Key>a</Key><Key>b</Key></Object>",
            "<Object><Key>a</Key><Size>-1</Size></Object>",
            "<Object><Key>a</Key><Size>x</Size></Object>",
            "<Quiet>maybe</Quiet><Object><Key>a</Key></Object>",
        ):
            self.assertRaises(MalformedXML, delete, inner)


class CompleteTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """Parts come in their order, with their checksums, ETags without quotes."""
        self.assertEqual(
            complete(
                "<Part><PartNumber>2</PartNumber><ETag>&quot;b&quot;</ETag>"
                "<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>"
                "<Part><ETag>a</ETag><PartNumber> 1 </PartNumber></Part>"
            ),
            (CompletedPart(2, "b", {"crc32c": "AAAAAA=="}), CompletedPart(1, "a", {})),
        )

    def test_ten_thousand(self) -> None:
        """An upload has up to ten thousand parts, and at least one."""
        one = (
            "<Part><PartNumber>{0}</PartNumber><ETag>e</ETag>"
            "<ChecksumXXHASH3>AAAAAAAAAAA=</ChecksumXXHASH3></Part>"
        )
        many = [one.format(number) for number in range(1, 10_001)]
        self.assertEqual(complete("".join(many))[-1].number, 10_000)
        self.assertRaises(MalformedXML, complete, "".join([*many, one.format(1)]))
        self.assertRaises(MalformedXML, complete, "")
        self.assertRaises(MalformedXML, parse_complete, b"")

    def test_checksums(self) -> None:
        """A part has at most one checksum, and that is one."""
        one = "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>"
        for given in (
            one + "<ChecksumSHA1>Kq5sNclPz7QV2+lfQIuc6R7oRu0=</ChecksumSHA1>",
            "<ChecksumCRC32>AAAA</ChecksumCRC32>",
            "<ChecksumCRC32>not base64</ChecksumCRC32>",
            "<ChecksumMD5/>",
        ):
            part = f"<Part><PartNumber>1</PartNumber><ETag>e</ETag>{given}</Part>"
            self.assertRaises(InvalidArgument, complete, part)

    def test_malformed(self) -> None:
        """A part needs its number and its ETag, once."""
        for inner in (
            "<Part><PartNumber>1</PartNumber></Part>",
            "<Part><ETag>e</ETag></Part>",
            "<Part><PartNumber>x</PartNumber><ETag>e</ETag></Part>",
            "<Part><PartNumber>1</PartNumber><PartNumber>1</PartNumber>"
            "<ETag>e</ETag></Part>",
        ):
            self.assertRaises(MalformedXML, complete, inner)

    def test_numbers_out_of_range(self) -> None:
        """A part number beyond 1 to 10,000 is named in the refusal."""
        for number in ("0", "-1", "10001", "9" * 19):
            error = self.assertRaises(
                InvalidArgument,
                complete,
                f"<Part><PartNumber>{number}</PartNumber><ETag>e</ETag></Part>",
            )
            self.assertEqual(error.fields["ArgumentValue"], number)

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

import botocore.session
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import AccessDenied
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Entry,
    Listing,
    PartStatus,
    Status,
    Upload,
)
from alluxio_tw.s3 import documents
from alluxio_tw.s3.configurations import CORSRule, parse_cors, parse_versioning
from alluxio_tw.s3.documents import Owner
from alluxio_tw.s3.listing import BucketsRequest, ListRequest, PartsRequest, parse_token
from alluxio_tw.s3.xml import parse

MODEL = botocore.session.get_session().get_service_model("s3")
PARSER = create_parser("rest-xml")
OWNER = Owner("id<&>", "näme")
AT = 1795180815 * 10**9
WHEN = "2026-11-20T13:20:15.000Z"
KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(
    lambda text: text.replace("\ufffe", "").replace("\uffff", "") or "k"
)


def read(operation: str, document: bytes) -> dict[str, Any]:
    """What botocore makes of a reply with this body."""
    assert document.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    reply = {"status_code": 200, "headers": {}, "body": document}
    shape = MODEL.operation_model(operation).output_shape
    parsed: dict[str, Any] = PARSER.parse(reply, shape)
    del parsed["ResponseMetadata"]
    return parsed


def root_of(document: bytes) -> str:
    return document.split(b"\n", 1)[1].split(b" ", 1)[0].decode().lstrip("<")


class BucketDocumentsTests(SynchronousTestCase):
    def test_list_buckets(self) -> None:
        """Buckets are told with their dates, and their owner once."""
        document = documents.list_buckets(
            OWNER, [Bucket("a", AT), Bucket("b", 0)], BucketsRequest()
        )
        self.assertEqual(root_of(document), "ListAllMyBucketsResult")
        parsed = read("ListBuckets", document)
        self.assertEqual(parsed["Owner"], {"ID": "id<&>", "DisplayName": "näme"})
        self.assertEqual([b["Name"] for b in parsed["Buckets"]], ["a", "b"])
        self.assertEqual(parsed["Buckets"][0]["CreationDate"].timestamp(), AT / 10**9)
        self.assertIn(f"<CreationDate>{WHEN}<".encode(), document)
        self.assertNotIn(b"ContinuationToken", document)

    def test_paged_buckets(self) -> None:
        """A page of buckets echoes its prefix and says where to go on."""
        parsed = read(
            "ListBuckets",
            documents.list_buckets(
                OWNER,
                [Bucket("a", AT)],
                BucketsRequest(prefix="a", paged=True),
                resume="a",
                region="eu-west-1",
            ),
        )
        self.assertEqual(parsed["Buckets"][0]["BucketRegion"], "eu-west-1")
        self.assertEqual(parsed["Prefix"], "a")
        self.assertEqual(parse_token(parsed["ContinuationToken"]), "a")

    def test_location(self) -> None:
        """us-east-1 is told as nothing, other regions by name."""
        self.assertEqual(
            documents.location_constraint("us-east-1").partition(b"\n")[2],
            b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            b"</LocationConstraint>",
        )
        self.assertIn(b">eu-west-1<", documents.location_constraint("eu-west-1"))

    def test_configurations(self) -> None:
        """Versioning and CORS are read as they were written."""
        self.assertEqual(parse_versioning(documents.versioning("Enabled")), "Enabled")
        self.assertEqual(read("GetBucketVersioning", documents.versioning("")), {})
        rules = (
            CORSRule(("*",), ("GET", "PUT"), ("x-&",), ("ETag",), 5, "<i>"),
            CORSRule(("o",), ("HEAD",)),
        )
        self.assertEqual(parse_cors(documents.cors(rules)), rules)
        parsed = read("GetBucketCors", documents.cors(rules))
        self.assertEqual(parsed["CORSRules"][0]["AllowedHeaders"], ["x-&"])

    def test_access_control(self) -> None:
        """The owner has full control, and nobody else anything."""
        parsed = read("GetBucketAcl", documents.access_control(OWNER))
        [grant] = parsed["Grants"]
        self.assertEqual(grant["Permission"], "FULL_CONTROL")
        self.assertEqual(grant["Grantee"]["ID"], parsed["Owner"]["ID"])
        self.assertEqual(grant["Grantee"]["Type"], "CanonicalUser")

    def test_tagging(self) -> None:
        """A tag set is written in its order; an empty one is a set too."""
        parsed = read("GetObjectTagging", documents.tagging({"b": "<", "a": ""}))
        self.assertEqual(
            parsed["TagSet"], [{"Key": "b", "Value": "<"}, {"Key": "a", "Value": ""}]
        )
        self.assertEqual(
            read("GetObjectTagging", documents.tagging({})), {"TagSet": []}
        )


class ListingDocumentsTests(SynchronousTestCase):
    listing = Listing(
        [Entry("a<b", 3, 'x"y', AT), Entry("c", 0, "e", 0, "GLACIER")],
        ["d&/", "e/"],
        "e/",
    )

    def test_version_1(self) -> None:
        """A page of version 1 has a marker, owners, and goes on at NextMarker."""
        request = ListRequest("p", "/", "m", "m", limit=4)
        document = documents.list_objects("b", request, self.listing, OWNER)
        self.assertEqual(root_of(document), "ListBucketResult")
        parsed = read("ListObjects", document)
        first = parsed["Contents"][0]
        self.assertEqual(
            (first["Key"], first["Size"], first["ETag"], first["StorageClass"]),
            ("a<b", 3, '"x"y"', "STANDARD"),
        )
        self.assertEqual(first["Owner"]["ID"], "id<&>")
        self.assertEqual(first["LastModified"].timestamp(), AT / 10**9)
        self.assertEqual(parsed["Contents"][1]["StorageClass"], "GLACIER")
        self.assertEqual(
            parsed["CommonPrefixes"], [{"Prefix": "d&/"}, {"Prefix": "e/"}]
        )
        for name, value in (
            ("Name", "b"),
            ("Prefix", "p"),
            ("Delimiter", "/"),
            ("Marker", "m"),
            ("NextMarker", "e/"),
            ("MaxKeys", 4),
            ("IsTruncated", True),
        ):
            self.assertEqual(parsed[name], value)

    def test_no_next_marker_without_a_delimiter(self) -> None:
        """Without a delimiter the last key is where to go on, as with AWS."""
        parsed = read(
            "ListObjects",
            documents.list_objects("b", ListRequest(), self.listing, None),
        )
        self.assertTrue(parsed["IsTruncated"])
        self.assertNotIn("NextMarker", parsed)
        self.assertNotIn("Owner", parsed["Contents"][0])
        self.assertEqual(parsed["Marker"], "")

    def test_version_2(self) -> None:
        """A page of version 2 counts its items and goes on at a token."""
        request = ListRequest("p", "/", "s", "s", token="t", limit=4)
        parsed = read(
            "ListObjectsV2", documents.list_objects_v2("b", request, self.listing, None)
        )
        for name, value in (
            ("KeyCount", 4),
            ("MaxKeys", 4),
            ("StartAfter", "s"),
            ("ContinuationToken", "t"),
            ("IsTruncated", True),
        ):
            self.assertEqual(parsed[name], value)
        self.assertEqual(parse_token(parsed["NextContinuationToken"]), "e/")
        last = read(
            "ListObjectsV2",
            documents.list_objects_v2(
                "b", ListRequest(token=""), Listing((), (), None), None
            ),
        )
        self.assertEqual((last["KeyCount"], last["IsTruncated"]), (0, False))
        self.assertEqual(last["ContinuationToken"], "")
        for name in ("NextContinuationToken", "StartAfter", "Delimiter", "Contents"):
            self.assertNotIn(name, last)

    def test_versions(self) -> None:
        """Every object has one version, the latest, called null."""
        request = ListRequest(marker="k", id_marker="null", limit=4)
        document = documents.list_versions("b", request, self.listing, OWNER)
        self.assertEqual(root_of(document), "ListVersionsResult")
        parsed = read("ListObjectVersions", document)
        version = parsed["Versions"][0]
        self.assertEqual((version["VersionId"], version["IsLatest"]), ("null", True))
        self.assertEqual(
            (parsed["KeyMarker"], parsed["VersionIdMarker"]), ("k", "null")
        )
        self.assertEqual(parsed["NextKeyMarker"], "e/")
        self.assertNotIn("NextVersionIdMarker", parsed)
        after_key = Listing(self.listing.entries, (), "c")
        parsed = read(
            "ListObjectVersions",
            documents.list_versions("b", request, after_key, OWNER),
        )
        self.assertEqual(parsed["NextVersionIdMarker"], "null")

    @given(st.lists(KEYS, max_size=3), st.lists(KEYS, max_size=2), KEYS)
    def test_any_keys(self, keys: list[str], prefixes: list[str], word: str) -> None:
        """Keys, prefixes and markers come back exactly, encoded or not."""
        listing = Listing([Entry(k, 1, word, AT) for k in keys], prefixes, word)
        for encoding in ("", "url"):
            request = ListRequest(word, word, word, word, encoding=encoding)

            def decode(text: str, encoding: str = encoding) -> str:
                return unquote_plus(text) if encoding else text

            parsed = read(
                "ListObjects", documents.list_objects("b", request, listing, OWNER)
            )
            self.assertEqual(
                [decode(entry["Key"]) for entry in parsed.get("Contents", ())], keys
            )
            self.assertEqual(
                [decode(p["Prefix"]) for p in parsed.get("CommonPrefixes", ())],
                prefixes,
            )
            for name in ("Prefix", "Marker", "NextMarker", "Delimiter"):
                self.assertEqual(decode(parsed[name]), word)

    def test_keys_that_xml_cannot_carry(self) -> None:
        """One key of control characters does not hide the others of a page."""
        listing = Listing([Entry("a\x01b", 1, "e", 0), Entry("c", 1, "e", 0)], (), None)
        plain = read(
            "ListObjects", documents.list_objects("b", ListRequest(), listing, None)
        )
        self.assertEqual([e["Key"] for e in plain["Contents"]], ["a\ufffdb", "c"])
        encoded = read(
            "ListObjects",
            documents.list_objects("b", ListRequest(encoding="url"), listing, None),
        )
        self.assertEqual([e["Key"] for e in encoded["Contents"]], ["a%01b", "c"])


class UploadDocumentsTests(SynchronousTestCase):
    upload = Upload(
        "k&",
        "u1",
        AT,
        "bob",
        Attributes(headers={"x-amz-storage-class": "GLACIER"}),
        "crc32c",
        "COMPOSITE",
    )

    def test_list_uploads(self) -> None:
        """Uploads are told with who began them and what they promised."""
        request = ListRequest("p", "/", "k", "k", "u0", 2)
        document = documents.list_uploads(
            "b", request, [self.upload], ["p/"], "k&", OWNER
        )
        self.assertEqual(root_of(document), "ListMultipartUploadsResult")
        parsed = read("ListMultipartUploads", document)
        [upload] = parsed["Uploads"]
        for name, value in (
            ("Key", "k&"),
            ("UploadId", "u1"),
            ("Initiator", {"ID": "bob", "DisplayName": "bob"}),
            ("StorageClass", "GLACIER"),
            ("ChecksumAlgorithm", "CRC32C"),
            ("ChecksumType", "COMPOSITE"),
        ):
            self.assertEqual(upload[name], value)
        for name, told in (
            ("KeyMarker", "k"),
            ("UploadIdMarker", "u0"),
            ("NextKeyMarker", "k&"),
            ("NextUploadIdMarker", "u1"),
            ("MaxUploads", 2),
            ("IsTruncated", True),
            ("CommonPrefixes", [{"Prefix": "p/"}]),
        ):
            self.assertEqual(parsed[name], told)

    def test_no_uploads(self) -> None:
        """The empty page is byte for byte the one that AWS sends."""
        self.assertEqual(
            documents.list_uploads("b", ListRequest(), (), (), None, OWNER),
            b'<?xml version="1.0" encoding="UTF-8"?>\n'
            b"<ListMultipartUploadsResult"
            b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            b"<Bucket>b</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>"
            b"<NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker>"
            b"<MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated>"
            b"</ListMultipartUploadsResult>",
        )

    def test_list_parts(self) -> None:
        """Parts are told with their checksums, and where to go on."""
        parts = [PartStatus(3, 5, "e", AT, {"crc32c": "c=="}), PartStatus(7, 1, "f", 0)]
        document = documents.list_parts(
            "b", self.upload, PartsRequest(2, 2), parts, True, OWNER
        )
        self.assertEqual(root_of(document), "ListPartsResult")
        parsed = read("ListParts", document)
        part = parsed["Parts"][0]
        self.assertEqual(
            (part["PartNumber"], part["Size"], part["ETag"], part["ChecksumCRC32C"]),
            (3, 5, '"e"', "c=="),
        )
        for name, value in (
            ("PartNumberMarker", 2),
            ("NextPartNumberMarker", 7),
            ("MaxParts", 2),
            ("IsTruncated", True),
            ("ChecksumType", "COMPOSITE"),
            ("Key", "k&"),
        ):
            self.assertEqual(parsed[name], value)

    def test_beginning_and_end(self) -> None:
        """An upload is begun and completed with the answers SDKs look for."""
        begun = documents.initiate_upload("b", "k&", "u")
        self.assertEqual(
            read("CreateMultipartUpload", begun),
            {"Bucket": "b", "Key": "k&", "UploadId": "u"},
        )
        done = documents.complete_upload(
            "http://h/b/k%26", "b", "k&", "e-2", {"crc64nvme": "x"}, "FULL_OBJECT"
        )
        self.assertEqual(
            read("CompleteMultipartUpload", done),
            {
                "Location": "http://h/b/k%26",
                "Bucket": "b",
                "Key": "k&",
                "ETag": '"e-2"',
                "ChecksumCRC64NVME": "x",
                "ChecksumType": "FULL_OBJECT",
            },
        )


class ObjectDocumentsTests(SynchronousTestCase):
    def test_copies(self) -> None:
        """A copy tells the new ETag, time and checksums."""
        result = read(
            "CopyObject", documents.copy_object("e", AT, {"sha1": "s"}, "FULL_OBJECT")
        )["CopyObjectResult"]
        self.assertEqual(
            (result["ETag"], result["ChecksumSHA1"], result["ChecksumType"]),
            ('"e"', "s", "FULL_OBJECT"),
        )
        self.assertEqual(result["LastModified"].timestamp(), AT / 10**9)
        part = read("UploadPartCopy", documents.copy_part("e", AT, {}))
        self.assertEqual(part["CopyPartResult"]["ETag"], '"e"')

    def test_delete(self) -> None:
        """Deletions are told one by one, or only the failures if it is to be quiet."""
        deleted = [("a", None), ("b<", "null")]
        failed = [("c", None, AccessDenied()), ("d", None, KeyError("secret"))]
        parsed = read("DeleteObjects", documents.delete_objects(deleted, failed, False))
        self.assertEqual(
            parsed["Deleted"], [{"Key": "a"}, {"Key": "b<", "VersionId": "null"}]
        )
        self.assertEqual(
            [(e["Key"], e["Code"]) for e in parsed["Errors"]],
            [("c", "AccessDenied"), ("d", "InternalError")],
        )
        quiet = documents.delete_objects(deleted, failed, True)
        self.assertNotIn(b"<Deleted>", quiet)
        self.assertNotIn(b"secret", quiet)
        self.assertEqual(len(read("DeleteObjects", quiet)["Errors"]), 2)

    def test_attributes(self) -> None:
        """Only the attributes asked for are told, the ETag without quotes."""
        status = Status(
            11,
            "v",
            "e-2",
            AT,
            Attributes(
                checksums={"crc32": "c"}, checksum_type="COMPOSITE", part_sizes=(5, 6)
            ),
        )
        document = documents.object_attributes(
            status,
            frozenset(
                ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
            ),
            PartsRequest(0, 1),
        )
        self.assertEqual(root_of(document), "GetObjectAttributesResponse")
        parsed = read("GetObjectAttributes", document)
        self.assertEqual(
            parsed,
            {
                "ETag": "e-2",
                "Checksum": {"ChecksumCRC32": "c", "ChecksumType": "COMPOSITE"},
                "ObjectParts": {
                    "TotalPartsCount": 2,
                    "PartNumberMarker": 0,
                    "NextPartNumberMarker": 1,
                    "MaxParts": 1,
                    "IsTruncated": True,
                    "Parts": [{"PartNumber": 1, "Size": 5}],
                },
                "StorageClass": "STANDARD",
                "ObjectSize": 11,
            },
        )
        only = documents.object_attributes(
            Status(0, "v", "e", AT),
            frozenset(("ObjectSize", "Checksum")),
            PartsRequest(),
        )
        self.assertEqual(read("GetObjectAttributes", only), {"ObjectSize": 0})

    def test_post(self) -> None:
        """A form upload is answered with where the object is."""
        element = parse(documents.post_object("l", "b", "k&", "e"), "PostResponse")
        self.assertEqual(
            [(child.name, child.text) for child in element.children],
            [("Location", "l"), ("Bucket", "b"), ("Key", "k&"), ("ETag", '"e"')],
        )

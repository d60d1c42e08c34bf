"""
Listings and buckets through boto3.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

from tests.blackbox.case import BlackboxCase

KEYS = sorted(
    (
        "a",
        "a-",
        "a/b",
        "a/b/c",
        "a/c",
        "a/c--d",
        "a/c--e/f",
        "a0",
        "b+c",
        "b c",
        "b%c",
        "photos/2025/one",
        "photos/2026/two",
        "photos/2026/ü",
        "z\U0001f40e",
        "z\uffee",
    ),
    key=str.encode,
)
"""Some of them can be no file's beside others; those lie in folders of their own."""

FILES = [key for key in KEYS if not any(k.startswith(key + "/") for k in KEYS)]


def folded(
    keys: list[str], prefix: str = "", delimiter: str = "", after: str = ""
) -> list[str]:
    """What a listing gives: keys, and prefixes once each, in order."""
    items = []
    for key in keys:
        if not key.startswith(prefix):
            continue
        item = key
        if delimiter:
            head, found, _ = key[len(prefix) :].partition(delimiter)
            item = prefix + head + found
        if item.encode() > after.encode() and item not in items:
            if item.endswith(delimiter or "\0") and after.startswith(item):
                continue
            items.append(item)
    return items


class ListingTests(BlackboxCase):
    """
    What is there, in order, page by page.
    """

    def filled(self) -> str:
        bucket = self.bucket()
        s3 = self.s3()
        for key in FILES:
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        return bucket

    def pages(self, bucket: str, size: int, **given: Any) -> list[str]:
        """All items of a V2 listing; each page is as large as it may be."""
        s3 = self.s3()
        items: list[str] = []
        while True:
            page = s3.list_objects_v2(Bucket=bucket, MaxKeys=size, **given)
            found = [each["Key"] for each in page.get("Contents", ())]
            found += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
            self.assertEqual(page["KeyCount"], len(found))
            items += sorted(found, key=str.encode)
            if not page["IsTruncated"]:
                return items
            self.assertEqual(len(found), size)
            given["ContinuationToken"] = page["NextContinuationToken"]

    def pages_v1(self, bucket: str, size: int, **given: Any) -> list[str]:
        """The same, of V1."""
        s3 = self.s3()
        items: list[str] = []
        while True:
            page = s3.list_objects(Bucket=bucket, MaxKeys=size, **given)
            found = [each["Key"] for each in page.get("Contents", ())]
            found += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
            items += sorted(found, key=str.encode)
            if not page["IsTruncated"]:
                return items
            # Without a delimiter, S3 leaves the marker to the client.
            given["Marker"] = page.get("NextMarker", items[-1])

    def test_pages(self) -> None:
        """Every prefix and delimiter gives the same in pages of any size."""
        bucket = self.filled()
        prefixes = ("", "a", "a/", "a/c", "photos/2026", "photos/", "z", "nothing/")
        delimiters = ("", "/", "--", "0", "c")
        for prefix, delimiter in itertools.product(prefixes, delimiters):
            wanted = folded(FILES, prefix, delimiter)
            for size in (1, 3, 1000):
                given = {"Prefix": prefix, "Delimiter": delimiter}
                self.assertEqual(self.pages(bucket, size, **given), wanted, given)
            self.assertEqual(self.pages_v1(bucket, 2, **given), wanted, given)

    def test_start_after(self) -> None:
        """StartAfter and Marker begin behind a key, be it there or not."""
        bucket = self.filled()
        for after in ("", "a/b", "a/bb", "a/c--d", "b", "photos/2026/two", "zz"):
            wanted = folded(FILES, after=after)
            self.assertEqual(self.pages(bucket, 1000, StartAfter=after), wanted, after)
            self.assertEqual(self.pages(bucket, 2, StartAfter=after), wanted, after)
            self.assertEqual(self.pages_v1(bucket, 1000, Marker=after), wanted, after)
        wanted = folded(FILES, delimiter="/", after="a/b")
        self.assertNotIn("a/", wanted)
        found = self.pages(bucket, 1000, StartAfter="photos/2025/x", Delimiter="/")
        self.assertIn(found[0], ("photos/", "z\uffee"))

    def test_fields(self) -> None:
        """An entry tells size, ETag, time and class as HEAD does; V2 owners if asked."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a b", Body=b"12345")
        head = s3.head_object(Bucket=bucket, Key="a b")
        for entry in (
            s3.list_objects(Bucket=bucket)["Contents"][0],
            s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0],
        ):
            self.assertEqual((entry["Key"], entry["Size"]), ("a b", 5))
            self.assertEqual(entry["ETag"], head["ETag"])
            self.assertEqual(
                entry["LastModified"].replace(microsecond=0), head["LastModified"]
            )
            self.assertEqual(entry["StorageClass"], "STANDARD")
            self.assertTrue(entry["Owner"]["ID"])
        bare = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
        self.assertNotIn("Owner", bare)

    def test_encoding(self) -> None:
        """encoding-type=url encodes what is listed; without it, it is as it is."""
        bucket = self.bucket()
        self.s3().put_object(Bucket=bucket, Key="a b/ü+%", Body=b"")
        wire = self.wire()
        plain = wire.ask("GET", f"/{bucket}?list-type=2")
        self.assertIn("<Key>a b/ü+%</Key>".encode(), plain.body)
        coded = wire.ask("GET", f"/{bucket}?list-type=2&encoding-type=url&prefix=a%20")
        self.assertIn(b"<Key>a%20b/%C3%BC%2B%25</Key>", coded.body)
        self.assertIn(b"<EncodingType>url</EncodingType>", coded.body)
        self.assertEqual(
            wire.ask("GET", f"/{bucket}?encoding-type=other").code, "InvalidArgument"
        )

    def test_wrong(self) -> None:
        """What cannot be listed is told as S3 does."""
        s3, bucket = self.s3(), self.bucket()
        wrong = ("InvalidArgument", 400, s3.list_objects_v2)
        self.refused(*wrong, Bucket=bucket, ContinuationToken="nonsense")
        self.refused(*wrong, Bucket=bucket, MaxKeys=-1)
        self.refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket="no-such-one")
        self.refused("NoSuchBucket", 404, s3.list_objects, Bucket="no-such-one")
        page = s3.list_objects_v2(Bucket=bucket, MaxKeys=0)
        self.assertEqual((page["KeyCount"], page["IsTruncated"]), (0, False))

    def test_many(self) -> None:
        """A bucket of twenty thousand files is listed whole, in order, in pages."""
        bucket = self.bucket()
        root = self.daemon.path("data", "buckets", bucket)
        keys = []
        for folder in range(20):
            os.mkdir(os.path.join(root, f"f{folder}"))
            for number in range(1000):
                key = f"f{folder}/{number * 7919 % 1000}"
                keys.append(key)
                with open(os.path.join(root, key), "wb"):
                    pass
        pages = self.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        found = [each["Key"] for page in pages for each in page["Contents"]]
        self.assertEqual(found, sorted(keys))
        top = self.s3().list_objects_v2(Bucket=bucket, Delimiter="/")
        self.assertEqual(top["KeyCount"], 20)

    def test_versions(self) -> None:
        """Every object has one version, whose id is null."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        (version,) = s3.list_object_versions(Bucket=bucket)["Versions"]
        self.assertEqual((version["VersionId"], version["IsLatest"]), ("null", True))
        got = s3.get_object(Bucket=bucket, Key="a", VersionId="null")
        self.assertEqual(got["Body"].read(), b"x")
        self.refused(
            "NoSuchVersion", 404, s3.get_object, Bucket=bucket, Key="a", VersionId="v"
        )


class BucketTests(BlackboxCase):
    """
    Buckets.
    """

    def test_life(self) -> None:
        """A bucket is made, found, listed and deleted; a full one is not."""
        s3 = self.s3()
        name = "made-here.and-now"
        answer = s3.create_bucket(Bucket=name)
        self.assertEqual(answer["Location"], f"/{name}")
        head = s3.head_bucket(Bucket=name)
        self.assertEqual(head["BucketRegion"], "us-east-1")
        location = s3.get_bucket_location(Bucket=name)
        self.assertIsNone(location["LocationConstraint"])
        listed = {b["Name"]: b["CreationDate"] for b in s3.list_buckets()["Buckets"]}
        self.assertIn(name, listed)
        self.assertIn("demo", listed)
        s3.put_object(Bucket=name, Key="deep/er/a", Body=b"")
        self.refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket=name)
        s3.delete_object(Bucket=name, Key="deep/er/a")
        s3.delete_bucket(Bucket=name)
        self.refused("404", 404, s3.head_bucket, Bucket=name)
        self.refused("NoSuchBucket", 404, s3.delete_bucket, Bucket=name)

    def test_again(self) -> None:
        """Making a bucket again succeeds, as in us-east-1, and changes nothing."""
        s3, bucket = self.s3(), self.bucket()
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        s3.create_bucket(Bucket=bucket)
        self.assertEqual(s3.get_object(Bucket=bucket, Key="a")["Body"].read(), b"x")

    def test_names(self) -> None:
        """A new bucket needs a name that S3 allows."""
        wire = self.wire()
        for name in ("ab", "Upper", "under_score", "a..b", "-ab", "1.2.3.4", "x" * 64):
            answer = wire.ask("PUT", f"/{name}")
            self.assertEqual((answer.status, answer.code), (400, "InvalidBucketName"))

    def test_pages(self) -> None:
        """ListBuckets gives pages and honours a prefix."""
        s3 = self.s3()
        for number in range(5):
            s3.create_bucket(Bucket=f"paged-{number}")
        found: list[str] = []
        given: dict[str, Any] = {}
        while True:
            page = s3.list_buckets(MaxBuckets=2, Prefix="paged-", **given)
            found += [each["Name"] for each in page["Buckets"]]
            if "ContinuationToken" not in page:
                break
            given["ContinuationToken"] = page["ContinuationToken"]
        self.assertEqual(found, [f"paged-{number}" for number in range(5)])

    def test_tags(self) -> None:
        """Tags of a bucket are put, read and deleted."""
        s3, bucket = self.s3(), self.bucket()
        self.refused("NoSuchTagSet", 404, s3.get_bucket_tagging, Bucket=bucket)
        tags = [{"Key": "team", "Value": "ü"}]
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
        self.assertEqual(s3.get_bucket_tagging(Bucket=bucket)["TagSet"], tags)
        s3.delete_bucket_tagging(Bucket=bucket)
        self.refused("NoSuchTagSet", 404, s3.get_bucket_tagging, Bucket=bucket)

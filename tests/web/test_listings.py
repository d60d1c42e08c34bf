"""
Buckets and listings as a client sees them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from alluxio_tw.namespace.mount import Mount
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from tests.doubles import FaultyUFS
from tests.web.edges import Answer
from tests.web.services import ServiceCase, content_md5, deletion

TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"


def prefixes(answer: Answer) -> list[str]:
    """The common prefixes of a listing."""
    return [
        each.partition("<Prefix>")[2].partition("</Prefix>")[0]
        for each in answer.elements("CommonPrefixes")
    ]


def naive(keys: Sequence[str], prefix: str, delimiter: str) -> list[tuple[str, str]]:
    """A listing as it is defined: keys (K) and common prefixes (P)."""
    items: list[tuple[str, str]] = []
    for key in sorted(keys, key=lambda key: key.encode()):
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        item = ("K", key) if at < 0 else ("P", key[: at + len(delimiter)])
        if item not in items:
            items.append(item)
    return items


class PagesCase(ServiceCase):
    """Listings in pages."""

    def pages(self, version: int, limit: int, query: str) -> list[tuple[str, str]]:
        """All items, page by page."""
        found: list[tuple[str, str]] = []
        more = ""
        for _ in range(100):
            two = "list-type=2&" if version == 2 else ""
            answer = self.ask(
                "GET", f"/bkt?{two}max-keys={limit}&{query}{more}", status=200
            )
            page = [("K", key) for key in answer.elements("Key")]
            page += [("P", each) for each in prefixes(answer)]
            self.assertLessEqual(len(page), limit)
            found += sorted(page, key=lambda item: item[1].encode())
            if version == 2:
                self.assertEqual(answer.element("KeyCount"), str(len(page)))
            if answer.element("IsTruncated") == "false":
                return found
            if version == 2:
                more = "&continuation-token=" + answer.element("NextContinuationToken")
            else:
                marker = answer.element("NextMarker") or found[-1][1]
                more = "&marker=" + quote(marker)
        self.fail("It did not end.")


class ListingTests(PagesCase):
    KEYS = (
        "a",
        "a/b",
        "a/c/d",
        "b-1",
        "b-2",
        "b/x",
        "ü",
        "日本/1",
        "z z",
        "z+z",
        "\U0001f600",
    )

    def setUp(self) -> None:
        super().setUp()
        for key in self.KEYS:
            self.put(key, key.encode())

    def test_every_way(self) -> None:
        """However a bucket is listed, each key is there once, in the order of bytes."""
        for version in (1, 2):
            for limit in (1, 3, 1000):
                for prefix in ("", "a", "a/", "b-", "none"):
                    for delimiter in ("", "/", "-", "/c/"):
                        query = f"prefix={quote(prefix)}&delimiter={quote(delimiter)}"
                        self.assertEqual(
                            self.pages(version, limit, query),
                            naive(self.KEYS, prefix, delimiter),
                            (version, limit, prefix, delimiter),
                        )

    @settings(max_examples=40)
    @given(
        st.sampled_from(["", "a", "b", "z"]),
        st.sampled_from(["", "/", "-", "b"]),
        st.text("ab/-z", max_size=4),
    )
    def test_after(self, prefix: str, delimiter: str, after: str) -> None:
        """A listing begins after what it is told to begin after."""
        answer = self.ask(
            "GET",
            f"/bkt?list-type=2&prefix={prefix}&delimiter={quote(delimiter)}"
            f"&start-after={quote(after)}",
            status=200,
        )
        expected = [
            name
            for kind, name in naive(self.KEYS, prefix, delimiter)
            if name > after and not (kind == "P" and after.startswith(name))
        ]
        found = sorted([*answer.elements("Key"), *prefixes(answer)], key=str.encode)
        self.assertEqual(found, expected)

    def test_entries(self) -> None:
        """An entry tells what HEAD would."""
        answer = self.ask("GET", "/bkt?list-type=2&prefix=a/b&fetch-owner=true")
        head = self.ask("HEAD", "/bkt/a/b")
        self.assertEqual(answer.element("Size"), "3")
        tag = answer.element("ETag").replace("&quot;", '"')
        self.assertEqual(tag, head.headers["etag"])
        self.assertEqual(answer.element("StorageClass"), "STANDARD")
        self.assertTrue(answer.element("ID"))
        self.assertRegex(answer.element("LastModified"), r"^\d{4}-.*Z$")

    def test_encoded(self) -> None:
        """Names are encoded for who asks for it."""
        answer = self.ask("GET", "/bkt?list-type=2&encoding-type=url&delimiter=/")
        self.assertIn("z%20z", answer.body.decode().replace("z+z", "z%20z", 1))
        self.assertIn(quote("日本/"), prefixes(answer))
        self.refused("InvalidArgument", 400, "GET", "/bkt?encoding-type=base64")

    def test_none(self) -> None:
        """None at all can be asked for."""
        answer = self.ask("GET", "/bkt?list-type=2&max-keys=0", status=200)
        self.assertEqual(answer.elements("Key"), [])
        self.assertEqual(answer.element("IsTruncated"), "false")

    def test_versions(self) -> None:
        """Every object has one version, which is the latest and called null."""
        answer = self.ask("GET", "/bkt?versions&prefix=a", status=200)
        self.assertEqual(answer.elements("Key"), ["a", "a/b", "a/c/d"])
        self.assertEqual(answer.elements("VersionId"), ["null"] * 3)
        self.assertEqual(answer.elements("IsLatest"), ["true"] * 3)

    def test_wrong(self) -> None:
        """What cannot be meant is refused; that there is no bucket comes first."""
        for query in (
            "max-keys=x",
            "max-keys=-1",
            "list-type=2&continuation-token=nonsense",
            "continuation-token=x",
            "list-type=2&marker=x",
        ):
            self.refused("InvalidArgument", 400, "GET", f"/bkt?{query}")
        self.refused("NoSuchBucket", 404, "GET", "/missing?list-type=2")
        self.refused(
            "NoSuchBucket",
            404,
            "GET",
            "/missing?list-type=2&continuation-token=nonsense",
        )


class NestedTests(PagesCase):
    mounts = ("/=memory:///", "deep=memory:///")

    def test_within(self) -> None:
        """Beneath a mount nested in a bucket, its storage is read, written and listed."""
        inner: Any = MemoryUFS(self.service.clock, NoThreads())
        self.service.put_before("/bkt/raw", inner)
        self.put("raw/x", b"inner")
        self.put("raw/y/z", b"")
        self.put("rawer", b"outer")
        self.assertEqual(sorted(inner._objects), ["x", "y/z"])
        self.assertEqual(self.ask("GET", "/bkt/raw/x").body, b"inner")
        self.assertEqual(self.keys("&prefix=raw/"), ["raw/x", "raw/y/z"])
        answer = self.ask("GET", "/bkt?list-type=2&prefix=raw/&delimiter=/", status=200)
        self.assertEqual(answer.elements("Key"), ["raw/x"])
        self.assertEqual(prefixes(answer), ["raw/y/"])
        self.assertEqual(self.keys("&prefix=raw/&start-after=raw/x"), ["raw/y/z"])
        self.assertEqual(self.keys("&prefix=raw/&start-after=a"), ["raw/x", "raw/y/z"])
        self.assertEqual(self.keys("&prefix=raw/&start-after=s"), [])
        self.refused("AccessDenied", 403, "DELETE", "/bkt")
        self.refused("InvalidArgument", 400, "PUT", "/bkt/raw/.alluxio-tw/x", b"x")
        self.refused("NoSuchKey", 404, "GET", "/bkt/raw/.alluxio-tw/x")

    def test_mountpoint(self) -> None:
        """What something is mounted at is no object, and no way to the whole storage."""
        inner = MemoryUFS(self.service.clock, NoThreads())
        self.service.put_before("/bkt/raw", inner)
        inner.put("x", b"inner", "")
        self.refused("InvalidArgument", 400, "PUT", "/bkt/raw/", b"")
        self.refused("InvalidArgument", 400, "POST", "/bkt/raw/?uploads")
        for method in ("GET", "HEAD"):
            self.assertEqual(self.ask(method, "/bkt/raw/").status, 404)
        self.ask("DELETE", "/bkt/raw/", status=204)
        self.assertEqual(self.keys(), ["raw/x"])
        self.put("raw", b"a sibling")
        self.assertEqual(self.keys(), ["raw", "raw/x"])

    def test_broken(self) -> None:
        """A broken nested mount fails the listings that go into it, and no others."""
        inner = FaultyUFS(MemoryUFS(self.service.clock, NoThreads()))
        inner.fail("list")
        self.service.put_before("/bkt/m/raw", inner)
        for key in ("a", "b", "z"):
            self.put(key)
        listed = self.ask("GET", "/bkt?list-type=2&delimiter=/", status=200)
        self.assertEqual(listed.elements("Key"), ["a", "b", "z"])
        self.assertEqual(prefixes(listed), ["m/"])
        self.assertEqual(self.keys("&max-keys=1"), ["a"])
        self.assertEqual(self.keys("&start-after=n"), ["z"])
        self.assertEqual(inner.count("list"), 0)
        self.refused("ServiceUnavailable", 503, "GET", "/bkt?list-type=2")

    def test_uploads(self) -> None:
        """Uploads into a nested mount are listed with the bucket's others."""
        self.service.put_before("/bkt/raw", MemoryUFS(self.service.clock, NoThreads()))
        for key in ("a", "raw/x", "z"):
            self.upload(key)
        answer = self.ask("GET", "/bkt?uploads", status=200)
        self.assertEqual(answer.elements("Key"), ["a", "raw/x", "z"])
        answer = self.ask("GET", "/bkt?uploads&delimiter=/&max-uploads=2", status=200)
        self.assertEqual(answer.elements("Key"), ["a"])
        self.assertEqual(prefixes(answer), ["raw/"])
        id = self.upload("raw/m")
        part = self.part(id, 1, b"first", key="raw/m")
        self.assertEqual(
            self.complete(id, (1, part.headers["etag"]), key="raw/m").status, 200
        )
        self.assertEqual(self.ask("GET", "/bkt/raw/m").body, b"first")
        self.assertEqual(self.keys(), ["raw/m"])

    def test_across(self) -> None:
        """Copies go from mount to mount, with what is said of the object."""
        inner = MemoryUFS(self.service.clock, NoThreads())
        self.service.put_before("/bkt/raw", inner)
        self.put("a", b"data", content_type="text/x", x_amz_meta_m="1")
        for source, target in (("a", "raw/a"), ("raw/a", "b"), ("raw/a", "raw/c")):
            self.put(target, x_amz_copy_source=f"/bkt/{source}")
            got = self.ask("GET", f"/bkt/{target}", status=200)
            self.assertEqual(got.body, b"data")
            self.assertEqual(got.headers["x-amz-meta-m"], "1")
            self.assertEqual(got.headers["content-type"], "text/x")
        self.assertEqual(self.keys(), ["a", "b", "raw/a", "raw/c"])
        self.ask(
            "POST",
            "/bkt?delete",
            deletion("a", "raw/a"),
            content_md5=content_md5(deletion("a", "raw/a")),
            status=200,
        )
        self.assertEqual(self.keys(), ["b", "raw/c"])

    KEYS = st.text("ab/-", min_size=1, max_size=6).filter(lambda key: key[0] != "/")
    PATHS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3)

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_model(self, data: st.DataObject) -> None:
        """However mounts are nested, a bucket is listed as if it were one storage."""
        paths = data.draw(st.sets(self.PATHS.map("/".join), max_size=4))
        mounts = {"": MemoryUFS(self.service.clock, NoThreads())}
        self.service.worker.mounts.replace(
            [Mount.of("/bkt", "test:///", {}, {}, mounts[""], 1)]
        )
        for path in paths:
            mounts[path + "/"] = MemoryUFS(self.service.clock, NoThreads())
            self.service.put_before(f"/bkt/{path}", mounts[path + "/"])
        there = set()
        for prefix, ufs in mounts.items():
            for key in data.draw(st.sets(self.KEYS, max_size=5)):
                ufs.put(key, b"", "")
                whole = prefix + key
                owner = max(filter(whole.startswith, mounts), key=len)
                if owner == prefix and whole != owner:
                    there.add(whole)
        prefix = data.draw(st.sampled_from(["", "a", "a/", "ab", "a/b/", "b/a"]))
        for delimiter in ("", "/", "-", "b"):
            limit = data.draw(st.integers(1, 4))
            version = data.draw(st.sampled_from([1, 2]))
            expected = naive(sorted(there), prefix, delimiter)
            if delimiter == "/":
                # What is mounted is there, as a folder is, though it be empty.
                shown = {f"{each}/" for each in paths if f"{each}/" != prefix}
                folded = naive([*there, *(f"{e}." for e in shown)], prefix, "/")
                expected = folded
            query = f"prefix={quote(prefix)}&delimiter={quote(delimiter)}"
            self.assertEqual(
                self.pages(version, limit, query),
                expected,
                (mounts.keys(), there, prefix, delimiter, limit),
            )


class FolderTests(ServiceCase):
    definitions = {"alluxio.worker.s3.folder.objects.enabled": "true"}

    def test_folders(self) -> None:
        """Folders are objects of no bytes, where the configuration asks for them."""
        self.put("a/b/c", b"x")
        self.assertEqual(self.keys(), ["a/", "a/b/", "a/b/c"])
        got = self.ask("GET", "/bkt/a/b/", status=200)
        self.assertEqual((got.body, got.headers["content-length"]), (b"", "0"))
        self.ask("HEAD", "/bkt/a/", status=200)
        self.refused("NoSuchKey", 404, "GET", "/bkt/none/")


class BucketTests(ServiceCase):
    def test_service(self) -> None:
        """The service lists its buckets, page by page if asked to."""
        for name in ("abc", "abd", "xyz"):
            self.ask("PUT", f"/{name}", status=200)
        answer = self.ask("GET", "/", status=200)
        self.assertEqual(answer.elements("Name"), ["abc", "abd", "bkt", "xyz"])
        self.assertTrue(answer.element("CreationDate"))
        names: list[str] = []
        token = ""
        while True:
            answer = self.ask("GET", f"/?max-buckets=3{token}", status=200)
            names += answer.elements("Name")
            if not answer.element("ContinuationToken"):
                break
            token = "&continuation-token=" + answer.element("ContinuationToken")
        self.assertEqual(names, ["abc", "abd", "bkt", "xyz"])
        only = self.ask("GET", "/?prefix=ab", status=200)
        self.assertEqual(only.elements("Name"), ["abc", "abd"])

    def test_create(self) -> None:
        """A bucket is made once, empty, with what is said of it."""
        answer = self.ask("PUT", "/new-bucket", status=200)
        self.assertEqual(answer.headers["location"], "/new-bucket")
        self.ask("HEAD", "/new-bucket", status=200)
        self.assertEqual(
            self.ask("GET", "/new-bucket?list-type=2", status=200).elements("Key"), []
        )
        document = (
            b"<CreateBucketConfiguration><LocationConstraint>eu-west-1"
            b"</LocationConstraint></CreateBucketConfiguration>"
        )
        self.ask("PUT", "/another", document, status=200)
        self.refused("MalformedXML", 400, "PUT", "/third", b"<nonsense/>")
        self.ask("HEAD", "/third", status=404)

    def test_again(self) -> None:
        """Making one's own bucket again does no harm."""
        self.put("k", b"data")
        self.ask("PUT", "/bkt?tagging", TAGS, status=204)
        self.ask("PUT", "/bkt", status=200)
        self.assertEqual(self.ask("GET", "/bkt/k").body, b"data")
        self.ask("GET", "/bkt?tagging", status=200)

    def test_names(self) -> None:
        """A bucket's name keeps to S3's rules."""
        for name in ("ab", "x" * 64, "Upper", "under_score", "-a-b", "a..b", "1.2.3.4"):
            self.refused("InvalidBucketName", 400, "PUT", f"/{name}")
        for name in (".", ".."):
            answer = self.service.wire.ask("PUT", f"/{name}/")
            self.assertEqual(answer.status, 400)

    def test_delete(self) -> None:
        """Only an empty bucket is deleted, with all that is kept of it."""
        self.put("k")
        self.refused("BucketNotEmpty", 409, "DELETE", "/bkt")
        self.ask("DELETE", "/bkt/k", status=204)
        self.ask("PUT", "/bkt?tagging", TAGS, status=204)
        self.ask("DELETE", "/bkt", status=204)
        self.refused("NoSuchBucket", 404, "DELETE", "/bkt")
        self.ask("HEAD", "/bkt", status=404)
        self.ask("PUT", "/bkt", status=200)
        self.refused("NoSuchTagSet", 404, "GET", "/bkt?tagging")

    def test_region(self) -> None:
        """Head and location tell the region."""
        answer = self.ask("HEAD", "/bkt", status=200)
        self.assertEqual(answer.headers["x-amz-bucket-region"], "us-east-1")
        arn = answer.headers["x-amz-bucket-arn"]
        self.assertTrue(arn.startswith("arn:aws:s3:::"), arn)
        self.assertIn(b"LocationConstraint", self.ask("GET", "/bkt?location").body)
        for target in ("/missing?location", "/missing?versions", "/missing?uploads"):
            self.refused("NoSuchBucket", 404, "GET", target)


class MountedTests(ServiceCase):
    """Where buckets are mounted one by one."""

    mounts = ("photos=memory:///",)
    definitions = {"alluxio.tw.mount.root.uri": ""}

    def test_buckets(self) -> None:
        """A mount is a bucket: it is there, cannot be deleted, and none can be made."""
        answer = self.ask("GET", "/", status=200)
        self.assertEqual(answer.elements("Name"), ["photos"])
        self.ask("PUT", "/photos/k", b"x", status=200)
        self.refused("AccessDenied", 403, "DELETE", "/photos")
        self.refused("AccessDenied", 403, "PUT", "/others")
        self.ask("PUT", "/photos", status=200)
        for method in ("GET", "PUT", "DELETE"):
            self.refused("NoSuchBucket", 404, method, "/others/k", b"x")


class LocalTests(ServiceCase):
    """Over a tree of files."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.keys_there = ["a/b/c", "a/b.d", "a-", "b", "c/d/e/f"]
        for key in self.keys_there:
            path = os.path.join(self.folder, "bkt", key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb"):
                pass
        self.mounts = (f"/={self.folder}",)
        super().setUp()

    def test_pages(self) -> None:
        """A tree is listed as its keys would be."""
        for prefix in ("", "a", "a/", "a/b", "c/d/"):
            for delimiter in ("", "/", "b"):
                for limit in (1, 2, 1000):
                    found: list[str] = []
                    token = ""
                    while True:
                        answer = self.ask(
                            "GET",
                            f"/bkt?list-type=2&prefix={prefix}&max-keys={limit}"
                            f"&delimiter={delimiter}{token}",
                            status=200,
                        )
                        page = [*answer.elements("Key"), *prefixes(answer)]
                        found += sorted(page)
                        if answer.element("IsTruncated") == "false":
                            break
                        token = "&continuation-token=" + answer.element(
                            "NextContinuationToken"
                        )
                    expected = [
                        name for _, name in naive(self.keys_there, prefix, delimiter)
                    ]
                    self.assertEqual(found, expected, (prefix, delimiter, limit))

    def test_buckets(self) -> None:
        """Folders of the root are buckets, also those that others made."""
        os.mkdir(os.path.join(self.folder, "made-elsewhere"))
        self.service.clock.advance(5)
        self.assertEqual(
            self.ask("GET", "/", status=200).elements("Name"), ["bkt", "made-elsewhere"]
        )
        self.ask("DELETE", "/made-elsewhere", status=204)
        self.assertEqual(os.listdir(self.folder).count("made-elsewhere"), 0)
        self.refused("BucketNotEmpty", 409, "DELETE", "/bkt")

"""
Tests of L{alluxio_tw.namespace.mounts} and L{alluxio_tw.namespace.mount}.
"""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    AccessDenied,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    GatewayError,
    InvalidBucketName,
    NoSuchBucket,
    NoSuchKey,
    StorageReadOnly,
    StorageUnavailable,
    WrongConfiguration,
)
from alluxio_tw.iufs import Capabilities, IUnderFileSystem
from alluxio_tw.namespace import mounts
from alluxio_tw.namespace.mount import Mount, mount_path
from alluxio_tw.namespace.mounts import MountTable
from tests.namespace.doubles import FolderStorage, mounted


class MountTests(SynchronousTestCase):
    def make(self, path: str = "/a", uri: str = "s3://b", **options: str) -> Mount:
        ufs = cast(IUnderFileSystem, FolderStorage())
        return Mount.of(path, uri, options, {}, ufs)

    def test_id_stable(self) -> None:
        """The same path and URI have the same id, in every process."""
        self.assertEqual(self.make().id, self.make(region="eu").id)
        self.assertEqual(self.make().id, "ef20d5ded7ccfdc9")

    def test_id_distinct(self) -> None:
        """Another path or URI is another id."""
        ids = {
            self.make(path, uri).id
            for path in ("/", "/a", "/a/b")
            for uri in ("s3://b", "s3://b/", "slow+s3://b?latency=1ms")
        }
        self.assertEqual(len(ids), 9)

    def test_id_without_secrets(self) -> None:
        """A rotated secret leaves the id, and so the cache, as it was."""
        self.assertEqual(
            self.make(uri="s3://u:old@b?token=old").id,
            self.make(uri="s3://u:new@b?token=new").id,
        )

    def test_repr(self) -> None:
        """No secret is in the repr."""
        mount = self.make(uri="s3://u:hush@b?key=hush", secret="hush", region="eu")
        self.assertNotIn("hush", repr(mount))
        self.assertIn("'region': 'eu'", repr(mount))
        self.assertEqual(mount.options["secret"], "hush")

    def test_paths(self) -> None:
        """A mount path has one form; what cannot be one is refused."""
        for path, kept in (
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/b c", "/a/b c"),
        ):
            self.assertEqual(mount_path(path), kept)
        for path in ("", "a", "//a", "/a//b", "/..", "/a/.", "/a\0", "/" + "x" * 256):
            self.assertRaises(WrongConfiguration, mount_path, path)
        self.assertRaises(WrongConfiguration, mount_path, "/.alluxio-tw")

    def test_own_options(self) -> None:
        """The mount's own options make its policy."""
        mount = mounted("/a", cache="true", readonly="true")
        self.assertTrue(mount.policy.cached)
        self.assertTrue(mount.read_only)


class ResolveTests(SynchronousTestCase):
    def table(self, *paths: str) -> MountTable:
        return MountTable.of([mounted(path) for path in paths], Clock())

    def test_bucket_mount(self) -> None:
        """A mount at /name owns all keys of the bucket."""
        place = self.table("/a").resolve("a", "x/y")
        self.assertEqual((place.mount.path, place.path), ("/a", "x/y"))
        self.assertEqual(place.key("p/q"), "p/q")

    def test_root_mount(self) -> None:
        """A mount at / has each bucket in its folder."""
        place = self.table("/").resolve("a", "x/y")
        self.assertEqual((place.mount.path, place.path), ("/", "a/x/y"))
        self.assertEqual(place.key("a/p"), "p")
        self.assertEqual(self.table("/").resolve("a", "").path, "a/")

    def test_nested(self) -> None:
        """The longest prefix owns the key, at a slash and nowhere else."""
        table = self.table("/a", "/a/b", "/a/b/c")
        for key, owner, path in (
            ("x", "/a", "x"),
            ("b", "/a", "b"),
            ("bc", "/a", "bc"),
            ("b/", "/a/b", ""),
            ("b/x", "/a/b", "x"),
            ("b/c", "/a/b", "c"),
            ("b/c/x", "/a/b/c", "x"),
        ):
            place = table.resolve("a", key)
            self.assertEqual((place.mount.path, place.path), (owner, path))
            self.assertEqual(place.key(place.path), key)

    def test_no_bucket(self) -> None:
        """Without a root mount, what is not mounted is no bucket."""
        error = self.assertRaises(NoSuchBucket, self.table("/a").resolve, "b", "x")
        self.assertEqual(error.fields, {"BucketName": "b"})

    def test_ours(self) -> None:
        """What the project keeps for itself is reached under no name."""
        table = self.table("/", "/a", "/a/b")
        for bucket, key in (
            ("a", ".alluxio-tw/uploads/1"),
            ("a", ".alluxio-tw"),
            ("a", "b/.alluxio-tw/x"),
            ("c", ".alluxio-tw/x"),
        ):
            self.assertRaises(NoSuchKey, table.resolve, bucket, key)
        for bucket in (".alluxio-tw", ".", "..", "", "c/d", ".git"):
            self.assertRaises(NoSuchBucket, table.resolve, bucket, "x")

    def test_children(self) -> None:
        """Nested mounts beneath a prefix are named in order, itself left out."""
        table = self.table("/", "/a/z", "/a/b/c", "/a/b", "/d/e")

        def prefixes(bucket: str, prefix: str = "") -> list[str]:
            return [child.prefix for child in table.children(bucket, prefix)]

        self.assertEqual(prefixes("a"), ["b/", "b/c/", "z/"])
        self.assertEqual(prefixes("a", "b"), ["b/", "b/c/"])
        self.assertEqual(prefixes("a", "b/"), ["b/c/"])
        self.assertEqual(prefixes("a", "b/c/d"), [])
        self.assertEqual(prefixes("other"), [])
        self.assertEqual(table.children("d")[0].mount.path, "/d/e")

    def test_stretches(self) -> None:
        """The keys of a bucket are a row of stretches, each with its owner."""
        table = self.table("/", "/a/b", "/a/b/c", "/a/d")

        def stretches(prefix: str) -> list[tuple[str, str, str | None]]:
            return [
                (each.place.mount.path, each.beyond, each.until)
                for each in table.stretches("a", prefix)
            ]

        self.assertEqual(
            stretches(""),
            [
                ("/", "", "b/"),
                ("/a/b", "", "b/c/"),
                ("/a/b/c", "", None),
                ("/a/b", "b/c/", None),
                ("/", "b/", "d/"),
                ("/a/d", "", None),
                ("/", "d/", None),
            ],
        )
        self.assertEqual(
            stretches("b/"),
            [
                ("/a/b", "", "b/c/"),
                ("/a/b/c", "", None),
                ("/a/b", "b/c/", None),
            ],
        )
        self.assertEqual(stretches("b/c/"), [("/a/b/c", "", None)])
        self.assertEqual(stretches("x"), [("/", "", None)])

    def test_replaced(self) -> None:
        """A replaced table holds from the next question on."""
        table = self.table("/", "/a")
        self.assertEqual(table.resolve("a", "x").mount.path, "/a")
        table.replace([mounted("/")])
        self.assertEqual(table.resolve("a", "x").path, "a/x")
        self.assertEqual([mount.path for mount in table.mounts], ["/"])

    def test_replaced_wrongly(self) -> None:
        """A table that cannot be leaves the one there is."""
        table = self.table("/a")
        for paths in (("/b", "/b"), ("/b", "/c/d"), ("/c/d",)):
            self.assertRaises(
                WrongConfiguration, table.replace, [mounted(path) for path in paths]
            )
        self.assertEqual(table.resolve("a", "x").mount.path, "/a")

    def test_bounded(self) -> None:
        """Names that anyone may make up are not remembered without bound."""
        table = self.table("/")
        for number in range(mounts.PLANS + 10):
            table.resolve(f"b{number}", "x")
        self.assertLessEqual(len(table._plans), mounts.PLANS)
        self.assertEqual(table.resolve("b0", "x").path, "b0/x")

    names = st.sampled_from(["a", "b", "ab", "c"])
    paths = st.lists(names, max_size=4).map(lambda parts: "/" + "/".join(parts))

    @given(
        st.sets(paths, max_size=8),
        st.lists(st.tuples(names, st.text(alphabet="ab/c", max_size=8)), max_size=20),
    )
    def test_model(self, paths: set[str], asked: list[tuple[str, str]]) -> None:
        """The longest prefix owns the path, whatever is mounted."""
        above = {"/" + path[1:].partition("/")[0] for path in paths}
        if "/" not in paths:
            paths |= above - {"/"}
        if not paths:
            return
        table = self.table(*paths)
        for bucket, key in asked:
            whole = f"/{bucket}/{key}"
            owners = [
                path for path in paths if whole.startswith(path.rstrip("/") + "/")
            ]
            if not owners:
                self.assertRaises(NoSuchBucket, table.resolve, bucket, key)
                continue
            owner = max(owners, key=len)
            place = table.resolve(bucket, key)
            self.assertEqual(place.mount.path, owner)
            self.assertEqual(place.path, whole[len(owner.rstrip("/")) + 1 :])
            self.assertEqual(place.key(place.path), key)
            children = [
                path[len(bucket) + 2 :] + "/"
                for path in paths
                if path.startswith(f"/{bucket}/")
            ]
            self.assertEqual(
                [child.prefix for child in table.children(bucket, key)],
                sorted(c for c in children if c.startswith(key) and c != key),
            )


class BucketTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.storage = FolderStorage({"folder", "hidden"})
        self.root = mounted("/", self.storage)
        self.table = MountTable.of(
            [
                self.root,
                mounted("/mounted", created=5),
                mounted("/hidden", created=6),
                mounted("/virtual/sub", created=8),
            ],
            self.clock,
        )

    def test_bucket(self) -> None:
        """Mounts, folders of the root, and what something is mounted in are buckets."""
        for name, created in (
            ("mounted", 5),
            ("hidden", 6),
            ("folder", 7),
            ("virtual", 8),
        ):
            bucket = self.successResultOf(self.table.bucket(name))
            self.assertEqual((bucket.name, bucket.created), (name, created))

    def test_no_bucket(self) -> None:
        """Anything else is none."""
        for name in ("other", "mounted/x", "virtual/sub", "", ".", "/"):
            self.failureResultOf(self.table.bucket(name), NoSuchBucket)
            self.assertFalse(self.table.known(name))

    def test_buckets(self) -> None:
        """All buckets are named once, in order."""
        self.storage.names.update(["Z", "ä", ".git"])
        self.assertEqual(
            [
                (bucket.name, bucket.created)
                for bucket in self.successResultOf(self.table.buckets())
            ],
            [
                ("Z", 7),
                ("folder", 7),
                ("hidden", 6),
                ("mounted", 5),
                ("virtual", 8),
                ("ä", 7),
            ],
        )

    def test_no_root(self) -> None:
        """Without a root mount the mounts are the buckets."""
        self.table.replace([mounted("/b"), mounted("/a")])
        self.assertEqual(
            [bucket.name for bucket in self.successResultOf(self.table.buckets())],
            ["a", "b"],
        )
        self.failureResultOf(self.table.bucket("c"), NoSuchBucket)

    def test_asked_seldom(self) -> None:
        """Many questions about a bucket within a second are one to the storage."""
        self.assertFalse(self.table.known("folder"))
        for _ in range(100):
            self.successResultOf(self.table.bucket("folder"))
        self.assertTrue(self.table.known("folder"))
        self.assertTrue(self.table.known("mounted"))
        self.assertEqual(self.storage.asked, 1)
        self.clock.advance(1)
        self.assertFalse(self.table.known("folder"))
        self.successResultOf(self.table.bucket("folder"))
        self.assertEqual(self.storage.asked, 2)

    def test_made_elsewhere(self) -> None:
        """A bucket that was made behind our back is there at once."""
        self.failureResultOf(self.table.bucket("new"), NoSuchBucket)
        self.storage.names.add("new")
        self.successResultOf(self.table.bucket("new"))

    def test_root_fails(self) -> None:
        """A root that fails is no missing bucket, and takes no other down."""
        self.storage.held = []
        bucket, buckets = self.table.bucket("folder"), self.table.buckets()
        self.storage.held.pop().errback(StorageUnavailable())
        self.storage.held.pop().errback(StorageUnavailable())
        self.failureResultOf(bucket, StorageUnavailable)
        self.failureResultOf(buckets, StorageUnavailable)
        self.successResultOf(self.table.bucket("mounted"))

    def test_create(self) -> None:
        """A bucket is made in the root mount, and is there at once."""
        self.successResultOf(self.table.bucket("folder"))
        self.successResultOf(self.table.create("new"))
        self.assertIn("new", self.storage.names)
        self.successResultOf(self.table.bucket("new"))

    def test_create_again(self) -> None:
        """A bucket that is there is not made again."""
        for name in ("folder", "mounted", "virtual"):
            self.failureResultOf(self.table.create(name), BucketAlreadyOwnedByYou)
        self.assertEqual(self.storage.names, {"folder", "hidden"})

    def test_create_refused(self) -> None:
        """Where no bucket can be made, the answer says why."""

        def refused(name: str, error: type[GatewayError], *table: Mount) -> str:
            if table:
                self.table.replace(table)
            failure = self.failureResultOf(self.table.create(name), error)
            return cast(GatewayError, failure.value).message

        for name in (".alluxio-tw", "a/b", ""):
            refused(name, InvalidBucketName)
        self.assertIn("nothing is", refused("new", AccessDenied, mounted("/a")))
        refused("new", StorageReadOnly, mounted("/", readonly="true"))
        flat = FolderStorage(capabilities=Capabilities())
        self.assertIn(
            "cannot make buckets", refused("new", AccessDenied, mounted("/", flat))
        )

    def test_delete(self) -> None:
        """A deleted bucket is gone at once."""
        self.successResultOf(self.table.bucket("folder"))
        self.successResultOf(self.table.delete("folder"))
        self.assertNotIn("folder", self.storage.names)
        self.assertFalse(self.table.known("folder"))
        self.failureResultOf(self.table.bucket("folder"), NoSuchBucket)

    def test_delete_refused(self) -> None:
        """What cannot be deleted stays, and the answer says why."""
        self.storage.full.add("folder")
        for name, error in (
            ("folder", BucketNotEmpty),
            ("other", NoSuchBucket),
            (".alluxio-tw", NoSuchBucket),
            ("mounted", AccessDenied),
            ("hidden", AccessDenied),
            ("virtual", AccessDenied),
        ):
            self.failureResultOf(self.table.delete(name), error)
        self.assertEqual(self.storage.names, {"folder", "hidden"})
        self.table.replace([mounted("/", self.storage, readonly="true")])
        self.failureResultOf(self.table.delete("folder"), StorageReadOnly)

"""
Trees are served as they are, and no way leads out of them.
"""

from __future__ import annotations

import os
import socket

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    NoSuchPath,
    PathConflict,
    StorageDenied,
    StorageUnavailable,
    UnsuitableKey,
)
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Demand
from alluxio_tw.iufs import ListQuery, Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import get, keys_of, merged, put
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.local import LocalUFS, make


class LocalTestCase(SynchronousTestCase):
    """
    A mount of a folder, without threads.
    """

    def setUp(self) -> None:
        self.root = os.path.abspath(self.mktemp())
        os.mkdir(self.root)
        self.ufs = self.mount()

    def mount(self, **options: str) -> LocalUFS:
        around = Surroundings(IReactorTime(reactor), NoThreads())
        given = {"sync": "false", "names": "any", **options}
        made = make("file://" + self.root, given, around)
        assert isinstance(made, LocalUFS)
        self.addCleanup(made.close)
        return made

    def path(self, key: str) -> str:
        return os.path.join(self.root, key)

    def write(self, key: str, data: bytes = b"data") -> str:
        """As another program would."""
        os.makedirs(os.path.dirname(self.path(key)), exist_ok=True)
        with open(self.path(key), "wb") as file:
            file.write(data)
        return self.path(key)

    def put(self, key: str, data: bytes = b"data") -> None:
        self.successResultOf(put(self.ufs, key, data))

    def get(self, key: str) -> bytes:
        data: bytes = self.successResultOf(get(self.ufs, key))
        return data

    def listed(self, prefix: str = "", fold: bool = False) -> list[str]:
        keys: list[str] = self.successResultOf(
            keys_of(self.ufs, ListQuery(prefix, fold=fold))
        )
        return keys

    def refuses(self, key: str, error: type[Exception]) -> None:
        self.failureResultOf(put(self.ufs, key, b"new"), error)


class ExistingTreeTests(LocalTestCase):
    def test_served(self) -> None:
        """Files that other programs made are objects."""
        self.write("a/b/file.txt", b"hello")
        self.write("file")
        self.assertEqual(self.listed(), ["a/b/file.txt", "file"])
        self.assertEqual(self.get("a/b/file.txt"), b"hello")

    def test_not_marked(self) -> None:
        """A folder that nobody made as an object is none, and holds none if empty."""
        os.makedirs(self.path("a/b/c"))
        self.failureResultOf(self.ufs.status("a/b/"), NoSuchPath)
        self.assertEqual(self.listed(), [])
        self.assertEqual(self.listed(fold=True), [])

    def test_etag(self) -> None:
        """A foreign file's ETag is no MD5, and is its own as long as it is unchanged."""
        path = self.write("file", b"one")
        first = self.successResultOf(self.ufs.status("file")).etag
        self.assertIn("-", first)
        self.assertRegex(first, r"\A[0-9a-f-]+\Z")
        os.rename(path, path + "2")
        self.assertEqual(self.successResultOf(self.ufs.status("file2")).etag, first)
        os.utime(path + "2", ns=(0, 1))
        other = self.successResultOf(self.ufs.status("file2")).etag
        self.assertNotEqual(other, first)
        (entry,) = self.successResultOf(self.ufs.list(ListQuery())).entries
        self.assertEqual(entry.etag, other)

    def test_changes_seen(self) -> None:
        """What another program writes, appends, replaces or removes is seen at once."""
        path = self.write("file", b"one")
        seen = {self.successResultOf(self.ufs.status("file")).version}
        with open(path, "ab") as file:
            file.write(b"two")
        self.assertEqual(self.get("file"), b"onetwo")
        seen.add(self.successResultOf(self.ufs.status("file")).version)
        with open(path + ".new", "wb") as file:
            file.write(b"onetwo")
        os.rename(path + ".new", path)
        seen.add(self.successResultOf(self.ufs.status("file")).version)
        self.assertEqual(len(seen), 3)
        os.unlink(path)
        self.assertIsNone(self.ufs.glance("file"))
        self.failureResultOf(self.ufs.status("file"), NoSuchPath)

    def test_attributes_of_changed_file(self) -> None:
        """When another program changes an object's bytes, its attributes are void."""
        for options in ({}, {"attributes": "sidecar"}):
            self.ufs = self.mount(**options)
            self.put("file", b"mine")
            mine = self.successResultOf(self.ufs.status("file"))
            with open(self.path("file"), "r+b") as file:
                file.write(b"HERS")
            os.utime(self.path("file"), ns=(0, mine.modified + 1))
            hers = self.successResultOf(self.ufs.status("file"))
            self.assertIn("-", hers.etag)
            self.assertNotEqual(hers.version, mine.version)

    def test_sidecars_do_not_stray(self) -> None:
        """A sidecar does not speak for a file that another program put there."""
        self.ufs = self.mount(attributes="sidecar")
        self.put("file", b"mine")
        os.rename(self.path("file"), self.path("moved"))
        self.write("file", b"hers")
        self.assertIn("-", self.successResultOf(self.ufs.status("file")).etag)
        self.assertIn("-", self.successResultOf(self.ufs.status("moved")).etag)

    def test_modes(self) -> None:
        """Other programs of other users may read what the umask lets them."""
        self.put("a/file")
        umask = os.umask(0)
        os.umask(umask)
        self.assertEqual(os.stat(self.path("a/file")).st_mode & 0o777, 0o666 & ~umask)
        self.assertEqual(os.stat(self.path("a")).st_mode & 0o777, 0o777 & ~umask)

    def test_reading_leaves_nothing(self) -> None:
        """Reading and listing write nothing into the tree."""
        self.write("a/file")
        self.listed()
        self.get("a/file")
        self.assertEqual(os.listdir(self.root), ["a"])


class LinkTests(LocalTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.outside = os.path.abspath(self.mktemp())
        os.mkdir(self.outside)
        with open(os.path.join(self.outside, "secret"), "wb") as file:
            file.write(b"secret")

    def unseen(self, *keys: str) -> None:
        for key in keys:
            self.failureResultOf(self.ufs.status(key), NoSuchPath)
            self.failureResultOf(self.ufs.open(key), NoSuchPath)
            self.assertIsNone(self.ufs.glance(key))
            self.assertEqual(
                self.successResultOf(self.ufs.delete(key, NO_DEMAND)), False
            )

    def both_ways(self) -> list[LocalUFS]:
        """With the kernel's help, and as on kernels that have none."""
        older = self.mount()
        older._tree._beneath = False
        return [self.ufs, older]

    def test_out(self) -> None:
        """A link that leads out leads nowhere, however it is written."""
        up = os.path.relpath(self.outside, self.root)
        os.symlink(self.outside, self.path("abs"))
        os.symlink(up, self.path("rel"))
        os.symlink(os.path.join(self.outside, "secret"), self.path("file"))
        os.symlink("/proc/self/root" + self.outside, self.path("magic"))
        os.mkdir(self.path("in"))
        os.symlink("../" + up + "/secret", self.path("in/up"))
        for ufs in self.both_ways():
            self.ufs = ufs
            self.unseen("abs/secret", "rel/secret", "file", "magic/secret", "in/up")
            self.assertEqual(self.listed(), [])
            self.assertEqual(self.listed(fold=True), [])
            self.assertEqual(self.listed("abs/"), [])
            for key in ("abs/new", "rel/new/er", "magic/new", "abs/secret"):
                self.refuses(key, PathConflict)
        self.assertEqual(os.listdir(self.outside), ["secret"])

    def test_dots(self) -> None:
        """Dots in keys lead nowhere."""
        name = os.path.basename(self.outside)
        for ufs in self.both_ways():
            self.ufs = ufs
            self.unseen(f"../{name}/secret", f"a/../../{name}/secret", "..", ".")
            self.assertEqual(self.listed(f"../{name}/"), [])
            for key in (f"../{name}/new", "a/../..", "..", "."):
                self.put(key, key.encode())
                self.assertEqual(self.get(key), key.encode())
            self.assertEqual(self.listed("../"), [f"../{name}/new"])
            self.assertEqual(os.listdir(self.outside), ["secret"])
            for key in (f"../{name}/new", "a/../..", "..", "."):
                self.successResultOf(self.ufs.delete(key, NO_DEMAND))
        self.assertEqual(os.listdir(self.root), [".alluxio-tw"])

    def test_inside(self) -> None:
        """A link that stays inside is followed, also if it is absolute."""
        self.write("a/file", b"inside")
        os.symlink("a", self.path("rel"))
        os.symlink(self.path("a"), self.path("abs"))
        os.symlink("a/file", self.path("file"))
        for ufs in self.both_ways():
            self.ufs = ufs
            for key in ("rel/file", "abs/file", "file"):
                self.assertEqual(self.get(key), b"inside")
            self.assertEqual(self.listed(), ["a/file", "abs/file", "file", "rel/file"])
            self.assertEqual(self.listed("abs/"), ["abs/file"])

    def test_retargeted(self) -> None:
        """A link that is turned outwards after its file was read gives no more."""
        self.write("file", b"inside")
        os.symlink("file", self.path("link"))
        self.assertEqual(self.get("link"), b"inside")
        self.assertIsNotNone(self.ufs.glance("link"))
        os.unlink(self.path("link"))
        os.symlink(os.path.join(self.outside, "secret"), self.path("link"))
        self.unseen("link")

    def test_write_replaces_link(self) -> None:
        """Writing to a link replaces the link, not what it leads to."""
        self.write("target", b"target")
        os.symlink("target", self.path("inward"))
        os.symlink(os.path.join(self.outside, "secret"), self.path("outward"))
        os.symlink("nowhere", self.path("dangling"))
        for key in ("inward", "outward", "dangling"):
            demand = NO_DEMAND if key == "inward" else Demand(absent=True)
            self.successResultOf(put(self.ufs, key, b"new", demand=demand))
            self.assertFalse(os.path.islink(self.path(key)))
            self.assertEqual(self.get(key), b"new")
        self.assertEqual(self.get("target"), b"target")
        with open(os.path.join(self.outside, "secret"), "rb") as file:
            self.assertEqual(file.read(), b"secret")

    def test_delete_link(self) -> None:
        """Deleting a link leaves what it leads to."""
        self.write("target", b"target")
        os.symlink("target", self.path("link"))
        self.assertEqual(self.successResultOf(self.ufs.delete("link", NO_DEMAND)), True)
        self.assertEqual(self.listed(), ["target"])

    def test_loops(self) -> None:
        """Links that lead back are no endless trees."""
        self.write("a/b/file")
        os.symlink("..", self.path("a/b/up"))
        os.symlink("../..", self.path("a/b/root"))
        os.symlink("self", self.path("self"))
        os.makedirs(self.path("e/f"))
        os.symlink("..", self.path("e/f/x"))
        os.symlink("../../e", self.path("e/f/y"))
        self.assertEqual(self.listed(), ["a/b/file"])
        self.assertEqual(self.listed(fold=True), ["a/"])

    def test_deeper_root(self) -> None:
        """The root itself may be reached over a link, and have spaces in it."""
        self.write("a dir/file", b"inside")
        os.symlink(self.path("a dir"), self.path("way in"))
        around = Surroundings(IReactorTime(reactor), NoThreads())
        ufs = make(f"file://{self.root}/way%20in", {}, around)
        self.addCleanup(ufs.close)
        self.assertEqual(self.successResultOf(get(ufs, "file")), b"inside")


class SpecialFileTests(LocalTestCase):
    def setUp(self) -> None:
        super().setUp()
        os.mkfifo(self.path("fifo"))
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        here = os.getcwd()
        os.chdir(self.root)  # the path of a socket must be short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)

    def test_no_objects(self) -> None:
        """Pipes and sockets are no objects, and nobody waits for them."""
        for key in ("fifo", "socket"):
            self.failureResultOf(self.ufs.status(key), NoSuchPath)
            self.assertEqual(
                self.successResultOf(self.ufs.delete(key, NO_DEMAND)), False
            )
        self.assertEqual(self.listed(), [])

    def test_not_replaced(self) -> None:
        """An object does not take the place of a pipe or a socket."""
        for key in ("fifo", "socket"):
            for demand in (NO_DEMAND, Demand(absent=True)):
                self.failureResultOf(
                    put(self.ufs, key, b"new", demand=demand), PathConflict
                )
            self.assertTrue(os.path.exists(self.path(key)))


class FolderTests(LocalTestCase):
    def test_prune(self) -> None:
        """Folders go with their last object, but for the root and what is used."""
        self.put("a/b/c/1")
        self.put("a/2")
        self.successResultOf(self.ufs.delete("a/b/c/1", NO_DEMAND))
        self.assertEqual(os.listdir(self.path("a")), ["2"])
        self.successResultOf(self.ufs.delete("a/2", NO_DEMAND))
        self.assertFalse(os.path.exists(self.path("a")))
        self.assertTrue(os.path.exists(self.root))

    def test_marked_stay(self) -> None:
        """Folders that are objects stay."""
        self.put("a/b/", b"")
        self.put("a/b/c/1")
        self.successResultOf(self.ufs.delete("a/b/c/1", NO_DEMAND))
        self.assertEqual(self.listed(), ["a/b/"])

    def test_buckets(self) -> None:
        """Folders that are buckets stay, and are not made by the way."""
        self.ufs = self.mount(buckets="true")
        self.refuses("bucket/key", NoSuchPath)
        self.failureResultOf(put(self.ufs, "bucket/", b""), NoSuchPath)
        self.successResultOf(self.ufs.make_folder("bucket"))
        self.put("bucket/a/key")
        self.successResultOf(self.ufs.delete("bucket/a/key", NO_DEMAND))
        self.assertEqual(os.listdir(self.path("bucket")), [])
        self.refuses("bucket", PathConflict)
        names = [b.name for b in self.successResultOf(self.ufs.folders())]
        self.assertEqual(names, ["bucket"])

    def test_bucket_with_own_names(self) -> None:
        """What is ours in a bucket is neither listed nor in the way of its end."""
        self.ufs = self.mount(buckets="true")
        self.successResultOf(self.ufs.make_folder("bucket"))
        self.put("bucket/.alluxio-tw/uploads/1/2")
        os.makedirs(self.path("bucket/empty/er"))
        self.assertEqual(self.listed("bucket/"), [])
        self.assertEqual(self.listed(fold=True), [])
        self.assertEqual(
            self.listed("bucket/.alluxio-tw/"), ["bucket/.alluxio-tw/uploads/1/2"]
        )
        self.successResultOf(self.ufs.remove_folder("bucket"))
        self.assertFalse(os.path.exists(self.path("bucket")))

    def test_bucket_with_strange_things(self) -> None:
        """A bucket with something in it that is no object of ours is not removed."""
        self.successResultOf(self.ufs.make_folder("bucket"))
        os.mkfifo(self.path("bucket/fifo"))
        self.failureResultOf(self.ufs.remove_folder("bucket"), PathConflict)
        self.assertTrue(os.path.exists(self.path("bucket/fifo")))

    def test_empty_folders_give_way(self) -> None:
        """Folders without an object are not in the way of one."""
        os.makedirs(self.path("a/b/c"))
        os.makedirs(self.path("a/b/d"))
        for demand in (NO_DEMAND, Demand(absent=True)):
            self.successResultOf(put(self.ufs, "a", b"new", demand=demand))
            self.assertEqual(self.get("a"), b"new")
            os.unlink(self.path("a"))
            os.makedirs(self.path("a/b/c"))

    def test_special_files(self) -> None:
        """What is neither a file nor a folder gives way to no object."""
        os.mkfifo(self.path("pipe"))
        os.symlink("nowhere", self.path("loose"))
        for demand in (NO_DEMAND, Demand(absent=True)):
            for key in ("pipe", "pipe/x", "pipe/", "loose/x", "loose/"):
                data = b"" if key.endswith("/") else b"new"
                self.failureResultOf(
                    put(self.ufs, key, data, demand=demand), PathConflict
                )
        self.assertEqual(self.listed(), [])

    def test_shared(self) -> None:
        """In a tree that others look into, no name is a file and a folder at once."""
        self.ufs = self.mount(names="tree")
        self.put("a/b/key")
        self.put("m/", b"")
        self.put("f")
        for demand in (NO_DEMAND, Demand(absent=True)):
            for key in ("a", "a/b", "m", "f/x", "f/x/y", "f/"):
                data = b"" if key == "f/" else b"new"
                self.failureResultOf(
                    put(self.ufs, key, data, demand=demand), PathConflict
                )
        for key in ("../x", "a/../x", "a//b", "./a", "a/.", ".."):
            self.refuses(key, UnsuitableKey)
        self.assertEqual(self.listed(), ["a/b/key", "f", "m/"])
        # The bytes of a folder's own key are in nobody's way.
        self.put("a/", b"data")
        self.assertEqual(self.get("a/"), b"data")

    def test_shared_later(self) -> None:
        """What was written as any key is still read where only a tree's are."""
        self.put("a")
        self.put("a/b")
        self.put("..")
        self.ufs = self.mount(names="tree")
        for key in ("..", "a", "a/b"):
            self.assertEqual(self.get(key), b"data")
        self.put("a", b"new")
        self.assertEqual(self.get("a"), b"new")
        for key in ("..", "a", "a/b"):
            self.assertTrue(self.successResultOf(self.ufs.delete(key, NO_DEMAND)))
        self.assertEqual(self.listed(), [])

    def test_own_room(self) -> None:
        """Our temporary and sidecar files are no objects under any name."""
        for key in (
            ".alluxio-tw/tmp/x",
            ".alluxio-tw/sidecar/x",
            ".alluxio-tw/both",
            "a/.alluxio-tw.tmp-1/x",
            "a/.alluxio-tw.file",
            "a/.alluxio-tw.folder",
            ".alluxio-tw.part-/x",
        ):
            self.refuses(key, UnsuitableKey)
            self.failureResultOf(self.ufs.status(key), NoSuchPath)
        self.put("key", b"x" * 500_000)
        self.assertEqual(self.listed(".alluxio-tw/"), [])
        self.assertEqual(self.listed(".alluxio-tw/tmp/"), [])

    def test_denied_folder(self) -> None:
        """A listing passes over folders that may not be read."""
        self.put("a/key")
        self.put("z")
        os.chmod(self.path("a"), 0)
        self.addCleanup(os.chmod, self.path("a"), 0o777)
        if os.geteuid() == 0:  # who may read everything: be nobody
            os.seteuid(65534)
            self.addCleanup(os.seteuid, 0)
        self.assertEqual(self.listed(), ["z"])
        self.assertEqual(self.listed(fold=True), ["z"])
        self.failureResultOf(self.ufs.list(ListQuery("a/")), StorageDenied)
        self.failureResultOf(self.ufs.status("a/key"), StorageDenied)

    def test_pruned_meanwhile(self) -> None:
        """Folders that are pruned while an object is written are made again."""
        placing = self.successResultOf(self.ufs.place("a/b/key", None))
        self.successResultOf(placing.write(b"x" * 500_000))
        self.put("a/b/other")
        self.successResultOf(self.ufs.delete("a/b/other", NO_DEMAND))
        self.assertFalse(os.path.exists(self.path("a")))
        self.successResultOf(placing.commit("", NO_ATTRIBUTES, NO_DEMAND))
        self.assertEqual(self.listed(), ["a/b/key"])

    def test_missing_root(self) -> None:
        """A root that is gone is an outage, not an empty storage."""
        self.put("key")
        os.rename(self.root, self.root + ".away")
        self.failureResultOf(self.ufs.check(), StorageUnavailable)
        self.failureResultOf(self.ufs.status("key"), StorageUnavailable)
        self.failureResultOf(self.ufs.list(ListQuery()), StorageUnavailable)
        placing = self.successResultOf(self.ufs.place("key", None))
        self.failureResultOf(
            placing.commit("", NO_ATTRIBUTES, NO_DEMAND), StorageUnavailable
        )
        os.mkdir(self.root)
        self.assertEqual(self.listed(), [])
        self.put("other")
        self.assertEqual(self.listed(), ["other"])
        self.successResultOf(self.ufs.check())

    def test_other_root(self) -> None:
        """When another directory is in the root's place, it is that which is served."""
        self.put("key", b"old")
        os.rename(self.root, self.root + ".away")
        os.mkdir(self.root)
        self.failureResultOf(self.ufs.status("key"), NoSuchPath)
        self.put("key", b"newer")
        self.put("large", b"x" * 500_000)
        self.assertEqual(os.path.getsize(self.path("key")), 5)
        self.assertEqual(self.listed(), ["key", "large"])
        self.assertTrue(self.successResultOf(self.ufs.delete("large", NO_DEMAND)))
        left = set(os.listdir(self.root + ".away")) - {".alluxio-tw"}
        self.assertEqual(left, {"key"})

    def test_switched_link(self) -> None:
        """A root that is a link is what the link leads to now."""
        for name in ("one", "two"):
            os.mkdir(self.path(name))
            with open(self.path(f"{name}/key"), "w") as file:
                file.write(name)
        link = self.root + ".link"
        os.symlink(self.path("one"), link)
        ufs = make(
            f"file://{link}", {}, Surroundings(IReactorTime(reactor), NoThreads())
        )
        self.addCleanup(ufs.close)
        before = self.successResultOf(ufs.open("key"))
        self.assertEqual(before.at_once(Span(0, 3)), b"one")
        os.symlink(self.path("two"), link + ".new")
        os.rename(link + ".new", link)
        self.assertIsNone(ufs.glance("key"))
        after = self.successResultOf(ufs.open("key"))
        self.assertEqual(after.at_once(Span(0, 3)), b"two")
        for reading in (before, after):
            reading.close()

    def test_page_merged(self) -> None:
        """Entries and prefixes share the page's limit."""
        for key in ("a/1", "b", "c/1", "d"):
            self.put(key)
        page = self.successResultOf(self.ufs.list(ListQuery(fold=True, limit=3)))
        self.assertEqual((merged(page), page.resume), (["a/", "b", "c/"], "c/"))

"""
Keys that are a file and a folder at once, as they lie on the disk.
"""

from __future__ import annotations

import os
import random
import shutil
import threading

from twisted.internet.defer import Deferred

from alluxio_tw.errors import NoSuchPath, PathConflict
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Attributes, Demand
from alluxio_tw.iufs import ListQuery
from alluxio_tw.testing.ufs_objects import keys_of, put
from alluxio_tw.ufs.local_syscalls import exchange
from tests.ufs.test_local_tree import LocalTestCase

KEYS = ["a", "a/", "a/b"]


class PlacesTests(LocalTestCase):
    def put_all(self) -> None:
        for key in KEYS:
            self.put(key, key.encode())

    def test_on_disk(self) -> None:
        """Other programs find C{a/b} as it is, and the others in hidden files."""
        self.put_all()
        names = sorted(os.listdir(self.path("a")))
        self.assertEqual(names, [".alluxio-tw.file", ".alluxio-tw.folder", "b"])
        with open(self.path("a/.alluxio-tw.file"), "rb") as file:
            self.assertEqual(file.read(), b"a")

    def test_plain_again(self) -> None:
        """When only one of them is left, what was hidden goes with its folder."""
        for left in KEYS:
            self.put_all()
            for key in KEYS:
                if key != left:
                    self.successResultOf(self.ufs.delete(key, NO_DEMAND))
            self.assertEqual(self.listed(), [left])
            self.assertEqual(self.get(left), left.encode())
            self.successResultOf(self.ufs.delete(left, NO_DEMAND))
            self.assertEqual(os.listdir(self.root), [".alluxio-tw"])

    def test_same_version(self) -> None:
        """A file that became a folder is the same version, and read on as such."""
        said = Attributes(user={"colour": "blue"})
        for options in ({}, {"attributes": "sidecar"}):
            self.ufs = self.mount(**options)
            made = self.successResultOf(put(self.ufs, "k", b"data", attributes=said))
            reading = self.successResultOf(self.ufs.open("k"))
            self.put("k/below")
            now = self.successResultOf(self.ufs.status("k"))
            self.assertEqual((now, now.attributes), (made, said))
            self.assertEqual(reading.status, made)
            self.successResultOf(self.ufs.describe("k", now, NO_ATTRIBUTES))
            again = self.successResultOf(self.ufs.status("k"))
            self.assertEqual(again.attributes, NO_ATTRIBUTES)
            for key in ("k", "k/below"):
                self.successResultOf(self.ufs.delete(key, NO_DEMAND))

    def test_replaced(self) -> None:
        """Each is replaced where it lies, and a demand is of it alone."""
        self.put_all()
        for key in KEYS:
            self.failureResultOf(put(self.ufs, key, b"", demand=Demand(absent=True)))
            self.put(key, b"new " + key.encode())
        for key in KEYS:
            self.assertEqual(self.get(key), b"new " + key.encode())
        self.successResultOf(self.ufs.delete("a", NO_DEMAND))
        self.successResultOf(put(self.ufs, "a", b"3", demand=Demand(absent=True)))
        self.assertEqual(self.get("a"), b"3")

    def test_removed_with_folder(self) -> None:
        """When another program removes the folder, all of them are gone."""
        self.put_all()
        for key in KEYS:
            self.get(key)
            self.assertIsNotNone(self.ufs.glance(key))
        shutil.rmtree(self.path("a"))
        self.assertEqual(self.listed(), [])
        for key in KEYS:
            self.assertIsNone(self.ufs.glance(key))
            self.assertFalse(self.successResultOf(self.ufs.delete(key, NO_DEMAND)))

    def test_many_names(self) -> None:
        """A listing that keeps a folder's names sees that one became a file as well."""
        self.ufs._names._huge = 10
        for number in range(20):
            self.put(f"x/{number:02}/k")
        old = os.stat(self.path("x")).st_mtime_ns - 10**10
        os.utime(self.path("x"), ns=(old, old))
        self.assertEqual(len(self.listed("x/")), 20)
        self.put("x/07")
        self.assertIn("x/07", self.listed("x/"))
        os.utime(self.path("x"), ns=(old, old))
        self.assertIn("x/07", self.listed("x/"))
        self.successResultOf(self.ufs.delete("x/07", NO_DEMAND))
        self.assertNotIn("x/07", self.listed("x/"))
        page = self.successResultOf(self.ufs.list(ListQuery("x/", fold=True)))
        self.assertEqual((len(page.entries), len(page.prefixes)), (0, 20))

    def test_bucket(self) -> None:
        """A bucket in which there is nothing else is not empty for all that."""
        self.ufs = self.mount(buckets="true")
        self.successResultOf(self.ufs.make_folder("bucket"))
        for key in ("bucket/f/", "bucket//", "bucket/../x"):
            self.put(key)
            self.failureResultOf(self.ufs.remove_folder("bucket"), PathConflict)
            self.successResultOf(self.ufs.delete(key, NO_DEMAND))
        self.failureResultOf(put(self.ufs, "bucket", b"data"), PathConflict)
        self.write("file")
        self.failureResultOf(put(self.ufs, "file/x", b"data"))
        self.assertTrue(os.path.isfile(self.path("file")))
        self.successResultOf(self.ufs.remove_folder("bucket"))

    def test_swept(self) -> None:
        """A folder that a file was about to become is swept, and the file stays."""
        self.put("a")
        name = self.ufs._scratch.make_folder()[1]
        made = self.path(".alluxio-tw/tmp/" + name.decode())
        os.link(self.path("a"), made + "/.alluxio-tw.file")
        self.assertEqual(self.successResultOf(self.ufs.sweep(3600.0)), 0)
        self.assertEqual(self.successResultOf(self.ufs.sweep(-10.0)), 1)
        self.assertFalse(os.path.exists(made))
        self.assertEqual(self.get("a"), b"data")

    def test_newer(self) -> None:
        """A file that is replaced while it becomes a folder is the newer one then."""
        self.put("a", b"old")
        old = os.stat(self.path("a"))
        places = self.ufs._places
        scratch, made = self.ufs._scratch.make_folder()
        folder = self.path(".alluxio-tw/tmp/" + made.decode())
        os.link(self.path("a"), folder + "/.alluxio-tw.file")
        self.put("a", b"newer")
        exchange(scratch, made, self.ufs._tree.fd, b"a")
        with self.ufs._tree.parent(b"a") as (above, name):
            places._put_right(scratch, made, above, name, old)
        self.assertEqual(self.get("a"), b"newer")
        self.assertEqual(os.listdir(self.path(".alluxio-tw/tmp")), [])

    def test_race(self) -> None:
        """Whoever writes C{a} and whoever writes C{a/b} do not lose each other's."""
        for number in range(50):
            key = f"{number}"
            self.put(key, b"first")
            other = self.mount()

            work = put(other, f"{key}/b", b"below")
            thread = threading.Thread(target=Deferred.fromCoroutine, args=(work,))
            thread.start()
            self.put(key, b"second")
            thread.join()
            self.assertEqual(self.get(key), b"second")
            self.assertEqual(self.get(f"{key}/b"), b"below")
        found = self.successResultOf(keys_of(self.ufs, ListQuery()))
        self.assertEqual(len(found), 100)

    def test_model(self) -> None:
        """Whatever is written and deleted in whatever order, it is as a plain table."""
        parts = ("a", "b", "", ".", "..")
        keys = [f"{a}/{b}" for a in parts for b in parts]
        keys += [f"{a}/{b}/{c}" for a in "ab" for b in ("a", "") for c in ("b", "")]
        keys += ["a", "b", "a!", "..", "."]
        for options in ({}, {"attributes": "sidecar"}):
            self.ufs = self.mount(**options)
            chance = random.Random(6)
            model: dict[str, bytes] = {}
            for _ in range(1500):
                key = chance.choice(keys)
                if chance.random() < 0.5:
                    data = chance.randbytes(chance.choice((0, 1, 40_000)))
                    said = Attributes(user={"n": str(len(data))})
                    made = put(self.ufs, key, data, attributes=said)
                    self.successResultOf(made)
                    model[key] = data
                else:
                    gone = self.successResultOf(self.ufs.delete(key, NO_DEMAND))
                    self.assertEqual(gone, model.pop(key, None) is not None, key)
                found = sorted(model, key=str.encode)
                self.assertEqual(self.listed(), found)
                key = chance.choice(keys)
                if key in model:
                    self.assertEqual(self.get(key), model[key])
                    status = self.successResultOf(self.ufs.status(key))
                    self.assertEqual(status.attributes.user["n"], str(status.size))
                else:
                    self.failureResultOf(self.ufs.status(key), NoSuchPath)
                prefix = chance.choice(("a/", "b/", "a", "/", "a//", ""))
                below = {k[len(prefix) :] for k in found if k.startswith(prefix)}
                folded = {prefix + k[: k.find("/") + 1 or None] for k in below}
                self.assertEqual(
                    self.listed(prefix, fold=True), sorted(folded, key=str.encode)
                )
            for key in model:
                self.successResultOf(self.ufs.delete(key, NO_DEMAND))
            self.assertEqual(os.listdir(self.root), [".alluxio-tw"])

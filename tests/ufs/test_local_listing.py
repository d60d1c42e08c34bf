"""
Listings of trees are exact and bounded, whatever the tree looks like.
"""

from __future__ import annotations

import gc
import os
import shutil
import time
import tracemalloc
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from alluxio_tw.iobjects import Entry
from alluxio_tw.iufs import ListQuery
from alluxio_tw.testing.ufs import keys_of, modelled, put
from tests.ufs.test_local_tree import LocalTestCase

NAMES = st.text("ab-0é\U0001f600", min_size=1, max_size=2)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
QUERIES = st.tuples(
    st.text("ab-/0é", max_size=4),
    st.text("ab-/0é\U0001f600", max_size=6),
    st.booleans(),
    st.integers(1, 6),
)


class ModelTests(LocalTestCase):
    @settings(max_examples=250, deadline=None)
    @given(
        st.lists(PATHS, max_size=25),
        st.lists(PATHS, max_size=5),
        st.lists(PATHS, max_size=3),
        st.lists(QUERIES, min_size=1, max_size=8),
    )
    def test_model(
        self,
        files: list[str],
        markers: list[str],
        empties: list[str],
        queries: list[tuple[str, str, bool, int]],
    ) -> None:
        """Every page of every listing is what sorting all keys would give."""
        for name in os.listdir(self.root):
            full = self.path(name)
            shutil.rmtree(full) if os.path.isdir(full) else os.unlink(full)
        self.ufs = self.mount()
        keys: set[str] = set()
        for path in files:
            try:
                self.write(path, b"")
            except OSError:
                continue
            keys.add(path)
        for path in markers:
            if not any(path == k or path.startswith(k + "/") for k in keys):
                self.successResultOf(put(self.ufs, path + "/", b""))
                keys.add(path + "/")
        for path in empties:
            try:
                os.makedirs(self.path(path), exist_ok=True)
            except OSError:
                continue
        for prefix, after, fold, limit in queries:
            query = ListQuery(prefix, after, fold, limit)
            found = self.successResultOf(keys_of(self.ufs, query))
            self.assertEqual(found, modelled(keys, query), query)


class BoundsTests(LocalTestCase):
    def open_files(self) -> int:
        """Those of the tree: whatever else the process has open is not ours."""
        root = os.path.realpath(os.fsdecode(self.root))
        count = 0
        for each in os.listdir("/proc/self/fd"):
            try:
                count += os.readlink(f"/proc/self/fd/{each}").startswith(root)
            except FileNotFoundError:
                continue
        return count

    def test_deep(self) -> None:
        """A tree as deep as keys can be is listed with few files open at once."""
        key = "/".join("d" * 511)
        self.put(key)
        self.put("/".join("d" * 200) + "/zzz")
        gc.collect()
        before = self.open_files()
        most = 0
        lister = self.ufs._lister
        walk = lister._walk(1, ListQuery(limit=5))
        found: list[str] = []
        with closing(walk.items()) as items:
            for item in items:
                assert isinstance(item, Entry)
                found.append(item.key)
                most = max(most, self.open_files() - before)
        self.assertEqual(found[0], key)
        self.assertEqual(len(found), 2)
        self.assertLess(most, 4)
        self.assertEqual(self.open_files(), before)

    def test_too_deep(self) -> None:
        """What is too deep to be a key is not listed."""
        here = os.open(self.root, os.O_RDONLY)
        for _ in range(400):
            os.mkdir("ddd", dir_fd=here)
            below = os.open("ddd", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("file", os.O_CREAT, dir_fd=here))
        os.close(here)
        self.put("ddd/key")
        self.assertEqual(self.listed(), ["ddd/key"])

    def test_empty_tree(self) -> None:
        """Folders without objects fold to nothing, however many."""
        for n in range(1200):
            os.makedirs(self.path(f"a/{n}/b"))
        self.write("c/file")
        self.assertEqual(self.listed(fold=True), ["c/"])
        self.write("a/700/b/file")
        self.assertEqual(self.listed(fold=True), ["a/", "c/"])

    def test_fold_looks_no_further(self) -> None:
        """A folder of many files folds without looking at all of them."""
        os.mkdir(self.path("big"))
        for n in range(20_000):
            os.close(os.open(self.path(f"big/{n}"), os.O_CREAT))
        self.listed(fold=True)
        began = time.perf_counter()
        for _ in range(20):
            self.assertEqual(self.listed(fold=True), ["big/"])
        folded = time.perf_counter() - began
        began = time.perf_counter()
        self.successResultOf(self.ufs.list(ListQuery("big/", limit=1)))
        self.assertLess(folded / 20, time.perf_counter() - began)

    def test_large_folder(self) -> None:
        """200,000 keys in a folder are listed page by page, in a page's memory."""
        os.mkdir(self.path("a"))
        here = os.open(self.path("a"), os.O_RDONLY)
        self.addCleanup(os.close, here)
        for n in range(200_000):
            if n % 50_000 == 0:
                source = self.write(f"source/{n}")
            # Names of few files: many a file system makes files slowly.
            os.link(source, f"key-{n * 7919 % 200_000:08d}", dst_dir_fd=here)
        shutil.rmtree(self.path("source"))
        long_ago = time.time_ns() - 10**12 + 1
        os.utime(self.path("a"), ns=(long_ago, long_ago))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        count, after = 0, ""
        began = time.perf_counter()
        while True:
            page = self.successResultOf(self.ufs.list(ListQuery("", after)))
            self.assertEqual(page.entries[0].key, f"a/key-{count:08d}")
            count += len(page.entries)
            self.assertEqual(page.entries[-1].key, f"a/key-{count - 1:08d}")
            if count == 20_000:  # the snapshot was made; tracing is slow
                peak = tracemalloc.get_traced_memory()[1]
                self.assertLess(peak, 40 << 20)
                tracemalloc.stop()
            if page.resume is None:
                break
            after = page.resume
        self.assertEqual(count, 200_000)
        # Were all names looked at for each page, it would take minutes.
        self.assertLess(time.perf_counter() - began, 30)

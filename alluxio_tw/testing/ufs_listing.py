"""
Listing: which keys there are, in order, page by page.
"""

from __future__ import annotations

from alluxio_tw.iufs import ListQuery
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import keys_of, modelled, put


class ListingContract(UFSCase):
    """Listings are exact."""

    KEYS = (
        "a",
        "a!",
        "a/",
        "a/a",
        "a/a/a",
        "a/b",
        "a/é",
        "a0",
        "b-/x",
        "b/x/y/z",
        "b/x/y0",
        "b0",
        "c/1",
        "c/10",
        "c/2",
        "c/\U0001f600/1",
        "c/\uffee",
        "é/ü",
        "zz",
    )

    def listed_keys(self) -> list[str]:
        """Keys that meet each other, as far as the storage can hold them."""
        keys = list(self.KEYS)
        if not self.folder_objects:
            keys = [key for key in keys if not key.endswith("/")]
        if self.ufs.capabilities.key_limits:
            keys = [
                key
                for key in keys
                if key.endswith("/") or not any(k.startswith(key + "/") for k in keys)
            ]
        return keys

    async def test_list(self) -> None:
        """Listings are exact, whatever the prefix, the start and the fold."""
        keys = self.listed_keys()
        for key in keys:
            await put(self.ufs, key, b"")
        prefixes = [
            "",
            "a",
            "a/",
            "a/a",
            "b",
            "b/x/",
            "c/",
            "c/1",
            "é",
            "nothing/",
            "/",
        ]
        afters = ["", "a", "a/", "a/a", "a/a/", "a0", "b/", "b/x/y/", "c/1", "c/\uffff"]
        for prefix in prefixes:
            for after in afters:
                for fold in (False, True):
                    for limit in (3, 1000):
                        query = ListQuery(prefix, after, fold, limit)
                        self.assertEqual(
                            await keys_of(self.ufs, query),
                            modelled(keys, query),
                            query,
                        )

    async def test_list_pages(self) -> None:
        """Pages hold what they may and say whether there is more."""
        for n in range(10):
            await put(self.ufs, f"k/{n}", b"")
        page = await self.ufs.list(ListQuery("k/", limit=4))
        self.assertEqual([e.key for e in page.entries], ["k/0", "k/1", "k/2", "k/3"])
        self.assertEqual(page.resume, "k/3")
        for limit, resume in ((10, None), (11, None), (9, "k/8"), (1, "k/0")):
            page = await self.ufs.list(ListQuery("k/", limit=limit))
            self.assertEqual(len(page.entries), min(limit, 10))
            self.assertEqual(page.resume, resume)
        page = await self.ufs.list(ListQuery("", fold=True, limit=1))
        self.assertEqual((page.entries, page.prefixes), ([], ["k/"]))
        self.assertIsNone(page.resume)

"""
Folders as objects of no bytes.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.gateway.folders import with_folders
from alluxio_tw.iobjects import Entry, Listing

KEYS = (
    st.text("ab/c", min_size=1, max_size=6)
    .filter(lambda key: not key.startswith("/") and "//" not in key)
    .filter(lambda key: not key.endswith("/"))
)

Items = list[tuple[str, str]]


def folded(keys: list[str], prefix: str, delimited: bool) -> Items:
    """Keys (K) and common prefixes (P), naively."""
    items: Items = []
    for key in sorted(keys):
        if not key.startswith(prefix):
            continue
        at = key.find("/", len(prefix)) if delimited else -1
        item = ("K", key) if at < 0 else ("P", key[: at + 1])
        if item not in items:
            items.append(item)
    return items


def page(
    keys: set[str], prefix: str, delimited: bool, after: str, limit: int
) -> Listing:
    """What a storage would list."""
    items = [i for i in folded(list(keys), prefix, delimited) if i[1] > after]
    shown = items[:limit]
    return Listing(
        [Entry(key, 1, "e", 1) for kind, key in shown if kind == "K"],
        [key for kind, key in shown if kind == "P"],
        shown[-1][1] if len(items) > limit else None,
    )


class FolderTests(SynchronousTestCase):
    @given(
        st.sets(KEYS, max_size=8),
        st.sampled_from(["", "a", "a/", "b/", "a/b"]),
        st.booleans(),
        st.integers(1, 4),
    )
    def test_pages(
        self, keys: set[str], prefix: str, delimited: bool, limit: int
    ) -> None:
        """
        Page by page, what is listed is what would be if each folder that has
        something in it were an object of its own.
        """
        everything = set(keys)
        for key in keys:
            everything |= {key[: at + 1] for at, c in enumerate(key) if c == "/"}
        expected = folded(list(everything), prefix, delimited)
        listed: Items = []
        after = ""
        while True:
            found = with_folders(
                page(keys, prefix, delimited, after, limit), prefix, after, limit
            )
            items = [("K", each.key) for each in found.entries]
            items += [("P", each) for each in found.prefixes]
            self.assertLessEqual(len(items), limit)
            listed += sorted(items, key=lambda item: item[1])
            if found.resume is None:
                break
            after = found.resume
        self.assertEqual(listed, expected)

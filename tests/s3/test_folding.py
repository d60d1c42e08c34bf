from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.s3.folding import Fold, after_group, past


@attrs.frozen(order=True)
class Item:
    key: str
    id: str = ""


# Few letters, so that prefixes and delimiters are met often; one of them beyond
# the surrogates, where UTF-16 would sort otherwise.
KEYS = st.text(st.sampled_from("ab/\ue000\U00010000"), min_size=1, max_size=6)
PARTS = st.text(st.sampled_from("ab/\ue000"), max_size=3)


def fold(
    keys: list[str], prefix: str, delimiter: str, after: str, limit: int
) -> Fold[Item]:
    made: Fold[Item] = Fold(prefix, delimiter, after, limit)
    made.take_all(Item(key) for key in sorted(keys))
    return made


def items(
    keys: list[str], prefix: str, delimiter: str, marker: str
) -> list[tuple[str, bool]]:
    """
    The whole listing, made the slow way: each item and whether it is a prefix.
    """
    found: set[tuple[str, bool]] = set()
    for key in keys:
        if key.startswith(prefix) and key > marker:
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                common = prefix + rest[: rest.index(delimiter)] + delimiter
                if not marker.startswith(common):
                    found.add((common, True))
            else:
                found.add((key, False))
    return sorted(found)


class FoldTests(SynchronousTestCase):
    def test_delimiter(self) -> None:
        """Keys fold at the first delimiter after the prefix, whatever it is."""
        keys = ["a--b", "a--c", "a-d", "b--", "c"]
        made = fold(keys, "", "--", "", 10)
        self.assertEqual(made.prefixes, ["a--", "b--"])
        self.assertEqual([item.key for item in made.entries], ["a-d", "c"])
        self.assertIsNone(made.resume)

    def test_exactly_full_is_not_truncated(self) -> None:
        """A page that holds all there is is the last one."""
        self.assertIsNone(fold(["a/1", "a/2", "b"], "", "/", "", 2).resume)
        self.assertEqual(fold(["a/1", "b", "c"], "", "/", "", 2).resume, "b")
        self.assertEqual(fold(["a/1", "a/2", "b"], "", "/", "", 1).resume, "a/")

    def test_nothing_asked(self) -> None:
        """No items at all is complete."""
        made = fold(["a"], "", "", "", 0)
        self.assertEqual((made.entries, made.resume), ([], None))
        self.assertFalse(made.take(Item("b")))

    def test_what_may_be_skipped(self) -> None:
        """After a common prefix its whole group may be left out of the stream."""
        made: Fold[Item] = Fold("", "/", "b/", 10)
        skips = []
        for key in ("a", "b/1", "c/1", "c/2", "d"):
            self.assertTrue(made.take(Item(key)))
            skips.append(made.skip_past)
        self.assertEqual(skips, [None, "b/", "c/", "c/", None])
        self.assertEqual(made.prefixes, ["c/"])

    def test_it_says_when_the_prefix_is_over(self) -> None:
        """Nothing more is wanted once the keys are past the prefix."""
        made: Fold[Item] = Fold("b", "", "", 10)
        self.assertTrue(made.take(Item("a")))
        self.assertTrue(made.take(Item("b1")))
        self.assertFalse(made.take(Item("c")))
        self.assertIsNone(made.resume)

    def test_ids_order_what_shares_a_key(self) -> None:
        """With an id marker a key goes on after that id, without one after the key."""
        uploads = [Item("a", "1"), Item("a", "2"), Item("a", "3"), Item("b", "1")]
        for marker, expected in ((None, ["b1"]), ("1", ["a2", "a3", "b1"])):
            made: Fold[Item] = Fold("", "", "a", 10, marker)
            for upload in uploads:
                made.take(upload, upload.id)
            self.assertEqual([item.key + item.id for item in made.entries], expected)

    @given(st.lists(KEYS, unique=True), PARTS, PARTS, KEYS | st.just(""))
    def test_against_a_naive_model(
        self, keys: list[str], prefix: str, delimiter: str, marker: str
    ) -> None:
        """A page is the first items of the listing that a naive model makes."""
        expected = items(keys, prefix, delimiter, marker)
        for limit in (1, 2, 1000):
            made = fold(keys, prefix, delimiter, marker, limit)
            got = [(item.key, False) for item in made.entries]
            got += [(common, True) for common in made.prefixes]
            self.assertEqual(sorted(got), expected[:limit])
            self.assertEqual(made.resume is not None, len(expected) > limit)

    @given(
        st.lists(KEYS, unique=True),
        PARTS,
        PARTS,
        st.integers(min_value=1, max_value=4),
        st.booleans(),
    )
    def test_paging(
        self, keys: list[str], prefix: str, delimiter: str, limit: int, skips: bool
    ) -> None:
        """Pages one after another are the listing, also when groups are skipped."""
        pages: list[tuple[str, bool]] = []
        after = ""
        while True:
            made: Fold[Item] = Fold(prefix, delimiter, after, limit)
            skipped = None
            for key in sorted(keys):
                if skips and skipped is not None and key.startswith(skipped):
                    continue
                if not made.take(Item(key)):
                    break
                skipped = made.skip_past
            page = [(item.key, False) for item in made.entries]
            page += [(common, True) for common in made.prefixes]
            self.assertTrue(len(page) <= limit)
            pages += sorted(page)
            if made.resume is None:
                break
            self.assertEqual(made.resume, max(page)[0])
            after = made.resume
        self.assertEqual(pages, items(keys, prefix, delimiter, ""))


class WhereTests(SynchronousTestCase):
    def test_after_group(self) -> None:
        """A marker within a group stands for the group, any other for itself."""
        for marker, prefix, delimiter, stands in (
            ("a/b", "", "/", "a/"),
            ("a/", "", "/", "a/"),
            ("a/b", "a/", "/", "a/b"),
            ("a/b/c", "a/", "/", "a/b/"),
            ("a/b", "", "", "a/b"),
            ("a/b", "x", "/", "a/b"),
            ("", "", "/", ""),
        ):
            self.assertEqual(after_group(marker, prefix, delimiter), stands)

    @given(KEYS, KEYS)
    def test_past(self, prefix: str, key: str) -> None:
        """No key lies between a prefix's last key and what is past the prefix."""
        bound = past(prefix)
        assert bound is not None
        self.assertEqual(key >= bound, key > prefix and not key.startswith(prefix))

    def test_past_the_end(self) -> None:
        """Past the last character there is nothing; past the gap comes its end."""
        self.assertIsNone(past("\U0010ffff"))
        self.assertEqual(past("a\U0010ffff"), "b")
        self.assertEqual(past("\ud7ff"), "\ue000")
        self.assertIsNone(past(""))

"""
Tests of L{alluxio_tw.namespace.encoding}.
"""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.iobjects import Attributes, Status
from alluxio_tw.namespace.encoding import (
    KEPT,
    SHORT,
    decode,
    encode,
    key_of,
    prefix_of,
    validated_at,
)

MOUNT = "0123456789abcdef"

texts = st.text(max_size=20)
pairs = st.dictionaries(texts, texts, max_size=4)
attributes = st.builds(
    Attributes,
    headers=pairs,
    user=pairs,
    tags=pairs,
    checksums=pairs,
    checksum_type=texts,
    part_sizes=st.lists(st.sampled_from([5 << 20, 8 << 20, 7]), max_size=9).map(tuple),
    part_checksums=st.lists(st.text(max_size=8), max_size=9).map(tuple),
)
statuses = st.builds(
    Status,
    size=st.integers(0, 50 << 40),
    version=texts,
    etag=texts,
    modified=st.integers(-(10**19), 10**20),
    attributes=attributes,
)
moments = st.floats(allow_nan=False, allow_infinity=False)
paths = st.text(max_size=60) | st.text(alphabet="aä/", min_size=400, max_size=600)


class EncodingTests(SynchronousTestCase):
    @given(paths, st.none() | statuses, moments)
    def test_round_trip(
        self, path: str, status: Status | None, validated: float
    ) -> None:
        """What was encoded is decoded the same, tags in their order."""
        key = key_of(MOUNT, path)
        stored = encode(key, path, status, validated)
        decoded = decode(key, path, stored)
        self.assertEqual(decoded, (status, validated))
        self.assertEqual(validated_at(stored), validated)
        if status is not None:
            assert decoded is not None and decoded[0] is not None
            self.assertEqual(
                list(decoded[0].attributes.tags.items()),
                list(status.attributes.tags.items()),
            )

    @given(paths, paths)
    def test_keys(self, one: str, other: str) -> None:
        """Keys fit LMDB, and those of two paths are two."""
        key = key_of(MOUNT, one)
        self.assertLessEqual(len(key), 511)
        self.assertTrue(key.startswith(prefix_of(MOUNT, one[: len(one) // 2])))
        if one != other:
            self.assertNotEqual(key, key_of(MOUNT, other))

    def test_short_and_long(self) -> None:
        """No short path has the key of a long one."""
        lengths = set()
        for length in range(SHORT - 30, SHORT + 30):
            key = key_of("m", "x" * length)
            lengths.add(len(key))
            self.assertEqual(len(key) <= SHORT, length + 2 <= SHORT)
        self.assertEqual(max(lengths), KEPT + 16)

    def test_same_hash(self) -> None:
        """A long path is not answered with another's record."""
        one, other = "x" * 600 + "1", "x" * 600 + "2"
        key = key_of(MOUNT, one)
        stored = encode(key, one, None, 1.0)
        self.assertIsNone(decode(key, other, stored))
        self.assertEqual(decode(key, one, stored), (None, 1.0))

    def test_small(self) -> None:
        """A thousand equal parts take no more room than one."""
        one = Status(1, "v", "e", 1, Attributes(part_sizes=(8 << 20,)))
        many = Status(1, "v", "e", 1, Attributes(part_sizes=(8 << 20,) * 1000))
        self.assertLess(
            len(encode(b"k", "k", many, 1.0)), len(encode(b"k", "k", one, 1.0)) + 4
        )

    @given(st.binary(max_size=60), st.booleans())
    def test_damaged(self, stored: bytes, long: bool) -> None:
        """Whatever is read, it is a record or a ValueError."""
        path = "x" * (600 if long else 6)
        validated_at(stored)
        try:
            decode(key_of(MOUNT, path), path, stored)
        except ValueError:
            return

    @given(statuses, st.integers(0, 200), st.integers(0, 255))
    def test_one_byte_wrong(self, status: Status, at: int, byte: int) -> None:
        """A wrong byte is another record or a ValueError, and nothing worse."""
        stored = bytearray(encode(b"k", "k", status, 1.0))
        assume(at < len(stored))
        stored[at] = byte
        try:
            decode(b"k", "k", bytes(stored))
        except ValueError:
            return

    def test_too_many_parts(self) -> None:
        """A damaged count of parts does not fill the memory."""
        stored = encode(b"k", "k", Status(1, "v", "e", 1, Attributes({"a": "b"})), 1.0)
        wrong = stored.replace(b"[]", b"[[1,99999999999]]")
        self.assertNotEqual(stored, wrong)
        self.assertRaises(ValueError, decode, b"k", "k", wrong)

"""
What is read out of the listings of S3 servers.
"""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import MalformedXML
from alluxio_tw.iobjects import Entry
from alluxio_tw.s3.text import escape
from alluxio_tw.ufs.s3_listing import S3Listing

SPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
SECOND = 1_000_000_000


def read(inside: str, space: str = SPACE) -> tuple[list[Entry | str], bool]:
    """What a listing says."""
    listing = S3Listing(cast("Any", None), "")
    document = f"<ListBucketResult{space}>{inside}</ListBucketResult>"
    return listing._read(document.encode())


def contents(key: str, **fields: str) -> str:
    """An object, as it is listed."""
    said = {
        "Key": key,
        "LastModified": "1970-01-02T00:00:01.500Z",
        "ETag": '"abc"',
        "Size": "16",
        **fields,
    }
    inside = "".join(
        f"<{name}>{escape(value)}</{name}>" for name, value in said.items()
    )
    return f"<Contents>{inside}</Contents>"


def entry(key: str, kind: str = "") -> Entry:
    """What is to be made of it."""
    return Entry(key, 16, "abc", 86_401 * SECOND, kind)


class ListingTests(SynchronousTestCase):
    """Documents of several makers."""

    def test_alike(self) -> None:
        """Objects that are told alike, in a name space or in none."""
        said = (
            contents("b", StorageClass="STANDARD")
            + contents("a", StorageClass="GLACIER")
            + "<IsTruncated>true</IsTruncated>"
            + "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>"
        )
        for space in (SPACE, ""):
            self.assertEqual(
                read(said, space), ([entry("a", "GLACIER"), entry("b"), "c/"], True)
            )

    def test_no_class(self) -> None:
        """A server may know of no storage classes."""
        self.assertEqual(read(contents("a")), ([entry("a")], False))

    def test_unlike(self) -> None:
        """What some objects lack is not taken from the next."""
        said = contents("a") + contents("b", StorageClass="GLACIER") + contents("c")
        self.assertEqual(read(said)[0], [entry("a"), entry("b", "GLACIER"), entry("c")])
        said = contents("a", ETag="") + contents("b", LastModified="")
        self.assertEqual(
            read(said)[0],
            [Entry("a", 16, "", 86_401 * SECOND, ""), Entry("b", 16, "abc", 0, "")],
        )

    def test_said_twice(self) -> None:
        """Of what an object has twice, the next object gets nothing."""
        twice = contents("a").replace("<Size>", "<Key>z</Key><Size>")
        lacks = contents("").replace("<Key></Key>", "")
        keys = [cast("Entry", each).key for each in read(twice + contents("b"))[0]]
        self.assertEqual(keys, ["a", "b"])
        self.assertRaises(MalformedXML, read, twice + lacks)

    def test_owner(self) -> None:
        """What else is said of objects is passed over."""
        owner = "<Owner><ID>x</ID><Key>y</Key></Owner></Contents>"
        said = contents("a").replace("</Contents>", owner)
        self.assertEqual(read(said)[0], [entry("a")])

    def test_encoded(self) -> None:
        """Names that are percent-encoded are decoded, where that is said."""
        kind = "<EncodingType>url</EncodingType>"
        self.assertEqual(read(kind + contents("a%20b+c%2B"))[0], [entry("a b c+")])
        self.assertEqual(read(contents("a%20b"))[0], [entry("a%20b")])

    def test_dates(self) -> None:
        """A date that is none is the beginning of time, and no failure."""
        for odd in (
            "yesterday",
            "1970-01-02 00:00:01Z",
            "1970-13-02T00:00:01Z",
            "1970-01-02T00+05:00Z",
            "1970-01-02T00:00+05Z",
            "1970-01-02T00:00+05:00Z",
        ):
            (found,) = read(contents("a", LastModified=odd))[0]
            self.assertEqual(cast("Entry", found).modified, 0, odd)

    def test_sizes(self) -> None:
        """A size that is none is no listing."""
        for odd in ("", "-1", "1e3", "x"):
            self.assertRaises(MalformedXML, read, contents("a", Size=odd))

    @given(
        st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "StorageClass": st.sampled_from(["", "STANDARD", "GLACIER"]),
                    "ETag": st.sampled_from(["", '"x"', "y"]),
                    "LastModified": st.sampled_from(["", "1970-01-01T00:00:02Z"]),
                },
            ),
            max_size=6,
        )
    )
    def test_any(self, given_fields: list[dict[str, str]]) -> None:
        """Many together are what each is alone."""
        each = [
            contents(f"k{number}", **fields)
            for number, fields in enumerate(given_fields)
        ]
        alone = [item for one in each for item in read(one)[0]]
        self.assertEqual(read("".join(each))[0], alone)

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.s3 import canonical


class PathTests(SynchronousTestCase):
    def test_paths(self) -> None:
        """A path is decoded once and encoded once, and nothing else is done to it."""
        for wire, signed in [
            (b"", b"/"),
            (b"/", b"/"),
            (b"/bucket/key", b"/bucket/key"),
            (b"/bucket/a%20b/a+b", b"/bucket/a%20b/a%2Bb"),
            (b"/bucket/%c3%bc/%E4%B8%AD", b"/bucket/%C3%BC/%E4%B8%AD"),
            (
                b"/bucket/!*'()~=&:@$,;",
                b"/bucket/%21%2A%27%28%29~%3D%26%3A%40%24%2C%3B",
            ),
            (b"/bucket/%7E%2E%41", b"/bucket/~.A"),
            (b"/bucket/100%25/100%", b"/bucket/100%25/100%25"),
            (b"/bucket/a%252Fb", b"/bucket/a%252Fb"),
            (b"/bucket/a%2Fb", b"/bucket/a/b"),
            (b"/bucket//a//b/", b"/bucket//a//b/"),
            (b"/bucket/./a/../b", b"/bucket/./a/../b"),
        ]:
            self.assertEqual(canonical.paths(wire)[0], signed)

    @given(st.binary(max_size=30))
    def test_wire_is_a_candidate(self, path: bytes) -> None:
        """What the wire says is tried too, and what is canonical stays so."""
        wire = b"/" + path
        candidates = canonical.paths(wire)
        self.assertIn(wire, candidates)
        self.assertEqual(canonical.paths(candidates[0]), candidates[:1])


class QueryTests(SynchronousTestCase):
    def test_queries(self) -> None:
        """Parameters are encoded, then sorted by name and by value."""
        for wire, signed in [
            (b"", b""),
            (b"b=2&a=1", b"a=1&b=2"),
            (b"a=2&a=1&a=&A=3", b"A=3&a=&a=1&a=2"),
            (b"acl&b=", b"acl=&b="),
            (b"a=b+c&d=e%2Bf&g=%20", b"a=b%20c&d=e%2Bf&g=%20"),
            (b"k=1&k-x=2&k.y=3&k0=4", b"k=1&k-x=2&k.y=3&k0=4"),
            (
                b"k=%c3%bc~!*'()&l=a=b&m=a:b/c",
                b"k=%C3%BC~%21%2A%27%28%29&l=a%3Db&m=a%3Ab%2Fc",
            ),
            (b"a=1&&b=2&", b"a=1&b=2"),
        ]:
            self.assertEqual(canonical.queries(wire)[0], signed)

    def test_without(self) -> None:
        """A presigned URL's signature is left out, however it is spelt."""
        self.assertEqual(
            canonical.queries(b"a=1&X-AMZ-signature=2&b=3", b"x-amz-signature"),
            (b"a=1&b=3",),
        )

    @given(st.binary(max_size=30))
    def test_canonical_stays(self, query: bytes) -> None:
        """What is canonical stays so."""
        done = canonical.queries(query)[0]
        self.assertEqual(canonical.queries(done)[0], done)


NAMES = st.sampled_from((b"host", b"range", b"x-amz-%-a", b"%b", b"b", b"c"))


class RequestTests(SynchronousTestCase):
    def test_header_values(self) -> None:
        """A value has no spaces at its ends and one where it has many."""
        asked = canonical.request(
            b"GET",
            b"/",
            b"",
            {b"host": b"h", b"x-amz-meta-s": b"  a   b \t c  ", b"other": b"o"},
            (b"host", b"x-amz-meta-s", b"absent"),
            b"UNSIGNED-PAYLOAD",
        )
        self.assertEqual(
            asked,
            b"GET\n/\n\nhost:h\nx-amz-meta-s:a b c\nabsent:\n\n"
            b"host;x-amz-meta-s;absent\nUNSIGNED-PAYLOAD",
        )

    @given(
        st.lists(NAMES, min_size=1, max_size=canonical.MOST_NAMES + 2),
        st.dictionaries(NAMES, st.text("ab% \t", max_size=4)),
    )
    def test_layout(self, names: list[bytes], headers: dict[bytes, str]) -> None:
        """It is the same whether a layout is at hand or not."""
        sent = {name: value.encode() for name, value in headers.items()}
        trimmed = {name: " ".join(value.split()) for name, value in headers.items()}
        block = b"".join(
            b"%s:%s\n" % (name, trimmed.get(name, "").encode()) for name in names
        )
        self.assertEqual(
            canonical.request(b"GET", b"/", b"", sent, tuple(names), b"hash"),
            b"GET\n/\n\n" + block + b"\n" + b";".join(names) + b"\nhash",
        )

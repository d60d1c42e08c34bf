"""
CORS: which rule lets a request through.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.s3.configurations import CORSRule
from alluxio_tw.s3.cors import VARY, match, requested_headers


class MatchTests(SynchronousTestCase):
    """
    The first rule that matches.
    """

    RULES = (
        CORSRule(
            ("http://*.a.org", "http://b.org"), ("GET", "PUT"), ("x-*",), ("ETag",), 60
        ),
        CORSRule(("*",), ("GET", "DELETE"), ("Content-Type", "*-end")),
        CORSRule(("https://?.org",), ("PUT",)),
    )

    def test_origins(self) -> None:
        """An origin may have one star; only a star alone allows just anything."""
        for origin, method, rule, allowed in (
            ("http://x.a.org", "GET", 0, "http://x.a.org"),
            ("http://.a.org", "GET", 0, "http://.a.org"),
            ("http://a.org", "GET", 1, "*"),
            ("http://x.a.org.evil", "PUT", None, ""),
            ("http://b.org", "PUT", 0, "http://b.org"),
            ("http://B.org", "PUT", None, ""),
            ("null", "DELETE", 1, "*"),
            ("http://b.org", "POST", None, ""),
            ("https://x.org", "PUT", None, ""),
        ):
            found = match(self.RULES, origin, method)
            if rule is None:
                self.assertIsNone(found, origin)
            else:
                assert found is not None, origin
                self.assertIs(found.rule, self.RULES[rule], origin)
                self.assertEqual(found.origin, allowed)

    def test_headers(self) -> None:
        """Every header that is asked for must be allowed, by any case."""
        for headers, rule in (
            ((), 0),
            (("x-a", "x-b"), 0),
            (("content-type",), 1),
            (("any-end", "content-type"), 1),
            (("x-a", "content-type"), None),
        ):
            found = match(self.RULES, "http://b.org", "GET", headers)
            self.assertIs(
                None if found is None else found.rule,
                None if rule is None else self.RULES[rule],
            )

    def test_lines(self) -> None:
        """What is answered; credentials go with an origin by name only."""
        found = match(self.RULES, "http://b.org", "PUT", ("x-a",))
        assert found is not None
        self.assertEqual(
            found.lines(preflight=True),
            [
                (b"Access-Control-Allow-Origin", b"http://b.org"),
                (b"Access-Control-Allow-Methods", b"GET, PUT"),
                (b"Access-Control-Allow-Headers", b"x-a"),
                (b"Access-Control-Expose-Headers", b"ETag"),
                (b"Access-Control-Max-Age", b"60"),
                (b"Access-Control-Allow-Credentials", b"true"),
                VARY,
            ],
        )
        found = match(self.RULES, "http://c.org", "DELETE")
        assert found is not None
        self.assertEqual(
            found.lines(preflight=False),
            [
                (b"Access-Control-Allow-Origin", b"*"),
                (b"Access-Control-Allow-Methods", b"GET, DELETE"),
                VARY,
            ],
        )

    def test_requested(self) -> None:
        """A list of names is read; L{None} stands for what is none."""
        self.assertEqual(requested_headers(b" X-A,b ,, "), ("x-a", "b"))
        self.assertEqual(requested_headers(b""), ())
        for value in (b"a b", b"a:b", b"\xff", b",".join([b"a"] * 101)):
            self.assertIsNone(requested_headers(value))

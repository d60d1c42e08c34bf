"""
Tests of L{alluxio_tw.namespace.rulesdocument}.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ipages import Keeping
from alluxio_tw.namespace.patterns import MOST_PATTERNS
from alluxio_tw.namespace.policies import Policy
from alluxio_tw.namespace.rules import OWN
from alluxio_tw.namespace.rulesdocument import KINDS, MOST_BYTES, Bounds, read_rules

ALLUXIO = b"""{
  "apiVersion": 1,
  "data": {
    "immutable": [".*/immutable_tables/.*"],
    "skipCache": [".*/skip_cache_tables/.*"],
    "maxAge": {".*/mutable_tables/.*":"10s"},
    "defaultType": "immutable"
  },
  "metadata": {
    "immutable": [".*/immutable_tables/.*"],
    "skipCache": [".*/skip_cache_tables/.*"],
    "maxAge": {".*/mutable_tables/.*":"10s"},
    "defaultType": "immutable"
  }
}"""


ANY = Bounds()


DOCUMENT = Path(__file__).parents[2] / "docs" / "freshness.md"


class DocumentTests(SynchronousTestCase):
    def test_example(self) -> None:
        """The example in the documentation can be used, and says what is said of it."""
        text = DOCUMENT.read_text(encoding="utf-8")
        (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
        found = read_rules(example.encode())
        path = "/sales/tables/2026/part-0.parquet"
        patterns = {rule.pattern for rule in found.rules}
        self.assertIn(f"well: {len(found.rules)} rules, {len(patterns)} patterns", text)
        policy = found.policy(path, Policy.of({}, near=False))
        self.assertEqual(policy.lifetime, 10.0)
        self.assertEqual(policy.keeping, Keeping(4 << 20, None, 4))
        for rule in found.matching(path):
            self.assertIn(f"It matches {rule.origin}: {rule.pattern}\n", text)
        for name in (*OWN, *KINDS):
            self.assertIn(f"`{name}`", text)


class ReadTests(SynchronousTestCase):
    def refused(self, document: Any, why: str, bounds: Bounds = ANY) -> None:
        data = (
            document if isinstance(document, bytes) else json.dumps(document).encode()
        )
        error = self.assertRaises(WrongConfiguration, read_rules, data, bounds)
        self.assertIn(why, error.message)
        self.assertNotIn("\n", error.message)

    def said(self, section: str, kinds: Any, why: str) -> None:
        self.refused({"apiVersion": 1, section: kinds}, f"{section}{why}")

    def test_alluxio(self) -> None:
        """A file as Alluxio documents it is read as it stands."""
        found = read_rules(ALLUXIO)
        self.assertEqual(len(found.rules), 6)
        self.assertEqual(set(found.defaults), {"data", "metadata"})

    def test_no_document(self) -> None:
        """What is no JSON document of this form is refused."""
        for data, why in (
            (b"", "not JSON"),
            (b"\xff", "not UTF-8"),
            (b"[" * 100_000, "not JSON"),
            (b"[]", "write an object with"),
            (b"{}", "apiVersion is missing"),
            (b'{"apiVersion": 2}', "apiVersion is 2: write 1"),
            (b'{"apiVersion": true}', "write 1"),
            (b'{"apiVersion": 1, "apiVersion": 1}', "twice"),
            (b'{"apiVersion": 1, "data": NaN}', "NaN"),
            (b'{"apiVersion": 1, "rule": []}', "did you mean rules?"),
            (b" " * (MOST_BYTES + 1), "more than"),
        ):
            self.refused(data, why)

    def test_sections(self) -> None:
        """What is wrong in a section is told with its place and what to write."""
        for kinds, why in (
            ([], ": []: write an object"),
            ({"immutable": ".*"}, ".immutable: write a list"),
            ({"immutable": [7]}, ".immutable[0]: 7: write a pattern"),
            ({"skipCache": [".*", "("]}, '.skipCache[1]: "(": '),
            ({"maxage": {}}, ': there is no "maxage": did you mean maxAge?'),
            ({"maxAge": [".*"]}, ".maxAge: write an object"),
            ({"maxAge": {".*": "soon"}}, ".maxAge: \".*\": 'soon' is not a duration"),
            ({"maxAge": {".*": 10}}, '.maxAge: ".*": 10: write a duration'),
            ({"maxAge": {".*": "0s"}}, '.maxAge: ".*": an age of nought'),
            ({"maxAge": {".*": "-1s"}}, '.maxAge: ".*": "-1s" is out of bounds'),
            ({"maxAge": {"a/.*": "1s"}}, '.maxAge: "a/.*": a pattern must match'),
            ({"defaultType": "maxAge"}, '.defaultType: "maxAge": write immutable or'),
            ({"defaultType": 1}, ".defaultType: 1: write immutable or"),
        ):
            for section in ("data", "metadata"):
                self.said(section, kinds, why)

    def test_own(self) -> None:
        """What is wrong in a rule of ours is told with its place and what to write."""
        for rule, why in (
            (7, ": 7: write an object"),
            ({}, ": null: write a pattern"),
            ({"pattern": ".*"}, ": says nothing"),
            ({"pattern": ".*", "page_size": "1MB"}, "did you mean pageSize?"),
            ({"pattern": ".*", "pageSize": 4096}, ".pageSize: 4096: write a size"),
            ({"pattern": ".*", "pageSize": "1KB"}, '.pageSize: "1KB": write a size'),
            ({"pattern": ".*", "pageSize": "1GB"}, '.pageSize: "1GB": write a size'),
            ({"pattern": ".*", "pageSize": "big"}, ".pageSize: 'big' is not a size"),
            ({"pattern": ".*", "tier": "SSD"}, "here that would be DISK"),
            ({"pattern": ".*", "tier": []}, ".tier: []: write MEM"),
            ({"pattern": ".*", "readAhead": -1}, ".readAhead: -1: write a number"),
            ({"pattern": ".*", "readAhead": True}, ".readAhead: true: write a number"),
            ({"pattern": ".*", "hedgeAfter": "0s"}, 'write at least "1ms"'),
            ({"pattern": ".*", "negativeAge": None}, ".negativeAge: null: write a"),
        ):
            self.refused({"apiVersion": 1, "rules": [rule]}, "rules[0]")
            self.refused({"apiVersion": 1, "rules": [rule]}, why)
        self.refused({"apiVersion": 1, "rules": {}}, "write a list of rules")

    def test_bounds(self) -> None:
        """What the page store cannot keep is refused, with the property that says so."""
        for rule, bounds, why in (
            ({"pageSize": "16MB"}, Bounds(12 << 20), "page.store.load.memory"),
            ({"tier": "MEM"}, Bounds(memory_bytes=0), "page.store.memory.size"),
            (
                {"tier": "MEM", "pageSize": "4MB"},
                Bounds(memory_bytes=1 << 20),
                "page.store.memory.size",
            ),
            ({"tier": "DISK"}, Bounds(disk=False), "page.store.dirs"),
        ):
            document = {"apiVersion": 1, "rules": [{"pattern": ".*", **rule}]}
            read_rules(json.dumps(document).encode())
            self.refused(document, why, bounds)

    def test_too_many(self) -> None:
        """There is a bound on patterns; the same one in several places counts once."""
        many = [f"/b/{number}" for number in range(MOST_PATTERNS)]
        both = {"data": {"immutable": many}, "metadata": {"immutable": many}}
        found = read_rules(json.dumps({"apiVersion": 1, **both}).encode())
        self.assertEqual(len(found.rules), 2 * MOST_PATTERNS)
        many.append("/b/more")
        self.refused({"apiVersion": 1, "data": {"immutable": many}}, "more than")

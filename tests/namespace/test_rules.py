"""
Tests of L{alluxio_tw.namespace.rules}.
"""

from __future__ import annotations

import json
import math
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.ipages import Keeping
from alluxio_tw.iufs import Capabilities
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.namespace.policies import Policy
from alluxio_tw.namespace.rules import MEMO, MEMO_LENGTH, RuleSet
from alluxio_tw.namespace.rulesdocument import read_rules
from tests.namespace.doubles import FolderStorage

FAR = Policy.of({}, near=False)


def rules(**sections: Any) -> RuleSet:
    return read_rules(json.dumps({"apiVersion": 1, **sections}).encode())


class MetadataTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """A rule makes an object immutable, aged, or asked for each time."""
        found = rules(
            metadata={
                "immutable": [".*/i/.*"],
                "skipCache": [".*/s/.*"],
                "maxAge": {".*/m/.*": "10s"},
            }
        )
        for path, freshness, lifetime, negative in (
            ("/b/i/k", "immutable", math.inf, 1.0),
            ("/b/s/k", "always", 0.0, 0.0),
            ("/b/m/k", "max-age", 10.0, 1.0),
            ("/b/k", "max-age", 60.0, 1.0),
        ):
            policy = found.policy(path, FAR)
            self.assertEqual(
                (policy.freshness, policy.lifetime, policy.negative_age),
                (freshness, lifetime, negative),
                path,
            )
            self.assertTrue(policy.cached and policy.pages)

    def test_most_careful(self) -> None:
        """Of several that match, the most careful counts, wherever it stands."""
        found = rules(
            metadata={
                "immutable": [".*"],
                "maxAge": {".*/t/.*": "10s", ".*/t/u/.*": "2s", ".*/t/u/v": "9s"},
                "skipCache": [".*/x"],
            }
        )
        for path, lifetime in (
            ("/b/k", math.inf),
            ("/b/t/k", 10.0),
            ("/b/t/u/v", 2.0),
            ("/b/t/u/x", 0.0),
        ):
            self.assertEqual(found.policy(path, FAR).lifetime, lifetime, path)

    def test_before_the_mount(self) -> None:
        """A rule that matches comes before the option of a mount."""
        found = rules(metadata={"maxAge": {"/b/.*": "10s"}})
        for options in ({"freshness": "immutable"}, {"freshness": "always"}):
            base = Policy.of(options, near=False)
            self.assertEqual(found.policy("/b/k", base).lifetime, 10.0)

    def test_default(self) -> None:
        """A defaultType comes before the default of a mount, not before its option."""
        found = rules(metadata={"defaultType": "immutable"})
        self.assertEqual(found.policy("/b/k", FAR).lifetime, math.inf)
        for options in ({"max-age": "5s"}, {"freshness": "always"}):
            base = Policy.of(options, near=False)
            self.assertIs(found.policy("/b/k", base), base)

    def test_negative_age(self) -> None:
        """What is believed for less than a second is not denied for longer."""
        found = rules(metadata={"maxAge": {".*": "200ms"}})
        self.assertEqual(found.policy("/b/k", FAR).negative_age, 0.2)
        meant = Policy.of({"negative-age": "7s"}, near=False)
        self.assertEqual(found.policy("/b/k", meant).negative_age, 7.0)


class DataTests(SynchronousTestCase):
    def test_skip(self) -> None:
        """skipCache of data keeps no pages; the record may still answer."""
        policy = rules(data={"skipCache": [".*"]}).policy("/b/k", FAR)
        self.assertTrue(policy.cached)
        self.assertFalse(policy.pages)
        self.assertEqual(policy.lifetime, 60.0)

    def test_skip_both(self) -> None:
        """skipCache of both keeps nothing."""
        found = rules(data={"skipCache": [".*"]}, metadata={"skipCache": [".*"]})
        self.assertFalse(found.policy("/b/k", FAR).cached)

    def test_max_age(self) -> None:
        """maxAge of data bounds the age of the record; immutable adds nothing."""
        found = rules(
            data={"maxAge": {".*/a": "5s", ".*/b": "5h"}, "immutable": [".*/c"]},
            metadata={"maxAge": {"/x/.*": "10s"}},
        )
        for path, lifetime in (
            ("/x/a", 5.0),
            ("/x/b", 10.0),
            ("/x/c", 10.0),
            ("/y/a", 5.0),
            ("/y/b", 60.0),
            ("/y/c", 60.0),
        ):
            self.assertEqual(found.policy(path, FAR).lifetime, lifetime, path)

    def test_allowed(self) -> None:
        """With skipCache for defaultType, only what a pattern names is kept."""
        found = rules(data={"immutable": [".*/hot/.*"], "defaultType": "skipCache"})
        self.assertTrue(found.policy("/b/hot/k", FAR).pages)
        self.assertFalse(found.policy("/b/k", FAR).pages)


class OwnTests(SynchronousTestCase):
    def test_first(self) -> None:
        """Of what only we know, the first rule that says it counts."""
        found = rules(
            rules=[
                {"pattern": ".*/a/.*", "pageSize": "4MB", "readAhead": "off"},
                {"pattern": ".*", "pageSize": "64KB", "tier": "DISK"},
                {"pattern": ".*/a/.*", "tier": "MEM", "staleIfError": "1h"},
            ]
        )
        policy = found.policy("/b/a/k", FAR)
        self.assertEqual(policy.keeping, Keeping(4 << 20, "DISK", 0))
        self.assertEqual(policy.stale_if_error, 3600.0)
        self.assertFalse(policy.plain)
        self.assertEqual(
            found.policy("/b/k", FAR).keeping, Keeping(64 << 10, "DISK", None)
        )

    def test_ages(self) -> None:
        """Ages of what is not there, and of what cannot be asked, are a rule's too."""
        found = rules(
            rules=[{"pattern": ".*", "negativeAge": "9s", "hedgeAfter": "50ms"}]
        )
        policy = found.policy("/b/k", FAR)
        self.assertEqual((policy.negative_age, policy.hedge_after), (9.0, 0.05))
        self.assertIsNone(policy.keeping)
        self.assertTrue(policy.plain)

    def test_off(self) -> None:
        """Hedging can be taken back for some objects."""
        found = rules(rules=[{"pattern": ".*", "hedgeAfter": "off"}])
        self.assertEqual(found.policy("/b/k", FAR).hedge_after, 0.0)


class SetTests(SynchronousTestCase):
    def test_not_cached(self) -> None:
        """What is not cached stays so, whatever is said of it."""
        near = Policy.of({}, near=True)
        found = rules(data={"immutable": [".*"]}, metadata={"immutable": [".*"]})
        self.assertIs(found.policy("/b/k", near), near)

    def test_nothing_said(self) -> None:
        """Of what no rule says anything, the policy of its mount is used itself."""
        self.assertIs(rules(data={"skipCache": ["/x/.*"]}).policy("/b/k", FAR), FAR)
        self.assertFalse(rules())
        self.assertTrue(rules(metadata={"defaultType": "skipCache"}))

    def test_memo(self) -> None:
        """What is remembered of paths is bounded, and shared where it is alike."""
        found = rules(metadata={"maxAge": {"/b/.*": "10s"}})
        first = found.policy("/b/first", FAR)
        for number in range(3 * MEMO):
            self.assertIs(found.policy(f"/b/{number}", FAR), first)
        self.assertLessEqual(len(found._young) + len(found._old), 2 * MEMO)
        long = "/b/" + "k" * MEMO_LENGTH
        self.assertIs(found.policy(long, FAR), first)
        self.assertNotIn(long, found._young)

    def test_other_mount(self) -> None:
        """What is remembered of a path does not outlive its mount's options."""
        found = rules(rules=[{"pattern": ".*", "negativeAge": "9s"}])
        other = Policy.of({"max-age": "5s"}, near=False)
        self.assertEqual(found.policy("/b/k", FAR).lifetime, 60.0)
        self.assertEqual(found.policy("/b/k", other).lifetime, 5.0)
        self.assertEqual(found.policy("/b/k", FAR).lifetime, 60.0)

    def test_matching(self) -> None:
        """The rules that match are told in the order of the file."""
        found = rules(
            metadata={"skipCache": [".*/x"]},
            rules=[
                {"pattern": "/b/.*", "pageSize": "1MB"},
                {"pattern": ".*/x", "tier": "MEM"},
                {"pattern": "/c/.*", "tier": "MEM"},
            ],
        )
        self.assertEqual(
            [rule.origin for rule in found.matching("/b/x")],
            ["metadata.skipCache[0]", "rules[0]", "rules[1]"],
        )


class PlaceTests(SynchronousTestCase):
    def test_names(self) -> None:
        """A rule is matched against the name that clients use, wherever it lies."""
        far: Any = FolderStorage(capabilities=Capabilities(near=False))
        near: Any = FolderStorage()
        table = MountTable.of(
            [
                Mount.of("/", "s3://all", {}, {}, far),
                Mount.of("/b", "s3://b", {}, {"max-age": "5s"}, far),
                Mount.of("/b/raw", "s3://raw/x", {}, {"max-age": "7s"}, far),
                Mount.of("/b/near", "file:///near", {}, {}, near),
            ],
            Clock(),
        )
        places = {
            "other/raw/k": 60.0,
            "b/k": 5.0,
            "b/raw/k": 7.0,
            "b/near/k": 0.0,
        }
        for path, lifetime in places.items():
            place = table.resolve(*path.split("/", 1))
            self.assertEqual(place.policy.lifetime, lifetime, path)
            self.assertIs(place.policy, place.mount.policy)
        table.rules = rules(
            metadata={"maxAge": {"/b/raw/.*": "1s", "/other/.*": "2s", "/b/.*": "3s"}}
        )
        places.update({"other/raw/k": 2.0, "b/k": 3.0, "b/raw/k": 1.0})
        for path, lifetime in places.items():
            place = table.resolve(*path.split("/", 1))
            self.assertEqual(place.policy.lifetime, lifetime, path)
        table.rules = None
        self.assertEqual(table.resolve("b", "k").policy.lifetime, 5.0)

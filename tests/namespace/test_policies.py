"""
Tests of L{alluxio_tw.namespace.policies}.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.policies import Policy, read_only


class PolicyTests(SynchronousTestCase):
    def test_near(self) -> None:
        """Storage that is near is not cached, and always asked."""
        policy = Policy.of({}, near=True)
        self.assertEqual(
            (policy.cached, policy.freshness, policy.lifetime, policy.negative_age),
            (False, "always", 0.0, 0.0),
        )

    def test_far(self) -> None:
        """Storage that is far is cached, and believed for a minute."""
        policy = Policy.of({}, near=False)
        self.assertEqual(
            (policy.cached, policy.freshness, policy.lifetime, policy.negative_age),
            (True, "max-age", 60.0, 1.0),
        )
        self.assertEqual(policy.stale_if_error, 0.0)

    def test_near_but_cached(self) -> None:
        """Storage that is near may be cached, and is still always asked."""
        policy = Policy.of({"cache": "true"}, near=True)
        self.assertEqual((policy.cached, policy.freshness), (True, "always"))

    def test_uncached(self) -> None:
        """What is not cached is always asked."""
        policy = Policy.of({"cache": "false"}, near=False)
        self.assertEqual((policy.cached, policy.freshness), (False, "always"))

    def test_immutable(self) -> None:
        """What is immutable is believed for ever."""
        policy = Policy.of({"freshness": "immutable"}, near=False)
        self.assertEqual(policy.lifetime, math.inf)

    def test_max_age(self) -> None:
        """An age says by itself that there is one, also for near storage."""
        policy = Policy.of({"max-age": "5min", "cache": "true"}, near=True)
        self.assertEqual((policy.freshness, policy.lifetime), ("max-age", 300.0))

    def test_others(self) -> None:
        """The other durations are read in Alluxio's form."""
        policy = Policy.of(
            {"negative-age": "250ms", "stale-if-error": "1d"}, near=False
        )
        self.assertEqual((policy.negative_age, policy.stale_if_error), (0.25, 86_400))

    def test_read_only(self) -> None:
        """A mount takes writes unless it says otherwise."""
        self.assertFalse(read_only({}))
        self.assertTrue(read_only({"readonly": "TRUE"}))

    def test_refused(self) -> None:
        """What cannot be meant is refused in words that name the option."""
        wrong: tuple[Mapping[str, str], ...] = (
            {"cache": "yes"},
            {"freshness": "sometimes"},
            {"max-age": "soon"},
            {"max-age": "-1"},
            {"negative-age": "-1s"},
            {"stale-if-error": ""},
            {"freshness": "always", "max-age": "60s"},
            {"freshness": "immutable", "max-age": "60s"},
            {"latency": "50ms"},
        )
        for options in wrong:
            error = self.assertRaises(
                WrongConfiguration, Policy.of, options, near=False
            )
            self.assertIn(repr(list(options)[-1]), error.message)
        error = self.assertRaises(WrongConfiguration, read_only, {"readonly": "1"})
        self.assertIn("'readonly'", error.message)

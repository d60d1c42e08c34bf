"""
docs/s3-compatibility.md is what the program and its tests make of it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.s3.routing import OPERATIONS as ROUTES
from alluxio_tw.web.operations import OPERATIONS as SERVED

DOCS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs")


def maker() -> Any:
    """The script that makes it, as a module."""
    spec = importlib.util.spec_from_file_location(
        "make_compatibility", os.path.join(DOCS, "make_compatibility.py")
    )
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


class CompatibilityTests(SynchronousTestCase):
    """
    The document, the routing table, what serves it, and the tests.
    """

    def setUp(self) -> None:
        self.maker = maker()
        self.facts = self.maker.facts

    def rows(self) -> list[Any]:
        facts = self.facts
        return [
            *facts.OPERATIONS,
            *facts.HEADERS,
            *facts.PARAMETERS,
            *facts.ADDRESSES,
        ]

    def test_document(self) -> None:
        """The document is the one that the script makes."""
        with open(self.maker.DOCUMENT, encoding="utf-8") as file:
            self.assertEqual(file.read(), self.maker.document())

    def test_operations(self) -> None:
        """Every operation of the routing table is in it once, and nothing else."""
        named = [name for row in self.facts.OPERATIONS for name in row.names]
        self.assertEqual(sorted(named), sorted(ROUTES))

    def test_served(self) -> None:
        """What is served is said to be, with a test; of one line, all or nothing."""
        for row in self.facts.OPERATIONS:
            served = {name in SERVED for name in row.names}
            self.assertEqual(len(served), 1, row.names)
            self.assertEqual(bool(row.tests), served.pop(), row.names)

    def test_tests(self) -> None:
        """Every test that it names is there."""
        for row in self.rows():
            tests = self.maker.tests_of(row)
            self.assertTrue(tests, row.names)
            for name in tests:
                module, case, test = name.rsplit(".", 2)
                found = getattr(importlib.import_module(f"tests.{module}"), case)
                self.assertTrue(callable(getattr(found, test)), name)

    def test_others(self) -> None:
        """Something is said of each other system, be it that it is not known."""
        for row in self.rows():
            self.assertEqual(len(row.others), len(self.maker.SYSTEMS), row.names)
            self.assertLessEqual(set(row.others), set(self.maker.WORDS), row.names)

    def test_partly(self) -> None:
        """What works partly says in what."""
        for row in self.rows():
            self.assertTrue(row.note or not row.partly, row.names)

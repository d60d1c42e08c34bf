"""
The guide for authors of drivers says what is so.

Its commands are run by L{tests.test_example}.
"""

from __future__ import annotations

import os

import attrs
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw import errors
from alluxio_tw.iufs import Capabilities
from alluxio_tw.s3.faults import fault_of
from alluxio_tw.testing.ufs import UnderFileSystemContract
from alluxio_tw.testing.ufs_case import UFSCase
from tests import guide
from tests.blackbox.daemon import ROOT

RUN = ("run: install", "run: test", "run: serve")


class GuideTests(SynchronousTestCase):
    def test_code(self) -> None:
        """Every line of code in it stands in the example, in that order."""
        shown = [each for each in guide.blocks() if each.kind != "sh"]
        self.assertGreater(len(shown), 8)
        for block in shown:
            with open(os.path.join(ROOT, block.note), encoding="utf-8") as file:
                rest = file.read()
            for part in block.text.split("    ...\n"):
                _, found, rest = rest.partition(part)
                self.assertTrue(found, f"{block.note} has no\n{part}")
            if block.kind == "toml":
                # Of this every line matters.
                self.assertEqual(rest.strip(), "", block.note)

    def test_commands(self) -> None:
        """Every command in it is one that is run."""
        notes = [each.note for each in guide.blocks() if each.kind == "sh"]
        self.assertEqual(sorted(notes), sorted(RUN))

    def test_capabilities(self) -> None:
        """Every capability is explained, and no other."""
        told = [row[0] for row in guide.rows("capability")]
        real = [field.name for field in attrs.fields(Capabilities)]
        self.assertEqual(sorted(told), sorted(real))

    def test_knobs(self) -> None:
        """Every attribute that a test class may set is explained, with its default."""
        told = {row[0]: row[1] for row in guide.rows("attribute")}
        real = set(UFSCase.__annotations__) - {"ufs"}
        self.assertEqual(set(told), real)
        for name, default in told.items():
            value = getattr(UFSCase, name)
            if default in ("True", "False", "None") or default.isdigit():
                self.assertEqual(repr(value), default, name)
            elif default.endswith(" MiB"):
                self.assertEqual(value, int(default[:-4]) << 20, name)

    def test_errors(self) -> None:
        """Every error leads to the answer that is told."""
        for name, _, answer in guide.rows("error"):
            error = getattr(errors, name)
            if answer[:3].isdigit():
                fault = fault_of(error())
                self.assertIn(str(fault.status), answer, name)
                if "`" in answer:
                    self.assertIn(fault.code, answer, name)
        family = {
            each.__name__
            for each in vars(errors).values()
            if isinstance(each, type) and issubclass(each, errors.BackendError)
        }
        self.assertLessEqual(family, {row[0] for row in guide.rows("error")})

    def test_tests(self) -> None:
        """The tests that it names are there."""
        for name in (
            "test_cancelled",
            "test_read_cancelled",
            "test_write_cancelled",
            "test_commit_cancelled",
            "test_bodies_given_up",
            "test_slow_readers",
            "test_memory_reading",
            "test_memory_writing",
        ):
            self.assertIn(f"`{name}`", guide.text())
            self.assertTrue(hasattr(UnderFileSystemContract, name), name)

"""
Tests of L{alluxio_tw.namespace.rulesfile}.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.namespace.rules import RuleSet
from alluxio_tw.namespace.rulesdocument import Bounds
from alluxio_tw.namespace.rulesfile import RulesFile
from alluxio_tw.threads import IThreads, NoThreads

ONE = '{"apiVersion": 1, "metadata": {"immutable": [".*"]}}'
TWO = '{"apiVersion": 1, "metadata": {"immutable": [".*/a", ".*/b"]}}'


P = ParamSpec("P")
T = TypeVar("T")


@implementer(IThreads)
@attrs.define
class LateThreads:
    """
    Works at once, and tells of it when a test says so.
    """

    _done: list[Callable[[], None]] = attrs.field(factory=list, init=False)

    def run(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        done: Deferred[T] = Deferred()
        maybeDeferred(work, *args, **kwargs).addBoth(
            lambda result: self._done.append(lambda: done.callback(result))
        )
        return done

    def tell(self) -> None:
        """Tell of the work done first."""
        self._done.pop(0)()


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.path = os.path.abspath(self.mktemp())
        self.told: list[RuleSet] = []
        self.said: list[str] = []
        self.file = RulesFile(
            self.path, 300.0, Bounds(), self.clock, NoThreads(), self.told.append
        )

        observe: Any = self.observe
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def observe(self, event: LogEvent) -> None:
        if event.get("log_namespace") == RulesFile.__module__ + ".RulesFile":
            if event["log_level"] is not LogLevel.info:
                self.said.append(str(event.get("why")))

    def write(self, text: str) -> None:
        # As an editor does it: another file in its place.
        with open(self.path + ".new", "w") as file:
            file.write(text)
        os.replace(self.path + ".new", self.path)

    def rules(self) -> list[int]:
        return [len(each.rules) for each in self.told]

    def test_wrong_at_first(self) -> None:
        """A file that is wrong at the start is refused, with its name."""
        self.assertIn(
            self.path, self.assertRaises(WrongConfiguration, self.file.open).message
        )
        os.mkfifo(self.path)
        error = self.assertRaises(WrongConfiguration, self.file.open)
        self.assertIn("not a file", error.message)
        self.write("{}")
        error = self.assertRaises(WrongConfiguration, self.file.open)
        self.assertIn(f"{self.path}: apiVersion", error.message)

    def test_changed(self) -> None:
        """A changed file counts after the interval, and is read only when it changes."""
        self.write(ONE)
        self.file.open()
        self.file.start()
        self.assertEqual(self.rules(), [1])
        self.clock.advance(300)
        self.write(TWO)
        self.clock.advance(299)
        self.assertEqual(self.rules(), [1])
        self.clock.advance(1)
        self.assertEqual(self.rules(), [1, 2])
        self.clock.pump([300] * 3)
        self.assertEqual(self.rules(), [1, 2])
        self.file.stop()
        self.write(ONE)
        self.clock.pump([300] * 3)
        self.assertEqual(self.rules(), [1, 2])

    def test_wrong_later(self) -> None:
        """A file that has become wrong changes nothing, and that is said once."""
        self.write(ONE)
        self.file.open()
        self.file.start()
        self.write("{")
        self.clock.pump([300] * 3)
        self.assertEqual(self.rules(), [1])
        self.assertEqual(len(self.said), 1)
        os.unlink(self.path)
        self.clock.pump([300] * 3)
        self.assertEqual(len(self.said), 2)
        self.assertIn("No such file", self.said[1])
        self.write(TWO)
        self.clock.advance(300)
        self.assertEqual(self.rules(), [1, 2])

    def test_look(self) -> None:
        """Who asks for a look has one at once."""
        self.write(ONE)
        self.file.open()
        self.write(TWO)
        self.successResultOf(self.file.look())
        self.assertEqual(self.rules(), [1, 2])

    def test_changed_while_looking(self) -> None:
        """A change that comes while the file is looked at is not missed."""
        self.write(ONE)
        threads = LateThreads()
        file = RulesFile(
            self.path, 300.0, Bounds(), self.clock, threads, self.told.append
        )
        file.open()
        looking = file.look()
        self.assertNoResult(looking)
        self.write(TWO)
        file.look()
        threads.tell()
        self.successResultOf(looking)
        threads.tell()
        self.assertEqual(self.rules(), [1, 2])

"""
How a load is shown.
"""

from __future__ import annotations

from typing import Any

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.app.loadprogress import conclude, follow, in_words, readable
from alluxio_tw.gateway.loadjob import LoadJob, LoadOptions, Tally
from alluxio_tw.gateway.scope import Scope


def told(live: Tally | None = None, **more: Any) -> dict[str, Any]:
    """A load, as the daemon tells it."""
    options = more.pop("options", LoadOptions())
    job = LoadJob(Scope("b", "d"), options, 0.0, live=live or Tally(), **more)
    return job.document()


class WordsTests(SynchronousTestCase):
    def said(self, load: dict[str, Any], verbose: bool = False) -> tuple[str, str]:
        """What is concluded, on the two outputs."""

        @click.command()
        def command() -> None:
            conclude(load, verbose)

        result = CliRunner().invoke(command)
        self.assertEqual(result.exit_code, 0, result.output)
        return result.stdout, result.stderr

    def test_readable(self) -> None:
        """Sizes are told in few characters."""
        for amount, text in (
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0KB"),
            (1536 << 20, "1.5GB"),
            (5 << 60, "5120.0PB"),
        ):
            self.assertEqual(readable(amount), text)

    def test_in_words(self) -> None:
        """How far it has come is told with what is known by then."""
        self.assertEqual(
            in_words(told(objects=7, total_bytes=2048)), "counting, 7 objects of 2.0KB"
        )
        tally = Tally(done=2, done_bytes=1024, loaded_bytes=3072, failed=1)
        self.assertEqual(
            in_words(
                told(
                    tally,
                    objects=9,
                    total_bytes=9216,
                    counted=True,
                    moving=2048,
                    seconds=3.0,
                )
            ),
            "2 of 9 objects, 3.0KB of 9.0KB, 1.0KB/s, 1 failed",
        )
        self.assertEqual(
            in_words(
                told(
                    tally,
                    objects=9,
                    options=LoadOptions(metadata_only=True, partial_listing=True),
                )
            ),
            "2 of 9 or more objects, 1 failed",
        )

    def test_failures(self) -> None:
        """The first failures are named, more of them if that is asked for."""
        tally = Tally()
        for number in range(150):
            tally.fail(f"k{number}", "no")
        load = told(tally, state="FAILED", reason="150 objects failed")
        out, err = self.said(load)
        self.assertIn("150 failed (150 objects failed)", out)
        self.assertEqual(len(err.splitlines()), 21)
        self.assertIn("and 130 more", err)
        self.assertEqual(len(self.said(load, True)[1].splitlines()), 101)

    def test_terminal(self) -> None:
        """What is in a key or in a storage's message does nothing to a terminal."""
        tally = Tally()
        tally.fail("k\x1b[2J\n\udcff", "\x1b]0;x\x07")
        out, err = self.said(told(tally, state="FAILED", reason="\x1b[31m"))
        control = set(map(chr, range(32))) - {"\n"}
        self.assertFalse(set(out + err) & control)
        self.assertEqual(len(err.splitlines()), 1)

    def test_follow(self) -> None:
        """It is followed to its end, and every step is a line of JSON if so wanted."""
        states = iter([told(), told(state="SUCCEEDED")])

        @click.command()
        def command() -> None:
            follow(told(), lambda: next(states), as_json=True)

        lines = CliRunner().invoke(command).stdout.splitlines()
        self.assertIn('"state": "RUNNING"', lines[0])
        self.assertIn('"state": "SUCCEEDED"', lines[-1])

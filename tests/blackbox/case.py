"""
A test that talks to a daemon.

Starting a daemon takes a second, so tests whose daemons are set up alike share
one.  Each makes buckets of its own.  After each test the daemon must still live,
and must have logged no failure; L{tests.blackbox.test_zz_end} stops them all.
"""

from __future__ import annotations

import atexit
import itertools
import tempfile
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.blackbox import clients
from tests.blackbox.daemon import Daemon, Setting
from tests.blackbox.wire import Wire

SHARED: dict[Setting, Daemon] = {}
"""The daemons that run, by how they are set up."""

FORGIVEN: list[str] = []
"""Failures that some test has provoked, as patterns."""

PLAIN = Setting(("alluxio.worker.s3.access.logging.enabled=true",), secure=True)
"""As it comes, with HTTPS beside HTTP."""

_numbers = itertools.count(1)


@atexit.register
def _end() -> None:
    for daemon in SHARED.values():
        daemon.remove()


class BlackboxCase(SynchronousTestCase):
    """
    A test with a daemon.

    :cvar setting: how the daemon is set up.
    :cvar own: it is shared with no other test.
    """

    setting: ClassVar[Setting] = PLAIN
    own: ClassVar[bool] = False

    def setUp(self) -> None:
        self._forgiven: list[str] = []
        self._own: list[Daemon] = []
        self.addCleanup(self._end)
        if self.own:
            self.daemon = self.start(self.setting)
        else:
            self.daemon = shared(self.setting)
            self._said = self.daemon.said()
            self.addCleanup(self._look, self.daemon)

    def start(self, setting: Setting, folder: str = "") -> Daemon:
        """Start a daemon for this test alone; it must fail at nothing."""
        daemon = Daemon.start(setting, folder)
        self._own.append(daemon)
        return daemon

    def restart(self) -> None:
        """Start this test's own daemon again, on what it left."""
        self.daemon = self.daemon.again()
        self._own.append(self.daemon)

    def forgive(self, *patterns: str) -> None:
        """The daemon may log failures that match one of these."""
        self._forgiven.extend(patterns)
        FORGIVEN.extend(patterns)

    def _end(self) -> None:
        try:
            for daemon in self._own:
                self._complain(daemon, 0)
        finally:
            for daemon in self._own:
                daemon.remove()

    def _look(self, daemon: Daemon) -> None:
        if not daemon.alive():
            del SHARED[self.setting]
            self.fail(f"the daemon died:\n{daemon.log()[-8000:]}")
        self._complain(daemon, self._said)

    def _complain(self, daemon: Daemon, start: int) -> None:
        complaints = daemon.complaints(start, self._forgiven)
        self.assertEqual(complaints, "", f"the daemon logged:\n{complaints[:8000]}")

    # --- what tests are made of ------------------------------------------------------

    def s3(self, secure: bool = False, **config: Any) -> Any:
        """A boto3 client."""
        return clients.boto3_client(self.daemon, secure=secure, **config)

    def bucket(self) -> str:
        """A new bucket."""
        name = f"bucket-{next(_numbers)}"
        self.s3().create_bucket(Bucket=name)
        return name

    def folder(self) -> str:
        """A new folder, outside of the daemon's."""
        return tempfile.mkdtemp(dir=self.daemon.folder, prefix="test-")

    def wire(self, secure: bool = False, **options: Any) -> Wire:
        """A bare connection to the daemon; closed at the end of the test."""
        wire = Wire.to(self.daemon, secure, **options)
        self.addCleanup(wire.close)
        return wire

    def refused(
        self, code: str, status: int, call: Callable[..., Any], **given: Any
    ) -> Any:
        """
        Assert that a call of boto3's is answered with an error.

        :return: the error's document, as boto3 gives it.
        """
        from botocore.exceptions import ClientError

        error = self.assertRaises(ClientError, call, **given)
        answer = error.response
        self.assertEqual(
            (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]),
            (code, status),
        )
        return answer


def shared(setting: Setting) -> Daemon:
    """The daemon that is set up so; started if there is none."""
    daemon = SHARED.get(setting)
    if daemon is None or not daemon.alive():
        daemon = SHARED[setting] = Daemon.start(setting)
    return daemon

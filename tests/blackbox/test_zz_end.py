"""
The end of the daemons that the other tests shared; the last module by name.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.blackbox.case import FORGIVEN, SHARED


class EndTests(SynchronousTestCase):
    def test_end(self) -> None:
        """A daemon that did all this ends with 0 when asked, having failed at nothing."""
        for setting, daemon in list(SHARED.items()):
            self.assertEqual(daemon.stop(), 0, setting)
            self.assertEqual(daemon.complaints(0, FORGIVEN), "")
            daemon.remove()
            del SHARED[setting]

"""
Disks that are easily full.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase


def tiny_disk(test: SynchronousTestCase, size: int) -> str:
    """
    A file system in memory, for the time of a test.

    :param size: in bytes.
    :return: where it is mounted.
    :raises SkipTest: this user may not mount anything.
    """
    path = tempfile.mkdtemp(dir=os.getcwd(), prefix="disk-")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise SkipTest(f"no disk can be mounted here: {mounted.stderr.strip()}")
    test.addCleanup(subprocess.run, ["umount", "-l", path], check=False)
    return path

"""
Versions, made of what file systems tell.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.ufs.fsspec_versions import (
    entry_of,
    etag_of,
    modified_of,
    status_of,
    version_of,
)

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)
NANOSECONDS = 1_767_323_045_678_901_000
SECONDS = NANOSECONDS // 10**9 * 10**9


class TimeTests(SynchronousTestCase):
    def test_times(self) -> None:
        """A time is the same however it is told."""
        for info, expected in (
            ({"mtime": WHEN}, NANOSECONDS),
            ({"mtime": WHEN.replace(tzinfo=None)}, NANOSECONDS),
            ({"mtime": WHEN.astimezone(timezone(timedelta(hours=5)))}, NANOSECONDS),
            ({"mtime": WHEN.timestamp()}, NANOSECONDS),
            ({"LastModified": WHEN.replace(microsecond=0)}, SECONDS),
            ({"updated": "2026-01-02T03:04:05.678901Z"}, NANOSECONDS),
            ({"Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT"}, SECONDS),
            ({"modify": "20260102030405"}, SECONDS),
            ({"mtime": int(WHEN.timestamp())}, SECONDS),
            ({"mtime": None, "created": WHEN}, NANOSECONDS),
            ({"mtime": "soon"}, 10**9),
            ({"mtime": True}, 10**9),
            ({}, 10**9),
        ):
            self.assertEqual(modified_of(info), expected, info)


class VersionTests(SynchronousTestCase):
    def differ(self, one: dict[str, Any], **changed: Any) -> None:
        self.assertNotEqual(version_of(one), version_of({**one, **changed}), changed)

    def same(self, one: dict[str, Any], **changed: Any) -> None:
        self.assertEqual(version_of(one), version_of({**one, **changed}), changed)

    def test_tokens(self) -> None:
        """A token changes with what identifies the bytes, and with nothing else."""
        local = {"size": 3, "ino": 7, "mtime": 1.5, "mode": 1}
        self.differ(local, size=4)
        self.differ(local, ino=8)
        self.differ(local, mtime=1.500001)
        self.same(local, mode=2)
        s3 = {"size": 3, "ETag": '"abc"', "LastModified": WHEN}
        self.differ(s3, ETag='"abd"')
        self.same(s3, LastModified=WHEN + timedelta(1))
        gcs = {"size": 3, "generation": "1", "updated": "2026-01-02T03:04:05Z"}
        self.differ(gcs, generation="2")
        self.same(gcs, updated="2026-01-03T03:04:05Z")
        unknown = {"size": 3, "name": "x", "something": 1}
        self.differ(unknown, something=2)
        self.same(unknown)

    def test_etags(self) -> None:
        """An ETag is the storage's own, or an MD5 that is one, or looks like none."""
        md5 = "9e107d9d372bb6826bd81d3542a419d6"
        self.assertEqual(etag_of({"size": 1, "ETag": f'"{md5}-2"'}), f"{md5}-2")
        self.assertEqual(etag_of({"size": 1, "etag": 'W/"0x8D"'}), "0x8D")
        self.assertEqual(
            etag_of({"size": 1, "etag": "CAE=", "md5Hash": "nhB9nTcrtoJr2B01QqQZ1g=="}),
            md5,
        )
        for info in ({"size": 1}, {"size": 1, "mtime": 1.5}, {"size": 1, "sha": md5}):
            self.assertRegex(etag_of(info), r"\A[0-9a-f]{16}-[0-9a-f]{16}\Z")
        # A quote would end the header's value.
        self.assertNotIn('"', etag_of({"size": 1, "etag": 'a"b'}))

    def test_listed(self) -> None:
        """What a listing tells of a file is what its status tells."""
        listed = {"name": "x", "size": 5, "created": WHEN.timestamp()}
        asked = {"name": "x", "size": 5, "created": WHEN}
        entry, status = entry_of("key", listed), status_of(asked)
        self.assertEqual(
            (entry.size, entry.etag, entry.modified),
            (status.size, status.etag, status.modified),
        )

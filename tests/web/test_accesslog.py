"""
The access log: what its lines say, and how they come to their file.
"""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.threads import NoThreads
from alluxio_tw.web.accesslines import AccessEntry, json_line, masked, s3_line
from alluxio_tw.web.accesslog import BATCH, COMPLAINT, AccessLog, LogFile
from tests.doubles_threads import HeldThreads

MOMENT = 1763645415.25  # 2025-11-20T13:30:15.250Z


def entry(**more: object) -> AccessEntry:
    given: dict[str, object] = {
        "time": MOMENT,
        "request_id": "3E57427F33A59F07",
        "method": "GET",
        "target": b"/photos/a%20b.jpg?x-id=GetObject",
        "status": 200,
        "remote": "192.0.2.3",
        "host": "s3.example.com",
        "user": "ann",
        "operation": "GetObject",
        "log_name": "REST.GET.OBJECT",
        "bucket": "photos",
        "key": "a b.jpg",
        "bytes_out": 4096,
        "object_size": 8192,
        "seconds": 0.0123,
        "first_byte": 0.0021,
        "user_agent": "Boto3/1.40 (x; y)",
        "cache": "HIT",
        "range": "bytes=0-4095",
        "signature": "SigV4",
        "authentication": "AuthHeader",
        "tls": "TLSv1.3",
        "cipher": "TLS_AES_128_GCM_SHA256",
        "owner": "root",
        "host_id": "aGVsbG8=",
    }
    return AccessEntry(**{**given, **more})  # type: ignore[arg-type]


S3_FIELD = re.compile(r'"[^"]*"|\[[^]]*\]|[^ ]+')
"""How the readers of S3's logs cut a line."""


class JSONTests(SynchronousTestCase):
    def read(self, **more: object) -> dict[str, object]:
        line = json_line(entry(**more))
        self.assertEqual(line.count(b"\n"), 1)
        self.assertTrue(line.endswith(b"}\n"))
        found: dict[str, object] = json.loads(line)
        return found

    def test_whole_entry(self) -> None:
        """A line says everything about the request, times in milliseconds."""
        self.assertEqual(
            self.read(error="NoSuchKey", status=404, bytes_in=7, version="null"),
            {
                "time": "2025-11-20T13:30:15.250Z",
                "request_id": "3E57427F33A59F07",
                "remote": "192.0.2.3",
                "operation": "GetObject",
                "method": "GET",
                "status": 404,
                "bytes_in": 7,
                "bytes_out": 4096,
                "duration_ms": 12.3,
                "first_byte_ms": 2.1,
                "user": "ann",
                "bucket": "photos",
                "key": "a b.jpg",
                "target": "/photos/a%20b.jpg?x-id=GetObject",
                "cache": "HIT",
                "error": "NoSuchKey",
                "object_size": 8192,
                "version": "null",
                "range": "bytes=0-4095",
                "host": "s3.example.com",
                "user_agent": "Boto3/1.40 (x; y)",
                "signature": "SigV4",
                "authentication": "AuthHeader",
                "tls": "TLSv1.3",
                "cipher": "TLS_AES_128_GCM_SHA256",
            },
        )

    def test_nothing_known(self) -> None:
        """What is empty is left out."""
        line = json_line(AccessEntry(0.0, "1", "", b"", 400))
        self.assertEqual(
            set(json.loads(line)),
            {
                "time",
                "request_id",
                "remote",
                "operation",
                "method",
                "status",
                "bytes_in",
                "bytes_out",
                "duration_ms",
                "target",
            },
        )

    @settings(max_examples=300, deadline=None)
    @given(st.text(), st.text(), st.binary(), st.text())
    def test_hostile_text(self, key: str, agent: str, target: bytes, ref: str) -> None:
        """Whatever a client sends, a line is one JSON object."""
        found = self.read(
            key=key, user_agent=agent, target=target, referer=ref, user=agent
        )
        self.assertEqual(found.get("key", ""), key)
        self.assertEqual(found.get("user_agent", ""), agent)

    def test_lines_are_bounded(self) -> None:
        """No request makes a line of more than 48 KiB, nor one of ASCII more than 16."""
        big = dict.fromkeys(
            ("method", "host", "user", "bucket", "key", "version", "user_agent"),
            "\U0001f600" * 9000,
        )
        big |= {"referer": big["key"], "range": big["key"]}
        for line in (json_line, s3_line):
            made = line(entry(**big, target=b"/\xff" * 9000))
            self.assertLess(len(made), 48 << 10)
            made = line(entry(**dict.fromkeys(big, "a" * 9000), target=b"/" * 9000))
            self.assertLess(len(made), 16 << 10)


class S3Tests(SynchronousTestCase):
    def fields(self, **more: object) -> list[str]:
        line = s3_line(entry(**more)).decode("ascii")
        self.assertTrue(line.endswith("\n"))
        return S3_FIELD.findall(line[:-1])

    def test_whole_entry(self) -> None:
        """The fields are those of S3's server access log, in its order."""
        self.assertEqual(
            self.fields(referer="http://x/"),
            [
                "root",
                "photos",
                "[20/Nov/2025:13:30:15 +0000]",
                "192.0.2.3",
                "ann",
                "3E57427F33A59F07",
                "REST.GET.OBJECT",
                "a%20b.jpg",
                '"GET /photos/a%20b.jpg?x-id=GetObject HTTP/1.1"',
                "200",
                "-",
                "4096",
                "8192",
                "12",
                "2",
                '"http://x/"',
                '"Boto3/1.40 (x; y)"',
                "-",
                "aGVsbG8=",
                "SigV4",
                "TLS_AES_128_GCM_SHA256",
                "AuthHeader",
                "s3.example.com",
                "TLSV1.3",
                "-",
                "-",
                "-",
            ],
        )

    def test_nothing_known(self) -> None:
        """What is unknown is a hyphen; the line has all its fields."""
        line = s3_line(AccessEntry(0.0, "1", "GET", b"/", 400)).decode()
        self.assertEqual(
            line,
            "- - [01/Jan/1970:00:00:00 +0000] - - 1 Unknown - "
            '"GET / HTTP/1.1" 400 - - - 0 - "-" "-" - - - - - - - - - -\n',
        )
        self.assertEqual(len(S3_FIELD.findall(line)), 27)

    @settings(max_examples=300, deadline=None)
    @given(st.text(), st.text(), st.binary(), st.text())
    def test_hostile_text(self, key: str, agent: str, target: bytes, ref: str) -> None:
        """Whatever a client sends, a line has its 27 fields and no other line."""
        found = self.fields(
            key=key,
            user_agent=agent,
            target=target.replace(b" ", b""),
            referer=ref,
            user=key,
            version=key,
            host=agent,
            method=ref,
        )
        self.assertEqual(len(found), 27)
        self.assertEqual(found[9], "200")


class MaskTests(SynchronousTestCase):
    def test_presigned(self) -> None:
        """Of a presigned URL the log keeps what cannot be used again."""
        self.assertEqual(
            masked(
                b"/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256"
                b"&X-Amz-Credential=AKID%2F20251120%2Fus-east-1%2Fs3%2Faws4_request"
                b"&X-Amz-Expires=60&X-Amz-Security-Token=tok%3D&X-Amz-Signature=abc"
            ),
            "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID/***"
            "&X-Amz-Expires=60&X-Amz-Security-Token=***&X-Amz-Signature=***",
        )

    def test_disguised(self) -> None:
        """A parameter's name may be written in other ways; it is masked all the same."""
        for query in (
            b"x-amz-signature=hush",
            b"X%2DAmz%2dSignature=hush",
            b"%58-Amz-Signature=hush",
            b"a=b&&X-AMZ-SECURITY-TOKEN=hush&c",
            b"AWSAccessKeyId=x&Signature=hush&Expires=1",
            b"Action=AssumeRoleWithWebIdentity&WebIdentityToken=hush",
            b"x-amz-signature=hush?X-Amz-Signature=hush",
        ):
            self.assertNotIn("hush", masked(b"/b/k?" + query), query)

    def test_others_are_kept(self) -> None:
        """Nothing else of a query is changed."""
        query = "/b?list-type=2&prefix=a%20b/+&delimiter=%2F&continuation-token=1ab"
        self.assertEqual(masked(query.encode()), query)
        self.assertEqual(masked(b"/X-Amz-Signature=abc"), "/X-Amz-Signature=abc")

    def test_in_both_formats(self) -> None:
        """Neither format, nor the referer, shows a signature."""
        secret = "/b/k?X-Amz-Signature=hush"
        for line in (json_line, s3_line):
            made = line(entry(target=secret.encode(), referer="http://h" + secret))
            self.assertNotIn(b"hush", made)
            self.assertEqual(made.count(b"***"), 2)


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.path = self.folder / "logs" / "access.log"
        self.clock = Clock()
        self.messages: list[str] = []

        def observe(event: dict[str, object]) -> None:
            if "accesslog" in str(event.get("log_namespace")):
                self.messages.append(str(event["log_format"]).format(**event))

        observer: Any = observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def log(self, file: LogFile | None = None, **more: object) -> AccessLog:
        log = AccessLog(
            self.clock,
            more.pop("threads", NoThreads()),  # type: ignore[arg-type]
            file or LogFile(str(self.path)),
            json_line,
            **more,  # type: ignore[arg-type]
        )
        log.start()
        self.addCleanup(log.stop)
        return log

    def ids(self, path: Path | None = None) -> list[str]:
        lines = (path or self.path).read_text("ascii").splitlines()
        return [json.loads(line)["request_id"] for line in lines]

    def test_written_within_a_second(self) -> None:
        """A line is in the file a second after it was taken, and not at once."""
        log = self.log()
        log.take(entry(request_id="a"))
        log.take(entry(request_id="b"))
        self.clock.advance(0.9)
        self.assertEqual(self.ids(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.ids(), ["a", "b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many_lines_are_written_sooner(self) -> None:
        """64 KiB of lines are written without waiting."""
        log = self.log()
        size = len(json_line(entry()))
        for _ in range(BATCH // size + 1):
            log.take(entry())
        self.assertEqual(len(self.ids()), BATCH // size + 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_only_failures(self) -> None:
        """Unless everything is logged, only failures are asked for."""
        log = self.log(everything=False)
        self.assertEqual(
            [status for status in (200, 206, 304, 400, 404, 500) if log.wants(status)],
            [400, 404, 500],
        )
        self.assertTrue(self.log().wants(200))

    def test_one_write_at_a_time(self) -> None:
        """While a write is under way lines gather; then they go together, in order."""
        threads = HeldThreads()
        log = self.log(threads=threads)
        log.take(entry(request_id="a"))
        self.clock.advance(1)
        for name in "bcd":
            log.take(entry(request_id=name))
            self.clock.advance(2)
        self.assertEqual(len(threads), 1)
        threads.release()
        self.assertEqual(self.ids(), ["a"])
        self.clock.advance(1)
        self.assertEqual(len(threads), 1)
        threads.release()
        self.assertEqual(self.ids(), ["a", "b", "c", "d"])
        threads.release_all()

    def test_slow_disk_costs_lines_not_memory(self) -> None:
        """What cannot be written in time is dropped and counted, within the bound."""
        threads = HeldThreads()
        log = self.log(threads=threads, bound=4096)
        size = len(json_line(entry()))
        for _ in range(1000):
            log.take(entry())
        fitting = -(-4096 // size)
        self.assertEqual(log.dropped, 1000 - fitting)
        self.clock.advance(1)
        log.take(entry())
        self.assertEqual(log.dropped, 1001 - fitting)  # also what is being written
        threads.release_all()
        self.assertEqual(len(self.ids()), fitting)
        log.take(entry())
        self.assertEqual(log.dropped, 1001 - fitting)
        self.assertEqual(len(self.messages), 1)
        self.addCleanup(threads.release_all)

    def test_complaints_are_few(self) -> None:
        """Lost lines are told at once, and then once a minute, with their number."""
        log = self.log(threads=HeldThreads(), bound=1)
        log.take(entry())
        for _ in range(10):
            log.take(entry())
        self.assertEqual(len(self.messages), 1)
        self.assertIn("lost 1 lines", self.messages[0])
        self.clock.advance(COMPLAINT)
        log.take(entry())
        self.assertIn("lost 10 lines", self.messages[1])

    def test_reopen(self) -> None:
        """After the file was moved away, reopen begins a new one, losing nothing."""
        log = self.log()
        log.take(entry(request_id="a"))
        moved = self.path.with_suffix(".old")
        self.path.rename(moved)
        self.successResultOf(log.reopen())
        log.take(entry(request_id="b"))
        self.clock.advance(1)
        self.assertEqual((self.ids(moved), self.ids()), (["a"], ["b"]))

    def test_reopen_during_a_write(self) -> None:
        """A reopening waits for the write under way, and is then done at once."""
        threads = HeldThreads()
        log = self.log(threads=threads)
        log.take(entry(request_id="a"))
        self.clock.advance(1)
        done = log.reopen()
        self.assertNoResult(done)
        threads.release()
        self.path.rename(self.path.with_suffix(".old"))
        threads.release()
        self.successResultOf(done)
        self.assertTrue(self.path.exists())
        threads.release_all()
        self.addCleanup(threads.release_all)

    def test_reopen_that_fails(self) -> None:
        """Where the file cannot be opened again, that is told, and tried later."""
        log = self.log()
        self.path.rename(self.path.with_suffix(".old"))
        self.path.mkdir()
        self.successResultOf(log.reopen())
        self.assertIn("cannot be opened", self.messages[0])
        self.path.rmdir()
        log.take(entry(request_id="b"))
        self.clock.advance(1)
        self.assertEqual(self.ids(), ["b"])
        self.assertEqual(log.dropped, 0)

    def test_stop(self) -> None:
        """What is left is written before the end; nothing is taken after."""
        threads = HeldThreads()
        log = self.log(threads=threads)
        log.take(entry(request_id="a"))
        self.clock.advance(1)
        log.take(entry(request_id="b"))
        done = log.stop()
        log.take(entry(request_id="c"))
        self.assertNoResult(done)
        threads.release_all()
        self.successResultOf(done)
        self.assertEqual(self.ids(), ["a", "b"])
        self.assertEqual(log.dropped, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.addCleanup(threads.release_all)

    def test_full_disk(self) -> None:
        """A full disk costs the lines of that write, and no more."""
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full")
        log = self.log(LogFile("/dev/full"))
        log.take(entry())
        log.take(entry())
        self.clock.advance(1)
        self.assertEqual(log.dropped, 2)
        self.assertIn(os.strerror(errno.ENOSPC), self.messages[0])

    def test_start_tells_what_is_wrong(self) -> None:
        """A file that cannot be written stops the start, with the property."""
        self.folder.mkdir()
        (self.folder / "logs").write_text("a file")
        error = self.assertRaises(WrongConfiguration, self.log)
        self.assertIn("alluxio.worker.s3.access.log.path", error.message)


class LogFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.path = self.folder / "a.log"

    def contents(self) -> dict[str, str]:
        return {each.name: each.read_text() for each in self.folder.iterdir()}

    def test_rotation(self) -> None:
        """At its limit the file is renamed, and so many of them are kept."""
        file = LogFile(str(self.path), limit=10, kept=2)
        self.addCleanup(file.close)
        for number in range(7):
            file.write(b"line%d\n" % number)
        self.assertEqual(
            self.contents(),
            {"a.log": "line6\n", "a.log.1": "line5\n", "a.log.2": "line4\n"},
        )

    def test_rotation_goes_on_after_a_restart(self) -> None:
        """What an earlier process wrote counts."""
        self.folder.mkdir()
        self.path.write_text("123456789\n")
        file = LogFile(str(self.path), limit=12, kept=1)
        self.addCleanup(file.close)
        file.write(b"new\n")
        self.assertEqual(self.contents(), {"a.log": "new\n", "a.log.1": "123456789\n"})

    def test_without_limit(self) -> None:
        """Without a limit the file only grows."""
        file = LogFile(str(self.path))
        self.addCleanup(file.close)
        for _ in range(100):
            file.write(b"line\n")
        self.assertEqual(self.contents(), {"a.log": "line\n" * 100})

    def test_not_for_everyone(self) -> None:
        """Other users of the machine cannot read the log."""
        file = LogFile(str(self.path))
        self.addCleanup(file.close)
        file.open()
        self.assertEqual(self.path.stat().st_mode & 0o007, 0)

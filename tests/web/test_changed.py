"""
Objects that are changed behind the gateway's back, as a client sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from alluxio_tw.iobjects import Demand, Status
from alluxio_tw.spans import Span
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from tests.doubles import FaultyUFS
from tests.web.edges import Answer
from tests.web.services import ServiceCase, etag_of

OLD, NEW = b"old" * 1000, b"newer" * 1000


class RestlessUFS(FaultyUFS):
    """
    Changes an object each time that it is read, as often as a test says.
    """

    times = 0

    def read(self, path: str, status: Status, span: Span) -> Deferred[Any]:
        if self.times:
            self.times -= 1
            wrapped: Any = self.wrapped
            wrapped.put(path, b"%d" % self.times * 4000, "")
        return super().read(path, status, span)


class ChangedCase(ServiceCase):
    """
    A test with a mount that believes what it was told for ever.
    """

    def setUp(self) -> None:
        super().setUp()
        self.ufs = RestlessUFS(
            MemoryUFS(self.service.clock, NoThreads()), self.service.clock
        )
        self.service.put_before("/far", self.ufs, cache="true", freshness="immutable")

    def behind(self, key: str, data: bytes) -> None:
        wrapped: Any = self.ufs.wrapped
        wrapped.put(key, data, "")

    def known(self, key: str = "k") -> None:
        """The gateway knows of the old version, and the storage has the new."""
        self.behind(key, OLD)
        self.ask("HEAD", f"/far/{key}", status=200)
        self.behind(key, NEW)

    def calls(self, work: Callable[[], Answer]) -> tuple[Answer, list[str]]:
        before = len(self.ufs.calls)
        answer = work()
        return answer, [each for each in self.ufs.calls[before:] if each != "body"]


class GetTests(ChangedCase):
    def test_first_reader(self) -> None:
        """Who reads an object that was changed first is given the new version."""
        self.known()
        answer, calls = self.calls(lambda: self.ask("GET", "/far/k", status=200))
        self.assertEqual(answer.body, NEW)
        self.assertEqual(answer.headers["etag"], etag_of(NEW))
        self.assertEqual(answer.headers["content-length"], str(len(NEW)))
        self.assertEqual(answer.headers["x-cache"], "MISS")
        self.assertEqual(calls, ["read", "status", "read"])
        self.assertEqual([each.status for each in self.service.accounted[-1:]], [200])

    def test_range(self) -> None:
        """A range is one of the new version, of whose size its reply tells."""
        self.known()
        answer = self.ask("GET", "/far/k", status=206, range="bytes=2000-2003")
        self.assertEqual(answer.body, NEW[2000:2004])
        self.assertEqual(answer.headers["content-range"], "bytes 2000-2003/5000")

    def test_range_beyond(self) -> None:
        """A range that the new version does not have is refused."""
        self.behind("k", NEW)
        self.ask("HEAD", "/far/k", status=200)
        self.behind("k", b"short")
        self.refused("InvalidRange", 416, "GET", "/far/k", range="bytes=4000-4003")

    def test_conditions(self) -> None:
        """Conditions are judged again, by the new version."""
        for key, name, value, status in (
            ("a", "if_match", etag_of(OLD), 412),
            ("b", "if_none_match", etag_of(NEW), 304),
        ):
            self.known(key)
            headers: dict[str, Any] = {name: value}
            answer = self.ask("GET", f"/far/{key}", **headers)
            self.assertEqual(answer.status, status, name)

    def test_gone(self) -> None:
        """An object that is gone is told to be, and the bucket's name kept out of it."""
        self.behind("k", OLD)
        self.ask("HEAD", "/far/k", status=200)
        self.successResultOf(self.ufs.wrapped.delete("k", Demand()))
        self.refused("NoSuchKey", 404, "GET", "/far/k")

    def test_without_pages(self) -> None:
        """So it is where the first look finds nothing at hand."""
        self.known()
        answer = self.ask("GET", "/far/k?partNumber=1", status=206)
        self.assertEqual(answer.body, NEW)

    def test_once(self) -> None:
        """An object that changes ever again is for the client to wait for."""
        self.known()
        self.ufs.times = 2
        answer, calls = self.calls(
            lambda: self.refused("ServiceUnavailable", 503, "GET", "/far/k")
        )
        self.assertEqual(answer.headers["retry-after"], "1")
        self.assertEqual(calls, ["read", "status", "read"])
        self.assertEqual(self.flushLoggedErrors(), [])
        self.ask("GET", "/far/k", status=200)

    def test_midway(self) -> None:
        """What has begun with the old version does not end with the new."""
        old = OLD * 1000
        self.behind("k", old)
        self.ask("GET", "/far/k", status=206, range="bytes=0-1048575")
        self.behind("k", NEW * 1000)
        wire = self.service.connect()
        wire.send(b"GET /far/k HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = wire.rest().partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: 3000000", head)
        self.assertTrue(old.startswith(body), "bytes of another version")
        self.assertLess(len(body), len(old))
        self.assertTrue(wire.aborted)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.ask("GET", "/far/k", status=200)


class CopyTests(ChangedCase):
    def test_copy(self) -> None:
        """A copy is one of the new version."""
        self.known()
        answer = self.ask("PUT", "/bkt/copy", status=200, x_amz_copy_source="/far/k")
        self.assertIn(etag_of(NEW).strip('"').encode(), answer.body)
        self.assertEqual(self.ask("GET", "/bkt/copy", status=200).body, NEW)

    def test_part(self) -> None:
        """So is a part that is copied."""
        answer = self.ask("POST", "/bkt/whole?uploads", status=200)
        id = answer.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
        self.known()
        answer = self.ask(
            "PUT",
            f"/bkt/whole?partNumber=1&uploadId={id}",
            status=200,
            x_amz_copy_source="/far/k",
        )
        self.assertIn(etag_of(NEW).strip('"').encode(), answer.body)


class AgedCase(ChangedCase):
    """
    A test with a mount that believes what it was told for a minute.
    """

    def setUp(self) -> None:
        super().setUp()
        self.service.put_before(
            "/far", self.ufs, cache="true", max_age="60s", stale_if_error="1h"
        )

    def age(self, seconds: float, key: str = "k") -> None:
        """What is known was said so long ago."""
        current: Any = self.service.worker.gateway.objects.current
        place = self.service.worker.mounts.resolve("far", key)
        record = current.known(place)
        current._records.learn(
            place.mount.id, key, record.status, current._clock() - seconds
        )


class StaleTests(AgedCase):
    def test_told(self) -> None:
        """A stale answer says so, and how old it is; to HEAD as well."""
        self.behind("k", OLD)
        for method in ("GET", "HEAD"):
            answer = self.ask(method, "/far/k", status=200)
            self.assertNotIn("age", answer.headers)
        self.age(100)
        self.ufs.fail("status")
        for method in ("GET", "HEAD"):
            given: tuple[dict[str, Any], ...] = ({}, {"range": "bytes=0-9"})
            for headers in given:
                answer = self.ask(method, "/far/k", **headers)
                self.assertEqual(answer.headers["x-cache"], "STALE")
                self.assertAlmostEqual(int(answer.headers["age"]), 100, delta=20)
                self.assertEqual(answer.headers["etag"], etag_of(OLD))

    def test_doubted(self) -> None:
        """What a client doubts is of use all the same when the storage is gone."""
        self.behind("k", OLD)
        self.ask("GET", "/far/k", status=200)
        self.age(30)
        self.ufs.fail("status")
        self.refused("PreconditionFailed", 412, "GET", "/far/k", if_match='"x"')
        answer = self.ask("GET", "/far/k", status=200)
        self.assertEqual(answer.headers["x-cache"], "STALE")


class DoubtTests(AgedCase):
    """
    Clients that know of another version than the gateway: from a listing.
    """

    def test_if_match(self) -> None:
        """Who demands a version that we do not know of has the storage asked."""
        for method in ("GET", "HEAD"):
            self.known(method)
            self.age(30, method)
            before = len(self.ufs.calls)
            answer = self.ask(
                method, f"/far/{method}", status=200, if_match=etag_of(NEW)
            )
            self.assertEqual(answer.headers["etag"], etag_of(NEW))
            self.assertEqual(self.ufs.calls[before], "status")

    def test_range(self) -> None:
        """So has who wants bytes that the version we know of does not have."""
        self.known()
        self.age(30)
        answer = self.ask("GET", "/far/k", status=206, range="bytes=4000-4003")
        self.assertEqual(answer.body, NEW[4000:4004])

    def test_in_vain(self) -> None:
        """A client that is wrong has the storage asked once for each request."""
        self.behind("k", OLD)
        self.ask("HEAD", "/far/k", status=200)
        for _ in range(3):
            self.age(30)
            answer, calls = self.calls(
                lambda: self.ask("GET", "/far/k", status=412, if_match='"x"')
            )
            self.assertEqual(answer.code, "PreconditionFailed")
            self.assertEqual(calls, ["status"])

    def test_just_asked(self) -> None:
        """The storage that was asked for this request is not asked again."""
        self.behind("k", OLD)
        _, calls = self.calls(
            lambda: self.ask("GET", "/far/k", status=412, if_match='"x"')
        )
        self.assertEqual(calls, ["status"])

    def test_immutable(self) -> None:
        """On a mount that is immutable nobody is asked."""
        self.service.put_before("/far", self.ufs, cache="true", freshness="immutable")
        self.known()
        self.age(30)
        _, calls = self.calls(
            lambda: self.ask("GET", "/far/k", status=412, if_match=etag_of(NEW))
        )
        self.assertEqual(calls, [])

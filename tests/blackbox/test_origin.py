"""
A storage that goes away: another daemon, which is killed.
"""

from __future__ import annotations

import random
import time
from typing import Any

from tests.blackbox import clients
from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Daemon, Setting, set_up, until
from tests.blackbox.wire import Gone

MB = 1 << 20
DATA = random.Random(29).randbytes(8 * MB)


class OriginCase(BlackboxCase):
    """
    A test with a daemon, C{origin}, behind the daemon.
    """

    bucket_of_origin = "demo"
    origin_setting = Setting()
    options = ""

    def begin(self) -> None:
        """Start both."""
        self.origin: Daemon = self.start(self.origin_setting)
        uri = (
            f"far=s3://{self.bucket_of_origin}?endpoint={self.origin.url}"
            f"&access_key=me&secret_key=secret&retry_time=1s{self.options}"
        )
        self.daemon = self.start(set_up(mounts=(uri,)))
        # Storage that is gone is told, with its cause.
        self.forgive("StorageUnavailable", "far", "ObjectChanged", "Connection")

    def from_origin(self) -> Any:
        return clients.boto3_client(self.origin)


class StaleTests(OriginCase):
    """
    What is answered when the storage cannot be asked.
    """

    options = "&max-age=1s&stale-if-error=1h"

    def test_stale(self) -> None:
        """What is cached is answered, and called STALE; what is not is an error."""
        self.begin()
        s3 = self.from_origin()
        for key in ("known", "unknown"):
            s3.put_object(
                Bucket="demo",
                Key=key,
                Body=DATA,
                Metadata={"m": "1"},
                ContentType="x/y",
            )
        wire = self.wire()
        self.assertEqual(wire.ask("GET", "/far/known").headers["x-cache"], "MISS")
        until(lambda: wire.ask("GET", "/far/known").headers["x-cache"] == "HIT", 10)
        self.origin.kill()
        until(lambda: wire.ask("GET", "/far/known").headers["x-cache"] == "STALE", 20)
        answer = wire.ask("GET", "/far/known")
        self.assertEqual((answer.status, answer.body == DATA), (200, True))
        self.assertGreaterEqual(int(answer.headers["age"]), 1)
        head = wire.ask("HEAD", "/far/known")
        self.assertEqual(head.headers["x-cache"], "STALE")
        self.assertEqual(head.headers["etag"], answer.headers["etag"])
        self.assertEqual(answer.headers["x-amz-meta-m"], "1")
        self.assertEqual(answer.headers["content-type"], "x/y")
        stale = "alluxio_s3_cache_requests_total"
        self.assertGreater(self.daemon.metric(stale, verdict="STALE"), 0)
        answer = wire.ask("GET", "/far/unknown")
        self.assertEqual((answer.status, answer.code), (503, "ServiceUnavailable"))
        answer = wire.ask("PUT", "/far/new", b"x")
        self.assertEqual((answer.status, answer.code), (503, "ServiceUnavailable"))
        # Other mounts are as well as ever; the daemon is ready for them.
        self.assertEqual(wire.ask("PUT", "/demo/new", b"x").status, 200)
        status, body = self.daemon.get("/readyz")
        self.assertEqual(status, 200)
        self.assertNotIn(b'"/far": "ok"', body)


class KilledTests(OriginCase):
    """
    A storage that dies in the middle of an answer.
    """

    bucket_of_origin = "slow"
    origin_setting = set_up(
        mounts=("slow=slow+file://{here}/slow?bandwidth=4MB&cache=false",)
    )

    def test_killed(self) -> None:
        """A cold GET whose storage dies is cut off, never a short 200."""
        self.begin()
        with open(self.origin.path("slow", "a"), "wb") as file:
            file.write(DATA)
        wire = self.wire()
        wire.request("GET", "/far/a")
        status, headers = wire.head()
        self.assertEqual((status, headers["content-length"]), (200, str(len(DATA))))
        self.assertTrue(wire.take(2 * MB) == DATA[: 2 * MB])
        self.origin.kill()
        begun = time.monotonic()
        try:
            wire.take(len(DATA) - 2 * MB)
        except (Gone, OSError):
            pass
        else:
            self.fail("all of it came from a storage that is dead")
        self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual(self.daemon.get("/healthz")[0], 200)

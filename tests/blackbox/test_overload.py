"""
More at once than the daemon takes on.
"""

from __future__ import annotations

import os
import time
from typing import ClassVar

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Setting, set_up, until
from tests.blackbox.wire import Answer, Wire

SLOW = "slow=slow+file://{here}/slow?latency=20ms&bandwidth=4MB"

UPLOAD = 50_000_000
"""Bytes that an upload promises; nobody sends them all."""


def signed_by(user: str) -> str:
    """An Authorization header that names a user, which is all that SIMPLE asks."""
    return (
        f"AWS4-HMAC-SHA256 Credential={user}/20260101/us-east-1/s3/aws4_request, "
        "SignedHeaders=host, Signature=0"
    )


class OverloadCase(BlackboxCase):
    """
    A daemon that takes on little, on a storage that is slow.
    """

    own = True

    def uploads(self, user: str, count: int, body: bytes = b"x" * 1000) -> list[Wire]:
        """Begin uploads that send a little and go on for ever."""
        begun = []
        for number in range(count):
            wire = self.wire()
            wire.request(
                "PUT",
                f"/slow/{user}-{number}",
                body,
                Authorization=signed_by(user),
                Content_Length=str(UPLOAD),
            )
            begun.append(wire)
        return begun

    def get(self, user: str, key: str) -> Answer:
        """Read an object of the slow storage."""
        return self.wire().ask("GET", f"/slow/{key}", Authorization=signed_by(user))

    def write(self, key: str, size: int = 1000) -> None:
        """Put an object where the slow storage is, behind the daemon's back."""
        with open(self.daemon.path("slow", key), "wb") as file:
            file.write(os.urandom(size))

    def admitted(self) -> float:
        """How much is worked on."""
        return self.daemon.metric("alluxio_s3_requests_admitted")

    def until_idle(self) -> None:
        """Wait until nothing is held any more."""
        until(
            lambda: (
                self.admitted() == 0
                and self.daemon.metric("alluxio_s3_intake_bytes") == 0
            ),
            60,
            "everything is given back",
        )


class BoundTests(OverloadCase):
    """
    Sixteen at once, twelve of them of one client, eight may wait for a second.
    """

    setting: ClassVar[Setting] = set_up(
        "alluxio.worker.s3.requests.max=16",
        "alluxio.worker.s3.requests.queue.max=8",
        "alluxio.worker.s3.requests.queue.timeout=1s",
        mounts=[SLOW],
    )

    def test_uploads(self) -> None:
        """
        Of too many slow uploads some are told to slow down, and another client's
        requests are answered all the while.
        """
        for number in range(10):
            self.write(f"small-{number}")
        greedy = self.uploads("greedy", 40)
        started = time.monotonic()
        for number in range(10):
            answer = self.get("modest", f"small-{number}")
            self.assertEqual((answer.status, len(answer.body)), (200, 1000))
        self.assertLess(time.monotonic() - started, 10 * 0.5)
        self.assertLessEqual(self.admitted(), 12)
        refused = [wire.answer("PUT") for wire in greedy[20:]]
        self.assertEqual(
            {(answer.status, answer.code) for answer in refused}, {(503, "SlowDown")}
        )
        self.assertTrue(all(answer.headers["retry-after"] for answer in refused))
        counted = self.daemon.metric("alluxio_s3_requests_refused_total")
        self.assertGreaterEqual(counted, 20)
        for wire in greedy:
            wire.close()
        self.until_idle()
        self.assertEqual(self.get("greedy", "small-0").status, 200)

    def test_expecting(self) -> None:
        """Who waits for 100 Continue is refused without having sent its body."""
        self.uploads("greedy", 12)
        until(lambda: self.admitted() == 12, 10)
        wire = self.wire()
        wire.request(
            "PUT",
            "/slow/late",
            Authorization=signed_by("greedy"),
            Expect="100-continue",
            Content_Length=str(UPLOAD),
        )
        answer = wire.answer("PUT")
        self.assertEqual((answer.status, answer.code), (503, "SlowDown"))
        self.assertEqual(answer.headers["connection"], "close")

    def test_hot(self) -> None:
        """What is at hand is answered when nothing else is taken on any more."""
        self.write("hot")
        self.assertEqual(self.get("modest", "hot").status, 200)
        for user in ("one", "two"):
            self.uploads(user, 12)
        until(lambda: self.admitted() == 16, 10)
        answer = self.get("modest", "hot")
        self.assertEqual((answer.status, answer.headers["x-cache"]), (200, "HIT"))
        self.write("cold")
        self.assertEqual(self.get("modest", "cold").code, "SlowDown")

    def test_listings(self) -> None:
        """A listing holds more than a GET, and is done for all that."""
        wire = self.wire()
        for _ in range(20):
            self.assertEqual(wire.ask("GET", "/slow?list-type=2").status, 200)
        self.assertEqual(self.admitted(), 0)


class QueueTests(OverloadCase):
    """
    Four at once, and all others may wait.
    """

    setting: ClassVar[Setting] = set_up(
        "alluxio.worker.s3.requests.max=4",
        "alluxio.worker.s3.requests.queue.timeout=30s",
        mounts=[SLOW],
    )

    def test_cold(self) -> None:
        """A burst that can be served within the time is served whole."""
        count = 60
        for number in range(count):
            self.write(f"cold-{number}", 10_000)
        wires = [self.wire() for _ in range(count)]
        for number, wire in enumerate(wires):
            wire.request(
                "GET",
                f"/slow/cold-{number}",
                Authorization=signed_by(f"user-{number % 3}"),
            )
        for wire in wires:
            answer = wire.answer()
            self.assertEqual((answer.status, len(answer.body)), (200, 10_000))
        self.until_idle()

    def test_gone(self) -> None:
        """Who goes while waiting takes no place."""
        held = self.uploads("greedy", 3)
        until(lambda: self.admitted() == 3, 10)
        self.write("cold")
        waiting = self.wire()
        waiting.request("GET", "/slow/cold", Authorization=signed_by("greedy"))
        until(lambda: self.daemon.metric("alluxio_s3_requests_waiting") == 1, 10)
        waiting.close()
        until(lambda: self.daemon.metric("alluxio_s3_requests_waiting") == 0, 10)
        self.assertEqual(self.daemon.metric("alluxio_s3_requests_refused_total"), 0)
        for wire in held:
            wire.close()
        self.until_idle()

    def test_pipelined_upload(self) -> None:
        """An upload that had to wait arrives whole, and so does what follows it."""
        held = self.uploads("greedy", 3)
        until(lambda: self.admitted() == 3, 10)
        body = os.urandom(3_000_000)
        wire = self.wire()
        auth = signed_by("greedy")
        wire.request(
            "PUT",
            "/slow/whole",
            body[:100_000],
            Authorization=auth,
            Content_Length=str(len(body)),
        )
        until(lambda: self.daemon.metric("alluxio_s3_requests_waiting") == 1, 10)
        held[0].close()
        wire.send(body[100_000:])
        wire.request("GET", "/slow/whole", Authorization=auth)
        self.assertEqual(wire.answer("PUT").status, 200)
        self.assertEqual(wire.answer().body, body)


class MemoryTests(OverloadCase):
    """
    Four megabytes of bodies in memory, on a storage slower than its clients.
    """

    setting: ClassVar[Setting] = set_up(
        "alluxio.worker.s3.bytes.in.flight.max=4MB", mounts=[SLOW]
    )

    def test_uploads(self) -> None:
        """Uploads that come faster than they can be stored wait in the network."""
        before = self.daemon.rss()
        wires = self.uploads("eager", 40, os.urandom(64_000))
        for wire in wires:
            wire.socket.setblocking(False)
        piece = memoryview(os.urandom(256_000))
        most = 0.0
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for wire in wires:
                try:
                    wire.socket.send(piece)
                except BlockingIOError:
                    continue
            most = max(most, self.daemon.metric("alluxio_s3_intake_bytes"))
        self.assertGreater(most, 1 << 20)
        # Beyond what is allowed, one read of each socket.
        self.assertLess(most, (4 << 20) + 40 * (64 << 10))
        self.assertLess(self.daemon.rss() - before, 40 << 20)
        for wire in wires:
            wire.reset()
        self.until_idle()

"""
What is changed at the origin behind the daemon's back: seen as the mount's policy
says, on storages of each kind, at the price that it says.

C{put v1, GET, put v2, GET} for each policy, with the calls to the origin counted.
No test waits for a time to pass: where an age is too long to run out, the old
version must be answered; where it is short, the new one must come.
"""

from __future__ import annotations

import os
import random
from typing import Any, ClassVar
from unittest import SkipTest

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import set_up, until
from tests.blackbox.wire import Gone
from tests.servers import s3 as servers

KB, MB = 1 << 10, 1 << 20

POLICIES = {
    "fixed": "freshness=immutable",
    "aged": "max-age=1h&negative-age=1h",
    "brief": "max-age=300ms&negative-age=300ms",
    "fresh": "freshness=always",
}
"""Mounts by name, each with options as they stand in its URI."""

V1, V2 = b"version one" * 100, b"the second version" * 100


class Origin:
    """
    A storage with one place for each policy.

    :ivar mounts: for the daemon.
    """

    mounts: tuple[str, ...]

    def put(self, policy: str, key: str, data: bytes) -> None:
        """Write, not by way of the daemon."""
        raise NotImplementedError

    def delete(self, policy: str, key: str) -> None:
        """Delete, not by way of the daemon."""
        raise NotImplementedError


class LocalOrigin(Origin):
    """
    Directories, cached as if they were far.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.mounts = tuple(
            f"{policy}=file://{folder}/{policy}?cache=true&{options}"
            for policy, options in POLICIES.items()
        )
        for policy in POLICIES:
            os.makedirs(os.path.join(folder, policy))

    def put(self, policy: str, key: str, data: bytes) -> None:
        path = os.path.join(self.folder, policy, key)
        with open(path + "~", "wb") as file:
            file.write(data)
        os.replace(path + "~", path)

    def delete(self, policy: str, key: str) -> None:
        os.unlink(os.path.join(self.folder, policy, key))


class S3Origin(Origin):
    """
    Buckets of a real server.
    """

    def __init__(self, server: servers.Server) -> None:
        self.client = server.client()
        self.buckets = {policy: server.make_bucket() for policy in POLICIES}
        self.mounts = tuple(
            f"{policy}={server.uri(self.buckets[policy])}&access_key="
            f"{servers.ACCESS_KEY}&secret_key={servers.SECRET_KEY}&{options}"
            # A "+" in a query is a blank.
            .replace("+", "%2B")
            for policy, options in POLICIES.items()
        )

    def put(self, policy: str, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.buckets[policy], Key=key, Body=data)

    def delete(self, policy: str, key: str) -> None:
        self.client.delete_object(Bucket=self.buckets[policy], Key=key)


class Scenario:
    """
    The scenario, for any storage.
    """

    origin: ClassVar[Origin]
    scheme: ClassVar[str]
    daemon: Any
    wire: Any
    s3: Any
    assertEqual: Any
    assertIn: Any
    assertTrue: Any
    assertNotEqual: Any
    fail: Any

    # --- what it is made of ----------------------------------------------------------

    def calls(self) -> dict[str, int]:
        """Questions to the origin so far: of what is current, and for bytes."""
        return {
            method: int(
                self.daemon.metric(
                    "alluxio_ufs_calls_total", scheme=self.scheme, method=method
                )
            )
            for method in ("status", "read", "open", "list")
        }

    def cost(self, before: dict[str, int]) -> tuple[int, int]:
        """Statuses and reads since then."""
        now = self.calls()
        self.assertEqual(now["open"], before["open"])
        return now["status"] - before["status"], now["read"] - before["read"]

    def get(self, policy: str, key: str) -> Any:
        return self.wire().ask("GET", f"/{policy}/{key}")

    def head(self, policy: str, key: str) -> Any:
        return self.wire().ask("HEAD", f"/{policy}/{key}")

    def listed(self, policy: str, key: str) -> str:
        """The ETag that a listing has of a key; empty if it has none."""
        found = self.s3().list_objects_v2(Bucket=policy, Prefix=key)
        return "".join(each["ETag"] for each in found.get("Contents", ()))

    def begin(self, policy: str, key: str) -> None:
        """Version one is at the origin, and was read by way of the daemon."""
        self.origin.put(policy, key, V1)
        answer = self.get(policy, key)
        self.assertEqual((answer.status, answer.body), (200, V1))
        until(
            lambda: self.get(policy, key).headers["x-cache"] == "HIT", 10, "it is kept"
        )

    def same(self, policy: str, key: str, data: bytes) -> None:
        """GET and HEAD tell of the same version, with these bytes."""
        answer, head = self.get(policy, key), self.head(policy, key)
        self.assertEqual((answer.status, head.status), (200, 200))
        self.assertEqual(answer.body, data)
        for name in ("etag", "content-length", "last-modified"):
            self.assertEqual(answer.headers[name], head.headers[name], name)

    def found(self, policy: str, key: str) -> None:
        """Wait until an object is there."""
        until(lambda: self.get(policy, key).status == 200, 10, "it is found")

    # --- policy by policy ------------------------------------------------------------

    def test_immutable(self) -> None:
        """Immutable: the old version, for ever and for nothing; a listing has the new."""
        self.begin("fixed", "a")
        old = self.head("fixed", "a").headers["etag"]
        self.origin.put("fixed", "a", V2)
        before = self.calls()
        for _ in range(3):
            self.same("fixed", "a", V1)
        self.assertEqual(self.cost(before), (0, 0))
        self.assertNotEqual(self.listed("fixed", "a"), old)

    def test_within_the_age(self) -> None:
        """Max-age, not run out: the old version, for nothing."""
        self.begin("aged", "a")
        self.origin.put("aged", "a", V2)
        before = self.calls()
        for _ in range(3):
            self.same("aged", "a", V1)
        self.assertEqual(self.cost(before), (0, 0))

    def test_after_the_age(self) -> None:
        """Max-age, run out: the new version, for one read; then a listing agrees."""
        self.begin("brief", "a")
        self.origin.put("brief", "a", V2)
        before = self.calls()
        until(lambda: self.get("brief", "a").body == V2, 10, "the new version is seen")
        self.assertEqual(self.cost(before)[1], 1)
        self.same("brief", "a", V2)
        self.assertEqual(
            self.listed("brief", "a"), self.head("brief", "a").headers["etag"]
        )

    def test_always(self) -> None:
        """Always: the new version at once, for a question each time and one read."""
        self.begin("fresh", "a")
        self.origin.put("fresh", "a", V2)
        before = self.calls()
        for _ in range(3):
            self.assertEqual(self.get("fresh", "a").body, V2)
            etag = self.head("fresh", "a").headers["etag"]
            self.assertEqual(self.listed("fresh", "a"), etag)
        self.assertEqual(self.cost(before), (6, 1))

    def test_back_again(self) -> None:
        """What was changed and changed back may be read from the cache or anew."""
        self.begin("fresh", "back")
        self.origin.put("fresh", "back", V2)
        self.same("fresh", "back", V2)
        self.origin.put("fresh", "back", V1)
        self.same("fresh", "back", V1)

    # --- what is not there -----------------------------------------------------------

    def test_deleted(self) -> None:
        """An object deleted at the origin is gone when the policy says so."""
        for policy in POLICIES:
            self.begin(policy, "gone")
            self.origin.delete(policy, "gone")
        for policy in ("fixed", "aged"):
            self.same(policy, "gone", V1)
        self.assertEqual(self.get("fresh", "gone").status, 404)
        self.assertEqual(self.head("fresh", "gone").status, 404)
        until(lambda: self.get("brief", "gone").status == 404, 10, "it is gone")
        for policy in POLICIES:
            self.assertEqual(self.listed(policy, "gone"), "")

    def test_not_there_yet(self) -> None:
        """That there is no object is believed for negative-age, or not at all."""
        for policy in POLICIES:
            self.assertEqual(self.get(policy, "late").status, 404)
            self.origin.put(policy, "late", V1)
        before = self.calls()
        for _ in range(3):
            self.assertEqual(self.get("aged", "late").status, 404)
        self.assertEqual(self.cost(before), (0, 0))
        self.assertEqual(self.get("fresh", "late").body, V1)
        for policy in ("brief", "fixed"):
            self.found(policy, "late")
        # What we write ourselves is there at once.
        self.s3().put_object(Bucket="aged", Key="late", Body=V2)
        self.same("aged", "late", V2)

    # --- the first to read what was changed -------------------------------------------

    def test_first_reader(self) -> None:
        """A version that is known of and not cached is given up for the new one."""
        self.origin.put("aged", "first", V1)
        self.assertEqual(self.head("aged", "first").status, 200)
        self.origin.put("aged", "first", V2)
        before = self.calls()
        self.same("aged", "first", V2)
        # A read in vain, a question, and the read.
        self.assertEqual(self.cost(before), (1, 2))

    def test_first_reader_of_nothing(self) -> None:
        """One that has gone is told to be gone."""
        self.origin.put("aged", "void", V1)
        self.assertEqual(self.head("aged", "void").status, 200)
        self.origin.delete("aged", "void")
        self.assertEqual(self.get("aged", "void").status, 404)

    def test_listed_version(self) -> None:
        """Who demands the ETag that a listing has is not told that there is none."""
        self.begin("aged", "listed")
        self.origin.put("aged", "listed", V2)
        etag = self.listed("aged", "listed")
        answer = self.wire().ask("GET", "/aged/listed", **{"if-match": etag})
        self.assertEqual((answer.status, answer.body), (200, V2))

    # --- versions never mix -----------------------------------------------------------

    def test_never_mixed(self) -> None:
        """A GET that spans a change is of one version, or is cut off."""
        old, new = b"old." * (3 * MB), b"new." * (3 * MB)
        for policy in ("fixed", "fresh"):
            self.origin.put(policy, "large", old)
            # Half of it is cached, and read at once; the rest is not.
            part = self.wire().ask(
                "GET", f"/{policy}/large", range=f"bytes=0-{6 * MB - 1}"
            )
            self.assertTrue(part.body == old[: 6 * MB])
            wire = self.wire()
            wire.request("GET", f"/{policy}/large")
            status, headers = wire.head()
            self.assertEqual((status, headers["content-length"]), (200, f"{12 * MB}"))
            got = wire.take(MB)
            self.origin.put(policy, "large", new)
            try:
                while len(got) < len(old):
                    got += wire.take(min(64 * KB, len(old) - len(got)))
            except (Gone, OSError):
                pass
            self.assertTrue(old.startswith(got), "bytes of two versions")
            # Who was cut off is told of the new one from now on; who was not was
            # given all of the old one, which is then kept.
            left = new if len(got) < len(old) or policy == "fresh" else old
            self.assertTrue(self.get(policy, "large").body == left)

    def test_never_mixed_at_random(self) -> None:
        """Ranges out of an object that is changed all the time are of one version."""
        choose = random.Random(5)
        versions = [bytes([65 + number]) * (3 * MB) for number in range(6)]
        seen = set()
        for version in versions:
            self.origin.put("fresh", "turns", version)
            for _ in range(4):
                first = choose.randrange(3 * MB - 1)
                last = min(first + choose.choice((0, 999, MB)), 3 * MB - 1)
                answer = self.wire().ask(
                    "GET", "/fresh/turns", range=f"bytes={first}-{last}"
                )
                self.assertEqual(answer.status, 206)
                self.assertEqual(len(answer.body), last - first + 1)
                found = set(answer.body)
                self.assertEqual(found, {version[0]})
                seen |= found
        self.assertEqual(len(seen), len(versions))


class FreshnessCase(BlackboxCase):
    """
    A test with a daemon before an origin; both are shared by all tests of a class.
    """

    def setUp(self) -> None:
        kind = type(self)
        if "origin" not in vars(kind):
            kind.origin = self.make()  # type: ignore[attr-defined]
            kind.setting = set_up(mounts=kind.origin.mounts)  # type: ignore[attr-defined]
        super().setUp()

    def make(self) -> Origin:
        """The origin of this class."""
        raise NotImplementedError


class LocalTests(Scenario, FreshnessCase):
    """
    On directories.
    """

    scheme = "file"

    def make(self) -> Origin:
        return LocalOrigin(os.path.abspath(self.mktemp()))

    def test_never_mixed_in_place(self) -> None:
        """A file that is overwritten where it lies is of one version, or cut off."""
        old, new = b"old." * (2 * MB), b"new." * (2 * MB)
        self.origin.put("fresh", "place", old)
        wire = self.wire()
        wire.request("GET", "/fresh/place")
        wire.head()
        got = wire.take(64 * KB)
        assert isinstance(self.origin, LocalOrigin)
        with open(os.path.join(self.origin.folder, "fresh", "place"), "r+b") as file:
            file.write(new)
        try:
            while len(got) < len(old):
                got += wire.take(min(64 * KB, len(old) - len(got)))
        except (Gone, OSError):
            pass
        self.assertTrue(old.startswith(got), "bytes of two versions")
        self.assertTrue(self.get("fresh", "place").body == new)


class MotoTests(Scenario, FreshnessCase):
    """
    On moto.
    """

    scheme = "s3"

    def make(self) -> Origin:
        return S3Origin(_server(servers.moto))


class VersitygwTests(Scenario, FreshnessCase):
    """
    On versitygw.
    """

    scheme = "s3"

    def make(self) -> Origin:
        return S3Origin(_server(servers.versitygw))


def _server(make: Any) -> servers.Server:
    try:
        server: servers.Server = make()
    except servers.NotInstalled as error:
        if servers.required():
            raise
        raise SkipTest(str(error)) from error
    return server

"""
A worker as the configuration has it.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.app.assembly import LEFTOVER_SECONDS, Worker, build
from alluxio_tw.app.config import load
from alluxio_tw.app.greeting import greet, mounted
from alluxio_tw.errors import StorageUnavailable, WrongConfiguration
from alluxio_tw.gateway.standing import Standing
from alluxio_tw.iobjects import NO_ATTRIBUTES
from alluxio_tw.namespace.entries import MountEntries, MountEntry
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from tests.doubles import FaultyUFS
from tests.web.edges import Wire


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        self.clock = Clock()
        self.clock.advance(1_000_000_000)

    def build(self, *definitions: str, mounts: tuple[str, ...] = ()) -> Worker:
        config = load(
            None, [f"alluxio.tw.data.dir={self.folder}", *definitions], mounts
        )
        worker = build(config, self.clock, NoThreads(), NoThreads())
        self.addCleanup(worker.close)
        return worker

    def wrong(self, *definitions: str, mounts: tuple[str, ...] = ()) -> str:
        error = self.assertRaises(
            WrongConfiguration, self.build, *definitions, mounts=mounts
        )
        message: str = error.message
        self.assertEqual(message, " ".join(message.splitlines()))
        return message

    def buckets(self, worker: Worker) -> list[str]:
        found = self.successResultOf(worker.gateway.buckets.all())
        return [each.name for each in found]

    def faulty(self, worker: Worker, path: str, **options: str) -> FaultyUFS:
        """Mount a storage that can be told to misbehave."""
        ufs = FaultyUFS(MemoryUFS(self.clock, NoThreads()), self.clock)
        mount = Mount.of(path, "memory:///", options, options, ufs, 1)
        worker.mounts.replace([*worker.mounts.mounts, mount])
        entry = MountEntry(path, "memory:///", options)
        worker.mounting.standings[path] = Standing(
            entry, mount, self.clock, lambda standing: None
        )
        return ufs


class BuildTests(Case):
    def test_embedded(self) -> None:
        """Without any mounts there is a data folder with a bucket to begin with."""
        worker = self.build()
        self.assertEqual(self.buckets(worker), ["demo"])
        self.assertTrue(os.path.isdir(os.path.join(self.folder, "buckets", "demo")))

    def test_only_once(self) -> None:
        """The first bucket is made once: who deleted it does not get it again."""
        worker = self.build()
        self.successResultOf(worker.gateway.buckets.delete("demo"))
        self.successResultOf(worker.close())
        self.assertEqual(self.buckets(self.build()), [])

    def test_mounts(self) -> None:
        """Mounts are buckets beside those of the root, as old as on their first day."""
        photos = os.path.join(self.folder, "photos")
        os.makedirs(photos)
        mounts = (f"photos={photos}",)
        first = self.build(mounts=mounts)
        self.assertEqual(self.buckets(first), ["demo", "photos"])
        (mount,) = [each for each in first.mounts.mounts if each.path == "/photos"]
        self.successResultOf(first.close())
        second = self.build(mounts=mounts)
        (again,) = [each for each in second.mounts.mounts if each.path == "/photos"]
        self.assertEqual((again.id, again.created), (mount.id, mount.created))

    def test_storage_defaults(self) -> None:
        """What a property says of all S3 storages is of mounts that came later too."""
        threads = "alluxio.underfs.s3.upload.threads.max"
        worker = self.build(f"{threads}=9")
        entries = MountEntries(worker._state)
        given = {"region": "us-east-1"}
        self.successResultOf(
            entries.add(MountEntry("/far", "s3://bucket", given, "state"))
        )
        self.successResultOf(worker.mounting.settle())
        (far,) = [each for each in worker.mounts.mounts if each.path == "/far"]
        self.assertEqual(dict(far.options), {**given, threads: "9"})
        # What was written is what is shown.
        self.assertEqual(worker.mounting.standings["/far"].entry.options, given)

    def test_wrong_mounts(self) -> None:
        """A mount that cannot be is named, with where it was written; no secret is."""
        for uri, told in (
            ("nosuch://user:hidden@x/y", "nosuch"),
            ("memory:///?capacity=hidden&secret=hidden", "/photos"),
        ):
            self.folder += "-another"
            message = self.wrong(mounts=(f"photos={uri}",))
            self.assertIn("command line", message)
            self.assertIn(told, message)
            self.assertNotIn(":hidden", message)
            self.assertNotIn("secret=hidden", message)

    def test_folders_in_the_way(self) -> None:
        """A folder that cannot be made is told with the property to change."""
        with open(self.folder, "w"):
            pass
        self.assertIn("-D alluxio.tw.data.dir=", self.wrong())
        os.unlink(self.folder)
        blocked = self.folder + ".pages"
        with open(blocked, "w"):
            pass
        message = self.wrong(f"alluxio.worker.page.store.dirs={blocked}")
        self.assertIn("alluxio.worker.page.store.dirs", message)

    def test_pages_on_disk(self) -> None:
        """Pages in directories are there after a restart."""
        definitions = (
            f"alluxio.worker.page.store.dirs={self.folder}.pages",
            "alluxio.worker.page.store.sizes=64MB",
        )
        origin = os.path.join(self.folder, "origin")
        os.makedirs(origin)
        with open(os.path.join(origin, "k"), "wb") as file:
            file.write(b"x" * 3_000_000)
        mounts = (f"far=slow+file://{origin}?latency=0ms",)
        verdicts = []
        for _ in range(2):
            worker = self.build(*definitions, mounts=mounts)
            worker.start()
            site = worker.site(False, worker.account)
            protocol = site.buildProtocol(None)
            assert protocol is not None
            wire = Wire(protocol)
            wire.send(b"GET /far/k HTTP/1.1\r\nHost: x\r\n\r\n")
            for _ in range(200):
                self.clock.advance(0.01)
            (answer,) = wire.answers()
            self.assertEqual(answer.body, b"x" * 3_000_000)
            verdicts.append(answer.headers["x-cache"])
            self.successResultOf(worker.close())
        self.assertEqual(verdicts, ["MISS", "HIT"])


class WorkerTests(Case):
    def test_check(self) -> None:
        """Every mount is looked at; a broken one does not hide the others."""
        worker = self.build()
        self.faulty(worker, "/good")
        self.faulty(worker, "/bad").fail("check", StorageUnavailable("It is away."))
        self.assertEqual(
            self.successResultOf(worker.check()),
            {"/": "", "/bad": "It is away.", "/good": ""},
        )

    def test_tidy(self) -> None:
        """Tidying goes on, whatever cannot be tidied, and leaves what is read-only."""
        worker = self.build()
        fixed = self.faulty(worker, "/fixed", readonly="true")
        bad, worse = self.faulty(worker, "/bad"), self.faulty(worker, "/worse")
        good = self.faulty(worker, "/xgood")
        bad.fail("sweep")
        worse.fail("sweep", ZeroDivisionError())
        self.successResultOf(worker.tidy())
        self.assertEqual(
            [each.count("sweep") for each in (fixed, bad, worse, good)], [0, 1, 1, 1]
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGreater(LEFTOVER_SECONDS, 3600)

    def test_abandoned(self) -> None:
        """Uploads that were abandoned long ago are ended."""
        worker = self.build("alluxio.worker.s3.multipart.abandoned.age=1ms")
        uploads = worker.gateway.uploads
        upload = self.successResultOf(uploads.create("demo", "k", "me", NO_ATTRIBUTES))
        # The age of uploads is told by the machine's clock.
        while int(uploads._clock() * 1e9) < upload.initiated + 2_000_000:
            pass
        self.successResultOf(worker.tidy())
        self.failureResultOf(uploads.get("demo", "k", upload.id))

    def test_draining(self) -> None:
        """The admin port tells that the worker drains."""
        worker = self.build()
        protocol = worker.admin_site().buildProtocol(None)
        assert protocol is not None
        wire = Wire(protocol)
        self.assertEqual(wire.ask("GET", "/readyz").status, 200)
        worker.draining = True
        self.assertEqual(wire.ask("GET", "/readyz").status, 503)

    def test_counted(self) -> None:
        """Requests are counted by operation and status."""
        worker = self.build()
        site = worker.site(False, worker.account)
        protocol = site.buildProtocol(None)
        assert protocol is not None
        Wire(protocol).send(b"GET /demo/nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        admin = worker.admin_site().buildProtocol(None)
        assert admin is not None
        text = Wire(admin).ask("GET", "/metrics").body.decode()
        counted = [line for line in text.splitlines() if "GetObject" in line]
        self.assertTrue(any('"404"' in line for line in counted), counted)


class GreetingTests(Case):
    def mount(self, uri: str = "memory:///", **options: str) -> str:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        ufs = MemoryUFS(self.clock, NoThreads())
        return mounted(Mount.of("/photos", uri, named, named, ufs))

    def test_mounts(self) -> None:
        """A mount is told in a few words, without its secrets."""
        for options, words in (
            ({}, "not cached"),
            ({"cache": "true"}, "cached, always asked whether it changed"),
            ({"cache": "true", "max_age": "60s"}, "cached, max-age 1min"),
            ({"cache": "true", "freshness": "immutable"}, "cached, immutable"),
            ({"readonly": "true"}, "read-only, not cached"),
        ):
            self.assertEqual(
                self.mount(**options), f"/photos from memory:/// ({words})"
            )
        shown = self.mount("s3://me:hidden@bucket/prefix?secret=hidden")
        self.assertNotIn("hidden", shown)
        self.assertIn("s3://", shown)

    def greeted(self, worker: Worker, *addresses: str) -> list[str]:
        said: list[str] = []

        class Log:
            def info(self, format: str, **fields: Any) -> None:
                said.append(format.format(**fields))

            warn = info

        log: Any = Log()
        work = greet(log, worker, addresses, "http://admin")
        self.successResultOf(Deferred.fromCoroutine(work))
        return said

    def test_greeting(self) -> None:
        """A user is told where it is, what there is, and what to try."""
        said = self.greeted(self.build(), "http://127.0.0.1:1", "https://127.0.0.1:2")
        self.assertEqual(
            said[:3],
            [
                "S3 at http://127.0.0.1:1",
                "S3 at https://127.0.0.1:2",
                "metrics and health at http://admin",
            ],
        )
        self.assertIn("buckets: demo", said)
        self.assertIn("--endpoint-url http://127.0.0.1:1 ", said[-1])
        self.assertTrue(said[-1].endswith(" s3 ls s3://demo"), said[-1])

    def test_broken(self) -> None:
        """If the buckets cannot be listed, that is told and why."""
        worker = self.build()
        root = worker.mounts.mounts[0]
        ufs = FaultyUFS(MemoryUFS(self.clock, NoThreads()), self.clock)
        ufs.fail("folders", StorageUnavailable("It is away."))
        worker.mounts.replace([Mount.of("/", root.uri, {}, {}, ufs)])
        said = self.greeted(worker)
        self.assertEqual(said[-1], "the buckets cannot be listed: It is away.")

    def test_empty(self) -> None:
        """Without buckets there is something to try all the same."""
        worker = self.build()
        self.successResultOf(worker.gateway.buckets.delete("demo"))
        said = self.greeted(worker, "http://127.0.0.1:1")
        self.assertEqual(said[-2], "buckets: none yet")
        self.assertTrue(said[-1].endswith(" s3 ls"), said[-1])

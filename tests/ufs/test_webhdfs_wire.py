"""
What the HDFS driver says to a server, and what it makes of strange answers.
"""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher, textFileLogObserver
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import ResponseNeverReceived

from alluxio_tw import errors
from alluxio_tw.errors import (
    NoSuchPath,
    ObjectChanged,
    PreconditionFailed,
    StorageBusy,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
    WrongConfiguration,
)
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Status
from alluxio_tw.iufs import ListQuery, Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs_objects import drain
from alluxio_tw.threads import PooledThreads
from alluxio_tw.ufs.webhdfs import make
from alluxio_tw.ufs.webhdfs_datanodes import SHUNNED, Datanodes
from alluxio_tw.ufs.webhdfs_faults import Complaint, complaint
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_identity import Negotiated
from alluxio_tw.ufs.webhdfs_namenodes import Namenodes
from alluxio_tw.ufs.webhdfs_names import encoded
from alluxio_tw.ufs.webhdfs_options import HdfsOptions, read_options
from alluxio_tw.ufs.webhdfs_stat import Stat
from alluxio_tw.ufs.webhdfs_watch import Unreached, watched
from alluxio_tw.ufs.webhdfs_wire import Asking
from tests.servers.scripted import Act, ScriptedServer, Talk, answer, reset, silence

TOKEN = "KAAKSm9i-very_secret_indeed"
STAT = Stat("", 7, 4, 1_700_000_000_000, False)


def document(value: object, status: int = 200, cookie: str = "") -> Act:
    """An answer in JSON."""
    headers = {"Content-Type": "application/json"}
    if cookie:
        headers["Set-Cookie"] = cookie
    return answer(status, json.dumps(value).encode(), headers)


def refusal(status: int, name: str, message: str = "No.") -> Act:
    """A refusal of a namenode's."""
    return document(
        {"RemoteException": {"exception": name, "message": message}}, status
    )


def file_status(id: int = STAT.id, size: int = STAT.size) -> Act:
    """What GETFILESTATUS tells of a file."""
    return document(
        {
            "FileStatus": {
                "pathSuffix": "",
                "type": "FILE",
                "fileId": id,
                "length": size,
                "modificationTime": STAT.modified,
            }
        }
    )


def redirect(talk: Talk) -> None:
    """To this very server, as HttpFS does."""
    head = talk.request.headers[b"host"].decode()
    where = f"http://{head}/webhdfs/v1/elsewhere?op=GO&data=true"
    answer(307, b"", {"Location": where})(talk)


class ScriptedCase(TestCase):
    """A test with servers that answer as they are told."""

    async def serve(self, *script: Act) -> ScriptedServer:
        server = ScriptedServer(list(script))
        self.address = (await server.start()).removeprefix("http://")
        self.addCleanup(server.stop)
        return server

    async def mount(self, *script: Act, **options: str) -> Any:
        self.server = await self.serve(*script)
        return self.over(self.address, **options)

    def over(self, addresses: str, **options: str) -> Any:
        pool = ThreadPool(0, 2)
        pool.start()
        self.addCleanup(pool.stop)
        around = Surroundings(
            IReactorTime(reactor),
            PooledThreads(reactor, pool),  # type: ignore[arg-type]
        )
        given = {"attributes": "false", "retries": "2", **options}
        if "delegation-token" not in options:
            given.setdefault("user", "me")
        ufs = make(f"webhdfs://{addresses}/root", given, around)
        self.addCleanup(ufs.close)
        return ufs

    def asked(self, server: ScriptedServer | None = None) -> list[tuple[str, str]]:
        """Method and operation of the requests that came."""
        found = []
        for request in (server or self.server).requests:
            query = parse_qs(urlsplit(request.target.decode()).query)
            found.append((request.method.decode(), query["op"][0]))
        return found

    async def fails(self, work: Deferred[Any], error: type[Exception]) -> Exception:
        try:
            result = await work
        except error as found:
            return found
        raise AssertionError(f"no failure, but {result!r}")


class NamenodeTests(ScriptedCase):
    """Namenodes that do not do what one expects."""

    async def test_passing(self) -> None:
        """What passes is asked again, a few times."""
        ufs = await self.mount(
            refusal(403, "IOException", "Failed to find datanode, suggest..."),
            answer(503),
            file_status(),
        )
        self.assertEqual((await ufs.status("key")).size, 4)
        self.assertEqual(len(self.server.requests), 3)
        ufs = await self.mount(answer(503))
        await self.fails(ufs.status("key"), StorageBusy)
        self.assertEqual(len(self.server.requests), 3)

    async def test_refused(self) -> None:
        """What is refused is not asked again."""
        for name, error in (
            ("FileNotFoundException", NoSuchPath),
            ("AccessControlException", StorageDenied),
            ("NSQuotaExceededException", StorageFull),
            ("SomethingNewException", StorageUnavailable),
        ):
            ufs = await self.mount(refusal(403, name))
            await self.fails(ufs.status("key"), error)
            self.assertEqual(len(self.server.requests), 1)

    async def test_silent(self) -> None:
        """A namenode that says nothing is left for the next one."""
        await self.serve(silence)
        silent = self.address
        ufs = await self.mount(file_status())
        ufs = self.over(f"{silent},{self.address}", timeout="50ms")
        self.assertEqual((await ufs.status("key")).size, 4)
        self.assertEqual((await ufs.status("key")).size, 4)
        self.assertEqual(len(self.server.requests), 2)

    async def test_reset(self) -> None:
        """A connection that breaks before the answer costs a question, no more."""
        ufs = await self.mount(reset, file_status())
        self.assertEqual((await ufs.status("key")).size, 4)

    async def test_no_webhdfs(self) -> None:
        """What is no WebHDFS is an outage, and said to be."""
        for act in (
            answer(200, b"<html>"),
            answer(200, b"[" * 100_000),
            document([]),
            document({"FileStatus": {"length": "much"}}),
            answer(404, b"<html>"),
            answer(200, b"x" * 100, length=1000),
        ):
            ufs = await self.mount(act, timeout="200ms", retries="0")
            await self.fails(ufs.check(), StorageUnavailable)

    async def test_rename_unanswered(self) -> None:
        """Whether a rename happened whose answer was lost is found out."""
        for script, error in (
            ([reset, file_status()], None),
            ([reset, file_status(8), file_status(), answer(200)], None),
            (
                [
                    reset,
                    refusal(404, "FileNotFoundException"),
                    refusal(404, "FileNotFoundException"),
                ],
                StorageUnavailable,
            ),
            (
                [
                    reset,
                    file_status(8),
                    file_status(),
                    refusal(403, "FileAlreadyExistsException"),
                    file_status(),
                ],
                None,
            ),
            (
                [refusal(403, "FileAlreadyExistsException"), file_status(8)],
                PreconditionFailed,
            ),
        ):
            ufs = await self.mount(*script)
            work = Deferred.fromCoroutine(ufs._files.rename("tmp", STAT, "key", True))
            if error is None:
                await work
            else:
                await self.fails(work, error)
            self.assertEqual(len(self.server.requests), len(script))

    async def test_delete_repeated(self) -> None:
        """A delete whose answer was lost is repeated, and told as done."""
        ufs = await self.mount(
            file_status(), reset, document({"boolean": False}), document({})
        )
        self.assertTrue(await ufs.delete("key", NO_DEMAND))

    async def test_listed_again(self) -> None:
        """A namenode that tells the same names for ever is an outage."""
        names = [
            {"pathSuffix": n, "type": "FILE", "length": 1, "modificationTime": 1}
            for n in "ab"
        ]
        listing = {"FileStatuses": {"FileStatus": names}}
        ufs = await self.mount(
            document(
                {"DirectoryListing": {"partialListing": listing, "remainingEntries": 9}}
            )
        )
        self.patch(HdfsFiles, "stat", lambda files, path: succeed(STAT))
        await self.fails(ufs.list(ListQuery()), StorageUnavailable)
        self.assertLess(len(self.server.requests), 6)

    async def test_old(self) -> None:
        """A cluster that cannot list in batches is told of as such."""
        ufs = await self.mount(refusal(400, "IllegalArgumentException"))
        error = await self.fails(ufs.list(ListQuery()), StorageUnavailable)
        self.assertIn("IllegalArgumentException", str(error))


class DatanodeTests(ScriptedCase):
    """Redirects, and where they lead."""

    STATUS = Status(4, STAT.version, STAT.etag, STAT.modified * 1_000_000)

    async def test_read(self) -> None:
        """A read is one request to a datanode, and a look at the version after it."""
        ufs = await self.mount(redirect, answer(200, b"data"), file_status())
        body = await ufs.read("key", self.STATUS, Span(0, 4))
        self.assertEqual(await drain(body), b"data")
        self.assertEqual(
            [op for _, op in self.asked()], ["OPEN", "GO", "GETFILESTATUS"]
        )

    async def test_read_by_proxy(self) -> None:
        """A proxy that answers itself in place of a redirect is understood."""
        ufs = await self.mount(answer(200, b"data"), file_status())
        body = await ufs.read("key", self.STATUS, Span(0, 4))
        self.assertEqual(await drain(body), b"data")
        self.assertEqual(ufs._wire.reading.busy, 0)

    async def test_fetched(self) -> None:
        """What a datanode has to answer comes by a redirect, or from a proxy at once."""
        asking = Asking(b"GET", "GETFILECHECKSUM", "/root/key")
        ufs = await self.mount(
            document({"by": "proxy"}),
            redirect,
            document({"by": "datanode"}),
            redirect,
            refusal(404, "FileNotFoundException"),
        )
        for by in ("proxy", "datanode"):
            self.assertEqual(await ufs._wire.fetched(asking, 5.0), {"by": by})
        work = Deferred.fromCoroutine(ufs._wire.fetched(asking, 5.0))
        error = await self.fails(work, Complaint)
        self.assertEqual(str(error), "404 FileNotFoundException")

    async def test_no_redirect(self) -> None:
        """A write that is not sent anywhere is no success."""
        for size in (4, 1 << 20):
            ufs = await self.mount(answer(200), answer(200), document({}))
            placing = await ufs.place("key", None)
            try:
                await placing.write(b"x" * size)
                await placing.commit("", NO_ATTRIBUTES, NO_DEMAND)
            except StorageUnavailable:
                pass
            else:
                self.fail("it was told as done")
            await placing.abort()

    async def test_changed(self) -> None:
        """Bytes of another version are not given, whatever their number."""
        for status, data in (
            (file_status(8), b"data"),
            (file_status(7, 5), b"data"),
            (file_status(), b"dat"),
        ):
            ufs = await self.mount(redirect, answer(200, data), status)
            await self.fails(ufs.read("key", self.STATUS, Span(0, 4)), ObjectChanged)
            self.assertEqual(ufs._wire.reading.busy, 0)

    async def test_taken_up_again(self) -> None:
        """A body that breaks off goes on where it stopped."""
        ufs = await self.mount(
            redirect,
            answer(200, b"da", length=4),
            file_status(),
            redirect,
            answer(200, b"ta"),
            file_status(),
            timeout="100ms",
        )
        body = await ufs.read("key", self.STATUS, Span(0, 4))
        self.assertEqual(await drain(body), b"data")
        again = parse_qs(urlsplit(self.server.requests[3].target.decode()).query)
        self.assertEqual((again["offset"], again["length"]), (["2"], ["2"]))

    async def test_datanode_refuses(self) -> None:
        """A datanode that fails is passed by; what it says of the file is heard."""
        ufs = await self.mount(
            redirect,
            refusal(403, "IOException", "a disk is broken"),
            redirect,
            answer(200, b"data"),
            file_status(),
        )
        # There is but one, so it is asked again after all.
        self.server.script[2:3] = [redirect] * 8
        body = await ufs.read("key", self.STATUS, Span(0, 4))
        self.assertEqual(await drain(body), b"data")
        excluded = parse_qs(urlsplit(self.server.requests[3].target.decode()).query)
        self.assertEqual(excluded["excludedatanodes"], ["127.0.0.1"])
        ufs = await self.mount(redirect, refusal(404, "FileNotFoundException"))
        await self.fails(ufs.read("key", self.STATUS, Span(0, 4)), NoSuchPath)

    async def test_small_upload_repeated(self) -> None:
        """What is small is sent again when a datanode resets, under another name."""
        ufs = await self.mount(
            redirect,
            reset,
            *[redirect] * 8,
            answer(201),
            document({"boolean": True}),
            file_status(),
            answer(200),
        )
        placing = await ufs.place("key", None)
        await placing.write(b"data")
        made = await placing.commit("", NO_ATTRIBUTES, NO_DEMAND)
        await placing.abort()
        self.assertEqual(made.size, 4)
        sent = [r.body for r in self.server.requests if r.method == b"PUT" and r.body]
        self.assertEqual(sent, [b"data", b"data"])
        paths = [urlsplit(r.target).path for r in self.server.requests]
        first, second = paths[0], paths[2]
        self.assertNotEqual(first, second)
        # What the first may still come to is removed, the second is renamed.
        self.assertEqual(paths[-3:], [first, second, second])
        self.assertEqual(
            [op for _, op in self.asked()][-3:], ["DELETE", "GETFILESTATUS", "RENAME"]
        )

    async def test_shorter_than_sent(self) -> None:
        """A file that is shorter than what was sent is never renamed."""
        ufs = await self.mount(
            redirect, answer(201), file_status(7, 3), document({"boolean": True})
        )
        placing = await ufs.place("key", None)
        await placing.write(b"data")
        await self.fails(
            placing.commit("", NO_ATTRIBUTES, NO_DEMAND), StorageUnavailable
        )
        await placing.abort()
        self.assertNotIn("RENAME", [op for _, op in self.asked()])
        self.assertEqual(self.asked()[-1], ("DELETE", "DELETE"))

    async def test_stalled(self) -> None:
        """A datanode that takes nothing more is given up."""

        def deaf(talk: Talk) -> None:
            pass

        ufs = await self.mount(redirect, deaf, document({}), timeout="100ms")
        placing = await ufs.place("key", None)
        work = placing.write(b"x" * (64 << 20))
        await self.fails(work, StorageUnavailable)
        await placing.abort()
        self.assertEqual(ufs._wire.writing.busy, 0)


class RedirectTests(SynchronousTestCase):
    """Which redirects are followed, and where to."""

    def setUp(self) -> None:
        self.clock = Clock()

    def datanodes(self, secure: bool = False, **places: str) -> Datanodes:
        return Datanodes(places, secure, self.clock.seconds)

    def test_mapped(self) -> None:
        """Hosts are mapped, with their ports or without."""
        datanodes = Datanodes(
            {"dn1": "10.0.0.7", "dn2:9864": "proxy:19864", "dn3": "::1"},
            False,
            self.clock.seconds,
        )
        for location, url in (
            (b"http://dn1:9864/p?op=OPEN", b"http://10.0.0.7:9864/p?op=OPEN"),
            (b"http://DN1:9864/p", b"http://10.0.0.7:9864/p"),
            (b"http://dn2:9864/p", b"http://proxy:19864/p"),
            (b"http://dn2:9865/p", b"http://dn2:9865/p"),
            (b"http://dn3:9864/p", b"http://[::1]:9864/p"),
            (b"http://[::2]:9864/p", b"http://[::2]:9864/p"),
            (b"https://dn1/p", b"https://10.0.0.7:443/p"),
            ("http://dn1:1/ü".encode(), b"http://10.0.0.7:1/%C3%BC"),
        ):
            self.assertEqual(datanodes.target(location).url, url)

    def test_refused(self) -> None:
        """Nothing but HTTP is followed, and from TLS nothing but TLS."""
        for location in (
            b"",
            b"/relative",
            b"ftp://dn1/p",
            b"file:///etc/passwd",
            b"http://user:password@dn1/p",
            b"http://dn1:port/p",
            b"http://",
        ):
            self.assertRaises(StorageUnavailable, self.datanodes().target, location)
        secure = self.datanodes(True)
        self.assertRaises(StorageUnavailable, secure.target, b"http://dn1:9864/p?t=1")
        self.assertEqual(secure.target(b"https://dn1:1/p").url, b"https://dn1:1/p")

    def test_hidden(self) -> None:
        """What a redirect carries is not shown."""
        target = self.datanodes().target(b"http://dn1:1/p?delegation=SECRET")
        self.assertNotIn("SECRET", repr(target))

    def test_shunned(self) -> None:
        """A datanode that failed is shunned for a while; so many at most."""
        datanodes = self.datanodes()
        first = datanodes.target(b"http://dn1:1/p")
        datanodes.shun(first)
        self.assertTrue(datanodes.shuns(first))
        self.assertFalse(datanodes.shuns(datanodes.target(b"http://dn2:1/p")))
        self.assertEqual(datanodes.excluded(), "dn1")
        self.clock.advance(SHUNNED + 1)
        self.assertFalse(datanodes.shuns(first))
        for n in range(2000):
            datanodes.shun(datanodes.target(b"http://dn%d:1/p" % n))
        self.assertLess(len(datanodes._shunned), 1001)
        self.assertLess(len(datanodes.excluded()), 200)

    def test_namenodes(self) -> None:
        """Of many who find the active namenode gone, one moves on."""
        namenodes = Namenodes(("a:1", "b:1", "c:1"))
        for _ in range(5):
            namenodes.leave("a:1")
        self.assertEqual(namenodes.active, "b:1")
        namenodes.leave("b:1")
        namenodes.leave("c:1")
        self.assertEqual(namenodes.active, "a:1")


class WatchTests(SynchronousTestCase):
    """Requests that are given up."""

    def test_late(self) -> None:
        """Who is given up while connecting is told as one who was not heard."""
        for error, unsent in (
            (ConnectingCancelledError(IPv4Address("TCP", "127.0.0.1", 1)), True),
            (CancelledError(), False),
            (ResponseNeverReceived([]), False),
        ):
            clock = Clock()
            request: Deferred[Any] = Deferred(
                lambda d, error=error: d.errback(error)  # type: ignore[misc]
            )
            result = watched(request, clock, 1.0)
            self.assertNoResult(result)
            clock.advance(1.0)
            found = self.failureResultOf(result, Unreached).value
            self.assertEqual((found.again, found.unsent), (True, unsent))

    def test_forsaken(self) -> None:
        """Who loses interest hears of that, and of nothing else."""
        for error in (CancelledError(), ResponseNeverReceived([])):
            request: Deferred[Any] = Deferred(
                lambda d, error=error: d.errback(error)  # type: ignore[misc]
            )
            clock = Clock()
            result = watched(request, clock, 1.0)
            result.cancel()
            self.failureResultOf(result, CancelledError)
            self.assertEqual(clock.getDelayedCalls(), [])


class IdentityTests(ScriptedCase):
    """Who asks, and who is told of it."""

    async def test_user(self) -> None:
        """A name is told with every question."""
        ufs = await self.mount(file_status(), user="somebody")
        await ufs.status("key")
        self.assertIn(b"user.name=somebody", self.server.requests[0].target)

    async def test_token(self) -> None:
        """A token goes to the namenode, and nowhere else: no log, no message."""
        out = io.StringIO()
        observer = textFileLogObserver(out)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        options = {"delegation-token": TOKEN}
        ufs = await self.mount(
            file_status(), refusal(403, "InvalidToken", f"{TOKEN} is out"), **options
        )
        await ufs.status("key")
        error = await self.fails(ufs.status("key"), StorageDenied)
        request = self.server.requests[0].target.decode()
        self.assertEqual(parse_qs(urlsplit(request).query)["delegation"], [TOKEN])
        self.assertNotIn("user.name", request)
        shown = [out.getvalue(), str(error), repr(error), repr(ufs)]
        shown += [repr(ufs._wire), repr(ufs._given), repr(error.__cause__)]
        for text in shown:
            self.assertNotIn(TOKEN, text)

    async def test_spnego(self) -> None:
        """A ticket is shown once, then the cookie that it brought, until that is over."""
        cookie = 'hadoop.auth="u=me&e=1&s=abc="'
        unknown = answer(401, b"", {"WWW-Authenticate": "Negotiate"})
        ufs = await self.mount(
            document({}, cookie=f"{cookie}; Path=/; HttpOnly"),
            file_status(),
            unknown,
            file_status(),
            unknown,
        )
        hosts: list[str] = []

        def ticket(host: str) -> bytes:
            hosts.append(host)
            return b"ticket %d" % len(hosts)

        ufs._wire.identity = Negotiated(ticket, ufs._ground.threads)
        await ufs._files.mkdirs("folder")
        await ufs.status("key")
        await ufs.status("key")
        error = await self.fails(ufs.status("key"), StorageDenied)
        self.assertEqual(hosts, ["127.0.0.1"] * 3)
        self.assertNotIn("ticket", str(error))
        sent = [
            (r.headers.get(b"authorization"), r.headers.get(b"cookie"))
            for r in self.server.requests
        ]
        tickets = [
            b"Negotiate " + base64.b64encode(b"ticket %d" % n) for n in (1, 2, 3)
        ]
        raw = cookie.encode()
        self.assertEqual(
            sent,
            [
                (tickets[0], None),
                (None, raw),
                (None, raw),
                (tickets[1], None),
                (tickets[2], None),
            ],
        )
        self.assertNotIn(b"user.name", self.server.requests[0].target)

    async def test_no_binding(self) -> None:
        """Where Kerberos cannot be spoken, the mount says what to install."""
        try:
            import gssapi  # type: ignore[import-not-found] # noqa: F401
        except ImportError:
            pass
        else:
            self.skipTest("the binding of Kerberos is installed")
        with self.assertRaises(WrongConfiguration) as caught:
            make(
                "webhdfs://namenode/",
                {"kerberos": "true"},
                Surroundings(IReactorTime(reactor), None),  # type: ignore[arg-type]
            )
        self.assertIn("pip install 'alluxio-tw[kerberos]'", str(caught.exception))


class WordsTests(SynchronousTestCase):
    """Options, names and faults."""

    def read(self, uri: str, **options: str) -> HdfsOptions:
        given = {name.replace("_", "-"): value for name, value in options.items()}
        return read_options(uri, given, "process")

    def test_options(self) -> None:
        """What is written is what is meant."""
        made = self.read("webhdfs://nn1,nn2:1234/a/b?timeout=5s", datanode_map="")
        self.assertEqual(made.namenodes, ("nn1:9870", "nn2:1234"))
        self.assertEqual(
            (made.root, made.timeout, made.user, made.secure),
            ("/a/b", 5.0, "process", False),
        )
        made = self.read(
            "swebhdfs://[::1]/", datanode_map="DN1=10.0.0.1, dn2:1=[::1]:2", user="me"
        )
        self.assertEqual((made.namenodes, made.root), (("[::1]:9871",), ""))
        self.assertEqual(made.datanode_map, {"dn1": "10.0.0.1", "dn2:1": "[::1]:2"})
        plain = read_options("webhdfs://nn/", {"datanode_map": "a=b"}, "process")
        self.assertEqual(plain.datanode_map, {"a": "b"})

    def test_wrong_options(self) -> None:
        """What cannot be used is refused, with what to write instead."""
        for uri, options, word in (
            ("webhdfs:///path", {}, "webhdfs://namenode:9870/path"),
            ("webhdfs://nn:0/", {}, "names no namenode"),
            ("webhdfs://nn:99999/", {}, "names no namenode"),
            ("webhdfs://nn,,/", {}, "names no namenode"),
            ("webhdfs://me@nn/", {}, "names no namenode"),
            ("webhdfs://nn/a:b", {}, "can have no such folder"),
            ("webhdfs://nn/a/../b", {}, "can have no such folder"),
            ("webhdfs://nn/", {"usr": "x"}, "did you mean 'user'"),
            ("webhdfs://nn/", {"user": "a b"}, "is not a name"),
            ("webhdfs://nn/", {"datanode-map": "dn1"}, "dn1.internal=10.0.0.7"),
            ("webhdfs://nn/", {"delegation-token": "a b"}, "URL-safe form"),
            ("webhdfs://nn/", {"delegation-token": "x", "user": "y"}, "not several"),
            ("webhdfs://nn/", {"kerberos": "true", "user": "y"}, "leave 'user' out"),
            ("webhdfs://nn/", {"block-size": "1KB"}, "less than 1MB"),
            ("webhdfs://nn/", {"timeout": "0s"}, "less than a millisecond"),
            ("webhdfs://nn/", {"verify": "false"}, "swebhdfs://"),
            ("webhdfs://nn/", {"verify-writes": "often"}, "verify-writes"),
            ("swebhdfs://nn/", {"verify": "false", "ca-file": "x"}, "no use"),
        ):
            error = self.assertRaises(
                WrongConfiguration, read_options, uri, options, "process"
            )
            self.assertIn(word, str(error))
            self.assertNotIn("\n", str(error))

    def test_secret(self) -> None:
        """A token that was refused is not shown, nor is one that was taken."""
        error = self.assertRaises(
            WrongConfiguration, self.read, "webhdfs://nn/", delegation_token="sec ret"
        )
        self.assertNotIn("sec ret", str(error))
        made = self.read("webhdfs://nn/", delegation_token=TOKEN)
        self.assertNotIn(TOKEN, repr(made))

    def test_names(self) -> None:
        """Keys become paths, or cannot."""
        for key, path in (
            ("a/b", "a/b"),
            ("a/b/", "a/b/.alluxio-tw.folder"),
            ("", None),
            ("/", None),
            ("a//b", None),
            ("a/./b", None),
            ("..", None),
            ("a:b", None),
            ("a/.snapshot/b", None),
            (".reserved/x", None),
            ("é" * 127, "é" * 127),
            ("é" * 128, None),
            ("a/.alluxio-tw.folder", None),
            (".alluxio-tw/tmp/x", None),
            (".alluxio-tw/uploads/u/1", ".alluxio-tw/uploads/u/1"),
            ("\ud800", None),
        ):
            self.assertEqual(encoded(key), path, key)

    def test_faults(self) -> None:
        """Each exception has a noun, by whom there is to blame."""
        for name, message, noun in (
            ("FileNotFoundException", "", errors.NoSuchPath),
            ("AccessControlException", "Permission denied", errors.StorageDenied),
            ("AccessControlException", "/a (is not a directory)", errors.PathConflict),
            ("ParentNotDirectoryException", "", errors.PathConflict),
            ("StandbyException", "", errors.StorageUnavailable),
            ("SecurityException", "a StandbyException", errors.StorageUnavailable),
            ("SafeModeException", "", errors.StorageUnavailable),
            ("DSQuotaExceededException", "", errors.StorageFull),
            ("PathComponentTooLongException", "", errors.UnsuitableKey),
            ("IOException", "Failed to find datanode", errors.StorageUnavailable),
            ("NullPointerException", "", errors.StorageUnavailable),
        ):
            raw = {"RemoteException": {"exception": name, "message": message}}
            found = complaint(403, json.dumps(raw).encode())
            self.assertIs(type(found.noun()), noun, name)
            if message:
                self.assertNotIn(message, str(found.noun()))
        for body in (b"", b"<html>", b"[]", b'{"RemoteException": 7}'):
            self.assertIs(type(complaint(404, body).noun()), errors.NoSuchPath)

"""
Everybody comes at once, and nothing is cached: what it costs the storage.
"""

from __future__ import annotations

import http.client
import random
import shutil
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import Daemon, set_up, until

PAGE = 64 << 10
DATA = random.Random(200).randbytes(16 * PAGE - 1000)
READERS, LOOKERS = 150, 50
ETAG = '"0123456789abcdef0123456789abcdef"'

NOTHING: Mapping[str, str] = {}

ADMITTED = "alluxio_s3_requests_admitted"
"""Where a GET or a HEAD counts as one."""


class _Origin(ThreadingHTTPServer):
    """
    A bucket with one object, that counts what it is asked and answers when it may.

    :ivar gate: nothing is answered before it is open.
    :ivar questions: how often it was asked for the version alone.
    :ivar spans: first byte and length of what it was asked to send.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.questions = 0
        self.spans: list[tuple[int, int]] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    def handle_error(self, *_: object) -> None:
        """The daemon ended a connection; that is no matter here."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Origin

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        with self.server.lock:
            self.server.questions += 1
        self.server.gate.wait()
        self.head(200, len(DATA))

    def do_GET(self) -> None:
        first, length = 0, len(DATA)
        asked = self.headers.get("Range")
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first = int(start)
            length = min(int(end or len(DATA) - 1), len(DATA) - 1) - first + 1
        with self.server.lock:
            self.server.spans.append((first, length))
        self.server.gate.wait()
        last = first + length - 1
        more = {"Content-Range": f"bytes {first}-{last}/{len(DATA)}"} if asked else {}
        self.head(206 if asked else 200, length, more)
        self.wfile.write(DATA[first : first + length])

    def head(self, status: int, length: int, more: Mapping[str, str] = NOTHING) -> None:
        self.send_response(status)
        said = {
            "Content-Length": str(length),
            "ETag": ETAG,
            "Last-Modified": "Sat, 01 Feb 2025 10:00:00 GMT",
            "Accept-Ranges": "bytes",
            **more,
        }
        for name, value in said.items():
            self.send_header(name, value)
        self.end_headers()


class HerdTests(BlackboxCase):
    """
    After a restart without a cache, with a policy that trusts no record.
    """

    own = True

    def setUp(self) -> None:
        self.origin = _Origin()
        serving = threading.Thread(target=self.origin.serve_forever, daemon=True)
        serving.start()
        self.addCleanup(serving.join)
        self.addCleanup(self.origin.server_close)
        self.addCleanup(self.origin.shutdown)
        self.addCleanup(self.origin.gate.set)
        uri = (
            f"far=s3://bucket?endpoint=http://127.0.0.1:{self.origin.server_port}"
            # One stream at a time: where one is slow, as this one is until the gate
            # opens, others may take over what it has not sent yet.
            "&access_key=me&secret_key=secret&freshness=always&parallel=1"
        )
        self.setting = set_up(  # type: ignore[misc]
            # So many are no overload here: it is the storage that is looked at.
            f"alluxio.worker.s3.requests.max={10 * (READERS + LOOKERS)}",
            f"alluxio.worker.page.store.page.size={PAGE >> 10}KB",
            "alluxio.worker.page.store.dirs={here}/pages",
            "alluxio.worker.page.store.sizes=64MB",
            mounts=(uri,),
        )
        super().setUp()

    def test_herd(self) -> None:
        """200 clients at once cost the storage one question, and every byte once."""
        self.origin.gate.set()
        self.assertEqual(self.ask(self.daemon, "GET"), DATA)
        self.daemon.stop()
        shutil.rmtree(self.daemon.path("pages"))
        self.restart()

        self.origin.gate.clear()
        self.origin.questions, self.origin.spans = 0, []
        methods = ["GET"] * READERS + ["HEAD"] * LOOKERS
        random.Random(7).shuffle(methods)
        with ThreadPoolExecutor(len(methods)) as clients:
            answers = [clients.submit(self.ask, self.daemon, each) for each in methods]
            # All are there before anything is known of the object.
            everybody = len(methods)
            until(lambda: self.daemon.metric(ADMITTED) >= everybody, 60, "all came")
            self.origin.gate.set()
            for method, answer in zip(methods, answers, strict=True):
                wanted = DATA if method == "GET" else b""
                self.assertTrue(answer.result(60) == wanted, method)

        self.assertLessEqual(self.origin.questions, 1)
        self.assertEqual(self.covered(), len(DATA))
        pages = -(-len(DATA) // PAGE)
        self.assertLessEqual(len(self.origin.spans), pages)

    def covered(self) -> int:
        """Up to where the bytes that were sent lie one after another, each once."""
        at = 0
        for first, length in sorted(self.origin.spans):
            self.assertEqual(first, at, self.origin.spans)
            at = first + length
        return at

    def ask(self, daemon: Daemon, method: str) -> bytes:
        """Ask for the object on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        try:
            connection.request(method, "/far/object")
            answer = connection.getresponse()
            assert answer.status == 200, (answer.status, answer.read())
            assert answer.headers["Content-Length"] == str(len(DATA))
            return answer.read()
        finally:
            connection.close()

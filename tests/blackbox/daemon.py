"""
The daemon as a process of its own: started, looked at, stopped.

Waiting is polling here: what happens in another process cannot be awaited, and a
poll that ends as soon as it may is not a sleep.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping

import attrs
from prometheus_client.parser import text_string_to_metric_families

from tests.blackbox.authority import Authority

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

START_SECONDS = 60.0
STOP_SECONDS = 60.0

_LISTENS = re.compile(r"\] S3 at (https?)://([0-9.]+):(\d+)$", re.MULTILINE)
_ADMIN = re.compile(r"\] metrics and health at (http://\S+)$", re.MULTILINE)
_GREETED = re.compile(r"\] (?:try: |the buckets cannot be listed)", re.MULTILINE)
_BAD = re.compile(r"^Traceback|#(?:error|critical)\]|Unhandled", re.MULTILINE)


def until(what: Callable[[], object], seconds: float, why: str = "") -> None:
    """
    Wait until C{what} is true.

    :raises AssertionError: it did not become so within C{seconds}.
    """
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {why or what}")
        time.sleep(0.01)


def twistd() -> list[str]:
    """The command that runs twistd with this interpreter."""
    beside = os.path.join(os.path.dirname(sys.executable), "twistd")
    if os.path.exists(beside):
        return [sys.executable, beside]
    return [sys.executable, "-m", "twisted", "--twistd"]


def surroundings(more: Mapping[str, str] = {}) -> dict[str, str]:
    """An environment with nothing of the caller's configuration in it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ALLUXIO_", "AWS_", "S3_"))
        and not name.lower().endswith("_proxy")
    }
    path = os.environ.get("PYTHONPATH", "")
    kept["PYTHONPATH"] = ROOT + (os.pathsep + path if path else "")
    kept["PYTHONUNBUFFERED"] = "1"
    kept.update(more)
    return kept


@attrs.frozen
class Setting:
    """
    How a daemon is started.  C{{here}} in a value stands for its folder.

    :ivar definitions: for C{-D}.
    :ivar mounts: for C{--mount}; the folders that they name beneath C{{here}}
        are made.
    :ivar secure: with a certificate, and HTTPS beside HTTP.
    """

    definitions: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    secure: bool = False


def set_up(
    *definitions: str, mounts: Iterable[str] = (), secure: bool = False
) -> Setting:
    """A L{Setting}, in short."""
    return Setting(definitions, tuple(mounts), secure)


@attrs.define(eq=False)
class Daemon:
    """
    A daemon that runs.

    :ivar folder: its working directory; everything of it lies beneath.
    :ivar log_path: what it says.
    """

    folder: str
    setting: Setting
    process: subprocess.Popen[bytes]
    log_path: str
    authority: Authority | None = None
    _owned: bool = True

    @classmethod
    def start(cls, setting: Setting = Setting(), folder: str = "") -> Daemon:
        """
        Start one on ports of the system's choice, and wait until it serves.

        :param folder: an earlier one's, to start again on what it left.
        """
        owned = not folder
        folder = folder or tempfile.mkdtemp(prefix="daemon-", dir=os.getcwd())
        authority = Authority.make(folder) if setting.secure else None
        process, log_path = launch(folder, arguments(setting, folder))
        daemon = cls(folder, setting, process, log_path, authority, owned)
        try:
            daemon.wait()
        except BaseException:
            daemon.kill()
            raise
        return daemon

    def wait(self) -> None:
        """Wait until it serves."""
        until(
            lambda: self.process.poll() is not None or _GREETED.search(self.log()),
            START_SECONDS,
            "the daemon serves",
        )
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended at its start:\n{self.log()}")

    # --- where it is ----------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid

    @property
    def port(self) -> int:
        """For HTTP."""
        return self._port("http")

    @property
    def secure_port(self) -> int:
        """For HTTPS."""
        return self._port("https")

    @property
    def url(self) -> str:
        """Over HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def secure_url(self) -> str:
        """Over HTTPS."""
        return f"https://127.0.0.1:{self.secure_port}"

    @property
    def admin(self) -> str:
        """The admin port's URL."""
        found = _ADMIN.search(self.log())
        assert found is not None
        return found[1]

    def path(self, *names: str) -> str:
        """Of something beneath its folder."""
        return os.path.join(self.folder, *names)

    def _port(self, scheme: str) -> int:
        for found in _LISTENS.finditer(self.log()):
            if found[1] == scheme:
                return int(found[3])
        raise AssertionError(f"it does not listen for {scheme}:\n{self.log()}")

    # --- how it is -------------------------------------------------------------------

    def log(self, start: int = 0) -> str:
        """What it said, from a byte on."""
        with open(self.log_path, "rb") as file:
            file.seek(start)
            return file.read().decode("utf-8", "replace")

    def said(self) -> int:
        """How many bytes it said."""
        return os.path.getsize(self.log_path)

    def complaints(self, start: int = 0, forgiven: Iterable[str] = ()) -> str:
        """
        What it logged of failures from a byte on; empty if there were none.

        :param forgiven: patterns; failures that match are expected.
        """
        text = self.log(start)
        if not _BAD.search(text):
            return ""
        lines = re.split(r"\n(?=\d{4}-\d\d-\d\dT)", text)
        return "\n".join(
            line
            for line in lines
            if _BAD.search(line) and not any(re.search(each, line) for each in forgiven)
        )

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def rss(self, peak: bool = False) -> int:
        """Bytes of memory that are resident, or were at most."""
        with open(f"/proc/{self.pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM:" if peak else "VmRSS:"):
                    return int(line.split()[1]) << 10
        raise AssertionError("the system does not say")

    def descriptors(self) -> int:
        """How many files it has open, sockets among them."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask the admin port: status and body."""
        try:
            with urllib.request.urlopen(self.admin + path, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        status, text = self.get("/metrics")
        assert status == 200
        total = 0.0
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    total += sample.value
        return total

    # --- its end ---------------------------------------------------------------------

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """
        Ask it to end.

        :return: its exit status.
        """
        if self.alive():
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it does not end:\n{self.log()[-4000:]}") from None

    def kill(self) -> None:
        """End it without asking."""
        if self.alive():
            self.process.kill()
        self.process.wait()

    def again(self) -> Daemon:
        """Start anew, as this one was, on what it left."""
        self._owned = False
        kept = f"{self.log_path}.{self.pid}"
        os.rename(self.log_path, kept)
        self.log_path = kept
        daemon = Daemon.start(self.setting, self.folder)
        daemon._owned = True
        return daemon

    def remove(self) -> None:
        """End it if it has not ended, and remove what it left."""
        self.kill()
        if self._owned:
            shutil.rmtree(self.folder, ignore_errors=True)


def arguments(setting: Setting, folder: str) -> list[str]:
    """What comes after C{alluxio-s3 run}; makes the folders it names."""
    defined = [
        "alluxio.worker.s3.port=0",
        "alluxio.worker.web.port=0",
        "alluxio.tw.data.dir={here}/data",
    ]
    if setting.secure:
        defined += [
            "alluxio.worker.s3.https.port=0",
            "alluxio.worker.s3.tls.certificate.path={here}/server.pem",
            "alluxio.worker.s3.tls.key.path={here}/server.key",
        ]
    given: list[str] = []
    for each in (*defined, *setting.definitions):
        given += ["-D", each.replace("{here}", folder)]
    for each in setting.mounts:
        for found in re.findall(r"\{here\}([^?]*)", each):
            os.makedirs(folder + found, exist_ok=True)
        given += ["--mount", each.replace("{here}", folder)]
    return given


def launch(
    folder: str,
    given: list[str],
    environment: Mapping[str, str] = {},
    flags: Iterable[str] = ("-n", "--pidfile="),
) -> tuple[subprocess.Popen[bytes], str]:
    """
    Start C{twistd alluxio-s3 run} in a folder.

    :param given: what comes after C{run}.
    :param flags: twistd's own.
    :return: the process, and the path of what it says.
    """
    log_path = os.path.join(folder, "daemon.log")
    with open(log_path, "ab") as log:
        process = subprocess.Popen(
            [*twistd(), *flags, "alluxio-s3", "run", *given],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=surroundings(environment),
            start_new_session=True,
        )
    return process, log_path

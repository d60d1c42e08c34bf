"""
Mounts that are added, changed and removed beside a daemon, and mounts that are broken.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import (
    ROOT,
    Daemon,
    Setting,
    launch,
    set_up,
    surroundings,
    until,
)

SECRET = "wJalrXUtnFEMI/K7MDENG"
UNAVAILABLE = "StorageUnavailable"


def visible(folder: str) -> list[str]:
    """What is in a folder, without what the gateway keeps there for itself."""
    return sorted(name for name in os.listdir(folder) if name[0] != ".")


class MountCase(BlackboxCase):
    own = True
    setting = set_up(mounts=("good={here}/good",))

    def tool(self, *words: str, code: int = 0, given: str = "") -> str:
        """Run C{alluxio-s3 mount}; what it says."""
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "alluxio_tw.app.command", "mount", *words),
                *("-D", f"alluxio.tw.data.dir={self.daemon.path('data')}"),
            ],
            input=given,
            capture_output=True,
            text=True,
            env=surroundings(),
            timeout=120,
            check=False,
        )
        said = ended.stdout + ended.stderr
        self.assertEqual(ended.returncode, code, said)
        self.assertNotIn("Traceback", said)
        return said

    def add(self, path: str, uri: str, *more: str) -> str:
        """Add a mount."""
        return self.tool("add", "--path", path, "--ufs-uri", uri, *more)

    def listed(self) -> dict[str, Any]:
        """What C{mount list} tells, by path."""
        return {each["path"]: each for each in json.loads(self.tool("list", "--json"))}

    def ready(self) -> tuple[int, dict[str, str]]:
        """What C{/readyz} says: its status, and the mounts."""
        status, text = self.daemon.get("/readyz")
        mounts: dict[str, str] = json.loads(text)["mounts"]
        return status, mounts

    def keys(self, bucket: str, **more: Any) -> list[str]:
        """A listing, page by page."""
        pages = (
            self.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, **more)
        )
        return [each["Key"] for page in pages for each in page.get("Contents", ())]


class RunTimeTests(MountCase):
    def test_whole_life(self) -> None:
        """A mount is there once it is added, after kill -9 too, and gone once removed."""
        folder = self.folder()
        Path(folder, "file").write_bytes(b"data")
        self.assertIn("/photos is mounted.", self.add("/photos", folder))
        got = self.s3().get_object(Bucket="photos", Key="file")["Body"].read()
        self.assertEqual(got, b"data")
        self.assertEqual(self.listed()["/photos"]["wrong"], "")
        names = [each["Name"] for each in self.s3().list_buckets()["Buckets"]]
        self.assertEqual(names, ["demo", "good", "photos"])

        os.kill(self.daemon.pid, signal.SIGKILL)
        self.daemon.process.wait()
        self.assertEqual(self.listed()["/photos"]["wrong"], None)
        self.restart()
        self.s3().put_object(Bucket="photos", Key="new", Body=b"x")
        self.assertTrue(os.path.exists(os.path.join(folder, "new")))

        self.assertIn("mounted", self.tool("update", "--path=/photos", "--read-only"))
        self.assertEqual(self.listed()["/photos"]["read_only"], True)
        s3 = self.s3()
        for call, given in (
            (s3.put_object, {"Key": "k", "Body": b"x"}),
            (s3.delete_object, {"Key": "new"}),
            (s3.copy_object, {"Key": "k", "CopySource": "photos/new"}),
            (s3.create_multipart_upload, {"Key": "k"}),
            (s3.put_object_tagging, {"Key": "new", "Tagging": {"TagSet": []}}),
        ):
            error = self.refused("AccessDenied", 403, call, Bucket="photos", **given)
            self.assertIn("read-only", error["Error"]["Message"])
        failed = s3.delete_objects(
            Bucket="photos", Delete={"Objects": [{"Key": "new"}]}
        )["Errors"]
        self.assertEqual([each["Code"] for each in failed], ["AccessDenied"])
        self.assertEqual(self.keys("photos"), ["file", "new"])

        self.assertIn("not mounted any more", self.tool("remove", "--path=/photos"))
        self.refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket="photos")
        self.assertEqual(visible(folder), ["file", "new"])

    def test_download(self) -> None:
        """A download that runs when its mount is removed is finished."""
        folder = self.folder()
        data = os.urandom(3 << 20)
        Path(folder, "file").write_bytes(data)
        for number, cache in enumerate(("true", "false")):
            bucket = f"slow-{number}"
            self.add(f"/{bucket}", f"slow+file://{folder}?bandwidth=1MB&cache={cache}")
            body = self.s3().get_object(Bucket=bucket, Key="file")["Body"]
            first = body.read(1000)
            self.tool("remove", "--path", f"/{bucket}")
            self.refused("NoSuchBucket", 404, self.s3().list_objects_v2, Bucket=bucket)
            self.assertEqual(first + body.read(), data)

    def test_uploads_end(self) -> None:
        """Uploads into a mount end when it is removed, and leave nothing there."""
        folder = self.folder()
        self.add("/photos", folder)
        s3 = self.s3()
        upload = s3.create_multipart_upload(Bucket="photos", Key="k")["UploadId"]
        s3.upload_part(
            Bucket="photos", Key="k", UploadId=upload, PartNumber=1, Body=b"part"
        )

        def files() -> list[str]:
            return [name for _, _, names in os.walk(folder) for name in names]

        self.assertTrue(files())
        self.tool("remove", "--path=/photos")
        until(lambda: not files(), 20, "the parts are removed")
        self.add("/photos", folder)
        self.assertEqual(
            s3.list_multipart_uploads(Bucket="photos").get("Uploads"), None
        )

    def test_refused(self) -> None:
        """What cannot be is refused, and the daemon hears nothing of it."""
        for words, told in (
            (("--path=/photos", "--ufs-uri=/no/such"), "cannot be used: '/no/such'"),
            (("--path=/photos", "--ufs-uri=nosuch:///x"), "no driver"),
            (("--path=/good", f"--ufs-uri={self.folder()}"), "command line"),
        ):
            self.assertIn(told, self.tool("add", *words, code=1))
        self.assertEqual(sorted(self.listed()), ["/", "/good"])

    def test_secrets(self) -> None:
        """A secret is in no listing, log or answer, and nobody else can read it."""
        path = self.daemon.path("secret")
        Path(path).write_text(SECRET)
        dead = socket.create_server(("127.0.0.1", 0))
        port = dead.getsockname()[1]
        dead.close()
        uri = f"s3://bucket?endpoint=http://127.0.0.1:{port}&region=eu&retries=0"
        options = ("--option", "access_key=AK", "--option", f"secret_key=@{path}")
        said = self.add("/far", uri, *options, "--force")
        said += self.tool("list") + self.tool("list", "--json")
        said += self.tool(
            "update", "--path=/far", "--option", "access_key=B", "--force"
        )
        error = self.refused(
            "ServiceUnavailable", 503, self.s3().get_object, Bucket="far", Key="k"
        )
        self.forgive(UNAVAILABLE)
        said += str(error) + str(self.daemon.get("/readyz")) + self.daemon.log()
        said += self.tool("add", "--path=/far", "--ufs-uri", uri, *options, code=1)
        self.assertIn("/far", said)
        self.assertNotIn(SECRET, said)
        state = self.daemon.path("data", "state")
        for name in ("", *os.listdir(state)):
            mode = os.stat(os.path.join(state, name)).st_mode
            self.assertEqual(stat.S_IMODE(mode) & 0o077, 0, name)


class BrokenTests(MountCase):
    setting = set_up(mounts=("good={here}/good",))

    def test_folder(self) -> None:
        """A mount whose folder is away is broken beside the others, until it is back."""
        self.daemon.stop()
        folder = os.path.join(self.folder(), "not-yet")
        self.daemon = self.start(
            Setting(mounts=("good={here}/good", f"bad=file://{folder}"))
        )
        self.assertIn("/bad is broken: ", self.daemon.log())
        status, mounts = self.ready()
        self.assertEqual((status, mounts["/good"]), (200, "ok"))
        self.assertIn("No such file", mounts["/bad"])
        self.assertIn("broken: ", self.tool("list"))
        s3 = self.s3()
        s3.put_object(Bucket="good", Key="k", Body=b"x")
        # Whether there is such a bucket needs no storage.
        s3.head_bucket(Bucket="bad")
        for call, given in (
            (s3.list_objects_v2, {}),
            (s3.get_object, {"Key": "k"}),
            (s3.put_object, {"Key": "k", "Body": b"x"}),
        ):
            error = self.refused("ServiceUnavailable", 503, call, Bucket="bad", **given)
            self.assertNotIn(folder, error["Error"]["Message"])
        self.forgive(UNAVAILABLE)
        os.mkdir(folder)
        until(lambda: self.ready()[1]["/bad"] == "ok", 60, "it is well")
        s3.put_object(Bucket="bad", Key="k", Body=b"x")
        self.assertEqual(visible(folder), ["k"])

    def test_hanging(self) -> None:
        """A storage that never answers holds up nobody but those who ask for it."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            uri = (
                f"s3://bucket?endpoint=http://127.0.0.1:{port}&region=eu&anonymous=true"
            )
            self.add("/hangs", uri, "--no-check")
            asked: list[Any] = []

            def ask() -> None:
                try:
                    asked.append(
                        self.s3(read_timeout=5).list_objects_v2(Bucket="hangs")
                    )
                except Exception as error:
                    asked.append(error)

            asking = threading.Thread(target=ask)
            asking.start()
            status, mounts = self.ready()
            self.assertEqual((status, mounts["/good"]), (200, "ok"))
            self.assertIn("not answered", mounts["/hangs"])
            self.s3().put_object(Bucket="good", Key="k", Body=b"x")
            self.assertEqual(self.keys("good"), ["k"])
            self.assertIn("not answered", self.listed()["/hangs"]["wrong"])
            self.assertIn("not mounted any more", self.tool("remove", "--path=/hangs"))
            asking.join()
            self.assertIsInstance(asked[0], Exception)
        self.forgive(UNAVAILABLE, "CancelledError")

    def test_written(self) -> None:
        """What was written of a mount and has become wrong keeps no daemon from starting."""
        folder = self.folder()
        inner = os.path.join(folder, "inner")
        os.mkdir(inner)
        self.add("/photos", inner)
        self.daemon.stop()
        os.rmdir(inner)
        self.restart()
        status, mounts = self.ready()
        self.assertEqual((status, mounts["/good"]), (200, "ok"))
        self.assertIn("No such file", mounts["/photos"])
        self.assertIn("not mounted any more", self.tool("remove", "--path=/photos"))
        self.assertEqual(sorted(self.ready()[1]), ["/", "/good"])

    def test_driver(self) -> None:
        """A driver that cannot be imported, or fails, breaks its mount and no other."""
        plugins = self.daemon.path("more", "twisted", "plugins")
        os.makedirs(plugins)
        Path(plugins, "broken_ufs.py").write_text(
            "from alluxio_tw.iufs import UFSMaker\n"
            'broken = UFSMaker(("broken",), "module_that_is_not_there.make")\n'
            'failing = UFSMaker(("failing",), "failing_ufs.make")\n'
        )
        Path(self.daemon.path("more"), "failing_ufs.py").write_text(
            "def make(uri, options, around):\n    raise ValueError(uri, options)\n"
        )
        around: Mapping[str, str] = {
            "PYTHONPATH": os.pathsep.join((ROOT, self.daemon.path("more")))
        }
        folder = self.folder()
        given = []
        for name in ("alluxio.worker.s3.port", "alluxio.worker.web.port"):
            given += ["-D", f"{name}=0"]
        given += ["-D", f"alluxio.tw.data.dir={folder}/data"]
        given += ["--mount", "bad=broken://x"]
        given += ["--mount", f"failing=failing://x?secret={SECRET}"]
        process, log = launch(folder, given, around)
        daemon = Daemon(folder, Setting(), process, log)
        self.addCleanup(daemon.kill)
        daemon.wait()
        status, text = daemon.get("/readyz")
        found = json.loads(text)["mounts"]
        self.assertEqual((status, found["/"]), (200, "ok"))
        self.assertIn("module_that_is_not_there", found["/bad"])
        self.assertIn("ValueError", found["/failing"])
        self.assertIn("failing_ufs.py", daemon.log())
        self.assertNotIn(SECRET, daemon.log() + str(text))


class NestedTests(MountCase):
    def test_nested(self) -> None:
        """A mount in a bucket is read, written and listed as a part of the bucket."""
        outer, inner = self.daemon.path("good"), self.folder()
        self.add("/good/data/2026", inner)
        s3 = self.s3()
        for key in ("a", "data/2025/x", "data/2026/x", "data/2026/y/z", "data/x", "z"):
            s3.put_object(Bucket="good", Key=key, Body=key.encode())
        # What was there before is hidden.
        os.makedirs(f"{outer}/data/2026")
        Path(outer, "data/2026/hidden").write_bytes(b"x")
        self.assertEqual(visible(inner), ["x", "y"])
        every = ["a", "data/2025/x", "data/2026/x", "data/2026/y/z", "data/x", "z"]
        for size in (1, 2, 5, 1000):
            more = {"PaginationConfig": {"PageSize": size}}
            self.assertEqual(self.keys("good", **more), every)
            self.assertEqual(self.keys("good", Prefix="data/2026", **more), every[2:4])
            pages = s3.get_paginator("list_objects").paginate(
                Bucket="good", Prefix="data/", Delimiter="/", **more
            )
            folded = [
                each.get("Prefix") or each["Key"]
                for page in pages
                for each in (*page.get("CommonPrefixes", ()), *page.get("Contents", ()))
            ]
            self.assertEqual(folded, ["data/2025/", "data/2026/", "data/x"])
        self.refused(
            "NoSuchKey", 404, s3.get_object, Bucket="good", Key="data/2026/hidden"
        )
        s3.copy_object(Bucket="good", Key="data/2026/c", CopySource="good/a")
        s3.copy_object(Bucket="good", Key="c", CopySource="good/data/2026/x")
        got = s3.get_object(Bucket="good", Key="c")["Body"].read()
        self.assertEqual((got, Path(inner, "c").read_bytes()), (b"data/2026/x", b"a"))
        upload = s3.create_multipart_upload(Bucket="good", Key="data/2026/m")[
            "UploadId"
        ]
        named = {"Bucket": "good", "Key": "data/2026/m", "UploadId": upload}
        listed = s3.list_multipart_uploads(Bucket="good", Prefix="data/")["Uploads"]
        self.assertEqual([each["Key"] for each in listed], ["data/2026/m"])
        part = s3.upload_part(**named, PartNumber=1, Body=b"whole")
        s3.complete_multipart_upload(
            **named,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        self.assertEqual(Path(inner, "m").read_bytes(), b"whole")
        versions = s3.list_object_versions(Bucket="good", Prefix="data/2026/")[
            "Versions"
        ]
        self.assertEqual(
            [each["Key"] for each in versions],
            ["data/2026/c", "data/2026/m", "data/2026/x", "data/2026/y/z"],
        )
        s3.delete_object(Bucket="good", Key="data/2026/x")
        self.assertFalse(os.path.exists(f"{inner}/x"))
        self.assertIn(
            "not mounted any more", self.tool("remove", "--path=/good/data/2026")
        )
        self.assertEqual(self.keys("good", Prefix="data/2026/"), ["data/2026/hidden"])

"""
Where values come from, which of them win, and what is said of wrong ones.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.app import sources
from alluxio_tw.app.config import Config, load
from alluxio_tw.app.properties import TABLE
from alluxio_tw.app.sections import Directory
from alluxio_tw.app.settings import Settings
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ufs.uris import locate

PORT = "alluxio.worker.s3.port"


class Files(SynchronousTestCase):
    """A test with a folder of its own, in which it stands."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def write(self, text: str, name: str = "site.properties") -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return name

    def wrong(
        self,
        file: str | None = None,
        *definitions: str,
        mounts: tuple[str, ...] = (),
        **environment: str,
    ) -> str:
        error = self.assertRaises(
            WrongConfiguration, load, file, definitions, mounts, environment
        )
        message: str = error.message
        self.assertEqual(message, " ".join(message.splitlines()))
        return message


class PrecedenceTests(Files):
    def test_defaults(self) -> None:
        """Without any configuration everything has a value, and nobody is warned."""
        config = load()
        self.assertEqual((config.edge.host, config.edge.port), ("127.0.0.1", 29998))
        self.assertEqual((config.admin.host, config.admin.port), ("127.0.0.1", 30000))
        self.assertIsNone(config.tls)
        self.assertIsNone(config.edge.https_port)
        self.assertEqual(config.warnings, ())
        self.assertEqual(config.data.folder, str(self.folder / "alluxio-s3-data"))

    def test_each_source_wins_over_the_one_before(self) -> None:
        """The command line wins over the environment, the environment over the file."""
        file = self.write(f"{PORT}=1\nalluxio.worker.web.port=2\n")
        around = {"ALLUXIO_WORKER_S3_PORT": "3"}

        def port(config: Config) -> int | None:
            return config.edge.port

        self.assertEqual(port(load(file)), 1)
        self.assertEqual(port(load(file, environment=around)), 3)
        self.assertEqual(port(load(file, [f"{PORT}=4"], environment=around)), 4)
        self.assertEqual(load(file, [f"{PORT}=4"], (), around).admin.port, 2)

    def test_sources_are_told(self) -> None:
        """Of every value it can be told where it was written."""
        file = self.write(f"\n# a\n{PORT}=1\nalluxio.worker.s3.region = \\\n  eu\n")
        config = load(
            file,
            ["alluxio.tw.threads.max=3"],
            environment={"ALLUXIO_WORKER_WEB_PORT": "5"},
        )
        rows = {row.name: (row.value, row.source) for row in config.explain()}
        self.assertEqual(rows[PORT], ("1", "site.properties:3"))
        self.assertEqual(rows["alluxio.worker.s3.region"], ("eu", "site.properties:4"))
        self.assertEqual(
            rows["alluxio.worker.web.port"],
            ("5", "environment ALLUXIO_WORKER_WEB_PORT"),
        )
        self.assertEqual(rows["alluxio.tw.threads.max"], ("3", "command line"))
        self.assertEqual(rows["alluxio.worker.s3.url.max.size"], ("8KB", "default"))
        self.assertLessEqual(set(TABLE), set(rows))

    def test_usual_places_of_the_file(self) -> None:
        """Without --config the file is looked for in conf/, or $ALLUXIO_CONF_DIR."""
        self.write(f"{PORT}=1\n", "conf/alluxio-site.properties")
        self.write(f"{PORT}=2\n", "etc/alluxio-site.properties")
        self.assertEqual(load().edge.port, 1)
        self.assertEqual(load(environment={"ALLUXIO_CONF_DIR": "etc"}).edge.port, 2)
        self.assertEqual(
            load(environment={"ALLUXIO_CONF_DIR": "empty"}).edge.port, 29998
        )

    def test_named_file_must_be_there(self) -> None:
        """A file that --config names and that is not there stops the start."""
        self.assertIn("'nowhere'", self.wrong("nowhere"))
        self.assertIn("No such file", self.wrong("nowhere"))

    def test_references(self) -> None:
        """A value may refer to another property, and follows it."""
        config = load(definitions=["alluxio.tw.data.dir=/d"])
        self.assertEqual([each.path for each in config.pages.directories], ["/d/cache"])
        self.assertEqual(config.logs.access_path, "/d/logs/access.log")
        around = self.wrong(None, "alluxio.tw.data.dir=${alluxio.tw.data.dir}")
        self.assertIn("refers to itself", around)
        self.assertIn(
            "did you mean alluxio.tw.data.dir",
            self.wrong(None, "alluxio.tw.log.path=${alluxio.tw.data.dri}/x"),
        )

    def test_file_in_latin_1(self) -> None:
        """A file that is not UTF-8 is read as Latin-1, as Java did."""
        path = self.folder / "latin"
        path.write_bytes("alluxio.tw.log.path=/tmp/é\n".encode("latin-1"))
        self.assertEqual(load("latin").logs.path, "/tmp/é")

    def test_windows_line_ends(self) -> None:
        """Lines are counted whatever they end in."""
        (self.folder / "crlf").write_bytes(f"#\r\n\r\n{PORT}=x\r\n".encode())
        self.assertIn("crlf:3: ", self.wrong("crlf"))


class WordingTests(Files):
    def test_unknown_property(self) -> None:
        """An unknown property is told with its line and what may have been meant."""
        file = self.write("\nalluxio.worker.s3.prot=1\n")
        self.assertEqual(
            self.wrong(file),
            "site.properties:2: unknown property 'alluxio.worker.s3.prot'; "
            f"did you mean {PORT}?",
        )

    def test_last_part_of_a_name(self) -> None:
        """The end of a name is enough for a hint."""
        self.assertIn(
            "did you mean alluxio.worker.page.store.evictor.class?",
            self.wrong(None, "evictor.class=LRU"),
        )

    def test_nothing_like_it(self) -> None:
        """Where nothing is near, the list of all is named."""
        self.assertIn("alluxio-s3 conf", self.wrong(None, "zzz=1"))

    def test_unreadable_value(self) -> None:
        """A wrong value is told with its place, and what to write instead."""
        self.assertEqual(
            self.wrong(None, f"{PORT}=http"),
            f"command line: {PORT}: 'http' is not a port: write a whole number from "
            "0 to 65535",
        )
        self.assertIn(
            "environment ALLUXIO_WORKER_PAGE_STORE_PAGE_SIZE: "
            "alluxio.worker.page.store.page.size: ",
            self.wrong(ALLUXIO_WORKER_PAGE_STORE_PAGE_SIZE="big"),
        )

    def test_hostile_values(self) -> None:
        """A value of many lines or characters makes a message of one short line."""
        message = self.wrong(None, f"{PORT}=a\nb\x1b[31m" + "x" * 10_000)
        self.assertLess(len(message), 400)
        self.assertNotIn("\x1b", message)

    def test_broken_escape(self) -> None:
        """A broken escape is told with its line."""
        self.assertIn("site.properties:2: ", self.wrong(self.write("#\na=\\u12x\n")))

    def test_definitions_have_a_value(self) -> None:
        """-D without a value is told how it is written."""
        self.assertIn("write it as -D name=value", self.wrong(None, PORT))
        self.assertIn("write it as -D name=value", self.wrong(None, "=1"))

    def test_environment(self) -> None:
        """A variable that can only be meant for us must be known."""
        self.assertIn(
            "did you mean ALLUXIO_WORKER_S3_PORT?",
            self.wrong(ALLUXIO_WORKER_S3_PROT="1"),
        )

    def test_variables_of_others(self) -> None:
        """What Alluxio's scripts and Kubernetes put into the environment is let be."""
        config = load(
            environment={
                "ALLUXIO_HOME": "/opt/alluxio",
                "ALLUXIO_JAVA_OPTS": "-Xmx1g",
                "ALLUXIO_WORKER_S3_SERVICE_HOST": "10.0.0.1",
                "ALLUXIO_WORKER_S3_SERVICE_PORT_HTTP": "29998",
                "ALLUXIO_WORKER_S3_PORT_29998_TCP_ADDR": "10.0.0.1",
                "ALLUXIO_WORKER_S3_PORT": "tcp://10.0.0.1:29998",
                "PATH": "/bin",
            }
        )
        self.assertEqual(config.edge.port, 29998)
        self.assertEqual(len(config.warnings), 1)
        self.assertIn("Kubernetes", config.warnings[0])

    def test_older_names(self) -> None:
        """A name of alluxio.proxy.s3 is understood, with a warning."""
        old = "alluxio.proxy.s3.header.metadata.max.size"
        config = load(definitions=[f"{old}=4KB"])
        self.assertEqual(config.s3.metadata_bytes, 4096)
        self.assertIn(old, config.warnings[0])
        self.assertIn("alluxio.worker.s3.header.metadata.max.size", config.warnings[0])

    def test_proper_name_wins_over_older(self) -> None:
        """Of both names in one file the proper one counts, in either order."""
        new = "alluxio.worker.s3.header.metadata.max.size=1KB"
        old = "alluxio.proxy.s3.header.metadata.max.size=4KB"
        for lines in ((new, old), (old, new)):
            config = load(self.write("\n".join(lines)))
            self.assertEqual(config.s3.metadata_bytes, 1024)

    def test_properties_passed_over(self) -> None:
        """Properties of Alluxio that need nothing here do not stop the start."""
        config = load(definitions=["alluxio.underfs.xattr.change.enabled=true"])
        self.assertIn("changes nothing", config.warnings[0])

    def test_set_twice(self) -> None:
        """Of two lines in a file the last counts, and that is told."""
        config = load(self.write(f"{PORT}=1\n{PORT}=2\n"))
        self.assertEqual(config.edge.port, 2)
        self.assertIn("site.properties:1", config.warnings[0])

    def test_simple_beyond_loopback(self) -> None:
        """A daemon that believes everyone warns when everyone can reach it."""
        host = "alluxio.worker.s3.bind.host"
        for quiet in ("127.0.0.9", "::1", "localhost"):
            self.assertEqual(load(definitions=[f"{host}={quiet}"]).warnings, ())
        self.assertIn("SIMPLE", load(definitions=[f"{host}=0.0.0.0"]).warnings[0])
        self.assertEqual(
            load(
                definitions=[
                    f"{host}=0.0.0.0",
                    "alluxio.worker.s3.authentication.type=SIGV4",
                ]
            ).warnings,
            (),
        )


class SectionTests(Files):
    def test_https_needs_a_certificate(self) -> None:
        """HTTPS only, and no certificate, is refused."""
        only = "alluxio.worker.s3.only.https.access=true"
        self.assertIn("needs a certificate", self.wrong(None, only))
        config = load(
            definitions=[only, "alluxio.worker.s3.tls.certificate.path=/c.pem"]
        )
        self.assertIsNone(config.edge.port)
        self.assertEqual(config.edge.https_port, 29996)
        assert config.tls is not None
        self.assertEqual(config.tls.key, "/c.pem")

    def test_key_without_certificate(self) -> None:
        """A key alone is refused rather than left unused."""
        self.assertIn(
            "certificate.path is not",
            self.wrong(None, "alluxio.worker.s3.tls.key.path=/k.pem"),
        )

    def test_ports_differ(self) -> None:
        """Two ports with one number are refused; 0 may be twice."""
        self.assertIn("both 30000", self.wrong(None, f"{PORT}=30000"))
        load(definitions=[f"{PORT}=0", "alluxio.worker.web.port=0"])

    def test_a_size_for_each_directory(self) -> None:
        """Directories have a size each, or all the same."""
        dirs = "alluxio.worker.page.store.dirs=/a,/b"
        size = "alluxio.worker.page.store.sizes="
        found = load(definitions=[dirs, size + "1GB, auto"]).pages.directories
        self.assertEqual(found, (Directory("/a", 1 << 30), Directory("/b", None)))
        found = load(definitions=[dirs, size + "1GB"]).pages.directories
        self.assertEqual([each.quota for each in found], [1 << 30] * 2)
        self.assertIn(
            "2 directories and 3 sizes", self.wrong(None, dirs, size + "1GB,1GB,1GB")
        )
        self.assertIn(
            "named twice", self.wrong(None, "alluxio.worker.page.store.dirs=/a,/a/")
        )

    def test_no_directories(self) -> None:
        """Without directories there is no cache on disk."""
        config = load(definitions=["alluxio.worker.page.store.dirs="])
        self.assertEqual(config.pages.directories, ())

    def test_automatic_quota_never_fills_the_disk(self) -> None:
        """A directory without a quota takes half of what is free, at most."""
        found = os.statvfs(self.folder)
        quota = Directory(str(self.folder), None).bytes()
        self.assertLessEqual(quota, 10 << 30)
        self.assertLessEqual(quota, found.f_bavail * found.f_frsize)
        self.assertLessEqual(quota, found.f_blocks * found.f_frsize // 10)
        self.assertRaises(
            WrongConfiguration, Directory(str(self.folder / "no"), None).bytes
        )

    def test_pages_fit_in_load_memory(self) -> None:
        """A page that could never be loaded is refused."""
        self.assertIn(
            "load.memory is less",
            self.wrong(
                None,
                "alluxio.worker.page.store.page.size=32MB",
                "alluxio.worker.page.store.load.memory=16MB",
            ),
        )


class MountTests(Files):
    def uris(self, config: Config) -> dict[str, str]:
        return {mount.path: mount.uri for mount in config.mounts}

    def test_embedded_root(self) -> None:
        """The folder for buckets is mounted at the root if nothing else is."""
        (root,) = load().mounts
        self.assertTrue(root.embedded)
        self.assertEqual(root.path, "/")
        self.assertEqual(
            locate(root.uri).path, str(self.folder / "alluxio-s3-data" / "buckets")
        )

    def test_no_root(self) -> None:
        """An empty URI for root is no mount there."""
        config = load(
            definitions=["alluxio.tw.mount.root.uri="], mounts=["a-b=memory:"]
        )
        self.assertEqual(self.uris(config), {"/a-b": "memory:"})

    def test_mount_on_the_command_line(self) -> None:
        """--mount takes a bucket, a path or the root."""
        config = load(
            mounts=["photos=s3://b/p?x=1=2", "/photos/new=memory:", "/=memory:r"]
        )
        self.assertEqual(
            self.uris(config),
            {
                "/": "memory:r",
                "/photos": "s3://b/p?x=1=2",
                "/photos/new": "memory:",
            },
        )

    def test_bucket_called_root(self) -> None:
        """A bucket may be called root."""
        config = load(mounts=["root=memory:a"])
        self.assertEqual(set(self.uris(config)), {"/", "/root"})

    def test_paths_become_uris(self) -> None:
        """A local path may be written as it is, whatever is in it."""
        config = load(mounts=["aaa=data/ä %#?", "bbb=~/x", "ccc=/srv/c:d"])
        found = self.uris(config)
        self.assertEqual(locate(found["/aaa"]).path, str(self.folder / "data/ä %#?"))
        self.assertEqual(locate(found["/bbb"]).path, os.path.expanduser("~/x"))
        self.assertEqual(locate(found["/ccc"]).path, "/srv/c:d")

    def test_mount_in_a_file(self) -> None:
        """A mount's properties belong together by its name; a name may have dots."""
        file = self.write(
            "alluxio.tw.mount.my.photos.uri=file:///srv/photos\n"
            "alluxio.tw.mount.my.photos.option.readonly=true\n"
            "alluxio.tw.mount.x.uri=file:///srv/x\n"
            "alluxio.tw.mount.x.path=/archive/old\n"
        )
        config = load(file)
        by_path = {mount.path: mount for mount in config.mounts}
        self.assertEqual(by_path["/my.photos"].options, {"readonly": "true"})
        self.assertEqual(by_path["/archive/old"].uri, "file:///srv/x")
        self.assertEqual(by_path["/archive/old"].origin, "site.properties:3")

    def test_mount_in_the_environment(self) -> None:
        """A mount can be made of variables alone."""
        config = load(
            environment={
                "ALLUXIO_TW_MOUNT_PHOTOS_URI": "memory:",
                "ALLUXIO_TW_MOUNT_PHOTOS_OPTION_MAX_AGE": "5s",
                "ALLUXIO_TW_MOUNT_OLD_URI": "memory:o",
                "ALLUXIO_TW_MOUNT_OLD_PATH": "/old.things",
            }
        )
        by_path = {mount.path: mount for mount in config.mounts}
        self.assertEqual(by_path["/photos"].options, {"max-age": "5s"})
        self.assertEqual(by_path["/old.things"].uri, "memory:o")

    def test_option_from_a_stronger_source(self) -> None:
        """An option on the command line is added to a mount of the file."""
        file = self.write(
            "alluxio.tw.mount.photos.uri=memory:\n"
            "alluxio.tw.mount.photos.option.a=1\n"
            "alluxio.tw.mount.photos.option.b=1\n"
        )
        config = load(file, ["alluxio.tw.mount.photos.option.b=2"])
        (_, photos) = config.mounts
        self.assertEqual(photos.options, {"a": "1", "b": "2"})

    def test_what_all_s3_storages_have(self) -> None:
        """What Alluxio says of all S3 storages is of each that says nothing of it."""
        threads = "alluxio.underfs.s3.upload.threads.max"
        given = (f"{threads}=9", "alluxio.tw.mount.own.option.upload_threads=3")
        mounts = (
            "far=s3://bucket",
            "own=s3a://bucket",
            "asks=s3://bucket?upload_threads=5",
            "near=./folder",
        )
        config = load(None, given, mounts, {})
        found = {mount.name: dict(mount.options) for mount in config.mounts}
        self.assertEqual(found["far"], {threads: "9"})
        self.assertEqual(found["own"], {"upload_threads": "3"})
        self.assertEqual((found["asks"], found["near"]), ({}, {}))
        config = load(None, (), mounts, {})
        self.assertEqual(
            [dict(mount.options) for mount in config.mounts if mount.path != "/"],
            [{}] * (len(config.mounts) - 1),
        )

    def test_stronger_uri_is_another_mount(self) -> None:
        """Options that were written for another URI do not go with the new one."""
        file = self.write(
            "alluxio.tw.mount.x.uri=memory:\nalluxio.tw.mount.x.path=/photos\n"
            "alluxio.tw.mount.x.option.a=1\n"
        )
        config = load(file, mounts=["photos=memory:new"])
        (_, photos) = config.mounts
        self.assertEqual((photos.uri, photos.options), ("memory:new", {}))

    def test_alluxio_mount_table(self) -> None:
        """Alluxio's names for mounts are understood, with a warning for each."""
        file = self.write(
            "alluxio.master.mount.table.root.ufs=memory:r\n"
            "alluxio.master.mount.table.x.ufs=memory:x\n"
            "alluxio.master.mount.table.x.alluxio=/photos\n"
            "alluxio.master.mount.table.x.readonly=true\n"
        )
        config = load(file)
        self.assertEqual(self.uris(config), {"/": "memory:r", "/photos": "memory:x"})
        self.assertEqual(config.mounts[1].options, {"readonly": "true"})
        self.assertEqual(len(config.warnings), 4)

    def test_what_cannot_be_mounted(self) -> None:
        """A mount that cannot be is refused, with what to write."""
        self.assertIn("write it as --mount", self.wrong(mounts=("photos",)))
        self.assertIn("write it as --mount", self.wrong(mounts=("=memory:",)))
        self.assertIn("given twice", self.wrong(mounts=("aaa=a", "/aaa=b")))
        self.assertIn("mount's path", self.wrong(mounts=("a b=memory:",)))
        self.assertIn("mount's path", self.wrong(mounts=("/aaa/../b=memory:",)))
        self.assertIn("mount's path", self.wrong(mounts=("/aaa/=memory:",)))
        self.assertIn("has no URI", self.wrong(None, "alluxio.tw.mount.a.option.b=1"))
        self.assertIn("uri is empty", self.wrong(None, "alluxio.tw.mount.abc.uri="))
        self.assertIn(
            "did you mean 'alluxio.tw.mount.photos.uri'?",
            self.wrong(None, "alluxio.tw.mount.photos=memory:"),
        )
        self.assertIn(
            "are both at '/abc'",
            self.wrong(
                self.write(
                    "alluxio.tw.mount.abc.uri=a:\n"
                    "alluxio.tw.mount.x.uri=b:\nalluxio.tw.mount.x.path=/abc\n"
                )
            ),
        )

    def test_secrets_are_not_shown(self) -> None:
        """A secret of a mount is in no explanation and no representation."""
        config = load(
            definitions=["alluxio.tw.mount.photos.option.secret-key=hush"],
            mounts=["photos=s3://user:hush@host/b?password=hush"],
        )
        self.assertEqual(config.mounts[1].options["secret-key"], "hush")
        self.assertNotIn("hush", repr(config))
        self.assertNotIn("hush", repr(config.explain()))


NAMES = st.sampled_from(sorted(TABLE)) | st.sampled_from(
    [
        "alluxio.tw.mount.a.uri",
        "alluxio.tw.mount.abc.path",
        "alluxio.tw.mount.abc.option.x",
        "alluxio.tw.mount..uri",
        "alluxio.master.mount.table.x.ufs",
        "alluxio.proxy.s3.header.metadata.max.size",
    ]
)
VALUES = st.text(max_size=20) | st.sampled_from(
    [
        "${alluxio.tw.data.dir}",
        "${",
        "${}",
        "${alluxio.tw.log.path}x",
        "1",
        "true",
        "/a",
    ]
)
LINES = st.tuples(NAMES | st.text(max_size=10), VALUES).map("=".join)


class RandomTests(SynchronousTestCase):
    def check(self, *args: object) -> None:
        try:
            config = load(*args)  # type: ignore[arg-type]
            config.explain()
        except WrongConfiguration as error:
            self.assertNotIn("\n", error.message)
            self.assertLess(len(error.message), 2000)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(LINES, max_size=6).map("\n".join) | st.text(max_size=200))
    def test_random_files(self, text: str) -> None:
        """Whatever is in a file, it is used or refused in one line."""
        try:
            Settings.of(sources.from_text(text, "file"), [])
        except WrongConfiguration as error:
            self.assertNotIn("\n", error.message)

    @settings(max_examples=300, deadline=None)
    @given(st.lists(LINES, max_size=4), st.lists(st.text(max_size=20), max_size=2))
    def test_random_command_lines(self, lines: list[str], mounts: list[str]) -> None:
        """Whatever is on the command line, it is used or refused in one line."""
        self.check(None, lines, mounts)

    @settings(max_examples=200, deadline=None)
    @given(
        st.dictionaries(
            st.text(max_size=10).map("ALLUXIO_TW_".__add__)
            | st.sampled_from(
                ["ALLUXIO_TW_MOUNT_A_URI", "ALLUXIO_TW_MOUNT_A_OPTION_B", "ALLUXIO_"]
            ),
            VALUES,
            max_size=4,
        )
    )
    def test_random_environments(self, environment: dict[str, str]) -> None:
        """Whatever is in the environment, it is used or refused in one line."""
        self.check(None, (), (), environment)

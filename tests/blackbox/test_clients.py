"""
The clients that users have, each doing what its users do.
"""

from __future__ import annotations

import io
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from tests.blackbox import clients
from tests.blackbox.case import BlackboxCase
from tests.blackbox.tree import Tree, digest, digests, real_tree

MB = 1 << 20
DATA = random.Random(13).randbytes(20 * MB)


class TreeTests(BlackboxCase):
    """
    A real tree, up and down again.
    """

    _tree: ClassVar[Tree | None] = None

    def tree(self) -> Tree:
        if TreeTests._tree is None or not os.path.isdir(TreeTests._tree.root):
            TreeTests._tree = real_tree(self.folder())
        return TreeTests._tree

    def aws(self, *words: str, secure: bool = False) -> str:
        environment = clients.environment(self.daemon, secure)
        return clients.run([clients.command("aws"), *words], environment)

    def test_sync(self) -> None:
        """aws s3 sync brings thousands of files up and down, and they are the same."""
        tree, bucket = self.tree(), self.bucket()
        self.assertGreater(len(tree.digests), 1000)
        self.aws("s3", "sync", "--only-show-errors", tree.root, f"s3://{bucket}/tree")
        again = self.aws("s3", "sync", tree.root, f"s3://{bucket}/tree")
        self.assertEqual(again.strip(), "")
        down = self.folder()
        self.aws("s3", "sync", "--only-show-errors", f"s3://{bucket}/tree", down)
        self.assertEqual(digests(down), tree.digests)
        self.aws("s3", "rm", "--recursive", "--only-show-errors", f"s3://{bucket}")
        self.assertEqual(self.aws("s3", "ls", f"s3://{bucket}"), "")
        self.aws("s3", "rb", f"s3://{bucket}")

    def test_tls(self) -> None:
        """The same over TLS with boto3, in threads; each folder lists what it holds."""
        tree, bucket = self.tree(), self.bucket()
        s3 = self.s3(secure=True)

        def up(key: str) -> None:
            s3.upload_file(os.path.join(tree.root, key), bucket, key)

        keys = sorted(tree.digests)[:1500]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(up, keys))
        pages = s3.get_paginator("list_objects_v2")
        found = [
            (each["Key"], each["Size"])
            for page in pages.paginate(Bucket=bucket, PaginationConfig={"PageSize": 97})
            for each in page["Contents"]
        ]
        wanted = sorted(keys, key=str.encode)
        self.assertEqual([key for key, _ in found], wanted)
        for key, size in found:
            self.assertEqual(size, os.path.getsize(os.path.join(tree.root, key)))
        self.walk(s3, bucket, "", keys)

        def down(key: str) -> tuple[str, str]:
            import hashlib

            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            return key, hashlib.sha256(body).hexdigest()

        with ThreadPoolExecutor(8) as pool:
            for key, sha in pool.map(down, keys):
                self.assertEqual(sha, tree.digests[key], key)

    def walk(self, s3: Any, bucket: str, prefix: str, keys: list[str]) -> None:
        """Every prefix, with a delimiter, lists what lies right beneath it."""
        page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
        files = [each["Key"] for each in page.get("Contents", ())]
        folders = [each["Prefix"] for each in page.get("CommonPrefixes", ())]
        beneath = [key[len(prefix) :] for key in keys if key.startswith(prefix)]
        self.assertEqual(
            files, sorted(prefix + key for key in beneath if "/" not in key)
        )
        heads = {key.split("/")[0] + "/" for key in beneath if "/" in key}
        self.assertEqual(folders, sorted(prefix + head for head in heads))
        for folder in folders:
            self.walk(s3, bucket, folder, keys)


class AWSTests(BlackboxCase):
    """
    AWS CLI.
    """

    def aws(self, *words: str, secure: bool = False) -> str:
        environment = clients.environment(self.daemon, secure)
        return clients.run([clients.command("aws"), *words], environment)

    def test_http(self) -> None:
        """s3 and s3api do what they say."""
        self.drive("aws-http", False)

    def test_tls(self) -> None:
        """The same over TLS."""
        self.drive("aws-tls", True)

    def drive(self, bucket: str, secure: bool) -> None:
        folder = self.folder()
        path = os.path.join(folder, "a b+ü.bin")
        with open(path, "wb") as file:
            file.write(DATA)

        def aws(*words: str) -> str:
            return self.aws(*words, secure=secure)

        aws("s3", "mb", f"s3://{bucket}")
        aws("s3", "cp", "--only-show-errors", path, f"s3://{bucket}/x/a b+ü.bin")
        self.assertIn("a b+ü.bin", aws("s3", "ls", "--recursive", f"s3://{bucket}"))
        self.assertIn("PRE x/", aws("s3", "ls", f"s3://{bucket}"))
        down = os.path.join(folder, "down")
        aws("s3", "cp", "--only-show-errors", f"s3://{bucket}/x/a b+ü.bin", down)
        self.assertEqual(digest(down), digest(path))
        head = json.loads(
            aws("s3api", "head-object", "--bucket", bucket, "--key", "x/a b+ü.bin")
        )
        self.assertEqual(head["ContentLength"], len(DATA))
        aws(
            "s3",
            "mv",
            "--only-show-errors",
            f"s3://{bucket}/x/a b+ü.bin",
            f"s3://{bucket}/y",
        )
        aws("s3", "rm", f"s3://{bucket}/y")
        aws("s3", "rb", f"s3://{bucket}")


class MinioTests(BlackboxCase):
    """
    minio-py.
    """

    def client(self, secure: bool) -> Any:
        minio = clients.module("minio")
        urllib3 = clients.module("urllib3")
        daemon = self.daemon
        pool = urllib3.PoolManager(
            cert_reqs="CERT_REQUIRED" if secure else "CERT_NONE",
            ca_certs=clients.authority(daemon) if secure else None,
            retries=False,
            timeout=60,
        )
        port = daemon.secure_port if secure else daemon.port
        return minio.Minio(
            endpoint=f"127.0.0.1:{port}",
            access_key=clients.USER,
            secret_key="anything",
            secure=secure,
            http_client=pool,
        )

    def drive(self, secure: bool) -> None:
        client = self.client(secure)
        bucket = self.bucket()
        self.assertTrue(client.bucket_exists(bucket_name=bucket))
        self.assertFalse(client.bucket_exists(bucket_name="no-such-bucket"))
        client.put_object(
            bucket_name=bucket,
            object_name="x/ü b",
            data=io.BytesIO(DATA),
            length=-1,
            part_size=5 * MB,
            metadata={"colour": "blue"},
        )
        stat = client.stat_object(bucket_name=bucket, object_name="x/ü b")
        self.assertEqual(stat.size, len(DATA))
        self.assertEqual(stat.metadata["x-amz-meta-colour"], "blue")
        answer = client.get_object(
            bucket_name=bucket, object_name="x/ü b", offset=1000, length=5000
        )
        self.assertEqual(answer.read(), DATA[1000:6000])
        answer.close()
        answer.release_conn()
        for number in range(30):
            client.put_object(
                bucket_name=bucket,
                object_name=f"many/{number}",
                data=io.BytesIO(b"x"),
                length=1,
            )
        names = [
            each.object_name
            for each in client.list_objects(bucket_name=bucket, recursive=True)
        ]
        self.assertEqual(
            names, [*sorted(f"many/{number}" for number in range(30)), "x/ü b"]
        )
        top = [each.object_name for each in client.list_objects(bucket_name=bucket)]
        self.assertEqual(top, ["many/", "x/"])
        for name in names:
            client.remove_object(bucket_name=bucket, object_name=name)
        client.remove_bucket(bucket_name=bucket)

    def test_http(self) -> None:
        """Buckets, streams of unknown length, ranges, listings, removal."""
        self.drive(False)

    def test_tls(self) -> None:
        """The same over TLS."""
        self.drive(True)


class S3cmdTests(BlackboxCase):
    """
    s3cmd.
    """

    def drive(self, secure: bool) -> None:
        daemon, folder = self.daemon, self.folder()
        bucket = f"s3cmd-{'tls' if secure else 'http'}"
        port = daemon.secure_port if secure else daemon.port
        words = [
            clients.command("s3cmd"),
            "--config=/dev/null",
            f"--access_key={clients.USER}",
            "--secret_key=anything",
            f"--host=127.0.0.1:{port}",
            f"--host-bucket=127.0.0.1:{port}",
            "--no-progress",
            "--max-retries=1",
            "--multipart-chunk-size-mb=5",
            *(
                (f"--ca-certs={clients.authority(daemon)}",)
                if secure
                else ("--no-ssl",)
            ),
        ]

        def s3cmd(*more: str) -> str:
            return clients.run([*words, *more], clients.environment(daemon))

        path = os.path.join(folder, "a b.bin")
        with open(path, "wb") as file:
            file.write(DATA)
        s3cmd("mb", f"s3://{bucket}")
        s3cmd("put", path, f"s3://{bucket}/x/a b+ü.bin")
        self.assertIn(f"s3://{bucket}/x/a b+ü.bin", s3cmd("ls", "-r", f"s3://{bucket}"))
        down = os.path.join(folder, "down")
        s3cmd("get", f"s3://{bucket}/x/a b+ü.bin", down)
        self.assertEqual(digest(down), digest(path))
        self.assertIn(str(len(DATA)), s3cmd("info", f"s3://{bucket}/x/a b+ü.bin"))
        s3cmd("cp", f"s3://{bucket}/x/a b+ü.bin", f"s3://{bucket}/copy")
        tree = os.path.join(folder, "tree")
        for name in ("one", "two/three", "two/four ü"):
            os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
            with open(os.path.join(tree, name), "w") as text:
                text.write(name)
        s3cmd("sync", tree + "/", f"s3://{bucket}/tree/")
        synced = os.path.join(folder, "synced") + "/"
        os.mkdir(synced)
        s3cmd("sync", f"s3://{bucket}/tree/", synced)
        self.assertEqual(digests(synced), digests(tree))
        s3cmd("del", "--recursive", "--force", f"s3://{bucket}")
        s3cmd("rb", f"s3://{bucket}")

    def test_http(self) -> None:
        """mb, put, ls, get, info, cp, sync, del, rb."""
        self.drive(False)

    def test_tls(self) -> None:
        """The same over TLS."""
        self.drive(True)


class S3fsTests(BlackboxCase):
    """
    s3fs, beneath pandas, dask and others.
    """

    def drive(self, secure: bool) -> None:
        s3fs = clients.module("s3fs")
        clients.module("aiobotocore")
        daemon, bucket = self.daemon, self.bucket()
        files = s3fs.S3FileSystem(
            key=clients.USER,
            secret="anything",
            endpoint_url=daemon.secure_url if secure else daemon.url,
            client_kwargs={
                "region_name": clients.REGION,
                **({"verify": clients.authority(daemon)} if secure else {}),
            },
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        with files.open(f"{bucket}/x/ü b.bin", "wb", block_size=5 * MB) as file:
            file.write(DATA)
        self.assertEqual(files.info(f"{bucket}/x/ü b.bin")["size"], len(DATA))
        with files.open(f"{bucket}/x/ü b.bin", "rb", block_size=MB) as file:
            for offset in (0, 5_000_000, 17, len(DATA) - 10):
                file.seek(offset)
                self.assertEqual(file.read(100_000), DATA[offset : offset + 100_000])
        files.pipe({f"{bucket}/many/{number}": b"%d" % number for number in range(50)})
        self.assertEqual(len(files.ls(f"{bucket}/many")), 50)
        self.assertEqual(len(files.find(bucket)), 51)
        self.assertEqual(len(files.glob(f"{bucket}/many/4*")), 11)
        self.assertEqual(
            files.cat([f"{bucket}/many/{number}" for number in range(3)]),
            {f"{bucket}/many/{number}": b"%d" % number for number in range(3)},
        )
        files.mv(f"{bucket}/many/1", f"{bucket}/moved")
        self.assertFalse(files.exists(f"{bucket}/many/1"))
        self.assertTrue(files.isdir(f"{bucket}/many"))
        files.rm(files.find(bucket))
        files.rmdir(bucket)
        self.assertFalse(files.exists(bucket))

    def test_http(self) -> None:
        """Files are written, sought in, listed, globbed, moved and removed."""
        self.drive(False)

    def test_tls(self) -> None:
        """The same over TLS."""
        self.drive(True)


class ArrowTests(BlackboxCase):
    """
    PyArrow's S3FileSystem, which is the AWS SDK for C++.
    """

    def drive(self, secure: bool) -> None:
        fs = clients.module("pyarrow.fs")
        arrow = clients.module("pyarrow")
        parquet = clients.module("pyarrow.parquet")
        dataset = clients.module("pyarrow.dataset")
        daemon, bucket = self.daemon, self.bucket()
        port = daemon.secure_port if secure else daemon.port
        more: dict[str, Any] = {}
        if secure:
            more["tls_ca_file_path"] = clients.authority(daemon)
        files = fs.S3FileSystem(
            access_key=clients.USER,
            secret_key="anything",
            region=clients.REGION,
            scheme="https" if secure else "http",
            endpoint_override=f"127.0.0.1:{port}",
            allow_bucket_creation=True,
            allow_bucket_deletion=True,
            **more,
        )
        with files.open_output_stream(f"{bucket}/x/ü b.bin") as stream:
            stream.write(DATA)
        self.assertEqual(files.get_file_info(f"{bucket}/x/ü b.bin").size, len(DATA))
        with files.open_input_file(f"{bucket}/x/ü b.bin") as file:
            file.seek(5_000_000)
            self.assertEqual(file.read(70_000), DATA[5_000_000:5_070_000])
        table = arrow.table(
            {
                "number": list(range(100_000)),
                "word": [f"w{number % 7}" for number in range(100_000)],
            }
        )
        parquet.write_to_dataset(
            table, f"{bucket}/table", partition_cols=["word"], filesystem=files
        )
        found = dataset.dataset(
            f"{bucket}/table", filesystem=files, partitioning="hive"
        ).to_table(filter=dataset.field("word") == "w3", columns=["number"])
        self.assertEqual(
            sorted(found["number"].to_pylist()),
            [number for number in range(100_000) if number % 7 == 3],
        )
        files.copy_file(f"{bucket}/x/ü b.bin", f"{bucket}/copy")
        files.create_dir(f"{bucket}/empty")
        listed = files.get_file_info(fs.FileSelector(bucket, recursive=False))
        self.assertEqual(
            sorted(each.base_name for each in listed), ["copy", "empty", "table", "x"]
        )
        files.delete_dir(f"{bucket}/table")
        files.delete_dir_contents(bucket)
        files.delete_dir(bucket)
        kind = files.get_file_info(bucket).type
        self.assertEqual(kind, fs.FileType.NotFound)

    def test_http(self) -> None:
        """A Parquet data set is written in partitions and read with a filter."""
        self.drive(False)

    def test_tls(self) -> None:
        """The same over TLS."""
        self.drive(True)


class CurlTests(BlackboxCase):
    """
    curl, signed and plain.
    """

    def test_curl(self) -> None:
        """curl puts, gets, resumes and signs."""
        daemon, bucket, folder = self.daemon, self.bucket(), self.folder()
        curl = [clients.command("curl"), "-sS", "--fail", "--noproxy", "*"]
        path = os.path.join(folder, "up")
        with open(path, "wb") as file:
            file.write(DATA)
        for url, more in (
            (daemon.url, []),
            (daemon.secure_url, ["--cacert", clients.authority(daemon)]),
        ):
            target = f"{url}/{bucket}/a%20b"
            clients.run([*curl, *more, "-T", path, target])
            down = os.path.join(folder, "down")
            clients.run([*curl, *more, "-o", down, target])
            self.assertEqual(digest(down), digest(path))
            with open(down, "r+b") as file:
                file.truncate(1_000_000)
            clients.run([*curl, *more, "-C", "-", "-o", down, target])
            self.assertEqual(digest(down), digest(path))
            part = clients.run([*curl, *more, "-r", "0-9", "-I", target])
            self.assertIn("206", part.splitlines()[0])
        user = f"{clients.USER}:anything"
        signed = ["--user", user, "--aws-sigv4", "aws:amz:us-east-1:s3"]
        said = clients.run([*curl, *signed, f"{daemon.url}/"])
        self.assertIn(f"<Name>{bucket}</Name>", said)

    def test_stdin(self) -> None:
        """A PUT of unknown length is taken, or refused in plain words."""
        daemon, bucket = self.daemon, self.bucket()
        curl = [clients.command("curl"), "-sS", "--noproxy", "*"]
        status = clients.run(
            [
                *curl,
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-T",
                "-",
                f"{daemon.url}/{bucket}/a",
            ],
            data=b"hello",
        )
        self.assertIn(status, ("200", "411"))

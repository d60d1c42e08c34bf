from __future__ import annotations

from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    GatewayError,
    InvalidArgument,
    InvalidBucketName,
    InvalidURI,
    KeyTooLong,
)
from alluxio_tw.s3.path import (
    Addressing,
    BucketPath,
    Kind,
    ObjectPath,
    Root,
    authority_of,
    parse_copy_source,
    parse_query,
    parse_target,
)

KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
).filter(lambda key: len(key.encode()) <= 1024)


def key_of(raw: bytes) -> str:
    target = parse_target(raw)
    assert isinstance(target, ObjectPath), target
    return target.key


class PathTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """A path is the service, a bucket or an object by what follows its slashes."""
        for raw, kind in (
            (b"/", Kind.SERVICE),
            (b"/?x=y", Kind.SERVICE),
            (b"/bucket", Kind.BUCKET),
            (b"/bucket/", Kind.BUCKET),
            (b"/bucket/k", Kind.OBJECT),
            (b"/bucket//", Kind.OBJECT),
        ):
            self.assertIs(parse_target(raw).kind, kind, raw)

    def test_plain_object(self) -> None:
        """A plain target keeps what a signature covers beside what it means."""
        self.assertEqual(
            parse_target(b"/bucket/a/b.txt?acl"),
            ObjectPath("bucket", "a/b.txt", {"acl": None}, b"/bucket/a/b.txt", b"acl"),
        )

    def test_a_key_is_taken_as_it_is(self) -> None:
        """Nothing of a key is cleaned up: pluses, dots and slashes are its own."""
        for raw, key in (
            (b"/b/a+b", "a+b"),
            (b"/b/a%2Bb", "a+b"),
            (b"/b/a%20b", "a b"),
            (b"/b/a%2Fb", "a/b"),
            (b"/b/../x", "../x"),
            (b"/b/./x/..", "./x/.."),
            (b"/b//x", "/x"),
            (b"/b/x//", "x//"),
            (b"/b/%25zz", "%zz"),
            (b"/b/%2525", "%25"),
            (b"/b/%C3%A9", "é"),
            ("/b/é".encode(), "é"),
            (b"/b/a=b&c", "a=b&c"),
            (b"/b/a%3Fb", "a?b"),
        ):
            self.assertEqual(key_of(raw), key, raw)

    def test_what_cannot_be_read_is_an_invalid_uri(self) -> None:
        """Broken escapes, broken UTF-8, NULs and odd forms are all InvalidURI."""
        for raw in (
            b"/b/%",
            b"/b/%2",
            b"/b/%zz",
            b"/%zz/k",
            b"/b/%FF",
            b"/b/\xff",
            b"/b/%ED%A0%80",
            b"/b/a%00",
            b"/b/a\0",
            b"/b/k?x=%z",
            b"/b/k?%FF",
            b"",
            b"*",
            b"b/k",
            b"host:443",
            b"ftp://host/b",
            b"http:///b",
        ):
            self.assertRaises(InvalidURI, parse_target, raw)

    def test_impossible_buckets(self) -> None:
        """A bucket that would climb out of, or deeper into, a tree is refused."""
        for raw in (b"//k", b"//", b"/../k", b"/./k", b"/%2E%2E/k", b"/a%2Fb", b"/.."):
            self.assertRaises(InvalidBucketName, parse_target, raw)
        self.assertRaises(InvalidBucketName, parse_target, b"/a%00/k")

    def test_key_length_is_counted_in_bytes(self) -> None:
        """A key may have 1,024 bytes of UTF-8 and not one more."""
        key_of(b"/b/" + b"k" * 1024)
        key_of(b"/b/" + b"%C3%A9" * 512)
        for raw, size in (
            (b"/b/" + b"k" * 1025, "1025"),
            (b"/b/k" + b"%C3%A9" * 512, "1025"),
        ):
            error = self.assertRaises(KeyTooLong, parse_target, raw)
            self.assertEqual(
                dict(error.fields), {"Size": size, "MaxSizeAllowed": "1024"}
            )
        longer = Addressing(max_key_length=2000)
        self.assertEqual(
            parse_target(b"/b/" + b"k" * 1025, None, longer).kind, Kind.OBJECT
        )

    def test_absolute_form(self) -> None:
        """An absolute target means what its path means, and its host counts."""
        self.assertEqual(
            parse_target(b"HTTP://host:1/b/k?x=1", b"other"),
            ObjectPath("b", "k", {"x": "1"}, b"/b/k", b"x=1"),
        )
        self.assertIsInstance(parse_target(b"http://host"), Root)
        self.assertIsInstance(parse_target(b"http://host?uploads"), Root)
        addressing = Addressing(domains=("example.com",))
        target = parse_target(b"https://u@b.example.com/k", b"example.com", addressing)
        self.assertEqual((target.kind, target.raw_path), (Kind.OBJECT, b"/k"))

    def test_virtual_hosts(self) -> None:
        """Before a configured domain stands the bucket, and the whole path is the key."""
        addressing = Addressing(domains=("example.com", "S3.example.com."))
        for host, bucket in (
            (b"photos.s3.example.com", "photos"),
            (b"Photos.S3.Example.com:29998", "photos"),
            (b"a.b.s3.example.com.", "a.b"),
            (b"photos.example.com", "photos"),
        ):
            target = parse_target(b"/x/y", host, addressing)
            self.assertIsInstance(target, ObjectPath)
            assert isinstance(target, ObjectPath)
            self.assertEqual((target.bucket, target.key), (bucket, "x/y"))
            self.assertIsInstance(parse_target(b"/?acl", host, addressing), BucketPath)
        for plain in (b"s3.example.com", b"example.com:80", b"other.org", b"[::1]:9"):
            target = parse_target(b"/x/y", plain, addressing)
            assert isinstance(target, ObjectPath)
            self.assertEqual((target.bucket, target.key), ("x", "y"))
        self.assertIsInstance(parse_target(b"/", b"notexample.com", addressing), Root)

    def test_a_virtual_hosted_key_may_begin_with_a_slash(self) -> None:
        """Of two leading slashes one is the key's."""
        target = parse_target(b"//k", b"b.x.y", Addressing(domains=("x.y",)))
        assert isinstance(target, ObjectPath)
        self.assertEqual(target.key, "/k")

    def test_path_prefix(self) -> None:
        """A configured prefix may stand before the bucket; the signed path keeps it."""
        addressing = Addressing(prefix="/s3/")
        for raw, kind in (
            (b"/s3", Kind.SERVICE),
            (b"/s3/", Kind.SERVICE),
            (b"/s3/b", Kind.BUCKET),
            (b"/s3/b/k", Kind.OBJECT),
            (b"/s3x/k", Kind.OBJECT),
            (b"/s3x", Kind.BUCKET),
        ):
            target = parse_target(raw, None, addressing)
            self.assertIs(target.kind, kind, raw)
            self.assertEqual(target.raw_path, raw)

    @given(KEYS)
    def test_any_key_survives_its_encoding(self, key: str) -> None:
        """Whatever a client percent-encodes is the key it meant."""
        self.assertEqual(key_of(b"/b/" + quote(key, safe="/").encode()), key)
        self.assertEqual(key_of(b"/b/" + quote(key, safe="").encode()), key)

    @given(KEYS)
    def test_hosted_and_path_style_agree(self, key: str) -> None:
        """A key is the same key in both ways of addressing."""
        encoded = b"/" + quote(key, safe="/").encode()
        target = parse_target(encoded, b"b.x.y", Addressing(domains=("x.y",)))
        assert isinstance(target, ObjectPath)
        self.assertEqual((target.bucket, target.key), ("b", key))

    @given(st.binary(max_size=80), st.none() | st.binary(max_size=20))
    def test_no_bytes_break_it(self, raw: bytes, host: bytes | None) -> None:
        """Of random bytes comes a target or an error of ours, in every addressing."""
        for addressing in (
            Addressing(),
            Addressing(domains=("x",), prefix="/s3", max_key_length=10),
        ):
            for candidate in (raw, b"/" + raw, b"/b/" + raw):
                try:
                    target = parse_target(candidate, host, addressing)
                except GatewayError:
                    continue
                if isinstance(target, ObjectPath):
                    self.assertTrue(target.key)
                    self.assertNotIn("\0", target.key)
                    self.assertNotIn("/", target.bucket)


class QueryTests(SynchronousTestCase):
    def test_values(self) -> None:
        """A parameter has no value, an empty one, or one; the first of several counts."""
        self.assertEqual(
            dict(parse_query(b"a&b=&c=1=2&&c=3&d+e=f%2Bg+h&%C3%A9")),
            {"a": None, "b": "", "c": "1=2", "d e": "f+g h", "é": None},
        )

    @given(st.dictionaries(KEYS, KEYS, max_size=5))
    def test_round_trip(self, parameters: dict[str, str]) -> None:
        """Whatever a client encodes as a form is what it meant."""
        raw = "&".join(
            f"{quote_plus(k)}={quote_plus(v)}" for k, v in parameters.items()
        )
        self.assertEqual(dict(parse_query(raw.encode())), parameters)


class CopySourceTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """A copy source may begin with a slash and end in a version."""
        for raw, bucket, key, version in (
            (b"bkt/k", "bkt", "k", None),
            (b"/bkt/k%20/x+y", "bkt", "k /x+y", None),
            (b"bkt/k%3Fa?versionId=null", "bkt", "k?a", "null"),
        ):
            source = parse_copy_source(raw)
            self.assertEqual((source.bucket, source.key), (bucket, key))
            self.assertEqual(source.query.get("versionId"), version)

    def test_refused(self) -> None:
        """What names no bucket and key is InvalidArgument."""
        for raw in (
            b"",
            b"/",
            b"bkt",
            b"bkt/",
            b"b/k",
            b"2001:db8::1/k",
            b"my-buc@k&()t/k",
            b"/b/",
            b"//k",
            b"../k",
            b"b/%zz",
            b"b/%00",
        ):
            error = self.assertRaises(InvalidArgument, parse_copy_source, raw)
            self.assertEqual(error.fields["ArgumentName"], "x-amz-copy-source")


class AuthorityTests(SynchronousTestCase):
    def test_authority(self) -> None:
        """The authority is what stands between the slashes, without a user."""
        for raw, found in (
            (b"http://host:80/b/k", b"host:80"),
            (b"HTTPS://host", b"host"),
            (b"http://user:word@host/b?x=http://y/", b"host"),
        ):
            self.assertEqual(authority_of(raw), found)
        self.assertRaises(InvalidURI, authority_of, b"/b/k")

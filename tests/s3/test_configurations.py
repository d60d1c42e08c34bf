from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    InvalidRequest,
    MalformedACL,
    MalformedXML,
    MissingRequestBody,
    NotImplementedYet,
)
from alluxio_tw.s3.configurations import (
    AccessControlList,
    BucketConfiguration,
    CORSRule,
    Grant,
    parse_access_control,
    parse_bucket_configuration,
    parse_cors,
    parse_tagging,
    parse_versioning,
)

XSI = "http://www.w3.org/2001/XMLSchema-instance"


class BucketConfigurationTests(SynchronousTestCase):
    def read(self, inner: str) -> BucketConfiguration:
        document = f"<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>"
        return parse_bucket_configuration(document.encode())

    def test_read(self) -> None:
        """A new bucket may be given a region and tags, or nothing at all."""
        self.assertEqual(parse_bucket_configuration(b""), BucketConfiguration())
        self.assertEqual(self.read(""), BucketConfiguration())
        self.assertEqual(
            self.read(
                "<LocationConstraint> eu-west-1 </LocationConstraint>"
                "<Tags><Tag><Key>k</Key><Value>v</Value></Tag></Tags>"
            ),
            BucketConfiguration("eu-west-1", (("k", "v"),)),
        )

    def test_directory_buckets(self) -> None:
        """A directory bucket is not made as if it were another."""
        for inner in (
            "<Bucket><Type>Directory</Type></Bucket>",
            "<Location><Name>use1-az1</Name></Location>",
        ):
            self.assertRaises(NotImplementedYet, self.read, inner)

    def test_malformed(self) -> None:
        """Another root, or scraps, are malformed."""
        for raw in (b"<Delete/>", b"<CreateBucketConfiguration>", b"x"):
            self.assertRaises(MalformedXML, parse_bucket_configuration, raw)


class TaggingTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Tags come in their order, untouched."""
        self.assertEqual(
            parse_tagging(
                b"<Tagging><TagSet><Tag><Key>b </Key><Value/></Tag>"
                b"<Tag><Value>1</Value><Key>a</Key></Tag></TagSet></Tagging>"
            ),
            (("b ", ""), ("a", "1")),
        )
        self.assertEqual(parse_tagging(b"<Tagging><TagSet/></Tagging>"), ())

    def test_malformed(self) -> None:
        """A tagging needs its set, a tag its key and value."""
        self.assertRaises(MissingRequestBody, parse_tagging, b"")
        for raw in (
            b"<Tagging/>",
            b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
            b"<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>",
            b"<Tagging><TagSet/><TagSet/></Tagging>",
        ):
            self.assertRaises(MalformedXML, parse_tagging, raw)


class VersioningTests(SynchronousTestCase):
    def read(self, inner: str) -> str:
        document = f"<VersioningConfiguration>{inner}</VersioningConfiguration>"
        return parse_versioning(document.encode())

    def test_read(self) -> None:
        """Versioning is Enabled or Suspended, and nothing else."""
        for status in ("Enabled", "Suspended"):
            self.assertEqual(self.read(f"<Status>{status}</Status>"), status)
        for inner in ("", "<Status>enabled</Status>", "<Status>Disabled</Status>"):
            self.assertRaises(MalformedXML, self.read, inner)

    def test_mfa(self) -> None:
        """A second factor is not promised."""
        self.assertRaises(
            NotImplementedYet,
            self.read,
            "<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>",
        )


class CORSTests(SynchronousTestCase):
    def read(self, inner: str) -> tuple[CORSRule, ...]:
        document = f"<CORSConfiguration>{inner}</CORSConfiguration>"
        return parse_cors(document.encode())

    def rule(self, more: str) -> tuple[CORSRule, ...]:
        return self.read(
            "<CORSRule><AllowedOrigin>o</AllowedOrigin>"
            f"<AllowedMethod>GET</AllowedMethod>{more}</CORSRule>"
        )

    def test_read(self) -> None:
        """A rule has origins and methods, and may have the rest."""
        self.assertEqual(
            self.rule(
                "<AllowedOrigin>https://*.x</AllowedOrigin>"
                "<AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader>"
                "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>5</MaxAgeSeconds>"
                "<ID>i</ID>"
            ),
            (
                CORSRule(
                    ("o", "https://*.x"), ("GET", "PUT"), ("*",), ("ETag",), 5, "i"
                ),
            ),
        )
        self.assertEqual(self.rule(""), (CORSRule(("o",), ("GET",)),))

    def test_refused(self) -> None:
        """Methods that S3 lacks and wildcards too many are refused by name."""
        for more, word in (
            ("<AllowedMethod>PATCH</AllowedMethod>", "PATCH"),
            ("<AllowedMethod>get</AllowedMethod>", "get"),
            ("<AllowedOrigin>*.*</AllowedOrigin>", "*.*"),
            ("<AllowedHeader>*-*</AllowedHeader>", "*-*"),
            ("<ExposeHeader>x-*</ExposeHeader>", "x-*"),
            ("<ExposeHeader>a b</ExposeHeader>", "a b"),
            ("<AllowedHeader>x:y</AllowedHeader>", "x:y"),
            ("<AllowedHeader>\u00fc</AllowedHeader>", "\u00fc"),
        ):
            self.assertIn(
                word, self.assertRaises(InvalidRequest, self.rule, more).message
            )

    def test_age(self) -> None:
        """An age may be below nought, as of AWS; it must be a number."""
        [found] = self.rule("<MaxAgeSeconds>-100</MaxAgeSeconds>")
        self.assertEqual(found.max_age, -100)
        for age in ("--1", "-", "1.5", ""):
            self.assertRaises(
                MalformedXML, self.rule, f"<MaxAgeSeconds>{age}</MaxAgeSeconds>"
            )

    def test_malformed(self) -> None:
        """One to a hundred rules, each with an origin and a method."""
        rule = (
            "<CORSRule><AllowedOrigin>o</AllowedOrigin>"
            "<AllowedMethod>GET</AllowedMethod></CORSRule>"
        )
        self.assertEqual(len(self.read(rule * 100)), 100)
        for inner in (
            "",
            rule * 101,
            "<CORSRule><AllowedOrigin>o</AllowedOrigin></CORSRule>",
            "<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>",
        ):
            self.assertRaises(MalformedXML, self.read, inner)
        for more in (
            "<MaxAgeSeconds>x</MaxAgeSeconds>",
            f"<ID>{'i' * 256}</ID>",
        ):
            self.assertRaises(MalformedXML, self.rule, more)


class AccessControlTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Grants name somebody by ID, URI or address, and what they may do."""
        raw = (
            "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>"
            f'<Grant><Grantee xmlns:xsi="{XSI}" xsi:type="CanonicalUser"><ID>me</ID>'
            "</Grantee><Permission>FULL_CONTROL</Permission></Grant>"
            f'<Grant><Grantee xmlns:xsi="{XSI}" xsi:type="Group"><URI>u</URI>'
            "</Grantee><Permission>READ</Permission></Grant>"
            "</AccessControlList></AccessControlPolicy>"
        )
        self.assertEqual(
            parse_access_control(raw.encode()),
            AccessControlList("me", (Grant("me", "FULL_CONTROL"), Grant("u", "READ"))),
        )

    def test_malformed(self) -> None:
        """A bad list is a malformed ACL, a missing one a missing body."""
        self.assertRaises(MissingRequestBody, parse_access_control, b"")
        for inner in (
            "",
            "<AccessControlList><Grant/></AccessControlList>",
            "<AccessControlList><Grant><Grantee/><Permission>READ</Permission>"
            "</Grant></AccessControlList>",
            "<AccessControlList><Grant><Grantee><ID>a</ID></Grantee></Grant>"
            "</AccessControlList>",
        ):
            document = f"<AccessControlPolicy>{inner}</AccessControlPolicy>"
            self.assertRaises(MalformedACL, parse_access_control, document.encode())
        self.assertRaises(MalformedACL, parse_access_control, b"<a>")

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw import errors
from alluxio_tw.errors import GatewayError
from alluxio_tw.s3.faults import FAULTS, Fault, error_document, fault_of


def fields_of(document: bytes) -> list[tuple[str, str]]:
    root = etree.fromstring(document)
    assert root.tag == "Error"
    return [(str(child.tag), child.text or "") for child in root]


class FaultsTests(SynchronousTestCase):
    def test_every_noun_is_in_the_table(self) -> None:
        """Each class of errors.py has its code and its status."""
        nouns = {
            value
            for value in vars(errors).values()
            if isinstance(value, type) and issubclass(value, GatewayError)
        } - {GatewayError}
        self.assertEqual(set(FAULTS), nouns)

    def test_blame(self) -> None:
        """Callers are to blame for 4xx, storage for what AWS would say, we for 5xx."""
        for cls, fault in FAULTS.items():
            if issubclass(cls, errors.NotImplementedYet):
                self.assertEqual(fault, Fault("NotImplemented", 501))
            elif issubclass(cls, errors.CallerError):
                self.assertTrue(304 <= fault.status < 500, cls)
            elif issubclass(cls, errors.OurError):
                self.assertTrue(500 <= fault.status < 600, cls)

    def test_codes_that_are_not_the_name(self) -> None:
        """Where S3 calls it otherwise than we do, S3's word is what is sent."""
        for error, code, status in (
            (errors.KeyTooLong(), "KeyTooLongError", 400),
            (errors.ContentSHA256Mismatch(), "XAmzContentSHA256Mismatch", 400),
            (errors.InvalidToken(), "InvalidArgument", 400),
            (errors.StorageBusy(), "SlowDown", 503),
            (errors.StorageReadOnly(), "AccessDenied", 403),
            (errors.StorageFull(), "InsufficientStorage", 507),
            (errors.NoSuchPath(), "InternalError", 500),
        ):
            self.assertEqual(fault_of(error), Fault(code, status))

    def test_a_subclass_is_what_its_base_is(self) -> None:
        """A driver's own error is told as what it is a kind of."""

        class Throttled(errors.StorageBusy):
            """Too fast."""

        self.assertEqual(fault_of(Throttled()), Fault("SlowDown", 503))

    def test_foreign_errors_tell_nothing(self) -> None:
        """What is no error of ours is an InternalError that gives nothing away."""
        error = KeyError("/secret/path")
        self.assertEqual(fault_of(error), Fault("InternalError", 500))
        document = error_document(error, "/b/k", "R", "H")
        self.assertNotIn(b"secret", document)
        self.assertIn(b"<Code>InternalError</Code>", document)

    def test_document(self) -> None:
        """An error document has code, message, fields, resource and both ids."""
        error = errors.InvalidArgument(
            "Not <so>", ArgumentName="x", ArgumentValue="a&b", Resource="no"
        )
        document = error_document(error, "/bücket/k", "R", "H")
        self.assertTrue(document.startswith(b'<?xml version="1.0" encoding="UTF-8"?>'))
        self.assertEqual(
            fields_of(document),
            [
                ("Code", "InvalidArgument"),
                ("Message", "Not <so>"),
                ("ArgumentName", "x"),
                ("ArgumentValue", "a&b"),
                ("Resource", "/bücket/k"),
                ("RequestId", "R"),
                ("HostId", "H"),
            ],
        )

    @given(st.text(), st.text(), st.text(), st.text())
    def test_any_text_makes_a_document(
        self, message: str, name: str, value: str, resource: str
    ) -> None:
        """No message, field or resource makes a document that cannot be read."""
        error = errors.NoSuchKey(message, **{name: value, "Key": value})
        read = dict(fields_of(error_document(error, resource, "R", "H")))
        self.assertEqual(read["Code"], "NoSuchKey")
        self.assertEqual(len(read["Key"]), len(value))

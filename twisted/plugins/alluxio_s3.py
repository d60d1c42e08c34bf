"""
Tells twistd of C{alluxio-s3}: a name and where it lives, imported when used.
"""

from twisted.application.service import ServiceMaker

alluxio_s3 = ServiceMaker(
    "alluxio-tw S3 gateway",
    "alluxio_tw.app.tap",
    "An S3 endpoint in front of any storage, made fast by a page cache.",
    "alluxio-s3",
)

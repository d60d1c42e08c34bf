"""
The drivers of under file systems that come with the gateway: named, not imported.
"""

from alluxio_tw.iufs import UFSMaker

local = UFSMaker(("file",), "alluxio_tw.ufs.local.make")
memory = UFSMaker(("memory",), "alluxio_tw.ufs.memory.make")
slow = UFSMaker(("slow+",), "alluxio_tw.ufs.slow.make")
s3 = UFSMaker(("s3", "s3a"), "alluxio_tw.ufs.s3.make")
fsspec = UFSMaker(("fsspec+",), "alluxio_tw.ufs.fsspec.make")
webhdfs = UFSMaker(("webhdfs", "swebhdfs"), "alluxio_tw.ufs.webhdfs.make")

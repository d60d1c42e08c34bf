"""
The driver for C{sqlite:///path}: named, not imported.
"""

from alluxio_tw.iufs import UFSMaker

sqlite = UFSMaker(("sqlite",), "alluxio_tw_sqlite.driver.make")

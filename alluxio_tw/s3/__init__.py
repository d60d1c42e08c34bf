"""
The S3 language: bytes and values in, values and bytes out; no I/O, no Twisted.
"""

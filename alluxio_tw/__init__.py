"""
An S3 endpoint in front of any storage, made fast by a page cache.
"""

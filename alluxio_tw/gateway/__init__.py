"""
What an S3 operation means over mounts, cache and storage.
"""

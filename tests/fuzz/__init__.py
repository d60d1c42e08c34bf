"""
Scripts that throw bytes at parsers for as long as one likes; no part of the suite.
"""

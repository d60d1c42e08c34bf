"""
Real servers for tests, on loopback, each a process of its own.
"""

"""
HTTP/1.1 at the edge.
"""

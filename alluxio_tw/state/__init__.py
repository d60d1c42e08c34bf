"""
What must survive: a small store with compare-and-set.
"""

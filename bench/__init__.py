"""
What measures: hit ratios, and how fast the whole thing is.
"""

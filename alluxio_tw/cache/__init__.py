"""
Pages: stores of them, tiers of stores, and who is evicted.
"""

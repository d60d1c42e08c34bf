"""
Where a path leads: mounts, and what is known of the objects behind them.
"""

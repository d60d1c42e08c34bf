"""
Drivers of under file systems.
"""

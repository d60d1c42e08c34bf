"""
Tests of the drivers of under file systems.
"""

"""
Contract suites, run against every implementation of ours.
"""

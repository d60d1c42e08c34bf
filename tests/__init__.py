"""
The tests; they mirror the rooms.
"""

from hypothesis import settings

# A machine that does other things as well must not fail the suite.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

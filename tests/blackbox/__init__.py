"""
The whole daemon, driven from outside by real clients.
"""

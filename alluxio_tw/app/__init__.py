"""
Configuration, assembly and the twistd plugin.
"""

"""
Objects in an SQLite file, as a storage behind alluxio-tw.
"""

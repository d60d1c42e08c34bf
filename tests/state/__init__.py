"""
Tests of L{alluxio_tw.state}.
"""

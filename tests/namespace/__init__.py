"""
Tests of L{alluxio_tw.namespace}.
"""

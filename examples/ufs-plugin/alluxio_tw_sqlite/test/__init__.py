"""
The driver's tests: C{python -m twisted.trial alluxio_tw_sqlite}.
"""

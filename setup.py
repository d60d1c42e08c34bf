"""
Packaging.

Lower bounds are the oldest versions that have what we use and run on Python 3.10;
upper bounds are left to those who deploy.
"""

from setuptools import find_packages, setup

INSTALL = [
    "Twisted>=24.11",
    "pyOpenSSL>=24.3",
    "service-identity>=24.1",
    "treq>=24.9",
    "zope.interface>=7.1",
    "attrs>=24.2",
    "lxml>=5.3",
    "prometheus-client>=0.21",
    "httptools>=0.6.4",
    "botocore>=1.36",
    "lmdb>=1.5",
    "awscrt>=0.23.8",
    "xxhash>=3.5",
    "zlib-ng>=1.0",
    "mmh3>=5.0",
    "google-re2>=1.1",
    "javaproperties>=0.8.2",
    "fsspec>=2025.3",
    "PyJWT>=2.10",
    "cryptography>=43",
    "click>=8.1",
    "rich>=13.9",
]

# The real clients that the tests drive the daemon with.  aiobotocore, beneath
# s3fs, pins botocore to a few releases; naming it makes pip settle on it first,
# where it would else try many versions of boto3.  awscli before 1.46 pins one too.
CLIENTS = [
    "aiobotocore>=3.10",
    "boto3>=1.43",
    "awscli>=1.46",
    "minio>=7.2.15",
    "s3cmd>=2.4",
    "s3fs>=2026.9",
    "pyarrow>=21",
]

# Real servers for the drivers to talk to; others come by "go install".
SERVERS = [
    "moto[server]>=5.1",
    # Both ends of SFTP.
    "paramiko>=3.5",
]

CHECKS = [
    "mypy>=1.18",
    "mypy-zope>=1.0.14",
    "ruff>=0.14",
    "types-lxml>=2025.3.30",
    "towncrier>=24.8",
    "tox>=4.23",
]

setup(
    name="alluxio-tw",
    version="0.1.0",
    description="An S3 endpoint in front of any storage, made fast by a page cache",
    python_requires=">=3.10",
    # twisted.plugins is a folder of plugins, not a package: it has no __init__.py
    # and is joined to Twisted's own.
    packages=[
        *find_packages(include=["alluxio_tw", "alluxio_tw.*"]),
        "twisted.plugins",
    ],
    # Said outright, it makes an editable install put this folder on sys.path, where
    # Twisted looks for plugins; otherwise only our own packages would be found.
    package_dir={"": "."},
    package_data={"alluxio_tw": ["py.typed"]},
    install_requires=INSTALL,
    extras_require={
        "test": ["hypothesis>=6.130", *CLIENTS, *SERVERS, *CHECKS],
        "clients": CLIENTS,
        # For HDFS; it is compiled, and needs the headers of the system's Kerberos.
        "kerberos": ["gssapi>=1.9"],
    },
    entry_points={"console_scripts": ["alluxio-s3 = alluxio_tw.app.command:main"]},
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP :: HTTP Servers",
    ],
    zip_safe=False,
)

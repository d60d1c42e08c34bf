"""
What can be said of a local mount beside its path.
"""

from __future__ import annotations

import attrs

from alluxio_tw.ufs.uris import Options


@attrs.frozen
class LocalOptions:
    """
    The options of a local mount.

    :ivar sync: what is acknowledged survives a power cut.
    :ivar buckets: the folders right beneath the root are buckets, and never pruned.
    :ivar sidecar: attributes are never kept as extended attributes.
    :ivar glance: known files are looked at at once; not where a C{stat} may take
        long, as on a network file system.
    :ivar open_files: so many are kept open.
    :ivar any_key: keys are kept that other programs cannot find under the same name.
    """

    sync: bool = True
    buckets: bool = False
    sidecar: bool = False
    glance: bool = True
    open_files: int = 512
    any_key: bool = False

    @classmethod
    def of(cls, given: Options, buckets: bool) -> LocalOptions:
        """
        Read them.

        :param buckets: what is so unless the options say otherwise.
        :raises WrongConfiguration: one is unknown, or cannot be read.
        """
        found = cls(
            sync=given.truth("sync", True),
            buckets=given.truth("buckets", buckets),
            sidecar=given.choice("attributes", "auto", ("auto", "sidecar")) != "auto",
            glance=given.truth("glance", True),
            open_files=max(1, given.size("open_files", 512)),
            any_key=given.choice("names", "tree", ("tree", "any")) == "any",
        )
        given.finish()
        return found

"""
Scheme to driver: who makes the under file system of a URI.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
from twisted.plugin import getPlugins

from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.iufs import IUFSMaker, IUnderFileSystem, Surroundings
from alluxio_tw.ufs.uris import scheme_of, shown, suggestion


@attrs.frozen
class Registry:
    """
    The makers by their schemes.

    A scheme that ends in C{+} stands before another: C{slow+file:///p} asks the
    maker of C{slow+}, which asks the registry for the driver of C{file:///p}.
    """

    _makers: Mapping[str, IUFSMaker]

    @classmethod
    def of(cls, makers: Iterable[IUFSMaker]) -> Registry:
        """
        Take stock of makers.

        :raises WrongConfiguration: two claim the same scheme.
        """
        known: dict[str, IUFSMaker] = {}
        for maker in makers:
            for scheme in maker.schemes:
                other = known.setdefault(scheme, maker)
                if other is not maker:
                    raise WrongConfiguration(
                        f"two drivers are installed for the scheme {scheme!r}: "
                        f"{_name(other)} and {_name(maker)}; uninstall one"
                    )
        return cls(known)

    @classmethod
    def installed(cls) -> Registry:
        """The makers that are installed as plugins; no driver is imported yet."""
        return cls.of(getPlugins(IUFSMaker))

    @property
    def schemes(self) -> list[str]:
        """What there is."""
        return sorted(self._makers)

    def maker(self, uri: str) -> IUFSMaker:
        """
        Who makes the driver of C{uri}.

        :raises WrongConfiguration: nobody.
        """
        scheme = scheme_of(uri)
        before = scheme.partition("+")[0] + "+"
        maker = self._makers.get(scheme)
        if maker is None and "+" in scheme:
            maker = self._makers.get(before)
        if maker is not None:
            return maker
        if not scheme:
            raise WrongConfiguration(
                f"{shown(uri)} has no scheme: write a local directory as file:///path"
            )
        raise WrongConfiguration(
            f"no driver for the scheme {scheme!r}"
            f"{suggestion(scheme, (s for s in self._makers if s != before))}"
        )

    def make(
        self, uri: str, options: Mapping[str, str], around: Surroundings
    ) -> IUnderFileSystem:
        """
        Make the driver of one mount.

        :raises WrongConfiguration: the scheme is unknown, or the driver cannot
            use the URI or an option.
        """
        return self.maker(uri).make(uri, options, around)


def _name(maker: IUFSMaker) -> str:
    return str(getattr(maker, "factory", None) or repr(maker))

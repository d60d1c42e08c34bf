"""
A mount's URI finds its driver, or a reason why not.
"""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import StorageUnavailable, WrongConfiguration
from alluxio_tw.iufs import DriverBroken, Surroundings, UFSMaker
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.local import LocalUFS
from alluxio_tw.ufs.memory import MemoryUFS
from alluxio_tw.ufs.registry import Registry
from alluxio_tw.ufs.slow import SlowUFS


class RegistryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = Registry.installed()
        self.around = Surroundings(Clock(), NoThreads())

    def make(self, uri: str) -> object:
        return self.registry.make(uri, {}, self.around)

    def refusal(self, uri: str) -> str:
        error = self.assertRaises(
            WrongConfiguration, self.registry.make, uri, {}, self.around
        )
        return str(error)

    def test_two(self) -> None:
        """Two drivers of one scheme are told apart by where they live."""
        makers = [UFSMaker(("x",), f"some.where{n}.make") for n in (1, 2)]
        error = self.assertRaises(WrongConfiguration, Registry.of, makers)
        for name in ("'x'", "some.where1.make", "some.where2.make"):
            self.assertIn(name, str(error))

    def test_not_imported(self) -> None:
        """Why a driver cannot be imported is said, with the place."""
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        sys.path.insert(0, folder)
        self.addCleanup(sys.path.remove, folder)
        for number, line in enumerate(("this wrong", "wrong", "1 / 0")):
            name = f"broken_{number}_{id(self)}"
            with open(os.path.join(folder, f"{name}.py"), "w") as file:
                file.write(f"fine = 1\n{line}\n")
            self.assertIn(f"{name}.py, line 2", self.broken(f"{name}.make"))
        self.assertIn("mkae", self.broken("alluxio_tw.ufs.memory.mkae"))
        self.assertIn("nothing_of", self.broken("nothing_of.this_name.make"))

    def broken(self, factory: str) -> str:
        error = self.assertRaises(DriverBroken, UFSMaker(("x",), factory).load)
        self.assertIn(factory, str(error))
        return str(error)

    def test_installed(self) -> None:
        """The drivers that come with us are found as plugins."""
        for scheme in ("file", "memory", "slow+"):
            self.assertIn(scheme, self.registry.schemes)

    def test_make(self) -> None:
        """The scheme names the driver, in any case."""
        here = self.mktemp()
        os.mkdir(here)
        path = os.path.abspath(here)
        for uri, kind in (
            ("memory:///", MemoryUFS),
            ("MEMORY:///", MemoryUFS),
            (f"file://{path}", LocalUFS),
            (f"file://localhost{path}?sync=false", LocalUFS),
            (f"slow+file://{path}?latency=50ms&sync=false", SlowUFS),
            ("slow+slow+memory:///?latency=1ms", SlowUFS),
        ):
            made = self.registry.make(uri, {}, self.around)
            self.assertIsInstance(made, kind, uri)
            self.successResultOf(made.close())

    def test_unknown(self) -> None:
        """An unknown scheme is answered with what there is, and what was meant."""
        message = self.refusal("fle:///path")
        self.assertIn("did you mean 'file'", message)
        self.assertIn("memory", message)
        self.assertIn("file:///path", self.refusal("/just/a/path"))
        self.assertIn("nowhere", self.refusal("slow+nowhere:///"))

    def test_options(self) -> None:
        """An option that means nothing is refused, with what was meant."""
        self.assertIn("'latency'", self.refusal("slow+memory:///?latency=soon"))
        self.assertIn("capacity", self.refusal("slow+memory:///?capacty=1MB"))
        self.assertIn("did you mean 'sync'", self.refusal("file:///?snc=true"))
        self.assertIn("host", self.refusal("file://path/"))
        self.assertIn("%23", self.refusal("file:///a#b"))
        self.assertIn("nothing would move", self.refusal("slow+memory:///?bandwidth=0"))

    def test_not_there(self) -> None:
        """A folder that is not there may come to be: that is no wrong configuration."""
        error = self.assertRaises(
            StorageUnavailable, self.make, "file:///no/such/place"
        )
        self.assertIn("'/no/such/place' cannot be mounted: No such", error.message)

    def test_secrets(self) -> None:
        """A message about a URI tells no secret that stands in it."""
        for uri in (
            "nowhere://user:hush@host/path?key=hush",
            "file://user:hush@host/path?sync=true&key=hush",
            "memory://user:hush@host/",
            "file:///path?sync=true&key=hush#part",
        ):
            self.assertNotIn("hush", self.refusal(uri))

    def test_two_makers(self) -> None:
        """Two drivers for one scheme are refused: who knows which is meant."""
        makers = [UFSMaker(("x",), "a.make"), UFSMaker(("y", "x"), "b.make")]
        self.assertRaises(WrongConfiguration, Registry.of, makers)

    def test_imported_on_use(self) -> None:
        """A driver's module is imported only when a mount uses it."""
        script = (
            "import sys; from alluxio_tw.ufs.registry import Registry;"
            "r = Registry.installed(); r.maker('file:///x');"
            "print('alluxio_tw.ufs.local' in sys.modules)"
        )
        said = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            env={"PYTHONPATH": ":".join(sys.path)},
            check=True,
        )
        self.assertEqual(said.stdout.strip(), b"False")

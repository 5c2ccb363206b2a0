"""The one place where NodeGraphQt is imported, with what it needs to be importable.

It asks for ``distutils.version.LooseVersion``, which Python 3.12 no longer has, and for a Qt binding by name.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import types


class LooseVersion:
    """As much of distutils' class as NodeGraphQt uses: comparing dotted numbers."""

    def __init__(self, version: object) -> None:
        self.version = [int(part) for part in re.findall(r"\d+", str(version))]

    def __ge__(self, other: LooseVersion) -> bool:
        return self.version >= other.version

    def __lt__(self, other: LooseVersion) -> bool:
        return self.version < other.version


def _provide_distutils() -> None:
    if "distutils" in sys.modules or importlib.util.find_spec("distutils") is not None:
        return
    package, module = types.ModuleType("distutils"), types.ModuleType("distutils.version")
    module.LooseVersion = LooseVersion  # type: ignore[attr-defined]
    package.version = module  # type: ignore[attr-defined]
    sys.modules["distutils"], sys.modules["distutils.version"] = package, module


os.environ.setdefault("QT_PREFERRED_BINDING", "PySide6")
_provide_distutils()

from NodeGraphQt import BaseNode, NodeGraph  # noqa: E402
from NodeGraphQt.constants import PortTypeEnum  # noqa: E402
from NodeGraphQt.qgraphics.node_abstract import AbstractNodeItem  # noqa: E402
from NodeGraphQt.qgraphics.pipe import PipeItem  # noqa: E402
from NodeGraphQt.qgraphics.port import PortItem  # noqa: E402
from NodeGraphQt.widgets.viewer import NodeViewer  # noqa: E402

PORT_IN: str = PortTypeEnum.IN.value
PORT_OUT: str = PortTypeEnum.OUT.value

__all__ = [
    "PORT_IN",
    "PORT_OUT",
    "AbstractNodeItem",
    "BaseNode",
    "NodeGraph",
    "NodeViewer",
    "PipeItem",
    "PortItem",
]

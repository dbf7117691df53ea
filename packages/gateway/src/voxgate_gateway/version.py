"""The version all packages share."""

from voxgate_core import __version__ as VERSION

__all__ = ["VERSION"]

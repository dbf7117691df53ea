"""The composition root: the FastAPI app, the relay and the voxgate command."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"

"""An offline model server that speaks the OpenAI Realtime protocol."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"

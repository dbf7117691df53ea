"""The WebSocket handshake, the relay and the upstreams it reaches."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"

"""The ports of core over NATS JetStream, embedded or a cluster."""

__all__ = ["__version__"]

__version__ = "0.2.0rc2"

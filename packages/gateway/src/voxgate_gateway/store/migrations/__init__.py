"""The revisions of the schema, oldest first by their names; :mod:`voxgate_gateway.store.schema` runs them."""

__all__ = []

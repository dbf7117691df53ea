"""``python -m voxgate_gateway`` is the ``voxgate`` command."""

from voxgate_gateway.cli import main

main()

"""The command line: `eqwatch`. Each command is a module; errors become one line and an exit code here, once."""

from middleware.cli.app import main

__all__ = ["main"]

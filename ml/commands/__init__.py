"""The commands of ``python -m ml``, one module each, imported only when it is run."""

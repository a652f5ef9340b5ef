"""The commands of ``python -m ml``. Each is one module, which is imported only if it is run."""

"""Batches: files of applications that are checked, and then decided all or none."""

"""Decisions: taken, stored, shown, explained."""

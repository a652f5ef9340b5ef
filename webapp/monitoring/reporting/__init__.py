"""The report of the watch: its parts read what the watch has stored, and say what they find."""

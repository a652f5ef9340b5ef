"""What came of granted loans: recorded one by one or from a file, and corrected."""

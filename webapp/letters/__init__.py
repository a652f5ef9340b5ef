"""Letters to applicants, kept as they were sent, and the print sheet of a decision."""

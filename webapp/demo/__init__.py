"""A history of invented decisions, so that a first look at Loan Desk is not empty."""

"""A person's final word on a decision: a queue that is worked, and what was decided in it."""

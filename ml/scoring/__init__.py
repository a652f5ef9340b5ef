"""From an application to a probability, in NumPy alone."""

"""From answers to figures: performance, fairness, intervals."""

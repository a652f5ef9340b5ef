"""A second model that scores decisions in the background and decides nothing."""

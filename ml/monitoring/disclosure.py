"""Decides which groups of people are large enough for their figures to be kept."""

from collections.abc import Mapping


def large_enough(sizes: Mapping[str, int], *, total: int, smallest: int) -> set[str]:
    """Return the groups whose figures reveal nothing about a smaller number of people.

    All others, and those who belong to no group, are the rest of the total, which is known. So
    figures of the rest can be computed by subtraction: the rest too is empty or not smaller than
    the minimum. If it is smaller, the smallest group is added to it (complementary suppression:
    Willenborg and de Waal 2001, "Elements of Statistical Disclosure Control", chapter 6).

    Parameters
    ----------
    sizes : mapping of str to int
        The number of people in each group; no one is in two of them.
    total : int
        The number of all people, also of those in no group.
    smallest : int
        The minimum size.

    Returns
    -------
    set of str
    """
    kept = {name: n for name, n in sizes.items() if n >= smallest}
    while kept and 0 < total - sum(kept.values()) < smallest:
        del kept[min(kept, key=lambda name: (kept[name], name))]
    return set(kept)

"""A reward of one's own: trl calls it with lists, and it returns a number for each completion."""


def few_repetitions(completions, **_):
    """Different words divided by all words."""
    words = [completion[-1]["content"].split() for completion in completions]
    return [len(set(each)) / max(len(each), 1) for each in words]

"""A long row cut turn by turn: a question and its answer keep their beginnings, as far as there is room.

LLaMA-Factory's way (data/processor/processor_utils.py, infer_seqlen; data/processor/supervised.py of 0.9.5).
Scripts have the same in `families/templates/by_turns.py.j2`; tests/real/test_by_turns.py holds all three
together.
"""

from __future__ import annotations

from collections.abc import Sequence


def share(prompt: int, answer: int, room: int) -> tuple[int, int]:
    """How many tokens of a prompt and of its answer fit into ``room``.

    Where one of them is shorter than half the room the other one is cut; else both, in proportion.
    """
    if answer * 2 < room:
        most = room
    elif prompt * 2 < room:
        most = room - prompt
    else:
        most = int(room * (answer / (prompt + answer)))
    said = min(most, answer)
    return min(max(room - said, 0), prompt), said


def turns(said: Sequence[bool]) -> list[tuple[int, int, int]]:
    """Where each turn begins, where its answer does, and where it ends.

    ``said``: which tokens of a row are an assistant's. What stands behind the last answer belongs to it.
    """
    found, begin, answer = [], 0, None
    for at, own in enumerate(said):
        if own and answer is None:
            answer = at
        elif answer is not None and not own and said[at - 1] and any(said[at:]):
            found.append((begin, answer, at))
            begin, answer = at, None
    return [*found, (begin, len(said) if answer is None else answer, len(said))]


def kept(said: Sequence[bool], limit: int, last_first: bool) -> list[int]:
    """Which tokens of a row are left, in order.

    ``last_first``: the last turn has the whole room, and earlier ones what it leaves; else the first has.
    """
    room, found = limit, list[int]()
    every = turns(said)
    for begin, answer, end in reversed(every) if last_first else every:
        if room <= 0:
            break
        asked, told = share(answer - begin, end - answer, room)
        room -= asked + told
        found += [*range(begin, begin + asked), *range(answer, answer + told)]
    return sorted(found)

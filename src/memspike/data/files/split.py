"""Which examples are the test part, and in which order the others are shown."""

import numpy as np
from jaxtyping import Bool, Int

from memspike.data.files.options import SHARE, Reading
from memspike.data.files.raw import Raw
from memspike.parts.errors import InputError, unknown

SEED = 0
TRIES = 200
Mask = Bool[np.ndarray, " _"]
Numbers = Int[np.ndarray, " _"]


def parts(raw: Raw, y: Numbers | None, given: Reading, leave_out: str | None) -> tuple[Numbers, Numbers]:
    """The numbers of the training and of the test examples.

    A split that the file states is kept, unless it is to go by a group. Otherwise the test part is a share `split` of
    every class, of whole groups with `group`, of the end of a series; the same at every call. Training examples take
    turns through their classes, and come group by group where the split goes by them.
    """
    group = _group(raw, given.group, leave_out)
    stated = raw.test is not None and group is None
    if stated and given.split is not None:
        raise InputError(
            f"data.split is {given.split:g}, but the file states which examples are the test part; leave data.split "
            "out."
        )
    if leave_out is not None and given.split is not None:
        raise InputError(
            f"data.split is {given.split:g}, but data.leave_out says who the test part is; leave one of them out."
        )
    if raw.test is not None and stated:
        test = raw.test
    elif group is not None:
        test = _of_groups(group, y, given.split or SHARE, leave_out)
    elif raw.series:
        test = _last(len(raw.x), given.split or SHARE)
    else:
        test = _stratified(np.zeros(len(raw.x), int) if y is None else y, given.split or SHARE, raw.labels)
    train, tested = np.flatnonzero(~test), np.flatnonzero(test)
    if not len(train) or not len(tested):
        raise InputError(f"The split leaves {len(train)} training and {len(tested)} test examples; each needs one.")
    if y is not None:
        _check_classes(raw, y, train, tested)
    if not stated and not raw.series:
        train = np.random.default_rng(SEED).permutation(train)
    if group is not None:
        return _by_group(train, group, y), tested
    return (train if y is None else train[turns(y[train])]), tested


def turns(y: Numbers) -> Numbers:
    """An order in which every stretch, and so the last examples, holds the classes in their proportions."""
    rank, counts = np.zeros(len(y)), np.bincount(y)
    for k in range(len(counts)):
        rank[y == k] = np.arange(counts[k])
    return np.lexsort((y, (rank + 0.5) / counts[y]))


def _by_group(train: Numbers, group: np.ndarray, y: Numbers | None) -> Numbers:
    """Group after group, inside of each by turns: the last examples are those of the last groups."""
    found = []
    for name in np.unique(group[train]):
        own = train[group[train] == name]
        found.append(own if y is None else own[turns(y[own])])
    return np.concatenate(found)


def _group(raw: Raw, name: str | None, leave_out: str | None) -> np.ndarray | None:
    """What every example belongs to, where the split goes by that."""
    if name is None and leave_out is None:
        return None
    if not raw.groups:
        key, value = ("group", name) if name is not None else ("leave_out", leave_out)
        raise InputError(f"data.{key} is '{value}', but the file says nothing of groups such as speakers.")
    if name is None:
        if len(raw.groups) > 1:
            raise InputError(
                f"data.leave_out is '{leave_out}'; of what? Set data.group to one of: {', '.join(sorted(raw.groups))}."
            )
        name = next(iter(raw.groups))
    if name not in raw.groups:
        raise unknown("data.group", name, raw.groups)
    group = np.array(raw.groups[name])
    if leave_out is not None and leave_out not in set(group.tolist()):
        raise unknown(name, leave_out, set(group.tolist()))
    if len(np.unique(group)) < 2:
        raise InputError(f"data.group is '{name}', of which the file has one alone ('{group[0]}'); a split needs two.")
    return group


def _stratified(y: Numbers, share: float, labels: tuple[str, ...] | None) -> Mask:
    """A share of every class, one at least."""
    rng, test = np.random.default_rng(SEED), np.zeros(len(y), bool)
    for k in np.unique(y):
        own = np.flatnonzero(y == k)
        if len(own) < 2:
            name = "" if labels is None else f" of the class '{labels[own[0]]}'"
            raise InputError(
                f"There is one example{name} alone; two or more are needed for a training and a test part."
            )
        count = min(max(1, round(share * len(own))), len(own) - 1)
        test[rng.permutation(own)[:count]] = True
    return test


def _last(count: int, share: float) -> Mask:
    """The end of a series."""
    return np.arange(count) >= count - min(max(1, round(share * count)), count - 1)


def _of_groups(group: np.ndarray, y: Numbers | None, share: float, leave_out: str | None) -> Mask:
    """Whole groups, about a share of all examples, such that both parts have every class where that can be."""
    if leave_out is not None:
        return group == leave_out
    names, counts = np.unique(group, return_counts=True)
    rng, best = np.random.default_rng(SEED), (np.inf, np.zeros(len(group), bool))
    for _ in range(TRIES):
        order = rng.permutation(len(names))
        taken = np.cumsum(counts[order]) / len(group)
        count = min(max(1, int(np.argmin(np.abs(taken - share))) + 1), len(names) - 1)
        test = np.isin(group, names[order[:count]])
        lacking = 0 if y is None else 2 * len(np.unique(y)) - len(np.unique(y[test])) - len(np.unique(y[~test]))
        badness = lacking + abs(test.mean() - share)
        if badness < best[0]:
            best = (badness, test)
    return best[1]


def _check_classes(raw: Raw, y: Numbers, train: Numbers, test: Numbers) -> None:
    """InputError for a class of the test part that nobody could learn."""
    lacking = sorted(set(y[test].tolist()) - set(y[train].tolist()))
    if lacking and raw.labels is not None:
        name = raw.labels[int(np.flatnonzero(y == lacking[0])[0])]
        raise InputError(
            f"The class '{name}' has examples in the test part and none in the training part; needed: every class of "
            "the test part in the training part."
        )
    if len(np.unique(y[train])) < 2:
        name = "" if raw.labels is None else f", '{raw.labels[int(train[0])]}'"
        raise InputError(f"All training examples are of one class{name}; two or more are needed.")

"""Which label belongs to which image, by their names alone.

Several ways to write such names are tried ("case1" with "case1", "case1_seg", "seg_case1", "case1_ct" with
"case1_mask", ...); the one that pairs most labels counts for the whole set, so that no case is paired by chance.
Names are compared without case and with composed Unicode; endings do not count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from genesis_core.volumes.labelled.folder_listing import same, stem
from genesis_core.volumes.labelled.layout import some

# What people put before or after a case's name to say what a file is.
LABEL_WORDS = (
    "labels?", "labelmaps?", "lbls?", "masks?", "segs?", "segms?", "segmentations?", "gts?", "ground_?truth", "truth",
    "annotations?", "annot", "manual", "rois?", "contours?", "[ad]seg", "gmseg", "wmseg", "lesions?", "expert",
)  # fmt: skip
IMAGE_WORDS = (
    "images?", "imgs?", "scans?", "volumes?", "vols?", "raw", "orig", "ct", "mri?", "t1w?", "t2w?", "flair",
)  # fmt: skip
_SEPARATORS = "-_. "
_ALL_SEPARATORS = re.compile(r"[-_. /]")


@dataclass(frozen=True)
class PairedCase:
    """One label with its images, one per channel of the pairing; files as they were given."""

    name: str
    images: tuple[str, ...]
    label: str


@dataclass(frozen=True)
class Pairing:
    """Pairs by names. channels: one empty name where images have none. left_out: (file, reason). notes: to check."""

    channels: tuple[str, ...]
    cases: tuple[PairedCase, ...]
    left_out: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Named:
    """A file and the name its case has by it; before, after: what was taken off that name."""

    file: str
    stem: str
    base: str
    before: str = ""
    after: str = ""


def is_label_name(name: str) -> bool:
    """Whether a file's stem says that it is a label ("case1_seg", "seg_case1", "case1/label")."""
    return _without_words(_Named("", name, name), LABEL_WORDS).base != name


def pair_names(images: Sequence[tuple[str, str]], labels: Sequence[tuple[str, str]], where: str = "") -> Pairing:
    """Pair images with labels; both are (stem, file), the stem relative to where images or labels lie.

    where: what to put before a name that was looked for and not found ("labels/").
    """
    left_out: list[tuple[str, str]] = []
    single_images = _without_twins(images, left_out)
    single_labels = _without_twins(labels, left_out)
    twins = {same(stem(file)) for file, _ in left_out}
    best: dict[str, tuple[_Named, dict[str, list[_Named]]]] = {}
    for named_images, named_labels in _ways(single_images, single_labels):
        found = _match(named_images, named_labels)
        if len(found) > len(best):
            best = found
    channels = _channels(best)
    cases: list[PairedCase] = []
    used: set[str] = set()
    for label, members in best.values():
        chosen = _one_each(members, channels)
        if isinstance(chosen, str):
            left_out.append((label.file, chosen))
            used.add(label.file)
            used |= {image.file for group in members.values() for image in group}
            continue
        cases.append(PairedCase(_case_name(label, chosen), tuple(image.file for image in chosen), label.file))
        used |= {label.file, *(image.file for image in chosen)}
    before, after = _usual(label for label, _ in best.values())
    for image in single_images:
        if image.file not in used:
            left_out.append((image.file, _no_label(image, f"{where}{_around(image.stem, before, after)}", best, twins)))
    for label in single_labels:
        if label.file not in used:
            left_out.append((label.file, _no_image(label, best)))
    ordered = tuple(sorted(cases, key=lambda case: case.name))
    return Pairing(channels or ("",), ordered, tuple(sorted(left_out)), _what_to_check(best, ordered))


def _without_twins(files: Sequence[tuple[str, str]], left_out: list[tuple[str, str]]) -> list[_Named]:
    """Return files whose name is their own; those that share one but for ending or case cannot be told apart."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, file in files:
        groups.setdefault(same(name), []).append((name, file))
    kept = []
    for members in groups.values():
        if len(members) == 1:
            kept.append(_Named(members[0][1], members[0][0], members[0][0]))
            continue
        all_names = some([file for _, file in members])
        left_out += [(file, f"several files share one name ({all_names}); keep one of them") for _, file in members]
    return kept


def _ways(images: list[_Named], labels: list[_Named]) -> Iterator[tuple[list[_Named], list[_Named]]]:
    """Yield the images and labels under each way of naming, the plainest first."""
    yield images, labels
    bare = [_without_words(label, LABEL_WORDS) for label in labels]
    yield images, bare
    yield [_without_words(image, IMAGE_WORDS) for image in images], bare
    yield images, _after_image_names(images, labels)
    yield _without_common_end(images), _without_common_end(labels)
    yield _without_common_start(images), _without_common_start(labels)


def _match(images: list[_Named], labels: list[_Named]) -> dict[str, tuple[_Named, dict[str, list[_Named]]]]:
    """Return, by base, the labels that have a base of their own, each with its images by channel."""
    counts = Counter(same(label.base) for label in labels)
    unique = {same(label.base): label for label in labels if counts[same(label.base)] == 1 and label.base}
    found: dict[str, tuple[_Named, dict[str, list[_Named]]]] = {}
    for image in images:
        for end, channel in _beginnings(image.base):
            key = same(image.base[:end])
            if key in unique:
                found.setdefault(key, (unique[key], {}))[1].setdefault(channel, []).append(image)
                break
    return found


def _beginnings(base: str) -> Iterator[tuple[int, str]]:
    """Yield where a name may end and its channel, longest first: "p1_T1" gives (5, ""), (2, "T1")."""
    yield len(base), ""
    for hit in reversed(list(_ALL_SEPARATORS.finditer(base))):
        yield hit.start(), base[hit.end() :]


def _without_words(named: _Named, words: Iterable[str]) -> _Named:
    """Take words off the ends of a name; a name that is nothing but such a word stands for its folder."""
    folder, slash, name = named.stem.rpartition("/")
    before = after = ""
    one = "|".join(words)
    for _ in range(3):
        if slash and re.fullmatch(one, name, re.IGNORECASE):
            return _Named(named.file, named.stem, folder, before, f"/{name}{after}")
        if hit := re.fullmatch(rf"(.+?)([{_SEPARATORS}](?:{one}))", name, re.IGNORECASE):
            name, after = hit[1], hit[2] + after
        elif hit := re.fullmatch(rf"((?:{one})[{_SEPARATORS}])(.+)|((?:{one}))(\d.*)", name, re.IGNORECASE):
            before, name = before + (hit[1] or hit[3]), hit[2] or hit[4]
        else:
            break
    return _Named(named.file, named.stem, f"{folder}{slash}{name}", before, after)


def _after_image_names(images: list[_Named], labels: list[_Named]) -> list[_Named]:
    """Take off labels what follows the name of an image, where it is the same for most of them."""
    known = {same(image.base) for image in images}
    cut = []
    for label in labels:
        ends = [end for end, channel in _beginnings(label.stem) if channel and same(label.stem[:end]) in known]
        if ends:
            cut.append(_Named(label.file, label.stem, label.stem[: ends[0]], "", label.stem[ends[0] :]))
    usual = Counter(label.after for label in cut).most_common(1)
    return [label for label in cut if label.after == usual[0][0]]


def _without_common_end(files: list[_Named]) -> list[_Named]:
    """Take off what all names end in ("_ct"), at a separator."""
    tails = [file.stem[hit[-1] :] if (hit := _starts(file.stem)) else "" for file in files]
    if len(set(tails)) != 1 or not tails[0]:
        return files
    return [_Named(file.file, file.stem, file.stem[: -len(tails[0])], "", tails[0]) for file in files]


def _without_common_start(files: list[_Named]) -> list[_Named]:
    """Take off what all names begin with, but no digits ("PANCREAS_0001" with "label0001")."""
    if len(files) < 2:
        return files
    # What the first and the last in order share, all share.
    first, last = min(file.stem for file in files), max(file.stem for file in files)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    start = first[:length].rstrip("0123456789")
    if "/" in start or not start:
        return files
    return [_Named(file.file, file.stem, file.stem[len(start) :], start) for file in files]


def _starts(name: str) -> list[int]:
    return [hit.start() for hit in re.finditer(rf"[{_SEPARATORS}]", name)]


def _channels(found: dict[str, tuple[_Named, dict[str, list[_Named]]]]) -> tuple[str, ...]:
    """Return the channels that more than half of the cases have, in order."""
    counts = Counter(channel for _, members in found.values() for channel in members)
    return tuple(sorted(channel for channel, count in counts.items() if 2 * count > len(found)))


def _one_each(members: dict[str, list[_Named]], channels: tuple[str, ...]) -> list[_Named] | str:
    """Return one image per channel, or in words why that cannot be."""
    everything = [image for group in members.values() for image in group]
    if not channels:
        if len(everything) == 1:
            return everything
        return f"which image belongs to this label is not clear: {some([image.file for image in everything])}"
    chosen = []
    for channel in channels:
        group = members.get(channel, [])
        if len(group) > 1:
            return f"several images for one channel: {some([image.file for image in group])}; keep one of them"
        if not group:
            there = some([image.file for image in everything])
            return f"its image {channel or 'without a channel in its name'} is missing (there is only {there})"
        chosen += group
    return chosen


def _what_to_check(
    found: dict[str, tuple[_Named, dict[str, list[_Named]]]], cases: tuple[PairedCase, ...]
) -> tuple[str, ...]:
    """Say it where names agree in a number only: another order of the files would have paired them as well."""
    images = [image for _, members in found.values() for group in members.values() for image in group]
    bare = any(not _is_word(label.before, LABEL_WORDS) for label, _ in found.values())
    if not cases or not (bare or any(not _is_word(image.before, IMAGE_WORDS) for image in images)):
        return ()
    return (
        f"Images and labels were paired by the rest of their names without what all begin with: {cases[0].images[0]} "
        f"with {cases[0].label}. Check that these belong together.",
    )


def _is_word(before: str, words: Iterable[str]) -> bool:
    return re.fullmatch(rf"(?:(?:{'|'.join(words)})[{_SEPARATORS}]?)*", before, re.IGNORECASE) is not None


def _case_name(label: _Named, images: list[_Named]) -> str:
    # A bare number ("volume-7" with "segmentation-7") is no name to recognise a case by.
    alone = len(images) == 1 and label.base.rpartition("/")[2].isdigit()
    return images[0].stem if alone else label.base


def _usual(labels: Iterable[_Named]) -> tuple[str, str]:
    usual = Counter((label.before, label.after) for label in labels).most_common(1)
    return usual[0][0] if usual else ("", "")


def _around(name: str, before: str, after: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{before}{last}{after}"


def _no_image(label: _Named, found: dict[str, tuple[_Named, dict[str, list[_Named]]]]) -> str:
    bare = _without_words(label, LABEL_WORDS).base
    for name in (label.stem, bare):
        for end, _ in _beginnings(name):
            if case := found.get(same(name[:end])):
                return f"another label of the same image; the one used is {case[0].file}"
    return f"no image belongs to this label: looked for one called {bare}"


def _no_label(
    image: _Named, wanted: str, found: dict[str, tuple[_Named, dict[str, list[_Named]]]], twins: set[str]
) -> str:
    for end, _ in _beginnings(image.stem):
        if (case := found.get(same(image.stem[:end]))) and end < len(image.stem):
            return f"no label of its own, and no channel of the set, though it is called like {case[0].file}"
    if same(wanted) in twins:
        return f"its label {wanted} is there more than once"
    return f"no label belongs to this image: looked for {wanted} with any scan's ending"

"""Class weights of the loss, so that rare classes count as much as frequent ones."""

from __future__ import annotations

from train.core.file_list import FileList


def balanced(listed: FileList) -> dict[str, list[float]]:
    """Weights of each task's classes, inversely proportional to their training images; their mean over images is 1.

    For multi-label data: the number of images without a class per image with it.
    """
    if listed.multi_label:
        images = len(listed.of("train"))
        return {t: [max(images - n, 1) / n for n in counts.values()] for t, counts in listed.counts("train").items()}
    found = {}
    for task, counts in listed.counts("train").items():
        total = sum(counts.values())
        found[task] = [total / (len(counts) * count) for count in counts.values()]
    return found

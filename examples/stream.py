"""Data without a length, as they come from a log or a queue that can be read again: text, by lines.

Every rank reads the whole stream and keeps its part of each step; so the stream must give the same
samples in the same order wherever it is begun.
"""

import argparse
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from evener import training

LINE = "the mill turns when the water comes and stands when the water goes"
WORDS = LINE.split()


class Lines(IterableDataset):
    """Pairs of a word and the next one. `set_epoch` is told which pass begins."""

    def __init__(self, lines):
        self.lines, self.epoch = lines, 0
        self.numbers = {word: i for i, word in enumerate(sorted(set(WORDS)))}

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        for line in range(self.lines):
            turned = WORDS[(line + self.epoch) % len(WORDS) :] + WORDS
            for word, following in pairwise(turned):
                yield self.numbers[word], self.numbers[following]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--lines", type=int, default=300)
    given = options.parse_args()

    run = training.start()
    data = Lines(given.lines)
    model = nn.Sequential(nn.Embedding(len(data.numbers), 16), nn.Linear(16, len(data.numbers)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.999)
    model, optimizer, schedule = run.prepare(model, optimizer, schedule)
    for words, following in run.batches(data, global_batch=32, epochs=2):
        loss = F.cross_entropy(model(words), following, reduction="sum")
        run.step(loss, len(following))
    if run.is_lead:
        print(f"{run.step_number} steps over {given.lines} lines, twice")


if __name__ == "__main__":
    main()

"""Your own training loop, balanced, elastic, exact, checkpointed and visible.

    from evener import training

    run = training.start()
    model, optimizer = run.prepare(model, optimizer)
    for batch in run.batches(dataset, global_batch=64, epochs=3):
        loss = F.cross_entropy(model(batch[0]), batch[1], reduction="sum")
        run.step(loss, len(batch[1]))

`evener run train.py` trains with it on any number of machines. `python train.py` runs the same
script in one process, with no agent and the same mathematics.
"""

from __future__ import annotations

from evener.training.run import Run
from evener.training.start import start

__all__ = ["Run", "start"]

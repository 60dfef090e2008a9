"""`evener resume`: go on with a run that has not finished, here or with other ranks."""

from __future__ import annotations

from evener.api import RunRequest
from evener.cli import options, runs, training

app = options.verb_app()


@app.command()
def resume(
    run: options.RunName = None,
    override: options.Overrides = None,
    workers: options.Workers = None,
    detach: training.Detach = False,
    dry_run: training.DryRun = False,
    debug: training.Debug = False,
    as_json: options.AsJson = False,
    on: options.On = None,
    profiles: options.Profiles = None,
    root: options.Root = None,
) -> None:
    """Go on with a run that was stopped, or died, from its newest checkpoint.

    With the job as the run's folder has it, on as many ranks as you say, wherever it was before.
    """
    request = RunRequest(
        job=str(runs.resolve(run, root).path),
        overrides=tuple(override or ()),
        workers=workers,
        resume=True,
        debug=debug,
        on=on.value if on else None,
        profiles=profiles,
        root=root,
    )
    training.train(request, detach=detach, dry_run=dry_run, as_json=as_json)

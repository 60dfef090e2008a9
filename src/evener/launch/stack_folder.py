"""The folder that `docker stack deploy` needs: its file, what that names, and the image to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evener import contract, errors, placement
from evener.config.load import job_to_json
from evener.config.schema import Job
from evener.image import build
from evener.launch import belongings, compose, project, shipment, stack
from evener.launch import folder as folders
from evener.launch.compose import Read
from evener.launch.folder import README, Export
from evener.launch.stack import IMAGE, SECRET, STACK, Stack
from evener.rundir import layout
from evener.units import show_size

NAMES = (IMAGE, *stack.CONFIGS, contract.CODE_NAME, SECRET, README, STACK)


def fill(folder: Path, export: Export) -> tuple[Read, ...]:
    """Write all of it. Returns which data of this machine the containers will look for."""
    job, configs = _with_code(folder, export)
    job, reads = folders.moved(job)
    what = build.whole(export.content)
    registry = export.content.image.registry
    image = f"{registry}/{what.tag}" if registry else what.tag
    plan = replace(export.plan, place=project.STACK, code=(contract.IMAGE_CODE,))
    ships = tuple(r for r in reads if r.variable == compose.DATA) if belongings.shipped(job) else ()
    own = Stack(export.name, image, tuple(r for r in reads if r not in ships), ships, configs)
    folders.lay_image(folder, what)
    layout.write_atomic(folder / contract.JOB_NAME, job_to_json(job))
    layout.write_json(folder / contract.PLAN_NAME, placement.to_dict(plan))
    folders.write_secret(folder)
    layout.write_atomic(folder / README, _readme(export.name, image, plan.home))
    layout.write_atomic(folder / STACK, stack.render(plan, own))
    return reads


def _with_code(folder: Path, export: Export) -> tuple[Job, tuple[str, ...]]:
    """A script's code goes to the head as what was decided does, and from there to all machines."""
    if not export.job.script.path:
        return export.job, stack.CONFIGS
    run = stack.inside(export.name)
    job, code = shipment.packed(export.job, run, export.leave_out)
    if len(code) > stack.CONFIG_BYTES:
        raise errors.BadCombination(
            f"the script's folder has {show_size(len(code))} packed, and Docker takes no more than "
            f"{show_size(stack.CONFIG_BYTES)} into a stack",
            where=export.job.script.path,
            fix=f"name in {shipment.DOCKER_IGNORE} what no rank reads, or type "
            "`evener run SCRIPT --on swarm` on a manager: it brings any code along",
        )
    (folder / contract.CODE_NAME).write_bytes(code)
    return job, (*stack.CONFIGS, contract.CODE_NAME)


def _which_manager(home: str) -> str:
    if home:
        return "The head is held to the manager where this was exported: its volume is there."
    return (
        f"Any manager may get the head. Where there are several, hold it to one, for its volume is "
        f"there: {stack.HOME}='node.hostname == MANAGER'."
    )


def _readme(name: str, image: str, home: str) -> str:
    return f"""\
# {name}

All of this on a manager of the Swarm, in this folder. NAME is yours to choose.

1. Build the image, and bring it to every machine. With a registry that all of them reach:

       export {stack.FROM}=registry.lan:5000/{image.rpartition("/")[2]}
       docker build -t ${stack.FROM} {IMAGE} && docker push ${stack.FROM}

   Without one (`docker build -t {image} {IMAGE}`), for each of the others:

       docker save {image} | ssh MACHINE docker load

2. Train, and see how it goes. The first lines have the address of its page, where MANAGER is the
   one that has the head (`docker service ps NAME_head`).

       docker stack deploy --with-registry-auth -c {STACK} NAME
       docker service logs -f NAME_head

3. Stop with a checkpoint: the page has a button; for scripts, with the key in its address:

       curl -X POST -H "Authorization: Bearer KEY" http://MANAGER:7070/api/runs/{name}/stop

   `docker stack rm NAME` ends whatever still runs. The run stays in the volume NAME_run of the
   manager that has the head; deployed again, it goes on, as it does when it is deployed anew while
   it trains, with another image for example.

4. Fetch it, on that manager: checkpoints, logs, and at the end `{contract.EXPORT_NAME}`.

       docker run --rm -v NAME_run:/from:ro -v "$PWD":/to {image} cp -r /from/{name} /to

   `docker volume rm NAME_run` removes it from there.

On another Swarm, `{stack.NODE}_0` and so on say which machines it uses, `{stack.PORT}` at
which port the page is; `{compose.DATA}` where on all of them the data are, if the job names any;
`{stack.MTU}` how large packets in the stack's network may be.

{_which_manager(home)} Where it is lost for good, training goes on, and this puts the
head on another one, where machines bring the record, logs and checkpoints once more:

    {stack.HOME}='{stack.ANYWHERE}' docker stack deploy -c {STACK} NAME

What never starts says why: `docker stack ps --no-trunc NAME`.

| it says | and that means |
|---|---|
| `No such image` | step 1, for that machine |
| `host-mode port already in use` | another stack has the port of the page: `{stack.PORT}` |
| `insufficient resources` | another service has its GPUs, or its engine does not advertise them |
| `scheduling constraints not satisfied` | no machine is called so, or that one is drained or down |
| `bind source path does not exist` | its data are not there: `{compose.DATA}` |

What is in `{SECRET}` is for the containers alone. Docker does not change a file of a stack that is
deployed: `docker stack rm NAME` goes before a new export.
"""

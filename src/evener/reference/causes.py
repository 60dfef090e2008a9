"""Every error code: when a person meets it, and what helps. The errors page is made of this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    when: str
    then: str


CAUSES: dict[str, Cause] = {
    "E000": Cause(
        "Something happened that evener has no better name for: a mistake in evener itself, or "
        "in a library under it. Your job, your data and the run's folder are as they were.",
        "call the same once more as `evener --debug ...`, and report what it prints together "
        "with the job file. Training can go on: `evener resume RUN`.",
    ),
    "E101": Cause(
        "`evener run`, `init` or `config show` got a name that is neither a file here nor a "
        "recipe. A name with a slash, or one that ends in `.toml` or `.json`, is taken for a "
        "file; any other for a recipe.",
        "the message names what is spelt most like it. `evener recipes` lists the recipes, and "
        "`evener init RECIPE` writes one as a file of your own.",
    ),
    "E102": Cause(
        "The file is there, but it cannot be read as TOML (or JSON): a quote or bracket is "
        "left open, text stands without quotes, a table or a key is there twice, or it is not "
        "UTF-8. The message names the file, the line and the column.",
        'mend that line. A line is `key = value` with text in "quotes", or a `[table]`; `true` '
        "and `false` are written small; a Windows path goes in single quotes.",
    ),
    "E103": Cause(
        "The job file, or an `-o`, has a key that nothing reads: misspelt, in the wrong table, "
        "or left over from another model after `name` was changed. evener stops here because a "
        "key that is quietly ignored costs more than one that is refused.",
        "the message names the key that was probably meant. `-o table.key=` takes a key of the "
        "file out; [the job file](job-file.md) lists them all.",
    ),
    "E104": Cause(
        "A key has a value it does not take: text where a number belongs, a number out of "
        "range, a word that is none of the choices, or a model or data that do not exist. A "
        "key that must be given and is not is met here too.",
        "the message says what the key takes and, where it can tell, what to write. Numbers "
        "stand without quotes, whole numbers without a decimal point.",
    ),
    "E105": Cause(
        "Each key is fine, but not beside another: `steps` with `epochs`, a text model on "
        "images, `n_embd` that `n_head` does not divide. Some of this shows only when the data "
        "are there.",
        "the message names every key that takes part. Change one of them, or take it out.",
    ),
    "E106": Cause(
        "What follows `-o` is not of the form `table.key=value`: the `=` is missing, or there are "
        "blanks in the key.",
        "write `-o train.lr=3e-4`. Words need no quotes; a value with blanks or brackets needs "
        'the shell\'s: `-o "model.hidden=[64, 64]"`. Nothing after the `=` takes the key out.',
    ),
    "E107": Cause(
        "An option or a verb is misspelt, has no value, or does not go with another one; or it "
        "would replace a file that is there.",
        "`evener VERB --help` lists what a verb takes, as does [commands](commands.md).",
    ),
    "E108": Cause(
        "`--profiles` names a file that is not there, or one that cannot be read: no JSON, a key "
        "that nothing reads, a speed that is not above zero, a rank that stands there twice. The "
        "file is meant to be read and edited, so it is checked as strictly as a job.",
        "the message names the line and the key. `evener bench JOB` writes the file anew; [unequal "
        "speeds](../how-to/unequal-machines.md) shows one.",
    ),
    "E109": Cause(
        "The profiles are in order, but not of this run: of another job (another model, other "
        "data, another precision), of other machines or devices, or of the same machine with more "
        "threads or other hardware than now. Shares cut by them would be wrong.",
        "measure again with the same `--on`, `--workers` and `-o` as the run: `evener bench JOB`. "
        "Or leave `--profiles` out: then the speeds are measured while it trains.",
    ),
    "E201": Cause(
        "`data.path` (or `model.weights`) names something that is not there, or a folder "
        "without the files that this data set is made of. A relative path starts at the job "
        "file's folder; in a recipe, and after `-o`, at the folder you are in.",
        "correct the path; the message says which files are looked for and where. The sets "
        "that evener can download need no path at all.",
    ),
    "E202": Cause(
        "A file is shorter than it says, has another format than its name promises, does not "
        "match its published checksum, or is no UTF-8 text.",
        "get the file again; a copy or a download was probably cut off. Of what evener keeps "
        "in its cache, delete the folder that the message names: it is made anew.",
    ),
    "E203": Cause(
        "There are fewer training samples than one step takes, no validation sample at all, or "
        "a text shorter than one context.",
        "lower `train.global_batch` or `model.block_size`, raise `data.validation`, or add "
        "data. The message says how much there is and how much is needed.",
    ),
    "E204": Cause(
        "A label or token in the data is higher than the model has outputs for: the vocabulary "
        "is set too small, or the folders of the validation images are named otherwise than "
        "those of the training images.",
        "set `data.vocabulary` to what the message says, or name the classes alike in both.",
    ),
    "E205": Cause(
        "A data set, or a tokenizer's table, could not be fetched: no network, a proxy that is "
        "not set, a server that refuses. Short interruptions were bridged already; what had "
        "arrived is kept, and the next attempt goes on from there.",
        "set `HTTPS_PROXY` if you need a proxy, set `data.mirror` to an address that you can "
        "reach, or fetch the files elsewhere and name their folder in `data.path`.",
    ),
    "E301": Cause(
        "`package.module:function` in `model.name`, `data.name` or `train.loss` could not be "
        "imported: there is no such module, the module raised while it was imported, or it has "
        "no such function.",
        "the message names the file and line of your code, or the folders it looked in. "
        "Modules are looked for in the folder where evener was called, then among the "
        "installed packages.",
    ),
    "E302": Cause(
        "Your function ran, and gave back something else than was agreed: no `nn.Module`, a "
        "data set without `__len__` or `shape`, a loss that is not `(sum, count)`, metrics "
        "other than the ones it declares.",
        "the message says what came and what is expected; [your own "
        "model](../how-to/your-own-model.md) has an example of each.",
    ),
    "E303": Cause(
        "Your function, or your script, raised an exception. The message has it and the line of "
        "your code; every rank would meet the same, so the run does not try again.",
        "mend your code and start anew, or `evener resume` if training had begun. The whole "
        "traceback is in `evener logs RUN`.",
    ),
    "E304": Cause(
        "`evener run SCRIPT` was given what cannot be run: there is no such file, it is a notebook "
        "or no Python, or it may not be read. Nothing was started.",
        "the message names the file and, where Python objects to one, the line.",
    ),
    "E305": Cause(
        "A script has ended with a status of its own, without an exception: `sys.exit(3)`, or a "
        "library that ends the process. Of a torchrun script the message has the last lines.",
        "the log of the rank has all that was printed: `evener logs RUN`. A script that ends by a "
        "signal (`kill -9`, for want of memory) is not met here: it is started again.",
    ),
    "E306": Cause(
        "A script called `evener.training` where or how that cannot work: a loop without "
        "`run.step`, an optimizer that the script itself moves, a loss that is no single number, "
        "data that can be read only once, code beside the main guard with loader processes.",
        "the message has the line of the script, and what to write there; [your "
        "script](../tutorial/your-script.md) has a loop that works.",
    ),
    "E401": Cause(
        "There is no run of that name, or no run at all, in the folder where runs live "
        "(`experiments`, or what `--dir` or `log.dir` says).",
        "`evener ps --all` lists the runs of a folder; `--dir FOLDER` looks in another one. A "
        "path to the run's folder works in place of its name.",
    ),
    "E402": Cause(
        "The run is still training, so it cannot be resumed: two trainings would write into "
        "one folder.",
        "`evener status RUN` shows it, `evener stop RUN` ends it with a checkpoint. For a "
        "second training of the same job, `evener run` it again: it gets a folder of its own.",
    ),
    "E403": Cause(
        "`evener resume` was asked for a run that finished, or that never got as far as anything "
        "to go on from.",
        "start the job with `evener run`. To train a finished run for longer, start a new one "
        "with more steps.",
    ),
    "E404": Cause(
        "A checkpoint's files are not what its manifest says: the disk was full, a copy was "
        "cut off, or somebody changed them. A damaged checkpoint is never loaded; the one "
        "before it is taken by itself where there is one.",
        "name an older one with `--checkpoint STEP`, and look at the disk. "
        "`checkpoint.keep_last` says how many stay.",
    ),
    "E405": Cause(
        "The tensors in a checkpoint, or in `model.weights`, have other names or shapes than "
        "the model of the job.",
        "resume with the job that the checkpoint was made by: it is in the run's "
        "`configs/job.json`. For weights, name the model they belong to.",
    ),
    "E406": Cause(
        "`sample`, `eval`, `export` or `resume` needs a checkpoint, and the run has none "
        "that is whole: it ended before its first one, or the step that was named was not kept.",
        "the message lists the steps there are. `checkpoint.every_s` and "
        "`checkpoint.every_steps` say how often one is written; `evener stop` always leaves "
        "one.",
    ),
    "E407": Cause(
        "`run.db` or a file in `configs/` is damaged, or was written by a later version of evener.",
        "restore the file from a backup, or use the version of evener that wrote it. The "
        "checkpoints and `model.safetensors` do not depend on it.",
    ),
    "E408": Cause(
        "`evener audit` held what every rank says it computed against what the others say, the "
        "record and the checkpoints, and they do not fit: a defect of evener, or files of several "
        "runs in one folder.",
        "keep the folder of the run and report the line that is not kept, with the `logs/` folder.",
    ),
    "E501": Cause(
        "A disk is full, or your quota on it is used up: of the run's folder, or of the cache. "
        "What was written whole before stays whole.",
        "free space, or move: `-o log.dir=FOLDER` for runs, `EVENER_CACHE` for data, and lower "
        "`checkpoint.keep_last`. Then `evener resume RUN`.",
    ),
    "E502": Cause(
        "The job needs a package that is not installed here: torch to train at all, Pillow for "
        "JPEG files, tiktoken for `bpe`, torchvision for its models.",
        'the message has the command: `pip install "evener[train]"`, and `images`, `bpe` or '
        "`vision` in place of `train`.",
    ),
    "E503": Cause(
        "`local.device` or `train.precision` asks for a GPU that this machine, or this build "
        "of torch, does not have.",
        'use `local.device = "auto"` and `bf16` in place of `fp16`; or install the build of '
        "torch that knows the device.",
    ),
    "E504": Cause(
        "The system does not let evener read or write a file or folder: another owner, a "
        "read-only disk, a sandbox; or an engine or a registry lets nobody in like you.",
        "check the owner and rights of what the message names, or choose another place: `-o "
        "log.dir=FOLDER`, `EVENER_CACHE`. For a registry: `docker login`.",
    ),
    "E505": Cause(
        "A process of the run could not be started, or ended before it could say anything: no "
        "memory, too many processes, a damaged installation.",
        "`evener logs RUN --agent` has its last words. Free memory, or use fewer ranks with "
        "`--workers`.",
    ),
    "E506": Cause(
        "All machines of a run must have one version of evener and one of torch (`2.13.0+cpu` and "
        "`2.13.0+cu130` are one): they compute parts of the same step. A machine that joins with "
        "another is refused, and the others go on without it.",
        "the message names both machines and both versions. Install the version of the others "
        "there, or build the image anew, and start the machine again: it joins. Into a pool that "
        "hands on its image (`evener up --image`) a machine with a Docker engine comes as it is.",
    ),
    "E507": Cause(
        "`--port` of `evener dashboard`, `up` or `image serve` names a port that another program "
        "listens on; or, of an engine, one that was to be published is taken. Without `--port` the "
        "next free one is used, and nothing of this is met.",
        "leave `--port` out, name another, or end what listens there: `ss -ltnp` (Linux), `lsof "
        "-iTCP -sTCP:LISTEN` (macOS) or `netstat -ano` (Windows) tell what it is.",
    ),
    "E508": Cause(
        "A GPU that trained answers with an error (it fell off the bus, its memory is damaged, its "
        "driver was restarted), or a disk with one of input and output. The rank is tried again, "
        "and after three quick failures left out for ten minutes, while others go on; where "
        "nobody else trains, the run ends with this.",
        "the message names the machine's answer; `dmesg` and `nvidia-smi -q` (a GPU) or `smartctl` "
        "(a disk) tell more. Mend it, or leave that machine out, and `evener resume RUN`.",
    ),
    "E509": Cause(
        "A rank came while others trained, and took over their state: its data set has another "
        "length, or its script another model, global batch or seed. It is left out, and the "
        "others train on.",
        "give its machine what the others have: the same script, and the same data. It is tried "
        "again after ten minutes; `evener stop` and `evener resume` try it at once.",
    ),
    "E511": Cause(
        "`--on docker` (or `evener image`) needs a Docker engine, and none answered: it is not "
        "installed or not started, or the docker command's context names another machine.",
        "`docker info` must work in the same shell: install Docker, start the engine, or choose "
        "a context with `docker context use`.",
    ),
    "E512": Cause(
        "Docker refused or failed, and what it said is no failure that evener knows.",
        "the message ends with Docker's own words. The command that failed stands beside `where`; "
        "calling it by hand shows more.",
    ),
    "E513": Cause(
        "An image that `image.base` or a command names is neither on the engine nor in a registry "
        "that it reaches; or a machine of a Swarm, or one that joins a pool, lacks the image, and "
        "it cannot be brought there; or a file lacks layers that the engine has not either.",
        "correct the name, log in (`docker login`), or bring the image: `evener image save` there, "
        "`evener image load` here.",
    ),
    "E514": Cause(
        "The job's image was built, but Python in it cannot import evener and torch; or an image "
        "that a pool is to hand on has another evener than the pool.",
        "use a base image with Python 3.11 or later; packages of `image.pip` must suit torch. For "
        "a pool: `evener image build JOB`, with the evener that it runs.",
    ),
    "E521": Cause(
        "The server of a pool was asked something and did not answer: it is not running, its "
        "machine is off or asleep, its address has changed, or a firewall keeps its port shut.",
        "`evener up` on its machine starts it again, into the same pool and on the same port; "
        "runs that are going go on meanwhile. A machine that has joined tries again by itself. "
        "Where a code has an address that does not do: `evener join CODE --at HOST:PORT`. Of an "
        "image's code the same: `evener image serve` runs there no more, or is not reached.",
    ),
    "E522": Cause(
        "Something was asked of a pool on a machine that has none, or has joined none; or it is "
        "to join one while it is in another.",
        "`evener up` makes a pool, and prints the line by which other machines join; "
        "`evener leave` takes a machine out of the one it is in.",
    ),
    "E523": Cause(
        "A code lets nobody in: a letter of it is wrong, it has expired, was used as often as it "
        "may be, or was revoked; who answers at its address is not the server it was made by; or "
        "it is the code of an image, which is for `evener image fetch`.",
        "take a new one: `evener token new` on the pool's machine prints it. `evener token list` "
        "there says what has become of the others. If the certificate is another and nobody has "
        "made a new pool there, somebody may be in between: do not go on over that network.",
    ),
    "E601": Cause(
        "A rank met an exception that is neither your code's nor one that evener knows. "
        "Another try would meet it again, so the run ended.",
        "`evener logs RUN` has the traceback. From the last checkpoint on nothing is lost: "
        "`evener resume RUN` once the cause is gone.",
    ),
    "E602": Cause(
        "Ranks of a machine died `membership.max_restarts` times without one step in between: "
        "something kills them each time, most often a lack of memory.",
        "`evener logs RUN` shows how they ended. Lower `train.micro_batch` or `--workers`, "
        "mend the cause, then `evener resume RUN`.",
    ),
    "E603": Cause(
        "The gradients were infinite or no numbers for `train.max_skipped` steps in a row. "
        "Such steps are counted and not applied, so the weights are still those of the last "
        "good step.",
        "lower `train.lr`, give it `train.warmup_steps`, set `train.clip_norm = 1.0`, use "
        "`bf16` or `fp32` in place of `fp16`, or look for such values in your data.",
    ),
    "E604": Cause(
        "The run was going, and now none of its processes is left, nor did they say why: the "
        "machine was switched off, or something killed them all at once. Or the run goes on, and "
        "its head, which was to pass on what you want of it, does not answer.",
        "`evener resume RUN` goes on from the last checkpoint. If the machine was not "
        "switched off, `evener logs RUN --agent` may have last words. A head that died is started "
        "again: ask it once more in a moment.",
    ),
    "E605": Cause(
        "A rank needed more memory than its machine or its GPU has, and ended or was ended by the "
        "system.",
        "a share that does not fit is computed in smaller pieces by itself, and a message says so. "
        "Where that did not do: a smaller model, fewer `--workers` on the machine, "
        '`precision = "bf16"`, or `train.micro_batch` from the start.',
    ),
}

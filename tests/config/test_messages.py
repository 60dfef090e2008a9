"""What a person reads when a job is refused: what, where and what next, word by word."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config.load import load_job
from evener.errors import JobError

GPT = """\
[model]
name = "gpt"

[data]
name = "text"
path = "input.txt"

[train]
steps = 5
"""
DATA_AND_TRAIN = GPT[GPT.index("[data]") :]
JSON = """\
{
 "model": {"name": "gpt"},
 "data": {"name": "text", "path": "x"},
 "train": {
  "steps": 5
 }
}
"""
Case = tuple[str, str, list[str], str, str, str]  # title, file, overrides; what, where, fix

IN_TOML: list[Case] = [
    (
        "a key that no machine has",
        GPT + "[[machines]]\n[[machines]]\ngpuz = 0\n",
        [],
        "E103: unknown key 'machines[1].gpuz'",
        "job.toml:12: machines[1].gpuz",
        "did you mean 'machines.gpus'?",
    ),
    (
        "one table where there may be several",
        GPT + "[machines]\ncpus = 2\n",
        [],
        "E104: machines is a list of tables, and this is one table without a place in it",
        "job.toml:10: machines",
        "write [[machines]] in double brackets, and its keys below it",
    ),
    (
        "a machine without its place in the list",
        GPT + "[[machines]]\n",
        ["machines.cpus=2"],
        "E104: machines is a list of tables, and this is one table without a place in it",
        "-o machines.cpus=2",
        "say which of the tables in the file, the first being machines.0, the next machines.1",
    ),
    (
        "a size that is none",
        GPT + '[[machines]]\nmemory = "2XB"\n',
        [],
        'E104: machines[0].memory is "2XB"; it takes a whole number, 1 or more, or text like '
        '"512MB" or "4GiB"',
        "job.toml:11: machines[0].memory",
        "write such a value, or leave machines.memory out",
    ),
    (
        "one GPU for several machines",
        GPT + "[[machines]]\ncount = 2\ngpus = 0\n",
        [],
        "E105: 2 machines cannot each have the GPU that is named",
        "job.toml:11: machines[0].count, job.toml:12: machines[0].gpus",
        'write one [[machines]] for each, or gpus = "auto"',
    ),
    (
        "a misspelt list of tables",
        GPT + "[[machine]]\ncpus = 2\n",
        [],
        "E103: unknown table [machine]",
        "job.toml:10: machine",
        "did you mean [machines]?",
    ),
    (
        "a variable of evener's own",
        GPT + '[env]\nEVENER_SECRET = "x"\n',
        [],
        "E105: EVENER_SECRET is for evener to set",
        "job.toml:11: env.EVENER_SECRET",
        "leave it out; modules of your own are found beside the job file, and in image.include",
    ),
    (
        "a name that no variable can have",
        GPT + '[env]\n"A-B" = "x"\n',
        [],
        "E105: 'A-B' cannot name a variable",
        "job.toml:11: env.A-B",
        "letters, digits and underscores, no digit first",
    ),
    (
        "a variable that is no text",
        GPT + "[env]\nNCCL_DEBUG = [1]\n",
        [],
        "E104: env.NCCL_DEBUG is [1]; it takes text, or a whole number, or a number",
        "job.toml:11: env.NCCL_DEBUG",
        "write such a value, or leave env.NCCL_DEBUG out",
    ),
    (
        "two answers to which Python",
        GPT + '[image]\nbase = "x"\npython = "3.12"\n',
        [],
        "E105: base and python both say which Python there will be",
        "job.toml:11: image.base, job.toml:12: image.python",
        "keep one of them",
    ),
    (
        "data that every machine has are not shipped",
        GPT.replace('"input.txt"', '"builtin:python-manual"\nship = true'),
        [],
        "E105: there is nothing to ship: every machine gets these data by itself",
        "job.toml:7: data.ship",
        "leave ship out, or say which files: path",
    ),
    (
        "a Dockerfile of one's own and a recipe beside it",
        GPT + '[image]\ndockerfile = "Dockerfile"\napt = ["git"]\n',
        [],
        "E105: dockerfile makes apt needless",
        "job.toml:11: image.dockerfile, job.toml:12: image.apt",
        "what they say belongs into your Dockerfile",
    ),
    (
        "a misspelt key",
        GPT + "globl_batch = 3\n",
        [],
        "E103: unknown key 'train.globl_batch'",
        "job.toml:10: train.globl_batch",
        "did you mean 'train.global_batch'?",
    ),
    (
        "a key of other trainers",
        GPT + "batch_size = 3\n",
        [],
        "E103: unknown key 'train.batch_size'",
        "job.toml:10: train.batch_size",
        "did you mean 'train.global_batch'?",
    ),
    (
        "a key of another table",
        GPT + "n_layer = 3\n",
        [],
        "E103: unknown key 'train.n_layer'",
        "job.toml:10: train.n_layer",
        "did you mean 'model.n_layer'?",
    ),
    (
        "a key before any table",
        "lr = 1\n" + GPT,
        [],
        "E103: unknown key 'lr'",
        "job.toml:1: lr",
        "did you mean 'train.lr'?",
    ),
    (
        "a key like no other",
        GPT + "zzz = 3\n",
        [],
        "E103: unknown key 'train.zzz'",
        "job.toml:10: train.zzz",
        (
            "[train] takes global_batch, steps, epochs, seed, loss, label_smoothing, "
            "optimizer, lr, momentum, nesterov, betas, eps, weight_decay, schedule, "
            "warmup_steps, decay_steps, min_lr, step_size, gamma, clip_norm, precision, "
            "micro_batch, batchnorm, compare_every_steps, compile, max_skipped"
        ),
    ),
    (
        "a misspelt table",
        GPT + "\n[trian]\nlr = 1\n",
        [],
        "E103: unknown table [trian]",
        "job.toml:11: trian",
        "did you mean [train]?",
    ),
    (
        "a table like no other",
        GPT + "\n[zzz]\nlr = 1\n",
        [],
        "E103: unknown table [zzz]",
        "job.toml:11: zzz",
        (
            "the job takes [model], [data], [train], [script], [validation], [early_stopping], "
            "[sample], [checkpoint], [balance], [membership], [log], [dashboard], [local], "
            "[[machines]], [image], [env]"
        ),
    ),
    (
        "a dotted misspelt key",
        'train.stepz = 4\n[model]\nname = "gpt"\n',
        [],
        "E103: unknown key 'train.stepz'; also wrong: data (missing)",
        "job.toml:1: train.stepz",
        "did you mean 'train.steps'?",
    ),
    (
        "a key of another kind of model",
        GPT.replace('"gpt"', '"bigram"\nn_head = 2'),
        [],
        "E103: model 'bigram' has no key 'n_head'",
        "job.toml:3: model.n_head",
        "remove it; it is for model gpt",
    ),
    (
        "a key only kinds of one's own have",
        GPT + "\n[model.args]\nx = 1\n",
        [],
        "E103: model 'gpt' has no key 'args'",
        "job.toml:11: model.args",
        "remove it; it is for model torchvision:NAME or module:function of your own",
    ),
    (
        "a misspelt key in an inline table",
        'model = {name = "gpt", n_heads = 2}\n' + DATA_AND_TRAIN,
        [],
        "E103: unknown key 'model.n_heads'",
        "job.toml:1: model.n_heads",
        "did you mean 'model.n_head'?",
    ),
    (
        "an unknown model",
        GPT.replace('"gpt"', '"gptt"'),
        [],
        "E104: there is no model 'gptt'",
        "job.toml:2: model.name",
        (
            "did you mean 'gpt'? It may be linear, mlp, simple_cnn, resnet18, resnet50, "
            "bigram, gpt, torchvision:NAME or module:function of your own"
        ),
    ),
    (
        "an unknown model like no other",
        GPT.replace('"gpt"', '"zzz"'),
        [],
        "E104: there is no model 'zzz'",
        "job.toml:2: model.name",
        (
            "it may be linear, mlp, simple_cnn, resnet18, resnet50, bigram, gpt, "
            "torchvision:NAME or module:function of your own"
        ),
    ),
    (
        "unknown data, spelt with a dash",
        GPT.replace('"text"', '"fashion-mnist"'),
        [],
        "E104: there is no data 'fashion-mnist'",
        "job.toml:5: data.name",
        (
            "did you mean 'fashion_mnist'? It may be synthetic_regression, synthetic_image, "
            "mnist, fashion_mnist, cifar10, cifar100, imagenet, text, tokens or "
            "module:function of your own"
        ),
    ),
    (
        "a model without a name",
        GPT.replace('name = "gpt"', "n_layer = 2"),
        [],
        "E104: [model] has no name",
        "job.toml:1: model.name",
        (
            "name it linear, mlp, simple_cnn, resnet18, resnet50, bigram, gpt, "
            "torchvision:NAME or module:function of your own"
        ),
    ),
    (
        "a model's name that is no text",
        GPT.replace('"gpt"', "3"),
        [],
        "E104: model.name is 3",
        "job.toml:2: model.name",
        (
            "name it linear, mlp, simple_cnn, resnet18, resnet50, bigram, gpt, "
            "torchvision:NAME or module:function of your own"
        ),
    ),
    (
        "a model that is no table",
        'model = "gpt"\n' + DATA_AND_TRAIN,
        [],
        'E104: model is "gpt"; it takes a table',
        "job.toml:1: model",
        "write [model] in single brackets, and its keys below it",
    ),
    (
        "no model",
        DATA_AND_TRAIN,
        [],
        "E104: the job has no [model]",
        "job.toml: model",
        '[model] says what learns: name = "gpt", for example',
    ),
    (
        "nothing at all",
        "",
        [],
        "E104: the job has no [model]; also wrong: data (missing), train (missing)",
        "job.toml: model",
        '[model] says what learns: name = "gpt", for example',
    ),
    (
        "a key that must be given",
        GPT.replace('path = "input.txt"\n', ""),
        [],
        "E104: data.path is missing",
        "job.toml:4: data.path",
        (
            "A file or folder, relative to the job file; `builtin:python-manual` is the manual "
            "that comes with every Python."
        ),
    ),
    (
        "a number in quotes",
        GPT.replace("steps = 5", 'steps = "5"'),
        [],
        'E104: train.steps is "5"; it takes a whole number, 1 or more',
        "job.toml:9: train.steps",
        "write train.steps = 5",
    ),
    (
        "a whole number as a float",
        GPT.replace("steps = 5", "steps = 5e2"),
        [],
        "E104: train.steps is 500.0; it takes a whole number, 1 or more",
        "job.toml:9: train.steps",
        "write train.steps = 500",
    ),
    (
        "a fraction for a whole number",
        GPT.replace("steps = 5", "steps = 5.5"),
        [],
        "E104: train.steps is 5.5; it takes a whole number, 1 or more",
        "job.toml:9: train.steps",
        "write such a value, or leave train.steps out",
    ),
    (
        "true for a number",
        GPT.replace("steps = 5", "steps = true"),
        [],
        "E104: train.steps is true; it takes a whole number, 1 or more",
        "job.toml:9: train.steps",
        "write such a value, or leave train.steps out",
    ),
    (
        "out of range",
        GPT + "lr = 0\n",
        [],
        "E104: train.lr is 0; it takes a number above 0",
        "job.toml:10: train.lr",
        "write such a value, or leave train.lr out; then it is 0.001",
    ),
    (
        "infinity",
        GPT + "lr = inf\n",
        [],
        "E104: train.lr is inf; it takes a finite number above 0",
        "job.toml:10: train.lr",
        "write such a value, or leave train.lr out; then it is 0.001",
    ),
    (
        "a misspelt word",
        GPT + 'optimizer = "adamww"\n',
        [],
        'E104: train.optimizer is "adamww"; it takes "sgd", "adam" or "adamw"',
        "job.toml:10: train.optimizer",
        'write train.optimizer = "adamw"',
    ),
    (
        "an unknown word",
        GPT + 'schedule = "zigzag"\n',
        [],
        'E104: train.schedule is "zigzag"; it takes "constant", "step", "cosine" or "linear"',
        "job.toml:10: train.schedule",
        'write such a value, or leave train.schedule out; then it is "constant"',
    ),
    (
        "a number for text",
        GPT.replace('"input.txt"', "7"),
        [],
        "E104: data.path is 7; it takes text",
        "job.toml:6: data.path",
        'write data.path = "7"',
    ),
    (
        "a list too short",
        GPT + "betas = [0.9]\n",
        [],
        "E104: train.betas is [0.9]; it takes a list of 2, each a number, 0 or more and below 1",
        "job.toml:10: train.betas",
        "write such a value, or leave train.betas out; then it is [0.9, 0.99]",
    ),
    (
        "one element of a list",
        GPT + "betas = [\n  0.9,\n  2,\n]\n",
        [],
        (
            "E104: train.betas[1] is 2; train.betas takes a list of 2, each a number, 0 or "
            "more and below 1"
        ),
        "job.toml:12: train.betas[1]",
        "write such a value, or leave train.betas out; then it is [0.9, 0.99]",
    ),
    (
        "an unknown unit of time",
        GPT + '\n[membership]\ndead_s = "5 parsecs"\n',
        [],
        (
            'E104: membership.dead_s is "5 parsecs"; it takes a number above 0, or text like '
            '"200ms", "5m" or "1.5h"'
        ),
        "job.toml:12: membership.dead_s",
        "write such a value, or leave membership.dead_s out; then it is 3.0",
    ),
    (
        "a negative time",
        GPT + "\n[checkpoint]\nevery_s = -1\n",
        [],
        (
            'E104: checkpoint.every_s is -1; it takes a number above 0, or text like "200ms", '
            '"5m" or "1.5h"'
        ),
        "job.toml:12: checkpoint.every_s",
        "write such a value, or leave checkpoint.every_s out; then it is 60.0",
    ),
    (
        "a table for a value",
        GPT + "\n[train.lr]\nx = 1\n",
        [],
        "E104: train.lr is a table; it takes a number above 0",
        "job.toml:11: train.lr",
        "write such a value, or leave train.lr out; then it is 0.001",
    ),
    (
        "a date",
        GPT + "lr = 2024-05-01\n",
        [],
        'E104: train.lr is "2024-05-01"; it takes a number above 0',
        "job.toml:10: train.lr",
        "write such a value, or leave train.lr out; then it is 0.001",
    ),
    (
        "a tokenizer of no kind",
        GPT.replace("path =", 'tokenizer = "words"\npath ='),
        [],
        (
            'E104: data.tokenizer is "words"; it takes "char" or "byte", or text like "bpe" or '
            '"bpe:gpt2"'
        ),
        "job.toml:6: data.tokenizer",
        'write such a value, or leave data.tokenizer out; then it is "char"',
    ),
    (
        "a name no folder may have",
        'name = "my run!"\n' + GPT,
        [],
        'E104: name is "my run!"; it takes text like "first-try"',
        "job.toml:1: name",
        (
            "What the run's folder is called: letters, digits, dot, dash, underscore. Without "
            "it: the job file's own name."
        ),
    ),
    (
        "a table in double brackets",
        GPT.replace("[train]", "[[train]]"),
        [],
        'E104: train is [{"steps": 5}]; it takes a table',
        "job.toml:8: train",
        "write [train] in single brackets, and its keys below it",
    ),
    (
        "steps and epochs",
        GPT + "epochs = 2\n",
        [],
        "E105: steps and epochs are both given, and they contradict each other",
        "job.toml:9: train.steps, job.toml:10: train.epochs",
        "keep one; on the command line, -o train.epochs= takes a key out",
    ),
    (
        "neither steps nor epochs",
        GPT.replace("steps = 5\n", "lr = 1.0\n"),
        [],
        "E105: the run has no length",
        "job.toml:8: train",
        "give [train] either steps = 1000 or epochs = 10",
    ),
    (
        "heads that do not fit",
        GPT.replace('"gpt"', '"gpt"\nn_embd = 100\nn_head = 3'),
        [],
        "E105: n_embd (100) is no multiple of n_head (3)",
        "job.toml:3: model.n_embd, job.toml:4: model.n_head",
        "n_head must divide n_embd: n_embd = 102 would do",
    ),
    (
        "text for a model of images",
        GPT.replace('"gpt"', '"simple_cnn"'),
        [],
        "E105: model 'simple_cnn' cannot learn from data 'text'",
        "job.toml:2: model.name, job.toml:5: data.name",
        "text wants model 'gpt' or 'bigram'",
    ),
    (
        "images for a model of text",
        GPT.replace('"text"\npath = "input.txt"', '"mnist"'),
        [],
        "E105: model 'gpt' cannot learn from data 'mnist'",
        "job.toml:2: model.name, job.toml:5: data.name",
        "it wants data 'text' or 'tokens'",
    ),
    (
        "min_lr above lr",
        GPT + "lr = 1e-3\nmin_lr = 1e-2\n",
        [],
        "E105: min_lr (0.01) is above lr (0.001)",
        "job.toml:11: train.min_lr, job.toml:10: train.lr",
        "lr is the highest rate and min_lr the lowest: lower one or raise the other",
    ),
    (
        "an impatient membership",
        GPT + "\n[membership]\nheartbeat_s = 2\n",
        [],
        "E105: dead_s (3) is less than twice heartbeat_s (2)",
        "job.toml:12: membership.heartbeat_s",
        "one late heartbeat must not look like a death: set dead_s to 4 or more",
    ),
    (
        "more agents than workers",
        GPT + "\n[local]\nagents = 2\n",
        [],
        "E105: agents (2) is above workers (1)",
        "job.toml:12: local.agents",
        "every agent needs a rank: set workers to 2 or more",
    ),
    (
        "a metric nobody measures",
        GPT + '\n[checkpoint]\nmetric = "acuracy"\n',
        [],
        "E105: validation does not measure 'acuracy'",
        "job.toml:12: checkpoint.metric",
        "it measures loss, accuracy, top5, perplexity; more come from a train.loss of your own",
    ),
    (
        "text samples of images",
        '[model]\nname = "mlp"\n[data]\nname = "mnist"\n[train]\nsteps = 5\n[sample]\n',
        [],
        "E105: [sample] writes text, and data 'mnist' has none",
        "job.toml:7: sample, job.toml:4: data.name",
        "remove [sample]; on the command line, -o sample= takes it out",
    ),
    (
        "several at once, in the order of the file",
        GPT.replace("path =", "pth =")
        + 'lr = "fast"\nbetas = [1]\n\n[log]\nevery = 1\n\n[local]\nworkers = 0\nthreads = 0\n',
        [],
        (
            "E103: unknown key 'data.pth'; also wrong: train.lr (line 10), train.betas[0] "
            "(line 11), log.every (line 14), local.workers (line 17), and 2 more"
        ),
        "job.toml:6: data.pth",
        "did you mean 'data.path'?",
    ),
    (
        "what was typed before what stands in the file",
        GPT + "zzz = 1\n",
        ["train.lr=fast"],
        'E104: train.lr is "fast"; it takes a number above 0; also wrong: train.zzz (line 10)',
        "-o train.lr=fast",
        "write such a value, or leave train.lr out; then it is 0.001",
    ),
    (
        "an override of a misspelt key",
        GPT,
        ["train.lrr=3"],
        "E103: unknown key 'train.lrr'",
        "-o train.lrr=3",
        "did you mean 'train.lr'?",
    ),
    (
        "a misspelt key taken out",
        GPT,
        ["train.lrr="],
        "E103: unknown key 'train.lrr'",
        "-o train.lrr=",
        "did you mean 'train.lr'?",
    ),
    (
        "a word for a number",
        GPT,
        ["train.lr=fast"],
        'E104: train.lr is "fast"; it takes a number above 0',
        "-o train.lr=fast",
        "write such a value, or leave train.lr out; then it is 0.001",
    ),
    (
        "a number without its zero",
        GPT,
        ["train.lr=.5"],
        'E104: train.lr is ".5"; it takes a number above 0',
        "-o train.lr=.5",
        "write -o train.lr=0.5",
    ),
    (
        "Python's True",
        GPT,
        ["train.compile=True"],
        'E104: train.compile is "True"; it takes true or false',
        "-o train.compile=True",
        "write -o train.compile=true",
    ),
    (
        "a word in the wrong case",
        GPT,
        ["train.optimizer=AdamW"],
        'E104: train.optimizer is "AdamW"; it takes "sgd", "adam" or "adamw"',
        "-o train.optimizer=AdamW",
        "write -o train.optimizer=adamw",
    ),
    (
        "a number for a name",
        GPT,
        ["name=2024"],
        'E104: name is 2024; it takes text like "first-try"',
        "-o name=2024",
        "write -o 'name=\"2024\"'",
    ),
    (
        "a model switched, its keys left",
        GPT.replace('"gpt"', '"gpt"\nn_layer = 2'),
        ["model.name=bigram"],
        "E103: model 'bigram' has no key 'n_layer'",
        "job.toml:3: model.n_layer",
        "-o model.name=bigram changed the kind; take the key out with -o model.n_layer=",
    ),
    (
        "a key below a value",
        GPT,
        ["train.lr.x=1"],
        "E104: train.lr is a table; it takes a number above 0",
        "-o train.lr.x=1",
        "write such a value, or leave train.lr out; then it is 0.001",
    ),
    (
        "no equals sign",
        GPT,
        ["train.lr"],
        "E106: 'train.lr' sets nothing",
        "-o train.lr",
        "write -o train.lr=VALUE",
    ),
    (
        "no key",
        GPT,
        ["=3"],
        "E106: '' is no key",
        "-o =3",
        "write a table and a key: -o train.lr=3e-4",
    ),
    (
        "a key with a blank",
        GPT,
        ["train. lr=3"],
        "E106: 'train. lr' is no key",
        "-o train. lr=3",
        "write a table and a key: -o train.lr=3e-4",
    ),
    (
        "Python's True in the file",
        GPT + "compile = True\n",
        [],
        "E102: invalid value in `compile = True`",
        "job.toml:10:11",
        "write true or false in lower case",
    ),
    (
        "text without quotes",
        GPT.replace('"gpt"', "gpt"),
        [],
        "E102: invalid value in `name = gpt`",
        "job.toml:2:8",
        'put text in quotes: key = "text"',
    ),
    (
        "YAML",
        "model: gpt\n",
        [],
        "E102: expected '=' after a key in a key/value pair in `model: gpt`",
        "job.toml:1:6",
        "write key = value, with an equals sign",
    ),
    (
        "a table twice",
        GPT + "[train]\n",
        [],
        "E102: [train] is declared twice in `[train]`",
        "job.toml:10:7",
        "this key or table stands in the file twice: keep one",
    ),
    (
        "a key twice",
        GPT + "steps = 6\n",
        [],
        "E102: cannot overwrite a value in `steps = 6`",
        "job.toml:10:10",
        "this key or table stands in the file twice: keep one",
    ),
    (
        "a Windows path",
        GPT.replace('"input.txt"', '"C:\\data"'),
        [],
        "E102: unescaped '\\' in a string in `path = \"C:\\data\"`",
        "job.toml:6:13",
        "write a Windows path in single quotes: 'C:\\data\\mnist'",
    ),
    (
        "a quote left open",
        GPT.replace('"input.txt"', '"input.txt'),
        [],
        "E102: illegal character '\\n' in `path = \"input.txt`",
        "job.toml:6:18",
        "one key = value per line; close every quote on its line",
    ),
    (
        "no value",
        GPT + "lr =\n",
        [],
        "E102: invalid value in `lr =`",
        "job.toml:10:5",
        "give the key a value, or remove the line",
    ),
    (
        "a bracket left open",
        GPT + "betas = [0.9\n",
        [],
        "E102: unclosed array in `betas = [0.9`",
        "job.toml:10:13",
        "close the bracket, and separate what is in it by commas",
    ),
    (
        "Python's None",
        GPT + "clip_norm = None\n",
        [],
        "E102: invalid value in `clip_norm = None`",
        "job.toml:10:13",
        "leave the key out: TOML has no empty value",
    ),
    (
        "a number without its zero in the file",
        GPT + "lr = .5\n",
        [],
        "E102: invalid value in `lr = .5`",
        "job.toml:10:6",
        "a number begins with a digit: 0.5, not .5",
    ),
]
IN_JSON: list[Case] = [
    (
        "a misspelt key",
        JSON.replace('"steps": 5', '"steps": 5,\n  "lrr": 1'),
        [],
        "E103: unknown key 'train.lrr'",
        "job.json:6: train.lrr",
        "did you mean 'train.lr'?",
    ),
    (
        "a wrong value",
        JSON.replace('"steps": 5', '"steps": "5"'),
        [],
        'E104: train.steps is "5"; it takes a whole number, 1 or more',
        "job.json:5: train.steps",
        "write train.steps = 5",
    ),
    (
        "a comma too many",
        JSON.replace('"steps": 5', '"steps": 5,'),
        [],
        "E102: expecting property name enclosed in double quotes in `}`",
        "job.json:6:2",
        "JSON wants double quotes, no comment, and no comma before a closing brace",
    ),
    (
        "a key twice",
        JSON.replace('"steps": 5', '"steps": 5, "steps": 6'),
        [],
        "E102: the key 'steps' stands twice in one table",
        "job.json",
        "keep one",
    ),
    (
        "a list",
        "[]",
        [],
        "E102: the file is not one JSON object",
        "job.json",
        "begin it with {",
    ),
    (
        "brackets without end",
        "[" * 100000,
        [],
        "E102: brackets are nested too deeply",
        "job.json",
        "no key needs that",
    ),
]


def refusal(folder: Path, name: str, text: str, overrides: list[str]) -> str:
    (folder / name).write_text(text)
    with pytest.raises(JobError) as caught:
        load_job(name, overrides, folder)
    return str(caught.value)


def lines(what: str, where: str, fix: str) -> str:
    return f"{what}\n  where: {where}\n  next:  {fix}"


@pytest.mark.parametrize(
    ("text", "overrides", "what", "where", "fix"),
    [case[1:] for case in IN_TOML],
    ids=[case[0] for case in IN_TOML],
)
def test_a_refused_toml_file_says(
    tmp_path: Path, text: str, overrides: list[str], what: str, where: str, fix: str
) -> None:
    assert refusal(tmp_path, "job.toml", text, overrides) == lines(what, where, fix)


@pytest.mark.parametrize(
    ("text", "overrides", "what", "where", "fix"),
    [case[1:] for case in IN_JSON],
    ids=[case[0] for case in IN_JSON],
)
def test_a_refused_json_file_says(
    tmp_path: Path, text: str, overrides: list[str], what: str, where: str, fix: str
) -> None:
    assert refusal(tmp_path, "job.json", text, overrides) == lines(what, where, fix)


def test_the_base_of_these_cases_is_a_job(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(GPT)
    (tmp_path / "job.json").write_text(JSON)
    assert load_job("job.toml", (), tmp_path).job.train.steps == 5
    assert load_job("job.json", (), tmp_path).job.train.steps == 5

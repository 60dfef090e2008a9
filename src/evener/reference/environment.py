"""The page about environment variables: a person's, and those that evener's processes pass on."""

from __future__ import annotations

from evener import contract
from evener.reference import fields
from evener.reference.markdown import code, document, paragraph, table

# (variable, what it does); names only that some part of evener, or a library under it, reads.
FOR_PEOPLE = (
    (
        contract.CACHE_VARIABLE,
        "Where downloaded and tokenised data are kept, for all runs. Without it: `~/.cache/evener` "
        "(under `XDG_CACHE_HOME` if that is set), `~/Library/Caches/evener` on macOS, "
        "`%LOCALAPPDATA%\\evener\\cache` on Windows.",
    ),
    (
        "XDG_STATE_HOME",
        "Under it, in `evener`, is kept which pool this machine is in, or serves. Without it: "
        "`~/.local/state/evener`, `~/Library/Application Support/evener` on macOS, "
        "`%LOCALAPPDATA%\\evener\\state` on Windows.",
    ),
    (
        "HTTP_PROXY, HTTPS_PROXY, NO_PROXY",
        "The proxy that downloads of data go through, and for which hosts not; lower case as well.",
    ),
    ("TIKTOKEN_CACHE_DIR", 'Where tiktoken keeps its tables, for `data.tokenizer = "bpe"`.'),
    ("NO_COLOR", "Any text in it: no colours in the terminal."),
    ("COLUMNS", "How wide the terminal's views are, where that cannot be measured."),
    ("PYTHONIOENCODING", "The encoding of what is printed, where it is not the terminal's own."),
    (
        "PYTHONPATH",
        "Folders with modules of your own, searched after the job file's folder and the current "
        "one.",
    ),
    (
        "GLOO_SOCKET_IFNAME",
        "evener sets it for its ranks, to the interface over which they reach each other; what "
        "you set is replaced.",
    ),
    ("CUDA_VISIBLE_DEVICES", "Which GPUs there are for evener, as for every CUDA program."),
)
_INTRODUCTION = """\
An environment variable never goes before an argument or a key of the job file: what a run does is
said there and recorded with it. What remains is where things are kept and how a terminal looks."""
_INTERNAL = """\
evener starts its own processes with the variables below. Nobody types them, and they are taken out
of what a process hands on to its children. The secret travels here because other users of the
machine can read a command line, and not this."""
_MESH_PAGE = "../how-to/pool.md#behind-nat-the-mesh"
_TITLES = {
    contract.AgentEnv: "To an agent",
    contract.RankEnv: "To a rank",
    contract.HeadEnv: "To the head",
}


def page() -> str:
    people = table(("variable", "what it does"), [(code(n), text) for n, text in FOR_PEOPLE])
    blocks = ["## For you to set", people, "## Between evener's own processes", _INTERNAL]
    beside = f"Where the container beside it keeps [the mesh]({_MESH_PAGE}) of both."
    lone = table(("variable", "what it says"), [(code(contract.MESH_VARIABLE), beside)])
    blocks += ["### To a container that joins a pool", lone]
    for record, title in _TITLES.items():
        blocks += [f"### {title}", paragraph(fields.about(record)), _variables(record)]
    return document("Environment variables", _INTRODUCTION, *blocks)


def _variables(record: type) -> str:
    rows = [
        (
            code(contract.PREFIX + f.name.upper()),
            code(f.kind),
            code(f.default) if f.default else "",
            f.about,
        )
        for f in fields.of(record)
    ]
    return table(("variable", "type", "default", "what it is"), rows)

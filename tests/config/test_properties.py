"""What holds for every key and every job: overrides say the same as files, JSON loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from evener.config import keys
from evener.config.load import job_from_json, job_to_json, json_schema, load_job
from evener.config.schema import METRICS, Job
from evener.errors import BadCombination, JobError

PRINTABLE = st.characters(codec="utf-8", exclude_categories=["C"])
ASCII = st.characters(codec="ascii")
FREE = st.dictionaries(
    st.text("abc", min_size=1), st.integers() | st.booleans() | st.text("xyz"), max_size=3
)
Raw = dict[str, Any]


def values(node: Raw) -> st.SearchStrategy[Any]:
    """Values that a node of the schema accepts."""
    if "anyOf" in node:
        return st.one_of([values(n) for n in node["anyOf"] if n.get("type") != "null"])
    if "enum" in node or "const" in node:
        return st.sampled_from(node.get("enum") or [node["const"]])
    return MAKERS[node["type"]](node)


def _integers(node: Raw) -> st.SearchStrategy[int]:
    """Small ones and large ones: keys that must fit each other do so now and then."""
    low, high = node["minimum"], node.get("exclusiveMaximum", 2**31) - 1
    return st.integers(low, low + 8) | st.integers(low, high)


def _numbers(node: Raw) -> st.SearchStrategy[float]:
    low = node.get("minimum", node.get("exclusiveMinimum"))
    high = node.get("maximum", node.get("exclusiveMaximum"))
    return st.floats(
        low,
        high,
        exclude_min="exclusiveMinimum" in node,
        exclude_max="exclusiveMaximum" in node,
        allow_nan=False,
        allow_infinity=False,
    )


def _texts(node: Raw) -> st.SearchStrategy[str]:
    if "examples" in node and "pattern" not in node:
        return st.sampled_from(node["examples"])
    if "pattern" in node:
        return st.from_regex(node["pattern"], fullmatch=True, alphabet=ASCII)
    return st.text(PRINTABLE, min_size=1, max_size=20)


def _lists(node: Raw) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in node:
        return st.tuples(*map(values, node["prefixItems"])).map(list)
    return st.lists(values(node["items"]), max_size=4)


def _booleans(node: Raw) -> st.SearchStrategy[bool]:
    return st.booleans()


def _tables(node: Raw) -> st.SearchStrategy[Raw]:
    return FREE


MAKERS: dict[str, Callable[[Raw], st.SearchStrategy[Any]]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "string": _texts,
    "array": _lists,
    "object": _tables,
}


def nodes() -> dict[tuple[str, str, str], Raw]:
    """(table, kind, key) -> the schema of every key."""
    schema = json_schema()
    found: dict[tuple[str, str, str], Raw] = {}
    for table, node in schema["properties"].items():
        choices = (node, *node.get("anyOf", ()), node.get("items", {}))
        references = [n["$ref"] for n in choices if "$ref" in n]
        for reference in references:
            body = schema["$defs"][reference.rsplit("/", 1)[1]]
            several = table in ("model", "data")
            kind = keys_of_name(body["properties"]["name"])[0] if several else ""
            for name, child in body.get("properties", {}).items():
                if not (several and name == "name"):
                    found[table, kind, name] = child
        if not references:
            found["", "", table] = node
    return found


def keys_of_name(node: Raw) -> list[str]:
    return [node["const"]] if "const" in node else node.get("enum") or node["examples"]


TO_BE_THERE = {("script", "", "path")}  # a text that is drawn names no script
NODES = {key: node for key, node in nodes().items() if key not in TO_BE_THERE}
PARTNERS = {  # data for each model, model for each data
    "linear": "synthetic_regression",
    "mlp": "synthetic_regression",
    "bigram": "text",
    "gpt": "text",
    "tokens": "gpt",
    "text": "gpt",
    "synthetic_regression": "linear",
}


def base(table: str, kind: str) -> Raw:
    """A job in which a key of `table`, of that kind, may stand."""
    model, data = "gpt", "text"
    if table == "model":
        model, data = kind, PARTNERS.get(kind, "synthetic_image")
    if table == "data":
        model, data = PARTNERS.get(kind, "simple_cnn"), kind
    raw: Raw = {"model": {"name": model}, "data": {"name": data}, "train": {"steps": 3}}
    if data in ("text", "tokens", "imagenet"):
        raw["data"]["path"] = "somewhere"
    raw["early_stopping"] = {"patience": 3}
    if data in ("text", "tokens"):
        raw["sample"] = {}
    return raw


def section_of(raw: Raw, table: str) -> Any:
    """Where the keys of `table` stand in `raw`: the only one where there may be several."""
    if not table:
        return raw
    if keys.is_repeated(table):
        first: Raw = raw.setdefault(table, [{}])[0]
        return first
    return raw.setdefault(table, {})


def written(value: Any) -> str:
    """As TOML; JSON's form of these values is TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {written(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def drawn(data: st.DataObject, node: Raw, name: str) -> Any:
    value = data.draw(st.sampled_from(METRICS) if name == "metric" else values(node))
    texts = value if isinstance(value, list) else [value]
    assume(not any(isinstance(t, str) and t.startswith(("~", "builtin:")) for t in texts))
    return value


def load(folder: Path, raw: Raw, *overrides: str) -> Job:
    (folder / "job.json").write_text(json.dumps(raw))
    return load_job("job.json", overrides, folder).job


def load_or_refuse(folder: Path, raw: Raw, *overrides: str) -> Job | str:
    """A key alone may contradict the rest of the job: then it must, however it was given."""
    try:
        return load(folder, raw, *overrides)
    except BadCombination as error:
        return error.what


@pytest.mark.parametrize(("table", "kind", "name"), NODES, ids=lambda part: part or "-")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_override_says_what_the_file_would_say(
    tmp_path: Path, table: str, kind: str, name: str, data: st.DataObject
) -> None:
    value = drawn(data, NODES[table, kind, name], name)
    plain, written_in = base(table, kind), base(table, kind)
    taken_out = ["train.steps="] if name == "epochs" else []
    if taken_out:
        del written_in["train"]["steps"]
    section_of(written_in, table)[name] = value
    key = f"{table}.{name}" if table else name
    if keys.is_repeated(table):
        section_of(plain, table)
        key = f"{table}.0.{name}"
    from_file = load_or_refuse(tmp_path, written_in)
    from_override = load_or_refuse(tmp_path, plain, *taken_out, f"{key}={written(value)}")
    assert from_override == from_file
    if isinstance(value, int | float) and isinstance(from_override, Job):
        section = getattr(from_override, table) if table else from_override
        assert getattr(section[0] if isinstance(section, tuple) else section, name) == value


@given(st.sampled_from(sorted(NODES)), st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_job_survives_its_own_json(
    tmp_path: Path, key: tuple[str, str, str], data: st.DataObject
) -> None:
    raw = base(key[0], key[1])
    same = [k for k in NODES if k[:2] == key[:2] and k[2] != "epochs"]
    for table, kind, name in data.draw(st.sets(st.sampled_from(same), max_size=6)):
        section = section_of(raw, table)
        section[name] = drawn(data, NODES[table, kind, name], name)
    try:
        job = load(tmp_path, raw)
    except BadCombination:
        assume(False)
    assert job_from_json(job_to_json(job)) == job


def refusal_of(folder: Path, raw: Raw) -> JobError | None:
    try:
        load(folder, raw)
    except JobError as error:
        return error
    return None


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(st.lists(st.tuples(st.sampled_from(sorted(NODES)), JUNK), max_size=4), JUNK)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_file_the_answer_is_a_job_or_one_clear_refusal(
    tmp_path: Path, changes: list[tuple[tuple[str, str, str], Any]], instead: Any
) -> None:
    raw = base("", "")
    for (table, _, name), value in changes:
        if name == "name" and not table:
            raw["model"] = instead
            continue
        section = section_of(raw, table)
        if isinstance(section, dict):
            section[name] = value
    refused = refusal_of(tmp_path, raw)
    if refused is not None:
        assert refused.what
        assert refused.where.startswith("job.json")
        assert refused.fix


@given(st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_text_is_called_a_job_file_the_answer_is_a_refusal(
    tmp_path: Path, text: str
) -> None:
    for name in ("job.toml", "job.json"):
        (tmp_path / name).write_text(text, encoding="utf-8", errors="surrogatepass")
        with pytest.raises(JobError):
            load_job(name, (), tmp_path)


def test_every_key_that_is_listed_was_tried() -> None:
    listed = {(t.name, (t.kinds or ("",))[0], k.name) for t in keys.tables() for k in t.keys}
    assert listed - TO_BE_THERE == set(NODES)

"""Profiles as tables: machines, ranks, links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from evener.cli.paper import columns, text
from evener.profiles import LinkProfile, MachineProfile, Profiles, RankProfile
from evener.units import show_count, show_interval, show_size

MOST_LINKS = 12  # more of them are told by their slowest
TOGETHER = "all ranks were measured at the same time, as they will train"
NONE = "-"


def tables(found: Profiles) -> list[Text]:
    lines = _machines(found.machines)
    if found.ranks:
        lines += [text(), *_ranks(found.ranks), text()]
        many = len(found.ranks) > 1
        size = f"; {show_count(found.parameters)} parameters" if found.parameters else ""
        lines.append(text((f"{TOGETHER if many else 'one rank, measured alone'}{size}", "dim")))
    if found.links:
        lines += [text(), *_links(found.links)]
    for machine in found.machines:
        if machine.note:
            lines.append(text(("note ", "yellow"), f"{machine.name}: {machine.note}"))
    return lines


def _machines(machines: Sequence[MachineProfile]) -> list[Text]:
    kinds = list(dict.fromkeys(k for m in machines for k, v in m.matmul_flop_per_s.items() if v))
    heads = ["machine", "cpus", "memory", "measured", "copies", "disk write", "disk read", *kinds]
    rows = [_head(heads)]
    for m in machines:
        cells = [m.name, f"{m.cpus:g}", show_size(m.memory_bytes) if m.memory_bytes else NONE]
        cells += [f"{m.device}, {m.threads} thread" + ("s" if m.threads > 1 else "")]
        rates = (m.memory_bytes_per_s, m.disk_write_bytes_per_s, m.disk_read_bytes_per_s)
        cells += map(_rate, rates)
        cells += [_flops(m.matmul_flop_per_s.get(kind)) for kind in kinds]
        rows.append([text(cell) for cell in cells])
    return columns(rows, right=(1, 2, *range(4, len(heads))))


def _ranks(ranks: Sequence[RankProfile]) -> list[Text]:
    heads = ["rank", "machine", "device", "threads", "samples/s", "at once", "a step", "a sample"]
    rows = [_head([*heads, "memory", "no larger size:"])]
    for r in ranks:
        cells = [str(r.rank), r.machine, r.device, str(r.threads)]
        cells += [show_count(r.samples_per_s), str(r.micro_batch)]
        cells += [show_interval(r.fixed_s), show_interval(r.per_sample_s)]
        cells += [show_size(r.memory_bytes) if r.memory_bytes else NONE, r.note]
        rows.append([text(cell) for cell in cells])
    return columns(rows, right=(0, 3, 4, 5, 6, 7, 8))


def _links(links: Sequence[LinkProfile]) -> Iterator[Text]:
    shown = sorted(links, key=lambda link: link.bytes_per_s)[:MOST_LINKS]
    rows = [_head(["from", "to", "bytes a second", "latency"])]
    for link in sorted(shown, key=lambda link: (link.from_rank, link.to_rank)):
        ends = (f"rank {link.from_rank}", f"rank {link.to_rank}")
        rows.append(
            [text(c) for c in (*ends, _rate(link.bytes_per_s), show_interval(link.latency_s))]
        )
    yield from columns(rows, right=(2, 3))
    if len(shown) < len(links):
        yield text((f"and {len(links) - len(shown)} more links, all of them faster", "dim"))


def _head(heads: Sequence[str]) -> list[Text]:
    return [text((head, "dim")) for head in heads]


def _rate(bytes_per_s: float | None) -> str:
    return f"{show_size(bytes_per_s)}/s" if bytes_per_s else NONE


def _flops(flop_per_s: float | None) -> str:
    return f"{show_count(flop_per_s / 1e9)} GFLOP/s" if flop_per_s else NONE

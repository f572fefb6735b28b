"""What becomes of measurements: table, JSON, comparison, picture."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_results import NUMEL, measurement, peer, report

from gradwire.__main__ import main
from gradwire.bench import table
from gradwire.bench.compare import compare, comparison_lines
from gradwire.bench.report import read_report, write_report
from gradwire.errors import ConfigError


def test_figures_of_a_measurement() -> None:
    found = measurement("select", [3.0, 1.0, 8.0])
    assert found.copies == pytest.approx(1.5)  # medians: 3 ms of 2 ms
    assert found.copies_min == pytest.approx(0.5)
    assert found.floor == pytest.approx(0.5)  # 4 of 8 bytes per element
    assert found.gigabytes_per_second == pytest.approx(4 * NUMEL / 3e-3 * 1e-9)


def words(line: str) -> str:
    return " ".join(line.split())


def test_layout_of_the_table() -> None:
    rows = [
        measurement("select", [3.0, 1.0, 8.0], isa="avx512"),
        measurement("select", [4.0, 4.0, 4.0], isa="avx2"),
        peer("select", "np.flatnonzero", [30.0, 30.0, 30.0], wrong=None),
    ]
    lines = [*table.heading(report(*rows)), *table.row_lines(rows), *table.footer(report(*rows))]
    assert [line[:2] == "# " for line in lines] == [True] * 3 + [False] * 3 + [True]
    header, first, second, third = lines[2:6]
    assert len({len(line) for line in (header, first, second, third)}) == 1
    assert len(header) <= 110
    assert words(header) == "# row, or peer isa thr copies min floor ms GB/s x row x thr #wrong"
    assert words(first) == "select avx512 1 1.500 0.500 0.500 3.000 0.00 1.00 - 0"
    assert words(second) == "select avx2 1 2.000 2.000 0.500 4.000 0.00 1.33 - 0"
    assert words(third) == "np.flatnonzero - 1 15.000 15.000 0.500 30.000 0.00 10.00 - -"
    assert third.startswith("  np")
    assert "1,000 float32" in lines[1]


def test_peers_without_the_rows_own_kernel_have_no_ratio() -> None:
    (line,) = table.row_lines([peer("topk", "torch.topk", [4.0], threads=2)])
    assert words(line) == "torch.topk - 2 2.000 2.000 0.500 4.000 0.00 - - 0"


def test_threads_are_compared_with_one_and_peers_with_as_many() -> None:
    lines = table.row_lines(
        [
            measurement("topk", [6.0]),
            measurement("topk", [2.0], threads=4),
            measurement("topk", [2.0], threads=4, isa="generic"),
            peer("topk", "torch.topk", [9.0]),
            peer("topk", "torch.topk", [8.0], threads=4),
        ]
    )
    ratios = [line.split()[-3:-1] for line in lines]
    assert ratios == [
        ["1.00", "-"],
        ["1.00", "3.00"],
        ["1.00", "-"],
        ["1.50", "-"],
        ["4.00", "1.12"],
    ]


def test_names_in_the_registry_fit_the_table() -> None:
    from gradwire.bench.rows import ROWS

    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert " " not in row.name
        for name in (row.name, *(f"  {each.name}" for each in row.peers)):
            assert len(name) <= table.NAME_WIDTH, name
        assert len({each.name for each in row.peers}) == len(row.peers)


def test_footer_tells_what_is_wrong() -> None:
    rows = [measurement("topk", [1.0]), measurement("merge/4", [1.0], wrong=7)]
    assert table.footer(report(*rows)) == ["# FAILED: wrong results in merge/4"]
    noted = report(rows[0])
    noted.notes = ["torch is not installed: its peers are left out"]
    assert table.footer(noted)[0] == "# torch is not installed: its peers are left out"
    assert table.footer(noted)[1].startswith("# OK: 1 row")


def test_json_round_trip(tmp_path: Path) -> None:
    before = report(measurement("topk", [3.0, 1.0]), peer("topk", "x", [9.0, 8.0], wrong=None))
    before.notes = ["a note"]
    write_report(before, tmp_path / "a.json")
    assert read_report(tmp_path / "a.json") == before
    row = json.loads((tmp_path / "a.json").read_text())["rows"][0]
    assert row["seconds"] == [3e-3, 1e-3]
    assert row["copy_seconds"] == [2e-3, 2e-3]
    assert (row["median_seconds"], row["min_seconds"]) == (2e-3, 1e-3)
    assert (row["copies"], row["copies_min"], row["floor"]) == (1.0, 0.5, 0.5)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99, "benchmark": "kernels"}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json is no result of 'bench kernels --json'"):
        read_report(tmp_path / "a.json")


def test_absent_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_comparison_flags_what_became_slower() -> None:
    before = report(
        measurement("topk", [2.0]),
        measurement("select", [2.0]),
        peer("select", "np", [2.0]),
        measurement("gone", [2.0]),
    )
    after = report(
        measurement("topk", [2.18]),
        measurement("select", [2.3]),
        peer("select", "np", [9.0]),
        measurement("fresh", [2.0]),
    )
    found = compare(before, after, 1.10)
    assert [each.measurement.row for each in found if each.slower] == ["select"]
    lines = comparison_lines(found, 1.10)
    assert [line.endswith("SLOWER") for line in lines] == [False, False, True, *[False] * 4]
    assert lines[1].split()[-3:] == ["1.000", "1.090", "1.090"]
    assert lines[4].split()[-3:] == ["-", "1.000", "-"]  # fresh
    assert lines[5].split()[-3:] == ["1.000", "-", "-"]  # gone
    assert lines[-1] == "# 1 of 2 rows take more than 1.1 times the time in copies: select"


def test_comparison_is_in_copies_not_in_seconds() -> None:
    """A machine twice as fast in everything changes nothing."""
    slow, fast = measurement("topk", [8.0], copy_seconds=[4e-3]), measurement("topk", [4.0])
    assert compare(report(slow), report(fast))[0].ratio == pytest.approx(1.0)


def test_comparison_by_the_shortest_times() -> None:
    before, after = report(measurement("topk", [1.0, 2.0, 2.0])), report(measurement("topk", [2.0]))
    assert not compare(before, after, statistic="median")[0].slower
    assert compare(before, after, statistic="min")[0].slower


def test_comparing_unlike_sizes_is_refused() -> None:
    with pytest.raises(ConfigError, match="n differs: 1000 and 2000"):
        compare(report(), report(numel=2000))


def test_comparing_what_has_nothing_in_common_is_refused() -> None:
    with pytest.raises(ConfigError, match="no row of gradwire's in common"):
        compare(report(measurement("topk", [1.0])), report(measurement("select", [1.0])))


DAMAGE = {
    "no settings": lambda content: content.update(settings={}),
    "no elements": lambda content: content["settings"].update(numel=0),
    "no machine": lambda content: content.update(environment={}),
    "odd machine": lambda content: content.update(environment={"machine": 5}),
    "no times": lambda content: content["rows"][0].update(seconds=[]),
    "words": lambda content: content["rows"][0].update(seconds=["x"]),
    "no copies": lambda content: content["rows"][0].update(copy_seconds=[0.0]),
    "not a number": lambda content: content["rows"][0].update(seconds=[float("nan")]),
    "odd row": lambda content: content["rows"][0].update(row=[1]),
    "rows": lambda content: content.update(rows=5),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[dict[str, Any]], None]
) -> None:
    path = tmp_path / "a.json"
    write_report(report(measurement("topk", [1.0])), path)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    assert main(["bench", "compare", str(path), str(path)]) == 2
    assert "is no result of 'bench kernels --json'" in capsys.readouterr().err


def test_deep_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="is no result of"):
        read_report(tmp_path / "a.json")


def test_wrong_results_are_noted_by_a_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    write_report(report(measurement("topk", [1.0], wrong=3)), path)
    assert main(["bench", "compare", str(path), str(path)]) == 0
    assert f"# wrong results in {path}: topk" in capsys.readouterr().out


def test_output_that_nobody_reads_to_its_end() -> None:
    job = subprocess.run(
        f"{sys.executable} -m gradwire bench kernels --list | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in job.stderr
    assert "BrokenPipe" not in job.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_an_error_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="cannot write /dev/full: No space left"):
        write_report(report(measurement("topk", [1.0])), Path("/dev/full"))


@pytest.mark.parametrize("limit", ["nan", "0", "-1.1"])
def test_limits_that_nothing_is_above_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: str
) -> None:
    path = str(tmp_path / "a.json")
    write_report(report(measurement("topk", [1.0])), tmp_path / "a.json")
    assert main(["bench", "compare", path, path, "--fail-above", limit]) == 2
    assert "--fail-above must be above 0" in capsys.readouterr().err


def test_pictures_that_cannot_be_written_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(report(measurement("topk", [1.0])), tmp_path / "a.json")
    nowhere = str(tmp_path / "nowhere" / "a.svg")
    assert main(["bench", "plot", str(tmp_path / "a.json"), "-o", nowhere]) == 2
    assert f"cannot write {nowhere}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 0), (["--fail-above", "1.10"], 1), (["--fail-above", "2"], 0)]
)
def test_exit_codes_of_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, time in zip(paths, (2.0, 3.0), strict=True):
        write_report(report(measurement("topk", [time])), path)
    assert main(["bench", "compare", *map(str, paths), *arguments]) == code
    assert "1.500" in capsys.readouterr().out


def test_plot_without_matplotlib_says_what_to_install(tmp_path: Path) -> None:
    write_report(report(measurement("topk", [1.0])), tmp_path / "a.json")
    program = (
        "import sys; sys.modules['matplotlib'] = None; from gradwire.__main__ import main; "
        f"sys.exit(main(['bench', 'plot', {str(tmp_path / 'a.json')!r}, '-o', 'never.svg']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert "matplotlib, which is not installed: pip install 'gradwire[plot]'" in done.stderr


def test_plot_draws_every_row(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        measurement("topk", [2.0]),
        measurement("topk", [4.0], isa="generic", threads=2),
        peer("topk", "np", [9.0]),
        measurement("topk/bfloat16", [1.0]),
        measurement("merge/4", [1.0]),
    ]
    write_report(report(*rows), tmp_path / "a.json")
    for name in ("a.svg", "b.svg"):
        assert main(["bench", "plot", str(tmp_path / "a.json"), "-o", str(tmp_path / name)]) == 0
    text = (tmp_path / "a.svg").read_text()
    assert text.startswith("<?xml")
    # matplotlib writes the text of labels as comments
    words = ("topk", "topk/bfloat16", "merge/4", "avx2, 1 thread", "generic, 2 threads")
    for word in (*words, "fastest peer"):
        assert f"<!-- {word} -->" in text
    assert main(["bench", "plot", str(tmp_path / "a.json"), "-o", str(tmp_path / "a.what")]) == 2


def test_plot_of_many_rows_has_room_for_all(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    heights = []
    for count in (5, 60):
        rows = [measurement(f"row{number}/a", [float(number + 1)]) for number in range(count)]
        write_report(report(*rows), tmp_path / "a.json")
        assert main(["bench", "plot", str(tmp_path / "a.json"), "-o", str(tmp_path / "a.svg")]) == 0
        text = (tmp_path / "a.svg").read_text()
        heights.append(float(text.partition('height="')[2].partition("pt")[0]))
        assert "fastest peer" not in text
    assert heights[1] - heights[0] > 55 * 12  # points: a line of text each

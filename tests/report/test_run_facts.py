"""Facts about a run: wall times of its rules."""

from helpers.fake_metrics import write_benchmark

from shiftscope.report.run_facts import wall_times, warned


def test_wall_times_are_summed_by_rule(tmp_path):
    write_benchmark(tmp_path / "benchmarks/train/a.tsv")
    write_benchmark(tmp_path / "benchmarks/train/b.tsv", s="20.0", max_rss="700")
    write_benchmark(tmp_path / "benchmarks/fetch_lm.tsv", max_rss="NA")
    train, fetch = wall_times(tmp_path / "benchmarks")
    assert train == {"rule": "train", "jobs": 2, "seconds": 32.5, "longest": 20.0, "memory": 700.0}
    assert (fetch["rule"], fetch["memory"]) == ("fetch_lm", None)
    assert wall_times(tmp_path / "absent") == []


def test_warnings_are_told_once_by_job_with_their_dataset(tmp_path):
    logs = {
        "train/lm@final_norm/pairs/codes_2/ica/seeds_0-1": [
            "2026-01-01 00:00:00,000 WARNING shiftscope.variants.ica: not converged: alpha 1",
            "2026-01-01 00:00:01,000 WARNING shiftscope.variants.ica: not converged: alpha 1",
            "2026-01-01 00:00:01,000 INFO shiftscope.x: all well",
            "2026-01-01 00:00:02,000 WARNING py.warnings: /somewhere/torch/x.py:12: UserWarning: odd",
            "  warnings.warn(…)",
        ],
        "make_synthetic/tiny": ["2026-01-01 00:00:00,000 WARNING shiftscope.y: few"],
        "make_pairs/own": ["2026-01-01 00:00:00,000 WARNING shiftscope.y: few"],
        "fetch_lm/lm": ["2026-01-01 00:00:00,000 WARNING shiftscope.y: few"],
        "evaluate/synthetic/tiny": ["2026-01-01 00:00:00,000 INFO shiftscope.y: none"],
    }
    for name, lines in logs.items():
        path = tmp_path / f"{name}.log"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines))
    found = {(one["rule"], one["lm"], one["dataset"]): one["messages"] for one in warned(tmp_path)}
    assert found == {
        ("train", "lm@final_norm", "pairs"): ["not converged: alpha 1", "UserWarning: odd"],
        ("make_synthetic", "synthetic", "tiny"): ["few"],
        ("make_pairs", "", "own"): ["few"],
        ("fetch_lm", "", ""): ["few"],
    }
    assert warned(tmp_path / "absent") == []

"""Facts about a run: wall times of its rules."""

from helpers.fake_metrics import write_benchmark

from shiftscope.report.run_facts import names_of, run_facts, wall_times, warned


def test_wall_times_are_summed_by_rule(tmp_path):
    write_benchmark(tmp_path / "benchmarks/train/a.tsv")
    write_benchmark(tmp_path / "benchmarks/train/b.tsv", s="20.0", max_rss="700")
    write_benchmark(tmp_path / "benchmarks/fetch_lm.tsv", max_rss="NA")
    train, fetch = wall_times(tmp_path / "benchmarks", {"a", "b"})
    assert train == {"rule": "train", "jobs": 2, "seconds": 32.5, "longest": 20.0, "memory": 700.0}
    assert (fetch["rule"], fetch["memory"]) == ("fetch_lm", None)
    assert wall_times(tmp_path / "absent", {"a"}) == []


def test_jobs_of_earlier_configs_are_no_part_of_this_run(tmp_path):
    config = {
        "lms": {"mine": {}},
        "pairs": {"own.pairs": {}},
        "activations": {"text": {}},
        "variants": {"ssae": {}},
        "tables": ["table_a2"],
    }
    for job in (
        "train/mine@resid_post.2/own.pairs/codes_2/ssae/seeds_0-4",
        "make_table/table_a2",
        "collect_metrics/all",
        "cache_activations/mine/text/train_0002",
    ):
        write_benchmark(tmp_path / f"{job}.tsv")
    for job in (
        "train/mine/other/codes_2/ssae/seeds_0",
        "train/mine/own.pairs/codes_2/pca/seeds_0",
        "make_table/table_a6",
    ):
        write_benchmark(tmp_path / f"{job}.tsv", s="99")
    rules = run_facts(tmp_path, tmp_path, config)["rules"]
    assert {rule["rule"]: (rule["jobs"], rule["longest"]) for rule in rules} == {
        "train": (1, 12.5), "make_table": (1, 12.5), "collect_metrics": (1, 12.5), "cache_activations": (1, 12.5),
    }  # fmt: skip
    assert names_of({}) == {"synthetic", "all"}


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
    names = {"lm", "pairs", "ica", "tiny", "own", "synthetic"}
    found = {(one["rule"], one["lm"], one["dataset"]): one["messages"] for one in warned(tmp_path, names)}
    assert found == {
        ("train", "lm@final_norm", "pairs"): ["not converged: alpha 1", "UserWarning: odd"],
        ("make_synthetic", "synthetic", "tiny"): ["few"],
        ("make_pairs", "", "own"): ["few"],
        ("fetch_lm", "", ""): ["few"],
    }
    assert warned(tmp_path / "absent", names) == []
    assert [one["rule"] for one in warned(tmp_path, {"own"})] == ["make_pairs"]

"""What goes wrong while results are shared, and that every command which a message suggests works in that very state.

`Project.follow` does what stands between backquotes, in the order in which it stands there.
"""

import shutil
from pathlib import Path

import pytest
from helpers.clone import Project
from helpers.sharing import NODE, WEIGHTS, list_of, object_of

pytestmark = pytest.mark.workflow
SSAE = f"results/models/{NODE}/ssae/seeds_2.safetensors"


def local_config(project: Project) -> str:
    path = project.folder / ".dvc/config.local"
    return path.read_text() if path.exists() else ""


def one_more_seed(project: Project, **environment: str) -> None:
    project.environment |= environment
    project.change("config.yaml", '["0-1"]', '["0-1", "2"]')
    project.run("snakemake", "--cores", "2")
    project.environment = {}


# --- remotes


def test_a_remote_that_is_not_committed_breaks_no_other_commit(pair):
    first, _ = pair
    first.dvc("remote", "add", "--quiet", "--default", "lab", "../lab")
    first.sharing("track")
    assert "lab" not in local_config(first)
    first.git("stash", "--quiet")
    assert "store" in first.dvc("remote", "list")
    first.dvc("status")
    first.git("stash", "pop", "--quiet")
    first.git("commit", "--quiet", "--all", "-m", "lab")
    first.sharing("push")
    third = first.clone(first.folder.parent / "third")
    third.sharing("pull")
    assert third.executed() == set()


def test_sections_that_an_earlier_version_wrote_are_dropped(pair):
    first, _ = pair
    own = "['remote \"store\"']\n    verify = true\n    jobs = 2\n[core]\n    analytics = false\n"
    (first.folder / ".dvc/config.local").write_text("['remote \"gone\"']\n    verify = true\n" + own)
    assert "expected 'url'" in first.run("dvc", "status", check=False)
    first.sharing("track")
    assert "gone" not in local_config(first)
    assert {line.strip() for line in local_config(first).splitlines()} == {line.strip() for line in own.splitlines()}
    first.dvc("status")


@pytest.mark.parametrize("change", [("rename", "store", "lab"), ("remove", "store")])
def test_a_colleague_renames_or_removes_the_remote(pair, change):
    first, second = pair
    second.sharing("pull")
    first.dvc("remote", *change)
    if change[0] == "remove":
        first.dvc("remote", "add", "--quiet", "--default", "other", "../store")
    first.git("commit", "--quiet", "--all", "-m", "remotes")
    first.git("push", "--quiet")
    second.sharing("pull")
    assert second.executed() == set()
    second.dvc("remote", "list")


def test_own_settings_of_a_remote_that_is_not_there_are_named(pair):
    first, _ = pair
    (first.folder / ".dvc/config.local").write_text("['remote \"s3\"']\n    access_key_id = me\n")
    said = first.sharing("track", check=False)
    assert 'settings for remote "s3"' in said and "add a line `url = …`" in said
    assert "access_key_id = me" in local_config(first)
    (first.folder / ".dvc/config.local").write_text("['remote \"s3\"']\n    access_key_id = me\n    url = s3://b/p\n")
    first.sharing("track")


def test_a_remote_of_the_global_config_is_verified_too(pair, tmp_path):
    first, _ = pair
    (tmp_path / "global").mkdir()
    (tmp_path / "global/config").write_text(
        f"['remote \"mine\"']\n    url = {first.folder.parent / 'store'}\n[core]\n    remote = mine\n"
    )
    bad = object_of(first, WEIGHTS)
    bad.chmod(0o644)
    bad.write_bytes(b"bad")
    third = first.clone(first.folder.parent / "third")
    third.environment = {"DVC_GLOBAL_CONFIG_DIR": str(tmp_path / "global")}
    third.dvc("remote", "remove", "store")
    assert f"Not here: {WEIGHTS}" in third.sharing("pull", check=False)
    assert not (third.folder / WEIGHTS).exists()


def test_what_dvc_cannot_do_is_said_before_it_does_harm(pair, tmp_path):
    first, _ = pair
    config = first.folder / ".dvc/config"
    config.write_text("")
    said = first.sharing("track", check=False)
    assert "letters beyond ASCII" in said
    first.follow(said)
    assert "store" in config.read_text()
    first.folder.rename(tmp_path / "a {x} b")
    assert "braces" in Project(tmp_path / "a {x} b").sharing("track", check=False)


# --- what is one's own


def test_pulling_over_what_nobody_tracks_loses_nothing(pair):
    first, second = pair
    first.change("config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    first.executed()
    first.share("21 steps")
    second.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    second.executed()
    before = {path: path.read_bytes() for path in (second.folder / "results/models").rglob("*.safetensors")}
    said = second.sharing("pull", check=False)
    assert "are not tracked yet" in said and "force" not in said
    assert {path: path.read_bytes() for path in before} == before
    second.git("commit", "--quiet", "-m", "a variant", "config.yaml")
    assert second.follow(said) == ["make track", "git commit -m 'my results'", "make pull"]
    pca = second.folder / f"results/models/{NODE}/pca/seeds_0.safetensors"
    assert pca.read_bytes() == before[pca]
    assert not [node for node in second.executed() if node.startswith("train/")]
    second.share("both")


def test_uncommitted_changes_in_the_way_of_a_merge(pair):
    first, second = pair
    first.change("config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    first.git("commit", "--quiet", "--all", "-m", "21 steps")
    first.git("push", "--quiet")
    second.change("config.yaml", '["0-1"]', '["0-1", "2"]')
    said = second.sharing("pull", check=False)
    assert second.follow(said) == ["git commit --all -m 'my changes'", "make pull"]
    text = (second.folder / "config.yaml").read_text()
    assert "steps: 21" in text and '"2"' in text


def test_a_conflict_in_the_config(pair):
    first, second = pair
    for project, steps in ((first, 21), (second, 22)):
        project.change("config.yaml", "dictionary_learning: {steps: 20}", f"dictionary_learning: {{steps: {steps}}}")
        project.git("commit", "--quiet", "--all", "-m", f"{steps} steps")
    first.git("push", "--quiet")
    said = second.sharing("pull", check=False)
    config = second.folder / "config.yaml"
    assert "<<<<<<<" in config.read_text()
    text = "".join(
        line
        for line in config.read_text().splitlines(keepends=True)
        if "steps: 22" not in line and line[0] not in "<=>"
    )
    config.write_text(text)
    assert second.follow(said.partition("(or,")[0]) == ["git add config.yaml", "git commit --no-edit", "make pull"]
    assert second.git("status", "--short") == ""


def test_a_damaged_file_is_set_aside_and_fetched_again(pair):
    first, _ = pair
    path = first.folder / WEIGHTS
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[:-1] + b"x")
    said = first.sharing("track")
    assert f"{WEIGHTS}: left out" not in said or "make run" in said
    first.git("commit", "--quiet", "--allow-empty", "-m", "x")
    said = first.sharing("pull")
    assert f"set aside in work/set_aside/{WEIGHTS}" in said
    assert path.read_bytes() == good
    assert (first.folder / "work/set_aside" / WEIGHTS).read_bytes() == good[:-1] + b"x"
    assert first.executed() == set()


def test_a_changed_file_comes_back_as_the_page_says(pair):
    first, _ = pair
    others = {path for path in (first.folder / "results").rglob("*") if path.is_file()}
    path = first.folder / WEIGHTS
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"changed")
    page = (first.folder / "docs/sharing.md").read_text()
    assert "`rm FILE && .venv/bin/dvc checkout FILE`" in page
    path.unlink()
    first.dvc("checkout", WEIGHTS)
    assert path.read_bytes() == good
    assert {path for path in (first.folder / "results").rglob("*") if path.is_file()} == others


def test_sharing_waits_for_a_run_to_end(pair):
    first, _ = pair
    locks = first.folder / ".snakemake/locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "0.output.lock").write_text("results/models\n")
    for command in ("track", "pull", "push"):
        said = first.sharing(command, check=False)
        assert "Snakemake is at work in this folder" in said
    assert len(first.follow(said)) == 2  # unlock, and the command again
    assert not list(locks.glob("*"))


# --- what the remote lacks


def test_what_the_remote_has_lost_is_sent_again(pair):
    first, _ = pair
    object_of(first, WEIGHTS).unlink()
    third = first.clone(first.folder.parent / "third")
    said = third.sharing("pull", check=False)
    assert f"Not here: {WEIGHTS}" in said and "whoever made them runs `make push`" in said
    assert "1 files sent" in first.sharing("push")
    third.sharing("pull")
    assert third.executed() == set()


def test_a_lost_list_keeps_back_no_other_directory(pair):
    first, _ = pair
    list_of(first, "models").unlink()
    third = first.clone(first.folder.parent / "third")
    said = third.sharing("pull", check=False)
    assert "the list of results/models.dvc cannot be fetched" in said and "runs `make push`" in said
    assert (third.folder / "results/parts/synthetic/tiny.parquet").is_file()
    first.sharing("push")
    third.sharing("pull")
    assert third.executed() == set()


def test_others_have_pushed_meanwhile(pair):
    first, second = pair
    first.change("config.yaml", "dictionary_learning: {steps: 20}", "dictionary_learning: {steps: 21}")
    first.executed()
    first.share("21 steps")
    second.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    second.executed()
    second.sharing("track")
    second.git("commit", "--quiet", "--all", "-m", "pca")
    said = second.sharing("push", check=False)
    assert "others have pushed meanwhile" in said
    assert second.follow(said)[:2] == ["make pull", "make run"]
    assert not second.git("status", "--short").startswith("U")
    second.share("both")


def test_two_contents_of_one_path(pair):
    """Other hardware rounds otherwise: theirs are taken, own models of other names stay, and nothing is trained again."""
    first, second = pair
    one_more_seed(first)
    first.share("a seed")
    one_more_seed(second, ATEN_CPU_CAPABILITY="default")
    second.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    second.executed()
    ours, theirs = ((project.folder / SSAE).read_bytes() for project in (second, first))
    assert ours != theirs
    second.sharing("track")
    second.git("commit", "--quiet", "--all", "-m", "mine")
    mine = second.git("rev-parse", "HEAD").strip()
    said = second.sharing("pull")
    assert "theirs are taken" in said and SSAE in said
    assert (second.folder / SSAE).read_bytes() == theirs
    assert (second.folder / f"results/models/{NODE}/pca/seeds_0.safetensors").is_file()
    assert not [node for node in second.executed() if node.startswith("train/")]
    second.share("both")
    second.git("checkout", "--quiet", mine)  # and what was made here is still to be had
    (second.folder / SSAE).unlink()
    second.dvc("checkout", SSAE)
    assert (second.folder / SSAE).read_bytes() == ours
    shutil.rmtree(first.folder)


def test_every_command_of_the_page_is_known():
    """The page's own examples are those that these tests and `test_sharing.py` execute."""
    page = (Path(__file__).parents[2] / "docs/sharing.md").read_text()
    assert "dvc push" not in page.replace("dvc push --remote lab-s3", "")
    assert "pull --force" not in page and "checkout --force" not in page

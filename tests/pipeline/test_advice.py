"""What goes wrong while results are shared, and that every command which a message suggests works in that very state.

`Project.follow` does what stands between backquotes, in the order in which it stands there.
"""

import shutil
from pathlib import Path

import pytest
from helpers.clone import Project
from helpers.sharing import CHANGED, NODE, WEIGHTS, list_of, object_of

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


def without_weights(first: Project) -> Project:
    """A clone of a project whose remote has lost a model, with one variant more in its config."""
    object_of(first, WEIGHTS).unlink()
    third = first.clone(first.folder.parent / "third")
    third.sharing("pull", check=False)
    third.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    return third


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
    said = first.sharing("push", check=False)
    assert "`mkdir -p" in said
    (first.folder.parent / "lab").mkdir()
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
    assert second.follow(said) == ["make track", "git commit --all -m 'my results'", "make pull"]
    pca = second.folder / f"results/models/{NODE}/pca/seeds_0-1.safetensors"
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
    assert second.follow(said) == ["git add config.yaml", "git commit --no-edit", "make pull"]
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
    assert "the list of results/models cannot be fetched" in said and "runs `make push`" in said
    assert (third.folder / "results/parts/synthetic/tiny.parquet").is_file()
    first.sharing("push")
    third.sharing("pull")
    assert third.executed() == set()


def test_a_lost_file_that_is_computed_again_is_sent(pair):
    """Its bytes are those that are tracked, so DVC sees no change, and its cache never had it."""
    first, _ = pair
    third = without_weights(first)
    assert CHANGED in third.executed()
    third.share("and one variant more")
    fourth = first.clone(first.folder.parent / "fourth")
    fourth.sharing("pull")
    assert fourth.executed() == set()


def test_what_nobody_has_blocks_nobody(pair):
    first, _ = pair
    third = without_weights(first)
    third.executed(f"results/models/{NODE}/pca/seeds_0-1.json")
    third.sharing("track")
    third.git("commit", "--quiet", "--all", "-m", "pca")
    assert f"neither here nor on the remote: {WEIGHTS}" in third.sharing("push")
    fourth = first.clone(first.folder.parent / "fourth")
    assert f"Not here: {WEIGHTS}" in fourth.sharing("pull", check=False)
    assert (fourth.folder / f"results/models/{NODE}/pca/seeds_0-1.json").is_file()


def test_the_lost_list_of_an_old_commit_is_in_nobodys_way(pair):
    first, second = pair
    old = list_of(first, "models")
    first.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    first.executed()
    first.share("pca")
    old.unlink()
    for path in (second.folder / ".dvc/cache").rglob("*.dir"):
        path.unlink()
    second.sharing("pull")
    assert second.executed() == set()


@pytest.mark.parametrize("damage", ["[{", "[]"])
def test_a_damaged_list_is_sent_again(pair, damage):
    first, _ = pair
    bad = list_of(first, "models")
    bad.chmod(0o644)
    bad.write_text(damage)
    third = first.clone(first.folder.parent / "third")
    said = third.sharing("pull", check=False)
    assert "the list of results/models cannot be fetched" in said and "Traceback" not in said
    first.sharing("push")
    third.sharing("pull")
    assert third.executed() == set()


def test_a_list_that_nobody_has_is_made_anew(pair):
    first, _ = pair
    list_of(first, "models").unlink()
    for path in (first.folder / ".dvc/cache").rglob("*.dir"):
        path.unlink()
    said = first.sharing("track", check=False)
    assert "`make track LOST=results/models` makes it anew" in said
    first.sharing("track", "results/models")
    first.git("commit", "--quiet", "--all", "--allow-empty", "-m", "anew")
    first.sharing("push")
    third = first.clone(first.folder.parent / "third")
    third.sharing("pull")
    assert third.executed() == set()


def test_results_that_nobody_tracked_are_not_forgotten(pair):
    first, _ = pair
    first.change("config.yaml", "mean_difference: {}", "mean_difference: {}\n  pca: {}")
    first.executed()
    first.git("commit", "--quiet", "--all", "-m", "without make track")
    said = first.sharing("push", check=False)
    assert first.follow(said) == ["make track", "git commit --all -m 'my results'", "make push"]
    third = first.clone(first.folder.parent / "third")
    third.sharing("pull")
    assert third.executed() == set()


def test_a_drive_that_is_not_mounted(pair):
    first, second = pair
    store = first.folder.parent / "store"
    store.rename(store.with_name("elsewhere"))
    for project, command in ((first, "push"), (second, "pull")):
        said = project.sharing(command, check=False)
        assert "is its drive mounted?" in said and f"`mkdir -p {store}`" in said
    assert not store.exists()


def test_without_a_remote_it_is_said_once(pair):
    first, _ = pair
    first.dvc("remote", "remove", "store")
    for command in ("pull", "push"):
        said = first.sharing(command, check=False)
        assert said.count("there is no DVC remote") == 1 and "`dvc remote add --default lab FOLDER`" in said


def test_half_of_a_merge_is_not_shared(pair):
    first, second = pair
    for project, steps in ((first, 21), (second, 22)):
        project.change("config.yaml", "dictionary_learning: {steps: 20}", f"dictionary_learning: {{steps: {steps}}}")
        project.git("commit", "--quiet", "--all", "-m", f"{steps} steps")
    first.git("push", "--quiet")
    second.sharing("pull", check=False)
    for command in ("track", "pull", "push"):
        said = second.sharing(command, check=False)
        assert "in the middle of a merge" in said
    assert second.git("status", "--short") == "UU config.yaml\n"
    second.git("checkout", "--theirs", "config.yaml")
    second.git("add", "config.yaml")
    second.follow(said.partition("git add` that")[2])
    second.sharing("pull")


def test_why_of_what_the_config_has_not(second):
    said = second.sharing("why", f"results/models/{NODE}/pca/seeds_0-1.json", check=False)
    assert "the variant 'pca' of the config" in said and "KeyError" not in said


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
    assert [command.split()[1] for command in second.follow(said)] == ["pull", "run", "track", "commit", "push"]
    assert second.executed() == set()


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
    assert (second.folder / f"results/models/{NODE}/pca/seeds_0-1.safetensors").is_file()
    assert not [node for node in second.executed() if node.startswith("train/")]
    second.share("both")
    shutil.rmtree(second.folder)
    third = first.clone(first.folder.parent / "third")
    third.git("checkout", "--quiet", mine)  # and what was made here is still to be had, by everyone
    third.sharing("pull")
    assert (third.folder / SSAE).read_bytes() == ours


def test_every_command_of_the_page_is_known():
    """The page's own examples are those that these tests and `test_sharing.py` execute."""
    page = (Path(__file__).parents[2] / "docs/sharing.md").read_text()
    assert "dvc push" not in page.replace("dvc push --remote lab-s3", "")
    assert "pull --force" not in page and "checkout --force" not in page

"""Pulling models from a hub on loopback, what is here, and that a graph never downloads."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import stub_hub
from typer.testing import CliRunner

from flowmm.face.models_cli import app
from flowmm.models import hub as pulling
from flowmm.models import selection, shelf, snapshots
from flowmm.models.source import SourceError, open_source

CONFIG = b'{"architectures": ["CLIPModel"]}'
WEIGHTS = bytes(range(256)) * 12_000
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "README.md": b"# words", "tf_model.h5": b"x" * 99, "pytorch_model.bin": b"y" * 99}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    stub = stub_hub.StubHub()
    monkeypatch.setenv("HF_ENDPOINT", stub.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)  # between tries
    yield stub
    with contextlib.suppress(OSError):
        stub.stop()


def pull(name, **options):
    return pulling.fetch(pulling.plan(name, **options))


def flowmm(*arguments, answer=None):
    return CliRunner().invoke(app, list(arguments), input=answer)


def test_a_pull_brings_configs_and_safetensors_and_nothing_else(hub):
    commit = hub.add("org/clip", FILES, licence="apache-2.0")
    folder = pull("hf:org/clip")
    assert sorted(one.name for one in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS and folder.name == commit
    assert not any(one.is_symlink() for one in folder.iterdir())
    found = snapshots.find("hf:org/clip")
    assert (found.commit, found.licence, found.revisions, found.folder) == (commit, "apache-2.0", ("main",), folder)
    assert not snapshots.parts(snapshots.parse("org/clip"))


def test_what_was_pulled_is_used_without_the_hub(hub):
    commit = hub.add("org/clip", FILES)
    folder = pull("org/clip")
    hub.stop()
    for name in ("hf:org/clip", "hf:org/clip@main", f"hf:org/clip@{commit}", f"hf:org/clip@{commit[:8]}"):
        assert snapshots.resolve(name) == folder
    assert open_source("hf:org/clip").cls == "CLIPModel"


def test_a_repository_of_one_checkpoint_is_that_file(hub):
    hub.add("org/ckpt", {"sd_v1.5.safetensors": WEIGHTS, "README.md": b"x"})
    folder = pull("org/ckpt")
    assert snapshots.resolve("hf:org/ckpt") == folder / "sd_v1.5.safetensors"


def test_pulling_again_downloads_nothing(hub):
    hub.add("org/clip", FILES)
    pull("org/clip")
    before = len(hub.downloads())
    done = flowmm("pull", "org/clip", "--yes")
    assert done.exit_code == 0 and "is here already" in done.output and len(hub.downloads()) == before


def test_a_connection_cut_in_mid_file_is_resumed_at_once(hub):
    hub.add("org/clip", FILES)
    hub.cut["model.safetensors"], hub.cuts = 2_500_000, 1
    assert (pull("org/clip") / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [headers["Range"] for method, path, headers in hub.asked if method == "GET" and "Range" in headers]
    assert ranges == ["bytes=2097152-"]


def test_a_download_that_failed_goes_on_where_it_stopped(hub):
    commit = hub.add("org/clip", FILES)
    hub.cut["model.safetensors"], hub.cuts = 2_500_000, 99
    with pytest.raises(SourceError, match="cannot be reached .*what came is kept"):
        pull("org/clip")
    with pytest.raises(SourceError, match="`hf:org/clip` is here in part only; `flowmm models pull org/clip` goes on with it"):
        snapshots.resolve("hf:org/clip")
    assert [entry.kind for entry in shelf.entries() if entry.name == "hf:org/clip"] == ["unfinished"]
    hub.cuts = 0
    hub.asked.clear()
    plan = pulling.plan("org/clip")
    assert plan.here == (2 << 20) + len(CONFIG) and plan.bytes == len(WEIGHTS) + len(CONFIG) - plan.here
    came = []
    folder = pulling.fetch(plan, lambda file, count: came.append(count))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS and folder.name == commit
    assert sum(came) == plan.bytes and hub.downloads() == ["model.safetensors"]


def test_an_interrupted_download_goes_on_too(hub, monkeypatch):
    hub.add("org/clip", FILES)

    def interrupt(file, count):
        if file == "model.safetensors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pulling.fetch(pulling.plan("org/clip"), interrupt)
    assert not snapshots.ours(snapshots.parse("org/clip"))
    assert (pull("org/clip") / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.downloads().count("config.json") == 1  # what was whole was not fetched again


def test_the_command_says_that_an_interrupted_download_is_kept(hub, monkeypatch):
    hub.add("org/clip", FILES)
    monkeypatch.setattr(pulling, "_download", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    done = flowmm("pull", "org/clip", "--yes")
    assert done.exit_code == 1 and "interrupted; what came is kept, and `flowmm models pull org/clip` goes on" in done.output


def test_bytes_come_from_where_the_hub_points_and_the_token_does_not_go_there(hub, monkeypatch):
    hub.add("org/clip", FILES)
    hub.cdn = stub_hub.StubHub()
    monkeypatch.setenv("HF_TOKEN", "good")
    folder = pull("org/clip")
    hub.cdn.stop()
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert all(headers.get("authorization") == "Bearer good" for _, _, headers in hub.asked)
    assert [headers.get("authorization") for _, _, headers in hub.cdn.asked] == [None]


def test_a_hub_that_cannot_resume_sends_all_of_it_again(hub):
    hub.add("org/clip", FILES)
    hub.ranges = False
    hub.cut["model.safetensors"], hub.cuts = 2_500_000, 1
    came = []
    folder = pulling.fetch(pulling.plan("org/clip"), lambda file, count: came.append(count))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS and sum(came) == len(WEIGHTS) + len(CONFIG)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])  # sha256 of large files, git's digest of small ones
def test_a_wrong_checksum_is_thrown_away(hub, file):
    hub.add("org/clip", FILES)
    hub.lies[file] = bytes(len(FILES[file]))
    with pytest.raises(SourceError, match=f"{file} came with a wrong checksum and was thrown away; pull again"):
        pull("org/clip")
    assert not snapshots.ours(snapshots.parse("org/clip"))
    hub.lies.clear()
    assert (pull("org/clip") / file).read_bytes() == FILES[file]


def test_too_small_a_disk_is_said_before_the_first_byte(hub, monkeypatch):
    hub.add("org/clip", FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    done = flowmm("pull", "org/clip", "--yes")
    assert done.exit_code == 1 and "`hf:org/clip` needs 3.1 MB and the disk of" in done.output and "has 1.0 MB free: make room" in done.output
    assert hub.downloads() == []


def test_a_disk_that_fills_up_is_one_sentence(hub, monkeypatch):
    hub.add("org/clip", FILES)

    def full(self, chunk):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pulling._Counted, "write", full)
    with pytest.raises(SourceError, match="is full: make room, then pull `hf:org/clip` again; what came is kept"):
        pull("org/clip")


def test_a_gated_repository_says_how_to_get_in(hub, monkeypatch):
    hub.add("org/closed", FILES)
    hub.gated.add("org/closed")
    done = flowmm("pull", "org/closed", "--yes")
    assert done.exit_code == 1 and "is gated and no token is set: accept its terms on" in done.output and "set HF_TOKEN" in done.output
    monkeypatch.setenv("HF_TOKEN", "bad")
    with pytest.raises(SourceError, match="is gated and your token has no access yet"):
        pull("org/closed")
    monkeypatch.setenv("HF_TOKEN", "good")
    folder = pull("org/closed")
    kept = [one for one in folder.parent.rglob("*") if one.is_file() and b"good" in one.read_bytes().replace(WEIGHTS, b"")]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS and kept == []  # the token is stored nowhere


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("org/nothing", "there is no model `org/nothing` on http://127.0.0.1:.*mind the spelling"),
        ("org/clip@v9", "`hf:org/clip` has no branch, tag or commit `v9`; its page lists them"),
        ("../clip", "names no model of the hub; write hf:ORG/REPO"),
        ("org/clip@../x", "after the @ comes a branch, a tag or a commit"),
        ("org/pickles", r"`hf:org/pickles`: its weights are pickles \(pytorch_model.bin\).*pull with --pickles, then `flowmm models convert`"),
        ("org/words", "it has nothing that flowmm can use"),
        ("org/evil", "a file of the name `../x.safetensors`, which could lie anywhere"),
    ],
)
def test_what_cannot_be_pulled_is_one_sentence(hub, name, words):
    hub.add("org/clip", FILES)
    hub.add("org/pickles", {"config.json": CONFIG, "pytorch_model.bin": b"y"})
    hub.add("org/words", {"README.md": b"x"})
    hub.add("org/evil", {"config.json": CONFIG, "../x.safetensors": b"x"})
    with pytest.raises(SourceError, match=words) as caught:
        pull(name)
    assert "\n" not in str(caught.value) and hub.downloads() == []


def test_no_network_a_broken_hub_and_offline_mode_are_said(hub, monkeypatch):
    from huggingface_hub import constants

    hub.add("org/clip", FILES)
    hub.down = 500
    with pytest.raises(SourceError, match="answered 500 for `hf:org/clip`; try again later"):
        pull("org/clip")
    hub.stop()
    with pytest.raises(SourceError, match="cannot be reached .*mind the network"):
        pull("org/clip")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        pull("org/clip")


def test_the_hub_is_told_nothing_but_what_is_wanted(hub):
    hub.add("org/clip", FILES)
    pull("org/clip")
    assert all("/org/clip" in path for _, path, _ in hub.asked)
    assert not any("torch/" in headers.get("user-agent", "") for _, _, headers in hub.asked)


def test_consent_is_asked_for_with_size_and_licence(hub, monkeypatch):
    hub.add("org/clip", FILES, licence="openrail++")
    nobody = flowmm("pull", "org/clip")
    assert nobody.exit_code == 1 and "openrail++" in nobody.output and "3.1 MB" in nobody.output and "add --yes" in nobody.output
    monkeypatch.setattr("flowmm.face.models.sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    for answer, status in (("n", 1), ("", 1), ("y", 0)):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        from flowmm.face import models

        try:
            models.pull("org/clip", None, False, False)
            assert status == 0
        except SystemExit as stopped:
            assert stopped.code == status == 1 and not snapshots.ours(snapshots.parse("org/clip"))
    assert snapshots.find("hf:org/clip").ours


def test_a_branch_that_moved_on_is_another_snapshot(hub):
    first = hub.add("org/clip", FILES)
    pull("org/clip")
    second = hub.add("org/clip", FILES | {"config.json": b'{"architectures": ["CLIPModel"], "new": 1}'})
    assert snapshots.find("hf:org/clip").commit == first  # nothing changes until a person pulls
    pull("org/clip")
    assert snapshots.find("hf:org/clip").commit == second and snapshots.find(f"hf:org/clip@{first[:10]}").commit == first
    words = f"`hf:org/clip@v2` is not here, though .*hf:org/clip@{second[:12]}.* is; `flowmm models pull org/clip@v2` downloads it"
    with pytest.raises(SourceError, match=words):
        snapshots.resolve("hf:org/clip@v2")


def test_several_versions_without_a_main_one_must_be_told_apart(hub):
    hub.add("org/clip", FILES, revision="v1")
    hub.add("org/clip", FILES, revision="v2")
    first = pull("org/clip@v1")
    assert snapshots.resolve("hf:org/clip") == first  # the only one
    second = pull("org/clip@v2")
    assert snapshots.resolve("hf:org/clip@v1") == first and snapshots.resolve("hf:org/clip@v2") == second
    with pytest.raises(SourceError, match="is here in 2 versions .*say which, as in hf:org/clip@"):
        snapshots.resolve("hf:org/clip")


def test_a_variant_comes_beside_what_is_here(hub):
    hub.add("org/clip", FILES | {"model.fp16.safetensors": b"half"})
    folder = pull("org/clip")
    assert not (folder / "model.fp16.safetensors").exists()
    pull("org/clip", variant="fp16")
    assert (folder / "model.fp16.safetensors").read_bytes() == b"half" and (folder / "model.safetensors").is_file()
    assert hub.downloads().count("model.safetensors") == 1
    with pytest.raises(SourceError, match="it has no variant int4; there are fp16, the plain one"):
        pull("org/clip", variant="int4")


def test_a_snapshot_of_the_users_own_cache_is_used_where_it_lies(hub, tmp_path):
    commit = "a" * 40
    folder = tmp_path / "cache" / "models--org--mine" / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(CONFIG)
    (tmp_path / "cache" / "models--org--mine" / "refs").mkdir()
    (tmp_path / "cache" / "models--org--mine" / "refs" / "main").write_text(commit)
    assert snapshots.resolve("hf:org/mine") == snapshots.resolve("hf:org/mine@main") == snapshots.resolve(f"hf:org/mine@{commit}") == folder
    assert [(entry.name, entry.kind) for entry in shelf.entries() if entry.kind == "cache"] == [("hf:org/mine", "cache")]
    done = flowmm("rm", "hf:org/mine", "--yes")
    assert done.exit_code == 1 and "not flowmm's to clear" in done.output and folder.is_dir()


def test_ls_lists_embedded_and_pulled_models(hub):
    commit = hub.add("org/clip", FILES, licence="mit")
    pull("org/clip")
    rows = json.loads(flowmm("ls", "--json").output)
    assert {"zoo:clip", "zoo:sd", "hf:org/clip"} <= {row["name"] for row in rows}
    row = next(row for row in rows if row["name"] == "hf:org/clip")
    assert (row["class"], row["bytes"], row["commit"], row["licence"], row["kind"]) == ("CLIPModel", len(WEIGHTS) + len(CONFIG), commit, "mit", "pulled")
    classes = {row["name"]: row["class"] for row in rows}
    assert classes.pop("zoo:sd-style-lora") == "LoRA" and classes.pop("zoo:unitoken").startswith("Chameleon")  # no model; and read by a layout of our own
    assert all(open_source(name).cls == cls for name, cls in classes.items())
    shown = flowmm("ls").output
    assert "hf:org/clip" in shown and commit[:12] in shown and "3.1 MB" in shown


def test_rm_removes_a_version_or_the_whole_repository(hub):
    first = hub.add("org/clip", FILES, revision="v1")
    hub.add("org/clip", FILES)
    pull("org/clip@v1")
    kept = pull("org/clip")
    asked = flowmm("rm", "hf:org/clip@v1")
    assert asked.exit_code == 1 and "add --yes" in asked.output and snapshots.find("hf:org/clip@v1").commit == first
    assert flowmm("rm", "hf:org/clip@v1", "--yes").exit_code == 0
    assert [one.folder for one in snapshots.ours(snapshots.parse("org/clip"))] == [kept]
    assert flowmm("rm", "org/clip", "--yes").exit_code == 0 and not kept.parent.exists()
    again = flowmm("rm", "org/clip", "--yes")
    assert again.exit_code == 1 and "there is no `org/clip` to remove; `flowmm models ls`" in again.output


@pytest.mark.parametrize("name", ["zoo:sd", "/", "..", ".", "~", "hub", "hf:../../x", "/etc", "converted/../../x"])
def test_rm_refuses_what_it_did_not_put_there(own_home, tmp_path, name, monkeypatch):
    (own_home / "models" / "hub" / "org--clip").mkdir(parents=True)
    (own_home / "x").mkdir()
    monkeypatch.chdir(tmp_path)
    done = flowmm("rm", name, "--yes")
    assert done.exit_code == 1 and done.output.startswith("error: ") and done.output.count("\n") == 1
    assert (own_home / "models" / "hub" / "org--clip").is_dir() and (own_home / "x").is_dir()


def test_rm_of_a_link_removes_the_link_alone(own_home, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a").write_text("kept")
    shelf_ = own_home / "models" / "converted"
    shelf_.mkdir(parents=True)
    (shelf_ / "link").symlink_to(tmp_path / "precious")
    assert flowmm("rm", "link", "--yes").exit_code == 0
    assert not (shelf_ / "link").exists() and (tmp_path / "precious" / "a").read_text() == "kept"


PIPELINE = {
    "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
    "safety_checker": ["x", "Y"],
}  # fmt: skip
REPOSITORY = [
    "model_index.json", "v1-5-pruned.ckpt", "v1-5-pruned.safetensors", "README.md", "LICENSE.md", "a.png",
    "unet/config.json", "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors", "unet/diffusion_flax_model.msgpack", "unet/model.onnx",
    "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
    "safety_checker/config.json", "safety_checker/model.safetensors", "onnx/config.json", "vae_old/diffusion_pytorch_model.safetensors",
]  # fmt: skip
SHARDED = [
    "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
    "model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors", "model.safetensors.index.fp16.json",
    "pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json", "tokenizer.json", "merges.txt", "consolidated.safetensors", "training_args.bin",
]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        (REPOSITORY, {"pipeline": PIPELINE}, ["LICENSE.md", "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
                                              "vae/config.json", "vae/diffusion_pytorch_model.safetensors"]),
        (REPOSITORY, {"pipeline": PIPELINE, "variant": "fp16"},
         ["LICENSE.md", "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json",
          "vae/diffusion_pytorch_model.safetensors"]),
        (SHARDED, {"pickles": True}, ["config.json", "merges.txt", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                      "model.safetensors.index.json", "tokenizer.json"]),
        (SHARDED, {"variant": "fp16"}, ["config.json", "merges.txt", "model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors",
                                        "model.safetensors.index.fp16.json", "tokenizer.json"]),
        (["sdxl_1.0.safetensors", "extra.safetensors"], {}, ["extra.safetensors", "sdxl_1.0.safetensors"]),
        (["config.json", "pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json", "optimizer.pt"], {"pickles": True},
         ["config.json", "pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"]),
        (["config.json", "model.bf16.safetensors"], {}, ["config.json", "model.bf16.safetensors"]),
    ],
)  # fmt: skip
def test_only_the_files_that_serve_are_chosen(names, options, expected):
    assert sorted(selection.wanted(names, **options)) == expected


def environment(tmp_path, hub_url):
    folders = {"FLOWMM_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_CACHE": str(tmp_path / "hf" / "hub")}
    return os.environ | folders | {"HF_ENDPOINT": hub_url, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def command(env, cwd, *arguments):
    return subprocess.run([sys.executable, "-m", "flowmm.cli", *arguments], env=env, cwd=cwd, capture_output=True, text=True)


def test_pull_then_run_in_five_lines(hub, tmp_path, saved_diffusion):
    """As a person would type it: refused and told what to type, pulled, run, run again with the hub gone, removed."""
    files = {one.relative_to(saved_diffusion).as_posix(): one.read_bytes() for one in saved_diffusion.rglob("*") if one.is_file()}
    hub.add("org/tiny-sd", files)
    env = environment(tmp_path, hub.url)
    run = ("run", "text-to-image", "--model", "hf:org/tiny-sd", "--prompt", "a red cat", "--steps", "2", "--only", "image", "-q", "-o", "out")
    refused = command(env, tmp_path, *run)
    assert refused.returncode == 1 and "`flowmm models pull org/tiny-sd` does" in refused.stderr and hub.asked == []
    pulled = command(env, tmp_path, "models", "pull", "org/tiny-sd", "--yes")
    assert pulled.returncode == 0, pulled.stderr
    assert "hf:org/tiny-sd is here" in pulled.stdout and " of " in pulled.stderr  # plain lines in a pipe
    hub.stop()
    done = command(env, tmp_path, *run)
    assert done.returncode == 0, done.stderr
    from PIL import Image

    import flowmm

    same = flowmm.load("text-to-image")(prompt="a red cat", steps=2, model=str(saved_diffusion)).image
    assert Image.open(tmp_path / "out" / "image.png").tobytes() == same.to_pil().tobytes()
    assert command(env, tmp_path, "models", "rm", "hf:org/tiny-sd", "--yes").returncode == 0
    assert "is not here" in command(env, tmp_path, *run).stderr


def test_a_run_with_an_absent_source_opens_no_connection(own_home, monkeypatch):
    import flowmm
    from flowmm.engine.workers.base import NodeFailed

    def connect(*arguments):
        raise AssertionError(f"a connection was opened to {arguments}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    with pytest.raises(NodeFailed, match="running a graph downloads nothing; `flowmm models pull org/absent` does"):
        flowmm.load("text-to-image")(prompt="x", model="hf:org/absent")


def test_the_commands_load_no_library_until_they_run():
    code = "import sys, flowmm.cli, flowmm.models.source; print([m for m in ('torch', 'huggingface_hub', 'safetensors', 'rich.table') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"

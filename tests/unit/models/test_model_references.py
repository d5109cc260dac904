"""What a model may be called."""

from __future__ import annotations

import pytest

from jupyter_ext.engine.models.reference import parse_ref
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import InvalidInput

DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("hub:org/name", "org/name", None),
        ("hub:gpt2", "gpt2", None),
        ("hub:org/name@v1.0", "org/name", "v1.0"),
        ("hub:org/name@refs/pr/3", "org/name", "refs/pr/3"),
        ("hub:Org_1/na.me-2@" + "0" * 40, "Org_1/na.me-2", "0" * 40),
        ("url:https://host:8080/a/model.safetensors?x=1", "https://host:8080/a/model.safetensors?x=1", None),
        ("file:/srv/models/x", "/srv/models/x", None),
        ("file:/srv/./models//x/", "/srv/models/x", None),
        ("training:0ab", "0ab", None),
    ],
)
def test_a_reference_is_read(text: str, name: str, revision: str | None) -> None:
    ref = parse_ref(text)
    assert (ref.source, ref.name, ref.revision) == (text.partition(":")[0], name, revision)
    assert parse_ref(str(ref)) == ref


def test_an_address_may_carry_the_hash_of_its_file() -> None:
    ref = parse_ref(f"url:https://host/m.safetensors#sha256={DIGEST.upper()}")
    assert ref.sha256 == DIGEST
    assert str(ref) == f"url:https://host/m.safetensors#sha256={DIGEST}"


def test_only_a_commit_is_pinned() -> None:
    assert parse_ref("hub:a/b@" + "a" * 40).is_pinned
    assert not parse_ref("hub:a/b@main").is_pinned
    assert not parse_ref("hub:a/b").is_pinned


@pytest.mark.parametrize(
    "text",
    [
        "",
        "org/name",
        "hub:",
        "hub:a/b/c",
        "hub:../etc",
        "hub:a/..",
        "hub:a/.b",
        "hub:/etc/passwd",
        "hub:a--b/c",
        "hub:a/b.git",
        "hub:a/b\n",
        "hub:a/b@",
        "hub:a/b@../x",
        "hub:a/b@/x",
        "hub:a/b@x/",
        "hub:a/b@x//y",
        "hub:a/b@x/.y",
        "hub:a/b@x y",
        "hub:" + "a" * 97,
        "hub:a\x00b",
        "url:",
        "url:ftp://host/x",
        "url:file:///etc/passwd",
        "url:https://",
        "url:https://host:99999/x",
        "url:https://host/a b",
        "url:https://host/x#fragment",
        "url:https://host/x#sha256=12",
        "file:relative/x",
        "file:",
        "file:/a\x00b",
        "training:../x",
        "training:",
        "s3:bucket/x",
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_ref(text)
    assert "\n" not in str(raised.value)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_ref("url:https://me:s3cr3t@host/x.safetensors")
    assert "s3cr3t" not in str(raised.value)


def test_settings_are_those_of_the_asking_notebook(tmp_path) -> None:
    (tmp_path / "token").write_text("hf_fromfile\n")
    settings = HubSettings.from_environment(
        {"HF_ENDPOINT": "http://127.0.0.1:9/", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    )
    assert settings.endpoint == "http://127.0.0.1:9"
    assert settings.cache_dir == tmp_path / "hub"
    assert settings.offline
    assert settings.token is not None
    assert settings.token.get_secret_value() == "hf_fromfile"
    assert "hf_fromfile" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"HOME": "/h"}, "/h/.cache/huggingface/hub"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HOME": "/h", "HF_HOME": "~/hf"}, "/h/hf/hub"),
        ({"HOME": "/h", "HF_HOME": "/hf", "HF_HUB_CACHE": "/c"}, "/c"),
        ({"HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"}, "/old"),
    ],
)
def test_the_cache_is_where_the_variables_say(environ: dict[str, str], cache: str) -> None:
    assert str(HubSettings.from_environment(environ).cache_dir) == cache


@pytest.mark.parametrize(
    "environ",
    [
        {"HF_ENDPOINT": "huggingface.co"},
        {"HF_ENDPOINT": "file:///x"},
        {"HF_ENDPOINT": "https://me:s3cr3t@host"},
        {"HF_TOKEN": "s3cr3t\r\nX-Evil: 1"},
    ],
)
def test_settings_that_cannot_be_are_refused_without_their_secret(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as raised:
        HubSettings.from_environment(environ)
    assert "s3cr3t" not in str(raised.value)

"""What a folder says that its script needs."""

from __future__ import annotations

from pathlib import Path

from evener.image import requirements


def test_requirements_of_pip(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("hydra-core\n-r requirements.txt\n")
    (tmp_path / "requirements.txt").write_text(
        "torch>=1.11\nboto3 ; python_version > '3.8'\nfsspec[s3] >= 2021, <2030  # files\n"
        "pywin32; sys_platform == 'win32'\n-e .\n-r more.txt\n"
    )
    found = requirements.found(tmp_path)
    assert found.packages == ("boto3", "fsspec[s3]>=2021,<2030", "hydra-core")
    assert found.passed == ("torch>=1.11", "pywin32", "-e .")


def test_requirements_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["einops>=0.7", "numpy"]\n')
    assert requirements.found(tmp_path).packages == ("einops>=0.7",)


def test_requirements_of_conda(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(
        "channels:\n  - pytorch\ndependencies:\n  - python=3.11\n  - scipy=1.11\n"
        "  - conda-forge::lightning\n  - pip:\n    - wandb==0.16\n"
    )
    assert requirements.found(tmp_path).packages == ("scipy==1.11.*", "lightning", "wandb==0.16")


def test_files_of_windows_are_read_as_others(tmp_path: Path) -> None:
    texts = {
        "environment.yml": "dependencies:\n  - scipy=1.11\n",
        "pyproject.toml": '[project]\ndependencies = ["einops>=0.7"]\n',
        "requirements.txt": "boto3 \\\n  >= 1\nfsspec\n",
    }
    wanted = (("scipy==1.11.*",), ("einops>=0.7",), ("boto3>=1", "fsspec"))
    for (name, text), packages in zip(texts.items(), wanted, strict=True):
        written = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
        (tmp_path / name).write_bytes(written)
        assert requirements.found(tmp_path).packages == packages


def test_nothing_is_needed_where_nothing_says_so(tmp_path: Path) -> None:
    assert requirements.found(tmp_path) == requirements.Requirements()

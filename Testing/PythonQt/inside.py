"""Run by the host that build.sh makes: the desktop's tests on PythonQt, Qt 5 and CTK. Options go to pytest.

host Testing/PythonQt/inside.py [OPTIONS]
host Testing/PythonQt/inside.py Resources/make_screenshots.py    another script, with the same binding
"""

import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Find the packages of the environment that ``run.py`` made, and run the tests there."""
    environment = ROOT / ".venv"
    packages = environment / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
    if not packages.is_dir():
        sys.stderr.write(f"{packages} is not there; run `python3 run.py test` with the Python of this host.\n")
        return 2
    sys.executable = str(environment / "bin" / "python")  # what workers are started with
    sys.path[:0] = [str(packages), str(ROOT / "PromptSeg")]
    os.chdir(ROOT)
    import pytest
    import PythonQt  # noqa: F401  (the stand-in looks whether it is there)

    words = sys.argv[1:]
    if words and words[0].endswith(".py") and not Path(words[0]).name.startswith("test_"):
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        return 0
    named = any(Path(word.partition("::")[0]).exists() for word in words)
    return int(pytest.main(["-p", "no:cacheprovider", *words, *([] if named else ["Testing/Python/desktop"])]))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # PythonQt's objects outlive the interpreter's own end

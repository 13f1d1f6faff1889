"""What the sources promise and no compiler checks: who may include whom, who may name DPDK, that headers stand alone."""
import concurrent.futures
import json
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("WEFT_BUILD", os.path.join(ROOT, "build"))
# A folder may include itself and what stands here.
BELOW = {
    "base": set(),
    "classifier": {"base"},
    "conntrack": {"base"},
    "tunnels": {"base"},
    "pipeline": {"base", "classifier", "conntrack", "tunnels"},
    "dataplane": {"base", "classifier", "conntrack", "tunnels", "pipeline"},
    "control": {"base", "classifier", "conntrack", "tunnels", "pipeline", "dataplane"},
}


def sources(*folders, endings=(".cc", ".hh")):
    found = []
    for folder in folders:
        for place, _, names in os.walk(os.path.join(ROOT, folder)):
            found += [os.path.relpath(os.path.join(place, name), ROOT) for name in names if name.endswith(endings)]
    assert found, folders
    return sorted(found)


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def code_of(path):
    """Without comments and string literals."""
    pattern = r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*(?:.|\n)*?\*/'
    return re.sub(pattern, lambda found: '""' if found.group(0)[0] in '"R' else " ", text_of(path))


OURS = sources(*BELOW)


def test_folders_include_only_what_stands_below_them():
    wrong = []
    for path in OURS:
        folder = path.split(os.sep)[0]
        for included in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text_of(path), re.M):
            of = included.split("/")[0]
            if of not in BELOW:
                wrong.append("%s: \"%s\" is not named from the root" % (path, included))
            elif of != folder and of not in BELOW[folder]:
                wrong.append("%s: %s must not include %s (%s)" % (path, folder, of, included))
    assert wrong == []


def test_only_dataplane_knows_dpdk():
    wrong = []
    for path in OURS:
        if path.startswith("dataplane" + os.sep):
            continue
        for name in sorted(set(re.findall(r"\b(?:rte_\w+|RTE_\w+|\w*mbuf\w*)\b", code_of(path)))):
            wrong.append("%s: %s" % (path, name))
    assert wrong == []


def test_what_workers_run_reads_no_clock_and_writes_no_log():
    """Time is an argument; logging, threads and files are control's and dataplane's."""
    banned = r"<(?:chrono|thread|mutex|iostream|fstream|filesystem|future|condition_variable|cstdio|spdlog/.*|ctime|time\.h)>"
    found = [(path, header) for path in sources("base", "classifier", "pipeline")
             for header in re.findall(r"^\s*#\s*include\s+(%s)" % banned, text_of(path), re.M)]
    assert [each for each in found if each[0] not in ("base/check.cc",)] == []


def test_no_throw_and_nothing_left_for_later():
    wrong = [path for path in OURS if re.search(r"\bthrow\b", code_of(path))]
    marks = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME)\b")
    for path in OURS + sources("tests", "tools", "docs", endings=(".cc", ".hh", ".py", ".sh", ".md")):
        if marks.search(text_of(path)):
            wrong.append(path)
    assert wrong == []


def test_tests_do_not_sleep():
    """They wait for what they wait for."""
    call = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep|time\.sleep|sleep)\s*\(")
    assert [path for path in sources("tests", endings=(".cc", ".hh", ".py"))
            if path != os.path.join("tests", "tidy", "tidy_test.py") and call.search(text_of(path))] == []


def test_the_licence_is_there():
    head = text_of("LICENSE")[:400]
    assert "Apache License" in head and "Version 2.0" in head


def test_headers_begin_with_what_they_are_and_pragma_once():
    wrong = []
    for path in OURS:
        if path.endswith(".hh"):
            lines = text_of(path).splitlines()
            if not lines[0].startswith("//") or "#pragma once" not in lines[:60]:
                wrong.append(path)
    assert wrong == []


def test_links_of_the_documents_lead_somewhere():
    wrong = []
    pages = ["README.md"] + [os.path.join("docs", name) for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(page)):
            if "://" not in target and not os.path.exists(os.path.join(ROOT, os.path.dirname(page), target)):
                wrong.append("%s: %s" % (page, target))
    assert wrong == []


def test_every_drop_reason_is_in_the_operators_table():
    names = re.findall(r'"([a-z_]+)"', text_of("base/drop.cc"))
    table = set(re.findall(r"^\| `([a-z_]+)` \|", text_of("docs/operating.md"), re.M))
    assert [name for name in names if name != "none" and name not in table] == []


# ---- every header compiles alone

def headers_that_the_build_compiled_alone():
    """A source that is compiled by itself and begins with a header shows that the header needs nothing before it."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        compiled = {os.path.realpath(os.path.join(entry["directory"], entry["file"])) for entry in json.load(file)}
    firsts = set()
    for path in OURS:
        if path.endswith(".cc") and os.path.join(ROOT, path) in compiled:
            first = re.search(r"^\s*#\s*include\s+(\S+)", text_of(path), re.M)
            firsts.add(first.group(1).strip('"') if first else None)
    return firsts


def compiler():
    """As meson would call it; ccache makes the second run cheap."""
    flags = ["-std=c++20", "-I", ROOT, "-isystem", BUILD, "-O0", "-w", "-march=x86-64-v3", "-DWEFT_VERSION=\"0\""]
    flags += subprocess.run(["pkg-config", "--cflags", "libdpdk"], stdout=subprocess.PIPE, text=True, check=True).stdout.replace(
        "-march=corei7", "").split()
    return (["ccache"] if shutil.which("ccache") else []) + ["g++"] + flags


@pytest.mark.skipif(os.environ.get("WEFT_SANITIZED") == "1", reason="the headers are the same in every build")
def test_every_header_compiles_alone(tmp_path):
    command = compiler()
    environment = dict(os.environ, CCACHE_NOHASHDIR="1")

    def compile_alone(path):
        stub = tmp_path / (path.replace(os.sep, "_") + ".cc")
        stub.write_text('#include "%s"\n' % path)
        done = subprocess.run(command + ["-c", str(stub), "-o", str(stub) + ".o"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=environment, cwd=tmp_path)
        return None if done.returncode == 0 else "%s:\n%s" % (path, "\n".join(done.stdout.splitlines()[:4]))

    shown = headers_that_the_build_compiled_alone()
    headers = [path for path in OURS if path.endswith(".hh") and path not in shown]
    assert headers
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert [wrong for wrong in pool.map(compile_alone, headers) if wrong] == []

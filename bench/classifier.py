"""Lookups alone, in filter sets: the classifier beside rte_acl and a plain tuple space search (classifier_bench.cc)."""
import lzma
import os
import re
import shutil
import subprocess

from places import BUILD

ENGINE = re.compile(r"^  (weft|plain|rte_acl) " + r" +([0-9.]+)" * 8 + "$", re.M)


def classifier(report, folder, options):
    """Lookups alone, without packets: filter sets given by --rules FILE..., beside rte_acl and a plain tuple space search"""
    bench = os.path.join(BUILD, "bench", "classifier_bench")
    for path in options.rules:
        if path.endswith(".xz"):
            plain = os.path.join(folder, os.path.basename(path).removesuffix(".xz"))
            with lzma.open(path) as packed, open(plain, "wb") as file:
                shutil.copyfileobj(packed, file)
            path = plain
        done = subprocess.run([bench, path], stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)
        if done.returncode != 0:
            raise SystemExit("classifier: %s: exit status %d" % (path, done.returncode))
        for engine, *values in ENGINE.findall(done.stdout):
            low, middle, high, cycles, zipf, _, build_ms, bytes_a_rule = map(float, values)
            report.record(workload="classifier", setting=os.path.basename(path), system=engine, ns=[low, middle, high], cycles=cycles, zipf_ns=zipf,
                          build_ms=build_ms, bytes_a_rule=bytes_a_rule, checked=True)

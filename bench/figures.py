"""Figures as they are printed and kept: minimum, median, maximum; and the ratio of two systems that were measured in pairs."""
import json
import math
import statistics

# What `latency` measures of one exchange, as systems, and what it is called behind the number of rows.
LATENCIES = {"weft": "", "weft answers": ", until the client is told", "only answers": ", the exchange alone"}


def spread(values):
    return [min(values), statistics.median(values), max(values)]


def rounded(values, digits=4):
    """To so many significant digits."""
    return [float("%.*g" % (digits, value)) for value in values]


def t_quantile(freedom, p=0.975):
    """Of Student's distribution, by the expansion around the normal one; good to 1 % from five degrees of freedom on."""
    z = statistics.NormalDist().inv_cdf(p)
    return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2)


def paired_ratio(pairs):
    """Geometric mean of a/b over pairs (a, b) that were measured next to each other, and its 95 % interval."""
    logs = [math.log(a / b) for a, b in pairs]
    mean = statistics.fmean(logs)
    half = t_quantile(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def median_ratio(pairs):
    """Median of a/b over many pairs, some of them spoilt by something else, and its 95 % interval (by rank, whatever the distribution)."""
    ratios = sorted(a / b for a, b in pairs)
    half = 0.98 * math.sqrt(len(ratios))
    return statistics.median(ratios), ratios[max(0, int(len(ratios) / 2 - half))], ratios[min(len(ratios) - 1, math.ceil(len(ratios) / 2 + half))]


class Report:
    """Prints lines as they come, and keeps them for --json."""
    COLUMNS = "%-14s %-16s %-22s"

    def __init__(self, path=None, about=None):
        self.file = open(path, "a") if path else None
        self._keep({"about": about})

    def head(self):
        print((self.COLUMNS + "  %s") % ("workload", "system", "setting", "min / median / max"))

    def _keep(self, line):
        if self.file:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def record(self, **line):
        """Kept, not printed."""
        self._keep(line)

    def rate(self, workload, system, setting, windows, checked, **more):
        mpps, cycles = spread([w.mpps for w in windows]), spread([w.cycles for w in windows])
        waited = max(w.waited for w in windows)
        self._keep({"workload": workload, "system": system, "setting": setting, "mpps": rounded(mpps), "cycles": rounded(cycles),
                    "checked": checked, "waited": waited, **more})
        print((self.COLUMNS + " %8.3f / %7.3f / %7.3f Mpps %9.0f / %7.0f / %7.0f cycles") % ((workload, system, setting) + tuple(mpps) + tuple(cycles)) +
              ("   (without its core for %.0f %%)" % (waited * 100) if waited > 0.02 else ""), flush=True)

    def figure(self, workload, system, setting, unit, values, checked, **more):
        low, middle, high = spread(values)
        self._keep({"workload": workload, "system": system, "setting": setting, unit: rounded([low, middle, high]), "checked": checked, **more})
        print((self.COLUMNS + " %8.2f / %7.2f / %7.2f %s") % (workload, system, setting, low, middle, high, unit), flush=True)

    def ratio(self, workload, words, value, interval=None):
        line = {"workload": workload, "ratio": words, "value": float("%.4g" % value)}
        text = "%s: %.3g" % (words, value)
        if interval:
            line["interval"] = rounded(interval)
            text += " (95 %%: %.3g to %.3g)" % tuple(interval)
        self._keep(line)
        print("%-14s %s" % (workload, text), flush=True)

    def note(self, workload, words, **more):
        self._keep({"workload": workload, "note": words, **more})
        print("%-14s %s" % (workload, words), flush=True)

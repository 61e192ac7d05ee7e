"""The ledger: a JSON file that holds every run that was made, so that a long form can be taken up where it ended.

A row's runs count only while its settings and the sources are those they were made with. Written anew after each run, and moved
into place: a run that is killed costs itself. A run that had no figure (its audit failed, its program ended badly) stays, with its reason."""
import json
import os
import time

import host


class Ledger:
    def __init__(self, path, fresh):
        self.path, self.sources = path, host.sources()
        self.data = {"about": {}, "rows": {}}
        if not fresh and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.data = json.load(file)

    def row(self, name, settings):
        """The entry of a row; empty when it was made of something else."""
        known = self.data["rows"].get(name)
        if known is None or known["sources"] != self.sources or known["settings"] != settings:
            known = {"sources": self.sources, "settings": settings, "commit": host.commit(), "runs": [], "wall_s": []}
            self.data["rows"][name] = known
        known.setdefault("failed", [])
        return known

    def add(self, name, settings, detail, wall_s):
        entry = self.row(name, settings)
        entry["runs"].append(detail)
        entry["wall_s"].append(wall_s)
        self.save()

    def add_failed(self, name, settings, why):
        """A run without a figure. The row's other runs stay."""
        failed = {"commit": host.commit(), "date": time.strftime("%Y-%m-%d %H:%M"), "why": why}
        self.row(name, settings)["failed"].append(failed)
        self.save()
        return failed

    def about(self, **facts):
        self.data["about"].update(facts)
        self.save()

    def save(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.data, file, indent=1)
        os.replace(self.path + ".new", self.path)

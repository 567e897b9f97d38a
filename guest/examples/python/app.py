"""The default protocol in Python: `IAMAT`, `WHATSAT` with failover between sources, and `WATCH`.

`WATCH <client>` replies `OK` and the client's current `AT` line, then sends each new one; `UNWATCH <client>` stops that.
"""

from herd_sdk import CLOSED, BadSetting, Guest, export

import whatsat
from fields import at_client, iamat, parse_time, rank, skew
from sources import SOURCES


class Watch(Guest):
    name, version, commands = "watch-python", "1", ["IAMAT", "WHATSAT", "WATCH", "UNWATCH"]

    def __init__(self, node, settings):
        self.node = node.encode()
        self.tolerance_ns, self.closes, self.sources = 60_000_000_000, False, ["embedded"]
        for name, value in settings.items():
            if name == "tolerance_s":
                self.tolerance_ns = parse_time(value.encode())
                if self.tolerance_ns is None or self.tolerance_ns >= 1 << 64:
                    raise BadSetting(name, f"`{value}` is not a number of seconds with at most nine decimals")
            elif name == "close_after_reply":
                if value not in ("true", "false"):
                    raise BadSetting(name, f"`{value}` is neither true nor false")
                self.closes = value == "true"
            elif name == "places.sources":
                self.sources = value.split(",")
                for source in self.sources:
                    if source not in SOURCES:
                        known = ", ".join(SOURCES)
                        raise BadSetting(name, f"`{source}` is not a source of places; choose from {known}")
            else:
                raise BadSetting(name, "unknown; this logic has `tolerance_s` and `close_after_reply`")

    def line(self, line, context):
        answered = self.command(line, context)
        if answered and self.closes:
            context.close()
            return CLOSED
        return None

    def command(self, line, context):
        """Decides one line. Returns whether it has a reply: an empty line has none."""
        fields = line.split()
        if not fields:
            return False
        match fields:
            case [b"IAMAT", client, location, time] if (client_ns := iamat(location, time)) is not None:
                self.iamat(line, client, location, time, client_ns, context)
            case [b"WHATSAT", client, radius, bound] if whatsat.start(self, client, radius, bound, context):
                pass
            case [b"WATCH", client]:
                context.subscribe(client)
                found = context.record(client)
                context.reply(b"OK\n" + (found.bytes + b"\n" if found else b""))
            case [b"UNWATCH", client]:
                context.unsubscribe(client)
                context.reply(b"OK\n")
            case _:
                context.reply(b"? " + line + b"\n")
        return True

    def iamat(self, line, client, location, time, client_ns, context):
        now = context.now_ns
        at = b"AT %b %b %b %b %b" % (self.node, skew(now, client_ns), client, location, time)
        keep = context.keep(client, rank(client_ns, now, self.tolerance_ns, self.node), at)
        context.reply_if_kept(keep, at + b"\n", b"? " + line + b"\n")
        context.publish_if_kept(keep, client, at + b"\n")

    def reports(self, reports, context):
        for index, report in enumerate(reports):
            if report.form != 1 or at_client(report.bytes) != report.key:
                context.refuse(index)
            # A refused report is not applied, so its publish does not go out.
            context.publish_if_report_kept(index, report.key, report.bytes + b"\n")

    def answer(self, token, otherwise, outcome, context):
        whatsat.answer(self, token, otherwise, outcome, context)


Logic = export(Watch)
